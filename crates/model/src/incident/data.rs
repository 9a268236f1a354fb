//! The `data` of each kind of fact.

use serde::{Deserialize, Serialize};

use super::FactName;
use crate::breach::Transition;
use crate::charter::{ExpectationKind, Severity};
use crate::position::Position;
use crate::time::Timestamp;

/// What a fact says beyond its envelope. Serialised without a tag: the
/// fact's name is the tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FactData {
    /// Breaches became an incident.
    Opened(Box<Opened>),
    /// A breach belongs to the incident.
    BreachAttached(Box<BreachAttached>),
    /// A breach is over.
    BreachCleared(BreachCleared),
    /// The incident became worse.
    SeverityChanged(SeverityChanged),
    /// Somebody else answers for the incident from now on.
    OwnerResolved(OwnerResolved),
    /// A message to one person over one channel was handed over.
    Notified(Notified),
    /// Somebody whom a step names was not notified.
    NotificationSkipped(NotificationSkipped),
    /// Somebody is at it.
    Acknowledged(Acknowledged),
    /// An acknowledgement has lasted too long without a remediation.
    AcknowledgementExpired(AcknowledgementExpired),
    /// The incident moved to another step.
    Escalated(Escalated),
    /// Something was done or said that changes no state.
    ActionRecorded(ActionRecorded),
    /// Somebody agreed or refused at a gate.
    SignedOff(SignedOff),
    /// A command was against a rule.
    CommandRejected(CommandRejected),
    /// Somebody did something about it.
    Remediated(Remediated),
    /// It was checked that the incident is over.
    Verified(Verified),
    /// The remediation or the clearing did not hold.
    VerificationFailed(VerificationFailed),
    /// The incident is over.
    Resolved(Resolved),
    /// The incident is not over after all.
    Reopened(Reopened),
    /// The steps have run out.
    Exhausted(Exhausted),
    /// What became of a message at a sink.
    DeliveryReported(DeliveryReported),
    /// The incident comes and goes too often for a page each time.
    FlappingStarted(Flapping),
    /// It has stopped to come and go.
    FlappingEnded(Flapping),
    /// Somebody asked for quiet.
    Silenced(Silenced),
    /// The quiet is over.
    Unsilenced(Unsilenced),
    /// Another incident explains this one and speaks for it.
    Inhibited(Inhibited),
    /// The other incident explains it no longer.
    Uninhibited(Uninhibited),
    /// The incident is one with another, which goes on.
    Merged(Merged),
    /// What was learned.
    Reviewed(Reviewed),
    /// Nothing is left to do.
    Closed(Closed),
}

impl FactData {
    /// Reads the data of a fact of the given name.
    ///
    /// # Errors
    /// Where a field is missing or of a wrong type; the text names it.
    pub fn read(name: FactName, value: serde_json::Value) -> Result<Self, serde_json::Error> {
        use serde_json::from_value;
        Ok(match name {
            FactName::Opened => Self::Opened(from_value(value)?),
            FactName::BreachAttached => Self::BreachAttached(from_value(value)?),
            FactName::BreachCleared => Self::BreachCleared(from_value(value)?),
            FactName::SeverityChanged => Self::SeverityChanged(from_value(value)?),
            FactName::OwnerResolved => Self::OwnerResolved(from_value(value)?),
            FactName::Notified => Self::Notified(from_value(value)?),
            FactName::NotificationSkipped => Self::NotificationSkipped(from_value(value)?),
            FactName::Acknowledged => Self::Acknowledged(from_value(value)?),
            FactName::AcknowledgementExpired => Self::AcknowledgementExpired(from_value(value)?),
            FactName::Escalated => Self::Escalated(from_value(value)?),
            FactName::ActionRecorded => Self::ActionRecorded(from_value(value)?),
            FactName::SignedOff => Self::SignedOff(from_value(value)?),
            FactName::CommandRejected => Self::CommandRejected(from_value(value)?),
            FactName::Remediated => Self::Remediated(from_value(value)?),
            FactName::Verified => Self::Verified(from_value(value)?),
            FactName::VerificationFailed => Self::VerificationFailed(from_value(value)?),
            FactName::Resolved => Self::Resolved(from_value(value)?),
            FactName::Reopened => Self::Reopened(from_value(value)?),
            FactName::Exhausted => Self::Exhausted(from_value(value)?),
            FactName::DeliveryReported => Self::DeliveryReported(from_value(value)?),
            FactName::FlappingStarted => Self::FlappingStarted(from_value(value)?),
            FactName::FlappingEnded => Self::FlappingEnded(from_value(value)?),
            FactName::Silenced => Self::Silenced(from_value(value)?),
            FactName::Unsilenced => Self::Unsilenced(from_value(value)?),
            FactName::Inhibited => Self::Inhibited(from_value(value)?),
            FactName::Uninhibited => Self::Uninhibited(from_value(value)?),
            FactName::Merged => Self::Merged(from_value(value)?),
            FactName::Reviewed => Self::Reviewed(from_value(value)?),
            FactName::Closed => Self::Closed(from_value(value)?),
        })
    }

    /// The name of the fact.
    pub const fn name(&self) -> FactName {
        match self {
            Self::Opened(_) => FactName::Opened,
            Self::BreachAttached(_) => FactName::BreachAttached,
            Self::BreachCleared(_) => FactName::BreachCleared,
            Self::SeverityChanged(_) => FactName::SeverityChanged,
            Self::OwnerResolved(_) => FactName::OwnerResolved,
            Self::Notified(_) => FactName::Notified,
            Self::NotificationSkipped(_) => FactName::NotificationSkipped,
            Self::Acknowledged(_) => FactName::Acknowledged,
            Self::AcknowledgementExpired(_) => FactName::AcknowledgementExpired,
            Self::Escalated(_) => FactName::Escalated,
            Self::ActionRecorded(_) => FactName::ActionRecorded,
            Self::SignedOff(_) => FactName::SignedOff,
            Self::CommandRejected(_) => FactName::CommandRejected,
            Self::Remediated(_) => FactName::Remediated,
            Self::Verified(_) => FactName::Verified,
            Self::VerificationFailed(_) => FactName::VerificationFailed,
            Self::Resolved(_) => FactName::Resolved,
            Self::Reopened(_) => FactName::Reopened,
            Self::Exhausted(_) => FactName::Exhausted,
            Self::DeliveryReported(_) => FactName::DeliveryReported,
            Self::FlappingStarted(_) => FactName::FlappingStarted,
            Self::FlappingEnded(_) => FactName::FlappingEnded,
            Self::Silenced(_) => FactName::Silenced,
            Self::Unsilenced(_) => FactName::Unsilenced,
            Self::Inhibited(_) => FactName::Inhibited,
            Self::Uninhibited(_) => FactName::Uninhibited,
            Self::Merged(_) => FactName::Merged,
            Self::Reviewed(_) => FactName::Reviewed,
            Self::Closed(_) => FactName::Closed,
        }
    }
}

/// Breaches became an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The typed name of what is taken to be the cause.
    pub root: String,
    /// How the root was found.
    pub attribution: Attribution,
    /// Who answers, a typed name; absent where nobody could be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// True where the chain had to go to the end.
    pub unowned: bool,
    /// Every link that was tried.
    pub resolution: Vec<Link>,
    /// The policy that holds for the whole incident.
    pub policy: PolicyRevision,
    /// The charter that holds for the whole incident; absent for subjects without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<CharterRevision>,
    /// Subjects that breach, sorted, as many as the policy lists.
    pub affected_features: Vec<String>,
    /// How many there are.
    pub affected_count: u64,
    /// The worst of the breaches.
    pub severity: Severity,
    /// The kind that chooses the first step.
    pub kind: ExpectationKind,
    /// What its breaches have in common.
    pub group_key: String,
    /// The first step.
    pub entry: Entry,
    /// When the breaches had been held for long enough.
    pub due_at: Timestamp,
    /// How long after that it was; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
    /// What a verification is compared with, where the policy names it: a
    /// typed subject, or a baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// How the root of an incident was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// `upstream_breach` where the root breaches itself, `upstream_run` where
    /// its runs show that something is wrong, `coverage` where it is found by
    /// what it feeds, `itself` where nothing upstream is to blame, and
    /// `lineage_unknown` where nothing upstream is known.
    pub method: String,
    /// What speaks for it, one sentence each.
    pub evidence: Vec<String>,
    /// Share of the watched subjects downstream of the root that breach, 0 to
    /// 1; 1 where the root explains itself alone.
    pub coverage: f64,
    /// Other nodes that might have been the root, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// A node that is not taken to be the root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The node, a typed name.
    pub node: String,
    /// Share of the watched subjects downstream of it that breach; absent
    /// where it was not counted to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// Why it is not the root, one sentence.
    pub why_not: String,
}

/// One link of the owner chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `primary`, `backup`, `view`, `group`, `system`, `domain`, `governance`.
    pub link: String,
    /// The typed name that the link holds; absent where it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<String>,
    /// What came of it.
    pub outcome: String,
}

/// A policy as it was when the incident opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyRevision {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
}

/// A charter as it was in force when the first breach's window ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharterRevision {
    /// The subject, the root's own where it has a charter.
    pub subject: String,
    /// Subjects of the documents that it is made of, most specific first.
    pub documents: Vec<String>,
    /// The instant whose revision holds.
    pub in_force_at: Timestamp,
}

/// Where an incident stands on its ladder, with absolute deadlines. A
/// deadline is absent where the step sets none or it moves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The step's name.
    pub step: String,
    /// The climb, from 1.
    #[serde(rename = "loop")]
    pub climb: u32,
    /// When people are notified; later than the fact where the step waits for working hours.
    pub enters_at: Timestamp,
    /// Latest acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_by: Option<Timestamp>,
    /// Latest remediation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediate_by: Option<Timestamp>,
    /// Latest decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decide_by: Option<Timestamp>,
}

/// A breach belongs to the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreachAttached {
    /// The breach.
    pub breach_id: String,
    /// Its subject as telemetry names it.
    pub feature: String,
    /// Its subject's version, often empty.
    pub feature_version: String,
    /// The expectation's name.
    pub expectation: String,
    /// The expectation's kind.
    pub kind: ExpectationKind,
    /// How bad it is.
    pub severity: Severity,
    /// The window's name.
    pub window: String,
    /// The judged window's first instant.
    pub window_start: Timestamp,
    /// The judged window's end.
    pub window_end: Timestamp,
    /// When it was detected.
    pub detected_at: Timestamp,
    /// Who uses the feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<String>,
    /// Who is told of the incident because of this breach and had not been told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub informed: Vec<Informed>,
    /// Who had been told of the incident before and is told of this subject with
    /// the next message about joined breaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub informed_later: Vec<Informed>,
    /// What the breach says.
    pub reason: String,
    /// When a message tells of it, for a breach that joined (`group_interval`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_at: Option<Timestamp>,
    /// The charter by which its subject was judged, where that is not the one
    /// that the incident follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<CharterRevision>,
}

/// Somebody who is told and not asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Informed {
    /// A typed name.
    pub target: String,
    /// `consumer`, `subscriber`, `feature_owner` or, for an action, why them.
    pub role: String,
}

/// A breach is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreachCleared {
    /// The breach.
    pub breach_id: String,
    /// Its subject as telemetry names it.
    pub feature: String,
    /// Its subject's version.
    pub feature_version: String,
    /// The expectation's name.
    pub expectation: String,
    /// `cleared` or `retracted`.
    pub transition: Transition,
    /// The end of the window that cleared it.
    pub window_end: Timestamp,
    /// Breaches of the incident that are still open.
    pub open_count: u64,
    /// After the last: when the incident may settle (`keep_firing_for`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles_at: Option<Timestamp>,
}

/// The incident became worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityChanged {
    /// Before.
    pub from: Severity,
    /// From now on.
    pub to: Severity,
    /// The step anew, where it was still waiting for working hours and need not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// Somebody else answers for the incident from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerResolved {
    /// Who; absent where nobody could be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// True where the chain had to go to the end.
    pub unowned: bool,
    /// Every link that was tried.
    pub resolution: Vec<Link>,
    /// `reassigned` where a person put them there; absent where the owner chain did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// A message to one person over one channel was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// The step, or `on_exhausted`.
    pub step: String,
    /// The climb, from 1.
    #[serde(rename = "loop")]
    pub climb: u32,
    /// Who, a typed name.
    pub target: String,
    /// By which role or name of the policy.
    pub role: String,
    /// The tool and the address in it, `pagerduty:flight-data`.
    pub channel: String,
    /// The first deadline; absent when nothing is asked any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Timestamp>,
    /// `first`, `escalated`, `ack_timeout`, `repeat`, `exhausted`, `reopened`,
    /// `verification_failed`, `handoff`, `digest`.
    pub reason: String,
    /// When an exhausted incident repeats itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_at: Option<Timestamp>,
    /// In a digest: the incident whose message speaks for this one too; absent
    /// where this one has a message of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<String>,
}

/// Somebody whom a step names was not notified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationSkipped {
    /// The step, or `on_exhausted`.
    pub step: String,
    /// The climb, from 1.
    #[serde(rename = "loop")]
    pub climb: u32,
    /// Who, where the role or name led to somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// By which role or name of the policy; absent where the step names nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Why not: a sentence, or `silenced`, `inhibited`, `flapping` or `limited`
    /// where the page is held back and not given up.
    pub reason: String,
    /// When an exhausted incident tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_at: Option<Timestamp>,
    /// When a page beyond `limits.per_owner`, or one that no contact of its
    /// person took, goes out with others in a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_at: Option<Timestamp>,
    /// True for a page that was to tell whoever was handed the incident that it
    /// is theirs, and nothing else: it is owed to them alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handoff: bool,
}

/// Somebody is at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The step it stood on.
    pub step: String,
    /// The climb, from 1.
    #[serde(rename = "loop")]
    pub climb: u32,
    /// Until when it holds without a remediation; absent is for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How long after the first missed deadline for it; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
}

/// An acknowledgement has lasted too long without a remediation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgementExpired {
    /// Whose it was.
    pub by: String,
    /// When it ended.
    pub due_at: Timestamp,
    /// How long after that it was noticed; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
    /// The step anew; absent where the steps have run out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// The incident moved to another step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The step before.
    pub from_step: String,
    /// The step from now on.
    pub to_step: String,
    /// The climb of the step from now on, from 1.
    #[serde(rename = "loop")]
    pub climb: u32,
    /// What moved it: a trigger of the policy, `nobody_to_notify`, or
    /// `not_rolled_back` where a signed rollback is overdue.
    pub trigger: String,
    /// The decision that somebody asked the step for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// When it was due.
    pub due_at: Timestamp,
    /// How long after that it was; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
    /// Where it stands from now on.
    pub entry: Entry,
}

/// Something was done or said that changes no state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecorded {
    /// `comment`, `feedback`, `rollback_proposed`, `rollback_ordered`,
    /// `rollback_overdue`, `verification_asked`, `verification_confirmed`, `review_overdue`,
    /// `action_done`, `refusal_lapsed`, `update_sent`, `joined_told`,
    /// `flapping_goes_on`, `drill_held`, `upkeep_overdue` or `upkeep_done`.
    pub action: String,
    /// In words.
    pub detail: String,
    /// `feedback`: what the page was worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<crate::response::Feedback>,
    /// Who is told of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub informed: Vec<Informed>,
    /// `rollback_ordered`: by when it must be done; `rollback_overdue`,
    /// `review_overdue` and `upkeep_overdue`: when it was due, of several the
    /// latest; `flapping_goes_on`: when it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// `rollback_overdue`, `review_overdue`, `upkeep_overdue`: how long after that it was noticed; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
    /// `drill_held`: what the exercise came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<crate::response::DrillHeld>,
    /// `upkeep_overdue`, `upkeep_done`: what was due, by what and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upkeep: Vec<Upkeep>,
}

/// Something that is promised to be looked at again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// What is to be done.
    pub what: UpkeepKind,
    /// The subject or pattern of the charter; for an exercise `policy:NAME`.
    pub of: String,
    /// When it was done last; absent where it never was and the promise counts
    /// from when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// By when it was to be done again.
    pub due_at: Timestamp,
    /// Whom the charter names for it, a typed name: its reviewer, else its
    /// primary owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

/// What is looked at again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpkeepKind {
    /// The review of a charter: `review_every` after `reviewed_at`.
    Review,
    /// The check of a runbook: `review_every` after `runbook_reviewed_at`.
    Runbook,
    /// The exercise of a policy: `drill.every` after the one before.
    Drill,
}

impl UpkeepKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Review, Self::Runbook, Self::Drill];

    /// The name used in facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Runbook => "runbook",
            Self::Drill => "drill",
        }
    }
}

impl ActionRecorded {
    /// An action with nothing beside its words.
    pub fn new(action: &str, detail: impl Into<String>) -> Self {
        Self {
            action: action.to_owned(),
            detail: detail.into(),
            feedback: None,
            informed: Vec::new(),
            due_at: None,
            late_by_us: None,
            drill: None,
            upkeep: Vec::new(),
        }
    }
}

/// Somebody agreed or refused at a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOff {
    /// The gate.
    pub gate: String,
    /// False for a refusal.
    pub approve: bool,
    /// The role by which they may sign.
    pub role: String,
    /// Different people who agree, this one included.
    pub signed: u32,
    /// How many are needed.
    pub needed: u32,
    /// True where a step waits for a decision (`decide_within`) and this takes
    /// none; absent otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
}

/// A command was against a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRejected {
    /// The command.
    pub command: String,
    /// The rule, one sentence.
    pub rule: String,
    /// The incident or subject that the command names, where there is no such incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addressed: Option<String>,
}

/// Somebody did something about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remediated {
    /// What.
    pub action: crate::response::RemedyAction,
    /// The end of the last window that was seen before; only later ones verify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows_seen_to: Option<Timestamp>,
    /// How long after the first missed deadline for it; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
}

/// It was checked that the incident is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// `good_windows`, `person` or `third_party`.
    pub method: String,
    /// Good windows in a row at the time.
    pub good_windows: u32,
    /// Who confirmed it for the third party that the policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
}

/// The remediation or the clearing did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationFailed {
    /// The subject that failed it, as telemetry names it.
    pub feature: String,
    /// The expectation that failed it.
    pub expectation: String,
    /// The end of the bad window.
    pub window_end: Timestamp,
}

/// The incident is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// `cleared`, `verified`, `signed_off` or `command`.
    pub reason: String,
    /// Until when a new breach of the same group reopens it.
    pub reopens_until: Timestamp,
    /// By when the review must be there, where the policy asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_due_at: Option<Timestamp>,
    /// When it closes by itself, where nobody has to review it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Timestamp>,
}

/// The incident is not over after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopened {
    /// The breach that came.
    pub breach_id: String,
    /// From now on.
    pub severity: Severity,
    /// The first step anew.
    pub entry: Entry,
    /// When the breach had been held for long enough.
    pub due_at: Timestamp,
    /// How long after that it was; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
}

/// The steps have run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhausted {
    /// The last step.
    pub from_step: String,
    /// Climbs that were made.
    pub loops: u32,
    /// What would have moved it on.
    pub trigger: String,
    /// When that was due.
    pub due_at: Timestamp,
    /// How long after that it was; absent where it was in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
}

/// What became of a message at a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryReported {
    /// The escalation event's identifier.
    pub escalation: String,
    /// The sink's name in the configuration.
    pub sink: String,
    /// What the sink speaks, such as `pagerduty`.
    pub tool: String,
    /// How it went.
    pub outcome: DeliveryOutcome,
    /// Times that it was tried.
    pub attempts: u32,
    /// Who was to be told, where that is a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The tool and the address in it, where the message has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The address in the tool, where one of several there was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why it failed, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// True where it was a page and no sink of its channel took it, so that
    /// whoever it was for is to be reached otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
    /// True for a message of an exercise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// Where the escalation event lies in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Position>,
}

/// How a delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// The sink took it.
    Delivered,
    /// The sink did not take it, and it is not tried any more.
    Failed,
    /// It was overtaken by a later message of the same incident and not sent.
    Dropped,
}

/// The incident comes and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// Changes between good and bad …
    pub changes: u32,
    /// … among so many of the last windows.
    pub look_back: u32,
    /// At the start: when it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// At the end: how the incident goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Resumption>,
}

/// How an incident goes on once nothing holds its pages back any more. Absent
/// from the fact that ends a quiet where another quiet goes on, or where
/// nothing is asked of anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// True where pages of the present step were held back, which go out now.
    pub pages: bool,
    /// The present step: anew where `pages`, else with its deadlines moved by
    /// the time for which they rested. Absent where the steps have run out or
    /// the step still waits for working hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// Until when the acknowledgement holds, moved likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// By when a signed rollback must be done, moved likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_by: Option<Timestamp>,
    /// When an exhausted incident repeats itself, moved likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_at: Option<Timestamp>,
}

/// Somebody asked for quiet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    /// The silence's identifier, that of the response which asked for it.
    pub silence: String,
    /// Which incidents are meant: those that match all.
    pub matchers: Vec<crate::matcher::Matcher>,
    /// From when on.
    pub from: Timestamp,
    /// Until when, itself not included.
    pub until: Timestamp,
    /// Who asked for it.
    pub by: String,
}

/// The quiet is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsilenced {
    /// The silence's identifier.
    pub silence: String,
    /// `expired`, `command` or `no_match`.
    pub reason: String,
    /// How the incident goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Resumption>,
}

/// Another incident speaks for this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inhibited {
    /// The other incident.
    pub by: String,
    /// `upstream` or `platform`.
    pub rule: String,
}

/// The other incident speaks for it no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uninhibited {
    /// The other incident.
    pub by: String,
    /// `resolved`, `cleared`, `severity` or `lineage`.
    pub reason: String,
    /// How the incident goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Resumption>,
}

/// The incident is one with another, which goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The incident that goes on.
    pub into: String,
    /// Why, in words.
    pub reason: String,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// What it came from.
    pub root_cause: String,
    /// What shall be done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<crate::response::ReviewAction>,
    /// When the incident closes: not before a returning breach could reopen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Timestamp>,
    /// How late the review is; absent where it is in time or has no date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_by_us: Option<i64>,
}

/// Nothing is left to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// `reviewed`, `settled` or `command`.
    pub reason: String,
}
