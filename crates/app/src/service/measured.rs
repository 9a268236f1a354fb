//! A log whose commits are timed and told.

use std::sync::Arc;
use std::time::Instant;

use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, LogError, Record, Transaction};

use super::status::Status;

/// Passes everything through and keeps count of commits.
pub(crate) struct Measured {
    log: Box<dyn Log>,
    stage: &'static str,
    status: Arc<Status>,
    /// True while the log does not answer, so that this is told once.
    is_away: bool,
}

impl Measured {
    pub(crate) fn new(log: Box<dyn Log>, stage: &'static str, status: Arc<Status>) -> Self {
        Self { log, stage, status, is_away: false }
    }
}

impl Log for Measured {
    fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let stage = self.stage;
        let polled = self.log.poll(max_wait, &mut |event| {
            match event {
                Event::Assigned { partition, position } => tracing::info!(
                    stage,
                    topic = %partition.topic,
                    partition = partition.partition,
                    position,
                    "assigned"
                ),
                Event::Revoked { partition } => tracing::info!(
                    stage,
                    topic = %partition.topic,
                    partition = partition.partition,
                    "revoked"
                ),
                Event::Record(_) | Event::CaughtUp { .. } => {}
            }
            handle(event);
        });
        match &polled {
            Err(error) if !self.is_away => {
                tracing::warn!(stage, %error, "waiting for the log");
                self.is_away = true;
            }
            Err(error) => tracing::debug!(stage, %error, "waiting for the log"),
            Ok(()) if self.is_away => {
                tracing::info!(stage, "the log answers again");
                self.is_away = false;
            }
            Ok(()) => {}
        }
        polled
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let records = transaction.records.len();
        let begun = Instant::now();
        let result = self.log.commit(transaction);
        let seconds = begun.elapsed().as_secs_f64();
        match &result {
            Ok(()) => {
                self.status.committed(self.stage, seconds);
                tracing::debug!(stage = self.stage, records, seconds, "committed");
            }
            Err(error) => {
                self.status.failed_commit(self.stage);
                tracing::warn!(stage = self.stage, records, %error, "commit");
            }
        }
        result
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

    fn is_spare(&self) -> bool {
        self.log.is_spare()
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        self.log.partition_count(topic)
    }

    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.log.bounds(partition)
    }

    fn settled(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.log.settled(partition)
    }

    fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        self.log.scan(partition, from, to, handle)
    }
}
