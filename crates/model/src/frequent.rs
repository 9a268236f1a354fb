//! Which of very many categories are frequent, with a stated error.
//!
//! Two Count-Min sketches (Cormode & Muthukrishnan 2005). One counts names in
//! rows of buckets: the least bucket of a name is never below its count. The
//! other counts every beginning of every name, byte by byte, so that frequent
//! names are found by going on from frequent beginnings, as Cormode &
//! Muthukrishnan find them by ranges of numbers. Both are sums of what the
//! events add, so they merge in any order and split to the same bits, and both
//! err to one side: a frequent category is never missed.

use serde::{Deserialize, Serialize};

use crate::counted_names::{CountedNames, REST_MAX};
use crate::counts::{Counts, in_row};
use crate::summary::CATEGORY_BYTES_MAX;

/// Rows of the sketch of whole names.
const ROWS: usize = 4;
/// Buckets of a row: the sets of categories that [`Sketch::sets`] counts.
pub const SETS: usize = 1 << 12;
/// Rows of the sketch of beginnings.
const PREFIX_ROWS: usize = 3;
const PREFIX_CELLS: usize = 1 << 14;
/// A category with more than one in so many events is found.
const FREQUENT_SHARE: u64 = 256;
/// A count is at most one in so many events too large, with a chance of
/// 1 − 4^−4 = 99.6 %: by Markov's inequality one row is too large by more than
/// four times the mean of its buckets in less than a quarter of all cases, and
/// the least of four rows counts.
const ERROR_SHARE: u64 = SETS as u64 / 4;
/// Beginnings that are followed at a time. Where more are frequent, those with
/// the larger counts are, and [`Frequent::above`] rises to the largest left out.
const FOLLOWED_MAX: usize = 512;
/// Beginnings that are counted in their cells together.
const AT_A_TIME: usize = 512;

/// Counts of very many categories and of the beginnings of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// [`ROWS`] of [`SETS`] buckets.
    buckets: Counts,
    /// [`PREFIX_ROWS`] of [`PREFIX_CELLS`] cells.
    prefixes: Counts,
    /// Which bytes occur in names.
    alphabet: [u64; 4],
}

/// Frequent categories, and how far they can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frequent {
    /// Every category with more events than this is listed.
    pub above: u64,
    /// A count is never too small, and at most so much too large in 99.6 % of cases.
    pub error: u64,
    /// (category, count), most frequent first, ties by name.
    pub counts: Vec<(Box<str>, u64)>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            buckets: Counts::zeros(ROWS * SETS),
            prefixes: Counts::zeros(PREFIX_ROWS * PREFIX_CELLS),
            alphabet: [0; 4],
        }
    }
}

impl Sketch {
    /// Adds all events of counted categories, and hands back up to which level a
    /// sample keeps each (see [`level_max`]).
    ///
    /// Ascending names share beginnings with the one before: what is counted of a
    /// beginning is added up while names go on from it, and put down once.
    pub(crate) fn add_all(&mut self, counts: &CountedNames) -> Vec<u32> {
        let by_cells = |(prefix, count): &(Prefix, u64)| (prefix.of_cells(), *count);
        let by_buckets = |(prefix, count): &(Prefix, u64)| (prefix.of_buckets(), *count);
        let mut names = Vec::with_capacity(counts.len());
        // The beginnings of the name before, and what is not put down of each yet.
        let mut way = [(Prefix::EMPTY, 0u64); 1 + CATEGORY_BYTES_MAX];
        let mut length = 0;
        let mut longer = Vec::with_capacity(AT_A_TIME + CATEGORY_BYTES_MAX);
        counts.visit(|alike, name, count| {
            put_down(&mut way[alike..=length], &mut longer);
            if longer.len() >= AT_A_TIME {
                self.prefixes.add_in_rows::<PREFIX_ROWS, PREFIX_CELLS>(longer.iter().map(by_cells));
                longer.clear();
            }
            let mut prefix = way[alike].0;
            for (longer, byte) in way[1 + alike..].iter_mut().zip(&name[alike..]) {
                self.alphabet[usize::from(byte >> 6)] |= 1 << (byte & 63);
                prefix = prefix.then(*byte);
                *longer = (prefix, 0);
            }
            length = name.len();
            way[length].1 = count;
            names.push((prefix, count));
        });
        put_down(&mut way[..=length], &mut longer);
        self.prefixes.add_in_rows::<PREFIX_ROWS, PREFIX_CELLS>(longer.iter().map(by_cells));
        self.buckets.add_in_rows::<ROWS, SETS>(names.iter().map(by_buckets));
        names.iter().map(|(name, _)| name.level_max()).collect()
    }

    /// Adds `count` events of a category.
    pub fn add(&mut self, category: &str, count: u64) {
        let mut prefix = Prefix::EMPTY;
        for byte in category.bytes() {
            self.alphabet[usize::from(byte >> 6)] |= 1 << (byte & 63);
            prefix = prefix.then(byte);
            prefix.cells().into_iter().for_each(|cell| self.prefixes.add(cell, count));
        }
        prefix.buckets().into_iter().for_each(|bucket| self.buckets.add(bucket, count));
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.add_each(&other.buckets);
        self.prefixes.add_each(&other.prefixes);
        self.alphabet.iter_mut().zip(other.alphabet).for_each(|(own, bytes)| *own |= bytes);
    }

    /// Events of all categories.
    pub fn total(&self) -> u64 {
        self.buckets.iter().take(SETS).fold(0, u64::saturating_add)
    }

    /// Events of each of [`SETS`] sets of categories, exact. Every category is
    /// in one set, the same in every sketch.
    pub fn sets(&self) -> Vec<u64> {
        self.buckets.iter().take(SETS).collect()
    }

    /// The set that a category is in.
    pub fn set_of(category: &str) -> usize {
        Prefix::of(category).buckets()[0]
    }

    /// Events of a category: never too few; see [`Frequent::error`].
    pub fn count(&self, category: &str) -> u64 {
        self.count_at(Prefix::of(category))
    }

    /// Every category with more than one in 256 events, or with more than twice
    /// the mean of a cell where names are so long and so many that it is more.
    pub fn frequent(&self) -> Frequent {
        let total = self.total();
        let first_row = self.prefixes.iter().take(PREFIX_CELLS);
        let in_row = first_row.fold(0u128, |sum, n| sum + u128::from(n));
        let noise = u64::try_from(in_row * 2 / PREFIX_CELLS as u128).unwrap_or(u64::MAX);
        let mut above = noise.max(total / FREQUENT_SHARE);
        let mut found: Vec<(Box<str>, u64)> = Vec::new();
        let mut look = |name: &[u8], prefix: Prefix, above: u64| {
            let count = self.count_at(prefix).min(total);
            if let (true, Ok(name)) = (count > above, std::str::from_utf8(name)) {
                found.push((name.into(), count));
            }
        };
        look(b"", Prefix::EMPTY, above);
        let alphabet: Vec<u8> = (0..=u8::MAX)
            .filter(|byte| self.alphabet[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0)
            .collect();
        let mut followed = vec![(u64::MAX, Vec::new(), Prefix::EMPTY)];
        for _ in 0..CATEGORY_BYTES_MAX {
            let mut longer = Vec::new();
            for (_, name, prefix) in &followed {
                for byte in &alphabet {
                    let next = prefix.then(*byte);
                    let least = next.cells().map(|cell| self.prefixes.get(cell)).into_iter().min();
                    if let Some(least) = least.filter(|least| *least > above) {
                        longer.push((least, [&name[..], &[*byte]].concat(), next));
                    }
                }
            }
            longer.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            if let Some((left_out, ..)) = longer.get(FOLLOWED_MAX) {
                above = *left_out;
                longer.retain(|(least, ..)| *least > above);
            }
            longer.iter().for_each(|(_, name, prefix)| look(name, *prefix, above));
            followed = longer;
            if followed.is_empty() {
                break;
            }
        }
        found.retain(|(_, count)| *count > above);
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Frequent { above, error: total.div_ceil(ERROR_SHARE), counts: found }
    }

    /// Equal sketches are equal bytes: the alphabet, then all counts, seven bits
    /// a byte, the lowest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.buckets.len() + self.prefixes.len());
        self.alphabet.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        for count in self.buckets.iter().chain(self.prefixes.iter()) {
            let mut left = count;
            while left >= 0x80 {
                bytes.push(left as u8 | 0x80);
                left >>= 7;
            }
            bytes.push(left as u8);
        }
        bytes
    }

    /// From what [`Sketch::to_bytes`] wrote; `None` where the bytes are no such,
    /// or no sketch of any events.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut alphabet = [0; 4];
        let mut rest = bytes;
        for word in &mut alphabet {
            let (first, after) = rest.split_first_chunk()?;
            (*word, rest) = (u64::from_le_bytes(*first), after);
        }
        let mut cells = |number: usize| -> Option<Vec<u64>> {
            (0..number).map(|_| varint(&mut rest)).collect()
        };
        let (buckets, prefixes) = (cells(ROWS * SETS)?, cells(PREFIX_ROWS * PREFIX_CELLS)?);
        let sums = |cells: &[u64], row: usize| {
            let sum = |row: &[u64]| row.iter().fold(0u128, |sum, n| sum + u128::from(*n));
            let first = sum(&cells[..row]);
            cells.chunks(row).all(|row| sum(row) == first)
        };
        let whole = rest.is_empty() && sums(&buckets, SETS) && sums(&prefixes, PREFIX_CELLS);
        let of = |cells: Vec<u64>| Counts::of(cells.iter().copied());
        whole.then(|| Self { buckets: of(buckets), prefixes: of(prefixes), alphabet })
    }

    fn count_at(&self, name: Prefix) -> u64 {
        name.buckets().map(|bucket| self.buckets.get(bucket)).into_iter().min().unwrap_or_default()
    }
}

/// Puts down what is left of all beginnings but the shortest, the longest first: what
/// their cells are counted up by. The shortest takes it over.
fn put_down(way: &mut [(Prefix, u64)], cells: &mut Vec<(Prefix, u64)>) {
    let Some(((_, kept), longer)) = way.split_first_mut() else {
        return;
    };
    let mut count = 0u64;
    for (prefix, more) in longer.iter().rev() {
        count = count.saturating_add(*more);
        cells.push((*prefix, count));
    }
    *kept = kept.saturating_add(count);
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for place in 0..10u32 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let part = u64::from(byte & 0x7f);
        if part << (7 * place) >> (7 * place) != part {
            return None;
        }
        number |= part << (7 * place);
        if byte & 0x80 == 0 {
            // The shortest form only.
            return (*byte != 0 || place == 0).then_some(number);
        }
    }
    None
}

/// A name or a beginning of one, by its FNV-1a hash. Where it is counted is
/// part of the stored format: sketches of two versions must merge.
#[derive(Clone, Copy, Debug)]
struct Prefix(u64);

impl Prefix {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn of(name: &str) -> Self {
        name.bytes().fold(Self::EMPTY, Self::then)
    }

    /// See [`level_max`], of a whole name.
    fn level_max(self) -> u32 {
        mixed(self.0).leading_zeros()
    }

    fn then(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// What tells its cells, see [`in_row`].
    fn of_cells(self) -> u64 {
        mixed(self.0 ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// What tells its buckets.
    fn of_buckets(self) -> u64 {
        mixed(self.0 ^ 0xd1b5_4a32_d192_ed03)
    }

    fn cells(self) -> [usize; PREFIX_ROWS] {
        let hash = self.of_cells();
        [0, 1, 2].map(|row| row * PREFIX_CELLS + in_row::<PREFIX_CELLS>(hash, row))
    }

    fn buckets(self) -> [usize; ROWS] {
        let hash = self.of_buckets();
        [0, 1, 2, 3].map(|row| row * SETS + in_row::<SETS>(hash, row))
    }
}

/// Up to which level a sample keeps a category: how many zero bits its hash begins
/// with, of FNV-1a with the finaliser of MurmurHash3, so that the leading bits are
/// as good as the rest. Part of the stored format: a summary that was sampled by
/// one version must merge with that of another.
pub(crate) fn level_max(category: &str) -> u32 {
    Prefix::of(category).level_max()
}

/// The same of each of many.
pub(crate) fn levels_max(counts: &CountedNames) -> Vec<u32> {
    let hashed = |from: Prefix, bytes: &[u8]| bytes.iter().copied().fold(from, Prefix::then);
    let mut levels = Vec::with_capacity(counts.len());
    let (mut alike, mut beginning) = (0, Prefix::EMPTY);
    counts.visit_rests(|of_all, rest, length| {
        if of_all.len() != alike {
            (alike, beginning) = (of_all.len(), hashed(Prefix::EMPTY, of_all));
        }
        let Some(rest) = rest.first_chunk::<REST_MAX>().filter(|_| length <= REST_MAX) else {
            levels.push(hashed(beginning, rest).level_max());
            return;
        };
        // How long a rest is cannot be foreseen: all bytes are gone along, and what
        // is after its end is left out without a branch.
        let mut hash = beginning;
        for (at, byte) in rest.iter().enumerate() {
            let next = hash.then(*byte);
            hash = if at < length { next } else { hash };
        }
        levels.push(hash.level_max());
    });
    levels
}

/// The finaliser of MurmurHash3.
fn mixed(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests;
