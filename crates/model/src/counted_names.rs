//! Counts by name. What thousands of categories cost is their names, so these lie
//! together: as numbers where they begin alike and soon end, else one after the
//! other in one text.

mod joined;
mod key;
mod packed;
mod text;
mod union;
mod walk;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::counts::Counts;
use crate::frequent::Hashes;
pub use joined::Joined;
use packed::Packed;
pub(crate) use packed::REST_MAX;
use text::Text;

/// Others into so many times as many: each is added by itself. Otherwise one walk
/// along both.
const WALKED_PER_ADDITION: usize = 64;

/// Counts by name, ascending by name. Equal contents are equal.
#[derive(Clone, PartialEq, Eq)]
pub struct CountedNames {
    kept: Kept,
    counts: Counts,
}

/// Names, ascending. They are packed wherever they can be.
#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Packed(Packed),
    Text(Text),
}

/// The names with their counts, to be read one after the other.
pub struct Names<'a> {
    text: Cow<'a, str>,
    ends: Cow<'a, Counts>,
    counts: &'a Counts,
}

/// Names of which the ends differ.
pub(crate) trait Rests {
    /// How many there are.
    fn len(&self) -> usize;

    /// Bytes of the longest rest where that is kept as a number, else any more than
    /// [`REST_MAX`].
    fn rest_max(&self) -> usize;

    /// What all names begin with, and of each name in its order the bytes after it and
    /// how many these are. Where rests are numbers there are bytes 0 up to [`REST_MAX`].
    fn visit_rests(&self, visit: impl FnMut(&[u8], &[u8], usize));
}

impl Rests for CountedNames {
    fn len(&self) -> usize {
        self.counts.len()
    }

    fn rest_max(&self) -> usize {
        match &self.kept {
            Kept::Packed(packed) => packed.longest(),
            Kept::Text(_) => usize::MAX,
        }
    }

    fn visit_rests(&self, mut visit: impl FnMut(&[u8], &[u8], usize)) {
        match &self.kept {
            Kept::Packed(packed) => packed.visit_rests(visit),
            Kept::Text(names) => {
                names.iter().for_each(|name| visit(&[], name.as_bytes(), name.len()));
            }
        }
    }
}

impl Default for CountedNames {
    fn default() -> Self {
        Self::NONE
    }
}

impl CountedNames {
    /// No names.
    pub(crate) const NONE: Self = Self { kept: Kept::Packed(Packed::NONE), counts: Counts::NONE };

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True where the names have more than so many bytes together. Of most lists it is
    /// told without a look at the names.
    pub(crate) fn is_longer_than(&self, bytes: usize) -> bool {
        match &self.kept {
            Kept::Packed(packed) => {
                packed.bytes_max() > bytes && self.lengths().iter().sum::<usize>() > bytes
            }
            Kept::Text(names) => names.text.len() > bytes,
        }
    }

    /// How many bytes each name has, in the order of the names.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        let mut lengths = Vec::with_capacity(self.len());
        self.visit_rests(|of_all, _, length| lengths.push(of_all.len() + length));
        lengths
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names, to be read.
    pub fn names(&self) -> Names<'_> {
        let (text, ends) = match &self.kept {
            Kept::Packed(packed) => {
                let (text, ends) = packed.to_text();
                (Cow::Owned(text), Cow::Owned(Counts::Four(ends)))
            }
            Kept::Text(names) => (Cow::Borrowed(&*names.text), Cow::Borrowed(&names.ends)),
        };
        Names { text, ends, counts: &self.counts }
    }

    /// The counts alone, in the order of their names.
    pub fn counts(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        self.counts.iter()
    }

    /// The same in a list, to be read at once.
    pub(crate) fn all(&self) -> Vec<u64> {
        self.counts.all()
    }

    /// What tells the sets of its names.
    pub fn hashes(&self) -> Hashes {
        Hashes::of(self)
    }

    /// The count of a name; `None` where it has none.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.find(name).ok().map(|at| self.counts.get(at))
    }

    /// True where the name is counted.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// The sum of all counts.
    pub fn total(&self) -> u64 {
        self.counts().fold(0, u64::saturating_add)
    }

    /// Each name in its order, with how many bytes it begins with as the one before,
    /// and its count.
    pub(crate) fn visit(&self, mut visit: impl FnMut(usize, &[u8], u64)) {
        let mut counts = self.counts.all().into_iter();
        let each = |alike: usize, name: &[u8]| {
            visit(alike, name, counts.next().unwrap_or_default());
        };
        match &self.kept {
            Kept::Packed(packed) => packed.visit(each),
            Kept::Text(names) => names.visit(each),
        }
    }

    /// The names with more than a count, with theirs.
    pub(crate) fn above(&self, bound: u64) -> Vec<(Box<str>, u64)> {
        let above = self.all().into_iter().enumerate().filter(|(_, count)| *count > bound);
        let named = above.map(|(at, count)| match &self.kept {
            Kept::Packed(packed) => (packed.name(at).into(), count),
            Kept::Text(names) => (names.name(at).into(), count),
        });
        named.collect()
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
            Err(at) => self.insert(at, name, by),
        }
    }

    /// Appends a name; false, and nothing is, where it is not after all others.
    pub fn push(&mut self, name: &str, count: u64) -> bool {
        let is_after = self.len().checked_sub(1).is_none_or(|last| {
            let order = match &self.kept {
                Kept::Packed(packed) => packed.order(last, name.as_bytes()),
                Kept::Text(names) => names.name(last).cmp(name),
            };
            order == Ordering::Less
        });
        if is_after {
            self.insert(self.len(), name, count);
        }
        is_after
    }

    /// Adds all of another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
        } else if other.is_empty() {
        } else if self.kept == other.kept {
            self.counts.add_each(&other.counts);
        } else if let (Kept::Packed(own), Kept::Packed(others)) = (&mut self.kept, &other.kept)
            && own.merge(&mut self.counts, others, &other.counts).is_some()
        {
        } else if other.len() * WALKED_PER_ADDITION < self.len() {
            other.names().iter().for_each(|(name, count)| self.add(name, count));
        } else {
            let others = match &other.kept {
                Kept::Packed(packed) => Cow::Owned(unpacked(packed)),
                Kept::Text(names) => Cow::Borrowed(names),
            };
            let mut names = std::mem::take(self.as_text());
            walk::merge(&mut names, &mut self.counts, &others, &other.counts);
            self.kept = Kept::Text(names);
        }
    }

    /// Those of which `keep` holds, by their number.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let counts = self.counts.filtered(&keep);
        let kept = match &self.kept {
            Kept::Packed(packed) => Kept::Packed(packed.filtered(keep)),
            Kept::Text(names) => {
                let names = names.filtered(keep);
                Packed::of(&names).map_or_else(|| Kept::Text(names), Kept::Packed)
            }
        };
        Self { kept, counts }
    }

    fn insert(&mut self, at: usize, name: &str, count: u64) {
        let is_packed = match &mut self.kept {
            Kept::Packed(packed) => packed.insert(at, name.as_bytes()),
            Kept::Text(_) => false,
        };
        if !is_packed {
            self.as_text().insert(at, name);
        }
        self.counts.insert(at, count);
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        match &self.kept {
            Kept::Packed(packed) => packed.find(name.as_bytes()),
            Kept::Text(names) => names.find(name),
        }
    }

    /// As a text, for names that cannot be packed.
    fn as_text(&mut self) -> &mut Text {
        if let Kept::Packed(packed) = &self.kept {
            self.kept = Kept::Text(unpacked(packed));
        }
        match &mut self.kept {
            Kept::Text(names) => names,
            Kept::Packed(_) => unreachable!("it has been unpacked"),
        }
    }
}

impl Names<'_> {
    /// (name, count), ascending by name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, u64)> + ExactSizeIterator + Clone {
        (0..self.counts.len()).map(|at| self.at(at))
    }

    /// The one with a number.
    pub(crate) fn at(&self, at: usize) -> (&str, u64) {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1) as usize };
        (&self.text[start..self.ends.get(at) as usize], self.counts.get(at))
    }
}

fn unpacked(packed: &Packed) -> Text {
    let (text, ends) = packed.to_text();
    Text { text, ends: Counts::of(ends.into_iter().map(u64::from)) }
}

/// How many bytes two names begin alike with.
fn alike(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
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
        f.debug_map().entries(self.names().iter()).finish()
    }
}

/// As a map of names to counts.
impl Serialize for CountedNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, count) in self.names().iter() {
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
    use crate::frequent::Sketch;

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![1u64..5, 250u64..260, 65_530u64..65_540, Just(u64::MAX - 1)]
    }

    /// Names that begin alike and end in any way, one the beginning of another,
    /// and with the byte that shorter numbers are filled up with; sooner or later.
    fn names() -> impl Strategy<Value = BTreeMap<String, u64>> {
        let rest = prop_oneof!["[a\\x00é]{0,11}", "[abé]{0,4}", "[abé]{1,2}"];
        let names = ("(user-)?|user-|user-a", prop::collection::btree_map(rest, count(), 0..80));
        names.prop_map(|(begin, rests)| {
            rests.into_iter().map(|(rest, count)| (begin.clone() + &rest, count)).collect()
        })
    }

    fn of(tree: &BTreeMap<String, u64>) -> CountedNames {
        let mut names = CountedNames::default();
        tree.iter().rev().for_each(|(name, count)| names.add(name, *count));
        names
    }

    /// Sums are those of a tree, whatever the way that names came.
    fn check(
        own: &BTreeMap<String, u64>,
        other: &BTreeMap<String, u64>,
    ) -> Result<(), TestCaseError> {
        let mut tree = own.clone();
        for (name, count) in other {
            let own = tree.entry(name.clone()).or_default();
            *own = own.saturating_add(*count);
        }
        let mut merged = of(own);
        merged.merge(&of(other));
        prop_assert!(merged.names().iter().eq(tree.iter().map(|(n, c)| (&**n, *c))), "{merged:?}");
        prop_assert_eq!(&merged, &of(&tree));
        let pairs = own.iter().chain(other).map(|(name, count)| (&**name, *count));
        prop_assert_eq!(&merged, &pairs.collect());
        prop_assert!(tree.iter().all(|(name, count)| merged.get(name) == Some(*count)));
        check_joined(own, other)?;
        let mut visited = Vec::new();
        merged.visit(|alike, name, count| {
            let is_alike = visited.last().is_none_or(|(before, _): &(Vec<u8>, u64)| {
                before[..alike] == name[..alike] && before.get(alike) != name.get(alike)
            });
            assert!(is_alike);
            visited.push((name.to_vec(), count));
        });
        let expected = tree.iter().map(|(name, count)| (name.as_bytes().to_vec(), *count));
        prop_assert!(visited.into_iter().eq(expected));
        let text = serde_json::to_string(&merged).unwrap();
        prop_assert_eq!(&text, &serde_json::to_string(&tree).unwrap());
        prop_assert_eq!(serde_json::from_str::<CountedNames>(&text).unwrap(), merged);
        Ok(())
    }

    /// Every name of either with its counts in both, and the set of each.
    fn check_joined(
        own: &BTreeMap<String, u64>,
        other: &BTreeMap<String, u64>,
    ) -> Result<(), TestCaseError> {
        let mut tree: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        own.iter().for_each(|(name, count)| tree.entry(name).or_default().0 = *count);
        other.iter().for_each(|(name, count)| tree.entry(name).or_default().1 = *count);
        let (own, other) = (of(own), of(other));
        let mut joined = own.joined(&other);
        prop_assert!(joined.counts().iter().eq(tree.values()), "{:?}", joined.counts());
        prop_assert!((0..joined.len()).map(|at| joined.name(at)).eq(tree.keys().copied()));
        let hashes = joined.hashes();
        prop_assert!(hashes.sets().eq(tree.keys().map(|name| Sketch::set_of(name))));
        prop_assert!((0..joined.len()).map(|at| hashes.set(at)).eq(hashes.sets()));
        prop_assert!(own.hashes().sets().eq(own.names().iter().map(|row| Sketch::set_of(row.0))));
        if let Some((name, counts)) = tree.iter().nth(tree.len() / 2) {
            joined.leave_out(name);
            joined.leave_out("no such name");
            let left = joined.counts()[tree.len() / 2];
            prop_assert_eq!((left, joined.is_empty()), ((0, counts.1), false));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_tree(own in names(), other in names(), few in 0usize..4) {
            let few: BTreeMap<String, u64> = other.clone().into_iter().take(few).collect();
            for other in [&other, &few, &own] {
                check(&own, other)?;
                check(other, &own)?;
            }
            for keep in [|at| at % 2 == 1, |at| at == 3, |at| (2..5).contains(&at)] {
                let kept = own.iter().enumerate().filter(|(at, _)| keep(*at));
                let kept = kept.map(|(_, (name, count))| (name.clone(), *count)).collect();
                prop_assert_eq!(of(&own).filtered(keep), of(&kept));
            }
            let (counted, mut asked) = (of(&own), own.keys().chain(other.keys()));
            prop_assert!(asked.all(|name| counted.get(name) == own.get(name).copied()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// So many that several stretches are merged at a time, alike on both sides or
        /// far apart.
        #[test]
        fn hundreds_are_merged_as_few_are(
            own in prop::collection::btree_map(0u32..3_000, count(), 100..600),
            other in prop::collection::btree_map(0u32..3_000, count(), 100..600),
            apart in prop_oneof![Just(0u32), 0u32..3_000],
            begin in prop_oneof![Just(("", "")), Just(("user-", "user-")), Just(("user-", "u"))],
        ) {
            let named = |of: &BTreeMap<u32, u64>, begin: &str, from: u32| {
                of.iter().map(|(n, count)| (format!("{begin}{}", from + n), *count)).collect()
            };
            check(&named(&own, begin.0, 0), &named(&other, begin.1, apart))?;
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
