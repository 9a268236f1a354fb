//! Bins of few and of very many categories.

use super::*;
use crate::drift::unseen;

fn summary(counts: impl IntoIterator<Item = (String, u64)>) -> Summary {
    let mut summary = Summary::default();
    for (name, count) in counts {
        summary.categories.add(&name, count);
        summary.count += count;
    }
    summary
}

/// The count of a bin in window and baseline.
fn bin(drift: &Drift, name: &str) -> Option<(u64, u64)> {
    let bins = drift.bins.as_ref()?;
    let at = bins.categories.iter().position(|category| category == name)?;
    Some((bins.current[at], bins.reference[at]))
}

#[test]
fn unseen_categories_and_nulls_have_bins_of_their_own() {
    let mut a = summary([("new".into(), 3), ("old".into(), 7)]);
    let mut b = summary([("old".into(), 90)]);
    (a.null_count, b.null_count) = (0, 10);
    let drift = categorical(&a, &b).drift;
    assert_eq!(drift.unseen_share, Some(0.3));
    assert_eq!(drift.unseen, ["new"]);
    let bins = drift.bins.unwrap();
    assert_eq!(bins.categories, ["old", "new"]);
    assert_eq!(
        (bins.current, bins.reference, bins.null_bin),
        (vec![7, 3, 0], vec![90, 0, 10], true)
    );
}

/// So many that come once, from a number on.
fn tail(from: u64, n: u64) -> impl Iterator<Item = (String, u64)> {
    (from..from + n).map(|n| (format!("user-{n}"), 1))
}

#[test]
fn frequent_ones_of_very_many_have_bins_by_name_and_the_rest_is_whole() {
    let heavy = |a: u64, b: u64| [("search".to_owned(), a), ("basket".to_owned(), b)];
    let current = summary(tail(0, 20_000).chain(heavy(6_000, 2_000)));
    let reference = summary(tail(10_000, 40_000).chain(heavy(8_000, 4_000)));
    let Comparison { drift, p_value } = categorical(&current, &reference);
    let (search, basket) = (bin(&drift, "search").unwrap(), bin(&drift, "basket").unwrap());
    // Beside each of them are the rare ones of one set among 4,096.
    assert!((6_000..6_030).contains(&search.0) && (8_000..8_040).contains(&search.1), "{search:?}");
    assert!((2_000..2_030).contains(&basket.0) && (4_000..4_040).contains(&basket.1), "{basket:?}");
    let bins = drift.bins.as_ref().unwrap();
    assert_eq!(bins.categories.len(), 2 + OTHER_BINS);
    let sums = (bins.current.iter().sum::<u64>(), bins.reference.iter().sum::<u64>());
    assert_eq!(sums, (28_000, 52_000));
    assert!(p_value < 1e-9, "6,000 of 28,000 is not 8,000 of 52,000: {p_value}");
    // The share of `search` rises by 0.060, and this alone gives a distance.
    assert!(drift.js.unwrap() > 0.05 && drift.psi.unwrap() > 0.02, "{drift:?}");
}

/// In window and baseline alike, in one alone, or in neither enough for itself: what
/// counts is the sum of both, whichever of them counts exactly.
#[test]
fn what_is_frequent_in_both_together_has_a_bin_by_name() {
    let of = |n: u64, heavy: [u64; 4]| {
        let names = ["both", "window", "baseline", "rare"].map(str::to_owned);
        summary(tail(0, n).chain(names.into_iter().zip(heavy).filter(|(_, count)| *count > 0)))
    };
    for (n, n_ref) in [(4_000, 40_000), (40_000, 4_000), (20_000, 20_000)] {
        // One in 256 is 172 and more.
        let (current, reference) = (of(n, [150, 250, 0, 60]), of(n_ref, [150, 0, 250, 60]));
        let drift = categorical(&current, &reference).drift;
        for (name, a, b) in [("both", 150, 150), ("window", 250, 0), ("baseline", 0, 250)] {
            let (current, reference) = bin(&drift, name).unwrap_or_else(|| panic!("{name} {n}"));
            // With the rare ones of its set.
            assert!((a..a + 30).contains(&current), "{name}: {current}");
            assert!((b..b + 30).contains(&reference), "{name}: {reference}");
        }
        assert_eq!((bin(&drift, "rare"), drift.bins.unwrap().categories.len()), (None, 3 + 64));
    }
}

#[test]
fn a_new_frequent_one_is_found_in_a_small_window() {
    let reference = summary(tail(0, 200_000));
    let quiet = summary(tail(100, 1_000));
    let new = summary(tail(100, 800).chain([("new".to_owned(), 200)]));
    assert!(categorical(&quiet, &reference).p_value > 0.05);
    let changed = categorical(&new, &reference);
    // It has no name here, since of both together it is rare, but a bin.
    assert!(changed.p_value < 1e-100, "{}", changed.p_value);
    assert!(changed.drift.js.unwrap() > 0.25, "{:?}", changed.drift.js);
}

#[test]
fn a_frequent_category_is_unseen_where_that_is_known() {
    let heavy = [("new".to_owned(), 4_000)];
    let current = summary(tail(0, 20_000).chain(heavy.clone()));
    // A baseline that counts exactly, with 2,500 of the 20,000.
    let drift = categorical(&current, &summary(tail(0, 2_500))).drift;
    assert_eq!(drift.unseen[0], "new");
    let share = drift.unseen_share.unwrap();
    assert!((share - 21_500.0 / 24_000.0).abs() < 0.01, "{share}");
    // One that samples and has it among its frequent ones.
    let reference = summary(tail(0, 30_000).chain(heavy));
    let drift = categorical(&current, &reference).drift;
    assert_eq!((drift.unseen_share, drift.unseen), (Some(0.0), vec![]));
    // Allowed by name.
    let mut drift = Drift::default();
    unseen(&mut drift, &current.categories, |name| name == "new");
    let share = drift.unseen_share.unwrap();
    assert!((share - 20_000.0 / 24_000.0).abs() < 0.001, "{share}");
}

/// Categories by turns of a counter that is mixed, with chances like 1/rank.
fn drawn(n: u64, seed: u64) -> Summary {
    let draw = |at: u64| {
        let mut mixed = (at ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let share = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        // Among 100,000: ln(rank) is uniform.
        (format!("c{}", (share * 100_000f64.ln()).exp() as u64), 1)
    };
    summary((0..n).map(draw))
}

/// Alarms at 5 % among quiet windows, where counts are of sets of categories.
#[test]
fn very_many_categories_hold_the_level() {
    let reference = drawn(60_000, 0);
    assert!(reference.categories.level() > 0, "{}", reference.categories.counts().len());
    let alarms =
        (1..=150).filter(|seed| categorical(&drawn(400, *seed), &reference).p_value < 0.05).count();
    // 7.5 are expected, with a standard deviation of 2.7.
    assert!((1..=16).contains(&alarms), "{alarms}");
}

/// Half of the rare ones are gone, and a quarter of all events with them.
#[test]
fn a_change_among_the_rare_ones_of_many_is_seen() {
    let of = |step: usize, count: u64| {
        let frequent = (0..200).map(|n| (format!("frequent-{n}"), 500));
        summary(frequent.chain((0..2_800).step_by(step).map(move |n| (format!("rare-{n}"), count))))
    };
    let (before, half) = (of(1, 40), of(2, 80));
    let Comparison { drift, p_value } = categorical(&half, &before);
    let bins = drift.bins.as_ref().unwrap();
    assert_eq!(bins.categories.len(), 200 + OTHER_BINS);
    let sums = (bins.current.iter().sum::<u64>(), bins.reference.iter().sum::<u64>());
    assert_eq!(sums, (drift.n, drift.n_ref));
    assert!(p_value < 1e-6, "{p_value:e}");
    assert!(categorical(&before, &before).p_value > 0.999);
}
