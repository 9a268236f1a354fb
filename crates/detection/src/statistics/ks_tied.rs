//! Kolmogorov–Smirnov where values are tied: small integers, many zeros, or
//! numbers that share the cells of a grid.
//!
//! The usual p-value is that of values without ties. With ties the distance is
//! looked at only between groups of equal values, so it is smaller, and the
//! usual p-value is too large: an alarm at 1 % comes in fewer than 1 % of quiet
//! windows, and true changes are missed. Given the sizes of the groups, the
//! distribution under "no change" is known all the same: it is that of drawing
//! the window's values from the pooled ones without replacement.
//!
//! | where | method |
//! |---|---|
//! | small enough to count | exactly, by counting paths between the bounds (Hodges 1957; with ties Schröer & Trenkler, Comput. Stat. Data Anal. 20, 1995) |
//! | every group below 1 % of the values | the limit, with the distance increased by the mean overshoot of a path that is looked at in steps (Siegmund, Sequential Analysis, 1985, ch. X; Chernoff 1965) |
//! | some larger groups | a Brownian bridge that is looked at before and after each of these, and all along between them, by quadrature |
//!
//! Far out the usual p-value is too small for few values, with ties or without: 0 for
//! two samples that lie apart, where the chance is 7e-7 for 12 values each. So it is
//! nowhere less than the exact one of small samples, where it can be counted, over 1.4.
//!
//! The tests hold the second and third against the first.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

use super::chi_square_sparse::EXACT_RATIO_MAX;
use super::counts::{aligned, total};
use super::ks::ks_p_value;
use super::special::ln_binomial_any;

/// Products that counting paths may take: about 30 µs.
const EXACT_PRODUCTS_MAX: f64 = 50_000.0;
/// The same for small samples, where the limit is less good and windows are
/// cheap otherwise: about 0.3 ms.
const EXACT_PRODUCTS_MAX_SMALL: f64 = 600_000.0;
/// Effective values up to which a sample is small.
const SMALL_EFFECTIVE_MAX: f64 = 150.0;
/// Share of all values from which a group of equal ones is looked at by itself.
const ATOM_SHARE_MIN: f64 = 0.01;
/// Mean overshoot of a Gaussian path that is looked at in steps, in standard
/// deviations of a step: −ζ(1/2)/√(2π). For paths of counts 0.25 to 0.87 were
/// measured against the exact distribution, most of them near it.
const OVERSHOOT: f64 = 0.5826;
/// Window-equivalent values a step has to have for the whole overshoot: below it
/// the path is looked at after nearly every value, and the usual p-value holds.
const OVERSHOOT_VALUES_MIN: f64 = 2.0;
/// P-values from which on the usual one is near enough to the exact one.
const TAIL_BELOW: f64 = 0.05;
/// Largest normalised distance that quadrature answers (a p-value of 3e-8);
/// beyond it the difference from 1 has too few digits.
const QUADRATURE_C_MAX: f64 = 3.0;
/// Intervals between 0 and the bound.
const INTERVALS: usize = 32;

/// P-value of the two-sample KS distance over counts of shared, ascending
/// groups of equal values, given the sizes of the groups.
///
/// Not above [`ks_p_value`], which is too large with ties, but where that is below
/// the exact p-value over 1.4. 1 where a sample is empty or nothing differs.
#[must_use]
pub fn ks_tied_p_value(current: &[u64], reference: &[u64]) -> f64 {
    ks_dependent_p_value(current, reference, 1.0)
}

/// The same where so many values are worth one independent one (see
/// [`design_effect`](super::design_effect)): both samples count as so much smaller.
pub(super) fn ks_dependent_p_value(current: &[u64], reference: &[u64], values_per_one: f64) -> f64 {
    let Some(mut table) = Table::new(current, reference) else { return 1.0 };
    table.values_per_one = values_per_one.max(1.0);
    let usual = table.without_ties(table.distance());
    if table.groups.iter().all(|size| *size == 1) {
        return usual.max(table.at_least(usual));
    }
    let tied = if table.is_countable() { table.exact() } else { table.limit(usual) };
    // Below this, what is left of a difference from 1 is rounding.
    let tied = if tied < 1e-9 { usual } else { usual.min(tied) };
    tied.max(table.at_least(tied))
}

/// Sizes of two samples, of the groups of equal values in both together, and
/// the widest distance between them.
struct Table {
    n: u128,
    m: u128,
    /// Values of both samples in each group, ascending by value, none empty.
    groups: Vec<u64>,
    /// `n·m` times the distance.
    widest: u128,
    /// Values that are worth one independent value.
    values_per_one: f64,
}

impl Table {
    fn new(current: &[u64], reference: &[u64]) -> Option<Self> {
        let (n, m) = (total(current), total(reference));
        // The products below stay in range; nobody has so many values.
        if n == 0 || m == 0 || n + m > 1 << 60 {
            return None;
        }
        let mut groups = Vec::with_capacity(current.len());
        let filled = || aligned(current, reference).filter(|(c, r)| c + r > 0);
        // Of fewer than 2^32 values the products fit in half the width.
        let widest = if let (Ok(of_window), Ok(all)) = (u32::try_from(n), u32::try_from(n + m)) {
            let (of_window, all) = (u64::from(of_window), u64::from(all));
            let (mut below, mut pooled, mut widest) = (0u64, 0u64, 0u64);
            for (c, r) in filled() {
                groups.push(c + r);
                below += c;
                pooled += c + r;
                widest = widest.max((below * all).abs_diff(of_window * pooled));
            }
            u128::from(widest)
        } else {
            let (mut below, mut pooled, mut widest) = (0u128, 0u128, 0u128);
            for (c, r) in filled() {
                groups.push(c + r);
                below += u128::from(c);
                pooled += u128::from(c) + u128::from(r);
                widest = widest.max((below * (n + m)).abs_diff(n * pooled));
            }
            widest
        };
        (widest > 0).then_some(Self { n, m, groups, widest, values_per_one: 1.0 })
    }

    fn distance(&self) -> f64 {
        self.widest as f64 / (self.n * self.m) as f64
    }

    /// Values of one sample that say as much as the two.
    fn effective(&self) -> f64 {
        self.n as f64 * self.m as f64 / self.pooled() / self.values_per_one
    }

    /// The p-value of such a distance where no values are equal.
    fn without_ties(&self, distance: f64) -> f64 {
        let size = |n: u128| (n as f64 / self.values_per_one).round().max(1.0) as u64;
        ks_p_value(distance, size(self.n), size(self.m))
    }

    fn pooled(&self) -> f64 {
        (self.n + self.m) as f64
    }

    /// Share of the window in the pooled values.
    fn share(&self) -> f64 {
        self.n as f64 / self.pooled()
    }

    /// How many of the window's values a group may hold, but for a chance
    /// below 1e-15: the standard deviation is at most √(size·p·q).
    fn reach(&self, size: u64) -> f64 {
        let (size, p) = (size as f64, self.share());
        let mean = size * p;
        (mean + 9.0 * (mean * (1.0 - p)).sqrt() + 12.0).min(size) + 1.0
    }

    /// Products that [`Table::exact`] would take.
    fn products(&self) -> f64 {
        let band = (2.0 * self.widest as f64 / self.pooled() + 1.0).min(self.n as f64 + 1.0);
        self.groups.iter().map(|size| band * self.reach(*size).min(band)).sum()
    }

    fn is_countable(&self) -> bool {
        // Only independent values are drawn without replacement.
        if self.values_per_one > 1.0 {
            return false;
        }
        let small = self.effective() <= SMALL_EFFECTIVE_MAX;
        let most = if small { EXACT_PRODUCTS_MAX_SMALL } else { EXACT_PRODUCTS_MAX };
        self.products() <= most
    }

    /// The chance of a distance at least as wide, given the groups.
    ///
    /// The weight of a path is the product of the binomial chances of its steps;
    /// those of paths that end with n values of the window are the chances of
    /// drawing without replacement, but for a common factor.
    fn exact(&self) -> f64 {
        let (n, m) = (self.n as i128, self.m as i128);
        let (all, widest) = (n + m, self.widest as i128);
        let p = self.share();
        // weights[i] is that of `first + i` values of the window so far.
        let (mut first, mut weights, mut pooled) = (0i128, vec![1.0], 0i128);
        let mut steps = Binomials { p, size: 0, first: 0, chances: Vec::new() };
        for size in &self.groups {
            pooled += i128::from(*size);
            // The open band |i·all − n·pooled| < widest, within both samples.
            let lowest = ((n * pooled - widest).div_euclid(all) + 1).max(0).max(pooled - m);
            let highest = ((n * pooled + widest - 1).div_euclid(all)).min(n).min(pooled);
            if highest < lowest {
                return 1.0;
            }
            steps.of(*size, self.reach(*size));
            let mut next = vec![0.0; (highest - lowest + 1) as usize];
            for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                // From `first + i` by `steps.first + j` to `lowest + at`.
                let at = first + i as i128 + i128::from(steps.first) - lowest;
                let skip = (-at).max(0) as usize;
                let into = next.iter_mut().skip(at.max(0) as usize);
                let chances = steps.chances.iter().skip(skip);
                into.zip(chances).for_each(|(cell, chance)| *cell += weight * chance);
            }
            (first, weights) = (lowest, next);
        }
        let within = weights.get((n - first) as usize).copied().unwrap_or(0.0);
        let whole = ln_binomial_any(n as f64, m as f64, p, 1.0 - p).exp();
        (1.0 - within / whole).clamp(0.0, 1.0)
    }

    /// What a p-value that is thought to be `p` is at least.
    fn at_least(&self, p: f64) -> f64 {
        if p >= TAIL_BELOW {
            0.0
        } else if self.values_per_one > 1.0 {
            self.apart()
        } else if self.effective() <= SMALL_EFFECTIVE_MAX && self.is_countable() {
            self.outside() / EXACT_RATIO_MAX
        } else {
            0.0
        }
    }

    /// The chance that one of two samples so large, of independent values, lies
    /// above all of the other: no distance has a smaller one.
    fn apart(&self) -> f64 {
        let [n, m] = [self.n, self.m].map(|n| n as f64 / self.values_per_one);
        let ways = ln_gamma(n + m + 1.0) - ln_gamma(n + 1.0) - ln_gamma(m + 1.0);
        (2.0 * (-ways).exp()).min(1.0)
    }

    /// What [`Table::exact`] is, as the sum of the chances of the paths that leave the
    /// band, by where they do so first: nothing is taken from 1, so that it has all
    /// its digits however small it is.
    fn outside(&self) -> f64 {
        let (n, m) = (self.n as i128, self.m as i128);
        let (all, widest) = (n + m, self.widest as i128);
        let p = self.share();
        let (mut first, mut weights, mut pooled) = (0i128, vec![1.0], 0i128);
        let mut steps = Binomials { p, size: 0, first: 0, chances: Vec::new() };
        let mut escaped = 0.0;
        for size in &self.groups {
            pooled += i128::from(*size);
            steps.of(*size, self.reach(*size));
            let mut next = vec![0.0; weights.len() + steps.chances.len() - 1];
            for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                let into = next[i..].iter_mut().zip(&steps.chances);
                into.for_each(|(cell, chance)| *cell += weight * chance);
            }
            first += i128::from(steps.first);
            let is_within = |of_window: i128| (of_window * all - n * pooled).abs() < widest;
            for (i, weight) in next.iter().enumerate() {
                let of_window = first + i as i128;
                let (rest, others) = (n - of_window, m - (pooled - of_window));
                if *weight > 0.0 && rest >= 0 && others >= 0 && !is_within(of_window) {
                    let chance = ln_binomial_any(rest as f64, others as f64, p, 1.0 - p).exp();
                    escaped += weight * chance;
                }
            }
            let is_place = |i: &usize| is_within(first + *i as i128);
            let Some(low) = (0..next.len()).find(is_place) else { break };
            let high = (low..next.len()).rfind(is_place).unwrap_or(low);
            next.truncate(high + 1);
            weights = next.split_off(low);
            first += low as i128;
        }
        let whole = ln_binomial_any(n as f64, m as f64, p, 1.0 - p).exp();
        (escaped / whole).clamp(0.0, 1.0)
    }

    /// The same in the limit of many values.
    fn limit(&self, usual: f64) -> f64 {
        let root = self.effective().sqrt();
        let c = self.distance() * root;
        let steps = self.steps();
        if let [Step { overshoot: Some(overshoot), .. }] = steps[..] {
            return self.without_ties(self.distance() + overshoot / root);
        }
        if c > QUADRATURE_C_MAX { usual } else { bridge_exit(c, &steps) }
    }

    /// Large groups one by one; small ones that lie together as one stretch.
    fn steps(&self) -> Vec<Step> {
        let (pooled, effective) = (self.pooled(), self.effective());
        let mut steps: Vec<Step> = Vec::new();
        let mut stretch = (0.0, 0.0);
        let end = |(length, squares): (f64, f64), steps: &mut Vec<Step>| {
            if length <= 0.0 {
                return;
            }
            let cell: f64 = squares / length;
            let whole = (cell * effective / OVERSHOOT_VALUES_MIN).min(1.0);
            steps.push(Step { length, overshoot: Some(OVERSHOOT * cell.sqrt() * whole) });
        };
        for size in &self.groups {
            let share = *size as f64 / pooled;
            if share < ATOM_SHARE_MIN {
                stretch = (stretch.0 + share, stretch.1 + share * share);
            } else {
                end(std::mem::take(&mut stretch), &mut steps);
                steps.push(Step { length: share, overshoot: None });
            }
        }
        end(stretch, &mut steps);
        steps
    }
}

/// Chances of each number of the window's values in a group.
struct Binomials {
    p: f64,
    size: u64,
    first: u64,
    chances: Vec<f64>,
}

impl Binomials {
    /// Those of a group of that size, up to the reach; kept if they are those at hand.
    fn of(&mut self, size: u64, reach: f64) {
        if self.size == size {
            return;
        }
        let (p, q) = (self.p, 1.0 - self.p);
        let first = ((size as f64 * p) - (reach - size as f64 * p)).max(0.0) as u64;
        let last = (reach as u64).min(size);
        self.size = size;
        self.first = first;
        self.chances.clear();
        let mut chance = ln_binomial_any(first as f64, (size - first) as f64, p, q).exp();
        for k in first..=last {
            self.chances.push(chance);
            chance *= (size - k) as f64 / (k + 1) as f64 * (p / q);
        }
    }
}

/// A part of a bridge's way.
struct Step {
    /// In shares of the pooled values.
    length: f64,
    /// Where the bridge is looked at all along: by how much the bound counts as
    /// further away, because it is looked at in small steps after all.
    overshoot: Option<f64>,
}

/// The chance that a Brownian bridge is seen outside of ±c.
///
/// It is a Brownian motion that ends at 0: its density within the bounds is
/// carried from look to look by the transition density, on a stretch by that of a
/// motion that is absorbed at the bounds (the method of images). Both, and the
/// density, are even, so half of the range is enough.
fn bridge_exit(c: f64, steps: &[Step]) -> f64 {
    let h = c / INTERVALS as f64;
    let merged = wide_enough(steps, h);
    let mut density: Option<Vec<f64>> = None;
    for (index, step) in merged.iter().enumerate() {
        let kernel = step.kernel(c, h);
        let last = index + 1 == merged.len();
        density = Some(match density {
            None => kernel[..=INTERVALS].to_vec(),
            Some(before) => {
                let weighted: Vec<f64> =
                    before.iter().enumerate().map(|(j, f)| f * weight(j) * h).collect();
                let to = if last { 0 } else { INTERVALS };
                (0..=to).map(|i| carried(&weighted, &kernel, i)).collect()
            }
        });
    }
    let end = density.and_then(|density| density.first().copied()).unwrap_or(0.0);
    (1.0 - end * (2.0 * PI).sqrt()).clamp(0.0, 1.0)
}

/// What comes to point `i` from all points on either side of 0.
fn carried(weighted: &[f64], kernel: &[f64], i: usize) -> f64 {
    let across = kernel[i..].iter();
    let aside = kernel[..=i].iter().rev().chain(&kernel[1..]);
    weighted.iter().zip(across).zip(aside).map(|((f, a), b)| f * (a + b)).sum()
}

/// Weights of the trapezoid rule with Gregory's correction at the bound, where
/// the density ends at once; at 0 it goes on evenly.
fn weight(j: usize) -> f64 {
    match INTERVALS - j {
        0 => 3.0 / 8.0,
        1 => 7.0 / 6.0,
        2 => 23.0 / 24.0,
        _ if j == 0 => 0.5,
        _ => 1.0,
    }
}

/// Steps that the points can resolve; what is too short is joined to the next.
fn wide_enough(steps: &[Step], h: f64) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::with_capacity(steps.len());
    let mut short = 0.0;
    for step in steps {
        let length = step.length + short;
        if length < h * h {
            short = length;
            continue;
        }
        short = 0.0;
        joined.push(Step { length, overshoot: step.overshoot });
    }
    if let Some(last) = joined.last_mut() {
        last.length += short;
    }
    joined
}

impl Step {
    /// The transition density at multiples of `h`.
    fn kernel(&self, c: f64, h: f64) -> Vec<f64> {
        let scale = 1.0 / (2.0 * PI * self.length).sqrt();
        let normal = |x: f64| scale * (-x * x / (2.0 * self.length)).exp();
        let at = |x: f64| match self.overshoot {
            None => normal(x),
            Some(overshoot) => {
                let bound = c + overshoot;
                let image =
                    |k: f64| normal(x + 4.0 * k * bound) - normal(x + (4.0 * k - 2.0) * bound);
                image(0.0) + image(1.0) + (normal(x - 4.0 * bound) - normal(x - 6.0 * bound))
            }
        };
        (0..=2 * INTERVALS).map(|j| at(j as f64 * h)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chances by going through every way of choosing the window's values.
    fn by_choosing(current: &[u64], reference: &[u64]) -> f64 {
        let pooled: Vec<usize> = (0..current.len())
            .flat_map(|g| std::iter::repeat_n(g, (current[g] + reference[g]) as usize))
            .collect();
        let observed = Table::new(current, reference).map_or(0, |table| table.widest);
        let n = current.iter().sum::<u64>() as u32;
        let (mut all, mut wide) = (0u32, 0u32);
        for chosen in 0u32..1 << pooled.len() {
            if chosen.count_ones() != n {
                continue;
            }
            let (mut a, mut b) = (vec![0; current.len()], vec![0; current.len()]);
            for (at, group) in pooled.iter().enumerate() {
                if chosen >> at & 1 == 1 { a[*group] += 1 } else { b[*group] += 1 }
            }
            all += 1;
            wide += u32::from(Table::new(&a, &b).map_or(0, |table| table.widest) >= observed);
        }
        f64::from(wide) / f64::from(all)
    }

    #[test]
    fn counting_paths_is_going_through_all_choices() {
        for (current, reference) in [
            (&[3, 1, 2][..], &[1, 4, 3][..]),
            (&[5, 0, 0], &[1, 2, 6]),
            (&[0, 2, 1, 4], &[6, 1, 0, 1]),
            (&[7], &[8]),
            (&[1, 1, 1, 1, 0, 0], &[0, 0, 1, 2, 1, 5]),
        ] {
            let expected = by_choosing(current, reference);
            let exact = Table::new(current, reference).map_or(1.0, |table| table.exact());
            assert!((exact - expected).abs() < 1e-12, "{current:?}: {exact}, not {expected}");
            let outside = Table::new(current, reference).map_or(1.0, |table| table.outside());
            assert!((outside - expected).abs() < 1e-12, "{current:?}: {outside}, not {expected}");
        }
    }

    /// As `scipy.stats.ks_2samp(method="exact")` has them, where its asymptotic ones are
    /// 0, 4.6e-18 and 1.0e-48.
    #[test]
    fn the_tail_of_few_values_is_not_less_than_the_exact_one() {
        let apart = |n: usize, m: usize, mixed: usize| {
            let above = (0..n + m).map(|at| u64::from(at >= m - mixed && at < n + m - mixed));
            let above: Vec<u64> = above.collect();
            let below: Vec<u64> = above.iter().map(|one| 1 - one).collect();
            (Table::new(&above, &below).unwrap().outside(), ks_tied_p_value(&above, &below))
        };
        for (n, m, mixed, exact) in [
            (12, 12, 0, 7.396_023_010_506_791e-7),
            (30, 30, 2, 2.993_288_398_909_619e-14),
            (20, 128, 0, 7.340_046_692_632_209e-25),
        ] {
            let (outside, judged) = apart(n, m, mixed);
            assert!((outside / exact - 1.0).abs() < 1e-9, "{n} {m}: {outside:e}");
            assert!((judged / (outside / EXACT_RATIO_MAX) - 1.0).abs() < 1e-9, "{n} {m}");
        }
    }

    /// Also where values depend on each other: they were 0 there.
    #[test]
    fn samples_that_lie_apart_have_a_chance() {
        let current: Vec<u64> = (0..120).map(|at| u64::from(at >= 60)).collect();
        let reference: Vec<u64> = current.iter().map(|one| 1 - one).collect();
        let p = ks_dependent_p_value(&current, &reference, 6.0);
        // Two of the ways to choose 10 of 20.
        assert!((p / (2.0 / 184_756.0) - 1.0).abs() < 1e-9, "{p:e}");
    }

    /// Groups of these sizes with a distance of about `c`, put in by moving
    /// values of the lower half from one sample to the other.
    fn table(sizes: &[u64], n: u64, m: u64, c: f64) -> Table {
        let root = (n as f64 * m as f64 / (n + m) as f64).sqrt();
        let widest = (c / root * n as f64 * m as f64) as u128;
        Table { n: n.into(), m: m.into(), groups: sizes.to_vec(), widest, values_per_one: 1.0 }
    }

    #[test]
    fn the_limits_are_near_the_exact_chance() {
        let few = [120, 300, 80, 500, 240, 60, 700];
        let zeros: Vec<u64> = std::iter::once(1_200).chain([4; 200]).collect();
        let cells = vec![8; 250];
        let mixed: Vec<u64> =
            [4; 100].into_iter().chain([400]).chain([6; 100]).chain([600]).collect();
        for (name, sizes) in
            [("few", &few[..]), ("zeros", &zeros), ("cells", &cells), ("mixed", &mixed)]
        {
            for against in [1, 9] {
                let all: u64 = sizes.iter().sum();
                let (n, m) = (all / (against + 1), all - all / (against + 1));
                for c in [1.0, 1.3, 1.6, 2.0] {
                    let table = table(sizes, n, m, c);
                    let usual = ks_p_value(table.distance(), n, m);
                    let (exact, limit) = (table.exact(), table.limit(usual));
                    let ratio = limit / exact;
                    assert!(
                        (0.75..1.3).contains(&ratio),
                        "{name} {n} {m} c {c}: {limit:.3e} for {exact:.3e}, without ties {usual:.3e}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_ties_nothing_changes_and_one_group_cannot_differ() {
        let (a, b) = ([1, 0, 1, 1, 0, 0, 0], [0, 1, 0, 0, 1, 1, 1]);
        let d = Table::new(&a, &b).map_or(0.0, |table| table.distance());
        assert_eq!(ks_tied_p_value(&a, &b), ks_p_value(d, 3, 4));
        assert_eq!(ks_tied_p_value(&[900], &[70_000]), 1.0);
        assert_eq!(ks_tied_p_value(&[], &[5]), 1.0);
        assert_eq!(ks_tied_p_value(&[u64::MAX, 1], &[1, u64::MAX]), 1.0);
    }
}
