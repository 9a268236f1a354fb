//! The audit of a folder that a replay wrote.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use watchkeep_detection::ledger::Coverage;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::{Fact, FactName};
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;
use watchkeep_runtime::audit::facts::FactsAudit;
use watchkeep_runtime::audit::links::LinksAudit;
use watchkeep_runtime::audit::recount::Recount;
use watchkeep_runtime::audit::{FaultKind, Finding, line};
use watchkeep_wire::fact::{Stored, decode};

use super::{Covered, Report};
use crate::input::{Lines, read_text};

/// What is needed of `replay.json`.
#[derive(Deserialize)]
struct Told {
    events: u64,
    /// Records that were read; absent where a replay of summaries cannot know.
    records: Option<u64>,
    rejected: u64,
    late: u64,
    windows: u64,
    breaches: u64,
    incidents: u64,
    /// Absent in a folder of an earlier version.
    facts: Option<u64>,
    escalations: u64,
    event_time: Option<Span>,
    ledger: Vec<Range>,
}

#[derive(Deserialize)]
struct Span {
    to: Timestamp,
}

#[derive(Deserialize)]
struct Range {
    source: String,
    partition: i32,
    from: i64,
    to: i64,
}

/// Holds the files of a replay against each other and against `replay.json`.
///
/// # Errors
/// A file is missing or cannot be read.
pub(super) fn audit(folder: &Path) -> anyhow::Result<Report> {
    let told = told(folder)?;
    let (mut facts, mut windows) = (FactsAudit::default(), Recount::default());
    let (mut links, mut odd) = (LinksAudit::default(), Vec::new());
    let (mut window_lines, mut opened, mut last_event) = (0, 0, None);
    each(folder, "breaches.ndjson", |breach: Breach| {
        facts.breach(&breach);
        links.breach(&breach);
    })?;
    each(folder, "windows.ndjson", |window: Window| {
        window_lines += 1;
        windows.window(&window);
        links.window(&window);
        last_event = last_event.max(window.last_event_time);
        odd.extend(line::odd(&window));
    })?;
    each(folder, "incidents.ndjson", |fact: Fact| {
        opened += u64::from(fact.fact == FactName::Opened);
        facts.fact(&fact);
        links.fact(&fact);
    })?;
    each(folder, "escalations.ndjson", |one: Escalation| {
        facts.escalation(&one);
        links.escalation(&one);
    })?;
    each(folder, "rejects.ndjson", |reject: Reject| {
        facts.reject(&reject);
        windows.late(&reject);
    })?;

    let mut report = Report { findings: odd, ..Report::default() };
    report.findings.extend(in_total(&told, &windows, last_event));
    let mut coverage: BTreeMap<Partition, Coverage> = BTreeMap::new();
    for Range { source, partition, from, to } in &told.ledger {
        let source = Partition::new(source.as_str(), *partition);
        if coverage.insert(source.clone(), Coverage { from: *from, to: *to }).is_some() {
            let detail = format!(
                "replay.json: {}/{} is in the ledger twice",
                source.topic, source.partition
            );
            report.findings.push(Finding { fault: FaultKind::Overlap, at: None, detail });
        }
        report.coverage.push(Covered {
            source: source.topic.to_string(),
            partition: *partition,
            from: *from,
            to: *to,
            rejected: facts.rejected_of(&source),
            committed: None,
            end: None,
        });
    }
    let counts = facts.counts();
    let counted = [
        ("windows", told.windows, window_lines),
        ("breaches", told.breaches, counts.breaches),
        ("incidents", told.incidents, opened),
        ("facts", told.facts.unwrap_or(counts.facts), counts.facts),
        ("escalations", told.escalations, counts.escalations),
        ("rejected", told.rejected, counts.rejected),
        ("late", told.late, counts.late),
    ];
    for (name, told, found) in counted {
        report.facts.insert(name, found);
        if told != found {
            let detail = format!("replay.json tells of {told} {name}, the files hold {found}");
            report.findings.push(Finding { fault: FaultKind::Fact, at: None, detail });
        }
    }
    let revisions = windows.finish(None, watchkeep_detection::settings::TimeSettings::default());
    report.findings.extend(revisions.findings);
    report.findings.extend(links.finish());
    report.findings.extend(facts.finish(&coverage));
    Ok(report)
}

/// What `replay.json` tells against what the lines come to.
fn in_total(told: &Told, windows: &Recount, last_event: Option<Timestamp>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |fault, detail| findings.push(Finding { fault, at: None, detail });
    let counted = windows.events_at_least();
    if counted > told.events {
        let detail = format!(
            "replay.json tells of {} events, and the windows and late summaries hold {counted}",
            told.events
        );
        find(FaultKind::Window, detail);
    }
    let covered: i64 = told.ledger.iter().map(|range| (range.to - range.from).max(0)).sum();
    let covered = u64::try_from(covered).unwrap_or(0);
    // Of records that a replay of summaries is told of nothing is known.
    let records = told.records.unwrap_or(told.rejected);
    if covered < records.max(u64::from(told.events > 0)) {
        let detail = format!(
            "the ledger of replay.json covers {covered} offsets, which hold neither {} events nor \
             {records} records",
            told.events
        );
        find(FaultKind::Gap, detail);
    }
    if told.rejected > records || (told.events > 0 && told.records == Some(told.rejected)) {
        let detail = format!(
            "replay.json tells of {} events and {} rejected records of {records}",
            told.events, told.rejected
        );
        find(FaultKind::Fact, detail);
    }
    let span = told.event_time.as_ref();
    if last_event.is_some_and(|last| span.is_none_or(|span| last > span.to)) {
        find(
            FaultKind::Window,
            "a window's last event is after event_time of replay.json".to_owned(),
        );
    }
    findings
}

/// What a replay tells of itself.
fn told(folder: &Path) -> anyhow::Result<Told> {
    let path = folder.join("replay.json");
    if !path.exists() {
        bail!("{}: no replay.json here: this is no folder that a replay wrote", folder.display());
    }
    serde_json::from_str(&read_text(&path)?).with_context(|| path.display().to_string())
}

/// The ranges that a replay has read.
///
/// # Errors
/// There is no `replay.json`, or it cannot be read.
pub(super) fn coverage(folder: &Path) -> anyhow::Result<BTreeMap<Partition, Coverage>> {
    let ranges = told(folder)?.ledger.into_iter().map(|Range { source, partition, from, to }| {
        (Partition::new(source.as_str(), partition), Coverage { from, to })
    });
    Ok(ranges.collect())
}

/// Hands on every fact of a file.
///
/// # Errors
/// The file is missing or a line of it is no such fact.
pub(in crate::commands) fn each<T: Stored>(
    folder: &Path,
    name: &str,
    mut handle: impl FnMut(T),
) -> anyhow::Result<()> {
    let path = folder.join(name);
    let mut lines = Lines::open(&path)?;
    let mut line = Vec::new();
    while let Some(number) = lines.read(&mut line)? {
        let fact = decode(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        handle(fact);
    }
    Ok(())
}
