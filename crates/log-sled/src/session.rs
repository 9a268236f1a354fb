//! A session of one stage instance with the embedded log.

use std::collections::BTreeMap;
use std::time::Instant;

use watchkeep_model::position::Partition;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::{Event, Log, LogError, Record, Transaction};
use watchkeep_runtime::membership::Ticket;

use crate::store::{Chunk, Room, SledStore, now};

/// Chunks of one partition in one batch, which bounds the memory that a poll
/// holds; the rest waits for the next poll.
const BATCH_CHUNKS_MAX: usize = 64;

/// A session. Dropping it leaves the group; what it has not committed never was.
pub struct SledLog {
    store: SledStore,
    ticket: Ticket,
    /// The generation that was told; none before the first poll.
    generation: Option<u64>,
    assigned: BTreeMap<Partition, Progress>,
    /// Which partition the next batch begins with, so that none starves.
    turn: usize,
}

#[derive(Clone, Copy)]
struct Progress {
    /// The next offset to deliver.
    position: i64,
    /// The end that was told last.
    told_end: Option<i64>,
    /// Nothing is delivered until it is resumed.
    is_paused: bool,
}

impl Progress {
    fn at(position: i64) -> Self {
        Self { position, told_end: None, is_paused: false }
    }
}

/// What a poll found to do.
enum Found {
    Rebalance(u64),
    Records,
    Nothing,
}

impl SledLog {
    pub(crate) fn new(store: SledStore, ticket: Ticket) -> Self {
        Self { store, ticket, generation: None, assigned: BTreeMap::new(), turn: 0 }
    }

    /// Waits for something to do, asleep until the store tells of a change.
    fn wait(&self, max_wait: TimeSpan) -> Result<Found, LogError> {
        let deadline = Instant::now() + max_wait.to_std();
        let mut state = self.store.0.state()?;
        loop {
            let generation = state.membership.generation(&self.ticket)?;
            if self.generation != Some(generation) {
                return Ok(Found::Rebalance(generation));
            }
            let mut news = false;
            for (partition, progress) in &self.assigned {
                if progress.is_paused {
                    continue;
                }
                let end = state.end(partition)?;
                if progress.position < end {
                    return Ok(Found::Records);
                }
                news |= progress.told_end != Some(progress.position);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if news || left.is_zero() {
                return Ok(Found::Nothing);
            }
            let woken = self.store.0.changed.wait_timeout(state, left);
            drop(woken);
            // Locked anew, because the store may have failed meanwhile.
            state = self.store.0.state()?;
        }
    }

    /// Tells of a new generation: everything is revoked, then what is
    /// assigned now, from its committed positions.
    fn rebalance(
        &mut self,
        generation: u64,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        let revoked = std::mem::take(&mut self.assigned);
        {
            // A commit of who had the partitions before is over once the writer is free.
            let _writer = self.store.0.writer();
            let state = self.store.0.state()?;
            let partitions =
                state.membership.assignment(&self.ticket, |topic| state.partition_count(topic));
            for partition in partitions {
                let position = state.committed(self.ticket.group(), &partition);
                self.assigned.insert(partition, Progress::at(position));
            }
        }
        self.generation = Some(generation);
        for partition in revoked.keys() {
            handle(Event::Revoked { partition });
        }
        for (partition, progress) in &self.assigned {
            handle(Event::Assigned { partition, position: progress.position });
        }
        Ok(())
    }

    fn progress(&mut self, partition: &Partition) -> Result<&mut Progress, LogError> {
        self.assigned.get_mut(partition).ok_or_else(|| {
            let Partition { topic, partition } = partition;
            LogError::Fatal(format!("{topic} {partition} is not assigned: it cannot be sought in"))
        })
    }

    fn rewind(&mut self) -> Result<(), LogError> {
        let state = self.store.0.state()?;
        for (partition, progress) in &mut self.assigned {
            *progress = Progress::at(state.committed(self.ticket.group(), partition));
        }
        Ok(())
    }

    /// Delivers one batch, beginning with another partition each time.
    fn deliver(&mut self, handle: &mut dyn FnMut(Event<'_>)) -> Result<(), LogError> {
        let shared = self.store.0.clone();
        let mut room = Room::OF_A_POLL;
        let count = self.assigned.len();
        let first = self.turn % count.max(1);
        self.turn = self.turn.wrapping_add(1);
        let order: Vec<Partition> =
            self.assigned.keys().cycle().skip(first).take(count).cloned().collect();
        for partition in &order {
            let Some(progress) = self.assigned.get_mut(partition) else { continue };
            if progress.is_paused {
                continue;
            }
            let end = shared.state()?.end(partition)?;
            let from = progress.position;
            if from < end && !room.is_full() {
                let chunks: Vec<Chunk> =
                    shared.chunks(partition, from, end, BATCH_CHUNKS_MAX, room)?;
                progress.position = shared.each(&chunks, from, end, &mut room, &mut |entry| {
                    handle(Event::Record(entry.record(partition)));
                })?;
            }
        }
        Ok(())
    }

    /// Tells the ends of the partitions that are read up to them.
    fn tell_ends(&mut self, handle: &mut dyn FnMut(Event<'_>)) -> Result<(), LogError> {
        for (partition, progress) in self.assigned.iter_mut().filter(|(_, one)| !one.is_paused) {
            let end = self.store.0.state()?.end(partition)?;
            if progress.position >= end {
                progress.told_end = Some(progress.position);
                handle(Event::CaughtUp { partition, position: progress.position });
            }
        }
        Ok(())
    }
}

impl Log for SledLog {
    fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError> {
        match self.wait(max_wait)? {
            Found::Rebalance(generation) => self.rebalance(generation, handle),
            Found::Records => {
                self.deliver(handle)?;
                self.tell_ends(handle)
            }
            Found::Nothing => self.tell_ends(handle),
        }
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let Transaction { positions, records } = transaction;
        if positions.is_empty() && records.is_empty() {
            return Ok(());
        }
        let store = self.store.clone();
        let mut writer = store.0.writer();
        let generation = store.0.state()?.membership.generation(&self.ticket)?;
        let reads = !self.assigned.is_empty() || !positions.is_empty();
        let foreign = positions.iter().find(|(p, _)| !self.assigned.contains_key(p));
        let aborted = if reads && self.generation != Some(generation) {
            Some("the partitions have been assigned anew".to_owned())
        } else {
            foreign.map(|(p, _)| format!("{} {} is not assigned", p.topic, p.partition))
        };
        if let Some(reason) = aborted {
            self.rewind()?;
            return Err(LogError::Aborted(reason));
        }
        let now = now();
        let stamped = records.iter().map(|record| (record, now));
        store.0.commit(&mut writer, self.ticket.group(), &positions, stamped)
    }

    fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        *self.progress(partition)? = Progress::at(offset.max(0));
        Ok(())
    }

    fn pause(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError> {
        *self.progress(partition)? = Progress { is_paused: true, ..Progress::at(offset.max(0)) };
        Ok(())
    }

    fn resume(&mut self, partition: &Partition) -> Result<(), LogError> {
        self.progress(partition)?.is_paused = false;
        Ok(())
    }

    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError> {
        Ok(self.store.0.state()?.partition_count(topic))
    }

    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.store.bounds(partition)
    }

    fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError> {
        self.store.read(partition, from, to, &mut |entry| handle(entry.record(partition)))
    }
}

impl Drop for SledLog {
    fn drop(&mut self) {
        let _writer = self.store.0.writer();
        if let Ok(mut state) = self.store.0.state() {
            state.membership.leave(&self.ticket);
        }
        self.store.0.changed.notify_all();
    }
}
