//! What detection needs to know of charters.

use std::sync::Arc;

use watchkeep_model::charter::{Charter, WindowSpec};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::time::Timestamp;

use crate::baseline::Baseline;

/// A source of charters. Implemented by whoever keeps the registry.
pub trait Charters {
    /// The charter in force for a subject (as telemetry names it) at an
    /// instant; `None` where no document matches.
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>>;

    /// The subjects that a document names exactly and that have expectations,
    /// ascending, as telemetry names them. They have windows even when silent.
    fn named(&self) -> Vec<Arc<str>>;

    /// The captured baseline of a feature version under an id; `None` where
    /// there is none.
    fn profile(&self, _id: &str, _feature: &str, _version: &str) -> Option<Baseline> {
        None
    }

    /// The domain whose alert budget the charter's tests come out of, and its
    /// terms; `None` where there is none.
    fn alert_budget(&self, _charter: &Charter) -> Option<(Arc<str>, AlertBudget)> {
        None
    }

    /// True where a charter of the subject, of whatever time, says
    /// `deduplicate`: the summarise stage then keeps events with an `event_id` apart.
    fn deduplicates(&self, feature: &str) -> bool {
        self.charter(feature, Timestamp::MAX)
            .is_some_and(|charter| charter.fields.deduplicate.is_some())
    }
}

/// No charter at all: every feature has the default window.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCharters;

impl Charters for NoCharters {
    fn charter(&self, _: &str, _: Timestamp) -> Option<Arc<Charter>> {
        None
    }

    fn named(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// The windows that a charter makes: those of its expectations; without a
/// charter the default one.
pub fn windows_of(charter: Option<&Charter>) -> Vec<WindowSpec> {
    let Some(charter) = charter else { return vec![WindowSpec::DEFAULT] };
    let mut specs: Vec<WindowSpec> = charter.expectations().iter().map(|e| e.window).collect();
    specs.sort_unstable();
    specs.dedup();
    specs
}
