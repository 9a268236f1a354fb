//! How large summaries are: memory of a feature and pane, and bytes of a batch
//! against the events that it stands for.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example sizes
//! ```
//!
//! Events are made up, each with a number or a category, a latency and an age.
//! Summaries are built event by event, so that memory is what a stage holds.
//! Linux only.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::hint::black_box;

use watchkeep_benches::{AVRO_RECORD_BYTES, start, summary};
use watchkeep_model::batch::{Delta, Step, SummaryBatch};
use watchkeep_model::distribution::Numbers;
use watchkeep_model::position::Position;
use watchkeep_model::summary::{EXEMPLARS_MAX, Summary};
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::summary_batch;

fn main() {
    println!("| events of a feature and pane | memory | bytes in a batch | of the events |");
    println!("|---|---:|---:|---:|");
    for (events, panes) in [(10, 20_000), (100, 20_000), (1_000, 4_000), (10_000, 1_000)] {
        row(&format!("{events} numbers"), events, panes, |seed| with_places(summary(events, seed)));
    }
    for (categories, panes) in [(100, 1_000), (1_000, 400), (10_000, 20)] {
        let name = format!("10000 of {categories} categories");
        row(&name, 10_000, panes, |seed| {
            let mut pane = summary(10_000, seed);
            pane.numbers = Numbers::default();
            (0..10_000).for_each(|n| pane.categories.add(&format!("user-{}", n % categories), 1));
            with_places(pane)
        });
    }
}

/// Memory and bytes of so many panes, each.
fn row(name: &str, events: u64, panes: u64, pane: impl Fn(u64) -> Summary) {
    // What the first pane needs once is no matter of the others.
    black_box(pane(0));
    let before = resident_bytes();
    let summaries: Vec<Summary> = (0..panes).map(pane).collect();
    let memory = (resident_bytes() - before) / panes as f64;
    let taken = summaries.into_iter().take(200).collect::<Vec<_>>();
    let count = taken.len();
    let bytes = bytes_of(taken) / count;
    let raw = events as f64 * AVRO_RECORD_BYTES as f64;
    println!("| {name} | {memory:.0} B | {bytes} B | 1/{:.0} |", raw / bytes as f64);
}

/// With the positions of its first records.
fn with_places(mut pane: Summary) -> Summary {
    for offset in 0..EXEMPLARS_MAX as i64 {
        pane.add_exemplar(Position {
            topic: "feature.telemetry".into(),
            partition: 0,
            offset: 1_000_000 + offset,
        });
    }
    pane
}

fn bytes_of(summaries: Vec<Summary>) -> usize {
    let delta = |(n, summary): (usize, Summary)| Delta {
        feature: format!("bench.feature_{n:06}").into(),
        feature_version: "".into(),
        pane_start: start().floor(TimeSpan::MINUTE),
        event_id: None,
        summary,
    };
    let deltas = summaries.into_iter().enumerate().map(delta).collect();
    let batch = SummaryBatch {
        pane: TimeSpan::MINUTE,
        instance: "bench".into(),
        session: start(),
        sequence: 0,
        part: 0,
        parts: 1,
        partitions: 1,
        source_topics: vec![("feature.telemetry".into(), 1)],
        charters: None,
        steps: vec![Step { deltas, sources: Vec::new() }],
    };
    summary_batch::encode(&batch, AvroFraming::SingleObject).len()
}

/// Bytes of this process that are in memory, by the kernel.
fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1024.0
}
