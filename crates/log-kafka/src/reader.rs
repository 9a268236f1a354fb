//! Reads ranges of partitions outside of any group: for `scan`, `export` and
//! a replay of what Kafka holds.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{LogError, Record};

use crate::context::QuietContext;
use crate::errors::{is_passing, log_error, passing};
use crate::member::record;
use crate::native::{Message, Queue};
use crate::settings::{ANSWER_WAIT, KafkaSettings};
use crate::transactions::partition_count;

/// Messages of one fetch.
const FETCH_MESSAGES_MAX: usize = 4096;

/// Time in which a fetch must bring something before the end of the range.
/// Past it the log is unavailable.
const PROGRESS_WAIT: Duration = Duration::from_secs(30);

/// Time between two questions to a broker that may lead a partition soon.
const LEADER_EVERY: Duration = Duration::from_millis(50);

/// Time between two looks at librdkafka's own events.
const EVENTS_EVERY: TimeSpan = TimeSpan::from_micros(100_000);

/// A reader of committed records.
pub struct KafkaReader {
    // Dropped before the consumer that it belongs to.
    queue: Queue,
    consumer: BaseConsumer<QuietContext>,
    /// Sees what is open, too; made when it is first asked.
    uncommitted: Option<BaseConsumer<QuietContext>>,
    settings: KafkaSettings,
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
        let (queue, settings) = (Queue::new(&consumer), settings.clone());
        Ok(Self { queue, consumer, uncommitted: None, settings })
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
        let answer = ask_bounds(&self.consumer, partition);
        answer.map_err(|error| self.why_no_bounds(partition, &error))
    }

    /// The end of a partition with what is written and not committed yet.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], [`LogError::Unavailable`] or a fatal one.
    pub(crate) fn written_end(&mut self, partition: &Partition) -> Result<i64, LogError> {
        if self.uncommitted.is_none() {
            let mut config = self.settings.reader()?;
            config.set("isolation.level", "read_uncommitted");
            let consumer = config.create_with_context(QuietContext);
            self.uncommitted =
                Some(consumer.map_err(|error| log_error("making a consumer", &error))?);
        }
        let consumer = self.uncommitted.as_ref().unwrap_or(&self.consumer);
        match ask_bounds(consumer, partition) {
            Ok((_, end)) => Ok(end),
            Err(error) => Err(self.why_no_bounds(partition, &error)),
        }
    }

    /// The ends of these partitions, as a committed reader sees them, by one
    /// question to each broker.
    pub(crate) fn ends(
        &mut self,
        partitions: &[Partition],
        wait: Duration,
    ) -> Result<Vec<(Partition, i64)>, LogError> {
        if partitions.is_empty() {
            return Ok(vec![]);
        }
        let mut wanted = TopicPartitionList::new();
        for Partition { topic, partition } in partitions {
            // In the place of a time, the end stands for what it says.
            wanted
                .add_partition_offset(topic, *partition, Offset::End)
                .map_err(|error| log_error("naming ends", &error))?;
        }
        let doing = "asking for the ends of partitions";
        let found = self
            .consumer
            .offsets_for_times(wanted, wait)
            .map_err(|error| passing(log_error(doing, &error)))?;
        let mut ends = Vec::with_capacity(partitions.len());
        for element in found.elements() {
            element.error().map_err(|error| passing(log_error(doing, &error)))?;
            if let Offset::Offset(end) = element.offset() {
                ends.push((Partition::new(element.topic(), element.partition()), end));
            }
        }
        Ok(ends)
    }

    fn why_no_bounds(&self, partition: &Partition, error: &KafkaError) -> LogError {
        let Partition { topic, partition } = partition;
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
                LogError::NoTopic(topic.to_string())
            }
            Some(RDKafkaErrorCode::UnknownPartition) => {
                match partition_count(self.consumer.client(), topic) {
                    Ok(0) => LogError::NoTopic(topic.to_string()),
                    // So librdkafka says as well where it has no leader for now.
                    Ok(count) if (0..count).contains(partition) => {
                        LogError::Unavailable(format!("topic {topic} {partition} has no leader"))
                    }
                    Ok(_) => LogError::Fatal(format!("topic {topic} has no partition {partition}")),
                    Err(error) => error,
                }
            }
            _ => passing(log_error(&format!("asking for the bounds of {topic}"), error)),
        }
    }

    /// The position of a partition that a group has committed, without joining
    /// it; `None` before its first.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    pub fn committed(
        &mut self,
        group: &str,
        partition: &Partition,
    ) -> Result<Option<i64>, LogError> {
        let mut config = self.settings.reader()?;
        config.set("group.id", group);
        let consumer: BaseConsumer<QuietContext> = config
            .create_with_context(QuietContext)
            .map_err(|error| log_error("making a consumer", &error))?;
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(&partition.topic, partition.partition);
        let known = consumer
            .committed_offsets(wanted, ANSWER_WAIT)
            .map_err(|error| log_error("asking for a committed position", &error))?;
        let element = known.find_partition(&partition.topic, partition.partition);
        Ok(match element.map(|element| element.offset()) {
            Some(Offset::Offset(position)) => Some(position),
            _ => None,
        })
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
            let mut batch = self.queue.fetch(FETCH_MESSAGES_MAX, EVENTS_EVERY);
            while let Some(message) = batch.take() {
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

/// Asks for bounds, also of a topic that is so new that its broker does not
/// know yet that it leads it: librdkafka hands that answer on.
fn ask_bounds(
    consumer: &BaseConsumer<QuietContext>,
    Partition { topic, partition }: &Partition,
) -> Result<(i64, i64), KafkaError> {
    let deadline = Instant::now() + ANSWER_WAIT;
    loop {
        let answer = consumer.fetch_watermarks(topic, *partition, ANSWER_WAIT);
        let code = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        match code {
            Some(RDKafkaErrorCode::NotLeaderForPartition) if Instant::now() < deadline => {
                std::thread::sleep(LEADER_EVERY);
            }
            _ => return answer,
        }
    }
}

fn judge(error: &KafkaError) -> Result<(), LogError> {
    match error.rdkafka_error_code() {
        Some(code) if is_passing(code) => Ok(()),
        // It is there, or its bounds were not told: it has no leader for now.
        Some(RDKafkaErrorCode::UnknownPartition) => Ok(()),
        _ => Err(log_error("reading a range", error)),
    }
}
