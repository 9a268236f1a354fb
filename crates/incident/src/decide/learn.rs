//! What comes after the resolution: reviews, closing, and what a page was worth.

use watchkeep_model::charter::Severity;
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{ActionRecorded, Closed, Informed, Resolved, Reviewed};
use watchkeep_model::policy::{Policy, Review};
use watchkeep_model::response::Response;

use super::{Decision, Doing, lateness_us};
use crate::state::people::action;
use crate::state::{Incident, State};

/// The review that a policy asks for at a severity.
fn review_of(policy: &Policy, severity: Severity) -> Option<&Review> {
    let asks =
        |review: &&Review| review.severities.is_empty() || review.severities.contains(&severity);
    policy.review.as_ref().filter(asks)
}

/// True where an incident may not close before somebody has reviewed it. That is
/// so of every critical one, whatever the policy says.
fn needs_review(policy: &Policy, severity: Severity) -> bool {
    severity == Severity::Critical || review_of(policy, severity).is_some()
}

/// How bad an incident is that breaches of a severity reopen. One that waits for
/// its review is as bad as it was: a milder breach takes no gate, verification
/// or review away.
pub(crate) fn severity_reopened(
    incident: &Incident,
    policy: &Policy,
    severity: Severity,
) -> Severity {
    let waits = incident.state == State::Resolved && needs_review(policy, incident.severity);
    if waits { severity.max(incident.severity) } else { severity }
}

impl Decision<'_> {
    fn review_policy(&self) -> Option<&Review> {
        review_of(self.world.policy, self.incident.severity)
    }

    fn needs_review(&self) -> bool {
        needs_review(self.world.policy, self.incident.severity)
    }

    /// The fact of the resolution, with what is due after it. A policy that
    /// speaks of reviews closes what needs none by itself, once a returning
    /// breach cannot reopen it any more: a breach that came in time may be
    /// held for `group_wait`.
    pub(crate) fn resolution(&self, reason: &str) -> Resolved {
        let policy = self.world.policy;
        let now = self.world.now;
        let reopens_until = now + policy.damping.reopen_within;
        let closes = policy.review.is_some() && !self.needs_review();
        Resolved {
            reason: reason.to_owned(),
            reopens_until,
            review_due_at: self.review_policy().map(|review| now + review.due_within),
            closes_at: closes.then(|| reopens_until + policy.grouping.group_wait),
        }
    }

    pub(super) fn review(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        match self.incident.state {
            State::Resolved => {}
            State::Reviewed => return Err("the incident is reviewed already".into()),
            State::Closed => return Err("the incident is closed".into()),
            _ => return Err("the incident is not resolved yet".into()),
        }
        for action in &response.actions {
            if let Some(rule) = super::respond::stranger(self.world.context, &action.by) {
                return Err(format!("an action is nobody's: {rule}"));
            }
        }
        let is_reasoned = response.rationale.as_ref().is_some_and(|why| !why.trim().is_empty());
        if self.needs_review() && response.actions.is_empty() && !is_reasoned {
            return Err("a review that must be says what is done about it, by whom and by when, \
                        or in its rationale why nothing is"
                .into());
        }
        let reopens_until = self.incident.reopens_until.unwrap_or(self.world.now);
        let closes_at = (reopens_until + self.world.policy.grouping.group_wait).max(self.world.now);
        let due_at = self.incident.people.review_due_at;
        let data = Reviewed {
            root_cause: response.root_cause.clone().unwrap_or_default(),
            actions: response.actions.clone(),
            closes_at: Some(closes_at),
            late_by_us: due_at.and_then(|due_at| lateness_us(due_at, doing.at)),
        };
        self.record(doing, FactData::Reviewed(data));
        if closes_at <= self.world.now {
            self.close(doing, "reviewed");
        }
        Ok(())
    }

    pub(super) fn close_by_command(&mut self, doing: &Doing) -> Result<(), String> {
        match self.incident.state {
            State::Reviewed => {}
            State::Resolved if self.needs_review() => {
                return Err("the incident is not reviewed yet".into());
            }
            State::Resolved => {}
            State::Closed => return Err("the incident is closed already".into()),
            _ => return Err("the incident is not resolved yet".into()),
        }
        self.close(doing, "command");
        Ok(())
    }

    pub(super) fn close_by_time(&mut self, doing: &Doing) {
        let is_reviewed = self.incident.state == State::Reviewed;
        self.close(doing, if is_reviewed { "reviewed" } else { "settled" });
    }

    /// An action of the latest review is done, in whatever state the incident
    /// is by now.
    pub(super) fn complete(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        let what = response.what.as_deref().unwrap_or_default().trim();
        let open = &self.incident.people.open_actions;
        let mut meant = open.iter().filter(|action| action.starts_with(what));
        let exact = open.iter().find(|action| *action == what);
        let detail = match (exact, meant.next(), meant.next()) {
            (Some(action), _, _) | (None, Some(action), None) => action.clone(),
            (None, None, _) if open.is_empty() => {
                return Err("no action of a review is open".into());
            }
            (None, None, _) => return Err(format!("no open action begins with `{what}`")),
            (None, Some(_), Some(_)) => {
                return Err(format!(
                    "more than one open action begins with `{what}`: say more of it"
                ));
            }
        };
        let data = ActionRecorded::new(action::ACTION_DONE, detail);
        self.record(doing, FactData::ActionRecorded(data));
        Ok(())
    }

    fn close(&mut self, doing: &Doing, reason: &str) {
        self.record(doing, FactData::Closed(Closed { reason: reason.to_owned() }));
    }

    /// Tells the owner, once, that the review is not there. Nobody is paged:
    /// the incident is over.
    pub(super) fn review_is_overdue(&mut self, doing: &Doing) {
        let owner = self.incident.owner.clone();
        let informed = owner.map(|target| Informed { target, role: "owner".into() });
        let data = ActionRecorded {
            informed: informed.into_iter().collect(),
            due_at: Some(doing.at),
            late_by_us: lateness_us(doing.at, self.world.now),
            ..ActionRecorded::new(action::REVIEW_OVERDUE, "nobody has reviewed the incident")
        };
        self.record(doing, FactData::ActionRecorded(data));
    }

    pub(super) fn comment(&mut self, doing: &Doing) {
        let detail = doing.rationale.clone().unwrap_or_default();
        let data = ActionRecorded::new(action::COMMENT, detail);
        self.record(doing, FactData::ActionRecorded(data));
    }

    pub(super) fn feedback(&mut self, response: &Response, doing: &Doing) {
        let detail = doing.rationale.clone().unwrap_or_default();
        let data = ActionRecorded {
            feedback: response.feedback,
            ..ActionRecorded::new(action::FEEDBACK, detail)
        };
        self.record(doing, FactData::ActionRecorded(data));
    }
}
