//! Names one after the other in one text: an allocation and a place in a tree for
//! each would be several times as much, in memory and in time.

use std::cmp::Ordering;

use super::alike;
use crate::counts::{Counts, room_for_bytes};

/// Ascending names.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// All names, one after the other.
    pub(super) text: String,
    /// Where each ends in it.
    pub(super) ends: Counts,
}

impl Text {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn name(&self, at: usize) -> &str {
        &self.text[self.start(at)..self.ends.get(at) as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.name(at))
    }

    /// Where a name is, or where it belongs.
    pub(super) fn find(&self, name: &str) -> Result<usize, usize> {
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

    pub(super) fn insert(&mut self, at: usize, name: &str) {
        let start = self.start(at);
        room_for_bytes(&mut self.text, name.len());
        self.text.insert_str(start, name);
        self.ends.insert(at, start as u64);
        self.ends.raise_from(at, name.len() as u64);
    }

    /// Those of which `keep` holds, by their number.
    pub(super) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (at, name) in self.iter().enumerate().filter(|(at, _)| keep(*at)) {
            debug_assert!(at < self.len());
            room_for_bytes(&mut text, name.len());
            text.push_str(name);
            ends.push(text.len() as u64);
        }
        text.shrink_to_fit();
        Self { text, ends: Counts::of(ends.iter().copied()) }
    }

    /// Each name in its order, with how many bytes it begins with as the one before.
    pub(super) fn visit(&self, mut visit: impl FnMut(usize, &[u8])) {
        let mut before: &[u8] = &[];
        for name in self.iter().map(str::as_bytes) {
            visit(alike(before, name), name);
            before = name;
        }
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends.get(at - 1) as usize }
    }
}
