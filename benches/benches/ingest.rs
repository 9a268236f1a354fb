//! The way of an event into a summary: decode per encoding, fold, and both.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use watchkeep_benches::{Encoding, Records, records, schema_set};
use watchkeep_detection::charters::NoCharters;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_detection::summarise::Summarise;
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_wire::telemetry::Decoder;

/// Records between two commits: what arrives in some 25 ms at the budget's rate.
const EVENTS: u64 = 200_000;
const FEATURES: usize = 1_000;

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, encoding) in [
        ("json", Encoding::Json),
        ("avro single object", Encoding::SingleObject),
        ("avro confluent 127 B", Encoding::Confluent),
    ] {
        let records = records(encoding, FEATURES, EVENTS);
        let mut decoder = Decoder::new(schema_set());
        group.throughput(Throughput::Elements(EVENTS));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut events = Vec::with_capacity(1);
                for record in records.iter() {
                    events.clear();
                    decoder.decode(record, None, &mut events).expect("a valid record");
                    black_box(&events);
                }
            });
        });
    }
    group.finish();
}

/// Decodes and folds every record, then hands over, as one commit does.
fn decode_and_fold(stage: &mut Summarise, decoder: &mut Decoder, records: &Records) {
    let source = stage.assign(&Partition::new("telemetry", 0), 0);
    let mut events = Vec::with_capacity(1);
    for (offset, record) in (0..).zip(records.iter()) {
        events.clear();
        decoder.decode(record, None, &mut events).expect("a valid record");
        stage
            .record(source, offset, None, &events, &NoCharters)
            .expect("no event is ahead of its time");
    }
    black_box(stage.take_steps());
}

fn fold(c: &mut Criterion) {
    let mut group = c.benchmark_group("fold");
    let records = records(Encoding::Confluent, FEATURES, EVENTS);
    let mut decoder = Decoder::new(schema_set());
    let mut events = Vec::with_capacity(records.len());
    for record in records.iter() {
        decoder.decode(record, None, &mut events).expect("a valid record");
    }
    let settings = TimeSettings::default();
    let partition = Partition::new("telemetry", 0);
    group.throughput(Throughput::Elements(EVENTS));
    let mut stage = Summarise::new(settings, "bench", Timestamp::default());
    group.bench_function("decoded, 1,000 features zipf 1.1", |b| {
        b.iter(|| {
            let source = stage.assign(&partition, 0);
            for (offset, event) in (0..).zip(&events) {
                let event = std::slice::from_ref(event);
                stage
                    .record(source, offset, None, event, &NoCharters)
                    .expect("no event is ahead of its time");
            }
            black_box(stage.take_steps());
        });
    });
    let mut stage = Summarise::new(settings, "bench", Timestamp::default());
    group.bench_function("decode and fold, 127 B, 1,000 features zipf 1.1", |b| {
        b.iter(|| decode_and_fold(&mut stage, &mut decoder, &records));
    });
    group.bench_function("the same with names unknown", |b| {
        b.iter_batched_ref(
            || Summarise::new(settings, "bench", Timestamp::default()),
            |stage| decode_and_fold(stage, &mut decoder, &records),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
}

criterion_group! { name = ingest; config = settings(); targets = decode, fold }
criterion_main!(ingest);
