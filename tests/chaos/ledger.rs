//! The summaries topic: which ranges of telemetry each record covers, and
//! whether they are dense. Shares no code with the ledger of the product.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_wire::summary_batch;

use super::facts::Topics;

/// A record of the summaries topic, without the summaries.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The record's timestamp, in microseconds since 1970.
    pub at_us: i64,
    /// Who wrote it.
    pub instance: String,
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

impl Ledger {
    /// Reads the summaries topic from its beginning to its end.
    ///
    /// # Errors
    /// Those of the log.
    pub fn read(topics: &mut Topics) -> Result<Self, String> {
        let mut ledger = Self::default();
        for partition in topics.partitions("summaries")? {
            let number = partition.partition;
            let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
            topics.each(&partition, 0, &mut |record| {
                let place = format!("summaries {number} offset {}", record.offset);
                match summary_batch::decode(record.value) {
                    Err(error) => ledger.wrong.push(format!("{place}: {error}")),
                    Ok(batch) => {
                        ledger.records += 1;
                        let mut moved = BTreeSet::new();
                        for step in &batch.steps {
                            for delta in &step.deltas {
                                *ledger.events.entry(delta.feature.to_string()).or_default() +=
                                    delta.summary.count;
                            }
                            for progress in &step.sources {
                                let source = progress.source.partition;
                                let end = ends.entry(source).or_default();
                                if progress.from != *end || progress.to < progress.from {
                                    ledger.wrong.push(format!(
                                        "{place}: telemetry {source} is covered up to {end}, and {} goes on with [{}, {})",
                                        batch.instance, progress.from, progress.to
                                    ));
                                }
                                if progress.to > progress.from {
                                    moved.insert(source);
                                }
                                *end = progress.to;
                            }
                        }
                        if number == 0 {
                            let at_us = record.timestamp.as_micros();
                            let instance = batch.instance.to_string();
                            ledger.commits.push(Commit { at_us, instance, moved });
                        }
                    }
                }
            })?;
            if number == 0 {
                ledger.ends = ends;
            } else if ledger.ends != ends {
                ledger.wrong.push(format!(
                    "summaries {number} covers {ends:?} and summaries 0 {:?}",
                    ledger.ends
                ));
            }
        }
        Ok(ledger)
    }
}
