//! An incident as the fold of its facts. [`Incident::apply`] holds no rule
//! and cannot fail; what may happen is decided in [`crate::decide`].

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::data::{
    BreachAttached, CharterRevision, Entry, Notified, Opened, PolicyRevision, Reopened,
};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::RemedyAction;
use watchkeep_model::time::Timestamp;

pub mod people;
pub mod quiet;

use people::{HANDOFF, People, action};
use quiet::{Quiet, Update, step_of};

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nobody has answered.
    Triggered,
    /// Somebody is at it.
    Acknowledged,
    /// Something was done about it.
    Remediated,
    /// It was checked that it is over.
    Verified,
    /// It is over.
    Resolved,
    /// It was told what was learned.
    Reviewed,
    /// Nothing is left to do.
    Closed,
}

impl State {
    /// The name used in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Remediated => "remediated",
            Self::Verified => "verified",
            Self::Resolved => "resolved",
            Self::Reviewed => "reviewed",
            Self::Closed => "closed",
        }
    }
}

/// What an incident can be breached by: subject, version, expectation.
pub type BreachKey = (String, String, String);

/// The action of the fact that a message about joined breaches has gone out.
pub const UPDATE_SENT: &str = "update_sent";

/// The action of the fact that those who are informed and not asked were told
/// of joined breaches, because a page has told everybody else of them.
pub const JOINED_TOLD: &str = "joined_told";

/// The breaches of one expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Those that have not cleared. Mostly one; a revision of an earlier window
    /// may open and clear another while a later one goes on.
    pub open: BTreeSet<String>,
    /// The kind of the expectation.
    pub kind: ExpectationKind,
    /// The severity of the latest.
    pub severity: Severity,
    /// The window's name.
    pub window: String,
    /// When the latest window that opened one began.
    pub window_start: Timestamp,
    /// The latest end of a window that opened one.
    pub window_end: Timestamp,
    /// When the latest was detected.
    pub detected_at: Timestamp,
    /// What the latest says.
    pub reason: String,
}

/// An acknowledgement that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Whose.
    pub by: String,
    /// Until when, without a remediation.
    pub expires_at: Option<Timestamp>,
    /// When it was taken down.
    pub recorded_at: Timestamp,
}

/// A remediation that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// Whose.
    pub by: String,
    /// What was done.
    pub action: RemedyAction,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its identifier.
    pub id: String,
    /// The last fact's number.
    pub sequence: u64,
    /// The last fact's hash.
    pub hash: Option<String>,
    /// When the last fact was recorded.
    pub recorded_at: Timestamp,
    /// True in an exercise.
    pub drill: bool,
    /// Where it stands.
    pub state: State,
    /// What is taken to be the cause, a typed name.
    pub root: String,
    /// What its breaches have in common.
    pub group_key: String,
    /// The kind that chooses the first step.
    pub kind: ExpectationKind,
    /// The worst of its breaches so far.
    pub severity: Severity,
    /// The policy that it follows.
    pub policy: PolicyRevision,
    /// The charter that it follows.
    pub charter: Option<CharterRevision>,
    /// Who answers.
    pub owner: Option<String>,
    /// True where the owner chain had to go to its end.
    pub unowned: bool,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When that was recorded: it goes by the policy that was there then.
    pub pinned_at: Timestamp,
    /// What breaches or has breached since it opened or reopened.
    pub attached: BTreeMap<BreachKey, Attached>,
    /// Subjects with open breaches, and how many.
    pub open_features: BTreeMap<String, u32>,
    /// Breaches that have not cleared.
    pub open_count: u64,
    /// Who has been informed.
    pub informed: BTreeSet<String>,
    /// Who uses the features.
    pub consumers: BTreeSet<String>,
    /// Where it stands on its ladder.
    pub entry: Entry,
    /// Why it stands there, for messages.
    pub entry_reason: String,
    /// False while the step waits for working hours.
    pub entered: bool,
    /// True while no deadline runs: after a remediation or the last clearing.
    pub resting: bool,
    /// Who is at it.
    pub acknowledged: Option<Acknowledgement>,
    /// Who did something.
    pub remediated: Option<Remedy>,
    /// True where a decision was taken since the step's entry.
    pub decided: bool,
    /// When the last breach cleared.
    pub cleared_at: Option<Timestamp>,
    /// When the incident may settle after that.
    pub settles_at: Option<Timestamp>,
    /// Windows that end later than this count for the verification.
    pub counting_from: Option<Timestamp>,
    /// Triggers that have moved it already, with the step they moved it from.
    pub fired: BTreeSet<(String, String)>,
    /// The latest word of each person at each gate.
    pub signatures: BTreeMap<(String, String), bool>,
    /// Who was paged since the step was entered or somebody acknowledged, and
    /// by what, by person.
    pub paged: BTreeMap<String, Paged>,
    /// True once the steps have run out.
    pub exhausted: bool,
    /// When it repeats itself then.
    pub repeat_at: Option<Timestamp>,
    /// When that was taken down.
    pub repeat_set_at: Timestamp,
    /// Until when a new breach reopens it, once it is resolved.
    pub reopens_until: Option<Timestamp>,
    /// What people's commands made of it.
    pub people: People,
    /// What keeps its pages back.
    pub quiet: Quiet,
    /// Joined breaches that no message has told of yet.
    pub update: Update,
}

impl Incident {
    /// The incident that an `opened` fact begins; `None` for any other fact.
    pub fn begin(fact: &Fact) -> Option<Self> {
        let FactData::Opened(opened) = &fact.data else { return None };
        let mut incident = Self::blank(fact, opened);
        incident.chain(fact);
        incident.people.apply(fact);
        Some(incident)
    }

    fn blank(fact: &Fact, opened: &Opened) -> Self {
        Self {
            id: fact.incident_id.clone(),
            sequence: 0,
            hash: None,
            recorded_at: fact.recorded_at,
            drill: fact.drill,
            state: State::Triggered,
            root: opened.root.clone(),
            group_key: opened.group_key.clone(),
            kind: opened.kind,
            severity: opened.severity,
            policy: opened.policy.clone(),
            charter: opened.charter.clone(),
            owner: opened.owner.clone(),
            unowned: opened.unowned,
            opened_at: fact.occurred_at,
            pinned_at: fact.recorded_at,
            attached: BTreeMap::new(),
            open_features: BTreeMap::new(),
            open_count: 0,
            informed: BTreeSet::new(),
            consumers: BTreeSet::new(),
            entry: opened.entry.clone(),
            entry_reason: "first".into(),
            entered: false,
            resting: false,
            acknowledged: None,
            remediated: None,
            decided: false,
            cleared_at: None,
            settles_at: None,
            counting_from: None,
            fired: BTreeSet::new(),
            signatures: BTreeMap::new(),
            paged: BTreeMap::new(),
            exhausted: false,
            repeat_at: None,
            repeat_set_at: fact.recorded_at,
            reopens_until: None,
            people: People::default(),
            quiet: Quiet::default(),
            update: Update::default(),
        }
    }

    fn chain(&mut self, fact: &Fact) {
        self.sequence = fact.sequence;
        self.hash = Some(fact.hash.clone());
        self.recorded_at = self.recorded_at.max(fact.recorded_at);
    }

    /// Takes a fact in. Total: a fact that makes no sense here changes at most
    /// the place in the chain.
    pub fn apply(&mut self, fact: &Fact) {
        self.chain(fact);
        self.people.apply(fact);
        self.hush(fact);
        self.take(fact);
        self.rest_after(fact);
    }

    fn take(&mut self, fact: &Fact) {
        match &fact.data {
            FactData::BreachAttached(data) => self.attach(data),
            FactData::BreachCleared(data) => {
                let key = key_of(&data.feature, &data.feature_version, &data.expectation);
                self.close(&key, &data.breach_id);
                if self.attached.get(&key).is_some_and(|attached| attached.open.is_empty()) {
                    self.quiet.change(key, data.window_end, None);
                }
                if self.open_features.is_empty() {
                    self.resting = true;
                    self.cleared_at = Some(fact.occurred_at);
                    self.settles_at = data.settles_at;
                    if self.remediated.is_none() {
                        self.counting_from = Some(data.window_end);
                    }
                }
            }
            FactData::SeverityChanged(data) => {
                self.severity = data.to;
                if let Some(entry) = &data.entry {
                    self.entry = entry.clone();
                }
            }
            FactData::OwnerResolved(data) => {
                self.owner.clone_from(&data.owner);
                self.unowned = data.unowned;
            }
            FactData::Notified(data) => {
                self.page(data, fact);
                // Who is handed an incident that waits does not end its waiting,
                // nor does what tells of a step that was entered before.
                let waits = fact.occurred_at < self.entry.enters_at;
                let is_entry = ![quiet::DIGEST, DELIVERY_FAILED].contains(&data.reason.as_str());
                self.entered |= is_entry && (data.reason != HANDOFF || !waits);
                if self.owner.as_ref() == Some(&data.target) {
                    self.people.handed_over |= self.people.assigned.is_some();
                }
                (self.update.told_at, self.update.due_at) = (Some(fact.occurred_at), None);
                self.repeat(data.repeat_at, fact.recorded_at);
            }
            FactData::NotificationSkipped(data) => {
                self.entered |= fact.occurred_at >= self.entry.enters_at;
                self.repeat(data.repeat_at, fact.recorded_at);
            }
            FactData::Acknowledged(data) => {
                self.state = State::Acknowledged;
                self.paged.clear();
                // Whoever answers knows that it is theirs.
                if self.owner.as_ref() == Some(&fact.actor) {
                    self.people.handed_over |= self.people.assigned.is_some();
                }
                self.acknowledged = Some(Acknowledgement {
                    by: fact.actor.clone(),
                    expires_at: data.expires_at,
                    recorded_at: fact.recorded_at,
                });
            }
            FactData::AcknowledgementExpired(data) => {
                self.state = State::Triggered;
                self.acknowledged = None;
                if let Some(entry) = &data.entry {
                    self.enter(entry, "ack_timeout");
                }
            }
            FactData::Escalated(data) => {
                self.fired.insert((data.from_step.clone(), data.trigger.clone()));
                let failed = data.trigger == "verification_failed";
                self.enter(&data.entry, if failed { "verification_failed" } else { "escalated" });
            }
            FactData::SignedOff(data) => {
                self.decided |= !data.undecided;
                self.signatures.insert((data.gate.clone(), fact.actor.clone()), data.approve);
            }
            FactData::Remediated(data) => {
                self.state = State::Remediated;
                self.remediated = Some(Remedy { by: fact.actor.clone(), action: data.action });
                self.resting = true;
                self.decided = true;
                // Windows lag behind: one that ended before shows nothing of it.
                self.counting_from = data.windows_seen_to.max(Some(fact.occurred_at));
            }
            FactData::Verified(_) => {
                self.state = State::Verified;
                self.resting = true;
            }
            FactData::VerificationFailed(data) => {
                self.begin_anew();
                self.counting_from = Some(data.window_end);
            }
            FactData::Resolved(data) => {
                self.state = State::Resolved;
                self.resting = true;
                self.repeat_at = None;
                self.update = Update { told_at: self.update.told_at, ..Update::default() };
                self.reopens_until = Some(data.reopens_until);
            }
            FactData::DeliveryReported(data) => {
                let failed = data.channel.as_ref().filter(|_| data.unreached);
                let paged = data.target.as_ref().and_then(|target| self.paged.get_mut(target));
                if let Some((paged, channel)) = paged.zip(failed) {
                    paged.failed.insert(channel.clone());
                }
            }
            FactData::Reopened(data) => self.reopen(data),
            FactData::Exhausted(_) => {
                self.exhausted = true;
                // What waits for a digest or was held back was asked for by the
                // steps before.
                self.quiet.held = false;
                self.quiet.page_anew();
            }
            FactData::Reviewed(_) => self.state = State::Reviewed,
            FactData::Closed(_) => {
                self.state = State::Closed;
                self.reopens_until = None;
            }
            FactData::Merged(_) => {
                self.state = State::Closed;
                self.resting = true;
                self.repeat_at = None;
            }
            FactData::ActionRecorded(data) if data.action == action::REFUSAL_LAPSED => {
                for one in &data.informed {
                    self.signatures.remove(&(one.role.clone(), one.target.clone()));
                }
            }
            FactData::ActionRecorded(data) if data.action == JOINED_TOLD => {
                self.update.owed.clear();
            }
            FactData::ActionRecorded(data) if data.action == UPDATE_SENT => {
                self.update = Update { told_at: Some(fact.occurred_at), ..Update::default() };
            }
            FactData::Opened(_)
            | FactData::ActionRecorded(_)
            | FactData::CommandRejected(_)
            | FactData::FlappingStarted(_)
            | FactData::FlappingEnded(_)
            | FactData::Silenced(_)
            | FactData::Unsilenced(_)
            | FactData::Inhibited(_)
            | FactData::Uninhibited(_) => {}
        }
    }

    fn attach(&mut self, data: &BreachAttached) {
        let key = key_of(&data.feature, &data.feature_version, &data.expectation);
        let attached = self.attached.entry(key).or_insert_with(|| Attached {
            open: BTreeSet::new(),
            kind: data.kind,
            severity: data.severity,
            window: data.window.clone(),
            window_start: data.window_start,
            window_end: data.window_end,
            detected_at: data.detected_at,
            reason: String::new(),
        });
        attached.severity = data.severity;
        attached.window_start = attached.window_start.max(data.window_start);
        attached.window_end = attached.window_end.max(data.window_end);
        attached.detected_at = attached.detected_at.max(data.detected_at);
        attached.reason.clone_from(&data.reason);
        let was_good = attached.open.is_empty();
        if attached.open.insert(data.breach_id.clone()) {
            self.open_count += 1;
            *self.open_features.entry(data.feature.clone()).or_default() += 1;
            if was_good {
                let key = key_of(&data.feature, &data.feature_version, &data.expectation);
                self.quiet.change(key, data.window_end, Some(step_of(data)));
            }
        }
        self.update.due_at = self.update.due_at.or(data.update_at);
        for one in &data.informed_later {
            self.update.owed.entry(one.target.clone()).or_insert_with(|| one.role.clone());
        }
        self.consumers.extend(data.consumers.iter().cloned());
        self.informed.extend(data.informed.iter().map(|informed| informed.target.clone()));
        if self.state < State::Remediated {
            self.resting = false;
        }
    }

    fn close(&mut self, key: &BreachKey, breach_id: &str) {
        let attached = self.attached.get_mut(key);
        if !attached.is_some_and(|attached| attached.open.remove(breach_id)) {
            return;
        }
        self.open_count = self.open_count.saturating_sub(1);
        if let Some(count) = self.open_features.get_mut(&key.0) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.open_features.remove(&key.0);
            }
        }
    }

    fn repeat(&mut self, at: Option<Timestamp>, recorded_at: Timestamp) {
        if self.repeat_at != at {
            (self.repeat_at, self.repeat_set_at) = (at, recorded_at);
        }
    }

    /// Each round of pages begins anew; one that failed goes on with the same.
    fn page(&mut self, data: &Notified, fact: &Fact) {
        let at = fact.occurred_at;
        let begin = || Paged {
            role: data.role.clone(),
            step: data.step.clone(),
            climb: data.climb,
            at,
            channels: BTreeMap::new(),
            failed: BTreeSet::new(),
        };
        let paged = self.paged.entry(data.target.clone()).or_insert_with(begin);
        if data.reason != DELIVERY_FAILED {
            if paged.at != at {
                *paged = begin();
            }
            paged.step.clone_from(&data.step);
            paged.climb = data.climb;
        }
        if data.reason == DELIVERY_FAILED && data.carried_by.is_some() {
            // The report is in the log of the incident that spoke for this one.
            paged.failed = paged.channels.keys().cloned().collect();
        }
        // By the same channel once more: what becomes of that is not known yet.
        paged.failed.remove(&data.channel);
        paged.channels.insert(data.channel.clone(), fact.sequence);
    }

    fn enter(&mut self, entry: &Entry, reason: &str) {
        self.paged.clear();
        self.entry = entry.clone();
        self.entry_reason = reason.to_owned();
        self.entered = false;
        self.resting = false;
        self.decided = false;
        // What was held back of the step before is asked for by this one.
        self.quiet.held = false;
        self.quiet.page_anew();
    }

    fn begin_anew(&mut self) {
        self.state = State::Triggered;
        self.acknowledged = None;
        self.remediated = None;
        // The clearing did not hold: deadlines run again, and what breaches
        // from now on joins. In a log the window that fails comes before the
        // breach that it opens, which must not fail it a second time.
        self.cleared_at = None;
        self.fired.clear();
        self.signatures.clear();
        self.exhausted = false;
        self.repeat_at = None;
    }

    fn reopen(&mut self, data: &Reopened) {
        self.begin_anew();
        self.severity = data.severity;
        self.attached.clear();
        self.open_features.clear();
        self.open_count = 0;
        self.settles_at = None;
        self.counting_from = None;
        self.reopens_until = None;
        self.enter(&data.entry, "reopened");
    }

    /// True until it is resolved.
    pub fn is_open(&self) -> bool {
        self.state < State::Resolved
    }

    /// Who was handed the incident and has not been told, while it is open and
    /// breaches: also where somebody else has acknowledged it.
    pub fn handoff_owed(&self) -> Option<&str> {
        let People { assigned, handed_over, .. } = &self.people;
        let is_owed = assigned.is_some() && !handed_over && self.is_open() && !self.resting;
        self.owner.as_deref().filter(|_| is_owed)
    }

    /// True where deadlines rest because nobody is told.
    pub fn rests(&self) -> bool {
        self.quiet.rests(&self.entry_reason)
    }

    /// True while a breach has not cleared.
    pub fn is_breaching(&self) -> bool {
        !self.open_features.is_empty()
    }

    /// Subjects that breach, sorted, at most `listed` of them, and how many
    /// there are; where none does any more, those that did.
    pub fn affected(&self, listed: usize) -> (Vec<String>, u64) {
        if self.is_breaching() {
            let names = self.open_features.keys().take(listed).cloned().collect();
            return (names, self.open_features.len() as u64);
        }
        let mut names: Vec<&str> = self.attached.keys().map(|key| key.0.as_str()).collect();
        names.dedup();
        let count = names.len() as u64;
        (names.into_iter().take(listed).map(str::to_owned).collect(), count)
    }

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

/// Why somebody is notified whom another channel did not reach.
pub const DELIVERY_FAILED: &str = "delivery_failed";

/// How a person was paged in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged {
    /// By which role or name of the policy.
    pub role: String,
    /// What they were told of: a step, perhaps one that was left since …
    pub step: String,
    /// … and its climb.
    pub climb: u32,
    /// When.
    pub at: Timestamp,
    /// By what, each with its address, and the number of the fact that says so,
    /// by which its message is known.
    pub channels: BTreeMap<String, u64>,
    /// Those of them that no sink took.
    pub failed: BTreeSet<String>,
}

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

/// The key of an expectation of a subject.
pub fn key_of(feature: &str, feature_version: &str, expectation: &str) -> BreachKey {
    (feature.to_owned(), feature_version.to_owned(), expectation.to_owned())
}
