//! Reads ranges of partitions outside of any group: for `scan`, `export` and
//! a replay of what Kafka holds.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{LogError, Record};

use crate::errors::{is_passing, log_error};
use crate::member::{ANSWER_WAIT, QuietContext, bounds, record};
use crate::native::{Message, Queue};
use crate::settings::KafkaSettings;
use crate::transactions::partition_count;

/// Messages of one fetch.
const FETCH_MESSAGES_MAX: usize = 4096;

/// Time in which a fetch must bring something before the end of the range.
/// Past it the log is unavailable.
const PROGRESS_WAIT: Duration = Duration::from_secs(30);

/// Time between two looks at librdkafka's own events.
const EVENTS_EVERY: TimeSpan = TimeSpan::from_micros(100_000);

/// A reader of committed records.
pub struct KafkaReader {
    // Dropped before the consumer that it belongs to.
    queue: Queue,
    consumer: BaseConsumer<QuietContext>,
}

impl KafkaReader {
    /// A reader; group, topics and transactional id of the settings are not used.
    ///
    /// # Errors
    /// A fatal one for a wrong property.
    pub fn open(settings: &KafkaSettings) -> Result<Self, LogError> {
        let consumer: BaseConsumer<QuietContext> = settings
            .reader()?
            .create_with_context(QuietContext)
            .map_err(|error| log_error("making a consumer", &error))?;
        Ok(Self { queue: Queue::new(&consumer), consumer })
    }

    /// Number of partitions of a topic, 0 where it does not exist.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    pub fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        partition_count(self.consumer.client(), topic)
    }

    /// The offsets `[first, end)` that a partition holds, as a committed reader sees them.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::Unavailable`] or a fatal one.
    pub fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        bounds(&self.consumer, partition, ANSWER_WAIT)
    }

    /// Reads a partition from `from` up to `to` (exclusive) or its end as of
    /// now, calling `handle` for each committed record.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::Unavailable`] or a fatal one.
    pub fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        self.each(partition, from, to, &mut |message| handle(record(message, partition)))
    }

    /// All headers of one record, in order; none where it does not exist.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::Unavailable`] or a fatal one.
    pub fn headers(
        &mut self,
        partition: &Partition,
        offset: i64,
    ) -> Result<Vec<(String, Vec<u8>)>, LogError> {
        let mut headers = Vec::new();
        self.each(partition, offset, offset + 1, &mut |message| headers = message.headers())?;
        Ok(headers)
    }

    fn each(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(&Message<'_>),
    ) -> Result<(), LogError> {
        let (first, end) = self.bounds(partition)?;
        let (from, to) = (from.max(first), to.min(end));
        if from >= to {
            return Ok(());
        }
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(from))
            .map_err(|error| log_error("naming a position", &error))?;
        self.queue.forward(partition);
        self.consumer.assign(&wanted).map_err(|error| log_error("assigning", &error))?;
        let outcome = self.read_to(to, handle);
        self.consumer.unassign().map_err(|error| log_error("unassigning", &error))?;
        outcome
    }

    fn read_to(&mut self, to: i64, handle: &mut dyn FnMut(&Message<'_>)) -> Result<(), LogError> {
        let mut deadline = Instant::now() + PROGRESS_WAIT;
        while Instant::now() < deadline {
            while let Some(outcome) = self.consumer.poll(Duration::ZERO) {
                if let Err(error) = outcome {
                    judge(&error)?;
                }
            }
            for message in self.queue.fetch(FETCH_MESSAGES_MAX, EVENTS_EVERY).messages() {
                match message.error() {
                    // Offsets before `to` may belong to markers and aborted records.
                    _ if message.offset() >= to => return Ok(()),
                    None => {
                        handle(&message);
                        deadline = Instant::now() + PROGRESS_WAIT;
                        if message.offset() + 1 == to {
                            return Ok(());
                        }
                    }
                    Some(RDKafkaErrorCode::PartitionEOF) => return Ok(()),
                    Some(code) => judge(&KafkaError::MessageConsumption(code))?,
                }
            }
        }
        Err(LogError::Unavailable("a range could not be read on to its end".to_owned()))
    }
}

fn judge(error: &KafkaError) -> Result<(), LogError> {
    match error.rdkafka_error_code() {
        Some(code) if is_passing(code) => Ok(()),
        _ => Err(log_error("reading a range", error)),
    }
}
