//! One incident of several, because somebody says so.

use watchkeep_model::response::Response;
use watchkeep_model::time::Timestamp;

use super::{Escalate, Outputs};
use crate::context::Context;
use crate::decide::merge::Target;

impl Escalate {
    /// Ends the incidents that a command is about as one with another, which
    /// goes on with what breaches of them.
    ///
    /// # Errors
    /// There is none that it is about. What forbids it otherwise is on record
    /// with the incident.
    pub(super) fn merge(
        &mut self,
        response: &Response,
        command_id: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Result<(), String> {
        let ids = self.addressed(response)?;
        let into = self.named(response.into.as_deref().unwrap_or_default());
        // The root of the one that goes on may be the others' too.
        let is_many = ids.len() > 1;
        for id in ids {
            if is_many && into.as_ref() == Ok(&id) {
                continue;
            }
            let target = into.clone().and_then(|into| {
                let known = self.incidents.get(&into).map(|incident| {
                    let revision = incident.charter.as_ref();
                    let charter = revision.and_then(|revision| {
                        context.charter(&revision.subject, revision.in_force_at)
                    });
                    Target::of(incident, charter.as_deref())
                });
                known.ok_or_else(|| "there is no such incident".to_owned())
            });
            let mut moved = Vec::new();
            self.decide(&id, context, now, out, |decision| {
                moved = decision.merge(response, command_id, target);
            });
            if let Ok(into) = &into {
                self.decide(into, context, now, out, |decision| {
                    decision.adopt(&moved, &id, now);
                });
            }
        }
        Ok(())
    }
}
