//! When a feature was last heard of before an instant, for its silence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchkeep_model::time::{TimeSpan, Timestamp};

/// The latest event time of each pane that a window may still end after, of
/// all versions: events after a window's end may have come before its close.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Recency {
    panes: BTreeMap<Timestamp, Timestamp>,
    /// From here on there is something to be silent about.
    since: Option<Timestamp>,
}

impl Recency {
    /// The feature has windows from `since` on, if not from an earlier instant on.
    pub(super) fn begin(&mut self, since: Timestamp) {
        self.since = Some(self.since.map_or(since, |before| before.min(since)));
    }

    /// Takes note of events of a pane, of which the last was at `last`.
    pub(super) fn note(&mut self, pane: Timestamp, last: Timestamp) {
        let latest = self.panes.entry(pane).or_insert(last);
        *latest = last.max(*latest);
    }

    /// How long before `end`, the bound of a pane, the last event was. Before
    /// the first event the time counts from the beginning.
    pub(super) fn silent_for(&self, end: Timestamp) -> Option<TimeSpan> {
        let latest = self.panes.range(..end).next_back().map(|(_, latest)| *latest);
        Some(end.since(latest.or(self.since)?))
    }

    /// Every window that is still measured ends at `end` or later.
    pub(super) fn settle(&mut self, end: Timestamp) {
        if let Some(pane) = self.panes.range(..end).next_back().map(|(pane, _)| *pane) {
            self.panes = self.panes.split_off(&pane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_event_before_the_end_counts_whatever_came_since() {
        let at = Timestamp::from_micros;
        let silent = |recency: &Recency, end| recency.silent_for(at(end)).map(TimeSpan::as_micros);
        let mut recency = Recency::default();
        assert_eq!(silent(&recency, 10), None);
        recency.begin(at(3));
        assert_eq!(silent(&recency, 10), Some(7));
        for (pane, last) in [(20, 25), (0, 8), (0, 4), (10, 12)] {
            recency.note(at(pane), at(last));
        }
        assert_eq!((silent(&recency, 10), silent(&recency, 20)), (Some(2), Some(8)));
        recency.settle(at(20));
        assert_eq!((silent(&recency, 20), silent(&recency, 40)), (Some(8), Some(15)));
        assert_eq!(recency.panes.len(), 2);
    }
}
