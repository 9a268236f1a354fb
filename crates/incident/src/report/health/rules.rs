//! What rules said of windows, and which have never said anything.

use std::collections::BTreeSet;

use serde::Serialize;
use watchkeep_model::charter::Lifecycle;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::super::measured::Measured;
use super::uptime::middle;
use super::{Period, share};
use crate::registry::Registry;

/// What a rule said in the span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// The subject, a typed name.
    pub subject: String,
    /// The expectation's name.
    pub expectation: String,
    /// Good windows.
    pub good: u64,
    /// Bad windows.
    pub bad: u64,
    /// Windows with too little to tell.
    pub not_judged: u64,
    /// Good windows over judged ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_share: Option<f64>,
    /// The same in the span before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_share_before: Option<f64>,
    /// Of an objective: the part of the error budget that is left at the end,
    /// from 1 down; below 0 the objective is missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<f64>,
    /// Of drift: the middle effect of all windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
    /// Of drift: the largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_max: Option<f64>,
    /// From when on the charters say the rule as it is at the end of the span;
    /// absent is always, or where no charter has it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_it_is_since: Option<Timestamp>,
    /// Start of the last window that it called bad, ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Timestamp>,
    /// Whole days from there to the end of the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_days_ago: Option<i64>,
}

/// A rule that has not fired since it was first asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleAge {
    /// The subject, a typed name.
    pub subject: String,
    /// The expectation's name.
    pub expectation: String,
    /// Its kind.
    pub kind: &'static str,
    /// From when on the charter's revision is in force; absent is always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force_since: Option<Timestamp>,
    /// Start of the first window that it judged; absent where it judged none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_judged: Option<Timestamp>,
    /// Whole days from there to the end of the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_days: Option<i64>,
    /// Windows that it judged, all of them good.
    pub judged: u64,
}

const DAY_US: i64 = 86_400_000_000;

/// From when on the charters of a subject say a rule as they do at an instant;
/// `None` where they always did, or have no such rule.
fn as_it_is_since(
    registry: &Registry,
    subject: &str,
    expectation: &str,
    at: Timestamp,
) -> Option<Timestamp> {
    let said = |at: Timestamp| {
        let charter = registry.charter(subject, at)?;
        charter.expectations().iter().find(|one| one.name == expectation).cloned()
    };
    let now = Some(said(at)?);
    let differs = |change: &Timestamp| said(*change - TimeSpan::from_micros(1)) != now;
    registry.changes(subject, at).into_iter().rfind(differs)
}

/// What every rule said, the least good first.
pub(super) fn rules(registry: &Registry, measured: &Measured, period: Period) -> Vec<Rule> {
    let before = measured.asked(period.before());
    let mut all: Vec<Rule> = measured
        .asked(period)
        .into_iter()
        .filter(|(_, asked)| asked.good + asked.bad + asked.not_judged > 0)
        .map(|((subject, expectation), asked)| Rule {
            subject: subject.to_owned(),
            expectation: expectation.to_owned(),
            good: asked.good,
            bad: asked.bad,
            not_judged: asked.not_judged,
            good_share: asked.good_share(),
            good_share_before: before.get(&(subject, expectation)).and_then(|b| b.good_share()),
            budget_left: asked.budget_left.map(|(_, left)| left),
            drift: middle(&asked.drift),
            drift_max: asked.drift.iter().copied().max_by(f64::total_cmp),
            as_it_is_since: as_it_is_since(registry, subject, expectation, period.to),
            last_fired: asked.last_bad,
            fired_days_ago: asked.last_bad.map(|at| period.to.since(at).as_micros() / DAY_US),
        })
        .collect();
    // They are in order of name already, and the sort is stable.
    let least = |rule: &Rule| rule.good_share.unwrap_or(2.0);
    all.sort_by(|a, b| least(a).total_cmp(&least(b)));
    all
}

/// Good windows over judged ones, of all rules.
pub(super) fn good_share(measured: &Measured, period: Period) -> Option<f64> {
    let asked = measured.asked(period);
    let (good, bad) = asked.values().fold((0, 0), |(g, b), one| (g + one.good, b + one.bad));
    share(good, good + bad)
}

/// Rules of subjects with windows, or that a charter names, that have never
/// called a window bad, the oldest first. Retired subjects are left out.
pub(super) fn never_fired(
    registry: &Registry,
    measured: &Measured,
    period: Period,
) -> Vec<RuleAge> {
    let asked = measured.asked(period);
    let mut subjects: BTreeSet<&str> = asked.keys().map(|(subject, _)| *subject).collect();
    subjects.extend(registry.named());
    let mut all = Vec::new();
    for subject in subjects {
        let Some(charter) = registry.charter(subject, period.to) else { continue };
        if charter.fields.lifecycle == Some(Lifecycle::Retired) {
            continue;
        }
        for expectation in charter.expectations() {
            let known = asked.get(&(subject, expectation.name.as_str()));
            if known.is_some_and(|asked| asked.last_bad.is_some()) {
                continue;
            }
            let first = known.and_then(|asked| asked.first);
            all.push(RuleAge {
                subject: subject.to_owned(),
                expectation: expectation.name.clone(),
                kind: expectation.rule.kind().name(),
                in_force_since: charter.fields.effective_from,
                first_judged: first,
                age_days: first.map(|first| period.to.since(first).as_micros() / DAY_US),
                judged: known.map_or(0, |asked| asked.ever),
            });
        }
    }
    // Those that judged nothing come last: they are not old but idle.
    all.sort_by_key(|rule| (rule.first_judged.is_none(), rule.first_judged));
    all
}
