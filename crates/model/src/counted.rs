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

/// Numbers that only grow, all in as many bytes as the largest needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Up to 65,535.
    Two(Vec<u16>),
    /// Up to 2^32 − 1.
    Four(Vec<u32>),
    /// Any; a sum that is too large stays at the largest.
    Eight(Vec<u64>),
}

impl Default for Counts {
    fn default() -> Self {
        Self::NONE
    }
}

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), counts: Counts::default() }
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
        let counts = Counts::of(cells.iter().map(|(_, count)| *count));
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
    /// No counts.
    pub(crate) const NONE: Self = Self::Two(Vec::new());

    /// In as much room as they need.
    pub(crate) fn of(counts: impl Iterator<Item = u64> + Clone) -> Self {
        // Together they need as many bits as the largest.
        let bits = counts.clone().fold(0, |bits, count| bits | count);
        if bits <= u64::from(u16::MAX) {
            Self::Two(counts.map(|count| count as u16).collect())
        } else if bits <= u64::from(u32::MAX) {
            Self::Four(counts.map(|count| count as u32).collect())
        } else {
            Self::Eight(counts.collect())
        }
    }

    /// So many of 0.
    pub(crate) fn zeros(n: usize) -> Self {
        Self::Two(vec![0; n])
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Two(counts) => counts.len(),
            Self::Four(counts) => counts.len(),
            Self::Eight(counts) => counts.len(),
        }
    }

    /// Each, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Adds so much to the ones with these numbers, which may come again.
    pub(crate) fn add_at(&mut self, mut at: &[(usize, u64)]) {
        // Each width has a loop of its own, which a sum that needs more leaves.
        while !at.is_empty() {
            let done = match self {
                Self::Two(counts) => add_while_fit(counts, at),
                Self::Four(counts) => add_while_fit(counts, at),
                Self::Eight(counts) => {
                    for (at, by) in at {
                        counts[*at] = counts[*at].saturating_add(*by);
                    }
                    at.len()
                }
            };
            at = &at[done..];
            if let Some((next, by)) = at.first() {
                self.add(*next, *by);
                at = &at[1..];
            }
        }
    }

    /// Adds the same to each from one on.
    pub(crate) fn raise_from(&mut self, at: usize, by: u64) {
        let last = self.len().checked_sub(1).map_or(0, |last| self.get(last));
        self.widen(last.saturating_add(by));
        match self {
            Self::Two(counts) => counts[at..].iter_mut().for_each(|n| *n += narrow::<u16>(by)),
            Self::Four(counts) => counts[at..].iter_mut().for_each(|n| *n += narrow::<u32>(by)),
            Self::Eight(counts) => counts[at..].iter_mut().for_each(|n| *n += by),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<u64> {
        match self {
            Self::Two(counts) => counts.iter().map(|count| u64::from(*count)).collect(),
            Self::Four(counts) => counts.iter().map(|count| u64::from(*count)).collect(),
            Self::Eight(counts) => counts.clone(),
        }
    }

    /// Adds others, of which there are as many, each to its own. They are added
    /// without asking of each whether it fits, which the compiler makes vectors
    /// of; where one did not, they are taken off again and get more room.
    pub(crate) fn add_each(&mut self, others: &Self) {
        let is_wider = matches!(
            (&*self, others),
            (Self::Two(_), Self::Four(_) | Self::Eight(_)) | (Self::Four(_), Self::Eight(_))
        );
        if is_wider {
            self.widen(if matches!(others, Self::Four(_)) { u32::MAX.into() } else { u64::MAX });
        }
        let saturating = |a: u64, b: u64| (a.saturating_add(b), false);
        let fits = match (&mut *self, others) {
            (Self::Two(own), Self::Two(more)) => {
                each(own, more, u16::overflowing_add, u16::wrapping_sub)
            }
            (Self::Four(own), Self::Two(more)) => {
                each(own, more, u32::overflowing_add, u32::wrapping_sub)
            }
            (Self::Four(own), Self::Four(more)) => {
                each(own, more, u32::overflowing_add, u32::wrapping_sub)
            }
            (Self::Eight(own), Self::Two(more)) => each(own, more, saturating, u64::wrapping_sub),
            (Self::Eight(own), Self::Four(more)) => each(own, more, saturating, u64::wrapping_sub),
            (Self::Eight(own), Self::Eight(more)) => each(own, more, saturating, u64::wrapping_sub),
            // Has been widened above.
            (Self::Two(_) | Self::Four(_), _) => true,
        };
        if !fits {
            let next = if matches!(self, Self::Two(_)) { u32::MAX.into() } else { u64::MAX };
            self.widen(next);
            self.add_each(others);
        }
    }

    pub(crate) fn get(&self, at: usize) -> u64 {
        match self {
            Self::Two(counts) => u64::from(counts[at]),
            Self::Four(counts) => u64::from(counts[at]),
            Self::Eight(counts) => counts[at],
        }
    }

    pub(crate) fn add(&mut self, at: usize, by: u64) {
        let count = self.get(at).saturating_add(by);
        self.widen(count);
        match self {
            Self::Two(counts) => counts[at] = narrow(count),
            Self::Four(counts) => counts[at] = narrow(count),
            Self::Eight(counts) => counts[at] = count,
        }
    }

    pub(crate) fn insert(&mut self, at: usize, count: u64) {
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

/// Adds each to its own; where any is too large, nothing, and tells so.
fn each<A: Copy, B: Copy + Into<A>>(
    own: &mut [A],
    more: &[B],
    add: impl Fn(A, A) -> (A, bool),
    subtract: impl Fn(A, A) -> A,
) -> bool {
    let mut is_too_large = false;
    for (own, more) in own.iter_mut().zip(more) {
        let (sum, too_large) = add(*own, (*more).into());
        *own = sum;
        is_too_large |= too_large;
    }
    if is_too_large {
        // What wrapped around comes back.
        own.iter_mut().zip(more).for_each(|(own, more)| *own = subtract(*own, (*more).into()));
    }
    !is_too_large
}

/// Adds to the ones with these numbers until a sum does not fit; how many did.
fn add_while_fit<T: Copy + TryFrom<u64>>(counts: &mut [T], at: &[(usize, u64)]) -> usize
where
    u64: From<T>,
{
    for (done, (at, by)) in at.iter().enumerate() {
        match T::try_from(u64::from(counts[*at]).saturating_add(*by)) {
            Ok(sum) => counts[*at] = sum,
            Err(_) => return done,
        }
    }
    at.len()
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

/// The same for a text.
pub(crate) fn room_for_bytes(text: &mut String, more: usize) {
    if text.capacity() - text.len() < more {
        text.reserve_exact(more.max(text.len() / 4).max(16));
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

/// As a sequence.
impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Vec::<u64>::deserialize(deserializer)?.iter().copied()))
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

        /// At once and one by one, whatever bytes they take before and after.
        #[test]
        fn counts_that_are_added_at_once_are_sums(
            pairs in prop::collection::vec((count(), prop_oneof![count(), Just(u64::MAX)]), 0..150),
            wide in 0usize..150,
        ) {
            let sums = || pairs.iter().map(|(a, b)| a.saturating_add(*b));
            let of = |n: usize| Counts::of(pairs[..n.min(pairs.len())].iter().map(|pair| pair.0));
            let (mut own, mut one_by_one) = (of(pairs.len()), of(pairs.len()));
            own.add_each(&Counts::of(pairs.iter().map(|pair| pair.1)));
            prop_assert_eq!(&own, &Counts::of(sums()));
            let at: Vec<(usize, u64)> = pairs.iter().map(|pair| pair.1).enumerate().collect();
            one_by_one.add_at(&at);
            prop_assert_eq!(&one_by_one, &own);
            // All but a few are small.
            let small: Vec<u64> = (0..wide as u64).map(|n| n % 7).collect();
            let mut few = Counts::of(small.iter().copied());
            few.add_each(&Counts::of(small.iter().map(|n| n + 65_532)));
            prop_assert_eq!(few, Counts::of(small.iter().map(|n| 2 * n + 65_532)));
        }
    }
}
