//! The evaluate stage on a log: summary batches in, windows, breaches and late
//! summaries out.
//!
//! Its state is a fold of the summaries partition from its beginning. At an
//! assignment the part before the committed position is folded again without
//! telling anybody, or what of it a snapshot does not hold. Every turn ends
//! with a commit, so there is never work that a revocation could split.

mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_detection::budget::Tally;
use watchkeep_detection::evaluate::{Evaluate, Outputs};
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::batch::SummaryBatch;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::summary_batch;

use crate::log::{Event, Log, LogError, Record, Transaction};
use crate::outgoing;
use crate::rules::Rules;
use crate::snapshot::{Context, Keeper, Kept, Note, Pace, SnapshotStore};
use crate::stage::StageError;
use crate::stage::evaluate::restore::Restoring;
use crate::topics::Topics;

/// Offsets that one turn folds of what is to be restored: some seconds of work
/// at most. The rest waits for the next turn.
const RESTORED_OFFSETS_MAX: i64 = 4_000;

/// Windows and late summaries from which on a transaction takes no further
/// batch: brokers end one that stays open for too long, and then it would be
/// made again, as large as before. What one batch closes is never divided.
pub const OUTPUTS_MAX: usize = 20_000;

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How event time is cut.
    pub time: TimeSettings,
    /// The deployment's topics.
    pub topics: Topics,
    /// Encoding of what is written.
    pub encoding: FactEncoding,
    /// Windows and late summaries from which on a transaction takes no further
    /// batch: [`OUTPUTS_MAX`], but for tests.
    pub outputs_max: usize,
}

/// What the stage has counted since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Windows that were told.
    pub windows: u64,
    /// Breaches that were told, by transition.
    pub breaches: BTreeMap<&'static str, u64>,
    /// Events too late for a window.
    pub late: u64,
    /// Events that repeat another one, where a charter says `deduplicate`.
    pub duplicate_events: u64,
    /// Batches that came again and were dropped.
    pub duplicates: u64,
    /// Transactions.
    pub commits: u64,
}

/// The evaluate stage of one session.
#[derive(Debug)]
pub struct EvaluateStage {
    settings: Settings,
    rules: Rules,
    /// State of each assigned partition, with its committed position.
    partitions: BTreeMap<Partition, State>,
    keeper: Keeper,
    counts: Counts,
}

#[derive(Debug)]
struct State {
    /// `None` until the part before the committed position is folded.
    folded: Option<Folded>,
    /// What of that is folded so far.
    restoring: Option<Restoring>,
    committed: i64,
}

/// The state of a partition, and what is known of its snapshot.
#[derive(Debug)]
struct Folded {
    evaluate: Evaluate,
    kept: Kept,
    /// How many partitions the topic has.
    partitions: i32,
}

/// A record of a batch, as it was delivered.
#[derive(Debug)]
struct Delivered {
    partition: Partition,
    offset: i64,
    timestamp: Timestamp,
    value: Vec<u8>,
}

impl EvaluateStage {
    /// A stage at the beginning of a session.
    pub fn new(settings: Settings, rules: Rules) -> Self {
        let keeper = Keeper::off();
        let (partitions, counts) = (BTreeMap::new(), Counts::default());
        Self { settings, rules, partitions, keeper, counts }
    }

    /// Keeps snapshots, so that a restart folds less.
    #[must_use]
    pub fn with_snapshots(mut self, store: Box<dyn SnapshotStore>, pace: Pace) -> Self {
        self.keeper = Keeper::new(store, pace);
        self
    }

    /// What was committed so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// True where partitions are assigned and all of them are folded.
    pub fn is_ready(&self) -> bool {
        !self.partitions.is_empty() && self.partitions.values().all(|s| s.folded.is_some())
    }

    /// The assigned partitions whose ledger is torn, with what is wrong.
    pub fn torn(&self) -> impl Iterator<Item = (&Partition, String)> {
        self.partitions.iter().filter_map(|(partition, state)| {
            let torn = state.folded.as_ref()?.evaluate.torn()?;
            Some((partition, torn.to_string()))
        })
    }

    /// What the alert budgets have come to in the assigned partitions, by domain.
    pub fn budgets(&self) -> BTreeMap<Arc<str>, Tally> {
        let mut all: BTreeMap<Arc<str>, Tally> = BTreeMap::new();
        let folded = self.partitions.values().filter_map(|state| state.folded.as_ref());
        for (domain, tally) in folded.flat_map(|folded| folded.evaluate.budgets().tallies()) {
            all.entry(domain.clone()).or_default().add(tally);
        }
        all
    }

    /// The least watermark of the assigned partitions.
    pub fn watermark(&self) -> Option<Timestamp> {
        let watermarks = self.partitions.values().map(|s| s.folded.as_ref()?.evaluate.watermark());
        watermarks.min().flatten()
    }

    /// Bytes of snapshots that were saved since the session began.
    pub fn snapshot_bytes(&self) -> u64 {
        self.keeper.saved_bytes()
    }

    /// Of each assigned partition that is folded: its committed position and
    /// the watermark that follows from what lies before it.
    pub fn progress(&self) -> impl Iterator<Item = (&Partition, i64, Option<Timestamp>)> {
        self.partitions.iter().filter_map(|(partition, state)| {
            let folded = state.folded.as_ref()?;
            Some((partition, state.committed, folded.evaluate.watermark()))
        })
    }

    /// What became of snapshots since this was asked last.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.keeper.take_notes()
    }

    /// Restores a part of what is not restored yet, polls once, evaluates and
    /// commits. A long restore takes many turns, so that the caller can tell of
    /// [`Self::is_ready`] or end it, and so that the log sees a member that polls.
    ///
    /// # Errors
    /// [`StageError::Log`]: begin a new session. Otherwise stop and look.
    pub fn turn(&mut self, log: &mut dyn Log, max_wait: TimeSpan) -> Result<(), StageError> {
        let is_restored = self.restore(log)?;
        let max_wait = if is_restored { max_wait } else { TimeSpan::ZERO };
        match self.poll(log, max_wait) {
            Ok(batches) => self.evaluate(log, &batches),
            Err(LogError::Unavailable(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Saves snapshots of all that is committed and folded, at the end of a session.
    pub fn drain(&mut self) {
        for (partition, state) in &mut self.partitions {
            let restoring = state.restoring.as_mut().map(|restoring| &mut restoring.folded);
            let Some(folded) = state.folded.as_mut().or(restoring) else { continue };
            let settings = self.settings.time;
            let rules = &self.rules;
            let context = Context { partition, partitions: folded.partitions, settings, rules };
            self.keeper.save_last(&context, &mut folded.evaluate, &mut folded.kept);
        }
    }

    /// The records of restored partitions. Those of others are left for later.
    fn poll(&mut self, log: &mut dyn Log, max_wait: TimeSpan) -> Result<Vec<Delivered>, LogError> {
        let (mut batches, mut early) = (Vec::new(), BTreeSet::new());
        let partitions = &mut self.partitions;
        log.poll(max_wait, &mut |event| match event {
            Event::Assigned { partition, position } => {
                let state = State { folded: None, restoring: None, committed: position };
                partitions.insert(partition.clone(), state);
            }
            Event::Revoked { partition } => {
                partitions.remove(partition);
                // Those that remain are delivered again.
                batches.clear();
                early.clear();
            }
            Event::Record(record) => match partitions.get(record.partition) {
                Some(State { folded: Some(_), .. }) => batches.push(Delivered {
                    partition: record.partition.clone(),
                    offset: record.offset,
                    timestamp: record.timestamp,
                    value: record.value.to_vec(),
                }),
                Some(_) => drop(early.insert(record.partition.clone())),
                None => {}
            },
            Event::CaughtUp { .. } => {}
        })?;
        for partition in early {
            if let Some(state) = self.partitions.get(&partition) {
                log.seek(&partition, state.committed)?;
            }
        }
        Ok(batches)
    }

    /// Folds up to [`RESTORED_OFFSETS_MAX`] offsets of partitions that are not
    /// folded up to their committed positions. True where none is left.
    fn restore(&mut self, log: &mut dyn Log) -> Result<bool, StageError> {
        let mut room = RESTORED_OFFSETS_MAX;
        let waiting = self.partitions.iter_mut().filter(|(_, state)| state.folded.is_none());
        for (partition, state) in waiting {
            let mut restoring = match state.restoring.take() {
                Some(restoring) => restoring,
                None => {
                    let partitions = log.partition_count(&partition.topic)?;
                    // A snapshot says which charters it was made with.
                    super::follow(&self.rules, log)?;
                    let (settings, rules) = (self.settings.time, &self.rules);
                    let context = Context { partition, partitions, settings, rules };
                    Restoring::begin(&mut self.keeper, &context, state.committed, log)?
                }
            };
            let to = restoring.next.saturating_add(room).min(state.committed);
            let settings = self.settings.time;
            restoring.fold(log, (partition, to), settings, &self.rules, &mut self.keeper)?;
            if self.keeper.lost_windows() {
                self.fold_anew();
                return Ok(false);
            }
            room -= to.saturating_sub(restoring.next).max(0);
            restoring.next = to.max(restoring.next);
            if to < state.committed {
                state.restoring = Some(restoring);
                return Ok(false);
            }
            let Restoring { folded, snapshot, batches, .. } = restoring;
            self.keeper.note(Note::Restored { partition: partition.clone(), snapshot, batches });
            state.folded = Some(folded);
        }
        Ok(true)
    }

    /// Drops every state, to be folded again up to its committed position.
    fn fold_anew(&mut self) {
        for state in self.partitions.values_mut() {
            (state.folded, state.restoring) = (None, None);
        }
    }

    fn evaluate(&mut self, log: &mut dyn Log, batches: &[Delivered]) -> Result<(), StageError> {
        let mut rest = batches;
        while !rest.is_empty() {
            rest = self.evaluate_some(log, rest)?;
        }
        Ok(())
    }

    /// Evaluates and commits as many of these batches as one transaction takes,
    /// and returns the others; none where they have to come again.
    fn evaluate_some<'a>(
        &mut self,
        log: &mut dyn Log,
        batches: &'a [Delivered],
    ) -> Result<&'a [Delivered], StageError> {
        let mut outputs = Outputs::default();
        let mut positions: BTreeMap<Partition, i64> = BTreeMap::new();
        let mut counts = self.counts.clone();
        let mut rest = batches;
        while let Some((batch, others)) = rest.split_first() {
            if outputs.decided.len() + outputs.late.len() >= self.settings.outputs_max {
                break;
            }
            rest = others;
            let state = self.partitions.get_mut(&batch.partition);
            let Some(folded) = state.and_then(|state| state.folded.as_mut()) else { continue };
            // What follows a torn ledger stays where it is, for whoever mends it.
            if folded.evaluate.torn().is_some() {
                continue;
            }
            let duplicates = folded.evaluate.duplicate_batches();
            take(folded, &batch.record(), &self.rules, log, &mut outputs)?;
            counts.duplicates += folded.evaluate.duplicate_batches() - duplicates;
            folded.kept.folded(batch.offset, batch.timestamp, &batch.value);
            positions.insert(batch.partition.clone(), batch.offset + 1);
        }
        if self.keeper.lost_windows() {
            // What follows from these batches is worthless: they come again.
            self.fold_anew();
            for (partition, state) in &self.partitions {
                log.seek(partition, state.committed)?;
            }
            return Ok(&[]);
        }
        if positions.is_empty() {
            return Ok(rest);
        }
        let Settings { topics, encoding, .. } = &self.settings;
        let mut records = Vec::new();
        for breach in &outputs.platform {
            *counts.breaches.entry(breach.transition.name()).or_default() += 1;
            records.push(outgoing::breach(&topics.breaches, breach, *encoding));
        }
        for decided in &outputs.decided {
            counts.windows += 1;
            records.push(outgoing::window(&topics.windows, &decided.window, *encoding));
            for breach in &decided.breaches {
                *counts.breaches.entry(breach.transition.name()).or_default() += 1;
                records.push(outgoing::breach(&topics.breaches, breach, *encoding));
            }
        }
        counts.duplicate_events += outputs.duplicates;
        for reject in &outputs.late {
            counts.late += reject.count.unwrap_or_default();
            records.push(outgoing::reject(&topics.rejects, reject, *encoding));
        }
        counts.commits += 1;
        let positions: Vec<(Partition, i64)> = positions.into_iter().collect();
        match log.commit(Transaction { positions: positions.clone(), records }) {
            Ok(()) => {
                self.counts = counts;
                for (partition, position) in positions {
                    let Some(state) = self.partitions.get_mut(&partition) else { continue };
                    state.committed = position;
                    let Some(folded) = &mut state.folded else { continue };
                    let Folded { evaluate, kept, partitions } = folded;
                    let (partition, settings) = (&partition, self.settings.time);
                    let (partitions, rules) = (*partitions, &self.rules);
                    let context = Context { partition, partitions, settings, rules };
                    self.keeper.save_if_due(&context, evaluate, kept);
                }
                Ok(rest)
            }
            Err(LogError::Aborted(_)) => {
                // What was folded may not hold; fold again what does. The log
                // delivers again what was not committed.
                self.fold_anew();
                Ok(&[])
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Delivered {
    fn record(&self) -> Record<'_> {
        Record {
            partition: &self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: None,
            value: &self.value,
            content_type: None,
        }
    }
}

/// Takes a batch that was just delivered, with the charters that it states.
fn take(
    folded: &mut Folded,
    record: &Record<'_>,
    rules: &Rules,
    log: &mut dyn Log,
    outputs: &mut Outputs,
) -> Result<(), StageError> {
    let batch = read(record)?;
    if batch.charters > rules.position() {
        super::follow(rules, log)?;
    }
    fold(folded, record, &batch, rules, outputs)
}

fn read(record: &Record<'_>) -> Result<SummaryBatch, StageError> {
    let Partition { topic, partition } = record.partition;
    summary_batch::decode(record.value).map_err(|error| StageError::Unreadable {
        topic: topic.to_string(),
        partition: *partition,
        offset: record.offset,
        error,
    })
}

fn fold(
    folded: &mut Folded,
    record: &Record<'_>,
    batch: &SummaryBatch,
    rules: &Rules,
    outputs: &mut Outputs,
) -> Result<(), StageError> {
    if batch.charters > rules.position() {
        let why = format!(
            "a batch was written with the charters up to offset {}, and the topic ends at {}",
            batch.charters.unwrap_or_default(),
            rules.position().unwrap_or_default()
        );
        return Err(LogError::Unavailable(why).into());
    }
    let Record { partition, offset, .. } = *record;
    let topic = || partition.topic.to_string();
    let Folded { evaluate, kept, .. } = folded;
    let is_new = kept.adopted.adopt(batch.charters, evaluate.watermark());
    let charters = kept.adopted.charters(rules);
    if is_new {
        evaluate.charters_changed(&charters);
    }
    let told = outputs.platform.len();
    let taken = evaluate.batch(batch, record.timestamp, &charters, outputs);
    // Only the log knows where the batch lies that a breach is about.
    for breach in &mut outputs.platform[told..] {
        let Partition { topic, partition } = partition.clone();
        breach.exemplars.push(Position { topic, partition, offset });
    }
    taken.map_err(|error| StageError::Batch {
        topic: topic(),
        partition: partition.partition,
        offset,
        error,
    })
}
