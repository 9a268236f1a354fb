//! `report outcomes`: what the business wants, and how the features that it
//! rests on fared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Period;
use super::health::{Feature, Feedback, Gate, Health, Stage};
use super::stewardship::Cadence;
use crate::registry::Registry;

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcomes {
    /// What it is of.
    pub period: Period,
    /// What it is set against.
    pub before: Period,
    /// Every outcome that a charter names, the one that fared worst first.
    pub outcomes: Vec<Outcome>,
    /// Features with events or incidents that serve no outcome.
    pub without_outcome: Vec<String>,
    /// Time from the detection of incidents to each stage, with the trend.
    pub stages: Vec<Stage>,
    /// How long gates kept incidents waiting.
    pub gates: Vec<Gate>,
    /// How quickly features and charters change.
    pub cadence: Cadence,
    /// What people said pages were worth.
    pub feedback: Vec<Feedback>,
}

/// Something that the business wants.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// In the business's words.
    pub outcome: String,
    /// Business owners of the features' charters, typed names.
    pub business_owners: Vec<String>,
    /// Features that it rests on, the worst first, by their names.
    pub features: Vec<String>,
    /// Mean uptime of the features; absent where none had events or incidents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<f64>,
    /// The same in the span before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_before: Option<f64>,
    /// Least share of good windows of a feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_windows_least: Option<f64>,
    /// Incidents of the span that affected one of its features; one that
    /// affected several counts for each.
    pub incidents: u64,
}

/// Makes the report of what `report health` found.
pub fn outcomes(registry: &Registry, health: &Health) -> Outcomes {
    let at = health.period.to;
    let mut by_outcome: BTreeMap<String, (Vec<&Feature>, BTreeSet<String>)> = BTreeMap::new();
    // Subjects without events are named all the same.
    for subject in registry.named() {
        let Some(charter) = registry.charter(subject, at) else { continue };
        for outcome in charter.fields.business_outcomes.iter().flatten() {
            let (_, owners) = by_outcome.entry(outcome.clone()).or_default();
            owners.extend(charter.fields.owners.business_owner.clone());
        }
    }
    let mut without_outcome = Vec::new();
    for feature in &health.features {
        let charter = registry.charter(&feature.feature, at);
        let fields = charter.as_ref().map(|charter| &charter.fields);
        let named = fields.and_then(|fields| fields.business_outcomes.as_deref());
        let named = named.unwrap_or_default();
        if named.is_empty() {
            without_outcome.push(feature.feature.clone());
        }
        for outcome in named {
            let (features, owners) = by_outcome.entry(outcome.clone()).or_default();
            features.push(feature);
            owners.extend(fields.and_then(|fields| fields.owners.business_owner.clone()));
        }
    }
    let mut outcomes: Vec<Outcome> = by_outcome.into_iter().map(outcome).collect();
    let key = |one: &Outcome| one.uptime.unwrap_or(2.0);
    outcomes.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.outcome.cmp(&b.outcome)));
    Outcomes {
        period: health.period,
        before: health.before,
        outcomes,
        without_outcome,
        stages: health.stages.clone(),
        gates: health.gates.clone(),
        cadence: health.cadence.clone(),
        feedback: health.feedback.clone(),
    }
}

fn outcome((outcome, (features, owners)): (String, (Vec<&Feature>, BTreeSet<String>))) -> Outcome {
    let mean = |values: Vec<f64>| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Outcome {
        outcome,
        business_owners: owners.into_iter().collect(),
        uptime: mean(features.iter().map(|one| one.uptime).collect()),
        uptime_before: mean(features.iter().filter_map(|one| one.uptime_before).collect()),
        good_windows_least: features
            .iter()
            .filter_map(|one| one.good_windows)
            .min_by(f64::total_cmp),
        incidents: features.iter().flat_map(|one| &one.incident_ids).collect::<BTreeSet<_>>().len()
            as u64,
        features: features.into_iter().map(|one| one.feature.clone()).collect(),
    }
}
