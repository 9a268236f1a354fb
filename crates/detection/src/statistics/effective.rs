//! How many independent values dependent ones are worth.
//!
//! Tests of drift take values as drawn independently. Telemetry often is not:
//! a value is like the one before, or a whole window lies a little higher than
//! the next. Then windows differ by more than their size explains, and a test
//! that does not know it calls quiet windows changed.
//!
//! Baselines of past windows show how much they differ. Their means vary by
//! `σ²/n` where values are independent; how many times more they do is the
//! design effect (Kish 1965), here from batch means as in the analysis of
//! simulations (Law & Kelton). A window counts as so many times fewer values
//! (Rao & Scott 1981).
//!
//! Means are blind to windows that differ in another way, and categories have
//! none. So the shares of bins are looked at too: Pearson's statistic of past
//! windows by bins, over its degrees of freedom, is about 1 where values are
//! independent, and the design effect where they are not (Rao & Scott's first
//! order).

use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::beta::checked_beta_reg;

use super::ks_tied::ks_dependent_p_value;
use super::special::Sum;

/// Past windows with values from which a design effect is estimated: those of a
/// season of three weeks. Two say too little, and values count as independent.
pub const PARTS_MIN: usize = 3;

/// Independent windows are taken for dependent ones with this chance. With less,
/// few windows that do differ would mostly be taken for independent ones; with
/// more, changes would be missed where values are.
const FALSE_ALARM: f64 = 0.05;

/// By how much the windows of a baseline differ more than independent values would.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DesignEffect {
    /// Values that are worth one independent value, above 1.
    pub values_per_one: f64,
    /// Degrees of freedom of that: how sure it is.
    pub dof: f64,
}

/// The design effect of past windows by their counts in the same bins. `None` as
/// for [`design_effect`].
#[must_use]
pub fn design_effect_of_shares(windows: &[Vec<u64>]) -> Option<DesignEffect> {
    let windows: Vec<(f64, &[u64])> = windows
        .iter()
        .map(|counts| (counts.iter().sum::<u64>() as f64, &counts[..]))
        .filter(|(n, _)| *n > 0.0)
        .collect();
    if windows.len() < PARTS_MIN {
        return None;
    }
    let all: f64 = windows.iter().map(|(n, _)| n).sum();
    let bins = windows.iter().map(|(_, counts)| counts.len()).max()?;
    let of_bin = |bin: usize| {
        windows.iter().map(move |(n, c)| (*n, c.get(bin).copied().unwrap_or(0) as f64))
    };
    let (mut statistic, mut used) = (Sum::default(), 0.0);
    for bin in 0..bins {
        let share = of_bin(bin).map(|(_, count)| count).sum::<f64>() / all;
        if share > 0.0 {
            used += 1.0;
            let parts = of_bin(bin).map(|(n, count)| (count - n * share).powi(2) / (n * share));
            parts.for_each(|part| statistic.add(part));
        }
    }
    let dof = (used - 1.0) * (windows.len() as f64 - 1.0);
    let statistic = statistic.total();
    if dof <= 0.0 || !statistic.is_finite() {
        return None;
    }
    let values_per_one = statistic / dof;
    let chance = ChiSquared::new(dof).ok()?.sf(statistic);
    // Bins move together as windows differ, so windows alone are counted.
    let dof = windows.len() as f64 - 1.0;
    (chance < FALSE_ALARM && values_per_one > 1.0).then_some(DesignEffect { values_per_one, dof })
}

/// The design effect of past windows, given as (values, mean), of which all
/// values together have this population standard deviation. `None` where there
/// are fewer than [`PARTS_MIN`] windows, or their means differ no more than
/// those of independent values do by chance, 95 times out of 100.
#[must_use]
pub fn design_effect(parts: &[(u64, f64)], sd: f64) -> Option<DesignEffect> {
    let parts: Vec<(f64, f64)> = parts
        .iter()
        .filter(|(n, mean)| *n > 0 && mean.is_finite())
        .map(|(n, mean)| (*n as f64, *mean))
        .collect();
    if parts.len() < PARTS_MIN {
        return None;
    }
    let all = parts.iter().map(|(n, _)| n).sum::<f64>();
    let mean = parts.iter().map(|(n, mean)| n / all * mean).collect::<Sum>().total();
    let between = parts.iter().map(|(n, own)| n * (own - mean).powi(2)).collect::<Sum>().total();
    let within = sd * sd - between / all;
    let dof = parts.len() as f64 - 1.0;
    let ratio = between / within;
    if within.is_nan() || within <= 0.0 || !ratio.is_finite() {
        return None;
    }
    let chance = ChiSquared::new(dof).ok()?.sf(ratio);
    let values_per_one = ratio / dof;
    (chance < FALSE_ALARM && values_per_one > 1.0).then_some(DesignEffect { values_per_one, dof })
}

impl DesignEffect {
    /// The p-value of the KS distance over counts of shared, ascending groups of
    /// equal values, as [`ks_tied_p_value`](super::ks_tied_p_value) gives it, for so
    /// many fewer values.
    ///
    /// The effect is itself an estimate. As the normal tail becomes Student's
    /// when a variance is estimated, the tail `2 exp(−x/2)` of the distance becomes
    /// that of F with 2 and `dof` degrees of freedom, `2 (1 + x/dof)^(−dof/2)`.
    #[must_use]
    pub fn ks_p_value(&self, current: &[u64], reference: &[u64]) -> f64 {
        let p = ks_dependent_p_value(current, reference, self.values_per_one);
        if p >= 1.0 || p <= 0.0 {
            return p;
        }
        let x = -2.0 * (p / 2.0).ln();
        (2.0 * (1.0 + x / self.dof).powf(-self.dof / 2.0)).clamp(p, 1.0)
    }

    /// The p-value of Pearson's statistic with `bins` degrees of freedom, which is
    /// `independent` for independent values: over the effect, and with F in the
    /// place of chi-square, because the effect is an estimate.
    #[must_use]
    pub fn chi_square_p_value(&self, statistic: f64, bins: u64, independent: f64) -> f64 {
        let bins = bins as f64;
        let ratio = statistic / self.values_per_one;
        let tail = checked_beta_reg(self.dof / 2.0, bins / 2.0, self.dof / (self.dof + ratio));
        tail.map_or(independent, |tail| tail.clamp(independent.min(1.0), 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_differ_by_chance_are_independent() {
        // Means of 100 values of deviation 1 differ by about 0.1.
        let parts: Vec<(u64, f64)> = [0.1, -0.12, 0.03, 0.09, -0.08, 0.11, -0.05]
            .into_iter()
            .map(|mean| (100, mean))
            .collect();
        assert_eq!(design_effect(&parts, 1.0), None);
        let wider: Vec<(u64, f64)> = parts.iter().map(|(n, mean)| (*n, mean * 3.0)).collect();
        let effect = design_effect(&wider, 1.05).unwrap();
        assert!((5.0..9.0).contains(&effect.values_per_one), "{effect:?}");
        assert_eq!(effect.dof, 6.0);
        assert_eq!(design_effect(&wider[..2], 1.05), None);
    }

    #[test]
    fn shares_that_differ_more_than_by_chance_have_an_effect() {
        let windows = |moved: u64| {
            let of = |i: u64| vec![50 + moved * (i % 3), 50, 50 - moved * (i % 3)];
            (0..12).map(of).collect::<Vec<_>>()
        };
        assert_eq!(design_effect_of_shares(&windows(1)), None);
        let effect = design_effect_of_shares(&windows(15)).unwrap();
        assert!((2.0..6.0).contains(&effect.values_per_one), "{effect:?}");
        assert_eq!(effect.dof, 11.0);
        assert_eq!(design_effect_of_shares(&windows(15)[..2]), None);
        assert_eq!(design_effect_of_shares(&vec![vec![7]; 9]), None);
        assert_eq!(design_effect_of_shares(&vec![Vec::new(); 9]), None);
        // 20 of 2 degrees of freedom is 5e-5; for four times fewer values it is no wonder.
        let effect = DesignEffect { values_per_one: 4.0, dof: 30.0 };
        let p = effect.chi_square_p_value(20.0, 2, 4.5e-5);
        assert!((0.08..0.13).contains(&p), "{p}");
        assert_eq!(effect.chi_square_p_value(0.0, 2, 1.0), 1.0);
    }

    #[test]
    fn odd_windows_have_no_effect() {
        let parts = [(10, f64::NAN), (0, 1.0)].repeat(10);
        assert_eq!(design_effect(&parts, 1.0), None);
        assert_eq!(design_effect(&[(10, 5.0); 9], 0.0), None);
        assert_eq!(design_effect(&[(10, 1e300), (10, -1e300)].repeat(9), 1e300), None);
    }

    #[test]
    fn dependent_values_need_a_wider_distance() {
        let current = [10, 20, 30, 40];
        let reference = [400, 300, 200, 100];
        let independent = super::super::ks_tied_p_value(&current, &reference);
        let effect = DesignEffect { values_per_one: 4.0, dof: 20.0 };
        let p = effect.ks_p_value(&current, &reference);
        assert!(independent < 1e-12 && (1e-4..0.02).contains(&p), "{independent:e} {p:e}");
    }
}
