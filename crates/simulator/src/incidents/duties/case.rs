//! The deadlines of one incident, fact by fact.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::Severity;
use watchkeep_model::incident::data::Entry;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::wrong;
use crate::simulation::Violation;

/// What can be due. Of several at one instant the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Acknowledge,
    Expiry,
    Remediate,
    Decide,
    Enter,
    Repeat,
}

/// One incident.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) last: Fact,
    /// Breaches that are attached and open.
    pub(super) open: BTreeSet<String>,
    pub(super) is_resolved: bool,
    /// A critical one waits for somebody's word.
    is_critical: bool,
    is_acknowledged: bool,
    is_remediated: bool,
    is_exhausted: bool,
    is_resting: bool,
    /// The step and climb that wait for somebody to be told.
    enters: Option<(String, u32, Timestamp)>,
    /// Why nobody may be paged, by what says so.
    quiet: BTreeSet<String>,
    standing: BTreeMap<Kind, Timestamp>,
    pub(super) made: u64,
    pub(super) fired: u64,
    pub(super) answered: u64,
}

impl Case {
    pub(super) fn open(fact: Fact) -> Result<Self, Violation> {
        let mut case = Self {
            last: fact.clone(),
            open: BTreeSet::new(),
            is_resolved: false,
            is_critical: false,
            is_acknowledged: false,
            is_remediated: false,
            is_exhausted: false,
            is_resting: false,
            enters: None,
            quiet: BTreeSet::new(),
            standing: BTreeMap::new(),
            made: 0,
            fired: 0,
            answered: 0,
        };
        let FactData::Opened(opened) = &fact.data else {
            return Err(wrong("a chain begins with opened", "it does not", &fact));
        };
        in_time(&fact, opened.due_at, opened.late_by_us)?;
        case.is_critical = opened.severity == Severity::Critical;
        case.enter(&opened.entry);
        Ok(case)
    }

    fn set(&mut self, kind: Kind, due_at: Option<Timestamp>) {
        let Some(due_at) = due_at else { return };
        self.made += 1;
        self.answered += u64::from(self.standing.insert(kind, due_at).is_some());
    }

    fn answer(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            self.answered += u64::from(self.standing.remove(kind).is_some());
        }
    }

    /// A timer of the incident fires: it must stand, be due and be the earliest.
    fn fire(&mut self, kind: Kind, due_at: Timestamp, fact: &Fact) -> Result<(), Violation> {
        let none_is_earlier = self.standing.iter().all(|(other, at)| {
            (*at, *other) >= (due_at, kind) || matches!(other, Kind::Repeat | Kind::Enter)
        });
        let stands = self.standing.get(&kind) == Some(&due_at);
        if !stands || self.is_resting || self.is_resolved || !none_is_earlier {
            let why = format!("{kind:?} of {due_at} is not the next of {:?}", self.standing);
            return Err(wrong("every due_at is answered once", &why, fact));
        }
        self.standing.remove(&kind);
        self.fired += 1;
        Ok(())
    }

    fn enter(&mut self, entry: &Entry) {
        self.answer(&[Kind::Acknowledge, Kind::Remediate, Kind::Decide, Kind::Enter]);
        let unless = |done: bool, at: Option<Timestamp>| at.filter(|_| !done);
        self.set(Kind::Acknowledge, unless(self.is_acknowledged, entry.acknowledge_by));
        self.set(Kind::Remediate, unless(self.is_remediated, entry.remediate_by));
        self.set(Kind::Decide, entry.decide_by);
        self.set(Kind::Enter, Some(entry.enters_at));
        self.enters = Some((entry.step.clone(), entry.climb, entry.enters_at));
        self.is_resting = false;
    }

    fn begin_anew(&mut self) {
        self.answer(&[Kind::Expiry, Kind::Repeat]);
        (self.is_acknowledged, self.is_remediated, self.is_exhausted) = (false, false, false);
    }

    /// The instant at which a step was due that a trigger left.
    fn left(&mut self, trigger: &str, due_at: Timestamp, fact: &Fact) -> Result<(), Violation> {
        let kind = match trigger {
            "not_acknowledged" => Kind::Acknowledge,
            "not_remediated" => Kind::Remediate,
            "not_decided" => Kind::Decide,
            _ => return Ok(()),
        };
        self.fire(kind, due_at, fact)
    }

    /// Takes in the next fact.
    pub(super) fn follow(&mut self, fact: Fact) -> Result<(), Violation> {
        match &fact.data {
            FactData::Notified(data) => {
                if self.is_resolved {
                    let invariant = "nobody is paged for what is over";
                    return Err(wrong(invariant, "it is resolved", &fact));
                }
                if let Some(why) = self.quiet.first() {
                    return Err(wrong("nobody is paged for what is quiet", why, &fact));
                }
                self.tell(&data.step, data.climb, &data.reason, data.repeat_at, &fact)?;
            }
            FactData::NotificationSkipped(data) => {
                self.tell(&data.step, data.climb, "", data.repeat_at, &fact)?;
            }
            FactData::Escalated(data) => {
                in_time(&fact, data.due_at, data.late_by_us)?;
                self.left(&data.trigger, data.due_at, &fact)?;
                self.enter(&data.entry);
            }
            FactData::Exhausted(data) => {
                in_time(&fact, data.due_at, data.late_by_us)?;
                self.left(&data.trigger, data.due_at, &fact)?;
                self.answer(&[Kind::Acknowledge, Kind::Remediate, Kind::Decide, Kind::Enter]);
                (self.is_exhausted, self.enters) = (true, None);
            }
            FactData::AcknowledgementExpired(data) => {
                in_time(&fact, data.due_at, data.late_by_us)?;
                self.fire(Kind::Expiry, data.due_at, &fact)?;
                self.is_acknowledged = false;
                if let Some(entry) = &data.entry {
                    self.enter(entry);
                }
            }
            FactData::Acknowledged(data) => {
                self.is_acknowledged = true;
                self.answer(&[Kind::Acknowledge, Kind::Expiry, Kind::Repeat]);
                self.set(Kind::Expiry, data.expires_at);
            }
            FactData::SeverityChanged(data) => {
                self.is_critical = data.to == Severity::Critical;
                if let Some(entry) = &data.entry {
                    self.enter(entry);
                }
            }
            FactData::Remediated(_) => {
                self.answer(&[Kind::Remediate, Kind::Decide]);
                (self.is_remediated, self.is_resting) = (true, true);
            }
            FactData::SignedOff(_) => self.answer(&[Kind::Decide]),
            FactData::Verified(_) => self.is_resting = true,
            FactData::VerificationFailed(_) => self.begin_anew(),
            FactData::BreachAttached(data) => {
                self.open.insert(data.breach_id.clone());
                self.is_resting &= self.is_remediated;
            }
            FactData::BreachCleared(data) => {
                self.open.remove(&data.breach_id);
                self.is_resting |= self.open.is_empty();
            }
            FactData::Resolved(_) | FactData::Merged(_) => self.resolve(),
            FactData::Reopened(data) => {
                in_time(&fact, data.due_at, data.late_by_us)?;
                if !self.is_resolved {
                    return Err(wrong("only what is over is reopened", "it is open", &fact));
                }
                self.begin_anew();
                self.open.clear();
                self.is_resolved = false;
                self.is_critical = data.severity == Severity::Critical;
                self.enter(&data.entry);
            }
            FactData::Silenced(data) => self.hush(format!("silence {}", data.silence), true),
            FactData::Unsilenced(data) => self.hush(format!("silence {}", data.silence), false),
            FactData::Inhibited(data) => self.hush(format!("incident {}", data.by), true),
            FactData::Uninhibited(data) => self.hush(format!("incident {}", data.by), false),
            FactData::Opened(_) => {
                return Err(wrong("an incident opens once", "it was open before", &fact));
            }
            FactData::OwnerResolved(_)
            | FactData::ActionRecorded(_)
            | FactData::CommandRejected(_)
            | FactData::DeliveryReported(_)
            | FactData::FlappingStarted(_)
            | FactData::FlappingEnded(_)
            | FactData::Reviewed(_)
            | FactData::Closed(_) => {}
        }
        self.last = fact;
        Ok(())
    }

    /// Something asks for quiet from now on, or does no longer.
    fn hush(&mut self, what: String, begins: bool) {
        if begins {
            self.quiet.insert(what);
        } else {
            self.quiet.remove(&what);
        }
    }

    fn resolve(&mut self) {
        let all: Vec<Kind> = self.standing.keys().copied().collect();
        self.answer(&all);
        (self.is_resolved, self.enters) = (true, None);
    }

    /// Somebody is told of the step, or it is told why nobody is.
    fn tell(
        &mut self,
        step: &str,
        climb: u32,
        reason: &str,
        repeat_at: Option<Timestamp>,
        fact: &Fact,
    ) -> Result<(), Violation> {
        if let Some((name, of_climb, enters_at)) = &self.enters {
            if name != step || *of_climb != climb {
                let why = format!("it stands on {name} in climb {of_climb}");
                return Err(wrong("the step that is entered is told of", &why, fact));
            }
            if fact.recorded_at < *enters_at {
                return Err(wrong("nothing fires before its time", "the step waits", fact));
            }
        }
        self.fired += u64::from(self.standing.remove(&Kind::Enter).is_some());
        if reason == "repeat" {
            let stands = self.standing.get(&Kind::Repeat).copied();
            if stands.is_some_and(|at| at <= fact.recorded_at) {
                self.standing.remove(&Kind::Repeat);
                self.fired += 1;
            } else if stands.is_none() || stands != repeat_at {
                let why = format!("a repetition was due at {stands:?}");
                return Err(wrong("every due_at is answered once", &why, fact));
            }
        }
        if repeat_at.is_some() && self.standing.get(&Kind::Repeat) != repeat_at.as_ref() {
            self.set(Kind::Repeat, repeat_at);
        }
        Ok(())
    }

    /// Nothing that is due is left.
    pub(super) fn end(&self, now: Timestamp, settles_by_itself: bool) -> Result<(), Violation> {
        if self.is_resolved {
            return Ok(());
        }
        let left = |why: String| Err(wrong("nothing that is due is left", &why, &self.last));
        if self.open.is_empty() && settles_by_itself && !self.is_critical {
            return left(format!("at {now} no breach is open and it is not resolved"));
        }
        if self.is_resting {
            return Ok(());
        }
        match self.standing.iter().find(|(_, at)| **at <= now) {
            Some((kind, at)) => left(format!("at {now} {kind:?} was due at {at}")),
            None => Ok(()),
        }
    }
}

/// A deadline fires at its own instant, and says how late it was.
fn in_time(fact: &Fact, due_at: Timestamp, late_by_us: Option<i64>) -> Result<(), Violation> {
    if fact.recorded_at < due_at {
        return Err(wrong("nothing fires before its time", "it was not due", fact));
    }
    let late = fact.recorded_at.since(due_at).as_micros();
    if late_by_us.unwrap_or(0) != late {
        return Err(wrong("late_by_us is told", &format!("it was {late}"), fact));
    }
    Ok(())
}
