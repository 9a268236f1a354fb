//! Processor time of the way of an event into a summary, in nanoseconds an event.
//!
//! The benchmarks measure elapsed time, which on a busy machine is the time of
//! others too. This asks the kernel how long this thread ran, so it may be
//! run beside other work. Linux only.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::hint::black_box;

use watchkeep_benches::{Encoding, Records, records, schema_set};
use watchkeep_detection::charters::NoCharters;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_detection::summarise::Summarise;
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_wire::telemetry::Decoder;

/// Records between two commits, as in the benchmark `ingest`.
const EVENTS: u64 = 200_000;
const FEATURES: usize = 1_000;
/// The kernel counts in ticks of some milliseconds, so a sample has to be long.
const PASSES_IN_A_SAMPLE: u32 = 10;
const SAMPLES: usize = 9;

fn main() {
    for (name, encoding) in [
        ("decode json", Encoding::Json),
        ("decode avro single object", Encoding::SingleObject),
        ("decode avro confluent 127 B", Encoding::Confluent),
    ] {
        let records = records(encoding, FEATURES, EVENTS);
        let mut decoder = Decoder::new(schema_set());
        tell(name, || decode(&mut decoder, &records));
    }
    let records = records(Encoding::Confluent, FEATURES, EVENTS);
    let mut decoder = Decoder::new(schema_set());
    let mut events = Vec::new();
    for record in records.iter() {
        decoder.decode(record, None, &mut events).expect("a valid record");
    }
    let mut stage = Summarise::new(TimeSettings::default(), "cpu", Timestamp::default());
    let partition = Partition::new("telemetry", 0);
    tell("fold what is decoded", || {
        let source = stage.assign(&partition, 0);
        for (offset, event) in (0..).zip(&events) {
            let event = std::slice::from_ref(event);
            stage
                .record(source, offset, None, event, &NoCharters)
                .expect("no event is ahead of its time");
        }
        black_box(stage.take_steps());
    });
    let mut stage = Summarise::new(TimeSettings::default(), "cpu", Timestamp::default());
    tell("decode and fold, 127 B", || {
        let source = stage.assign(&partition, 0);
        let mut events = Vec::with_capacity(1);
        for (offset, record) in (0..).zip(records.iter()) {
            events.clear();
            decoder.decode(record, None, &mut events).expect("a valid record");
            stage
                .record(source, offset, None, &events, &NoCharters)
                .expect("no event is ahead of its time");
        }
        black_box(stage.take_steps());
    });
}

fn decode(decoder: &mut Decoder, records: &Records) {
    let mut events = Vec::with_capacity(1);
    for record in records.iter() {
        events.clear();
        decoder.decode(record, None, &mut events).expect("a valid record");
        black_box(&events);
    }
}

/// Prints the median of the samples.
fn tell(name: &str, mut pass: impl FnMut()) {
    pass();
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let before = cpu_nanoseconds();
            (0..PASSES_IN_A_SAMPLE).for_each(|_| pass());
            let events = EVENTS * u64::from(PASSES_IN_A_SAMPLE);
            (cpu_nanoseconds() - before) as f64 / events as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    let median = samples[SAMPLES / 2];
    println!("{name:<28} {median:>6.0} ns an event, {:>5.1} M events/s", 1e3 / median);
}

/// How long this thread has run.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number comes first")
}
