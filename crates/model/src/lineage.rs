//! What is made from what, and what runs showed of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// An edge of the lineage, from the source of data to its user. Both ends are
/// typed names. Ordered by `from`, then `to`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// Where the data come from.
    pub from: String,
    /// What uses them.
    pub to: String,
    /// When a run last showed the edge; absent for edges that people declared,
    /// which do not age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

impl Edge {
    /// A declared edge.
    pub fn declared(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), last_seen: None }
    }
}

/// A fact of the lineage: what one event of one run showed. The nodes are
/// typed names, the job a `pipeline:`. Ordered by time, so that a list of
/// them is a history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunEvent {
    /// When it happened.
    pub at: Timestamp,
    /// The job, `pipeline:…`.
    pub job: String,
    /// Which run of the job.
    pub run: String,
    /// Where the run stands.
    pub state: RunState,
    /// What a failed run said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the run reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// What the run writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Checks of data that the run made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<Assertion>,
    /// Who owns what, as the event says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Ownership>,
}

/// A run event as its program wrote it, in which charters may know nodes by
/// other names. Which they know changes with every publication, so the names
/// are looked up when the lineage is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRun {
    /// The event, each node by the name that it has where no charter knows it.
    pub event: RunEvent,
    /// Typed names that mean the same, by the node's name in the event, those
    /// that are to be preferred first.
    pub other_names: BTreeMap<String, Vec<String>>,
    /// What other runs call the same where no charter knows it, by the node's name
    /// in the event.
    pub same_as: BTreeMap<String, Vec<String>>,
}

impl ShownRun {
    /// The same with the names that charters have now, and without those that they
    /// might have later: of very many events these are most of what there is.
    #[must_use]
    pub fn settled(self, is_known: &dyn Fn(&str) -> bool) -> Self {
        let Self { mut event, other_names, same_as } = self;
        let known = |name: &String| -> String {
            let others = other_names.get(name).map(Vec::as_slice).unwrap_or_default();
            others.iter().find(|other| is_known(other)).unwrap_or(name).clone()
        };
        event.rename(known);
        let same_as = same_as.into_iter().map(|(name, others)| (known(&name), others)).collect();
        Self { event, other_names: BTreeMap::new(), same_as }
    }

    /// The event with the names that are known.
    pub fn known_as(self, is_known: &dyn Fn(&str) -> bool) -> RunEvent {
        let mut names = NodeNames::default();
        names.add(self.other_names, self.same_as);
        let known = names.known_as(is_known);
        let mut event = self.event;
        event.rename(|name| known.get(name.as_str()).copied().unwrap_or(name).to_owned());
        event
    }
}

/// Events with the names that are known for their nodes, and else one name for
/// what several of them call differently.
pub fn named(shown: Vec<ShownRun>, is_known: &dyn Fn(&str) -> bool) -> Vec<RunEvent> {
    let (mut names, mut events) = (NodeNames::default(), Vec::with_capacity(shown.len()));
    for ShownRun { event, other_names, same_as } in shown {
        names.add(other_names, same_as);
        events.push(event);
    }
    let known = names.known_as(is_known);
    for event in &mut events {
        event.rename(|name| known.get(name.as_str()).copied().unwrap_or(name).to_owned());
    }
    events
}

/// What the nodes of many run events are called.
#[derive(Clone, Debug, Default)]
pub struct NodeNames {
    other_names: BTreeMap<String, Vec<String>>,
    same_as: BTreeMap<String, Vec<String>>,
}

impl NodeNames {
    /// Takes the names of an event in.
    pub fn add(
        &mut self,
        other_names: BTreeMap<String, Vec<String>>,
        same_as: BTreeMap<String, Vec<String>>,
    ) {
        self.other_names.extend(other_names);
        for (name, others) in same_as {
            let known = self.same_as.entry(name).or_default();
            known.extend(others);
            known.sort();
            known.dedup();
        }
    }

    /// The name of every node that has another than in its events: one that is
    /// known; else, of names that runs have for the same, one of which that is so,
    /// or the first of all.
    pub fn known_as(&self, is_known: &dyn Fn(&str) -> bool) -> BTreeMap<&str, &str> {
        let of_charters = |name: &str| -> Option<&str> {
            let others = self.other_names.get(name)?;
            others.iter().find(|other| is_known(other)).map(String::as_str)
        };
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        for name in self.other_names.keys() {
            known.extend(of_charters(name).map(|other| (name.as_str(), other)));
        }
        for same in self.same() {
            let named = same.iter().find_map(|name| {
                known.get(name).copied().or_else(|| is_known(name).then_some(*name))
            });
            // A name that no run has for it itself is nobody's.
            let of_run = || same.iter().find(|name| self.same_as.contains_key(**name)).copied();
            let Some(name) = named.or_else(of_run) else { continue };
            let others = same.into_iter().filter(|other| *other != name);
            others.for_each(|other| _ = known.entry(other).or_insert(name));
        }
        known
    }

    /// The names of each thing that has several.
    fn same(&self) -> Vec<BTreeSet<&str>> {
        let mut links: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, others) in &self.same_as {
            for other in others {
                links.entry(name).or_default().insert(other);
                links.entry(other).or_default().insert(name);
            }
        }
        let mut all = Vec::new();
        while let Some((first, _)) = links.first_key_value() {
            let (mut same, mut next) = (BTreeSet::new(), vec![*first]);
            while let Some(name) = next.pop() {
                if same.insert(name) {
                    next.extend(links.remove(name).unwrap_or_default());
                }
            }
            all.push(same);
        }
        all
    }
}

impl RunEvent {
    /// Gives every node another name.
    pub fn rename(&mut self, named: impl Fn(&String) -> String) {
        self.job = named(&self.job);
        for node in self.inputs.iter_mut().chain(&mut self.outputs) {
            *node = named(node);
        }
        for assertion in &mut self.assertions {
            assertion.node = named(&assertion.node);
        }
        for ownership in &mut self.owners {
            ownership.node = named(&ownership.node);
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has begun, or goes on.
    Started,
    /// It ended well.
    Completed,
    /// It ended badly.
    Failed,
    /// Somebody ended it; says nothing about the data.
    Aborted,
    /// Says more about a run or a node without changing where it stands.
    Other,
}

/// Name of the check that a column which a schema had is in those after it. A
/// run tells it of every column of its schema.
pub const COLUMN_IS_THERE: &str = "column is there";

/// How the name of the check begins that a column has the type it had; the type
/// follows. A run tells it of every column of its schema that has one.
pub const COLUMN_HAS_TYPE: &str = "column has type ";

/// Name of the check that a run read or wrote any row.
pub const ROWS_ARE_THERE: &str = "there are rows";

/// Name of the check that a column has any value where there are rows.
pub const VALUES_ARE_THERE: &str = "there are values";

/// A check of data and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assertion {
    /// What was checked, a typed name.
    pub node: String,
    /// The check's name.
    pub assertion: String,
    /// The column, where the check is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Whether it held.
    pub success: bool,
}

/// Who owns a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ownership {
    /// What is owned, a typed name.
    pub node: String,
    /// Who owns it, as the event writes it: `team:data`, `user:ada`, a bare name.
    pub owner: String,
    /// As what, for example `MAINTAINER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Ownership {
    /// The `type` of an owner who is accountable. OpenLineage leaves the words
    /// open; others are maintainers and the like.
    pub const OWNER: &'static str = "OWNER";

    /// True where that is the type.
    pub fn is_owner(&self) -> bool {
        self.role.as_deref().is_some_and(|role| role.eq_ignore_ascii_case(Self::OWNER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_call_differently_has_one_name() {
        let mut names = NodeNames::default();
        let mut node = |name: &str, forms: &[&str], same: &[&str]| {
            let list = |of: &[&str]| of.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            let of = |of: &[&str]| BTreeMap::from([(name.to_owned(), list(of))]);
            names.add(of(forms), if same.is_empty() { BTreeMap::new() } else { of(same) });
        };
        // Each names the other, two share a name that neither has, one is alone.
        node("dataset:s3/a", &["dataset:a"], &["dataset:hive/a"]);
        node("dataset:hive/a", &[], &["dataset:s3/a"]);
        node("dataset:x/b", &[], &["dataset:c/b"]);
        node("dataset:y/b", &[], &["dataset:c/b"]);
        node("dataset:z/c", &[], &["dataset:d/c"]);
        let named = |known: &str| {
            let all = names.known_as(&|name| name == known);
            let text = all.iter().map(|(name, other)| format!("{name} {other}"));
            text.collect::<Vec<_>>()
        };
        let shared = ["dataset:c/b dataset:x/b", "dataset:y/b dataset:x/b"];
        assert_eq!(
            named("none"),
            [shared[0], "dataset:d/c dataset:z/c", "dataset:s3/a dataset:hive/a", shared[1]]
        );
        // The name of a charter stands for all.
        let of_charter = ["dataset:hive/a dataset:a", "dataset:s3/a dataset:a"];
        assert!(of_charter.iter().all(|one| named("dataset:a").contains(&(*one).to_owned())));
    }
}
