//! Mean and standard deviation.

use super::special::{Sum, safe_scale};

/// Mean and spread of one sample, in the unit of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Arithmetic mean.
    pub mean: f64,
    /// Population standard deviation: divided by n, not n − 1.
    pub sd: f64,
}

/// Moments of raw values.
///
/// The sums are compensated, and two passes are made, so a small spread
/// around a large mean keeps its digits. The result depends on the order of the
/// values in the last digit at most; callers pass them sorted, which fixes that
/// too. `None` when there is no value or one is not finite.
#[must_use]
pub fn moments(values: &[f64]) -> Option<Moments> {
    of_weighted(|| values.iter().map(|&value| (value, 1)))
}

/// Moments of counts over cells, which `values` stand for.
///
/// Counts without a value are not part of the sample. `None` when no cell is in
/// use or the value of one that is in use is not finite.
#[must_use]
pub fn moments_weighted(values: &[f64], counts: &[u64]) -> Option<Moments> {
    of_weighted(|| {
        let cells = values.iter().copied().zip(counts.iter().copied());
        cells.filter(|&(_, count)| count > 0)
    })
}

fn of_weighted<I: Iterator<Item = (f64, u64)>>(cells: impl Fn() -> I) -> Option<Moments> {
    let (largest, n) = cells().try_fold((0.0_f64, 0_u128), |(largest, n), (value, count)| {
        value.is_finite().then(|| (largest.max(value.abs()), n + u128::from(count)))
    })?;
    if n == 0 {
        return None;
    }
    let (scale, n) = (safe_scale(largest), n as f64);
    let sum: Sum = cells().map(|(value, count)| value * scale * count as f64).collect();
    let mean = sum.total() / n;
    let (mut drift, mut squares) = (Sum::default(), Sum::default());
    for (value, count) in cells() {
        let deviation = value * scale - mean;
        drift.add(deviation * count as f64);
        squares.add(deviation * deviation * count as f64);
    }
    // The rounded mean is off by `drift`; this takes its square out again.
    let drift = drift.total() / n;
    let variance = squares.total() / n - drift * drift;
    let within = |x: f64| (x / scale).clamp(-f64::MAX, f64::MAX);
    Some(Moments { mean: within(mean + drift), sd: within(variance.max(0.0).sqrt()) })
}
