//! Blame in a lineage of 100,000 nodes: one breach more beside a thousand open
//! ones, ten thousand breaches at once; and a lineage of a million edges.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use watchkeep_benches::world::{AT, World, breach};
use watchkeep_incident::escalate::{Escalate, Outputs, Settings};
use watchkeep_incident::lineage::Builder;
use watchkeep_model::directory::Directory;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

const DATASETS: usize = 500;
const PIPELINES: usize = 2_000;
const VIEWS: usize = 10_000;
const FEATURES: usize = 87_500;

/// Datasets, pipelines, views and features, each made from two of the layer
/// above; the first dataset is popular and feeds every pipeline.
fn world() -> World {
    let mut builder = Builder::default();
    let layers: [(&str, usize); 4] = [
        ("dataset:d", DATASETS),
        ("pipeline:p", PIPELINES),
        ("view:v", VIEWS),
        ("feature:f", FEATURES),
    ];
    let mut edge = |from: String, to: &str| {
        let (always, never) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        builder.declare(&from, to, always, never);
    };
    for pair in layers.windows(2) {
        let ((above, sources), (below, users)) = (pair[0], pair[1]);
        for n in 0..users {
            let to = format!("{below}{n}");
            edge(format!("{above}{}", n * sources / users), &to);
            edge(format!("{above}{}", (n * 7_919 + 13) % sources), &to);
            if below == "pipeline:p" {
                edge(format!("{above}0"), &to);
            }
        }
    }
    World { lineage: builder.build(), directory: Directory::default() }
}

/// A stage that has seen a good window of every feature.
fn stage(world: &World) -> Escalate {
    let mut stage = Escalate::new(Settings::default());
    let text = r#"{"feature":"","feature_version":"","window":"5m","window_start":0,"window_end":0,
        "revision":0,"partial":false,"count":1,"null_count":0,"error_count":0,"status":{},
        "non_finite_count":0,"late_count":0,
        "judged":[{"expectation":"missing","verdict":"good"}]}"#;
    let mut window: Window = serde_json::from_str(text).expect("a window");
    window.window_end = AT - TimeSpan::HOUR;
    for feature in 0..FEATURES {
        window.feature = format!("f{feature}");
        stage.window(&window, world, AT, &mut Outputs::default());
    }
    stage
}

fn open(stage: &mut Escalate, world: &World, features: &[usize]) -> Outputs {
    let mut out = Outputs::default();
    for feature in features {
        stage.breach(&breach(*feature), world, AT, &mut out);
    }
    stage.advance(world, AT + TimeSpan::MINUTE, &mut out);
    out
}

fn blame(c: &mut Criterion) {
    let world = world();
    let quiet = stage(&world);
    // A thousand here and there, each by itself.
    let mut busy = quiet.clone();
    let scattered: Vec<usize> = (0..1_000).map(|n| n * 87).collect();
    open(&mut busy, &world, &scattered);
    let mut group = c.benchmark_group("blame at 100,000 nodes");
    group.sample_size(20).measurement_time(Duration::from_secs(20));
    group.bench_function("one breach beside a thousand", |b| {
        b.iter_batched_ref(
            || busy.clone(),
            |stage| black_box(open(stage, &world, &[50_001])),
            BatchSize::PerIteration,
        );
    });
    // All features of some of the pipelines, and some others.
    let one_fault: Vec<usize> = (0..10_000).collect();
    group.bench_function("10,000 breaches at once", |b| {
        b.iter_batched_ref(
            || quiet.clone(),
            |stage| black_box(open(stage, &world, &one_fault)),
            BatchSize::PerIteration,
        );
    });
    let spread: Vec<usize> = (0..10_000).map(|n| (n * 7_919) % FEATURES).collect();
    group.bench_function("10,000 breaches at once, all over", |b| {
        b.iter_batched_ref(
            || quiet.clone(),
            |stage| black_box(open(stage, &world, &spread)),
            BatchSize::PerIteration,
        );
    });
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
