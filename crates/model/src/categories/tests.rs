//! Counts of few and of very many categories, in any order and split.

use proptest::prelude::*;

use super::*;

#[test]
fn a_long_category_is_kept_by_its_beginning_and_hash() {
    let mut categories = Categories::default();
    categories.add(&"ä".repeat(100_000), 1);
    categories.add(&"ä".repeat(100_001), 1);
    assert_eq!((categories.distinct(), categories.distinct_error()), (2, None));
    assert!(categories.counts().names().iter().all(|(c, _)| c.len() <= CATEGORY_BYTES_MAX));
}

#[test]
fn too_many_categories_are_sampled_and_none_is_lost() {
    let names: Vec<String> = (0..30_000).map(|i| format!("c{i}")).collect();
    let mut forward = Categories::default();
    names.iter().for_each(|name| forward.add(name, 1));
    let (mut even, mut odd) = (Categories::default(), Categories::default());
    for (i, name) in names.iter().enumerate().rev() {
        if i % 2 == 0 { even.add(name, 1) } else { odd.add(name, 1) }
    }
    odd.merge(&even);
    assert_eq!(forward, odd);
    assert_eq!(forward.total(), 30_000);
    assert!(forward.counts().len() <= SAMPLED_MAX);
    let error = forward.distinct_error().unwrap();
    assert!((forward.distinct() as f64 / 30_000.0 - 1.0).abs() < 3.0 * error, "{forward:?}");
}

/// Names of 200 bytes and more are exact up to fewer, sampled to fewer, and the error
/// says so; in whatever order and split, and with short ones among them.
#[test]
fn long_names_are_bounded_by_their_bytes() {
    let name = |n: u64| match n % 7 {
        0 => format!("{n}"),
        _ => format!("{:x}{}{n}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), "/segment".repeat(25)),
    };
    let bytes = |of: &Categories| of.counts().lengths().iter().sum::<usize>();
    for (names, is_exact) in [(1_000, true), (2_000, false), (20_000, false)] {
        let whole = counted((0..names).map(|n| (name(n), 1)));
        assert_eq!(whole.level() == 0, is_exact, "{names}");
        assert!(bytes(&whole) <= if is_exact { EXACT_BYTES_MAX } else { SAMPLED_BYTES_MAX });
        let mut merged = Categories::default();
        for part in (0..6).rev() {
            let of_part = (0..names).rev().filter(|n| n * 31 % 6 == part);
            merged.merge(&counted(of_part.map(|n| (name(n), 1))));
        }
        assert_eq!(merged, whole, "{names}");
        let Some(error) = whole.distinct_error() else { continue };
        // Some 720 of the mean length of 181 bytes fit.
        assert!((0.040..0.050).contains(&error), "{error}");
        let distinct = whole.distinct() as f64;
        assert!((distinct / names as f64 - 1.0).abs() < 3.0 * error, "{distinct} of {names}");
    }
    // What all begin with counts in each name.
    let alike = counted((0..1_100u64).map(|n| (format!("{}{n}", "/segment".repeat(31)), 1)));
    assert!(alike.level() > 0, "{} bytes", bytes(&alike));
}

/// Five that are frequent among a hundred thousand that come once; a million is
/// in the tests of bad input.
const HEAVY: [(&str, u64); 5] = [
    ("search", 40_000),
    ("checkout/basket", 16_000),
    ("konto: übersicht", 8_000),
    ("ä", 2_000),
    ("search/advanced", 1_000),
];

/// The share of `search/advanced` among all is 0.6 %, that of `search` 24 %.
fn very_many() -> Vec<(String, u64)> {
    let tail = (0..100_000u64).map(|n| (format!("user-{n}"), 1));
    tail.chain(HEAVY.map(|(name, count)| (name.to_owned(), count))).collect()
}

fn counted(events: impl IntoIterator<Item = (String, u64)>) -> Categories {
    let mut categories = Categories::default();
    events.into_iter().for_each(|(name, count)| categories.add(&name, count));
    categories
}

#[test]
fn frequent_ones_among_very_many_are_found_with_the_stated_error() {
    let whole = counted(very_many());
    let frequent = whole.frequent().unwrap();
    assert_eq!((whole.total(), frequent.above, frequent.error), (167_000, 652, 164));
    let names: Vec<&str> = frequent.counts.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, HEAVY.map(|(name, _)| name), "all of them and nothing else");
    for ((_, count), (name, true_count)) in frequent.counts.iter().zip(HEAVY) {
        let too_large = count.checked_sub(true_count).expect("never too small");
        assert!(too_large <= frequent.error, "{name}: {count}");
    }
    let (top, _) = whole.top(10);
    assert_eq!(top.len(), 10);
    assert!(top[..5].iter().map(|(name, _)| &**name).eq(HEAVY.map(|(name, _)| name)), "{top:?}");
    assert!(top[5..].iter().all(|(_, count)| *count == 1), "the rest is the sample's: {top:?}");
}

/// The order that is worst for summaries that keep what was frequent so far:
/// the frequent ones first, or last, or one event at a time between the others.
#[test]
fn no_order_and_no_split_hides_a_frequent_one() {
    let few: Vec<(String, u64)> = (0..40_000u64).map(|n| (format!("user-{n}"), 1)).collect();
    let heavy = || HEAVY.map(|(name, count)| (name.to_owned(), count / 2));
    let last = counted(few.iter().cloned().chain(heavy()));
    let first = counted(heavy().into_iter().chain(few.iter().cloned().rev()));
    assert_eq!(last, first);
    let mut left: Vec<(String, u64)> = heavy().to_vec();
    let mut among = Categories::default();
    for (at, (name, count)) in few.iter().enumerate() {
        among.add(name, *count);
        let (heavy, left) = &mut left[at % 5];
        let share = if at >= few.len() - 5 { *left } else { u64::from(*left > 0) };
        among.add(heavy, share);
        *left -= share;
    }
    assert_eq!(last, among);
    // Cut into parts that are exact each, and merged from the last to the first.
    let all: Vec<(String, u64)> = few.into_iter().chain(heavy()).collect();
    let mut merged = Categories::default();
    for part in all.chunks(5_000).rev() {
        let part = counted(part.iter().cloned());
        assert_eq!(part.level(), 0);
        merged.merge(&part);
    }
    assert_eq!(last, merged);
    let names = last.frequent().unwrap().counts.clone().into_iter().map(|(name, _)| name);
    assert!(names.eq(HEAVY.map(|(name, _)| name.into())), "{:?}", last.frequent());
}

#[test]
fn a_frequent_category_of_a_megabyte_is_found_by_its_short_name() {
    let long = "x".repeat(1 << 20);
    let mut categories = counted((0..20_000).map(|n| (format!("{n}"), 1)));
    categories.add(&long, 5_000);
    let frequent = categories.frequent().unwrap();
    assert_eq!(frequent.counts.len(), 1, "{frequent:?}");
    assert_eq!(&*frequent.counts[0].0, &*shortened(&long));
    assert!(frequent.counts[0].0.len() <= CATEGORY_BYTES_MAX);
}

/// What an earlier version kept of very many tells no frequent ones, and merged
/// with anything it still does not.
#[test]
fn without_a_sketch_nothing_frequent_is_claimed() {
    let many = counted((0..20_000).map(|n| (format!("{n}"), 1)));
    let untold = |of: &Categories| {
        Categories::from_parts(of.counts().clone(), of.level(), of.other(), None).unwrap()
    };
    let old = untold(&many);
    assert_eq!(old.frequent(), None);
    let few = counted([("a".to_owned(), 3)]);
    let mut whole = many.clone();
    whole.merge(&few);
    for (a, b) in [(&old, &few), (&few, &old)] {
        let mut merged = a.clone();
        merged.merge(b);
        assert_eq!(merged, untold(&whole));
    }
    let mut merged = many.clone();
    merged.merge(&old);
    assert_eq!((merged.frequent(), merged.total()), (None, 40_000));
    let mut merged_back = old;
    merged_back.merge(&many);
    assert_eq!(merged, merged_back);
    let wrong = many.sketch().cloned();
    assert_eq!(Categories::from_parts(few.counts().clone(), 0, 0, wrong.clone()), None);
    assert_eq!(Categories::from_parts(many.counts().clone(), 2, 5, wrong), None);
}

/// What was found once is not told of events that came later.
#[test]
fn frequent_ones_are_searched_anew_after_a_change() {
    let of = |categories: &Categories| {
        let listed = categories.frequent().map(|of| of.counts.iter().map(|(name, _)| &**name));
        listed.map(|names| names.collect::<Vec<&str>>().join(" "))
    };
    let mut added = counted((0..20_000).map(|n| (format!("{n}"), 1)));
    assert_eq!(of(&added).as_deref(), Some(""));
    added.add("new", 1_000);
    assert_eq!(of(&added).as_deref(), Some("new"));
    added.merge(&counted([("other".to_owned(), 2_000)]));
    assert_eq!(of(&added).as_deref(), Some("other new"));
    // Whether it was searched is no part of what is equal or stored.
    let untold = added.clone();
    assert_eq!((&untold, of(&untold)), (&added, of(&added)));
    let text = serde_json::to_string(&added).unwrap();
    assert_eq!(serde_json::from_str::<Categories>(&text).unwrap(), added);
    assert!(!text.contains("searched"));
}

/// A sample of as many as earlier versions kept comes to what is kept now.
#[test]
fn larger_samples_of_earlier_versions_are_read() {
    let names: Vec<String> = (0..20_000).map(|n| format!("{n}")).collect();
    let now = counted(names.iter().map(|name| (name.clone(), 1)));
    let level = 2;
    let kept = names.iter().filter(|name| Categories::is_kept_at(name, level));
    let kept: CountedNames = kept.map(|name| (&**name, 1)).collect();
    assert!((SAMPLED_MAX + 1..CATEGORIES_MAX).contains(&kept.len()), "{}", kept.len());
    let other = 20_000 - kept.total();
    let read = Categories::from_parts(kept, level, other, now.sketch().cloned());
    assert_eq!(read, Some(now));
}

proptest! {
    #[test]
    fn the_largest_are_what_sorting_tells(
        few in prop::collection::vec(0u64..6, 0..40),
        many in prop::collection::vec(prop_oneof![9 => 0u64..4, 1 => 0u64..1_000], 0..3_000),
        n in 0usize..45,
    ) {
        for (counts, n) in [(&few, n), (&many, n), (&many, 5 * n)] {
            let mut sorted: Vec<(usize, u64)> = counts.iter().copied().enumerate().collect();
            sorted.sort_by_key(|(at, count)| (Reverse(*count), *at));
            sorted.truncate(n);
            sorted.sort_unstable();
            let found = largest(counts.len(), n, |at| counts[at]);
            prop_assert!(found.into_iter().eq(sorted.into_iter().map(|(at, _)| at)));
        }
    }

    /// Many are taken in by one walk, few by looking each of them up.
    #[test]
    fn merging_adds_whatever_the_sizes(
        own in prop::collection::btree_map("[a-e]{0,3}", 1u64..5, 0..60),
        other in prop::collection::btree_map("[a-e]{0,3}", 1u64..5, 0..60),
    ) {
        let mut merged = counted(own.clone());
        merged.merge(&counted(other.clone()));
        prop_assert_eq!(merged, counted(own.into_iter().chain(other)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Around the bound, where parts are exact and the whole is not.
    #[test]
    fn very_many_merge_in_any_order_and_split(
        categories in 7_000u64..12_000,
        shuffle in any::<u64>(),
        parts in 1usize..6,
        weights in prop::collection::vec(1u64..400, 1..6),
    ) {
        let name = |n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        let mut events: Vec<(String, u64)> = (0..categories).map(|n| (name(n), 1)).collect();
        events.extend(weights.iter().enumerate().map(|(n, count)| (name(n as u64), *count)));
        let whole = counted(events.iter().cloned());
        events.sort_by_key(|(name, count)| {
            Sketch::set_of(name) as u64 ^ shuffle.rotate_left(*count as u32)
        });
        let mut pieces: Vec<Categories> = events
            .chunks(events.len().div_ceil(parts))
            .map(|part| counted(part.iter().cloned()))
            .collect();
        // Grouped one way from the left and another way from the right.
        let mut right = Categories::default();
        pieces.iter().rev().for_each(|piece| right.merge(piece));
        let last = pieces.pop().unwrap_or_default();
        let mut left = Categories::default();
        pieces.iter().for_each(|piece| left.merge(piece));
        let mut grouped = last;
        grouped.merge(&left);
        prop_assert!(whole == right && whole == grouped);
        prop_assert_eq!(whole.level() > 0, categories > CATEGORIES_MAX as u64);
        let bytes = whole.sketch().map(Sketch::to_bytes);
        prop_assert_eq!(bytes, right.sketch().map(Sketch::to_bytes));
        prop_assert_eq!(whole.frequent(), grouped.frequent());
    }
}
