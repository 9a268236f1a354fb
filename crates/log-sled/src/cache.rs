//! Snapshots of the evaluate stage in a folder of their own.
//!
//! The folder is a cache: it may be deleted while nothing runs. What is damaged
//! in it is thrown away, and a disk that refuses ends its use, never the
//! service's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchkeep_model::position::Partition;
use watchkeep_runtime::snapshot::{Save, SnapshotError, SnapshotStore};

use crate::flush::flush;
use crate::layout::{ADVICE_DAMAGED, guarded};

/// Memory that the store keeps read pages in. Pages are read once, at a restore.
const CACHE_BYTES: u64 = 16 << 20;

/// What is thrown away where it is damaged: nothing but this name in the folder.
const STORE: &str = "snapshots";

/// Key of a header, and what the keys of entries begin with.
const HEADER: &[u8] = b"h";
const ENTRY: &[u8] = b"e";
/// What the keys of past windows begin with.
const WINDOW: &[u8] = b"w";

/// The snapshots of one folder. Clones are the same store.
#[derive(Clone, Debug)]
pub struct SledSnapshots(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// `None` once the folder cannot be used.
    db: Option<sled::Db>,
    /// True where the store's own files are damaged, not only what lies in it.
    is_damaged: bool,
}

impl SledSnapshots {
    /// Opens the folder, and creates it where there is none. A damaged store is
    /// thrown away and begun anew.
    ///
    /// # Errors
    /// [`SnapshotError::Unavailable`] where another process holds it or the
    /// disk refuses; names the folder.
    pub fn open(folder: &Path) -> Result<Self, SnapshotError> {
        let mut inner = Inner { folder: folder.to_owned(), db: None, is_damaged: false };
        std::fs::create_dir_all(folder).map_err(|error| inner.unavailable(&error.to_string()))?;
        match inner.open() {
            Ok(db) => inner.db = Some(db),
            Err(why) if why.contains("could not acquire lock") => {
                return Err(inner.unavailable("another process holds it: choose another folder"));
            }
            Err(why) => {
                // The advice is for a log, which cannot be made anew.
                let why = why.split(ADVICE_DAMAGED).next().unwrap_or_default();
                let why = why.trim_end_matches([' ', ':', ';', ',']);
                tracing::warn!(
                    folder = %folder.display(),
                    why,
                    "snapshots are thrown away: the state is rebuilt from the log, nothing is to be done"
                );
                inner.begin_anew()?;
            }
        }
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked left at worst a snapshot that will be found wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotStore for SledSnapshots {
    fn header(&mut self, partition: &Partition) -> Result<Option<Vec<u8>>, SnapshotError> {
        self.inner().read(partition, |tree| Ok(tree.get(HEADER)?.map(|bytes| bytes.to_vec())))
    }

    fn entries(
        &mut self,
        partition: &Partition,
        handle: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), SnapshotError> {
        self.inner().read(partition, |tree| {
            for pair in tree.scan_prefix(ENTRY) {
                let (key, bytes) = pair?;
                handle(key.get(ENTRY.len()..).unwrap_or_default(), &bytes);
            }
            Ok(())
        })
    }

    fn save(&mut self, partition: &Partition, save: Save) -> Result<(), SnapshotError> {
        let mut batch = sled::Batch::default();
        for (name, bytes) in save.entries {
            batch.insert([ENTRY, name.as_bytes()].concat(), bytes);
        }
        for key in save.forgotten {
            batch.remove([WINDOW, &key].concat());
        }
        batch.insert(HEADER, save.header);
        self.inner().write(partition, |tree| tree.apply_batch(batch))
    }

    fn put_window(
        &mut self,
        partition: &Partition,
        key: &[u8],
        bytes: Vec<u8>,
    ) -> Result<(), SnapshotError> {
        // Not flushed: the store's own log keeps the order of writes, so what a
        // later save is found after is found too.
        self.inner().change(partition, |tree| tree.insert([WINDOW, key].concat(), bytes).map(drop))
    }

    fn window(
        &mut self,
        partition: &Partition,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, SnapshotError> {
        let key = [WINDOW, key].concat();
        self.inner().read(partition, |tree| Ok(tree.get(key)?.map(|bytes| bytes.to_vec())))
    }

    fn clear(&mut self, partition: &Partition) -> Result<(), SnapshotError> {
        let mut inner = self.inner();
        if inner.is_damaged {
            return inner.begin_anew();
        }
        match inner.write(partition, sled::Tree::clear) {
            Err(_) if inner.is_damaged => inner.begin_anew(),
            cleared => cleared,
        }
    }
}

impl Inner {
    fn open(&self) -> Result<sled::Db, String> {
        let config = sled::Config::new()
            .path(self.folder.join(STORE))
            .cache_capacity(CACHE_BYTES)
            // Saves flush by themselves, and nothing else writes.
            .flush_every_ms(None);
        guarded(|| config.open())
    }

    fn begin_anew(&mut self) -> Result<(), SnapshotError> {
        self.let_go();
        let path = self.folder.join(STORE);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(self.unavailable(&error.to_string()));
            }
            _ => {}
        }
        self.db = Some(self.open().map_err(|why| self.unavailable(&why))?);
        self.is_damaged = false;
        Ok(())
    }

    /// Closes the store. What its end runs into is of no interest any more.
    fn let_go(&mut self) {
        let db = self.db.take();
        let _ = guarded(|| {
            drop(db);
            Ok(())
        });
    }

    fn tree(&self, partition: &Partition) -> Result<sled::Tree, SnapshotError> {
        let db = self.db.as_ref().ok_or_else(|| self.unavailable("it failed before"))?;
        let name = format!("{}/{}", partition.topic, partition.partition);
        guarded(|| db.open_tree(name)).map_err(SnapshotError::Damaged)
    }

    fn read<T>(
        &mut self,
        partition: &Partition,
        work: impl FnOnce(&sled::Tree) -> sled::Result<T>,
    ) -> Result<T, SnapshotError> {
        let result = self
            .tree(partition)
            .and_then(|tree| guarded(|| work(&tree)).map_err(SnapshotError::Damaged));
        self.is_damaged |= matches!(result, Err(SnapshotError::Damaged(_)));
        result
    }

    /// Writes, and waits for the disk.
    fn write(
        &mut self,
        partition: &Partition,
        work: impl FnOnce(&sled::Tree) -> sled::Result<()>,
    ) -> Result<(), SnapshotError> {
        self.change(partition, |tree| {
            work(tree)?;
            flush(tree)
        })
    }

    /// Writes. After a failure the store is closed: what it would answer is not
    /// what the disk holds.
    fn change(
        &mut self,
        partition: &Partition,
        work: impl FnOnce(&sled::Tree) -> sled::Result<()>,
    ) -> Result<(), SnapshotError> {
        let result = self
            .tree(partition)
            .and_then(|tree| guarded(|| work(&tree)).map_err(SnapshotError::Damaged));
        if let Err(error) = result {
            self.is_damaged = true;
            self.let_go();
            return Err(self.unavailable(&error.to_string()));
        }
        Ok(())
    }

    fn unavailable(&self, why: &str) -> SnapshotError {
        SnapshotError::Unavailable(format!("snapshots in {}: {why}", self.folder.display()))
    }
}
