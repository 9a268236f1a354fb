//! `watchkeep report health` and `outcomes`: what the pure report found, in
//! words, tables and charts.

use watchkeep_incident::report::health::{Health, Material, Part, Stage, Total, health as report};
use watchkeep_incident::report::outcomes::{Outcomes, outcomes as outcomes_of};
use watchkeep_incident::report::owners::shown;
use watchkeep_model::time::Timestamp;

use super::charts::{Chart, Kind, percent};
use super::page::{Section, print};
use super::{Input, Windows, people, read};
use crate::Outcome;
use crate::cli::{IncidentSource, ReportHealth, ReportOf};
use crate::commands::incidents;

/// # Errors
/// The charters, a folder or the log cannot be read.
pub(super) fn health(arguments: &ReportHealth) -> anyhow::Result<Outcome> {
    let mut input = read(&arguments.of, Windows::Measured)?;
    for folder in &arguments.drills {
        let source = IncidentSource {
            from: Some(folder.clone()),
            configured: arguments.of.configured.clone(),
        };
        input.incidents.extend(incidents::read(&source)?);
    }
    let health = made(&input);
    let sections = sections(&health);
    print(
        arguments.of.format,
        &health,
        health.period,
        "Health review",
        &charts(&health),
        &sections,
    )?;
    let is_overdue = health.actions.iter().any(|action| action.is_overdue)
        || health.missing_reviews.iter().any(|review| review.is_overdue)
        || health.drills.iter().any(|drill| drill.is_overdue)
        || !health.overdue_charters.is_empty();
    Ok(if is_overdue { Outcome::Found } else { Outcome::Fine })
}

/// # Errors
/// The charters, the folder or the log cannot be read.
pub(super) fn outcomes(arguments: &ReportOf) -> anyhow::Result<Outcome> {
    let input = read(arguments, Windows::Measured)?;
    let health = made(&input);
    let outcomes = outcomes_of(&input.rules.registry(), &health);
    let charts = [lines(&health.timeline)];
    let sections = outcome_sections(&outcomes);
    print(arguments.format, &outcomes, outcomes.period, "Business outcomes", &charts, &sections)?;
    Ok(Outcome::Fine)
}

fn made(input: &Input) -> Health {
    let publications = input.rules.publications();
    let registry = input.rules.registry();
    report(&Material {
        registry: &registry,
        publications: publications.as_ref(),
        incidents: &input.incidents,
        measured: &input.measured,
        seen: &input.seen,
        period: input.period,
    })
}

fn dash() -> String {
    "-".to_owned()
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(dash, percent)
}

fn span(seconds: Option<i64>) -> String {
    seconds.map_or_else(dash, shown)
}

fn at(at: Option<Timestamp>) -> String {
    at.map_or_else(dash, |at| at.to_string())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.3}"))
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn section(title: &'static str, head: &[&'static str], rows: Vec<Vec<String>>) -> Section {
    Section { title, text: Vec::new(), head: head.to_vec(), rows }
}

/// Rows that a table shows; of long lists the rest is in the JSON.
const ROWS_MAX: usize = 50;

/// The whole in a few sentences: what happened, how quickly it was answered,
/// what is left to do.
fn narrative(health: &Health) -> Vec<String> {
    let Total { opened, features, pages, off_hours_pages, open_at_end, .. } = &health.total;
    let before = &health.total_before;
    let median = |name: &str| {
        let stage = health.stages.iter().find(|stage| stage.stage == name);
        span(stage.and_then(|stage| stage.median_seconds))
    };
    let overdue = health.actions.iter().filter(|action| action.is_overdue).count();
    let mut text = vec![
        format!(
            "{features} features with events were up {} of the time ({} before); {} of their judged windows were good ({} before).",
            share(health.total.uptime),
            share(before.uptime),
            share(health.total.good_windows),
            share(before.good_windows),
        ),
        format!(
            "{opened} incidents opened ({} before), {open_at_end} are open at the end. Half of them were detected within {} of the first bad window's start, and from there notified within {}, acknowledged within {} and resolved within {}.",
            before.opened,
            median("detect"),
            median("notify"),
            median("acknowledge"),
            median("resolve"),
        ),
        format!(
            "{pages} pages went out ({} before), {off_hours_pages} of them off hours. {} actions of reviews are open, {overdue} overdue; {} incidents lack the review that their policy asks for.",
            before.pages,
            health.actions.len(),
            health.missing_reviews.len(),
        ),
    ];
    if let Some(worst) = health.features.first().filter(|worst| worst.uptime < 1.0) {
        text.push(format!(
            "The least available was {}, up {}.",
            worst.feature,
            percent(worst.uptime)
        ));
    }
    text
}

fn sections(health: &Health) -> Vec<Section> {
    let mut all = vec![
        Section {
            title: "In short",
            text: narrative(health),
            head: vec!["what", "now", "before"],
            rows: totals(&health.total, &health.total_before),
        },
        stages(&health.stages),
    ];
    all.extend(fared(health));
    all.extend(learned(health));
    all.extend(kept(health));
    all.push(section(
        "Suggestions",
        &["about", "what", "suggestion", "because"],
        health
            .suggestions
            .iter()
            .map(|s| {
                vec![
                    s.about.to_owned(),
                    s.subject.clone(),
                    s.suggestion.clone(),
                    s.evidence.clone(),
                ]
            })
            .collect(),
    ));
    all
}

fn totals(now: &Total, before: &Total) -> Vec<Vec<String>> {
    let counted = |name: &str, get: fn(&Total) -> u64| {
        vec![name.to_owned(), get(now).to_string(), get(before).to_string()]
    };
    let mut rows = vec![
        vec!["uptime".to_owned(), share(now.uptime), share(before.uptime)],
        vec!["good windows".to_owned(), share(now.good_windows), share(before.good_windows)],
        counted("features with events", |total| total.features),
        counted("incidents opened", |total| total.opened),
    ];
    for severity in ["critical", "error", "warning", "info"] {
        let get = |total: &Total| total.by_severity.get(severity).copied().unwrap_or(0).to_string();
        rows.push(vec![format!("of them {severity}"), get(now), get(before)]);
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

fn stages(stages: &[Stage]) -> Section {
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

fn fared(health: &Health) -> [Section; 5] {
    let seconds = |value: Option<f64>| value.map_or_else(dash, |value| shown(value as i64));
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

fn learned(health: &Health) -> [Section; 4] {
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
                        r.before.to_string(),
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
            health.feedback.iter().map(|f| vec![f.feedback.clone(), f.count.to_string()]).collect(),
        ),
    ]
}

fn kept(health: &Health) -> [Section; 5] {
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

fn changes(
    cadence: &watchkeep_incident::report::stewardship::Cadence,
    gates: &[watchkeep_incident::report::health::Gate],
) -> Section {
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
            "{} (longest {}, {} times)",
            shown(gate.median_seconds),
            shown(gate.seconds_max),
            gate.count
        );
        rows.push(vec![format!("wait at the gate {}", gate.gate), waits]);
    }
    section("Changes and gates", &["what", "how long"], rows)
}

fn outcome_sections(outcomes: &Outcomes) -> Vec<Section> {
    let rows = outcomes.outcomes.iter().map(|o| {
        vec![
            o.outcome.clone(),
            share(o.uptime),
            share(o.uptime_before),
            share(o.good_windows_least),
            o.incidents.to_string(),
            o.business_owners.join(", "),
            o.features.join(", "),
        ]
    });
    let head = [
        "outcome",
        "uptime",
        "before",
        "least good windows",
        "incidents",
        "business owner",
        "features",
    ];
    let said = outcomes.feedback.iter().map(|f| vec![f.feedback.clone(), f.count.to_string()]);
    vec![
        section("Outcomes", &head, rows.collect()),
        section(
            "Features without an outcome",
            &["feature"],
            outcomes.without_outcome.iter().take(ROWS_MAX).map(|f| vec![f.clone()]).collect(),
        ),
        stages(&outcomes.stages),
        changes(&outcomes.cadence, &outcomes.gates),
        section("What people said of pages", &["feedback", "times"], said.collect()),
    ]
}

/// Features whose bars are drawn.
const BARS_MAX: usize = 20;

fn charts(health: &Health) -> Vec<Chart> {
    let bars: Vec<(String, f64)> =
        health.features.iter().take(BARS_MAX).map(|f| (f.feature.clone(), f.uptime)).collect();
    let rows = bars.iter().map(|(name, share)| vec![name.clone(), percent(*share)]).collect();
    let uptime = Chart {
        title: "Uptime of the features that fared worst",
        says: format!("The {} features with the least uptime, the worst first.", bars.len()),
        kind: Kind::Shares(bars),
        head: vec!["feature", "uptime"],
        rows,
    };
    vec![columns(&health.timeline), lines(&health.timeline), uptime]
}

/// Day and, where parts are shorter, hour of an instant.
fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    match time.get(..5) {
        Some("00:00") | None => day.to_owned(),
        Some(time) => format!("{} {time}", day.get(5..).unwrap_or(day)),
    }
}

fn columns(timeline: &[Part]) -> Chart {
    let names = vec!["critical", "error", "warning", "info"];
    let counts = |part: &Part| -> Vec<u64> {
        names.iter().map(|name| part.opened.get(name).copied().unwrap_or(0)).collect()
    };
    let parts: Vec<_> = timeline.iter().map(|part| (instant(part.from), counts(part))).collect();
    let total: u64 = parts.iter().flat_map(|(_, counts)| counts).sum();
    let row = |(at, counts): &(String, Vec<u64>)| {
        [vec![at.clone()], counts.iter().map(u64::to_string).collect()].concat()
    };
    Chart {
        title: "Incidents that opened",
        says: format!("{total} incidents by severity, in {} parts of the span.", parts.len()),
        head: vec!["from", "critical", "error", "warning", "info"],
        rows: parts.iter().map(row).collect(),
        kind: Kind::Columns { names, parts },
    }
}

fn lines(timeline: &[Part]) -> Chart {
    let parts: Vec<_> = timeline
        .iter()
        .map(|part| (instant(part.from), [part.uptime, part.good_windows]))
        .collect();
    let least = parts.iter().filter_map(|(_, [uptime, _])| *uptime).min_by(f64::total_cmp);
    Chart {
        title: "Uptime and good windows",
        says: format!(
            "Both as shares over the span; the least uptime of a part is {}.",
            share(least)
        ),
        head: vec!["from", "uptime", "good windows"],
        rows: parts
            .iter()
            .map(|(at, [uptime, good])| vec![at.clone(), share(*uptime), share(*good)])
            .collect(),
        kind: Kind::Lines { names: ["uptime", "good windows"], parts },
    }
}
