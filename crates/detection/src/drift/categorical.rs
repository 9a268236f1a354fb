//! Categories against categories: which bins they are compared in.

use std::cmp::Ordering;

use watchkeep_model::frequent::{SETS, Sketch};
use watchkeep_model::summary::{Categories, Summary};
use watchkeep_model::window::{Bins, Drift};

use super::{Comparison, binned, unseen_against};
use crate::statistics as st;

/// Categories that have a bin of their own; the least frequent beyond it
/// share one bin named [`OTHER_BIN`], so that a table stays readable.
const CATEGORY_BINS_MAX: usize = 200;
/// Name of the bin that the rare categories share.
pub const OTHER_BIN: &str = "(other)";
/// Of very many categories all but the frequent ones share so many bins, by
/// hash. With one bin a change among them would not be seen, with very many
/// each would hold too few of a window's values.
const OTHER_BINS: usize = 64;

/// Compares categories; every unseen category is a bin of its own, and so are
/// the nulls. Both sides must hold a category.
pub fn categorical(current: &Summary, reference: &Summary) -> Comparison {
    let (values, against) = (&current.categories, &reference.categories);
    let mut drift = Drift { n: values.total(), n_ref: against.total(), ..Drift::default() };
    unseen_against(&mut drift, values, against);
    let level = values.level().max(against.level());
    let bins = match (level > 0).then(|| values.sketched().zip(against.sketched())).flatten() {
        Some((values, against)) => by_set(&values, &against),
        // Exact counts, or none but a sample on one side at least: what one side
        // samples and the other does not would look new or gone.
        None => by_name(&values.at_level(level), &against.at_level(level)),
    };
    binned(&mut drift, bins, current.null_count, reference.null_count);
    let table = drift.bins.as_ref();
    let p_value = table.and_then(|bins| st::chi_square_p_value(&bins.current, &bins.reference));
    Comparison { drift, p_value: p_value.unwrap_or(1.0) }
}

/// The most frequent of both by name, the rest as one.
fn by_name(values: &Categories, against: &Categories) -> Bins {
    let mut order = rows(values, against);
    // Of many only the most frequent are put in order.
    let frequent =
        |a: &Row<'_>, b: &Row<'_>| (b.1.0 + b.1.1).cmp(&(a.1.0 + a.1.1)).then_with(|| a.0.cmp(b.0));
    let rest = if order.len() > CATEGORY_BINS_MAX {
        order.select_nth_unstable_by(CATEGORY_BINS_MAX, frequent);
        order.split_off(CATEGORY_BINS_MAX)
    } else {
        Vec::new()
    };
    order.sort_unstable_by(frequent);
    let mut bins = Bins::default();
    order.iter().for_each(|(name, (a, b))| push(&mut bins, (*name).to_owned(), *a, *b));
    let (a, b) = rest
        .iter()
        .fold((values.other(), against.other()), |(a, b), (_, row)| (a + row.0, b + row.1));
    push(&mut bins, OTHER_BIN.to_owned(), a, b);
    bins
}

/// The sets of categories that a sketch counts: a set with a frequent category
/// is a bin by its name, all others are put together into [`OTHER_BINS`].
///
/// Every category is in one bin, the same on both sides, and counts are exact.
/// Which ones stand alone depends on both sides' sum alone, as it does for few
/// categories: chosen by one side, those would be chosen that chance has made
/// frequent there, and quiet windows would look changed.
fn by_set(values: &Sketch, against: &Sketch) -> Bins {
    let mut both = values.clone();
    both.merge(against);
    let mut alone: Vec<(usize, Box<str>)> = Vec::new();
    for (name, _) in both.frequent().counts {
        let set = Sketch::set_of(&name);
        // Where two frequent ones are in one set, it has the name of the larger.
        if alone.iter().all(|(other, _)| *other != set) {
            alone.push((set, name));
        }
    }
    alone.truncate(CATEGORY_BINS_MAX - OTHER_BINS);
    let (mut current, mut reference) = (vec![0; OTHER_BINS], vec![0; OTHER_BINS]);
    let mut bins = Bins::default();
    for (set, name) in &alone {
        push(&mut bins, name.to_string(), values.sets()[*set], against.sets()[*set]);
    }
    let mut is_alone = [false; SETS];
    alone.iter().for_each(|(set, _)| is_alone[*set] = true);
    for set in (0..SETS).filter(|set| !is_alone[*set]) {
        current[set % OTHER_BINS] += values.sets()[set];
        reference[set % OTHER_BINS] += against.sets()[set];
    }
    for (at, (current, reference)) in current.into_iter().zip(reference).enumerate() {
        push(&mut bins, format!("(other {} of {OTHER_BINS})", at + 1), current, reference);
    }
    bins
}

/// A bin, where either side has something in it.
fn push(bins: &mut Bins, name: String, current: u64, reference: u64) {
    if current + reference > 0 {
        bins.categories.push(name);
        bins.current.push(current);
        bins.reference.push(reference);
    }
}

/// A category with its counts in the window and in the baseline.
type Row<'a> = (&'a str, (u64, u64));

/// Every category of either, ascending by name.
fn rows<'a>(values: &'a Categories, against: &'a Categories) -> Vec<Row<'a>> {
    let (mut a, mut b) = (values.counts().iter().peekable(), against.counts().iter().peekable());
    let mut rows = Vec::with_capacity(values.counts().len().max(against.counts().len()));
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some((x, _)), Some((y, _))) => x.cmp(y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return rows,
        };
        let own = if order.is_le() { a.next() } else { None };
        let other = if order.is_ge() { b.next() } else { None };
        if let Some((name, _)) = own.or(other) {
            let count = |side: Option<(&Box<str>, &u64)>| side.map_or(0, |(_, count)| *count);
            rows.push((name, (count(own), count(other))));
        }
    }
}

#[cfg(test)]
mod tests;
