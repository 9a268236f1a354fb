//! Summary batches as JSON, for `export`. Nobody reads them back.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch};
use watchkeep_model::counted::{Counted, Key};
use watchkeep_model::counted_names::CountedNames;
use watchkeep_model::distribution::{Durations, Numbers};
use watchkeep_model::json;
use watchkeep_model::position::Position;
use watchkeep_model::summary::Summary;
use watchkeep_model::telemetry::Status;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::Malformed;

/// One record of the summaries topic as canonical JSON.
pub(crate) fn to_json_line(bytes: &[u8]) -> Result<String, Malformed> {
    let batch = super::decode(bytes)?;
    Ok(json::to_line(&batch_line(&batch)))
}

#[derive(Serialize)]
struct BatchLine<'a> {
    pane: TimeSpan,
    instance: &'a str,
    session: Timestamp,
    sequence: u64,
    part: u32,
    parts: u32,
    partitions: i32,
    source_topics: Vec<SourceTopic<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charters: Option<i64>,
    steps: Vec<StepLine<'a>>,
}

#[derive(Serialize)]
struct SourceTopic<'a> {
    topic: &'a str,
    partitions: i32,
}

#[derive(Serialize)]
struct StepLine<'a> {
    deltas: Vec<DeltaLine<'a>>,
    sources: Vec<SourceLine<'a>>,
}

#[derive(Serialize)]
struct DeltaLine<'a> {
    feature: &'a str,
    feature_version: &'a str,
    pane_start: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    count: u64,
    status: BTreeMap<Status, u64>,
    null_count: u64,
    non_finite_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Values<'a, f64, i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<CategoriesLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<Values<'a, u64, u16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_us: Option<Values<'a, u64, u16>>,
    negative_age_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_materialised_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    exemplars: &'a [Position],
}

/// Either the values as they came, or (cell, count) with the exact range.
#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a, V, C: Key> {
    Few {
        values: &'a [V],
    },
    Many {
        cells: &'a Counted<C>,
        count: u64,
        min: V,
        max: V,
        #[serde(skip_serializing_if = "Option::is_none")]
        mean: Option<f64>,
    },
}

#[derive(Serialize)]
struct CategoriesLine<'a> {
    counts: &'a CountedNames,
    level: u32,
    other: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequent: Option<FrequentLine>,
}

/// What the sketch of very many says.
#[derive(Serialize)]
struct FrequentLine {
    above: u64,
    error: u64,
    counts: Vec<(Box<str>, u64)>,
}

#[derive(Serialize)]
struct SourceLine<'a> {
    topic: &'a str,
    partition: i32,
    from: i64,
    to: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<Timestamp>,
    idle: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_since: Option<Timestamp>,
}

fn batch_line(batch: &SummaryBatch) -> BatchLine<'_> {
    let source_topics = batch.source_topics.iter();
    BatchLine {
        pane: batch.pane,
        instance: &batch.instance,
        session: batch.session,
        sequence: batch.sequence,
        part: batch.part,
        parts: batch.parts,
        partitions: batch.partitions,
        source_topics: source_topics
            .map(|(topic, n)| SourceTopic { topic, partitions: *n })
            .collect(),
        charters: batch.charters,
        steps: batch.steps.iter().map(step_line).collect(),
    }
}

fn step_line(step: &Step) -> StepLine<'_> {
    StepLine {
        deltas: step.deltas.iter().map(delta_line).collect(),
        sources: step.sources.iter().map(source_line).collect(),
    }
}

fn source_line(progress: &SourceProgress) -> SourceLine<'_> {
    SourceLine {
        topic: &progress.source.topic,
        partition: progress.source.partition,
        from: progress.from,
        to: progress.to,
        watermark: progress.watermark,
        idle: progress.idle,
        silent_since: progress.silent_since,
    }
}

fn delta_line(delta: &Delta) -> DeltaLine<'_> {
    let Summary { statuses, numbers, categories, .. } = &delta.summary;
    let of_status = Status::ALL.iter().map(|status| (*status, statuses[status.index()]));
    let numbers = match numbers {
        Numbers::Few(values) if values.is_empty() => None,
        Numbers::Few(values) => Some(Values::Few { values: values.as_slice() }),
        Numbers::Many(grid) => Some(Values::Many {
            cells: &grid.cells,
            count: grid.count,
            min: grid.min,
            max: grid.max,
            mean: numbers.mean(),
        }),
    };
    let categories = (categories.total() > 0).then(|| CategoriesLine {
        counts: categories.counts(),
        level: categories.level(),
        other: categories.other(),
        frequent: categories.frequent().map(|of| FrequentLine {
            above: of.above,
            error: of.error,
            counts: of.counts.clone(),
        }),
    });
    DeltaLine {
        feature: &delta.feature,
        feature_version: &delta.feature_version,
        pane_start: delta.pane_start,
        event_id: delta.event_id.as_deref(),
        count: delta.summary.count,
        status: of_status.filter(|(_, count)| *count > 0).collect(),
        null_count: delta.summary.null_count,
        non_finite_count: delta.summary.non_finite_count,
        numbers,
        categories,
        latency_us: durations_line(&delta.summary.latency_us),
        age_us: durations_line(&delta.summary.age_us),
        negative_age_count: delta.summary.negative_age_count,
        first_event_time: delta.summary.first_event_time,
        last_event_time: delta.summary.last_event_time,
        last_materialised_at: delta.summary.last_materialised_at,
        exemplars: &delta.summary.exemplars,
    }
}

fn durations_line(durations: &Durations) -> Option<Values<'_, u64, u16>> {
    match durations {
        Durations::Few(values) if values.is_empty() => None,
        Durations::Few(values) => Some(Values::Few { values }),
        Durations::Many(grid) => Some(Values::Many {
            cells: &grid.buckets,
            count: grid.count,
            min: grid.min,
            max: grid.max,
            mean: None,
        }),
    }
}
