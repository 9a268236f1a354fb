//! The way of summaries into judged windows: merge, close, and a step of deltas.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use watchkeep_benches::{start, summary};
use watchkeep_detection::charters::Charters;
use watchkeep_detection::drift;
use watchkeep_detection::evaluate::{Evaluate, Outputs};
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::batch::{Delta, SourceProgress, Step};
use watchkeep_model::charter::{
    BaselineSpec, Charter, Effect, Expectation, ForSpec, Rule, Severity, Statistic, WindowSpec,
};
use watchkeep_model::position::Partition;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

fn merge(c: &mut Criterion) {
    let mut group = c.benchmark_group("merge of two panes");
    for events in [100, 10_000, 100_000] {
        let (one, other) = (summary(events, 1), summary(events, 2));
        group.bench_function(format!("{events} events each"), |b| {
            b.iter_batched_ref(
                || one.clone(),
                |own| own.merge(black_box(&other)),
                BatchSize::LargeInput,
            );
        });
    }
    // Two that are kept as they came and together make a grid, and such a one into a grid.
    for (events, others) in [(60, 60), (10_000, 60), (10_000, 100)] {
        let (one, other) = (summary(events, 1), summary(others, 2));
        group.bench_function(format!("{events} events and {others}"), |b| {
            b.iter_batched_ref(
                || one.clone(),
                |own| own.merge(black_box(&other)),
                BatchSize::LargeInput,
            );
        });
    }
    // Categories that both have, and beyond what is counted exactly such as the
    // other has not: a sample and a sketch each.
    for (categories, apart) in [
        (1_000, 0),
        (1_000, 500),
        (2_000, 1_000),
        (4_000, 0),
        (4_000, 2_000),
        (10_000, 0),
        (10_000, 5_000),
    ] {
        let one = of_categories(0..categories);
        let other = of_categories(apart..categories + apart);
        group.bench_function(format!("{categories} categories each, {apart} not shared"), |b| {
            b.iter_batched_ref(
                || one.clone(),
                |own| own.merge(black_box(&other)),
                BatchSize::LargeInput,
            );
        });
    }
    // A window with a sample, and a pane that counts exactly.
    let window = of_categories(0..100_000);
    let pane = of_categories(50_000..51_000);
    group.bench_function("100,000 categories and 1,000 of them", |b| {
        b.iter_batched_ref(
            || window.clone(),
            |own| own.merge(black_box(&pane)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn of_categories(numbers: std::ops::Range<u64>) -> Summary {
    let mut summary = Summary::default();
    for n in numbers {
        summary.categories.add(&format!("user-{}", n * 3), 1);
    }
    summary.count = summary.categories.total();
    summary
}

/// Every subject has the same charter, or none.
struct Same(Option<Arc<Charter>>);

impl Charters for Same {
    fn charter(&self, _: &str, _: Timestamp) -> Option<Arc<Charter>> {
        self.0.clone()
    }

    fn named(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// The hour that is judged, after the hour that it is compared with.
fn judged_hour() -> Timestamp {
    start().floor(TimeSpan::HOUR) + TimeSpan::HOUR
}

fn drift_charter() -> Same {
    let to = judged_hour();
    let expectation = Expectation {
        name: "distribution".into(),
        window: WindowSpec::Tumbling { size: TimeSpan::HOUR },
        severity: Severity::Error,
        min_samples: Expectation::MIN_SAMPLES_DEFAULT,
        r#for: ForSpec::default(),
        resolve_after: 1,
        rule: Rule::Drift {
            baseline: BaselineSpec::Fixed { from: to - TimeSpan::HOUR, to },
            p_below: 0.001,
            effect: Some(Effect { statistic: Statistic::KsStat, above: 0.1 }),
            bins: 10,
            sustained: None,
        },
        resolve: None,
        learned: None,
    };
    let mut charter = Charter { subject: "feature:bench".into(), ..Charter::default() };
    charter.fields.expectations = Some(vec![expectation]);
    Same(Some(Arc::new(charter)))
}

fn delta(feature: &str, pane_start: Timestamp, summary: &Summary) -> Delta {
    Delta {
        feature: feature.into(),
        feature_version: "".into(),
        pane_start,
        event_id: None,
        summary: summary.clone(),
    }
}

/// A step after which the watermark stands at `at`.
fn step(deltas: Vec<Delta>, from: i64, at: Timestamp) -> Step {
    let progress = SourceProgress {
        source: Partition::new("telemetry", 0),
        from,
        to: from + 1,
        watermark: Some(at),
        idle: false,
        silent_since: None,
    };
    Step { deltas, sources: vec![progress] }
}

fn close(c: &mut Criterion) {
    let mut group = c.benchmark_group("window close");
    let (current, reference) = (summary(10_000, 1), summary(10_000, 2));
    let charters = drift_charter();
    let hour = judged_hour();
    let fed = || {
        let mut stage = Evaluate::new(TimeSettings::default(), 0, 1);
        let mut out = Outputs::default();
        let before = hour - TimeSpan::HOUR;
        stage.step(&step(vec![delta("bench", before, &reference)], 0, before), &charters, &mut out);
        stage.step(&step(vec![delta("bench", hour, &current)], 1, hour), &charters, &mut out);
        stage
    };
    let end = step(Vec::new(), 2, hour + TimeSpan::HOUR);
    let check = |out: &Outputs| {
        let window = out.decided.last().map(|decided| &decided.window);
        assert!(window.is_some_and(|w| w.judged.iter().any(|j| j.drift.is_some())), "{window:?}");
    };
    let mut out = Outputs::default();
    fed().step(&end, &charters, &mut out);
    check(&out);
    group.bench_function("judging drift, 10,000 values against 10,000", |b| {
        b.iter_batched_ref(
            fed,
            |stage| {
                let mut out = Outputs::default();
                stage.step(&end, &charters, &mut out);
                out
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("the comparison alone", |b| {
        b.iter(|| drift::numeric(black_box(&current), black_box(&reference), &[], 10));
    });
    group.finish();
}

fn evaluate_step(c: &mut Criterion) {
    const FEATURES: u64 = 1_000;
    let mut group = c.benchmark_group("evaluate step");
    let summary = summary(10, 1);
    let hour = judged_hour();
    let name = |n: u64| format!("feature-{n}");
    let deltas: Vec<Delta> = (0..FEATURES).map(|n| delta(&name(n), hour, &summary)).collect();
    let none = Same(None);
    let fed = || {
        let mut stage = Evaluate::new(TimeSettings::default(), 0, 1);
        stage.step(&step(deltas.clone(), 0, hour), &none, &mut Outputs::default());
        stage
    };
    let again = step(deltas.clone(), 1, hour + TimeSpan::SECOND);
    group.throughput(Throughput::Elements(FEATURES));
    group.bench_function("1,000 deltas of 10 events into open windows", |b| {
        b.iter_batched_ref(
            fed,
            |stage| stage.step(&again, &none, &mut Outputs::default()),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! { name = windows; config = settings(); targets = merge, close, evaluate_step }
criterion_main!(windows);
