//! Counts of good and bad events over the windows of an objective.
//!
//! A burn rate looks back over three days and an error budget over weeks, so
//! it is not whole summaries that are kept for them but two counts for each
//! slot of time ([`History`]).

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::{BURN_PAIRS, Good, WindowSpec};
use watchkeep_model::distribution::{Durations, bucket_of};
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// The longest window of [`BURN_PAIRS`]: so far back counts are kept by slot,
/// beyond it by hour.
const FINE_SPAN: TimeSpan = BURN_PAIRS[BURN_PAIRS.len() - 1].long;

/// Conditions that [`Good`] can have.
const CONDITIONS: usize = 3;

/// Events that count for an objective, by condition.
///
/// Apart, because the largest of sums is not the sum of the largest: taken
/// together too early, counts would depend on how events were cut into deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    totals: [u64; CONDITIONS],
    bads: [u64; CONDITIONS],
}

impl Tally {
    /// Counts a summary's events.
    ///
    /// Each condition is counted exactly but for durations in the bucket of their
    /// bound, which are not below it: the bound is at most 1 % shorter than it was
    /// written.
    pub fn of(good: &Good, summary: &Summary) -> Self {
        let mut tally = Self::default();
        let mut condition = |at: usize, total: u64, good: u64| {
            tally.totals[at] = total;
            tally.bads[at] = total - good;
        };
        if let Some(bound) = good.latency_below {
            condition(0, summary.latency_us.count(), below(&summary.latency_us, bound));
        }
        if let Some(bound) = good.age_below {
            // An age below zero is below every bound.
            let negative = summary.negative_age_count;
            let good = below(&summary.age_us, bound) + negative;
            condition(1, summary.age_us.count() + negative, good);
        }
        if let Some(statuses) = &good.status {
            let good = statuses.iter().map(|status| summary.statuses[status.index()]).sum();
            condition(2, summary.count, good);
        }
        tally
    }

    /// All events that count: of several conditions the one that most tell of.
    pub fn total(&self) -> u64 {
        self.totals.into_iter().fold(0, u64::max)
    }

    /// Those that are bad, at least.
    ///
    /// A summary does not tell which events fail several conditions. That number
    /// lies between the largest of the single ones (they all fall together) and
    /// their sum (none do), which are the Fréchet bounds of a union.
    pub fn bad(&self) -> u64 {
        self.bads.into_iter().fold(0, u64::max)
    }

    /// Those that are bad, at most: more than [`Tally::bad`] only where events may
    /// fail one of several conditions or all of them.
    pub fn bad_at_most(&self) -> u64 {
        self.bads.into_iter().sum::<u64>().min(self.total())
    }

    /// The share of bad events over the share that the objective allows;
    /// `None` without events.
    pub fn burn_rate(&self, objective: f64) -> Option<f64> {
        let (total, bad) = (self.total(), self.bad());
        (total > 0).then(|| bad as f64 / total as f64 / (1.0 - objective))
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.totals.iter_mut().zip(other.totals).for_each(|(own, more)| *own += more);
        self.bads.iter_mut().zip(other.bads).for_each(|(own, more)| *own += more);
    }
}

/// Those in buckets before that of the bound, also where they are kept one by
/// one: whether they are depends on how a pane was cut into deltas, and counts
/// must not.
fn below(durations: &Durations, bound: TimeSpan) -> u64 {
    let bound = bucket_of(u64::try_from(bound.as_micros()).unwrap_or(0));
    match durations {
        Durations::Few(values) => values.partition_point(|value| bucket_of(*value) < bound) as u64,
        Durations::Many(grid) => {
            let buckets = grid.buckets.iter();
            buckets.take_while(|(bucket, _)| *bucket < bound).map(|(_, n)| n).sum()
        }
    }
}

/// What an objective is judged by at the end of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tallies {
    /// The long and the short window of each of [`BURN_PAIRS`].
    pub pairs: [[Tally; 2]; BURN_PAIRS.len()],
    /// The period.
    pub period: Tally,
}

/// The counts of one feature version for one meaning of good and one grid of windows.
///
/// With windows of 5 minutes or more there are at most 864 slots of three
/// days and 672 hours of a period of 28 days, each of 48 bytes and its place
/// in the map: below 128 KB, and nothing for a slot without events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// By the slot's first instant.
    slots: BTreeMap<Timestamp, Tally>,
    /// The same by hour.
    hours: BTreeMap<Timestamp, Tally>,
}

impl History {
    /// Adds the events of a pane.
    pub fn add(&mut self, pane: Timestamp, slot: TimeSpan, tally: Tally) {
        *self.slots.entry(pane.floor(slot)).or_default() += tally;
        *self.hours.entry(pane.floor(TimeSpan::HOUR)).or_default() += tally;
    }

    /// The counts before `end`, which is the end of a slot. The period begins
    /// with a whole hour.
    pub fn tallies(&self, end: Timestamp, slot: TimeSpan, period: TimeSpan) -> Tallies {
        let since = |start: Timestamp| sum(self.slots.range(start..end));
        let pairs = BURN_PAIRS.map(|pair| {
            [pair.long, pair.short].map(|length| since(end - whole_slots(length, slot)))
        });
        let hour = end.floor(TimeSpan::HOUR);
        let mut whole = sum(self.hours.range((end - period).floor(TimeSpan::HOUR)..hour));
        whole += since(hour);
        Tallies { pairs, period: whole }
    }

    /// Forgets what no window that ends at `end` or later looks back at.
    pub fn settle(&mut self, end: Timestamp, slot: TimeSpan, period: TimeSpan) {
        self.slots = self.slots.split_off(&(end - whole_slots(FINE_SPAN, slot)));
        self.hours = self.hours.split_off(&(end - period).floor(TimeSpan::HOUR));
    }
}

fn sum<'a>(tallies: impl Iterator<Item = (&'a Timestamp, &'a Tally)>) -> Tally {
    let mut sum = Tally::default();
    tallies.for_each(|(_, tally)| sum += *tally);
    sum
}

/// The length of a window, made longer to whole slots.
fn whole_slots(length: TimeSpan, slot: TimeSpan) -> TimeSpan {
    let (length, slot) = (length.as_micros(), slot.as_micros());
    TimeSpan::from_micros((length + slot - 1) / slot * slot)
}

/// The slot in which counts are kept for windows of a shape: the longest span
/// of which the ends of all windows and the shortest window of
/// [`BURN_PAIRS`] are multiples. With panes that five minutes are no multiple
/// of, it is a pane.
pub fn slot(window: WindowSpec, pane: TimeSpan) -> TimeSpan {
    let (size, hop) = match window {
        WindowSpec::Tumbling { size } => (size, size),
        WindowSpec::Hopping { size, hop } => (size, hop),
        WindowSpec::Session { .. } => return pane,
    };
    let shortest = BURN_PAIRS[0].short;
    let common = [size, hop, shortest].map(TimeSpan::as_micros).into_iter().fold(0, gcd);
    let slot = TimeSpan::from_micros(common);
    if slot.is_multiple_of(pane) { slot } else { pane }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
