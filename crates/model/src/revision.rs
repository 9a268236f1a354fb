//! What is published of charters, policies and people: one fact for each thing
//! that changed, and one that makes those before it hold together.
//!
//! A publication is all of its revisions and, last, a fact of kind
//! [`RevisionKind::Publication`]. Without that one, nothing of it holds.
//! Such closing facts, and those about proposals, are *heads*: each names the
//! head before it in `base`. Of two that name the same one the first counts, so
//! that nobody decides on what somebody else has changed meanwhile. An approval
//! and the publication that it completes name the same one and the same command
//! as their `cause`; both count, or neither.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

/// `publication` of a policy that the escalate stage keeps where charters come
/// from a folder: incidents opened under it, and may go on by it when the folder
/// has another text. It belongs to no publication.
pub const PINNED: &str = "pinned";

/// `base` of the first head.
pub const NO_BASE: i64 = -1;

/// One record of the charters topic; those of policies lie on the policies topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The publication or proposal that it belongs to.
    pub publication: String,
    /// What it is of.
    pub kind: RevisionKind,
    /// The subject or pattern of a charter, the name of a policy, a bare name
    /// of the directory, the node at which edges end, or an identifier.
    pub name: String,
    /// When it was published, by the clock of who did.
    pub at: Timestamp,
    /// Who published it, a typed name.
    pub by: String,
    /// From when a charter without a date of its own, a thing of the directory
    /// or an edge is in force; absent is always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Timestamp>,
    /// Offset of the head before; of heads only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<i64>,
    /// The change ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_ticket: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// What led to it: `response` and the identifier of the command. Heads of one
    /// command count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What it is now, whole; null where it was withdrawn. Of a charter the
    /// list of its documents as they were written.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub content: Value,
}

/// What a [`Revision`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevisionKind {
    /// The charter documents of a subject or pattern.
    Charter,
    /// A policy.
    Policy,
    /// A person of the directory.
    User,
    /// A group of the directory.
    Group,
    /// A rota of the directory.
    Schedule,
    /// A system of the directory.
    System,
    /// A domain of the directory.
    Domain,
    /// The last resort of the directory.
    Governance,
    /// The lineage edges that end at a node.
    Lineage,
    /// Head: makes the revisions of its publication hold.
    Publication,
    /// Head: somebody wants charters changed.
    Proposal,
    /// Head: somebody agrees to a proposal.
    Approval,
    /// Head: somebody turned a proposal down, which ends it.
    Rejection,
    /// A remark on a proposal or a subject; changes nothing.
    Comment,
    /// Something was asked for and forbidden by a rule; changes nothing.
    Refusal,
}

impl RevisionKind {
    /// The name used in facts and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Charter => "charter",
            Self::Policy => "policy",
            Self::User => "user",
            Self::Group => "group",
            Self::Schedule => "schedule",
            Self::System => "system",
            Self::Domain => "domain",
            Self::Governance => "governance",
            Self::Lineage => "lineage",
            Self::Publication => "publication",
            Self::Proposal => "proposal",
            Self::Approval => "approval",
            Self::Rejection => "rejection",
            Self::Comment => "comment",
            Self::Refusal => "refusal",
        }
    }

    /// True of the kinds that decide something and so name the head before them.
    pub const fn is_head(self) -> bool {
        matches!(self, Self::Publication | Self::Proposal | Self::Approval | Self::Rejection)
    }
}

/// Content of a [`RevisionKind::Publication`]: how much belongs to it, and who agreed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationSize {
    /// Revisions on the charters topic, without this one.
    pub charters: u64,
    /// Revisions on the policies topic.
    pub policies: u64,
    /// Who agreed to it, by the word of who published it, ascending.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub approved_by: BTreeSet<String>,
}
