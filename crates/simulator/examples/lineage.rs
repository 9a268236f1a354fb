//! Measures how well planted faults are found: `lineage --seeds 0..280`. With
//! `--write DIR` each case is written as files for `watchkeep replay`, with
//! `--storm DIR` those of 10,000 features that breach in one window.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command, not a part of the pure crate"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use watchkeep_simulator::planted::{Case, Measured, files, measure, storm};

/// Precision and recall below this are a failure.
const LEAST: f64 = 0.95;

/// Features of the storm.
const STORM: usize = 10_000;

const USAGE: &str = "usage: lineage [--seeds FROM..TO] [--write DIR] | --storm DIR";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let range = value("--seeds").unwrap_or("0..280").split_once("..");
    let Some((Ok(from), Ok(to))) = range.map(|(from, to)| (from.parse(), to.parse())) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(folder) = value("--write") {
        let folder = Path::new(folder);
        let cases =
            (from..to).map(|seed| (format!("case-{seed:04}"), files(&Case::from_seed(seed))));
        return write(folder, cases);
    }
    if let Some(folder) = value("--storm") {
        return write(Path::new(folder), std::iter::once((".".into(), storm(STORM))));
    }
    let began = Instant::now();
    let measured = measure(from..to, &mut |case, found| {
        println!("seed {} {:?}: planted {:?}", case.seed, case.shape, case.expected);
        println!("        found {found:?}");
    });
    let shapes = match measured {
        Ok(shapes) => shapes,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("\n{:<14}{:>7}{:>7}{:>11}{:>9}", "planted", "cases", "right", "precision", "recall");
    let mut all = Measured::default();
    for (shape, one) in &shapes {
        row(&format!("{shape:?}"), one);
        all.add(*one);
    }
    row("all", &all);
    println!("{:.1} s", began.elapsed().as_secs_f64());
    let is_enough = all.precision() >= LEAST && all.recall() >= LEAST;
    if is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(name: &str, one: &Measured) {
    let (precision, recall) = (one.precision(), one.recall());
    println!("{name:<14}{:>7}{:>7}{precision:>11.3}{recall:>9.3}", one.cases, one.right);
}

/// Files by their names.
type Files = Vec<(String, String)>;

fn write(folder: &Path, cases: impl Iterator<Item = (String, Files)>) -> ExitCode {
    for (case, files) in cases {
        for (name, text) in files {
            let path = folder.join(&case).join(name);
            let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            if let Err(error) = written.and_then(|()| std::fs::write(&path, text)) {
                println!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    println!("written to {}", folder.display());
    ExitCode::SUCCESS
}
