//! What is granted, spent and promised, over streams made by hand.

use watchkeep_model::time::TimeSpan;

use super::*;

fn day(n: i64) -> Timestamp {
    Timestamp::from_micros(TimeSpan::DAY.times(n).as_micros())
}

fn alarms(count: f64) -> AlertBudget {
    AlertBudget::FalseAlarms { count, per: TimeSpan::WEEK }
}

fn rate(rate: f64) -> AlertBudget {
    AlertBudget::FalseDiscoveryRate { rate, per: TimeSpan::WEEK.times(4) }
}

fn test(at: Timestamp, p_value: f64, partitions: i32) -> Test {
    Test { at, p_value, p_below: 0.001, both_keys: p_value < 0.001, partitions }
}

/// Sum of the first million weights and an upper bound of the rest's, by the
/// integral from there on (both are falling).
#[test]
fn the_weights_sum_to_at_most_one() {
    let n = 1_000_000;
    let sum = |weight: fn(u64) -> f64| (1..=n).map(weight).sum::<f64>();
    // With u = log x: ∫ u e^(-√u) du = 2 e^(-v) (v³ + 3 v² + 6 v + 6), v = √u.
    let v = (n as f64).ln().sqrt();
    let rest = 0.0722 * 2.0 * (-v).exp() * (v.powi(3) + 3.0 * v.powi(2) + 6.0 * v + 6.0);
    let lord = sum(lord_weight) + rest;
    assert!((0.9..=1.0).contains(&lord), "{lord}");
}

/// What is left after so many tests, of which each may have its part.
#[test]
fn parts_of_what_is_left_leave_enough_for_late_tests() {
    let left = |tests: u64| (1..=tests).map(|j| 1.0 - next_part(j)).product::<f64>();
    assert!((0.03..0.3).contains(&left(100)) && left(100_000) > 0.3 * left(100));
    assert!((1..100).all(|j| (0.0..1.0).contains(&next_part(j))));
}

/// What the first tests of a first period cannot use is left for the others.
#[test]
fn no_level_is_above_what_the_expectation_asks_for() {
    let domain: Arc<str> = "a".into();
    let mut budgets = Budgets::default();
    let levels: Vec<f64> = (0..10_000)
        .map(|_| budgets.test(&domain, &alarms(1.0), &test(day(4), 0.5, 1)).level)
        .collect();
    assert!(levels.iter().all(|level| (0.0..=0.001).contains(level)));
    assert!(levels[9_999] > 2e-6, "{}", levels[9_999]);
    assert!(levels.iter().sum::<f64>() < 1.0);
}

#[test]
fn false_alarms_sum_to_the_number_however_many_tests_there_are() {
    let domain: Arc<str> = "a".into();
    let mut budgets = Budgets::default();
    // Weeks of 700, 700, 7,000 and 70 tests.
    let mut spent = BTreeMap::new();
    for (n, tests) in [(4, 700), (11, 700), (18, 7000), (25, 70)] {
        for _ in 0..tests {
            let quiet = Test { p_below: 0.01, ..test(day(n), 0.5, 1) };
            let granted = budgets.test(&domain, &alarms(2.0), &quiet);
            assert!(granted.level > 0.0);
            spent.insert(n, granted.spent);
        }
    }
    assert!(spent.values().all(|spent| *spent <= 2.0), "{spent:?}");
    assert!(spent[&11] > 1.79, "{spent:?}");
}

#[test]
fn partitions_share_what_is_promised() {
    let domain: Arc<str> = "a".into();
    for (terms, promised) in [(alarms(2.0), 2.0), (rate(0.05), 0.025)] {
        let mut whole = 0.0;
        for _ in 0..4 {
            let mut budgets = Budgets::default();
            let quiet = test(day(4), 0.5, 4);
            whole += (0..500).map(|_| budgets.test(&domain, &terms, &quiet).level).sum::<f64>();
        }
        assert!(whole <= promised, "{whole}");
    }
}

#[test]
fn a_discovery_pays_later_instants_and_not_its_own() {
    let domain: Arc<str> = "a".into();
    let mut quiet = Budgets::default();
    let mut found = Budgets::default();
    let levels = |budgets: &mut Budgets, p: f64| {
        [(4, p), (4, 0.5), (5, 0.5)]
            .map(|(n, p)| budgets.test(&domain, &rate(0.05), &test(day(n), p, 1)).level)
    };
    let (without, with) = (levels(&mut quiet, 0.5), levels(&mut found, 1e-9));
    assert_eq!(without[..2], with[..2]);
    assert!(with[2] > without[2]);
    // LORD++: all levels together are at most the rate for each discovery.
    assert!(with.iter().sum::<f64>() <= 0.05);
}

#[test]
fn what_was_withheld_is_counted() {
    let domain: Arc<str> = "a".into();
    let mut budgets = Budgets::default();
    for p in [1e-12, 9e-4, 0.5] {
        budgets.test(&domain, &rate(0.05), &test(day(4), p, 1));
    }
    let (_, tally) = budgets.tallies().next().unwrap();
    assert_eq!((tally.tests, tally.discoveries, tally.withheld), (3, 1, 1));
}
