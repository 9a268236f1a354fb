//! The registry, shared by the stages of a process, as detection wants to see it.

use std::sync::Arc;

use watchkeep_detection::charters::Charters;
use watchkeep_incident::registry::Registry;
use watchkeep_model::charter::Charter;
use watchkeep_model::subject::untyped;
use watchkeep_model::time::Timestamp;

/// Charters, policies and the directory, shared by the stages of a process.
#[derive(Clone, Debug)]
pub struct Rules(Arc<Registry>);

impl Rules {
    /// Shares a registry.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// The registry, which incident handling reads as it is.
    pub fn registry(&self) -> &Registry {
        &self.0
    }
}

impl Charters for Rules {
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>> {
        self.0.charter(feature, at)
    }

    fn deduplicates(&self, feature: &str) -> bool {
        self.0.deduplicates(feature)
    }

    fn named(&self) -> Vec<Arc<str>> {
        self.0
            .named()
            .filter(|subject| {
                let charter = self.0.charter(subject, Timestamp::MAX);
                charter.is_some_and(|charter| !charter.expectations().is_empty())
            })
            .map(|subject| untyped(subject).into())
            .collect()
    }
}
