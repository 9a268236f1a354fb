//! The summaries topic: which ranges of telemetry each record covers, whether
//! they are dense, and whether the records of each session are numbered densely. Shares no code with the ledger of the product.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::batch::{SourceProgress, SummaryBatch};
use watchkeep_wire::summary_batch;

use super::facts::Topics;

/// A record of the summaries topic, without the summaries.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The record's timestamp, in microseconds since 1970.
    pub at_us: i64,
    /// Telemetry partitions of which it covers something.
    pub moved: BTreeSet<i32>,
}

/// What the summaries topic says.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Records of partition 0, in order; the others hold the same ranges.
    pub commits: Vec<Commit>,
    /// Records of all partitions.
    pub records: u64,
    /// Events by feature.
    pub events: BTreeMap<String, u64>,
    /// By telemetry partition, the end of what is covered.
    pub ends: BTreeMap<i32, i64>,
    /// Gaps, overlaps and whatever else is wrong.
    pub wrong: Vec<String>,
}

/// What one summaries partition has told so far.
#[derive(Default)]
struct Told {
    /// By telemetry partition, the end of what is covered.
    ends: BTreeMap<i32, i64>,
    /// By instance and begin of its session, the number and part that come next.
    sessions: BTreeMap<(String, i64), (u64, u32)>,
}

impl Ledger {
    /// Reads the summaries topic from its beginning to its end.
    ///
    /// # Errors
    /// Those of the log.
    pub fn read(topics: &mut Topics) -> Result<Self, String> {
        let mut ledger = Self::default();
        for partition in topics.partitions("summaries")? {
            let number = partition.partition;
            let mut told = Told::default();
            topics.each(&partition, 0, &mut |record| {
                let place = format!("summaries {number} offset {}", record.offset);
                match summary_batch::decode(record.value) {
                    Err(error) => ledger.wrong.push(format!("{place}: {error}")),
                    Ok(batch) => {
                        let moved = ledger.take(&place, &batch, &mut told);
                        if number == 0 {
                            let at_us = record.timestamp.as_micros();
                            ledger.commits.push(Commit { at_us, moved });
                        }
                    }
                }
            })?;
            if number == 0 {
                ledger.ends = told.ends;
            } else if ledger.ends != told.ends {
                ledger.wrong.push(format!(
                    "summaries {number} covers {:?} and summaries 0 {:?}",
                    told.ends, ledger.ends
                ));
            }
        }
        Ok(ledger)
    }

    /// Takes a batch and tells which telemetry partitions it moves.
    fn take(&mut self, place: &str, batch: &SummaryBatch, told: &mut Told) -> BTreeSet<i32> {
        self.records += 1;
        let session = (batch.instance.to_string(), batch.session.as_micros());
        let found = (batch.sequence, batch.part);
        let wanted = told.sessions.get(&session).copied().unwrap_or((0, 0));
        if found != wanted {
            self.wrong.push(format!("{place}: {session:?} goes on with {found:?}, not {wanted:?}"));
        }
        let is_last = batch.part + 1 >= batch.parts;
        let next = if is_last { (batch.sequence + 1, 0) } else { (batch.sequence, batch.part + 1) };
        told.sessions.insert(session, next);
        let mut moved = BTreeSet::new();
        for step in &batch.steps {
            for delta in &step.deltas {
                *self.events.entry(delta.feature.to_string()).or_default() += delta.summary.count;
            }
            for SourceProgress { source, from, to, .. } in &step.sources {
                let end = told.ends.entry(source.partition).or_default();
                if from != end || to < from {
                    self.wrong.push(format!(
                        "{place}: telemetry {} is covered up to {end}, and {} goes on with [{from}, {to})",
                        source.partition, batch.instance
                    ));
                }
                if to > from {
                    moved.insert(source.partition);
                }
                *end = *to;
            }
        }
        moved
    }
}
