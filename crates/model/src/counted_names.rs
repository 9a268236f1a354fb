//! Counts by name, one name after the other in one text: what thousands of
//! categories cost is their names, and an allocation and a place in a tree for
//! each would be several times as much, in memory and in time.

mod walk;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::counts::{Counts, room_for_bytes};

/// Others into so many times as many: each is added by itself. Otherwise one walk
/// along both.
const WALKED_PER_ADDITION: usize = 64;

/// Counts by name, ascending by name. Equal contents are equal.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CountedNames {
    /// All names, one after the other.
    text: String,
    /// Where each ends in it.
    ends: Counts,
    counts: Counts,
}

impl CountedNames {
    /// No names.
    pub(crate) const NONE: Self =
        Self { text: String::new(), ends: Counts::NONE, counts: Counts::NONE };

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (name, count), ascending by name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, u64)> + ExactSizeIterator + Clone {
        (0..self.len()).map(|at| (self.name(at), self.counts.get(at)))
    }

    /// The count of a name; `None` where it has none.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.find(name).ok().map(|at| self.counts.get(at))
    }

    /// True where the name is counted.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// The first name.
    pub(crate) fn first(&self) -> Option<&str> {
        (!self.is_empty()).then(|| self.name(0))
    }

    /// The last name.
    pub(crate) fn last(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.name(last))
    }

    /// The sum of all counts.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, u64::saturating_add)
    }

    /// Counts `by` more of a name that is counted; false where it is not.
    pub(crate) fn bump(&mut self, name: &str, by: u64) -> bool {
        let found = self.find(name);
        if let Ok(at) = found {
            self.counts.add(at, by);
        }
        found.is_ok()
    }

    /// Counts `by` more of a name.
    pub(crate) fn add(&mut self, name: &str, by: u64) {
        match self.find(name) {
            Ok(at) => self.counts.add(at, by),
            Err(at) => {
                let start = self.start(at);
                room_for_bytes(&mut self.text, name.len());
                self.text.insert_str(start, name);
                self.ends.insert(at, start as u64);
                self.ends.raise_from(at, name.len() as u64);
                self.counts.insert(at, by);
            }
        }
    }

    /// Appends a name; false, and nothing is, where it is not after all others.
    pub fn push(&mut self, name: &str, count: u64) -> bool {
        let is_after = self.last().is_none_or(|last| last < name);
        if is_after {
            room_for_bytes(&mut self.text, name.len());
            self.text.push_str(name);
            let at = self.len();
            self.ends.insert(at, self.text.len() as u64);
            self.counts.insert(at, count);
        }
        is_after
    }

    /// Adds all of another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
        } else if self.text == other.text && self.ends == other.ends {
            self.counts.add_each(&other.counts);
        } else if other.len() * WALKED_PER_ADDITION < self.len() {
            other.iter().for_each(|(name, count)| self.add(name, count));
        } else {
            walk::merge(self, other);
        }
    }

    /// Those of which `keep` holds, by their number.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let (mut text, mut ends, mut counts) = (String::new(), Vec::new(), Vec::new());
        for (at, (name, count)) in self.iter().enumerate() {
            if keep(at) {
                room_for_bytes(&mut text, name.len());
                text.push_str(name);
                ends.push(text.len() as u64);
                counts.push(count);
            }
        }
        text.shrink_to_fit();
        Self {
            text,
            ends: Counts::of(ends.iter().copied()),
            counts: Counts::of(counts.iter().copied()),
        }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.name(middle).cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn name(&self, at: usize) -> &str {
        &self.text[self.start(at)..self.ends.get(at) as usize]
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends.get(at - 1) as usize }
    }
}

/// How many bytes two names begin alike with.
pub(crate) fn alike(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

impl<'a> FromIterator<(&'a str, u64)> for CountedNames {
    /// From names in any order; those of a name add up.
    fn from_iter<I: IntoIterator<Item = (&'a str, u64)>>(counts: I) -> Self {
        let mut sorted: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, count) in counts {
            let own = sorted.entry(name).or_default();
            *own = own.saturating_add(count);
        }
        let mut names = Self::default();
        for (name, count) in sorted {
            names.push(name, count);
        }
        names
    }
}

impl fmt::Debug for CountedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// As a map of names to counts.
impl Serialize for CountedNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, count) in self.iter() {
            serde::ser::SerializeMap::serialize_entry(&mut map, name, &count)?;
        }
        serde::ser::SerializeMap::end(map)
    }
}

impl<'de> Deserialize<'de> for CountedNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<Box<str>, u64>::deserialize(deserializer)?;
        Ok(map.iter().map(|(name, count)| (&**name, *count)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names that begin alike and end in any way, one the beginning of another,
    /// and with the byte that shorter keys are filled up with.
    fn names() -> impl Strategy<Value = BTreeMap<String, u64>> {
        let name = ("(user-)?", "[a\\x00é]{0,11}").prop_map(|(a, b)| a + &b);
        let count = prop_oneof![1u64..5, 65_530u64..65_540, Just(u64::MAX - 1)];
        prop::collection::btree_map(name, count, 0..80)
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_tree(own in names(), other in names(), few in names()) {
            let of = |tree: &BTreeMap<String, u64>| -> CountedNames {
                let mut names = CountedNames::default();
                tree.iter().rev().for_each(|(name, count)| names.add(name, *count));
                names
            };
            let few: BTreeMap<String, u64> = few.into_iter().take(3).collect();
            for other in [&other, &few, &own] {
                let mut tree = own.clone();
                for (name, count) in other {
                    let own = tree.entry(name.clone()).or_default();
                    *own = own.saturating_add(*count);
                }
                let mut merged = of(&own);
                merged.merge(&of(other));
                prop_assert!(merged.iter().eq(tree.iter().map(|(n, c)| (&**n, *c))), "{merged:?}");
                prop_assert_eq!(&merged, &of(&tree));
                let pairs = own.iter().chain(other).map(|(name, count)| (&**name, *count));
                prop_assert_eq!(&merged, &pairs.collect());
                prop_assert!(tree.iter().all(|(name, count)| merged.get(name) == Some(*count)));
                let text = serde_json::to_string(&merged).unwrap();
                prop_assert_eq!(&text, &serde_json::to_string(&tree).unwrap());
                prop_assert_eq!(serde_json::from_str::<CountedNames>(&text).unwrap(), merged);
            }
            let odd = of(&own).filtered(|at| at % 2 == 1);
            prop_assert!(odd.iter().eq(own.iter().skip(1).step_by(2).map(|(n, c)| (&**n, *c))));
        }
    }

    #[test]
    fn only_what_comes_after_is_appended() {
        let mut names = CountedNames::default();
        assert!(names.push("b", 1) && names.push("c", 2));
        assert!(!names.push("c", 1) && !names.push("", 1));
        assert_eq!((names.len(), names.total(), names.get("c")), (2, 3, Some(2)));
    }
}
