//! `watchkeep audit replay`: a replay from telemetry against what a service told.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use serde::Serialize;
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::window::Window;
use watchkeep_runtime::audit::compare::{Comparison, Run, Side, compare};

use super::folder;
use super::topics::Topics;
use crate::cli::AuditReplay;
use crate::config::Config;
use crate::output::{Format, Output, Table, complain, counted, grouped};
use crate::{Outcome, charters};

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    comparison: &'a Comparison,
    /// Source partitions of which the runs have read different ranges.
    ranges: &'a [Ranges],
}

/// How far the two runs have read a source partition.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Ranges {
    source: String,
    partition: i32,
    /// The position that the summarise stage has committed.
    service_to: i64,
    /// The next offset that the replay would have read.
    replay_to: i64,
}

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
    let committed = topics.committed()?;
    let untold = topics.untold(&committed)?;
    let ranges = ranges(&committed.sources, &arguments.folder)?;
    let rules = charters::wanted(&config, &charters::Wanted::OfLog)?;
    let comparison = compare(&service, &replay, &untold, config.time.allowed_lateness, &rules);
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&Report { comparison: &comparison, ranges: &ranges })?,
        Format::Table => print(&comparison, &mut output)?,
    }
    for Ranges { source, partition, service_to, replay_to } in &ranges {
        complain(&format!(
            "{source}/{partition}: the service has read up to offset {service_to}, the replay up \
             to {replay_to}; what lies between is in one run alone"
        ));
    }
    output.finish()?;
    let is_fine = unreadable.is_empty() && comparison.unexplained().next().is_none();
    Ok(if is_fine { Outcome::Fine } else { Outcome::Found })
}

/// Source partitions of which the replay has read more or less than the service.
fn ranges(committed: &BTreeMap<Partition, i64>, folder: &Path) -> anyhow::Result<Vec<Ranges>> {
    let read = folder::coverage(folder)?;
    let mut ranges = Vec::new();
    for (source, service_to) in committed {
        let replay_to = read.get(source).map_or(0, |coverage| coverage.to);
        if replay_to != *service_to {
            let (partition, service_to) = (source.partition, *service_to);
            ranges.push(Ranges {
                source: source.topic.to_string(),
                partition,
                service_to,
                replay_to,
            });
        }
    }
    Ok(ranges)
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
                difference.why.name().to_owned(),
            ]);
        }
        table.print(output)?;
        output.line("")?;
    }
    let differ = comparison.differences.len() as u64;
    let unexplained = comparison.unexplained().count() as u64;
    output.line(format_args!(
        "the same: {}; {} by late records and {} in another way are not; still open in one of the \
         runs: {}",
        counted(comparison.same, "window"),
        grouped(differ - unexplained),
        grouped(unexplained),
        grouped(comparison.open)
    ))
}
