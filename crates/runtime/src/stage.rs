//! The loop that carries facts between a log and the pure stages.
//!
//! Each stage has one method, `turn`: poll the log once, handle what came,
//! commit what follows. The caller repeats it and says what time it is. When a
//! turn fails with [`StageError::Log`] the session has ended; a new session with a new stage
//! goes on where the last commit stands.

pub mod deliver;
pub mod escalate;
pub mod evaluate;
pub mod summarise;
pub mod waiting;

use watchkeep_detection::evaluate::BatchError;
use watchkeep_model::position::Partition;
use watchkeep_wire::Malformed;

use crate::log::{Log, LogError};
use crate::rules::{FollowError, Rules};

/// Why a stage cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StageError {
    /// The log ended the session, or does not answer: begin a new session.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A summary batch must not be used: stop and look.
    #[error("{topic}/{partition} at offset {offset}: {error}")]
    Batch {
        /// The summaries topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The batch's offset.
        offset: i64,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The summaries topic got another number of partitions while it was
    /// written to, by which features would change their partition: begin with
    /// another `topics.prefix`.
    #[error(
        "{topic} has {found} partitions and was begun with {expected}: their number is fixed, \
         because features would change their partition; begin with another topics.prefix"
    )]
    Layout {
        /// The summaries topic.
        topic: String,
        /// How many partitions it has.
        found: i32,
        /// How many it had.
        expected: i32,
    },
    /// A fact of Watchkeep's own cannot be read: stop and look who writes to the topic.
    #[error("{topic}/{partition} at offset {offset} is not readable: {}", error.detail)]
    Unreadable {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        error: Malformed,
    },
}

/// Reads what was published of charters since.
fn follow(rules: &Rules, log: &mut dyn Log) -> Result<(), StageError> {
    match rules.follow(&mut |partition, from, handle| read(log, partition, from, handle)) {
        Ok(_) => Ok(()),
        Err(FollowError::Log(error)) => Err(error.into()),
        Err(FollowError::Unreadable { topic, offset, error }) => {
            Err(StageError::Unreadable { topic, partition: 0, offset, error })
        }
    }
}

/// Reads what runs have shown since.
fn follow_runs(rules: &Rules, log: &mut dyn Log) -> Result<(), LogError> {
    let Some(topic) = rules.runs().topic() else { return Ok(()) };
    let partitions = log.partition_count(topic)?;
    let read = &mut |partition: &Partition, from: i64, handle: &mut dyn FnMut(i64, &[u8])| {
        read(log, partition, from, handle)
    };
    rules.runs().follow(partitions, read).map(|_| ())
}

/// A partition from an offset to its end as of now.
fn read(
    log: &mut dyn Log,
    partition: &Partition,
    from: i64,
    handle: &mut dyn FnMut(i64, &[u8]),
) -> Result<i64, LogError> {
    let (first, end) = log.bounds(partition)?;
    if from < end {
        log.scan(partition, from.max(first), end, &mut |record| {
            handle(record.offset, record.value);
        })?;
    }
    Ok(end.max(from))
}

/// What a turn did, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Records that were taken from the log.
    pub records: u64,
    /// Records that were committed, by topic.
    pub committed: Option<u64>,
    /// True while the stage rebuilds its state.
    pub restoring: bool,
}
