//! `watchkeep report health` and `outcomes`: what the pure report found, in
//! words, tables and charts.

use watchkeep_incident::report::health::{Health, Material, Part, Total, health as report};
use watchkeep_incident::report::outcomes::{Outcomes, outcomes as outcomes_of};
use watchkeep_model::time::Timestamp;

use super::charts::{Chart, Kind, percent};
use super::page::{Section, print};
use super::tables::{
    ROWS_MAX, changes, fared, kept, learned, section, share, span, stages, totals,
};
use super::{Input, Windows, read};
use crate::Outcome;
use crate::cli::{IncidentSource, ReportHealth, ReportOf};
use crate::commands::{drill, incidents};
use crate::output::counted;

/// # Errors
/// The charters, a folder or the log cannot be read.
pub(super) fn health(arguments: &ReportHealth) -> anyhow::Result<Outcome> {
    let mut input = read(&arguments.of, Windows::Measured)?;
    for folder in &arguments.drills {
        let source = IncidentSource {
            from: Some(folder.clone()),
            configured: arguments.of.configured.clone(),
        };
        let mut drilled = incidents::read(&source)?;
        drilled.values_mut().for_each(|facts| drill::when_held(folder, facts));
        input.incidents.extend(drilled);
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
    let publications = input.rules.publications().map(|(known, _)| known);
    let registry = input.rules.registry();
    report(&Material {
        registry: &registry,
        publications: publications.as_deref(),
        incidents: &input.incidents,
        measured: &input.measured,
        seen: &input.seen,
        period: input.period,
    })
}

/// The whole in a few sentences: what happened, how quickly it was answered,
/// what is left to do.
fn narrative(health: &Health) -> Vec<String> {
    let Total { opened, features, pages, off_hours_pages, open_at_end, .. } = &health.total;
    let before = &health.total_before;
    let than = |count: u64| match health.before_is_known {
        true => format!(" ({count} before)"),
        false => String::new(),
    };
    let (actions, missing) = (health.actions.len() as u64, health.missing_reviews.len() as u64);
    let verb =
        |is_one: bool, one: &'static str, more: &'static str| if is_one { one } else { more };
    let overdue = health.actions.iter().filter(|action| action.is_overdue).count();
    let mut text = vec![
        format!(
            "{} with events {} up {} of the time{}; {} of the judged windows were good{}.",
            counted(*features, "feature"),
            verb(*features == 1, "was", "were"),
            share(health.total.uptime),
            set_against(before.uptime),
            share(health.total.good_windows),
            set_against(before.good_windows),
        ),
        format!(
            "{} opened{}, {open_at_end} of all open at the end. {}",
            counted(*opened, "incident"),
            than(before.opened),
            stages_in_short(health),
        ),
        format!(
            "{} went out{}, {off_hours_pages} off hours. {} of reviews {} open, {overdue} overdue; {} {} the review that the policy asks for.",
            counted(*pages, "page"),
            than(before.pages),
            counted(actions, "action"),
            verb(actions == 1, "is", "are"),
            counted(missing, "incident"),
            verb(missing == 1, "lacks", "lack"),
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

/// A share of the span before, where there is one.
fn set_against(before: Option<f64>) -> String {
    before.map_or_else(String::new, |before| format!(" ({} before)", percent(before)))
}

/// How quickly half of the incidents got to each stage, as far as any did.
fn stages_in_short(health: &Health) -> String {
    let stages = [
        ("detect", "detected within", " of the first bad window's start"),
        ("notify", "notified within", ""),
        ("acknowledge", "acknowledged within", ""),
        ("resolve", "resolved within", ""),
    ];
    let told: Vec<String> = stages
        .iter()
        .filter_map(|(name, done, from)| {
            let stage = health.stages.iter().find(|stage| stage.stage == *name)?;
            let median = span(Some(stage.median_seconds?));
            Some(format!("{done} {median}{from}"))
        })
        .collect();
    match told.as_slice() {
        [] => String::new(),
        [only] => format!("Half of those that got so far were {only}."),
        [first @ .., last] => {
            format!(
                "Half of those that got so far were {} and {last}, counted from the detection.",
                first.join(", ")
            )
        }
    }
}

fn sections(health: &Health) -> Vec<Section> {
    let mut all = vec![
        Section {
            title: "In short",
            text: narrative(health),
            head: vec!["what", "now", "before"],
            rows: totals(
                &health.total,
                Some(&health.total_before).filter(|_| health.before_is_known),
            ),
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
    let said = outcomes.feedback.iter().map(|f| vec![f.name(), f.count.to_string()]);
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
        says: format!(
            "{} with the least uptime, the worst first.",
            counted(bars.len() as u64, "feature")
        ),
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
        says: format!(
            "{} by severity, in {} of the span.",
            counted(total, "incident"),
            counted(parts.len() as u64, "part")
        ),
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
