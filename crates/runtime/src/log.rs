//! The one seam between Watchkeep and a log: Kafka, sled or memory.
//!
//! A [`Log`] is the session of one stage instance: a member of a consumer
//! group and a transactional producer in one. It delivers the records of the
//! assigned partitions in order, tells of assignment and revocation, and
//! commits consumed positions and produced records together or not at all.
//!
//! What every implementation promises, and [`crate::conformance`] checks:
//! - a commit is all or nothing;
//! - records of an aborted or open transaction are never delivered;
//! - a fenced instance cannot commit ([`LogError::Fenced`]);
//! - positions survive a crash of the process;
//! - order within a partition holds, and offsets only grow (they may have gaps);
//! - after a revocation nothing of the uncommitted work survives: partitions
//!   that remain are delivered again from their committed positions.

use std::sync::Arc;

use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// A session of one stage instance with a log.
pub trait Log {
    /// Waits up to `max_wait` for records or a change of assignment and calls
    /// `handle` for each event, in order. Returns after at most one batch of
    /// [`BATCH_RECORDS_MAX`] records, with the record that brings it to
    /// [`BATCH_BYTES_MAX`], or when `max_wait` has passed without any.
    /// Payloads are borrowed until `handle` returns.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] passes by itself, and nothing was handed over:
    /// poll again. Every other error ends the session.
    fn poll(
        &mut self,
        max_wait: TimeSpan,
        handle: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LogError>;

    /// Commits the positions (the next offset to read, per assigned
    /// partition) and the records in one transaction. When it returns, both
    /// hold; when it fails with [`LogError::Aborted`] neither does and the log has
    /// rewound every assigned partition to its committed position, also one
    /// that [`Log::seek`] had moved (the stage must drop its uncommitted
    /// work). An empty transaction is nothing.
    ///
    /// # Errors
    /// [`LogError::Aborted`]: drop uncommitted work and go on polling; also
    /// where a position is of a partition that is not, or no longer, this
    /// instance's, of which the next poll tells.
    /// [`LogError::Fenced`] and the rest: end the session.
    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError>;

    /// Delivers an assigned partition from `offset` on, instead of from where
    /// it stands. Stages use it to fold a partition from its beginning. It does
    /// not change the committed position.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    fn seek(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError>;

    /// Delivers nothing more of an assigned partition until [`Log::resume`],
    /// and then from `offset` on. It does not change the committed position.
    /// Whatever takes partitions back to their committed positions, a
    /// revocation or an abort, ends it.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    fn pause(&mut self, partition: &Partition, offset: i64) -> Result<(), LogError>;

    /// Goes on with a partition that was paused; with another, nothing happens.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    fn resume(&mut self, partition: &Partition) -> Result<(), LogError>;

    /// True where the group has shared out all partitions, and none to this
    /// session: it stands by until another one leaves.
    fn is_spare(&self) -> bool {
        false
    }

    /// Number of partitions of a topic, 0 where it does not exist.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    fn partition_count(&mut self, topic: &str) -> Result<i32, LogError>;

    /// The offsets `[first, end)` that a partition holds, as a committed reader sees them.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    fn bounds(&mut self, partition: &Partition) -> Result<(i64, i64), LogError>;

    /// The same when everything that was written to it before this call is
    /// committed or undone. For restoring a stage from a whole topic that others
    /// may be writing to: what lies behind an open record is committed and not
    /// shown yet.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], also where something stays open, or a fatal one.
    fn settled(&mut self, partition: &Partition) -> Result<(i64, i64), LogError> {
        self.bounds(partition)
    }

    /// Reads one partition from `from` up to `to` (exclusive), or to its end as
    /// of now, outside of the group, calling `handle` for each committed record. For restoring a
    /// stage from its own output and for `export`.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] or a fatal one.
    fn scan(
        &mut self,
        partition: &Partition,
        from: i64,
        to: i64,
        handle: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), LogError>;
}

/// What [`Log::poll`] tells.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The partition is now this instance's; its records follow from `position` on.
    Assigned {
        /// Which.
        partition: &'a Partition,
        /// The committed position, or the beginning of the partition.
        position: i64,
    },
    /// The partition is no longer this instance's. The stage drops all of its
    /// uncommitted work; partitions that remain are delivered again from their
    /// committed positions.
    Revoked {
        /// Which.
        partition: &'a Partition,
    },
    /// One record.
    Record(Record<'a>),
    /// The partition has been read to its end as of now. Told at least whenever
    /// a poll finds nothing more anywhere, and again every second or so, also
    /// while other partitions are busy.
    CaughtUp {
        /// Which.
        partition: &'a Partition,
        /// The next offset.
        position: i64,
    },
}

/// One record of the log, borrowed from its buffers.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it came from.
    pub partition: &'a Partition,
    /// Its offset.
    pub offset: i64,
    /// When the log took it (broker or append time).
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its bytes; empty for a tombstone.
    pub value: &'a [u8],
    /// The `content-type` header, where there is one.
    pub content_type: Option<&'a str>,
}

/// Positions and records that hold together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    /// Per consumed partition, the next offset to read.
    pub positions: Vec<(Partition, i64)>,
    /// What to append, in order.
    pub records: Vec<Outgoing>,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Where to.
    pub topic: Arc<str>,
    /// The partition; `None` lets the key choose (the same key, the same partition).
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its bytes; empty for a tombstone.
    pub value: Vec<u8>,
    /// Headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Records that one poll hands over at most; the rest waits for the next.
pub const BATCH_RECORDS_MAX: usize = 10_000;

/// Bytes of keys and values at which a poll hands over no further record; the
/// rest waits for the next. So whoever keeps a copy of a batch keeps no more
/// than this and one record.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// Bytes of a record's value that every log takes. What is larger may be
/// refused, so whoever makes records splits them before.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// The `content-type` header of a record, by which its encoding is told.
pub const CONTENT_TYPE: &str = "content-type";

/// The partition of a key where the record names none: murmur2, seed
/// 0x9747b28c, as Kafka's Java client and librdkafka's `murmur2` partitioner
/// choose, so that a key has the same partition in every log. Source: Austin
/// Appleby, MurmurHash2; Apache Kafka, `Utils.murmur2`.
pub fn partition_of_key(key: &[u8], partition_count: i32) -> i32 {
    (murmur2(key).cast_signed() & i32::MAX) % partition_count.max(1)
}

fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0_u32, |k, byte| k << 8 | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |k, byte| k << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// What can go wrong with a log, by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log does not answer for now; try again.
    #[error("the log does not answer: {0}")]
    Unavailable(String),
    /// The transaction did not take place; drop uncommitted work and go on.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// A newer instance has taken this one's place; end the session.
    #[error("fenced by a newer instance: {0}")]
    Fenced(String),
    /// A topic is missing; create it (`watchkeep topics create`).
    #[error("topic {0} does not exist: run `watchkeep topics create`")]
    NoTopic(String),
    /// Stored bytes are damaged, or the disk refuses; end the session and look.
    #[error("{0}")]
    Fatal(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Apache Kafka's own test of `Utils.murmur2`.
    #[test]
    fn keys_hash_as_in_kafka() {
        let hash = |key: &str| murmur2(key.as_bytes()).cast_signed();
        assert_eq!(hash("21"), -973_932_308);
        assert_eq!(hash("foobar"), -790_332_482);
        assert_eq!(hash("a-little-bit-long-string"), -985_981_536);
        assert_eq!(hash("a-little-bit-longer-string"), -1_486_304_829);
        assert_eq!(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58_897_971);
        assert_eq!(hash("abc"), 479_470_107);
    }
}
