//! Every metric, in the text form of Prometheus. All names stand here:
//! `watchkeep_noun_unit_total` for counters, without `_total` for gauges.

use std::fmt::Write as _;
use std::sync::Arc;

use watchkeep_detection::budget::Tally;
use watchkeep_model::time::Timestamp;

use crate::service::status::Status;

/// A name, its type and what it means.
struct Metric {
    name: &'static str,
    r#type: &'static str,
    help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, r#type: "counter", help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, r#type: "gauge", help }
}

const EVENTS: Metric = counter("watchkeep_events_total", "Telemetry events that were folded.");
const REJECTS: Metric =
    counter("watchkeep_rejects_total", "Records that could not be used, by reason.");
const LATE: Metric =
    counter("watchkeep_late_events_total", "Events too late for a window, per window.");
const DUPLICATE_EVENTS: Metric = counter(
    "watchkeep_duplicate_events_total",
    "Events that repeat another one, where a charter says deduplicate.",
);
const DUPLICATES: Metric = counter(
    "watchkeep_duplicate_batches_total",
    "Summary batches that came again and were dropped.",
);
const SNAPSHOT_BYTES: Metric = counter(
    "watchkeep_snapshot_bytes_total",
    "Bytes of snapshots that were saved, so that a restart folds less.",
);
const TORN: Metric = gauge(
    "watchkeep_ledger_torn",
    "1 for a summaries partition whose evaluation has stopped: its ledger has a gap or an overlap.",
);
const WINDOWS: Metric =
    counter("watchkeep_windows_total", "Windows that were measured, revisions too.");
const BREACHES: Metric =
    counter("watchkeep_breaches_total", "What happened to breaches, by transition.");
const FACTS: Metric = counter("watchkeep_incident_facts_total", "Facts of the incident log.");
const ESCALATIONS: Metric =
    counter("watchkeep_escalations_total", "Messages to people and systems.");
const UNREADABLE: Metric = counter(
    "watchkeep_unreadable_responses_total",
    "Responses that could not be read; each is a reject.",
);
const DELIVERIES: Metric =
    counter("watchkeep_deliveries_total", "Messages that a sink has taken, by sink.");
const DELIVERIES_FAILED: Metric = counter(
    "watchkeep_deliveries_failed_total",
    "Messages that were given up: the incident says who was tried instead, by sink.",
);
const DELIVERIES_DROPPED: Metric = counter(
    "watchkeep_deliveries_dropped_total",
    "Messages whose incident was resolved before they could be sent, by sink.",
);
const DELIVERY_FAILURES: Metric =
    counter("watchkeep_delivery_failures_total", "Requests that failed, by sink.");
const UNCLAIMED: Metric = counter(
    "watchkeep_unclaimed_pages_total",
    "Pages for a tool that no sink speaks, by tool: whoever reads the topic has to take them.",
);
const WAITING: Metric = gauge(
    "watchkeep_partitions_waiting",
    "Telemetry partitions that stand before a record whose schema is not known yet.",
);
const SINK_WORKS: Metric =
    gauge("watchkeep_sink_works", "1 while a sink is taken to work, 0 while it takes nothing.");
const TO_DELIVER: Metric =
    gauge("watchkeep_deliveries_waiting", "Messages that wait for a sink or are on their way.");
const OPEN: Metric = gauge("watchkeep_incidents_open", "Incidents that are not resolved.");
const UPKEEP: Metric = gauge(
    "watchkeep_upkeep_overdue",
    "Reviews of charters, runbook checks and drills that are not there by their date, by what.",
);
const COMMITS: Metric = counter("watchkeep_commits_total", "Transactions that held, by stage.");
const FAILED: Metric =
    counter("watchkeep_commits_failed_total", "Transactions that did not, by stage.");
const COMMIT_SECONDS: Metric =
    counter("watchkeep_commit_seconds_total", "Time that transactions took, by stage.");
const SESSIONS: Metric = counter("watchkeep_sessions_total", "Sessions with the log, by stage.");
const READY: Metric =
    gauge("watchkeep_stage_ready", "1 while the stage works, 0 while it restores.");
const LAG: Metric =
    gauge("watchkeep_watermark_lag_seconds", "How far the watermark is behind the clock.");

/// A figure of an alert budget, as it is written.
type Figure = fn(&Tally) -> String;

/// Figures of alert budgets by domain, over the partitions that this process
/// has now: they follow from the log and go with a partition to who takes it.
const BUDGETS: [(Metric, Figure); 5] = [
    (gauge("watchkeep_budget_tests", "Tests that asked an alert budget, by domain."), |tally| {
        tally.tests.to_string()
    }),
    (
        gauge(
            "watchkeep_budget_expected_false_alarms",
            "False alarms to be expected at most if nothing had changed: the levels granted.",
        ),
        |tally| tally.expected.to_string(),
    ),
    (
        gauge(
            "watchkeep_budget_observed_false_alarms",
            "Breaches by such tests that late events took away.",
        ),
        |tally| tally.retracted.to_string(),
    ),
    (gauge("watchkeep_budget_discoveries", "Tests whose p-value was within the level."), |tally| {
        tally.discoveries.to_string()
    }),
    (
        gauge("watchkeep_budget_withheld", "Windows that only the level did not call bad."),
        |tally| tally.withheld.to_string(),
    ),
];

/// Counters that stages keep by name, with the label of their kinds.
const COUNTED: [(&str, &Metric, Option<&str>); 17] = [
    ("events", &EVENTS, None),
    ("rejects", &REJECTS, Some("reason")),
    ("late", &LATE, None),
    ("duplicate_events", &DUPLICATE_EVENTS, None),
    ("duplicate_batches", &DUPLICATES, None),
    ("snapshot_bytes", &SNAPSHOT_BYTES, None),
    ("torn", &TORN, Some("partition")),
    ("windows", &WINDOWS, None),
    ("breaches", &BREACHES, Some("transition")),
    ("facts", &FACTS, None),
    ("escalations", &ESCALATIONS, None),
    ("unreadable_responses", &UNREADABLE, None),
    ("deliveries", &DELIVERIES, Some("sink")),
    ("deliveries_failed", &DELIVERIES_FAILED, Some("sink")),
    ("deliveries_dropped", &DELIVERIES_DROPPED, Some("sink")),
    ("delivery_failures", &DELIVERY_FAILURES, Some("sink")),
    ("unclaimed_pages", &UNCLAIMED, Some("tool")),
];

/// The page at `/metrics`. `now` is by the clock that the events go by.
pub(crate) fn text(status: &Status, now: Timestamp) -> String {
    let stages = status.snapshot();
    let mut text = String::new();
    for (key, metric, label) in COUNTED {
        let mut lines = Vec::new();
        for ((name, value), count) in stages.values().flat_map(|stage| stage.counts()) {
            if name == key {
                let labels = label.map(|label| format!("{{{label}=\"{value}\"}}"));
                lines.push((labels.unwrap_or_default(), count.to_string()));
            }
        }
        write(&mut text, metric, lines);
    }
    let of_stage = |read: &dyn Fn(&crate::service::status::StageStatus) -> Option<String>| {
        stages
            .iter()
            .filter_map(|(name, stage)| Some((format!("{{stage=\"{name}\"}}"), read(stage)?)))
            .collect::<Vec<_>>()
    };
    write(&mut text, &COMMITS, of_stage(&|stage| Some(stage.commits.to_string())));
    write(&mut text, &FAILED, of_stage(&|stage| Some(stage.failed_commits.to_string())));
    write(
        &mut text,
        &COMMIT_SECONDS,
        of_stage(&|stage| Some(format!("{:.6}", stage.commit_seconds))),
    );
    write(&mut text, &SESSIONS, of_stage(&|stage| Some(stage.sessions.to_string())));
    write(&mut text, &READY, of_stage(&|stage| Some(u8::from(stage.is_ready).to_string())));
    for (metric, figure) in &BUDGETS {
        let budgets = stages.values().flat_map(|stage| &stage.budgets);
        let line = |(domain, tally)| (format!("{{domain=\"{domain}\"}}"), figure(tally));
        write(&mut text, metric, budgets.map(line).collect());
    }
    let waiting = stages.values().find_map(|stage| stage.waiting);
    write(
        &mut text,
        &WAITING,
        waiting.map(|count| (String::new(), count.to_string())).into_iter().collect(),
    );
    let sinks = stages.values().flat_map(|stage| &stage.sinks);
    let of_sink = |name: &str| format!("{{sink=\"{name}\"}}");
    let works = |(name, (works, _)): (&Arc<str>, &(bool, usize))| {
        (of_sink(name), u8::from(*works).to_string())
    };
    write(&mut text, &SINK_WORKS, sinks.clone().map(works).collect());
    let left = |(name, (_, left)): (&Arc<str>, &(bool, usize))| (of_sink(name), left.to_string());
    write(&mut text, &TO_DELIVER, sinks.map(left).collect());
    let open = stages.values().find_map(|stage| stage.open_incidents);
    write(
        &mut text,
        &OPEN,
        open.map(|open| (String::new(), open.to_string())).into_iter().collect(),
    );
    let upkeep = stages.values().flat_map(|stage| &stage.upkeep);
    let of_kind =
        |(what, count): (&&str, &u64)| (format!("{{what=\"{what}\"}}"), count.to_string());
    write(&mut text, &UPKEEP, upkeep.map(of_kind).collect());
    let watermark = stages.values().find_map(|stage| stage.watermark);
    let lag = watermark.map(|at| now.since(at).as_micros() as f64 / 1e6);
    write(
        &mut text,
        &LAG,
        lag.map(|lag| (String::new(), format!("{lag:.3}"))).into_iter().collect(),
    );
    text
}

fn write(text: &mut String, metric: &Metric, lines: Vec<(String, String)>) {
    if lines.is_empty() {
        return;
    }
    let Metric { name, r#type, help } = metric;
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {type}");
    for (labels, value) in lines {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::status::Counts;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let status = Status::default();
        status.begin_session("summarise");
        let rejects = (("rejects", "malformed".to_owned()), 2);
        status.count("summarise", Counts::from([(("events", String::new()), 7), rejects]));
        status.committed("summarise", 0.25);
        let begin = |name: &str| {
            let text = text(&status, Timestamp::from_micros(0));
            text.lines()
                .filter(|line| line.starts_with(name))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(begin("watchkeep_events_total"), ["watchkeep_events_total 7"]);
        assert_eq!(
            begin("watchkeep_rejects_total"),
            ["watchkeep_rejects_total{reason=\"malformed\"} 2"]
        );
        assert_eq!(
            begin("watchkeep_commit_seconds_total"),
            ["watchkeep_commit_seconds_total{stage=\"summarise\"} 0.250000"]
        );
        status.update("evaluate", |stage| {
            let tally = Tally { tests: 40, expected: 0.25, retracted: 1, ..Tally::default() };
            stage.budgets.insert("shop".into(), tally);
        });
        assert_eq!(
            begin("watchkeep_budget_expected_false_alarms"),
            ["watchkeep_budget_expected_false_alarms{domain=\"shop\"} 0.25"]
        );
        assert_eq!(
            begin("watchkeep_budget_observed_false_alarms"),
            ["watchkeep_budget_observed_false_alarms{domain=\"shop\"} 1"]
        );
    }
}
