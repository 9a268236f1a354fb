//! Reads summary batches. What contradicts itself is refused: a summary that
//! is not what some events come to would spoil every window that it joins.

use std::sync::Arc;

use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch};
use watchkeep_model::counted::Counted;
use watchkeep_model::counted_names::CountedNames;
use watchkeep_model::distribution::{
    DURATION_MAX_US, DurationGrid, Durations, RAW_DURATIONS_MAX, bucket_of,
};
use watchkeep_model::frequent::Sketch;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::summary::{Categories, EXEMPLARS_MAX, Summary};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::cells::{self, Cells};
use super::numbers;
use crate::Malformed;
use crate::avro::cursor::{Cursor, Fault};
use crate::framing::Framing;
use crate::schemas;

/// What reading gives: bytes that are no Avro or no summary end it.
pub(super) type Reading<T> = Result<T, Refused>;

/// Why a batch is refused.
pub(super) struct Refused {
    detail: String,
}

impl From<Box<Fault>> for Refused {
    fn from(fault: Box<Fault>) -> Self {
        Self { detail: fault.to_string() }
    }
}

/// Bytes that are Avro and no summary.
pub(super) fn wrong(cursor: &Cursor<'_>, what: &str) -> Refused {
    Refused { detail: format!("before byte {}: {what}", cursor.position()) }
}

/// Which schema the bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Without `distinct` and without `charters`.
    First,
    /// Without `charters`.
    Second,
    /// Without `sketch`.
    Third,
    /// With whole names of features, and categories also where there are none.
    Fourth,
    /// `schemas/summary-batch.avsc`.
    Current,
}

impl Version {
    fn of(fingerprint: u64) -> Option<Self> {
        let is = |schema: &schemas::Embedded| schema.is(fingerprint);
        if is(schemas::named("summary-batch")) {
            return Some(Self::Current);
        }
        let mut history = schemas::history("summary-batch");
        [Self::First, Self::Second, Self::Third, Self::Fourth]
            .into_iter()
            .find(|_| history.next().is_some_and(is))
    }
}

/// Reads one record of the summaries topic.
///
/// # Errors
/// The bytes are no summary batch, or one of another version.
pub fn decode(bytes: &[u8]) -> Result<SummaryBatch, Malformed> {
    let framing = Framing::read(bytes).map_err(|_| {
        Malformed::unreadable("not a summary batch: these are always Avro with its framing")
    })?;
    let version = match framing {
        Framing::SingleObject(fingerprint) => Version::of(fingerprint).ok_or_else(|| {
            Malformed::unknown_schema(format!(
                "schema fingerprint {fingerprint:016x} is not that of `summary-batch`: written by another version, or to another topic"
            ))
        })?,
        _ => Version::Current,
    };
    let mut cursor = Cursor::new(bytes, framing.body_start());
    let batch =
        read_batch(&mut cursor, version).and_then(|batch| Ok(cursor.end().map(|()| batch)?));
    batch.map_err(|refused| {
        Malformed::unreadable(format!("not a summary batch: {}", refused.detail))
    })
}

/// Reads the items of an array, each of at least `least` bytes.
pub(super) fn array(
    cursor: &mut Cursor<'_>,
    least: usize,
    mut item: impl FnMut(&mut Cursor<'_>) -> Reading<()>,
) -> Reading<()> {
    loop {
        let block = cursor.block(least)?;
        for _ in 0..block.count {
            item(cursor)?;
        }
        cursor.end_block(block)?;
        if block.count == 0 {
            return Ok(());
        }
    }
}

/// Largest count that is taken for true: 2^48 events are nine years of a
/// million a second. It leaves room to merge tens of thousands of summaries
/// without overflow; a larger one is refused with its batch.
pub(super) const COUNT_MAX: u64 = 1 << 48;

fn count(cursor: &mut Cursor<'_>) -> Reading<u64> {
    let count = unsigned(cursor)?;
    if count > COUNT_MAX { Err(wrong(cursor, "a count is at most 2^48")) } else { Ok(count) }
}

fn unsigned(cursor: &mut Cursor<'_>) -> Reading<u64> {
    u64::try_from(cursor.long()?).map_err(|_| wrong(cursor, "a count is 0 or more"))
}

fn small(cursor: &mut Cursor<'_>) -> Reading<u32> {
    u32::try_from(cursor.int()?).map_err(|_| wrong(cursor, "a part is 0 or more"))
}

fn optional_text(cursor: &mut Cursor<'_>) -> Reading<Option<Arc<str>>> {
    match cursor.long()? {
        0 => Ok(None),
        1 => Ok(Some(Arc::from(cursor.string()?))),
        _ => Err(wrong(cursor, "an optional string has two branches")),
    }
}

fn optional_long(cursor: &mut Cursor<'_>) -> Reading<Option<i64>> {
    match cursor.long()? {
        0 => Ok(None),
        1 => Ok(Some(cursor.long()?)),
        _ => Err(wrong(cursor, "an optional long has two branches")),
    }
}

fn read_batch(cursor: &mut Cursor<'_>, version: Version) -> Reading<SummaryBatch> {
    let pane = TimeSpan::from_micros(cursor.long()?);
    let instance = Arc::from(cursor.string()?);
    let session = Timestamp::from_micros(cursor.long()?);
    let sequence = unsigned(cursor)?;
    let (part, parts) = (small(cursor)?, small(cursor)?);
    if part >= parts {
        return Err(wrong(cursor, "a part is one of `parts`"));
    }
    let partitions = cursor.int()?;
    let mut topics: Vec<Arc<str>> = Vec::new();
    array(cursor, 1, |cursor| {
        topics.push(Arc::from(cursor.string()?));
        Ok(())
    })?;
    let mut source_topics = Vec::new();
    array(cursor, 2, |cursor| {
        source_topics.push((topic(cursor, &topics)?, cursor.int()?));
        Ok(())
    })?;
    let mut steps = Vec::new();
    array(cursor, 2, |cursor| {
        steps.push(read_step(cursor, &topics, version)?);
        Ok(())
    })?;
    let charters = match version {
        Version::Third | Version::Fourth | Version::Current => optional_long(cursor)?,
        Version::First | Version::Second => None,
    };
    Ok(SummaryBatch {
        pane,
        instance,
        session,
        sequence,
        part,
        parts,
        partitions,
        source_topics,
        charters,
        steps,
    })
}

fn topic(cursor: &mut Cursor<'_>, topics: &[Arc<str>]) -> Reading<Arc<str>> {
    let named = usize::try_from(cursor.int()?).ok().and_then(|index| topics.get(index));
    named.cloned().ok_or_else(|| wrong(cursor, "a topic's index is one of `topics`"))
}

fn read_step(cursor: &mut Cursor<'_>, topics: &[Arc<str>], version: Version) -> Reading<Step> {
    let mut step = Step::default();
    let mut pane_start = 0i64;
    array(cursor, 17, |cursor| {
        let before = step.deltas.last().map_or("", |delta: &Delta| &delta.feature);
        let feature = read_feature(cursor, before, version)?;
        let feature_version = Arc::from(cursor.string()?);
        pane_start = pane_start.wrapping_add(cursor.long()?);
        let pane_start = Timestamp::from_micros(pane_start);
        let event_id = optional_text(cursor)?;
        let summary = read_summary(cursor, pane_start, topics, version)?;
        if event_id.is_some() && summary.count != 1 {
            return Err(wrong(cursor, "a delta with an event_id is one event"));
        }
        step.deltas.push(Delta { feature, feature_version, pane_start, event_id, summary });
        Ok(())
    })?;
    array(cursor, 7, |cursor| {
        let topic = topic(cursor, topics)?;
        step.sources.push(SourceProgress {
            source: Partition { topic, partition: cursor.int()? },
            from: cursor.long()?,
            to: cursor.long()?,
            watermark: optional_long(cursor)?.map(Timestamp::from_micros),
            idle: cursor.boolean()?,
            silent_since: optional_long(cursor)?.map(Timestamp::from_micros),
        });
        Ok(())
    })?;
    Ok(step)
}

/// `before` is the feature of the delta before.
fn read_feature(cursor: &mut Cursor<'_>, before: &str, version: Version) -> Reading<Arc<str>> {
    if version != Version::Current {
        return Ok(Arc::from(cursor.string()?));
    }
    let alike = usize::try_from(cursor.int()?).ok().and_then(|alike| before.get(..alike));
    let Some(alike) = alike else {
        return Err(wrong(cursor, "`feature_alike` is a beginning of the feature before"));
    };
    let rest = cursor.string()?;
    Ok(if alike.is_empty() { Arc::from(rest) } else { Arc::from(format!("{alike}{rest}")) })
}

fn read_summary(
    cursor: &mut Cursor<'_>,
    pane_start: Timestamp,
    topics: &[Arc<str>],
    version: Version,
) -> Reading<Summary> {
    let mut summary = Summary::default();
    let mut used = 0;
    array(cursor, 1, |cursor| {
        let status = count(cursor)?;
        let sum = summary.count.checked_add(status);
        match (summary.statuses.get_mut(used), sum) {
            (Some(slot), Some(sum)) => (*slot, summary.count) = (status, sum),
            _ => return Err(wrong(cursor, "there are seven statuses")),
        }
        used += 1;
        Ok(())
    })?;
    summary.null_count = count(cursor)?;
    summary.non_finite_count = count(cursor)?;
    summary.numbers = numbers::read(cursor, version)?;
    summary.categories = read_categories(cursor, version)?;
    summary.latency_us = read_durations(cursor)?;
    summary.age_us = read_durations(cursor)?;
    summary.negative_age_count = count(cursor)?;
    let start = pane_start.as_micros();
    let mut instant = || -> Reading<Option<Timestamp>> {
        Ok(optional_long(cursor)?.map(|after| Timestamp::from_micros(start.wrapping_add(after))))
    };
    summary.first_event_time = instant()?;
    summary.last_event_time = instant()?;
    summary.last_materialised_at = instant()?;
    let mut offset = 0i64;
    array(cursor, 3, |cursor| {
        let topic = topic(cursor, topics)?;
        let partition = cursor.int()?;
        offset = offset.wrapping_add(cursor.long()?);
        let position = Position { topic, partition, offset };
        let ascending = summary.exemplars.last().is_none_or(|last| *last < position);
        if !ascending || summary.exemplars.len() == EXEMPLARS_MAX {
            return Err(wrong(cursor, "exemplars are ascending and at most three"));
        }
        summary.exemplars.push(position);
        Ok(())
    })?;
    Ok(summary)
}

pub(super) fn read_categories(cursor: &mut Cursor<'_>, version: Version) -> Reading<Categories> {
    if version == Version::Current {
        match cursor.long()? {
            0 => return Ok(Categories::default()),
            1 => {}
            _ => return Err(wrong(cursor, "`categories` has two branches")),
        }
    }
    let level = u32::try_from(cursor.int()?).ok();
    let other = count(cursor)?;
    let mut counts = CountedNames::default();
    array(cursor, 2, |cursor| {
        let category = cursor.string()?;
        let events = count(cursor)?;
        if !counts.push(category, events) {
            return Err(wrong(cursor, "categories are ascending"));
        }
        Ok(())
    })?;
    let sketch = match version {
        Version::Fourth | Version::Current => read_sketch(cursor)?,
        Version::First | Version::Second | Version::Third => None,
    };
    level
        .and_then(|level| Categories::from_parts(counts, level, other, sketch))
        .ok_or_else(|| wrong(cursor, "categories, level, other and sketch contradict each other"))
}

fn read_sketch(cursor: &mut Cursor<'_>) -> Reading<Option<Sketch>> {
    match cursor.long()? {
        0 => Ok(None),
        1 => match Sketch::from_bytes(cursor.bytes()?) {
            Some(sketch) => Ok(Some(sketch)),
            None => Err(wrong(cursor, "`sketch` holds rows of the same sum")),
        },
        _ => Err(wrong(cursor, "`sketch` has two branches")),
    }
}

fn read_durations(cursor: &mut Cursor<'_>) -> Reading<Durations> {
    match cursor.long()? {
        0 => {
            let mut values = Vec::new();
            let mut duration = 0u64;
            array(cursor, 1, |cursor| {
                let next = duration.checked_add(unsigned(cursor)?);
                let Some(next) = next.filter(|_| values.len() < RAW_DURATIONS_MAX) else {
                    return Err(wrong(cursor, "few durations are at most 64"));
                };
                duration = next;
                values.push(duration);
                Ok(())
            })?;
            Ok(Durations::Few(values))
        }
        1 => {
            let last = i32::from(bucket_of(DURATION_MAX_US));
            let Cells { cells, count } = cells::read(cursor, 0, last)?;
            let (min, max) = (unsigned(cursor)?, unsigned(cursor)?);
            if min > max {
                return Err(wrong(cursor, "`min` and `max` of a grid are in order"));
            }
            let buckets = Counted::of(&cells);
            Ok(Durations::Many(Box::new(DurationGrid { buckets, count, min, max })))
        }
        _ => Err(wrong(cursor, "the union of durations has two branches")),
    }
}
