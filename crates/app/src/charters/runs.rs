//! Charters of a folder with the run events that lie in it or are named.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use watchkeep_incident::registry::{Registry, shown_by_runs, shown_cycle};
use watchkeep_interop::openlineage;
use watchkeep_model::document::{Diagnostic, Level};
use watchkeep_model::lineage::{RunEvent, ShownRun, named};
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::rules::{Rules, Runs};
use watchkeep_wire::yaml;

use super::{Folder, Play};
use crate::config::Config;
use crate::{ignored, input};

/// Endings of files with run events.
const RUNS: [&str; 3] = [".ndjson", ".ndjson.gz", ".ndjson.zst"];

/// Rules, and the run events that were read for them.
pub(super) struct Seen {
    pub(super) rules: Rules,
    runs: Vec<ShownRun>,
    /// How many of them the rules hold already.
    held: usize,
}

impl Seen {
    pub(super) const fn nothing(rules: Rules) -> Self {
        Self { rules, runs: Vec::new(), held: 0 }
    }

    /// Adds the events of files and folders.
    pub(super) fn with_files(mut self, places: &[PathBuf]) -> anyhow::Result<Self> {
        let registry = self.rules.registry();
        for place in places {
            let files = match place.is_dir() {
                true => input::files_below(place, &RUNS)?,
                false => vec![place.clone()],
            };
            for file in files {
                read_runs(&file, &|name| registry.knows(name), &mut self.runs)?;
            }
        }
        Ok(self)
    }

    pub(super) fn finished(self) -> Rules {
        match self.runs.len() == self.held {
            true => self.rules,
            false => self.rules.with_runs(Runs::new(self.runs)),
        }
    }

    pub(super) fn with_topic(self, config: &Config, kept_max: Option<usize>) -> Rules {
        let topic = config.topics.named("lineage").into();
        let runs = Runs::new(self.runs).with_topic(topic, openlineage::shown_run, kept_max);
        self.rules.with_runs(runs)
    }
}

/// The rules of a folder with the run events that lie in it.
///
/// # Errors
/// Every error of the folder, or the first run event that cannot be used.
pub(super) fn of_folder(
    folder: Option<&Path>,
    pane: TimeSpan,
    played: &mut Option<Play<'_>>,
) -> anyhow::Result<Seen> {
    let read = match folder {
        Some(folder) => Folder::read(folder, pane)?,
        None => Folder::of(Vec::new(), pane),
    };
    read.refuse_errors()?;
    read.foreign().for_each(|line| tracing::warn!("{line}"));
    let read = match played {
        Some(play) => Folder { registry: Registry::of_checked(play(&read.documents())), ..read },
        None => read,
    };
    let mut runs = Vec::new();
    if let Some(folder) = folder {
        for file in ignored::files_of_charters(folder, &RUNS)? {
            input::require_regular(&file)?;
            read_runs(&file, &|name| read.registry.knows(name), &mut runs)?;
        }
    }
    // Who owns what as runs show it is a part of the folder's charters.
    let named = named(runs.clone(), &|name| read.registry.knows(name));
    let registry = if named.is_empty() { read.registry } else { read.registry.with_runs(&named) };
    Ok(Seen { rules: Rules::new(registry), held: runs.len(), runs })
}

/// What is wrong with the run events in a folder: lines that cannot be used, at
/// most so many, and circles of what can.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn lint_runs(folder: &Path, registry: &Registry) -> anyhow::Result<Vec<Diagnostic>> {
    const FINDINGS_MAX: usize = 100;
    let mut found = Vec::new();
    let (mut shown, mut places): (Vec<ShownRun>, Vec<(String, u32)>) = (Vec::new(), Vec::new());
    for file in ignored::files_of_charters(folder, &RUNS)? {
        let name = file.display().to_string();
        if !std::fs::metadata(&file).with_context(|| name.clone())?.is_file() {
            found.push(yaml::no_regular_file(&name));
            continue;
        }
        let mut lines = input::Lines::open(&file)?;
        let mut line = Vec::new();
        while let Some(number) = lines.read(&mut line)? {
            let place = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let why = match openlineage::shown_run(&line) {
                Ok(event) => {
                    shown.push(event.settled(&|name| registry.knows(name)));
                    places.push((name.clone(), place));
                    continue;
                }
                Err(why) => why,
            };
            found.push(Diagnostic {
                file: name.clone(),
                line: place,
                column: 1,
                document: "run event".to_owned(),
                field: String::new(),
                rule: "syntax",
                severity: Level::Error,
                message: why,
                hint: Some(
                    "mend the line or take it away: no command uses the folder; a file of something \
                     else is named in `.watchkeepignore`"
                        .to_owned(),
                ),
            });
            if found.len() == FINDINGS_MAX {
                return Ok(found);
            }
        }
    }
    let events = named(shown, &|name| registry.knows(name));
    for cycle in shown_by_runs(&registry.seeing(&events, &|name| name)) {
        let (from, to) = (&cycle[0], &cycle[1 % cycle.len()]);
        let shows = |event: &RunEvent| {
            (event.inputs.contains(from) && event.job == *to)
                || (event.job == *from && event.outputs.contains(to))
        };
        if let Some(place) = events.iter().position(shows) {
            let (file, line) = &places[place];
            found.push(shown_cycle(&cycle, file, *line));
        }
    }
    Ok(found)
}

fn read_runs(
    file: &Path,
    is_known: &dyn Fn(&str) -> bool,
    shown: &mut Vec<ShownRun>,
) -> anyhow::Result<()> {
    let mut lines = input::Lines::open(file)?;
    let mut line = Vec::new();
    while let Some(number) = lines.read(&mut line)? {
        let event = openlineage::shown_run(&line);
        let event = event.map_err(|why| anyhow!("{}:{}: {why}", file.display(), number + 1))?;
        shown.push(event.settled(is_known));
    }
    Ok(())
}
