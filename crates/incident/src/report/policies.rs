//! Policies in the revisions that incidents were opened under.

use std::collections::BTreeMap;

use watchkeep_model::incident::SYSTEM_ACTOR;
use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::policy::Policy;
use watchkeep_model::revision::{PINNED, Revision, RevisionKind};
use watchkeep_model::time::Timestamp;

use crate::context::default_policy;
use crate::registry::Registry;
use crate::registry::publications::Publications;

/// Every revision of every policy that is known: of a folder those in it, of
/// the policies topic all that were published.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    revisions: BTreeMap<PolicyRevision, Policy>,
    /// Texts that the log keeps for incidents that opened under a folder's
    /// policies, each from an instant on.
    kept: BTreeMap<PolicyRevision, Vec<(Timestamp, Policy)>>,
}

impl Policies {
    /// Takes what the registry has and what was published before it.
    pub fn of(registry: &Registry, publications: Option<&Publications>) -> Self {
        let mut all = Self::of_all([default_policy()]);
        let published = publications.map_or(&[][..], Publications::all).iter();
        for revision in published.flat_map(|publication| &publication.revisions) {
            if revision.kind == RevisionKind::Policy
                && let Ok(policy) = serde_json::from_value::<Policy>(revision.content.clone())
            {
                all.add(policy);
            }
        }
        registry.revisions().for_each(|policy| all.add(policy.clone()));
        all
    }

    /// Takes these and no others.
    pub fn of_all(policies: impl IntoIterator<Item = Policy>) -> Self {
        let mut all = Self::default();
        policies.into_iter().for_each(|policy| all.add(policy));
        all
    }

    fn add(&mut self, policy: Policy) {
        let revision = PolicyRevision { name: policy.name.clone(), version: policy.version };
        self.revisions.insert(revision, policy);
    }

    /// The revision that an incident pinned; `None` where it is not known any more.
    pub fn pinned(&self, revision: &PolicyRevision) -> Option<&Policy> {
        self.revisions.get(revision)
    }

    /// Adds what the escalate stage has kept on the policies topic; others there
    /// are passed over.
    #[must_use]
    pub fn with_kept(mut self, revisions: impl IntoIterator<Item = Revision>) -> Self {
        for (policy, at) in revisions.into_iter().filter_map(kept) {
            let revision = PolicyRevision { name: policy.name.clone(), version: policy.version };
            self.kept.entry(revision).or_default().push((at, policy));
        }
        self.kept.values_mut().for_each(|texts| texts.sort_by_key(|(at, _)| *at));
        self
    }

    /// The text that an incident pinned whose opening was recorded at an
    /// instant: a folder may have changed it since and left the version.
    pub fn pinned_at(&self, revision: &PolicyRevision, at: Timestamp) -> Option<&Policy> {
        let texts = self.kept.get(revision).into_iter().flatten();
        let kept = texts.rev().find(|(since, _)| *since <= at).map(|(_, policy)| policy);
        kept.or_else(|| self.pinned(revision))
    }

    /// The pinned revision, else the highest of the same name.
    pub fn nearest(&self, revision: &PolicyRevision) -> Option<&Policy> {
        self.pinned(revision).or_else(|| {
            let mut same = self.revisions.iter().filter(|(known, _)| known.name == revision.name);
            same.next_back().map(|(_, policy)| policy)
        })
    }
}

/// A policy that the escalate stage keeps, and from when on incidents opened
/// under it; `None` of anything else on the topic.
pub fn kept(revision: Revision) -> Option<(Policy, Timestamp)> {
    let is_kept = revision.publication == PINNED && revision.kind == RevisionKind::Policy;
    let policy = is_kept.then(|| serde_json::from_value(revision.content))?.ok()?;
    Some((policy, revision.at))
}

/// A policy as the escalate stage keeps it for the incidents that open under it
/// from an instant on.
pub fn as_kept(policy: &Policy, at: Timestamp) -> Revision {
    Revision {
        publication: PINNED.to_owned(),
        kind: RevisionKind::Policy,
        name: policy.name.clone(),
        at,
        by: SYSTEM_ACTOR.to_owned(),
        effective_from: None,
        base: None,
        change_ticket: None,
        rationale: None,
        cause: None,
        content: serde_json::to_value(policy).unwrap_or_default(),
    }
}
