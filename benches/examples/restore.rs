//! How long a restart takes with a million open windows: from a snapshot, and
//! from the log alone. Prints times, bytes and the largest memory.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example restore [FEATURES]
//! ```
//!
//! Each feature has ten windows of an hour, each with five events: numbers,
//! latencies, ages and three exemplars. Writing and restoring happen in
//! processes of their own, on the embedded log and its cache. At the end, what
//! saving now and then adds to the processor time of the stage in steady work.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::borrow::Cow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use watchkeep_benches::processor_seconds;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_incident::registry::Registry;
use watchkeep_log_sled::cache::SledSnapshots;
use watchkeep_log_sled::store::SledStore;
use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch};
use watchkeep_model::document::Documents;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::summary::Summary;
use watchkeep_model::telemetry::{Status, Telemetry, Value};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{CONTENT_TYPE, Outgoing};
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::snapshot::Pace;
use watchkeep_runtime::stage::evaluate::{EvaluateStage, OUTPUTS_MAX, Settings};
use watchkeep_runtime::topics::Topics;
use watchkeep_simulator::log::MemoryStore;
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::summary_batch;

const WINDOWS: i64 = 10;
const OUT_OF_ORDERNESS: TimeSpan = TimeSpan::HOUR.times(24);
const EVENTS: i64 = 5;
/// Features whose deltas share a record.
const FEATURES_PER_BATCH: i64 = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let features = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    match arguments.get(2).map(String::as_str) {
        Some("write") => write(Path::new(&arguments[3]), features),
        Some("steady") => steady(Path::new(&arguments[3])),
        Some(how) => restore(Path::new(&arguments[3]), how),
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            for step in ["write", "snapshot", "log", "steady"] {
                let program = std::env::current_exe().expect("this program");
                let status = Command::new(program)
                    .args([&features.to_string(), step])
                    .arg(folder.path())
                    .status();
                assert!(status.is_ok_and(|status| status.success()));
            }
        }
    }
}

fn topics() -> Topics {
    Topics::new("w.", &["telemetry".to_owned()])
}

/// With all ten windows open at the end.
fn patient() -> TimeSettings {
    TimeSettings { out_of_orderness: OUT_OF_ORDERNESS, ..TimeSettings::default() }
}

fn stage(folder: &Path, time: TimeSettings, with_snapshots: bool, pace: Pace) -> EvaluateStage {
    let (topics, outputs_max) = (topics(), OUTPUTS_MAX);
    let settings = Settings { time, topics, encoding: FactEncoding::Json, outputs_max };
    let (registry, _) = Registry::new(Documents::default(), TimeSpan::MINUTE);
    let stage = EvaluateStage::new(settings, Rules::new(registry));
    if !with_snapshots {
        return stage;
    }
    let began = Watch::start();
    let snapshots = SledSnapshots::open(&folder.join("cache")).expect("a cache");
    began.tell("the cache opened");
    stage.with_snapshots(Box::new(snapshots), pace)
}

fn open_log(folder: &Path) -> SledStore {
    let store = SledStore::open(&folder.join("log")).expect("a log");
    let topics = topics();
    for topic in [&topics.summaries, &topics.windows, &topics.breaches, &topics.rejects] {
        store.create_topic(topic, 1).expect("a topic");
    }
    store
}

/// Writes the batches, folds them and saves one snapshot at the end.
fn write(folder: &Path, features: i64) {
    let store = open_log(folder);
    let mut bytes = 0;
    let mut offset = 0;
    for hour in 0..WINDOWS {
        for first in (0..features).step_by(FEATURES_PER_BATCH as usize) {
            let last = (first + FEATURES_PER_BATCH).min(features);
            let start = Timestamp::from_micros(0) + TimeSpan::HOUR.times(hour + 1_000);
            let record = record(&batch(start, OUT_OF_ORDERNESS, first..last, offset));
            offset += 1;
            bytes += record.value.len();
            store.append(&[(record, None)]).expect("a record");
        }
    }
    println!("{} windows of {features} features, {EVENTS} events each", features * WINDOWS);
    println!("  {} of batches in {offset} records", megabytes(bytes as u64));
    let mut log = store.session("e", &[&topics().summaries], "e").expect("a session");
    let never = Pace { folded_bytes_min: u64::MAX, folded_bytes_per_saved: 0 };
    let mut stage = stage(folder, patient(), true, never);
    let began = Watch::start();
    let mut idle_turns = 0;
    while idle_turns < 3 {
        let before = stage.counts().commits;
        stage.turn(&mut log, TimeSpan::from_micros(1_000)).expect("a turn");
        idle_turns = if stage.counts().commits == before { idle_turns + 1 } else { 0 };
    }
    began.tell("folded");
    let began = Watch::start();
    stage.drain();
    began.tell("saved");
    println!("  {} of snapshots", megabytes(stage.snapshot_bytes()));
    stage.take_notes().iter().for_each(|note| println!("  {note}"));
    println!("  {}", memory());
    drop(stage);
    println!("  the cache is {} on the disk", megabytes(size(&folder.join("cache"))));
}

fn restore(folder: &Path, how: &str) {
    println!("restore from the {how}");
    let store = open_log(folder);
    let mut log = store.session("e", &[&topics().summaries], "e").expect("a session");
    let mut stage = stage(folder, patient(), how == "snapshot", Pace::default());
    stage.turn(&mut log, TimeSpan::ZERO).expect("a turn");
    println!("  before: {}", memory());
    let began = Watch::start();
    stage.turn(&mut log, TimeSpan::ZERO).expect("a turn");
    assert!(stage.is_ready());
    began.tell("restored");
    stage.take_notes().iter().for_each(|note| println!("  {note}"));
    println!("  {}", memory());
}

/// Three hours and twenty minutes of event time with a batch every three
/// seconds, with and without snapshots.
fn steady(folder: &Path) {
    const FEATURES: i64 = 2_000;
    const BATCHES: i64 = 4_000;
    println!("steady work: {BATCHES} batches, each of a quarter of {FEATURES} features");
    let mut cost = [0.0; 2];
    for (number, with_snapshots) in [false, true, false, true].into_iter().enumerate() {
        let store = MemoryStore::default();
        let topics = topics();
        for topic in [&topics.summaries, &topics.windows, &topics.breaches, &topics.rejects] {
            store.create_topic(topic, 1);
        }
        let mut bytes = 0;
        for offset in 0..BATCHES {
            let start = Timestamp::from_micros(0) + TimeSpan::HOUR.times(1_000);
            let start = (start + TimeSpan::SECOND.times(offset * 3)).floor(TimeSpan::MINUTE);
            let first = offset % 4 * (FEATURES / 4);
            let features = first..first + FEATURES / 4;
            let record = record(&batch(start, TimeSpan::ZERO, features, offset));
            bytes += record.value.len() as u64;
            store.append(&record, start).expect("a record");
        }
        store.set_batch_records_max(1);
        let mut log = store.session("e", &[&topics.summaries], "e").expect("a session");
        let (folder, time) = (folder.join(format!("steady-{number}")), TimeSettings::default());
        let mut stage = stage(&folder, time, with_snapshots, Pace::default());
        let began = processor_seconds("self");
        for _ in 0..BATCHES + 2 {
            stage.turn(&mut log, TimeSpan::ZERO).expect("a turn");
        }
        let seconds = processor_seconds("self") - began;
        cost[usize::from(with_snapshots)] += seconds;
        println!(
            "  {} snapshots: {seconds:.2} s of the processor for {} of batches, {} saved",
            if with_snapshots { "with" } else { "without" },
            megabytes(bytes),
            megabytes(stage.snapshot_bytes()),
        );
    }
    println!("  snapshots add {:.1} %", (cost[1] / cost[0] - 1.0) * 100.0);
}

/// Elapsed and processor time; on a busy machine only the latter says much.
struct Watch {
    began: Instant,
    cpu_seconds: f64,
}

impl Watch {
    fn start() -> Self {
        Self { began: Instant::now(), cpu_seconds: processor_seconds("self") }
    }

    fn tell(&self, what: &str) {
        let cpu_seconds = processor_seconds("self") - self.cpu_seconds;
        let elapsed = self.began.elapsed().as_secs_f64();
        println!("  {what} in {elapsed:.2} s, {cpu_seconds:.2} s of the processor");
    }
}

fn record(batch: &SummaryBatch) -> Outgoing {
    Outgoing {
        topic: topics().summaries,
        partition: Some(0),
        key: None,
        value: summary_batch::encode(batch, AvroFraming::SingleObject),
        headers: vec![(CONTENT_TYPE.to_owned(), b"application/avro".to_vec())],
    }
}

fn batch(
    start: Timestamp,
    out_of_orderness: TimeSpan,
    features: std::ops::Range<i64>,
    offset: i64,
) -> SummaryBatch {
    let deltas = features.map(|feature| Delta {
        feature: format!("feature-{feature:06}").into(),
        feature_version: Arc::from("v1"),
        event_id: None,
        pane_start: start,
        summary: summary(start, feature * 31 + offset),
    });
    let progress = SourceProgress {
        source: Partition::new("feature.telemetry", 0),
        from: offset,
        to: offset + 1,
        watermark: Some(start - out_of_orderness),
        idle: false,
        silent_since: None,
    };
    SummaryBatch {
        pane: TimeSpan::MINUTE,
        instance: "bench".into(),
        sequence: offset as u64,
        parts: 1,
        partitions: 1,
        source_topics: vec![("feature.telemetry".into(), 1)],
        steps: vec![Step { deltas: deltas.collect(), sources: vec![progress] }],
        ..SummaryBatch::default()
    }
}

fn summary(start: Timestamp, seed: i64) -> Summary {
    let mut summary = Summary::default();
    for n in 0..EVENTS {
        let at = start + TimeSpan::SECOND.times(n * 11);
        let number = (seed * 7919 + n * 104_729) % 10_007;
        summary.add(&Telemetry {
            feature: Cow::Borrowed(""),
            event_time: at,
            event_id: None,
            feature_version: Cow::Borrowed("v1"),
            value: Value::Number(number as f64 / 7.0),
            materialised_at: Some(at - TimeSpan::from_micros(number * 1_000)),
            latency_us: u64::try_from(number).ok(),
            status: Status::Ok,
        });
        summary.add_exemplar(Position {
            topic: "feature.telemetry".into(),
            partition: 0,
            offset: seed * EVENTS + n,
        });
    }
    summary
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_matches([' ', ':', '\t']).to_owned()
    };
    format!("memory now {}, at most {}", line("VmRSS"), line("VmHWM"))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
