//! Bytes to facts and back: Avro, JSON, charters, rejects.
//!
//! Telemetry is decoded from hostile bytes at the speed of the log
//! ([`telemetry`]); summaries have a compact form of their own
//! ([`summary_batch`]); all other facts go through one codec that is steered
//! by their schema ([`fact`]). What cannot be read is a [`Malformed`], which
//! becomes a reject ([`reject`]); nothing here panics on input.

pub mod avro;
pub mod content_type;
pub mod fact;
pub mod framing;
mod json_text;
#[cfg(test)]
mod oracle;
pub mod reject;
pub mod schema_set;
pub mod schemas;
pub mod summary_batch;
pub mod telemetry;
pub mod training;
pub mod yaml;

use watchkeep_model::reject::reason;

/// Why a record cannot be used. It becomes a reject; the stream goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Malformed {
    /// One of [`watchkeep_model::reject::reason`].
    pub reason: &'static str,
    /// What is wrong, where, and what to write instead.
    pub detail: String,
}

impl Malformed {
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self { reason: reason::MALFORMED, detail: detail.into() }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self { reason: reason::INVALID, detail: detail.into() }
    }

    pub(crate) fn unknown_schema(detail: impl Into<String>) -> Self {
        Self { reason: reason::UNKNOWN_SCHEMA, detail: detail.into() }
    }

    /// For a record of `bytes` where at most `max` are allowed.
    pub fn too_large(bytes: usize, max: usize) -> Self {
        let detail = format!(
            "the record has {bytes} bytes: at most {max} are read; write several smaller records"
        );
        Self { reason: reason::TOO_LARGE, detail }
    }
}

/// Longest part of a wrong text that a detail repeats, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// A text as a detail shows it: quoted, without control characters, shortened.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for found in text.chars().take(SHOWN_CHARS_MAX) {
        if found.is_control() { shown.extend(found.escape_debug()) } else { shown.push(found) }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
