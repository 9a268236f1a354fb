//! Merges deltas into windows, closes them in order of the watermark, and
//! tells what was measured and which breaches follow.
//!
//! Everything that happens by time is a deadline in `Evaluate::deadlines`; the watermark
//! takes them in order of their instant, however far it jumps.

mod asked;
mod baselines;
mod breaches;
mod burns;
mod dedupe;
mod grid;
mod late;
mod learning;
mod past;
mod plan;
mod recency;
mod sessions;
mod snapshot;
mod subject;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::{Delta, Step, SummaryBatch, partition_of};
use watchkeep_model::breach::Breach;
use watchkeep_model::charter::WindowSpec;
use watchkeep_model::position::Partition;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use crate::budget::Budgets;
use crate::charters::Charters;
use crate::evaluate::asked::Asked;
use crate::evaluate::late::TooLate;
pub use crate::evaluate::snapshot::Restoring;
use crate::evaluate::subject::{Moment, Subject};
use crate::ledger::{Coverage, Joint, Ledger, Torn};
use crate::past as past_store;
use crate::platform;
use crate::settings::TimeSettings;
use crate::watermark::Watermark;

/// The evaluate stage for one summaries partition.
#[derive(Debug, Serialize, Deserialize)]
pub struct Evaluate {
    #[serde(skip)]
    settings: TimeSettings,
    /// This partition, of how many.
    #[serde(skip)]
    partition: (i32, i32),
    watermark: Watermark,
    ledger: Ledger,
    /// What the ledger stumbled over; from then on nothing is evaluated.
    torn: Option<Torn>,
    /// Since when telemetry is silent altogether, once that was told.
    silent_since: Option<Timestamp>,
    /// Event time of the stream's first event, once the watermark is known.
    stream_start: Option<Timestamp>,
    /// First event time that each source told of.
    first_events: BTreeMap<Partition, Timestamp>,
    newest_pane: Option<Timestamp>,
    #[serde(skip)]
    subjects: BTreeMap<Arc<str>, Subject>,
    /// Subjects that changed since the last snapshot, each once.
    #[serde(skip)]
    changed: Vec<Arc<str>>,
    #[serde(skip)]
    deadlines: BTreeSet<Deadline>,
    budgets: Budgets,
    /// Where past windows are kept, if not in the state.
    #[serde(skip)]
    past: past_store::Store,
    late: TooLate,
    duplicates: u64,
}

/// Something that is due at an instant of the watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deadline {
    due: Timestamp,
    /// The window's end; a session's last event plus the gap.
    end: Timestamp,
    feature: Arc<str>,
    window: WindowSpec,
    /// Of a session; other windows are due for all versions together.
    version: Option<Arc<str>>,
    start: Timestamp,
    action: Action,
}

impl Deadline {
    /// The order in which deadlines are taken: end, size and subject, and what
    /// tells apart those of which all that is the same.
    fn rank(&self) -> impl Ord + '_ {
        let Self { due, end, feature, window, version, start, action } = self;
        (*due, *end, window.size(), &**feature, *window, version.as_deref(), *start, *action)
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// The window is measured for the first time.
    Close,
    /// Late events have gathered; the window is measured anew.
    Revise,
    /// The window takes no more events.
    Settle,
}

/// What one step or the end of the input led to, in order of decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Windows, measured and judged, each with what it did to breaches.
    pub decided: Vec<Decided>,
    /// Events that were too late for a window.
    pub late: Vec<Reject>,
    /// When they were told of: a watermark and how many of `late`, in order.
    pub late_told: Vec<(Timestamp, usize)>,
    /// Events that `deduplicate` dropped.
    pub duplicates: u64,
    /// Breaches of Watchkeep itself: a torn ledger, telemetry that stopped.
    pub platform: Vec<Breach>,
}

/// One measurement of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The instant of the watermark at which it was decided.
    pub at: Timestamp,
    /// What was measured.
    pub window: Window,
    /// What happened to breaches.
    pub breaches: Vec<Breach>,
}

/// A batch that must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The batch was cut with another pane. Set `time.pane` as it was, or
    /// start over with other topics.
    #[error("a batch has panes of {found}, this deployment has panes of {expected}")]
    OtherPane {
        /// The batch's.
        found: TimeSpan,
        /// The setting.
        expected: TimeSpan,
    },
    /// The batch was written for another number of summaries partitions, by
    /// which features have other places. Set the number back, or start over
    /// with other topics.
    #[error(
        "a batch is one of {found} summaries partitions, the topic has {expected}: their number \
         is fixed, because features would change their partition; begin with another topics.prefix"
    )]
    OtherPartitions {
        /// The batch's.
        found: i32,
        /// The topic's.
        expected: i32,
    },
}

impl Evaluate {
    /// A stage for `partition` of `partitions` summaries partitions.
    pub fn new(settings: TimeSettings, partition: i32, partitions: i32) -> Self {
        Self {
            settings,
            partition: (partition, partitions),
            // Idleness is confirmed several times within that.
            watermark: Watermark::with_lease(settings.idle_after.times(2)),
            ledger: Ledger::default(),
            torn: None,
            silent_since: None,
            stream_start: None,
            first_events: BTreeMap::new(),
            newest_pane: None,
            subjects: BTreeMap::new(),
            changed: Vec::new(),
            deadlines: BTreeSet::new(),
            budgets: Budgets::default(),
            past: None,
            late: TooLate::default(),
            duplicates: 0,
        }
    }

    /// Keeps past windows in a store and not in the state. To be called before
    /// anything is taken, and with the store that a restored state was saved with.
    pub fn keep_past_in(&mut self, store: Box<dyn past_store::PastWindows>) {
        self.past = Some(store);
    }

    /// The log's first batches are gone, as its retention says: sources and
    /// sessions are taken up where they are met.
    pub fn begin_midway(&mut self) {
        self.ledger.begin_midway();
    }

    /// Takes a batch, which the log took at `appended_at`, whole or not at all.
    /// One that was taken before is dropped. One that leaves offsets out or
    /// covers some twice is told of as a platform breach; from then on nothing
    /// is evaluated, because every later fact would be wrong.
    ///
    /// # Errors
    /// [`BatchError`]: the batch must not be used, and none after it.
    pub fn batch(
        &mut self,
        batch: &SummaryBatch,
        appended_at: Timestamp,
        charters: &dyn Charters,
        out: &mut Outputs,
    ) -> Result<(), BatchError> {
        if batch.pane != self.settings.pane {
            return Err(BatchError::OtherPane { found: batch.pane, expected: self.settings.pane });
        }
        if batch.partitions != self.partition.1 {
            let (found, expected) = (batch.partitions, self.partition.1);
            return Err(BatchError::OtherPartitions { found, expected });
        }
        if self.torn.is_some() {
            return Ok(());
        }
        match self.ledger.take(batch) {
            Ok(Joint::Whole) => {}
            Ok(Joint::Duplicate) => return Ok(()),
            Err(torn) => {
                let now = self.watermark.current().unwrap_or_default();
                let pane = self.settings.pane;
                out.platform.push(platform::torn(&torn, self.partition.0, pane, now));
                self.torn = Some(torn);
                return Ok(());
            }
        }
        self.watermark.topics(&batch.source_topics);
        self.watermark.appended(appended_at);
        for step in &batch.steps {
            self.fold(step, charters, out);
        }
        // Where the watermark stands, nothing else would ever tell of them.
        if self.late.has_waited(appended_at, self.settings.idle_after) {
            self.tell_late(out);
        }
        self.watch_for_silence(appended_at, out);
        Ok(())
    }

    /// Other charters hold from now on: subjects that they name and that had
    /// no windows, or other ones, have them from the watermark on. Where the
    /// stream has not begun it begins with them.
    pub fn charters_changed(&mut self, charters: &dyn Charters) {
        let (Some(_), Some(now)) = (self.stream_start, self.watermark.current()) else { return };
        self.name(charters, now);
    }

    /// Names the source partitions that the watermark has to wait for.
    pub fn expect_sources(&mut self, source_topics: &[(Arc<str>, i32)]) {
        self.watermark.topics(source_topics);
    }

    /// Takes a step that came in no batch, in a replay within one process.
    pub fn step(&mut self, step: &Step, charters: &dyn Charters, out: &mut Outputs) {
        step.sources.iter().for_each(|progress| self.ledger.progress(progress));
        self.fold(step, charters, out);
    }

    /// Takes one step: its events by the watermark before, then the watermark after.
    fn fold(&mut self, step: &Step, charters: &dyn Charters, out: &mut Outputs) {
        for delta in &step.deltas {
            self.take(delta, charters, out);
        }
        for progress in &step.sources {
            if let Some(watermark) = progress.watermark {
                let first = watermark + self.settings.out_of_orderness;
                self.first_events.entry(progress.source.clone()).or_insert(first);
            }
            self.watermark.progress(progress);
        }
        self.advance(charters, out);
    }

    /// The end of the input: moves the watermark to `to`, by default the end of
    /// the last pane with an event, writes the revisions that are still
    /// gathering, and measures the windows that end later as partial.
    pub fn finish(&mut self, to: Option<Timestamp>, charters: &dyn Charters, out: &mut Outputs) {
        let Some(to) = to.or(self.end_of_events()) else {
            return;
        };
        self.watermark.move_to(to);
        self.advance(charters, out);
        let Some(now) = self.watermark.current() else { return };
        let mut moment = Moment {
            settings: &self.settings,
            watermark: Some(now),
            deadlines: &mut self.deadlines,
            past: &mut self.past,
        };
        let mut of_sessions = Vec::new();
        for (feature, subject) in &mut self.subjects {
            of_sessions.append(&mut subject.finish(feature, now, &mut moment));
        }
        let mut rest: Vec<Deadline> = std::mem::take(&mut self.deadlines).into_iter().collect();
        rest.retain(|deadline| deadline.version.is_none());
        rest.append(&mut of_sessions);
        rest.retain(|deadline| deadline.action != Action::Settle);
        rest.sort_by(|a, b| {
            (a.action == Action::Close).cmp(&(b.action == Action::Close)).then(a.cmp(b))
        });
        for deadline in rest {
            let partial = deadline.action == Action::Close;
            // A window of which no instant has passed is not begun, unless
            // events ran ahead into it.
            let begun = deadline.start < now || self.has_events(&deadline);
            if partial && !begun {
                continue;
            }
            self.due(&deadline, now, partial, charters, out);
        }
        self.tell_late(out);
    }

    /// The end of the last pane with an event.
    pub fn end_of_events(&self) -> Option<Timestamp> {
        self.newest_pane.map(|pane| pane + self.settings.pane)
    }

    /// The stage's watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.watermark.current()
    }

    /// How far each source partition has been evaluated.
    pub fn sources(&self) -> &BTreeMap<Partition, Coverage> {
        self.ledger.sources()
    }

    /// Batches that were dropped because they came again.
    pub fn duplicate_batches(&self) -> u64 {
        self.ledger.duplicates()
    }

    /// What the ledger stumbled over, where it did.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// Events that were too late for a window, counted for each window.
    pub fn late_count(&self) -> u64 {
        self.late.count()
    }

    /// Events that `deduplicate` dropped.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// What the alert budgets have come to.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Windows that take events.
    pub fn open_windows(&self) -> usize {
        self.subjects.values().map(Subject::open_windows).sum()
    }

    /// Every partition's batches tell of all sources; partition 0 speaks for all.
    fn watch_for_silence(&mut self, now: Timestamp, out: &mut Outputs) {
        if self.partition.0 != 0 {
            return;
        }
        let after = self.settings.dead_man_after;
        match (self.silent_since, self.watermark.silent_since()) {
            (None, Some(since)) => {
                out.platform.push(platform::dead_man(since, after, None));
                self.silent_since = Some(since);
            }
            (Some(since), None) => {
                out.platform.push(platform::dead_man(since, after, Some(now)));
                self.silent_since = None;
            }
            _ => {}
        }
    }

    fn take(&mut self, delta: &Delta, charters: &dyn Charters, out: &mut Outputs) {
        self.newest_pane = self.newest_pane.max(Some(delta.pane_start));
        let subject = self.subjects.entry(delta.feature.clone()).or_default();
        subject.note_change(&delta.feature, &mut self.changed);
        let mut moment = Moment {
            settings: &self.settings,
            watermark: self.watermark.current(),
            deadlines: &mut self.deadlines,
            past: &mut self.past,
        };
        if subject.is_repeat(delta, charters) {
            self.duplicates += delta.summary.count;
            out.duplicates += delta.summary.count;
            return;
        }
        for (window, start) in subject.take(delta, charters, &mut moment) {
            let key = (delta.feature.clone(), delta.feature_version.clone(), window, start);
            self.late.add(key, delta.summary.count);
        }
    }

    fn advance(&mut self, charters: &dyn Charters, out: &mut Outputs) {
        let before = self.watermark.current();
        // `move_to` may have moved it already; advancing twice changes nothing.
        let Some(now) = self.watermark.advance() else { return };
        if self.stream_start.is_none() {
            self.begin(charters);
        }
        while let Some(deadline) = self.deadlines.first() {
            if deadline.due > now {
                break;
            }
            let Some(deadline) = self.deadlines.pop_first() else { break };
            self.due(&deadline, deadline.due, false, charters, out);
        }
        if before != Some(now) {
            self.late.moved();
        }
        // Told once for each whole `revise_every`, so that the lines do not
        // depend on how the input was cut into batches.
        let slice = |at: Timestamp| at.floor(self.settings.revise_every);
        if before.map(slice) != Some(slice(now)) {
            self.tell_late(out);
        }
    }

    /// The stream has begun: subjects that a charter names have windows from here on.
    fn begin(&mut self, charters: &dyn Charters) {
        self.stream_start = self.first_events.values().min().copied();
        if let Some(start) = self.stream_start {
            self.name(charters, start);
        }
    }

    /// Subjects that a charter names have windows from an instant on.
    fn name(&mut self, charters: &dyn Charters, start: Timestamp) {
        for feature in charters.named() {
            if partition_of(&feature, self.partition.1) != self.partition.0 {
                continue;
            }
            let subject = self.subjects.entry(feature.clone()).or_default();
            subject.note_change(&feature, &mut self.changed);
            let mut moment = Moment {
                settings: &self.settings,
                watermark: self.watermark.current(),
                deadlines: &mut self.deadlines,
                past: &mut self.past,
            };
            subject.begin(&feature, start, charters, &mut moment);
        }
    }

    fn due(
        &mut self,
        deadline: &Deadline,
        now: Timestamp,
        partial: bool,
        charters: &dyn Charters,
        out: &mut Outputs,
    ) {
        let Some(subject) = self.subjects.get_mut(&deadline.feature) else { return };
        subject.note_change(&deadline.feature, &mut self.changed);
        let mut moment = Moment {
            settings: &self.settings,
            watermark: self.watermark.current(),
            deadlines: &mut self.deadlines,
            past: &mut self.past,
        };
        let mut budgets = Asked::new(&mut self.budgets, self.partition.1);
        subject.due(deadline, now, partial, charters, &mut budgets, &mut moment, out);
    }

    fn has_events(&self, deadline: &Deadline) -> bool {
        self.subjects
            .get(&deadline.feature)
            .is_some_and(|subject| subject.has_events(deadline.window, deadline.start))
    }

    fn tell_late(&mut self, out: &mut Outputs) {
        let at = self.watermark.current().unwrap_or_default();
        self.late.tell(at, self.settings.allowed_lateness, out);
    }
}
