//! Samples of very many values, drawn as counts of cells and categories at once.
//!
//! A summary of numbers on the grid holds a count for each cell, and counts of a
//! sample are multinomial: drawn one after the other, each binomial among what is
//! left. That is the same law as that of values drawn one by one, for a hundredth
//! of the work where there are a hundred values a cell.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;
use watchkeep_model::distribution::{cell_edges, cell_of};
use watchkeep_model::summary::Summary;

use super::{Law, Random, summary_of_numbers};

/// From so many values on it is worth it.
pub(crate) const MANY: usize = 10_000;

/// Numbers nearer to 0 than this share a cell, and so do those farther away than
/// [`FARTHEST`]: one in millions.
const NEAREST: f64 = 1e-7;
const FARTHEST: f64 = 1e4;

/// A value of each cell of the grid with the chance of the cell.
#[derive(Clone, Debug)]
pub(crate) struct Cells(Vec<(f64, f64)>);

impl Cells {
    /// Those of a law. `None` for laws of few different values, which are drawn
    /// faster one by one.
    pub(crate) fn of(law: Law) -> Option<Self> {
        let normal = Normal::standard();
        let below = move |x: f64| match law {
            Law::Normal => normal.cdf(x),
            Law::Lognormal if x > 0.0 => normal.cdf(x.ln()),
            Law::Lognormal => 0.0,
            Law::StudentT2 => 0.5 + x / (2.0 * (2.0 + x * x).sqrt()),
            Law::ZeroInflated if x > 0.0 => 0.7 + 0.3 * normal.cdf(x.ln()),
            Law::ZeroInflated => 0.0,
            Law::Uniform => x.clamp(0.0, 1.0),
            Law::Bimodal => f64::midpoint(normal.cdf(x - 3.0), normal.cdf(x + 3.0)),
            Law::SmallIntegers | Law::Constant | Law::Far(_) => f64::NAN,
        };
        if matches!(law, Law::SmallIntegers | Law::Constant | Law::Far(_)) {
            return None;
        }
        let (first, last) = (cell_of(NEAREST), cell_of(FARTHEST));
        let edge = |cell: i32| cell_edges(cell).1;
        let positive = (first..=last).map(edge);
        let negative = (first..=last).rev().map(|cell| -edge(cell));
        let mut cells = Vec::new();
        let mut so_far = 0.0;
        for upper in negative.chain(positive) {
            // Of the cell that ends here; a negative one holds its lower edge.
            let chance = below(upper) - so_far;
            if chance > 0.0 {
                cells.push((middle(upper), chance));
                so_far += chance;
            }
        }
        cells.push((2.0 * FARTHEST, 1.0 - so_far));
        Some(Self(cells))
    }

    /// The summary of so many values.
    pub(crate) fn sample(&self, n: usize, random: &mut Random) -> Summary {
        let mut values = Vec::with_capacity(n);
        let (mut left, mut chance_left) = (n as u64, 1.0);
        for (value, chance) in &self.0 {
            let count = binomial(left, (chance / chance_left).min(1.0), random);
            values.extend(std::iter::repeat_n(*value, count as usize));
            left -= count;
            chance_left -= chance;
            if left == 0 {
                break;
            }
        }
        summary_of_numbers(values)
    }
}

/// A value of the cell that ends at `upper`: its middle, or 0 for all that is
/// nearest to it.
fn middle(upper: f64) -> f64 {
    if upper.abs() <= cell_edges(cell_of(NEAREST)).1 {
        return 0.0;
    }
    let (lower, upper) = cell_edges(cell_of(upper.next_down()));
    f64::midpoint(lower, upper)
}

/// Counts of `n` draws of categories with these ascending cumulative chances.
pub(crate) fn counts(cumulative: &[f64], n: usize, random: &mut Random) -> Vec<u64> {
    let (mut left, mut so_far) = (n as u64, 0.0);
    let draw = |upper: &f64| {
        let chance = ((upper - so_far) / (1.0 - so_far)).clamp(0.0, 1.0);
        so_far = *upper;
        let count = binomial(left, chance, random);
        left -= count;
        count
    };
    cumulative.iter().map(draw).collect()
}

/// Binomial: by inversion for a small mean, else by rejection (Hörmann 1993, BTRS).
fn binomial(n: u64, p: f64, random: &mut Random) -> u64 {
    if n == 0 || p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    if p > 0.5 {
        return n - binomial(n, 1.0 - p, random);
    }
    let (size, q) = (n as f64, 1.0 - p);
    if size * p < 10.0 {
        let odds = p / q;
        let (mut chance, mut u, mut k) = ((size * q.ln()).exp(), random.share(), 0_u64);
        while u > chance && k < n {
            u -= chance;
            k += 1;
            chance *= odds * (size + 1.0 - k as f64) / k as f64;
        }
        return k;
    }
    let spread = (size * p * q).sqrt();
    let b = 1.15 + 2.53 * spread;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let (c, v_r) = (size * p + 0.5, 0.92 - 4.2 / b);
    let alpha = (2.83 + 5.1 / b) * spread;
    let mode = ((size + 1.0) * p).floor();
    let at_mode = ln_gamma(mode + 1.0) + ln_gamma(size - mode + 1.0);
    loop {
        let u = random.share() - 0.5;
        let v = random.share();
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + c).floor();
        if us >= 0.07 && v <= v_r {
            return k as u64;
        }
        if !(0.0..=size).contains(&k) {
            continue;
        }
        let accepted = (v * alpha / (a / (us * us) + b)).ln();
        if accepted
            <= at_mode - ln_gamma(k + 1.0) - ln_gamma(size - k + 1.0) + (k - mode) * (p / q).ln()
        {
            return k as u64;
        }
    }
}
