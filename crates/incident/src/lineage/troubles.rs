//! What runs show to be wrong with a node: a failed run, one that does not
//! end, one that does not come, a check of data that does not hold, a column
//! that a schema has lost.
//!
//! Everything is told as it was known at the time: a run that failed at nine
//! and was repeated at ten was in trouble between nine and ten, whenever the
//! question is asked.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::lineage::{
    COLUMN_HAS_TYPE, COLUMN_IS_THERE, ROWS_ARE_THERE, RunEvent, RunState, VALUES_ARE_THERE,
};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Lineage, Node};

/// How long a run may take where none of its job has ended well yet: nobody
/// knows whether a first load takes minutes or hours.
const FIRST_RUN_MAX: TimeSpan = TimeSpan::DAY;

/// A run may take so many times the longest of the job's latest runs, and the
/// next may come after so many times the usual pause between them.
const PATIENCE: i64 = 2;

/// A run may always take, and a pause always last, as long as this: a queue in
/// front of a job of seconds is no trouble of its data.
const PATIENCE_MIN: TimeSpan = TimeSpan::MINUTE.times(10);

/// Runs that tell how long one takes.
const LATEST_RUNS: usize = 10;

/// Pauses that tell how often runs come. Nine in ten of them are no longer than
/// the usual one: so the runs of a backfill, one right after the other, do not
/// tell what the schedule is, and one outage does not either.
const LATEST_PAUSES: usize = 50;

/// Pauses that must be known before a run is missed.
const PAUSES_MIN: usize = 3;

/// What was wrong with a node, from when on, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Troubles(Vec<(Timestamp, Option<Trouble>)>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    since: Timestamp,
    what: Box<str>,
}

impl Troubles {
    pub(super) fn at(&self, at: Timestamp) -> Option<(Timestamp, &str)> {
        let next = self.0.partition_point(|(from, _)| *from <= at);
        let (_, trouble) = self.0.get(next.checked_sub(1)?)?;
        trouble.as_ref().map(|trouble| (trouble.since, trouble.what.as_ref()))
    }
}

/// A trouble from its first instant until before its last; `None` where it
/// has not ended. The kind orders those of one instant.
type Span = (Kind, Timestamp, Option<Timestamp>, String);

/// Node, assertion and column.
type Check<'r> = (&'r str, &'r str, Option<&'r str>);

/// Node, job and column. Programs have words of their own for types, so that
/// what one job says is held against what it said before.
type Typed<'r> = (&'r str, &'r str, &'r str);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Failed,
    Assertion,
    Unfinished,
    Missing,
}

/// The troubles of every node that has any; `runs` are ordered by time.
pub(super) fn of(runs: &[RunEvent], lineage: &Lineage) -> BTreeMap<Node, Troubles> {
    let mut spans: BTreeMap<Node, Vec<Span>> = BTreeMap::new();
    let mut jobs: BTreeMap<&str, Vec<&RunEvent>> = BTreeMap::new();
    let mut checks: BTreeMap<Check<'_>, Vec<(Timestamp, bool)>> = BTreeMap::new();
    let mut schemas: BTreeMap<&str, Vec<(Timestamp, BTreeSet<&str>)>> = BTreeMap::new();
    let mut types: BTreeMap<Typed<'_>, Vec<(Timestamp, &str)>> = BTreeMap::new();
    for event in runs {
        jobs.entry(&event.job).or_default().push(event);
        let (columns, others): (Vec<_>, Vec<_>) =
            event.assertions.iter().partition(|check| check.assertion == COLUMN_IS_THERE);
        let mut of_event: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for check in columns {
            of_event.entry(&check.node).or_default().extend(check.column.as_deref());
        }
        for (node, columns) in of_event {
            schemas.entry(node).or_default().push((event.at, columns));
        }
        for check in others {
            if let Some(kind) = check.assertion.strip_prefix(COLUMN_HAS_TYPE) {
                let column = check.column.as_deref().unwrap_or_default();
                let key = (check.node.as_str(), event.job.as_str(), column);
                types.entry(key).or_default().push((event.at, kind));
                continue;
            }
            let key = (check.node.as_str(), check.assertion.as_str(), check.column.as_deref());
            checks.entry(key).or_default().push((event.at, check.success));
        }
    }
    for (node, schemas) in schemas {
        // A column is looked for from the first schema that had it.
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for (at, columns) in schemas {
            known.extend(&columns);
            for column in &known {
                let key = (node, COLUMN_IS_THERE, Some(*column));
                checks.entry(key).or_default().push((at, columns.contains(column)));
            }
        }
    }
    for (job, events) in &jobs {
        if let Some(node) = lineage.node(job) {
            let of_node = spans.entry(node).or_default();
            failed(events, of_node);
            unfinished(events, of_node);
            missing(events, of_node);
        }
    }
    for ((name, assertion, column), results) in checks {
        if let Some(node) = lineage.node(name) {
            let what = broken_words(assertion, column);
            // Who has taken a column away has done so once.
            let is_once = assertion == COLUMN_IS_THERE;
            spans.entry(node).or_default().extend(broken(&what, &results, is_once));
        }
    }
    for ((name, _, column), types) in types {
        if let Some(node) = lineage.node(name) {
            spans.entry(node).or_default().extend(changed(column, &types));
        }
    }
    spans.retain(|_, of_node| !of_node.is_empty());
    spans.into_iter().map(|(node, of_node)| (node, laid_out(of_node))).collect()
}

/// From a failed run until the next that ends well or fails, too.
fn failed(events: &[&RunEvent], spans: &mut Vec<Span>) {
    let mut open: Option<(Timestamp, String)> = None;
    for event in events {
        match event.state {
            RunState::Failed => {
                // How fresh the trouble is tells the latest one.
                if let Some((since, what)) = open.take() {
                    spans.push((Kind::Failed, since, Some(event.at), what));
                }
                let said = event.message.as_deref().map_or_else(String::new, |m| format!(": {m}"));
                open = Some((event.at, format!("run {} failed at {}{said}", event.run, event.at)));
            }
            RunState::Completed => {
                if let Some((since, what)) = open.take() {
                    spans.push((Kind::Failed, since, Some(event.at), what));
                }
            }
            _ => {}
        }
    }
    spans.extend(open.map(|(since, what)| (Kind::Failed, since, None, what)));
}

/// Runs that took, or have taken, far longer than those before.
fn unfinished(events: &[&RunEvent], spans: &mut Vec<Span>) {
    let mut begun: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut lengths: Vec<TimeSpan> = Vec::new();
    let mut overdue: Vec<(usize, Timestamp)> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match event.state {
            RunState::Started if !begun.contains_key(event.run.as_str()) => {
                let latest = &lengths[lengths.len().saturating_sub(LATEST_RUNS)..];
                let longest = latest.iter().max().map(|longest| longest.times(PATIENCE));
                let allowed = longest.map_or(FIRST_RUN_MAX, |allowed| allowed.max(PATIENCE_MIN));
                begun.insert(&event.run, event.at);
                overdue.push((place, event.at + allowed));
            }
            RunState::Completed => {
                if let Some(from) = begun.get(event.run.as_str()) {
                    lengths.push(event.at.since(*from));
                }
            }
            _ => {}
        }
    }
    for (place, late) in overdue {
        let (run, from) = (&events[place].run, events[place].at);
        // Its own end, or that of a later run that went well.
        let ends = |event: &&&RunEvent| match event.state {
            RunState::Completed => true,
            RunState::Failed | RunState::Aborted => event.run == *run,
            RunState::Started | RunState::Other => false,
        };
        let end = events[place..].iter().find(ends).map(|event| event.at);
        if end.is_none_or(|end| end > late) {
            let what = format!("run {run} began at {from} and had not ended by {late}");
            spans.push((Kind::Unfinished, late, end, what));
        }
    }
}

/// Pauses far longer than those before.
fn missing(events: &[&RunEvent], spans: &mut Vec<Span>) {
    let completed: Vec<Timestamp> =
        events.iter().filter(|event| event.state == RunState::Completed).map(|e| e.at).collect();
    let pauses: Vec<TimeSpan> = completed.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    for (number, last) in completed.iter().enumerate().skip(PAUSES_MIN) {
        let mut known = pauses[number.saturating_sub(LATEST_PAUSES)..number].to_vec();
        known.sort_unstable();
        // Nine in ten, rounded up.
        let place = (known.len() * 9).div_ceil(10).saturating_sub(1);
        let Some(usual) = known.get(place).filter(|usual| **usual > TimeSpan::ZERO) else {
            continue;
        };
        let late = *last + usual.times(PATIENCE).max(PATIENCE_MIN);
        let next = events.partition_point(|event| event.at <= *last);
        let next = events.get(next).map(|event| event.at);
        if next.is_none_or(|next| next > late) {
            let what = format!(
                "no run since {last}, although they came within {usual} of each other before"
            );
            spans.push((Kind::Missing, late, next, what));
        }
    }
}

/// What is wrong where a check does not hold.
fn broken_words(assertion: &str, column: Option<&str>) -> String {
    match (assertion, column) {
        (COLUMN_IS_THERE, Some(column)) => format!("column {column} was gone"),
        (ROWS_ARE_THERE, None) => "there were no rows".to_owned(),
        (VALUES_ARE_THERE, Some(column)) => format!("column {column} had no values"),
        (_, Some(column)) => format!("assertion {assertion} of {column} failed"),
        (_, None) => format!("assertion {assertion} failed"),
    }
}

/// From a check that did not hold until the next that does, or that does not hold
/// either; with `is_once` until the next that does.
fn broken(what: &str, results: &[(Timestamp, bool)], is_once: bool) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut open: Option<Timestamp> = None;
    let span =
        |since: Timestamp, until| (Kind::Assertion, since, until, format!("{what} at {since}"));
    for (at, success) in results {
        match (success, open) {
            (false, Some(_)) if is_once => {}
            (false, before) => {
                spans.extend(before.map(|since| span(since, Some(*at))));
                open = Some(*at);
            }
            (true, Some(since)) => {
                spans.push(span(since, Some(*at)));
                open = None;
            }
            (true, None) => {}
        }
    }
    spans.extend(open.map(|since| span(since, None)));
    spans
}

/// From the first schema with another type of a column until it has the one again
/// that it had. Who has meant it is not in trouble for long: it is as old as the
/// change.
fn changed(column: &str, types: &[(Timestamp, &str)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let Some((_, mut usual)) = types.first().copied() else { return spans };
    let mut open: Option<(Timestamp, &str)> = None;
    let span = |since: Timestamp, until, from: &str, to: &str| {
        let what = format!("column {column} was {from} and became {to} at {since}");
        (Kind::Assertion, since, until, what)
    };
    for (at, kind) in types.iter().copied() {
        match open {
            None if kind != usual => open = Some((at, kind)),
            Some((since, other)) if kind != other => {
                spans.push(span(since, Some(at), usual, other));
                open = None;
                if kind != usual {
                    (usual, open) = (other, Some((at, kind)));
                }
            }
            _ => {}
        }
    }
    spans.extend(open.map(|(since, other)| span(since, None, usual, other)));
    spans
}

/// One after the other: of several at an instant the gravest, then the earliest.
fn laid_out(mut spans: Vec<Span>) -> Troubles {
    spans.sort();
    let mut bounds: BTreeMap<Timestamp, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (place, (_, since, until, _)) in spans.iter().enumerate() {
        bounds.entry(*since).or_default().0.push(place);
        if let Some(until) = until {
            bounds.entry(*until).or_default().1.push(place);
        }
    }
    let mut present: BTreeSet<usize> = BTreeSet::new();
    let mut steps: Vec<(Timestamp, Option<Trouble>)> = Vec::new();
    for (at, (begin, end)) in bounds {
        present.extend(begin);
        end.iter().for_each(|place| _ = present.remove(place));
        let trouble = present.first().map(|place| {
            let (_, since, _, what) = &spans[*place];
            Trouble { since: *since, what: what.as_str().into() }
        });
        if steps.last().map(|(_, last)| last) != Some(&trouble) {
            steps.push((at, trouble));
        }
    }
    Troubles(steps)
}
