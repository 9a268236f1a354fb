//! Hellinger distance.

use super::counts::{aligned, totals};
use super::special::Sum;

/// Hellinger distance `√(½ Σ (√p − √q)²)` over shared bins, from 0 (equal
/// shares) to 1 (no bin in common).
///
/// The sum of squares is used, not `√(1 − Σ √(pq))`, which loses half the
/// digits of a small distance. `None` when either sample is empty.
#[must_use]
pub fn hellinger(current: &[u64], reference: &[u64]) -> Option<f64> {
    let (n, m) = totals(current, reference)?;
    let squares: Sum = aligned(current, reference)
        .map(|(c, r)| (c as f64 / n).sqrt() - (r as f64 / m).sqrt())
        .map(|difference| difference * difference)
        .collect();
    Some((squares.total() / 2.0).clamp(0.0, 1.0).sqrt())
}
