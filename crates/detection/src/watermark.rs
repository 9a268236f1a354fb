//! The watermark of a stage: the least over the source partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::SourceProgress;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Follows the source partitions through the batches that tell of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watermark {
    topics: BTreeMap<Arc<str>, i32>,
    sources: BTreeMap<Partition, Source>,
    current: Option<Timestamp>,
    /// When the log took the last batch, by the log's clock.
    appended_at: Option<Timestamp>,
    /// How long idleness holds without being confirmed.
    idle_lease: Option<TimeSpan>,
}

/// What is known of one source partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its watermark; never goes back.
    pub watermark: Option<Timestamp>,
    /// True where it was told not to hold the stage's watermark.
    pub idle: bool,
    /// When the log took the batch that last confirmed the idleness.
    idle_at: Option<Timestamp>,
    /// Since when nothing came, where that is longer than `dead_man_after`.
    pub silent_since: Option<Timestamp>,
}

impl Watermark {
    /// A watermark for which idleness lapses where no batch confirms it within
    /// `idle_lease` of the log's time: a partition whose owner is gone holds.
    pub fn with_lease(idle_lease: TimeSpan) -> Self {
        Self { idle_lease: Some(idle_lease), ..Self::default() }
    }

    /// Takes note of the partitions that there are.
    pub fn topics(&mut self, source_topics: &[(Arc<str>, i32)]) {
        for (topic, partitions) in source_topics {
            let known = self.topics.entry(topic.clone()).or_default();
            *known = (*known).max(*partitions);
        }
    }

    /// Takes note of when the log took the batch whose steps follow.
    pub fn appended(&mut self, at: Timestamp) {
        self.appended_at = Some(at);
    }

    /// Takes note of how far a partition has come.
    pub fn progress(&mut self, progress: &SourceProgress) {
        let source = self.sources.entry(progress.source.clone()).or_default();
        source.watermark = source.watermark.max(progress.watermark);
        source.idle = progress.idle;
        source.idle_at = self.appended_at.filter(|_| progress.idle);
        // A new owner that has read nothing yet cannot know of the silence.
        if progress.silent_since.is_some() || progress.to > progress.from {
            source.silent_since = progress.silent_since;
        }
    }

    /// The least watermark of the partitions that are not idle; where all are
    /// idle, the largest there is. `None` while a partition that exists has told
    /// nothing. Never goes back.
    pub fn advance(&mut self) -> Option<Timestamp> {
        self.current = self.current.max(self.least());
        self.current
    }

    /// What [`Watermark::advance`] gave last.
    pub fn current(&self) -> Option<Timestamp> {
        self.current
    }

    /// Moves the watermark ahead of the sources, at the end of an input.
    pub fn move_to(&mut self, at: Timestamp) {
        self.current = self.current.max(Some(at));
    }

    /// Since when nothing has come from any source partition, where that is
    /// longer than `dead_man_after` for each that there is.
    pub fn silent_since(&self) -> Option<Timestamp> {
        if !self.all_told() {
            return None;
        }
        let mut latest = None;
        for source in self.sources.values() {
            latest = latest.max(Some(source.silent_since?));
        }
        latest
    }

    fn is_idle(&self, source: &Source) -> bool {
        let lapsed = match (self.idle_lease, self.appended_at, source.idle_at) {
            (Some(lease), Some(now), Some(told)) => now.since(told) > lease,
            _ => false,
        };
        source.idle && !lapsed
    }

    fn all_told(&self) -> bool {
        self.topics.iter().all(|(topic, partitions)| {
            (0..*partitions).all(|n| self.sources.contains_key(&Partition::new(topic.clone(), n)))
        })
    }

    fn least(&self) -> Option<Timestamp> {
        if !self.all_told() || self.sources.is_empty() {
            return None;
        }
        let mut active = self.sources.values().filter(|source| !self.is_idle(source)).peekable();
        if active.peek().is_none() {
            return self.sources.values().filter_map(|source| source.watermark).max();
        }
        // `None` is the least, so a partition without an event holds all.
        active.map(|source| source.watermark).min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(partition: i32, from: i64, to: i64, at: Option<i64>, idle: bool) -> SourceProgress {
        SourceProgress {
            source: Partition::new("t", partition),
            from,
            to,
            watermark: at.map(Timestamp::from_micros),
            idle,
            silent_since: None,
        }
    }

    fn watermark() -> Watermark {
        let mut watermark = Watermark::with_lease(TimeSpan::MINUTE);
        watermark.topics(&[(Arc::from("t"), 2)]);
        watermark
    }

    #[test]
    fn idleness_that_nobody_confirms_lapses() {
        let at = |seconds: i64| Timestamp::from_micros(0) + TimeSpan::SECOND.times(seconds);
        let mut w = watermark();
        w.appended(at(0));
        w.progress(&progress(0, 0, 5, Some(100), false));
        w.progress(&progress(1, 0, 5, Some(50), true));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(100)));
        w.appended(at(60));
        w.progress(&progress(0, 5, 6, Some(200), false));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(200)), "a lease of a minute");
        w.appended(at(61));
        w.progress(&progress(0, 6, 7, Some(300), false));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(200)), "its owner is gone");
        w.progress(&progress(1, 5, 5, Some(50), true));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(300)), "confirmed by a new owner");
        // A log whose clock went back does not hold the watermark for ever.
        w.appended(at(-3600));
        w.progress(&progress(0, 7, 8, Some(400), false));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(400)));
    }

    #[test]
    fn telemetry_is_silent_when_every_partition_is() {
        let silent = |partition, since| SourceProgress {
            silent_since: Some(Timestamp::from_micros(since)),
            ..progress(partition, 5, 5, None, true)
        };
        let mut w = watermark();
        w.progress(&silent(0, 10));
        assert_eq!(w.silent_since(), None, "partition 1 has told nothing");
        w.progress(&progress(1, 0, 5, Some(1), false));
        assert_eq!(w.silent_since(), None);
        w.progress(&silent(1, 30));
        assert_eq!(w.silent_since(), Some(Timestamp::from_micros(30)));
        w.progress(&progress(1, 5, 5, None, false));
        assert_eq!(w.silent_since(), Some(Timestamp::from_micros(30)), "a new owner");
        w.progress(&progress(1, 5, 6, None, false));
        assert_eq!(w.silent_since(), None);
    }

    #[test]
    fn the_slowest_partition_holds_the_watermark_until_it_is_idle() {
        let mut w = watermark();
        w.progress(&progress(0, 0, 5, Some(100), false));
        assert_eq!(w.advance(), None, "partition 1 has told nothing");
        w.progress(&progress(1, 0, 0, None, false));
        assert_eq!(w.advance(), None, "partition 1 has no event");
        w.progress(&progress(1, 0, 0, None, true));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(100)));
        w.progress(&progress(1, 0, 1, Some(50), false));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(100)), "never back");
        w.progress(&progress(0, 5, 5, Some(100), true));
        w.progress(&progress(1, 1, 2, Some(300), true));
        assert_eq!(w.advance(), Some(Timestamp::from_micros(300)), "all idle");
    }
}
