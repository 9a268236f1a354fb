//! Counts of good and bad events over the windows of an objective.
//!
//! A burn rate looks back over three days and an error budget over weeks, so
//! it is not whole summaries that are kept for them but two counts for each
//! slot of time ([`History`]).

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::{BURN_PAIRS, Good, WindowSpec};
use watchkeep_model::distribution::{Durations, bucket_edges};
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// The longest window of [`BURN_PAIRS`]: so far back counts are kept by slot,
/// beyond it by hour.
const FINE_SPAN: TimeSpan = BURN_PAIRS[BURN_PAIRS.len() - 1].long;

/// Events that count for an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All of them.
    pub total: u64,
    /// Those that are bad, at least.
    pub bad: u64,
    /// Those that are bad, at most: more than `bad` only where events may fail
    /// one of several conditions or all of them.
    pub bad_at_most: u64,
}

impl Tally {
    /// Counts a summary's events.
    ///
    /// Each condition is counted exactly: of durations that are no longer kept
    /// one by one, a bucket that begins below the bound is below it, so that
    /// the bound is at most 1 % longer than it was written. A summary does not
    /// tell which events fail several conditions. That number lies between the
    /// largest of the single ones (they all fall together) and their sum (none
    /// do), which are the Fréchet bounds of a union.
    pub fn of(good: &Good, summary: &Summary) -> Self {
        let mut tally = Self::default();
        let mut sum = 0;
        let mut condition = |total: u64, good: u64| {
            let bad = total - good;
            tally.total = tally.total.max(total);
            tally.bad = tally.bad.max(bad);
            sum += bad;
        };
        if let Some(bound) = good.latency_below {
            condition(summary.latency_us.count(), below(&summary.latency_us, bound));
        }
        if let Some(bound) = good.age_below {
            // An age below zero is below every bound.
            let negative = summary.negative_age_count;
            condition(summary.age_us.count() + negative, below(&summary.age_us, bound) + negative);
        }
        if let Some(statuses) = &good.status {
            let good = statuses.iter().map(|status| summary.statuses[status.index()]).sum();
            condition(summary.count, good);
        }
        tally.bad_at_most = sum.min(tally.total);
        tally
    }

    /// The share of bad events over the share that the objective allows;
    /// `None` without events.
    pub fn burn_rate(&self, objective: f64) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64 / (1.0 - objective))
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.bad += other.bad;
        self.bad_at_most += other.bad_at_most;
    }
}

fn below(durations: &Durations, bound: TimeSpan) -> u64 {
    let bound = u64::try_from(bound.as_micros()).unwrap_or(0);
    match durations {
        Durations::Few(values) => values.partition_point(|value| *value < bound) as u64,
        Durations::Many(grid) if grid.max < bound => grid.count,
        Durations::Many(grid) => {
            let buckets = grid.buckets.iter();
            buckets.filter(|(bucket, _)| bucket_edges(*bucket).0 < bound).map(|(_, n)| n).sum()
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
/// days and 672 hours of a period of 28 days, each of 24 bytes and its place
/// in the map: below 64 KB, and nothing for a slot without events.
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
