//! Kolmogorov–Smirnov: the largest distance between two distribution functions.

use std::cmp::Ordering;

use super::counts::{aligned, share_difference, total};
use super::kolmogorov::kolmogorov_sf;

/// Two-sample KS statistic D of ascending raw values, from 0 to 1.
///
/// Exact: the distance is found in integers and divided once. Equal values are
/// stepped over together in both samples, so ties do not widen it. An empty
/// sample gives 0, for it is evidence of nothing.
#[must_use]
pub fn ks_statistic_sorted(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as u128, b.len() as u128);
    if n == 0 || m == 0 {
        return 0.0;
    }
    let (mut i, mut j, mut widest) = (0, 0, 0);
    while let (Some(&left), Some(&right)) = (a.get(i), b.get(j)) {
        let value = left.min(right);
        // A NaN, which no caller should pass, compares as "not above", so that
        // it is stepped over instead of holding the loop for ever.
        let passed = |x: &&f64| x.partial_cmp(&&value) != Some(Ordering::Greater);
        i += a[i..].iter().take_while(passed).count();
        j += b[j..].iter().take_while(passed).count();
        widest = widest.max((i as u128 * m).abs_diff(j as u128 * n));
    }
    widest as f64 / (n * m) as f64
}

/// Two-sample KS statistic D over counts of shared, ascending cells, from 0 to 1.
///
/// It is the exact statistic of values rounded to their cells, hence never
/// above that of the raw values. An empty sample gives 0.
#[must_use]
pub fn ks_statistic_cumulative(current: &[u64], reference: &[u64]) -> f64 {
    let (n, m) = (total(current), total(reference));
    if n == 0 || m == 0 {
        return 0.0;
    }
    // Of fewer than 2^32 values the products fit in half the width, and what is
    // widest among them is divided once.
    if let (Ok(n), Ok(m)) = (u32::try_from(n), u32::try_from(m)) {
        let (n, m) = (u64::from(n), u64::from(m));
        let (mut below_current, mut below_reference, mut widest) = (0_u64, 0_u64, 0_u64);
        for (c, r) in aligned(current, reference) {
            below_current += c;
            below_reference += r;
            widest = widest.max((below_current * m).abs_diff(below_reference * n));
        }
        return widest as f64 / (n * m) as f64;
    }
    let (mut below_current, mut below_reference, mut widest) = (0_u128, 0_u128, 0.0_f64);
    for (c, r) in aligned(current, reference) {
        below_current += u128::from(c);
        below_reference += u128::from(r);
        widest = widest.max(share_difference(below_current, n, below_reference, m).abs());
    }
    widest
}

/// Two-sided p-value of a two-sample KS statistic `d` of samples of `n` and `m`.
///
/// The two samples count as one of `n·m / (n + m)` values, rounded half to
/// even, against a known distribution; this is what
/// `scipy.stats.ks_2samp(method="asymp")` reports. A `d` of 0 gives 1, and so
/// does every question that cannot be asked: an empty sample, two samples of
/// one value each (the rounded size is 0 and scipy answers NaN), or a NaN.
#[must_use]
pub fn ks_p_value(d: f64, n: u64, m: u64) -> f64 {
    let (larger, smaller) = (n.max(m) as f64, n.min(m) as f64);
    if smaller == 0.0 {
        return 1.0;
    }
    let effective = (larger * smaller / (larger + smaller)).round_ties_even();
    kolmogorov_sf(effective, d)
}
