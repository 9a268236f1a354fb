//! Appends one record after another, a batch at a time.

use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{LogError, Outgoing};

use crate::store::SledStore;

/// Records that wait to be written together. At the limit they are written.
const WAITING_RECORDS_MAX: usize = 5_000;

/// Bytes of values that wait to be written together. At the limit they are written.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Collects records and appends them in batches. What was appended since the
/// last [`SledAppender::flush`] is not on the disk yet and is lost with the appender.
pub struct SledAppender {
    store: SledStore,
    waiting: Vec<(Outgoing, Option<Timestamp>)>,
    waiting_bytes: usize,
}

impl SledAppender {
    /// An appender to a store.
    pub fn new(store: SledStore) -> Self {
        Self { store, waiting: Vec::new(), waiting_bytes: 0 }
    }

    /// Takes a record, and writes what waits when that is enough. The record
    /// gets the present time where none is stated.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] or a fatal one, for any record that waits.
    pub fn append(&mut self, record: Outgoing, at: Option<Timestamp>) -> Result<(), LogError> {
        self.waiting_bytes += record.value.len();
        self.waiting.push((record, at));
        if self.waiting.len() >= WAITING_RECORDS_MAX || self.waiting_bytes >= WAITING_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`LogError::NoTopic`] or a fatal one; then nothing of what waits was written.
    pub fn flush(&mut self) -> Result<(), LogError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.store.append(&waiting)
    }
}
