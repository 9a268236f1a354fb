//! Counts of categories: of each while they are few enough, else of a sample
//! and of those that are frequent.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::frequent::{Frequent, SETS, Sketch, mixed};
use crate::identifier;

/// Categories counted exactly. Beyond it they are sampled by hash, and a sketch
/// finds the frequent ones (see [`Categories`]).
pub const CATEGORIES_MAX: usize = 8192;
/// A longer category is kept as its beginning and its hash.
pub const CATEGORY_BYTES_MAX: usize = 256;

/// Entries of a map that are walked through in the time of one look-up.
const WALKED_PER_LOOKUP: usize = 6;

/// Counts of categories.
///
/// Exact up to [`CATEGORIES_MAX`] different ones. Beyond it two things are kept:
///
/// - a **sample**: only those whose hash begins with `level` zero bits, with
///   the smallest level that fits (adaptive sampling, Wegman 1984), with exact
///   counts. It tells how many different ones there are and whether they are new;
/// - a **sketch** of all, from which every frequent one is found with its name
///   ([`crate::frequent`]).
///
/// Both depend on the events alone and not on their order or split: the level on
/// the set of categories, the sketch is a sum. So merging stays free of order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    counts: BTreeMap<Box<str>, u64>,
    level: u32,
    total: u64,
    /// Of all events, while `level` is above 0. `None` beyond that where some
    /// of the events come from summaries that had none.
    sketch: Option<Box<Sketch>>,
}

impl Categories {
    /// Adds `count` events of a category.
    pub fn add(&mut self, category: &str, count: u64) {
        let short = shortened(category);
        if let Some(sketch) = &mut self.sketch {
            sketch.add(&short, count);
        }
        self.total += count;
        self.keep(&short, count);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        let own = match (self.level, other.level) {
            (0, 0) => None,
            (0, _) => Some(Box::new(Sketch::of(&self.counts))),
            _ => self.sketch.take(),
        };
        self.sketch = own.and_then(|mut own| {
            match other.level {
                0 => own.add_all(&other.counts),
                _ => own.merge(other.sketch.as_deref()?),
            }
            Some(own)
        });
        self.total += other.total;
        if other.level > self.level {
            self.level = other.level;
            self.drop_below_level();
        }
        self.keep_all(other);
    }

    /// (category, count), ascending by name: all at level 0, else the sample.
    pub fn counts(&self) -> &BTreeMap<Box<str>, u64> {
        &self.counts
    }

    /// Events of all categories.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// 0 while the counts are exact.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The sketch that is kept: none at level 0, and none beyond it where some
    /// of the events come from summaries that had none.
    pub fn sketch(&self) -> Option<&Sketch> {
        self.sketch.as_deref()
    }

    /// Events of each of the [`SETS`] sets of categories that a sketch counts;
    /// `None` where they are not known.
    pub fn sets(&self) -> Option<Cow<'_, [u64]>> {
        if self.level > 0 {
            return self.sketch().map(|sketch| Cow::Borrowed(sketch.sets()));
        }
        let mut sets = vec![0u64; SETS];
        for (category, count) in &self.counts {
            let of_set = &mut sets[Sketch::set_of(category)];
            *of_set = of_set.saturating_add(*count);
        }
        Some(Cow::Owned(sets))
    }

    /// The frequent ones beyond level 0, where they are known. The count of one
    /// that is in the sample too is exact.
    pub fn frequent(&self) -> Option<Frequent> {
        let mut frequent = self.sketch()?.frequent();
        for (category, count) in &mut frequent.counts {
            *count = self.counts.get(category).copied().unwrap_or(*count);
        }
        Some(frequent)
    }

    /// True where a sample of that level keeps the category.
    pub fn is_kept_at(category: &str, level: u32) -> bool {
        level == 0 || stable_hash(category).leading_zeros() >= level
    }

    /// The sample that would be kept at a level of at least `level`, without a
    /// sketch: two that are to be compared have to sample the same categories.
    pub fn at_level(&self, level: u32) -> Cow<'_, Self> {
        if level <= self.level {
            return Cow::Borrowed(self);
        }
        let kept = self.counts.iter().filter(|(category, _)| Self::is_kept_at(category, level));
        let counts = kept.map(|(category, count)| (category.clone(), *count)).collect();
        Cow::Owned(Self { counts, level, total: self.total, sketch: None })
    }

    /// Events of categories that are not kept by name.
    pub fn other(&self) -> u64 {
        self.total - self.kept()
    }

    /// How many different categories: exact at level 0, else as many as are kept
    /// times 2^level, because a category is kept with a chance of 2^−level.
    pub fn distinct(&self) -> u64 {
        let factor = 1u64.checked_shl(self.level).unwrap_or(u64::MAX);
        (self.counts.len() as u64).saturating_mul(factor)
    }

    /// Relative standard error of [`Categories::distinct`]; `None` where it is
    /// exact. It is that of adaptive sampling: 1.20 / √bound (Flajolet 1990).
    pub fn distinct_error(&self) -> Option<f64> {
        (self.level > 0).then(|| 1.20 / (CATEGORIES_MAX as f64).sqrt())
    }

    /// The `n` most frequent, most frequent first, ties by name; and how far that
    /// can be trusted beyond level 0. Without a sketch they are those of the sample.
    pub fn top(&self, n: usize) -> (Vec<(String, u64)>, Option<Frequent>) {
        let frequent = self.frequent();
        let cut = Cut::of_largest(self.counts.values().copied(), n);
        let mut all: Vec<(&str, u64)> =
            cut.taken(self.counts.iter().map(|(category, count)| (&**category, *count)), |it| it.1);
        for (category, count) in frequent.iter().flat_map(|frequent| &frequent.counts) {
            if !self.counts.contains_key(category) {
                all.push((category, *count));
            }
        }
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        // Counts that are too large never come to more than there are.
        let mut left = self.total;
        let top = all.into_iter().take(n).map(|(category, count)| {
            let count = count.min(left);
            left -= count;
            (category.to_owned(), count)
        });
        (top.collect(), frequent)
    }

    /// From what [`Categories::counts`], [`Categories::level`],
    /// [`Categories::other`] and [`Categories::sketch`] gave; `None` where they
    /// contradict each other.
    pub fn from_parts(
        counts: BTreeMap<Box<str>, u64>,
        level: u32,
        other: u64,
        sketch: Option<Sketch>,
    ) -> Option<Self> {
        let kept = counts.values().try_fold(0u64, |sum, count| sum.checked_add(*count))?;
        let total = kept.checked_add(other)?;
        let fits = counts.len() <= CATEGORIES_MAX
            && level <= 64
            && (level > 0 || (other == 0 && sketch.is_none()))
            && sketch.as_ref().is_none_or(|sketch| sketch.total() == total);
        fits.then(|| Self { counts, level, total, sketch: sketch.map(Box::new) })
    }

    /// Takes a category into the counts, where the level does not leave it out.
    fn keep(&mut self, category: &str, count: u64) {
        if let Some(own) = self.counts.get_mut(category) {
            *own += count;
            return;
        }
        if !Self::is_kept_at(category, self.level) {
            return;
        }
        self.counts.insert(category.into(), count);
        self.hold_bound();
    }

    /// Takes many categories in, few by looking each of them up, many by one walk
    /// through both.
    fn keep_all(&mut self, other: &Self) {
        let others = &other.counts;
        // Where the bound may be passed, the sketch is made of all of them at once.
        let stays = self.level > 0 || self.counts.len() + others.len() <= CATEGORIES_MAX;
        if stays && others.len() * WALKED_PER_LOOKUP < self.counts.len() {
            others.iter().for_each(|(category, count)| self.keep(category, *count));
            return;
        }
        let (level, kept) = (self.level, other.level);
        let mut others = others
            .iter()
            .filter(|(category, _)| level == kept || Self::is_kept_at(category, level))
            .peekable();
        // Windows mostly know the categories of a pane already: those are counted
        // where they are, and nothing is moved.
        let mut fresh: Vec<(&str, u64)> = Vec::new();
        for (category, count) in &mut self.counts {
            while let Some(&(other, more)) = others.peek() {
                let order = other.cmp(category);
                match order {
                    Ordering::Less => fresh.push((other, *more)),
                    Ordering::Equal => *count += *more,
                    Ordering::Greater => break,
                }
                others.next();
                if order.is_eq() {
                    break;
                }
            }
        }
        fresh.extend(others.map(|(other, more)| (&**other, *more)));
        if fresh.len() * WALKED_PER_LOOKUP < self.counts.len() {
            self.counts.extend(fresh.into_iter().map(|(other, more)| (other.into(), more)));
        } else {
            let own = std::mem::take(&mut self.counts);
            self.counts = joined(own, fresh);
        }
        self.hold_bound();
    }

    /// Samples, or samples fewer, once there are too many.
    fn hold_bound(&mut self) {
        if self.level == 0 && self.counts.len() > CATEGORIES_MAX {
            self.sketch = Some(Box::new(Sketch::of(&self.counts)));
        }
        while self.counts.len() > CATEGORIES_MAX {
            self.level += 1;
            self.drop_below_level();
        }
    }

    fn drop_below_level(&mut self) {
        let level = self.level;
        self.counts.retain(|category, _| Self::is_kept_at(category, level));
    }

    fn kept(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// Which of many counts are the largest: those above a count, and the first of
/// those that are equal to it. Found without comparing a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Every larger count is one of them.
    above: u64,
    /// So many of the counts that are equal to it are, too.
    ties: usize,
}

impl Cut {
    /// That of the `n` largest.
    pub fn of_largest(counts: impl Iterator<Item = u64>, n: usize) -> Self {
        let mut counts: Vec<u64> = counts.collect();
        if n == 0 {
            return Self { above: u64::MAX, ties: 0 };
        }
        if counts.len() <= n {
            return Self { above: 0, ties: n };
        }
        let (larger, above, _) = counts.select_nth_unstable_by(n - 1, |a, b| b.cmp(a));
        let above = *above;
        Self { above, ties: n - larger.iter().filter(|count| **count > above).count() }
    }

    /// The largest in the order in which they come, where the first of equal ones
    /// are taken: with items ascending by name, as if ties went by name.
    pub fn taken<T>(self, items: impl Iterator<Item = T>, count: impl Fn(&T) -> u64) -> Vec<T> {
        let mut ties = self.ties;
        let mut is_taken = |item: &T| match count(item).cmp(&self.above) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => {
                let is_left = ties > 0;
                ties = ties.saturating_sub(1);
                is_left
            }
        };
        items.filter(|item| is_taken(item)).collect()
    }
}

/// Categories of two, which have none in common, both ascending by name: made anew
/// in one go, which costs less than to insert very many.
fn joined(own: BTreeMap<Box<str>, u64>, fresh: Vec<(&str, u64)>) -> BTreeMap<Box<str>, u64> {
    let mut fresh = fresh.into_iter().peekable();
    let mut all = Vec::with_capacity(own.len() + fresh.len());
    for (category, count) in own {
        while let Some((other, more)) = fresh.next_if(|(other, _)| **other < *category) {
            all.push((other.into(), more));
        }
        all.push((category, count));
    }
    all.extend(fresh.map(|(other, more)| (other.into(), more)));
    all.into_iter().collect()
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

/// FNV-1a over the bytes, then the finaliser of MurmurHash3 so that the
/// leading bits are as good as the rest. Part of the stored format: a summary
/// that was sampled by one version must merge with that of another.
fn stable_hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mixed(hash)
}

#[cfg(test)]
mod tests;
