//! No frequent category is missed, and bytes have one form.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn of(counts: &[(String, u64)]) -> Sketch {
    let mut sketch = Sketch::default();
    counts.iter().for_each(|(name, count)| sketch.add(name, *count));
    sketch
}

#[test]
fn nothing_is_frequent_where_there_is_nothing() {
    let nothing = Sketch::default().frequent();
    assert_eq!(nothing, Frequent::default());
    let only = of(&[(String::new(), 7)]).frequent();
    assert_eq!(only.counts, [("".into(), 7)]);
}

/// Two hundred that have everything among them: as many as can be frequent,
/// with names of 36 bytes, and none of those that begin alike.
#[test]
fn very_many_frequent_ones_are_all_found() {
    let name = |n: u64| {
        let half = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:08x}-{:027x}", half >> 32, half ^ (half >> 29))
    };
    let counts: Vec<(String, u64)> = (0..200).map(|n| (name(n), 1_000 + n)).collect();
    let found = of(&counts).frequent();
    for (name, count) in counts.iter().filter(|(_, count)| *count > found.above) {
        let listed = found.counts.iter().find(|(found, _)| **found == **name);
        let listed = listed.unwrap_or_else(|| panic!("{name}, {count} of {}", found.above)).1;
        assert!((*count..=count + found.error).contains(&listed), "{name}: {count} as {listed}");
    }
    assert!(found.above < 1_100, "{}", found.above);
}

/// Of long names that all differ there is more noise than one in 256 events.
#[test]
fn long_names_raise_the_bound_that_is_stated() {
    let long = |n: u64| {
        let mixed = |k: u64| (n * 31 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        (0..15).map(|k| format!("{:016x}", mixed(k))).collect::<String>()
    };
    let mut counts: Vec<(String, u64)> = (0..6_000).map(|n| (long(n), 1)).collect();
    counts.push(("frequent".to_owned(), 1_000));
    let found = of(&counts).frequent();
    assert!((120..240).contains(&found.above), "{}", found.above);
    assert_eq!(found.counts.len(), 1, "{found:?}");
    assert_eq!(&*found.counts[0].0, "frequent");
}

#[test]
fn bytes_that_are_no_sketch_are_refused() {
    let bytes = of(&[("a".into(), 3), ("bc".into(), 1_000)]).to_bytes();
    for end in [0, 5, 40, bytes.len() - 1] {
        assert_eq!(Sketch::from_bytes(&bytes[..end]), None);
    }
    assert_eq!(Sketch::from_bytes(&[&bytes[..], &[0]].concat()), None);
    let mut other = bytes;
    // One event more in one row only.
    let at = 32 + other[32..].iter().position(|byte| *byte > 0).unwrap();
    other[at] ^= 1;
    assert_eq!(Sketch::from_bytes(&other), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn nothing_frequent_is_missed_whatever_the_names(
        names in prop::collection::vec(("\\PC{0,12}", 1u64..2_000), 1..300),
    ) {
        let mut counts: BTreeMap<Box<str>, u64> = BTreeMap::new();
        names.iter().for_each(|(name, count)| *counts.entry((**name).into()).or_default() += count);
        let mut sketch = Sketch::default();
        counts.iter().for_each(|(name, count)| sketch.add(name, *count));
        // All at once, along the beginnings that they share.
        let ascending: CountedNames = counts.iter().map(|(name, count)| (&**name, *count)).collect();
        let mut at_once = Sketch::default();
        let levels = at_once.add_all(&ascending);
        prop_assert_eq!(&at_once, &sketch);
        prop_assert_eq!(&levels, &levels_max(&ascending));
        prop_assert!(levels.iter().zip(counts.keys()).all(|(level, name)| *level == level_max(name)));
        let found = sketch.frequent();
        for (name, count) in &counts {
            prop_assert!(sketch.count(name) >= *count);
            let most = sketch.at_most(name);
            prop_assert!((*count..=sketch.count(name)).contains(&most), "{name} {count} {most}");
            let is_listed = found.counts.iter().any(|(listed, _)| listed == name);
            prop_assert_eq!(is_listed, most > found.above, "{} {} {}", name, most, found.above);
        }
        prop_assert_eq!(sketch.total(), counts.values().sum::<u64>());
        prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Some(sketch));
    }
}
