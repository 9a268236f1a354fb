//! Past windows beside the snapshots that know of them, in one store.
//!
//! A window is written as soon as it takes no more events, so it is there
//! before any snapshot that knows of it. It is deleted together with the first
//! save that does not know of it any more, so after a crash the state that is
//! restored finds what it knows of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_detection::past::PastWindows;
use watchkeep_model::position::Partition;

use super::{Save, SnapshotError, SnapshotStore};

/// The store of a session's snapshots, shared with the states whose past
/// windows it keeps. Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) struct SharedStore(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    store: Box<dyn SnapshotStore>,
    /// Keys that the next save deletes.
    forgotten: BTreeMap<Partition, Vec<Vec<u8>>>,
    /// What went wrong with a past window first, and whose it was.
    fault: Option<(Partition, SnapshotError)>,
}

impl SharedStore {
    pub(crate) fn new(store: Box<dyn SnapshotStore>) -> Self {
        let (forgotten, fault) = (BTreeMap::new(), None);
        Self(Arc::new(Mutex::new(Inner { store, forgotten, fault })))
    }

    /// The past windows of a partition.
    pub(crate) fn windows(&self, partition: &Partition) -> Box<dyn PastWindows> {
        Box::new(StoredWindows { store: self.clone(), partition: partition.clone() })
    }

    /// A state of the partition is begun or restored: it forgets by itself.
    pub(crate) fn begin(&self, partition: &Partition) {
        self.inner().forgotten.remove(partition);
    }

    /// What went wrong with a past window since this was asked last. What was
    /// folded since is worthless.
    pub(crate) fn take_fault(&self) -> Option<(Partition, SnapshotError)> {
        self.inner().fault.take()
    }

    /// Does something with the store.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut dyn SnapshotStore) -> T) -> T {
        work(self.inner().store.as_mut())
    }

    /// Saves, and deletes what the save does not know of any more.
    pub(crate) fn save(&self, partition: &Partition, mut save: Save) -> Result<(), SnapshotError> {
        let mut inner = self.inner();
        save.forgotten = inner.forgotten.remove(partition).unwrap_or_default();
        inner.store.save(partition, save)
    }

    pub(crate) fn clear(&self, partition: &Partition) -> Result<(), SnapshotError> {
        let mut inner = self.inner();
        inner.forgotten.remove(partition);
        inner.store.clear(partition)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked left at worst a window that will be found wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct StoredWindows {
    store: SharedStore,
    partition: Partition,
}

impl StoredWindows {
    fn fault(&self, inner: &mut Inner, error: SnapshotError) {
        inner.fault.get_or_insert_with(|| (self.partition.clone(), error));
    }
}

impl PastWindows for StoredWindows {
    fn put(&mut self, key: &[u8], bytes: Vec<u8>) {
        let mut inner = self.store.inner();
        if let Err(error) = inner.store.put_window(&self.partition, key, bytes) {
            self.fault(&mut inner, error);
        }
    }

    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let mut inner = self.store.inner();
        match inner.store.window(&self.partition, key) {
            Ok(found) => found,
            Err(error) => {
                self.fault(&mut inner, error);
                None
            }
        }
    }

    fn forget(&mut self, key: Vec<u8>) {
        self.store.inner().forgotten.entry(self.partition.clone()).or_default().push(key);
    }

    fn is_wrong(&mut self) {
        let mut inner = self.store.inner();
        let error = SnapshotError::Damaged("a past window is not what was kept".to_owned());
        self.fault(&mut inner, error);
    }
}
