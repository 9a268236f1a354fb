//! Real faults on real Kafka, short: what the campaign (`tests/chaos/campaign.rs`)
//! does for most of an hour. The seed is printed with what went wrong.

use std::io::Write as _;
use std::time::Duration;

use watchkeep_tests::chaos::faults::Counts;
use watchkeep_tests::chaos::{NO_DEADLINE, Plan, run};

/// One node, two instances, ten kills.
#[test]
fn ten_kills_lose_nothing_and_double_nothing() {
    let plan = Plan {
        seed: 1,
        nodes: 1,
        instances: 2,
        partitions: 4,
        partitions_later: 4,
        rate: 2_000,
        speed: 10,
        events: 60_000,
        faults: Counts { kills: 10, stops: 1, freezes: 1, ..Counts::default() },
        gap: (Duration::from_millis(1_000), Duration::from_millis(3_500)),
        broker_away: (Duration::ZERO, Duration::ZERO),
        commit_interval: Duration::from_millis(100),
        acknowledge_within: NO_DEADLINE,
        is_told: true,
    };
    let outcome = run(&plan).unwrap_or_else(|why| panic!("{why}"));
    // Told even where all is well: how long it took to go on is worth knowing.
    let _ = writeln!(std::io::stderr(), "{outcome}");
    assert!(outcome.findings.is_clean(), "{outcome}");
    assert_eq!(outcome.faults.values().sum::<u64>(), 12);
}
