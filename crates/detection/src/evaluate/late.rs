//! Events that came too late for a window, counted until they are told of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::WindowSpec;
use watchkeep_model::reject::{Reject, reason};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Outputs;
use crate::standing::Standing;

/// Counts of too-late events, for each window.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TooLate {
    /// What was not told yet.
    waiting: BTreeMap<Key, u64>,
    count: u64,
    standing: Standing,
}

/// Feature, version, window and its start.
type Key = (Arc<str>, Arc<str>, WindowSpec, Timestamp);

impl TooLate {
    pub(super) fn add(&mut self, key: Key, count: u64) {
        *self.waiting.entry(key).or_default() += count;
        self.count += count;
    }

    /// How many there were in all.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The watermark has moved.
    pub(super) fn moved(&mut self) {
        self.standing.moved();
    }

    /// A batch was taken whole, which the log took at `appended_at`. True where
    /// something has waited for `patience` before a watermark that stood still.
    pub(super) fn has_waited(&mut self, appended_at: Timestamp, patience: TimeSpan) -> bool {
        if self.waiting.is_empty() {
            self.standing.moved();
            return false;
        }
        self.standing.stands_for(appended_at) >= patience
    }

    /// Tells of all that waits, at a watermark.
    pub(super) fn tell(&mut self, at: Timestamp, lateness: TimeSpan, out: &mut Outputs) {
        self.standing.moved();
        if self.waiting.is_empty() {
            return;
        }
        out.late_told.push((at, self.waiting.len()));
        for ((feature, version, window, start), count) in std::mem::take(&mut self.waiting) {
            out.late.push(Reject {
                reason: reason::LATE.to_owned(),
                detail: Some(format!(
                    "came more than time.allowed_lateness = {lateness} after the window's end; \
                     raise it, or find out why the events come so late",
                )),
                feature: Some(feature.to_string()),
                feature_version: (!version.is_empty()).then(|| version.to_string()),
                window: Some(window.to_string()),
                window_start: Some(start),
                count: Some(count),
                ..Reject::default()
            });
        }
    }
}
