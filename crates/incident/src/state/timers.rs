//! What is due of an incident, and when.

use watchkeep_model::time::Timestamp;

use super::Incident;

/// What is due. Of several timers of one incident at one instant the first in
/// this order counts: the acknowledgement's before the remediation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The last breach has cleared for long enough, or enough windows were good.
    Settle,
    /// Working hours begin for a step that waited for them.
    Enter,
    /// Nobody has acknowledged.
    Acknowledge,
    /// An acknowledgement has lasted too long.
    AcknowledgementExpires,
    /// Nobody has remediated.
    Remediate,
    /// Nobody has decided.
    Decide,
    /// A signed rollback is not done.
    Rollback,
    /// An exhausted incident repeats itself.
    Repeat,
    /// The review is not there.
    ReviewOverdue,
    /// Nobody has to review it, or somebody has, and nothing came back.
    Close,
    /// Whether it still comes and goes is looked at.
    FlapEnds,
    /// A message tells of breaches that joined.
    Update,
}

impl Timer {
    /// The name used as the cause in facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::Enter => "enter",
            Self::Acknowledge => "acknowledge",
            Self::AcknowledgementExpires => "acknowledgement_expires",
            Self::Remediate => "remediate",
            Self::Decide => "decide",
            Self::Rollback => "rollback",
            Self::Repeat => "repeat",
            Self::ReviewOverdue => "review_overdue",
            Self::Close => "close",
            Self::FlapEnds => "flap_ends",
            Self::Update => "update",
        }
    }
}

impl Incident {
    /// The first deadline that still asks for something.
    pub fn respond_by(&self) -> Option<Timestamp> {
        if self.resting || self.exhausted || self.rests() {
            return None;
        }
        self.deadlines().map(|(due_at, _)| due_at).min()
    }

    /// When those whom the steps have run out to are asked again; `None` where
    /// somebody has answered or nothing is asked any more.
    pub(crate) fn repeats_at(&self) -> Option<Timestamp> {
        self.repeat_at.filter(|_| self.acknowledged.is_none() && !self.resting)
    }

    fn deadlines(&self) -> impl Iterator<Item = (Timestamp, Timer)> {
        let acknowledge = self.entry.acknowledge_by.filter(|_| self.acknowledged.is_none());
        let remediate = self.entry.remediate_by.filter(|_| self.remediated.is_none());
        let decide = self.entry.decide_by.filter(|_| !self.decided);
        let rollback = self.people.rollback_by;
        [
            acknowledge.map(|at| (at, Timer::Acknowledge)),
            remediate.map(|at| (at, Timer::Remediate)),
            decide.map(|at| (at, Timer::Decide)),
            rollback.map(|at| (at, Timer::Rollback)),
        ]
        .into_iter()
        .flatten()
    }

    /// The next timer that is due, and when. `check_at` is when the incident
    /// is next looked at for settling.
    pub fn next_timer(&self, check_at: Option<Timestamp>) -> Option<(Timestamp, Timer)> {
        let flap = self.quiet.flaps_until.map(|at| (at, Timer::FlapEnds));
        let update = self.update.due_at.filter(|_| self.tells()).map(|at| (at, Timer::Update));
        flap.into_iter().chain(update).chain(self.next_of_ladder(check_at)).min()
    }

    /// True where a message about joined breaches may go out.
    pub(crate) fn tells(&self) -> bool {
        self.is_open() && self.entered && !self.resting && !self.rests()
    }

    fn next_of_ladder(&self, check_at: Option<Timestamp>) -> Option<(Timestamp, Timer)> {
        if !self.is_open() {
            return self.people.after_resolution(self.state);
        }
        let settle = check_at.map(|at| (at, Timer::Settle));
        if self.resting {
            return settle;
        }
        let enter =
            (!self.entered && !self.exhausted).then_some((self.entry.enters_at, Timer::Enter));
        if self.rests() {
            return settle.into_iter().chain(enter).min();
        }
        let expiry = self.acknowledged.as_ref().and_then(|ack| ack.expires_at);
        let expiry = expiry.map(|at| (at, Timer::AcknowledgementExpires));
        if self.exhausted {
            let repeat = self.repeat_at.filter(|_| self.acknowledged.is_none());
            let repeat = repeat.map(|at| (at, Timer::Repeat));
            let rollback = self.people.rollback_by.map(|at| (at, Timer::Rollback));
            return settle.into_iter().chain(expiry).chain(repeat).chain(rollback).min();
        }
        if enter.is_some() {
            return settle.into_iter().chain(expiry).chain(enter).min();
        }
        settle.into_iter().chain(expiry).chain(self.deadlines()).min()
    }
}
