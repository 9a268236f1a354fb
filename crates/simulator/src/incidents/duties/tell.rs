//! What people are told of an incident, and when.

use watchkeep_model::incident::Fact;
use watchkeep_model::incident::data::{ActionRecorded, Entry, NotificationSkipped, Notified};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::case::{Case, Kind, in_time};
use super::flaps::GOES_ON;
use super::reach::FAILED;
use super::wrong;
use crate::simulation::Violation;

/// What a fact says that was told, or not.
struct Told<'a> {
    step: &'a str,
    climb: u32,
    /// False for what tells of a step that was entered before: a digest, or
    /// what takes the place of a page that has reached nobody.
    enters: bool,
    reason: &'a str,
}

impl Case {
    /// An action that is due, or that makes something due.
    pub(super) fn act(&mut self, data: &ActionRecorded, fact: &Fact) -> Result<(), Violation> {
        match data.action.as_str() {
            GOES_ON => self.flaps_on(data.due_at, fact)?,
            "rollback_ordered" => {
                self.set(Kind::Rollback, data.due_at);
                self.set_at.insert(Kind::Rollback, fact.recorded_at);
            }
            "rollback_overdue" => {
                in_time(fact, data.due_at.unwrap_or(fact.occurred_at), data.late_by_us)?;
                if self.rests() || self.is_resting || self.is_resolved || !self.is_exhausted {
                    return Err(wrong("every due_at is answered once", "it rests", fact));
                }
                self.fire_apart(Kind::Rollback, fact)?;
            }
            "review_overdue" => {
                in_time(fact, data.due_at.unwrap_or(fact.occurred_at), data.late_by_us)?;
                self.fire_apart(Kind::Review, fact)?;
            }
            "update_sent" => {
                if self.rests() || self.is_resting || self.is_resolved {
                    return Err(wrong("nobody is told of what is quiet", "it is", fact));
                }
                self.fire_apart(Kind::Update, fact)?;
                self.told_at = fact.occurred_at;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn page(&mut self, data: &Notified, fact: &Fact) -> Result<(), Violation> {
        if self.is_resolved {
            return Err(wrong("nobody is paged for what is over", "it is resolved", fact));
        }
        if let Some(why) = self.holds(&data.reason) {
            return Err(wrong("nobody is paged for what is quiet", &why, fact));
        }
        let is_other = data.reason == FAILED;
        if is_other {
            self.tells_the_same(data, fact)?;
        }
        let enters = data.reason != "digest" && !is_other;
        let told = Told { step: &data.step, climb: data.climb, enters, reason: &data.reason };
        self.tell(&told, data.repeat_at, fact)?;
        self.told_at = fact.occurred_at;
        self.handoff = self.handoff.take().filter(|who| *who != data.target);
        self.answer(&[Kind::Update]);
        Ok(())
    }

    /// Whoever was handed the incident knows of it, once nothing is in the way.
    ///
    /// # Errors
    /// They do not, and `will` a digest tell them neither.
    pub(super) fn is_handed_over(&self, will: impl Fn(&str) -> bool) -> Result<(), Violation> {
        let waits = self.is_muted() || self.standing.contains_key(&Kind::Enter);
        let Some(who) = &self.handoff else { return Ok(()) };
        if self.is_resolved || self.is_resting || waits || will(who) {
            return Ok(());
        }
        Err(wrong("no page that was held back is lost", &format!("{who} is not told"), &self.last))
    }

    /// It is told why somebody is not.
    pub(super) fn skip(
        &mut self,
        data: &NotificationSkipped,
        fact: &Fact,
    ) -> Result<(), Violation> {
        let is_theirs = Some(&self.labels.owner) == data.target.as_ref();
        if is_theirs && (data.handoff || self.is_not_told(&self.labels.owner)) {
            self.handoff.clone_from(&data.target);
        }
        let enters = fact.cause.as_deref() != Some("digest") && !self.is_of_page(data, fact);
        let told = Told { step: &data.step, climb: data.climb, enters, reason: "" };
        self.tell(&told, data.repeat_at, fact)
    }

    /// Somebody is told of the step, or it is told why nobody is.
    fn tell(
        &mut self,
        told: &Told<'_>,
        repeat_at: Option<Timestamp>,
        fact: &Fact,
    ) -> Result<(), Violation> {
        if told.enters {
            let Entry { step, climb, enters_at, .. } = &self.entry;
            let stands_on = if self.is_exhausted { "on_exhausted" } else { step };
            if stands_on != told.step || *climb != told.climb {
                let why = format!("it stands on {stands_on} in climb {climb}");
                return Err(wrong("the step that is entered is told of", &why, fact));
            }
            if self.standing.contains_key(&Kind::Enter) && fact.recorded_at < *enters_at {
                return Err(wrong("nothing fires before its time", "the step waits", fact));
            }
            self.fired += u64::from(self.standing.remove(&Kind::Enter).is_some());
        }
        if told.reason == "repeat" && !self.quiet.must_tell {
            let stands = self.standing.get(&Kind::Repeat).copied();
            if stands.is_some_and(|at| at <= fact.recorded_at) {
                self.standing.remove(&Kind::Repeat);
                self.fired += 1;
            } else if stands.is_none() || stands != repeat_at {
                let why = format!("a repetition was due at {stands:?}");
                return Err(wrong("every due_at is answered once", &why, fact));
            }
        }
        if repeat_at.is_some()
            && !self.is_acknowledged
            && self.standing.get(&Kind::Repeat) != repeat_at.as_ref()
        {
            self.set(Kind::Repeat, repeat_at);
            self.set_at.insert(Kind::Repeat, fact.recorded_at);
        }
        self.quiet.must_tell &= !told.enters;
        Ok(())
    }

    /// No message tells of joined breaches before `group_interval` has passed.
    ///
    /// # Errors
    /// One that is announced too early.
    pub(super) fn updates_are_apart(&self, group_interval: TimeSpan) -> Result<(), Violation> {
        match self.standing.get(&Kind::Update) {
            Some(at) if *at < self.told_at + group_interval => {
                let why = format!("at {at}, and {} was the last", self.told_at);
                Err(wrong("updates are group_interval apart", &why, &self.last))
            }
            _ => Ok(()),
        }
    }
}
