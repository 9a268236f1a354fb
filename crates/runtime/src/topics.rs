//! Names of the topics of a deployment.

use std::sync::Arc;

/// The topics that Watchkeep writes and reads, with their prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Source topics of telemetry, yours.
    pub telemetry: Vec<Arc<str>>,
    /// Delta batches with source positions.
    pub summaries: Arc<str>,
    /// Measured and judged windows.
    pub windows: Arc<str>,
    /// What happened to breaches.
    pub breaches: Arc<str>,
    /// The incident log.
    pub incidents: Arc<str>,
    /// Anchors of the incident log.
    pub anchors: Arc<str>,
    /// What alerting systems consume.
    pub escalations: Arc<str>,
    /// What people do about incidents.
    pub responses: Arc<str>,
    /// Records that could not be used, late summaries.
    pub rejects: Arc<str>,
    /// Charters.
    pub charters: Arc<str>,
    /// Policies.
    pub policies: Arc<str>,
    /// Baselines.
    pub baselines: Arc<str>,
    /// Run events of OpenLineage, which others write.
    pub lineage: Arc<str>,
}

impl Topics {
    /// The prefix where none is configured.
    pub const PREFIX_DEFAULT: &'static str = "watchkeep.";
    /// The telemetry topic where none is configured.
    pub const TELEMETRY_DEFAULT: &'static str = "feature.telemetry";

    /// The topics of a prefix.
    pub fn new(prefix: &str, telemetry: &[String]) -> Self {
        let name = |topic: &str| -> Arc<str> { format!("{prefix}{topic}").into() };
        Self {
            telemetry: telemetry.iter().map(|topic| topic.as_str().into()).collect(),
            summaries: name("summaries"),
            windows: name("windows"),
            breaches: name("breaches"),
            incidents: name("incidents"),
            anchors: name("anchors"),
            escalations: name("escalations"),
            responses: name("responses"),
            rejects: name("rejects"),
            charters: name("charters"),
            policies: name("policies"),
            baselines: name("baselines"),
            lineage: name("lineage"),
        }
    }

    /// Every topic that Watchkeep owns, so all but the telemetry.
    pub fn owned(&self) -> [&Arc<str>; 12] {
        [
            &self.summaries,
            &self.windows,
            &self.breaches,
            &self.incidents,
            &self.anchors,
            &self.escalations,
            &self.responses,
            &self.rejects,
            &self.charters,
            &self.policies,
            &self.baselines,
            &self.lineage,
        ]
    }
}
