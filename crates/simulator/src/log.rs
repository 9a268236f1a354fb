//! The log in memory: one store, any number of sessions, and faults on request.
//!
//! It reads no clock: `max_wait` is not waited for, and records get the time
//! that [`MemoryStore::set_now`] was told last. The same calls give the same
//! events, so a simulated run can be repeated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{
    BATCH_BYTES_MAX, CONTENT_TYPE, Event, Log, LogError, Outgoing, Record, Transaction,
    partition_of_key,
};
use watchkeep_runtime::membership::{Membership, Ticket};

/// Records that one poll hands over unless [`MemoryStore::set_batch_records_max`]
/// says otherwise. At the limit the rest waits for the next poll.
pub const BATCH_RECORDS_MAX: usize = 1000;

/// The store that sessions share. Clones are the same store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

/// A record as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its offset.
    pub offset: i64,
    /// When the store took it.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its bytes; empty for a tombstone.
    pub value: Vec<u8>,
    /// Headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A session of one stage instance. Dropping it is its crash: what it has not
/// committed never was.
pub struct MemoryLog {
    store: MemoryStore,
    ticket: Ticket,
    /// The generation that was told; none before the first poll.
    generation: Option<u64>,
    /// The next offset to deliver, per assigned partition.
    positions: BTreeMap<Partition, i64>,
    /// Of those, the ones that wait to be resumed.
    paused: BTreeSet<Partition>,
    /// Which partition the next batch begins with, so that none starves.
    turn: usize,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Arc<str>, Vec<Slot>>,
    /// The committed positions, per group.
    committed: BTreeMap<Arc<str>, BTreeMap<Partition, i64>>,
    membership: Membership,
    now: Timestamp,
    /// Whether a commit takes one more offset in each partition, as Kafka's markers do.
    markers: bool,
    batch_records_max: Option<usize>,
    aborts: VecDeque<String>,
    outages: VecDeque<String>,
    /// Partitions of which nothing is delivered for the time being.
    held: BTreeSet<Partition>,
    /// Why the log answers nobody, while it does not.
    away: Option<String>,
}

/// What one poll hands over.
#[derive(Default)]
struct Batch {
    records: Vec<(Partition, Arc<Stored>)>,
    /// The partitions that are read to their ends, and where those are.
    ends: Vec<(Partition, i64)>,
}

#[derive(Default)]
struct Slot {
    records: Vec<Arc<Stored>>,
    end: i64,
}

impl MemoryStore {
    /// An empty store whose offsets have no gaps.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store in which every commit takes one more offset of each
    /// partition that it appends to, as a transaction marker does in Kafka.
    pub fn with_markers() -> Self {
        let store = Self::default();
        store.state().markers = true;
        store
    }

    /// Creates a topic; one that exists is left as it is.
    pub fn create_topic(&self, name: &str, partition_count: i32) {
        let count = usize::try_from(partition_count).unwrap_or(0);
        self.state()
            .topics
            .entry(name.into())
            .or_insert_with(|| (0..count).map(|_| Slot::default()).collect());
    }

    /// The time that records of commits get from now on.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Records that one poll hands over at most. Results must not depend on it.
    pub fn set_batch_records_max(&self, records: usize) {
        self.state().batch_records_max = Some(records.max(1));
    }

    /// Appends one record as a producer outside of any group does, and tells
    /// where it went.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], or a fatal one for a partition that does not exist.
    pub fn append(
        &self,
        record: &Outgoing,
        timestamp: Timestamp,
    ) -> Result<(Partition, i64), LogError> {
        let mut state = self.state();
        let partition = state.place(record)?;
        let offset = state.push(&partition, record, timestamp);
        Ok((partition, offset))
    }

    /// What a partition holds, for looking at from outside; empty where there is none.
    pub fn records(&self, partition: &Partition) -> Vec<Arc<Stored>> {
        self.state().slot(partition).map(|slot| slot.records.clone()).unwrap_or_default()
    }

    /// The same from an offset on.
    pub fn records_from(&self, partition: &Partition, offset: i64) -> Vec<Arc<Stored>> {
        self.state().slot(partition).map(|slot| slot.from(offset).to_vec()).unwrap_or_default()
    }

    /// The next offset of a partition; 0 where there is none.
    pub fn end(&self, partition: &Partition) -> i64 {
        self.state().slot(partition).map_or(0, |slot| slot.end)
    }

    /// How many partitions a topic has; 0 where it does not exist.
    pub fn partition_count(&self, topic: &str) -> i32 {
        self.state().partition_count(topic)
    }

    /// The committed positions of a group.
    pub fn committed(&self, group: &str) -> BTreeMap<Partition, i64> {
        self.state().committed.get(group).cloned().unwrap_or_default()
    }

    /// Opens a session. An earlier one with the same transactional id is fenced.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] where one of the topics does not exist.
    pub fn session(
        &self,
        group: &str,
        topics: &[&str],
        transactional_id: &str,
    ) -> Result<MemoryLog, LogError> {
        let mut state = self.state();
        for topic in topics {
            if !state.topics.contains_key(*topic) {
                return Err(LogError::NoTopic((*topic).to_owned()));
            }
        }
        let ticket = state.membership.join(group, transactional_id, topics);
        Ok(MemoryLog {
            store: self.clone(),
            ticket,
            generation: None,
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            turn: 0,
        })
    }

    /// Fault: the next commit of any session is aborted. Several calls abort
    /// as many commits.
    pub fn abort_next_commit(&self, reason: &str) {
        self.state().aborts.push_back(reason.to_owned());
    }

    /// Fault: the next poll of any session finds the log away.
    pub fn fail_next_poll(&self, reason: &str) {
        self.state().outages.push_back(reason.to_owned());
    }

    /// Takes back the aborts and failures that were asked for and have not happened yet.
    pub fn forget_faults(&self) {
        let mut state = self.state();
        state.aborts.clear();
        state.outages.clear();
    }

    /// Fault: whoever holds this transactional id cannot commit any more, as
    /// if a newer instance had come and gone.
    pub fn fence(&self, transactional_id: &str) {
        self.state().membership.fence(transactional_id);
    }

    /// Fault: all partitions of a group are revoked and assigned anew; with
    /// several members they change hands.
    pub fn reassign(&self, group: &str) {
        self.state().membership.reassign(group);
    }

    /// Adds partitions to a topic. Every group starts a new generation, as
    /// consumers do when their view of the topic is renewed.
    pub fn add_partitions(&self, topic: &str, more: i32) {
        let mut state = self.state();
        let Some(slots) = state.topics.get_mut(topic) else { return };
        slots.extend((0..more).map(|_| Slot::default()));
        state.membership.renew();
    }

    /// Fault: nothing of the partition is delivered until
    /// [`MemoryStore::release`], as if its leader were slow. It is not said to
    /// be read to its end either.
    pub fn hold(&self, partition: &Partition) {
        self.state().held.insert(partition.clone());
    }

    /// Ends what [`MemoryStore::hold`] began.
    pub fn release(&self, partition: &Partition) {
        self.state().held.remove(partition);
    }

    /// Fault: from now on the log answers no call of any session, and commits
    /// nothing.
    pub fn go_away(&self, reason: &str) {
        self.state().away = Some(reason.to_owned());
    }

    /// Ends what [`MemoryStore::go_away`] began.
    pub fn come_back(&self) {
        self.state().away = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answers(&self) -> Result<(), LogError> {
        self.away.clone().map_or(Ok(()), |reason| Err(LogError::Unavailable(reason)))
    }

    fn partition_count(&self, topic: &str) -> i32 {
        self.topics.get(topic).map_or(0, |slots| i32::try_from(slots.len()).unwrap_or(i32::MAX))
    }

    fn slot(&self, partition: &Partition) -> Option<&Slot> {
        let number = usize::try_from(partition.partition).ok()?;
        self.topics.get(&partition.topic)?.get(number)
    }

    fn existing(&self, partition: &Partition) -> Result<&Slot, LogError> {
        self.slot(partition).ok_or_else(|| match self.topics.get(&partition.topic) {
            None => LogError::NoTopic(partition.topic.to_string()),
            Some(_) => no_partition(&partition.topic, partition.partition),
        })
    }

    /// The partition that a record goes to. Records without key or partition
    /// go to the shortest one, the lowest number first.
    fn place(&self, record: &Outgoing) -> Result<Partition, LogError> {
        let slots = self
            .topics
            .get(&record.topic)
            .ok_or_else(|| LogError::NoTopic(record.topic.to_string()))?;
        let count = i32::try_from(slots.len()).unwrap_or(i32::MAX);
        let number = match (record.partition, &record.key) {
            (Some(number), _) => number,
            (None, Some(key)) => partition_of_key(key, count),
            (None, None) => {
                (0..).zip(slots).min_by_key(|(_, slot)| slot.end).map_or(0, |(number, _)| number)
            }
        };
        if number < 0 || number >= count {
            return Err(no_partition(&record.topic, number));
        }
        Ok(Partition::new(record.topic.clone(), number))
    }

    fn push(&mut self, partition: &Partition, record: &Outgoing, timestamp: Timestamp) -> i64 {
        let slots = self.topics.entry(partition.topic.clone()).or_default();
        let number = usize::try_from(partition.partition).unwrap_or(usize::MAX);
        let Some(slot) = slots.get_mut(number) else { return 0 };
        let offset = slot.end;
        slot.end += 1;
        slot.records.push(Arc::new(Stored {
            offset,
            timestamp,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
        }));
        offset
    }

    fn committed_position(&self, group: &str, partition: &Partition) -> i64 {
        self.committed.get(group).and_then(|all| all.get(partition)).copied().unwrap_or(0)
    }
}

impl Slot {
    /// The records from an offset on.
    fn from(&self, offset: i64) -> &[Arc<Stored>] {
        &self.records[self.records.partition_point(|record| record.offset < offset)..]
    }
}

impl MemoryLog {
    /// Tells of a new generation: everything is revoked, then what is
    /// assigned now, from its committed positions.
    fn rebalance(&mut self, generation: u64, handle: &mut dyn FnMut(Event<'_>)) {
        let revoked = std::mem::take(&mut self.positions);
        self.paused.clear();
        {
            let state = self.store.state();
            let count = |topic: &str| state.partition_count(topic);
            let assigned = state.membership.assignment(&self.ticket, count);
            let group = self.ticket.group();
            self.positions = assigned
                .into_iter()
                .map(|partition| {
                    let position = state.committed_position(group, &partition);
                    (partition, position)
                })
                .collect();
        }
        self.generation = Some(generation);
        for partition in revoked.keys() {
            handle(Event::Revoked { partition });
        }
        for (partition, position) in &self.positions {
            handle(Event::Assigned { partition, position: *position });
        }
    }

    fn position(&mut self, partition: &Partition) -> Result<&mut i64, LogError> {
        self.positions.get_mut(partition).ok_or_else(|| {
            LogError::Fatal(format!(
                "{} {} is not assigned: it cannot be sought in",
                partition.topic, partition.partition
            ))
        })
    }

    fn rewind(&mut self) {
        self.paused.clear();
        let state = self.store.state();
        for (partition, position) in &mut self.positions {
            *position = state.committed_position(self.ticket.group(), partition);
        }
    }

    fn batch(&mut self) -> Batch {
        let state = self.store.state();
        let mut room = state.batch_records_max.unwrap_or(BATCH_RECORDS_MAX);
        let mut bytes = 0;
        let mut batch = Batch::default();
        let count = self.positions.len();
        let first = self.turn % count.max(1);
        self.turn = self.turn.wrapping_add(1);
        let order: Vec<Partition> =
            self.positions.keys().cycle().skip(first).take(count).cloned().collect();
        for partition in order {
            let Some(slot) = state.slot(&partition) else { continue };
            if state.held.contains(&partition) || self.paused.contains(&partition) {
                continue;
            }
            let Some(position) = self.positions.get_mut(&partition) else { continue };
            let waiting = slot.from(*position);
            let mut taken = 0;
            for record in waiting {
                if room == 0 || bytes >= BATCH_BYTES_MAX {
                    break;
                }
                *position = record.offset + 1;
                bytes += record.key.as_ref().map_or(0, Vec::len) + record.value.len();
                batch.records.push((partition.clone(), record.clone()));
                room -= 1;
                taken += 1;
            }
            if taken == waiting.len() {
                *position = slot.end.max(*position);
                batch.ends.push((partition, *position));
            }
        }
        batch
    }
}

impl Log for MemoryLog {
    fn poll(
        &mut self,
        _max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let generation = {
            let mut state = self.store.state();
            state.answers()?;
            if let Some(reason) = state.outages.pop_front() {
                return Err(LogError::Unavailable(reason));
            }
            state.membership.generation(&self.ticket)?
        };
        if self.generation != Some(generation) {
            self.rebalance(generation, handle);
            return Ok(());
        }
        let Batch { records, ends } = self.batch();
        for (partition, record) in &records {
            handle(Event::Record(record.borrow(partition)));
        }
        for (partition, position) in &ends {
            handle(Event::CaughtUp { partition, position: *position });
        }
        Ok(())
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        if transaction == Transaction::default() {
            return Ok(());
        }
        let store = self.store.clone();
        let mut state = store.state();
        state.answers()?;
        let generation = state.membership.generation(&self.ticket)?;
        let reads = !self.positions.is_empty() || !transaction.positions.is_empty();
        let foreign = transaction.positions.iter().find(|(p, _)| !self.positions.contains_key(p));
        let aborted = if reads && self.generation != Some(generation) {
            Some("the group has a new generation".to_owned())
        } else if let Some((partition, _)) = foreign {
            Some(format!("{} {} is not assigned", partition.topic, partition.partition))
        } else {
            state.aborts.pop_front()
        };
        if let Some(reason) = aborted {
            drop(state);
            self.rewind();
            return Err(LogError::Aborted(reason));
        }
        // All or nothing: nothing is written before every record has its place.
        let mut places = Vec::with_capacity(transaction.records.len());
        for record in &transaction.records {
            places.push(state.place(record)?);
        }
        let now = state.now;
        for (partition, record) in places.iter().zip(&transaction.records) {
            state.push(partition, record, now);
        }
        if state.markers {
            places.sort();
            places.dedup();
            for partition in &places {
                let slots = state.topics.entry(partition.topic.clone()).or_default();
                let number = usize::try_from(partition.partition).unwrap_or(usize::MAX);
                if let Some(slot) = slots.get_mut(number) {
                    slot.end += 1;
                }
            }
        }
        let group = self.ticket.group().clone();
        state.committed.entry(group).or_default().extend(transaction.positions);
        Ok(())
    }

    fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        *self.position(partition)? = offset;
        self.paused.remove(partition);
        Ok(())
    }

    fn pause(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        self.seek(partition, offset)?;
        self.paused.insert(partition.clone());
        Ok(())
    }

    fn resume(&mut self, partition: &Partition) -> Result<(), LogError> {
        self.paused.remove(partition);
        self.position(partition).map(drop)
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        let state = self.store.state();
        state.answers()?;
        Ok(state.partition_count(topic))
    }

    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        let state = self.store.state();
        state.answers()?;
        Ok((0, state.existing(partition)?.end))
    }

    fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        let records = {
            let state = self.store.state();
            state.answers()?;
            state.existing(partition)?.from(from).to_vec()
        };
        for record in records.iter().take_while(|record| record.offset < to) {
            handle(record.borrow(partition));
        }
        Ok(())
    }
}

impl Drop for MemoryLog {
    fn drop(&mut self) {
        self.store.state().membership.leave(&self.ticket);
    }
}

impl Stored {
    /// The record as readers see it.
    pub fn borrow<'a>(&'a self, partition: &'a Partition) -> Record<'a> {
        let content_type = self.headers.iter().find(|(name, _)| name == CONTENT_TYPE);
        Record {
            partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: &self.value,
            content_type: content_type.and_then(|(_, value)| std::str::from_utf8(value).ok()),
        }
    }
}

fn no_partition(topic: &str, number: i32) -> LogError {
    LogError::Fatal(format!("topic {topic} has no partition {number}"))
}

#[cfg(test)]
mod tests;
