//! Every figure follows from the bins that a window publishes, and so does the
//! judged p-value of categories: recomputed here from the JSON alone, by the
//! textbook's formulas.

use proptest::prelude::*;
use serde_json::Value;
use watchkeep_detection::drift;
use watchkeep_detection::statistics::chi_square_p_value;
use watchkeep_model::summary::Summary;

fn counts(bins: &Value, side: &str) -> Vec<u64> {
    let counts = bins[side].as_array().expect("counts");
    counts.iter().map(|count| count.as_u64().expect("a count")).collect()
}

/// PSI, JS, Hellinger and chi-square of two rows of counts.
fn textbook(current: &[u64], reference: &[u64]) -> [f64; 4] {
    let (n, m) = (current.iter().sum::<u64>() as f64, reference.iter().sum::<u64>() as f64);
    let (mut psi, mut divergence, mut squares, mut chi2) = (0.0, 0.0, 0.0, 0.0);
    for (c, r) in current.iter().zip(reference).filter(|(c, r)| **c + **r > 0) {
        let (p, q) = (*c as f64 / n, *r as f64 / m);
        let (pe, qe) = (if *c == 0 { 1e-4 } else { p }, if *r == 0 { 1e-4 } else { q });
        psi += (pe - qe) * (pe / qe).ln();
        let middle = f64::midpoint(p, q);
        let part = |x: f64| if x > 0.0 { x * (x / middle).log2() / 2.0 } else { 0.0 };
        divergence += part(p) + part(q);
        squares += (p.sqrt() - q.sqrt()).powi(2) / 2.0;
        let pooled = (*c + *r) as f64 / (n + m);
        chi2 += (*c as f64 - n * pooled).powi(2) / (n * pooled)
            + (*r as f64 - m * pooled).powi(2) / (m * pooled);
    }
    [psi, divergence.max(0.0).sqrt(), squares.sqrt(), chi2]
}

fn check(published: &Value) -> Result<(), TestCaseError> {
    let bins = &published["bins"];
    let (current, reference) = (counts(bins, "current"), counts(bins, "reference"));
    let recomputed = textbook(&current, &reference);
    for (name, expected) in ["psi", "js", "hellinger", "chi2_stat"].into_iter().zip(recomputed) {
        let own = published[name].as_f64().expect("a figure");
        // The textbook's JS loses half of its digits near 0.
        let allowed = if name == "js" { 2e-8 } else { 1e-9 * expected.abs() + 1e-12 };
        prop_assert!((own - expected).abs() <= allowed, "{name}: {own}, not {expected}");
    }
    Ok(())
}

/// The distances of numbers, by the parts that are published beside the counts.
fn check_distances(published: &Value) -> Result<(), TestCaseError> {
    let bins = &published["bins"];
    let number = |value: &Value| value.as_f64().expect("a number");
    let (n, n_ref) = (number(&published["n"]), number(&published["n_ref"]));
    let widest = match &bins["widest"] {
        Value::Null => 0.0,
        place => (number(&place["current"]) / n - number(&place["reference"]) / n_ref).abs(),
    };
    let areas = bins["areas"].as_array().expect("areas");
    let nulls = usize::from(bins["null_bin"] == true);
    prop_assert_eq!(areas.len() + nulls, counts(bins, "current").len());
    let area: f64 = areas.iter().map(number).sum();
    let normed = area / number(&bins["reference_sd"]).max(0.001);
    for (name, expected) in
        [("ks_stat", widest), ("wasserstein", area), ("wasserstein_norm", normed)]
    {
        let own = number(&published[name]);
        let allowed = 1e-9 * expected.abs() + 1e-12;
        prop_assert!((own - expected).abs() <= allowed, "{name}: {own}, not {expected}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn figures_of_numbers_follow_from_the_bins(
        // As they came on both sides, and on the grid.
        current in prop::collection::vec(-3000i32..3000, 1..200),
        reference in prop::collection::vec(-2500i32..3500, 1..200),
        coarser in 1i32..100,
        nulls in (0u64..5, 0u64..5),
    ) {
        let summary = |values: &[i32], null_count| {
            let mut summary = Summary { null_count, ..Summary::default() };
            values.iter().for_each(|value| summary.numbers.add(f64::from(value / coarser) / 4.0));
            summary
        };
        let (current, reference) = (summary(&current, nulls.0), summary(&reference, nulls.1));
        let drift = drift::numeric(&current, &reference, &[], 10).drift;
        let published = serde_json::to_value(&drift).expect("JSON");
        check(&published)?;
        check_distances(&published)?;
    }

    #[test]
    fn figures_of_categories_follow_from_the_bins(
        rows in prop::collection::vec((0u64..40, 0u64..400), 1..250),
    ) {
        let summary = |of: fn(&(u64, u64)) -> u64| {
            let mut summary = Summary::default();
            let counts = rows.iter().map(of).enumerate().filter(|(_, count)| *count > 0);
            counts.for_each(|(name, count)| summary.categories.add(&format!("c{name}"), count));
            summary
        };
        let (current, reference) = (summary(|row| row.0), summary(|row| row.1));
        prop_assume!(current.categories.total() > 0 && reference.categories.total() > 0);
        let comparison = drift::categorical(&current, &reference);
        let published = serde_json::to_value(&comparison.drift).expect("JSON");
        check(&published)?;
        let bins = &published["bins"];
        let p = chi_square_p_value(&counts(bins, "current"), &counts(bins, "reference"));
        prop_assert_eq!(p, Some(comparison.p_value));
    }
}
