//! `watchkeep drill run`.

mod scenario;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use watchkeep_incident::drill::{Drilled, run as play};
use watchkeep_model::json;

use crate::Outcome;
use crate::charters::{self, Wanted};
use crate::cli::{self, DrillRun};
use crate::config::Config;
use crate::output::{Format, Output, Table};

/// # Errors
/// The scenario or the charters cannot be read, or the folder not be written.
pub(super) fn run(command: &cli::Drill) -> anyhow::Result<Outcome> {
    let cli::Drill::Run(arguments) = command;
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = match &arguments.charters {
        Some(folder) => Wanted::Folder(folder),
        None => Wanted::OfLog,
    };
    let rules = charters::wanted(&config, &wanted)?;
    let path = &arguments.scenario;
    let now = crate::service::clock::now;
    let scenario = scenario::read(path, arguments.at, now)?;
    let drilled =
        play(&scenario, &*rules.registry()).with_context(|| path.display().to_string())?;
    if let Some(folder) = &arguments.out {
        write(folder, &drilled)?;
    }
    print(arguments, &drilled)?;
    Ok(if drilled.gaps.is_empty() { Outcome::Fine } else { Outcome::Found })
}

fn write(folder: &Path, drilled: &Drilled) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    lines(&folder.join("incidents.ndjson"), &drilled.facts)?;
    lines(&folder.join("escalations.ndjson"), &drilled.escalations)?;
    lines(&folder.join("drill.json"), &[drilled])
}

fn lines<T: Serialize>(path: &Path, items: &[T]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        items.iter().try_for_each(|item| writeln!(file, "{}", json::to_line(item)))?;
        file.flush()
    };
    write().with_context(|| path.display().to_string())
}

fn print(arguments: &DrillRun, drilled: &Drilled) -> anyhow::Result<()> {
    let mut output = Output::new();
    if arguments.formatted.format == Format::Json {
        output.json(drilled)?;
        return output.finish();
    }
    let seconds = |seconds: Option<i64>| {
        seconds.map_or_else(|| "never".to_owned(), watchkeep_incident::report::owners::shown)
    };
    let mut table = Table::new(["what", ""]);
    for (what, value) in [
        ("drill", drilled.name.clone()),
        ("began", drilled.at.to_string()),
        ("policy", drilled.policies.join(", ")),
        ("incidents", drilled.incidents.to_string()),
        ("pages, none of them sent", drilled.pages.to_string()),
        ("would have been paged", drilled.paged.join(", ")),
        ("first page after", seconds(drilled.seconds_to_first_page)),
        ("first human after", seconds(drilled.seconds_to_first_human)),
        ("ended", drilled.ended.join("; ")),
        ("gaps", drilled.gaps.len().to_string()),
    ] {
        table.row([what.to_owned(), value]);
    }
    table.print(&mut output)?;
    if !drilled.gaps.is_empty() {
        let mut table = Table::new(["at", "gap", "step", "what"]);
        for gap in &drilled.gaps {
            table.row([
                gap.at.to_string(),
                gap.gap.name(),
                gap.step.clone().unwrap_or_else(|| "-".into()),
                gap.what.clone(),
            ]);
        }
        output.line("")?;
        table.print(&mut output)?;
    }
    output.finish()
}
