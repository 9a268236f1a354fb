//! What came from the brokers, as it is handed over: records, ends, errors.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use watchkeep_model::position::Partition;
use watchkeep_runtime::log::{BATCH_BYTES_MAX, Event, LogError, Record};

use super::{Member, Slot};
use crate::errors::{is_fenced, is_passing, log_error};
use crate::native::{Batch, Message};
use crate::reader::KafkaReader;

/// Age at which "nothing more is there" is asked for again. A broker that is
/// away must not let a partition look caught up.
const END_ASKED_EVERY: Duration = Duration::from_secs(1);

/// The same where nothing more came of a partition whose end is not known to
/// be reached.
const END_ASKED_SOON: Duration = Duration::from_millis(50);

/// Time that such a question may take, by which a poll may outlast its wait.
const END_ANSWER_WAIT: Duration = Duration::from_secs(1);

impl Member {
    /// Hands over a batch, or as many bytes of it as one poll may; the rest is
    /// kept. True where it held anything to tell.
    pub(super) fn hand_over(
        &mut self,
        mut batch: Batch,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, LogError> {
        let (mut told, mut bytes) = (false, 0);
        while bytes < BATCH_BYTES_MAX
            && let Some(message) = batch.take()
        {
            match message.error() {
                None => {}
                Some(code) => {
                    let text = String::from_utf8_lossy(message.value());
                    let text = format!("partition {}: {text}", message.partition());
                    self.judge(code, &message.topic(), &text)?;
                    continue;
                }
            }
            let Some(index) = self.slot_of(&message) else { continue };
            let slot = &mut self.slots[index];
            if slot.is_paused || message.offset() < slot.position {
                continue;
            }
            slot.position = message.offset() + 1;
            slot.is_at_end = false;
            bytes += message.value().len() + message.key().map_or(0, <[u8]>::len);
            handle(Event::Record(record(&message, &slot.partition)));
            told = true;
        }
        self.rest = (!batch.is_empty()).then_some(batch);
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

    /// Tells of the partitions that have been read to their ends. The ends are
    /// asked for now and then, also while other partitions are busy, and soon
    /// where a poll has found nothing more. The reader asks, whose connections
    /// are idle: on those of the member every question would wait behind a
    /// fetch that waits for records itself.
    pub(super) fn tell_ends(
        &mut self,
        reader: &mut KafkaReader,
        is_idle: bool,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let age = self.ends_asked.map_or(Duration::MAX, |asked| asked.elapsed());
        let is_unsure = self.slots.iter().any(|slot| !slot.is_at_end);
        let is_due = age >= END_ASKED_EVERY || is_idle && is_unsure && age >= END_ASKED_SOON;
        if is_due {
            self.ask_ends(reader)?;
        }
        if is_due || is_idle {
            for slot in self.slots.iter().filter(|slot| slot.is_at_end) {
                let (partition, position) = (&slot.partition, slot.position);
                handle(Event::CaughtUp { partition, position });
            }
        }
        Ok(())
    }

    fn ask_ends(&mut self, reader: &mut KafkaReader) -> Result<(), LogError> {
        self.slots.iter_mut().for_each(|slot| slot.is_at_end = false);
        self.ends_asked = Some(Instant::now());
        let partitions: Vec<Partition> =
            self.slots.iter().map(|slot| slot.partition.clone()).collect();
        let ends = reader.ends(&partitions, END_ANSWER_WAIT)?;
        // Behind the last record may lie the mark of a transaction's end, which
        // is passed over without a word.
        let passed = self.consumer.position().map_err(|error| log_error("asking where", &error))?;
        for slot in &mut self.slots {
            let Partition { topic, partition } = &slot.partition;
            let passed = passed.find_partition(topic, *partition).map(|one| one.offset());
            let is_here = !slot.moved && !slot.is_paused && self.rest.is_none();
            if let (Some(Offset::Offset(passed)), true) = (passed, is_here) {
                slot.position = slot.position.max(passed);
            }
            let end = ends.iter().find(|(asked, _)| *asked == slot.partition);
            slot.is_at_end = !slot.is_paused && end.is_some_and(|(_, end)| *end <= slot.position);
        }
        Ok(())
    }

    /// What an error of the consumer means for the session.
    pub(super) fn judge(
        &self,
        code: RDKafkaErrorCode,
        topic: &str,
        text: &str,
    ) -> Result<(), LogError> {
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
            // librdkafka 2.12 tells of a truncation where leaders changed in quick
            // succession and nothing was cut. A new session asks for the ends and
            // stops where a committed position lies beyond one.
            RDKafkaErrorCode::AutoOffsetReset if text.contains("truncation detected") => {
                Err(LogError::Aborted(format!("{topic} {text}")))
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
