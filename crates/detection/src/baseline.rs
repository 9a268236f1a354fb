//! What windows are compared with: summaries of other times of the same stream.

mod profiles;
mod season;

use std::sync::Arc;

use watchkeep_model::charter::{BaselineSpec, Season};
use watchkeep_model::compact;
use watchkeep_model::identifier::sha256_hex;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::Timestamp;

use crate::drift::Effects;

pub use profiles::{Conflict, Profiles};
pub use season::season;

/// A baseline that is fit to judge by.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// What it holds.
    pub summary: Arc<Summary>,
    /// Kind, extent, size and content hash, as facts name it.
    pub name: Arc<str>,
    /// The past windows that it is made of, latest first; none where it is not
    /// made of windows.
    pub parts: Vec<Part>,
    /// By how much the shares of these windows' bins differ more than those of
    /// independent values.
    pub effects: Effects,
}

/// One past window of a baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Where the window begins.
    pub start: Timestamp,
    /// Its events.
    pub count: u64,
    /// Its events without a value.
    pub null_count: u64,
    /// Its finite numbers.
    pub numbers: u64,
    /// Their mean; `None` where there are none.
    pub mean: Option<f64>,
    /// True where it lies in a breach of the expectation that has lasted as long as
    /// the baseline reaches, so that it is a part of it all the same.
    pub of_breach: bool,
}

impl Part {
    /// The part of a baseline that a past window is.
    pub fn of(start: Timestamp, window: &Summary) -> Self {
        Self {
            start,
            count: window.count,
            null_count: window.null_count,
            numbers: window.numbers.count(),
            mean: window.numbers.mean(),
            of_breach: false,
        }
    }
}

impl Baseline {
    /// Names a summary as the content of a baseline.
    pub fn new(spec: &BaselineSpec, summary: Arc<Summary>, parts: Vec<Part>) -> Self {
        let hash = &content_hash(&summary)[..16];
        let of = if parts.is_empty() { String::new() } else { format!(" windows={}", parts.len()) };
        let name = format!("{}{of} n={} sha256:{hash}", extent(spec), summary.count);
        Self { summary, name: name.into(), parts, effects: Effects::default() }
    }
}

impl Baseline {
    /// (numbers, mean) of the past windows that it is made of.
    pub fn means(&self) -> Vec<(u64, f64)> {
        self.parts.iter().filter_map(|part| Some((part.numbers, part.mean?))).collect()
    }
}

/// The kind and extent of a baseline in words.
pub fn extent(spec: &BaselineSpec) -> String {
    match spec {
        BaselineSpec::Fixed { from, to } => format!("fixed {from}/{to}"),
        BaselineSpec::Rolling { windows, .. } => format!("rolling {windows}"),
        BaselineSpec::Seasonal { by, weeks, zone, .. } => {
            let by = match by {
                Season::HourOfDay => "hour_of_day",
                Season::HourOfWeek => "hour_of_week",
            };
            let zone = zone.as_ref().map(|zone| format!(" {zone}")).unwrap_or_default();
            format!("seasonal {by} {weeks}w{zone}")
        }
        BaselineSpec::Profile { id } => format!("profile {id}"),
    }
}

/// SHA-256 of the counts, numbers and categories: equal contents have equal
/// hashes, whatever they were merged from.
pub fn content_hash(summary: &Summary) -> String {
    sha256_hex(&compact::encode(summary))
}
