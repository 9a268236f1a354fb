//! What incidents are benchmarked in: no charters, a lineage, some people.

use std::sync::Arc;

use watchkeep_incident::context::{Context, Declared};
use watchkeep_incident::lineage::Lineage;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{Charter, ExpectationKind, Severity};
use watchkeep_model::directory::Directory;
use watchkeep_model::policy::Policy;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// When the breaches are detected.
pub const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A world without charters and policies of its own.
#[derive(Debug)]
pub struct World {
    /// What is made from what.
    pub lineage: Lineage,
    /// Who there is.
    pub directory: Directory,
}

impl Context for World {
    fn charter(&self, _: &str, _: Timestamp) -> Option<Arc<Charter>> {
        None
    }
    fn policy(&self, _: &str) -> Option<&Policy> {
        None
    }
    fn directory(&self) -> &Directory {
        &self.directory
    }
    fn lineage(&self) -> &Lineage {
        &self.lineage
    }
    fn declared(&self, _: &str) -> Vec<Declared> {
        Vec::new()
    }
}

/// A breach of the feature of a number.
pub fn breach(feature: usize) -> Breach {
    Breach {
        breach_id: format!("breach of f{feature}"),
        transition: Transition::Opened,
        feature: format!("f{feature}"),
        feature_version: String::new(),
        expectation: "missing".into(),
        kind: ExpectationKind::NullRate,
        severity: Severity::Error,
        window: "5m".into(),
        window_start: AT - TimeSpan::HOUR,
        window_end: AT,
        revision: 0,
        detected_at: AT,
        observed: None,
        threshold: None,
        p_value: None,
        effect: None,
        baseline: None,
        owner: None,
        policy: None,
        affected_consumers: Vec::new(),
        exemplars: Vec::new(),
        reason: "values are missing".into(),
    }
}
