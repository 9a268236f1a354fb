//! What baselines of past windows cost: bytes of a past window, memory, and how
//! fast windows are judged, with past windows on the disk or in memory.
//!
//! ```sh
//! cargo run --release --package watchkeep-benches --example baselines [FEATURES] [WINDOWS] [disk|memory]
//! ```
//!
//! Each feature has windows of an hour of a thousand numbers each, and a rolling
//! baseline of as many windows as there are, by which the last one is judged.
//! Features are taken a few at a time, so that windows that still take events,
//! which are no matter of baselines, hardly show in the memory.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use watchkeep_benches::start;
use watchkeep_detection::charters::Charters;
use watchkeep_detection::evaluate::{Evaluate, Outputs};
use watchkeep_detection::past::PastWindows;
use watchkeep_detection::settings::TimeSettings;
use watchkeep_log_sled::cache::SledSnapshots;
use watchkeep_model::batch::{Delta, SourceProgress, Step};
use watchkeep_model::charter::{
    BaselineSpec, Charter, Expectation, ForSpec, Rule, Severity, WindowSpec,
};
use watchkeep_model::compact;
use watchkeep_model::position::Partition;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Verdict;
use watchkeep_runtime::snapshot::{Save, SnapshotStore as _};

const NUMBERS: u32 = 1000;
/// Different windows that are made up; features take them in turn.
const MADE_UP: u64 = 512;
const FEATURES_AT_ONCE: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, usual: usize| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let (features, windows) = (number(1, 100_000), number(2, 28));
    let on_disk = arguments.get(3).is_none_or(|how| how == "disk");
    let made_up: Vec<Summary> = (0..MADE_UP).map(normal).collect();
    let bytes: usize = made_up.iter().map(|window| compact::encode(window).len()).sum();
    println!("bytes of a past window of {NUMBERS} numbers: {}", bytes / made_up.len());

    let folder = tempfile::tempdir().expect("a folder");
    let store = on_disk.then(|| SledSnapshots::open(folder.path()).expect("a folder for it alone"));
    let charters = Rolling(charter(windows as u32));
    let before = resident("VmRSS:");
    let (mut judged, mut kept, mut judging) = (0usize, Vec::new(), 0.0);
    let began = Instant::now();
    for first in (0..features).step_by(FEATURES_AT_ONCE) {
        let names: Vec<Arc<str>> = (first..features.min(first + FEATURES_AT_ONCE))
            .map(|feature| format!("bench.feature_{feature:06}").into())
            .collect();
        let mut stage = Evaluate::new(TimeSettings::default(), 0, 1);
        if let Some(store) = &store {
            stage.keep_past_in(Box::new(OnDisk { store: store.clone(), forgotten: Vec::new() }));
        }
        let mut out = Outputs::default();
        for hour in 0..=windows {
            let pane = start().floor(TimeSpan::HOUR) + TimeSpan::HOUR.times(hour as i64);
            let deltas = names.iter().enumerate().map(|(at, name)| {
                let window = &made_up[(at * 31 + hour * 17) % made_up.len()];
                delta(name, pane, window)
            });
            stage.step(&step(deltas.collect(), hour as i64, pane), &charters, &mut out);
            out.decided.clear();
        }
        let last = start().floor(TimeSpan::HOUR) + TimeSpan::HOUR.times(windows as i64 + 1);
        let judge = Instant::now();
        stage.step(&step(Vec::new(), windows as i64 + 1, last), &charters, &mut out);
        judging += judge.elapsed().as_secs_f64();
        judged +=
            out.decided.iter().filter(|decided| is_judged(decided.window.judged.first())).count();
        // The last window settles too, and only past ones are left.
        let settled = last + TimeSettings::default().allowed_lateness;
        stage.step(&step(Vec::new(), windows as i64 + 2, settled), &charters, &mut out);
        kept.push(stage);
    }
    let seconds = began.elapsed().as_secs_f64();
    if let Some(mut store) = store {
        store.save(&Partition::new("bench", 0), Save::default()).expect("the disk takes it");
        let on_disk = bytes_below(folder.path());
        let each = on_disk as f64 / (features * (windows + 1)) as f64;
        println!("on the disk: {} MB, {each:.0} bytes a past window", on_disk / 1_000_000);
    }
    println!("features {features}, past windows of each {windows}, judged {judged}");
    println!(
        "memory: {:.0} MB more than at the start, at most {:.0} MB",
        resident("VmRSS:") - before,
        resident("VmHWM:")
    );
    println!(
        "judged {:.0} windows a second, {:.0} µs each",
        judged as f64 / judging,
        judging * 1e6 / judged as f64
    );
    println!(
        "taking and settling: {:.0} windows a second",
        (features * windows) as f64 / (seconds - judging)
    );
    drop(kept);
}

fn is_judged(judged: Option<&watchkeep_model::window::Judged>) -> bool {
    judged.is_some_and(|judged| judged.verdict != Verdict::NotJudged)
}

/// Numbers by the quantiles of a normal distribution (Tukey lambda, λ = 0.14),
/// each window with a mean of its own.
fn normal(seed: u64) -> Summary {
    let mut summary = Summary::default();
    for i in 0..NUMBERS {
        let p = (f64::from(i) + 0.5) / f64::from(NUMBERS);
        let z = (p.powf(0.14) - (1.0 - p).powf(0.14)) / 0.1975;
        summary.numbers.add(50.0 + seed as f64 / 1000.0 + 15.0 * z);
    }
    summary.statuses[0] = u64::from(NUMBERS);
    summary.count = u64::from(NUMBERS);
    summary
}

fn charter(windows: u32) -> Arc<Charter> {
    let rule = Rule::Drift {
        baseline: BaselineSpec::Rolling { windows, min_windows: None },
        p_below: 0.001,
        effect: None,
        bins: 10,
        sustained: None,
    };
    let expectation = Expectation {
        name: "distribution".into(),
        window: WindowSpec::Tumbling { size: TimeSpan::HOUR },
        severity: Severity::Error,
        min_samples: Expectation::MIN_SAMPLES_DEFAULT,
        r#for: ForSpec::default(),
        resolve_after: 1,
        rule,
        resolve: None,
        learned: None,
    };
    let mut charter = Charter { subject: "feature:bench.*".into(), ..Charter::default() };
    charter.fields.expectations = Some(vec![expectation]);
    Arc::new(charter)
}

/// The same charter for all.
struct Rolling(Arc<Charter>);

impl Charters for Rolling {
    fn charter(&self, _: &str, _: Timestamp) -> Option<Arc<Charter>> {
        Some(self.0.clone())
    }

    fn named(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

fn delta(feature: &Arc<str>, pane_start: Timestamp, summary: &Summary) -> Delta {
    let mut summary = summary.clone();
    summary.first_event_time = Some(pane_start);
    summary.last_event_time = Some(pane_start);
    Delta {
        feature: feature.clone(),
        feature_version: "".into(),
        pane_start,
        event_id: None,
        summary,
    }
}

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

#[derive(Debug)]
struct OnDisk {
    store: SledSnapshots,
    forgotten: Vec<Vec<u8>>,
}

impl PastWindows for OnDisk {
    fn put(&mut self, key: &[u8], bytes: Vec<u8>) {
        self.store.put_window(&Partition::new("bench", 0), key, bytes).expect("the disk takes it");
    }

    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.store.window(&Partition::new("bench", 0), key).expect("the disk answers")
    }

    fn forget(&mut self, key: Vec<u8>) {
        self.forgotten.push(key);
    }

    fn is_wrong(&mut self) {
        panic!("a past window is lost");
    }
}

/// Megabytes of this process, by the kernel.
fn resident(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1000.0
}

fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
