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

use watchkeep_detection::statistics as ours;

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
    run(
        Command::new(python).arg(scripts.join("make_reference.py")).arg(&output),
        "compute the reference",
    );
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
