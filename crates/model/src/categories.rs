//! Counts of categories: of each while they are few enough, else of a sample
//! and of those that are frequent.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::counted_names::CountedNames;
use crate::frequent::{self, Frequent, Hashes, SETS, Sketch};
use crate::identifier;

/// Categories counted exactly. Beyond it they are sampled by hash, and a sketch
/// finds the frequent ones (see [`Categories`]).
pub const CATEGORIES_MAX: usize = 8192;
/// Categories of a sample. Fewer than are counted exactly, so that two panes with
/// samples and sketches are merged within 20 µs; earlier versions kept as many.
pub const SAMPLED_MAX: usize = 4096;
/// Bytes that the names may have together that are counted exactly: 32 for each of as
/// many. A delta of one feature is one record and has to fit into it.
pub const EXACT_BYTES_MAX: usize = 32 * CATEGORIES_MAX;
/// Bytes that the names of a sample may have together.
pub const SAMPLED_BYTES_MAX: usize = 32 * SAMPLED_MAX;
/// A longer category is kept as its beginning and its hash.
pub const CATEGORY_BYTES_MAX: usize = 256;

/// Counts of categories.
///
/// Exact up to [`CATEGORIES_MAX`] different ones with [`EXACT_BYTES_MAX`] bytes of
/// names. Beyond it two things are kept:
///
/// - a **sample** of at most [`SAMPLED_MAX`] with [`SAMPLED_BYTES_MAX`] bytes: only those whose hash begins with
///   `level` zero bits, with the smallest level that fits (adaptive sampling,
///   Wegman 1984), with exact counts. It tells how many different ones there are
///   and whether they are new;
/// - a **sketch** of all, from which every frequent one is found with its name
///   ([`crate::frequent`]).
///
/// Both depend on the events alone and not on their order or split: the level on
/// the set of categories, the sketch is a sum. So merging stays free of order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories(
    /// `None` where there are none, as of most subjects: so they take a pointer.
    Option<Box<Kept>>,
);

/// What is kept of categories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    counts: CountedNames,
    level: u32,
    total: u64,
    /// Of all events, while `level` is above 0. `None` beyond that where some
    /// of the events come from summaries that had none.
    sketch: Option<Box<Sketch>>,
    #[serde(skip)]
    searched: Searched,
}

/// The frequent ones once they have been searched: a baseline is asked for them with
/// every window. What they are found in tells all of it, so it is no part of what is
/// equal, stored or copied.
#[derive(Debug, Default)]
struct Searched(OnceLock<Box<Frequent>>);

impl Clone for Searched {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Searched {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Searched {}

static NONE: Kept = Kept {
    counts: CountedNames::NONE,
    level: 0,
    total: 0,
    sketch: None,
    searched: Searched(OnceLock::new()),
};

impl Categories {
    /// Adds `count` events of a category.
    pub fn add(&mut self, category: &str, count: u64) {
        self.0.get_or_insert_default().add(&shortened(category), count);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_default().merge(other);
        }
    }

    /// (category, count), ascending by name: all at level 0, else the sample.
    pub fn counts(&self) -> &CountedNames {
        &self.kept().counts
    }

    /// Events of all categories.
    pub fn total(&self) -> u64 {
        self.kept().total
    }

    /// 0 while the counts are exact.
    pub fn level(&self) -> u32 {
        self.kept().level
    }

    /// The sketch that is kept: none at level 0, and none beyond it where some
    /// of the events come from summaries that had none.
    pub fn sketch(&self) -> Option<&Sketch> {
        self.kept().sketch.as_deref()
    }

    /// Events of each of the [`SETS`] sets of categories that a sketch counts;
    /// `None` where they are not known.
    pub fn sets(&self) -> Option<Vec<u64>> {
        self.sets_by(|| Cow::Owned(self.counts().hashes()))
    }

    /// The same, by what [`CountedNames::hashes`] of the own counts tells, if it is
    /// needed.
    pub fn sets_by<'a>(&self, hashes: impl FnOnce() -> Cow<'a, Hashes>) -> Option<Vec<u64>> {
        if self.level() > 0 {
            return self.sketch().map(Sketch::sets);
        }
        let mut sets = vec![0u64; SETS];
        for (set, count) in hashes().sets().zip(self.counts().all()) {
            sets[set] = sets[set].saturating_add(count);
        }
        Some(sets)
    }

    /// The frequent ones beyond level 0, where they are known. The count of one
    /// that is in the sample too is exact.
    pub fn frequent(&self) -> Option<&Frequent> {
        let (kept, sketch) = (self.kept(), self.sketch()?);
        Some(kept.searched.0.get_or_init(|| {
            let mut frequent = sketch.frequent();
            for (category, count) in &mut frequent.counts {
                *count = kept.counts.get(category).unwrap_or(*count);
            }
            Box::new(frequent)
        }))
    }

    /// The frequent ones at any level, where they are known.
    pub fn largest(&self) -> Option<Cow<'_, Frequent>> {
        if self.level() > 0 {
            return self.frequent().map(Cow::Borrowed);
        }
        let above = self.total() / frequent::FREQUENT_SHARE;
        let mut counts = self.counts().above(above);
        counts.sort_by_key(|(_, count)| Reverse(*count));
        Some(Cow::Owned(Frequent { above, error: 0, counts }))
    }

    /// Events of a category, never too few: exact at level 0, else as the sketch has
    /// them. Where it is more than [`Frequent::above`] of [`Categories::largest`], the
    /// category is listed there.
    pub fn at_most(&self, category: &str) -> Option<u64> {
        match self.level() {
            0 => Some(self.counts().get(category).unwrap_or_default()),
            _ => self.sketch().map(|sketch| sketch.at_most(category)),
        }
    }

    /// True where a sample of that level keeps the category.
    pub fn is_kept_at(category: &str, level: u32) -> bool {
        level == 0 || frequent::level_max(category) >= level
    }

    /// The sample that would be kept at a level of at least `level`, without a
    /// sketch: two that are to be compared have to sample the same categories.
    pub fn at_level(&self, level: u32) -> Cow<'_, Self> {
        self.at_level_by(level, || Cow::Owned(self.counts().hashes()))
    }

    /// The same, by what [`CountedNames::hashes`] of the own counts tells, if it is
    /// needed.
    pub fn at_level_by<'a>(
        &self,
        level: u32,
        hashes: impl FnOnce() -> Cow<'a, Hashes>,
    ) -> Cow<'_, Self> {
        if level <= self.level() {
            return Cow::Borrowed(self);
        }
        let levels = hashes().levels_max();
        let counts = self.counts().filtered(|at| levels[at] >= level);
        let kept = Kept { counts, level, total: self.total(), ..Kept::default() };
        Cow::Owned(Self(Some(Box::new(kept))))
    }

    /// Events of categories that are not kept by name.
    pub fn other(&self) -> u64 {
        self.total() - self.counts().total()
    }

    /// How many different categories: exact at level 0, else as many as are kept
    /// times 2^level, because a category is kept with a chance of 2^−level.
    pub fn distinct(&self) -> u64 {
        let factor = 1u64.checked_shl(self.level()).unwrap_or(u64::MAX);
        (self.counts().len() as u64).saturating_mul(factor)
    }

    /// Relative standard error of [`Categories::distinct`]; `None` where it is
    /// exact. It is that of adaptive sampling: 1.20 / √bound (Flajolet 1990), of names
    /// that are so long that fewer fit of as many as do.
    pub fn distinct_error(&self) -> Option<f64> {
        (self.level() > 0).then(|| {
            let bytes: usize = self.counts().lengths().iter().sum();
            let length = bytes as f64 / self.counts().len().max(1) as f64;
            let bound = (SAMPLED_BYTES_MAX as f64 / length).min(SAMPLED_MAX as f64);
            1.20 / bound.sqrt()
        })
    }

    /// The `n` most frequent, most frequent first, ties by name; and how far that
    /// can be trusted beyond level 0. Without a sketch they are those of the sample.
    pub fn top(&self, n: usize) -> (Vec<(String, u64)>, Option<&Frequent>) {
        let frequent = self.frequent();
        let (names, counts) = (self.counts().names(), self.counts().all());
        let largest = largest(counts.len(), n, |at| counts[at]);
        let mut all: Vec<(&str, u64)> = largest.into_iter().map(|at| names.at(at)).collect();
        for (category, count) in frequent.into_iter().flat_map(|frequent| &frequent.counts) {
            if !self.counts().contains(category) {
                all.push((category, *count));
            }
        }
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        // Counts that are too large never come to more than there are.
        let mut left = self.total();
        let top = all.into_iter().take(n).map(|(category, count)| {
            let count = count.min(left);
            left -= count;
            (category.to_owned(), count)
        });
        (top.collect(), frequent)
    }

    /// From what [`Categories::counts`], [`Categories::level`],
    /// [`Categories::other`] and [`Categories::sketch`] gave, in this version or an
    /// earlier one; `None` where they contradict each other.
    pub fn from_parts(
        counts: CountedNames,
        level: u32,
        other: u64,
        sketch: Option<Sketch>,
    ) -> Option<Self> {
        let kept = counts.counts().try_fold(0, u64::checked_add)?;
        let total = kept.checked_add(other)?;
        let fits = counts.len() <= CATEGORIES_MAX
            && level <= 64
            && (level > 0 || (other == 0 && sketch.is_none()))
            && sketch.as_ref().is_none_or(|sketch| sketch.total() == total);
        let sketch = sketch.map(Box::new);
        let mut kept = Kept { counts, level, total, sketch, searched: Searched::default() };
        kept.hold_bound();
        fits.then(|| Self((kept != NONE).then(|| Box::new(kept))))
    }

    fn kept(&self) -> &Kept {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl Kept {
    fn add(&mut self, category: &str, count: u64) {
        self.searched.0.take();
        if let Some(sketch) = &mut self.sketch {
            sketch.add(category, count);
        }
        self.total = self.total.saturating_add(count);
        self.keep(category, count);
    }

    fn merge(&mut self, other: &Self) {
        self.searched.0.take();
        self.total = self.total.saturating_add(other.total);
        if self.level == 0 && other.level == 0 {
            self.counts.merge(&other.counts);
            self.hold_bound();
            return;
        }
        let mut others = Cow::Borrowed(&other.counts);
        // What is exact is added to the sketch of the other, and sampled on the way.
        if self.level == 0 {
            let own = std::mem::take(&mut self.counts);
            self.level = other.level;
            let (sketch, sampled) = sketched(other.sketch.clone(), &own, self.level);
            (self.sketch, self.counts) = (sketch, sampled);
        } else if other.level == 0 {
            let own = self.sketch.take();
            let (sketch, sampled) = sketched(own, &other.counts, self.level);
            (self.sketch, others) = (sketch, Cow::Owned(sampled));
        } else {
            match (&mut self.sketch, &other.sketch) {
                (Some(own), Some(other)) => own.merge(other),
                (sketch, _) => *sketch = None,
            }
            if other.level > self.level {
                self.level = other.level;
                self.counts = at_level(&self.counts, self.level);
            } else if other.level < self.level {
                others = Cow::Owned(at_level(&other.counts, self.level));
            }
        }
        self.counts.merge(&others);
        self.hold_bound();
    }

    /// Takes a category into the counts, where the level does not leave it out.
    fn keep(&mut self, category: &str, count: u64) {
        if self.counts.bump(category, count) || !Categories::is_kept_at(category, self.level) {
            return;
        }
        self.counts.add(category, count);
        self.hold_bound();
    }

    /// Samples, or samples fewer, once there are too many.
    fn hold_bound(&mut self) {
        let (names, bytes) = match self.level {
            0 => (CATEGORIES_MAX, EXACT_BYTES_MAX),
            _ => (SAMPLED_MAX, SAMPLED_BYTES_MAX),
        };
        if self.counts.len() <= names && !self.counts.is_longer_than(bytes) {
            return;
        }
        let levels = if self.level == 0 {
            let mut sketch = Box::<Sketch>::default();
            let levels = sketch.add_all(&self.counts);
            self.sketch = Some(sketch);
            levels
        } else {
            frequent::levels_max(&self.counts)
        };
        let is_long = self.counts.is_longer_than(SAMPLED_BYTES_MAX);
        let lengths = if is_long { self.counts.lengths() } else { Vec::new() };
        let fits = |level: u32| {
            let kept = || levels.iter().enumerate().filter(move |(_, most)| **most >= level);
            let bytes = || kept().map(|(at, _)| lengths[at]).sum::<usize>();
            kept().count() <= SAMPLED_MAX && (!is_long || bytes() <= SAMPLED_BYTES_MAX)
        };
        self.level = (self.level..u64::BITS).find(|level| fits(*level)).unwrap_or(u64::BITS);
        self.counts = self.counts.filtered(|at| levels[at] >= self.level);
    }
}

/// A sketch with exact counts added to it, if there is one, and what a sample of
/// that level keeps of these.
fn sketched(
    sketch: Option<Box<Sketch>>,
    counts: &CountedNames,
    level: u32,
) -> (Option<Box<Sketch>>, CountedNames) {
    match sketch {
        None => (None, at_level(counts, level)),
        Some(mut sketch) => {
            let levels = sketch.add_all(counts);
            (Some(sketch), counts.filtered(|at| levels[at] >= level))
        }
    }
}

/// What a sample of that level keeps.
fn at_level(counts: &CountedNames, level: u32) -> CountedNames {
    let levels = frequent::levels_max(counts);
    counts.filtered(|at| levels[at] >= level)
}

/// Counts of which a first look tells about how large the largest are.
const LOOKED_AT: usize = 512;

/// The numbers of the `n` largest of so many counts, ascending; of equal ones the first.
/// With names that ascend, it is as if ties went by name, and no name is compared.
pub fn largest(length: usize, n: usize, count: impl Fn(usize) -> u64) -> Vec<usize> {
    if length <= n {
        return (0..length).collect();
    }
    if n == 0 {
        return Vec::new();
    }
    let mut found = at_least(length, floor(length, n, &count), &count);
    if found.len() < n {
        found = at_least(length, 0, &count);
    }
    let mut counts: Vec<u64> = found.iter().map(|at| count(*at)).collect();
    let (larger, least, _) = counts.select_nth_unstable_by(n - 1, |a, b| b.cmp(a));
    let least = *least;
    let mut ties = n - larger.iter().filter(|count| **count > least).count();
    found.retain(|at| {
        let is_tie = count(*at) == least;
        let is_taken = count(*at) > least || (is_tie && ties > 0);
        ties -= usize::from(is_tie && is_taken);
        is_taken
    });
    found
}

/// A count that the `n` largest are probably not below, and few others above.
fn floor(length: usize, n: usize, count: impl Fn(usize) -> u64) -> u64 {
    let step = (length / LOOKED_AT).max(1);
    let mut some: Vec<u64> = (0..length).step_by(step).map(count).collect();
    // Half as many more as are expected, and some for chance.
    let rank = (n / step * 3 / 2 + 8).min(some.len() - 1);
    *some.select_nth_unstable_by(rank, |a, b| b.cmp(a)).1
}

/// The numbers of those that are not below a count. Which ones these are cannot be
/// foreseen, so each is put down, and the next one in its place where it is below.
fn at_least(length: usize, floor: u64, count: impl Fn(usize) -> u64) -> Vec<usize> {
    let (mut found, mut number) = (vec![0; length], 0);
    for at in 0..length {
        found[number] = at;
        number += usize::from(count(at) >= floor);
    }
    found.truncate(number);
    found
}

fn shortened(category: &str) -> Cow<'_, str> {
    if category.len() <= CATEGORY_BYTES_MAX {
        return Cow::Borrowed(category);
    }
    let hash = &identifier::sha256_hex(category.as_bytes())[..16];
    let mut end = CATEGORY_BYTES_MAX - hash.len() - '…'.len_utf8();
    while !category.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}…{hash}", &category[..end]))
}

#[cfg(test)]
mod tests;
