//! What became of a transaction that has ended, by what readers are shown.

use std::time::{Duration, Instant};

use watchkeep_model::position::Partition;
use watchkeep_runtime::log::LogError;

use crate::reader::KafkaReader;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a transaction wrote to a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) partition: Partition,
    /// Its first record there. As long as it is open, readers are shown
    /// nothing from here on.
    pub(crate) first: i64,
    /// Its last record there.
    pub(crate) last: i64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Readers are shown its records: it was committed.
    Shown,
    /// Its records are no reader's, or open still: where the brokers have
    /// ended it, their marks were left out.
    NotShown,
    /// Open transactions of others are in the way everywhere.
    Unknown,
}

/// Looks once. A partition where it is shown decides; next one where it is not.
///
/// # Errors
/// Those of the reader.
pub(crate) fn fate(reader: &mut KafkaReader, written: &[Written]) -> Result<Fate, LogError> {
    let mut fate = Fate::Unknown;
    for Written { partition, first, last } in written {
        let (begin, end) = reader.bounds(partition)?;
        if begin > *last {
            // It was kept for as long as records are.
            return Ok(Fate::Shown);
        }
        if end > *first {
            let mut found = false;
            reader.scan(partition, *first, end.min(last + 1), &mut |_| found = true)?;
            if found {
                return Ok(Fate::Shown);
            }
            fate = Fate::NotShown;
        } else if end == *first {
            // What readers are not shown begins with it.
            fate = Fate::NotShown;
        }
    }
    Ok(fate)
}

/// Looks until it is known, or for so long.
///
/// # Errors
/// Those of the reader.
pub(crate) fn await_fate(
    reader: &mut KafkaReader,
    written: &[Written],
    max: Duration,
) -> Result<Fate, LogError> {
    let deadline = Instant::now() + max;
    loop {
        let fate = fate(reader, written)?;
        if fate != Fate::Unknown || Instant::now() >= deadline {
            return Ok(fate);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
