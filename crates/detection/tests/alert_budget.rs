//! A budget keeps the false alarms of many quiet features to what it promises
//! and still finds the few that changed. The whole table:
//! `cargo run --release -p watchkeep-detection --example alert_budget`.

#[path = "../examples/alert_budget/study.rs"]
mod study;

use study::{Study, run};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::time::TimeSpan;

/// Few values and a loose expectation, by which every twentieth quiet window is bad.
const LOOSE: Study = Study {
    features: 100,
    changed: 20,
    days: 20,
    values: 60,
    shift: 1.2,
    p_below: 0.05,
    effect_above: 0.0,
    terms: None,
    partitions: 1,
    seed: 11,
};

#[test]
fn without_a_budget_quiet_windows_cry_wolf() {
    let outcome = run(&LOOSE);
    assert!(outcome.false_alarms > 50, "{outcome:?}");
}

#[test]
fn a_number_of_false_alarms_is_kept_to_and_changes_are_found() {
    for partitions in [1, 3] {
        let terms = Some(AlertBudget::FalseAlarms { count: 1.0, per: TimeSpan::WEEK });
        let outcome = run(&Study { terms, partitions, ..LOOSE });
        // Twenty days touch at most four weeks. More than 11 of an expected 4
        // have a chance below 0.001.
        assert!(outcome.budget.expected <= 4.0, "{outcome:?}");
        assert!(outcome.false_alarms <= 11, "{outcome:?}");
        assert!(outcome.found >= 19, "{outcome:?}");
    }
}

#[test]
fn a_false_discovery_rate_is_kept_to_and_changes_are_found() {
    for partitions in [1, 3] {
        let terms =
            Some(AlertBudget::FalseDiscoveryRate { rate: 0.1, per: TimeSpan::WEEK.times(4) });
        let outcome = run(&Study { terms, partitions, ..LOOSE });
        assert!(outcome.false_alarms <= 5, "{outcome:?}");
        assert!(outcome.found >= 19, "{outcome:?}");
        // What LORD++ holds at every instant.
        assert!(outcome.budget.expected <= 0.1 * (outcome.budget.discoveries as f64).max(1.0));
    }
}
