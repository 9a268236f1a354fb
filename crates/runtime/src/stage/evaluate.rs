//! The evaluate stage on a log: summary batches in, windows, breaches and late
//! summaries out.
//!
//! Its state is a fold of the summaries partition from its beginning. At an
//! assignment the part before the committed position is folded again without
//! telling anybody; every turn ends with a commit, so there is never work
//! that a revocation could split.

use std::collections::BTreeMap;

use watchkeep_detection::evaluate::{Evaluate, Outputs};
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::summary_batch;

use crate::log::{Event, Log, LogError, Transaction};
use crate::outgoing;
use crate::rules::Rules;
use crate::stage::StageError;
use crate::topics::Topics;

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How event time is cut.
    pub time: TimeSettings,
    /// The deployment's topics.
    pub topics: Topics,
    /// Encoding of what is written.
    pub encoding: FactEncoding,
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
    counts: Counts,
}

#[derive(Debug)]
struct State {
    /// `None` until the part before the committed position is folded.
    evaluate: Option<Evaluate>,
    committed: i64,
}

impl EvaluateStage {
    /// A stage at the beginning of a session.
    pub fn new(settings: Settings, rules: Rules) -> Self {
        Self { settings, rules, partitions: BTreeMap::new(), counts: Counts::default() }
    }

    /// What was committed so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// True where partitions are assigned and all of them are folded.
    pub fn is_ready(&self) -> bool {
        !self.partitions.is_empty() && self.partitions.values().all(|s| s.evaluate.is_some())
    }

    /// The least watermark of the assigned partitions.
    pub fn watermark(&self) -> Option<Timestamp> {
        let watermarks = self.partitions.values().map(|s| s.evaluate.as_ref()?.watermark());
        watermarks.min().flatten()
    }

    /// Polls once, evaluates and commits.
    ///
    /// # Errors
    /// [`StageError::Log`]: begin a new session. Otherwise stop and look.
    pub fn turn(&mut self, log: &mut dyn Log, max_wait: TimeSpan) -> Result<(), StageError> {
        let mut batches: Vec<(Partition, i64, Vec<u8>)> = Vec::new();
        let partitions = &mut self.partitions;
        let polled = log.poll(max_wait, &mut |event| match event {
            Event::Assigned { partition, position } => {
                let state = State { evaluate: None, committed: position };
                partitions.insert(partition.clone(), state);
            }
            Event::Revoked { partition } => {
                partitions.remove(partition);
                // Those that remain are delivered again.
                batches.clear();
            }
            Event::Record(record) => {
                batches.push((record.partition.clone(), record.offset, record.value.to_vec()));
            }
            Event::CaughtUp { .. } => {}
        });
        match polled {
            Ok(()) => {}
            Err(LogError::Unavailable(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.restore(log)?;
        self.evaluate(log, &batches)
    }

    fn restore(&mut self, log: &mut dyn Log) -> Result<(), StageError> {
        let waiting: Vec<Partition> = self
            .partitions
            .iter()
            .filter(|(_, state)| state.evaluate.is_none())
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in waiting {
            let count = log.partition_count(&partition.topic)?;
            let mut evaluate = Evaluate::new(self.settings.time, partition.partition, count);
            let Some(state) = self.partitions.get_mut(&partition) else { continue };
            let (first, _) = log.bounds(&partition)?;
            let mut outputs = Outputs::default();
            let mut result = Ok(());
            let rules = &self.rules;
            log.scan(&partition, first, state.committed, &mut |record| {
                if result.is_ok() {
                    result = take(
                        &mut evaluate,
                        &partition,
                        record.offset,
                        record.value,
                        rules,
                        &mut outputs,
                    );
                    outputs = Outputs::default();
                }
            })?;
            result?;
            state.evaluate = Some(evaluate);
        }
        Ok(())
    }

    fn evaluate(
        &mut self,
        log: &mut dyn Log,
        batches: &[(Partition, i64, Vec<u8>)],
    ) -> Result<(), StageError> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut outputs = Outputs::default();
        let mut positions: BTreeMap<Partition, i64> = BTreeMap::new();
        for (partition, offset, value) in batches {
            let state = self.partitions.get_mut(partition);
            let Some(evaluate) = state.and_then(|state| state.evaluate.as_mut()) else { continue };
            take(evaluate, partition, *offset, value, &self.rules, &mut outputs)?;
            positions.insert(partition.clone(), offset + 1);
        }
        let Settings { topics, encoding, .. } = &self.settings;
        let mut records = Vec::new();
        let mut counts = self.counts.clone();
        for decided in &outputs.decided {
            counts.windows += 1;
            records.push(outgoing::window(&topics.windows, &decided.window, *encoding));
            for breach in &decided.breaches {
                *counts.breaches.entry(breach.transition.name()).or_default() += 1;
                records.push(outgoing::breach(&topics.breaches, breach, *encoding));
            }
        }
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
                    if let Some(state) = self.partitions.get_mut(&partition) {
                        state.committed = position;
                    }
                }
                Ok(())
            }
            Err(LogError::Aborted(_)) => {
                // What was folded may not hold; fold again what does.
                self.partitions.values_mut().for_each(|state| state.evaluate = None);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn take(
    evaluate: &mut Evaluate,
    partition: &Partition,
    offset: i64,
    value: &[u8],
    rules: &Rules,
    outputs: &mut Outputs,
) -> Result<(), StageError> {
    let topic = || partition.topic.to_string();
    let batch = summary_batch::decode(value).map_err(|error| StageError::Unreadable {
        topic: topic(),
        partition: partition.partition,
        offset,
        error,
    })?;
    evaluate.batch(&batch, rules, outputs).map_err(|error| StageError::Batch {
        topic: topic(),
        partition: partition.partition,
        offset,
        error,
    })
}
