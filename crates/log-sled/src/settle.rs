//! What is done at the start with a commit that may be there in part.
//!
//! sled writes a batch together or not at all where its process is killed; where
//! the disk refuses in the middle of one it keeps any part of it. So every entry
//! of a commit carries the commit's number, an entry of its own tells how many
//! they are, and a changed position keeps the one before. A commit that was not
//! acknowledged counts where all of it is there; otherwise its parts are removed.
//! Its records were not acknowledged either, so whoever sent them sends them again.

use std::fs::File;

use crate::chunk::Damaged;
use crate::flush::flush;
use crate::layout::{StoredTopic, damaged, guarded, record_key, sequence_of, unreadable};
use crate::witness;

/// Key of the entry that tells of the last commit.
pub(crate) const COMMIT: &[u8] = b"msequence";

/// The entry under [`COMMIT`]: the commit's number, how many entries carry it,
/// and what the whole store holds after it. The latter are unknown in what an
/// earlier version wrote, and after a commit was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) sequence: u64,
    pub(crate) entry_count: Option<u64>,
    pub(crate) totals: Option<Totals>,
}

/// Sums over the whole store, by which a lost entry of whatever commit is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Topics and records.
    pub(crate) records: u64,
    /// Positions, of all groups.
    pub(crate) positions: u64,
}

impl Commit {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let (sequence, rest) = number(bytes)?;
        if rest.is_empty() {
            return Ok(Self { sequence, entry_count: None, totals: None });
        }
        let (entry_count, rest) = number(rest)?;
        if rest.is_empty() {
            return Ok(Self { sequence, entry_count: Some(entry_count), totals: None });
        }
        let (records, rest) = number(rest)?;
        let totals = Some(Totals { records, positions: last(rest)? });
        Ok(Self { sequence, entry_count: Some(entry_count), totals })
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        let totals = self.totals.map(|Totals { records, positions }| [records, positions]);
        let rest = self.entry_count.into_iter().chain(totals.into_iter().flatten());
        std::iter::once(self.sequence).chain(rest).flat_map(u64::to_be_bytes).collect()
    }
}

/// A position of a group as the store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: i64,
    /// The commit that set it, and the position before; `None` where nothing is
    /// left to undo.
    pub(crate) set: Option<(u64, Option<i64>)>,
}

impl Position {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let (offset, rest) = number(bytes)?;
        let set = if rest.is_empty() {
            None
        } else {
            let (sequence, before) = number(rest)?;
            let before = last(before)?.cast_signed();
            // No offset is below zero.
            Some((sequence, (before >= 0).then_some(before)))
        };
        Ok(Self { offset: offset.cast_signed(), set })
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.offset.to_be_bytes().to_vec();
        if let Some((sequence, before)) = self.set {
            bytes.extend(sequence.to_be_bytes());
            bytes.extend(before.unwrap_or(-1).to_be_bytes());
        }
        bytes
    }
}

/// The entries that carry one commit's number.
#[derive(Default)]
struct Found {
    entry_count: u64,
    /// Removes them, and sets the positions as they were before.
    undo: sled::Batch,
}

/// Brings the store to the last commit that is whole, and returns its number.
///
/// # Errors
/// What to tell of, with advice: commits that were acknowledged and are not
/// there, an unreadable entry, a disk that refuses.
pub(crate) fn settle(tree: &sled::Tree, file: &File) -> Result<Commit, String> {
    let stored = guarded(|| tree.get(COMMIT))?;
    let commit = match &stored {
        None => Commit { sequence: 0, entry_count: None, totals: None },
        Some(bytes) => Commit::read(bytes).map_err(|Damaged| unreadable())?,
    };
    let acknowledged = witness::read(file).map_err(|why| damaged(&why))?;
    if commit.sequence < acknowledged {
        return Err(damaged(&format!(
            "commit {acknowledged} was acknowledged, but only {} can be read",
            commit.sequence
        )));
    }
    // A commit is noted before the next one begins.
    if commit.sequence > acknowledged + 1 {
        return Err(damaged(&format!(
            "commit {} can be read, but the file {} was cut back to {acknowledged}",
            commit.sequence,
            witness::NAME
        )));
    }
    let next = find(tree, acknowledged + 1)?;
    let is_told = commit.sequence == acknowledged + 1;
    if is_told && commit.entry_count.is_none_or(|count| count == next.entry_count) {
        // Noted now: the next commit would look like two that were not.
        note(file, commit.sequence)?;
        return Ok(commit);
    }
    if !is_told && next.entry_count == 0 {
        let last = find(tree, acknowledged)?.entry_count;
        return match commit.entry_count {
            Some(count) if count != last => Err(damaged(&format!(
                "of the {count} parts of commit {acknowledged}, which was acknowledged, {last} \
                 can be read"
            ))),
            _ => Ok(commit),
        };
    }
    tracing::warn!(
        commit = acknowledged + 1,
        entries = next.entry_count,
        "a commit that was never acknowledged is there in part, as a full disk leaves it; \
         removed: whoever sent its records got no answer and sends them again"
    );
    let mut undo = next.undo;
    let before = Commit { sequence: acknowledged, entry_count: None, totals: None };
    undo.insert(COMMIT, before.bytes());
    guarded(|| {
        tree.apply_batch(undo)?;
        flush(tree)
    })?;
    Ok(before)
}

/// Notes a commit as acknowledged.
fn note(file: &File, sequence: u64) -> Result<(), String> {
    witness::write(file, sequence)
        .map_err(|error| format!("the file {} cannot be written: {error}", witness::NAME))
}

/// What carries the number of one commit, which is the last one or the one after.
fn find(tree: &sled::Tree, sequence: u64) -> Result<Found, String> {
    let mut found = Found::default();
    for pair in tree.scan_prefix(b"t") {
        let (key, value) = guarded(|| pair)?;
        let topic = StoredTopic::read(&value).map_err(|Damaged| unreadable())?;
        if topic.sequence == Some(sequence) {
            found.entry_count += 1;
            found.undo.remove(key);
        }
        for number in 0..topic.partition_count {
            // A partition's records ascend, and so do their commits.
            let place = (topic.id, number);
            for pair in tree.range(record_key(place, 0)..record_key(place, i64::MAX)).rev() {
                let (key, _) = guarded(|| pair)?;
                if sequence_of(&key).is_none_or(|of| of < sequence) {
                    break;
                }
                if sequence_of(&key) == Some(sequence) {
                    found.entry_count += 1;
                    found.undo.remove(key);
                }
            }
        }
    }
    for pair in tree.scan_prefix(b"p") {
        let (key, value) = guarded(|| pair)?;
        let position = Position::read(&value).map_err(|Damaged| unreadable())?;
        let Some((_, before)) = position.set.filter(|(of, _)| *of == sequence) else { continue };
        found.entry_count += 1;
        match before {
            None => found.undo.remove(key),
            Some(offset) => found.undo.insert(key, Position { offset, set: None }.bytes()),
        }
    }
    Ok(found)
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), Damaged> {
    let (eight, rest) = bytes.split_first_chunk().ok_or(Damaged)?;
    Ok((u64::from_be_bytes(*eight), rest))
}

/// A number with nothing after it.
fn last(bytes: &[u8]) -> Result<u64, Damaged> {
    match number(bytes)? {
        (number, []) => Ok(number),
        _ => Err(Damaged),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use watchkeep_model::position::Partition;
    use watchkeep_model::time::TimeSpan;
    use watchkeep_runtime::log::{Log, LogError, Outgoing, Transaction};

    use super::*;
    use crate::store::SledStore;

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Commits number 1 to 3 in a new folder, and what lies in the store after
    /// the second and after the third.
    fn three_commits(folder: &Path) -> [Entries; 2] {
        [1..3, 3..4].map(|numbers| {
            let (store, mut log) = open(folder);
            numbers.for_each(|number| commit(log.as_mut(), number));
            drop((store, log));
            entries(folder)
        })
    }

    fn open(folder: &Path) -> (SledStore, Box<dyn Log>) {
        let store = opened(folder).unwrap();
        store.create_topic("in", 2).unwrap();
        store.create_topic("out", 2).unwrap();
        let mut log = store.session("g", &["in"], "i").unwrap();
        log.poll(TimeSpan::ZERO, &mut |_| {}).unwrap();
        (store, Box::new(log))
    }

    /// Two chunks for one partition, one for the other.
    fn commit(log: &mut dyn Log, number: u8) {
        let record = |(partition, size)| Outgoing {
            topic: "out".into(),
            partition: Some(partition),
            key: None,
            value: vec![number; size],
            headers: vec![],
        };
        let records = [(0, 70_000), (0, 9), (1, 9)].map(record).to_vec();
        // One partition only from the third commit on.
        let partitions = if number < 3 { 0..1 } else { 0..2 };
        let positions = partitions.map(|of| (Partition::new("in", of), i64::from(number)));
        log.commit(Transaction { positions: positions.collect(), records }).unwrap();
    }

    fn tree(folder: &Path) -> sled::Tree {
        let db = once_let_go(|| sled::open(folder.join("sled")), |error| error.to_string());
        db.unwrap().open_tree("log").unwrap()
    }

    pub(crate) fn opened(folder: &Path) -> Result<SledStore, LogError> {
        once_let_go(|| SledStore::open(folder), |error| error.to_string())
    }

    /// Threads of sled may hold a folder for a moment after it was closed.
    fn once_let_go<T, E>(open: impl Fn() -> Result<T, E>, words: fn(&E) -> String) -> Result<T, E> {
        let is_held = |why: &str| why.contains("acquire lock") || why.contains("another process");
        for _ in 0..500 {
            match open() {
                Err(error) if is_held(&words(&error)) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                other => return other,
            }
        }
        open()
    }

    fn entries(folder: &Path) -> Entries {
        let pairs = tree(folder).iter().map(Result::unwrap);
        pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// What readers see: the values of the records by partition, and positions.
    fn seen(store: &SledStore) -> (Vec<Vec<u8>>, Vec<Option<i64>>) {
        let out = (0..2).map(|number| {
            let mut found = Vec::new();
            let partition = Partition::new("out", number);
            store.read(&partition, 0, i64::MAX, &mut |entry| found.push(entry.value[0])).unwrap();
            found
        });
        let positions = (0..2).map(|of| store.committed("g", &Partition::new("in", of)).unwrap());
        (out.collect(), positions.collect())
    }

    #[test]
    fn a_commit_that_was_not_acknowledged_counts_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let [before, after] = three_commits(folder.path());
        let changed: Vec<_> = after.iter().filter(|(k, v)| before.get(*k) != Some(*v)).collect();
        assert_eq!(changed.len(), 6, "three chunks, two positions and the commit");
        let two = (vec![vec![1, 1, 2, 2], vec![1, 2]], vec![Some(2), None]);
        let three = (vec![vec![1, 1, 2, 2, 3, 3], vec![1, 2, 3]], vec![Some(3), Some(3)]);
        for kept in 0_u32..1 << changed.len() {
            let mut batch = sled::Batch::default();
            for key in after.keys() {
                batch.remove(key.clone());
            }
            before.iter().for_each(|(key, value)| batch.insert(key.clone(), value.clone()));
            let parts = changed.iter().enumerate().filter(|(index, _)| kept >> index & 1 == 1);
            parts.for_each(|(_, (key, value))| batch.insert(key.as_slice(), value.as_slice()));
            tree(folder.path()).apply_batch(batch).unwrap();
            let noted = File::options().write(true).open(folder.path().join(witness::NAME));
            // Two topics and two commits.
            witness::write(&noted.unwrap(), 4).unwrap();

            let is_whole = kept + 1 == 1 << changed.len();
            for round in ["the first time", "once more"] {
                let store = opened(folder.path()).unwrap();
                let wanted = if is_whole { &three } else { &two };
                assert_eq!(seen(&store), *wanted, "parts {kept:b}, opened {round}");
            }
            if kept % 8 == 5 {
                let (store, mut log) = open(folder.path());
                commit(log.as_mut(), 3);
                assert_eq!(seen(&store), three, "parts {kept:b}, sent again");
            }
        }
    }

    #[test]
    fn a_part_of_an_acknowledged_commit_that_is_gone_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let [before, after] = three_commits(folder.path());
        for (key, value) in after.iter().filter(|(key, _)| key[0] != b'm') {
            if before.contains_key(key) {
                continue;
            }
            tree(folder.path()).remove(key).unwrap();
            let why = opened(folder.path()).err().map(|error| error.to_string());
            let why = why.expect("it opened");
            assert!(why.contains("of the 5 parts of commit 5") && why.contains("restore"), "{why}");
            tree(folder.path()).insert(key, value.as_slice()).unwrap();
        }
        assert!(opened(folder.path()).is_ok());
    }

    #[test]
    fn the_last_records_of_a_topic_that_is_quiet_since_are_missed() {
        let folder = tempfile::tempdir().unwrap();
        let [_, before] = three_commits(folder.path());
        let (store, mut log) = open(folder.path());
        let positions = vec![(Partition::new("in", 0), 4)];
        log.commit(Transaction { positions, records: Vec::new() }).unwrap();
        drop((store, log));
        // Nothing of the last commit is gone, and no gap is left.
        let last = before.keys().rfind(|key| key[0] == b'r').unwrap();
        tree(folder.path()).remove(last).unwrap();
        let why = opened(folder.path()).err().map(|error| error.to_string());
        let why = why.expect("it opened");
        assert!(why.contains("after commit 6 the store held") && why.contains("restore"), "{why}");
    }

    #[test]
    fn a_store_of_the_earlier_format_is_read_and_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let [before, _] = three_commits(folder.path());
        let mut batch = sled::Batch::default();
        for (key, value) in entries(folder.path()) {
            batch.remove(key.clone());
            if !before.contains_key(&key) {
                continue;
            }
            // What that format had, it had at the same places.
            let cut = |bytes: &[u8], length: usize| bytes[..length.min(bytes.len())].to_vec();
            match key[0] {
                b'r' => batch.insert(cut(&key, 17), value),
                b'm' if key == b"mformat" => batch.insert(key, FORMER_FORMAT.to_vec()),
                _ => batch.insert(key.clone(), cut(&before[&key], 8)),
            }
        }
        tree(folder.path()).apply_batch(batch).unwrap();
        let noted = File::options().write(true).open(folder.path().join(witness::NAME)).unwrap();
        witness::write(&noted, 4).unwrap();

        let (store, mut log) = open(folder.path());
        assert_eq!(seen(&store), (vec![vec![1, 1, 2, 2], vec![1, 2]], vec![Some(2), None]));
        commit(log.as_mut(), 3);
        drop((store, log));
        let store = opened(folder.path()).unwrap();
        let positions = vec![Some(3), Some(3)];
        assert_eq!(seen(&store), (vec![vec![1, 1, 2, 2, 3, 3], vec![1, 2, 3]], positions));
    }

    const FORMER_FORMAT: [u8; 8] = 1_u64.to_be_bytes();
}
