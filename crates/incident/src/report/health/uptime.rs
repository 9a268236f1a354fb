//! Uptime, freshness and who was affected.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::measured::{Asked, Measured};
use super::super::story::{Span, Story, covered};
use super::{Period, share};
use crate::owner::domain_of;
use crate::registry::Registry;

/// How a feature fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feature {
    /// The feature, a typed name.
    pub feature: String,
    /// The domain of its charter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Events.
    pub events: u64,
    /// Share of the time without an open incident of severity error or critical.
    pub uptime: f64,
    /// The same in the span before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_before: Option<f64>,
    /// Incidents that it was affected by and that opened in the span.
    pub incidents: u64,
    /// Which these are, by identifier.
    #[serde(skip)]
    pub incident_ids: BTreeSet<String>,
    /// Good windows over judged ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_windows: Option<f64>,
    /// Age of the values: the middle of the windows' 95 % quantiles, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// The largest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds_max: Option<f64>,
}

/// How the features of a domain fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The domain; absent for features without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Features.
    pub features: u64,
    /// Mean uptime of its features.
    pub uptime: f64,
    /// The same in the span before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_before: Option<f64>,
    /// The feature with the least.
    pub worst: String,
}

/// Somebody who uses what was affected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Consumer {
    /// A typed name.
    pub consumer: String,
    /// Incidents that affected it in the span.
    pub incidents: u64,
    /// Time in the span with such an incident open, in seconds.
    pub seconds: i64,
    /// Features that it was affected through.
    pub features: Vec<String>,
}

/// When each subject was down, by all incidents together.
fn down<'s>(stories: &'s [Story<'_>]) -> BTreeMap<&'s str, Vec<Span>> {
    let mut all: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for (subject, spans) in stories.iter().flat_map(|story| &story.down) {
        all.entry(subject).or_default().extend(spans);
    }
    all
}

fn up(spans: Option<&Vec<Span>>, period: Period) -> f64 {
    let length = period.length().as_micros();
    if length <= 0 {
        return 1.0;
    }
    let down = spans.map_or(0, |spans| covered(spans.iter().copied(), period));
    1.0 - down as f64 / length as f64
}

/// Mean uptime of all features with events or incidents.
pub(super) fn of_all(measured: &Measured, stories: &[Story<'_>], period: Period) -> Option<f64> {
    let down = down(stories);
    let served = measured.served(period);
    let affected = |(_, spans): &(&&str, &Vec<Span>)| covered(spans.iter().copied(), period) > 0;
    let affected = down.iter().filter(affected).map(|(subject, _)| *subject);
    let subjects: BTreeSet<&str> = served.keys().copied().chain(affected).collect();
    let total: f64 = subjects.iter().map(|subject| up(down.get(subject), period)).sum();
    (!subjects.is_empty()).then(|| total / subjects.len() as f64)
}

/// Every feature with events or incidents, the one with the least uptime first.
pub(super) fn features(
    registry: &Registry,
    measured: &Measured,
    stories: &[Story<'_>],
    period: Period,
) -> Vec<Feature> {
    let (down, before) = (down(stories), period.before());
    let (served, served_before) = (measured.served(period), measured.served(before));
    let mut asked: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((subject, _), Asked { good, bad, .. }) in &measured.asked(period) {
        let (all_good, all_bad) = asked.entry(subject).or_default();
        (*all_good, *all_bad) = (*all_good + good, *all_bad + bad);
    }
    let mut incidents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for story in stories.iter().filter(|story| period.has(story.opened_at)) {
        for subject in story.subjects() {
            incidents.entry(subject).or_default().insert(story.id.to_owned());
        }
    }
    let subjects: BTreeSet<&str> =
        served.keys().chain(incidents.keys()).chain(down.keys()).copied().collect();
    let feature = |subject: &str| {
        let spans = down.get(subject);
        let ages = served.get(subject).map_or(&[][..], |served| &served.ages_us);
        let charter = registry.charter(subject, period.to);
        let known_before = served_before.contains_key(subject)
            || spans.is_some_and(|spans| covered(spans.iter().copied(), before) > 0);
        Feature {
            feature: subject.to_owned(),
            domain: charter.and_then(|charter| {
                let directory = registry.directory_at(period.to);
                domain_of(&charter, directory).map(str::to_owned)
            }),
            events: served.get(subject).map_or(0, |served| served.events),
            uptime: up(spans, period),
            uptime_before: known_before.then(|| up(spans, before)),
            incidents: incidents.get(subject).map_or(0, |ids| ids.len() as u64),
            incident_ids: incidents.get(subject).cloned().unwrap_or_default(),
            good_windows: asked.get(subject).and_then(|(good, bad)| share(*good, good + bad)),
            age_seconds: middle(ages).map(|us| us / 1e6),
            age_seconds_max: ages.iter().copied().max_by(f64::total_cmp).map(|us| us / 1e6),
        }
    };
    let mut all: Vec<Feature> = subjects.into_iter().map(feature).collect();
    all.retain(|one| one.events > 0 || one.incidents > 0 || one.uptime < 1.0);
    all.sort_by(|a, b| {
        let then = || b.incidents.cmp(&a.incidents).then_with(|| a.feature.cmp(&b.feature));
        a.uptime.total_cmp(&b.uptime).then_with(then)
    });
    all
}

/// Features by domain, the domain with the least uptime first.
pub(super) fn domains(features: &[Feature]) -> Vec<Group> {
    let mut by_domain: BTreeMap<Option<&str>, Vec<&Feature>> = BTreeMap::new();
    for feature in features {
        by_domain.entry(feature.domain.as_deref()).or_default().push(feature);
    }
    let group = |(domain, features): (Option<&str>, Vec<&Feature>)| {
        Some(Group {
            domain: domain.map(str::to_owned),
            features: features.len() as u64,
            uptime: mean(features.iter().map(|one| one.uptime))?,
            uptime_before: mean(features.iter().filter_map(|one| one.uptime_before)),
            // The worst comes first among all features.
            worst: features.first()?.feature.clone(),
        })
    };
    let mut groups: Vec<Group> = by_domain.into_iter().filter_map(group).collect();
    groups.sort_by(|a, b| a.uptime.total_cmp(&b.uptime).then_with(|| a.domain.cmp(&b.domain)));
    groups
}

/// Everybody who uses what was affected, the longest affected first.
pub(super) fn consumers(stories: &[Story<'_>], period: Period) -> Vec<Consumer> {
    let mut by_name: BTreeMap<&str, (u64, Vec<Span>, BTreeSet<&str>)> = BTreeMap::new();
    for story in stories {
        for (consumer, spans) in &story.affected {
            if covered(spans.iter().copied(), period) == 0 {
                continue;
            }
            let (incidents, all, features) = by_name.entry(consumer).or_default();
            *incidents += 1;
            all.extend(spans);
            features.extend(story.expectations.iter().map(|(subject, _)| subject.as_str()));
        }
    }
    let consumer =
        |(name, (incidents, spans, features)): (&str, (u64, Vec<Span>, BTreeSet<&str>))| Consumer {
            consumer: name.to_owned(),
            incidents,
            seconds: covered(spans, period) / 1_000_000,
            features: features.into_iter().map(str::to_owned).collect(),
        };
    let mut consumers: Vec<Consumer> = by_name.into_iter().map(consumer).collect();
    consumers.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.consumer.cmp(&b.consumer)));
    consumers
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), one| (sum + one, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The middle of some numbers, the lower one of two.
pub(super) fn middle(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}
