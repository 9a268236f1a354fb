//! What decisions ask about the world: charters, policies, people, lineage.

use std::sync::{Arc, LazyLock};

use watchkeep_model::charter::Charter;
use watchkeep_model::directory::Directory;
use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::policy::{Notify, NotifyTarget, Policy, Step, Trigger};
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::lineage::Lineage;
use crate::registry::upkeep::Calendar;

/// The registry as incident handling sees it. The answers must depend on the
/// arguments alone while one input is handled.
pub trait Context {
    /// The charter of a typed subject in force at an instant.
    fn charter(&self, subject: &str, at: Timestamp) -> Option<Arc<Charter>>;
    /// A policy by its name.
    fn policy(&self, name: &str) -> Option<&Policy>;
    /// A policy in a certain revision, where it is known: what opened under an
    /// earlier one goes on by it.
    fn policy_of(&self, revision: &PolicyRevision) -> Option<&Policy> {
        self.policy(&revision.name).filter(|policy| policy.version == revision.version)
    }
    /// Who there is.
    fn directory(&self) -> &Directory;
    /// Who there was at an instant: for owners, which a later look at an
    /// earlier time must find as they were.
    fn directory_at(&self, _at: Timestamp) -> &Directory {
        self.directory()
    }
    /// What is made from what, and what runs showed of it.
    fn lineage(&self) -> &Lineage;

    /// The edges that charters declare for a subject, its sources and its
    /// users, each for as long as the charter that says so is in force. For
    /// subjects that only a pattern matches: the lineage has those of the others.
    fn declared(&self, subject: &str) -> Vec<Declared>;

    /// By when charters and policies are to be looked at again; another value
    /// where they are not the same any more.
    fn calendar(&self) -> Arc<Calendar> {
        static NONE: LazyLock<Arc<Calendar>> = LazyLock::new(Arc::default);
        NONE.clone()
    }
}

/// An edge that a charter declares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// Where the data come from, a typed name.
    pub from: String,
    /// What uses them, a typed name.
    pub to: String,
    /// From when on the charter says so.
    pub since: Timestamp,
    /// Until when, itself not included.
    pub until: Timestamp,
}

/// Name of the policy of charters that name none, or one that does not exist,
/// as long as no document defines a policy of this name.
pub const DEFAULT_POLICY: &str = "default";

/// The same, made once: it is asked for with every breach.
pub(crate) fn built_in() -> &'static Policy {
    static BUILT_IN: LazyLock<Policy> = LazyLock::new(default_policy);
    &BUILT_IN
}

/// The built-in policy: the primary owner has 30 minutes, then the backup, the
/// data steward and the executive together another 30, twice over.
pub fn default_policy() -> Policy {
    let role =
        |name: &str| Notify { target: NotifyTarget::Role(name.to_owned()), severities: Vec::new() };
    let step = |name: &str, notify: Vec<Notify>| Step {
        name: name.to_owned(),
        notify,
        acknowledge_within: Some(TimeSpan::MINUTE.times(30)),
        escalate_if: vec![Trigger::NotAcknowledged],
        ..Step::default()
    };
    Policy {
        name: DEFAULT_POLICY.to_owned(),
        version: 1,
        steps: vec![
            step("owner", vec![role("primary")]),
            step("backup", vec![role("backup"), role("data_steward"), role("executive")]),
        ],
        loops: 2,
        ..Policy::default()
    }
}
