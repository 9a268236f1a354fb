//! Wasserstein distance: how far the mass of one sample must move to become the other.

use super::counts::{Distances, aligned, share_difference, total};
use super::special::{Sum, safe_scale};

/// Standard deviation below which a reference counts as constant when a
/// distance is normalised; without a floor any move away from a constant
/// would be infinitely far.
pub const REFERENCE_SD_MIN: f64 = 0.001;

/// Exact first Wasserstein distance of ascending raw values, in their unit;
/// equal to `scipy.stats.wasserstein_distance`.
///
/// `None` when a sample is empty or holds a value that is not finite. A
/// distance above the largest float is given as that.
#[must_use]
pub fn wasserstein_sorted(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let scale = safe_scale(largest(a)?.max(largest(b)?));
    let (n, m) = (a.len() as u128, b.len() as u128);
    let (mut i, mut j) = (0, 0);
    let mut area = Sum::default();
    let mut previous = a[0].min(b[0]);
    while i < n as usize || j < m as usize {
        let value = match (a.get(i), b.get(j)) {
            (Some(&left), Some(&right)) => left.min(right),
            (Some(&only), None) | (None, Some(&only)) => only,
            (None, None) => break,
        };
        let gap = share_difference(i as u128, n, j as u128, m).abs();
        area.add((value * scale - previous * scale) * gap);
        i += a[i..].iter().take_while(|x| **x <= value).count();
        j += b[j..].iter().take_while(|x| **x <= value).count();
        previous = value;
    }
    Some(unscale(area.total(), scale))
}

/// First Wasserstein distance of counts over shared cells, in the unit of
/// `values`, the ascending values that stand for the cells.
///
/// Counts without a value are not part of the samples. `None` when a sample is
/// empty or a value of a cell in use is not finite.
#[must_use]
pub fn wasserstein_weighted(values: &[f64], current: &[u64], reference: &[u64]) -> Option<f64> {
    let current = &current[..current.len().min(values.len())];
    let reference = &reference[..reference.len().min(values.len())];
    let (n, m) = (total(current), total(reference));
    if n == 0 || m == 0 {
        return None;
    }
    // Outer cells need no value as long as nobody is in them.
    let cells =
        || values.iter().zip(aligned(current, reference)).filter(|(_, (c, r))| *c > 0 || *r > 0);
    let scale = safe_scale(cells().try_fold(0.0, larger)?);
    let distances = Distances::of(n, m);
    let (mut below_current, mut below_reference) = (0_u128, 0_u128);
    let mut area = Sum::default();
    let mut previous: Option<f64> = None;
    for (&value, (c, r)) in cells() {
        if let Some(previous) = previous {
            let gap = distances.between(below_current, below_reference);
            area.add((value * scale - previous * scale) * gap);
        }
        below_current += u128::from(c);
        below_reference += u128::from(r);
        previous = Some(value);
    }
    Some(unscale(area.total(), scale))
}

/// A Wasserstein distance in standard deviations of the reference, which has
/// the floor [`REFERENCE_SD_MIN`].
///
/// `reference_sd` is the population standard deviation, as
/// [`moments`](super::moments()) gives it. A NaN counts as the floor, and a
/// quotient above the largest float is given as that.
#[must_use]
pub fn wasserstein_norm(distance: f64, reference_sd: f64) -> f64 {
    (distance / reference_sd.max(REFERENCE_SD_MIN)).min(f64::MAX)
}

/// Largest absolute value, or `None` when one is not finite.
fn largest(values: &[f64]) -> Option<f64> {
    values
        .iter()
        .try_fold(0.0_f64, |so_far, value| value.is_finite().then(|| so_far.max(value.abs())))
}

/// One step of the same over cells.
fn larger(so_far: f64, (value, _): (&f64, (u64, u64))) -> Option<f64> {
    value.is_finite().then(|| so_far.max(value.abs()))
}

/// Undoes the scale, within the range of floats.
fn unscale(area: f64, scale: f64) -> f64 {
    (area / scale).clamp(0.0, f64::MAX)
}
