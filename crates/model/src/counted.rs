//! Counts by key in as little memory as they need: the cells that a pane touches
//! lie close together and hold a few events each, so a bit tells that a cell is
//! one of them and a byte how many events it has.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::counts::{Counts, room_for};

/// New keys into so many times as many: each is looked up. Otherwise one pass over both.
const WALKED_PER_LOOKUP: usize = 8;
/// Keys of which a word marks which ones are counted.
const WORD: i32 = u64::BITS as i32;

/// A key: a number that counts can be marked under.
pub trait Key: Copy + Ord {
    /// The number.
    fn number(self) -> i32;
    /// The key of a number that [`Key::number`] gave.
    fn of(number: i32) -> Self;
}

impl Key for i32 {
    fn number(self) -> i32 {
        self
    }

    fn of(number: i32) -> Self {
        number
    }
}

impl Key for u16 {
    fn number(self) -> i32 {
        self.into()
    }

    fn of(number: i32) -> Self {
        number as Self
    }
}

/// Counts by key, ascending by key. Equal contents are equal: how they are kept
/// follows from what is kept, and counts only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<K> {
    keys: Keys<K>,
    counts: Counts,
}

/// Which keys are counted, whichever way takes less.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Keys<K> {
    /// Each, ascending.
    Listed(Vec<K>),
    /// As bits, from key 64 `first` on. Neither the first nor the last word is 0.
    Marked { first: i32, words: Vec<u64> },
}

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self { keys: Keys::Listed(Vec::new()), counts: Counts::default() }
    }
}

impl<K> Counted<K> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Key> Counted<K> {
    /// From (key, count) that ascend by key, in as much room as they need.
    pub fn of(cells: &[(K, u64)]) -> Self {
        let counts = Counts::of(cells.iter().map(|(_, count)| *count));
        Self { keys: Keys::of(cells.iter().map(|(key, _)| *key), cells.len()), counts }
    }

    /// (key, count), ascending by key.
    pub fn iter(&self) -> Iter<'_, K> {
        let back = match &self.keys {
            Keys::Listed(_) => (0, 0),
            Keys::Marked { words, .. } => (words.len(), 0),
        };
        Iter { counted: self, range: (0, self.len()), front: (0, 0), back }
    }

    /// As [`Counted::iter`] tells them, at once.
    pub fn cells(&self) -> Vec<(K, u64)> {
        self.keys.all(self.len()).into_iter().zip(self.counts.all()).collect()
    }

    /// The key of the event of that rank, from 0 and by key, with how many events
    /// other keys have before it and how many it has; `None` where there are fewer.
    pub fn at_rank(&self, rank: u64) -> Option<(K, u64, u64)> {
        let (at, before) = self.counts.at_rank(rank)?;
        Some((self.keys.get(at), before, self.counts.get(at)))
    }

    /// Counts `by` more at a key.
    pub fn bump(&mut self, key: K, by: u64) {
        match self.keys.find(key) {
            Ok(at) => self.counts.add(at, by),
            Err(at) => {
                self.keys.insert(at, key, self.counts.len());
                self.counts.insert(at, by);
            }
        }
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        if other.len() * WALKED_PER_LOOKUP < self.len() {
            other.iter().for_each(|(key, count)| self.bump(key, count));
        } else if let Some(marked) = self.marked_with(other) {
            *self = marked;
        } else {
            *self = Self::of(&walked(&self.cells(), &other.cells()));
        }
    }

    /// Adds (key, count) that ascend by key, each key once.
    pub fn merge_runs(&mut self, runs: &[(K, u64)]) {
        if runs.len() * WALKED_PER_LOOKUP < self.len() {
            runs.iter().for_each(|(key, count)| self.bump(*key, *count));
        } else if self.is_empty() {
            *self = Self::of(runs);
        } else {
            self.merge(&Self::of(runs));
        }
    }

    /// With all of another's, where the keys of both and of all are marked.
    fn marked_with(&self, other: &Self) -> Option<Self> {
        let (
            Keys::Marked { first: own_first, words: own_words },
            Keys::Marked { first: other_first, words: other_words },
        ) = (&self.keys, &other.keys)
        else {
            return None;
        };
        let first = (*own_first).min(*other_first);
        let end = |first: i32, words: &[u64]| first + words.len() as i32;
        let last = end(*own_first, own_words).max(end(*other_first, other_words)) - 1;
        let mut words = vec![0u64; (last - first) as usize + 1];
        let (own_at, other_at) = ((own_first - first) as usize, (other_first - first) as usize);
        words[own_at..][..own_words.len()].copy_from_slice(own_words);
        words[other_at..].iter_mut().zip(other_words).for_each(|(word, other)| *word |= other);
        let len = words.iter().map(|word| word.count_ones() as usize).sum();
        if !is_marked::<K>(words.len(), len) {
            return None;
        }
        // One more each, which is looked at where there are none left.
        let (mut own, mut others) = (self.counts.all(), other.counts.all());
        own.push(0);
        others.push(0);
        let word_of = |words: &[u64], from: usize, at: usize| {
            at.checked_sub(from).and_then(|at| words.get(at)).copied().unwrap_or_default()
        };
        let mut counts = Vec::with_capacity(len);
        let (mut i, mut j) = (0, 0);
        for (at, word) in words.iter().enumerate() {
            let of_own = word_of(own_words, own_at, at);
            let of_other = word_of(other_words, other_at, at);
            let number = word.count_ones() as usize;
            if of_own == of_other {
                let pairs = own[i..i + number].iter().zip(&others[j..j + number]);
                counts.extend(pairs.map(|(own, other)| own + other));
                (i, j) = (i + number, j + number);
            } else {
                // Which of the two has a key cannot be foreseen, so it is not branched on.
                for bit in bits_of(*word) {
                    let (is_own, is_other) = (of_own >> bit & 1, of_other >> bit & 1);
                    counts.push(own[i] * is_own + others[j] * is_other);
                    (i, j) = (i + is_own as usize, j + is_other as usize);
                }
            }
        }
        let counts = Counts::of(counts.iter().copied());
        Some(Self { keys: Keys::Marked { first, words }, counts })
    }
}

/// True where so many words that mark keys take no more than a list of the keys.
fn is_marked<K>(words: usize, len: usize) -> bool {
    len > 0 && words * size_of::<u64>() <= len * size_of::<K>()
}

/// The numbers of the bits that are set, ascending.
fn bits_of(mut word: u64) -> impl Iterator<Item = i32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as i32);
        word &= word.wrapping_sub(1);
        bit
    })
}

impl<K: Key> Keys<K> {
    /// From so many keys that ascend.
    fn of(keys: impl DoubleEndedIterator<Item = K> + Clone, len: usize) -> Self {
        let first = keys.clone().next().map_or(0, |key| key.number().div_euclid(WORD));
        let last = keys.clone().next_back().map_or(0, |key| key.number().div_euclid(WORD));
        let number = (last - first) as usize + 1;
        if !is_marked::<K>(number, len) {
            return Self::Listed(keys.collect());
        }
        let mut words = vec![0; number];
        for key in keys {
            let (word, bit) = place(first, key);
            words[word as usize] |= 1 << bit;
        }
        Self::Marked { first, words }
    }

    /// Each of so many.
    fn all(&self, len: usize) -> Vec<K> {
        match self {
            Self::Listed(keys) => keys.clone(),
            Self::Marked { first, words } => {
                let mut keys = Vec::with_capacity(len);
                let mut number = first * WORD;
                for word in words {
                    let mut left = *word;
                    while left != 0 {
                        keys.push(K::of(number + left.trailing_zeros() as i32));
                        left &= left - 1;
                    }
                    number += WORD;
                }
                keys
            }
        }
    }

    /// The one with that number among all.
    fn get(&self, at: usize) -> K {
        match self {
            Self::Listed(keys) => keys[at],
            Self::Marked { first, words } => {
                let (mut word, mut before) = (0, at);
                while let number = words[word].count_ones() as usize
                    && number <= before
                {
                    (word, before) = (word + 1, before - number);
                }
                let bit = bits_of(words[word]).nth(before).unwrap_or_default();
                K::of((first + word as i32) * WORD + bit)
            }
        }
    }

    /// The key's number among all, or that which it would have.
    fn find(&self, key: K) -> Result<usize, usize> {
        match self {
            Self::Listed(keys) => match keys.last() {
                Some(last) if *last < key => Err(keys.len()),
                _ => keys.binary_search(&key),
            },
            Self::Marked { first, words } => {
                let (word, bit) = place(*first, key);
                let before = &words[..usize::try_from(word).unwrap_or(0).min(words.len())];
                let before = before.iter().map(|word| word.count_ones() as usize).sum::<usize>();
                match usize::try_from(word).ok().and_then(|word| words.get(word)) {
                    None => Err(before),
                    Some(word) => {
                        let at = before + (word & ((1 << bit) - 1)).count_ones() as usize;
                        if word >> bit & 1 == 1 { Ok(at) } else { Err(at) }
                    }
                }
            }
        }
    }

    /// Takes a new key in, as number `at` of what were `len`.
    fn insert(&mut self, at: usize, key: K, len: usize) {
        match self {
            Self::Listed(keys) => {
                room_for(keys, 1);
                keys.insert(at, key);
                let ends = keys.first().zip(keys.last());
                let words = ends.map_or(0, |(first, last)| {
                    last.number().div_euclid(WORD) - first.number().div_euclid(WORD) + 1
                });
                if is_marked::<K>(words as usize, keys.len()) {
                    *self = Self::of(keys.iter().copied(), len + 1);
                }
            }
            Self::Marked { first, words } => {
                let (word, bit) = place(*first, key);
                let before = (-word).max(0) as usize;
                let after = (word + 1 - words.len() as i32).max(0) as usize;
                if is_marked::<K>(before + words.len() + after, len + 1) {
                    *first -= before as i32;
                    words.splice(..0, std::iter::repeat_n(0, before));
                    words.resize(words.len() + after, 0);
                    words[(word + before as i32) as usize] |= 1 << bit;
                } else {
                    let mut keys = self.all(len);
                    keys.insert(at, key);
                    *self = Self::Listed(keys);
                }
            }
        }
    }
}

/// In which word after the first a key is marked, which may be before it, and
/// which of its bits.
fn place<K: Key>(first: i32, key: K) -> (i32, i32) {
    (key.number().div_euclid(WORD) - first, key.number().rem_euclid(WORD))
}

/// What [`Counted::iter`] tells.
#[derive(Clone, Debug)]
pub struct Iter<'a, K> {
    counted: &'a Counted<K>,
    /// Numbers of the keys that are left.
    range: (usize, usize),
    /// How many words were begun from the front, and what is left of the last of them.
    front: (usize, u64),
    /// The word that was begun last from the back, and what is left of it.
    back: (usize, u64),
}

impl<K: Key> Iterator for Iter<'_, K> {
    type Item = (K, u64);

    fn next(&mut self) -> Option<(K, u64)> {
        let (at, end) = self.range;
        if at == end {
            return None;
        }
        self.range.0 += 1;
        let key = match &self.counted.keys {
            Keys::Listed(keys) => keys[at],
            Keys::Marked { first, words } => {
                let (begun, left) = &mut self.front;
                while *left == 0 {
                    *left = words[*begun];
                    *begun += 1;
                }
                let bit = left.trailing_zeros() as i32;
                *left &= *left - 1;
                K::of((first + *begun as i32 - 1) * WORD + bit)
            }
        };
        Some((key, self.counted.counts.get(at)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.range.1 - self.range.0;
        (left, Some(left))
    }
}

impl<K: Key> DoubleEndedIterator for Iter<'_, K> {
    fn next_back(&mut self) -> Option<(K, u64)> {
        let (at, end) = self.range;
        if at == end {
            return None;
        }
        self.range.1 -= 1;
        let key = match &self.counted.keys {
            Keys::Listed(keys) => keys[end - 1],
            Keys::Marked { first, words } => {
                let (word, left) = &mut self.back;
                while *left == 0 {
                    *word -= 1;
                    *left = words[*word];
                }
                let bit = WORD - 1 - left.leading_zeros() as i32;
                *left &= !(1 << bit);
                K::of((first + *word as i32) * WORD + bit)
            }
        };
        Some((key, self.counted.counts.get(end - 1)))
    }
}

impl<K: Key> ExactSizeIterator for Iter<'_, K> {}

/// One pass over both.
fn walked<K: Key>(own: &[(K, u64)], other: &[(K, u64)]) -> Vec<(K, u64)> {
    let mut merged = Vec::with_capacity(own.len() + other.len());
    let (mut i, mut j) = (0, 0);
    while let (Some(left), Some(right)) = (own.get(i), other.get(j)) {
        // Which comes first cannot be foreseen, so it is not branched on.
        let (is_own, is_other) = (left.0 <= right.0, right.0 <= left.0);
        let key = if is_own { left.0 } else { right.0 };
        merged.push((key, left.1 * u64::from(is_own) + right.1 * u64::from(is_other)));
        (i, j) = (i + usize::from(is_own), j + usize::from(is_other));
    }
    merged.extend_from_slice(&own[i..]);
    merged.extend_from_slice(&other[j..]);
    merged
}

impl<K: Key> FromIterator<(K, u64)> for Counted<K> {
    /// From keys that ascend.
    fn from_iter<I: IntoIterator<Item = (K, u64)>>(cells: I) -> Self {
        Self::of(&cells.into_iter().collect::<Vec<_>>())
    }
}

/// As a sequence of (key, count).
impl<K: Key + Serialize> Serialize for Counted<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, K: Key + Deserialize<'de>> Deserialize<'de> for Counted<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Vec::<(K, u64)>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Around the ends of one, two and four bytes.
    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![1u64..5, 250u64..260, 65_530u64..65_540, 4_294_967_290u64..4_294_967_300]
    }

    /// Close together on both sides of 0, where they are marked, or far apart.
    fn key() -> impl Strategy<Value = i32> {
        prop_oneof![6 => -90i32..150, 1 => -2_000i32..2_000, 1 => -262_000i32..262_000]
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_tree(
            own in prop::collection::vec((key(), count()), 0..120),
            other in prop::collection::btree_map(key(), count(), 0..120),
            from_the_back in prop::collection::vec(any::<bool>(), 240),
        ) {
            let (mut counted, mut tree) = (Counted::default(), BTreeMap::new());
            for (key, count) in own {
                counted.bump(key, count);
                *tree.entry(key).or_insert(0) += count;
                prop_assert_eq!(&counted, &tree.clone().into_iter().collect());
            }
            let mut by_runs = counted.clone();
            by_runs.merge_runs(&other.clone().into_iter().collect::<Vec<_>>());
            let mut swapped: Counted<i32> = other.clone().into_iter().collect();
            swapped.merge(&counted);
            counted.merge(&other.clone().into_iter().collect());
            other.into_iter().for_each(|(key, count)| *tree.entry(key).or_insert(0) += count);
            prop_assert_eq!(&counted, &by_runs);
            prop_assert_eq!(&counted, &swapped);
            prop_assert_eq!(counted.len(), tree.len());
            prop_assert!(counted.iter().eq(tree.clone()));
            prop_assert!(counted.cells().into_iter().eq(tree.clone()));
            let mut before = 0;
            for (key, count) in &tree {
                prop_assert_eq!(counted.at_rank(before), Some((*key, before, *count)));
                before += count;
                prop_assert_eq!(counted.at_rank(before - 1), Some((*key, before - count, *count)));
            }
            prop_assert_eq!(counted.at_rank(before), None);
            // From both ends, in turns.
            let (mut cells, mut turns) = (counted.iter(), tree.clone().into_iter());
            for back in from_the_back {
                let (one, other) = match back {
                    true => (cells.next_back(), turns.next_back()),
                    false => (cells.next(), turns.next()),
                };
                prop_assert_eq!(one, other);
                prop_assert_eq!(cells.len(), turns.len());
            }
            // However it came to be, so much and no more is kept.
            prop_assert_eq!(&counted, &tree.into_iter().collect());
            let text = serde_json::to_string(&counted).unwrap();
            prop_assert_eq!(serde_json::from_str::<Counted<i32>>(&text).unwrap(), counted);
        }
    }
}
