//! Breaches of Watchkeep itself: what keeps it from watching.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::identifier::derived;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::ledger::{Fault, Torn};

/// The subject of platform breaches, as telemetry would name it.
pub const SUBJECT: &str = "service:watchkeep";

/// The ledger of a summaries partition is torn; its evaluation has stopped.
/// `now` is the watermark at which it was found.
pub(crate) fn torn(torn: &Torn, partition: i32, pane: TimeSpan, now: Timestamp) -> Breach {
    let told = torn.to_string();
    let breach_id = derived(&["platform", "ledger", &partition.to_string(), &told]);
    let observed = match &torn.fault {
        Fault::Gap { from, to, .. } | Fault::Overlap { from, to, .. } => Some((to - from) as f64),
        Fault::Missing { .. } => None,
    };
    Breach {
        observed,
        threshold: observed.map(|_| 0.0),
        reason: format!(
            "{told}: evaluation of summaries partition {partition} has stopped; check the topic \
             with `watchkeep audit ledger`"
        ),
        ..breach(breach_id, Transition::Opened, "ledger", pane, (now, now), now)
    }
}

/// Nothing has come from any source partition since `since`. `cleared_at` is
/// when it came to an end.
pub(crate) fn dead_man(since: Timestamp, after: TimeSpan, cleared_at: Option<Timestamp>) -> Breach {
    let breach_id = derived(&["platform", "dead_man", &since.to_string()]);
    let due = since + after;
    let transition = if cleared_at.is_some() { Transition::Cleared } else { Transition::Opened };
    let now = cleared_at.unwrap_or(due);
    let reason = match cleared_at {
        None => format!(
            "no telemetry from any partition since {since}, longer than time.dead_man_after = \
             {after}: see whether its producers, or the way from them, have stopped"
        ),
        Some(_) => "telemetry comes again".to_owned(),
    };
    Breach {
        observed: Some(now.since(since).as_micros() as f64),
        threshold: Some(after.as_micros() as f64),
        reason,
        ..breach(breach_id, transition, "dead_man", after, (since, now), now)
    }
}

fn breach(
    breach_id: String,
    transition: Transition,
    expectation: &str,
    window: TimeSpan,
    (window_start, window_end): (Timestamp, Timestamp),
    detected_at: Timestamp,
) -> Breach {
    Breach {
        breach_id,
        transition,
        feature: SUBJECT.to_owned(),
        feature_version: String::new(),
        expectation: expectation.to_owned(),
        kind: ExpectationKind::Platform,
        severity: Severity::Critical,
        window: window.to_string(),
        window_start,
        window_end,
        revision: 0,
        detected_at,
        observed: None,
        threshold: None,
        p_value: None,
        effect: None,
        baseline: None,
        owner: None,
        policy: None,
        affected_consumers: Vec::new(),
        exemplars: Vec::new(),
        reason: String::new(),
    }
}
