//! Follows the batches of one summaries partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_detection::ledger::{Coverage, Fault, Joint, Ledger};
use watchkeep_model::batch::SummaryBatch;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::summary_batch;

use super::{FaultKind, Finding};
use crate::log::Record;

/// The audit of one summaries partition.
#[derive(Debug, Default)]
pub struct LedgerAudit {
    ledger: Ledger,
    findings: Vec<Finding>,
    batches: u64,
    events: u64,
    /// Pane and number of summaries partitions that the first batch told.
    deployment: Option<(TimeSpan, i32)>,
}

impl LedgerAudit {
    /// An audit of a partition whose first record is at `first`.
    pub fn new(first: i64) -> Self {
        let mut audit = Self::default();
        if first > 0 {
            audit.ledger.begin_midway();
        }
        audit
    }

    /// Takes the next record; answers with its batch where evaluation would
    /// use it, so that more can be counted from it.
    pub fn record(&mut self, record: &Record<'_>) -> Option<SummaryBatch> {
        let Partition { topic, partition } = record.partition.clone();
        let at = Position { topic, partition, offset: record.offset };
        let batch = match summary_batch::decode(record.value) {
            Ok(batch) => batch,
            Err(malformed) => {
                self.find(FaultKind::Unreadable, at, malformed.to_string());
                return None;
            }
        };
        let deployment = (batch.pane, batch.partitions);
        if *self.deployment.get_or_insert(deployment) != deployment {
            let detail = format!(
                "a batch of another deployment: panes of {} and {} summaries partitions",
                batch.pane, batch.partitions
            );
            self.find(FaultKind::Unreadable, at, detail);
            return None;
        }
        match self.ledger.take(&batch) {
            Ok(Joint::Whole) => {}
            Ok(Joint::Duplicate) => {
                self.find(FaultKind::Duplicate, at, again(&batch));
                return None;
            }
            Err(torn) => {
                let fault = match torn.fault {
                    Fault::Gap { .. } => FaultKind::Gap,
                    Fault::Overlap { .. } => FaultKind::Overlap,
                    Fault::Missing { .. } => FaultKind::Missing,
                };
                self.find(fault, at, torn.to_string());
                self.ledger.adopt(&batch);
            }
        }
        self.batches += 1;
        let deltas = batch.steps.iter().flat_map(|step| &step.deltas);
        self.events += deltas.map(|delta| delta.summary.count).sum::<u64>();
        Some(batch)
    }

    /// What is wrong so far, in the order of the records.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What is covered of each source partition.
    pub fn sources(&self) -> &BTreeMap<Partition, Coverage> {
        self.ledger.sources()
    }

    /// Records that evaluation would use.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Events in them.
    pub fn events(&self) -> u64 {
        self.events
    }

    fn find(&mut self, fault: FaultKind, at: Position, detail: String) {
        self.findings.push(Finding { fault, at: Some(at), detail });
    }
}

fn again(batch: &SummaryBatch) -> String {
    let mut ranges: BTreeMap<&Partition, (i64, i64)> = BTreeMap::new();
    for progress in batch.steps.iter().flat_map(|step| &step.sources) {
        let range = ranges.entry(&progress.source).or_insert((progress.from, progress.to));
        *range = (range.0.min(progress.from), range.1.max(progress.to));
    }
    let ranges: Vec<String> = ranges
        .iter()
        .map(|(source, (from, to))| {
            let Partition { topic, partition } = source;
            match to - from {
                0 => format!("no offset of {topic}/{partition}"),
                _ => format!("offsets {from} to {} of {topic}/{partition}", to - 1),
            }
        })
        .collect();
    format!(
        "batch {} part {} of the session of {} that began {} came again: {}",
        batch.sequence,
        batch.part,
        batch.instance,
        batch.session,
        ranges.join(", ")
    )
}

/// Instance, and when its session began.
type SessionName<'a> = (&'a Arc<str>, Timestamp);

/// The batch that was to follow the last one of each session, over all partitions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ends(BTreeMap<(Arc<str>, Timestamp), u64>);

impl Ends {
    /// How far the partitions reach that were read.
    pub fn of(audits: &[LedgerAudit]) -> Self {
        let mut furthest = BTreeMap::new();
        for (name, began, next) in audits.iter().flat_map(|audit| audit.ledger.sessions()) {
            let end = furthest.entry((Arc::clone(name), began)).or_default();
            *end = next.0.max(*end);
        }
        Self(furthest)
    }
}

/// Finds the partitions that do not reach as far as `ends`. A commit writes to
/// every one, so at rest they have heard of the same sessions up to the same
/// record: this finds what was cut off at the end of a partition, which nothing
/// in it can tell. Beside a running service the ends are those of a first
/// reading, and what is behind is read further before it is compared again.
pub fn compare_ends(topic: &str, audits: &[LedgerAudit], ends: &Ends) -> Vec<Finding> {
    let reached: Vec<BTreeMap<SessionName<'_>, (u64, u32)>> = audits
        .iter()
        .map(|audit| {
            audit.ledger.sessions().map(|(name, began, next)| ((name, began), next)).collect()
        })
        .collect();
    let mut findings = Vec::new();
    for ((name, began), &furthest) in &ends.0 {
        // Parts differ from partition to partition; whole batches do not.
        for (partition, reached) in reached.iter().enumerate() {
            let next = reached.get(&(name, *began)).copied().unwrap_or((0, 0));
            if next.0 < furthest || next.1 > 0 {
                let detail = format!(
                    "{topic}/{partition} ends before batch {} part {} of the session of {} that \
                     began {}; other partitions hold its batches up to {}",
                    next.0,
                    next.1,
                    name,
                    began,
                    furthest.saturating_sub(1)
                );
                findings.push(Finding { fault: FaultKind::Behind, at: None, detail });
            }
        }
    }
    findings
}
