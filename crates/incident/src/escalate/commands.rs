//! People's commands: to which incidents they go, and refusals that belong to
//! none.

use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::{ActionRecorded, CommandRejected};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::{Command, DELIVERER, Response};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::{Escalate, Outputs};
use crate::command;
use crate::context::Context;
use crate::decide::respond::stranger;
use crate::schedule::typed_user;
use crate::state::people::action::DRILL_HELD;

impl Escalate {
    /// Carries out what somebody wants, or records which rule forbids it. A
    /// command that names a subject concerns every open incident with that
    /// root. One that was taken before, by its identifier, has no effect again.
    pub fn respond(
        &mut self,
        response: &Response,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let id = response.id();
        if self.answered.contains(&id) {
            return;
        }
        self.begin_past_silences(context, now, out);
        let from = out.facts.len();
        match response.command {
            Command::Silence | Command::Unsilence => {
                if let Err(rule) = self.hush(response, &id, context, now, out) {
                    self.reject(response, &id, rule, context, now, out);
                }
            }
            Command::Merge => {
                if let Err(rule) = self.merge(response, &id, context, now, out) {
                    self.reject(response, &id, rule, context, now, out);
                }
            }
            Command::ReportDrill => {
                if let Err(rule) = self.hold_drill(response, &id, context, now, out) {
                    self.reject(response, &id, rule, context, now, out);
                }
            }
            _ if command::is_about_charters(response) => {
                let rule = "whoever has decided this has no charters topic";
                self.reject(response, &id, rule.into(), context, now, out);
            }
            _ => match self.addressed(response) {
                Ok(ids) => ids.iter().for_each(|incident| {
                    let carried = self.carried_by(response);
                    let from = (out.facts.len(), out.escalations.len());
                    self.decide(incident, context, now, out, |decision| {
                        decision.respond(response, &id);
                    });
                    self.reach_carried(response, &carried, from, context, now, out);
                }),
                Err(_) if is_of_a_drill(response) => {
                    self.report_of_a_drill(response, &id, now, out);
                }
                Err(_) if self.is_of_upkeep(response) => {
                    self.report_of_upkeep(response, &id, now, out);
                }
                Err(rule) => self.reject(response, &id, rule, context, now, out),
            },
        }
        self.relate(context, now, out);
        out.facts[from..].iter().for_each(|fact| self.answered.note(fact));
    }

    /// Records that a command is not carried out because of a rule that lies
    /// elsewhere: what it says of itself, or one about charters.
    pub fn refuse(
        &mut self,
        response: &Response,
        rule: String,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let id = response.id();
        if !self.answered.contains(&id) {
            let from = out.facts.len();
            self.reject(response, &id, rule, context, now, out);
            out.facts[from..].iter().for_each(|fact| self.answered.note(fact));
        }
    }

    /// A refusal that belongs to no incident goes to a chain of its own.
    fn reject(
        &mut self,
        response: &Response,
        id: &str,
        rule: String,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let root = response.subject.as_deref().map(typed);
        let about = response.proposal.clone().or_else(|| response.charter.clone());
        let addressed = response.incident.clone().or(root).or(about);
        let rule = command::check(response)
            .err()
            .map(|fault| fault.what)
            .or_else(|| {
                // The deliver stage is nobody of the directory.
                let is_report = response.command == Command::ReportDelivery;
                if is_report { None } else { stranger(context, &response.by) }
            })
            .unwrap_or(rule);
        let command = response.command.name().to_owned();
        let data = CommandRejected { command, rule, addressed };
        self.note_at_the_desk(response, id, FactData::CommandRejected(data), now, out);
    }

    /// Records that an exercise was held, and sends those of its messages that
    /// came with it, which sinks of exercises take and no others.
    ///
    /// # Errors
    /// The rule that forbids it.
    fn hold_drill(
        &mut self,
        response: &Response,
        id: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Result<(), String> {
        command::check(response).map_err(|fault| fault.what)?;
        if let Some(rule) = stranger(context, &response.by) {
            return Err(rule);
        }
        let drill = response.drill.clone().ok_or("the command says what the `drill` came to")?;
        let data = ActionRecorded {
            drill: Some(drill.clone()),
            ..ActionRecorded::new(DRILL_HELD, drill.name)
        };
        self.note_at_the_desk(response, id, FactData::ActionRecorded(data), now, out);
        out.escalations.extend(response.messages.iter().cloned());
        Ok(())
    }

    /// What became of a message of an exercise, whose incident was never here.
    fn report_of_a_drill(
        &mut self,
        response: &Response,
        id: &str,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        if let Some(delivery) = response.delivery.clone() {
            let data = FactData::DeliveryReported(delivery);
            self.note_at_the_desk(response, id, data, now, out);
        }
    }

    /// Writes a fact that belongs to no incident.
    fn note_at_the_desk(
        &mut self,
        response: &Response,
        id: &str,
        data: FactData,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let (sequence, previous_hash) = &self.desk;
        let by = match response.by.contains(':') {
            true => response.by.clone(),
            false => typed_user(&response.by),
        };
        let is_refusal = matches!(data, FactData::CommandRejected(_));
        let fact = Fact {
            incident_id: desk_id(),
            sequence: sequence + 1,
            fact: data.name(),
            occurred_at: response.at.min(now),
            recorded_at: now,
            actor: if is_refusal { response.by.clone() } else { by },
            cause: Some(format!("response {id}")),
            rationale: response.rationale.clone(),
            drill: self.settings.drill,
            data,
            previous_hash: previous_hash.clone(),
            hash: String::new(),
        }
        .sealed();
        self.desk = (fact.sequence, Some(fact.hash.clone()));
        self.take_drill(&fact);
        out.facts.push(fact);
    }
}

/// True for what the deliver stage reports of a message of an exercise.
fn is_of_a_drill(response: &Response) -> bool {
    let is_report = response.command == Command::ReportDelivery && response.by == DELIVERER;
    is_report && response.delivery.as_ref().is_some_and(|delivery| delivery.drill)
}

/// The identifier of the chain of commands that concern no incident.
pub(super) fn desk_id() -> String {
    derived(&["incident", "commands that concern no incident"])
}
