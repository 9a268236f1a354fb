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

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::ks_tied::ks_dependent_p_value;
use super::special::Sum;

/// Past windows with values from which a design effect is estimated. Fewer say
/// too little, and values count as independent.
pub const PARTS_MIN: usize = 6;

/// Independent windows are taken for dependent ones with this chance.
const FALSE_ALARM: f64 = 0.01;

/// By how much the windows of a baseline differ more than independent values would.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DesignEffect {
    /// Values that are worth one independent value, above 1.
    pub values_per_one: f64,
    /// Past windows less one: how sure that is.
    pub dof: f64,
}

/// The design effect of past windows, given as (values, mean), of which all
/// values together have this population standard deviation. `None` where there
/// are fewer than [`PARTS_MIN`] windows, or their means differ no more than
/// those of independent values do by chance, 99 times out of 100.
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
        assert_eq!(design_effect(&wider[..5], 1.05), None);
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
