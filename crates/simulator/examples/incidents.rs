//! Runs many simulations of incidents, or shows one: `incidents --seeds
//! 0..10000 [--crash-every N]`, `incidents --seed 17 [--sabotage pages-first]`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command, not a part of the pure crate"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use watchkeep_simulator::incidents::duties::Counts;
use watchkeep_simulator::incidents::{Plan, crash_everywhere, run, run_sabotaged, shrink};
use watchkeep_simulator::simulation::Sabotage;

/// Runs that making a failing plan smaller may take.
const SHRINKING_RUNS_MAX: usize = 2000;

const USAGE: &str = "usage: incidents (--seeds FROM..TO [--crash-every N] | --seed N \
    [--sabotage commit-before-produce|pages-first|timers-anew|forgotten-pages])";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    if let Some(seed) = value("--seed").and_then(|seed| seed.parse().ok()) {
        let sabotage = match value("--sabotage") {
            None => Sabotage::None,
            Some("commit-before-produce") => Sabotage::CommitBeforeProduce,
            Some("pages-first") => Sabotage::PagesFirst,
            Some("timers-anew") => Sabotage::TimersAnew,
            Some("forgotten-pages") => Sabotage::ForgottenPages,
            Some(_) => return usage(),
        };
        return one(seed, sabotage);
    }
    let range = value("--seeds").and_then(|range| range.split_once(".."));
    let range = range.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let crash_every = value("--crash-every").and_then(|n| n.parse().ok()).unwrap_or(10);
    match range {
        Some((from, to)) => many(from, to, crash_every),
        None => usage(),
    }
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}

/// One seed: its plan, with its faults and with a crash in every commit; where
/// it fails, a smaller plan that fails too.
fn one(seed: u64, sabotage: Sabotage) -> ExitCode {
    let plan = Plan::from_seed(seed);
    println!("{plan}");
    let report = run_sabotaged(&plan, sabotage);
    report.lines.iter().for_each(|line| println!("{line}"));
    println!("{:?} {:?}", report.counts, report.faults);
    if let Some(violation) = report.violation {
        println!("{violation}");
        if let Some(shrunk) = shrink(&plan, sabotage, SHRINKING_RUNS_MAX) {
            println!("\nmade smaller in {} runs:\n\n{}", shrunk.runs, shrunk.plan);
            println!("{}", shrunk.violation);
        }
        return ExitCode::FAILURE;
    }
    match crash_everywhere(&plan, true) {
        Err(violation) => println!("without faults: {violation}"),
        Ok(crashes) => match crashes.violation {
            None => {
                println!("{} runs with a crash each, no violation", crashes.runs);
                return ExitCode::SUCCESS;
            }
            Some((commit, how, violation)) => println!("commit {commit} {how:?}: {violation}"),
        },
    }
    ExitCode::FAILURE
}

fn many(from: u64, to: u64, crash_every: u64) -> ExitCode {
    let began = Instant::now();
    let mut counts = Counts::default();
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failures: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let (mut crashed, mut crashes) = (0, 0);
    for seed in from..to {
        let plan = Plan::from_seed(seed);
        let report = run(&plan);
        counts += report.counts;
        for (name, count) in report.faults {
            *faults.entry(name).or_default() += count;
        }
        let mut violations: Vec<_> = report.violation.into_iter().collect();
        if seed.is_multiple_of(crash_every.max(1)) {
            crashed += 1;
            match crash_everywhere(&plan, false) {
                Ok(all) => {
                    crashes += all.runs;
                    violations.extend(all.violation.map(|(_, _, violation)| violation));
                }
                Err(violation) => violations.push(violation),
            }
        }
        for violation in violations {
            println!("seed {seed} FAILS: {violation:.600}");
            failures.entry(violation.invariant).or_default().push(seed);
        }
        let done = seed + 1 - from;
        if done.is_multiple_of(500) {
            println!("{done} seeds in {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    println!("\n{} seeds in {:.1} s", to - from, began.elapsed().as_secs_f64());
    println!("{counts:?}");
    println!("{crashes} runs of {crashed} seeds with a crash in one commit each");
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
