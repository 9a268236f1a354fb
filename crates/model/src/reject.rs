//! Input that could not be used, kept whole with the reason.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One line of `rejects.ndjson` and one record of the rejects topic: either a
/// record that could not be read (with its bytes and origin) or, with reason
/// `late`, events that came too late for a window (with that window and their count).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reject {
    /// A short name for the kind of fault; see [`reason`].
    pub reason: String,
    /// What is wrong, where, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The topic or file of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Its offset, or line counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The record as it came, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// The broker's time of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// Late summaries: the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Late summaries: the feature's version, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_version: Option<String>,
    /// Late summaries: the window's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Late summaries: the window's first instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_start: Option<Timestamp>,
    /// Late summaries: how many events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// Names of reasons.
pub mod reason {
    /// Not JSON, Avro or text of the promised kind.
    pub const MALFORMED: &str = "malformed";
    /// Readable, but a field is missing, of a wrong type or out of bounds.
    pub const INVALID: &str = "invalid";
    /// The schema's id or fingerprint is not known.
    pub const UNKNOWN_SCHEMA: &str = "unknown_schema";
    /// Further ahead of the broker's time than `max_future`.
    pub const FUTURE: &str = "future";
    /// Larger than a record may be.
    pub const TOO_LARGE: &str = "too_large";
    /// Too late for a window.
    pub const LATE: &str = "late";
}
