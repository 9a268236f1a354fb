//! One report that a model was fed a value. Borrowed from the record that
//! carried it, because it lives only until it is folded into a summary.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One telemetry event, decoded and valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry<'a> {
    /// The subject, without `feature:` (see [`crate::subject::untyped`]).
    pub feature: Cow<'a, str>,
    /// When the value was served or computed.
    pub event_time: Timestamp,
    /// The producer's own id.
    pub event_id: Option<Cow<'a, str>>,
    /// The feature's version, often empty.
    pub feature_version: Cow<'a, str>,
    /// The value.
    pub value: Value<'a>,
    /// As-of time of the value.
    pub materialised_at: Option<Timestamp>,
    /// Serving latency in microseconds.
    pub latency_us: Option<u64>,
    /// How the value came about.
    pub status: Status,
}

/// A feature's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A double or a long; may be NaN or infinite where the encoding allows it.
    Number(f64),
    /// A boolean; summarised as the categories `true` and `false`.
    Boolean(bool),
    /// A string; summarised as a category.
    Text(Cow<'a, str>),
}

/// How a value came about. `error` and `timeout` are errors, the rest are answers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A value was served.
    #[default]
    Ok,
    /// The stored value is null.
    Null,
    /// There is no row for the entity.
    NotFound,
    /// The value is older than the store allows.
    Stale,
    /// The store failed.
    Error,
    /// The store did not answer in time.
    Timeout,
    /// A default was served instead.
    Defaulted,
}

impl Status {
    /// Every status, in the order of [`Status::index`].
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Null,
        Self::NotFound,
        Self::Stale,
        Self::Error,
        Self::Timeout,
        Self::Defaulted,
    ];

    /// 0 to 6.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name used in telemetry and facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Null => "null",
            Self::NotFound => "not_found",
            Self::Stale => "stale",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Defaulted => "defaulted",
        }
    }

    /// True for error and timeout.
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Timeout)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown status: use ok, null, not_found, stale, error, timeout or defaulted")]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(UnknownStatus)
    }
}

impl Telemetry<'_> {
    /// True where the event has no value: its status is `null`, or it is `ok`
    /// and carries none.
    pub fn is_null(&self) -> bool {
        match self.status {
            Status::Null => true,
            Status::Ok => self.value == Value::Null,
            _ => false,
        }
    }
}
