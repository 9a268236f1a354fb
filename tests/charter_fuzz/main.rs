//! A long campaign of faults in charter folders, calendars and files of other
//! programs:
//!
//! `cargo run --release -p watchkeep-tests --example charter_fuzz -- --inputs 1000000`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use clap::Parser;
use watchkeep_tests::charter_fuzz::{Corpus, run};

#[derive(Parser)]
struct Arguments {
    /// How many inputs
    #[arg(long, default_value_t = 100_000)]
    inputs: u64,
    /// The number of the first
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Another seed makes other inputs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the first input to standard output, and read none
    #[arg(long)]
    show: bool,
}

/// Inputs between two lines of progress.
const STEP: u64 = 10_000;

fn main() {
    let arguments = Arguments::parse();
    let corpus = Corpus::gather();
    if arguments.show {
        let (reader, bytes) = corpus.input(arguments.seed, arguments.from);
        println!("# {}\n{}", reader.name(), String::from_utf8_lossy(&bytes));
        return;
    }
    let end = arguments.from + arguments.inputs;
    let mut all = std::collections::BTreeMap::new();
    let mut from = arguments.from;
    while from < end {
        let to = (from + STEP).min(end);
        match run(&corpus, arguments.seed, from..to) {
            Ok(tallies) => {
                for (reader, tally) in tallies {
                    let sum: &mut watchkeep_tests::charter_fuzz::Tally =
                        all.entry(reader).or_default();
                    sum.add(tally);
                }
            }
            Err(finding) => {
                eprintln!("{finding}");
                std::process::exit(1);
            }
        }
        eprintln!("{to} of {end}");
        from = to;
    }
    println!(
        "{:<16} {:>10} {:>10} {:>12} {:>12}",
        "read as", "inputs", "taken", "slowest", "memory"
    );
    for (reader, tally) in all {
        println!(
            "{:<16} {:>10} {:>10} {:>9} ms {:>8} KiB",
            reader.name(),
            tally.inputs,
            tally.taken,
            tally.slowest.as_millis(),
            tally.largest >> 10
        );
    }
}
