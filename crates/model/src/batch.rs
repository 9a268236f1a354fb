//! What one commit of the summarise stage publishes to one partition of the
//! summaries topic.

use std::sync::Arc;

use crate::position::Partition;
use crate::summary::Summary;
use crate::time::{TimeSpan, Timestamp};

/// One record of the summaries topic.
///
/// Every commit writes one batch to **every** summaries partition: the same
/// steps and source positions, and of the deltas those of the features that
/// belong to the partition. So each partition alone tells the whole watermark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryBatch {
    /// The deployment's pane; a reader of another pane refuses the batch.
    pub pane: TimeSpan,
    /// The instance that wrote it (its transactional id).
    pub instance: Arc<str>,
    /// When the instance's session began, by its own clock. Together with
    /// `instance` it names the session; nothing else rests on it.
    pub session: Timestamp,
    /// Number of the batch in its session, from 0, the same in every partition.
    /// A number that is missing tells of a batch that got lost, one that comes
    /// again of a batch that was doubled, also where no source moved.
    pub sequence: u64,
    /// A large batch is cut into several records of one commit: which one, from 0 …
    pub part: u32,
    /// … of how many.
    pub parts: u32,
    /// How many partitions the summaries topic has. It is fixed for a
    /// deployment, because features would change their partition.
    pub partitions: i32,
    /// How many partitions each source topic has. A partition that no batch
    /// has told of yet holds the watermark.
    pub source_topics: Vec<(Arc<str>, i32)>,
    /// How far the charters topic was read when the batch was written: the
    /// offset behind the last publication. Whoever evaluates the batch adopts
    /// the charters up to there, so that when a revision begins to act is a
    /// fact. Absent where charters come from a folder.
    pub charters: Option<i64>,
    /// In order. Within a step the watermark of no source partition crosses a
    /// pane bound, so every event of it is judged by the watermark that stood
    /// before it, to the pane.
    pub steps: Vec<Step>,
}

/// A part of a batch: events, then the watermarks after them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Summaries of the events of the step, ascending by feature, version and
    /// pane; after them those of single events with an `event_id`, in order of arrival.
    pub deltas: Vec<Delta>,
    /// What was read in the step and how far it came, ascending by partition;
    /// partitions that did not move are absent.
    pub sources: Vec<SourceProgress>,
}

/// Events of one feature, version and pane.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The subject as telemetry names it.
    pub feature: Arc<str>,
    /// The feature's version, often empty.
    pub feature_version: Arc<str>,
    /// First instant of the pane.
    pub pane_start: Timestamp,
    /// The producer's id of the one event that this is, where the charter says
    /// `deduplicate`; absent for a summary of any number of events.
    pub event_id: Option<Arc<str>>,
    /// What they were.
    pub summary: Summary,
}

/// How far a source partition has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProgress {
    /// Which.
    pub source: Partition,
    /// First offset covered.
    pub from: i64,
    /// The next offset to read; the covered range is `[from, to)`.
    pub to: i64,
    /// Largest event time seen less `out_of_orderness`; absent before the first event.
    pub watermark: Option<Timestamp>,
    /// True where the partition was read to its end for `idle_after` and so no
    /// longer holds the watermark. It is told again and again: idleness that
    /// nobody confirms lapses, so that a partition without an owner holds.
    pub idle: bool,
    /// Since when nothing came at all, by the clock of the instance: told once
    /// that is longer than `dead_man_after`.
    pub silent_since: Option<Timestamp>,
}

/// The summaries partition of a feature, of `partitions`. Stable across
/// versions: a feature's history would be torn apart otherwise. FNV-1a, 64 bits.
pub fn partition_of(feature: &str, partitions: i32) -> i32 {
    let hash = feature.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits of FNV are its weakest; fold the high half onto them.
    i32::try_from((hash ^ (hash >> 32)) % u64::from(partitions.max(1).unsigned_abs())).unwrap_or(0)
}
