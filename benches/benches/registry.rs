//! The registry of a large organisation: 10,000 charter documents for 100,000 features.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use watchkeep_incident::registry::Registry;
use watchkeep_model::document::Level;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::yaml;

/// Systems, each with a pattern; views of each, each with one; features of
/// each, every twelfth with a charter of its own.
const SYSTEMS: usize = 50;
const VIEWS: usize = 20;
const FEATURES: usize = 100;

/// The name of the feature of a number, 0 to 99,999.
fn feature(number: usize) -> String {
    let (view, n) = (number / FEATURES, number % FEATURES);
    format!("feature:s{}.v{}.f{n}", view / VIEWS, view % VIEWS)
}

/// The folder: one file for each system, one for the people.
fn folder() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut people = String::from("kind: directory\ngovernance: user:p0\nusers:\n");
    for n in 0..SYSTEMS * 10 {
        let _ = writeln!(people, "  p{n}: {{contacts: [{{tool: email, to: p{n}@example.com}}]}}");
    }
    people.push_str("systems:\n");
    for n in 0..SYSTEMS {
        let _ = writeln!(people, "  s{n}: {{owner: user:p{n}}}");
    }
    files.push(("people.yaml".to_owned(), people));
    let mut documents = 0;
    for system in 0..SYSTEMS {
        let mut text = format!(
            "kind: charter\nsubject: feature:s{system}.*\nsystem: s{system}\ntier: 3\n\
             owners: {{primary: user:p{system}, backup: user:p{}}}\nreview_every: 90d\n",
            system + SYSTEMS
        );
        documents += 1;
        for view in 0..VIEWS {
            let _ = write!(
                text,
                "---\nkind: charter\nsubject: feature:s{system}.v{view}.*\nview: view:s{system}.v{view}\n\
                 upstream: [dataset:s{system}.d{view}]\nexpectations:\n  \
                 - {{name: nulls, kind: null_rate, window: 1h, above: 0.1}}\n  \
                 - {{name: slow, kind: latency, window: 1h, quantile: p99, above: 50ms}}\n"
            );
            documents += 1;
            for n in (0..FEATURES).step_by(12) {
                let number = (system * VIEWS + view) * FEATURES + n;
                let _ = write!(
                    text,
                    "---\nkind: charter\nsubject: {}\ndescription: what it means\ntype: double\n\
                     consumers: [model:m{}]\nexpectations:\n  \
                     - {{name: plausible, kind: range, window: 1h, min: 0, max: 100, above: 0.01}}\n",
                    feature(number),
                    number % 97
                );
                documents += 1;
            }
        }
        files.push((format!("s{system}.yaml"), text));
    }
    assert!(documents >= 10_000, "{documents} documents");
    files
}

fn load(files: &[(String, String)]) -> Registry {
    let (documents, findings) = yaml::read(files);
    assert!(findings.is_empty(), "{findings:?}");
    let (registry, findings) = Registry::new(documents, TimeSpan::MINUTE);
    let errors: Vec<_> = findings.iter().filter(|f| f.severity == Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    registry
}

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
    let names: Vec<String> = (0..SYSTEMS * VIEWS * FEATURES).map(feature).collect();
    let mut group = c.benchmark_group("charter of one of 100,000 features");
    group.bench_function("for the first time", |b| {
        b.iter_custom(|rounds| {
            let mut spent = std::time::Duration::ZERO;
            let (mut registry, mut next) = (load(&files), 0);
            for _ in 0..rounds {
                // The features are through: begin with nothing remembered.
                if next == names.len() {
                    (registry, next) = (load(&files), 0);
                }
                // 7,919 is prime, so that neighbours do not come one after the other.
                let name = &names[next * 7_919 % names.len()];
                let begun = std::time::Instant::now();
                let charter = registry.charter(black_box(name), Timestamp::MAX);
                spent += begun.elapsed();
                assert!(charter.is_some());
                next += 1;
            }
            spent
        });
    });
    let registry = load(&files);
    let mut next = 0;
    group.bench_function("again", |b| {
        b.iter(|| {
            next = (next + 7_919) % 1_000;
            registry.charter(black_box(&names[next]), Timestamp::MAX)
        });
    });
    group.finish();
}

criterion_group!(benches, loading, resolving);
criterion_main!(benches);
