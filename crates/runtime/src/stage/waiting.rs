//! Partitions that wait for a writer's schema. A record whose schema is not
//! known yet is not skipped: its partition stands still before it, others go
//! on, and the schemas are read anew until it is there.

use std::collections::BTreeMap;
use std::fmt;

use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::schema_set::SchemaSet;

use crate::log::{Log, LogError};

/// Reads the writers' schemas anew; the error says where and why not.
pub type Schemas = Box<dyn FnMut() -> Result<SchemaSet, String> + Send>;

/// First time between two readings; doubled while it does not help, up to the last.
const PAUSE_FIRST: TimeSpan = TimeSpan::SECOND;
const PAUSE_LAST: TimeSpan = TimeSpan::SECOND.times(30);

/// What there is to tell of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A partition stands still before a record.
    Waits {
        /// Which.
        partition: Partition,
        /// The record.
        offset: i64,
        /// What is missing.
        detail: String,
    },
    /// A partition that stood still goes on.
    GoesOn {
        /// Which.
        partition: Partition,
        /// The record that it stood before.
        offset: i64,
    },
    /// The schemas cannot be read; they are asked for again.
    Unreadable(String),
}

/// The partitions that wait, and when to look again.
pub(super) struct Waiting {
    schemas: Option<Schemas>,
    at: BTreeMap<Partition, i64>,
    /// Where they stood when the schemas were last read.
    before: BTreeMap<Partition, i64>,
    /// Found since the last call of [`Waiting::pause`].
    found: Vec<Partition>,
    asked_at: Option<Timestamp>,
    pause: TimeSpan,
    notes: Vec<Note>,
}

impl Waiting {
    /// Without a way to read schemas anew nothing waits.
    pub(super) fn new(schemas: Option<Schemas>) -> Self {
        Self {
            schemas,
            at: BTreeMap::new(),
            before: BTreeMap::new(),
            found: Vec::new(),
            asked_at: None,
            pause: PAUSE_FIRST,
            notes: Vec::new(),
        }
    }

    pub(super) fn is_possible(&self) -> bool {
        self.schemas.is_some()
    }

    pub(super) fn holds(&self, partition: &Partition) -> bool {
        self.at.contains_key(partition)
    }

    /// How many partitions wait.
    pub(super) fn count(&self) -> usize {
        self.at.len().max(self.before.len())
    }

    /// True where no partition waits or has waited a moment ago.
    pub(super) fn is_idle(&self) -> bool {
        self.at.is_empty() && self.before.is_empty()
    }

    /// A record was read.
    pub(super) fn passed(&mut self, partition: &Partition) {
        if let Some(offset) = self.before.remove(partition) {
            self.notes.push(Note::GoesOn { partition: partition.clone(), offset });
        }
    }

    /// A record cannot be read yet: its partition waits from now on.
    pub(super) fn hold(&mut self, partition: &Partition, offset: i64, detail: &str) {
        self.at.insert(partition.clone(), offset);
        self.found.push(partition.clone());
        if self.before.remove(partition) != Some(offset) {
            self.pause = PAUSE_FIRST;
            let (partition, detail) = (partition.clone(), detail.to_owned());
            self.notes.push(Note::Waits { partition, offset, detail });
        }
    }

    /// Stops the delivery of the partitions that were found.
    pub(super) fn pause(&mut self, log: &mut dyn Log, now: Timestamp) -> Result<(), LogError> {
        for partition in std::mem::take(&mut self.found) {
            if let Some(offset) = self.at.get(&partition) {
                log.pause(&partition, *offset)?;
                self.asked_at = Some(now);
            }
        }
        Ok(())
    }

    /// All partitions are delivered again from their committed positions.
    pub(super) fn clear(&mut self) {
        self.at.clear();
        self.before.clear();
        self.found.clear();
    }

    /// The schemas as they are now, where it is time to look; every partition
    /// that waits is then delivered again.
    pub(super) fn look(
        &mut self,
        log: &mut dyn Log,
        now: Timestamp,
    ) -> Result<Option<SchemaSet>, LogError> {
        let (false, Some(schemas)) = (self.at.is_empty(), &mut self.schemas) else {
            return Ok(None);
        };
        // A clock that went back looks again, too.
        let age = self.asked_at.map_or(self.pause, |asked| now.since(asked));
        if age >= TimeSpan::ZERO && age < self.pause {
            return Ok(None);
        }
        self.asked_at = Some(now);
        self.pause = self.pause.times(2).min(PAUSE_LAST);
        match schemas() {
            Ok(set) => {
                for partition in self.at.keys() {
                    log.resume(partition)?;
                }
                self.before.extend(std::mem::take(&mut self.at));
                Ok(Some(set))
            }
            Err(why) => {
                self.notes.push(Note::Unreadable(why));
                Ok(None)
            }
        }
    }

    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits { partition: Partition { topic, partition }, offset, detail } => write!(
                f,
                "{topic} {partition} waits at offset {offset}, nothing is skipped: {detail}; \
                 they are read again, first after {PAUSE_FIRST}, later every {PAUSE_LAST}"
            ),
            Self::GoesOn { partition: Partition { topic, partition }, offset } => {
                write!(f, "{topic} {partition} goes on at offset {offset}")
            }
            Self::Unreadable(why) => {
                write!(f, "writers' schemas cannot be read, which partitions wait for: {why}")
            }
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("at", &self.at).field("pause", &self.pause).finish()
    }
}
