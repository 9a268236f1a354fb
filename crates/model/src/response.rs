//! What people do about an incident: commands, each at an instant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identifier::derived;
use crate::json;
use crate::time::Timestamp;

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
    /// Fields of commands that are not supported yet, so that they are refused
    /// by the command's name and not by the field's.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

impl Response {
    /// An identifier of this response, derived from its content.
    pub fn id(&self) -> String {
        derived(&["response", &json::to_line(self)])
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
}

impl Command {
    /// Every command with its name.
    pub const ALL: [(Self, &'static str); 13] = [
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
