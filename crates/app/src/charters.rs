//! Charters from a folder on the disk, or from the charters topic.

mod runs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use watchkeep_incident::command::is_about_charters;
use watchkeep_incident::registry::publications::Taken;
use watchkeep_incident::registry::publications::decide::cause_of;
use watchkeep_incident::registry::publications::played::{Played, played};
use watchkeep_incident::registry::{Checks, Registry};
use watchkeep_model::document::{Diagnostic, Documents, Level};
use watchkeep_model::position::Partition;
use watchkeep_model::response::Response;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::LogError;
use watchkeep_runtime::rules::{FollowError, Published, RUNS_MAX, Rules, Unusable};
use watchkeep_runtime::topics::Topics;
use watchkeep_wire::yaml;

use crate::config::{CharterSource, Config};
use crate::output::{complain, counted};
use crate::store::{Reader, Store};
use crate::{ignored, input};

pub(crate) use runs::lint_runs;
use runs::{Seen, of_folder};

/// Offsets that are read at once.
const CHUNK: i64 = 5_000;

/// A folder as it was read and checked.
pub(crate) struct Folder {
    /// Names and texts.
    pub(crate) files: Vec<(String, String)>,
    /// What follows from them.
    pub(crate) registry: Registry,
    /// Everything that was found, by file and line.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Folder {
    /// Reads all `.yaml` files below a folder.
    ///
    /// # Errors
    /// What the system says; findings are no errors here.
    pub(crate) fn read(folder: &Path, pane: TimeSpan) -> anyhow::Result<Self> {
        Self::read_and_check(folder, &Checks::of_pane(pane))
    }

    /// The same with checks that need more than the folder.
    ///
    /// # Errors
    /// What the system says; findings are no errors here.
    pub(crate) fn read_and_check(folder: &Path, checks: &Checks) -> anyhow::Result<Self> {
        let paths = ignored::files_of_charters(folder, &[".yaml", ".yml"])?;
        if paths.is_empty() {
            bail!("{}: there is no .yaml file in this folder", folder.display());
        }
        let Texts { files, unread } = texts(&paths)?;
        let mut folder = Self::checked(files, checks);
        folder.diagnostics.extend(unread);
        folder.diagnostics.sort();
        Ok(folder)
    }

    /// The documents, once more.
    pub(crate) fn documents(&self) -> Documents {
        yaml::read(&self.files).0
    }

    /// Checks texts.
    pub(crate) fn of(files: Vec<(String, String)>, pane: TimeSpan) -> Self {
        Self::checked(files, &Checks::of_pane(pane))
    }

    fn checked(files: Vec<(String, String)>, checks: &Checks) -> Self {
        let (documents, mut diagnostics) = yaml::read(&files);
        let (registry, mut found) = Registry::checked(documents, checks);
        diagnostics.append(&mut found);
        diagnostics.iter_mut().for_each(with_hint);
        diagnostics.sort();
        Self { files, registry, diagnostics }
    }

    /// How many findings of a level there are.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == level).count()
    }

    /// The rules, where nothing is wrong with the folder. It is refused as a
    /// whole otherwise: half of a registry would page the wrong people.
    ///
    /// # Errors
    /// Every error of the folder, with file and line.
    pub(crate) fn rules(self) -> anyhow::Result<Rules> {
        self.refuse_errors()?;
        Ok(Rules::new(self.registry))
    }

    /// Which documents were passed over, one line for each file: whoever publishes
    /// or starts a service is to know what it does not go by.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = String> + '_ {
        let foreign = self.diagnostics.iter().filter(|finding| finding.rule == "foreign_document");
        foreign.map(|one| format!("{}:{}: {}", one.file, one.line, one.message))
    }

    /// # Errors
    /// Every error of the folder, with file and line.
    pub(crate) fn refuse_errors(&self) -> anyhow::Result<()> {
        if self.count(Level::Error) > 0 {
            let errors: Vec<Diagnostic> =
                self.diagnostics.iter().filter(|d| d.severity == Level::Error).cloned().collect();
            let text = yaml::render(&errors, &self.files, yaml::Format::Text);
            bail!(
                "the charter folder has {}:\n{}",
                counted(errors.len() as u64, "error"),
                text.trim_end()
            );
        }
        Ok(())
    }
}

/// Says what to do about a finding that tells only what is wrong.
fn with_hint(finding: &mut Diagnostic) {
    if finding.hint.is_some() {
        return;
    }
    finding.hint = Some(match finding.rule {
        "syntax" => {
            "look for a quote, bracket or colon too few, here or just before; a file that is no \
             charter is named in `.watchkeepignore`"
                .to_owned()
        }
        "bound" => "make it smaller, or split it into several".to_owned(),
        "missing_field" => "write the field".to_owned(),
        "window_pane" => {
            "write a multiple of the pane, or a smaller `pane` in the settings".to_owned()
        }
        "naming" => {
            "write a typed name as telemetry has it, such as `feature:shop.price`".to_owned()
        }
        "unsupported" => "write it without".to_owned(),
        // What the format says: the message tells what may stand there.
        rule if yaml::explain(rule).is_some() => {
            format!("see `watchkeep charters lint --explain {rule}`")
        }
        _ => return,
    });
}

/// Files as texts.
pub(crate) struct Texts {
    /// Names and texts; of those that are none, empty ones.
    pub(crate) files: Vec<(String, String)>,
    /// What is wrong with those that are none. One file in another encoding
    /// hides no finding of the others.
    pub(crate) unread: Vec<Diagnostic>,
}

/// Reads files.
///
/// # Errors
/// What the system says.
pub(crate) fn texts(paths: &[PathBuf]) -> anyhow::Result<Texts> {
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.display().to_string();
        let known = std::fs::metadata(path).with_context(|| name.clone())?;
        let text = if !known.is_file() {
            Err(Box::new(yaml::no_regular_file(&name)))
        } else if known.len() > yaml::FILE_BYTES_MAX as u64 {
            Err(Box::new(yaml::too_large(&name, known.len())))
        } else {
            let bytes = input::read_bounded(path, yaml::FILE_BYTES_MAX)?;
            yaml::text(&name, &bytes).map(str::to_owned)
        };
        files.push((
            name,
            text.unwrap_or_else(|finding| {
                unread.push(*finding);
                String::new()
            }),
        ));
    }
    Ok(Texts { files, unread })
}

/// Where charters are taken from.
pub(crate) enum Wanted<'a> {
    /// This folder.
    Folder(&'a Path),
    /// The configured source; of a log where nothing is set.
    OfLog,
    /// The configured source; none where nothing is set.
    OfFiles,
}

/// Where run events are taken from, besides those that lie in a charter folder.
#[derive(Clone, Copy)]
pub(crate) enum RunsFrom<'a> {
    /// From nowhere.
    Folder,
    /// These files and folders.
    Files(&'a [PathBuf]),
    /// The lineage topic of the configured log.
    Topic,
}

/// The rules that a command goes by.
///
/// # Errors
/// Every error of the folder; those of the log.
pub(crate) fn wanted(config: &Config, wanted: &Wanted<'_>) -> anyhow::Result<Rules> {
    wanted_with_runs(config, wanted, RunsFrom::Folder)
}

/// The same with what runs have shown.
///
/// # Errors
/// Those of [`wanted`]; the first run event of a file that cannot be used.
pub(crate) fn wanted_with_runs(
    config: &Config,
    wanted: &Wanted<'_>,
    from: RunsFrom<'_>,
) -> anyhow::Result<Rules> {
    wanted_with_commands(config, wanted, from, &[]).map(|(rules, _)| rules)
}

/// Why a replay over the charters topic does not decide about charters.
const OF_TOPIC: &str = "the charters topic does not know of this command: with --charters DIR a \
                        replay decides by itself";

/// The same with what commands about charters lead to. Answers with the rules
/// that forbid some, by the command's identifier.
///
/// # Errors
/// Those of [`wanted_with_runs`].
pub(crate) fn wanted_with_commands(
    config: &Config,
    wanted: &Wanted<'_>,
    from: RunsFrom<'_>,
    responses: &[Response],
) -> anyhow::Result<(Rules, BTreeMap<String, String>)> {
    let commands: Vec<&Response> = responses.iter().filter(|r| is_about_charters(r)).collect();
    let mut forbidden = BTreeMap::new();
    let pane = config.time.pane;
    let mut play = |documents: &Documents| {
        let Played { documents, forbidden: rules } =
            played(documents, commands.iter().copied(), pane, &yaml::proposed_by);
        forbidden = rules;
        documents
    };
    let played: Option<Play<'_>> = (!commands.is_empty()).then_some(&mut play);
    let rules = rules_of(config, wanted, from, played)?;
    if let Some((known, _)) = rules.publications() {
        // The topic has decided already, about those of its own time.
        for command in &commands {
            let cause = cause_of(command);
            let rule = match known.outcome(&cause) {
                Some(Taken::Yes) => known.refused(&cause),
                _ => Some(OF_TOPIC.to_owned()),
            };
            forbidden.extend(rule.map(|rule| (command.id(), rule)));
        }
    }
    Ok((rules, forbidden))
}

/// What is done to the documents of a folder before they are used.
type Play<'a> = &'a mut dyn FnMut(&Documents) -> Documents;

fn rules_of(
    config: &Config,
    wanted: &Wanted<'_>,
    from: RunsFrom<'_>,
    mut played: Option<Play<'_>>,
) -> anyhow::Result<Rules> {
    let pane = config.time.pane;
    let rules = match (wanted, config.charter_source) {
        (Wanted::Folder(folder), _) => of_folder(Some(folder), pane, &mut played)?,
        (_, CharterSource::Folder) => of_folder(config.charters.as_deref(), pane, &mut played)?,
        (Wanted::OfFiles, CharterSource::Unset) => of_folder(None, pane, &mut played)?,
        (_, CharterSource::Topic | CharterSource::Unset) => {
            let rules = of_topic(config);
            follow(&rules, &mut Store::reader_or_service(config)?)?;
            Seen::nothing(rules)
        }
    };
    match from {
        RunsFrom::Folder => Ok(rules.with_files(&[])?.finished()),
        RunsFrom::Files(files) => Ok(rules.with_files(files)?.finished()),
        RunsFrom::Topic => {
            let rules = rules.with_topic(config, None);
            follow_runs(&rules, &mut Store::reader_or_service(config)?)?;
            let Unusable { count, last } = rules.runs().unusable();
            if let Some(last) = last {
                complain(&format!(
                    "{count} records of the lineage topic are no run events; {last}"
                ));
            }
            Ok(rules)
        }
    }
}

/// The rules of a service: of the configured charters, and of run events that
/// lie in the folder and on the lineage topic. Of the topics nothing is read yet.
///
/// # Errors
/// Every error of the folder.
pub(crate) fn of_service(config: &Config) -> anyhow::Result<Rules> {
    let seen = match config.charter_source {
        CharterSource::Folder => {
            of_folder(config.charters.as_deref(), config.time.pane, &mut None)?
        }
        CharterSource::Topic | CharterSource::Unset => Seen::nothing(of_topic(config)),
    };
    Ok(seen.with_topic(config, Some(RUNS_MAX)))
}

/// The rules of the charters topic, of which nothing is read yet.
pub(crate) fn of_topic(config: &Config) -> Rules {
    let topics = Topics::new(&config.topics.prefix, &config.topics.telemetry);
    Rules::of_topic(Published::new(&topics))
}

/// Reads what was published.
///
/// # Errors
/// Those of the log, and a record that is none of ours.
pub(crate) fn follow(rules: &Rules, reader: &mut Reader) -> anyhow::Result<()> {
    match rules.follow(&mut |partition, from, handle| read(reader, partition, from, handle)) {
        Ok(_) => Ok(()),
        // As itself, so that whoever starts a service can wait for the log.
        Err(FollowError::Log(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what runs have shown since, where there is such a topic.
///
/// # Errors
/// Those of the log.
pub(crate) fn follow_runs(rules: &Rules, reader: &mut Reader) -> anyhow::Result<()> {
    let Some(topic) = rules.runs().topic() else { return Ok(()) };
    let partitions = reader.partition_count(topic)?;
    rules
        .runs()
        .follow(partitions, &mut |partition, from, handle| read(reader, partition, from, handle))?;
    Ok(())
}

/// A partition from an offset to its end as of now.
fn read(
    reader: &mut Reader,
    partition: &Partition,
    from: i64,
    handle: &mut dyn FnMut(i64, &[u8]),
) -> Result<i64, LogError> {
    let (first, end) = reader.bounds(partition)?;
    let mut next = from.max(first);
    while next < end {
        let to = (next + CHUNK).min(end);
        for record in reader.read(partition, next, to)? {
            handle(record.offset, &record.value);
        }
        next = to;
    }
    Ok(end.max(from))
}
