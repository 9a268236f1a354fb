//! An incident as the fold of its facts. [`Incident::apply`] holds no rule
//! and cannot fail; what may happen is decided in [`crate::decide`].

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::data::{CharterRevision, Entry, Opened, PolicyRevision};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::RemedyAction;
use watchkeep_model::time::Timestamp;

mod fold;
pub mod people;
pub mod quiet;
mod timers;

use people::People;
use quiet::{Quiet, Update};
pub use timers::Timer;

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
    /// Who has been informed since it opened or reopened …
    pub informed: BTreeSet<String>,
    /// … and who was before it reopened.
    pub informed_before: BTreeSet<String>,
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
    /// Who was paged since the step was entered or somebody acknowledged, or
    /// was handed the incident before, and by what, by person.
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
            informed_before: BTreeSet::new(),
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
    /// True where all that it has to tell them is that the incident is theirs
    /// now.
    pub is_handoff: bool,
    /// True where it is the first to tell them so, perhaps among other things,
    /// and no sink is known to have taken it: that stays to be told whatever
    /// others do and whichever step is entered.
    pub hands_over: bool,
}

/// The key of an expectation of a subject.
pub fn key_of(feature: &str, feature_version: &str, expectation: &str) -> BreachKey {
    (feature.to_owned(), feature_version.to_owned(), expectation.to_owned())
}
