//! What people do about incidents and charters: commands, each at an instant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::escalation::Escalation;
use crate::identifier::derived;
use crate::incident::data::DeliveryReported;
use crate::json;
use crate::matcher::Matcher;
use crate::time::Timestamp;

/// Who reports deliveries; nobody else may.
pub const DELIVERER: &str = "system:deliver";

/// One line of `responses.ndjson` and one record of the responses topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// When it takes effect.
    pub at: Timestamp,
    /// Who, a typed name.
    pub by: String,
    /// What.
    pub command: Command,
    /// The incident that it is about …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// … or the root of it, a typed name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Why; `remediate` and `resolve` need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// `remediate`: what was done; absent is `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<RemedyAction>,
    /// `sign_off`: the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// `sign_off`: false is a refusal; absent is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<bool>,
    /// `reassign`: to whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `merge`: the incident that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// `silence`: which incidents are meant: those that match all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Matcher>,
    /// `silence`: from when on; absent is at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// `silence`: until when, itself not included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// `unsilence`: the silence that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// `review`: what it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<String>,
    /// `review`: what shall be done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ReviewAction>,
    /// `complete`: the action of the review that is done, or its beginning;
    /// absent is the one that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// `escalate`: the decision that is asked for, one of the policy's `decisions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// `feedback`: what the page was worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// `report_delivery`: what became of a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryReported>,
    /// `report_drill`: what came of an exercise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillHeld>,
    /// `report_drill`: messages of it for sinks that take exercises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Escalation>,
    /// `propose`: the charters as they shall be: the text of YAML documents, or
    /// one document or a list of them as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<serde_json::Value>,
    /// `propose`: the change ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_ticket: Option<String>,
    /// `propose`: from when charters without a date of their own are in force;
    /// absent is from the last approval on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Timestamp>,
    /// `approve`, `reject`, `comment`: the proposal, or the beginning of its identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
    /// `comment`: the subject or pattern whose charter it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<String>,
    /// Fields that no command has, so that they are refused by name and not lost.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

impl Response {
    /// A command of somebody at an instant, about nothing yet.
    pub fn new(at: Timestamp, by: impl Into<String>, command: Command) -> Self {
        Self {
            at,
            by: by.into(),
            command,
            incident: None,
            subject: None,
            rationale: None,
            action: None,
            gate: None,
            approve: None,
            to: None,
            into: None,
            matchers: Vec::new(),
            from: None,
            until: None,
            silence: None,
            root_cause: None,
            actions: Vec::new(),
            what: None,
            decision: None,
            feedback: None,
            delivery: None,
            drill: None,
            messages: Vec::new(),
            documents: None,
            change_ticket: None,
            effective_from: None,
            proposal: None,
            charter: None,
            rest: BTreeMap::new(),
        }
    }

    /// An identifier of this response, derived from its content.
    pub fn id(&self) -> String {
        json::with_line(self, |line| derived(&["response", line]))
    }
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// I am at it.
    Acknowledge,
    /// I did something about it.
    Remediate,
    /// I checked that it is over.
    Verify,
    /// I agree, or not, at a gate.
    SignOff,
    /// It is over.
    Resolve,
    /// Somebody else shall answer.
    Reassign,
    /// The next step shall look at it.
    Escalate,
    /// Be quiet about some incidents for a time.
    Silence,
    /// Speak again.
    Unsilence,
    /// A remark.
    Comment,
    /// What was learned.
    Review,
    /// A change of a charter is wanted.
    Propose,
    /// A change of a charter is agreed to.
    Approve,
    /// What the page was worth.
    Feedback,
    /// It is one with another incident, which goes on.
    Merge,
    /// Nothing is left to do.
    Close,
    /// An action of the review is done.
    Complete,
    /// What became of a message; written by the deliver stage alone.
    ReportDelivery,
    /// A change of a charter is turned down.
    Reject,
    /// An exercise was held.
    ReportDrill,
}

impl Command {
    /// Every command with its name.
    pub const ALL: [(Self, &'static str); 20] = [
        (Self::Acknowledge, "acknowledge"),
        (Self::Remediate, "remediate"),
        (Self::Verify, "verify"),
        (Self::SignOff, "sign_off"),
        (Self::Resolve, "resolve"),
        (Self::Reassign, "reassign"),
        (Self::Escalate, "escalate"),
        (Self::Silence, "silence"),
        (Self::Unsilence, "unsilence"),
        (Self::Comment, "comment"),
        (Self::Review, "review"),
        (Self::Propose, "propose"),
        (Self::Approve, "approve"),
        (Self::Feedback, "feedback"),
        (Self::Merge, "merge"),
        (Self::Close, "close"),
        (Self::Complete, "complete"),
        (Self::ReportDelivery, "report_delivery"),
        (Self::Reject, "reject"),
        (Self::ReportDrill, "report_drill"),
    ];

    /// The name used in responses and facts.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(command, _)| *command == self).map_or("", |(_, name)| name)
    }
}

/// What was done about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemedyAction {
    /// Back to an earlier state.
    Rollback,
    /// The cause was repaired.
    Fix,
    /// It stays as it is; further bad windows are no failure.
    Accept,
    /// Something else.
    Other,
}

/// An exercise that was held, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillHeld {
    /// The scenario's name.
    pub name: String,
    /// When it began on its own clock, which may be another day's.
    pub began_at: Timestamp,
    /// Policies that its incidents were opened under.
    pub policies: Vec<String>,
    /// Incidents that opened.
    pub incidents: u64,
    /// Pages that a real incident would have sent.
    pub pages: u64,
    /// What was missing, counted.
    pub gaps: u64,
    /// The hash over all facts of the exercise in their order, as an anchor
    /// has it: by it a kept copy of them is known. Absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// Something that a review asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewAction {
    /// What shall be done.
    pub what: String,
    /// Who does it, a typed name.
    pub by: String,
    /// By when.
    pub due: Timestamp,
}

/// What a page was worth to whoever got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// It was right and something could be done.
    Useful,
    /// Nothing was wrong.
    FalsePositive,
    /// It told what was known already.
    Duplicate,
    /// It was right, and nothing could be done.
    NotActionable,
    /// It went to somebody who does not answer for it.
    WrongOwner,
    /// It came when it was of no use any more.
    TooLate,
}
