//! What the registry and the incident log come to over a span of time: how
//! charters are looked after, and what it costs the people who answer.
//!
//! Pure folds of facts: the same log gives the same report.

pub mod owners;
pub mod stewardship;

use watchkeep_model::time::Timestamp;

/// The span that a report is of, `[from, to)`; `to` is also the instant as of
/// which charters are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// First instant.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
}

impl Period {
    /// True where an instant is in it.
    pub fn has(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// True where the actor of a fact is a person and not Watchkeep itself.
fn is_person(actor: &str) -> bool {
    actor.starts_with("user:")
}

/// The middle of some numbers, the lower one of two; `None` of none.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied()
}
