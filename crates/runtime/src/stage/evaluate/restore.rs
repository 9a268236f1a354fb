//! The state of a partition before its first turn: from a snapshot and the
//! rest of the log, told to nobody.

use watchkeep_detection::evaluate::Outputs;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::position::Partition;

use super::{Folded, fold, read};
use crate::log::{Log, LogError};
use crate::rules::Rules;
use crate::snapshot::{Context, Keeper, Kept};
use crate::stage::StageError;

/// A state on its way to the committed position.
#[derive(Debug)]
pub(super) struct Restoring {
    pub(super) folded: Folded,
    /// The next offset to fold.
    pub(super) next: i64,
    /// The position of the snapshot that it began with.
    pub(super) snapshot: Option<i64>,
    pub(super) batches: u64,
}

impl Restoring {
    /// A partition's state from its snapshot, or with nothing folded.
    pub(super) fn begin(
        keeper: &mut Keeper,
        context: &Context<'_>,
        committed: i64,
        log: &mut dyn Log,
    ) -> Result<Self, LogError> {
        let partitions = context.partitions;
        if let Some((evaluate, kept, position)) = keeper.load(context, committed, log)? {
            let folded = Folded { evaluate, kept, partitions };
            return Ok(Self { folded, next: position, snapshot: Some(position), batches: 0 });
        }
        let (first, _) = log.bounds(context.partition)?;
        let mut evaluate = keeper.empty(context);
        if first > 0 {
            evaluate.begin_midway();
        }
        let folded = Folded { evaluate, kept: Kept::default(), partitions };
        Ok(Self { folded, next: first, snapshot: None, batches: 0 })
    }

    /// Folds a partition up to an offset, without telling anybody.
    pub(super) fn fold(
        &mut self,
        log: &mut dyn Log,
        (partition, to): (&Partition, i64),
        settings: TimeSettings,
        rules: &Rules,
        keeper: &mut Keeper,
    ) -> Result<(), StageError> {
        if self.next >= to {
            return Ok(());
        }
        let folded = &mut self.folded;
        let context = Context { partition, partitions: folded.partitions, settings, rules };
        let mut result = Ok(());
        let batches = &mut self.batches;
        log.scan(partition, self.next, to, &mut |record| {
            if result.is_err() {
                return;
            }
            // What it was told with was read before the session began.
            result = read(&record)
                .and_then(|batch| fold(folded, &record, &batch, rules, &mut Outputs::default()));
            if result.is_ok() {
                *batches += 1;
                let Folded { evaluate, kept, .. } = folded;
                kept.folded(record.offset, record.timestamp, record.value);
                // Also on the way, so that a restore that is broken off again
                // and again comes to its end all the same.
                keeper.save_if_due(&context, evaluate, kept);
            }
        })?;
        result
    }
}
