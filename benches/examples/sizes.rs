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
use std::process::Command;
use std::sync::{Arc, LazyLock};

use watchkeep_benches::{AVRO_RECORD_BYTES, argument, start, summary};
use watchkeep_model::batch::{Delta, Step, SummaryBatch};
use watchkeep_model::distribution::Numbers;
use watchkeep_model::position::Position;
use watchkeep_model::summary::{CATEGORY_BYTES_MAX, EXEMPLARS_MAX, Summary};
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::summary_batch;

/// What a pane holds.
#[derive(Clone, Copy)]
enum Holds {
    Numbers,
    /// Of so many different ones.
    Categories(u64),
    /// The same with names of so many bytes that begin and end unlike.
    Names(u64, usize),
}

/// What is measured, with events and panes of each.
const ROWS: [(Holds, u64, u64); 11] = [
    (Holds::Numbers, 10, 20_000),
    (Holds::Numbers, 100, 10_000),
    (Holds::Numbers, 1_000, 4_000),
    (Holds::Numbers, 10_000, 1_000),
    (Holds::Categories(100), 10_000, 1_000),
    (Holds::Categories(1_000), 10_000, 400),
    (Holds::Categories(2_000), 10_000, 200),
    (Holds::Categories(10_000), 10_000, 20),
    (Holds::Names(10_000, 36), 10_000, 20),
    (Holds::Names(8_000, CATEGORY_BYTES_MAX), 8_000, 20),
    (Holds::Names(30_000, CATEGORY_BYTES_MAX), 30_000, 10),
];

/// Each row is a process of its own, whose memory holds nothing else.
fn main() {
    if let Some(row) = argument("--row").and_then(|row| ROWS.get(row.parse::<usize>().ok()?)) {
        measure(*row);
        return;
    }
    println!("| events of a feature and pane | memory | bytes in a batch | of the events |");
    println!("|---|---:|---:|---:|");
    let program = std::env::current_exe().expect("this program has a path");
    for row in 0..ROWS.len() {
        let mut command = Command::new(&program);
        command.args(["--row", &row.to_string()]).status().expect("this program runs");
    }
}

/// Memory and bytes of so many panes, each.
fn measure((holds, events, panes): (Holds, u64, u64)) {
    // What the first pane needs once is no matter of the others.
    black_box(pane(holds, events, 0));
    let before = resident_bytes();
    let summaries: Vec<Summary> = (0..panes).map(|seed| pane(holds, events, seed)).collect();
    let memory = (resident_bytes() - before) / panes as f64;
    let taken = summaries.into_iter().take(200).collect::<Vec<_>>();
    let count = taken.len();
    let bytes = bytes_of(taken) / count;
    let raw = events as f64 * AVRO_RECORD_BYTES as f64;
    let name = match holds {
        Holds::Numbers => format!("{events} numbers"),
        Holds::Categories(of) => format!("{events} of {of} categories"),
        Holds::Names(of, bytes) => format!("{events} of {of} names of {bytes} bytes"),
    };
    println!("| {name} | {memory:.0} B | {bytes} B | 1/{:.0} |", raw / bytes as f64);
}

fn pane(holds: Holds, events: u64, seed: u64) -> Summary {
    let mut pane = summary(events, seed);
    let name: Box<dyn Fn(u64) -> String> = match holds {
        Holds::Numbers => return with_places(pane),
        Holds::Categories(of) => Box::new(move |n| format!("user-{}", n % of)),
        Holds::Names(of, bytes) => Box::new(move |n| mixed(n % of, bytes)),
    };
    pane.numbers = Numbers::default();
    (0..events).for_each(|n| pane.categories.add(&name(n), 1));
    with_places(pane)
}

/// A name of so many hexadecimal digits that follow from a number.
fn mixed(n: u64, bytes: usize) -> String {
    let word = |at: u64| (n + 1).wrapping_add(at << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = (0..bytes.div_ceil(16) as u64).map(|at| word(at) ^ (word(at) >> 29));
    let mut name: String = words.map(|word| format!("{word:016x}")).collect();
    name.truncate(bytes);
    name
}

/// With the positions of its first records. All name the topic by one text, as in
/// the stages.
fn with_places(mut pane: Summary) -> Summary {
    static TOPIC: LazyLock<Arc<str>> = LazyLock::new(|| "feature.telemetry".into());
    for offset in 0..EXEMPLARS_MAX as i64 {
        pane.add_exemplar(Position {
            topic: TOPIC.clone(),
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
