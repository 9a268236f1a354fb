//! Decisions beside 100,000 open incidents: answers, deadlines, a tick in
//! which nothing is due, and as many breaches of which each is its own incident.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use watchkeep_benches::incidents::{OPEN, commands, moment, stage, world};
use watchkeep_benches::world::{AT, breach};
use watchkeep_incident::escalate::Outputs;
use watchkeep_model::breach::Breach;
use watchkeep_model::time::TimeSpan;

/// Commands of each kind.
const ANSWERS: usize = 10_000;

fn decisions(c: &mut Criterion) {
    let world = world();
    let open = stage(&world);
    let mut group = c.benchmark_group("beside 100,000 open incidents");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    let moment = moment();
    let commands = commands(&open).map(|all| all[..ANSWERS].to_vec());
    group.throughput(Throughput::Elements((commands.len() * ANSWERS) as u64));
    group.bench_function("commands: acknowledge, comment, remediate, one refused", |b| {
        b.iter_batched_ref(
            || open.clone(),
            |stage| {
                let mut out = Outputs::default();
                for one in commands.iter().flatten() {
                    stage.respond(one, &world, one.at, &mut out);
                }
                black_box(out)
            },
            BatchSize::PerIteration,
        );
    });
    // Everybody's half hour is over at once: a step up and its pages for each.
    group.throughput(Throughput::Elements(OPEN as u64));
    group.bench_function("deadlines, all at once", |b| {
        b.iter_batched_ref(
            || open.clone(),
            |stage| {
                let mut out = Outputs::default();
                stage.advance(&world, AT + TimeSpan::MINUTE.times(31), &mut out);
                black_box(out)
            },
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("a tick with nothing due", |b| {
        b.iter_batched_ref(
            || open.clone(),
            |stage| {
                let mut out = Outputs::default();
                black_box(stage.next_deadline());
                stage.advance(&world, moment, &mut out);
                black_box(out)
            },
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("a thousand breaches more, each at its own time", |b| {
        b.iter_batched_ref(
            || open.clone(),
            |stage| {
                let mut out = Outputs::default();
                for n in 0..1_000 {
                    let at = moment + TimeSpan::from_micros(n);
                    let feature = OPEN + usize::try_from(n).unwrap_or_default();
                    let one = Breach { detected_at: at, window_end: at, ..breach(feature) };
                    stage.breach(&one, &world, at, &mut out);
                }
                stage.advance(&world, moment + TimeSpan::MINUTE.times(2), &mut out);
                black_box(out)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
