//! What people may do about an incident, and the rules that forbid it.

use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::{Acknowledged, CommandRejected, Remediated};
use watchkeep_model::policy::Trigger;
use watchkeep_model::response::{Command, RemedyAction, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::rollback::ROLLBACK;
use super::{Decision, Doing};
use crate::command;
use crate::context::Context;
use crate::schedule::typed_user;
use crate::state::State;
use crate::state::people::NOT_ROLLED_BACK;

/// How long a command may be on its way. What is recorded meanwhile (a timer
/// has fired) makes no late answer of one that was given in time.
const ON_ITS_WAY: TimeSpan = TimeSpan::SECOND.times(5);

/// Why somebody may not act at all: they are not in the directory or have
/// left. Without any directory everybody may.
pub fn stranger(context: &dyn Context, by: &str) -> Option<String> {
    let directory = context.directory();
    if directory.users.is_empty() && !by.is_empty() {
        return None;
    }
    match directory.user(by) {
        None => Some(format!("`{by}` is not a user of the directory")),
        Some(user) if !user.active => Some(format!("`{by}` is no longer active")),
        Some(_) => None,
    }
}

impl Decision<'_> {
    /// Carries a command out, or records which rule forbids it. `id` is the
    /// command's own identifier.
    pub fn respond(&mut self, response: &Response, id: &str) {
        let doing = self.doing_of(response, id);
        if let Err(rule) = self.carry_out(response, &doing) {
            self.refuse(response, rule, &doing);
        }
    }

    /// Who gives a command and why.
    pub(super) fn doing_of(&self, response: &Response, id: &str) -> Doing {
        let by = match response.by.contains(':') {
            true => response.by.clone(),
            false => typed_user(&response.by),
        };
        let rationale = response.rationale.clone().filter(|text| !text.trim().is_empty());
        Doing {
            at: self.effective_at(response),
            actor: by,
            cause: Some(format!("response {id}")),
            rationale,
        }
    }

    /// When a command takes effect: at its `at`, but not in the future, and not
    /// before what is on record of the incident. Otherwise a late answer could
    /// be given out as one in time.
    fn effective_at(&self, response: &Response) -> Timestamp {
        let at = response.at.min(self.world.now);
        if response.command == Command::ReportDelivery {
            return at;
        }
        // A clock may have been put back since.
        let known = self.incident.recorded_at.min(self.world.now);
        if known.since(at) <= ON_ITS_WAY {
            at.max(self.incident.opened_at.min(known))
        } else {
            known
        }
    }

    pub(super) fn refuse(&mut self, response: &Response, rule: String, doing: &Doing) {
        let command = response.command.name().to_owned();
        let data = CommandRejected { command, rule, addressed: None };
        self.record(doing, FactData::CommandRejected(data));
    }

    fn carry_out(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        if response.command == Command::ReportDelivery {
            return self.report_delivery(response, doing);
        }
        command::check(response).map_err(|fault| fault.what)?;
        if let Some(rule) = stranger(self.world.context, &doing.actor) {
            return Err(rule);
        }
        match response.command {
            Command::Comment => self.comment(doing),
            Command::Feedback => self.feedback(response, doing),
            Command::Review => return self.review(response, doing),
            Command::Close => return self.close_by_command(doing),
            Command::Complete => return self.complete(response, doing),
            _ if !self.incident.is_open() => {
                return Err(format!("the incident is {}", self.incident.state.name()));
            }
            Command::Acknowledge => return self.acknowledge(doing),
            Command::Remediate => {
                return self.remediate(response.action.unwrap_or(RemedyAction::Other), doing);
            }
            Command::Verify => return self.verify(doing),
            Command::SignOff => return self.sign_off(response, doing),
            Command::Resolve => return self.resolve_by_command(doing),
            Command::Reassign => return self.reassign(response, doing),
            Command::Escalate => return self.escalate(response, doing),
            other => return Err(format!("command {} is not supported yet", other.name())),
        }
        Ok(())
    }

    fn acknowledge(&mut self, doing: &Doing) -> Result<(), String> {
        if self.incident.state >= State::Remediated {
            return Err(format!("the incident is {} already", self.incident.state.name()));
        }
        let data = Acknowledged {
            step: self.incident.entry.step.clone(),
            climb: self.incident.entry.climb,
            expires_at: self.world.policy.ack_timeout.map(|span| doing.at + span),
            late_by_us: self.incident.people.late_by_us("not_acknowledged", doing.at),
        };
        self.record(doing, FactData::Acknowledged(data));
        Ok(())
    }

    fn remediate(&mut self, action: RemedyAction, doing: &Doing) -> Result<(), String> {
        if self.incident.state == State::Verified {
            return Err("the incident is verified already".into());
        }
        if action == RemedyAction::Rollback {
            self.lapse_refusals(ROLLBACK, doing);
            if !self.gate_is_open(ROLLBACK, doing.at) {
                return Err(self.why_closed(ROLLBACK, doing.at));
            }
        }
        let windows_seen_to = self.seen_to();
        let late = |trigger| self.incident.people.late_by_us(trigger, doing.at);
        let late_by_us = late("not_remediated").or_else(|| late(NOT_ROLLED_BACK));
        let data = Remediated { action, windows_seen_to, late_by_us };
        self.record(doing, FactData::Remediated(data));
        if !self.incident.is_breaching() {
            self.progress.check_at = self.incident.settles_at.map(|at| at.max(self.world.now));
        }
        Ok(())
    }

    /// The end of the latest window that was judged of any attached subject,
    /// also while its breach was still held.
    fn seen_to(&self) -> Option<Timestamp> {
        let attached = &self.incident.attached;
        let opened = attached.values().map(|attached| attached.window_end);
        let judged = attached.keys().filter_map(|key| self.world.board.judged_at(&key.0));
        opened.chain(judged).max()
    }

    fn resolve_by_command(&mut self, doing: &Doing) -> Result<(), String> {
        let remedy = self.incident.remediated.as_ref();
        let accepted = remedy.is_some_and(|remedy| remedy.action == RemedyAction::Accept);
        if self.incident.is_breaching() && !accepted {
            return Err(
                "a breach is still open; remediate with action accept to leave it so".into()
            );
        }
        if !accepted && self.verification().is_some() && self.incident.state != State::Verified {
            return Err("the incident is not verified".into());
        }
        self.lapse_refusals("resolve", doing);
        if !self.gate_is_open("resolve", doing.at) {
            return Err(self.why_closed("resolve", doing.at));
        }
        self.resolve(doing, "command");
        Ok(())
    }

    fn escalate(&mut self, response: &Response, doing: &Doing) -> Result<(), String> {
        if self.incident.exhausted {
            return Err("the steps have run out".into());
        }
        if self.incident.resting {
            return Err("nothing is asked any more: the incident is remediated or clear".into());
        }
        match &response.decision {
            Some(decision) => self.ask_for_decision(decision, doing)?,
            None => self.advance(doing, Trigger::Requested.name()),
        }
        Ok(())
    }
}
