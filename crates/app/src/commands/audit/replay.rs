//! `watchkeep audit replay`: a replay from telemetry against what a service told.

use anyhow::bail;
use watchkeep_model::reject::Reject;
use watchkeep_model::window::Window;
use watchkeep_runtime::audit::compare::{Comparison, Run, Side, compare};

use super::folder;
use super::topics::Topics;
use crate::cli::AuditReplay;
use crate::config::Config;
use crate::output::{Format, Output, Table, complain, grouped};
use crate::{Outcome, charters};

/// # Errors
/// The topics or the folder cannot be read. What is found is no error.
pub(super) fn run(arguments: &AuditReplay) -> anyhow::Result<Outcome> {
    let config = Config::load_required(arguments.configured.file.as_deref())?;
    if !arguments.folder.join("windows.ndjson").exists() {
        bail!(
            "{}: no windows.ndjson here: write them with `watchkeep replay --input kafka`",
            arguments.folder.display()
        );
    }
    let mut replay = Run::default();
    folder::each(&arguments.folder, "windows.ndjson", |window: Window| replay.window(window))?;
    folder::each(&arguments.folder, "rejects.ndjson", |reject: Reject| replay.late(&reject))?;
    let (mut service, mut unreadable) = (Run::default(), Vec::new());
    let mut topics = Topics::open(&config)?;
    topics.each_fact("windows", &mut unreadable, |window: Window| service.window(window))?;
    topics.each_fact("rejects", &mut unreadable, |reject: Reject| service.late(&reject))?;
    for finding in &unreadable {
        complain(&finding.detail);
    }
    let lateness = config.time.allowed_lateness + config.time.revise_every;
    let rules = charters::rules(config.charters.as_deref(), config.time.pane)?;
    let comparison = compare(&service, &replay, lateness, &rules);
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&comparison)?,
        Format::Table => print(&comparison, &mut output)?,
    }
    output.finish()?;
    let is_fine = unreadable.is_empty() && comparison.unexplained().next().is_none();
    Ok(if is_fine { Outcome::Fine } else { Outcome::Found })
}

fn print(comparison: &Comparison, output: &mut Output) -> anyhow::Result<()> {
    let shown = |side: Option<Side>| {
        side.map_or_else(|| "-".to_owned(), |side| format!("{} and {} late", side.count, side.late))
    };
    if !comparison.differences.is_empty() {
        let mut table = Table::new(["feature", "window", "from", "service", "replay", "why"]);
        for difference in &comparison.differences {
            let feature = match difference.feature_version.as_str() {
                "" => difference.feature.clone(),
                version => format!("{} ({version})", difference.feature),
            };
            table.row([
                feature,
                difference.window.clone(),
                difference.window_start.to_string(),
                shown(difference.service),
                shown(difference.replay),
                if difference.is_late { "late records" } else { "NOT EXPLAINED" }.to_owned(),
            ]);
        }
        table.print(output)?;
        output.line("")?;
    }
    let differ = comparison.differences.len() as u64;
    let unexplained = comparison.unexplained().count() as u64;
    output.line(format_args!(
        "{} windows are the same, {} differ by late records, {} in another way; {} are still open \
         in one of the runs",
        grouped(comparison.same),
        grouped(differ - unexplained),
        grouped(unexplained),
        grouped(comparison.open)
    ))
}
