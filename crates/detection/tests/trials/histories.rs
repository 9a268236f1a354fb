//! Histories of windows: how often a learned bound and a sum over windows alarm
//! where nothing has changed, and when a slow drift is found.

use watchkeep_detection::learned::{Past, upper_bound};
use watchkeep_detection::sustained::{Shift, shift, sums};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Bins;

use super::Random;

/// What the figures of windows are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figures {
    /// Standard normal.
    Normal,
    /// Exponential of a normal.
    Lognormal,
    /// Mean 1.
    Exponential,
    /// 0 to 1.
    Uniform,
    /// Student's t with three degrees of freedom.
    StudentT3,
    /// Standard normal; each keeps so much of the one before.
    Following(f64),
}

/// All of them, with their names.
pub(crate) const FIGURES: [(Figures, &str); 7] = [
    (Figures::Normal, "normal"),
    (Figures::Lognormal, "lognormal"),
    (Figures::Exponential, "exponential"),
    (Figures::Uniform, "uniform"),
    (Figures::StudentT3, "t(3)"),
    (Figures::Following(0.5), "AR(1) of 0.5"),
    (Figures::Following(0.9), "AR(1) of 0.9"),
];

impl Figures {
    fn next(self, before: f64, random: &mut Random) -> f64 {
        match self {
            Self::Normal => random.normal(),
            Self::Lognormal => random.normal().exp(),
            Self::Exponential => -random.share().ln(),
            Self::Uniform => random.share(),
            Self::StudentT3 => {
                let chi: f64 = (0..3).map(|_| random.normal().powi(2)).sum();
                random.normal() / (chi / 3.0).sqrt()
            }
            Self::Following(carry) => {
                carry * before + (1.0 - carry * carry).sqrt() * random.normal()
            }
        }
    }
}

/// Windows that are judged after each history.
const JUDGED: u32 = 20;

/// Share of windows above the bound that is learned from the `n` before, over
/// the rate that was asked for.
pub(crate) fn excess(
    figures: Figures,
    n: usize,
    rate: f64,
    histories: u64,
    random: &mut Random,
) -> f64 {
    let mut above = 0_u64;
    for _ in 0..histories {
        let mut last = random.normal();
        let mut next = || {
            last = figures.next(last, random);
            last
        };
        let at = |hour: usize| Timestamp::from_micros(0) + TimeSpan::HOUR.times(hour as i64);
        let past: Vec<Past> = (0..n).map(|i| Past { start: at(i), observed: next() }).collect();
        let bound = upper_bound(&past, at(n), rate).expect("the history is long enough").above;
        above += (0..JUDGED).filter(|_| next() > bound).count() as u64;
    }
    above as f64 / (histories * u64::from(JUDGED)) as f64 / rate
}

/// Hours of a week in which nights and weekends are quieter, in standard
/// deviations of what differs from week to week.
fn of_week(hour: usize) -> f64 {
    let weekend = if hour / 24 % 7 >= 5 { 0.4 } else { 1.0 };
    20.0 * weekend * (1.0 + 0.5 * ((hour % 24) as f64 * std::f64::consts::PI / 12.0).sin())
}

/// Hourly windows with the course of a week and normal noise beside it: of the
/// week after so many weeks, the share of quiet hours beyond the bound that is
/// learned from these over the rate that was asked for, and the share of the hours
/// found that are six standard deviations higher.
pub(crate) fn weekly(weeks: usize, rate: f64, histories: u64, random: &mut Random) -> (f64, f64) {
    const WEEK: usize = 24 * 7;
    const CHANGE: f64 = 6.0;
    // A Monday.
    let at = |hour: usize| Timestamp::from_micros(0) + TimeSpan::HOUR.times(4 * 24 + hour as i64);
    let (mut above, mut found) = (0_u64, 0_u64);
    for _ in 0..histories {
        let mut next = |hour: usize| of_week(hour) + random.normal();
        let past: Vec<Past> =
            (0..weeks * WEEK).map(|i| Past { start: at(i), observed: next(i) }).collect();
        for hour in weeks * WEEK..(weeks + 1) * WEEK {
            let bound = upper_bound(&past, at(hour), rate).expect("the history is long enough");
            let observed = next(hour);
            above += u64::from(observed > bound.above);
            found += u64::from(observed + CHANGE > bound.above);
        }
    }
    let judged = (histories * WEEK as u64) as f64;
    (above as f64 / judged / rate, found as f64 / judged)
}

/// Deciles of the normal distribution, in which both sides are counted.
const DECILES: [f64; 9] = [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816];

fn counts(n: usize, mean: f64, random: &mut Random) -> Vec<u64> {
    let mut counts = vec![0; DECILES.len() + 1];
    for _ in 0..n {
        let value = mean + random.normal();
        counts[DECILES.partition_point(|edge| *edge <= value)] += 1;
    }
    counts
}

/// A feature whose windows are days of `n` values, with a baseline of so many of
/// them, and whose mean moves by `drift` standard deviations a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Days {
    /// Values a day.
    pub(crate) n: usize,
    /// Days of the baseline.
    pub(crate) baseline: usize,
    /// Days that are judged.
    pub(crate) judged: usize,
    /// Standard deviations a day.
    pub(crate) drift: f64,
    /// False alarms a window that are asked for.
    pub(crate) rate: f64,
}

impl Days {
    /// The days, from 1, on which a breach opens.
    pub(crate) fn opened(self, random: &mut Random) -> Vec<usize> {
        let reference = counts(self.baseline * self.n, 0.0, random);
        let (mut shifts, mut days, mut open) = (Vec::<Shift>::new(), Vec::new(), false);
        for day in 1..=self.judged {
            let current = counts(self.n, self.drift * day as f64, random);
            let reference = reference.clone();
            let bins = Bins { edges: DECILES.to_vec(), current, reference, ..Bins::default() };
            shifts.extend(shift(&bins));
            let Some(sums) = sums(&shifts, self.rate) else { continue };
            if sums.is_bad() && !open {
                days.push(day);
            }
            open = sums.is_bad() || (open && !sums.is_over());
        }
        days
    }
}
