//! Proves from Watchkeep's own output that every event counts once.
//!
//! [`ledger`] follows the batches of the summaries topic and finds every
//! record that is missing, came again or does not fit. [`recount`] counts every
//! window anew from those batches. [`facts`] looks through what follows from
//! windows, [`mod@line`] at each window by itself, and [`links`] holds the files of
//! a replay against each other. None of them needs the service, its state or the
//! telemetry.

pub mod compare;
pub mod facts;
pub mod ledger;
pub mod line;
pub mod links;
pub mod recount;

use serde::Serialize;
use watchkeep_model::position::Position;

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What kind of fault.
    pub fault: FaultKind,
    /// The record at which it shows; absent where it is about no single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// What is wrong, in one sentence that names the range.
    pub detail: String,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Offsets of a source partition are in no batch.
    Gap,
    /// Offsets of a source partition are in two batches.
    Overlap,
    /// A record of a writer's session is missing.
    Missing,
    /// A record came again. Evaluation drops it; the log should not hold it.
    Duplicate,
    /// A record is no summary batch, or one of another deployment.
    Unreadable,
    /// One summaries partition ends before the others do.
    Behind,
    /// The group's committed position is not where the coverage ends.
    Position,
    /// A rejected record is told of twice, or lies where nothing was read.
    Reject,
    /// A window does not hold the events that its summaries come to.
    Window,
    /// A fact is there twice, or a number in a row is missing.
    Fact,
    /// A line stands where its time says that it does not belong.
    Order,
    /// Two facts tell of the same and not alike.
    Contradiction,
}

impl FaultKind {
    /// The name that people read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Overlap => "overlap",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Unreadable => "unreadable",
            Self::Behind => "behind",
            Self::Position => "position",
            Self::Reject => "reject",
            Self::Window => "window",
            Self::Fact => "fact",
            Self::Order => "order",
            Self::Contradiction => "contradiction",
        }
    }
}
