//! The level on quiet windows and the day on which a slow drift is found.

use super::*;
use crate::random::Numbers;

/// Deciles of the normal distribution, in which both sides are counted.
const EDGES: [f64; 9] = [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816];

fn counts(numbers: &mut Numbers, n: usize, mean: f64) -> Vec<u64> {
    let mut counts = vec![0; EDGES.len() + 1];
    for _ in 0..n {
        let value = mean + numbers.normal();
        counts[EDGES.partition_point(|edge| *edge <= value)] += 1;
    }
    counts
}

/// The first day that is bad, of `days`, where the mean moves by `drift` a day;
/// a window is a day of `n` values and the baseline thirty of them.
fn found(seed: u64, n: usize, days: usize, drift: f64, rate: f64) -> Option<usize> {
    let mut numbers = Numbers(seed);
    let reference = counts(&mut numbers, 30 * n, 0.0);
    let mut shifts = Vec::new();
    (1..=days).find(|day| {
        let current = counts(&mut numbers, n, drift * *day as f64);
        let bins = Bins {
            edges: EDGES.to_vec(),
            current,
            reference: reference.clone(),
            ..Bins::default()
        };
        shifts.extend(shift(&bins));
        sums(&shifts, rate).is_bad()
    })
}

#[test]
fn quiet_windows_keep_the_rate() {
    let (features, days, rate) = (400, 60, 0.001);
    for n in [30, 100, 400] {
        let alarms = (0..features).filter(|seed| found(*seed, n, days, 0.0, rate).is_some());
        let share = alarms.count() as f64 / (features as f64 * days as f64);
        assert!(share <= 1.5 * rate, "{n} values a day: {share} at {rate}");
    }
}

#[test]
fn a_drift_that_no_window_shows_is_found_within_the_month() {
    for (n, latest) in [(30, 27), (100, 18), (400, 11)] {
        let mut days: Vec<usize> =
            (0..99).map(|seed| found(1000 + seed, n, 60, 0.02, 0.001).unwrap_or(61)).collect();
        days.sort_unstable();
        assert!(days[49] <= latest, "{n} values a day: found on day {} at the median", days[49]);
    }
}

#[test]
fn the_interval_is_that_of_the_tables() {
    // Hawkins and Olwell 1998: both sums together, allowance 0.5, decision
    // interval 4.77: a false alarm in 370 windows.
    let interval = decision_interval(1.0 / 370.0, 0.5);
    assert!((interval - 4.77).abs() < 0.1, "{interval}");
}

#[test]
fn bins_without_order_or_spread_have_no_shift() {
    assert_eq!(
        shift(&Bins { current: vec![3, 4], reference: vec![3, 4], ..Bins::default() }),
        None
    );
    let same =
        Bins { edges: vec![1.0], current: vec![0, 9], reference: vec![0, 9], ..Bins::default() };
    assert_eq!(shift(&same), None);
}
