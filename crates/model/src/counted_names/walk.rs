//! Two lists of names along each other, both ascending.
//!
//! The order in which names of two follow each other is hard to foresee, and a
//! branch that is foreseen wrongly costs as much as ten comparisons. So eight
//! bytes of each name are compared as a number, what comes next is counted on
//! without a branch, and text is copied by whole stretches.

use std::cmp::Ordering;
use std::ops::Range;

use super::alike;
use super::text::Text;
use crate::counts::Counts;

/// Adds all of the others with their counts.
pub(super) fn merge(names: &mut Text, counts: &mut Counts, others: &Text, other_counts: &Counts) {
    let (own, others) = (Walked::new(names), Walked::new(others));
    let places = places_along(&own, &others);
    let mut all_counts = counts.all();
    let other_counts = other_counts.all();
    all_counts.push(0);
    // What cannot be foreseen is counted and not branched on.
    let (mut fresh, mut number) = (vec![0; others.len()], 0);
    for (at, (place, count)) in places.iter().zip(&other_counts).enumerate() {
        let known = count * u64::from(place.is_known);
        all_counts[place.at] = all_counts[place.at].saturating_add(known);
        fresh[number] = at;
        number += usize::from(!place.is_known);
    }
    all_counts.truncate(own.len());
    if number == 0 {
        *counts = Counts::of(all_counts.iter().copied());
        return;
    }
    let mut joined = Joined::with_room_for(&own, &others, number);
    let (mut fresh, mut copied) = (&fresh[..number], 0);
    while let Some(first) = fresh.first().copied() {
        // Those that lie together in one are copied together.
        let to = places[first].at;
        let is_next = |(at, next): &(usize, &usize)| at == *next && places[*at].at == to;
        let run = (first..).zip(fresh).take_while(is_next).count();
        joined.copy(&own, &all_counts, copied..to);
        joined.copy(&others, &other_counts, first..first + run);
        (copied, fresh) = (to, &fresh[run..]);
    }
    joined.copy(&own, &all_counts, copied..own.len());
    (*names, *counts) = joined.finish();
}

/// Bytes of a name that are compared at once.
const KEY_BYTES: usize = 8;
/// Names that are compared at once where the one before was the same.
const RUN: usize = 16;

/// Names as a walk along them needs them.
struct Walked<'a> {
    text: &'a str,
    /// Where each begins, and at last the end of the text.
    starts: Vec<usize>,
}

/// Where another's name belongs among the own.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// The first own name that is not before it.
    pub(super) at: usize,
    /// Whether that is it.
    pub(super) is_known: bool,
}

impl<'a> Walked<'a> {
    fn new(names: &'a Text) -> Self {
        let ends = names.ends.all().into_iter().map(|end| end as usize);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { text: &names.text, starts }
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn name(&self, at: usize) -> &'a str {
        &self.text[self.starts[at]..self.starts[at + 1]]
    }

    fn bytes(&self, at: usize) -> &'a [u8] {
        &self.text.as_bytes()[self.starts[at]..self.starts[at + 1]]
    }

    /// The first bytes of each name after the first `alike`, 0 where it has no
    /// more: so they are ordered as names are, or equal.
    fn keys(&self, alike: usize) -> Vec<u64> {
        let bytes = self.text.as_bytes();
        let key = |span: &[usize]| {
            let (from, end) = (span[0] + alike, span[1]);
            match bytes.get(from..).and_then(<[u8]>::first_chunk::<KEY_BYTES>) {
                Some(first) => {
                    // What comes after the name is another's.
                    let others = 8 * (end - from).min(KEY_BYTES) as u32;
                    let others = u64::MAX.checked_shr(others).unwrap_or_default();
                    u64::from_be_bytes(*first) & !others
                }
                None => {
                    let mut first = [0; KEY_BYTES];
                    first[..end - from].copy_from_slice(&bytes[from..end]);
                    u64::from_be_bytes(first)
                }
            }
        };
        self.starts.windows(2).map(key).collect()
    }
}

/// Where each of the others' names belongs.
pub(super) fn places(own: &Text, others: &Text) -> Vec<Place> {
    match (own.len(), others.len()) {
        (0, _) | (_, 0) => vec![Place::default(); others.len()],
        _ => places_along(&Walked::new(own), &Walked::new(others)),
    }
}

/// The same of both as a walk needs them, neither of them empty. Which of two comes first cannot be
/// foreseen, so both are gone on from by what the comparison tells, without a branch.
fn places_along(own: &Walked<'_>, others: &Walked<'_>) -> Vec<Place> {
    // Names mostly begin alike, and after that differ soon.
    let first = own.name(0);
    let ends = [own.name(own.len() - 1), others.name(0), others.name(others.len() - 1)];
    let alike = ends
        .into_iter()
        .map(|name| alike(first.as_bytes(), name.as_bytes()))
        .min()
        .unwrap_or_default();
    let (own_keys, other_keys) = (own.keys(alike), others.keys(alike));
    let length = |of: &Walked<'_>, at: usize| of.starts[at + 1] - of.starts[at];
    let mut places = vec![Place { at: own.len(), is_known: false }; others.len()];
    let (mut i, mut j) = (0, 0);
    // Where a name is known, the next ones often are; not where that was tried in vain.
    let mut next_try = 0;
    while let (Some(key), Some(other)) = (own_keys.get(i), other_keys.get(j)) {
        let (mut is_own, mut is_other) = (key <= other, key >= other);
        if key == other {
            if j >= next_try {
                if is_same_run(own, i, others, j) {
                    for known in 0..RUN {
                        places[j + known] = Place { at: i + known, is_known: true };
                    }
                    (i, j) = (i + RUN, j + RUN);
                    continue;
                }
                next_try = j + RUN;
            }
            let (length, of_other) = (length(own, i), length(others, j));
            if length != of_other || length > alike + KEY_BYTES {
                let order = order_from(alike, own.bytes(i), others.bytes(j));
                (is_own, is_other) = (order.is_le(), order.is_ge());
            }
        }
        places[j] = Place { at: i, is_known: is_own && is_other };
        i += usize::from(is_own);
        j += usize::from(is_other);
    }
    if let Some(last) = places.get_mut(j) {
        // It was compared with the last own name, and is after it.
        *last = Place { at: own.len(), is_known: false };
    }
    places
}

/// True where as many as [`RUN`] names from there on are the same.
fn is_same_run(own: &Walked<'_>, i: usize, others: &Walked<'_>, j: usize) -> bool {
    let (Some(a), Some(b)) = (own.starts.get(i..=i + RUN), others.starts.get(j..=j + RUN)) else {
        return false;
    };
    let moved = a[0].wrapping_sub(b[0]);
    a.iter().zip(b).all(|(a, b)| a.wrapping_sub(*b) == moved)
        && own.text.as_bytes()[a[0]..a[RUN]] == others.text.as_bytes()[b[0]..b[RUN]]
}

/// The order of two names that begin alike with so many bytes, a key at a time.
fn order_from(mut from: usize, a: &[u8], b: &[u8]) -> Ordering {
    let chunk = |of: &[u8], from: usize| {
        let chunk = of.get(from..).and_then(<[u8]>::first_chunk::<KEY_BYTES>);
        chunk.map(|chunk| u64::from_be_bytes(*chunk))
    };
    while let (Some(of_a), Some(of_b)) = (chunk(a, from), chunk(b, from)) {
        if of_a != of_b {
            return of_a.cmp(&of_b);
        }
        from += KEY_BYTES;
    }
    a.get(from..).unwrap_or_default().cmp(b.get(from..).unwrap_or_default())
}

/// The names of two, put together.
struct Joined {
    text: String,
    ends: Vec<u64>,
    counts: Vec<u64>,
}

impl Joined {
    fn with_room_for(own: &Walked<'_>, others: &Walked<'_>, fresh: usize) -> Self {
        let names = own.len() + fresh;
        Self {
            text: String::with_capacity(own.text.len() + others.text.len()),
            ends: Vec::with_capacity(names),
            counts: Vec::with_capacity(names),
        }
    }

    fn copy(&mut self, from: &Walked<'_>, counts: &[u64], names: Range<usize>) {
        let (start, end) = (from.starts[names.start], from.starts[names.end]);
        let before = self.text.len();
        self.text.push_str(&from.text[start..end]);
        let ends = &from.starts[names.start + 1..=names.end];
        self.ends.extend(ends.iter().map(|end| (end - start + before) as u64));
        self.counts.extend_from_slice(&counts[names]);
    }

    fn finish(mut self) -> (Text, Counts) {
        self.text.shrink_to_fit();
        let names = Text { text: self.text, ends: Counts::of(self.ends.iter().copied()) };
        (names, Counts::of(self.counts.iter().copied()))
    }
}
