//! The whole comparison of a window with a baseline.

use watchkeep_model::charter::{Charter, Statistic, ValueType};
use watchkeep_model::summary::Summary;
use watchkeep_model::window::{Bins, Drift, Widest};

use crate::statistics as st;

mod aligned;
mod categorical;
mod narrow;
mod unseen;
mod windows;

use self::aligned::Aligned;
pub use self::categorical::{OTHER_BIN, categorical, categorical_among};
pub(crate) use self::narrow::{HIDDEN_SHARE, hidden_share};
pub use self::unseen::{unseen, unseen_against};
pub use self::windows::Effects;

/// Whether a feature is compared as numbers or as categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By Kolmogorov–Smirnov.
    Numeric,
    /// By Pearson's chi-square.
    Categorical,
}

/// The charter's type, else what the baseline has more of.
pub fn scale(charter: &Charter, reference: &Summary) -> Scale {
    match charter.fields.r#type {
        Some(ValueType::Double | ValueType::Long) => Scale::Numeric,
        Some(ValueType::Boolean | ValueType::String) => Scale::Categorical,
        None if reference.categories.total() > reference.numbers.count() => Scale::Categorical,
        None => Scale::Numeric,
    }
}

/// A comparison, and how sure it is that there is a difference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Every statistic, as a window publishes it.
    pub drift: Drift,
    /// The p-value that is judged: it keeps its level with ties and few values
    /// too, for which `ks_p` and `chi2_p`, being scipy's, are not made.
    pub p_value: f64,
}

/// Compares numbers; nulls are one more bin. Both sides must hold a number.
///
/// `parts` are the past windows that the reference is made of, as (values,
/// mean); they show whether values depend on each other. None for a reference
/// that is no set of windows.
pub fn numeric(
    current: &Summary,
    reference: &Summary,
    parts: &[(u64, f64)],
    bins: u32,
) -> Comparison {
    numeric_among(current, reference, parts, None, bins)
}

/// The same where the shares of the past windows' bins have a design effect, too:
/// the larger one counts.
pub fn numeric_among(
    current: &Summary,
    reference: &Summary,
    parts: &[(u64, f64)],
    of_shares: Option<st::DesignEffect>,
    bins: u32,
) -> Comparison {
    let (values, against) = (&current.numbers, &reference.numbers);
    let mut drift = Drift { n: values.count(), n_ref: against.count(), ..Drift::default() };
    let aligned = Aligned::new(values, against);
    let (statistic, wasserstein, groups) = match (values.raw(), against.raw()) {
        (Some(a), Some(b)) => (
            st::ks_statistic_sorted(a, b),
            st::wasserstein_sorted(a, b),
            Some(Groups::of_equal_values(a, b)),
        ),
        _ => (
            st::ks_statistic_cumulative(&aligned.current, &aligned.reference),
            st::wasserstein_weighted(&aligned.values, &aligned.current, &aligned.reference),
            None,
        ),
    };
    let (of_current, of_reference) = match &groups {
        Some(groups) => (&groups.current, &groups.reference),
        None => (&aligned.current, &aligned.reference),
    };
    drift.ks_stat = Some(statistic);
    drift.ks_p = Some(st::ks_p_value(statistic, drift.n, drift.n_ref));
    let deviation = match against.raw() {
        Some(raw) => st::moments(raw),
        None => st::moments_weighted(&aligned.values, &aligned.reference),
    };
    let of_means = deviation.and_then(|moments| st::design_effect(parts, moments.sd));
    let effect = of_means
        .into_iter()
        .chain(of_shares)
        .max_by(|a, b| a.values_per_one.total_cmp(&b.values_per_one));
    drift.n_effective = effect.map(|effect| drift.n as f64 / effect.values_per_one);
    let p_value = match effect {
        Some(effect) => effect.ks_p_value(of_current, of_reference),
        None => st::ks_tied_p_value(of_current, of_reference),
    };
    drift.wasserstein = wasserstein;
    drift.wasserstein_norm = wasserstein
        .zip(deviation)
        .map(|(distance, moments)| st::wasserstein_norm(distance, moments.sd));
    let mut bins = aligned.bins(bins);
    let counts = (&of_current[..], &of_reference[..]);
    let parts = match &groups {
        Some(groups) => st::profile(&groups.values, &groups.values, counts, &bins.edges),
        None => st::profile(&aligned.values, &aligned.edges, counts, &bins.edges),
    };
    bins.areas = parts.areas;
    bins.widest =
        parts.widest.map(|(below, current, reference)| Widest { below, current, reference });
    bins.reference_sd = deviation.map(|moments| moments.sd);
    binned(&mut drift, bins, current.null_count, reference.null_count);
    Comparison { drift, p_value }
}

/// Counts of each different value of two ascending samples, ascending.
#[derive(Default)]
struct Groups {
    values: Vec<f64>,
    current: Vec<u64>,
    reference: Vec<u64>,
}

impl Groups {
    fn of_equal_values(a: &[f64], b: &[f64]) -> Self {
        let mut groups = Self::default();
        let (mut i, mut j) = (0, 0);
        while let Some(value) = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => Some(x.min(*y)),
            (one, other) => one.or(other).copied(),
        } {
            let repeats = |rest: &[f64]| rest.iter().take_while(|x| **x <= value).count();
            let (in_a, in_b) = (repeats(&a[i..]), repeats(&b[j..]));
            groups.values.push(value);
            groups.current.push(in_a as u64);
            groups.reference.push(in_b as u64);
            (i, j) = (i + in_a, j + in_b);
        }
        groups
    }
}

/// The statistic of that name, where the comparison has it.
pub fn statistic(drift: &Drift, which: Statistic) -> Option<f64> {
    match which {
        Statistic::Psi => drift.psi,
        Statistic::Js => drift.js,
        Statistic::Hellinger => drift.hellinger,
        Statistic::Wasserstein => drift.wasserstein,
        Statistic::WassersteinNorm => drift.wasserstein_norm,
        Statistic::KsStat => drift.ks_stat,
        Statistic::UnseenShare => drift.unseen_share,
    }
}

/// Adds the bin of the nulls, and everything that is computed from bins.
pub(crate) fn binned(drift: &mut Drift, mut bins: Bins, nulls: u64, reference_nulls: u64) {
    bins.null_bin = nulls + reference_nulls > 0;
    if bins.null_bin {
        bins.current.push(nulls);
        bins.reference.push(reference_nulls);
    }
    let (current, reference) = (&bins.current, &bins.reference);
    drift.psi = st::psi(current, reference);
    drift.js = st::jensen_shannon(current, reference);
    drift.hellinger = st::hellinger(current, reference);
    if let Some(test) = st::chi_square_homogeneity(current, reference) {
        drift.chi2_stat = Some(test.statistic);
        drift.chi2_dof = Some(test.dof);
        drift.chi2_p = Some(test.p_value);
    }
    drift.bins = Some(bins);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchkeep_model::distribution::cell_of;

    use super::*;

    fn summary(values: &[f64]) -> Summary {
        let mut summary = Summary::default();
        values.iter().for_each(|value| summary.numbers.add(*value));
        summary
    }

    #[test]
    fn bins_are_quantiles_of_the_reference() {
        let reference: Vec<f64> = (0..1000).map(f64::from).collect();
        let drift = numeric(&summary(&[1.0, 2.0, 3.0]), &summary(&reference), &[], 10).drift;
        let bins = drift.bins.unwrap();
        assert_eq!(bins.reference.len(), 10);
        assert!(bins.reference.iter().all(|n| (90..=110).contains(n)), "{:?}", bins.reference);
        assert_eq!(bins.current, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn published_edges_reproduce_the_counts(
            current in prop::collection::vec(-50i32..50, 1..300),
            reference in prop::collection::vec(-50i32..50, 1..300),
        ) {
            let scale = |v: &[i32]| v.iter().map(|v| f64::from(*v) / 8.0).collect::<Vec<f64>>();
            let (current, reference) = (scale(&current), scale(&reference));
            let bins = numeric(&summary(&current), &summary(&reference), &[], 10).drift.bins.unwrap();
            for (values, counts) in [(&current, &bins.current), (&reference, &bins.reference)] {
                let mut recount = vec![0u64; bins.edges.len() + 1];
                for value in values.iter() {
                    recount[bins.edges.iter().filter(|edge| **edge <= *value).count()] += 1;
                }
                prop_assert_eq!(&recount, counts);
            }
        }

        #[test]
        fn the_lower_edge_of_a_cell_is_in_it(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            let edge = aligned::lower_edge(cell_of(value));
            prop_assert_eq!(cell_of(edge), cell_of(value));
            prop_assert!(edge <= value || value == 0.0);
        }
    }
}
