//! Two ascending lists of numbers, each with a count, made one.
//!
//! Which of two comes next cannot be foreseen, and a branch that is foreseen
//! wrongly costs as much as ten comparisons. So each step takes the smaller one and
//! goes on in either list by what the comparison told, without a branch. Such a step
//! waits for the one before it; so several stretches of the lists are gone along at
//! the same time, and each waits while the others go on.

use std::borrow::Cow;

use super::key::Key;
use crate::counts::{Count, Counts, insert_each};

/// Stretches that are gone along at the same time.
const LANES: usize = 4;
/// Fewer steps than this are taken in one stretch after the other.
const TOGETHER_MIN: usize = 8;

/// Adds few others to many.
pub(super) fn insert_all<K: Key>(
    keys: &mut Vec<K>,
    counts: &mut Counts,
    others: &[K],
    other_counts: &Counts,
) {
    let (mut places, mut fresh, mut fresh_counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut from = 0;
    for (key, count) in others.iter().zip(other_counts.iter()) {
        from += keys[from..].partition_point(|own| own < key);
        if keys.get(from) == Some(key) {
            counts.add(from, count);
        } else {
            places.push(from);
            fresh.push(*key);
            fresh_counts.push(count);
        }
    }
    insert_each(keys, &places, |at| fresh[at]);
    counts.insert_each(&places, &fresh_counts);
}

/// Adds all of the others.
pub(super) fn union<K: Key>(
    keys: &mut Vec<K>,
    counts: &mut Counts,
    others: &[K],
    other_counts: &Counts,
) {
    let mut other_counts = Cow::Borrowed(other_counts);
    loop {
        // Both in as many bytes.
        counts.widen_to(other_counts.width());
        if other_counts.width() < counts.width() {
            other_counts.to_mut().widen_to(counts.width());
        }
        let joined = match (&*counts, &*other_counts) {
            (Counts::One(own), Counts::One(more)) => {
                joined(keys, own, others, more).map(|(keys, sums)| (keys, Counts::One(sums)))
            }
            (Counts::Two(own), Counts::Two(more)) => {
                joined(keys, own, others, more).map(|(keys, sums)| (keys, Counts::Two(sums)))
            }
            (Counts::Four(own), Counts::Four(more)) => {
                joined(keys, own, others, more).map(|(keys, sums)| (keys, Counts::Four(sums)))
            }
            (own, more) => {
                let (own, more) = (own.all(), more.all());
                joined(keys, &own, others, &more).map(|(keys, sums)| (keys, Counts::Eight(sums)))
            }
        };
        if let Some((all, sums)) = joined {
            (*keys, *counts) = (all, sums);
            return;
        }
        // A sum did not fit.
        counts.widen_to(2 * counts.width());
    }
}

/// Where a lane is: in the own, in the others and in what comes out.
#[derive(Clone, Copy, Default)]
struct Lane {
    own: usize,
    other: usize,
    out: usize,
}

/// All of both and the sums of their counts; `None` where a sum does not fit.
pub(super) fn joined<K: Key, C: Count>(
    keys: &[K],
    counts: &[C],
    others: &[K],
    other_counts: &[C],
) -> Option<(Vec<K>, Vec<C>)> {
    let most = keys.len() + others.len();
    let (mut all, mut sums) = (vec![K::default(); most], vec![C::default(); most]);
    // What has a key has a count: that need not be asked of each.
    let (counts, other_counts) = (&counts[..keys.len()], &other_counts[..others.len()]);
    let (all_keys, all_sums) = (&mut all[..most], &mut sums[..most]);
    let mut is_too_large = false;
    let mut step = |lane: &mut Lane| {
        let (key, other) = (keys[lane.own], others[lane.other]);
        let (is_own, is_other) = (key <= other, key >= other);
        let count = counts[lane.own].only_if(is_own);
        let (sum, too_large) = count.plus(other_counts[lane.other].only_if(is_other));
        all_keys[lane.out] = key.min(other);
        all_sums[lane.out] = sum;
        is_too_large |= too_large;
        lane.own += usize::from(is_own);
        lane.other += usize::from(is_other);
        lane.out += 1;
    };
    let bounds: [Lane; LANES + 1] =
        std::array::from_fn(|lane| split(keys, others, most * lane / LANES));
    let mut lanes: [Lane; LANES] = std::array::from_fn(|lane| bounds[lane]);
    let left = |lane: &Lane, end: &Lane| (end.own - lane.own).min(end.other - lane.other);
    loop {
        let steps = lanes.iter().zip(&bounds[1..]).map(|(lane, end)| left(lane, end)).min();
        let steps = steps.unwrap_or_default();
        if steps < TOGETHER_MIN {
            break;
        }
        for _ in 0..steps {
            lanes.iter_mut().for_each(&mut step);
        }
    }
    for (lane, end) in lanes.iter_mut().zip(&bounds[1..]) {
        while lane.own < end.own && lane.other < end.other {
            step(lane);
        }
    }
    if is_too_large {
        return None;
    }
    // What is left of either, and all stretches one after the other.
    let mut length = 0;
    for (at, (lane, end)) in lanes.iter().zip(&bounds[1..]).enumerate() {
        let start = bounds[at].out;
        all.copy_within(start..lane.out, length);
        sums.copy_within(start..lane.out, length);
        length += lane.out - start;
        for (keys, counts, from, to) in
            [(keys, counts, lane.own, end.own), (others, other_counts, lane.other, end.other)]
        {
            all[length..length + to - from].copy_from_slice(&keys[from..to]);
            sums[length..length + to - from].copy_from_slice(&counts[from..to]);
            length += to - from;
        }
    }
    all.truncate(length);
    sums.truncate(length);
    all.shrink_to_fit();
    sums.shrink_to_fit();
    Some((all, sums))
}

/// Where both are cut for so many to lie before, one more or less: a number that
/// both have is on one side.
fn split<K: Key>(keys: &[K], others: &[K], before: usize) -> Lane {
    let (mut low, mut high) = (before.saturating_sub(others.len()), before.min(keys.len()));
    while low < high {
        let middle = usize::midpoint(low, high);
        if keys[middle] < others[before - 1 - middle] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let (mut own, mut other) = (low, before - low);
    if own > 0 && other < others.len() && keys[own - 1] == others[other] {
        other += 1;
    } else if other > 0 && own < keys.len() && others[other - 1] == keys[own] {
        own += 1;
    }
    Lane { own, other, out: own + other }
}
