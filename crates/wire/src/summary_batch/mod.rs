//! Summary batches as compact Avro.
//!
//! Summaries are the history that is kept for years, so their bytes are
//! budgeted. Five things make them small: what is ascending is written as
//! steps, few numbers that are decimals are written as integers, counts of
//! cells are packed into bits (Elias gamma code), topic names are written once a
//! batch, and of the name of a feature what the one before has not. The layout is an ordinary Avro record of `schemas/summary-batch.avsc`,
//! so any Avro reader reads it. One batch has one encoding: equal batches are
//! equal bytes.

mod cells;
mod numbers;
mod read;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch};
use watchkeep_model::distribution::Durations;
use watchkeep_model::summary::{Categories, Summary};
use watchkeep_model::time::Timestamp;

use crate::avro::writer;
use crate::framing::{self, AvroFraming};
use crate::schemas;

pub use self::read::decode;
pub(crate) use self::text::to_json_line;

/// One record of the summaries topic.
pub fn encode(batch: &SummaryBatch, framing: AvroFraming) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    encode_into(batch, framing, &mut out);
    out
}

/// The same, appended to `out`.
pub fn encode_into(batch: &SummaryBatch, framing: AvroFraming, out: &mut Vec<u8>) {
    let topics = Topics::of(batch);
    framing::write(out, framing, schemas::named("summary-batch").fingerprint);
    writer::long(out, batch.pane.as_micros());
    writer::string(out, &batch.instance);
    writer::long(out, batch.session.as_micros());
    writer::unsigned(out, batch.sequence);
    writer::long(out, i64::from(batch.part));
    writer::long(out, i64::from(batch.parts));
    writer::long(out, i64::from(batch.partitions));
    writer::array(out, topics.names.iter(), |out, name| writer::string(out, name));
    writer::array(out, batch.source_topics.iter(), |out, (topic, partitions)| {
        writer::count(out, topics.index(topic));
        writer::long(out, i64::from(*partitions));
    });
    writer::array(out, batch.steps.iter(), |out, step| write_step(out, step, &topics));
    writer::optional_long(out, batch.charters);
}

/// The names of topics in a batch, ascending.
struct Topics<'a> {
    names: Vec<&'a Arc<str>>,
}

impl<'a> Topics<'a> {
    fn of(batch: &'a SummaryBatch) -> Self {
        let mut names: Vec<&Arc<str>> =
            batch.source_topics.iter().map(|(topic, _)| topic).collect();
        // Positions of a batch nearly always share the allocation of one
        // name, so comparing pointers spares most of the comparisons of text.
        let mut note = |name: &'a Arc<str>| {
            if !names.iter().any(|known| Arc::ptr_eq(known, name) || ***known == **name) {
                names.push(name);
            }
        };
        for step in &batch.steps {
            step.sources.iter().for_each(|progress| note(&progress.source.topic));
            let exemplars = step.deltas.iter().flat_map(|delta| &delta.summary.exemplars);
            exemplars.for_each(|position| note(&position.topic));
        }
        names.sort_unstable();
        names.dedup();
        Self { names }
    }

    fn index(&self, name: &Arc<str>) -> usize {
        let at = self.names.iter().position(|known| Arc::ptr_eq(known, name));
        at.or_else(|| self.names.binary_search(&name).ok()).unwrap_or_default()
    }
}

fn write_step(out: &mut Vec<u8>, step: &Step, topics: &Topics<'_>) {
    let mut before = ("", 0);
    writer::array(out, step.deltas.iter(), |out, delta| {
        write_delta(out, delta, before, topics);
        before = (&delta.feature, delta.pane_start.as_micros());
    });
    writer::array(out, step.sources.iter(), |out, progress: &SourceProgress| {
        writer::count(out, topics.index(&progress.source.topic));
        writer::long(out, i64::from(progress.source.partition));
        writer::long(out, progress.from);
        writer::long(out, progress.to);
        writer::optional_long(out, progress.watermark.map(Timestamp::as_micros));
        out.push(u8::from(progress.idle));
        writer::optional_long(out, progress.silent_since.map(Timestamp::as_micros));
    });
}

/// `before` is the feature and the pane of the delta before: names ascend, so they
/// begin alike, and the pane is nearly always the same.
fn write_delta(out: &mut Vec<u8>, delta: &Delta, before: (&str, i64), topics: &Topics<'_>) {
    let alike = alike(before.0, &delta.feature);
    writer::count(out, alike);
    writer::string(out, &delta.feature[alike..]);
    writer::string(out, &delta.feature_version);
    writer::long(out, delta.pane_start.as_micros().wrapping_sub(before.1));
    writer::optional_string(out, delta.event_id.as_deref());
    write_summary(out, &delta.summary, delta.pane_start, topics);
}

/// How many bytes two texts begin alike with, up to a whole character.
fn alike(a: &str, b: &str) -> usize {
    let mut alike = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !b.is_char_boundary(alike) {
        alike -= 1;
    }
    alike
}

fn write_summary(out: &mut Vec<u8>, summary: &Summary, pane_start: Timestamp, topics: &Topics<'_>) {
    let used = summary.statuses.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    writer::array(out, summary.statuses[..used].iter(), |out, count| writer::unsigned(out, *count));
    writer::unsigned(out, summary.null_count);
    writer::unsigned(out, summary.non_finite_count);
    numbers::write(out, &summary.numbers);
    write_categories(out, &summary.categories);
    write_durations(out, &summary.latency_us);
    write_durations(out, &summary.age_us);
    writer::unsigned(out, summary.negative_age_count);
    // Instants near the pane are short as distances from it. The subtraction
    // wraps, as the addition of the reader does, so that none is lost.
    let start = pane_start.as_micros();
    for instant in [summary.first_event_time, summary.last_event_time, summary.last_materialised_at]
    {
        writer::optional_long(out, instant.map(|at| at.as_micros().wrapping_sub(start)));
    }
    let mut before = 0i64;
    writer::array(out, summary.exemplars.iter(), |out, position| {
        writer::count(out, topics.index(&position.topic));
        writer::long(out, i64::from(position.partition));
        writer::long(out, position.offset.wrapping_sub(before));
        before = position.offset;
    });
}

fn write_categories(out: &mut Vec<u8>, categories: &Categories) {
    if *categories == Categories::default() {
        return writer::long(out, 0);
    }
    writer::long(out, 1);
    writer::long(out, i64::from(categories.level()));
    writer::unsigned(out, categories.other());
    writer::array(out, categories.counts().names().iter(), |out, (category, count)| {
        writer::string(out, category);
        writer::unsigned(out, count);
    });
    match categories.sketch() {
        None => writer::long(out, 0),
        Some(sketch) => {
            writer::long(out, 1);
            writer::bytes(out, &sketch.to_bytes());
        }
    }
}

fn write_durations(out: &mut Vec<u8>, durations: &Durations) {
    match durations {
        Durations::Few(values) => {
            writer::long(out, 0);
            let mut before = 0;
            writer::array(out, values.iter(), |out, value| {
                writer::unsigned(out, value - before);
                before = *value;
            });
        }
        Durations::Many(grid) => {
            writer::long(out, 1);
            let cells = grid.buckets.iter().map(|(bucket, count)| (i32::from(bucket), count));
            cells::write(out, cells);
            writer::unsigned(out, grid.min);
            writer::unsigned(out, grid.max);
        }
    }
}
