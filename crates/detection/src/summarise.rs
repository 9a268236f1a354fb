//! Folds events into summaries and cuts them into steps and batches.
//!
//! Keeps nothing that a restart would need: after [`Summarise::discard`] the
//! committed positions are all there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch, partition_of};
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::summary::Summary;
use watchkeep_model::telemetry::Telemetry;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::charters::Charters;
use crate::settings::TimeSettings;

/// Names of features that are kept between commits. At the limit all are
/// forgotten at the next commit and learned anew, which costs time only.
const NAMES_MAX: usize = 1 << 20;

#[expect(clippy::disallowed_types, reason = "only looked up; what leaves goes through a sort")]
type Lookup<K, V> = std::collections::HashMap<K, V, FxBuildHasher>;

/// The summarise stage of one instance.
#[derive(Debug)]
pub struct Summarise {
    settings: TimeSettings,
    instance: Arc<str>,
    /// When the session began, and the number of the next batch in it.
    session: Timestamp,
    sequence: u64,
    /// True where a step ends with every record.
    cuts_at_every_record: bool,
    polled_at: Option<Timestamp>,
    sources: BTreeMap<Partition, usize>,
    slots: Vec<Source>,
    names: Names,
    /// Summaries of the step that is open, by feature number and pane.
    open: Lookup<(u32, Timestamp), Box<Gathering>>,
    /// Single events of the open step that may be repeats, in order of arrival.
    identified: Vec<Delta>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Source {
    partition: Partition,
    assigned: bool,
    /// The first offset that no step covers yet.
    from: i64,
    /// The next offset.
    next: i64,
    watermark: Option<Timestamp>,
    /// End of the pane that the watermark is in: reaching it ends the step.
    watermark_pane_end: Timestamp,
    /// The pane of the last event, which is that of most next ones.
    pane: (Timestamp, Timestamp),
    idle: bool,
    /// When its idleness was last noted to be told.
    idle_noted: Option<Timestamp>,
    silent_since: Option<Timestamp>,
    /// When it was first found read to its end, by the shell's clock.
    caught_up_since: Option<Timestamp>,
    /// The poll that its last record came with.
    heard_in: Option<Timestamp>,
    /// True where the open step has to tell of it.
    told: bool,
}

/// A source partition's number within one [`Summarise`]; valid until its revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(usize);

/// An event is further ahead of the broker's time than allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "event_time {event_time} is {} s ahead of the broker's time {received_at}, more than \
     time.max_future = {allowed}: correct the producer's clock",
    ahead.as_micros() / TimeSpan::SECOND.as_micros()
)]
pub struct FutureEvent {
    event_time: Timestamp,
    received_at: Timestamp,
    ahead: TimeSpan,
    allowed: TimeSpan,
}

impl Summarise {
    /// A stage without sources. `instance` is the name that batches carry;
    /// `session` is when it began, different for each session of an instance.
    pub fn new(settings: TimeSettings, instance: &str, session: Timestamp) -> Self {
        Self {
            settings,
            instance: instance.into(),
            session,
            sequence: 0,
            cuts_at_every_record: false,
            polled_at: None,
            sources: BTreeMap::new(),
            slots: Vec::new(),
            names: Names::default(),
            open: Lookup::default(),
            identified: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Begins to read a partition at `position`.
    pub fn assign(&mut self, partition: &Partition, position: i64) -> SourceId {
        let source = Source {
            partition: partition.clone(),
            assigned: true,
            from: position,
            next: position,
            watermark: None,
            watermark_pane_end: Timestamp::from_micros(i64::MIN),
            pane: (Timestamp::default(), Timestamp::default()),
            idle: false,
            idle_noted: None,
            silent_since: None,
            caught_up_since: None,
            heard_in: None,
            told: true,
        };
        if let Some(&slot) = self.sources.get(partition) {
            self.slots[slot] = source;
            return SourceId(slot);
        }
        self.slots.push(source);
        self.sources.insert(partition.clone(), self.slots.len() - 1);
        SourceId(self.slots.len() - 1)
    }

    /// The partition's number, while it is assigned.
    pub fn source(&self, partition: &Partition) -> Option<SourceId> {
        let slot = *self.sources.get(partition)?;
        self.slots[slot].assigned.then_some(SourceId(slot))
    }

    /// Drops everything that was not handed over, and every assignment.
    pub fn discard(&mut self) {
        self.sources.clear();
        self.slots.clear();
        self.open.clear();
        self.identified.clear();
        self.steps.clear();
    }

    /// Ends a step with every record, and not only where the watermark crosses a
    /// pane bound: then windows that end within a pane, as sessions do, take
    /// each record by the watermark before it and in the order of arrival.
    pub fn cut_at_every_record(&mut self) {
        self.cuts_at_every_record = true;
    }

    /// Takes one record: the events that it holds, all of them or none.
    /// `received_at` is the broker's time; without it the future guard rests.
    ///
    /// # Errors
    /// [`FutureEvent`]; the record is then passed over and changes no watermark.
    pub fn record(
        &mut self,
        source: SourceId,
        offset: i64,
        received_at: Option<Timestamp>,
        events: &[Telemetry<'_>],
        charters: &dyn Charters,
    ) -> Result<(), FutureEvent> {
        let Self { settings, slots, names, open, identified, polled_at, .. } = self;
        let slot = &mut slots[source.0];
        slot.next = offset + 1;
        slot.told = true;
        slot.stir(*polled_at);
        if let Some(received_at) = received_at {
            let late = events.iter().find(|e| e.event_time > received_at + settings.max_future);
            if let Some(event) = late {
                return Err(FutureEvent {
                    event_time: event.event_time,
                    received_at,
                    ahead: event.event_time.since(received_at),
                    allowed: settings.max_future,
                });
            }
        }
        let mut newest = slot.watermark;
        for event in events {
            if event.event_time < slot.pane.0 || event.event_time >= slot.pane.1 {
                let start = event.event_time.floor(settings.pane);
                slot.pane = (start, start + settings.pane);
            }
            let feature = names.number(&event.feature, &event.feature_version, charters);
            if let Some(event_id) = event.event_id.as_deref()
                && names.deduplicates(feature)
            {
                let (feature, feature_version) = names.get(feature);
                let mut summary = Summary::default();
                summary.add(event);
                summary.add_exemplar(slot.position(offset));
                let (event_id, pane_start) = (Some(event_id.into()), slot.pane.0);
                identified.push(Delta { feature, feature_version, pane_start, event_id, summary });
            } else {
                let gathering = open.entry((feature, slot.pane.0)).or_default();
                gathering.add(event);
                let summary = &mut gathering.summary;
                if summary.wants_exemplar(&slot.partition, offset) {
                    summary.add_exemplar(slot.position(offset));
                }
            }
            newest = newest.max(Some(event.event_time - settings.out_of_orderness));
        }
        slot.watermark = newest;
        if self.cuts_at_every_record {
            self.end_step();
        } else if let Some(watermark) =
            newest.filter(|watermark| *watermark >= slot.watermark_pane_end)
        {
            slot.watermark_pane_end = watermark.floor(settings.pane) + settings.pane;
            self.end_step();
        }
        Ok(())
    }

    /// Passes over a record that could not be used.
    pub fn skip(&mut self, source: SourceId, offset: i64) {
        let slot = &mut self.slots[source.0];
        slot.next = offset + 1;
        slot.told = true;
        slot.stir(self.polled_at);
    }

    /// A poll begins at `now`: what it brings may be younger, because it waits.
    pub fn begin_poll(&mut self, now: Timestamp) {
        self.polled_at = Some(now);
    }

    /// The partition is read to its end, seen at `now` by the shell's clock.
    /// `position` may be past the last record where the log keeps marks of its own.
    pub fn caught_up(&mut self, source: SourceId, position: i64, now: Timestamp) {
        let slot = &mut self.slots[source.0];
        if position > slot.next {
            slot.next = position;
            slot.told = true;
        }
        // A silence begins after the last record, and this poll began before it.
        if slot.heard_in == Some(now) {
            return;
        }
        // From a clock that was put back on, the time is counted anew; a silence
        // that began in its future would be told of again under the same name.
        if slot.caught_up_since.is_some_and(|since| since > now) {
            (slot.caught_up_since, slot.silent_since) = (None, None);
        }
        let since = *slot.caught_up_since.get_or_insert(now);
        let TimeSettings { idle_after, dead_man_after, .. } = self.settings;
        if now.since(since) < idle_after {
            return;
        }
        // Idleness lapses where it is not confirmed, so it is told again in time.
        let noted = slot.idle_noted.is_some_and(|at| {
            let since = now.since(at);
            since >= TimeSpan::ZERO && since.times(3) < idle_after
        });
        if !slot.idle || !noted {
            slot.idle = true;
            slot.idle_noted = Some(now);
            slot.told = true;
        }
        let is_silent = dead_man_after > TimeSpan::ZERO && now.since(since) >= dead_man_after;
        if is_silent && slot.silent_since.is_none() {
            slot.silent_since = Some(since);
            slot.told = true;
        }
    }

    /// The partition has ended for good, as a file does: it no longer holds the
    /// watermark.
    pub fn exhausted(&mut self, source: SourceId) {
        let slot = &mut self.slots[source.0];
        slot.idle = true;
        slot.told = true;
    }

    /// The partition's own watermark.
    pub fn watermark(&self, source: SourceId) -> Option<Timestamp> {
        self.slots[source.0].watermark
    }

    /// True where steps have ended that [`Summarise::take_ended`] would hand over.
    pub fn has_ended(&self) -> bool {
        !self.steps.is_empty()
    }

    /// True where a batch would tell something.
    pub fn has_news(&self) -> bool {
        !self.steps.is_empty() || self.slots.iter().any(|slot| slot.told)
    }

    /// How many summaries are waiting to be handed over.
    pub fn pending(&self) -> usize {
        self.open.len()
            + self.identified.len()
            + self.steps.iter().map(|step| step.deltas.len()).sum::<usize>()
    }

    /// The next offset of every assigned partition.
    pub fn positions(&self) -> Vec<(Partition, i64)> {
        let assigned = self.slots.iter().filter(|slot| slot.assigned);
        assigned.map(|slot| (slot.partition.clone(), slot.next)).collect()
    }

    /// The steps that have ended so far, without ending the open one: for a
    /// reader in the same process that wants each as soon as it is whole.
    pub fn take_ended(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Ends the open step and hands over all steps.
    pub fn take_steps(&mut self) -> Vec<Step> {
        self.end_step();
        self.take_ended()
    }

    /// The batches that were handed over last have been committed; the next ones
    /// get the next number.
    pub fn committed(&mut self) {
        self.sequence += 1;
    }

    /// Ends the open step and hands over one batch for each summaries
    /// partition. `source_topics` is how many partitions each source topic has.
    pub fn take_batches(
        &mut self,
        source_topics: &[(Arc<str>, i32)],
        partitions: i32,
    ) -> Vec<SummaryBatch> {
        let steps = self.take_steps();
        let empty = || SummaryBatch {
            pane: self.settings.pane,
            instance: self.instance.clone(),
            session: self.session,
            sequence: self.sequence,
            part: 0,
            parts: 1,
            partitions: partitions.max(1),
            source_topics: source_topics.to_vec(),
            charters: None,
            steps: Vec::with_capacity(steps.len()),
        };
        let mut batches: Vec<SummaryBatch> = (0..partitions.max(1)).map(|_| empty()).collect();
        for step in steps {
            for batch in &mut batches {
                batch.steps.push(Step { deltas: Vec::new(), sources: step.sources.clone() });
            }
            for delta in step.deltas {
                let partition = partition_of(&delta.feature, partitions).unsigned_abs() as usize;
                if let Some(step) = batches[partition].steps.last_mut() {
                    step.deltas.push(delta);
                }
            }
        }
        batches
    }

    fn end_step(&mut self) {
        let Self { names, open, slots, sources, identified, .. } = self;
        let mut deltas: Vec<Delta> = open
            .drain()
            .map(|((feature, pane_start), gathering)| {
                let (feature, feature_version) = names.get(feature);
                let summary = gathering.finish();
                Delta { feature, feature_version, pane_start, event_id: None, summary }
            })
            .collect();
        deltas.sort_unstable_by(|a, b| {
            (&a.feature, &a.feature_version, a.pane_start).cmp(&(
                &b.feature,
                &b.feature_version,
                b.pane_start,
            ))
        });
        deltas.append(identified);
        let mut told = Vec::new();
        for slot in sources.values().copied() {
            let slot = &mut slots[slot];
            if std::mem::take(&mut slot.told) {
                told.push(SourceProgress {
                    source: slot.partition.clone(),
                    from: slot.from,
                    to: slot.next,
                    watermark: slot.watermark,
                    idle: slot.idle,
                    silent_since: slot.silent_since,
                });
                slot.from = slot.next;
            }
        }
        if !deltas.is_empty() || !told.is_empty() {
            self.steps.push(Step { deltas, sources: told });
        }
        if self.names.len() > NAMES_MAX {
            self.names = Names::default();
        }
    }
}

/// Readings that are gathered before they are added to a summary together. At
/// the limit they are added, so it bounds the memory of a hot feature's pane.
const GATHERED_MAX: usize = 512;

/// A summary with readings that are not added yet. Adding many at a time looks
/// each cell of a distribution up once and not once an event.
#[derive(Debug, Default)]
struct Gathering {
    summary: Summary,
    numbers: Vec<f64>,
    latencies_us: Vec<u64>,
    ages_us: Vec<u64>,
}

impl Source {
    /// A record came.
    fn stir(&mut self, polled_at: Option<Timestamp>) {
        self.heard_in = polled_at;
        self.idle = false;
        self.idle_noted = None;
        self.silent_since = None;
        self.caught_up_since = None;
    }

    fn position(&self, offset: i64) -> Position {
        let Partition { topic, partition } = &self.partition;
        Position { topic: topic.clone(), partition: *partition, offset }
    }
}

impl Gathering {
    fn add(&mut self, event: &Telemetry<'_>) {
        let readings = self.summary.count(event);
        if let Some(number) = readings.number {
            self.numbers.push(number);
            if self.numbers.len() >= GATHERED_MAX {
                self.summary.numbers.add_all(&mut self.numbers);
            }
        }
        if let Some(category) = readings.category {
            self.summary.categories.add(category, 1);
        }
        if let Some(latency_us) = readings.latency_us {
            self.latencies_us.push(latency_us);
            if self.latencies_us.len() >= GATHERED_MAX {
                self.summary.latency_us.add_all(&mut self.latencies_us);
            }
        }
        if let Some(age_us) = readings.age_us {
            self.ages_us.push(age_us);
            if self.ages_us.len() >= GATHERED_MAX {
                self.summary.age_us.add_all(&mut self.ages_us);
            }
        }
    }

    fn finish(mut self) -> Summary {
        self.summary.numbers.add_all(&mut self.numbers);
        self.summary.latency_us.add_all(&mut self.latencies_us);
        self.summary.age_us.add_all(&mut self.ages_us);
        self.summary
    }
}

/// Numbers for (feature, version), so that the hot path hashes a name once.
#[derive(Debug, Default)]
struct Names {
    numbers: Lookup<Arc<str>, Vec<(Arc<str>, u32)>>,
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    feature: Arc<str>,
    version: Arc<str>,
    /// True where events with an `event_id` are kept apart.
    deduplicates: bool,
}

impl Names {
    fn number(&mut self, feature: &str, version: &str, charters: &dyn Charters) -> u32 {
        let versions = self.numbers.get(feature).map(Vec::as_slice).unwrap_or_default();
        if let Some((_, number)) = versions.iter().find(|(known, _)| **known == *version) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("names are bounded at every step");
        let name: Arc<str> = match self.numbers.get_key_value(feature) {
            Some((name, _)) => name.clone(),
            None => feature.into(),
        };
        let version: Arc<str> = version.into();
        let deduplicates = charters.deduplicates(feature);
        self.names.push(Name { feature: name.clone(), version: version.clone(), deduplicates });
        self.numbers.entry(name).or_default().push((version, number));
        number
    }

    fn get(&self, number: u32) -> (Arc<str>, Arc<str>) {
        let Name { feature, version, .. } = &self.names[number as usize];
        (feature.clone(), version.clone())
    }

    fn deduplicates(&self, number: u32) -> bool {
        self.names[number as usize].deduplicates
    }

    fn len(&self) -> usize {
        self.names.len()
    }
}
