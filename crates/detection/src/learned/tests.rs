//! Levels, and what bounds do with seasons, outliers and short histories.

use super::*;
use crate::random::Numbers;

impl Numbers {
    /// Student's t with 3 degrees of freedom.
    fn t3(&mut self) -> f64 {
        let chi: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (chi / 3.0).sqrt()
    }
}

fn hourly(values: impl IntoIterator<Item = f64>) -> Vec<Past> {
    let at = |i: usize| Timestamp::from_micros(0) + TimeSpan::HOUR.times(i as i64);
    values.into_iter().enumerate().map(|(i, observed)| Past { start: at(i), observed }).collect()
}

/// Share of windows above the bound, over its stated rate.
fn excess(n: usize, rate: f64, mut draw: impl FnMut(&mut Numbers) -> f64) -> f64 {
    let mut numbers = Numbers(7);
    let (histories, each) = (2_000_u32, 20_u32);
    let mut above = 0_usize;
    for _ in 0..histories {
        let past = hourly((0..n).map(|_| draw(&mut numbers)).collect::<Vec<_>>());
        let start = past[n - 1].start + TimeSpan::HOUR;
        let bound = upper_bound(&past, start, rate).expect("the history is long enough").above;
        above += (0..each).filter(|_| draw(&mut numbers) > bound).count();
    }
    above as f64 / f64::from(histories * each) / rate
}

#[test]
fn the_rate_holds_whatever_the_distribution() {
    for (n, rate, most) in [(30, 0.01, 3.0), (200, 0.01, 1.5), (100, 0.003, 3.0), (300, 0.001, 3.0)]
    {
        for (name, excess) in [
            ("normal", excess(n, rate, Numbers::normal)),
            ("lognormal", excess(n, rate, |numbers| numbers.normal().exp())),
            ("exponential", excess(n, rate, |numbers| -(1.0 - numbers.uniform()).ln())),
            ("uniform", excess(n, rate, Numbers::uniform)),
            ("t(3)", excess(n, rate, Numbers::t3)),
        ] {
            assert!(excess < most, "{name}, {n} windows at {rate}: {excess} times the rate");
        }
    }
}

#[test]
fn few_windows_give_no_bound() {
    assert_eq!(windows_needed(0.01), 30);
    assert_eq!(windows_needed(0.1), WINDOWS_MIN);
    let past = hourly((0..29).map(f64::from));
    assert_eq!(upper_bound(&past, past[28].start + TimeSpan::HOUR, 0.01), None);
}

#[test]
fn windows_that_are_all_the_same_give_their_value() {
    let past = hourly([0.5; 40]);
    let bound = upper_bound(&past, past[39].start, 0.01).expect("finite");
    assert_eq!((bound.above, bound.method.name()), (0.5, "tail"));
}

#[test]
fn the_hour_of_the_day_is_taken_out_where_it_explains_the_spread() {
    let mut numbers = Numbers(3);
    let hour = |i: i64| if i % 24 == 3 { 100.0 } else { 10.0 * ((i % 24) as f64 / 4.0).sin() };
    let past = hourly((0..24 * 21).map(|i| hour(i) + numbers.normal()).collect::<Vec<_>>());
    let next = |hours| past[past.len() - 1].start + TimeSpan::HOUR.times(hours);
    let at_noon = upper_bound(&past, next(13), 0.001).expect("enough");
    assert_eq!(at_noon.method.name(), "tail seasonal");
    assert!((2.5..6.0).contains(&(at_noon.above - hour(12))), "{at_noon:?}");
    let at_three = upper_bound(&past, next(4), 0.001).expect("enough");
    assert!((102.0..115.0).contains(&at_three.above), "{at_three:?}");
    let flat = hourly((0..24 * 21).map(|_| numbers.normal()).collect::<Vec<_>>());
    let bound = upper_bound(&flat, next(1), 0.01).expect("enough");
    assert_eq!(bound.method.name(), "tail");
}

/// Hourly counts that are high by day and low at night and on weekends.
fn weekly(hour: usize) -> f64 {
    // The histories begin on a Thursday.
    let (day, of_day) = (hour / 24 % 7, (hour % 24) as f64);
    let weekend = if (2..4).contains(&day) { 0.4 } else { 1.0 };
    1000.0 * weekend * (1.0 + 0.5 * ((of_day - 6.0) / 12.0 * std::f64::consts::PI).sin())
}

#[test]
fn the_hour_of_the_week_is_taken_out_from_four_weeks_on() {
    let mut numbers = Numbers(11);
    let weeks = |weeks: usize, numbers: &mut Numbers| {
        hourly((0..24 * 7 * weeks).map(|i| weekly(i) + 20.0 * numbers.normal()).collect::<Vec<_>>())
    };
    for of in [4, 9] {
        let past = weeks(of, &mut numbers);
        for hour in [3, 40, 60, 76, 108] {
            let start = past[past.len() - 1].start + TimeSpan::HOUR.times(hour as i64 + 1);
            let bound = upper_bound(&past, start, 0.01).expect("enough");
            assert_eq!(bound.method.name().split(' ').nth(1), Some("weekly"), "{bound:?}");
            let (above, usual) = (bound.above - weekly(hour), bound.median - weekly(hour));
            assert!((30.0..140.0).contains(&above) && usual.abs() < 60.0, "{of} {hour} {bound:?}");
        }
    }
    let three = weeks(3, &mut numbers);
    let bound = upper_bound(&three, three[three.len() - 1].start + TimeSpan::HOUR, 0.01);
    assert!(!bound.expect("enough").method.name().contains("weekly"));
}

/// What is taken out is the median of other weeks, so that one that was far out
/// moves no bound of its hour and a week that was lost leaves the rest.
#[test]
fn a_week_that_was_odd_does_not_spoil_its_hours() {
    let mut numbers = Numbers(5);
    let mut past: Vec<Past> =
        hourly((0..24 * 35).map(|i| weekly(i) + 20.0 * numbers.normal()).collect::<Vec<_>>());
    let next = past[past.len() - 1].start + TimeSpan::HOUR;
    let bound = upper_bound(&past, next, 0.01).expect("enough");
    past[24 * 14].observed = 50_000.0;
    past.drain(24 * 21..24 * 23);
    let odd = upper_bound(&past, next, 0.01).expect("enough");
    assert_eq!(odd.method, bound.method);
    assert!((odd.above - bound.above).abs() < 60.0, "{odd:?} {bound:?}");
    assert!((odd.median - bound.median).abs() < 30.0, "{odd:?} {bound:?}");
}

#[test]
fn courses_that_are_not_there_are_not_taken_out() {
    let mut numbers = Numbers(9);
    let flat = hourly((0..24 * 42).map(|_| numbers.normal()).collect::<Vec<_>>());
    let bound = upper_bound(&flat, flat[flat.len() - 1].start + TimeSpan::HOUR, 0.01);
    assert_eq!(bound.expect("enough").method.course, None);
    let daily = |i: i64| 10.0 * (i % 24) as f64;
    let daily = hourly((0..24 * 42).map(|i| daily(i) + numbers.normal()).collect::<Vec<_>>());
    let bound = upper_bound(&daily, daily[daily.len() - 1].start + TimeSpan::HOUR, 0.01);
    assert_eq!(bound.expect("enough").method.course, Some(Course::Daily));
}

/// Outliers that are well below half of what the rate lets through move a bound by
/// little however far they are, and a single one is pulled in.
#[test]
fn outliers_move_a_bound_by_little() {
    for (n, rate, outliers, most) in
        [(840, 0.01, 3, 2.0), (500, 0.01, 1, 2.0), (300, 0.01, 1, 2.0), (100, 0.01, 1, 200.0)]
    {
        let mut numbers = Numbers(13);
        let mut past = hourly((0..n).map(|_| numbers.normal()).collect::<Vec<_>>());
        let next = past[n - 1].start + TimeSpan::HOUR;
        let clean = upper_bound(&past, next, rate).expect("enough").above;
        for window in past.iter_mut().step_by(7).take(outliers) {
            window.observed = 1e4;
        }
        let with = upper_bound(&past, next, rate).expect("enough").above;
        assert!((clean - 0.01..clean + most).contains(&with), "{n} {outliers}: {clean} {with}");
    }
}

/// Of windows that overlap a few odd values are in many, and an order statistic of
/// many is one of a few: to hold the tail by it would make false alarms of quiet ones.
#[test]
fn a_tail_is_not_held_by_windows_that_tell_of_the_same() {
    const OVERLAP: usize = 24;
    let (n, rate, histories) = (672, 0.005, 60);
    let above = |overlap: f64| {
        let mut numbers = Numbers(17);
        let mut above = 0;
        for _ in 0..histories {
            let values: Vec<f64> = (0..n + 8 * OVERLAP).map(|_| numbers.normal()).collect();
            let most = |window: &[f64]| window.iter().copied().fold(f64::MIN, f64::max);
            let all = hourly(values.windows(OVERLAP).map(most).collect::<Vec<_>>());
            let (past, start) = (&all[..n], all[n].start);
            let bound = upper_bound_of_overlapping(past, start, rate, overlap).expect("enough");
            // Those that share nothing with the past.
            let next = all[n + OVERLAP..].iter();
            above += next.filter(|window| window.observed > bound.above).count();
        }
        above
    };
    let (held, free) = (above(1.0), above(OVERLAP as f64));
    assert!(free > 0 && free * 5 < held * 4, "{free} of {held}");
}

#[test]
fn extreme_values_give_a_stated_result() {
    let past = hourly((0..400).map(|i| if i % 2 == 0 { 1e300 } else { -1e300 }));
    let bound = upper_bound(&past, past[399].start, 0.001);
    assert!(bound.is_none_or(|bound| bound.above.is_finite()));
}
