//! Prints the table of the Numenta Anomaly Benchmark:
//! `cargo run --release -p watchkeep-tests --example nab [FOLDER [CHARTER]]`.
//! The folder holds the benchmark's series beside `incident_windows.json`; by
//! default it is the shared data beside the project.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::PathBuf;

use watchkeep_tests::binary;
use watchkeep_tests::nab::score::{PROFILES, Profile, Tally, score};
use watchkeep_tests::nab::{CHARTER, Series, read, replay, trivial};

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| binary::shared("data/nab"), PathBuf::from);
    let charter = match arguments.next() {
        Some(path) => std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?,
        None => CHARTER.to_owned(),
    };
    let rules = replay::rules(&charter)?;
    let all = read(&folder)?;
    let mut ours = Vec::new();
    for series in &all {
        ours.push(replay::detect(series, &rules).map_err(|error| error.to_string())?);
    }
    println!(
        "{:<52} {:>8} {:>6} {:>12} {:>9}",
        "series", "windows", "found", "false alarms", "standard"
    );
    for (series, detected) in all.iter().zip(&ours) {
        let tally = score(series, detected, PROFILES[0]);
        let shown = if tally.windows == 0 { f64::NAN } else { tally.normalised(PROFILES[0]) };
        println!(
            "{:<52} {:>8} {:>6} {:>12} {shown:>9.1}",
            series.name, tally.windows, tally.found, tally.false_alarms
        );
    }
    println!(
        "\n{:<44} {:>9} {:>18} {:>18}",
        "detector", PROFILES[0].name, PROFILES[1].name, PROFILES[2].name
    );
    row("Watchkeep, one charter", &all, |at, _| ours[at].clone());
    for deviations in [3.0, 4.0, 5.0, 6.0] {
        let name = format!("{deviations} deviations from the day before");
        row(&name, &all, |_, series| trivial::detect(series, deviations));
    }
    let mut folders: Vec<&str> =
        all.iter().filter_map(|series| series.name.split('/').next()).collect();
    folders.dedup();
    for folder in folders {
        let inside = |series: &&Series| series.name.starts_with(folder);
        let some: Vec<Series> = all.iter().filter(inside).cloned().collect();
        let of = |series: &Series| all.iter().position(|other| other.name == series.name);
        row(&format!("Watchkeep, {folder}"), &some, |_, series| {
            of(series).map(|at| ours[at].clone()).unwrap_or_default()
        });
    }
    let without = |left_out: usize| {
        let rest = all.iter().enumerate().filter(|(at, _)| *at != left_out);
        total(rest.map(|(at, series)| score(series, &ours[at], PROFILES[0])))
            .normalised(PROFILES[0])
    };
    let scores: Vec<f64> = (0..all.len()).map(without).collect();
    let least = scores.iter().copied().fold(f64::MAX, f64::min);
    let most = scores.iter().copied().fold(f64::MIN, f64::max);
    println!("\nwith any one series left out, the standard score is {least:.1} to {most:.1}");
    Ok(())
}

fn row(name: &str, all: &[Series], detect: impl Fn(usize, &Series) -> Vec<usize>) {
    let detected: Vec<_> = all.iter().enumerate().map(|(at, series)| detect(at, series)).collect();
    let of = |profile: Profile| {
        let each = all.iter().zip(&detected).map(|(series, rows)| score(series, rows, profile));
        total(each).normalised(profile)
    };
    let [standard, low_fp, low_fn] = PROFILES.map(of);
    println!("{name:<44} {standard:>9.1} {low_fp:>18.1} {low_fn:>18.1}");
}

fn total(each: impl Iterator<Item = Tally>) -> Tally {
    each.fold(Tally::default(), Tally::and)
}
