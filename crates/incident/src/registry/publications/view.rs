//! Proposals as people are shown them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::time::Timestamp;

use super::decide::{Desk, OUTRUN, differences, documents};
use super::{Changed, Proposal, ProposalState};

/// A proposal with what it still needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProposalView {
    /// Its identifier.
    pub proposal: String,
    /// `pending`, `rejected`, `published`, or `outrun`: nobody can approve it any more.
    pub state: String,
    /// Who proposed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// The change ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_ticket: Option<String>,
    /// Who has approved it.
    pub approved_by: Vec<String>,
    /// What is missing, in words; nothing where it is over.
    pub waits_for: Vec<String>,
    /// What it would change or has changed.
    pub changes: Vec<Changed>,
    /// What was said about it.
    pub comments: Vec<CommentView>,
}

/// A remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentView {
    /// Who said it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

impl Desk<'_> {
    /// Every proposal, oldest first.
    pub fn proposals(&self) -> Vec<ProposalView> {
        let all = self.publications.proposals().values();
        let mut shown: Vec<ProposalView> = all.map(|proposal| self.view(proposal)).collect();
        shown.sort_by(|a, b| (a.at, &a.proposal).cmp(&(b.at, &b.proposal)));
        shown
    }

    /// One proposal.
    pub fn view(&self, proposal: &Proposal) -> ProposalView {
        let fact = &proposal.fact;
        let id = &fact.publication;
        let remarks = self.publications.remarks().iter();
        let comments = remarks.filter(|r| r.kind == RevisionKind::Comment && r.name == *id);
        let state = match proposal.state {
            ProposalState::Pending if self.is_outrun(proposal) => "outrun",
            state => state.name(),
        };
        let published = self.publications.all().iter().find(|p| p.head.publication == *id);
        let changes = match published {
            // What it changed is no difference any more.
            Some(publication) => publication.revisions.iter().map(Changed::of).collect(),
            None => {
                let now = differences(&self.publications.newest(), &documents(proposal));
                now.iter().map(Changed::by).collect()
            }
        };
        ProposalView {
            proposal: id.clone(),
            state: state.to_owned(),
            by: fact.by.clone(),
            at: fact.at,
            rationale: fact.rationale.clone(),
            change_ticket: fact.change_ticket.clone(),
            approved_by: proposal.approvers().into_iter().map(str::to_owned).collect(),
            waits_for: self.waits_for(proposal),
            changes,
            comments: comments
                .map(|r| CommentView {
                    by: r.by.clone(),
                    at: r.at,
                    text: r.rationale.clone().unwrap_or_default(),
                })
                .collect(),
        }
    }

    /// What a pending proposal waits for, in words; nothing where it is complete.
    fn waits_for(&self, proposal: &Proposal) -> Vec<String> {
        if proposal.state != ProposalState::Pending {
            return Vec::new();
        }
        let differences = differences(&self.publications.newest(), &documents(proposal));
        let after = self.after(&differences).ok().filter(|_| !self.is_outrun(proposal));
        let Some(after) = after else { return vec![OUTRUN.to_owned()] };
        let approvers = proposal.approvers();
        let lines: BTreeSet<String> = self
            .requirements(proposal, &differences, &after)
            .iter()
            .filter(|requirement| requirement.missing(&approvers) > 0)
            .map(|requirement| {
                let people: Vec<&str> = requirement.eligible.iter().map(String::as_str).collect();
                let people =
                    if people.is_empty() { "nobody".to_owned() } else { people.join(", ") };
                format!(
                    "{}: {} of {} approvals, gate {}, by {people}",
                    requirement.subject,
                    requirement.minimum - requirement.missing(&approvers),
                    requirement.minimum,
                    requirement.gate,
                )
            })
            .collect();
        lines.into_iter().collect()
    }
}
