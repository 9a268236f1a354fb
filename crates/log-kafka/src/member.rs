//! The consuming half of a session: the assignment, its positions and the
//! records that come.
//!
//! Where rebalances are eager, a change takes everything away and then gives
//! out what is ours now. Where they are cooperative, partitions come and go
//! one by one; those that stay are delivered again from their committed
//! positions whenever one goes, because the stage drops its uncommitted work.

mod delivery;

pub(crate) use self::delivery::record;

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{BATCH_RECORDS_MAX, Event, LogError};

use crate::context::{Change, MemberContext};
use crate::errors::{log_error, passing};
use crate::native::{Batch, Queue, TopicHandle, is_known_member};
use crate::reader::KafkaReader;
use crate::settings::{ANSWER_WAIT, KafkaSettings};

/// Time between two looks for a rebalance while waiting for records.
const REBALANCE_EVERY: TimeSpan = TimeSpan::from_micros(20_000);

/// Time until a seek is tried again in a partition that is only starting.
const SEEK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// Time after which a group that answers everything but its positions is asked
/// by another session: the begin of one ends what its own name left pending.
const PENDING_MAX: Duration = Duration::from_secs(60);

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
    /// Messages of a fetch that were too many bytes for one poll.
    rest: Option<Batch>,
    /// When the ends of the partitions were last asked for.
    ends_asked: Option<Instant>,
    /// Assigned by the group and not taken yet.
    offered: Option<Offer>,
    /// Since when the group has not told positions although brokers answer.
    pending_since: Option<Instant>,
    /// The group has shared everything out, and nothing to this member.
    is_spare: bool,
    group: String,
}

/// Partitions that the group has assigned.
struct Offer {
    partitions: Vec<Partition>,
    /// True where they come on top of what is held.
    are_further: bool,
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
    /// The position that the group has; none before its first commit.
    told: Option<i64>,
    /// Whether the position was the end when the ends were last asked for.
    is_at_end: bool,
    /// Nothing is to be delivered until it is resumed.
    is_paused: bool,
    /// What librdkafka was told of that; none where that is not known.
    told_paused: Option<bool>,
}

impl Member {
    pub(crate) fn join(settings: &KafkaSettings) -> Result<Self, LogError> {
        let consumer: BaseConsumer<MemberContext> = settings
            .member()?
            .create_with_context(MemberContext::new(settings.is_cooperative()))
            .map_err(|error| log_error("making a consumer", &error))?;
        let queue = Queue::new(&consumer);
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|error| log_error("subscribing", &error))?;
        Ok(Self {
            queue,
            consumer,
            slots: vec![],
            last: 0,
            rest: None,
            ends_asked: None,
            offered: None,
            pending_since: None,
            is_spare: false,
            group: settings.group.clone(),
        })
    }

    pub(crate) fn is_spare(&self) -> bool {
        self.is_spare
    }

    pub(crate) fn holds(&self, partition: &Partition) -> bool {
        self.slots.iter().any(|slot| slot.partition == *partition)
    }

    /// The group metadata as of now, for the transaction that is about to
    /// commit; none where the group has ended this membership. That has to be
    /// looked at here: a member without a name passes for a program that
    /// commits outside of the group, which a broker does not refuse.
    pub(crate) fn group(&self) -> Option<ConsumerGroupMetadata> {
        let group = self.last_group();
        // A membership that has ended begins anew only when this session
        // serves its group, so what holds now has held a line before.
        group.filter(|_| !self.consumer.assignment_lost() && is_known_member(&self.consumer))
    }

    /// The group metadata, whether this is a member or has been one. Nothing
    /// may be committed with it.
    pub(crate) fn last_group(&self) -> Option<ConsumerGroupMetadata> {
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
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.partition == *partition)
                // Another member may have gone on from there.
                && slot.told < Some(*position)
            {
                slot.committed = *position;
                slot.told = Some(*position);
            }
        }
    }

    /// Goes back to the committed positions.
    pub(crate) fn rewind(&mut self) {
        self.rest = None;
        for slot in &mut self.slots {
            slot.go_to(slot.committed);
        }
    }

    /// Reads the committed positions anew from the group, and tells whether
    /// they are those of the transaction with this marker.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] where the group does not tell, and where it
    /// stands before what it had committed: a lone broker that dies right after
    /// it has agreed to a commit may lose it. What this session knows then does
    /// not hold, and another one has to begin.
    pub(crate) fn recall(&mut self, marker: &str) -> Result<bool, LogError> {
        let partitions: Vec<Partition> =
            self.slots.iter().map(|slot| slot.partition.clone()).collect();
        let mut holds = false;
        for (partition, committed, metadata) in self.ask_committed(&partitions)? {
            holds |= metadata == marker;
            let slot = self.slots.iter_mut().find(|slot| slot.partition == partition);
            let Some(slot) = slot else { continue };
            // A group that has committed nothing stands before every position.
            if committed < slot.told {
                let Partition { topic, partition } = &slot.partition;
                let told = slot.told.unwrap_or(slot.committed);
                return Err(LogError::Unavailable(format!(
                    "the group {} stands before offset {told} of {topic} {partition}, which was \
                     committed: the brokers have lost a commit",
                    self.group
                )));
            }
            slot.told = committed;
            slot.committed = committed.unwrap_or(slot.committed);
        }
        Ok(holds)
    }

    pub(crate) fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        self.slot(partition)?.go_to(offset.max(0));
        self.drop_rest();
        Ok(())
    }

    pub(crate) fn pause(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        let slot = self.slot(partition)?;
        slot.go_to(offset.max(0));
        slot.is_paused = true;
        self.drop_rest();
        Ok(())
    }

    pub(crate) fn resume(&mut self, partition: &Partition) -> Result<(), LogError> {
        let slot = self.slot(partition)?;
        if slot.is_paused {
            slot.go_to(slot.position);
        }
        Ok(())
    }

    fn slot(&mut self, partition: &Partition) -> Result<&mut Slot, LogError> {
        self.slots.iter_mut().find(|slot| slot.partition == *partition).ok_or_else(|| {
            let Partition { topic, partition } = partition;
            LogError::Fatal(format!("{topic} {partition} is not assigned: it cannot be sought in"))
        })
    }

    /// Lets go of messages that were fetched and not handed over; they are
    /// fetched again.
    fn drop_rest(&mut self) {
        if self.rest.take().is_some() {
            self.slots.iter_mut().for_each(|slot| slot.moved = true);
        }
    }

    /// Tells that everything is gone: this member is not of the group any more.
    pub(crate) fn revoke_all(&mut self, handle: &mut dyn FnMut(Event<'_>)) {
        self.revoke(None, handle);
    }

    /// Tells that these are gone, or all, and goes back to the committed
    /// positions of those that stay. True where anything was.
    fn revoke(
        &mut self,
        partitions: Option<&[Partition]>,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> bool {
        let goes = |slot: &Slot| partitions.is_none_or(|gone| gone.contains(&slot.partition));
        let (gone, kept): (Vec<Slot>, Vec<Slot>) =
            std::mem::take(&mut self.slots).into_iter().partition(goes);
        self.slots = kept;
        if gone.is_empty() {
            return false;
        }
        for slot in &gone {
            handle(Event::Revoked { partition: &slot.partition });
        }
        self.rewind();
        true
    }

    pub(crate) fn poll(
        &mut self,
        reader: &mut KafkaReader,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let deadline = Instant::now() + max_wait.to_std();
        loop {
            if self.serve_group(reader, handle)? {
                return Ok(());
            }
            self.catch_up_moves()?;
            let left = deadline.saturating_duration_since(Instant::now());
            let left_us = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
            let wait = TimeSpan::from_micros(left_us).min(REBALANCE_EVERY);
            let rest = self.rest.take();
            let batch = rest.unwrap_or_else(|| self.queue.fetch(FETCH_MESSAGES_MAX, wait));
            if !batch.is_empty() && self.hand_over(batch, handle)? {
                return match self.tell_ends(reader, false, handle) {
                    // What was handed over must not look like a poll that failed.
                    Err(LogError::Unavailable(_)) => Ok(()),
                    outcome => outcome,
                };
            }
            if left.is_zero() {
                return self.tell_ends(reader, true, handle);
            }
        }
    }

    /// Waits whether the group tells that a newer instance is in our place.
    pub(crate) fn await_verdict(&mut self, wait: Duration) -> Result<(), LogError> {
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline {
            self.serve_events()?;
            thread::sleep(REBALANCE_EVERY.to_std());
        }
        Ok(())
    }

    /// Lets librdkafka tell what it has: errors, and changes of the group,
    /// which are kept.
    fn serve_events(&mut self) -> Result<(), LogError> {
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
        Ok(())
    }

    /// Serves what the group has to say. True where the session was told something.
    fn serve_group(
        &mut self,
        reader: &mut KafkaReader,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, LogError> {
        self.serve_events()?;
        let mut told = false;
        while let Some(change) = self.consumer.context().next_change() {
            match change {
                Change::Assigned { partitions, are_further } => {
                    self.offered = Some(Offer { partitions, are_further });
                }
                Change::Revoked(partitions) => {
                    if let Some(offer) = &mut self.offered {
                        offer.partitions.retain(|offered| !partitions.contains(offered));
                    }
                    told |= self.revoke(Some(&partitions), handle);
                }
                Change::RevokedAll => {
                    self.offered = None;
                    self.is_spare = false;
                    told |= self.revoke(None, handle);
                }
            }
        }
        // A poll that has told of something must not fail after it.
        if told { Ok(true) } else { self.take_offer(reader, handle) }
    }

    /// Takes what the group has assigned. Where this fails the offer stands,
    /// and the next poll tries again.
    fn take_offer(
        &mut self,
        reader: &mut KafkaReader,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, LogError> {
        let Some(Offer { partitions, are_further }) = &self.offered else { return Ok(false) };
        let are_further = *are_further;
        let slots = match self.positions(reader, partitions) {
            Err(LogError::Unavailable(why)) => return Err(self.pending(reader, why)),
            slots => slots?,
        };
        (self.offered, self.pending_since) = (None, None);
        self.assign(&slots, are_further)?;
        for slot in &slots {
            handle(Event::Assigned { partition: &slot.partition, position: slot.position });
        }
        let told = !slots.is_empty();
        if !are_further {
            self.slots.clear();
        }
        self.slots.extend(slots);
        self.slots.sort_by(|a, b| a.partition.cmp(&b.partition));
        self.is_spare = self.slots.is_empty();
        Ok(told)
    }

    /// What it means that the group does not tell its positions: brokers that
    /// are away are waited for, a transaction that is neither committed nor
    /// aborted only for [`PENDING_MAX`].
    fn pending(&mut self, reader: &mut KafkaReader, why: String) -> LogError {
        let first = self.offered.as_ref().and_then(|offer| offer.partitions.first());
        if first.is_none_or(|partition| reader.bounds(partition).is_err()) {
            self.pending_since = None;
            return LogError::Unavailable(why);
        }
        let since = *self.pending_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PENDING_MAX {
            return LogError::Unavailable(why);
        }
        LogError::Aborted(format!(
            "brokers answer, but for {} s not where the group {} stands: a transaction that \
             names positions of it is neither committed nor aborted. Whichever instance had \
             begun it ends it when it comes back under its name (--instance). If it never will, \
             end it with kafka-transactions.sh (find-hanging, then abort). Kafka says: {why}",
            since.elapsed().as_secs(),
            self.group
        ))
    }

    /// Where newly assigned partitions begin: at their committed positions,
    /// else at the first offset that the partition holds.
    fn positions(
        &self,
        reader: &mut KafkaReader,
        partitions: &[Partition],
    ) -> Result<Vec<Slot>, LogError> {
        let mut slots = Vec::with_capacity(partitions.len());
        for (partition, committed, _) in self.ask_committed(partitions)? {
            // The group may hand out an added partition before the reader's
            // broker knows of it.
            let (first, end) = reader.bounds(&partition).map_err(passing)?;
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
                told: committed,
                is_at_end: false,
                is_paused: false,
                told_paused: None,
            });
        }
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

    /// Begins to fetch newly assigned slots from their positions. The queues
    /// are forwarded first, so that no message takes another way.
    fn assign(&self, slots: &[Slot], are_further: bool) -> Result<(), LogError> {
        let mut wanted = TopicPartitionList::new();
        for slot in slots {
            self.queue.forward(&slot.partition);
            let Partition { topic, partition } = &slot.partition;
            wanted
                .add_partition_offset(topic, *partition, Offset::Offset(slot.position))
                .map_err(|error| log_error("naming positions", &error))?;
        }
        let assigned = if are_further {
            self.consumer.incremental_assign(&wanted)
        } else {
            self.consumer.assign(&wanted)
        };
        assigned.map_err(|error| log_error("assigning", &error))
    }

    /// Stops and begins fetching where that has changed. What stays paused from
    /// an earlier assignment goes on, too.
    fn tell_paused(&mut self) -> Result<(), LogError> {
        for is_paused in [true, false] {
            let changed = |slot: &&mut Slot| {
                slot.is_paused == is_paused && slot.told_paused != Some(is_paused)
            };
            let mut these = TopicPartitionList::new();
            for slot in self.slots.iter_mut().filter(changed) {
                slot.told_paused = Some(is_paused);
                these.add_partition(&slot.partition.topic, slot.partition.partition);
            }
            if these.count() == 0 {
                continue;
            }
            let told =
                if is_paused { self.consumer.pause(&these) } else { self.consumer.resume(&these) };
            told.map_err(|error| {
                self.slots.iter_mut().for_each(|slot| slot.told_paused = None);
                passing(log_error("pausing partitions", &error))
            })?;
        }
        Ok(())
    }

    /// Seeks in the partitions whose positions have moved. What librdkafka has
    /// fetched from where they stood before is dropped by it.
    fn catch_up_moves(&mut self) -> Result<(), LogError> {
        self.tell_paused()?;
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
}

impl Slot {
    fn go_to(&mut self, position: i64) {
        self.position = position;
        self.moved = true;
        self.is_at_end = false;
        self.is_paused = false;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A group whose offer is not answered would keep the consumer from closing.
        match self.offered.take() {
            Some(Offer { are_further: true, .. }) => {
                let _ = self.consumer.incremental_assign(&TopicPartitionList::new());
            }
            Some(Offer { are_further: false, .. }) => {
                let _ = self.consumer.unassign();
            }
            None => {}
        }
    }
}
