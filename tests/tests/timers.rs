//! Kills of the escalate stage on real Kafka, short: what
//! `tests/chaos/kill_escalate.rs` does for some minutes.

use watchkeep_tests::chaos::timers::run;

#[test]
fn kills_lose_no_escalation_and_double_none() {
    let outcome = run(7, 5).unwrap_or_else(|why| panic!("{why}"));
    assert!(outcome.wrong.is_empty(), "{outcome}");
    assert!(outcome.counts.fired > 10 && outcome.counts.pages > 10, "{outcome}");
}
