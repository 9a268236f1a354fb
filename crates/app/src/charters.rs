//! Charters from a folder on the disk, or from the charters topic.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use watchkeep_incident::registry::{Checks, Registry};
use watchkeep_interop::openlineage;
use watchkeep_model::document::{Diagnostic, Documents, Level};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::rules::{FollowError, Published, Rules};
use watchkeep_runtime::topics::Topics;
use watchkeep_wire::yaml;

use crate::config::{CharterSource, Config};
use crate::input;
use crate::store::{Reader, Store};

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
        let paths = input::files_below(folder, &[".yaml", ".yml"])?;
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

    /// # Errors
    /// Every error of the folder, with file and line.
    pub(crate) fn refuse_errors(&self) -> anyhow::Result<()> {
        if self.count(Level::Error) > 0 {
            let errors: Vec<Diagnostic> =
                self.diagnostics.iter().filter(|d| d.severity == Level::Error).cloned().collect();
            let text = yaml::render(&errors, &self.files, yaml::Format::Text);
            bail!("the charter folder has {} errors:\n{}", errors.len(), text.trim_end());
        }
        Ok(())
    }
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
        let size = std::fs::metadata(path).with_context(|| name.clone())?.len();
        let text = if size > yaml::FILE_BYTES_MAX as u64 {
            Err(Box::new(yaml::too_large(&name, size)))
        } else {
            let bytes = std::fs::read(path).with_context(|| name.clone())?;
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

/// The rules that a command goes by.
///
/// # Errors
/// Every error of the folder; those of the log.
pub(crate) fn wanted(config: &Config, wanted: &Wanted<'_>) -> anyhow::Result<Rules> {
    wanted_with_runs(config, wanted, &[])
}

/// The same with run events from files and folders.
///
/// # Errors
/// Those of [`wanted`]; the first run event that cannot be used; run events
/// beside the charters topic.
pub(crate) fn wanted_with_runs(
    config: &Config,
    wanted: &Wanted<'_>,
    runs: &[PathBuf],
) -> anyhow::Result<Rules> {
    let pane = config.time.pane;
    match (wanted, config.charter_source) {
        (Wanted::Folder(folder), _) => rules_with_runs(Some(folder), runs, pane),
        (_, CharterSource::Folder) => rules_with_runs(config.charters.as_deref(), runs, pane),
        (Wanted::OfFiles, CharterSource::Unset) => rules_with_runs(None, runs, pane),
        _ if !runs.is_empty() => bail!(
            "run events go with charters of a folder, not yet with those of the charters topic: \
             name the folder with --charters DIR"
        ),
        (_, CharterSource::Topic | CharterSource::Unset) => {
            let rules = of_topic(config);
            follow(&rules, &mut Store::open_existing(config)?.reader()?)?;
            Ok(rules)
        }
    }
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
    let read = &mut |partition: &Partition, from: i64, handle: &mut dyn FnMut(i64, &[u8])| {
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
    };
    match rules.follow(read) {
        Ok(_) => Ok(()),
        // As itself, so that whoever starts a service can wait for the log.
        Err(FollowError::Log(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

/// The rules of a folder, or none at all. Run events that lie in the folder
/// are a part of it.
///
/// # Errors
/// Every error of the folder.
pub(crate) fn rules(folder: Option<&Path>, pane: TimeSpan) -> anyhow::Result<Rules> {
    rules_with_runs(folder, &[], pane)
}

/// Endings of files with run events.
const RUNS: [&str; 3] = [".ndjson", ".ndjson.gz", ".ndjson.zst"];

/// The same with further run events, from files and folders.
///
/// # Errors
/// Every error of the folder, or the first run event that cannot be used.
pub(crate) fn rules_with_runs(
    folder: Option<&Path>,
    runs: &[PathBuf],
    pane: TimeSpan,
) -> anyhow::Result<Rules> {
    let read = match folder {
        Some(folder) => Folder::read(folder, pane)?,
        None => Folder::of(Vec::new(), pane),
    };
    read.refuse_errors()?;
    let mut files: Vec<PathBuf> = Vec::new();
    for place in folder.into_iter().chain(runs.iter().map(PathBuf::as_path)) {
        if place.is_dir() {
            files.extend(input::files_below(place, &RUNS)?);
        } else {
            files.push(place.to_owned());
        }
    }
    if files.is_empty() {
        return Ok(Rules::new(read.registry));
    }
    let mut events = Vec::new();
    for file in &files {
        let mut lines = input::Lines::open(file)?;
        let mut line = Vec::new();
        while let Some(number) = lines.read(&mut line)? {
            let is_known = |name: &str| read.registry.knows(name);
            let event = openlineage::run_event(&line, &is_known);
            events.push(event.map_err(|why| anyhow!("{}:{}: {why}", file.display(), number + 1))?);
        }
    }
    Ok(Rules::new(read.registry.with_runs(&events)))
}
