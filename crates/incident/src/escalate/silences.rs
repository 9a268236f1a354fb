//! Silences as commands and as timers.

use std::sync::Arc;

use watchkeep_model::charter::Charter;
use watchkeep_model::incident::data::{Silenced, Unsilenced};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::matcher::Matcher;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::index::What;
use super::{Escalate, Outputs};
use crate::command;
use crate::context::Context;
use crate::decide::Doing;
use crate::decide::respond::stranger;
use crate::silence::{Labels, SILENCES_MAX, Silence, silences_id};
use crate::state::Incident;

/// The label that names one incident.
const INCIDENT: &str = "incident";

/// Characters of a whole identifier.
const IDENTIFIER_LENGTH: usize = 36;

impl Escalate {
    /// Silences that have not ended, by identifier.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.iter()
    }

    /// Begins or ends a silence.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub(super) fn hush(
        &mut self,
        response: &Response,
        command_id: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Result<(), String> {
        command::check(response).map_err(|fault| fault.what)?;
        match response.command {
            Command::Silence => self.silence(response, command_id, context, now, out),
            _ => self.unsilence(response, command_id, context, now, out),
        }
    }

    /// Begins a silence, now or when it says so.
    ///
    /// # Errors
    /// The rule that forbids it.
    fn silence(
        &mut self,
        response: &Response,
        command_id: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Result<(), String> {
        if let Some(rule) = stranger(context, &response.by) {
            return Err(rule);
        }
        let doing = doing(response, command_id, now);
        if doing.rationale.is_none() {
            return Err("a silence needs a rationale".into());
        }
        let until = response.until.ok_or("a silence needs `until`: when it ends")?;
        let from = response.from.unwrap_or(doing.at).max(doing.at);
        if until <= from || until <= now {
            return Err("a silence ends after it begins, and later than now".into());
        }
        if self.silences.len() >= SILENCES_MAX {
            return Err(format!("there are {SILENCES_MAX} silences; end one of them first"));
        }
        let silence = command_id.to_owned();
        if self.silences.get(&silence).is_some() {
            return Err("there is such a silence already".into());
        }
        let matchers = self.meant(response)?;
        let data = Silenced { silence, matchers, from, until, by: doing.actor.clone() };
        Silence::new(data.clone())?;
        self.record_silence(FactData::Silenced(data), &doing, now, out);
        if from <= now {
            self.begin_silences(context, now, &doing, out);
        }
        Ok(())
    }

    /// Which incidents a command means: by its matchers, the incident and the
    /// subject, all of them together. An incident is named as in any other
    /// command, by its beginning too: taken for the whole text, that would be no
    /// incident's, and the silence would hold for nothing without a word.
    ///
    /// # Errors
    /// No incident has this beginning, or several have.
    fn meant(&self, response: &Response) -> Result<Vec<Matcher>, String> {
        let is = |name: &str, value: String| Matcher {
            name: name.to_owned(),
            value,
            is_equal: true,
            is_regex: false,
        };
        let mut matchers = response.matchers.clone();
        matchers.extend(response.incident.iter().map(|id| is(INCIDENT, id.clone())));
        for matcher in &mut matchers {
            let names_one = matcher.is_equal && !matcher.is_regex && !matcher.value.contains('*');
            if matcher.name == INCIDENT && names_one {
                match self.named(&matcher.value) {
                    Ok(id) => matcher.value = id,
                    // A whole one may be of an incident to come: of a replay they
                    // are known from the one before.
                    Err(_) if matcher.value.len() >= IDENTIFIER_LENGTH => {}
                    Err(rule) => return Err(rule),
                }
            }
        }
        matchers.extend(response.subject.iter().map(|root| is("root", typed(root))));
        Ok(matchers)
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// The rule that forbids it.
    fn unsilence(
        &mut self,
        response: &Response,
        command_id: &str,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) -> Result<(), String> {
        if let Some(rule) = stranger(context, &response.by) {
            return Err(rule);
        }
        let id = self.silences.named(response.silence.as_deref().unwrap_or_default())?;
        self.end_silence(&id, "command", &doing(response, command_id, now), context, now, out);
        Ok(())
    }

    /// What is due of a silence: its beginning or its end.
    pub(super) fn silence_due(
        &mut self,
        id: &str,
        due_at: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let Some(until) = self.silences.get(id).map(|silence| silence.data.until) else {
            self.index.set_due(What::Silence(id.to_owned()), None);
            return;
        };
        let doing = Doing::system(due_at, format!("silence {id}"));
        if until <= due_at {
            self.end_silence(id, "expired", &doing, context, now, out);
            return;
        }
        self.index.set_due(What::Silence(id.to_owned()), Some(until));
        // One that is over by now ends in its order.
        if now < until {
            self.begin_silences(context, now, &doing, out);
        }
    }

    /// Begins the silences that were asked for earlier and whose time has come.
    pub(super) fn begin_due_silences(
        &mut self,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        self.begin_silences_by(now, context, now, out);
    }

    /// The same before something else that happens now, which at the very
    /// instant of their beginning comes first.
    pub(super) fn begin_past_silences(
        &mut self,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        self.begin_silences_by(now - TimeSpan::from_micros(1), context, now, out);
    }

    fn begin_silences_by(
        &mut self,
        by: Timestamp,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        while let Some((from, id)) = self.silences.begin_next(by) {
            self.silence_due(&id, from, context, now, out);
        }
    }

    /// Puts open incidents under the silences that have begun.
    fn begin_silences(
        &mut self,
        context: &dyn Context,
        now: Timestamp,
        doing: &Doing,
        out: &mut Outputs,
    ) {
        let concerned: Vec<String> = self
            .incidents
            .values()
            .filter(|incident| incident.is_open())
            .filter(|incident| {
                let charter = charter_of(incident, context);
                let directory = context.directory_at(now);
                let labels = Labels { incident, charter: charter.as_deref(), directory };
                let under = &incident.quiet.silences;
                let mut over = self.silences.over(labels, now);
                over.any(|silence| !under.contains_key(&silence.data.silence))
            })
            .map(|incident| incident.id.clone())
            .collect();
        for id in concerned {
            self.decide(&id, context, now, out, |decision| decision.match_silences(doing));
        }
    }

    fn end_silence(
        &mut self,
        id: &str,
        reason: &str,
        doing: &Doing,
        context: &dyn Context,
        now: Timestamp,
        out: &mut Outputs,
    ) {
        let data = Unsilenced { silence: id.to_owned(), reason: reason.to_owned(), resumes: None };
        self.record_silence(FactData::Unsilenced(data), doing, now, out);
        for incident in self.index.silenced_by(id) {
            self.decide(&incident, context, now, out, |decision| {
                decision.unsilence(id, reason, doing);
            });
        }
    }

    fn record_silence(&mut self, data: FactData, doing: &Doing, now: Timestamp, out: &mut Outputs) {
        let (sequence, previous_hash) = self.silences.next();
        let fact = Fact {
            incident_id: silences_id(),
            sequence,
            fact: data.name(),
            occurred_at: doing.at,
            recorded_at: now,
            actor: doing.actor.clone(),
            cause: doing.cause.clone(),
            rationale: doing.rationale.clone(),
            drill: self.settings.drill,
            data,
            previous_hash,
            hash: String::new(),
        }
        .sealed();
        self.take_silence(&fact);
        out.facts.push(fact);
    }

    /// Takes in a fact of the chain of silences.
    pub(super) fn take_silence(&mut self, fact: &Fact) {
        self.silences.apply(fact);
        let (id, due_at) = match &fact.data {
            FactData::Silenced(data) => {
                let begun = data.from <= fact.recorded_at;
                (&data.silence, Some(if begun { data.until } else { data.from }))
            }
            FactData::Unsilenced(data) => (&data.silence, None),
            _ => return,
        };
        self.index.set_due(What::Silence(id.clone()), due_at);
    }
}

fn doing(response: &Response, id: &str, now: Timestamp) -> Doing {
    let rationale = response.rationale.clone().filter(|text| !text.trim().is_empty());
    Doing {
        at: response.at.min(now),
        actor: crate::schedule::typed_user(&response.by),
        cause: Some(format!("response {id}")),
        rationale,
    }
}

fn charter_of(incident: &Incident, context: &dyn Context) -> Option<Arc<Charter>> {
    let revision = incident.charter.as_ref()?;
    context.charter(&revision.subject, revision.in_force_at)
}
