//! Categories that are not known: their share and their names.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use watchkeep_model::categories::largest;
use watchkeep_model::counted_names::Joined;
use watchkeep_model::frequent::Hashes;
use watchkeep_model::summary::Categories;
use watchkeep_model::window::Drift;

/// Names of unseen categories that are listed.
const UNSEEN_NAMES_MAX: usize = 20;

/// Categories, of whose names each is hashed once at most.
pub(super) struct Hashed<'a> {
    pub(super) categories: &'a Categories,
    hashes: OnceCell<Hashes>,
}

impl<'a> Hashed<'a> {
    pub(super) fn new(categories: &'a Categories) -> Self {
        Self { categories, hashes: OnceCell::new() }
    }

    /// See [`Categories::sets`].
    pub(super) fn sets(&self) -> Option<Vec<u64>> {
        self.categories.sets_by(|| Cow::Borrowed(self.hashes()))
    }

    /// See [`Categories::at_level`].
    pub(super) fn at_level(&self, level: u32) -> Cow<'a, Categories> {
        self.categories.at_level_by(level, || Cow::Borrowed(self.hashes()))
    }

    fn hashes(&self) -> &Hashes {
        self.hashes.get_or_init(|| self.categories.counts().hashes())
    }
}

/// Fills in the share and the names of the window's categories that the baseline
/// has not, where both count every one.
pub(super) fn unseen_of_joined(drift: &mut Drift, joined: &Joined<'_>) {
    let Strangers { new, names } = Strangers::of(joined);
    drift.unseen_share = (drift.n > 0).then(|| new as f64 / drift.n as f64);
    drift.unseen = named(&names);
}

/// Fills in the share and the names of the categories that are not allowed.
pub fn unseen(drift: &mut Drift, current: &Categories, allowed: impl Fn(&str) -> bool) {
    let frequent = frequent(current, current);
    let frequent: BTreeMap<&str, (u64, bool)> =
        frequent.iter().map(|(name, count)| (&**name, (*count, allowed(name)))).collect();
    let names = current.counts().names();
    let mut strangers: Vec<(Cow<'_, str>, u64)> = Vec::new();
    let (mut kept, mut new) = (0u64, 0u64);
    for (name, count) in names.iter().filter(|(name, _)| !frequent.contains_key(*name)) {
        kept += count;
        if !allowed(name) {
            new += count;
            strangers.push((name.into(), count));
        }
    }
    fill(drift, current, &frequent, (kept, new), strangers);
}

/// The same of the categories that the baseline has not.
///
/// A baseline that samples knows of the categories that its sample would hold,
/// and of the frequent ones that it has. Of any other it cannot be told.
pub fn unseen_against(drift: &mut Drift, current: &Categories, reference: &Categories) {
    unseen_among(drift, &Hashed::new(current), reference);
}

/// The same.
pub(super) fn unseen_among(drift: &mut Drift, current: &Hashed<'_>, reference: &Categories) {
    let level = reference.level();
    let sample = current.at_level(level);
    let known = |name: &str| {
        if Categories::is_kept_at(name, level) {
            return Some(reference.counts().contains(name));
        }
        let mut listed = reference.frequent().into_iter().flat_map(|of| &of.counts);
        listed.any(|(listed, _)| **listed == *name).then_some(true)
    };
    let frequent = frequent(current.categories, &sample);
    let frequent: BTreeMap<&str, (u64, bool)> = frequent
        .iter()
        .filter_map(|(name, count)| known(name).map(|known| (&**name, (*count, known))))
        .collect();
    let mut joined = sample.counts().joined(reference.counts());
    frequent.keys().for_each(|name| joined.leave_out(name));
    let kept = joined.counts().iter().map(|(current, _)| current).sum();
    let Strangers { new, names } = Strangers::of(&joined);
    fill(drift, current.categories, &frequent, (kept, new), names);
}

/// Each frequent category of which it is known counts by itself, and the rest
/// in the proportion that the sample shows.
fn fill<'a>(
    drift: &mut Drift,
    current: &Categories,
    frequent: &BTreeMap<&'a str, (u64, bool)>,
    (kept, new): (u64, u64),
    mut strangers: Vec<(Cow<'a, str>, u64)>,
) {
    let (mut of_frequent, mut new_of_frequent) = (0u64, 0u64);
    for (name, (count, known)) in frequent {
        of_frequent += count;
        if !known {
            new_of_frequent += count;
            strangers.push(((*name).into(), *count));
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
    drift.unseen = named(&strangers);
}

/// Categories that the baseline has not.
struct Strangers<'a> {
    /// Events of all.
    new: u64,
    /// The most frequent ones, ascending by name.
    names: Vec<(Cow<'a, str>, u64)>,
}

impl<'a> Strangers<'a> {
    fn of(joined: &'a Joined<'_>) -> Self {
        let counts = joined.counts();
        let own = |at: usize| if counts[at].1 == 0 { counts[at].0 } else { 0 };
        let new = (0..counts.len()).map(own).sum();
        let named = largest(counts.len(), UNSEEN_NAMES_MAX, own);
        let named = named.into_iter().filter(|at| own(*at) > 0);
        Self { new, names: named.map(|at| (joined.name(at), own(at))).collect() }
    }
}

/// The most frequent of them, which come ascending by name, ties by name.
fn named(strangers: &[(Cow<'_, str>, u64)]) -> Vec<String> {
    let mut named = largest(strangers.len(), UNSEEN_NAMES_MAX, |at| strangers[at].1);
    named.sort_by_key(|at| Reverse(strangers[*at].1));
    named.into_iter().map(|at| strangers[at].0.clone().into_owned()).collect()
}

/// Frequent categories with their counts. None where every category is in the
/// sample: then they need not be told apart.
fn frequent(current: &Categories, sample: &Categories) -> Vec<(Box<str>, u64)> {
    if sample.level() == 0 {
        return Vec::new();
    }
    current.largest().map(|frequent| frequent.into_owned().counts).unwrap_or_default()
}
