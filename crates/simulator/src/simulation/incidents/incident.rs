//! One incident, fact by fact.

use std::collections::BTreeSet;

use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::incident::data::{Entry, Escalated, Notified};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::Policy;
use crate::simulation::plan::Ladder;

/// Who is notified where nobody else answers, and as everybody's backup.
const LAST: &str = "user:dora";

pub(super) struct Incident {
    /// How many were opened before it.
    pub(super) number: usize,
    pub(super) last: Fact,
    pub(super) root: String,
    pub(super) group: String,
    pub(super) step: usize,
    pub(super) climb: u32,
    pub(super) acknowledge_by: Option<Timestamp>,
    pub(super) remediate_by: Option<Timestamp>,
    /// Until when the acknowledgement holds, where there is one.
    pub(super) acknowledged: Option<Option<Timestamp>>,
    pub(super) is_remediated: bool,
    pub(super) is_resting: bool,
    pub(super) is_resolved: bool,
    pub(super) is_exhausted: bool,
    pub(super) repeat_at: Option<Timestamp>,
    pub(super) reopens_until: Option<Timestamp>,
    /// Breaches that are attached and open.
    pub(super) open: BTreeSet<String>,
    /// True while somebody has to be told next.
    pub(super) owes_notice: bool,
    pub(super) notified: u64,
    /// True for incidents that follow the built-in policy.
    pub(super) is_of_the_platform: bool,
}

impl Incident {
    pub(super) fn begin(fact: &Fact, root: &str, group: &str, number: usize) -> Self {
        Self {
            number,
            last: fact.clone(),
            root: root.to_owned(),
            group: group.to_owned(),
            step: 0,
            climb: 1,
            acknowledge_by: None,
            remediate_by: None,
            acknowledged: None,
            is_remediated: false,
            is_resting: false,
            is_resolved: false,
            is_exhausted: false,
            repeat_at: None,
            reopens_until: None,
            open: BTreeSet::new(),
            owes_notice: false,
            notified: 0,
            is_of_the_platform: matches!(
                &fact.data,
                FactData::Opened(opened) if opened.kind == ExpectationKind::Platform
            ),
        }
    }

    /// What holds under every policy.
    pub(super) fn follow_freely(&mut self, fact: &Fact) -> Result<(), String> {
        match &fact.data {
            FactData::Notified(_) if self.is_resolved => {
                return Err("nobody is paged for a resolved incident".into());
            }
            FactData::Notified(_) => self.notified += 1,
            FactData::BreachAttached(data) => drop(self.open.insert(data.breach_id.clone())),
            FactData::BreachCleared(data) => drop(self.open.remove(&data.breach_id)),
            FactData::Resolved(_) => self.is_resolved = true,
            FactData::Reopened(_) => {
                self.is_resolved = false;
                self.open.clear();
            }
            _ => {}
        }
        Ok(())
    }

    /// The incident stands on a step from the moment of a fact on.
    pub(super) fn enter(
        &mut self,
        ladder: &Ladder,
        step: usize,
        climb: u32,
        entry: &Entry,
        fact: &Fact,
    ) -> Result<(), String> {
        let Some(rung) = ladder.steps.get(step) else { return Err("there is no such step".into()) };
        let from = fact.recorded_at;
        let acknowledge_by = Some(from + rung.acknowledge_within);
        let remediate_by = rung.remediate_within.map(|span| from + span);
        let expected = Entry {
            step: rung.name.clone(),
            climb,
            enters_at: from,
            acknowledge_by,
            remediate_by,
            decide_by: None,
        };
        if *entry != expected {
            return Err(format!("the step to enter is {expected:?}"));
        }
        (self.step, self.climb) = (step, climb);
        (self.acknowledge_by, self.remediate_by) = (acknowledge_by, remediate_by);
        (self.owes_notice, self.is_resting) = (true, false);
        Ok(())
    }

    /// The deadline that fires next.
    pub(super) fn next(&self) -> Option<(Timestamp, &'static str)> {
        if self.is_resolved || self.is_resting {
            return None;
        }
        let expiry = self.acknowledged.flatten().map(|at| (at, 1, "ack_timeout"));
        let unanswered = self.acknowledged.is_none();
        if self.is_exhausted {
            let repeat = self.repeat_at.filter(|_| unanswered).map(|at| (at, 3, "repeat"));
            return expiry.into_iter().chain(repeat).min().map(|(at, _, what)| (at, what));
        }
        let acknowledge = self.acknowledge_by.filter(|_| unanswered);
        let acknowledge = acknowledge.map(|at| (at, 0, "not_acknowledged"));
        let remediate = self.remediate_by.filter(|_| !self.is_remediated);
        let remediate = remediate.map(|at| (at, 2, "not_remediated"));
        let all = acknowledge.into_iter().chain(expiry).chain(remediate);
        all.min().map(|(at, _, what)| (at, what))
    }

    /// A deadline fires: it must be the next, and due.
    fn fires(&self, what: &str, due_at: Timestamp, fact: &Fact) -> Result<(), String> {
        match self.next() {
            Some((at, next)) if next == what && at == due_at && fact.recorded_at >= at => Ok(()),
            next => Err(format!("next is {next:?}, not {what} at {due_at}")),
        }
    }

    pub(super) fn follow(&mut self, policy: &Policy, fact: &Fact) -> Result<(), String> {
        let ladder = &policy.ladder;
        match &fact.data {
            FactData::Notified(data) => return self.tell(policy, data, fact),
            FactData::BreachAttached(data) => {
                self.open.insert(data.breach_id.clone());
                self.is_resting &= self.is_remediated;
                return Ok(());
            }
            FactData::CommandRejected(_)
            | FactData::ActionRecorded(_)
            | FactData::OwnerResolved(_) => return Ok(()),
            _ if self.owes_notice => return Err("somebody was to be told first".into()),
            _ => {}
        }
        if self.is_resolved
            && !matches!(fact.data, FactData::Reopened(_) | FactData::BreachCleared(_))
        {
            return Err("the incident is resolved".into());
        }
        match &fact.data {
            FactData::BreachCleared(data) => {
                if !self.open.remove(&data.breach_id) {
                    return Err("the breach is not open here".into());
                }
                self.is_resting |= self.open.is_empty();
            }
            FactData::Escalated(data) => self.climb(ladder, data, fact)?,
            FactData::Exhausted(data) => {
                if data.trigger != "requested" {
                    self.fires(&data.trigger, data.due_at, fact)?;
                }
                if self.after(ladder).is_some() {
                    return Err("there is a further step".into());
                }
                (self.is_exhausted, self.owes_notice) = (true, true);
            }
            FactData::Acknowledged(_) => {
                let expires = ladder.ack_timeout.map(|span| fact.occurred_at + span);
                self.acknowledged = Some(expires);
            }
            FactData::AcknowledgementExpired(data) => {
                self.fires("ack_timeout", data.due_at, fact)?;
                self.acknowledged = None;
                self.owes_notice = true;
                if let Some(entry) = &data.entry {
                    self.enter(ladder, self.step, self.climb, entry, fact)?;
                }
            }
            FactData::Remediated(_) => (self.is_remediated, self.is_resting) = (true, true),
            FactData::VerificationFailed(_) => self.begin_anew(),
            FactData::Resolved(data) => {
                if !self.open.is_empty() {
                    return Err("a breach is open".into());
                }
                self.is_resolved = true;
                self.reopens_until = Some(data.reopens_until);
                if data.reopens_until != fact.recorded_at + ladder.reopen_within {
                    return Err("it can be reopened for reopen_within".into());
                }
            }
            FactData::Reopened(data) => {
                if !self.is_resolved || fact.recorded_at < data.due_at {
                    return Err("only a resolved incident is reopened, after group_wait".into());
                }
                self.begin_anew();
                (self.is_resolved, self.reopens_until) = (false, None);
                self.open.clear();
                self.enter(ladder, 0, 1, &data.entry, fact)?;
            }
            other => return Err(format!("{:?} was not to come", other.name())),
        }
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.acknowledged = None;
        self.is_remediated = false;
        self.is_exhausted = false;
        self.repeat_at = None;
    }

    /// The step above and its climb; none after the last climb.
    fn after(&self, ladder: &Ladder) -> Option<(usize, u32)> {
        if self.step + 1 < ladder.steps.len() {
            Some((self.step + 1, self.climb))
        } else {
            (self.climb < ladder.loops).then_some((0, self.climb + 1))
        }
    }

    fn climb(&mut self, ladder: &Ladder, data: &Escalated, fact: &Fact) -> Result<(), String> {
        let (step, climb) = match data.trigger.as_str() {
            "verification_failed" => (0, 1),
            "requested" => self.after(ladder).ok_or("the steps have run out")?,
            trigger => {
                self.fires(trigger, data.due_at, fact)?;
                self.after(ladder).ok_or("the steps have run out")?
            }
        };
        self.enter(ladder, step, climb, &data.entry, fact)
    }

    fn tell(&mut self, policy: &Policy, data: &Notified, fact: &Fact) -> Result<(), String> {
        if self.is_resolved {
            return Err("nobody is paged for a resolved incident".into());
        }
        self.notified += 1;
        if self.is_exhausted {
            if !self.owes_notice {
                let at = self.repeat_at.unwrap_or(fact.occurred_at);
                self.fires("repeat", at, fact)?;
            }
            self.owes_notice = false;
            let again = fact.recorded_at + policy.ladder.repeat_interval;
            self.repeat_at = self.acknowledged.is_none().then_some(again);
            let right = data.target == LAST && data.repeat_at == self.repeat_at;
            return if right { Ok(()) } else { Err(format!("{LAST} was to be told")) };
        }
        let rung = policy.ladder.steps.get(self.step).ok_or("there is no such step")?;
        let target = match rung.role {
            "primary" => policy.owners.get(&self.root).map_or("", String::as_str),
            _ => LAST,
        };
        let right = self.owes_notice
            && data.target == target
            && data.step == rung.name
            && data.climb == self.climb;
        self.owes_notice = false;
        if right { Ok(()) } else { Err(format!("{target} was to be told of {}", rung.name)) }
    }
}
