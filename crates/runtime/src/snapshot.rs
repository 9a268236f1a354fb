//! Snapshots of the evaluate stage: its state at a position of a summaries
//! partition, so that a restart folds the rest of the partition alone.
//!
//! A snapshot is a cache. It never changes a fact: whatever is odd about it
//! (lost, damaged, of other settings or charters, of another topic of the same
//! name), it is dropped with the reason and the state is folded from the log.
//!
//! What is kept of a partition is one header and one entry for each subject.
//! A save writes the subjects that changed since the one before, and the header
//! with them, together or not at all. Past windows, which baselines are made of,
//! lie beside them: written when they settle, read when a window is judged. The header holds a checksum over all
//! entries, which is a sum, so that it can be kept up to date entry by entry.

mod header;
mod keeper;
mod windows;

use std::fmt;
use std::sync::Arc;

use watchkeep_model::position::Partition;

pub(crate) use keeper::{Context, Keeper, Kept};

/// Keeps the snapshots of summaries partitions, as bytes. Implemented by the
/// shell; nothing of it may reach a fact.
pub trait SnapshotStore: fmt::Debug + Send {
    /// The header of a partition's snapshot; `None` where there is none.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn header(&mut self, partition: &Partition) -> Result<Option<Vec<u8>>, SnapshotError>;

    /// Hands over every entry (name, bytes) of a partition's snapshot, each once.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn entries(
        &mut self,
        partition: &Partition,
        handle: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), SnapshotError>;

    /// Keeps the bytes of a past window. No save is needed for it to be found;
    /// after a crash of the machine it is found if a later save is.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn put_window(
        &mut self,
        partition: &Partition,
        key: &[u8],
        bytes: Vec<u8>,
    ) -> Result<(), SnapshotError>;

    /// The bytes of a past window; `None` where there are none.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn window(
        &mut self,
        partition: &Partition,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, SnapshotError>;

    /// Replaces the header and the named entries, deletes the past windows that
    /// are forgotten and leaves the others, together or not at all. What was saved may be lost in a crash of the machine, but
    /// only as a whole: then the save before it is found.
    ///
    /// # Errors
    /// [`SnapshotError`]; the store must not be used any more.
    fn save(&mut self, partition: &Partition, save: Save) -> Result<(), SnapshotError>;

    /// Drops a partition's snapshot and past windows. Afterwards the store is fit to be used,
    /// whatever was wrong with it, even if other partitions' had to go as well.
    ///
    /// # Errors
    /// [`SnapshotError`]; the store must not be used any more.
    fn clear(&mut self, partition: &Partition) -> Result<(), SnapshotError>;
}

/// How often a session saves, counted in bytes of batches and not by a clock,
/// so that a repeated run saves at the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes that are folded before a snapshot is worth its flush.
    pub folded_bytes_min: u64,
    /// Bytes that are folded besides for each byte that the save before wrote.
    /// It bounds both what saving costs and what a crash leaves to be folded again.
    pub folded_bytes_per_saved: u64,
}

impl Default for Pace {
    /// Measured so that saving takes about a twentieth of the stage's time; see
    /// docs/performance.md.
    fn default() -> Self {
        Self { folded_bytes_min: 1 << 20, folded_bytes_per_saved: 16 }
    }
}

/// What one save writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Save {
    /// The new header.
    pub header: Vec<u8>,
    /// Entries that are new or other than before, each name once, ascending.
    pub entries: Vec<(Arc<str>, Vec<u8>)>,
    /// Keys of past windows that nobody will ask for.
    pub forgotten: Vec<Vec<u8>>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// What is kept cannot be read: clear it.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The place cannot be used, for instance because the disk is full: go on without.
    #[error("{0}")]
    Unavailable(String),
}

/// What became of snapshots, for the log lines of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A partition's state was restored.
    Restored {
        /// Which.
        partition: Partition,
        /// The position of the snapshot that it was restored from; `None` where
        /// it was folded from the beginning.
        snapshot: Option<i64>,
        /// Batches that were folded after it.
        batches: u64,
    },
    /// There was a snapshot, and it was dropped.
    Dropped {
        /// Of which partition.
        partition: Partition,
        /// Why it could not be used.
        why: String,
    },
    /// No snapshots are made or used any more in this session.
    Off {
        /// What the store said.
        why: String,
    },
}

impl Note {
    /// True where somebody should have a look.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::Dropped { .. } | Self::Off { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored { partition: Partition { topic, partition }, snapshot, batches } => {
                match snapshot {
                    Some(at) => write!(
                        f,
                        "{topic}/{partition}: restored from the snapshot at {at} and {batches} \
                         batches after it"
                    ),
                    None => write!(f, "{topic}/{partition}: restored from {batches} batches"),
                }
            }
            Self::Dropped { partition: Partition { topic, partition }, why } => {
                write!(f, "{topic}/{partition}: the snapshot is dropped: {why}")
            }
            Self::Off { why } => {
                write!(f, "snapshots are off until the next start, restarts take longer: {why}")
            }
        }
    }
}
