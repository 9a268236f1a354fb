//! Names that begin alike and soon end, as numbers: what all begin with is kept
//! once, and of each name the bytes after it. So names are compared, found and
//! merged as numbers are, and `user-1042` takes four bytes.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::alike;
use super::key::{BYTES_MAX, Key};
use super::text::Text;
use super::union::{insert_all, joined, union};
use crate::counts::{Count, Counts, filtered, room_for};

/// What all names begin with, and the rest of each in one number. The beginning
/// is the longest that all have, and numbers have as few bytes as all fit in, so
/// equal names are equal here.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Packed {
    beginning: Vec<u8>,
    keys: Keys,
}

/// The rest of each name: its bytes from the highest of the number on, and 0 after
/// them. So numbers are ordered as names are. A rest that ends with a byte 0 is no
/// such number.
#[derive(Clone, PartialEq, Eq)]
enum Keys {
    Four(Vec<u32>),
    Eight(Vec<u64>),
}

/// The same of whichever list it is.
macro_rules! each_width {
    ($keys:expr, $list:ident => $what:expr) => {
        match $keys {
            Keys::Four($list) => $what,
            Keys::Eight($list) => $what,
        }
    };
}

impl Keys {
    /// All of both and their counts; `None` where they are not as wide.
    fn joined<C: Count>(&self, counts: &[C], others: &Self, more: &[C]) -> Option<(Self, Vec<C>)> {
        match (self, others) {
            (Self::Four(own), Self::Four(others)) => {
                let (keys, counts) = joined(own, counts, others, more)?;
                Some((Self::Four(keys), counts))
            }
            (Self::Eight(own), Self::Eight(others)) => {
                let (keys, counts) = joined(own, counts, others, more)?;
                Some((Self::Eight(keys), counts))
            }
            _ => None,
        }
    }
}

/// Bytes of a rest that is kept as a number.
pub(crate) const REST_MAX: usize = u64::BYTES;

impl Packed {
    /// No names.
    pub(super) const NONE: Self = Self { beginning: Vec::new(), keys: Keys::Four(Vec::new()) };

    /// Names that are ascending; `None` where one ends too late for a number.
    pub(super) fn of(names: &Text) -> Option<Self> {
        let Some(last) = names.len().checked_sub(1) else {
            return Some(Self::NONE);
        };
        let (first, last) = (names.name(0).as_bytes(), names.name(last).as_bytes());
        let shared = alike(first, last);
        let rests = || names.iter().map(|name| &name.as_bytes()[shared..]);
        if !rests().all(is_number) {
            return None;
        }
        let keys = match rests().all(|rest| rest.len() <= u32::BYTES) {
            true => Keys::Four(rests().map(u32::of).collect()),
            false => Keys::Eight(rests().map(u64::of).collect()),
        };
        Some(Self { beginning: first[..shared].to_vec(), keys })
    }

    pub(super) fn len(&self) -> usize {
        each_width!(&self.keys, keys => keys.len())
    }

    /// Bytes that the names have together at most.
    pub(super) fn bytes_max(&self) -> usize {
        self.len() * (self.beginning.len() + REST_MAX)
    }

    /// Where a name is, or where it belongs.
    pub(super) fn find(&self, name: &[u8]) -> Result<usize, usize> {
        let Some(rest) = name.strip_prefix(&self.beginning[..]) else {
            return Err(if name < &self.beginning[..] { 0 } else { self.len() });
        };
        each_width!(&self.keys, keys => find(keys, rest))
    }

    /// The order of one of the names against another name.
    pub(super) fn order(&self, at: usize, name: &[u8]) -> Ordering {
        let Some(rest) = name.strip_prefix(&self.beginning[..]) else {
            return self.beginning[..].cmp(name);
        };
        each_width!(&self.keys, keys => keys[at].to_bytes()[..keys[at].length()].cmp(rest))
    }

    /// Takes a name in; false, and nothing is, where it ends too late for a number.
    pub(super) fn insert(&mut self, at: usize, name: &[u8]) -> bool {
        if self.len() == 0 {
            self.beginning = name.to_vec();
        }
        let shared = alike(&self.beginning, name);
        let rest = &name[shared..];
        let bytes = match shared == self.beginning.len() {
            true if rest.len() <= self.width() => Some(self.width()),
            _ => self.rest_max(shared).map(|own| own.max(rest.len())),
        };
        let Some(bytes) = bytes.filter(|bytes| *bytes <= REST_MAX && is_number(rest)) else {
            return false;
        };
        self.reach(shared, bytes);
        match &mut self.keys {
            Keys::Four(keys) => insert(keys, at, u32::of(rest)),
            Keys::Eight(keys) => insert(keys, at, u64::of(rest)),
        }
        true
    }

    /// Adds others' counts to the own; `None`, and nothing is, where together they
    /// do not begin alike enough.
    pub(super) fn merge(
        &mut self,
        counts: &mut Counts,
        other: &Self,
        other_counts: &Counts,
    ) -> Option<()> {
        if self == other {
            counts.add_each(other_counts);
            return Some(());
        }
        let (shared, bytes) = self.shared_with(other)?;
        let other = other.reaching(shared, bytes);
        self.reach(shared, bytes);
        match (&mut self.keys, &other.keys) {
            (Keys::Four(keys), Keys::Four(others)) => merge(keys, counts, others, other_counts),
            (Keys::Eight(keys), Keys::Eight(others)) => merge(keys, counts, others, other_counts),
            // Both have been made as wide as is needed.
            _ => return None,
        }
        Some(())
    }

    /// The names of both with the counts in both; `None` where together they do not
    /// begin alike enough.
    pub(super) fn joined(
        &self,
        counts: &Counts,
        other: &Self,
        other_counts: &Counts,
    ) -> Option<(Self, Vec<(u64, u64)>)> {
        let (shared, bytes) = self.shared_with(other)?;
        let (own, other) = (self.reaching(shared, bytes), other.reaching(shared, bytes));
        // Both counts of a name in one number, where they fit.
        const HALF: u32 = u64::BITS / 2;
        let (keys, counts) = if counts.width().max(other_counts.width()) * 8 <= HALF as usize {
            let counts: Vec<u64> = counts.all().into_iter().map(|count| count << HALF).collect();
            let (keys, counts) = own.keys.joined(&counts, &other.keys, &other_counts.all())?;
            let pairs = counts.iter().map(|both| (both >> HALF, both & (u64::MAX >> HALF)));
            (keys, pairs.collect())
        } else {
            let counts: Vec<(u64, u64)> = counts.iter().map(|count| (count, 0)).collect();
            let others: Vec<(u64, u64)> = other_counts.iter().map(|count| (0, count)).collect();
            own.keys.joined(&counts, &other.keys, &others)?
        };
        Some((Self { beginning: own.beginning[..shared].to_vec(), keys }, counts))
    }

    /// The name with a number.
    pub(super) fn name(&self, at: usize) -> String {
        let name = each_width!(&self.keys, keys => {
            [&self.beginning[..], &keys[at].to_bytes()[..keys[at].length()]].concat()
        });
        String::from_utf8(name).expect("names are text")
    }

    /// Those of which `keep` holds, by their number.
    pub(super) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept = Self {
            beginning: self.beginning.clone(),
            keys: match &self.keys {
                Keys::Four(keys) => Keys::Four(filtered(keys, keep)),
                Keys::Eight(keys) => Keys::Eight(filtered(keys, keep)),
            },
        };
        kept.tighten();
        kept
    }

    /// Every name, one after the other, and where each ends.
    pub(super) fn to_text(&self) -> (String, Vec<u32>) {
        each_width!(&self.keys, keys => text(&self.beginning, keys))
    }

    /// Each name in its order, with how many bytes it begins with as the one before.
    pub(super) fn visit(&self, visit: impl FnMut(usize, &[u8])) {
        each_width!(&self.keys, keys => visit_all(&self.beginning, keys, visit));
    }

    /// What all begin with, and of each the bytes after it, with 0 up to
    /// [`REST_MAX`], and how many these are.
    pub(super) fn visit_rests(&self, mut visit: impl FnMut(&[u8], &[u8], usize)) {
        each_width!(&self.keys, keys => {
            keys.iter().for_each(|key| visit(&self.beginning, &key.to_bytes(), key.length()));
        });
    }

    /// How many bytes both begin alike with, and bytes of the longest rest after
    /// them; `None` where that is too long for a number.
    fn shared_with(&self, other: &Self) -> Option<(usize, usize)> {
        let shared = alike(&self.beginning, &other.beginning);
        let bytes = self.rest_max(shared)?.max(other.rest_max(shared)?);
        (bytes <= REST_MAX).then_some((shared, bytes))
    }

    /// With so short a beginning and as wide numbers as so many bytes need.
    fn reaching(&self, shared: usize, bytes: usize) -> Cow<'_, Self> {
        let mut reaching = Cow::Borrowed(self);
        let width = if bytes <= u32::BYTES { u32::BYTES } else { u64::BYTES };
        if shared < self.beginning.len() || width > self.width() {
            reaching.to_mut().reach(shared, bytes);
        }
        reaching
    }

    /// Bytes of the longest rest.
    pub(super) fn longest(&self) -> usize {
        each_width!(&self.keys, keys => rest_max(keys))
    }

    fn width(&self) -> usize {
        each_width!(&self.keys, keys => width_of(keys))
    }

    /// Bytes of the longest rest once only so many bytes count as the beginning of
    /// all; `None` where a rest would end with a byte 0.
    fn rest_max(&self, shared: usize) -> Option<usize> {
        let dropped = self.beginning.len() - shared;
        let is_first_alone = each_width!(&self.keys, keys => keys.first().is_some_and(|k| *k == 0));
        if dropped > 0 && is_first_alone && self.beginning.last() == Some(&0) {
            return None;
        }
        Some(dropped + self.longest())
    }

    /// Makes the beginning as short as that and numbers as wide as so many bytes
    /// need; [`Packed::rest_max`] has told that they fit.
    fn reach(&mut self, shared: usize, bytes: usize) {
        let dropped = &self.beginning[shared..];
        match &mut self.keys {
            Keys::Four(keys) if bytes > u32::BYTES => {
                let wide = keys.iter().map(|key| u64::from(*key) << 32);
                self.keys = Keys::Eight(wide.map(|key| key.after(dropped)).collect());
            }
            _ if dropped.is_empty() => {}
            Keys::Four(keys) => keys.iter_mut().for_each(|key| *key = key.after(dropped)),
            Keys::Eight(keys) => keys.iter_mut().for_each(|key| *key = key.after(dropped)),
        }
        self.beginning.truncate(shared);
    }

    /// Makes the beginning as long and numbers as narrow as the names allow.
    fn tighten(&mut self) {
        each_width!(&mut self.keys, keys => {
            let Some((first, last)) = keys.first().copied().zip(keys.last().copied()) else {
                *self = Self::NONE;
                return;
            };
            let both = first.alike(last).min(first.length());
            self.beginning.extend_from_slice(&first.to_bytes()[..both]);
            keys.iter_mut().for_each(|key| *key = key.without(both));
        });
        if let Keys::Eight(keys) = &self.keys
            && rest_max(keys) <= u32::BYTES
        {
            self.keys = Keys::Four(keys.iter().map(|key| (key >> 32) as u32).collect());
        }
    }
}

/// True where the rest of a name can be told from its number.
fn is_number(rest: &[u8]) -> bool {
    rest.len() <= REST_MAX && rest.last() != Some(&0)
}

fn width_of<K: Key>(_: &[K]) -> usize {
    K::BYTES
}

fn rest_max<K: Key>(keys: &[K]) -> usize {
    keys.iter().fold(K::default(), |all, key| all | *key).length()
}

fn find<K: Key>(keys: &[K], rest: &[u8]) -> Result<usize, usize> {
    let key = K::of(&rest[..rest.len().min(K::BYTES)]);
    if rest.len() <= K::BYTES && rest.last() != Some(&0) {
        return keys.binary_search(&key);
    }
    // What is equal as far as a number goes ends before it.
    Err(keys.partition_point(|own| *own <= key))
}

fn insert<K>(keys: &mut Vec<K>, at: usize, key: K) {
    room_for(keys, 1);
    keys.insert(at, key);
}

/// Others into so many times as many: runs of the own are moved, not merged.
const FEW: usize = 16;

fn merge<K: Key>(keys: &mut Vec<K>, counts: &mut Counts, others: &[K], other_counts: &Counts) {
    if others.len() * FEW < keys.len() {
        return insert_all(keys, counts, others, other_counts);
    }
    if keys.len() * FEW < others.len() {
        let (few, few_counts) = (std::mem::take(keys), std::mem::take(counts));
        (*keys, *counts) = (others.to_vec(), other_counts.clone());
        return insert_all(keys, counts, &few, &few_counts);
    }
    union(keys, counts, others, other_counts);
}

/// Every name, one after the other, and where each ends.
fn text<K: Key>(beginning: &[u8], keys: &[K]) -> (String, Vec<u32>) {
    let rests: usize = keys.iter().map(|key| key.length()).sum();
    // Of each number all bytes are put down; the next name begins where it ends.
    let mut bytes = vec![0; beginning.len() * keys.len() + rests + BYTES_MAX];
    let mut ends = Vec::with_capacity(keys.len());
    let mut end = 0;
    for key in keys {
        bytes[end..end + beginning.len()].copy_from_slice(beginning);
        end += beginning.len();
        bytes[end..end + BYTES_MAX].copy_from_slice(&key.to_bytes());
        end += key.length();
        ends.push(end as u32);
    }
    bytes.truncate(end);
    (String::from_utf8(bytes).expect("names are text"), ends)
}

/// Each name in its order, with how many bytes it begins with as the one before.
fn visit_all<K: Key>(beginning: &[u8], keys: &[K], mut visit: impl FnMut(usize, &[u8])) {
    let mut name = [beginning, &[0; BYTES_MAX]].concat();
    let mut before: Option<K> = None;
    for key in keys {
        let alike =
            before.map_or(0, |before| beginning.len() + key.alike(before).min(before.length()));
        name[beginning.len()..].copy_from_slice(&key.to_bytes());
        visit(alike, &name[..beginning.len() + key.length()]);
        before = Some(*key);
    }
}
