//! A breach: an expectation that a window fails. It is where detection and
//! incident handling meet; neither knows the other.

use serde::{Deserialize, Serialize};

use crate::charter::{ExpectationKind, Severity};
use crate::position::Position;
use crate::time::Timestamp;

/// One line of `breaches.ndjson` and one record of the breaches topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The same from opened to cleared or retracted; derived from feature,
    /// version, expectation, window and the start of the window that opened it.
    pub breach_id: String,
    /// What happened to the breach.
    pub transition: Transition,
    /// The subject as telemetry names it.
    pub feature: String,
    /// The feature's version, often empty.
    pub feature_version: String,
    /// The expectation's name.
    pub expectation: String,
    /// The expectation's kind.
    pub kind: ExpectationKind,
    /// How bad the charter says this is.
    pub severity: Severity,
    /// The window's name, such as `1h`.
    pub window: String,
    /// The judged window's first instant.
    pub window_start: Timestamp,
    /// The judged window's end.
    pub window_end: Timestamp,
    /// The revision that was judged.
    pub revision: u32,
    /// When it was decided, by the watermark: the window's end, or the instant of its revision.
    pub detected_at: Timestamp,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The test's p-value, where there is a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The effect's size, where the expectation bounds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
    /// The baseline that the window was compared with: its kind and content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The charter's primary owner at the window's end; who answers is the incident's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The policy that the charter names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Models, dashboards and others that use the feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_consumers: Vec<String>,
    /// A few records of the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<Position>,
    /// One sentence for a person.
    pub reason: String,
}

/// What happened to a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The window made k of the last n judged windows bad.
    Opened,
    /// A further bad window of an open breach.
    Sustained,
    /// Enough good windows in a row.
    Cleared,
    /// A revision took away what the breach stood on.
    Retracted,
}

impl Transition {
    /// The name used in facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Sustained => "sustained",
            Self::Cleared => "cleared",
            Self::Retracted => "retracted",
        }
    }
}
