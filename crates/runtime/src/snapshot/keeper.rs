//! When snapshots are saved, and whether one may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_detection::evaluate::Evaluate;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::identifier::sha256;
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;

use super::header::{self, Header, record_hash};
use super::windows::SharedStore;
use super::{Note, Pace, Save, SnapshotError, SnapshotStore};
use crate::log::{Log, LogError};
use crate::rules::{Adopted, Rules};

/// Notes that wait for somebody to take them; the oldest are forgotten.
const NOTES_MAX: usize = 100;

/// Losses of past windows in one session after which the store is not used any
/// more: one that loses what it is given would have the log folded for ever.
const LOSSES_MAX: u32 = 3;

/// The version of this program.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Bytes that the end of a session may save. A larger save could take longer
/// than a process has to end; the one before stands, and more is folded anew.
const LAST_SAVE_BYTES_MAX: u64 = 256 << 20;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) partition: &'a Partition,
    /// Partitions of the summaries topic.
    pub(crate) partitions: i32,
    pub(crate) settings: TimeSettings,
    /// Where the charters come from.
    pub(crate) rules: &'a Rules,
}

impl Context<'_> {
    /// Of everything but charters that the state depends on.
    fn settings_hash(&self) -> [u8; 32] {
        let Self { partition: Partition { partition, .. }, partitions, settings, .. } = self;
        sha256(format!("{settings:?} {partition} of {partitions}").as_bytes())
    }

    /// A state in which nothing is folded.
    pub(crate) fn empty(&self) -> Evaluate {
        Evaluate::new(self.settings, self.partition.partition, self.partitions)
    }
}

/// Saves and restores the snapshots of one session.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// `None` where there are none, or no more.
    store: Option<SharedStore>,
    /// The same, for as long as states keep past windows in it.
    windows: Option<SharedStore>,
    /// How often past windows were lost.
    losses: u32,
    pace: Pace,
    saved_bytes: u64,
    notes: Vec<Note>,
}

/// What is known of the snapshot of one partition, beside its state.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Hash of each entry that is saved.
    entries: BTreeMap<Arc<str>, u128>,
    checksum: u128,
    /// Bytes and entries that the last save wrote, and bytes folded since.
    saved_bytes: u64,
    saved_entries: u64,
    folded_bytes: u64,
    /// The last record that was folded since.
    last: Option<(i64, Timestamp)>,
    last_value: Vec<u8>,
    /// The publications that the batches have told of.
    pub(crate) adopted: Adopted,
}

impl Kept {
    /// Takes note of a record that was folded.
    pub(crate) fn folded(&mut self, offset: i64, timestamp: Timestamp, value: &[u8]) {
        self.folded_bytes += value.len() as u64;
        self.last = Some((offset, timestamp));
        self.last_value.clear();
        self.last_value.extend_from_slice(value);
    }

    fn is_due(&self, pace: Pace) -> bool {
        let besides = pace.folded_bytes_per_saved.saturating_mul(self.saved_bytes);
        self.folded_bytes >= pace.folded_bytes_min.saturating_add(besides)
    }
}

impl Keeper {
    /// Saves nothing and restores nothing.
    pub(crate) fn off() -> Self {
        Self {
            store: None,
            windows: None,
            losses: 0,
            pace: Pace::default(),
            saved_bytes: 0,
            notes: Vec::new(),
        }
    }

    /// Keeps snapshots.
    pub(crate) fn new(store: Box<dyn SnapshotStore>, pace: Pace) -> Self {
        let store = SharedStore::new(store);
        let windows = Some(store.clone());
        Self { store: Some(store), windows, pace, ..Self::off() }
    }

    pub(crate) fn saved_bytes(&self) -> u64 {
        self.saved_bytes
    }

    /// What happened since this was asked last.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    pub(crate) fn note(&mut self, note: Note) {
        if self.notes.len() >= NOTES_MAX {
            self.notes.remove(0);
        }
        self.notes.push(note);
    }

    /// The state of a partition from its snapshot, what is known of that, and
    /// its position. `None` where there is none that may be used; then what
    /// there was is dropped.
    ///
    /// # Errors
    /// Those of the log, from which the last folded record is read again.
    pub(crate) fn load(
        &mut self,
        context: &Context<'_>,
        committed: i64,
        log: &mut dyn Log,
    ) -> Result<Option<(Evaluate, Kept, i64)>, LogError> {
        let Some(store) = &self.store else { return Ok(None) };
        store.begin(context.partition);
        let header = store.with(|store| usable_header(store, context, committed));
        let loaded = match header {
            Ok(None) => Err(None),
            Ok(Some(header)) => match missing(&header, context.partition, log)? {
                Some(why) => Err(Some(why)),
                None => store.with(|store| entries(store, context, &header)).map_err(Some),
            },
            Err(why) => Err(Some(why)),
        };
        match loaded {
            Ok((mut evaluate, kept, position)) => {
                evaluate.keep_past_in(store.windows(context.partition));
                Ok(Some((evaluate, kept, position)))
            }
            Err(why) => {
                if let Some(why) = why {
                    self.note(Note::Dropped { partition: context.partition.clone(), why });
                }
                self.clear(context.partition);
                Ok(None)
            }
        }
    }

    /// A state in which nothing is folded, and which keeps its past windows in
    /// the store where there is one.
    pub(crate) fn empty(&self, context: &Context<'_>) -> Evaluate {
        let mut evaluate = context.empty();
        if let Some(store) = &self.store {
            evaluate.keep_past_in(store.windows(context.partition));
        }
        evaluate
    }

    /// True where past windows were lost or damaged since this was asked last:
    /// every state has to be folded anew. Then the partition's snapshot is
    /// dropped, or no store is used any more where it is the store that fails.
    pub(crate) fn lost_windows(&mut self) -> bool {
        let fault = self.windows.as_ref().and_then(SharedStore::take_fault);
        let Some((partition, error)) = fault else { return false };
        self.losses += 1;
        match (&self.store, &error) {
            (Some(_), SnapshotError::Damaged(why)) if self.losses <= LOSSES_MAX => {
                self.note(Note::Dropped { partition: partition.clone(), why: why.clone() });
                self.clear(&partition);
            }
            (Some(_), _) => self.switch_off(&error),
            (None, _) => {}
        }
        if self.store.is_none() {
            self.windows = None;
        }
        true
    }

    /// Saves if enough was folded since.
    pub(crate) fn save_if_due(
        &mut self,
        context: &Context<'_>,
        evaluate: &mut Evaluate,
        kept: &mut Kept,
    ) {
        if kept.is_due(self.pace) {
            self.save(context, evaluate, kept);
        }
    }

    /// Saves at the end of a session, unless that might take too long.
    pub(crate) fn save_last(
        &mut self,
        context: &Context<'_>,
        evaluate: &mut Evaluate,
        kept: &mut Kept,
    ) {
        let each = kept.saved_bytes.checked_div(kept.saved_entries).unwrap_or(0);
        if each.saturating_mul(evaluate.changed_subjects() as u64) <= LAST_SAVE_BYTES_MAX {
            self.save(context, evaluate, kept);
        }
    }

    /// Saves what changed since the save before, if anything was folded.
    fn save(&mut self, context: &Context<'_>, evaluate: &mut Evaluate, kept: &mut Kept) {
        let (Some(store), Some((offset, timestamp))) = (&self.store, kept.last.take()) else {
            return;
        };
        let mut changed = Vec::new();
        let stage = evaluate.save(&mut |name, bytes| changed.push((name.clone(), bytes)));
        for (name, bytes) in &mut changed {
            let hash = header::seal(name.as_bytes(), bytes);
            let before = kept.entries.insert(name.clone(), hash).unwrap_or(0);
            kept.checksum = kept.checksum.wrapping_sub(before).wrapping_add(hash);
        }
        let header = Header {
            program: PROGRAM.to_owned(),
            settings: context.settings_hash(),
            charters: context.rules.hash(&kept.adopted),
            adopted: kept.adopted.clone(),
            position: offset + 1,
            last: (offset, record_hash(timestamp, &kept.last_value)),
            entries: kept.entries.len() as u64,
            checksum: kept.checksum,
            stage,
        };
        let save = Save { header: header.encode(), entries: changed, forgotten: Vec::new() };
        let bytes =
            save.entries.iter().map(|(name, bytes)| name.len() + bytes.len()).sum::<usize>();
        kept.saved_bytes = (save.header.len() + bytes) as u64;
        kept.saved_entries = save.entries.len() as u64;
        kept.folded_bytes = 0;
        self.saved_bytes += kept.saved_bytes;
        if let Err(error) = store.save(context.partition, save) {
            self.switch_off(&error);
        }
    }

    fn clear(&mut self, partition: &Partition) {
        let Some(store) = &self.store else { return };
        if let Err(error) = store.clear(partition) {
            self.switch_off(&error);
        }
    }

    fn switch_off(&mut self, error: &SnapshotError) {
        self.store = None;
        self.note(Note::Off { why: error.to_string() });
    }
}

/// The header, if it is of this deployment; otherwise why not.
fn usable_header(
    store: &mut dyn SnapshotStore,
    context: &Context<'_>,
    committed: i64,
) -> Result<Option<Header>, String> {
    let Some(bytes) = store.header(context.partition).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let header = Header::decode(&bytes)?;
    if header.program != PROGRAM {
        return Err(format!("made by version {}, this is version {PROGRAM}", header.program));
    }
    if header.settings != context.settings_hash() {
        return Err("made with other [time] settings or another number of partitions".to_owned());
    }
    if header.charters != context.rules.hash(&header.adopted) {
        return Err("made with other charters".to_owned());
    }
    if header.position > committed {
        return Err(format!(
            "it stands at {}, ahead of the committed position {committed}",
            header.position
        ));
    }
    Ok(Some(header))
}

/// Why the last folded record is not in the log; `None` where it is.
fn missing(
    header: &Header,
    partition: &Partition,
    log: &mut dyn Log,
) -> Result<Option<String>, LogError> {
    let (offset, hash) = header.last;
    let (first, end) = log.bounds(partition)?;
    if !(first..end).contains(&offset) {
        return Ok(Some(format!(
            "its last record, at {offset}, is not in the log, which holds {first} to {end}"
        )));
    }
    let mut found = None;
    log.scan(partition, offset, offset + 1, &mut |record| {
        if record.offset == offset {
            found = Some(record_hash(record.timestamp, record.value));
        }
    })?;
    Ok((found != Some(hash))
        .then(|| format!("the log has another record at {offset}: the topic was made anew")))
}

/// The state that header and entries come to.
fn entries(
    store: &mut dyn SnapshotStore,
    context: &Context<'_>,
    header: &Header,
) -> Result<(Evaluate, Kept, i64), String> {
    let unreadable = || "damaged: its entries cannot be read".to_owned();
    let Context { partition, partitions, settings, .. } = *context;
    let mut restoring = Evaluate::restore(settings, partition.partition, partitions, &header.stage)
        .ok_or_else(unreadable)?;
    let mut kept = Kept { adopted: header.adopted.clone(), ..Kept::default() };
    let mut is_readable = true;
    let mut take = |name: &[u8], bytes: &[u8]| -> Option<()> {
        let (bytes, hash) = header::unseal(name, bytes)?;
        kept.checksum = kept.checksum.wrapping_add(hash);
        let feature = restoring.subject(std::str::from_utf8(name).ok()?, bytes)?;
        kept.entries.insert(feature, hash).is_none().then_some(())
    };
    store
        .entries(partition, &mut |name, bytes| is_readable &= take(name, bytes).is_some())
        .map_err(|error| error.to_string())?;
    if !is_readable {
        return Err(unreadable());
    }
    if kept.checksum != header.checksum || kept.entries.len() as u64 != header.entries {
        return Err("damaged: its entries are not those that were saved".to_owned());
    }
    Ok((restoring.done(), kept, header.position))
}
