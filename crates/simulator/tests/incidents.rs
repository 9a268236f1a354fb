//! Simulated incidents with faults: nothing that is owed may be left, lost or
//! done twice, and a crash in whichever commit may change nothing.
//!
//! `SIMULATION_SEEDS=0..10000` runs other seeds than the usual ones.

#![expect(clippy::disallowed_methods, reason = "the seeds are chosen from outside")]

use std::ops::Range;

use watchkeep_audit::Audit;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::TimeSpan;
use watchkeep_simulator::incidents::duties::{Counts, Terms};
use watchkeep_simulator::incidents::plan::{Fault, Input, What};
use watchkeep_simulator::incidents::{Plan, Report, crash_everywhere, run, run_sabotaged, shrink};
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

/// Runs that making a failing plan smaller may take.
const SHRINKING_RUNS_MAX: usize = 300;

/// What somebody needs who has to find out why.
fn explain(plan: &Plan) -> String {
    let seed = plan.seed;
    match shrink(plan, Sabotage::None, SHRINKING_RUNS_MAX) {
        None => format!("seed {seed} did not fail again: the run is not deterministic"),
        Some(shrunk) => format!(
            "seed {seed} fails\n\n{}\n{}\n\nfrom {} inputs with {} faults; see \
             docs/simulation.md",
            shrunk.plan,
            shrunk.violation,
            plan.inputs.len(),
            plan.faults.len()
        ),
    }
}

/// The audit shares no code with the rules, and may have nothing against what
/// came of faults either. One order of all facts needs one partition.
fn audit(plan: &Plan, report: &Report) {
    if plan.partitions != 1 {
        return;
    }
    let mut audit = Audit::new();
    let is_fact = |line: &&String| line.starts_with(r#"{"incident_id":"#);
    for (number, line) in report.lines.iter().enumerate().filter(|(_, line)| is_fact(line)) {
        audit.fact(&format!("line {}", number + 1), line);
    }
    assert!(audit.facts() > 0 || report.counts.incidents == 0, "seed {}", plan.seed);
    let findings = audit.finish().findings;
    let first = findings.first();
    assert!(first.is_none(), "seed {}: {first:#?}\n{plan}", plan.seed);
}

#[test]
fn nothing_that_is_owed_is_left_lost_or_done_twice() {
    let (mut counts, mut faults) = (Counts::default(), 0);
    for seed in seeds() {
        let plan = Plan::from_seed(seed);
        let report = run(&plan);
        assert!(report.violation.is_none(), "{}", explain(&plan));
        audit(&plan, &report);
        counts += report.counts;
        faults += report.faults.values().sum::<u64>();
    }
    // A simulation in which nothing happens finds nothing.
    let count = seeds().end - seeds().start;
    assert!(counts.incidents > 2 * count && counts.fired > 5 * count, "{counts:?}");
    assert!(faults > 5 * count, "{faults} faults");
}

/// Who speaks for whom once incidents are over, and what is due while an answer
/// still stands: seeds that each failed for a cause of its own.
#[test]
fn what_other_seeds_have_found_stays_found() {
    for seed in [10_071, 13_470, 14_094, 22_156] {
        let plan = Plan::from_seed(seed);
        assert!(run(&plan).violation.is_none(), "{}", explain(&plan));
    }
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

/// The first seed that finds a planted bug, made smaller. A simulation that
/// finds nothing may be blind.
fn found(sabotage: Sabotage) {
    let fails = |seed: &u64| run_sabotaged(&Plan::from_seed(*seed), sabotage).violation.is_some();
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
    assert_eq!(run(&shrunk.plan).violation, None, "it is the bug that fails");
    assert!(shrunk.plan.inputs.len() < plan.inputs.len().div_ceil(2));
    assert!(shrunk.plan.faults.len() <= 3, "{}", shrunk.plan);
    let again = run_sabotaged(&shrunk.plan, sabotage).violation;
    assert_eq!(again, Some(shrunk.violation), "the small plan repeats itself");
}

#[test]
fn positions_that_are_committed_before_the_facts_are_found() {
    found(Sabotage::CommitBeforeProduce);
}

#[test]
fn messages_that_go_out_before_the_transaction_are_found() {
    found(Sabotage::PagesFirst);
}

#[test]
fn a_timer_that_fires_again_after_a_restart_is_found() {
    found(Sabotage::TimersAnew);
}

#[test]
fn a_quiet_whose_end_has_forgotten_its_pages_is_found() {
    found(Sabotage::ForgottenPages);
}

/// The stage is away while its step's deadline passes and somebody answers in
/// time, with so much else that several polls are needed to read it all.
#[test]
fn an_answer_that_waits_in_the_log_comes_before_the_deadline_that_it_answers() {
    let seed = Plan::from_seed(0);
    let from = seed.from;
    let after = |minutes: i64| from + TimeSpan::MINUTE.times(minutes);
    let breach = format!(
        r#"{{"breach_id":"b","transition":"opened","feature":"f","feature_version":"",
        "expectation":"e","kind":"volume","severity":"error","window":"1m","window_start":"{from}",
        "window_end":"{0}","revision":0,"detected_at":"{0}","policy":"simulated",
        "affected_consumers":[],"exemplars":[],"reason":"simulated"}}"#,
        after(1)
    );
    let breach = What::Breach(Box::new(serde_json::from_str(&breach).expect("a breach")));
    let mut inputs = vec![Input { at: after(1), what: breach }];
    let command = |minute: i64, number: i64, command: Command| {
        let mut response = Response::new(after(minute), "user:ada", command);
        response.subject = Some("feature:f".to_owned());
        response.rationale = Some(format!("{number}"));
        let at = after(minute) + TimeSpan::from_micros(number);
        Input { at, what: What::Response(Box::new(response)) }
    };
    inputs.extend((0..5).map(|number| command(3, number, Command::Comment)));
    inputs.push(command(3, 9, Command::Acknowledge));
    inputs.push(command(30, 0, Command::Comment));
    let plan = Plan {
        documents: "kind: directory
users: {ada: {name: Ada}}
governance: user:ada
---
kind: charter
subject: feature:f
policy: simulated
owners: {primary: user:ada}
---
kind: policy
name: simulated
version: 1
grouping: {by: [root], group_wait: 0s, group_interval: 1m, repeat_interval: 10m}
steps: [{name: owner, notify: [{role: primary}], acknowledge_within: 4m}]
loops: 2
on_exhausted: {notify: [user:ada]}
"
        .to_owned(),
        inputs,
        faults: vec![
            (after(2), Fault::Dribble(2)),
            (after(2), Fault::Crash(0, TimeSpan::MINUTE.times(20))),
        ],
        slack: TimeSpan::ZERO,
        instances: 1,
        sinks: None,
        terms: Terms::default(),
        ..seed
    };
    let report = run(&plan);
    assert_eq!(report.violation, None);
    let facts = |name: &str| {
        let name = format!(r#""fact":"{name}""#);
        report.lines.iter().filter(|line| line.contains(&name)).count()
    };
    let counts = ["opened", "notified", "acknowledged", "escalated"].map(facts);
    assert_eq!(counts, [1, 1, 1, 0], "{:#?}", report.lines);
}
