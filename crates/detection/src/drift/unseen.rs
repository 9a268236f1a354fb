//! Categories that are not known: their share and their names.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use watchkeep_model::categories::Cut;
use watchkeep_model::summary::Categories;
use watchkeep_model::window::Drift;

/// Names of unseen categories that are listed.
const UNSEEN_NAMES_MAX: usize = 20;
/// Of exact counts, a category with more than one in so many events is judged
/// by itself, as it is beyond the bound of exact counts.
const FREQUENT_SHARE: u64 = 256;

/// A category with its counts in the window and in the baseline.
pub(super) type Row<'a> = (&'a str, (u64, u64));

/// Fills in the share and the names of the window's categories that the baseline
/// has not, where both count every one.
pub(super) fn unseen_of_rows(drift: &mut Drift, rows: &[Row<'_>]) {
    let total: u64 = rows.iter().map(|(_, (current, _))| current).sum();
    let strangers: Vec<(&str, u64)> = rows
        .iter()
        .filter(|(_, row)| row.1 == 0 && row.0 > 0)
        .map(|(n, row)| (*n, row.0))
        .collect();
    let new: u64 = strangers.iter().map(|(_, count)| count).sum();
    drift.unseen_share = (total > 0).then(|| new as f64 / total as f64);
    drift.unseen = named(strangers);
}

/// Fills in the share and the names of the categories that are not allowed.
pub fn unseen(drift: &mut Drift, current: &Categories, allowed: impl Fn(&str) -> bool) {
    fill(drift, current, current, |name| Some(allowed(name)));
}

/// The same of the categories that the baseline has not.
///
/// A baseline that samples knows of the categories that its sample would hold,
/// and of the frequent ones that it has. Of any other it cannot be told.
pub fn unseen_against(drift: &mut Drift, current: &Categories, reference: &Categories) {
    let level = reference.level();
    let listed = LazyCell::new(|| reference.frequent().unwrap_or_default());
    let known = |name: &str| {
        if Categories::is_kept_at(name, level) {
            return Some(reference.counts().contains(name));
        }
        listed.counts.iter().any(|(listed, _)| **listed == *name).then_some(true)
    };
    fill(drift, current, &current.at_level(level), known);
}

/// Each frequent category of which it is known counts by itself, and the rest
/// in the proportion that the sample shows.
fn fill(
    drift: &mut Drift,
    current: &Categories,
    sample: &Categories,
    known: impl Fn(&str) -> Option<bool>,
) {
    let names = sample.counts().names();
    let mut strangers: Vec<(&str, u64)> = Vec::new();
    let frequent: BTreeMap<Box<str>, (u64, bool)> = frequent(current, sample)
        .into_iter()
        .filter_map(|(name, count)| known(&name).map(|known| (name, (count, known))))
        .collect();
    let (mut of_frequent, mut new_of_frequent) = (0u64, 0u64);
    for (name, (count, known)) in &frequent {
        of_frequent += count;
        if !known {
            new_of_frequent += count;
            strangers.push((name, *count));
        }
    }
    let (mut kept, mut new) = (0u64, 0u64);
    for (name, count) in names.iter().filter(|(name, _)| !frequent.contains_key(*name)) {
        kept += count;
        if known(name) == Some(false) {
            new += count;
            strangers.push((name, count));
        }
    }
    let rest = current.total().saturating_sub(of_frequent);
    drift.unseen_share = match (kept, of_frequent) {
        (0, 0) => None,
        // Nothing is known of the rest.
        (0, _) => Some(new_of_frequent as f64 / of_frequent as f64),
        (_, 0) => Some(new as f64 / kept as f64),
        _ => {
            let of_rest = new as f64 / kept as f64 * rest as f64;
            Some((new_of_frequent as f64 + of_rest) / (of_frequent + rest) as f64)
        }
    };
    // Frequent ones and those of the sample are in one order by name again.
    strangers.sort_unstable();
    drift.unseen = named(strangers);
}

/// The most frequent of them, which come ascending by name, ties by name.
fn named(strangers: Vec<(&str, u64)>) -> Vec<String> {
    let cut = Cut::of_largest(strangers.iter().map(|(_, count)| *count), UNSEEN_NAMES_MAX);
    let mut named = cut.taken(strangers.into_iter(), |(_, count)| *count);
    named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    named.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// Frequent categories with their counts. None where every category is in the
/// sample: then they need not be told apart.
fn frequent(current: &Categories, sample: &Categories) -> Vec<(Box<str>, u64)> {
    if sample.level() == 0 {
        return Vec::new();
    }
    if current.level() == 0 {
        let above = current.total() / FREQUENT_SHARE;
        let names = current.counts().names();
        let large = names.iter().filter(|(_, count)| *count > above);
        return large.map(|(name, count)| (name.into(), count)).collect();
    }
    current.frequent().map(|frequent| frequent.counts).unwrap_or_default()
}
