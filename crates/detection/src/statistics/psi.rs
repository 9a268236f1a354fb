//! Population stability index.

use super::counts::{aligned, totals};
use super::special::Sum;

/// Share that stands for an empty bin in the PSI, whose logarithm would
/// otherwise be infinite. The other shares are not renormalised.
pub const EMPTY_SHARE: f64 = 1e-4;

/// Population stability index `Σ (p − q) ln(p/q)` over shared bins, at least 0.
///
/// Natural logarithm; an empty share counts as [`EMPTY_SHARE`]. `None` when
/// either sample is empty.
#[must_use]
pub fn psi(current: &[u64], reference: &[u64]) -> Option<f64> {
    let (n, m) = totals(current, reference)?;
    let share = |count: u64, total: f64| match count {
        0 => EMPTY_SHARE,
        _ => count as f64 / total,
    };
    let sum: Sum = aligned(current, reference)
        .map(|(c, r)| (share(c, n), share(r, m)))
        .map(|(p, q)| (p - q) * (p / q).ln())
        .collect();
    Some(sum.total())
}
