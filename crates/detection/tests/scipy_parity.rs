//! The statistics equal scipy's: statistics to 1e-9, p-values to 1e-6 of their
//! value, down to 1e-250.
//!
//! The reference is computed by `tests/parity/make_reference.py` with the
//! versions pinned beside it, in a virtual environment that is made once under
//! the target folder. Without Python or its packages the test fails and says
//! so: a parity that nobody checked is not one.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the pure crate starts no process and reads no file, but its reference is made by another program"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchkeep_detection::{drift, statistics as ours};
use watchkeep_model::summary::Summary;

/// Relative error allowed of statistics, quantiles and bounds.
const STATISTIC_TOLERANCE: f64 = 1e-9;
/// Relative error allowed of p-values.
const P_VALUE_TOLERANCE: f64 = 1e-6;
/// Below this both sides are 0 as far as a p-value is concerned.
const P_VALUE_MIN: f64 = 1e-250;
/// Cases that the script must have written, so that an empty file cannot pass.
const CASES_MIN: usize = 2_000;

#[test]
fn statistics_equal_scipy() {
    let reference = make_reference();
    let cases = fs::read_to_string(&reference).expect("the reference just written");
    let mut checker = Checker::default();
    for line in cases.lines() {
        checker.case(line);
    }
    assert!(checker.cases >= CASES_MIN, "only {} cases in {}", checker.cases, reference.display());
    assert!(
        checker.failures.is_empty(),
        "{} of {} values differ from scipy:\n{}",
        checker.failures.len(),
        checker.values,
        checker.failures[..checker.failures.len().min(40)].join("\n"),
    );
}

#[derive(Default)]
struct Checker {
    cases: usize,
    values: usize,
    failures: Vec<String>,
}

impl Checker {
    fn case(&mut self, line: &str) {
        self.cases += 1;
        let fields: Vec<&str> = line.split('\t').collect();
        let expected = floats(fields[fields.len() - 1]);
        let label = || {
            let short = fields.iter().take(4).map(|f| f.get(..40).unwrap_or(f));
            short.collect::<Vec<_>>().join(" | ")
        };
        match fields[0] {
            "pair" => {
                let (a, b) = (floats(fields[1]), floats(fields[2]));
                let q = float(fields[3]);
                let d = ours::ks_statistic_sorted(&a, &b);
                let of_a = ours::moments(&a).expect("a sample");
                self.statistic("ks_stat", d, expected[0], 0.0, &label);
                self.p_value(
                    "ks_p",
                    ours::ks_p_value(d, a.len() as u64, b.len() as u64),
                    expected[1],
                    &label,
                );
                // scipy's own rounding: its cumulative shares are floats.
                let spread = a.iter().chain(&b).fold(0.0, |l: f64, x| l.max(x.abs()));
                let distance = ours::wasserstein_sorted(&a, &b).expect("two samples");
                self.statistic("wasserstein", distance, expected[2], spread * 1e-14, &label);
                self.statistic("mean", of_a.mean, expected[3], spread * 1e-14, &label);
                self.statistic("sd", of_a.sd, expected[4], spread * 1e-14, &label);
                let quantile = ours::quantile_sorted(&a, q).expect("a sample");
                self.statistic("quantile", quantile, expected[5], 0.0, &label);
            }
            "counts" => {
                let (current, reference) = (counts(fields[1]), counts(fields[2]));
                let values = floats(fields[3]);
                let chi2 = ours::chi_square_homogeneity(&current, &reference).expect("two samples");
                self.statistic("chi2_stat", chi2.statistic, expected[0], 1e-13, &label);
                self.statistic("chi2_dof", chi2.dof as f64, expected[1], 0.0, &label);
                self.p_value("chi2_p", chi2.p_value, expected[2], &label);
                let psi = ours::psi(&current, &reference).expect("two samples");
                self.statistic("psi", psi, expected[3], 0.0, &label);
                let js = ours::jensen_shannon(&current, &reference).expect("two samples");
                self.statistic("js", js, expected[4], 0.0, &label);
                let hellinger = ours::hellinger(&current, &reference).expect("two samples");
                self.statistic("hellinger", hellinger, expected[5], 0.0, &label);
                let d = ours::ks_statistic_cumulative(&current, &reference);
                self.statistic("ks_cumulative", d, expected[6], 1e-14, &label);
                let spread = values.iter().fold(0.0, |l: f64, x| l.max(x.abs()));
                let distance = ours::wasserstein_weighted(&values, &current, &reference);
                self.statistic(
                    "wasserstein_weighted",
                    distance.expect("two samples"),
                    expected[7],
                    spread * 1e-13,
                    &label,
                );
                let sd = ours::moments_weighted(&values, &current).expect("a sample").sd;
                self.statistic("sd_weighted", sd, expected[8], spread * 1e-14, &label);
            }
            "whole" => self.whole(&floats(fields[1]), &floats(fields[2]), &expected, &label),
            "categories" => {
                let rows = (counts(fields[1]), counts(fields[2]));
                self.categories(&rows.0, &rows.1, &expected, &label);
            }
            "chi2" => {
                let chi2 = ours::chi_square_homogeneity(&counts(fields[1]), &counts(fields[2]))
                    .expect("two samples");
                self.statistic("chi2_stat", chi2.statistic, expected[0], 0.0, &label);
                self.statistic("chi2_dof", chi2.dof as f64, expected[1], 0.0, &label);
                self.p_value("chi2_p", chi2.p_value, expected[2], &label);
            }
            "ks_p" => {
                let p = ours::ks_p_value(float(fields[1]), count(fields[2]), count(fields[3]));
                self.p_value("ks_p", p, expected[0], &label);
            }
            "bound" => {
                let (k, n) = (count(fields[1]), count(fields[2]));
                let bound = ours::clopper_pearson_lower(k, n, float(fields[3]));
                self.statistic("clopper_pearson", bound, expected[0], 0.0, &label);
            }
            other => panic!("unknown case {other:?}: the script and this test have parted"),
        }
    }

    /// The comparison of two summaries, on the grid once there are many values,
    /// stays within what `docs/statistics.md` derives of the figures of raw values.
    fn whole(&mut self, a: &[f64], b: &[f64], expected: &[f64], label: &dyn Fn() -> String) {
        let (current, reference) = (summary(a), summary(b));
        let drift = drift::numeric(&current, &reference, &[], 10).drift;
        let (d, w) = (drift.ks_stat.expect("numbers"), drift.wasserstein.expect("numbers"));
        let is_raw = current.numbers.raw().is_some() && reference.numbers.raw().is_some();
        let fullest = [&current, &reference].map(|summary| {
            let most = summary.numbers.cells().iter().map(|(_, n)| *n).max();
            most.unwrap_or(0) as f64 / summary.numbers.count() as f64
        });
        let cell = if is_raw { 0.0 } else { fullest[0].max(fullest[1]) };
        self.within("ks_stat below", d, expected[0] - cell, expected[0], label);
        self.p_value(
            "ks_p of the distance",
            drift.ks_p.expect("numbers"),
            ours::ks_p_value(d, a.len() as u64, b.len() as u64),
            label,
        );
        // A value is at most half of its cell from the cell's middle: 1/256 of it.
        let size =
            |values: &[f64]| values.iter().map(|x| x.abs() / values.len() as f64).sum::<f64>();
        let half = if is_raw { 0.0 } else { (size(a) + size(b)) / 256.0 };
        let rounding = (size(a) + size(b)) * 1e-12;
        let (least, most) = (expected[2] - half - rounding, expected[2] + half + rounding);
        self.within("wasserstein", w, least, most, label);
        let bins = drift.bins.expect("numbers");
        for (values, counts) in [(a, &bins.current), (b, &bins.reference)] {
            let mut recount = vec![0u64; bins.edges.len() + 1];
            for value in values {
                recount[bins.edges.partition_point(|edge| *edge <= *value)] += 1;
            }
            self.within("bins", f64::from(u8::from(recount == *counts)), 1.0, 1.0, label);
        }
    }

    /// A comparison of two summaries of categories is that of their counts.
    fn categories(
        &mut self,
        current: &[u64],
        reference: &[u64],
        expected: &[f64],
        label: &dyn Fn() -> String,
    ) {
        let summary = |counts: &[u64]| {
            let mut summary = Summary::default();
            let seen = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            seen.for_each(|(name, count)| summary.categories.add(&format!("c{name}"), *count));
            summary
        };
        let drift = drift::categorical(&summary(current), &summary(reference)).drift;
        let published = [
            drift.chi2_stat,
            drift.chi2_dof.map(|dof| dof as f64),
            drift.chi2_p,
            drift.psi,
            drift.js,
        ];
        for (at, name) in ["chi2_stat", "chi2_dof", "chi2_p", "psi", "js"].into_iter().enumerate() {
            let value = published[at].expect("categories");
            match name {
                "chi2_p" => self.p_value(name, value, expected[at], label),
                _ => self.statistic(name, value, expected[at], 1e-12, label),
            }
        }
    }

    fn within(
        &mut self,
        name: &str,
        value: f64,
        least: f64,
        most: f64,
        label: &dyn Fn() -> String,
    ) {
        self.values += 1;
        let slack = 1e-12 * most.abs();
        if !(least - slack..=most + slack).contains(&value) {
            self.failures
                .push(format!("{name}: {value:e} is not in {least:e} to {most:e} for {}", label()));
        }
    }

    /// `rounding` is an absolute error that scipy's own arithmetic may have
    /// where its result is a small difference of larger numbers.
    fn statistic(
        &mut self,
        name: &str,
        actual: f64,
        expected: f64,
        rounding: f64,
        label: &dyn Fn() -> String,
    ) {
        let allowed = STATISTIC_TOLERANCE * expected.abs() + rounding;
        self.compare(name, actual, expected, allowed, label);
    }

    fn p_value(&mut self, name: &str, actual: f64, expected: f64, label: &dyn Fn() -> String) {
        let allowed =
            if expected < P_VALUE_MIN { P_VALUE_MIN } else { P_VALUE_TOLERANCE * expected };
        self.compare(name, actual, expected, allowed, label);
    }

    fn compare(
        &mut self,
        name: &str,
        actual: f64,
        expected: f64,
        allowed: f64,
        label: &dyn Fn() -> String,
    ) {
        self.values += 1;
        // Written so that a NaN on either side is a failure.
        let equal = (actual - expected).abs() <= allowed;
        if !equal {
            let error = (actual - expected).abs() / expected.abs();
            self.failures.push(format!(
                "{name}: {actual:e}, scipy has {expected:e} (relative error {error:e}) for {}",
                label()
            ));
        }
    }
}

/// Runs the script and returns the file it wrote.
fn make_reference() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scipy-parity");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity");
    fs::create_dir_all(&cache).expect("the target folder is writable");
    let python = environment(&cache, &scripts.join("requirements.txt"));
    let output = cache.join("reference.txt");
    let mut script = Command::new(python);
    script.arg(scripts.join("make_reference.py")).arg(&output);
    // Real telemetry lies beside the repository; without it the made-up cases remain.
    let flights = scripts.join("../../../shared/data/flights/flights-2013q2.ndjson.gz");
    if flights.exists() {
        script.arg(flights);
    }
    run(&mut script, "compute the reference");
    output
}

/// The interpreter of a virtual environment with the pinned packages; it is
/// made anew when the pins change.
fn environment(cache: &Path, requirements: &Path) -> PathBuf {
    let folder = cache.join("venv");
    let (marker, python) = (cache.join("installed.txt"), folder.join("bin/python"));
    let wanted = fs::read_to_string(requirements).expect("tests/parity/requirements.txt");
    let installed = fs::read_to_string(&marker).unwrap_or_default();
    if installed != wanted {
        run(
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder),
            "make a virtual environment (Python 3.11 or newer with its venv module is needed)",
        );
        run(
            Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements),
            "install the pinned numpy and scipy with pip",
        );
        // Written last: an install that was cut short is begun anew.
        fs::write(&marker, wanted).expect("the target folder is writable");
    }
    python
}

fn run(command: &mut Command, purpose: &str) {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot {purpose}: {shown} did not start: {error}");
    });
    assert!(
        output.status.success(),
        "cannot {purpose}: {shown} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
}

fn summary(values: &[f64]) -> Summary {
    let mut summary = Summary::default();
    values.iter().for_each(|value| summary.numbers.add(*value));
    summary
}

fn float(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("not a float: {text:?}"))
}

fn count(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("not a count: {text:?}"))
}

fn floats(text: &str) -> Vec<f64> {
    text.split(' ').filter(|word| !word.is_empty()).map(float).collect()
}

fn counts(text: &str) -> Vec<u64> {
    text.split(' ').filter(|word| !word.is_empty()).map(count).collect()
}
