//! Counts of the same names in two.

use std::borrow::Cow;

use super::packed::Packed;
use super::text::Text;
use super::walk::places;
use super::{CountedNames, Kept, Rests, unpacked};
use crate::counts::Count;
use crate::frequent::Hashes;

/// Every name of two, ascending, with its counts in both. Names are made text only
/// where they are asked for.
pub struct Joined<'a> {
    names: Both<'a>,
    counts: Vec<(u64, u64)>,
}

/// Where a name is read: whether in the other, and its number there.
type Place = (bool, u32);

/// The names of both.
enum Both<'a> {
    Packed(Cow<'a, Packed>),
    Text { own: Cow<'a, Text>, other: Cow<'a, Text>, from: Vec<Place> },
}

impl CountedNames {
    /// The names of both with their counts in both.
    pub fn joined<'a>(&'a self, other: &'a Self) -> Joined<'a> {
        if let (Kept::Packed(own), Kept::Packed(others)) = (&self.kept, &other.kept) {
            if own == others {
                let counts = self.counts.all().into_iter().zip(other.counts.all()).collect();
                return Joined { names: Both::Packed(Cow::Borrowed(own)), counts };
            }
            if let Some((packed, counts)) = own.joined(&self.counts, others, &other.counts) {
                return Joined { names: Both::Packed(Cow::Owned(packed)), counts };
            }
        }
        let text = |kept: &'a Kept| match kept {
            Kept::Packed(packed) => Cow::Owned(unpacked(packed)),
            Kept::Text(names) => Cow::Borrowed(names),
        };
        let (own, others) = (text(&self.kept), text(&other.kept));
        let (from, counts) = of_texts((&own, &self.counts.all()), (&others, &other.counts.all()));
        Joined { names: Both::Text { own, other: others, from }, counts }
    }
}

/// Where each name of both is read, and its counts.
fn of_texts(
    (own, counts): (&Text, &[u64]),
    (others, other_counts): (&Text, &[u64]),
) -> (Vec<Place>, Vec<(u64, u64)>) {
    let most = counts.len() + other_counts.len();
    let (mut from, mut joined) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let mut next = 0;
    let mut own_until = |end: usize, from: &mut Vec<Place>, joined: &mut Vec<(u64, u64)>| {
        from.extend((next..end).map(|at| (false, at as u32)));
        joined.extend(counts[next..end].iter().map(|count| (*count, 0)));
        next = end;
    };
    for (at, (place, count)) in places(own, others).into_iter().zip(other_counts).enumerate() {
        own_until(place.at + usize::from(place.is_known), &mut from, &mut joined);
        match joined.last_mut().filter(|_| place.is_known) {
            Some(known) => known.1 = *count,
            None => {
                from.push((true, at as u32));
                joined.push((0, *count));
            }
        }
    }
    own_until(counts.len(), &mut from, &mut joined);
    (from, joined)
}

impl Joined<'_> {
    /// How many names there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The counts of each name: the own, and the other's.
    pub fn counts(&self) -> &[(u64, u64)] {
        &self.counts
    }

    /// Leaves a name out of the own counts.
    pub fn leave_out(&mut self, name: &str) {
        if let Some(at) = self.find(name) {
            self.counts[at].0 = 0;
        }
    }

    /// The name with a number.
    pub fn name(&self, at: usize) -> Cow<'_, str> {
        match &self.names {
            Both::Packed(packed) => Cow::Owned(packed.name(at)),
            Both::Text { own, other, from } => Cow::Borrowed(text_of(own, other, from[at])),
        }
    }

    /// The number of a name.
    fn find(&self, name: &str) -> Option<usize> {
        match &self.names {
            Both::Packed(packed) => packed.find(name.as_bytes()).ok(),
            Both::Text { own, other, from } => {
                from.binary_search_by(|at| text_of(own, other, *at).cmp(name)).ok()
            }
        }
    }

    /// What tells the sets of its names.
    pub fn hashes(&self) -> Hashes {
        Hashes::of(self)
    }
}

impl Rests for Joined<'_> {
    fn len(&self) -> usize {
        self.counts.len()
    }

    fn rest_max(&self) -> usize {
        match &self.names {
            Both::Packed(packed) => packed.longest(),
            Both::Text { .. } => usize::MAX,
        }
    }

    fn visit_rests(&self, mut visit: impl FnMut(&[u8], &[u8], usize)) {
        match &self.names {
            Both::Packed(packed) => packed.visit_rests(visit),
            Both::Text { own, other, from } => from.iter().for_each(|at| {
                let name = text_of(own, other, *at);
                visit(&[], name.as_bytes(), name.len());
            }),
        }
    }
}

fn text_of<'a>(own: &'a Text, other: &'a Text, (is_other, at): Place) -> &'a str {
    if is_other { other } else { own }.name(at as usize)
}

/// Both counts of a name. Of two that are added each has but one of them.
impl Count for (u64, u64) {
    fn only_if(self, is_so: bool) -> Self {
        (self.0.only_if(is_so), self.1.only_if(is_so))
    }

    fn plus(self, more: Self) -> (Self, bool) {
        ((self.0 | more.0, self.1 | more.1), false)
    }
}
