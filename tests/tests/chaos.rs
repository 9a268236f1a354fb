//! Real faults on real Kafka, short: what the campaign (`tests/chaos/campaign.rs`)
//! does for most of an hour. The seed is printed with what went wrong.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use watchkeep_tests::chaos::faults::{Counts, Fault};
use watchkeep_tests::chaos::{NO_DEADLINE, Outcome, Plan, run};

/// One node, two instances.
fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        nodes: 1,
        instances: 2,
        partitions: 4,
        partitions_later: 4,
        rate: 2_000,
        speed: 10,
        events: 40_000,
        faults: Counts::default(),
        script: &[],
        gap: (Duration::from_millis(1_000), Duration::from_millis(3_500)),
        broker_away: (Duration::from_secs(3), Duration::from_secs(15)),
        commit_interval: Duration::from_millis(100),
        acknowledge_within: NO_DEADLINE,
        is_told: true,
    }
}

fn passes(plan: &Plan) -> Outcome {
    // One after the other: two clusters at once would only take longer.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = run(plan).unwrap_or_else(|why| panic!("seed {}: {why}", plan.seed));
    // Told even where all is well: how long it took to go on is worth knowing.
    let _ = writeln!(std::io::stderr(), "{outcome}");
    assert!(outcome.findings.is_clean(), "{outcome}");
    outcome
}

#[test]
fn ten_kills_lose_nothing_and_double_nothing() {
    let faults = Counts { kills: 10, stops: 1, freezes: 1, ..Counts::default() };
    let outcome = passes(&Plan { faults, ..plan(1) });
    assert_eq!(outcome.faults[&Fault::Kill], 10);
}

#[test]
fn a_broker_that_is_away_for_a_minute_is_ridden_out() {
    // It has agreed to a commit of the escalate stage and marked it nowhere.
    // The other instance starts while no broker is there.
    let script = &[Fault::UnmarkIncidents, Fault::Join];
    // Longer than any session, transaction or request lasts.
    let broker_away = (Duration::from_secs(60), Duration::from_secs(61));
    let outcome = passes(&Plan { instances: 1, script, broker_away, ..plan(2) });
    assert!(outcome.fenced.is_empty(), "{outcome}");
}

#[test]
fn instances_and_partitions_come_and_go_under_load() {
    use Fault::{Grow, Join, Kill, Leave, Usurp};
    let outcome = passes(&Plan {
        instances: 1,
        partitions_later: 8,
        script: &[Join, Join, Grow, Usurp, Leave, Kill],
        gap: (Duration::from_secs(3), Duration::from_secs(5)),
        ..plan(3)
    });
    assert_eq!(outcome.fenced["usurped"], 1);
}
