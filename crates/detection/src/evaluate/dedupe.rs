//! Repeats of an event that its producer named (`deduplicate` of a charter).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Named events of one feature that are kept in mind. Beyond it those of the
/// earliest time are forgotten, so that a repeat of them would be counted.
const KEPT_MAX: usize = 1 << 20;

/// The kept events of one feature, by name.
///
/// When a window of the feature takes no more events, those are forgotten of
/// which no event within the span, either way, could still be taken by a window
/// or a baseline: a repeat would be too late anyway.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    times: BTreeMap<Arc<str>, Vec<Timestamp>>,
    by_time: BTreeSet<(Timestamp, Arc<str>)>,
    /// The longest span that was asked for.
    span: TimeSpan,
}

impl Kept {
    /// True where a kept event carried the name within `span` of `at`, either
    /// way, the bounds included. Otherwise the event is kept in mind.
    pub(super) fn is_repeat(&mut self, name: &Arc<str>, at: Timestamp, span: TimeSpan) -> bool {
        self.span = self.span.max(span);
        let times = self.times.entry(name.clone()).or_default();
        if times.iter().any(|kept| at - span <= *kept && *kept <= at + span) {
            return true;
        }
        times.push(at);
        self.by_time.insert((at, name.clone()));
        if self.by_time.len() > KEPT_MAX
            && let Some((at, name)) = self.by_time.pop_first()
        {
            self.forget(&name, at);
        }
        false
    }

    /// True where no event is kept in mind.
    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// No event before `earliest` is taken any more.
    pub(super) fn settle(&mut self, earliest: Timestamp) {
        while let Some((at, _)) = self.by_time.first()
            && *at + self.span < earliest
            && let Some((at, name)) = self.by_time.pop_first()
        {
            self.forget(&name, at);
        }
    }

    fn forget(&mut self, name: &Arc<str>, at: Timestamp) {
        if let Some(times) = self.times.get_mut(name) {
            times.retain(|kept| *kept != at);
            if times.is_empty() {
                self.times.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_one_of_a_kept_event_either_way_and_not_of_a_repeat() {
        let mut kept = Kept::default();
        let mut repeat = |at| {
            let span = TimeSpan::from_micros(10);
            kept.is_repeat(&"a".into(), Timestamp::from_micros(at), span)
        };
        assert_eq!([100, 110, 90, 115, 89].map(&mut repeat), [false, true, true, false, false]);
    }

    #[test]
    fn what_cannot_be_repeated_in_time_is_forgotten() {
        let mut kept = Kept::default();
        let span = TimeSpan::from_micros(10);
        for (name, at) in [("a", 100), ("b", 105), ("a", 120)] {
            assert!(!kept.is_repeat(&name.into(), Timestamp::from_micros(at), span));
        }
        kept.settle(Timestamp::from_micros(110));
        assert_eq!(kept.by_time.len(), 3, "an event at 110 repeats that of 100");
        kept.settle(Timestamp::from_micros(116));
        assert_eq!((kept.by_time.len(), kept.times.len()), (1, 1));
    }
}
