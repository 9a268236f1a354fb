//! A session with the log that dies when it is told to, and that is wrong in
//! one planted way when it is asked to be.

use std::collections::BTreeSet;

use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, LogError, Record, Transaction};
use watchkeep_wire::fact::{FactEncoding, decode, encode};
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::summary_batch;

use super::plan::Breakage;
use crate::log::MemoryLog;

/// A bug that is planted to see whether the simulation finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    #[default]
    None,
    /// Positions are committed in one transaction and records in a second one.
    CommitBeforeProduce,
    /// A partition that tells nothing new holds no watermark: not one that is
    /// yet to be told of, and not one that is merely waiting.
    ImpatientWatermark,
    /// Deltas that were folded before a revocation are kept.
    KeptDeltas,
    /// Messages go out before the transaction that holds their facts.
    PagesFirst,
    /// A restart reads of a step that was left for want of an answer that the
    /// next one's acknowledgement was due at that instant too.
    TimersAnew,
    /// A restart forgets the pages that something quiet held back, so that its
    /// end sends none.
    ForgottenPages,
}

/// A log session with faults.
pub(crate) struct Session {
    log: MemoryLog,
    sabotage: Sabotage,
    /// What becomes of the next commit.
    pub(crate) breakage: Option<Breakage>,
    /// True once the instance has died in a commit.
    pub(crate) died: bool,
    /// Partitions whose revocation was kept from the stage, or that it has.
    assigned: BTreeSet<Partition>,
}

impl Session {
    pub(crate) fn new(log: MemoryLog, sabotage: Sabotage) -> Self {
        Self { log, sabotage, breakage: None, died: false, assigned: BTreeSet::new() }
    }

    /// Commits the messages of a transaction by themselves.
    fn send_messages(&mut self, transaction: &mut Transaction) -> Result<(), LogError> {
        let records = std::mem::take(&mut transaction.records);
        let (messages, facts): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record.topic.ends_with("escalations"));
        transaction.records = facts;
        self.log.commit(Transaction { positions: Vec::new(), records: messages })
    }

    fn die(&mut self) -> LogError {
        self.died = true;
        LogError::Fatal("the instance was killed".to_owned())
    }
}

impl Log for Session {
    fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let Self { log, sabotage, assigned, .. } = self;
        log.poll(max_wait, &mut |event| match event {
            Event::Revoked { partition } if *sabotage == Sabotage::KeptDeltas => {
                assigned.remove(partition);
            }
            Event::Assigned { partition, .. } => {
                assigned.insert(partition.clone());
                handle(event);
            }
            _ => handle(event),
        })
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<(), LogError> {
        match self.sabotage {
            Sabotage::ImpatientWatermark => impatient(&mut transaction),
            Sabotage::KeptDeltas => {
                let assigned = &self.assigned;
                transaction.positions.retain(|(partition, _)| assigned.contains(partition));
            }
            Sabotage::PagesFirst => self.send_messages(&mut transaction)?,
            Sabotage::None
            | Sabotage::CommitBeforeProduce
            | Sabotage::TimersAnew
            | Sabotage::ForgottenPages => {}
        }
        let breakage =
            if transaction == Transaction::default() { None } else { self.breakage.take() };
        if self.sabotage == Sabotage::CommitBeforeProduce {
            let records = std::mem::take(&mut transaction.records);
            self.log.commit(transaction)?;
            if matches!(breakage, Some(Breakage::DiesBefore)) {
                return Err(self.die());
            }
            transaction = Transaction { positions: Vec::new(), records };
        }
        match breakage {
            None => self.log.commit(transaction),
            Some(Breakage::DiesBefore) => Err(self.die()),
            Some(Breakage::RequestLost) => {
                Err(LogError::Unavailable("the request was lost".to_owned()))
            }
            Some(Breakage::DiesAfter) => {
                self.log.commit(transaction)?;
                Err(self.die())
            }
            Some(Breakage::AnswerLost) => {
                self.log.commit(transaction)?;
                Err(LogError::Unavailable("the answer was lost".to_owned()))
            }
        }
    }

    fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        self.log.seek(partition, offset)
    }

    fn pause(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        self.log.pause(partition, offset)
    }

    fn resume(&mut self, partition: &Partition) -> Result<(), LogError> {
        self.log.resume(partition)
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        self.log.partition_count(topic)
    }

    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.log.bounds(partition)
    }

    fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        let sabotage = self.sabotage;
        if !matches!(sabotage, Sabotage::TimersAnew | Sabotage::ForgottenPages)
            || !partition.topic.ends_with("incidents")
        {
            return self.log.scan(partition, from, to, handle);
        }
        self.log.scan(partition, from, to, &mut |record| match misread(sabotage, record.value) {
            Some(value) => handle(Record { value: &value, ..record }),
            None => handle(record),
        })
    }
}

/// A fact as a restart reads it that has a bug; `None` where it reads what is there.
fn misread(sabotage: Sabotage, value: &[u8]) -> Option<Vec<u8>> {
    let mut fact: Fact = decode(value).ok()?;
    match (sabotage, &mut fact.data) {
        (Sabotage::TimersAnew, FactData::Escalated(data)) if data.trigger == "not_acknowledged" => {
            data.entry.acknowledge_by = Some(data.due_at);
        }
        (Sabotage::ForgottenPages, FactData::NotificationSkipped(data))
            if ["silenced", "inhibited", "flapping"].contains(&data.reason.as_str()) =>
        {
            data.reason = "forgotten".to_owned();
        }
        _ => return None,
    }
    Some(encode(&fact, FactEncoding::Json))
}

/// Rewrites the summary batches of a transaction: no source partition is
/// waited for before it has told something, and none after.
fn impatient(transaction: &mut Transaction) {
    for record in &mut transaction.records {
        let Ok(mut batch) = summary_batch::decode(&record.value) else { continue };
        batch.source_topics.clear();
        for progress in batch.steps.iter_mut().flat_map(|step| &mut step.sources) {
            progress.idle = true;
        }
        record.value = summary_batch::encode(&batch, AvroFraming::SingleObject);
    }
}
