//! Simulated deployments with faults: nothing may be violated, a seed must
//! repeat itself to the byte, and planted bugs must be found.
//!
//! `SIMULATION_SEEDS=0..10000` runs other seeds than the usual ones.

#![expect(clippy::disallowed_methods, reason = "the seeds are chosen from outside")]

use std::ops::Range;

use watchkeep_simulator::simulation::{Plan, Report, Sabotage, run, shrink};

/// What every change has to pass.
const SEEDS: Range<u64> = 0..200;

/// Runs that making a failing plan smaller may take.
const SHRINKING_RUNS_MAX: usize = 600;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("SIMULATION_SEEDS") else { return SEEDS };
    let range =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("SIMULATION_SEEDS = {text}: write it as 0..200"))
}

/// What somebody needs who has to find out why.
fn explain(seed: u64, sabotage: Sabotage) -> String {
    let plan = Plan::from_seed(seed);
    match shrink(&plan, sabotage, SHRINKING_RUNS_MAX) {
        None => format!("seed {seed} did not fail again: the run is not deterministic"),
        Some(shrunk) => format!(
            "seed {seed} fails\n\n{}\n{}\n\nfrom {} actions with {} faults and {} events; see \
             docs/simulation.md",
            shrunk.plan,
            shrunk.violation,
            plan.schedule.len(),
            plan.fault_count(),
            plan.event_count()
        ),
    }
}

fn no_violation(seeds: Range<u64>) {
    let (mut events, mut faults, mut incidents) = (0, 0, 0);
    for seed in seeds.clone() {
        let report = run(&Plan::from_seed(seed), Sabotage::None);
        assert!(report.violation.is_none(), "{}", explain(seed, Sabotage::None));
        events += report.events;
        incidents += report.incidents;
        faults += report.faults.values().sum::<u64>();
    }
    // A simulation in which nothing happens finds nothing.
    let count = seeds.end - seeds.start;
    assert!(events > 40 * count && faults > 10 * count, "{events} events, {faults} faults");
    assert!(incidents > count / 2, "{incidents} incidents");
}

// In two halves, for two cores.

#[test]
fn no_seed_of_the_first_half_violates_anything() {
    let seeds = seeds();
    no_violation(seeds.start..seeds.start.midpoint(seeds.end));
}

#[test]
fn no_seed_of_the_second_half_violates_anything() {
    let seeds = seeds();
    no_violation(seeds.start.midpoint(seeds.end)..seeds.end);
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    let reports = |seed| -> [Report; 2] {
        std::array::from_fn(|_| run(&Plan::from_seed(seed), Sabotage::None))
    };
    let mut digests = Vec::new();
    for seed in 0..10 {
        let [first, second] = reports(seed);
        assert_eq!(first, second, "seed {seed}");
        digests.push(first.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 10, "other seeds are other runs");
}

/// An oracle that used what it judges would judge nothing.
#[test]
fn the_oracle_shares_no_code_with_what_decides() {
    let sources = [
        include_str!("../src/simulation/oracle.rs"),
        include_str!("../src/simulation/compare.rs"),
        include_str!("../src/simulation/incidents.rs"),
        include_str!("../src/simulation/incidents/incident.rs"),
        include_str!("../src/incidents/duties.rs"),
        include_str!("../src/incidents/duties/case.rs"),
    ];
    for source in sources {
        for decides in ["watchkeep_detection", "watchkeep_incident", "watchkeep_runtime"] {
            assert!(!source.contains(decides), "{decides} is used in {source:.60}");
        }
    }
    let plain = ["summary::", "distribution::", "batch::"];
    assert!(plain.iter().all(|name| !sources[0].contains(name)));
}

/// The first seed that finds a planted bug, made smaller.
fn found(sabotage: Sabotage) {
    let fails = |seed: &u64| run(&Plan::from_seed(*seed), sabotage).violation.is_some();
    let seed = SEEDS.clone().find(fails);
    let seed = seed.unwrap_or_else(|| panic!("{sabotage:?} was not found in {SEEDS:?}"));
    let plan = Plan::from_seed(seed);
    let shrunk = shrink(&plan, sabotage, SHRINKING_RUNS_MAX).expect("it fails again");
    // Shown by `cargo test -- --nocapture`.
    #[expect(clippy::print_stdout, reason = "which seed, for whoever wants to look at it")]
    {
        println!("{sabotage:?}: seed {seed}, in {} runs:\n{}", shrunk.runs, shrunk.plan);
        println!("{}\n", shrunk.violation);
    }
    let violation = run(&shrunk.plan, Sabotage::None).violation;
    assert_eq!(violation, None, "it is the bug that fails");
    assert!(shrunk.plan.schedule.len() < plan.schedule.len().div_ceil(2));
    assert!(shrunk.plan.fault_count() <= 3, "{}", shrunk.plan);
    let again = run(&shrunk.plan, sabotage).violation;
    assert_eq!(again, Some(shrunk.violation), "the small plan repeats itself");
}

#[test]
fn positions_that_are_committed_before_the_records_are_found() {
    found(Sabotage::CommitBeforeProduce);
}

#[test]
fn a_watermark_that_waits_for_nobody_is_found() {
    found(Sabotage::ImpatientWatermark);
}

#[test]
fn deltas_that_outlive_a_revocation_are_found() {
    found(Sabotage::KeptDeltas);
}
