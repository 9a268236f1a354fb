//! The summarise stage on a log: telemetry in, summary batches and rejects out.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_detection::settings::TimeSettings;
use watchkeep_detection::summarise::Summarise;
use watchkeep_model::batch::{SourceProgress, Step, SummaryBatch};
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::reject::{Reject, reason};
use watchkeep_model::telemetry::Telemetry;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::Malformed;
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::reject;
use watchkeep_wire::summary_batch;
use watchkeep_wire::telemetry::Decoder;

use crate::log::{Event, Log, LogError, Outgoing, Record, Transaction};
use crate::outgoing;
use crate::rules::Rules;
use crate::stage::StageError;
use crate::stage::waiting::{Note, Schemas, Waiting};
use crate::topics::Topics;

/// Summaries that wait for a commit. At the limit the stage commits at once,
/// so that a backlog does not grow its memory.
const PENDING_MAX: usize = 5_000;
/// Rejects that wait for a commit; the same.
const REJECTS_MAX: usize = 500;
/// Bytes of one batch record; a larger batch is cut into several of the same
/// transaction, so that a broker with Kafka's default limit takes them.
const BATCH_BYTES_MAX: usize = 900_000;
/// Bytes of a rejected record that are kept in the log; its origin tells where the rest is.
const REJECT_BYTES_MAX: usize = 512 * 1024;

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How event time is cut.
    pub time: TimeSettings,
    /// Time between commits.
    pub commit_interval: TimeSpan,
    /// The deployment's topics.
    pub topics: Topics,
    /// Encoding of the rejects.
    pub encoding: FactEncoding,
    /// The instance's name in batches: its transactional id.
    pub instance: String,
}

/// What the stage has counted since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were folded.
    pub events: u64,
    /// Records that were rejected, by reason.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Transactions.
    pub commits: u64,
}

/// How long a count of partitions is believed, and the charters that were read
/// last. Partitions and revisions that are added are known after it.
const LAYOUT_AGE_MAX: TimeSpan = TimeSpan::SECOND.times(10);

/// How many partitions there are.
#[derive(Clone, Debug)]
struct Layout {
    asked_at: Timestamp,
    /// Of the summaries topic.
    summaries: i32,
    /// Of each source topic.
    sources: Vec<(Arc<str>, i32)>,
}

/// The summarise stage of one session.
#[derive(Debug)]
pub struct SummariseStage {
    settings: Settings,
    rules: Rules,
    /// Begins with the first turn, which says what time it is.
    summarise: Option<Summarise>,
    decoder: Decoder,
    /// Committed position of each assigned partition.
    committed: BTreeMap<Partition, i64>,
    rejects: Vec<Outgoing>,
    last_commit: Option<Timestamp>,
    layout: Option<Layout>,
    counts: Counts,
    uncommitted: Counts,
    waiting: Waiting,
}

impl SummariseStage {
    /// A stage at the beginning of a session.
    pub fn new(settings: Settings, rules: Rules, decoder: Decoder) -> Self {
        Self {
            summarise: None,
            settings,
            rules,
            decoder,
            committed: BTreeMap::new(),
            rejects: Vec::new(),
            last_commit: None,
            layout: None,
            counts: Counts::default(),
            uncommitted: Counts::default(),
            waiting: Waiting::new(None),
        }
    }

    /// With a way to read the writers' schemas anew: a record whose schema is
    /// not known is waited for, in place of being rejected.
    #[must_use]
    pub fn with_schemas(mut self, schemas: Schemas) -> Self {
        self.waiting = Waiting::new(Some(schemas));
        self
    }

    /// How many partitions wait for a writer's schema.
    pub fn waiting(&self) -> usize {
        self.waiting.count()
    }

    /// What there is to tell of partitions that wait, since the last call.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.waiting.take_notes()
    }

    /// What was committed so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// True where partitions are assigned.
    pub fn is_assigned(&self) -> bool {
        !self.committed.is_empty()
    }

    /// Polls once and commits when it is time.
    ///
    /// # Errors
    /// [`StageError::Log`]: begin a new session.
    pub fn turn(&mut self, log: &mut dyn Log, now: Timestamp) -> Result<(), StageError> {
        let interval = self.settings.commit_interval;
        // A clock that was put back begins the interval anew; it must not hold
        // up commits until it has come to where it was.
        let since = self.last_commit.filter(|since| *since <= now).unwrap_or(now);
        self.last_commit = Some(since);
        let left = (since + interval).since(now).clamp(TimeSpan::ZERO, interval);
        let mut dropped = false;
        if let Some(schemas) = self.waiting.look(log, now)? {
            self.decoder.set_schemas(schemas);
        }
        let Self { decoder, committed, rejects, settings, uncommitted, rules, waiting, .. } = self;
        let summarise = self
            .summarise
            .get_or_insert_with(|| Summarise::new(settings.time, &settings.instance, now));
        summarise.begin_poll(now);
        let mut events = Vec::new();
        let polled = log.poll(left, &mut |event| match event {
            Event::Assigned { partition, position } => {
                committed.insert(partition.clone(), position);
                summarise.assign(partition, position);
            }
            Event::Revoked { partition } => {
                committed.remove(partition);
                dropped = true;
                rejects.clear();
                waiting.clear();
                *uncommitted = Counts::default();
                restart(summarise, committed);
            }
            Event::Record(record) if waiting.holds(record.partition) => {}
            Event::Record(record) => {
                // The vector's memory is used again; only its lifetime is new.
                let mut decoded = reuse(std::mem::take(&mut events));
                let kept = take(summarise, decoder, &record, &mut decoded, rules);
                match kept {
                    Ok(count) => uncommitted.events += count,
                    Err(malformed)
                        if malformed.reason == reason::UNKNOWN_SCHEMA && waiting.is_possible() =>
                    {
                        waiting.hold(record.partition, record.offset, &malformed.detail);
                    }
                    Err(malformed) => {
                        *uncommitted.rejects.entry(malformed.reason).or_default() += 1;
                        rejects.push(refuse(summarise, &record, &malformed, settings));
                    }
                }
                if !waiting.is_idle() && !waiting.holds(record.partition) {
                    waiting.passed(record.partition);
                }
                events = reuse(decoded);
            }
            Event::CaughtUp { partition, .. } if waiting.holds(partition) => {}
            Event::CaughtUp { partition, position } => {
                if let Some(source) = summarise.source(partition) {
                    summarise.caught_up(source, position, now);
                }
            }
        });
        match polled {
            Ok(()) => {}
            // A poll that failed has delivered nothing that would be lost.
            Err(LogError::Unavailable(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.waiting.pause(log, now)?;
        if dropped {
            self.last_commit = Some(now);
        }
        let full = summarise.pending() >= PENDING_MAX || self.rejects.len() >= REJECTS_MAX;
        if full || now.since(since) >= interval || left == TimeSpan::ZERO {
            self.last_commit = Some(now);
            self.commit(log, now)?;
        }
        Ok(())
    }

    /// Commits what is pending, at the end of a session.
    ///
    /// # Errors
    /// [`StageError::Log`]: what was pending will be read again.
    pub fn drain(&mut self, log: &mut dyn Log, now: Timestamp) -> Result<(), StageError> {
        self.commit(log, now)
    }

    fn commit(&mut self, log: &mut dyn Log, now: Timestamp) -> Result<(), StageError> {
        let has_news = self.summarise.as_ref().is_some_and(Summarise::has_news);
        if self.committed.is_empty() || (!has_news && self.rejects.is_empty()) {
            return Ok(());
        }
        let Layout { summaries, sources, .. } = self.layout(log, now)?;
        let Some(summarise) = &mut self.summarise else { return Ok(()) };
        let mut records = std::mem::take(&mut self.rejects);
        let positions = summarise.positions();
        let topic = &self.settings.topics.summaries;
        let charters = self.rules.position();
        for (partition, mut batch) in (0..).zip(summarise.take_batches(&sources, summaries)) {
            batch.charters = charters;
            encode(topic, partition, batch, &mut records);
        }
        match log.commit(Transaction { positions: positions.clone(), records }) {
            Ok(()) => {
                summarise.committed();
                self.committed.extend(positions);
                let Counts { events, rejects, .. } = std::mem::take(&mut self.uncommitted);
                self.counts.events += events;
                self.counts.commits += 1;
                for (reason, count) in rejects {
                    *self.counts.rejects.entry(reason).or_default() += count;
                }
                Ok(())
            }
            Err(LogError::Aborted(_)) => {
                self.uncommitted = Counts::default();
                self.waiting.clear();
                restart(summarise, &self.committed);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn layout(&mut self, log: &mut dyn Log, now: Timestamp) -> Result<Layout, StageError> {
        if let Some(layout) = &self.layout {
            // A clock that went back asks again, too.
            let age = now.since(layout.asked_at);
            if age >= TimeSpan::ZERO && age < LAYOUT_AGE_MAX {
                return Ok(layout.clone());
            }
        }
        super::follow(&self.rules, log)?;
        let topics = &self.settings.topics;
        let summaries = log.partition_count(&topics.summaries)?;
        if summaries == 0 {
            return Err(LogError::NoTopic(topics.summaries.to_string()).into());
        }
        let mut sources = Vec::new();
        for topic in &topics.telemetry {
            sources.push((topic.clone(), log.partition_count(topic)?));
        }
        if let Some(before) = &self.layout
            && before.summaries != summaries
        {
            return Err(StageError::Layout {
                topic: topics.summaries.to_string(),
                found: summaries,
                expected: before.summaries,
            });
        }
        Ok(self.layout.insert(Layout { asked_at: now, summaries, sources }).clone())
    }
}

/// Encodes a batch as one record, or as several where it is large.
fn encode(topic: &Arc<str>, partition: i32, batch: SummaryBatch, records: &mut Vec<Outgoing>) {
    let mut parts = Vec::new();
    cut(batch, &mut parts);
    if let [(_, value)] = &mut parts[..] {
        records.push(outgoing::batch(topic, partition, std::mem::take(value)));
        return;
    }
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    for (part, (batch, _)) in (0..).zip(parts) {
        let batch = SummaryBatch { part, parts: count, ..batch };
        let value = summary_batch::encode(&batch, AvroFraming::SingleObject);
        records.push(outgoing::batch(topic, partition, value));
    }
}

fn cut(batch: SummaryBatch, parts: &mut Vec<(SummaryBatch, Vec<u8>)>) {
    let value = summary_batch::encode(&batch, AvroFraming::SingleObject);
    let deltas: usize = batch.steps.iter().map(|step| step.deltas.len()).sum();
    if value.len() <= BATCH_BYTES_MAX || deltas < 2 {
        parts.push((batch, value));
        return;
    }
    let (first, second) = halves(batch);
    cut(first, parts);
    cut(second, parts);
}

/// Forgets the uncommitted work and stands at the committed positions again.
fn restart(summarise: &mut Summarise, committed: &BTreeMap<Partition, i64>) {
    summarise.discard();
    for (partition, position) in committed {
        summarise.assign(partition, *position);
    }
}

/// An empty vector with another lifetime and the same memory.
fn reuse<'b>(mut events: Vec<Telemetry<'_>>) -> Vec<Telemetry<'b>> {
    events.clear();
    // The iterator is empty; collecting in place keeps the allocation.
    events.into_iter().map(|_| unreachable!("the vector was cleared")).collect()
}

fn take<'a>(
    summarise: &mut Summarise,
    decoder: &mut Decoder,
    record: &Record<'a>,
    events: &mut Vec<Telemetry<'a>>,
    rules: &Rules,
) -> Result<u64, Malformed> {
    let source = summarise
        .source(record.partition)
        .expect("a log delivers records of assigned partitions only");
    let decoded = decoder.decode(record.value, record.content_type, events);
    decoded.and_then(|()| {
        let at = Some(record.timestamp);
        let result = summarise.record(source, record.offset, at, events, rules);
        result.map_err(|future| Malformed { reason: reason::FUTURE, detail: future.to_string() })
    })?;
    Ok(events.len() as u64)
}

/// Passes over a record that cannot be used, and keeps it for whoever mends it.
fn refuse(
    summarise: &mut Summarise,
    record: &Record<'_>,
    malformed: &Malformed,
    settings: &Settings,
) -> Outgoing {
    if let Some(source) = summarise.source(record.partition) {
        summarise.skip(source, record.offset);
    }
    let position = Position {
        topic: record.partition.topic.clone(),
        partition: record.partition.partition,
        offset: record.offset,
    };
    let reject: Reject = reject::of_record(
        record.value,
        malformed,
        &position,
        Some(record.timestamp),
        Some(REJECT_BYTES_MAX),
    );
    outgoing::reject(&settings.topics.rejects, &reject, settings.encoding)
}

/// Cuts a batch in two that say the same together: between two steps, or
/// within a single step, whose progress then belongs to the second half.
fn halves(mut batch: SummaryBatch) -> (SummaryBatch, SummaryBatch) {
    let mut second = SummaryBatch { steps: Vec::new(), ..batch.clone() };
    if batch.steps.len() > 1 {
        second.steps = batch.steps.split_off(batch.steps.len() / 2);
    } else if let Some(step) = batch.steps.first_mut() {
        let rest = step.deltas.split_off(step.deltas.len() / 2);
        let not_yet = |progress: &SourceProgress| SourceProgress {
            to: progress.from,
            watermark: None,
            ..progress.clone()
        };
        let begun = step.sources.iter().map(not_yet).collect();
        let sources = std::mem::replace(&mut step.sources, begun);
        second.steps.push(Step { deltas: rest, sources });
    }
    (batch, second)
}
