//! The watermark of a stage: the least over the source partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::{SourceProgress, SummaryBatch};
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;

/// Follows the source partitions through the batches that tell of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watermark {
    topics: BTreeMap<Arc<str>, i32>,
    sources: BTreeMap<Partition, Source>,
    current: Option<Timestamp>,
}

/// What is known of one source partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// First offset covered.
    pub from: i64,
    /// The next offset that a batch has to begin with.
    pub position: i64,
    /// Its watermark; never goes back.
    pub watermark: Option<Timestamp>,
    /// True while it does not hold the stage's watermark.
    pub idle: bool,
}

/// How a batch's range joins what was covered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// It begins where the last one ended.
    Whole,
    /// All of it was covered before; it is to be dropped.
    Duplicate,
    /// Offsets between are missing, or some are covered twice.
    Torn {
        /// The offset it should begin with.
        expected: i64,
    },
}

impl Watermark {
    /// Takes note of the partitions that there are.
    pub fn topics(&mut self, batch: &SummaryBatch) {
        for (topic, partitions) in &batch.source_topics {
            let known = self.topics.entry(topic.clone()).or_default();
            *known = (*known).max(*partitions);
        }
    }

    /// How a range joins on. The first range of a partition always does.
    pub fn joint(&self, progress: &SourceProgress) -> Joint {
        match self.sources.get(&progress.source) {
            None => Joint::Whole,
            Some(source) if source.position == progress.from => Joint::Whole,
            Some(source) if progress.to <= source.position => Joint::Duplicate,
            Some(source) => Joint::Torn { expected: source.position },
        }
    }

    /// Takes note of how far a partition has come.
    pub fn progress(&mut self, progress: &SourceProgress) {
        let source = self.sources.entry(progress.source.clone()).or_insert(Source {
            from: progress.from,
            position: progress.from,
            watermark: None,
            idle: false,
        });
        source.position = source.position.max(progress.to);
        source.watermark = source.watermark.max(progress.watermark);
        source.idle = progress.idle;
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

    /// Every source partition that was told of.
    pub fn sources(&self) -> &BTreeMap<Partition, Source> {
        &self.sources
    }

    fn least(&self) -> Option<Timestamp> {
        let all_told = self.topics.iter().all(|(topic, partitions)| {
            (0..*partitions).all(|n| self.sources.contains_key(&Partition::new(topic.clone(), n)))
        });
        if !all_told || self.sources.is_empty() {
            return None;
        }
        let mut active = self.sources.values().filter(|source| !source.idle).peekable();
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
        }
    }

    fn watermark() -> Watermark {
        let mut watermark = Watermark::default();
        let source_topics = vec![(Arc::from("t"), 2)];
        watermark.topics(&SummaryBatch { source_topics, ..SummaryBatch::default() });
        watermark
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

    #[test]
    fn ranges_must_join() {
        let mut w = watermark();
        w.progress(&progress(0, 10, 15, Some(100), false));
        assert_eq!(w.joint(&progress(0, 15, 20, None, false)), Joint::Whole);
        assert_eq!(w.joint(&progress(0, 10, 15, None, false)), Joint::Duplicate);
        assert_eq!(w.joint(&progress(0, 16, 20, None, false)), Joint::Torn { expected: 15 });
        assert_eq!(w.joint(&progress(0, 12, 20, None, false)), Joint::Torn { expected: 15 });
    }
}
