//! Policies in the revisions that incidents were opened under.

use std::collections::BTreeMap;

use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::policy::Policy;
use watchkeep_model::revision::RevisionKind;

use crate::context::default_policy;
use crate::registry::Registry;
use crate::registry::publications::Publications;

/// Every revision of every policy that is known: of a folder those in it, of
/// the policies topic all that were published.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    revisions: BTreeMap<PolicyRevision, Policy>,
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

    /// The pinned revision, else the highest of the same name.
    pub fn nearest(&self, revision: &PolicyRevision) -> Option<&Policy> {
        self.pinned(revision).or_else(|| {
            let mut same = self.revisions.iter().filter(|(known, _)| known.name == revision.name);
            same.next_back().map(|(_, policy)| policy)
        })
    }
}
