//! The registry of a large organisation: 10,000 charter documents for 100,000
//! features. By the clock; `examples/accountability.rs` measures processor time.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use watchkeep_benches::charters::{FEATURES, feature, folder, load};
use watchkeep_model::time::Timestamp;
use watchkeep_wire::yaml;

/// Features that are looked up in a registry that remembers none: enough that
/// what loading it left behind does not count.
const LOOKED_UP: usize = 10_000;

fn loading(c: &mut Criterion) {
    let files = folder();
    let mut group = c.benchmark_group("registry of 10,000 documents");
    group.sample_size(10);
    group.bench_function("read", |b| b.iter(|| yaml::read(black_box(&files))));
    group.bench_function("load, with all checks", |b| b.iter(|| load(black_box(&files))));
    group.finish();
}

/// Each feature for the first time; a second time it is remembered.
fn resolving(c: &mut Criterion) {
    let files = folder();
    // 7,919 is prime, so that neighbours do not come one after the other.
    let names: Vec<String> = (0..LOOKED_UP).map(|n| feature(n * 7_919 % FEATURES)).collect();
    let mut group = c.benchmark_group("charters of 10,000 of 100,000 features");
    group.sample_size(10).throughput(Throughput::Elements(LOOKED_UP as u64));
    group.bench_function("for the first time", |b| {
        b.iter_batched_ref(
            || load(&files),
            |registry| {
                for name in &names {
                    black_box(registry.charter(name, Timestamp::MAX));
                }
            },
            BatchSize::PerIteration,
        );
    });
    let registry = load(&files);
    group.bench_function("again", |b| {
        b.iter(|| {
            for name in &names {
                black_box(registry.charter(name, Timestamp::MAX));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, loading, resolving);
criterion_main!(benches);
