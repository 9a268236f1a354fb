//! Simulated incidents with faults: nothing that is owed may be left, lost or
//! done twice, and a crash in whichever commit may change nothing.
//!
//! `SIMULATION_SEEDS=0..10000` runs other seeds than the usual ones.

#![expect(clippy::disallowed_methods, reason = "the seeds are chosen from outside")]

use std::ops::Range;

use watchkeep_simulator::incidents::duties::Counts;
use watchkeep_simulator::incidents::{Plan, crash_everywhere, run, run_sabotaged};
use watchkeep_simulator::simulation::Sabotage;

/// What every change has to pass.
const SEEDS: Range<u64> = 0..200;

/// Of so many seeds one is repeated with a crash in each of its commits.
const CRASHED_ONE_IN: u64 = 200;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else { return SEEDS };
    let range =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("SIMULATION_SEEDS = {text}: write it as 0..200"))
}

#[test]
fn nothing_that_is_owed_is_left_lost_or_done_twice() {
    let (mut counts, mut faults) = (Counts::default(), 0);
    for seed in seeds() {
        let plan = Plan::from_seed(seed);
        let report = run(&plan);
        if let Some(violation) = report.violation {
            panic!("{plan}\nseed {seed} fails: {violation}\nsee docs/simulation.md");
        }
        counts += report.counts;
        faults += report.faults.values().sum::<u64>();
    }
    // A simulation in which nothing happens finds nothing.
    let count = seeds().end - seeds().start;
    assert!(counts.incidents > 2 * count && counts.fired > 5 * count, "{counts:?}");
    assert!(faults > 5 * count, "{faults} faults");
}

#[test]
fn a_crash_in_any_commit_changes_nothing() {
    let mut runs = 0;
    for seed in seeds().filter(|seed| seed % CRASHED_ONE_IN == 0) {
        let plan = Plan::from_seed(seed);
        let crashes = match crash_everywhere(&plan, false) {
            Ok(crashes) => crashes,
            Err(violation) => panic!("{plan}\nseed {seed} without faults: {violation}"),
        };
        if let Some((commit, how, violation)) = crashes.violation {
            panic!("{plan}\nseed {seed}, commit {commit} {how:?}: {violation}");
        }
        runs += crashes.runs;
    }
    assert!(runs > 100, "{runs} crashes");
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    for seed in 0..5 {
        let plan = Plan::from_seed(seed);
        assert_eq!(run(&plan), run(&plan), "seed {seed}");
    }
}

/// A simulation that finds nothing may be blind.
#[test]
fn positions_that_are_committed_before_the_facts_are_found() {
    let fails = |seed: &u64| {
        run_sabotaged(&Plan::from_seed(*seed), Sabotage::CommitBeforeProduce).violation.is_some()
    };
    assert!(SEEDS.clone().any(|seed| fails(&seed)), "not found in {SEEDS:?}");
}
