//! Jensen–Shannon distance.

use std::f64::consts::LN_2;

use super::counts::{aligned, share_difference, total};
use super::special::Sum;

/// Jensen–Shannon distance over shared bins, from 0 (equal shares) to 1 (no bin
/// in common): the square root of the divergence in bits, equal to
/// `scipy.spatial.distance.jensenshannon(base=2)`.
///
/// `None` when either sample is empty.
#[must_use]
pub fn jensen_shannon(current: &[u64], reference: &[u64]) -> Option<f64> {
    let (n, m) = (total(current), total(reference));
    if n == 0 || m == 0 {
        return None;
    }
    let divergence: Sum = aligned(current, reference)
        .filter(|&(c, r)| c > 0 || r > 0)
        .map(|(c, r)| {
            let (c, r) = (u128::from(c), u128::from(r));
            let mean = (c as f64 / n as f64 + r as f64 / m as f64) / 2.0;
            // p = mean·(1 + d) and q = mean·(1 − d)
            let d = (share_difference(c, n, r, m) / (2.0 * mean)).clamp(-1.0, 1.0);
            mean * divergence_from_mean(d)
        })
        .collect();
    Some((divergence.total() / (2.0 * LN_2)).clamp(0.0, 1.0).sqrt())
}

/// `(1 + d) ln(1 + d) + (1 − d) ln(1 − d)`, never negative.
///
/// For nearly equal shares the two parts cancel, and the square root of what is
/// left would magnify the error a million times; there the power series
/// `Σ d^2k / (k (2k − 1))` is summed instead.
fn divergence_from_mean(d: f64) -> f64 {
    let d = d.abs();
    if d >= 1.0 {
        return 2.0 * LN_2;
    }
    if d > 0.1 {
        return (1.0 + d) * d.ln_1p() + (1.0 - d) * (-d).ln_1p();
    }
    let d2 = d * d;
    // The ninth term is below 1e-18 of the first.
    let series = (1..=8).rev().fold(0.0, |sum, k| sum * d2 + 1.0 / f64::from(k * (2 * k - 1)));
    series * d2
}
