//! What detection needs to know of charters.

use std::sync::Arc;

use watchkeep_model::charter::{Charter, WindowSpec};
use watchkeep_model::time::Timestamp;

/// A source of charters. Implemented by whoever keeps the registry.
pub trait Charters {
    /// The charter in force for a subject (as telemetry names it) at an
    /// instant; `None` where no document matches.
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>>;

    /// The subjects that a document names exactly and that have expectations,
    /// ascending, as telemetry names them. They have windows even when silent.
    fn named(&self) -> Vec<Arc<str>>;
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
