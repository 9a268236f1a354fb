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

use crate::counted_names::{CountedNames, REST_MAX, Rests};
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
pub(crate) const FREQUENT_SHARE: u64 = 256;
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
        u64::try_from(self.buckets.sum_of(0..SETS)).unwrap_or(u64::MAX)
    }

    /// Events of each of [`SETS`] sets of categories, exact. Every category is
    /// in one set, the same in every sketch.
    pub fn sets(&self) -> Vec<u64> {
        self.buckets.all_of(0..SETS)
    }

    /// The set that a category is in.
    pub fn set_of(category: &str) -> usize {
        Prefix::of(category).buckets()[0]
    }

    /// Events of a category: never too few; see [`Frequent::error`].
    pub fn count(&self, category: &str) -> u64 {
        self.count_at(Prefix::of(category))
    }

    /// The same, and never too few of any of its beginnings either: where it is more
    /// than [`Frequent::above`], the category is listed.
    pub(crate) fn at_most(&self, category: &str) -> u64 {
        let mut prefix = Prefix::EMPTY;
        let mut least = u64::MAX;
        for byte in category.bytes() {
            prefix = prefix.then(byte);
            let cells = prefix.cells().map(|cell| self.prefixes.get(cell));
            least = cells.into_iter().fold(least, u64::min);
        }
        least.min(self.count_at(prefix))
    }

    /// Every category with more than one in 256 events, or with more than twice
    /// the mean of a cell where names are so long and so many that it is more.
    pub fn frequent(&self) -> Frequent {
        let total = self.total();
        let in_row = self.prefixes.sum_of(0..PREFIX_CELLS);
        let noise = u64::try_from(in_row * 2 / PREFIX_CELLS as u128).unwrap_or(u64::MAX);
        let above = noise.max(total / FREQUENT_SHARE);
        let (above, mut counts) = match &self.prefixes {
            Counts::One(cells) => self.search(cells, total, above),
            Counts::Two(cells) => self.search(cells, total, above),
            Counts::Four(cells) => self.search(cells, total, above),
            Counts::Eight(cells) => self.search(cells, total, above),
        };
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Frequent { above, error: total.div_ceil(ERROR_SHARE), counts }
    }

    /// Goes on from frequent beginnings, a byte at a time, and hands back above what
    /// count every category is found, and these in no order.
    fn search<T: Copy + Into<u64>>(
        &self,
        cells: &[T],
        total: u64,
        mut above: u64,
    ) -> (u64, Vec<(Box<str>, u64)>) {
        let alphabet: Vec<u8> = (0..=u8::MAX)
            .filter(|byte| self.alphabet[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0)
            .collect();
        // Each beginning that was followed has the number of the one that it goes on
        // from: names are written out of those alone that are found.
        let mut ways = vec![Way { before: 0, byte: 0, prefix: Prefix::EMPTY, least: u64::MAX }];
        let mut found: Vec<(usize, u64)> = Vec::new();
        let look = |at: usize, prefix: Prefix, above: u64, found: &mut Vec<(usize, u64)>| {
            let count = self.count_at(prefix).min(total);
            if count > above {
                found.push((at, count));
            }
        };
        look(0, Prefix::EMPTY, above, &mut found);
        let mut followed = 0..1;
        for _ in 0..CATEGORY_BYTES_MAX {
            let mut longer = Vec::new();
            for before in followed {
                let prefix = ways[before].prefix;
                for byte in &alphabet {
                    let prefix = prefix.then(*byte);
                    if let Some(least) = prefix.least_above(cells, above) {
                        longer.push(Way { before, byte: *byte, prefix, least });
                    }
                }
            }
            if longer.len() > FOLLOWED_MAX {
                let order = |a: &Way, b: &Way| b.least.cmp(&a.least);
                above = longer.select_nth_unstable_by(FOLLOWED_MAX, order).1.least;
                longer.retain(|way| way.least > above);
            }
            followed = ways.len()..ways.len() + longer.len();
            for (at, way) in followed.clone().zip(&longer) {
                look(at, way.prefix, above, &mut found);
            }
            if longer.is_empty() {
                break;
            }
            ways.append(&mut longer);
        }
        found.retain(|(_, count)| *count > above);
        let named = found.into_iter().filter_map(|(at, count)| Some((name(&ways, at)?, count)));
        (above, named.collect())
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

/// A beginning that is followed.
struct Way {
    /// The number of the one that it goes on from.
    before: usize,
    byte: u8,
    prefix: Prefix,
    /// The least of its cells.
    least: u64,
}

/// What the way to a beginning spells; `None` where that is no text.
fn name(ways: &[Way], mut at: usize) -> Option<Box<str>> {
    let mut bytes = Vec::new();
    while at > 0 {
        bytes.push(ways[at].byte);
        at = ways[at].before;
    }
    bytes.reverse();
    String::from_utf8(bytes).ok().map(String::into_boxed_str)
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

/// What FNV-1a multiplies with.
const FACTOR: u64 = 0x0000_0100_0000_01b3;
/// What takes so many multiplications back, modulo 2^64.
const TAKEN_BACK: [u64; 1 + REST_MAX] = {
    // Each step doubles the bits that are right (Newton); of any odd number three are.
    let (mut inverse, mut bits) = (FACTOR, 3);
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(FACTOR.wrapping_mul(inverse)));
        bits *= 2;
    }
    let (mut powers, mut at) = ([1u64; 1 + REST_MAX], 1);
    while at <= REST_MAX {
        powers[at] = powers[at - 1].wrapping_mul(inverse);
        at += 1;
    }
    powers
};

/// A name or a beginning of one, by its FNV-1a hash. Where it is counted is
/// part of the stored format: sketches of two versions must merge.
#[derive(Clone, Copy, Debug)]
struct Prefix(u64);

impl Prefix {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn of(name: &str) -> Self {
        Self::EMPTY.then_all(name.as_bytes())
    }

    fn then_all(self, bytes: &[u8]) -> Self {
        bytes.iter().copied().fold(self, Self::then)
    }

    /// See [`level_max`], of a whole name.
    fn level_max(self) -> u32 {
        mixed(self.0).leading_zeros()
    }

    fn then(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(FACTOR))
    }

    /// What it was before so many bytes 0 at its end, at most [`REST_MAX`].
    fn without_zeros(self, zeros: usize) -> Self {
        Self(self.0.wrapping_mul(TAKEN_BACK[zeros]))
    }

    /// What tells its cells, see [`in_row`].
    fn of_cells(self) -> u64 {
        mixed(self.0 ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// What tells its buckets.
    fn of_buckets(self) -> u64 {
        mixed(self.0 ^ 0xd1b5_4a32_d192_ed03)
    }

    /// The least of its cells, where each is above a count.
    fn least_above<T: Copy + Into<u64>>(self, cells: &[T], above: u64) -> Option<u64> {
        let hash = self.of_cells();
        let (rows, _) = cells.as_chunks::<PREFIX_CELLS>();
        let mut least = u64::MAX;
        for (row, cells) in rows.iter().enumerate() {
            least = least.min(cells[in_row::<PREFIX_CELLS>(hash, row)].into());
            if least <= above {
                return None;
            }
        }
        Some(least)
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
pub(crate) fn levels_max(names: &impl Rests) -> Vec<u32> {
    Hashes::of(names).levels_max()
}

/// What tells of each of many names its set, and up to which level a sample keeps it.
#[derive(Clone, Debug)]
pub struct Hashes(Vec<Prefix>);

impl Hashes {
    pub(crate) fn of(names: &impl Rests) -> Self {
        match names.rest_max() {
            0..=4 => Self::of_rests::<4>(names),
            5 => Self::of_rests::<5>(names),
            6 => Self::of_rests::<6>(names),
            7..=REST_MAX => Self::of_rests::<REST_MAX>(names),
            _ => Self::of_texts(names),
        }
    }

    /// Of rests of at most so many bytes. How long one is cannot be foreseen: so many are
    /// gone along, and those after its end, which are 0, are taken back at once.
    fn of_rests<const MOST: usize>(names: &impl Rests) -> Self {
        let mut hashes = Vec::with_capacity(names.len());
        let mut beginning = None;
        names.visit_rests(|of_all, rest, length| {
            let beginning = *beginning.get_or_insert_with(|| Prefix::EMPTY.then_all(of_all));
            let rest = rest.first_chunk::<MOST>().expect("there are bytes 0 after it");
            hashes.push(beginning.then_all(rest).without_zeros(MOST - length));
        });
        Self(hashes)
    }

    fn of_texts(names: &impl Rests) -> Self {
        let mut hashes = Vec::with_capacity(names.len());
        names.visit_rests(|of_all, rest, length| {
            hashes.push(Prefix::EMPTY.then_all(of_all).then_all(&rest[..length]));
        });
        Self(hashes)
    }

    /// See [`Sketch::set_of`].
    pub fn sets(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(|name| in_row::<SETS>(name.of_buckets(), 0))
    }

    /// The set of the name with a number.
    pub fn set(&self, at: usize) -> usize {
        in_row::<SETS>(self.0[at].of_buckets(), 0)
    }

    /// See [`level_max`].
    pub(crate) fn levels_max(&self) -> Vec<u32> {
        self.0.iter().map(|name| name.level_max()).collect()
    }
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
