//! Carries facts between a log and the pure stages: poll, handle, commit.
//!
//! [`log::Log`] is the one seam to the outside. [`stage`] holds the loop of a
//! service, [`replay`] the same stages in one process without a log.

pub mod audit;
pub mod conformance;
mod in_order;
pub mod log;
pub mod membership;
pub mod outgoing;
pub mod replay;
pub mod rules;
pub mod snapshot;
pub mod stage;
pub mod topics;
