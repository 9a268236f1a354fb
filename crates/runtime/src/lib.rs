//! Carries facts between a log and the pure stages: poll, handle, commit.
//!
//! [`log::Log`] is the one seam to the outside.

pub mod conformance;
pub mod log;
pub mod membership;
