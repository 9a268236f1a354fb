//! Turns breaches into incidents and incidents into pages, until somebody
//! answers or the steps have run out.
//!
//! ```text
//! breach ── held for group_wait ── attribution ── opened ── steps ── resolved
//!                                                   │ every move a fact, hash-chained
//!                                                   └ every page a message
//! ```
//!
//! Start at [`escalate::Escalate`], the stage's single writer. It keeps
//! [`state::Incident`]s, which are folds of facts, and lets a
//! [`decide::Decision`] apply the rules. Nothing here reads a clock: time is
//! an argument and a timer is a `due_at` in a fact.

pub mod attribution;
pub mod calendar;
pub mod command;
pub mod conformance;
pub mod context;
pub mod decide;
pub mod drill;
pub mod escalate;
pub mod hook;
pub mod lineage;
mod message;
pub mod owner;
pub mod pages;
pub mod playbook;
pub mod progress;
pub mod registry;
pub mod rehearsal;
pub mod report;
pub mod schedule;
pub mod silence;
pub mod state;
pub mod words;

#[cfg(test)]
pub(crate) mod tests;
