//! Blame in a lineage of 100,000 nodes: one breach more beside a thousand open
//! ones, ten thousand breaches at once; and a lineage of a million edges. By
//! the clock; `examples/accountability.rs` measures processor time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use watchkeep_benches::lineages::{busy, from_all_over, further, of_one_fault, open, stage, world};
use watchkeep_benches::world::{AT, World, breach};
use watchkeep_incident::escalate::{Escalate, Outputs, Settings};
use watchkeep_incident::lineage::Builder;
use watchkeep_model::directory::Directory;
use watchkeep_model::time::TimeSpan;

/// Breaches that come one after the other before the stage is put back.
const IN_A_ROW: usize = 500;

fn blame(c: &mut Criterion) {
    let world = world();
    let quiet = stage(&world);
    let beside = busy(&quiet, &world);
    let mut group = c.benchmark_group("blame at 100,000 nodes");
    group.sample_size(20).measurement_time(Duration::from_secs(20));
    // Several in a row, for the first also clears up what copying a stage left.
    group.bench_function("one breach beside a thousand", |b| {
        b.iter_custom(|rounds| {
            let (mut spent, mut left) = (Duration::ZERO, rounds);
            while left > 0 {
                let mut stage = beside.clone();
                let in_a_row = left.min(IN_A_ROW as u64);
                for feature in further().take(usize::try_from(in_a_row).unwrap_or(IN_A_ROW)) {
                    let begun = Instant::now();
                    black_box(open(&mut stage, &world, &[feature]));
                    spent += begun.elapsed();
                }
                left -= in_a_row;
            }
            spent
        });
    });
    for (name, features) in [
        ("10,000 breaches at once", of_one_fault()),
        ("10,000 breaches at once, all over", from_all_over()),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || quiet.clone(),
                |stage| black_box(open(stage, &world, &features)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A million edges between 100,000 nodes, with circles.
fn million(c: &mut Criterion) {
    let mut builder = Builder::default();
    let names: Vec<String> = (0..100_000).map(|n| format!("dataset:n{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        for k in 1..=10 {
            builder.note(name, &names[(n * 31 + k * 977) % names.len()], AT);
        }
    }
    let mut group = c.benchmark_group("a million edges");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("load", |b| {
        b.iter_batched(|| builder.clone(), |builder| builder.build(), BatchSize::PerIteration);
    });
    let world = World { lineage: builder.build(), directory: Directory::default() };
    let mut of_dataset = breach(0);
    of_dataset.feature = "dataset:n7".into();
    group.bench_function("one breach among circles", |b| {
        b.iter_batched_ref(
            || Escalate::new(Settings::default()),
            |stage| {
                let mut out = Outputs::default();
                stage.breach(&of_dataset, &world, AT, &mut out);
                stage.advance(&world, AT + TimeSpan::MINUTE, &mut out);
                out
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, blame, million);
criterion_main!(benches);
