//! How the store lies in its tree, and what of it is kept in memory.
//!
//! Everything lies in one tree, so that one batch holds a whole commit:
//! `m` + name → numbers of the store; `t` + topic → its id and partition
//! count; `p` + group, topic id, partition → a committed position; `r` +
//! topic id, partition, first offset, commit → a [`crate::chunk`]. Topics,
//! positions and chunks name the commit that wrote them, see [`crate::settle`];
//! format 1 named none. Numbers are big-endian so that keys sort by them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use watchkeep_model::position::Partition;
use watchkeep_runtime::log::{LogError, Outgoing, partition_of_key};
use watchkeep_runtime::membership::Membership;

use crate::chunk::{self, Damaged};
use crate::flush::flush;
use crate::settle::{self, Position, Totals};
use crate::store::PARTITIONS_MAX;

/// The layout of keys and values that this version writes.
const FORMAT: u64 = 2;

/// An earlier one, whose entries this version reads too.
const FORMAT_EARLIER: u64 = 1;

/// What readers see: durable things only.
pub(crate) struct State {
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    pub(crate) committed: BTreeMap<Arc<str>, BTreeMap<Partition, i64>>,
    pub(crate) membership: Membership,
    /// Why the store must not be used any more, once a write or read failed.
    pub(crate) broken: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Topic {
    pub(crate) id: u32,
    /// The next offset, per partition.
    pub(crate) ends: Vec<i64>,
}

impl State {
    pub(crate) fn partition_count(&self, topic: &str) -> i32 {
        self.topics.get(topic).map_or(0, Topic::count)
    }

    /// What there is, for [`settle`] to hold against what there was.
    pub(crate) fn totals(&self) -> Totals {
        let positions = self.committed.values().flat_map(BTreeMap::values);
        Totals {
            records: records_of(&self.topics),
            positions: positions.fold(0, |sum, at| sum.wrapping_add(at.cast_unsigned())),
        }
    }

    pub(crate) fn end(&self, partition: &Partition) -> Result<i64, LogError> {
        let topic = self.topic(partition)?;
        let number = usize::try_from(partition.partition).unwrap_or(usize::MAX);
        topic.ends.get(number).copied().ok_or_else(|| {
            let Partition { topic, partition } = partition;
            LogError::Fatal(format!("topic {topic} has no partition {partition}"))
        })
    }

    pub(crate) fn committed(&self, group: &str, partition: &Partition) -> i64 {
        self.committed.get(group).and_then(|all| all.get(partition)).copied().unwrap_or(0)
    }

    pub(crate) fn topic(&self, partition: &Partition) -> Result<&Topic, LogError> {
        let missing = || LogError::NoTopic(partition.topic.to_string());
        self.topics.get(&partition.topic).ok_or_else(missing)
    }
}

/// Topics and records.
pub(crate) fn records_of(topics: &BTreeMap<Arc<str>, Topic>) -> u64 {
    let ends = topics.values().flat_map(|topic| &topic.ends);
    ends.fold(topics.len() as u64, |sum, end| sum.wrapping_add(end.cast_unsigned()))
}

impl Topic {
    pub(crate) fn count(&self) -> i32 {
        i32::try_from(self.ends.len()).unwrap_or(i32::MAX)
    }

    /// The partition of a record; without key or number the shortest one, the
    /// lowest number first.
    pub(crate) fn place(&self, record: &Outgoing) -> Option<i32> {
        let count = self.count();
        let number = match (record.partition, &record.key) {
            (Some(number), _) => number,
            (None, Some(key)) => partition_of_key(key, count),
            (None, None) => (0..).zip(&self.ends).min_by_key(|(_, end)| **end)?.0,
        };
        (0..count).contains(&number).then_some(number)
    }
}

/// What to do about damage, at the end of every message that tells of it.
pub(crate) const ADVICE_DAMAGED: &str = "restore the folder from a copy, or move it away and begin anew from where telemetry comes from";

/// Runs what touches the store. sled answers some damage with a panic; here
/// that is an error like any other.
pub(crate) fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Corruption { at, .. })) => {
            let place = at.map_or_else(String::new, |at| format!(" at {at:?}"));
            Err(damaged(&format!("bytes of sled/{place} are not those that were written")))
        }
        Ok(Err(sled::Error::Io(error))) => Err(match error.kind() {
            ErrorKind::StorageFull => format!(
                "the disk is full ({error}): make room, then start again; what was acknowledged is there"
            ),
            ErrorKind::NotFound | ErrorKind::UnexpectedEof => {
                damaged(&format!("a file of sled/ is missing or cut ({error})"))
            }
            _ => error.to_string(),
        }),
        // The version of sled is pinned, so another one's files are none of ours.
        Ok(Err(sled::Error::Unsupported(why))) => Err(damaged(&format!("sled/: {why}"))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(damaged("the store cannot make sense of its files")),
    }
}

/// Tells of damage and what to do about it.
pub(crate) fn damaged(what: &str) -> String {
    format!("damaged: {what}; {ADVICE_DAMAGED}")
}

/// Reads what a store holds, apart from the records, after what a commit left
/// unfinished is out of the way; with the number of the last commit.
pub(crate) fn load(tree: &sled::Tree, file: &File) -> Result<(State, u64), String> {
    check_format(tree)?;
    let commit = settle::settle(tree, file)?;
    let state = read(tree)?;
    match commit.totals {
        Some(totals) if totals != state.totals() => Err(damaged(&format!(
            "after commit {} the store held {totals:?}, and {:?} can be read",
            commit.sequence,
            state.totals()
        ))),
        _ => Ok((state, commit.sequence)),
    }
}

fn read(tree: &sled::Tree) -> Result<State, String> {
    let (mut topics, mut names) = (BTreeMap::new(), BTreeMap::new());
    for pair in tree.scan_prefix(b"t") {
        let (key, value) = guarded(|| pair)?;
        let name: Arc<str> = std::str::from_utf8(&key[1..]).map_err(|_| unreadable())?.into();
        let StoredTopic { id, partition_count, .. } =
            StoredTopic::read(&value).map_err(|Damaged| unreadable())?;
        let ends = (0..partition_count).map(|number| end_of(tree, (id, number)));
        let ends = ends.collect::<Result<_, _>>()?;
        names.insert(id, name.clone());
        topics.insert(name, Topic { id, ends });
    }
    let mut committed: BTreeMap<Arc<str>, BTreeMap<Partition, i64>> = BTreeMap::new();
    for pair in tree.scan_prefix(b"p") {
        let (key, value) = guarded(|| pair)?;
        let (group, place) =
            key[1..].split_at_checked(key.len().saturating_sub(9)).ok_or_else(unreadable)?;
        let group = std::str::from_utf8(group).map_err(|_| unreadable())?;
        let (id, number) = place.split_first_chunk().ok_or_else(unreadable)?;
        let number = number.try_into().map(i32::from_be_bytes).map_err(|_| unreadable())?;
        let topic = names.get(&u32::from_be_bytes(*id)).ok_or_else(unreadable)?;
        let position = Position::read(&value).map_err(|Damaged| unreadable())?;
        let positions = committed.entry(group.into()).or_default();
        positions.insert(Partition::new(topic.clone(), number), position.offset);
    }
    Ok(State { topics, committed, membership: Membership::default(), broken: None })
}

/// Marks a new store, and one of the earlier format as one of this: what that
/// wrote is read as it is.
fn check_format(tree: &sled::Tree) -> Result<(), String> {
    let stored = guarded(|| tree.get(b"mformat"))?;
    let stored = match &stored {
        None if tree.is_empty() => FORMAT_EARLIER,
        None => return Err(unreadable()),
        Some(bytes) => {
            bytes.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| unreadable())?
        }
    };
    match stored {
        FORMAT => Ok(()),
        FORMAT_EARLIER => guarded(|| {
            tree.insert(b"mformat", FORMAT.to_be_bytes().to_vec())?;
            flush(tree)
        }),
        other => Err(format!(
            "written in format {other}; this version reads formats {FORMAT_EARLIER} and {FORMAT}"
        )),
    }
}

/// The next offset of a partition, from its last chunk.
fn end_of(tree: &sled::Tree, place: (u32, i32)) -> Result<i64, String> {
    let last = guarded(|| {
        tree.range(record_key(place, 0)..record_key(place, i64::MAX)).next_back().transpose()
    })?;
    let Some((key, bytes)) = last else { return Ok(0) };
    let first = offset_of(&key).ok_or_else(unreadable)?;
    Ok(first + i64::from(chunk::count(&bytes).map_err(|Damaged| unreadable())?))
}

/// Tells of an entry that is none.
pub(crate) fn unreadable() -> String {
    damaged("an entry of the store cannot be read")
}

/// Where the chunks of a partition begin that start at an offset or later. The
/// key of a chunk goes on with its commit, see [`chunk_key`].
pub(crate) fn record_key((topic, partition): (u32, i32), offset: i64) -> Vec<u8> {
    let mut key = vec![b'r'];
    key.extend(topic.to_be_bytes());
    key.extend(partition.to_be_bytes());
    key.extend(offset.to_be_bytes());
    key
}

/// The key of a chunk, with the number of the commit that it came in.
pub(crate) fn chunk_key(place: (u32, i32), offset: i64, sequence: u64) -> Vec<u8> {
    let mut key = record_key(place, offset);
    key.extend(sequence.to_be_bytes());
    key
}

pub(crate) fn position_key(group: &str, topic: u32, partition: i32) -> Vec<u8> {
    let mut key = vec![b'p'];
    key.extend(group.as_bytes());
    key.extend(topic.to_be_bytes());
    key.extend(partition.to_be_bytes());
    key
}

/// The offset that a chunk begins at, from its key.
pub(crate) fn offset_of(key: &[u8]) -> Option<i64> {
    key.get(9..)?.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

/// The commit that a chunk came in, from its key; `None` for one that an
/// earlier version wrote.
pub(crate) fn sequence_of(key: &[u8]) -> Option<u64> {
    key.get(17..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// What the store keeps of a topic.
pub(crate) struct StoredTopic {
    pub(crate) id: u32,
    pub(crate) partition_count: i32,
    /// The commit that created it; `None` for what an earlier version wrote.
    pub(crate) sequence: Option<u64>,
}

impl StoredTopic {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let (id, rest) = bytes.split_first_chunk().ok_or(Damaged)?;
        let (count, rest) = rest.split_first_chunk().ok_or(Damaged)?;
        let partition_count = i32::from_be_bytes(*count);
        if !(1..=PARTITIONS_MAX).contains(&partition_count) {
            return Err(Damaged);
        }
        let sequence = match rest {
            [] => None,
            rest => Some(u64::from_be_bytes(rest.try_into().map_err(|_| Damaged)?)),
        };
        Ok(Self { id: u32::from_be_bytes(*id), partition_count, sequence })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend(self.partition_count.to_be_bytes());
        bytes.extend(self.sequence.iter().flat_map(|sequence| sequence.to_be_bytes()));
        bytes
    }
}
