//! What a service has taken and not told of yet, from its summaries.
//!
//! Late events are told of when the watermark reaches the next whole
//! `revise_every`, or has stood for `idle_after` by the log's time, so those
//! that came after that may be in no late summary. So it is with batches that
//! evaluation has not come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_detection::settings::TimeSettings;
use watchkeep_detection::standing::Standing;
use watchkeep_detection::watermark::Watermark;
use watchkeep_model::batch::SummaryBatch;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Events by feature, version and pane.
type Events = BTreeMap<(Arc<str>, Arc<str>), BTreeMap<Timestamp, u64>>;

/// Events that may be in no window and in no late summary yet.
#[derive(Debug)]
pub struct Untold {
    settings: TimeSettings,
    events: Events,
    /// The least watermark of the partitions; none before the first one.
    watermark: Option<Option<Timestamp>>,
}

impl Untold {
    /// Nothing is untold, and nothing was decided.
    pub fn new(settings: TimeSettings) -> Self {
        Self { settings, events: BTreeMap::new(), watermark: None }
    }

    /// Begins to read a summaries partition.
    pub fn partition(&mut self) -> PartitionUntold<'_> {
        let watermark = Watermark::with_lease(self.settings.idle_after.times(2));
        let standing = Standing::default();
        PartitionUntold { untold: self, watermark, standing, recent: BTreeMap::new() }
    }

    /// How far every partition has been evaluated.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.watermark.flatten()
    }

    pub(super) fn pane(&self) -> TimeSpan {
        self.settings.pane
    }

    /// Untold events of `[from, to)`, to the pane.
    pub(super) fn between(
        &self,
        feature: &str,
        version: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> u64 {
        let panes = self.events.get(&(feature.into(), version.into()));
        let from = from.floor(self.settings.pane);
        panes.map_or(0, |panes| panes.range(from..to).map(|(_, count)| count).sum())
    }
}

/// The reading of one summaries partition.
#[derive(Debug)]
pub struct PartitionUntold<'a> {
    untold: &'a mut Untold,
    watermark: Watermark,
    standing: Standing,
    recent: Events,
}

impl PartitionUntold<'_> {
    /// Takes a batch that evaluation uses. Of one that it has not come to
    /// (`is_evaluated` is false) everything is untold.
    pub fn batch(&mut self, batch: &SummaryBatch, appended_at: Timestamp, is_evaluated: bool) {
        if !is_evaluated {
            for step in &batch.steps {
                add(&mut self.untold.events, step);
            }
            return;
        }
        self.watermark.topics(&batch.source_topics);
        self.watermark.appended(appended_at);
        let slice = |at: Timestamp| at.floor(self.untold.settings.revise_every);
        for step in &batch.steps {
            let before = self.watermark.current();
            add(&mut self.recent, step);
            step.sources.iter().for_each(|progress| self.watermark.progress(progress));
            let now = self.watermark.advance();
            if now.map(slice) != before.map(slice) {
                self.recent.clear();
            }
            // Which of them were late is not known here: they have surely been
            // told of when none came for so long.
            if !step.deltas.is_empty() || now != before {
                self.standing.moved();
            }
        }
        if self.standing.stands_for(appended_at) >= self.untold.settings.idle_after {
            self.recent.clear();
        }
    }

    /// Every batch of the partition was taken.
    pub fn finish(self) {
        let end = self.watermark.current();
        let least = self.untold.watermark.map_or(end, |least| least.min(end));
        self.untold.watermark = Some(least);
        for (name, panes) in self.recent {
            let all = self.untold.events.entry(name).or_default();
            for (pane, count) in panes {
                *all.entry(pane).or_default() += count;
            }
        }
    }
}

fn add(events: &mut Events, step: &watchkeep_model::batch::Step) {
    for delta in &step.deltas {
        let name = (delta.feature.clone(), delta.feature_version.clone());
        let panes = events.entry(name).or_default();
        *panes.entry(delta.pane_start).or_default() += delta.summary.count;
    }
}
