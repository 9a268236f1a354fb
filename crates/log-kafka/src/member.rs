//! The consuming half of a session: the assignment, its positions and the
//! records that come.
//!
//! Rebalances are eager: a change takes everything away and then gives out
//! what is ours now.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{BATCH_RECORDS_MAX, Event, LogError, Record};

use crate::errors::{is_fenced, is_passing, log_error};
use crate::native::{Batch, Message, Queue, TopicHandle};
use crate::settings::KafkaSettings;
use crate::transactions::partition_count;

/// Time that a question to the brokers may take. Past it the log is unavailable.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Time between two looks for a rebalance while waiting for records.
const REBALANCE_EVERY: TimeSpan = TimeSpan::from_micros(20_000);

/// Time until a seek is tried again in a partition that is only starting.
const SEEK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Age at which "nothing more is there" is asked for again. A broker that is
/// away must not let a partition look caught up.
const END_CONFIRMED_EVERY: Duration = Duration::from_secs(1);

/// Time that such a question may take, by which a poll may outlast its wait.
const END_ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Messages of one fetch; the rest waits for the next poll.
const FETCH_MESSAGES_MAX: usize = 4096;
const _: () = assert!(FETCH_MESSAGES_MAX <= BATCH_RECORDS_MAX);

/// A member of a consumer group.
pub(crate) struct Member {
    // Dropped before the consumer that it belongs to.
    queue: Queue,
    consumer: BaseConsumer<MemberContext>,
    slots: Vec<Slot>,
    /// The slot of the last message: messages come in runs of one partition.
    last: usize,
    /// Assigned by the group and not taken yet.
    offered: Option<Vec<Partition>>,
}

/// An assigned partition.
struct Slot {
    partition: Partition,
    handle: Option<TopicHandle>,
    /// The next offset to deliver.
    position: i64,
    /// The position is not where librdkafka fetches: seek before the next fetch.
    moved: bool,
    committed: i64,
    /// When the position was last known to be the end.
    end_confirmed: Option<Instant>,
}

/// What the group has told and the session has not been told yet.
enum Change {
    Assigned(Vec<Partition>),
    Revoked,
}

/// Takes librdkafka's logs, and the group's changes as they are served.
#[derive(Default)]
pub(crate) struct MemberContext {
    changes: Mutex<VecDeque<Change>>,
}

/// Takes librdkafka's logs.
pub(crate) struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trace_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for QuietContext {}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        trace_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let change = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let all = partitions.elements();
            Change::Assigned(
                all.iter().map(|one| Partition::new(one.topic(), one.partition())).collect(),
            )
        } else {
            // Answered at once: a closing consumer waits for it. What is not
            // committed by now is refused or comes again.
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "giving partitions back");
            }
            Change::Revoked
        };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

impl Member {
    pub(crate) fn join(settings: &KafkaSettings) -> Result<Self, LogError> {
        let consumer: BaseConsumer<MemberContext> = settings
            .member()?
            .create_with_context(MemberContext::default())
            .map_err(|error| log_error("making a consumer", &error))?;
        let queue = Queue::new(&consumer);
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|error| log_error("subscribing", &error))?;
        Ok(Self { queue, consumer, slots: vec![], last: 0, offered: None })
    }

    pub(crate) fn holds(&self, partition: &Partition) -> bool {
        self.slots.iter().any(|slot| slot.partition == *partition)
    }

    /// The group metadata as of now, for the transaction that is about to commit.
    pub(crate) fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// What a transaction tells the group. Where it moves no position, the
    /// committed ones are told again: the group then refuses a member whose
    /// partitions went to somebody else. The marker names the transaction.
    pub(crate) fn offsets(
        &self,
        positions: &[(Partition, i64)],
        marker: &str,
    ) -> Result<TopicPartitionList, LogError> {
        let mut offsets = TopicPartitionList::new();
        let mut add = |partition: &Partition, position: i64| {
            let mut element = offsets.add_partition(&partition.topic, partition.partition);
            element.set_offset(Offset::Offset(position))?;
            element.set_metadata(marker);
            Ok(())
        };
        let result: Result<(), KafkaError> = if positions.is_empty() {
            self.slots.iter().try_for_each(|slot| add(&slot.partition, slot.committed))
        } else {
            positions.iter().try_for_each(|(partition, position)| add(partition, *position))
        };
        result.map_err(|error| log_error("naming positions", &error))?;
        Ok(offsets)
    }

    pub(crate) fn committed(&mut self, positions: &[(Partition, i64)]) {
        for (partition, position) in positions {
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.partition == *partition) {
                slot.committed = *position;
            }
        }
    }

    /// Goes back to the committed positions.
    pub(crate) fn rewind(&mut self) {
        for slot in &mut self.slots {
            slot.go_to(slot.committed);
        }
    }

    /// Reads the committed positions anew from the group, and tells whether
    /// they are those of the transaction with this marker.
    pub(crate) fn recall(&mut self, marker: &str) -> Result<bool, LogError> {
        let partitions: Vec<Partition> =
            self.slots.iter().map(|slot| slot.partition.clone()).collect();
        let mut holds = false;
        for (partition, committed, metadata) in self.ask_committed(&partitions)? {
            holds |= metadata == marker;
            let slot = self.slots.iter_mut().find(|slot| slot.partition == partition);
            if let (Some(slot), Some(committed)) = (slot, committed) {
                slot.committed = committed;
            }
        }
        Ok(holds)
    }

    pub(crate) fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        let slot = self.slots.iter_mut().find(|slot| slot.partition == *partition);
        let Some(slot) = slot else {
            let Partition { topic, partition } = partition;
            let why = format!("{topic} {partition} is not assigned: it cannot be sought in");
            return Err(LogError::Fatal(why));
        };
        slot.go_to(offset.max(0));
        Ok(())
    }

    /// Tells that everything is gone: this member is not of the group any more.
    pub(crate) fn revoke_all(&mut self, handle: &mut dyn FnMut(Event<'_>)) {
        for slot in std::mem::take(&mut self.slots) {
            handle(Event::Revoked { partition: &slot.partition });
        }
    }

    pub(crate) fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let deadline = Instant::now() + max_wait.to_std();
        loop {
            if self.serve_group(handle)? {
                return Ok(());
            }
            self.catch_up_moves()?;
            let left = deadline.saturating_duration_since(Instant::now());
            let left_us = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
            let batch = self
                .queue
                .fetch(FETCH_MESSAGES_MAX, TimeSpan::from_micros(left_us).min(REBALANCE_EVERY));
            if !batch.is_empty() && self.hand_over(&batch, handle)? {
                return Ok(());
            }
            if left.is_zero() {
                return self.tell_ends(handle);
            }
        }
    }

    /// Serves what the group has to say. True where the session was told something.
    fn serve_group(&mut self, handle: &mut dyn FnMut(Event<'_>)) -> Result<bool, LogError> {
        while let Some(outcome) = self.consumer.poll(Duration::ZERO) {
            match outcome {
                // It came past our queue; the position still stands before it.
                Ok(_) => self.slots.iter_mut().for_each(|slot| slot.moved = true),
                Err(error) => {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                    self.judge(code, "", &error.to_string())?;
                }
            }
        }
        let mut told = false;
        loop {
            let change = {
                let changes = &self.consumer.context().changes;
                changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
            };
            match change {
                None => break,
                Some(Change::Assigned(partitions)) => self.offered = Some(partitions),
                Some(Change::Revoked) => {
                    self.offered = None;
                    told |= !self.slots.is_empty();
                    self.revoke_all(handle);
                }
            }
        }
        if let Some(partitions) = &self.offered {
            // Where this fails the offer stands, and the next poll tries again.
            self.slots = self.positions(&partitions.clone())?;
            self.offered = None;
            self.assign()?;
            for slot in &self.slots {
                handle(Event::Assigned { partition: &slot.partition, position: slot.position });
                told = true;
            }
        }
        Ok(told)
    }

    /// Where newly assigned partitions begin: at their committed positions,
    /// else at the first offset that the partition holds.
    fn positions(&self, partitions: &[Partition]) -> Result<Vec<Slot>, LogError> {
        let mut slots = Vec::with_capacity(partitions.len());
        for (partition, committed, _) in self.ask_committed(partitions)? {
            let (first, end) = bounds(&self.consumer, &partition, ANSWER_WAIT)?;
            let position = committed.unwrap_or(first);
            let Partition { topic, partition: number } = &partition;
            if position > end {
                return Err(LogError::Fatal(format!(
                    "the group stands at offset {position} of {topic} {number}, which ends at \
                     {end}: was the topic made anew? Set the group's offsets, or use another group"
                )));
            }
            if position < first {
                tracing::warn!(
                    topic = &**topic,
                    partition = number,
                    position,
                    first,
                    "records were deleted before they were read"
                );
            }
            let position = position.max(first);
            slots.push(Slot {
                partition,
                handle: None,
                position,
                moved: false,
                committed: position,
                end_confirmed: None,
            });
        }
        slots.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok(slots)
    }

    fn ask_committed(
        &self,
        partitions: &[Partition],
    ) -> Result<Vec<(Partition, Option<i64>, String)>, LogError> {
        if partitions.is_empty() {
            return Ok(vec![]);
        }
        let mut wanted = TopicPartitionList::new();
        for partition in partitions {
            wanted.add_partition(&partition.topic, partition.partition);
        }
        let doing = "asking for committed positions";
        let found = self
            .consumer
            .committed_offsets(wanted, ANSWER_WAIT)
            .map_err(|error| passing(log_error(doing, &error)))?;
        let mut all = Vec::new();
        for element in found.elements() {
            element.error().map_err(|error| passing(log_error(doing, &error)))?;
            let committed = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let partition = Partition::new(element.topic(), element.partition());
            all.push((partition, committed, element.metadata().to_owned()));
        }
        Ok(all)
    }

    /// Begins to fetch the newly assigned slots from their positions. The
    /// queues are forwarded first, so that no message takes another way.
    fn assign(&mut self) -> Result<(), LogError> {
        let mut wanted = TopicPartitionList::new();
        for slot in &self.slots {
            self.queue.forward(&slot.partition);
            let Partition { topic, partition } = &slot.partition;
            wanted
                .add_partition_offset(topic, *partition, Offset::Offset(slot.position))
                .map_err(|error| log_error("naming positions", &error))?;
        }
        self.consumer.assign(&wanted).map_err(|error| log_error("assigning", &error))
    }

    /// Seeks in the partitions whose positions have moved. What librdkafka has
    /// fetched from where they stood before is dropped by it.
    fn catch_up_moves(&mut self) -> Result<(), LogError> {
        let deadline = Instant::now() + ANSWER_WAIT;
        while self.slots.iter().any(|slot| slot.moved) {
            let mut wanted = TopicPartitionList::new();
            for slot in self.slots.iter().filter(|slot| slot.moved) {
                let Partition { topic, partition } = &slot.partition;
                wanted
                    .add_partition_offset(topic, *partition, Offset::Offset(slot.position))
                    .map_err(|error| log_error("naming positions", &error))?;
            }
            let sought = self
                .consumer
                .seek_partitions(wanted, ANSWER_WAIT)
                .map_err(|error| passing(log_error("seeking", &error)))?;
            for element in sought.elements() {
                let slot = self.slots.iter_mut().find(|slot| {
                    *slot.partition.topic == *element.topic()
                        && slot.partition.partition == element.partition()
                });
                match (slot, element.error()) {
                    (Some(slot), Ok(())) => slot.moved = false,
                    // Fetching has not begun yet, which passes within moments.
                    (_, Err(_)) if Instant::now() < deadline => thread::sleep(SEEK_AGAIN_AFTER),
                    (_, Err(error)) => return Err(passing(log_error("seeking", &error))),
                    (None, Ok(())) => {}
                }
            }
        }
        Ok(())
    }

    /// Hands over a batch. True where it held anything to tell.
    fn hand_over(
        &mut self,
        batch: &Batch,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, LogError> {
        let mut told = false;
        for message in batch.messages() {
            match message.error() {
                None => {}
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    let Some(index) = self.slot_of(&message) else { continue };
                    let slot = &mut self.slots[index];
                    slot.position = slot.position.max(message.offset());
                    slot.end_confirmed = Some(Instant::now());
                    let (partition, position) = (&slot.partition, slot.position);
                    handle(Event::CaughtUp { partition, position });
                    told = true;
                    continue;
                }
                Some(code) => {
                    let text = String::from_utf8_lossy(message.value()).into_owned();
                    self.judge(code, &message.topic(), &text)?;
                    continue;
                }
            }
            let Some(index) = self.slot_of(&message) else { continue };
            let slot = &mut self.slots[index];
            if message.offset() < slot.position {
                continue;
            }
            slot.position = message.offset() + 1;
            slot.end_confirmed = None;
            handle(Event::Record(record(&message, &slot.partition)));
            told = true;
        }
        Ok(told)
    }

    /// The slot of a message's partition; none where it has been revoked.
    fn slot_of(&mut self, message: &Message<'_>) -> Option<usize> {
        let (handle, number) = (message.topic_handle(), message.partition());
        let is_it = |slot: &Slot| slot.handle == Some(handle) && slot.partition.partition == number;
        if self.slots.get(self.last).is_some_and(is_it) {
            return Some(self.last);
        }
        let index = self.slots.iter().position(is_it).or_else(|| {
            let topic = message.topic();
            self.slots.iter().position(|slot| {
                slot.partition.partition == number && *slot.partition.topic == *topic
            })
        })?;
        self.slots[index].handle = Some(handle);
        self.last = index;
        Some(index)
    }

    /// Tells the ends again where nothing more came, after making sure of
    /// them where the last word is too old.
    fn tell_ends(&mut self, handle: &mut dyn FnMut(Event<'_>)) -> Result<(), LogError> {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let Some(confirmed) = slot.end_confirmed else { continue };
            if confirmed.elapsed() >= END_CONFIRMED_EVERY {
                let (_, end) = bounds(&self.consumer, &slot.partition, END_ANSWER_WAIT)?;
                let slot = &mut self.slots[index];
                slot.end_confirmed = (end <= slot.position).then(Instant::now);
            }
            let slot = &self.slots[index];
            if slot.end_confirmed.is_some() {
                let (partition, position) = (&slot.partition, slot.position);
                handle(Event::CaughtUp { partition, position });
            }
        }
        Ok(())
    }

    /// What an error of the consumer means for the session.
    fn judge(&self, code: RDKafkaErrorCode, topic: &str, text: &str) -> Result<(), LogError> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Err(if is_fenced(code) {
                LogError::Fenced(reason)
            } else {
                LogError::Fatal(format!("consuming: {reason}"))
            });
        }
        match code {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                Err(LogError::NoTopic(topic.to_owned()))
            }
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                Err(LogError::Fatal(format!(
                    "{topic}: the next record is not there any more: {text}; \
                     after a restart reading goes on at the first that is there"
                )))
            }
            code if is_passing(code) => {
                tracing::debug!(%code, topic, text, "consuming");
                Ok(())
            }
            code => Err(log_error(
                &format!("consuming {topic} {text}"),
                &KafkaError::MessageConsumption(code),
            )),
        }
    }
}

impl Slot {
    fn go_to(&mut self, position: i64) {
        self.position = position;
        self.moved = true;
        self.end_confirmed = None;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A group whose offer is not answered would keep the consumer from closing.
        if self.offered.take().is_some() {
            let _ = self.consumer.unassign();
        }
    }
}

/// A message as readers see it.
pub(crate) fn record<'a>(message: &Message<'a>, partition: &'a Partition) -> Record<'a> {
    Record {
        partition,
        offset: message.offset(),
        timestamp: message.timestamp(),
        key: message.key(),
        value: message.value(),
        content_type: message
            .header(c"content-type")
            .and_then(|value| std::str::from_utf8(value).ok()),
    }
}

/// The offsets `[first, end)` of a partition, up to the last stable one.
pub(crate) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &Partition,
    wait: Duration,
) -> Result<(i64, i64), LogError> {
    let Partition { topic, partition } = partition;
    consumer.fetch_watermarks(topic, *partition, wait).map_err(|error| {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
                LogError::NoTopic(topic.to_string())
            }
            Some(RDKafkaErrorCode::UnknownPartition) => {
                match partition_count(consumer.client(), topic) {
                    Ok(0) => LogError::NoTopic(topic.to_string()),
                    Ok(_) => LogError::Fatal(format!("topic {topic} has no partition {partition}")),
                    Err(error) => error,
                }
            }
            _ => passing(log_error(&format!("asking for the bounds of {topic}"), &error)),
        }
    })
}

/// A question that got no answer can be asked again, whatever kept the answer.
pub(crate) fn passing(error: LogError) -> LogError {
    match error {
        LogError::Fatal(why) => LogError::Unavailable(why),
        other => other,
    }
}

fn trace_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::info!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, message, "librdkafka");
        }
    }
}
