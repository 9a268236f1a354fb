//! Pearson's chi-square where bins hold few values.
//!
//! The chi-square distribution is the limit of many values in every bin. With
//! expected counts below about 5 (Cochran 1952) it no longer holds: of quiet
//! windows of 12 values over 200 categories against a baseline of 10,000 it
//! calls one in four an alarm at 1 %. Given how many values each sample and each
//! bin holds, the distribution under "no change" is known nevertheless, and so
//! are its moments:
//!
//! | where | p-value |
//! |---|---|
//! | at least 5 expected in every bin | that of the chi-square distribution |
//! | fewer somewhere | that of Pearson's type III distribution (a shifted gamma) with the exact mean, variance and third moment, as Mielke & Berry use it ("Permutation methods", 2007) |
//! | two bins | the above, but the exact conditional p-value (Fisher's, tables ordered by the statistic) is at most 1.4 times as large |
//!
//! The mean and the variance are those of Haldane (1940) and Dawson, "A simple
//! expression for the expected value and variance of Pearson's chi-square",
//! Am. Stat. 8 (1954); the third moment follows from the factorial moments of
//! drawing without replacement.

use statrs::function::gamma::gamma_ur;

use super::chi_square::chi_square_homogeneity;
use super::counts::{aligned, totals};
use super::special::ln_binomial_any;

/// Expected counts from which the chi-square distribution holds.
const DENSE_MIN: f64 = 5.0;
/// How far an exact conditional p-value may be above the one that is used. It is a step
/// function, so holding to it entirely would give most of the power away.
pub(super) const EXACT_RATIO_MAX: f64 = 1.4;
/// Terms of an exact tail; beyond it a step is below a thousandth of a deviation.
const EXACT_TERMS_MAX: usize = 20_000;
/// Values up to which the third moment keeps its digits.
const THIRD_MOMENT_N_MAX: f64 = 1e6;

/// P-value of [`chi_square_homogeneity`] that holds for few values in many bins too.
///
/// Where every bin expects 5 values or more it is that function's own. `None`
/// when either sample is empty, 1 where nothing can differ.
#[must_use]
pub fn chi_square_p_value(current: &[u64], reference: &[u64]) -> Option<f64> {
    let (n, m) = totals(current, reference)?;
    // The smaller sample first: the test is symmetric, and that one is sparse.
    let (n, m, swap) = if n <= m { (n, m, false) } else { (m, n, true) };
    let bins: Vec<Bin> = aligned(current, reference)
        .filter(|(c, r)| c + r > 0)
        .map(|(c, r)| Bin { own: if swap { r } else { c } as f64, both: (c + r) as f64 })
        .collect();
    let dense = bins.iter().all(|bin| bin.both * n / (n + m) >= DENSE_MIN);
    let table = Table { n, m, bins };
    let p = match dense {
        _ if table.bins.len() < 2 => return Some(1.0),
        true => chi_square_homogeneity(current, reference)?.p_value,
        false => table.moments_p(),
    };
    Some(if table.bins.len() == 2 { table.two_bins(p) } else { p })
}

/// One bin: the values of the smaller sample, and of both.
#[derive(Clone, Copy)]
struct Bin {
    own: f64,
    both: f64,
}

/// Two samples over bins of which none is empty; `n ≤ m`.
struct Table {
    n: f64,
    m: f64,
    bins: Vec<Bin>,
}

impl Table {
    fn pooled(&self) -> f64 {
        self.n + self.m
    }

    /// Pearson's statistic.
    fn statistic(&self) -> f64 {
        let share = self.n / self.pooled();
        let squares = self.bins.iter().map(|bin| (bin.own - bin.both * share).powi(2) / bin.both);
        squares.sum::<f64>() / (share * (1.0 - share))
    }

    /// Exact mean and variance given both margins.
    fn mean_and_variance(&self) -> (f64, f64) {
        let (n, m, all, k) = (self.n, self.m, self.pooled(), self.bins.len() as f64);
        let mean = all / (all - 1.0) * (k - 1.0);
        let inverse: f64 = self.bins.iter().map(|bin| 1.0 / bin.both).sum();
        let bins = (k - 1.0) * (all - k) / (all - 1.0);
        let rows = (all - 2.0) / (all - 1.0);
        let uneven_bins = (all * inverse - k * k) / (all - 2.0);
        let uneven_rows = (all * (1.0 / n + 1.0 / m) - 4.0) / (all - 2.0);
        let variance = 2.0 * all / (all - 3.0) * (bins - uneven_bins) * (rows - uneven_rows)
            + all * all / (all - 1.0) * uneven_bins * uneven_rows;
        (mean, variance)
    }

    fn moments_p(&self) -> f64 {
        if self.pooled() < 7.0 {
            return 1.0;
        }
        let (mean, variance) = self.mean_and_variance();
        // So it is where every bin holds one value: then nothing can differ.
        if variance.is_nan() || variance <= 1e-9 * mean * mean {
            return 1.0;
        }
        let deviations = (self.statistic() - mean) / variance.sqrt();
        let gamma_skewness = 2.0 * variance.sqrt() / mean;
        let skewness = match self.third_moment() {
            Some(third) if third > 0.0 => third / variance.powf(1.5),
            _ => gamma_skewness,
        };
        type_iii_tail(deviations, skewness)
    }

    /// Exact third central moment given both margins, while it has enough digits.
    ///
    /// The statistic is a constant and `N²/nm · Σ a²/s` over bins with `a` of the
    /// `s` values in the smaller sample. A product of falling factorials of the
    /// `a`, of degree r in all, has the mean `Π (s)_r · (n)_r / (N)_r`; so powers
    /// of Σ a²/s are polynomials in a mark z, with `z^r` to be read as the last factor.
    fn third_moment(&self) -> Option<f64> {
        if self.pooled() > THIRD_MOMENT_N_MAX {
            return None;
        }
        let (n, all) = (self.n, self.pooled());
        let mut sums = Sums::default();
        self.bins.iter().for_each(|bin| sums.add(bin.both));
        let mut factor = [1.0; 7];
        for r in 1..7 {
            factor[r] = factor[r - 1] * (n - r as f64 + 1.0).max(0.0) / (all - r as f64 + 1.0);
        }
        let read =
            |polynomial: &[f64]| polynomial.iter().zip(factor).map(|(c, f)| c * f).sum::<f64>();
        let (a, b, aa) = (&sums.a, &sums.b, &sums.aa);
        let square: [f64; 5] = product(a, a);
        let first = read(a);
        let second = read(&square) - read(aa) + read(b);
        let third = read(&product::<7>(&square, a)) - 3.0 * read(&product::<7>(a, aa))
            + 2.0 * read(&sums.aaa)
            + 3.0 * (read(&product::<7>(a, b)) - read(&sums.ab))
            + read(&sums.c);
        let scale = all * all / (self.n * self.m);
        Some(scale.powi(3) * (third - 3.0 * first * second + 2.0 * first.powi(3)))
    }

    /// `p`, held to the exact conditional p-value.
    fn two_bins(&self, p: f64) -> f64 {
        self.exact_two_bins().map_or(p, |exact| p.max(exact / EXACT_RATIO_MAX).min(1.0))
    }

    /// The chance of a count at least as far from what is expected, drawing
    /// without replacement; `None` where that has too many terms.
    fn exact_two_bins(&self) -> Option<f64> {
        let (n, m, bin) = (self.n, self.m, self.bins[0]);
        let (all, s) = (self.pooled(), bin.both);
        let expected = n * s / all;
        let spread = (expected * (1.0 - s / all) * m / all).sqrt();
        if spread * 40.0 > EXACT_TERMS_MAX as f64 || all > 1e15 {
            return None;
        }
        let (lowest, highest) = ((s - m).max(0.0), n.min(s));
        // Against rounding of the expected count.
        let distance = (bin.own - expected).abs() - 1e-9 * expected.max(1.0);
        let chance = |a: f64| {
            let p = n / all;
            (ln_binomial_any(a, s - a, p, 1.0 - p)
                + ln_binomial_any(n - a, all - s - (n - a), p, 1.0 - p)
                - ln_binomial_any(n, m, p, 1.0 - p))
            .exp()
        };
        let up = |a: f64| (s - a) * (n - a) / ((a + 1.0) * (all - s - n + a + 1.0));
        let mut tail = 0.0;
        let mut a = (expected + distance).ceil().max(lowest);
        let mut term = if a <= highest { chance(a) } else { 0.0 };
        while a <= highest && term > 1e-18 * tail {
            tail += term;
            term *= up(a);
            a += 1.0;
        }
        let mut a = (expected - distance).floor().min(highest);
        let mut term = if a >= lowest { chance(a) } else { 0.0 };
        let above = tail;
        while a >= lowest && term > 1e-18 * (tail - above) {
            tail += term;
            a -= 1.0;
            term = if a >= lowest { term / up(a) } else { 0.0 };
        }
        Some(tail.min(1.0))
    }
}

/// Chance of more than `z` standard deviations above the mean in a gamma
/// distribution of that skewness, shifted to mean 0.
fn type_iii_tail(z: f64, skewness: f64) -> f64 {
    // A shape of 4e6 is normal to six digits.
    let skewness = skewness.max(1e-3);
    let shape = 4.0 / (skewness * skewness);
    let x = shape + z * shape.sqrt();
    if x <= 0.0 { 1.0 } else { gamma_ur(shape, x).clamp(0.0, 1.0) }
}

/// Sums over bins of the polynomials of `a²/s`: its own (a), of its square (b)
/// and cube (c), and of products of those.
#[derive(Default)]
struct Sums {
    a: [f64; 3],
    aa: [f64; 5],
    aaa: [f64; 7],
    b: [f64; 5],
    ab: [f64; 7],
    c: [f64; 7],
}

impl Sums {
    fn add(&mut self, s: f64) {
        let mut falling = [1.0; 7];
        for r in 1..7 {
            falling[r] = falling[r - 1] * (s - r as f64 + 1.0).max(0.0);
        }
        // Powers as sums of falling factorials: Stirling numbers of the second kind.
        let power = |stirling: [f64; 7], over: f64| {
            let mut terms = [0.0; 7];
            for r in 0..7 {
                terms[r] = stirling[r] * falling[r] / over;
            }
            terms
        };
        let a = power([0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], s);
        let b = power([0.0, 1.0, 7.0, 6.0, 1.0, 0.0, 0.0], s * s);
        let c = power([0.0, 1.0, 31.0, 90.0, 65.0, 15.0, 1.0], s * s * s);
        let aa = product::<5>(&a[..3], &a[..3]);
        plus(&mut self.a, &a);
        plus(&mut self.aa, &aa);
        plus(&mut self.aaa, &product::<7>(&aa, &a[..3]));
        plus(&mut self.b, &b);
        plus(&mut self.ab, &product::<7>(&a[..3], &b[..5]));
        plus(&mut self.c, &c);
    }
}

fn plus(sum: &mut [f64], terms: &[f64]) {
    sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// Product of two polynomials; terms beyond the result's degree are none.
fn product<const N: usize>(x: &[f64], y: &[f64]) -> [f64; N] {
    let mut result = [0.0; N];
    for (i, x) in x.iter().enumerate() {
        for (j, y) in y.iter().enumerate() {
            if let Some(cell) = result.get_mut(i + j) {
                *cell += x * y;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table of the margins with its chance, smaller sample first.
    fn tables(n: u64, both: &[u64]) -> Vec<(Vec<u64>, f64)> {
        fn choose(n: u64, k: u64) -> f64 {
            (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
        }
        let all: u64 = both.iter().sum();
        let mut open = vec![(Vec::new(), 1.0 / choose(all, n))];
        for size in both {
            open = open
                .into_iter()
                .flat_map(|(row, weight): (Vec<u64>, f64)| {
                    let left = n - row.iter().sum::<u64>();
                    (0..=left.min(*size)).map(move |a| {
                        let longer = row.iter().copied().chain([a]).collect();
                        (longer, weight * choose(*size, a))
                    })
                })
                .collect();
        }
        open.retain(|(row, _)| row.iter().sum::<u64>() == n);
        open
    }

    fn table(row: &[u64], both: &[u64]) -> Table {
        let n = row.iter().sum::<u64>() as f64;
        let bins = row.iter().zip(both).map(|(a, s)| Bin { own: *a as f64, both: *s as f64 });
        Table { n, m: both.iter().sum::<u64>() as f64 - n, bins: bins.collect() }
    }

    #[test]
    fn the_moments_are_those_of_all_tables() {
        for (n, both) in [(5, &[3, 7, 2, 9][..]), (4, &[1, 1, 1, 6, 2]), (8, &[9, 9])] {
            let all: Vec<(f64, f64)> = tables(n, both)
                .iter()
                .map(|(row, chance)| (table(row, both).statistic(), *chance))
                .collect();
            let total: f64 = all.iter().map(|(_, chance)| chance).sum();
            assert!((total - 1.0).abs() < 1e-12);
            let mean: f64 = all.iter().map(|(x, chance)| x * chance).sum();
            let central =
                |power| -> f64 { all.iter().map(|(x, c)| c * (x - mean).powi(power)).sum() };
            let first = table(&tables(n, both)[0].0, both);
            let (own_mean, variance) = first.mean_and_variance();
            let third = first.third_moment().unwrap();
            for (own, expected) in [(own_mean, mean), (variance, central(2)), (third, central(3))] {
                assert!(
                    (own - expected).abs() < 1e-9 * expected.abs().max(1.0),
                    "{own}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn two_bins_are_held_to_the_exact_chance() {
        let both = [9, 14];
        let all = tables(8, &both);
        for (row, _) in &all {
            let own = table(row, &both);
            let far = own.statistic() - 1e-9;
            let expected: f64 = all
                .iter()
                .filter(|(other, _)| table(other, &both).statistic() >= far)
                .map(|(_, chance)| chance)
                .sum();
            let exact = own.exact_two_bins().unwrap();
            assert!((exact - expected).abs() < 1e-12, "{row:?}: {exact}, not {expected}");
            assert!(own.two_bins(0.0) * EXACT_RATIO_MAX >= exact - 1e-15);
        }
    }

    #[test]
    fn dense_tables_are_scipys_and_sparse_ones_are_not_called_changed() {
        let (current, reference) = ([500, 300, 200], [4_000, 3_500, 2_500]);
        let usual = chi_square_homogeneity(&current, &reference).unwrap().p_value;
        assert_eq!(chi_square_p_value(&current, &reference), Some(usual));
        assert_eq!(chi_square_p_value(&reference, &current), Some(usual));
        // One value in each of thousands of bins: nothing can be said.
        assert_eq!(chi_square_p_value(&[1; 12], &[0; 12]), None);
        assert_eq!(chi_square_p_value(&[1, 1, 0, 0], &[0, 0, 1, 1]), Some(1.0));
        // One of twelve values is new to a baseline of 10,000: the usual one is sure.
        let mut current = vec![6, 3, 2, 1];
        let mut reference = vec![5_000, 3_000, 2_000, 0];
        let usual = chi_square_homogeneity(&current, &reference).unwrap().p_value;
        let own = chi_square_p_value(&current, &reference).unwrap();
        assert!(usual < 1e-100 && own > 1e-4, "{usual:e} {own:e}");
        current.reverse();
        reference.reverse();
        assert!((chi_square_p_value(&current, &reference).unwrap() / own - 1.0).abs() < 1e-9);
        assert_eq!(chi_square_p_value(&[0, 0], &[5, 5]), None);
        assert_eq!(chi_square_p_value(&[5], &[7]), Some(1.0));
    }
}
