//! Two rows of counts over the same bins, and their exact comparison.

/// Pairs of counts bin by bin; the shorter slice is padded with empty bins.
pub(super) fn aligned<'a>(
    current: &'a [u64],
    reference: &'a [u64],
) -> impl Iterator<Item = (u64, u64)> + 'a {
    let bins = current.len().max(reference.len());
    let at = |row: &'a [u64], bin: usize| row.get(bin).copied().unwrap_or(0);
    (0..bins).map(move |bin| (at(current, bin), at(reference, bin)))
}

/// Sum of counts. 2^64 counts of 2^64 fit, so this cannot overflow.
pub(super) fn total(counts: &[u64]) -> u128 {
    counts.iter().map(|&count| u128::from(count)).sum()
}

/// Both totals as floats, or `None` when either sample is empty.
pub(super) fn totals(current: &[u64], reference: &[u64]) -> Option<(f64, f64)> {
    let (current, reference) = (total(current), total(reference));
    (current > 0 && reference > 0).then_some((current as f64, reference as f64))
}

/// How far shares of two totals are apart, for many pairs of counts.
///
/// The same as [`share_difference`] without its sign; whether the totals are
/// small enough for half the width is looked at once.
#[derive(Clone, Copy)]
pub(super) struct Distances {
    n: u128,
    m: u128,
    /// Both totals and their product, where they are below 2^32.
    small: Option<(u64, u64, f64)>,
}

impl Distances {
    pub(super) fn of(n: u128, m: u128) -> Self {
        let small = u32::try_from(n).ok().zip(u32::try_from(m).ok()).map(|(n, m)| {
            let (n, m) = (u64::from(n), u64::from(m));
            (n, m, (n * m) as f64)
        });
        Self { n, m, small }
    }

    /// |a / n − b / m| of counts that are at most the totals.
    pub(super) fn between(&self, a: u128, b: u128) -> f64 {
        match self.small {
            Some((n, m, product)) => (a as u64 * m).abs_diff(b as u64 * n) as f64 / product,
            None => share_difference(a, self.n, b, self.m).abs(),
        }
    }
}

/// `a / n − b / m`, exact up to the last rounding while the cross products
/// fit in 128 bits.
///
/// Equal shares give exactly zero then, which a subtraction of two rounded
/// quotients would not promise of shares that are merely close. Past 128 bits
/// (totals above 2^64) the quotients are subtracted.
pub(super) fn share_difference(a: u128, n: u128, b: u128, m: u128) -> f64 {
    // Shares of fewer than 2^32 values: the same integers in half the width.
    let small = |count: u128| u32::try_from(count).ok().map(u64::from);
    if let (Some(a), Some(n), Some(b), Some(m)) = (small(a), small(n), small(b), small(m)) {
        let (left, right) = (a * m, b * n);
        let distance = left.abs_diff(right) as f64 / (n * m) as f64;
        return if left < right { -distance } else { distance };
    }
    match (a.checked_mul(m), b.checked_mul(n), n.checked_mul(m)) {
        (Some(left), Some(right), Some(scale)) => {
            let distance = left.abs_diff(right) as f64 / scale as f64;
            if left < right { -distance } else { distance }
        }
        _ => a as f64 / n as f64 - b as f64 / m as f64,
    }
}
