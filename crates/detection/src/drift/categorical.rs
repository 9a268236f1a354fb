//! Categories against categories: which bins they are compared in.

use std::cmp::Reverse;
use std::sync::LazyLock;

use watchkeep_model::categories::largest;
use watchkeep_model::counted_names::Joined;
use watchkeep_model::frequent::{SETS, Sketch};
use watchkeep_model::summary::{Categories, Summary};
use watchkeep_model::window::{Bins, Drift};

use super::unseen::{Hashed, unseen_among, unseen_of_joined};
use super::{Comparison, binned};
use crate::statistics as st;

/// Categories that have a bin of their own; the least frequent beyond it share
/// [`OTHER_BINS`], so that a table stays readable.
const CATEGORY_BINS_MAX: usize = 200;
/// Name of the bin of what a sample keeps no names of.
pub const OTHER_BIN: &str = "(other)";
/// Of many categories all but the frequent ones share so many bins, by hash.
/// With one bin a change among them would not be seen, with very many
/// each would hold too few of a window's values.
const OTHER_BINS: usize = 64;
/// Sums of these bins that are added up apart.
const LANES: usize = 4;

/// Compares categories; every unseen category is a bin of its own, and so are
/// the nulls. Both sides must hold a category.
pub fn categorical(current: &Summary, reference: &Summary) -> Comparison {
    categorical_among(current, reference, None)
}

/// The same where the past windows of the baseline have a design effect.
pub fn categorical_among(
    current: &Summary,
    reference: &Summary,
    effect: Option<st::DesignEffect>,
) -> Comparison {
    let (values, against) = (&current.categories, &reference.categories);
    let mut drift = Drift { n: values.total(), n_ref: against.total(), ..Drift::default() };
    let bins = match values.level().max(against.level()) {
        0 => {
            let joined = values.counts().joined(against.counts());
            unseen_of_joined(&mut drift, &joined);
            by_name(&joined, (0, 0))
        }
        level => {
            let (values, against) = (Hashed::new(values), Hashed::new(against));
            unseen_among(&mut drift, &values, against.categories);
            by_set(&values, &against).unwrap_or_else(|| {
                // Of one side at least there is but a sample: what one side samples
                // and the other does not would look new or gone.
                let (values, against) = (values.at_level(level), against.at_level(level));
                let joined = values.counts().joined(against.counts());
                by_name(&joined, (values.other(), against.other()))
            })
        }
    };
    binned(&mut drift, bins, current.null_count, reference.null_count);
    let table = drift.bins.as_ref();
    let p_value = table.and_then(|bins| st::chi_square_p_value(&bins.current, &bins.reference));
    let mut p_value = p_value.unwrap_or(1.0);
    if let (Some(effect), Some(statistic), Some(dof)) = (effect, drift.chi2_stat, drift.chi2_dof) {
        drift.n_effective = Some(drift.n as f64 / effect.values_per_one);
        p_value = effect.chi_square_p_value(statistic, dof, p_value);
    }
    Comparison { drift, p_value }
}

/// The most frequent of both by name, the rest in [`OTHER_BINS`] by hash, and what
/// is known by no name in one bin more.
fn by_name(joined: &Joined<'_>, unnamed: (u64, u64)) -> Bins {
    let counts = joined.counts();
    let both = |at: usize| counts[at].0 + counts[at].1;
    let mut frequent = largest(counts.len(), CATEGORY_BINS_MAX, both);
    let mut rest = [(0, 0); OTHER_BINS];
    if frequent.len() < counts.len() {
        let hashes = joined.hashes();
        // What is added to one bin twice waits for the first time, so neighbours are added
        // up apart.
        let mut lanes = [[(0, 0); OTHER_BINS]; LANES];
        for (at, (set, (a, b))) in hashes.sets().zip(counts).enumerate() {
            add(&mut lanes[at % LANES][set % OTHER_BINS], (*a, *b));
        }
        for lane in lanes {
            rest.iter_mut().zip(lane).for_each(|(bin, counts)| add(bin, counts));
        }
        for at in &frequent {
            let ((a, b), bin) = (counts[*at], &mut rest[hashes.set(*at) % OTHER_BINS]);
            *bin = (bin.0 - a, bin.1 - b);
        }
    }
    // They are ascending by name.
    frequent.sort_by_key(|at| Reverse(both(*at)));
    let mut bins = with_room(frequent.len());
    for at in frequent {
        push(&mut bins, joined.name(at).into(), counts[at].0, counts[at].1);
    }
    rest.iter().enumerate().for_each(|(at, (a, b))| push_other(&mut bins, at, *a, *b));
    push(&mut bins, OTHER_BIN.to_owned(), unnamed.0, unnamed.1);
    bins
}

/// The sets of categories that a sketch counts: a set with a frequent category
/// is a bin by its name, all others are put together into [`OTHER_BINS`]. `None`
/// where the sets of one side are not known.
///
/// Every category is in one bin, the same on both sides, and counts are exact.
/// Which ones stand alone depends on both sides' sum alone, as it does for few
/// categories: chosen by one side, those would be chosen that chance has made
/// frequent there, and quiet windows would look changed.
fn by_set(values: &Hashed<'_>, against: &Hashed<'_>) -> Option<Bins> {
    let of_both = frequent_of_both(values.categories, against.categories)?;
    let (values, against) = (values.sets()?, against.sets()?);
    let mut alone: Vec<(usize, Box<str>)> = Vec::new();
    let mut is_alone = [false; SETS];
    for name in of_both {
        let set = Sketch::set_of(&name);
        // Where two frequent ones are in one set, it has the name of the larger.
        if alone.len() < CATEGORY_BINS_MAX - OTHER_BINS && !is_alone[set] {
            is_alone[set] = true;
            alone.push((set, name));
        }
    }
    let mut rest = [(0, 0); OTHER_BINS];
    for (values, against) in values.chunks(OTHER_BINS).zip(against.chunks(OTHER_BINS)) {
        for (bin, (a, b)) in rest.iter_mut().zip(values.iter().zip(against)) {
            add(bin, (*a, *b));
        }
    }
    let mut bins = with_room(alone.len());
    for (set, name) in alone {
        let (a, b) = (values[set], against[set]);
        let bin = &mut rest[set % OTHER_BINS];
        *bin = (bin.0 - a, bin.1 - b);
        push(&mut bins, name.into(), a, b);
    }
    rest.iter().enumerate().for_each(|(at, (a, b))| push_other(&mut bins, at, *a, *b));
    Some(bins)
}

/// The frequent ones of both together, most frequent first; `None` where they are not
/// known.
///
/// What is in both together more often than both sides' bounds together is above its
/// bound in one side at least, and listed there: so none has to be searched in a
/// sketch of both. Where a side's count is too large, that is by what other
/// categories have there, so it favours none that chance has made frequent.
fn frequent_of_both(values: &Categories, against: &Categories) -> Option<Vec<Box<str>>> {
    let (of_values, of_against) = (values.largest()?, against.largest()?);
    let above = of_values.above.saturating_add(of_against.above);
    let listed = of_values.counts.iter().chain(&of_against.counts);
    let mut names: Vec<&str> = listed.map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.dedup();
    let mut frequent = Vec::with_capacity(names.len());
    for name in names {
        let both = values.at_most(name)?.saturating_add(against.at_most(name)?);
        if both > above {
            frequent.push((both, name));
        }
    }
    // They are ascending by name.
    frequent.sort_by_key(|(both, _)| Reverse(*both));
    Some(frequent.into_iter().map(|(_, name)| name.into()).collect())
}

/// No bins, and room for so many by name and all others.
fn with_room(named: usize) -> Bins {
    // And for what is known by no name, and the nulls.
    let room = named + OTHER_BINS + 2;
    Bins {
        categories: Vec::with_capacity(room),
        current: Vec::with_capacity(room),
        reference: Vec::with_capacity(room),
        ..Bins::default()
    }
}

/// A bin, where either side has something in it.
fn push(bins: &mut Bins, name: String, current: u64, reference: u64) {
    if current + reference > 0 {
        bins.categories.push(name);
        bins.current.push(current);
        bins.reference.push(reference);
    }
}

fn add(bin: &mut (u64, u64), (current, reference): (u64, u64)) {
    *bin = (bin.0 + current, bin.1 + reference);
}

/// What all but the frequent ones share, by its number.
fn push_other(bins: &mut Bins, at: usize, current: u64, reference: u64) {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        (1..=OTHER_BINS).map(|bin| format!("(other {bin} of {OTHER_BINS})")).collect()
    });
    push(bins, NAMES[at].clone(), current, reference);
}

#[cfg(test)]
mod tests;
