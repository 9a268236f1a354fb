//! Binomial probabilities and sums in forms that keep relative precision far
//! into the tails.
//!
//! A p-value of 1e-250 is the product of huge and tiny factors. Built from
//! logarithms of gamma functions it loses as many digits as those logarithms
//! have before the point. The saddle-point form of Loader ("Fast and accurate
//! computation of binomial probabilities", 2000) splits off the large parts
//! analytically.

use std::f64::consts::PI;

/// Shape from which Stirling's series is exact to the last digit.
const SERIES_MIN: f64 = 16.0;

/// `ln n! − ln(√(2πn) (n/e)^n)` for whole n from 0 to 15; 0 stands for n = 0,
/// where the difference is infinite and no caller may ask.
const STIRLING_ERRORS: [f64; 16] = [
    0.0,
    0.081_061_466_795_327_26,
    0.041_340_695_955_409_3,
    0.027_677_925_684_998_34,
    0.020_790_672_103_765_093,
    0.016_644_691_189_821_193,
    0.013_876_128_823_070_748,
    0.011_896_709_945_891_77,
    0.010_411_265_261_972_096,
    0.009_255_462_182_712_733,
    0.008_330_563_433_362_87,
    0.007_573_675_487_951_841,
    0.006_942_840_107_209_53,
    0.006_408_994_188_004_207,
    0.005_951_370_112_758_847_5,
    0.005_554_733_551_962_801,
];

/// Error of Stirling's formula for `ln n!`; `n` is whole, or at least 16.
pub(super) fn stirling_error(n: f64) -> f64 {
    if n < SERIES_MIN {
        return STIRLING_ERRORS[n as usize];
    }
    let n2 = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / (1188.0 * n2)) / n2) / n2) / n2)
        / n
}

/// `x ln(x/mean) + mean − x`, without cancellation where the two are close.
pub(super) fn deviance(x: f64, mean: f64) -> f64 {
    let v = (x - mean) / (x + mean);
    if v.abs() > 0.1 {
        return x * (x / mean).ln() + mean - x;
    }
    // ln(x/mean) = 2 atanh(v), whose first term is combined with mean − x.
    let v2 = v * v;
    let (mut sum, mut power) = ((x - mean) * v, 2.0 * x * v);
    for odd in (3..).step_by(2) {
        power *= v2;
        let next = sum + power / f64::from(odd);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// `ln` of the binomial probability of `k` in `n`, each of chance `p`, for
/// `0 < k < n`; `rest` is n − k and `q` is 1 − p, both given because neither can
/// be recovered by subtraction when it is small.
pub(super) fn ln_binomial(k: f64, rest: f64, p: f64, q: f64) -> f64 {
    let n = k + rest;
    stirling_error(n)
        - stirling_error(k)
        - stirling_error(rest)
        - deviance(k, n * p)
        - deviance(rest, n * q)
        + 0.5 * (n / k / rest / (2.0 * PI)).ln()
}

/// The same for every `k` and `rest` of 0 or more.
pub(super) fn ln_binomial_any(k: f64, rest: f64, p: f64, q: f64) -> f64 {
    if k <= 0.0 {
        rest * (-p).ln_1p()
    } else if rest <= 0.0 {
        k * (-q).ln_1p()
    } else {
        ln_binomial(k, rest, p, q)
    }
}

/// Sum of floats with Neumaier's compensation.
///
/// The result is right to the last digit or two however many terms there are,
/// as long as no partial sum leaves the range of floats.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds one term.
    pub(super) fn add(&mut self, term: f64) {
        let next = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() {
            (self.sum - next) + term
        } else {
            (term - next) + self.sum
        };
        self.sum = next;
    }

    /// The total.
    pub(super) fn total(self) -> f64 {
        self.sum + self.lost
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<T: IntoIterator<Item = f64>>(terms: T) -> Self {
        let mut sum = Sum::default();
        for term in terms {
            sum.add(term);
        }
        sum
    }
}

/// A power of two by which values of this magnitude can be multiplied without
/// error so that sums and squares of them stay within the range of floats.
///
/// It is 1 for the magnitudes that telemetry has; 1e300 and 1e-300 are the
/// reason it exists. `largest` is the largest absolute value, finite.
pub(super) fn safe_scale(largest: f64) -> f64 {
    const PLAIN: std::ops::RangeInclusive<f64> = 1e-100..=1e100;
    if largest == 0.0 || PLAIN.contains(&largest) {
        return 1.0;
    }
    2.0_f64.powi((-largest.log2().floor()).clamp(-1000.0, 1000.0) as i32)
}
