//! The registry, shared by the stages of a process, as detection wants to see it.

use std::sync::Arc;

use watchkeep_detection::baseline::{Baseline, Profiles};
use watchkeep_detection::charters::Charters;
use watchkeep_incident::registry::Registry;
use watchkeep_model::charter::Charter;
use watchkeep_model::identifier::sha256_of;
use watchkeep_model::subject::untyped;
use watchkeep_model::time::Timestamp;

/// Charters, policies, the directory and captured baselines, shared by the
/// stages of a process.
#[derive(Clone, Debug)]
pub struct Rules {
    registry: Arc<Registry>,
    profiles: Arc<Profiles>,
}

impl Rules {
    /// Shares a registry.
    pub fn new(registry: Registry) -> Self {
        Self { registry: Arc::new(registry), profiles: Arc::default() }
    }

    /// Adds captured baselines.
    #[must_use]
    pub fn with_profiles(self, profiles: Profiles) -> Self {
        Self { profiles: Arc::new(profiles), ..self }
    }

    /// The captured baselines.
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Hash of what windows are judged by: the charters and captured baselines.
    pub fn hash(&self) -> [u8; 32] {
        sha256_of(&[&self.registry.charters_hash(), &self.profiles.hash()])
    }

    /// The registry, which incident handling reads as it is.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Charters for Rules {
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>> {
        self.registry.charter(feature, at)
    }

    fn profile(&self, id: &str, feature: &str, version: &str) -> Option<Baseline> {
        self.profiles.find(id, feature, version)
    }

    fn deduplicates(&self, feature: &str) -> bool {
        self.registry.deduplicates(feature)
    }

    fn named(&self) -> Vec<Arc<str>> {
        self.registry
            .named()
            .filter(|subject| {
                let charter = self.registry.charter(subject, Timestamp::MAX);
                charter.is_some_and(|charter| !charter.expectations().is_empty())
            })
            .map(|subject| untyped(subject).into())
            .collect()
    }
}
