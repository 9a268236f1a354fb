//! The breaches of an incident with what they were measured by.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::incident::data::BreachAttached;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::position::Position;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Judged, Window};

use crate::cli::IncidentSource;

/// A breach of the incident.
#[derive(Debug, Serialize)]
pub(in crate::commands::incidents) struct Measured {
    pub(super) attached_at: Timestamp,
    pub(super) breach_id: String,
    pub(super) feature: String,
    pub(super) expectation: String,
    pub(super) kind: &'static str,
    pub(super) severity: &'static str,
    pub(super) window: String,
    pub(super) window_start: Timestamp,
    pub(super) window_end: Timestamp,
    pub(super) reason: String,
    /// When it cleared or was retracted, by the incident's facts or else by the
    /// breach's own lines; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<Timestamp>,
    /// The line of the breach that opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) opened: Option<Box<Breach>>,
    /// How often it was sustained.
    pub(super) sustained: u64,
    /// The window that it opened on, as of the revision that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) measured: Option<Box<Window>>,
    #[serde(skip)]
    feature_version: String,
}

impl Measured {
    fn new(fact: &Fact, data: &BreachAttached) -> Self {
        Self {
            attached_at: fact.occurred_at,
            breach_id: data.breach_id.clone(),
            feature: data.feature.clone(),
            expectation: data.expectation.clone(),
            kind: data.kind.name(),
            severity: data.severity.name(),
            window: data.window.clone(),
            window_start: data.window_start,
            window_end: data.window_end,
            reason: data.reason.clone(),
            ended_at: None,
            opened: None,
            sustained: 0,
            measured: None,
            feature_version: data.feature_version.clone(),
        }
    }

    /// How the expectation judged the window.
    pub(super) fn judged(&self) -> Option<&Judged> {
        let window = self.measured.as_ref()?;
        window.judged.iter().find(|judged| judged.expectation == self.expectation)
    }

    /// Records of the window, where the breach names some.
    pub(super) fn exemplars(&self) -> &[Position] {
        self.opened.as_ref().map_or(&[], |breach| &breach.exemplars)
    }
}

/// The breaches that facts attach, the latest first.
pub(super) fn attached(facts: &[Fact]) -> Vec<Measured> {
    let mut attached: Vec<Measured> = Vec::new();
    for fact in facts {
        match &fact.data {
            FactData::BreachAttached(data) => attached.push(Measured::new(fact, data)),
            FactData::BreachCleared(data) => {
                let of = attached.iter_mut().rev().find(|one| one.breach_id == data.breach_id);
                if let Some(one) = of {
                    one.ended_at = Some(fact.occurred_at);
                }
            }
            _ => {}
        }
    }
    attached.reverse();
    attached
}

/// Finds the lines of breaches and windows that belong to what was attached.
///
/// # Errors
/// The source cannot be read.
pub(super) fn breaches(
    source: &IncidentSource,
    mut attached: Vec<Measured>,
    missing: &mut Vec<String>,
) -> anyhow::Result<Vec<Measured>> {
    let places: BTreeMap<String, usize> =
        attached.iter().enumerate().map(|(at, one)| (one.breach_id.clone(), at)).collect();
    let has_all_breaches = super::each(source, "breaches", |breach: Breach| {
        let Some(one) = places.get(&breach.breach_id).map(|at| &mut attached[*at]) else { return };
        match breach.transition {
            Transition::Opened => one.opened = Some(Box::new(breach)),
            Transition::Sustained => one.sustained += 1,
            // Of one that the incident has left open, as it was accepted or went
            // over to another, no fact of its own tells.
            Transition::Cleared | Transition::Retracted => {
                one.ended_at.get_or_insert(breach.detected_at);
            }
        }
    })?;
    let mut by_window: BTreeMap<(String, String, Timestamp), Vec<usize>> = BTreeMap::new();
    for (at, one) in attached.iter().enumerate() {
        let key = (one.feature.clone(), one.window.clone(), one.window_start);
        by_window.entry(key).or_default().push(at);
    }
    let has_all_windows = super::each(source, "windows", |window: Window| {
        let key = (window.feature.clone(), window.window.clone(), window.window_start);
        for at in by_window.get(&key).into_iter().flatten() {
            let one = &mut attached[*at];
            let judged =
                one.opened.as_ref().is_none_or(|opened| opened.revision == window.revision);
            if judged && one.feature_version == window.feature_version {
                one.measured = Some(Box::new(window.clone()));
            }
        }
    })?;
    let without = |what: &str, count: usize, has_all: bool| {
        let why = if has_all {
            "it is not there, which `watchkeep audit ledger` should tell of"
        } else {
            "earlier ones are not kept here any more"
        };
        (count > 0).then(|| format!("{what} of {count} breaches: {why}"))
    };
    let count = |is_missing: fn(&Measured) -> bool| {
        // A breach of Watchkeep itself is of no window.
        attached.iter().filter(|one| one.kind != "platform" && is_missing(one)).count()
    };
    missing.extend(without("the line", count(|one| one.opened.is_none()), has_all_breaches));
    missing.extend(without("the window", count(|one| one.measured.is_none()), has_all_windows));
    Ok(attached)
}
