//! Counts by key in as little memory as they need: most cells of a pane hold a
//! few events, and eight bytes for each would be four times as much.

use std::cmp::Ordering;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// New keys into so many times as many: each is looked up. Otherwise one pass over both.
const WALKED_PER_LOOKUP: usize = 8;

/// Counts by key, ascending by key. All counts take as many bytes as the largest
/// needs: two, four or eight. Equal contents are equal, as counts only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<K> {
    keys: Vec<K>,
    counts: Counts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Counts {
    Two(Vec<u16>),
    Four(Vec<u32>),
    Eight(Vec<u64>),
}

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), counts: Counts::Two(Vec::new()) }
    }
}

impl<K: Copy> Counted<K> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// (key, count), ascending by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, u64)> + ExactSizeIterator + '_ {
        self.keys.iter().enumerate().map(|(at, key)| (*key, self.counts.get(at)))
    }
}

impl<K: Ord + Copy> Counted<K> {
    /// Counts `by` more at a key.
    pub fn bump(&mut self, key: K, by: u64) {
        match self.keys.binary_search(&key) {
            Ok(at) => self.counts.add(at, by),
            Err(at) => {
                room_for(&mut self.keys, 1);
                self.keys.insert(at, key);
                self.counts.insert(at, by);
            }
        }
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        if other.len() * WALKED_PER_LOOKUP < self.len() {
            other.iter().for_each(|(key, count)| self.bump(key, count));
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
            *self = Self::of(&walked(&self.cells(), runs));
        }
    }
}

impl<K: Copy> Counted<K> {
    /// From (key, count) that ascend by key, in as much room as they need.
    pub fn of(cells: &[(K, u64)]) -> Self {
        let most = cells.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let counts = || cells.iter().map(|(_, count)| *count);
        let counts = if most <= u64::from(u16::MAX) {
            Counts::Two(counts().map(narrow).collect())
        } else if most <= u64::from(u32::MAX) {
            Counts::Four(counts().map(narrow).collect())
        } else {
            Counts::Eight(counts().collect())
        };
        Self { keys: cells.iter().map(|(key, _)| *key).collect(), counts }
    }

    /// As [`Counted::iter`] tells them, at once.
    pub fn cells(&self) -> Vec<(K, u64)> {
        let keys = self.keys.iter().copied();
        match &self.counts {
            Counts::Two(counts) => keys.zip(counts.iter().map(|n| u64::from(*n))).collect(),
            Counts::Four(counts) => keys.zip(counts.iter().map(|n| u64::from(*n))).collect(),
            Counts::Eight(counts) => keys.zip(counts.iter().copied()).collect(),
        }
    }
}

/// One pass over both.
fn walked<K: Ord + Copy>(own: &[(K, u64)], other: &[(K, u64)]) -> Vec<(K, u64)> {
    let mut merged = Vec::with_capacity(own.len() + other.len());
    let (mut i, mut j) = (0, 0);
    while i < own.len() && j < other.len() {
        let (left, right) = (own[i], other[j]);
        match left.0.cmp(&right.0) {
            Ordering::Less => {
                merged.push(left);
                i += 1;
            }
            Ordering::Greater => {
                merged.push(right);
                j += 1;
            }
            Ordering::Equal => {
                merged.push((left.0, left.1 + right.1));
                i += 1;
                j += 1;
            }
        }
    }
    merged.extend_from_slice(&own[i..]);
    merged.extend_from_slice(&other[j..]);
    merged
}

impl Counts {
    fn get(&self, at: usize) -> u64 {
        match self {
            Self::Two(counts) => u64::from(counts[at]),
            Self::Four(counts) => u64::from(counts[at]),
            Self::Eight(counts) => counts[at],
        }
    }

    fn add(&mut self, at: usize, by: u64) {
        let count = self.get(at) + by;
        self.widen(count);
        match self {
            Self::Two(counts) => counts[at] = narrow(count),
            Self::Four(counts) => counts[at] = narrow(count),
            Self::Eight(counts) => counts[at] = count,
        }
    }

    fn insert(&mut self, at: usize, count: u64) {
        self.widen(count);
        match self {
            Self::Two(counts) => insert(counts, at, narrow(count)),
            Self::Four(counts) => insert(counts, at, narrow(count)),
            Self::Eight(counts) => insert(counts, at, count),
        }
    }

    /// Takes more bytes for each where a count needs them.
    fn widen(&mut self, count: u64) {
        let fits = match self {
            Self::Two(_) => count <= u64::from(u16::MAX),
            Self::Four(_) => count <= u64::from(u32::MAX),
            Self::Eight(_) => true,
        };
        if fits {
            return;
        }
        *self = match self {
            Self::Two(counts) if count <= u64::from(u32::MAX) => {
                Self::Four(counts.iter().map(|count| u32::from(*count)).collect())
            }
            Self::Two(counts) => {
                Self::Eight(counts.iter().map(|count| u64::from(*count)).collect())
            }
            Self::Four(counts) => {
                Self::Eight(counts.iter().map(|count| u64::from(*count)).collect())
            }
            Self::Eight(counts) => Self::Eight(std::mem::take(counts)),
        };
    }
}

fn insert<T>(counts: &mut Vec<T>, at: usize, count: T) {
    room_for(counts, 1);
    counts.insert(at, count);
}

/// Makes room for more values, and for a quarter of what there is: twice as much,
/// as a list takes by itself, would mostly stay empty.
pub(crate) fn room_for<T>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() < more {
        values.reserve_exact(more.max(values.len() / 4).max(4));
    }
}

/// A count in fewer bytes, which [`Counts::widen`] has seen to be enough.
fn narrow<T: TryFrom<u64>>(count: u64) -> T {
    T::try_from(count).ok().expect("counts are widened before they are too large")
}

impl<K: Copy> FromIterator<(K, u64)> for Counted<K> {
    /// From keys that ascend.
    fn from_iter<I: IntoIterator<Item = (K, u64)>>(cells: I) -> Self {
        Self::of(&cells.into_iter().collect::<Vec<_>>())
    }
}

/// As a sequence of (key, count).
impl<K: Copy + Serialize> Serialize for Counted<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, K: Copy + Deserialize<'de>> Deserialize<'de> for Counted<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Vec::<(K, u64)>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Around the ends of two and four bytes.
    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![1u64..5, 65_530u64..65_540, 4_294_967_290u64..4_294_967_300]
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_tree(
            own in prop::collection::vec((0u16..40, count()), 0..60),
            other in prop::collection::btree_map(0u16..40, count(), 0..60),
        ) {
            let (mut counted, mut tree) = (Counted::default(), BTreeMap::new());
            for (key, count) in own {
                counted.bump(key, count);
                *tree.entry(key).or_insert(0) += count;
            }
            let mut by_runs = counted.clone();
            by_runs.merge_runs(&other.clone().into_iter().collect::<Vec<_>>());
            counted.merge(&other.clone().into_iter().collect());
            other.into_iter().for_each(|(key, count)| *tree.entry(key).or_insert(0) += count);
            prop_assert_eq!(&counted, &by_runs);
            prop_assert_eq!(counted.len(), tree.len());
            prop_assert!(counted.iter().eq(tree.clone()));
            // However it came to be, so much and no more is kept.
            prop_assert_eq!(&counted, &tree.into_iter().collect());
            let text = serde_json::to_string(&counted).unwrap();
            prop_assert_eq!(serde_json::from_str::<Counted<u16>>(&text).unwrap(), counted);
        }
    }
}
