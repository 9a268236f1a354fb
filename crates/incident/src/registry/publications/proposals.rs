//! Changes that somebody wants and others have to agree to.

use std::collections::BTreeSet;

use serde_json::Value;
use watchkeep_model::revision::{Revision, RevisionKind};

/// A proposed change of charters.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The fact that proposes it. Its content is the list of charter documents.
    pub fact: Revision,
    /// Approvals and rejections, in order.
    pub answers: Vec<Revision>,
    /// Where it stands.
    pub state: ProposalState,
}

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// It waits for approvals.
    Pending,
    /// Somebody turned it down.
    Rejected,
    /// It was published.
    Published,
}

impl ProposalState {
    /// The name used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Published => "published",
        }
    }
}

impl Proposal {
    pub(super) fn new(fact: Revision) -> Self {
        Self { fact, answers: Vec::new(), state: ProposalState::Pending }
    }

    pub(super) fn take(&mut self, answer: Revision) {
        if self.state != ProposalState::Pending {
            return;
        }
        if answer.kind == RevisionKind::Rejection {
            self.state = ProposalState::Rejected;
        }
        self.answers.push(answer);
    }

    /// True where it would change, or has changed, the charter of a subject. It
    /// may hold documents that are as they were published: these it does not
    /// concern.
    pub fn concerns(&self, subject: &str) -> bool {
        let before = self.fact.content.get("before").and_then(Value::as_array);
        before.into_iter().flatten().any(|change| change[0] == subject)
    }

    /// Who approved, each once.
    pub fn approvers(&self) -> BTreeSet<&str> {
        let approvals = self.answers.iter().filter(|a| a.kind == RevisionKind::Approval);
        approvals.map(|approval| approval.by.as_str()).collect()
    }
}
