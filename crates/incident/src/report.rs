//! What the registry and the incident log come to over a span of time: how
//! charters are looked after, and what it costs the people who answer.
//!
//! Pure folds of facts: the same log gives the same report.

pub mod drills;
pub mod health;
pub mod measured;
pub mod outcomes;
pub mod owners;
pub mod policies;
pub mod stewardship;
pub mod story;

use serde::Serialize;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// The span that a report is of, `[from, to)`; `to` is also the instant as of
/// which charters are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

    /// The span of the same length that ends where this one begins.
    #[must_use]
    pub fn before(self) -> Self {
        Self { from: self.from - self.length(), to: self.from }
    }

    /// How long it is.
    pub fn length(self) -> TimeSpan {
        self.to.since(self.from)
    }
}

/// True where the actor of a fact is a person and not Watchkeep itself.
pub(crate) fn is_person(actor: &str) -> bool {
    actor.starts_with("user:")
}

/// A part of a whole, 0 to 1; `None` of an empty whole.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The middle of some numbers, the lower one of two; `None` of none.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied()
}
