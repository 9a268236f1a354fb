//! Quantiles of sorted values.

/// Type-7 quantile (linear between the closest ranks, the default of
/// `numpy.quantile`) of ascending values, in their unit.
///
/// `None` when there is no value, when `q` is not from 0 to 1, or when a value
/// next to the rank is not finite.
#[must_use]
pub fn quantile_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let (below, above, part) = ranks(sorted.len(), q)?;
    let (a, b) = (sorted[below], sorted[above]);
    if !a.is_finite() || !b.is_finite() {
        return None;
    }
    let gap = b - a;
    if gap.is_infinite() {
        // From −1e308 to 1e308: a weighted mean cannot overflow.
        return Some(a * (1.0 - part) + b * part);
    }
    Some(between(a, b, gap, part))
}

/// Type-7 quantile of ascending whole numbers, such as latencies in
/// microseconds; the same rule as [`quantile_sorted`].
///
/// The gap of two neighbours is exact even where the numbers themselves exceed
/// what a float can hold.
#[must_use]
pub fn quantile_sorted_u64(sorted: &[u64], q: f64) -> Option<f64> {
    let (below, above, part) = ranks(sorted.len(), q)?;
    let (a, b) = (sorted[below], sorted[above]);
    Some(between(a as f64, b as f64, b.saturating_sub(a) as f64, part))
}

/// The two ranks around the quantile and how far it lies between them.
fn ranks(count: usize, q: f64) -> Option<(usize, usize, f64)> {
    if count == 0 || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let rank = (count - 1) as f64 * q;
    let below = (rank.floor() as usize).min(count - 1);
    Some((below, (below + 1).min(count - 1), rank - rank.floor()))
}

/// A point between two values, measured from the nearer one, so that it never
/// leaves their interval and grows with `part`.
fn between(a: f64, b: f64, gap: f64, part: f64) -> f64 {
    if part < 0.5 { a + gap * part } else { b - gap * (1.0 - part) }
}
