//! Turns telemetry into summaries and summaries into windows and breaches.
//! Nothing here reads a clock: a window closes when the watermark passes it.
//!
//! The main path: [`summarise::Summarise`] folds events into deltas,
//! [`evaluate::Evaluate`] merges deltas into windows, closes them, has
//! [`judge`] compare them with what the charter expects, and [`alarm`] turn
//! verdicts into breaches.

pub mod alarm;
pub mod baseline;
pub mod budget;
pub mod charters;
pub mod drift;
pub mod evaluate;
pub mod judge;
pub mod learned;
pub mod ledger;
pub mod measure;
pub mod past;
pub mod platform;
#[cfg(test)]
mod random;
pub mod settings;
pub mod slo;
pub mod standing;
pub mod statistics;
pub mod summarise;
pub mod sustained;
pub mod watermark;
