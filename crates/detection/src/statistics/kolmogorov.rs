//! Survival function of the two-sided one-sample Kolmogorov–Smirnov statistic.
//!
//! No one formula is both fast and exact everywhere. The plane of sample size
//! and distance is cut as in Simard & L'Ecuyer, "Computing the two-sided
//! Kolmogorov–Smirnov distribution", J. Stat. Softw. 39(11), 2011, with the
//! bounds that scipy uses, because p-values are promised to equal scipy's:
//!
//! | where | method |
//! |---|---|
//! | `n·d ≤ 1` or `n·d ≥ n − 1` | closed forms (Ruben & Gambino) |
//! | `n ≤ 140`, `n·d² ≤ 4` | exact: Durbin's matrix (Marsaglia, Tsang & Wang) |
//! | `n > 140`, `n·d² < 2.2` | Pelz & Good's series, or Durbin's matrix while both are small |
//! | the rest | twice the one-sided tail (Smirnov) |
//!
//! Where Simard & L'Ecuyer change from Durbin's matrix to Pomeranz's recursion
//! (`n·d² > 0.754693`), the matrix stays in use: both are exact, every entry is
//! positive so nothing cancels, and halving the power (see `durbin_cdf`) makes
//! the matrix the faster one. The tests hold it against Pomeranz.

use std::f64::consts::PI;

use super::special::stirling_error;

/// Largest sample for which the whole middle of the distribution is computed
/// exactly; above it the series is good to about 3e-6 or better.
const EXACT_N_MAX: f64 = 140.0;

/// `n·d²` up to which a small sample needs the exact two-sided probability.
/// Above it the sample crossing both bounds adds less than 4e-11 of the tail.
const EXACT_NDD_MAX: f64 = 4.0;

/// `n·d²` from which a larger sample is served by the one-sided tail alone.
const TAIL_NDD_MIN: f64 = 2.2;

/// `n·d²` from which the tail of a larger sample is given as 0 (it is below 1e-320).
const ZERO_NDD_MIN: f64 = 370.0;

/// `n·d^1.5` up to which a larger sample is still computed by Durbin's matrix.
const MATRIX_ND15_MAX: f64 = 1.4;

/// Largest sample for Durbin's matrix outside the exact range. scipy goes to
/// 100,000, where one p-value costs it milliseconds; above 500 the series is
/// within 2e-7 of the matrix, well inside the promised 1e-6.
const MATRIX_N_MAX: f64 = 500.0;

/// Largest sample whose one-sided tail is summed; above it scipy, and so we,
/// take Smirnov's limit with its first correction.
const TAIL_SUM_N_MAX: f64 = 1e6;

/// `Pr(D_n ≥ d)` for a sample of `n` values (whole, at least 1) from a known
/// continuous distribution.
///
/// Returns 1 for `d ≤ 0`, for `n < 1` and for NaN: no evidence, no alarm.
pub(super) fn kolmogorov_sf(n: f64, d: f64) -> f64 {
    if d >= 1.0 && n >= 1.0 {
        return 0.0;
    }
    if d.is_nan() || d <= 0.0 || n.is_nan() || n < 1.0 {
        return 1.0;
    }
    let nd = n * d;
    let ndd = nd * d;
    if nd <= 1.0 {
        return 1.0 - smallest_cdf(n, nd);
    }
    let probability = if nd >= n - 1.0 {
        2.0 * (1.0 - d).powf(n)
    } else if d >= 0.5 || (n <= EXACT_N_MAX && ndd > EXACT_NDD_MAX) {
        2.0 * smirnov_sf(n, d)
    } else if n <= EXACT_N_MAX {
        1.0 - durbin_cdf(n, d)
    } else if ndd >= ZERO_NDD_MIN {
        0.0
    } else if ndd >= TAIL_NDD_MIN {
        2.0 * smirnov_sf(n, d)
    } else if n <= MATRIX_N_MAX && n * d.powf(1.5) <= MATRIX_ND15_MAX {
        1.0 - durbin_cdf(n, d)
    } else {
        1.0 - pelz_good_cdf(n, d)
    };
    probability.clamp(0.0, 1.0)
}

/// `Pr(D_n ≤ d)` for `n·d ≤ 1`: `n! · ((2nd − 1) / n)^n`, Ruben & Gambino 1982.
fn smallest_cdf(n: f64, nd: f64) -> f64 {
    // Past the exact range this is below 1e-60, which 1 − p cannot show.
    if nd <= 0.5 || n > EXACT_N_MAX {
        return 0.0;
    }
    let step = (2.0 * nd - 1.0) / n;
    (1..=n as u32).map(|i| f64::from(i) * step).product()
}

/// `Pr(D_n ≤ d)` by Durbin's matrix, Marsaglia, Tsang & Wang, J. Stat. Softw. 8(18), 2003.
///
/// The answer is the middle entry of `n!/n^n · H^n`. `H` equals its own mirror
/// image in the second diagonal, so the middle row of `H^a` is the middle
/// column of it read backwards, and the middle entry of `H^n` is the product of
/// two middle columns of half the power: n / 2 products of a matrix and a
/// vector, instead of products of matrices.
///
/// `n` is at most `MATRIX_N_MAX`, so that `H^(n/2)` stays below about 1e110 and
/// needs no rescaling.
fn durbin_cdf(n: f64, d: f64) -> f64 {
    let nd = n * d;
    let k = nd.ceil();
    let h = k - nd;
    let middle = k as usize - 1;
    let size = 2 * middle + 1;

    // weights[j] = 1/j!, edge[j] = (1 − h^(j+1)) / (j+1)!
    let mut weights = Vec::with_capacity(size + 1);
    let mut edge = Vec::with_capacity(size);
    let (mut weight, mut power) = (1.0, 1.0);
    for j in 0..size {
        weights.push(weight);
        weight /= (j + 1) as f64;
        power *= h;
        edge.push((1.0 - power) * weight);
    }
    let corner = (1.0 - 2.0 * power + (2.0 * h - 1.0).max(0.0).powi(size as i32)) * weight;
    weights.push(weight);

    let advance = |column: &[f64]| {
        let mut next: Vec<f64> = edge.iter().map(|e| e * column[0]).collect();
        // The last row is the first column mirrored, and is summed apart.
        next[size - 1] = corner * column[0];
        for j in 1..size {
            next[size - 1] += edge[size - 1 - j] * column[j];
        }
        for j in 1..size {
            let below = &mut next[j - 1..size - 1];
            for (cell, weight) in below.iter_mut().zip(&weights) {
                *cell += weight * column[j];
            }
        }
        next
    };

    let steps = n as usize;
    let mut half = vec![0.0; size];
    half[middle] = 1.0;
    for _ in 0..steps / 2 {
        half = advance(&half);
    }
    let other = if steps % 2 == 1 { advance(&half) } else { half.clone() };
    let entry: f64 = half.iter().rev().zip(&other).map(|(a, b)| a * b).sum();
    (1..=steps).fold(entry, |p, i| p * (i as f64 / n))
}

/// `Pr(D_n ≤ d)` by Pelz & Good, J. R. Stat. Soc. B 38(2), 1976: the limiting
/// distribution with corrections of order n^-1/2, n^-1 and n^-3/2, in the form
/// that converges fast for small `z = d·√n`.
fn pelz_good_cdf(n: f64, d: f64) -> f64 {
    let root = n.sqrt();
    let z = root * d;
    let z2 = z * z;
    let z4 = z2 * z2;
    let z6 = z4 * z2;
    let z8 = z4 * z4;
    // Sums over a = π(k + 1/2) for all four terms, and b = πk for the last two.
    let (mut s0, mut s1, mut s2, mut s3, mut t2, mut t3) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    // Terms fall like exp(−a²/2z²); with z < 1.5 eight of them reach 1e-50.
    for k in (0..8).rev() {
        let a2 = (PI * (f64::from(k) + 0.5)).powi(2);
        let a4 = a2 * a2;
        let e = (-a2 / (2.0 * z2)).exp();
        s0 += e;
        s1 += (a2 - z2) * e;
        s2 += (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * a2 + (1.0 - 2.0 * z2) * a4) * e;
        s3 += ((5.0 - 30.0 * z2) * a4 * a2
            + (212.0 * z4 - 60.0 * z2) * a4
            + (135.0 * z4 - 96.0 * z6) * a2
            - 30.0 * z6
            - 90.0 * z8)
            * e;
        let b2 = (PI * f64::from(k)).powi(2);
        let e = (-b2 / (2.0 * z2)).exp();
        t2 += b2 * e;
        t3 += (3.0 * b2 * z2 - b2 * b2) * e;
    }
    // Each sum runs over positive and negative k alike, hence √(2π) for √(π/2).
    let scale = (2.0 * PI).sqrt();
    let k0 = s0 / z;
    let k1 = s1 / (6.0 * z4);
    let k2 = s2 / (72.0 * z4 * z2 * z) - t2 / (36.0 * z2 * z);
    let k3 = s3 / (6480.0 * z8 * z2) + t3 / (216.0 * z6);
    let cdf = scale * (k0 + (k1 + (k2 + k3 / root) / root) / root);
    // Below z = 0.04 the powers of z underflow into 0/0; the true value is 0.
    if cdf.is_nan() { 0.0 } else { cdf }
}

/// `Pr(D_n⁺ ≥ d)`, the one-sided tail: `d · Σ C(n,j) (d + j/n)^(j−1) (1 − d − j/n)^(n−j)`
/// (Smirnov 1944, Birnbaum & Tingey 1951), for `n·d > 1`.
///
/// All terms are positive. Each is a binomial probability in the saddle-point
/// form, so no power or factorial is ever formed and the result keeps its
/// digits to below 1e-280; nearer to the smallest float single terms underflow.
/// For large `n` the terms, seen as a function of j/n, are smooth and vanish
/// with all derivatives at both ends; the trapezoid rule converges exponentially
/// on such a function, so every s-th term times s is as good as all of them.
fn smirnov_sf(n: f64, d: f64) -> f64 {
    if n > TAIL_SUM_N_MAX {
        return (-(6.0 * n * d + 1.0).powi(2) / (18.0 * n)).exp();
    }
    let shift = n * d;
    let last = (n - shift).floor();
    let stride = (n * term_spacing(n, d)).floor().max(1.0);
    let stirling_n = stirling_error(n);
    let term = |j: f64| {
        let rest = n - j;
        // 1 − d − j/n, the chance of a value above the crossing, scaled by n.
        let above = rest - shift;
        if above <= 0.0 {
            return 0.0;
        }
        let exponent = stirling_n - stirling_error(j) - stirling_error(rest)
            + j * (shift / j).ln_1p()
            + rest * (-shift / rest).ln_1p();
        exponent.exp() * (n / (2.0 * PI * j * rest)).sqrt() * shift / (j + shift)
    };
    let centre = ((n - shift) / 2.0).round().max(1.0);
    let mut sum = 0.0;
    // Outward from the middle, upwards and downwards, until terms are both
    // falling and too small to count.
    for direction in [1.0, -1.0] {
        let (mut j, mut previous) = (if direction > 0.0 { centre } else { centre - stride }, 0.0);
        while j >= 1.0 && j <= last.min(n - 1.0) {
            let value = term(j);
            sum += value;
            if value <= previous && value <= sum * 1e-18 {
                break;
            }
            previous = value;
            j += direction * stride;
        }
    }
    // j = 0 has a form of its own. With a stride it is one of the vanishing
    // ends and the rule leaves it out.
    let first = if stride > 1.0 { 0.0 } else { (n * (-d).ln_1p()).exp() };
    (sum * stride + first).min(1.0)
}

/// Spacing in j/n at which the trapezoid rule has converged for the tail sum.
///
/// Around its peak the summand is a bell of variance
/// `1 / (n·d²·(1/(t(t+d)²) + 1/((1−t)(1−t−d)²)))`; half its deviation leaves
/// an error below 1e-30 there. The flat-topped bells of small `n·d²` are
/// governed by their ends instead, hence the fixed part.
fn term_spacing(n: f64, d: f64) -> f64 {
    let t = (1.0 - d) / 2.0;
    let curvature = 1.0 / (t * (t + d).powi(2)) + 1.0 / ((1.0 - t) * (1.0 - t - d).powi(2));
    let deviation = 1.0 / (n * d * d * curvature).sqrt();
    (0.5 * deviation).min((1.0 - d) / 128.0)
}

#[cfg(test)]
mod tests;
