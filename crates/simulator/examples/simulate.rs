//! Runs many simulations, or shows one: `simulate --seeds 0..10000`,
//! `simulate --seed 17 [--sabotage commit-before-produce]`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command, not a part of the pure crate"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use watchkeep_simulator::simulation::{Plan, Report, Sabotage, run, shrink};

/// Runs that making a failing plan smaller may take.
const SHRINKING_RUNS_MAX: usize = 3000;

const USAGE: &str = "usage: simulate (--seeds FROM..TO | --seed N) \
    [--sabotage commit-before-produce|impatient-watermark|kept-deltas]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let sabotage = match value("--sabotage") {
        None => Sabotage::None,
        Some("commit-before-produce") => Sabotage::CommitBeforeProduce,
        Some("impatient-watermark") => Sabotage::ImpatientWatermark,
        Some("kept-deltas") => Sabotage::KeptDeltas,
        Some(_) => return usage(),
    };
    if let Some(seed) = value("--seed").and_then(|seed| seed.parse().ok()) {
        return one(seed, sabotage);
    }
    let range = value("--seeds").and_then(|range| range.split_once(".."));
    let range = range.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    range.map_or_else(usage, |(from, to)| many(from, to, sabotage))
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}

/// One seed, its plan and, where it fails, a smaller plan that fails too.
fn one(seed: u64, sabotage: Sabotage) -> ExitCode {
    let plan = Plan::from_seed(seed);
    let report = run(&plan, sabotage);
    println!("{plan}");
    println!("{report:#?}");
    let Some(shrunk) = shrink(&plan, sabotage, SHRINKING_RUNS_MAX) else {
        return ExitCode::SUCCESS;
    };
    println!("\nmade smaller in {} runs:\n\n{}", shrunk.runs, shrunk.plan);
    println!("{}", shrunk.violation);
    ExitCode::FAILURE
}

fn many(from: u64, to: u64, sabotage: Sabotage) -> ExitCode {
    let began = Instant::now();
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failures: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let (mut events, mut windows, mut breaches, mut incidents) = (0, 0, 0, 0);
    for seed in from..to {
        let report: Report = run(&Plan::from_seed(seed), sabotage);
        events += report.events;
        windows += report.windows;
        breaches += report.breaches;
        incidents += report.incidents;
        for (name, count) in report.faults {
            *faults.entry(name).or_default() += count;
        }
        if let Some(violation) = report.violation {
            println!("seed {seed} FAILS: {violation:.600}");
            failures.entry(violation.invariant).or_default().push(seed);
        }
        let done = seed + 1 - from;
        if done.is_multiple_of(500) {
            println!("{done} seeds in {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("\n{} seeds in {seconds:.1} s", to - from);
    println!(
        "{events} events, {windows} windows, {breaches} lines of breaches, {incidents} incidents"
    );
    println!("{} faults:", faults.values().sum::<u64>());
    for (name, count) in &faults {
        println!("{count:>9}  {name}");
    }
    let failed: usize = failures.values().map(Vec::len).sum();
    println!("{failed} violations");
    for (invariant, seeds) in &failures {
        println!("{:>9}  {invariant}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(10)]);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
