//! Charters, policies, people and lineage as facts: the fold of what was
//! published, and what a folder would change of it.
//!
//! ```text
//! folder ── changes ──▶ revisions, and last their publication ──▶ charters topic
//!                                                                     │ take
//! registry ◀── documents ◀── contents as of a position ◀── history ◀──┘
//! ```
//!
//! A charter that carries no date is in force from the `effective_from` of its
//! revision on, and the one before it until then, so that the history stays.
//! Where a document of the subject carries a date, its writer keeps the
//! history, and all its documents hold as they are written.

mod contents;
pub mod decide;
mod difference;
pub mod gate;
pub mod guard;
pub mod played;
mod proposals;
pub mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use watchkeep_model::charter::{Approval, CharterDocument};
use watchkeep_model::revision::{NO_BASE, PINNED, PublicationSize, Revision, RevisionKind};
use watchkeep_model::time::Timestamp;

pub use contents::{Contents, SubjectHistory};
pub use difference::{Change, Changed, Difference, changes, field_changes};
pub use proposals::{Proposal, ProposalState};

/// Revisions of publications that are not closed, in all. Beyond it the oldest
/// publication is forgotten: whoever wrote it has given up.
const WAITING_MAX: usize = 1_000_000;

/// What was published, and what was decided about it.
#[derive(Clone, Debug)]
pub struct Publications {
    /// Offset of the last head.
    head: i64,
    /// What the last head named as the one before it, and the command that led to it.
    last: (Option<i64>, Option<String>),
    /// Commands that led to something, each with what it is about, and those that
    /// were outrun.
    causes: BTreeMap<String, String>,
    outrun: BTreeSet<String>,
    /// Revisions without their publication, by its identifier.
    waiting: BTreeMap<String, Vec<Revision>>,
    publications: Vec<Publication>,
    proposals: BTreeMap<String, Proposal>,
    remarks: Vec<Revision>,
}

/// Revisions that hold together.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// The offset behind its head: whoever has read so far knows it.
    pub position: i64,
    /// Its head.
    pub head: Revision,
    /// What it changed, in order.
    pub revisions: Vec<Revision>,
}

/// What came of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts, or will once its publication is closed.
    Yes,
    /// It rests on a head that was not the last one any more, and changes nothing.
    Outrun,
    /// Revisions of it are not there yet: read further and give it again.
    Incomplete,
}

impl Default for Publications {
    fn default() -> Self {
        Self {
            head: NO_BASE,
            last: (None, None),
            causes: BTreeMap::new(),
            outrun: BTreeSet::new(),
            waiting: BTreeMap::new(),
            publications: Vec::new(),
            proposals: BTreeMap::new(),
            remarks: Vec::new(),
        }
    }
}

impl Publications {
    /// Takes a fact of the charters topic, in order of offset. Those of the
    /// policies topic are given to [`Publications::take_policy`] before.
    pub fn take(&mut self, offset: i64, revision: Revision) -> Taken {
        if revision.kind.is_head() && !self.rests_on_the_last(&revision) {
            self.waiting.remove(&revision.publication);
            self.outrun.extend(revision.cause);
            return Taken::Outrun;
        }
        let last = revision.kind.is_head().then(|| (revision.base, revision.cause.clone()));
        let cause = revision.cause.clone().map(|cause| (cause, revision.publication.clone()));
        let taken = self.add(offset, revision);
        if taken == Taken::Yes {
            if let Some(last) = last {
                (self.head, self.last) = (offset, last);
            }
            self.causes.extend(cause);
        }
        taken
    }

    /// Heads of one command name the same head before them, for whoever writes
    /// them together knows no offset yet.
    fn rests_on_the_last(&self, head: &Revision) -> bool {
        let is_of_one_command =
            head.cause.is_some() && (head.base, &head.cause) == (self.last.0, &self.last.1);
        head.base == Some(self.head) || is_of_one_command
    }

    fn add(&mut self, offset: i64, revision: Revision) -> Taken {
        match revision.kind {
            RevisionKind::Publication => return self.publish(offset, revision),
            RevisionKind::Proposal => {
                let proposal = Proposal::new(revision);
                self.proposals.insert(proposal.fact.publication.clone(), proposal);
            }
            RevisionKind::Approval | RevisionKind::Rejection => {
                if let Some(proposal) = self.proposals.get_mut(&revision.publication) {
                    proposal.take(revision);
                }
            }
            RevisionKind::Comment | RevisionKind::Refusal => self.remarks.push(revision),
            _ => self.wait(revision),
        }
        Taken::Yes
    }

    /// What came of a command, by the `cause` of its facts: `Yes` where it
    /// counts, `Outrun` where somebody else decided meanwhile, `None` where
    /// nothing of it was read.
    pub fn outcome(&self, cause: &str) -> Option<Taken> {
        match (self.causes.contains_key(cause), self.outrun.contains(cause)) {
            (true, _) => Some(Taken::Yes),
            (false, true) => Some(Taken::Outrun),
            (false, false) => None,
        }
    }

    /// Takes a fact of the policies topic. What was kept for incidents alone
    /// is published by nobody.
    pub fn take_policy(&mut self, revision: Revision) {
        if revision.publication != PINNED {
            self.wait(revision);
        }
    }

    /// What a command was about: a proposal's identifier, or a subject.
    pub fn about(&self, cause: &str) -> Option<&str> {
        self.causes.get(cause).map(String::as_str)
    }

    /// The rule that forbade a command.
    pub fn refused(&self, cause: &str) -> Option<String> {
        let mut remarks = self.remarks.iter().rev();
        let refusal = remarks.find(|remark| {
            remark.kind == RevisionKind::Refusal && remark.cause.as_deref() == Some(cause)
        })?;
        refusal.content.get("rule")?.as_str().map(str::to_owned)
    }

    fn wait(&mut self, revision: Revision) {
        if self.waiting.values().map(Vec::len).sum::<usize>() >= WAITING_MAX {
            self.waiting.pop_first();
        }
        self.waiting.entry(revision.publication.clone()).or_default().push(revision);
    }

    fn publish(&mut self, offset: i64, head: Revision) -> Taken {
        let size: PublicationSize =
            serde_json::from_value(head.content.clone()).unwrap_or_default();
        let waiting = self.waiting.get(&head.publication).map_or(&[][..], Vec::as_slice);
        let policies = waiting.iter().filter(|r| r.kind == RevisionKind::Policy).count() as u64;
        let charters = waiting.len() as u64 - policies;
        if policies < size.policies || charters < size.charters {
            return Taken::Incomplete;
        }
        let mut revisions = self.waiting.remove(&head.publication).unwrap_or_default();
        // Both topics together have one order, that of kinds and names.
        revisions.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        if let Some(proposal) = self.proposals.get_mut(&head.publication) {
            proposal.state = ProposalState::Published;
        }
        self.publications.push(Publication { position: offset + 1, head, revisions });
        Taken::Yes
    }

    /// Offset of the last head, the `base` of the next.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// The position behind the last publication, 0 before the first.
    pub fn position(&self) -> i64 {
        self.publications.last().map_or(0, |publication| publication.position)
    }

    /// What was published, in order.
    pub fn all(&self) -> &[Publication] {
        &self.publications
    }

    /// What was proposed, by identifier.
    pub fn proposals(&self) -> &BTreeMap<String, Proposal> {
        &self.proposals
    }

    /// Comments and refusals, in order.
    pub fn remarks(&self) -> &[Revision] {
        &self.remarks
    }

    /// What holds for whoever has read up to a position.
    pub fn contents(&self, position: i64) -> Contents {
        let mut contents = Contents::default();
        for publication in self.publications.iter().take_while(|p| p.position <= position) {
            publication.revisions.iter().for_each(|revision| contents.take(revision));
        }
        contents
    }

    /// What holds now.
    pub fn newest(&self) -> Contents {
        self.contents(i64::MAX)
    }

    /// The revisions of a kind and name, each with its publication.
    pub fn of<'h>(
        &'h self,
        kind: RevisionKind,
        name: &'h str,
    ) -> impl Iterator<Item = (&'h Publication, &'h Revision)> {
        self.publications.iter().flat_map(move |publication| {
            let same = publication.revisions.iter();
            same.filter(move |r| r.kind == kind && r.name == name).map(move |r| (publication, r))
        })
    }

    /// Approvals that the documents of a difference carry and no revision of
    /// the subject carried before: each counts for the change that brought it.
    pub fn new_approvals(&self, difference: &Difference) -> BTreeSet<String> {
        let revisions = self.of(difference.kind, &difference.name);
        let known: Vec<Approval> = revisions.flat_map(|(_, r)| approvals(&r.content)).collect();
        let new = approvals(&difference.after).into_iter().filter(|a| !known.contains(a));
        new.map(|approval| approval.by).collect()
    }

    /// Who agreed to a revision of a publication, each once, ascending: to the
    /// proposal, to the whole publication, or in the document.
    pub fn approvers(&self, publication: &Publication, revision: &Revision) -> BTreeSet<String> {
        let Publication { head, position, .. } = publication;
        let proposal = self.proposals.get(&head.publication).into_iter();
        let proposed = proposal.flat_map(Proposal::approvers).map(str::to_owned);
        let size = PublicationSize::deserialize(&head.content).unwrap_or_default();
        let earlier = self.of(revision.kind, &revision.name);
        let earlier = earlier.take_while(|(other, _)| other.position < *position);
        let known: Vec<Approval> = earlier.flat_map(|(_, r)| approvals(&r.content)).collect();
        let written = approvals(&revision.content).into_iter().filter(|a| !known.contains(a));
        proposed.chain(size.approved_by).chain(written.map(|approval| approval.by)).collect()
    }

    /// The instant from which an undated charter of the next publication is in
    /// force: always for the very first one, `asked` or else `now` later.
    pub fn stamp(&self, asked: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        if asked.is_none() && self.publications.is_empty() { None } else { asked.or(Some(now)) }
    }
}

/// The approvals in the documents of a charter; none of anything else.
fn approvals(content: &Value) -> Vec<Approval> {
    let documents = Vec::<CharterDocument>::deserialize(content).unwrap_or_default();
    documents.into_iter().filter_map(|document| document.fields.approvals).flatten().collect()
}
