//! `watchkeep audit`: proves from topics or from a replay's folder that every
//! record counts once, and that the incident log is whole.

pub(super) mod folder;
mod replay;
mod topics;
mod verify;

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_runtime::audit::Finding;
use watchkeep_runtime::audit::recount::Recounted;

use crate::Outcome;
use crate::cli;
use crate::config::Config;
use crate::output::{Format, Output, Table, counted, grouped};

/// What an audit prints as JSON.
#[derive(Debug, Default, Serialize)]
struct Report {
    coverage: Vec<Covered>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    summaries: Vec<Summaries>,
    facts: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recounted: Option<RecountedLine>,
    findings: Vec<Finding>,
}

/// What is covered of a source partition.
#[derive(Debug, Serialize)]
struct Covered {
    source: String,
    partition: i32,
    from: i64,
    to: i64,
    rejected: u64,
    /// Position that the summarise stage has committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<i64>,
    /// End of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<i64>,
}

/// What a summaries partition holds.
#[derive(Debug, Serialize)]
struct Summaries {
    partition: i32,
    batches: u64,
    events: u64,
}

#[derive(Debug, Serialize)]
struct RecountedLine {
    windows: u64,
    open: u64,
    session_lines: u64,
    deduplicated: u64,
}

impl From<&Recounted> for RecountedLine {
    fn from(recounted: &Recounted) -> Self {
        let Recounted { windows, open, sessions, deduplicated, .. } = *recounted;
        Self { windows, open, session_lines: sessions, deduplicated }
    }
}

/// # Errors
/// The topics or the folder cannot be read. What is found is no error.
pub(super) fn run(command: &cli::Audit) -> anyhow::Result<Outcome> {
    match command {
        cli::Audit::Ledger(arguments) => ledger(arguments),
        cli::Audit::Replay(arguments) => replay::run(arguments),
        cli::Audit::Verify(arguments) => verify::run(arguments),
    }
}

fn ledger(arguments: &cli::AuditLedger) -> anyhow::Result<Outcome> {
    let report = match &arguments.source.from {
        Some(_) if arguments.windows => anyhow::bail!(
            "--windows counts windows from the summaries topic: leave out --from, or leave out --windows"
        ),
        Some(folder) => folder::audit(folder)?,
        None => {
            let config = Config::load_required(arguments.source.configured.file.as_deref())?;
            topics::audit(&config, arguments.windows)?
        }
    };
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&report)?,
        Format::Table => print(&report, &mut output)?,
    }
    output.finish()?;
    Ok(if report.findings.is_empty() { Outcome::Fine } else { Outcome::Found })
}

fn print(report: &Report, output: &mut Output) -> anyhow::Result<()> {
    let or_none = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let mut table =
        Table::new(["source", "partition", "from", "to", "rejected", "committed", "end"]);
    for covered in &report.coverage {
        table.row([
            covered.source.clone(),
            covered.partition.to_string(),
            covered.from.to_string(),
            covered.to.to_string(),
            covered.rejected.to_string(),
            or_none(covered.committed),
            or_none(covered.end),
        ]);
    }
    table.print(output)?;
    if !report.summaries.is_empty() {
        output.line("")?;
        let mut table = Table::new(["summaries partition", "batches", "events"]);
        for summaries in &report.summaries {
            table.row([
                summaries.partition.to_string(),
                grouped(summaries.batches),
                grouped(summaries.events),
            ]);
        }
        table.print(output)?;
    }
    output.line("")?;
    for (name, count) in &report.facts {
        output.line(format_args!("{name}: {}", grouped(*count)))?;
    }
    if let Some(recounted) = &report.recounted {
        output.line(format_args!(
            "windows counted anew: {} ({} may still be revised, {} lines of sessions and {} \
             windows of features with deduplicate left out)",
            grouped(recounted.windows),
            grouped(recounted.open),
            grouped(recounted.session_lines),
            grouped(recounted.deduplicated)
        ))?;
    }
    output.line("")?;
    if report.findings.is_empty() {
        return output.line("whole: nothing is missing, nothing counts twice");
    }
    let mut table = Table::new(["fault", "at", "what"]);
    for finding in &report.findings {
        let at = finding.at.as_ref().map_or_else(
            || "-".to_owned(),
            |at| format!("{}/{}@{}", at.topic, at.partition, at.offset),
        );
        table.row([finding.fault.name().to_owned(), at, finding.detail.clone()]);
    }
    table.print(output)?;
    output.line(counted(report.findings.len() as u64, "fault"))
}
