//! What each statistic promises, by example and by property.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn near(actual: f64, expected: f64) {
    assert!(
        (actual - expected).abs() <= 1e-12 * expected.abs().max(1e-3),
        "{actual} is not {expected}"
    );
}

#[test]
fn ks_steps_over_ties_together() {
    assert_eq!(ks_statistic_sorted(&[1.0, 2.0, 2.0, 3.0], &[2.0, 2.0]), 0.25);
    assert_eq!(ks_statistic_sorted(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
    assert_eq!(ks_statistic_sorted(&[-0.0, 0.0], &[0.0]), 0.0);
    assert_eq!(ks_statistic_cumulative(&[1, 2, 1], &[0, 2, 0]), 0.25);
}

#[test]
fn counts_give_the_textbook_values() {
    // p = (1/4, 3/4), q = (1/2, 1/2).
    let (current, reference) = ([25, 75], [50, 50]);
    near(psi(&current, &reference).unwrap(), 0.25 * 3.0_f64.ln());
    let overlap = (1.0_f64 / 8.0).sqrt() + (3.0_f64 / 8.0).sqrt();
    near(hellinger(&current, &reference).unwrap(), (1.0 - overlap).sqrt());
    let chi2 = chi_square_homogeneity(&current, &reference).unwrap();
    near(chi2.statistic, 40.0 / 3.0);
    assert_eq!(chi2.dof, 1);
    // An empty share becomes 1e-4 and the rest stays.
    near(psi(&[1, 1], &[0, 1]).unwrap(), 0.4999 * 5_000_f64.ln() - 0.5 * 0.5_f64.ln());
}

#[test]
fn chi_square_tail_keeps_its_digits() {
    // With two degrees of freedom the tail is exp(−x/2).
    let chi2 = chi_square_homogeneity(&[300, 700, 0], &[0, 500, 500]).unwrap();
    assert_eq!(chi2.dof, 2);
    let expected = (-chi2.statistic / 2.0).exp();
    assert!((chi2.p_value / expected - 1.0).abs() < 1e-10);
    assert!(chi2.p_value < 1e-150);
}

#[test]
fn wasserstein_is_the_area_between_the_distributions() {
    near(wasserstein_sorted(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]).unwrap(), 5.0);
    near(wasserstein_weighted(&[0.0, 10.0], &[1, 3], &[3, 1]).unwrap(), 5.0);
    assert_eq!(wasserstein_norm(1.0, 0.0), 1_000.0);
    assert_eq!(wasserstein_norm(1.0, f64::NAN), 1_000.0);
    assert_eq!(wasserstein_norm(f64::MAX, 0.0), f64::MAX);
    assert_eq!(wasserstein_norm(3.0, 2.0), 1.5);
}

#[test]
fn lower_bound_of_a_share() {
    assert_eq!(clopper_pearson_lower(0, 10, 0.99), 0.0);
    near(clopper_pearson_lower(10, 10, 0.99), 0.01_f64.powf(0.1));
    near(clopper_pearson_lower(1, 4, 0.95), 1.0 - 0.95_f64.powf(0.25));
}

#[test]
fn quantiles_are_linear_between_ranks() {
    assert_eq!(quantile_sorted(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
    assert_eq!(quantile_sorted(&[7.0], 0.3), Some(7.0));
    assert_eq!(quantile_sorted_u64(&[0, 10], 0.99), Some(9.9));
    assert_eq!(quantile_sorted_u64(&[u64::MAX], 1.0), Some(u64::MAX as f64));
    assert_eq!(quantile_sorted(&[-f64::MAX, f64::MAX], 0.5), Some(0.0));
    for q in [-0.1, 1.1, f64::NAN] {
        assert_eq!(quantile_sorted(&[1.0, 2.0], q), None);
    }
}

#[test]
fn moments_keep_a_small_spread_around_a_large_mean() {
    let values: Vec<f64> = (0..1000).map(|i| 1e12 + f64::from(i % 2)).collect();
    assert_eq!(moments(&values), Some(Moments { mean: 1e12 + 0.5, sd: 0.5 }));
    assert_eq!(moments(&[0.1; 7]).unwrap().sd, 0.0);
}

#[test]
fn a_missing_sample_has_a_defined_answer() {
    for (a, b) in [(&[][..], &[][..]), (&[1][..], &[][..]), (&[0, 0][..], &[3, 4][..])] {
        assert_eq!(chi_square_homogeneity(a, b), None);
        assert_eq!(psi(a, b), None);
        assert_eq!(jensen_shannon(a, b), None);
        assert_eq!(hellinger(a, b), None);
        assert_eq!(ks_statistic_cumulative(a, b), 0.0);
        assert_eq!(wasserstein_weighted(&[1.0, 2.0], a, b), None);
    }
    assert_eq!(ks_statistic_sorted(&[], &[1.0]), 0.0);
    assert_eq!(wasserstein_sorted(&[], &[1.0]), None);
    assert_eq!(moments(&[]), None);
    assert_eq!(moments_weighted(&[1.0], &[0]), None);
    assert_eq!(quantile_sorted(&[], 0.5), None);
    assert_eq!(quantile_sorted_u64(&[], 0.5), None);
    assert_eq!(clopper_pearson_lower(0, 0, 0.99), 0.0);
    for (n, m) in [(0, 0), (0, 5), (1, 1)] {
        assert_eq!(ks_p_value(0.5, n, m), 1.0);
    }
    assert_eq!(ks_p_value(f64::NAN, 10, 10), 1.0);
    assert_eq!(ks_p_value(0.0, 10, 10), 1.0);
    assert_eq!(ks_p_value(1.0, 10, 10), 0.0);
}

#[test]
fn one_bin_cannot_differ() {
    let expected = ChiSquare { statistic: 0.0, dof: 0, p_value: 1.0 };
    assert_eq!(chi_square_homogeneity(&[0, 5], &[0, 9]), Some(expected));
}

#[test]
fn extreme_values_stay_finite() {
    let (a, b) = ([-1e300, 1e300], [1e300, 1e300]);
    near(wasserstein_sorted(&a, &b).unwrap() / 1e300, 1.0);
    near(moments(&a).unwrap().sd / 1e300, 1.0);
    assert_eq!(moments(&a).unwrap().mean, 0.0);
    let (a, b) = ([-f64::MAX], [f64::MAX]);
    assert_eq!(wasserstein_sorted(&a, &b), Some(f64::MAX));
    assert_eq!(ks_statistic_sorted(&a, &b), 1.0);
    near(moments(&[f64::MAX, -f64::MAX]).unwrap().sd / f64::MAX, 1.0);
    near(moments(&[1e-300, -1e-300]).unwrap().sd / 1e-300, 1.0);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(wasserstein_sorted(&[1.0, bad], &[1.0]), None);
        assert_eq!(moments(&[bad, 1.0]), None);
        assert_eq!(quantile_sorted(&[bad], 0.5), None);
        assert!(ks_statistic_sorted(&[bad, bad], &[bad]).is_finite());
    }
}

#[test]
fn huge_counts_do_not_overflow() {
    const HUGE: u64 = 1 << 60;
    let (current, reference) = ([HUGE, 3 * HUGE, u64::MAX], [HUGE, HUGE, 1]);
    let chi2 = chi_square_homogeneity(&current, &reference).unwrap();
    assert!(chi2.statistic.is_finite() && chi2.p_value == 0.0);
    assert!(psi(&current, &reference).unwrap().is_finite());
    for distance in [
        jensen_shannon(&current, &reference).unwrap(),
        hellinger(&current, &reference).unwrap(),
        ks_statistic_cumulative(&current, &reference),
    ] {
        assert!((0.0..=1.0).contains(&distance));
    }
    let values = [0.0, 1.0, 2.0];
    assert!(wasserstein_weighted(&values, &current, &reference).unwrap() <= 2.0);
    assert!(moments_weighted(&values, &current).unwrap().sd <= 1.0);
    assert!(ks_p_value(0.01, u64::MAX, u64::MAX) < 1e-250);
    // Wherever the method changes, the bound stays just below the share.
    for (k, n) in [(HUGE, 2 * HUGE), (HUGE, u64::MAX), (2 * HUGE - 2, 2 * HUGE), (5, HUGE)] {
        let (bound, share) = (clopper_pearson_lower(k, n, 0.99), k as f64 / n as f64);
        assert!(bound > 0.0 && bound <= share, "{k} of {n}: {bound}");
    }
    near(
        clopper_pearson_lower(HUGE, 2 * HUGE, 0.99),
        0.5 - 2.326_347_874 / 2.0 * 2.0_f64.powf(-30.5),
    );
}

fn sample() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![-1e3_f64..1e3, (-5_i8..5).prop_map(f64::from)];
    vec(value, 1..60).prop_map(|mut values| {
        values.sort_by(f64::total_cmp);
        values
    })
}

fn bins() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    let pair = (0_u64..200, 0_u64..200);
    vec(pair, 1..20)
        .prop_map(|pairs| pairs.into_iter().unzip())
        .prop_filter("two samples", |(a, b): &(Vec<u64>, Vec<u64>)| {
            a.iter().sum::<u64>() > 0 && b.iter().sum::<u64>() > 0
        })
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

proptest! {
    #[test]
    fn distances_of_samples_are_symmetric_and_bounded(a in sample(), b in sample()) {
        let d = ks_statistic_sorted(&a, &b);
        prop_assert_eq!(d, ks_statistic_sorted(&b, &a));
        prop_assert!((0.0..=1.0).contains(&d));
        prop_assert_eq!(ks_statistic_sorted(&a, &a), 0.0);
        let w = wasserstein_sorted(&a, &b).unwrap();
        prop_assert!(same(w, wasserstein_sorted(&b, &a).unwrap()));
        prop_assert_eq!(wasserstein_sorted(&a, &a), Some(0.0));
        // The means are never further apart than the distributions.
        let (mean_a, mean_b) = (moments(&a).unwrap().mean, moments(&b).unwrap().mean);
        prop_assert!((mean_a - mean_b).abs() <= w + 1e-9);
        let p = ks_p_value(d, a.len() as u64, b.len() as u64);
        prop_assert!((0.0..=1.0).contains(&p));
    }

    #[test]
    fn monotone_maps_leave_ks_and_scale_wasserstein(a in sample(), b in sample()) {
        let map = |values: &[f64]| values.iter().map(|x| 2.0 * x + 7.0).collect::<Vec<_>>();
        let (c, d) = (map(&a), map(&b));
        // Adding 7 may round two tiny values together, so at most a tie appears.
        prop_assert!(ks_statistic_sorted(&c, &d) <= ks_statistic_sorted(&a, &b));
        let (w, v) = (wasserstein_sorted(&a, &b).unwrap(), wasserstein_sorted(&c, &d).unwrap());
        prop_assert!(same(2.0 * w, v));
    }

    #[test]
    fn counts_and_raw_values_agree((a, b) in bins()) {
        let values: Vec<f64> = (0..a.len()).map(|i| i as f64 * 1.5).collect();
        let raw = |counts: &[u64]| {
            let cells = values.iter().zip(counts);
            cells.flat_map(|(&v, &c)| std::iter::repeat_n(v, c as usize)).collect::<Vec<_>>()
        };
        let (x, y) = (raw(&a), raw(&b));
        prop_assert_eq!(ks_statistic_sorted(&x, &y), ks_statistic_cumulative(&a, &b));
        let w = wasserstein_weighted(&values, &a, &b).unwrap();
        prop_assert!(same(w, wasserstein_sorted(&x, &y).unwrap()));
        let (m, n) = (moments_weighted(&values, &a).unwrap(), moments(&x).unwrap());
        prop_assert!(same(m.mean, n.mean) && same(m.sd, n.sd));
    }

    #[test]
    fn distances_of_counts_are_symmetric_bounded_and_zero_for_equal_shares((a, b) in bins()) {
        let tripled: Vec<u64> = a.iter().map(|c| c * 3).collect();
        let chi2 = chi_square_homogeneity(&a, &b).unwrap();
        prop_assert!((0.0..=1.0).contains(&chi2.p_value) && chi2.statistic >= 0.0);
        prop_assert!(same(chi2.statistic, chi_square_homogeneity(&b, &a).unwrap().statistic));
        prop_assert_eq!(chi_square_homogeneity(&a, &tripled).unwrap().statistic, 0.0);
        for distance in [jensen_shannon, hellinger] {
            let d = distance(&a, &b).unwrap();
            prop_assert!((0.0..=1.0).contains(&d));
            prop_assert_eq!(d, distance(&b, &a).unwrap());
            prop_assert_eq!(distance(&a, &tripled), Some(0.0));
        }
        let p = psi(&a, &b).unwrap();
        prop_assert!(p >= 0.0 && same(p, psi(&b, &a).unwrap()));
        prop_assert_eq!(psi(&a, &tripled), Some(0.0));
    }

    #[test]
    fn empty_bins_and_the_order_of_bins_do_not_matter((mut a, mut b) in bins()) {
        let before = chi_square_homogeneity(&a, &b).unwrap();
        let js = jensen_shannon(&a, &b).unwrap();
        a.reverse();
        b.reverse();
        a.insert(0, 0);
        b.insert(0, 0);
        a.push(0);
        let after = chi_square_homogeneity(&a, &b).unwrap();
        prop_assert_eq!(before.dof, after.dof);
        prop_assert!(same(before.statistic, after.statistic));
        prop_assert!(same(js, jensen_shannon(&a, &b).unwrap()));
    }

    #[test]
    fn the_lower_bound_is_below_the_share_and_grows(
        k in 1_u64..5_000, failures in 0_u64..5_000, confidence in 0.5_f64..0.999_999,
    ) {
        let n = k + failures;
        let bound = clopper_pearson_lower(k, n, confidence);
        prop_assert!(bound > 0.0 && bound <= k as f64 / n as f64);
        prop_assert!(clopper_pearson_lower(k + 1, n + 1, confidence) >= bound);
        prop_assert!(clopper_pearson_lower(k, n + 1, confidence) <= bound);
    }

    #[test]
    fn no_input_makes_a_nan(
        mut a in vec(any::<f64>(), 0..20), mut b in vec(any::<f64>(), 0..20),
        c in vec(any::<u64>(), 0..20), r in vec(any::<u64>(), 0..20),
        q in any::<f64>(),
    ) {
        let number = |x: Option<f64>| x.is_none_or(|x| x.is_finite());
        prop_assert!((0.0..=1.0).contains(&clopper_pearson_lower(
            c.first().copied().unwrap_or(0), r.first().copied().unwrap_or(0), q)));
        for sorted in [false, true] {
            if sorted {
                a.sort_by(f64::total_cmp);
                b.sort_by(f64::total_cmp);
            }
            prop_assert!((0.0..=1.0).contains(&ks_statistic_sorted(&a, &b)));
            prop_assert!(number(wasserstein_sorted(&a, &b)));
            prop_assert!(number(wasserstein_weighted(&a, &c, &r)));
            prop_assert!(number(quantile_sorted(&a, q.abs().fract())));
            for m in [moments(&a), moments_weighted(&a, &c)] {
                prop_assert!(m.is_none_or(|m| m.mean.is_finite() && m.sd.is_finite()));
            }
        }
        prop_assert!(number(psi(&c, &r)));
        prop_assert!(number(jensen_shannon(&c, &r)));
        prop_assert!(number(hellinger(&c, &r)));
        prop_assert!((0.0..=1.0).contains(&ks_statistic_cumulative(&c, &r)));
        let chi2 = chi_square_homogeneity(&c, &r);
        prop_assert!(chi2.is_none_or(|x| x.statistic.is_finite() && (0.0..=1.0).contains(&x.p_value)));
        prop_assert!((0.0..=1.0).contains(&ks_p_value(q, c.len() as u64, u64::MAX)));
    }
}
