//! Tables of the health review and of business outcomes.

use watchkeep_incident::report::health::{Gate, Health, Stage, Total};
use watchkeep_incident::report::stewardship::Cadence;
use watchkeep_model::time::Timestamp;

use super::charts::percent;
use super::page::Section;
use super::people;
use crate::output::{counted, lasting};

pub(super) fn dash() -> String {
    "-".to_owned()
}

pub(super) fn share(share: Option<f64>) -> String {
    share.map_or_else(dash, percent)
}

/// Seconds for people: the two largest units.
pub(super) fn span(seconds: Option<i64>) -> String {
    seconds.map_or_else(dash, lasting)
}

pub(super) fn at(at: Option<Timestamp>) -> String {
    at.map_or_else(dash, |at| at.to_string())
}

pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.3}"))
}

pub(super) fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

pub(super) fn section(
    title: &'static str,
    head: &[&'static str],
    rows: Vec<Vec<String>>,
) -> Section {
    Section { title, text: Vec::new(), head: head.to_vec(), rows }
}

/// Rows that a table shows; of long lists the rest is in the JSON.
pub(super) const ROWS_MAX: usize = 50;

/// The whole in numbers; nothing is set against a span of which nothing is known.
pub(super) fn totals(now: &Total, before: Option<&Total>) -> Vec<Vec<String>> {
    let counted = |name: &str, get: fn(&Total) -> u64| {
        let before = before.map_or_else(dash, |before| get(before).to_string());
        vec![name.to_owned(), get(now).to_string(), before]
    };
    let shares = |name: &str, get: fn(&Total) -> Option<f64>| {
        vec![name.to_owned(), share(get(now)), share(before.and_then(get))]
    };
    let mut rows = vec![
        shares("uptime", |total| total.uptime),
        shares("good windows", |total| total.good_windows),
        counted("features with events", |total| total.features),
        counted("incidents opened", |total| total.opened),
    ];
    for severity in ["critical", "error", "warning", "info"] {
        let get = |total: &Total| total.by_severity.get(severity).copied().unwrap_or(0).to_string();
        rows.push(vec![format!("of them {severity}"), get(now), before.map_or_else(dash, get)]);
    }
    rows.extend([
        counted("unowned", |total| total.unowned),
        counted("exhausted", |total| total.exhausted),
        counted("reopened", |total| total.reopened),
        counted("open at the end", |total| total.open_at_end),
        counted("pages", |total| total.pages),
        counted("pages off hours", |total| total.off_hours_pages),
    ]);
    rows
}

pub(super) fn stages(stages: &[Stage]) -> Section {
    let change = |change: Option<f64>| {
        change.map_or_else(dash, |change| format!("{:+.0} %", change * 100.0))
    };
    section(
        "Time to answer",
        &[
            "stage",
            "incidents",
            "missing",
            "median",
            "p90",
            "median before",
            "p90 before",
            "change",
        ],
        stages
            .iter()
            .map(|s| {
                vec![
                    s.stage.to_owned(),
                    s.count.to_string(),
                    s.missing.to_string(),
                    span(s.median_seconds),
                    span(s.p90_seconds),
                    span(s.median_seconds_before),
                    span(s.p90_seconds_before),
                    change(s.change),
                ]
            })
            .collect(),
    )
}

pub(super) fn fared(health: &Health) -> [Section; 5] {
    let seconds = |value: Option<f64>| span(value.map(|value| value as i64));
    [
        section(
            "Domains",
            &["domain", "features", "uptime", "before", "worst"],
            health
                .domains
                .iter()
                .map(|d| {
                    vec![
                        d.domain.clone().unwrap_or_else(dash),
                        d.features.to_string(),
                        percent(d.uptime),
                        share(d.uptime_before),
                        d.worst.clone(),
                    ]
                })
                .collect(),
        ),
        section(
            "Features",
            &["feature", "uptime", "before", "incidents", "good windows", "age p95", "age max"],
            health
                .features
                .iter()
                .take(ROWS_MAX)
                .map(|f| {
                    vec![
                        f.feature.clone(),
                        percent(f.uptime),
                        share(f.uptime_before),
                        f.incidents.to_string(),
                        share(f.good_windows),
                        seconds(f.age_seconds),
                        seconds(f.age_seconds_max),
                    ]
                })
                .collect(),
        ),
        section(
            "Rules",
            &[
                "subject",
                "rule",
                "good",
                "bad",
                "share",
                "before",
                "budget left",
                "drift",
                "drift max",
                "as it is since",
                "last fired",
            ],
            health
                .rules
                .iter()
                .take(ROWS_MAX)
                .map(|r| {
                    vec![
                        r.subject.clone(),
                        r.expectation.clone(),
                        r.good.to_string(),
                        r.bad.to_string(),
                        share(r.good_share),
                        share(r.good_share_before),
                        share(r.budget_left),
                        number(r.drift),
                        number(r.drift_max),
                        r.as_it_is_since.map_or_else(|| "always".to_owned(), |at| at.to_string()),
                        match (r.last_fired, r.fired_days_ago) {
                            (Some(at), Some(days)) => {
                                let at = at.to_string();
                                let day = at.split('T').next().unwrap_or(&at);
                                format!("{day} ({days}d ago)")
                            }
                            _ => "never".to_owned(),
                        },
                    ]
                })
                .collect(),
        ),
        section(
            "Who was affected",
            &["consumer", "incidents", "time", "through"],
            health
                .consumers
                .iter()
                .take(ROWS_MAX)
                .map(|c| {
                    let time = span(Some(c.seconds));
                    vec![c.consumer.clone(), c.incidents.to_string(), time, c.features.join(", ")]
                })
                .collect(),
        ),
        people(&health.people),
    ]
}

pub(super) fn learned(health: &Health) -> [Section; 4] {
    [
        section(
            "Causes that come again",
            &["root", "kind", "incidents", "before", "shortest time between", "found by reviews"],
            health
                .recurrences
                .iter()
                .map(|r| {
                    vec![
                        r.root.clone(),
                        r.kind.to_owned(),
                        r.incidents.to_string(),
                        match health.before_is_known {
                            true => r.before.to_string(),
                            false => dash(),
                        },
                        span(Some(r.seconds_between)),
                        r.root_causes.join("; "),
                    ]
                })
                .collect(),
        ),
        section(
            "Open actions",
            &["due", "overdue", "what", "by", "incident"],
            health
                .actions
                .iter()
                .map(|a| {
                    let due = a.due.to_string();
                    vec![due, yes(a.is_overdue), a.what.clone(), a.by.clone(), a.incident.clone()]
                })
                .collect(),
        ),
        section(
            "Incidents without their review",
            &["due", "overdue", "root", "owner", "incident"],
            health
                .missing_reviews
                .iter()
                .map(|m| {
                    let owner = m.owner.clone().unwrap_or_else(dash);
                    vec![
                        m.due.to_string(),
                        yes(m.is_overdue),
                        m.root.clone(),
                        owner,
                        m.incident.clone(),
                    ]
                })
                .collect(),
        ),
        section(
            "What people said of pages",
            &["feedback", "times"],
            health.feedback.iter().map(|f| vec![f.name(), f.count.to_string()]).collect(),
        ),
    ]
}

pub(super) fn kept(health: &Health) -> [Section; 5] {
    let days = |days: Option<i64>| days.map_or_else(dash, |days| format!("{days}d"));
    [
        section(
            "Charters overdue for a review",
            &["charter", "asked of", "every", "last", "due"],
            health
                .overdue_charters
                .iter()
                .map(|r| {
                    let by = r.by.clone().unwrap_or_else(dash);
                    vec![
                        r.charter.clone(),
                        by,
                        r.every.to_string(),
                        at(r.reviewed_at),
                        at(r.due_at),
                    ]
                })
                .collect(),
        ),
        section(
            "Runbooks",
            &["charter", "runbook", "checked", "age", "stale"],
            health
                .runbooks
                .iter()
                .take(ROWS_MAX)
                .map(|r| {
                    let (checked, age) = (at(r.reviewed_at), days(r.age_days));
                    vec![r.charter.clone(), r.runbook.clone(), checked, age, yes(r.is_stale)]
                })
                .collect(),
        ),
        section(
            "Rules that have never fired",
            &["subject", "rule", "kind", "asked since", "age", "windows"],
            health
                .never_fired
                .iter()
                .take(ROWS_MAX)
                .map(|r| {
                    vec![
                        r.subject.clone(),
                        r.expectation.clone(),
                        r.kind.to_owned(),
                        at(r.first_judged),
                        days(r.age_days),
                        r.judged.to_string(),
                    ]
                })
                .collect(),
        ),
        section(
            "Drills",
            &["policy", "every", "last", "overdue"],
            health
                .drills
                .iter()
                .map(|d| vec![d.policy.clone(), d.every.to_string(), at(d.last), yes(d.is_overdue)])
                .collect(),
        ),
        changes(&health.cadence, &health.gates),
    ]
}

pub(super) fn changes(cadence: &Cadence, gates: &[Gate]) -> Section {
    let mut rows = vec![
        vec!["time between versions".to_owned(), span(cadence.seconds_between_versions)],
        vec!["publications of charters".to_owned(), cadence.publications.to_string()],
        vec![
            "from proposal to publication".to_owned(),
            span(cadence.seconds_from_proposal_to_publication),
        ],
    ];
    for gate in gates {
        let waits = format!(
            "{} (longest {}, {})",
            span(Some(gate.median_seconds)),
            span(Some(gate.seconds_max)),
            counted(gate.count, "time")
        );
        rows.push(vec![format!("wait at the gate {}", gate.gate), waits]);
    }
    section("Changes and gates", &["what", "how long"], rows)
}
