//! The instances of a run, and the rules that all of them follow.

use watchkeep_incident::escalate::Escalate;
use watchkeep_incident::registry::Registry;
use watchkeep_model::document::Level;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::stage::escalate::EscalateStage;
use watchkeep_wire::yaml;

use super::plan::Plan;
use crate::simulation::Session;

/// A process that runs the stage, or stands by.
#[derive(Default)]
pub(super) struct Instance {
    pub(super) running: Option<(Session, EscalateStage)>,
    pub(super) down_until: Option<Timestamp>,
    /// How far its clock is ahead.
    pub(super) skew: TimeSpan,
}

impl Instance {
    pub(super) fn escalate(&self) -> Option<&Escalate> {
        self.running.as_ref().and_then(|(_, stage)| stage.state())
    }
}

/// The transactional id of an instance.
pub(super) fn name(instance: usize) -> String {
    format!("escalate-{instance}")
}

/// The rules of a plan's documents.
///
/// # Errors
/// What is wrong with them, and the documents.
pub(super) fn rules(plan: &Plan) -> Result<Rules, String> {
    let (documents, found) = yaml::read(&[("plan.yaml".to_owned(), plan.documents.clone())]);
    let errors: Vec<_> = found.iter().filter(|d| d.severity == Level::Error).collect();
    if !errors.is_empty() {
        return Err(format!("{errors:?}\n{}", plan.documents));
    }
    let (registry, _) = Registry::new(documents, TimeSpan::MINUTE);
    Ok(Rules::new(registry))
}
