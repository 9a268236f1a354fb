//! Whether a window has another number of events than windows usually have.
//!
//! Counts of telemetry are not Poisson: they come in bursts, and traffic
//! differs from day to day, so a test that takes events for independent calls
//! most quiet windows changed (with a deviation of 10 % and 10,000 events a
//! window 80 of 100 at a level of 1 %). How much counts vary is therefore taken
//! from the windows of the baseline, and the question is one of prediction: is
//! the next count one more of the same (Hahn & Meeker, *Statistical
//! Intervals*, 1991, chapter 4)?
//!
//! The prediction interval of normal values is exact for any number of them. A
//! count becomes nearly normal by the power that takes its skewness away. Of
//! the negative binomial, a Poisson number whose rate is itself gamma
//! distributed, cumulants give that power as
//! `1 − μκ₃ / 3κ₂² = 1 − (1 + 2r) / (3 (1 + r))`, where `1 + r` is the variance
//! by the mean: 2/3 for Poisson (Anscombe 1953), 1/3 for gamma (Wilson &
//! Hilferty 1931), and between them for what is in between.
//!
//! Where what is found changed is left out of later baselines, what is left
//! varies less and a narrow baseline lasts longer; see [`left_out`].

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::left_out::{self, LeftOut};
use super::special::Sum;

/// Windows of a baseline from which can be told how much counts vary.
pub const COUNTS_MIN: usize = 3;

/// Events that a count may differ by for no reason: one that comes regularly
/// may fall on either side of the window's end. Without it windows that all
/// have the same count would call any other one certain.
const ROUNDING: f64 = 1.0;

/// A count beside usual ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountChange {
    /// The mean of the usual counts.
    pub expected: f64,
    /// Their variance by their mean.
    pub dispersion: f64,
    /// How many standard errors of a prediction the count is away, on the
    /// scale on which counts are not skewed; negative for fewer.
    pub score: f64,
    /// The chance of a score as far from 0 among counts like the usual ones.
    pub p_value: f64,
}

/// Compares a count with usual ones. `None` where there are fewer than
/// [`COUNTS_MIN`] of them, or all are 0. `left_out` are the counts that are no
/// part of the usual ones though they were nothing out of the ordinary.
#[must_use]
pub fn count_change(count: u64, usual: &[u64], left_out: Option<LeftOut>) -> Option<CountChange> {
    if usual.len() < COUNTS_MIN || usual.iter().all(|&n| n == 0) {
        return None;
    }
    let counts: Vec<f64> = usual.iter().map(|&n| n as f64).collect();
    let (expected, variance) = mean_and_variance(&counts);
    let dispersion = variance / expected;
    let excess = (dispersion - 1.0).max(0.0);
    // Halves of huge numbers, so that nothing overflows.
    let power = 1.0 - (0.5 + excess) / (1.5 * (1.0 + excess));
    let transformed: Vec<f64> = counts.iter().map(|n| n.powf(power)).collect();
    let (centre, variance) = mean_and_variance(&transformed);
    let rounding = ROUNDING * power * expected.max(1.0).powf(power - 1.0);
    let n = counts.len() as f64;
    let prediction = (1.0 + 1.0 / n).sqrt();
    let cuts = left_out.map(|left_out| {
        let bounds = [1.0 - left_out.change, 1.0 + left_out.change].map(|factor| {
            let bound = (expected * factor.max(0.0)).powf(power);
            (bound - centre).abs() / (variance.sqrt() * prediction)
        });
        cuts(n, left_out, bounds)
    });
    let left = cuts.map_or(1.0, |[fewer, more]| {
        f64::midpoint(left_out::variance_left(n, fewer), left_out::variance_left(n, more))
    });
    let deviation = (variance / left).sqrt().max(rounding) * prediction;
    let score = ((count as f64).powf(power) - centre) / deviation;
    let mut p_value = 2.0 * StudentsT::new(0.0, 1.0, n - 1.0).ok()?.cdf(-score.abs());
    if let Some([fewer, more]) = cuts {
        p_value = left_out::chance(n, score, fewer.min(more), p_value);
    }
    Some(CountChange { expected, dispersion, score, p_value: p_value.min(1.0) })
}

/// The scores from which on fewer and more events are left out; `bounds` are those
/// from which on they are enough of a change.
fn cuts(n: f64, left_out: LeftOut, [fewer, more]: [f64; 2]) -> [f64; 2] {
    let cut = left_out::score_of(n, left_out.p_below).unwrap_or(f64::INFINITY);
    // There are no fewer events than none.
    let fewer = if left_out.change < 1.0 { fewer.max(cut) } else { f64::INFINITY };
    [fewer, more.max(cut)]
}

/// Mean and variance of a sample, the latter with one degree of freedom less.
fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().copied().collect::<Sum>().total() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).collect::<Sum>().total();
    (mean, squares / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `scipy.stats.t.sf` on counts transformed with numpy.
    #[test]
    fn p_values_are_those_of_scipy() {
        for (count, usual, score, p_value) in [
            (60, &[100, 110, 95, 105][..], -6.386763803405774, 0.007772634482836403),
            (140, &[100, 180, 60, 90, 130, 75, 220][..], 0.4054954503247159, 0.699176622732509),
            (0, &[3, 5, 2, 0, 4, 6, 1, 3][..], -1.8010295079818184, 0.11471147602950729),
            (
                5_000_000,
                &[1_000_000, 1_010_000, 990_000, 1_003_000, 998_000][..],
                268.0050809735324,
                1.1628905231229753e-9,
            ),
        ] {
            let found = count_change(count, usual, None).unwrap();
            let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
            assert!(close(found.score, score) && close(found.p_value, p_value), "{found:?}");
        }
    }

    #[test]
    fn regular_events_may_fall_on_either_side_of_the_bound() {
        let usual = [60; 24];
        let change = |count| count_change(count, &usual, None).unwrap();
        assert!(change(60).score.abs() < 1e-12 && change(60).p_value > 1.0 - 1e-12);
        assert!(change(59).p_value > 0.3, "{:?}", change(59));
        assert!(change(50).p_value < 1e-8, "{:?}", change(50));
        assert!(change(70).score > 0.0 && change(50).score < 0.0);
    }

    #[test]
    fn odd_counts_have_a_stated_result() {
        assert_eq!(count_change(5, &[1, 2], None), None);
        assert_eq!(count_change(5, &[0; 9], None), None);
        for usual in [&[u64::MAX, 0, 1][..], &[u64::MAX; 5], &[1, 0, 0], &[0, 0, 0, 1]] {
            for count in [0, 1, u64::MAX] {
                for change in [None, Some(0.01), Some(0.5), Some(1.0), Some(3.0)] {
                    let left_out = change.map(|change| LeftOut { p_below: 0.01, change });
                    let found = count_change(count, usual, left_out).unwrap();
                    assert!((0.0..=1.0).contains(&found.p_value), "{found:?}");
                    assert!(found.score.is_finite() && found.dispersion.is_finite(), "{found:?}");
                }
            }
        }
    }
}
