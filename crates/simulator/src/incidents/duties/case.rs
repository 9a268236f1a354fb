//! The deadlines of one incident, fact by fact.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::Severity;
use watchkeep_model::incident::data::{Entry, Opened};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::quiet::Quiet;
use super::reach::Reach;
use super::speaks::Trouble;
use super::wrong;
use crate::simulation::Violation;

/// What can be due. Of several at one instant the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Acknowledge,
    Expiry,
    Remediate,
    Decide,
    Rollback,
    Enter,
    Repeat,
    Review,
    Close,
    Flap,
    Update,
}

/// Deadlines that a step sets.
const OF_STEP: [Kind; 4] = [Kind::Acknowledge, Kind::Remediate, Kind::Decide, Kind::Enter];

/// Deadlines that go by the order of time among themselves.
const LADDER: [Kind; 4] = [Kind::Acknowledge, Kind::Expiry, Kind::Remediate, Kind::Decide];

/// The expectation of the platform that too few features breach at once.
const SHARE: &str = "platform_incident_share";

/// What silences and people can ask about an incident.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) root: String,
    pub(super) kind: String,
    pub(super) policy: String,
    pub(super) severity: Severity,
    pub(super) owner: String,
    pub(super) is_unowned: bool,
    /// Subjects that have breached since it opened or reopened.
    pub(super) features: BTreeSet<String>,
}

/// One incident.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) last: Fact,
    pub(super) labels: Labels,
    /// Breaches that are attached and open.
    pub(super) open: BTreeSet<String>,
    /// Of these, those that say that too large a share of all features breaches.
    pub(super) share: BTreeSet<String>,
    /// What it may explain below its root.
    pub(super) trouble: Trouble,
    pub(super) is_resolved: bool,
    is_closed: bool,
    pub(super) is_acknowledged: bool,
    pub(super) is_remediated: bool,
    is_verified: bool,
    /// Since the step was entered.
    is_decided: bool,
    pub(super) is_exhausted: bool,
    /// Nothing is asked: it is remediated or nothing breaches.
    pub(super) is_resting: bool,
    /// When the incident may settle, after its last breach has cleared.
    pub(super) settles_at: Option<Timestamp>,
    /// The step that it stands on, as it was entered.
    pub(super) entry: Entry,
    /// Why it stands there.
    pub(super) entry_reason: &'static str,
    /// What holds pages back, and which.
    pub(super) quiet: Quiet,
    /// Who was put in the owner's place and has not been told.
    pub(super) handoff: Option<String>,
    /// Whom pages were sent to, and whom none has reached.
    pub(super) reach: Reach,
    /// When people were told of its breaches last.
    pub(super) told_at: Timestamp,
    pub(super) standing: BTreeMap<Kind, Timestamp>,
    /// When those were set that no step sets.
    pub(super) set_at: BTreeMap<Kind, Timestamp>,
    pub(super) made: u64,
    pub(super) fired: u64,
    pub(super) answered: u64,
}

impl Case {
    pub(super) fn open(fact: Fact) -> Result<Self, Violation> {
        let FactData::Opened(opened) = &fact.data else {
            return Err(wrong("a chain begins with opened", "it does not", &fact));
        };
        in_time(&fact, opened.due_at, opened.late_by_us)?;
        let mut case = Self {
            last: fact.clone(),
            labels: labels(opened),
            open: BTreeSet::new(),
            share: BTreeSet::new(),
            trouble: Trouble::default(),
            is_resolved: false,
            is_closed: false,
            is_acknowledged: false,
            is_remediated: false,
            is_verified: false,
            is_decided: false,
            is_exhausted: false,
            is_resting: false,
            settles_at: None,
            entry: opened.entry.clone(),
            entry_reason: "first",
            quiet: Quiet::default(),
            handoff: None,
            reach: Reach::default(),
            told_at: fact.occurred_at,
            standing: BTreeMap::new(),
            set_at: BTreeMap::new(),
            made: 0,
            fired: 0,
            answered: 0,
        };
        case.enter(&opened.entry, "first");
        Ok(case)
    }

    pub(super) fn set(&mut self, kind: Kind, due_at: Option<Timestamp>) {
        let Some(due_at) = due_at else { return };
        self.made += 1;
        self.answered += u64::from(self.standing.insert(kind, due_at).is_some());
    }

    pub(super) fn answer(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            self.answered += u64::from(self.standing.remove(kind).is_some());
        }
    }

    /// A deadline of the step fires: it must stand, be due and be the earliest.
    fn fire(&mut self, kind: Kind, due_at: Timestamp, fact: &Fact) -> Result<(), Violation> {
        let is_next = LADDER
            .iter()
            .all(|other| self.standing.get(other).is_none_or(|at| (*at, *other) >= (due_at, kind)));
        let stands = self.standing.get(&kind) == Some(&due_at);
        if !stands || self.is_resting || self.is_resolved || self.rests() || !is_next {
            let why = format!(
                "{kind:?} of {due_at} is not the next of {:?} (quiet: {:?})",
                self.standing, self.quiet
            );
            return Err(wrong("every due_at is answered once", &why, fact));
        }
        self.standing.remove(&kind);
        self.fired += 1;
        Ok(())
    }

    /// A deadline fires that neither the step nor what is quiet concerns.
    pub(super) fn fire_apart(&mut self, kind: Kind, fact: &Fact) -> Result<(), Violation> {
        match self.standing.remove(&kind) {
            Some(at) if at <= fact.recorded_at => {
                self.fired += 1;
                Ok(())
            }
            other => {
                let why = format!("{kind:?} stands at {other:?}");
                Err(wrong("every due_at is answered once", &why, fact))
            }
        }
    }

    fn enter(&mut self, entry: &Entry, reason: &'static str) {
        self.is_decided = false;
        self.stand_on(entry);
        self.entry_reason = reason;
        self.is_resting = false;
        self.quiet.owes = false;
        self.quiet.held = false;
        self.reach.begin_anew(None);
    }

    /// The deadlines of a step that is entered, anew where it was entered before.
    pub(super) fn stand_on(&mut self, entry: &Entry) {
        self.answer(&OF_STEP);
        let unless = |done: bool, at: Option<Timestamp>| at.filter(|_| !done);
        self.set(Kind::Acknowledge, unless(self.is_acknowledged, entry.acknowledge_by));
        self.set(Kind::Remediate, unless(self.is_remediated, entry.remediate_by));
        self.set(Kind::Decide, unless(self.is_decided, entry.decide_by));
        self.set(Kind::Enter, Some(entry.enters_at));
        self.entry = entry.clone();
    }

    fn begin_anew(&mut self) {
        self.answer(&[Kind::Expiry, Kind::Repeat, Kind::Rollback]);
        (self.is_acknowledged, self.is_remediated, self.is_exhausted) = (false, false, false);
        self.is_verified = false;
    }

    /// The instant at which a step was due that a trigger left.
    fn left(&mut self, trigger: &str, due_at: Timestamp, fact: &Fact) -> Result<(), Violation> {
        let kind = match trigger {
            "not_acknowledged" => Kind::Acknowledge,
            "not_remediated" => Kind::Remediate,
            "not_decided" => Kind::Decide,
            "not_rolled_back" => Kind::Rollback,
            _ => return Ok(()),
        };
        self.fire(kind, due_at, fact)
    }

    /// Takes in the next fact.
    pub(super) fn follow(&mut self, fact: Fact) -> Result<(), Violation> {
        self.take(&fact)?;
        self.trouble.follow(&self.labels.root, &fact);
        self.follow_reach(&fact)?;
        self.rest_from(fact.recorded_at);
        self.last = fact;
        Ok(())
    }

    fn take(&mut self, fact: &Fact) -> Result<(), Violation> {
        match &fact.data {
            FactData::Opened(_) => {
                return Err(wrong("an incident opens once", "it was open before", fact));
            }
            FactData::Notified(data) => self.page(data, fact)?,
            FactData::NotificationSkipped(data) => {
                self.skip(data, fact)?;
                self.hold(data, fact)?;
            }
            FactData::Escalated(data) => {
                in_time(fact, data.due_at, data.late_by_us)?;
                self.left(&data.trigger, data.due_at, fact)?;
                let failed = data.trigger == "verification_failed";
                let reason = if failed { "verification_failed" } else { "escalated" };
                self.enter(&data.entry, reason);
            }
            FactData::Exhausted(data) => {
                in_time(fact, data.due_at, data.late_by_us)?;
                self.left(&data.trigger, data.due_at, fact)?;
                self.answer(&OF_STEP);
                self.is_exhausted = true;
                // What was held back was asked for by the steps before.
                self.quiet.owes = false;
                self.quiet.held = false;
            }
            FactData::AcknowledgementExpired(data) => {
                in_time(fact, data.due_at, data.late_by_us)?;
                self.fire(Kind::Expiry, data.due_at, fact)?;
                self.is_acknowledged = false;
                if let Some(entry) = &data.entry {
                    self.enter(entry, "ack_timeout");
                }
            }
            FactData::Acknowledged(data) => {
                self.is_acknowledged = true;
                // Whoever answers knows that it is theirs.
                self.handoff = self.handoff.take().filter(|who| *who != fact.actor);
                self.quiet.owes = false;
                self.answer(&[Kind::Acknowledge, Kind::Expiry, Kind::Repeat]);
                self.set(Kind::Expiry, data.expires_at);
                self.set_at.insert(Kind::Expiry, fact.recorded_at);
            }
            FactData::SeverityChanged(data) => {
                self.labels.severity = data.to;
                if let Some(entry) = &data.entry {
                    self.stand_on(entry);
                }
            }
            FactData::OwnerResolved(data) => {
                self.labels.owner = data.owner.clone().unwrap_or_default();
                let by_hand = data.method.as_deref() == Some("reassigned");
                self.handoff = data.owner.clone().filter(|_| by_hand);
                self.labels.is_unowned = data.unowned;
            }
            FactData::Remediated(_) => {
                self.answer(&[Kind::Remediate, Kind::Decide, Kind::Rollback]);
                (self.is_remediated, self.is_resting) = (true, true);
                self.is_decided = true;
            }
            FactData::SignedOff(data) => {
                if !data.undecided {
                    self.answer(&[Kind::Decide]);
                    self.is_decided = true;
                }
                if data.gate == "rollback" && !data.approve {
                    self.answer(&[Kind::Rollback]);
                }
            }
            FactData::Verified(_) => (self.is_verified, self.is_resting) = (true, true),
            FactData::VerificationFailed(_) => self.begin_anew(),
            FactData::BreachAttached(data) => {
                self.open.insert(data.breach_id.clone());
                if data.expectation == SHARE {
                    self.share.insert(data.breach_id.clone());
                }
                self.labels.features.insert(data.feature.clone());
                self.is_resting &= self.is_remediated || self.is_verified;
                if !self.standing.contains_key(&Kind::Update) {
                    self.set(Kind::Update, data.update_at);
                }
            }
            FactData::BreachCleared(data) => {
                self.open.remove(&data.breach_id);
                self.share.remove(&data.breach_id);
                self.is_resting |= self.open.is_empty();
                self.settles_at = data.settles_at;
            }
            FactData::ActionRecorded(data) => self.act(data, fact)?,
            FactData::Resolved(_) | FactData::Merged(_) => self.resolve(&fact.data),
            FactData::Reviewed(data) => {
                self.answer(&[Kind::Review]);
                self.set(Kind::Close, data.closes_at);
            }
            FactData::Closed(_) => self.close(fact)?,
            FactData::Reopened(data) => {
                in_time(fact, data.due_at, data.late_by_us)?;
                if !self.is_resolved || self.is_closed {
                    return Err(wrong("only what is over is reopened", "it is not", fact));
                }
                self.begin_anew();
                self.answer(&[Kind::Review, Kind::Close]);
                self.open.clear();
                self.share.clear();
                self.labels.features.clear();
                self.is_resolved = false;
                self.settles_at = None;
                self.labels.severity = data.severity;
                self.enter(&data.entry, "reopened");
            }
            FactData::Silenced(_)
            | FactData::Unsilenced(_)
            | FactData::Inhibited(_)
            | FactData::Uninhibited(_)
            | FactData::FlappingStarted(_)
            | FactData::FlappingEnded(_) => self.hush(fact)?,
            FactData::CommandRejected(_) | FactData::DeliveryReported(_) => {}
        }
        Ok(())
    }

    fn close(&mut self, fact: &Fact) -> Result<(), Violation> {
        if !self.is_resolved || self.is_closed {
            return Err(wrong("what is resolved is closed, once", "it is not", fact));
        }
        if fact.cause.as_deref() == Some("timer close") {
            self.fire_apart(Kind::Close, fact)?;
        }
        self.answer(&[Kind::Review, Kind::Close]);
        self.is_closed = true;
        Ok(())
    }

    fn resolve(&mut self, data: &FactData) {
        let all: Vec<Kind> = self.standing.keys().copied().collect();
        let all: Vec<Kind> = all.into_iter().filter(|kind| *kind != Kind::Flap).collect();
        self.answer(&all);
        self.is_resolved = true;
        self.quiet.over();
        if let FactData::Resolved(data) = data {
            self.set(Kind::Review, data.review_due_at);
            self.set(Kind::Close, data.closes_at);
        }
    }

    /// True where a page of the incident to somebody is of use: to ask them, or
    /// to tell them that it is theirs.
    pub(super) fn asks(&self, target: &str) -> bool {
        let is_theirs = self.handoff.as_deref() == Some(target);
        !self.is_resolved && !self.is_resting && (!self.is_acknowledged || is_theirs)
    }

    /// Nothing that is due is left.
    pub(super) fn end(&self, now: Timestamp, settles_by_itself: bool) -> Result<(), Violation> {
        let left = |why: String| Err(wrong("nothing that is due is left", &why, &self.last));
        let may_wait = |kind: Kind| {
            let waits = self.standing.contains_key(&Kind::Enter);
            match kind {
                Kind::Flap => false,
                Kind::Review | Kind::Close => self.is_closed,
                Kind::Enter => self.is_resting,
                Kind::Update | Kind::Rollback => self.is_resting || self.rests() || waits,
                _ => self.is_resting || self.rests(),
            }
        };
        // A clock that was ahead lets it settle as much later.
        let may_settle = self.settles_at.is_none_or(|at| at <= now);
        if !self.is_resolved
            && self.open.is_empty()
            && may_settle
            && settles_by_itself
            && self.labels.severity != Severity::Critical
        {
            return left(format!("at {now} no breach is open and it is not resolved"));
        }
        match self.standing.iter().find(|(kind, at)| **at <= now && !may_wait(**kind)) {
            Some((kind, at)) => left(format!("at {now} {kind:?} was due at {at}")),
            None => Ok(()),
        }
    }
}

fn labels(opened: &Opened) -> Labels {
    Labels {
        root: opened.root.clone(),
        kind: opened.kind.name().to_owned(),
        policy: opened.policy.name.clone(),
        severity: opened.severity,
        owner: opened.owner.clone().unwrap_or_default(),
        is_unowned: opened.unowned,
        features: BTreeSet::new(),
    }
}

/// A deadline fires at its own instant, and says how late it was.
pub(super) fn in_time(
    fact: &Fact,
    due_at: Timestamp,
    late_by_us: Option<i64>,
) -> Result<(), Violation> {
    if fact.recorded_at < due_at {
        return Err(wrong("nothing fires before its time", "it was not due", fact));
    }
    let late = fact.recorded_at.since(due_at).as_micros();
    if late_by_us.unwrap_or(0) != late {
        return Err(wrong("late_by_us is told", &format!("it was {late}"), fact));
    }
    Ok(())
}
