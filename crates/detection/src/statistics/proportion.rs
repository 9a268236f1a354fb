//! Confidence bound of a share.

use statrs::distribution::{ContinuousCDF, Normal};

use super::special::ln_binomial;

/// Successes and failures from which the quantile is expanded around the
/// normal one, where the error is below 1e-11; below, the exact sum of about
/// 8·√count terms is affordable.
const EXPANSION_MIN: u64 = 1_000_000;

/// Newton steps towards the bound. Seven are usual; a start so far off that
/// these do not suffice has not been found.
const STEPS_MAX: u32 = 100;

/// One-sided lower Clopper–Pearson bound of the share `successes / trials`:
/// the smallest share under which at least so many successes still have the
/// chance `1 − confidence`. Equal to `scipy.stats.beta.ppf(1 − confidence, k, n − k + 1)`.
///
/// 0 without a success or a trial, and for a confidence of 1 or NaN, at which
/// no bound above 0 can be vouched for; 1 for a confidence of 0 or below.
/// More successes than trials count as all of them.
#[must_use]
pub fn clopper_pearson_lower(successes: u64, trials: u64, confidence: f64) -> f64 {
    let successes = successes.min(trials);
    let alpha = 1.0 - confidence;
    if successes == 0 || alpha.is_nan() || alpha <= 0.0 {
        return 0.0;
    }
    if alpha >= 1.0 {
        return 1.0;
    }
    let failures = trials - successes;
    if failures == 0 {
        return (alpha.ln() / trials as f64).exp();
    }
    if successes == 1 {
        return -((-alpha).ln_1p() / trials as f64).exp_m1();
    }
    if successes.min(failures) >= EXPANSION_MIN {
        return expanded(successes as f64, failures as f64, alpha);
    }
    solved(successes as f64, failures as f64, alpha)
}

/// Newton's method for `ln Pr(Binomial(n, x) ≥ k) = ln alpha` in ln x.
///
/// As a function of ln x the logarithm of the tail is concave, so after one
/// step every iterate is at or below the root and climbs towards it.
fn solved(k: f64, rest: f64, alpha: f64) -> f64 {
    let target = alpha.ln();
    // A start near the median keeps both tails representable.
    let mut y = -((rest + 1.0) / k).ln_1p();
    for _ in 0..STEPS_MAX {
        let (ln_tail, slope) = upper_tail(k, rest, y.exp(), -y.exp_m1());
        let step = (target - ln_tail) / slope;
        // ln x stays below 0; half the way there is far enough for one step.
        y = (y + step).min(y / 2.0);
        if step.abs() < 1e-13 {
            break;
        }
    }
    y.exp()
}

/// `ln Pr(Binomial(n, x) ≥ k)` with n = k + rest, and its slope by ln x; `q` is 1 − x.
fn upper_tail(k: f64, rest: f64, x: f64, q: f64) -> (f64, f64) {
    let odds = x / q;
    let ln_density = ln_binomial(k, rest, x, q);
    if odds * rest < k {
        // k lies above the mean: the terms from k upwards only fall.
        let sum = 1.0 + falling_sum(rest, k + 1.0, odds);
        return (ln_density + sum.ln(), k / sum);
    }
    // k lies below the mean: sum from k − 1 downwards and take the complement.
    let below = ln_density.exp() * falling_sum(k, rest + 1.0, 1.0 / odds);
    ((-below).ln_1p(), k * ln_density.exp() / (1.0 - below))
}

/// `r·u/v + r²·u(u−1)/(v(v+1)) + …` until the terms no longer count.
fn falling_sum(mut u: f64, mut v: f64, ratio: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 0.0);
    while u > 0.0 {
        term *= ratio * u / v;
        sum += term;
        if term < sum * (f64::EPSILON / 16.0) {
            break;
        }
        u -= 1.0;
        v += 1.0;
    }
    sum
}

/// Cornish–Fisher expansion of the beta quantile to the second order.
fn expanded(successes: f64, failures: f64, alpha: f64) -> f64 {
    let (a, b) = (successes, failures + 1.0);
    let s = a + b;
    let z = Normal::standard().inverse_cdf(alpha);
    let mean = a / s;
    let deviation = (mean * (b / s) / (s + 1.0)).sqrt();
    // (b − a)/√(ab), from quotients so that no product overflows.
    let lopsided = (b / a).sqrt() - (a / b).sqrt();
    let skewness = 2.0 * lopsided * (s + 1.0).sqrt() / (s + 2.0);
    let excess = 6.0 * (lopsided * lopsided * (s + 1.0) - (s + 2.0)) / ((s + 2.0) * (s + 3.0));
    let w = z + (z * z - 1.0) * skewness / 6.0 + (z.powi(3) - 3.0 * z) * excess / 24.0
        - (2.0 * z.powi(3) - 5.0 * z) * skewness * skewness / 36.0;
    (mean + deviation * w).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expansion_equals_the_exact_sum_where_it_takes_over() {
        let least = EXPANSION_MIN as f64;
        for (k, rest) in [(least, least), (least, 50.0 * least), (50.0 * least, least)] {
            for alpha in [0.7, 0.5, 0.05, 0.01, 1e-6, 1e-12] {
                let (exact, expansion) = (solved(k, rest, alpha), expanded(k, rest, alpha));
                let error = (expansion / exact - 1.0).abs();
                assert!(error < 1e-10, "{k} and {rest}, alpha {alpha}: {error:e}");
            }
        }
    }
}
