//! The folder: what is in it, how it is written and read.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, LogError, Outgoing};

use crate::chunk::{self, ChunkWriter, Damaged, Entry};
use crate::flush::flush;
use crate::layout::{
    ADVICE_DAMAGED, State, StoredTopic, Topic, chunk_key, guarded, load, offset_of, position_key,
    record_key, records_of,
};
use crate::session::SledLog;
use crate::settle::{COMMIT, Commit, Position, Totals};
use crate::witness;

/// Memory that the store keeps read pages in. Past it pages are read anew.
pub const CACHE_BYTES: u64 = 64 << 20;

/// Bytes after which a commit begins another chunk of the same partition. A
/// larger record has a chunk of its own.
const CHUNK_BYTES_TARGET: usize = 64 << 10;

/// Longest name of a topic or group, as in Kafka. A longer one is refused.
const NAME_BYTES_MAX: usize = 249;

/// Partitions of one topic. More are refused as a mistake.
pub const PARTITIONS_MAX: i32 = 1024;

/// Time that sled may take to close its files where a start has failed.
const CLOSING_WAIT: Duration = Duration::from_secs(2);

/// What sled says where another process has the folder.
const HELD: &str = "could not acquire lock";

/// The embedded log of one folder. Clones are the same store; threads share it.
#[derive(Clone)]
pub struct SledStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    folder: PathBuf,
    /// Taken only at the end.
    files: Option<Files>,
    witness: File,
    /// The store's main file, for telling the disk to keep what was flushed.
    file: File,
    /// Held for a whole commit and for every change of membership, so that no
    /// commit lands after its partitions went to somebody else.
    writer: Mutex<Writer>,
    /// What readers see: durable things only. Never held while the disk works.
    state: Mutex<State>,
    /// Told of every commit and every change of membership.
    pub(crate) changed: Condvar,
}

/// sled's store, and the one tree of it in which everything lies.
struct Files {
    db: sled::Db,
    tree: sled::Tree,
}

pub(crate) struct Writer {
    sequence: u64,
    /// After that commit.
    totals: Totals,
}

/// A stretch of records as the store keeps them.
pub(crate) struct Chunk {
    first: i64,
    bytes: sled::IVec,
}

impl SledStore {
    /// Opens the log in a folder, and creates it where there is none.
    ///
    /// # Errors
    /// [`LogError::Fatal`] where another process holds the folder, where the
    /// disk refuses, or where the stored bytes are damaged; each names the folder.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        let fail =
            |why: String| LogError::Fatal(format!("embedded log {}: {why}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|error| fail(error.to_string()))?;
        let config = sled::Config::new()
            .path(folder.join("sled"))
            .cache_capacity(CACHE_BYTES)
            // Commits flush by themselves, and nothing else writes.
            .flush_every_ms(None);
        let opened = guarded(|| config.open()).or_else(|why| {
            let is_ours = !why.contains(HELD);
            if is_ours && drop_unfinished(&folder.join("sled")) {
                guarded(|| config.open())
            } else {
                Err(why)
            }
        });
        let db = opened.map_err(|why| {
            if why.contains(HELD) {
                fail(
                    "another process holds it: stop that one first, or choose another folder"
                        .into(),
                )
            } else {
                fail(why)
            }
        })?;
        match Shared::of(folder, &db) {
            Ok(shared) => Ok(Self(Arc::new(shared))),
            Err(why) => {
                let_go(db);
                Err(fail(why))
            }
        }
    }

    /// Creates a topic. True where it is new; one that exists with as many
    /// partitions is left as it is.
    ///
    /// # Errors
    /// [`LogError::Fatal`] where it exists with another number of partitions,
    /// where name or number are out of bounds, or where the disk refuses.
    pub fn create_topic(&self, name: &str, partition_count: i32) -> Result<bool, LogError> {
        let shared = &self.0;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let why = format!("a topic's name has 1 to {NAME_BYTES_MAX} bytes, not {}", name.len());
            return Err(shared.fatal(&why));
        }
        if !(1..=PARTITIONS_MAX).contains(&partition_count) {
            let why = format!(
                "topic {name} can have 1 to {PARTITIONS_MAX} partitions, not {partition_count}"
            );
            return Err(shared.fatal(&why));
        }
        let mut writer = shared.writer();
        let id = {
            let state = shared.state()?;
            if let Some(topic) = state.topics.get(name) {
                let there = topic.ends.len();
                if usize::try_from(partition_count) == Ok(there) {
                    return Ok(false);
                }
                return Err(shared.fatal(&format!(
                    "topic {name} has {there} partitions, not {partition_count}: \
                     the number of partitions of a topic cannot be changed"
                )));
            }
            u32::try_from(state.topics.len()).unwrap_or(u32::MAX)
        };
        let mut batch = sled::Batch::default();
        let stored = StoredTopic { id, partition_count, sequence: Some(writer.sequence + 1) };
        batch.insert([b"t", name.as_bytes()].concat(), stored.bytes());
        let totals = Totals { records: writer.totals.records + 1, ..writer.totals };
        shared.write(&mut writer, batch, 1, totals)?;
        let ends = vec![0; usize::try_from(partition_count).unwrap_or(0)];
        shared.state()?.topics.insert(name.into(), Topic { id, ends });
        Ok(true)
    }

    /// All topics and their numbers of partitions, by name.
    ///
    /// # Errors
    /// [`LogError::Fatal`] after the store has failed.
    pub fn topics(&self) -> Result<Vec<(Arc<str>, i32)>, LogError> {
        let state = self.0.state()?;
        let topics = state.topics.iter().map(|(name, topic)| (name.clone(), topic.count()));
        Ok(topics.collect())
    }

    /// Appends records outside of any group, together or not at all, with the
    /// present time where a record states none. They are on the disk when this
    /// returns.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], or a fatal one for a partition that does not
    /// exist or a disk that refuses.
    pub fn append(&self, records: &[(Outgoing, Option<Timestamp>)]) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let now = now();
        let mut writer = self.0.writer();
        let stamped = records.iter().map(|(record, at)| (record, at.unwrap_or(now)));
        self.0.commit(&mut writer, "", &[], stamped)
    }

    /// Opens a session. An earlier one with the same transactional id is fenced.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] where one of the topics does not exist, or a fatal one.
    pub fn session(
        &self,
        group: &str,
        topics: &[&str],
        transactional_id: &str,
    ) -> Result<SledLog, LogError> {
        if group.len() > NAME_BYTES_MAX {
            let why = format!("a group's name has at most {NAME_BYTES_MAX} bytes");
            return Err(self.0.fatal(&why));
        }
        let _writer = self.0.writer();
        let mut state = self.0.state()?;
        for topic in topics {
            if !state.topics.contains_key(*topic) {
                return Err(LogError::NoTopic((*topic).to_owned()));
            }
        }
        let ticket = state.membership.join(group, transactional_id, topics);
        drop(state);
        self.0.changed.notify_all();
        Ok(SledLog::new(self.clone(), ticket))
    }

    /// The offsets `[first, end)` that a partition holds.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] or a fatal one.
    pub fn bounds(&self, partition: &Partition) -> Result<(i64, i64), LogError> {
        Ok((0, self.0.state()?.end(partition)?))
    }

    /// The position of a partition that a group has committed; `None` before its first.
    ///
    /// # Errors
    /// A fatal one where the store is broken.
    pub fn committed(&self, group: &str, partition: &Partition) -> Result<Option<i64>, LogError> {
        self.0.committed(group, partition)
    }

    /// Reads a partition from `from` up to `to` (exclusive) or its end as of
    /// now, calling `handle` for each record.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] or a fatal one, also for damaged bytes.
    pub fn read(
        &self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(&Entry<'_>),
    ) -> Result<(), LogError> {
        let end = self.bounds(partition)?.1.min(to);
        let mut next = from.max(0);
        while next < end {
            // A chunk at a time, so that memory stays bounded however long the range is.
            let chunks = self.0.chunks(partition, next, end, 1, Room::ENDLESS)?;
            next = self.0.each(&chunks, next, end, &mut Room::ENDLESS.clone(), handle)?;
        }
        Ok(())
    }
}

/// What one batch may still hold: records, and bytes of keys and values. The
/// record that uses up the bytes belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    /// For a range that is read to its end.
    pub(crate) const ENDLESS: Self = Self { records: usize::MAX, bytes: usize::MAX };

    /// For one poll.
    pub(crate) const OF_A_POLL: Self = Self { records: BATCH_RECORDS_MAX, bytes: BATCH_BYTES_MAX };

    pub(crate) fn is_full(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    fn take(&mut self, records: usize, bytes: usize) {
        self.records = self.records.saturating_sub(records);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Closes sled's files where a start has failed. sled 0.34.7 flushes as it does
/// so, and on a disk that refuses may wait for ever for that to succeed.
fn let_go(db: sled::Db) {
    let (done, closed) = mpsc::channel();
    std::thread::spawn(move || {
        drop(db);
        // Nobody may wait any more.
        let _ = done.send(());
    });
    // The reason is to be told; a thread that waits ends with the process.
    let _ = closed.recv_timeout(CLOSING_WAIT);
}

impl Shared {
    /// Reads what the files hold.
    fn of(folder: &Path, db: &sled::Db) -> Result<Self, String> {
        let tree = guarded(|| db.open_tree("log"))?;
        let witness = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(witness::NAME))
            .map_err(|error| error.to_string())?;
        let file = File::open(folder.join("sled").join("db")).map_err(|error| error.to_string())?;
        // Damage may show at any step of a walk through the tree.
        let (state, sequence) = guarded(|| Ok(load(&tree, &witness))).flatten()?;
        let totals = state.totals();
        Ok(Self {
            folder: folder.to_owned(),
            files: Some(Files { db: db.clone(), tree }),
            witness,
            file,
            writer: Mutex::new(Writer { sequence, totals }),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    fn files(&self) -> &Files {
        self.files.as_ref().expect("they are taken only when this is dropped")
    }

    fn committed(&self, group: &str, partition: &Partition) -> Result<Option<i64>, LogError> {
        let state = self.state()?;
        Ok(state.committed.get(group).and_then(|positions| positions.get(partition)).copied())
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> Result<MutexGuard<'_, State>, LogError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.broken {
            None => Ok(state),
            Some(why) => Err(self.fatal(why)),
        }
    }

    /// Appends the records and sets the positions, in one batch that is on the
    /// disk when this returns. All checks of the right to do so came before.
    pub(crate) fn commit<'a>(
        &self,
        writer: &mut Writer,
        group: &str,
        positions: &[(Partition, i64)],
        records: impl Iterator<Item = (&'a Outgoing, Timestamp)>,
    ) -> Result<(), LogError> {
        // Only the holder of the writer changes ends, so a copy cannot grow stale.
        let mut topics = self.state()?.topics.clone();
        let sequence = writer.sequence + 1;
        let (mut batch, mut entry_count) = (sled::Batch::default(), 0);
        let mut open: BTreeMap<(u32, i32), (i64, ChunkWriter)> = BTreeMap::new();
        for (record, timestamp) in records {
            let topic = topics
                .get_mut(&record.topic)
                .ok_or_else(|| LogError::NoTopic(record.topic.to_string()))?;
            let number = topic.place(record).ok_or_else(|| {
                let number = record.partition.unwrap_or(-1);
                self.fatal(&format!("topic {} has no partition {number}", record.topic))
            })?;
            let place = (topic.id, number);
            let end = &mut topic.ends[usize::try_from(number).unwrap_or(0)];
            let (first, chunk) = open.entry(place).or_insert_with(|| (*end, ChunkWriter::new()));
            chunk
                .push(record, timestamp)
                .map_err(|Damaged| self.fatal("a record is larger than 4 GiB"))?;
            *end += 1;
            if chunk.byte_count() >= CHUNK_BYTES_TARGET {
                let full = std::mem::replace(chunk, ChunkWriter::new());
                batch.insert(chunk_key(place, *first, sequence), full.finish());
                entry_count += 1;
                *first = *end;
            }
        }
        for (place, (first, chunk)) in open {
            if chunk.count() > 0 {
                batch.insert(chunk_key(place, first, sequence), chunk.finish());
                entry_count += 1;
            }
        }
        let mut totals = Totals { records: records_of(&topics), ..writer.totals };
        let positions: BTreeMap<_, _> = positions.iter().cloned().collect();
        for (partition, offset) in &positions {
            let id = topics.get(&partition.topic).map_or(u32::MAX, |topic| topic.id);
            let before = self.committed(group, partition)?;
            totals.positions = (totals.positions)
                .wrapping_sub(before.unwrap_or(0).cast_unsigned())
                .wrapping_add(offset.cast_unsigned());
            let position = Position { offset: *offset, set: Some((sequence, before)) };
            batch.insert(position_key(group, id, partition.partition), position.bytes());
            entry_count += 1;
        }
        self.write(writer, batch, entry_count, totals)?;
        let mut state = self.state()?;
        state.topics = topics;
        if !positions.is_empty() {
            let committed = state.committed.entry(group.into()).or_default();
            committed.extend(positions);
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Chunks that hold `[from, end)`, up to so many chunks and records.
    pub(crate) fn chunks(
        &self,
        partition: &Partition,
        from: i64,
        end: i64,
        chunks_max: usize,
        mut room: Room,
    ) -> Result<Vec<Chunk>, LogError> {
        let id = self.state()?.topic(partition)?.id;
        let place = (id, partition.partition);
        let mut found = Vec::new();
        let read = || -> sled::Result<Result<Vec<Chunk>, Damaged>> {
            let tree = &self.files().tree;
            let until = record_key(place, from.saturating_add(1));
            let start = tree.range(record_key(place, 0)..until).next_back();
            let Some((start, _)) = start.transpose()? else { return Ok(Err(Damaged)) };
            for pair in tree.range(start..record_key(place, end).into()) {
                let (key, bytes) = pair?;
                let (Some(first), Ok(count)) = (offset_of(&key), chunk::count(&bytes)) else {
                    return Ok(Err(Damaged));
                };
                let beyond = first + i64::from(count);
                let taken = beyond.min(end) - first.max(from);
                room.take(usize::try_from(taken).unwrap_or(0), 0);
                found.push(Chunk { first, bytes });
                if found.len() >= chunks_max || room.is_full() {
                    break;
                }
            }
            Ok(Ok(found))
        };
        match guarded(read) {
            Ok(Ok(chunks)) => Ok(chunks),
            Ok(Err(Damaged)) => Err(self.damaged(partition, from)),
            Err(why) => Err(self.break_down(why)),
        }
    }

    /// Hands over the records of the chunks in `[from, end)`, as many as there
    /// is room for, and returns the offset that follows. A gap between chunks
    /// is damage.
    pub(crate) fn each(
        &self,
        chunks: &[Chunk],
        from: i64,
        end: i64,
        room: &mut Room,
        handle: &mut dyn FnMut(&Entry<'_>),
    ) -> Result<i64, LogError> {
        let damaged = |at: i64| {
            self.fatal(&format!("damaged at offset {at} of a partition; {ADVICE_DAMAGED}"))
        };
        let (mut next, was_full) = (from, room.is_full());
        for chunk in chunks {
            let entries = chunk::entries(&chunk.bytes, chunk.first, next);
            for entry in entries.map_err(|Damaged| damaged(next))? {
                let entry = entry.map_err(|Damaged| damaged(next))?;
                if entry.offset >= end || room.is_full() {
                    return Ok(next);
                }
                if entry.offset != next {
                    return Err(damaged(next));
                }
                handle(&entry);
                next += 1;
                room.take(1, entry.key.map_or(0, <[u8]>::len) + entry.value.len());
            }
        }
        // A chunk that held none of what it was fetched for would be fetched for ever.
        if next == from && !was_full { Err(damaged(next)) } else { Ok(next) }
    }

    pub(crate) fn fatal(&self, why: &str) -> LogError {
        LogError::Fatal(format!("embedded log {}: {why}", self.folder.display()))
    }

    fn damaged(&self, partition: &Partition, offset: i64) -> LogError {
        let Partition { topic, partition } = partition;
        self.fatal(&format!("damaged at {topic} {partition} offset {offset}; {ADVICE_DAMAGED}"))
    }

    /// One batch of so many entries, on the disk when this returns. A store that
    /// failed once must not be written again: what its tree shows is not what
    /// the disk holds.
    fn write(
        &self,
        writer: &mut Writer,
        mut batch: sled::Batch,
        entry_count: u64,
        totals: Totals,
    ) -> Result<(), LogError> {
        let sequence = writer.sequence + 1;
        let commit = Commit { sequence, entry_count: Some(entry_count), totals: Some(totals) };
        batch.insert(COMMIT, commit.bytes());
        guarded(|| {
            let Files { db, tree } = self.files();
            tree.apply_batch(batch)?;
            flush(db)?;
            // On Linux sled's flush leaves the bytes in the disk's own cache
            // and the file's new length unsaved.
            Ok(self.file.sync_data()?)
        })
        .map_err(|why| self.break_down(why))?;
        (writer.sequence, writer.totals) = (sequence, totals);
        // What cannot be noted could be lost later without a word.
        witness::write(&self.witness, sequence).map_err(|error| {
            self.break_down(format!("the file {} cannot be written: {error}", witness::NAME))
        })
    }

    fn break_down(&self, why: String) -> LogError {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let error = self.fatal(&why);
        state.broken.get_or_insert(why);
        self.changed.notify_all();
        error
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.broken.is_some() {
            // sled 0.34.7 flushes when it is dropped and, after a write that
            // failed, may wait for ever for that to succeed: a service that was
            // to end with the reason would not. The process lets go of the files.
            std::mem::forget(self.files.take());
        }
    }
}

/// Removes snapshots of sled's that were never finished, because the process
/// was killed or the disk was full, and tells whether there were any. sled
/// 0.34.7 takes them for finished ones and for damage. They hold nothing of
/// their own: without them it reads its log from an earlier point on. Only for
/// a folder that no other process holds.
fn drop_unfinished(folder: &Path) -> bool {
    let mut dropped = false;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            dropped |= std::fs::remove_file(entry.path()).is_ok();
        }
    }
    dropped
}

/// The present time, as commits and appends are stamped with it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
