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
        sums(&shifts, rate).is_some_and(Sums::is_bad)
    })
}

#[test]
fn quiet_windows_keep_the_rate() {
    let (features, days, rate) = (400, 60, 0.001);
    for n in [30, 100, 400] {
        let alarms = (0..features).filter(|seed| found(*seed, n, days, 0.0, rate).is_some());
        // 24 are allowed, of which this is above in one of 400 measurements.
        assert!(alarms.count() <= 38, "{n} values a day");
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

/// One day that is far away is no drift, and three in a row are.
#[test]
fn one_window_is_no_drift() {
    let sums_of = |zs: &[f64]| {
        let quiet = [0.5, -0.5].into_iter().cycle().take(40);
        let of = |z: f64| Shift { z, baseline_error: 0.18 };
        sums(&quiet.chain(zs.iter().copied()).map(of).collect::<Vec<_>>(), 0.001).unwrap()
    };
    assert!(!sums_of(&[90.0]).is_bad() && !sums_of(&[90.0]).is_over());
    assert!(sums_of(&[90.0, 90.0, 90.0]).is_bad());
    // The breach goes on until the sum is down to half of the interval.
    let falling = [90.0, 90.0, 0.0, 0.0, 0.0];
    assert!(!sums_of(&falling).is_bad() && !sums_of(&falling).is_over(), "{:?}", sums_of(&falling));
    assert!(sums_of(&[&falling[..], &[0.0; 4]].concat()).is_over());
}

#[test]
fn few_windows_are_not_judged() {
    let shifts = [Shift { z: 9.0, baseline_error: 0.1 }; Sustained::WINDOWS_MIN];
    assert_eq!(sums(&shifts[1..], 0.001), None);
    assert!(sums(&shifts, 0.001).is_some_and(Sums::is_bad));
}

/// Days that differ by chance, by the weekday, and so that each keeps a third of
/// the one before: none of them is a slow drift.
#[test]
fn days_that_differ_keep_the_rate() {
    let (features, days, rate) = (200, 60, 0.001);
    let alarms = |day: &dyn Fn(usize, f64, &mut Numbers) -> f64| {
        let is_found = |seed: &u64| {
            let mut numbers = Numbers(*seed);
            let (mut mean, mut shifts) = (0.0, Vec::new());
            // The means of 28 days before are the baseline's.
            let mut z = |at: usize, numbers: &mut Numbers| {
                mean = day(at, mean, numbers);
                10.0 * mean + numbers.normal()
            };
            let baseline = (0..28).map(|at| z(at, &mut numbers)).sum::<f64>() / 28.0;
            (28..28 + days).any(|at| {
                shifts.push(Shift { z: z(at, &mut numbers) - baseline, baseline_error: 0.186 });
                sums(&shifts, rate).is_some_and(Sums::is_bad)
            })
        };
        (0..features).filter(is_found).count()
    };
    let carried = |carry: f64, before: f64, numbers: &mut Numbers| {
        carry * before + 0.3 * (1.0 - carry * carry).sqrt() * numbers.normal()
    };
    let found = [
        alarms(&|_, before, numbers| carried(0.0, before, numbers)),
        alarms(&|at, _, _| if at % 7 < 5 { 0.2 } else { -0.5 }),
        alarms(&|_, before, numbers| carried(0.33, before, numbers)),
    ];
    // 12 are allowed of each.
    assert!(found[0] <= 20 && found[1] <= 20 && found[2] <= 30, "{found:?}");
}

/// A poor baseline is far from every window, and that is allowed for.
#[test]
fn the_error_of_the_baseline_lengthens_the_interval() {
    let [exact, poor] = [0.0, 0.3].map(|error| decision_interval(0.001, 0.85, error));
    assert!(poor > exact + 1.0, "{exact} {poor}");
}

#[test]
fn the_interval_is_that_of_the_tables() {
    // Hawkins and Olwell 1998: both sums together, allowance 0.5, decision
    // interval 4.77: a false alarm in 370 windows.
    let interval = decision_interval(1.0 / 370.0, 0.5, 0.0);
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

/// A step that stays: found by the sums, and not good again while it stays.
#[test]
fn a_level_that_moved_and_stays_goes_on() {
    let (mut ended, mut opened) = (0, 0);
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let (mut shifts, mut open) = (Vec::new(), None);
        for at in 0..80usize {
            let level = if at < 20 { 0.0 } else { 4.0 };
            shifts.push(Shift { z: level + numbers.normal(), baseline_error: 0.18 });
            let in_breach = open.map_or(0, |opened_at| at - opened_at);
            let Some(sums) = sums_in_breach(&shifts, in_breach, 0.001) else { continue };
            if open.is_some() && sums.is_over() {
                ended += 1;
                open = None;
            } else if open.is_none() && sums.is_bad() && at >= 20 {
                opened += 1;
                open = Some(at);
            }
        }
    }
    assert!(opened >= 55 && ended == 0, "{opened} {ended}");
}
