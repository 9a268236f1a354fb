//! The ledger of a summaries partition: does every offset of every source
//! count once?
//!
//! Two proofs that need nothing of each other. Each batch names the range of
//! offsets that it covers of each source partition; the ranges of a partition
//! must join. And the batches of a writer's session are numbered; the numbers
//! must follow each other. The first finds events that are missing or counted
//! twice, whoever wrote them; the second also finds a lost or doubled record
//! that moved no source, such as one that tells of idleness or holds a part of
//! a large batch.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::{SourceProgress, SummaryBatch};
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;

/// Sessions that are remembered. At the limit the one that was heard of
/// longest ago is forgotten; should it write again, its ranges still have to join.
const SESSIONS_MAX: usize = 1024;

/// What a partition's batches have covered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    sources: BTreeMap<Partition, Coverage>,
    sessions: BTreeMap<SessionName, Session>,
    heard: u64,
    duplicates: u64,
    /// True where batches before the first are gone, so that sessions may be
    /// met in their middle.
    is_midway: bool,
}

/// The offsets `[from, to)` of a source partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// First offset covered.
    pub from: i64,
    /// The next offset that a batch has to begin with.
    pub to: i64,
}

type SessionName = (Arc<str>, Timestamp);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    /// Number and part of the record that has to follow.
    next: (u64, u32),
    /// When it was heard of last, in records.
    heard: u64,
}

/// How a batch joins what was covered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// It begins where the last ones ended.
    Whole,
    /// All of it was covered before; it is to be dropped.
    Duplicate,
}

/// A batch that does not join on. The message names the range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// What is wrong.
    pub fault: Fault,
    /// Who wrote the batch.
    pub instance: Arc<str>,
    /// When the writer's session began.
    pub session: Timestamp,
    /// Number of the batch in its session.
    pub sequence: u64,
    /// Number of the batch that was to follow in that session.
    pub expected: u64,
}

/// What is wrong with a batch that does not join on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// No batch covers the offsets `[from, to)`.
    Gap {
        /// Of which source partition.
        source: Partition,
        /// First offset missing.
        from: i64,
        /// The offset that the batch begins with.
        to: i64,
    },
    /// The offsets `[from, to)` are covered a second time, together with others
    /// that are new, so that the batch cannot be dropped.
    Overlap {
        /// Of which source partition.
        source: Partition,
        /// First offset covered twice.
        from: i64,
        /// The next one.
        to: i64,
    },
    /// Records of the session are missing that moved no source or held a part
    /// of a batch: from number and part `from` to before `to`.
    Missing {
        /// The record that had to follow: its number and part.
        from: (u64, u32),
        /// The record that came.
        to: (u64, u32),
    },
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Gap { source, from, to } => write!(
                f,
                "the ledger has a gap: offsets {from} to {} of {}/{} are in no batch",
                to - 1,
                source.topic,
                source.partition
            )?,
            Fault::Overlap { source, from, to } => write!(
                f,
                "the ledger has an overlap: offsets {from} to {} of {}/{} are in two batches",
                to - 1,
                source.topic,
                source.partition
            )?,
            Fault::Missing { from, to } => write!(
                f,
                "the ledger misses records of a session: batch {} part {} was to follow, batch {} \
                 part {} came",
                from.0, from.1, to.0, to.1
            )?,
        }
        let Self { instance, session, sequence, expected, .. } = self;
        write!(f, " (batch {sequence} of the session of {instance} that began {session}")?;
        if expected < sequence {
            write!(f, ", of which batches {expected} to {} are missing", sequence - 1)?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Torn {}

impl Ledger {
    /// A ledger whose first batches are gone: sessions and sources are taken
    /// up where they are met.
    pub fn begin_midway(&mut self) {
        self.is_midway = true;
    }

    /// Takes a batch into account, or leaves everything as it is.
    ///
    /// # Errors
    /// [`Torn`]: the batch does not join on and must not be used.
    pub fn take(&mut self, batch: &SummaryBatch) -> Result<Joint, Torn> {
        let torn = |fault| Torn {
            fault,
            instance: batch.instance.clone(),
            session: batch.session,
            sequence: batch.sequence,
            expected: self.expected(batch).0,
        };
        let numbered = self.numbered(batch);
        match self.ranges(batch).map_err(torn)? {
            // What says that it is new and covers nothing new is a repeat too:
            // the same offsets, read by somebody who should not have.
            Ranges::Covered => {
                if numbered == Numbered::Next {
                    self.note_session(batch);
                }
                self.duplicates += 1;
                return Ok(Joint::Duplicate);
            }
            Ranges::Still if numbered == Numbered::Again => {
                self.duplicates += 1;
                return Ok(Joint::Duplicate);
            }
            Ranges::Still | Ranges::Joined => {}
        }
        match numbered {
            Numbered::Next => {}
            Numbered::Again => {
                // The number was there and its ranges are new: another batch
                // under the same name, which no honest writer makes.
                let at = (batch.sequence, batch.part);
                return Err(torn(Fault::Missing { from: self.expected(batch), to: at }));
            }
            Numbered::TooFar { from } => {
                let to = (batch.sequence, batch.part);
                return Err(torn(Fault::Missing { from, to }));
            }
        }
        self.note(batch);
        Ok(Joint::Whole)
    }

    /// Goes on behind a batch that did not join on, as if it had: for an audit
    /// that wants to find every fault and not only the first.
    pub fn adopt(&mut self, batch: &SummaryBatch) {
        self.note(batch);
    }

    /// The sessions that wrote, each with its instance, its beginning, and the
    /// number and part of the record that would follow.
    pub fn sessions(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp, (u64, u32))> {
        self.sessions.iter().map(|((instance, began), session)| (instance, *began, session.next))
    }

    /// What is covered of each source partition.
    pub fn sources(&self) -> &BTreeMap<Partition, Coverage> {
        &self.sources
    }

    /// Batches that were dropped because they came again.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Takes note of progress that no batch carries, in a replay within one process.
    pub fn progress(&mut self, progress: &SourceProgress) {
        let coverage = self
            .sources
            .entry(progress.source.clone())
            .or_insert(Coverage { from: progress.from, to: progress.from });
        coverage.to = coverage.to.max(progress.to);
    }

    fn expected(&self, batch: &SummaryBatch) -> (u64, u32) {
        let name = (batch.instance.clone(), batch.session);
        self.sessions.get(&name).map_or((0, 0), |session| session.next)
    }

    fn numbered(&self, batch: &SummaryBatch) -> Numbered {
        let at = (batch.sequence, batch.part);
        let name = (batch.instance.clone(), batch.session);
        match self.sessions.get(&name).map(|session| session.next) {
            Some(next) if at == next => Numbered::Next,
            Some(next) if at < next => Numbered::Again,
            None if at == (0, 0) || self.is_midway => Numbered::Next,
            next => Numbered::TooFar { from: next.unwrap_or((0, 0)) },
        }
    }

    fn ranges(&self, batch: &SummaryBatch) -> Result<Ranges, Fault> {
        let mut ends: BTreeMap<&Partition, i64> = BTreeMap::new();
        let mut twice: Option<Fault> = None;
        let mut moved = false;
        for progress in batch.steps.iter().flat_map(|step| &step.sources) {
            let SourceProgress { source, from, to, .. } = progress;
            let before = ends
                .get(source)
                .copied()
                .or_else(|| self.sources.get(source).map(|coverage| coverage.to));
            match before {
                Some(end) if *from > end => {
                    return Err(Fault::Gap { source: source.clone(), from: end, to: *from });
                }
                Some(end) if *from < end => {
                    let to = end.min(*to).max(*from);
                    if to > *from {
                        let fault = Fault::Overlap { source: source.clone(), from: *from, to };
                        twice.get_or_insert(fault);
                    }
                    // What goes on behind the covered part is new.
                    moved |= progress.to > end;
                    ends.insert(source, end.max(progress.to));
                }
                _ => {
                    moved |= to > from;
                    ends.insert(source, *to);
                }
            }
        }
        match twice {
            Some(fault) if moved => Err(fault),
            Some(_) => Ok(Ranges::Covered),
            None if moved => Ok(Ranges::Joined),
            None => Ok(Ranges::Still),
        }
    }

    fn note(&mut self, batch: &SummaryBatch) {
        for progress in batch.steps.iter().flat_map(|step| &step.sources) {
            self.progress(progress);
        }
        self.note_session(batch);
    }

    fn note_session(&mut self, batch: &SummaryBatch) {
        self.heard += 1;
        let next = if batch.part + 1 < batch.parts {
            (batch.sequence, batch.part + 1)
        } else {
            (batch.sequence + 1, 0)
        };
        let session = Session { next, heard: self.heard };
        self.sessions.insert((batch.instance.clone(), batch.session), session);
        if self.sessions.len() > SESSIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.heard);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.sessions.remove(&name);
            }
        }
    }
}

enum Ranges {
    /// New offsets that join.
    Joined,
    /// No offset at all.
    Still,
    /// Offsets, all of which were covered before.
    Covered,
}

#[derive(PartialEq, Eq)]
enum Numbered {
    Next,
    Again,
    TooFar { from: (u64, u32) },
}

#[cfg(test)]
mod tests {
    use watchkeep_model::batch::Step;

    use super::*;

    fn batch(instance: &str, sequence: u64, ranges: &[(i32, i64, i64)]) -> SummaryBatch {
        let source = |&(partition, from, to): &(i32, i64, i64)| SourceProgress {
            source: Partition::new("t", partition),
            from,
            to,
            watermark: None,
            idle: false,
            silent_since: None,
        };
        SummaryBatch {
            instance: instance.into(),
            sequence,
            parts: 1,
            steps: vec![Step { deltas: Vec::new(), sources: ranges.iter().map(source).collect() }],
            ..SummaryBatch::default()
        }
    }

    fn part(part: u32, parts: u32, batch: SummaryBatch) -> SummaryBatch {
        SummaryBatch { part, parts, ..batch }
    }

    fn told(ledger: &mut Ledger, batch: &SummaryBatch) -> String {
        let before = ledger.sources.clone();
        match ledger.take(batch) {
            Ok(joint) => format!("{joint:?}"),
            Err(torn) => {
                assert_eq!(ledger.sources, before, "a torn batch changes nothing");
                torn.to_string()
            }
        }
    }

    #[test]
    fn ranges_join_across_writers() {
        let mut ledger = Ledger::default();
        assert_eq!(told(&mut ledger, &batch("a", 0, &[(0, 0, 5), (1, 7, 7)])), "Whole");
        assert_eq!(told(&mut ledger, &batch("b", 0, &[(0, 5, 9)])), "Whole");
        assert_eq!(told(&mut ledger, &batch("a", 1, &[(1, 7, 8)])), "Whole");
        assert_eq!(ledger.sources()[&Partition::new("t", 0)], Coverage { from: 0, to: 9 });
    }

    #[test]
    fn what_comes_again_is_dropped() {
        let mut ledger = Ledger::default();
        let first = batch("a", 0, &[(0, 0, 5)]);
        let idle = batch("a", 1, &[(0, 5, 5)]);
        for one in [&first, &idle] {
            assert_eq!(told(&mut ledger, one), "Whole");
        }
        for one in [&first, &idle, &first] {
            assert_eq!(told(&mut ledger, one), "Duplicate");
        }
        // By a writer that should not have read them: another cut of the same offsets.
        assert_eq!(told(&mut ledger, &batch("zombie", 0, &[(0, 2, 4)])), "Duplicate");
        assert_eq!(ledger.duplicates(), 4);
        assert_eq!(told(&mut ledger, &batch("a", 2, &[(0, 5, 6)])), "Whole");
    }

    #[test]
    fn gaps_and_overlaps_name_their_range() {
        let mut ledger = Ledger::default();
        assert_eq!(told(&mut ledger, &batch("a", 0, &[(0, 0, 5)])), "Whole");
        let gap = told(&mut ledger, &batch("a", 1, &[(0, 8, 9)]));
        assert!(gap.contains("offsets 5 to 7 of t/0 are in no batch"), "{gap}");
        let overlap = told(&mut ledger, &batch("b", 0, &[(0, 3, 9)]));
        assert!(overlap.contains("offsets 3 to 4 of t/0 are in two batches"), "{overlap}");
        let mixed = told(&mut ledger, &batch("b", 0, &[(0, 3, 5), (1, 0, 2)]));
        assert!(mixed.contains("offsets 3 to 4 of t/0"), "{mixed}");
    }

    #[test]
    fn a_record_that_moved_nothing_is_missed_by_its_number() {
        let mut ledger = Ledger::default();
        assert_eq!(told(&mut ledger, &batch("a", 0, &[(0, 0, 5)])), "Whole");
        let missed = told(&mut ledger, &batch("a", 2, &[(0, 5, 6)]));
        assert!(missed.contains("batch 1 part 0 was to follow, batch 2 part 0 came"), "{missed}");
        let unbegun = told(&mut ledger, &batch("b", 3, &[(0, 5, 6)]));
        assert!(unbegun.contains("batch 0 part 0 was to follow"), "{unbegun}");
    }

    #[test]
    fn parts_of_a_batch_are_all_there() {
        let mut ledger = Ledger::default();
        let first = part(0, 2, batch("a", 0, &[(0, 0, 0)]));
        assert_eq!(told(&mut ledger, &first), "Whole");
        assert_eq!(told(&mut ledger, &first), "Duplicate");
        assert_eq!(told(&mut ledger, &part(1, 2, batch("a", 0, &[(0, 0, 5)]))), "Whole");
        let missed = told(&mut ledger, &part(1, 2, batch("a", 1, &[(0, 5, 6)])));
        assert!(missed.contains("batch 1 part 0 was to follow, batch 1 part 1 came"), "{missed}");
    }

    #[test]
    fn a_log_whose_beginning_is_gone_is_taken_up_in_its_middle() {
        let mut ledger = Ledger::default();
        ledger.begin_midway();
        assert_eq!(told(&mut ledger, &batch("a", 7, &[(0, 40, 45)])), "Whole");
        assert_ne!(told(&mut ledger, &batch("a", 9, &[(0, 45, 46)])), "Whole");
        assert_eq!(told(&mut ledger, &batch("b", 3, &[(1, 5, 6)])), "Whole");
    }
}
