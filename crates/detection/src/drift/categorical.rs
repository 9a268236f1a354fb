//! Categories against categories: which bins they are compared in.

use std::cmp::Ordering;

use watchkeep_model::categories::Cut;
use watchkeep_model::counted_names::Names;
use watchkeep_model::frequent::{SETS, Sketch};
use watchkeep_model::summary::{Categories, Summary};
use watchkeep_model::window::{Bins, Drift};

use super::unseen::{Row, unseen_of_rows};
use super::{Comparison, binned, unseen_against};
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
            let names = (values.counts().names(), against.counts().names());
            let rows = rows(&names.0, &names.1);
            unseen_of_rows(&mut drift, &rows);
            by_name(&rows, (0, 0))
        }
        level => {
            unseen_against(&mut drift, values, against);
            by_set(values, against).unwrap_or_else(|| {
                // Of one side at least there is but a sample: what one side samples
                // and the other does not would look new or gone.
                let (values, against) = (values.at_level(level), against.at_level(level));
                let names = (values.counts().names(), against.counts().names());
                by_name(&rows(&names.0, &names.1), (values.other(), against.other()))
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
fn by_name(rows: &[Row<'_>], unnamed: (u64, u64)) -> Bins {
    let both = |row: &Row<'_>| row.1.0 + row.1.1;
    let cut = Cut::of_largest(rows.iter().map(both), CATEGORY_BINS_MAX);
    let mut frequent = cut.taken(rows.iter(), |row| both(row));
    let mut rest = [(0, 0); OTHER_BINS];
    let mut named = frequent.iter().map(|row| row.0).peekable();
    // Both are ascending by name.
    for (name, (a, b)) in rows {
        if named.next_if(|named| named == name).is_none() {
            let bin = &mut rest[Sketch::set_of(name) % OTHER_BINS];
            *bin = (bin.0 + a, bin.1 + b);
        }
    }
    frequent.sort_unstable_by(|a, b| both(b).cmp(&both(a)).then_with(|| a.0.cmp(b.0)));
    let mut bins = Bins::default();
    frequent.iter().for_each(|(name, (a, b))| push(&mut bins, (*name).to_owned(), *a, *b));
    rest.iter().enumerate().for_each(|(at, (a, b))| push(&mut bins, other_bin(at), *a, *b));
    push(&mut bins, OTHER_BIN.to_owned(), unnamed.0, unnamed.1);
    bins
}

fn other_bin(at: usize) -> String {
    format!("(other {} of {OTHER_BINS})", at + 1)
}

/// The sets of categories that a sketch counts: a set with a frequent category
/// is a bin by its name, all others are put together into [`OTHER_BINS`]. `None`
/// where the sets of one side are not known.
///
/// Every category is in one bin, the same on both sides, and counts are exact.
/// Which ones stand alone depends on both sides' sum alone, as it does for few
/// categories: chosen by one side, those would be chosen that chance has made
/// frequent there, and quiet windows would look changed.
fn by_set(values: &Categories, against: &Categories) -> Option<Bins> {
    let both = match (values.sketch(), against.sketch()) {
        (Some(sketch), _) => with(sketch, against)?,
        (None, Some(sketch)) => with(sketch, values)?,
        (None, None) => return None,
    };
    let (values, against) = (values.sets()?, against.sets()?);
    let mut alone: Vec<(usize, Box<str>)> = Vec::new();
    let mut is_alone = [false; SETS];
    for (name, _) in both.frequent().counts {
        let set = Sketch::set_of(&name);
        // Where two frequent ones are in one set, it has the name of the larger.
        if alone.len() < CATEGORY_BINS_MAX - OTHER_BINS && !is_alone[set] {
            is_alone[set] = true;
            alone.push((set, name));
        }
    }
    let (mut current, mut reference) = (vec![0; OTHER_BINS], vec![0; OTHER_BINS]);
    let mut bins = Bins::default();
    for (set, name) in &alone {
        push(&mut bins, name.to_string(), values[*set], against[*set]);
    }
    for set in (0..SETS).filter(|set| !is_alone[*set]) {
        current[set % OTHER_BINS] += values[set];
        reference[set % OTHER_BINS] += against[set];
    }
    for (at, (current, reference)) in current.into_iter().zip(reference).enumerate() {
        push(&mut bins, other_bin(at), current, reference);
    }
    Some(bins)
}

/// The sketch of both; `None` where the other's is not known.
fn with(sketch: &Sketch, other: &Categories) -> Option<Sketch> {
    let mut both = sketch.clone();
    match other.level() {
        0 => other.counts().names().iter().for_each(|(name, count)| both.add(name, count)),
        _ => both.merge(other.sketch()?),
    }
    Some(both)
}

/// A bin, where either side has something in it.
fn push(bins: &mut Bins, name: String, current: u64, reference: u64) {
    if current + reference > 0 {
        bins.categories.push(name);
        bins.current.push(current);
        bins.reference.push(reference);
    }
}

/// Every category of either, ascending by name.
fn rows<'a>(values: &'a Names<'_>, against: &'a Names<'_>) -> Vec<Row<'a>> {
    let (mut a, mut b) = (values.iter().peekable(), against.iter().peekable());
    let mut rows = Vec::with_capacity(a.len().max(b.len()));
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
            let count = |side: Option<(&str, u64)>| side.map_or(0, |(_, count)| count);
            rows.push((name, (count(own), count(other))));
        }
    }
}

#[cfg(test)]
mod tests;
