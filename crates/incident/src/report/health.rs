//! `report health`: how features fared over a span, how quickly people
//! answered, what was learned, and what might be changed.
//!
//! Everything is set against the span of the same length before. Exercises
//! count nowhere but among the drills.

mod learned;
mod rules;
mod suggest;
mod times;
mod uptime;

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::incident::Fact;
use watchkeep_model::time::{TimeSpan, Timestamp};

pub use learned::{Action, DrillDue, Feedback, MissingReview, Recurrence, RunbookAge};
pub use rules::{Rule, RuleAge};
pub use suggest::Suggestion;
pub use times::{Gate, Stage, stages};
pub use uptime::{Consumer, Feature, Group};

use super::measured::Measured;
use super::owners::{Load, owners};
use super::policies::Policies;
use super::stewardship::{Cadence, Review, Seen, cadence, charters_at, reviews};
use super::story::Story;
use super::{Period, share};
use crate::registry::Registry;
use crate::registry::publications::Publications;

/// What the report is made of.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    /// Charters, policies and people.
    pub registry: &'a Registry,
    /// What was published, where charters come from the topic.
    pub publications: Option<&'a Publications>,
    /// Facts of whole incidents, each in order; drills too.
    pub incidents: &'a BTreeMap<String, Vec<Fact>>,
    /// All windows, also those before the span.
    pub measured: &'a Measured,
    /// Versions that were seen in the span.
    pub seen: &'a Seen,
    /// The span.
    pub period: Period,
}

impl std::fmt::Debug for Material<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").field("period", &self.period).finish_non_exhaustive()
    }
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// What it is of.
    pub period: Period,
    /// What it is set against.
    pub before: Period,
    /// False where nothing is known of that span, because the log begins
    /// later: its counts are no zeros then.
    pub before_is_known: bool,
    /// The whole in numbers.
    pub total: Total,
    /// The same of the span before.
    pub total_before: Total,
    /// Incidents, pages and verdicts over time, at most 14 parts of the span.
    pub timeline: Vec<Part>,
    /// Domains, the worst first.
    pub domains: Vec<Group>,
    /// Features, the worst first.
    pub features: Vec<Feature>,
    /// Rules: good windows, error budgets, drift.
    pub rules: Vec<Rule>,
    /// Time from the detection to each stage.
    pub stages: Vec<Stage>,
    /// How long gates kept incidents waiting.
    pub gates: Vec<Gate>,
    /// Who used what was affected, the longest first.
    pub consumers: Vec<Consumer>,
    /// Causes with more than one incident, the most frequent first.
    pub recurrences: Vec<Recurrence>,
    /// What reviews asked for and is not done, the most overdue first.
    pub actions: Vec<Action>,
    /// Incidents without the review that their policy asks for.
    pub missing_reviews: Vec<MissingReview>,
    /// Charters that are overdue for a review.
    pub overdue_charters: Vec<Review>,
    /// Runbooks, the longest unchecked first.
    pub runbooks: Vec<RunbookAge>,
    /// Rules that have never fired, the oldest first.
    pub never_fired: Vec<RuleAge>,
    /// Policies whose ladder is to be tried out.
    pub drills: Vec<DrillDue>,
    /// Pages and answers by person.
    pub people: Vec<Load>,
    /// What people said pages were worth.
    pub feedback: Vec<Feedback>,
    /// How quickly features and charters change.
    pub cadence: Cadence,
    /// What might be changed, with the reason. Nothing is changed by itself.
    pub suggestions: Vec<Suggestion>,
}

/// A span in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Total {
    /// Features with events.
    pub features: u64,
    /// Share of the time of all features without an open incident of severity
    /// error or critical.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<f64>,
    /// Good windows over judged ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_windows: Option<f64>,
    /// Incidents that opened.
    pub opened: u64,
    /// Of them by severity.
    pub by_severity: BTreeMap<&'static str, u64>,
    /// Of them by kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// Of them those that nobody but governance answers for.
    pub unowned: u64,
    /// Of them those whose steps ran out.
    pub exhausted: u64,
    /// Of them those that came back after their end.
    pub reopened: u64,
    /// Incidents that are open at the end of the span.
    pub open_at_end: u64,
    /// Pages: one for each message to a person over a channel.
    pub pages: u64,
    /// Of them those outside of working hours.
    pub off_hours_pages: u64,
}

/// A part of the span.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Part {
    /// First instant.
    pub from: Timestamp,
    /// Incidents that opened, by severity.
    pub opened: BTreeMap<&'static str, u64>,
    /// Share of the time of all features without an open error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<f64>,
    /// Good windows over judged ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_windows: Option<f64>,
}

/// Parts of the span that charts show.
const PARTS_MAX: i64 = 14;

/// Makes the report.
pub fn health(material: &Material<'_>) -> Health {
    let Material { registry, publications, incidents, measured, seen, period } = *material;
    let policies = Policies::of(registry, publications);
    let stories: Vec<Story<'_>> =
        incidents.values().filter_map(|facts| Story::of(facts, period.to)).collect();
    let charters = charters_at(registry, period.to);
    let charters: Vec<_> = charters.iter().map(|(name, charter)| (&**name, &**charter)).collect();
    let mut overdue_charters = reviews(registry, &charters, period.to);
    overdue_charters.retain(|review| review.is_overdue);
    let people = owners(registry, incidents, period);
    let features = uptime::features(registry, measured, &stories, period);
    let mut report = Health {
        period,
        before: period.before(),
        before_is_known: reaches_before(material),
        total: total(material, &stories, period),
        total_before: total(material, &stories, period.before()),
        timeline: timeline(material, &stories),
        domains: uptime::domains(&features),
        features,
        rules: rules::rules(registry, measured, period),
        stages: stages(&stories, period),
        gates: times::gates(&stories, period),
        consumers: uptime::consumers(&stories, period),
        recurrences: learned::recurrences(&stories, period),
        actions: learned::actions(&stories, period.to),
        missing_reviews: learned::missing_reviews(&stories, &policies, period),
        overdue_charters,
        runbooks: learned::runbooks(registry, &charters, period.to),
        never_fired: rules::never_fired(registry, measured, period),
        drills: learned::drills(registry, incidents, period.to),
        people,
        feedback: learned::feedback(&stories, period),
        cadence: cadence(publications, seen, period),
        suggestions: Vec::new(),
    };
    report.suggestions = suggest::suggestions(&report, &stories);
    report
}

/// True where the log has a window or an incident of before the span.
fn reaches_before(material: &Material<'_>) -> bool {
    let from = material.period.from;
    let mut facts = material.incidents.values().filter_map(|facts| facts.first());
    material.measured.span().is_some_and(|(first, _)| first < from)
        || facts.any(|first| !first.drill && first.occurred_at < from)
}

fn total(material: &Material<'_>, stories: &[Story<'_>], period: Period) -> Total {
    let Material { registry, incidents, measured, .. } = *material;
    let mut total = Total {
        features: measured.served(period).len() as u64,
        uptime: uptime::of_all(measured, stories, period),
        good_windows: rules::good_share(measured, period),
        ..Total::default()
    };
    for story in stories {
        let ended = story.resolved_at.is_some_and(|at| at < period.to);
        total.open_at_end += u64::from(story.opened_at < period.to && !ended);
        if !period.has(story.opened_at) {
            continue;
        }
        total.opened += 1;
        *total.by_severity.entry(story.severity.name()).or_default() += 1;
        *total.by_kind.entry(story.opened.kind.name()).or_default() += 1;
        total.unowned += u64::from(story.opened.unowned);
        total.exhausted += u64::from(story.exhausted);
        total.reopened += u64::from(story.reopened > 0);
    }
    for load in owners(registry, incidents, period) {
        total.pages += load.pages;
        total.off_hours_pages += load.off_hours_pages;
    }
    total
}

fn timeline(material: &Material<'_>, stories: &[Story<'_>]) -> Vec<Part> {
    let Material { measured, period, .. } = *material;
    let step = step_of(period.length());
    let mut parts = Vec::new();
    let mut from = period.from;
    while from < period.to {
        let part = Period { from, to: (from + step).min(period.to) };
        let mut opened: BTreeMap<&'static str, u64> = BTreeMap::new();
        for story in stories.iter().filter(|story| part.has(story.opened_at)) {
            *opened.entry(story.severity.name()).or_default() += 1;
        }
        parts.push(Part {
            from,
            opened,
            uptime: uptime::of_all(measured, stories, part),
            good_windows: rules::good_share(measured, part),
        });
        from = part.to;
    }
    parts
}

/// Whole hours, days or weeks, so that there are at most [`PARTS_MAX`] parts.
fn step_of(length: TimeSpan) -> TimeSpan {
    let units = [TimeSpan::HOUR, TimeSpan::HOUR.times(6), TimeSpan::DAY, TimeSpan::WEEK];
    let fits = |unit: &TimeSpan| length.as_micros() <= unit.as_micros() * PARTS_MAX;
    units.into_iter().find(fits).unwrap_or_else(|| {
        let week = TimeSpan::WEEK.as_micros();
        let weeks = (length.as_micros() / week + PARTS_MAX) / PARTS_MAX;
        TimeSpan::WEEK.times(weeks.max(1))
    })
}
