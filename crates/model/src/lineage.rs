//! What is made from what, and what runs showed of it.

use std::collections::BTreeMap;

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
}

impl ShownRun {
    /// The event with the names that are known.
    pub fn known_as(self, is_known: &dyn Fn(&str) -> bool) -> RunEvent {
        let Self { mut event, other_names } = self;
        let known = |name: &String| -> String {
            let others = other_names.get(name).map(Vec::as_slice).unwrap_or_default();
            others.iter().find(|other| is_known(other)).unwrap_or(name).clone()
        };
        event.rename(known);
        event
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
