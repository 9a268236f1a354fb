//! Snapshots in memory that can be lost, grow old and be damaged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_model::position::Partition;
use watchkeep_runtime::snapshot::{Save, SnapshotError, SnapshotStore};

/// A store whose clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemorySnapshots(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    kept: BTreeMap<Partition, Kept>,
    old: BTreeMap<Partition, Kept>,
    fault: Option<SnapshotError>,
    saves: u64,
}

/// What is kept of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Header of the last save.
    pub header: Vec<u8>,
    /// Entries by name.
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Past windows by key.
    pub windows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemorySnapshots {
    /// Saves that were made.
    pub fn saves(&self) -> u64 {
        self.inner().saves
    }

    /// What is kept, by partition.
    pub fn kept(&self) -> BTreeMap<Partition, Kept> {
        self.inner().kept.clone()
    }

    /// Changes what is kept in any way.
    pub fn change(&self, change: impl FnOnce(&mut BTreeMap<Partition, Kept>)) {
        change(&mut self.inner().kept);
    }

    /// Loses everything.
    pub fn lose(&self) {
        self.inner().kept.clear();
    }

    /// Keeps a copy of what there is, for [`MemorySnapshots::put_back`].
    pub fn set_aside(&self) {
        let mut inner = self.inner();
        inner.old = inner.kept.clone();
    }

    /// Puts the copy in the place of what there is, as a restored backup would.
    pub fn put_back(&self) {
        let mut inner = self.inner();
        inner.kept = inner.old.clone();
    }

    /// Flips a bit of the `place`-th byte of all that is kept, headers,
    /// entries and past windows, counted around.
    pub fn alter(&self, place: usize) {
        let mut inner = self.inner();
        let all = || inner.kept.values();
        let count: usize = all().map(Kept::byte_count).sum();
        if count == 0 {
            return;
        }
        let mut place = place % count;
        for kept in inner.kept.values_mut() {
            let values = kept.entries.values_mut().chain(kept.windows.values_mut());
            for bytes in std::iter::once(&mut kept.header).chain(values) {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << (place % 8);
                    return;
                }
                place -= bytes.len();
            }
        }
    }

    /// Makes the next call fail.
    pub fn fail_next(&self, error: SnapshotError) {
        self.inner().fault = Some(error);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sound(&self) -> Result<MutexGuard<'_, Inner>, SnapshotError> {
        let mut inner = self.inner();
        match inner.fault.take() {
            Some(error) => Err(error),
            None => Ok(inner),
        }
    }
}

impl Kept {
    fn byte_count(&self) -> usize {
        let values = self.entries.values().chain(self.windows.values());
        self.header.len() + values.map(Vec::len).sum::<usize>()
    }
}

impl SnapshotStore for MemorySnapshots {
    fn header(&mut self, partition: &Partition) -> Result<Option<Vec<u8>>, SnapshotError> {
        let inner = self.sound()?;
        let saved = inner.kept.get(partition).filter(|kept| !kept.header.is_empty());
        Ok(saved.map(|kept| kept.header.clone()))
    }

    fn entries(
        &mut self,
        partition: &Partition,
        handle: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), SnapshotError> {
        if let Some(kept) = self.sound()?.kept.get(partition) {
            kept.entries.iter().for_each(|(name, bytes)| handle(name, bytes));
        }
        Ok(())
    }

    fn save(&mut self, partition: &Partition, save: Save) -> Result<(), SnapshotError> {
        let mut inner = self.sound()?;
        inner.saves += 1;
        let kept = inner.kept.entry(partition.clone()).or_default();
        kept.header = save.header;
        let entries = save.entries.into_iter();
        kept.entries.extend(entries.map(|(name, bytes)| (name.as_bytes().to_vec(), bytes)));
        save.forgotten.iter().for_each(|key| drop(kept.windows.remove(key)));
        Ok(())
    }

    fn put_window(
        &mut self,
        partition: &Partition,
        key: &[u8],
        bytes: Vec<u8>,
    ) -> Result<(), SnapshotError> {
        let mut inner = self.sound()?;
        inner.kept.entry(partition.clone()).or_default().windows.insert(key.to_vec(), bytes);
        Ok(())
    }

    fn window(
        &mut self,
        partition: &Partition,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, SnapshotError> {
        let inner = self.sound()?;
        Ok(inner.kept.get(partition).and_then(|kept| kept.windows.get(key).cloned()))
    }

    fn clear(&mut self, partition: &Partition) -> Result<(), SnapshotError> {
        self.sound()?.kept.remove(partition);
        Ok(())
    }
}
