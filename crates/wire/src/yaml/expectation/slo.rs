//! `slo`: an objective, what a good event is, and over which period.

use watchkeep_model::charter::{Good, Rule, SLO_PERIOD_DEFAULT};
use watchkeep_model::telemetry::Status;
use watchkeep_model::time::TimeSpan;

use super::super::node::{Node, Value};
use super::super::walk::{Map, Walk};

/// The longest period; its counts are kept by hour for every feature version.
const PERIOD_MAX: TimeSpan = TimeSpan::from_micros(366 * TimeSpan::DAY.as_micros());

pub(super) const FIELDS: [&str; 3] = ["objective", "good", "period"];

pub(super) fn slo(w: &mut Walk<'_>, map: Map<'_>) -> Option<Rule> {
    let objective = w.required(map, "objective", Walk::probability);
    let good = w.required(map, "good", good);
    let period = w.field(map, "period", period);
    if map.has("period") && period.is_none() {
        return None;
    }
    Some(Rule::Slo {
        objective: objective?,
        good: good?,
        period: period.unwrap_or(SLO_PERIOD_DEFAULT),
    })
}

fn good(w: &mut Walk<'_>, node: &Node) -> Option<Good> {
    let map = w.mapping(node, &["latency_below", "age_below", "status"])?;
    let good = Good {
        latency_below: w.field(map, "latency_below", Walk::positive_span),
        age_below: w.field(map, "age_below", Walk::positive_span),
        status: w.field(map, "status", statuses),
    };
    if map.entries().is_empty() {
        let hint = "write one of latency_below, age_below and status".to_owned();
        let message = "`good` has no condition, so every event would be good";
        w.report(node.place, "missing_field", message, Some(hint));
    }
    // A condition that could not be read has its own finding.
    (good.conditions() > 0 && good.conditions() == map.entries().len()).then_some(good)
}

/// One status or a list of them, in the order of the format, each once. In a
/// list `null` needs no quotes: nothing else can be meant.
fn statuses(w: &mut Walk<'_>, node: &Node) -> Option<Vec<Status>> {
    let status = |w: &mut Walk<'_>, node: &Node| {
        w.choice(node, &Status::ALL.map(|status| (status.name(), status)))
    };
    let mut statuses = match &node.value {
        Value::Sequence(items) => {
            let mut statuses = Vec::new();
            for item in items {
                let null = item.is_null().then_some(Status::Null);
                statuses.push(null.or_else(|| status(w, item))?);
            }
            statuses
        }
        _ => vec![status(w, node)?],
    };
    if statuses.is_empty() {
        let hint = Some("write for example [ok, stale]".to_owned());
        w.report(node.place, "wrong_value", "no status is good", hint);
        return None;
    }
    statuses.sort_unstable();
    statuses.dedup();
    Some(statuses)
}

fn period(w: &mut Walk<'_>, node: &Node) -> Option<TimeSpan> {
    let period = w.positive_span(node)?;
    if period < TimeSpan::HOUR || period > PERIOD_MAX {
        let message = format!("a period of {period} is not from 1h to {PERIOD_MAX}");
        w.report(node.place, "wrong_value", message, Some("write for example 28d".to_owned()));
        return None;
    }
    Some(period)
}
