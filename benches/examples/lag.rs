//! Memory and speed of the service while it works off a lag on real Kafka.
//!
//! Starts a Kafka of its own, writes the events (lz4), then starts
//! `watchkeep run` with all stages and looks at its resident memory every
//! second until every event is counted.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example lag -- --events 50000000
//! ```

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::time::{Duration, Instant};

use watchkeep_benches::{argument, load, processor_seconds};
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::Outgoing;
use watchkeep_simulator::generator::{Generator, Scenario, Settings};
use watchkeep_tests::kafka::Cluster;
use watchkeep_tests::service::Service;
use watchkeep_wire::framing::AvroFraming;
use watchkeep_wire::telemetry::encode;

/// Features of the stream, the n-th most frequent with a share of 1/n^1.1.
const FEATURES: usize = 1_000;
/// Events in a second of event time, by default: the lag of a busy deployment.
/// With more of them a lag of as many events is within fewer windows, which
/// tells what the windows need from what the lag does.
const EVENTS_EACH_SECOND: u64 = 10_000;
const PARTITIONS: u32 = 8;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time without a single further event after which something is wrong.
const STALLED_AFTER: Duration = Duration::from_secs(120);

fn main() {
    let events: u64 = argument("--events").map_or(5_000_000, |n| n.parse().expect("--events N"));
    let per_second =
        argument("--per-second").map_or(EVENTS_EACH_SECOND, |n| n.parse().expect("--per-second N"));
    let is_avro = argument("--encoding").is_some_and(|name| name == "avro");
    let cluster = Cluster::start(1).unwrap_or_else(|why| panic!("{why}"));
    let mut service = Service::kafka(&cluster, "lag", PARTITIONS, "avro", "");
    println!("load before: {}", load());
    let begun = Instant::now();
    let bytes = write(&KafkaSettings::new(cluster.bootstrap()), events, per_second, is_avro);
    let took = begun.elapsed().as_secs_f64();
    println!("wrote {events} events of {} bytes in {took:.0} s", bytes / events.max(1));
    service.start();
    let samples = work_off(&service, events);
    tell(events, &samples);
    service.stop();
    println!("load after: {}", load());
}

/// What was seen of the service at one look.
struct Sample {
    since: Duration,
    events: u64,
    resident_bytes: u64,
    processor_seconds: f64,
}

/// Writes the events and returns their bytes.
fn write(settings: &KafkaSettings, events: u64, per_second: u64, is_avro: bool) -> u64 {
    let mut appender = KafkaAppender::open(settings).expect("a producer");
    let mut generator = Generator::new(Settings {
        scenario: Scenario::Steady,
        features: FEATURES,
        events: Some(events),
        rate_per_s: per_second,
        zipf: 1.1,
        out_of_orderness: TimeSpan::SECOND.times(5),
        ..Settings::default()
    });
    let mut record = Outgoing {
        topic: "lag.telemetry".into(),
        partition: None,
        key: None,
        value: Vec::new(),
        headers: Vec::new(),
    };
    let (mut bytes, mut number) = (0, 0);
    while let Some(generated) = generator.generate() {
        record.value.clear();
        if is_avro {
            encode::to_avro(&generated.event, AvroFraming::SingleObject, &mut record.value);
        } else {
            record.value.extend_from_slice(encode::to_json(&generated.event).as_bytes());
        }
        // In turn, so that the partitions are of one age.
        record.partition = Some(number);
        number = (number + 1) % PARTITIONS.cast_signed();
        bytes += record.value.len() as u64;
        appender.append(&record, None).expect("a record is taken");
    }
    appender.flush().expect("all are written");
    bytes
}

/// Looks at the service until it has counted everything.
fn work_off(service: &Service, events: u64) -> Vec<Sample> {
    let process = service.process().expect("it runs");
    let begun = Instant::now();
    let mut samples: Vec<Sample> = Vec::new();
    let mut progress = Instant::now();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let sample = Sample {
            since: begun.elapsed(),
            events: service.metric("watchkeep_events_total") as u64,
            resident_bytes: resident_bytes(process),
            processor_seconds: processor_seconds(&process.to_string()),
        };
        println!(
            "{:>6.1} s {:>10} events {:>6.1} MB",
            sample.since.as_secs_f64(),
            sample.events,
            sample.resident_bytes as f64 / 1e6
        );
        if samples.last().is_none_or(|last| last.events < sample.events) {
            progress = Instant::now();
        }
        let is_done = sample.events >= events;
        assert!(sample.events <= events, "{} of {events} events were counted", sample.events);
        assert!(progress.elapsed() < STALLED_AFTER, "no progress\n{}", service.log());
        samples.push(sample);
        if is_done {
            return samples;
        }
    }
}

fn tell(events: u64, samples: &[Sample]) {
    // The start, before the first commit, says nothing of the work.
    let working: Vec<&Sample> = samples.iter().filter(|sample| sample.events > 0).collect();
    let (Some(first), Some(last)) = (working.first(), working.last()) else { return };
    let megabytes = |samples: &[&Sample]| {
        let mut all: Vec<u64> = samples.iter().map(|sample| sample.resident_bytes).collect();
        all.sort_unstable();
        let median = all.get(all.len() / 2).copied().unwrap_or_default();
        (median as f64 / 1e6, all.last().copied().unwrap_or_default() as f64 / 1e6)
    };
    let (median, largest) = megabytes(&working);
    println!("resident memory: median {median:.0} MB, largest {largest:.0} MB");
    for (part, samples) in (1..).zip(working.chunks(working.len().div_ceil(4))) {
        let (median, largest) = megabytes(samples);
        println!("  quarter {part}: median {median:.0} MB, largest {largest:.0} MB");
    }
    let span = (last.since - first.since).as_secs_f64();
    println!(
        "{:.0} events/s over {span:.0} s, {:.0} ns of processor time an event, all stages",
        (last.events - first.events) as f64 / span,
        last.processor_seconds * 1e9 / events as f64
    );
}

/// Memory of a process, in bytes. Linux only.
fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
