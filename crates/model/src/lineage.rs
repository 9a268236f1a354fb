//! What is made from what.

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
