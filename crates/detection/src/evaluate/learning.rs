//! What past windows came to, for bounds that are learned from them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::{Effect, Expectation, Learned, Rule, Side, WindowSpec};
use watchkeep_model::identifier::sha256_hex;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::LearnedBounds;

use crate::judge::{Lesson, Opinion, Sides};
use crate::learned::{Past, upper_bound_of_overlapping, windows_needed};
use crate::sustained::Shift;

/// Windows that one history holds, 24 bytes each. Beyond that the oldest are
/// let go, and the history is shorter than `from` says.
const WINDOWS_MAX: usize = Learned::WINDOWS_MAX;

/// One in so many windows of a history may be set aside as far out. With more
/// of them all are learned from: what has lasted that long is how things are
/// now, or a shift of the level would be bad for ever.
const SET_ASIDE_ONE_IN: usize = 10;

/// Outages that are set aside however short the history is.
const OCCASIONS_SPARED: f64 = 3.0;

/// The histories of one subject by version, expectation, window and what it observes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Histories {
    learned: BTreeMap<Key, History>,
    /// Shifts of windows that a drift adds up, by their start.
    shifts: BTreeMap<Key, BTreeMap<Timestamp, Shift>>,
}

/// Version, expectation, window and what is observed ([`observed`]).
type Key = (Arc<str>, String, WindowSpec, String);

impl Histories {
    /// What has been learned for the window that starts at `start`; `None`
    /// where the expectation learns nothing.
    pub(super) fn lesson(
        &self,
        version: &Arc<str>,
        expectation: &Expectation,
        start: Timestamp,
    ) -> Option<Lesson> {
        let learned = expectation.learned.as_ref()?;
        let none = History::default();
        let history = self.learned.get(&key(version, expectation)).unwrap_or(&none);
        let windows = Windows {
            overlap: overlap(&expectation.window),
            apart: expectation.resolve_after.max(1) as usize,
        };
        let bounds = |rate| history.bounds(start, learned, rate, windows);
        let eased = learned.resolve_rate.and_then(|rate| bounds(rate).ok());
        let (bounds, usual) = bounds(learned.false_alarm_rate)
            .map_or_else(|why| (Err(why), Sides::default()), |(bounds, usual)| (Ok(bounds), usual));
        Some(Lesson { bounds, usual, eased: eased.map(|(bounds, _)| bounds) })
    }

    /// The shifts of the windows before `start` that a drift adds up, by their starts.
    pub(super) fn shifts(
        &self,
        version: &Arc<str>,
        expectation: &Expectation,
        start: Timestamp,
    ) -> Vec<(Timestamp, Shift)> {
        let Rule::Drift { sustained: Some(sustained), .. } = &expectation.rule else {
            return Vec::new();
        };
        let shifts = self.shifts.get(&key(version, expectation));
        let before = shifts.map(|shifts| shifts.range(start - sustained.from..start));
        before.into_iter().flatten().map(|(start, shift)| (*start, *shift)).collect()
    }

    /// Takes note of a judged window, or of what a revision makes of it.
    pub(super) fn note(
        &mut self,
        version: &Arc<str>,
        expectation: &Expectation,
        start: Timestamp,
        opinion: &Opinion,
    ) {
        if let Rule::Drift { sustained: Some(sustained), .. } = &expectation.rule {
            let (key, reach) = (key(version, expectation), start - sustained.from);
            forget_others(&mut self.shifts, &key, |shifts| {
                shifts.keys().next_back().is_none_or(|newest| *newest < reach)
            });
            let shifts = self.shifts.entry(key).or_default();
            shifts.remove(&start);
            shifts.extend(opinion.shift.map(|shift| (start, shift)));
            while shifts.len() > WINDOWS_MAX
                || shifts.keys().next().is_some_and(|first| *first < start - sustained.from)
            {
                shifts.pop_first();
            }
        }
        let Some(learned) = &expectation.learned else { return };
        let (key, reach) = (key(version, expectation), start - learned.from);
        forget_others(&mut self.learned, &key, |history| {
            history.windows.back().is_none_or(|newest| newest.start < reach)
        });
        let history = self.learned.entry(key).or_default();
        history.note(start, opinion.sides, opinion.is_far, learned.from);
    }

    /// Forgets a session that became a part of another one.
    pub(super) fn forget(
        &mut self,
        version: &Arc<str>,
        expectation: &Expectation,
        start: Timestamp,
    ) {
        if let Some(history) = self.learned.get_mut(&key(version, expectation)) {
            history.remove(start);
        }
        if let Some(shifts) = self.shifts.get_mut(&key(version, expectation)) {
            shifts.remove(&start);
        }
    }
}

/// A short name of what an expectation observes, whatever its thresholds. A charter
/// that has another quantile, statistic or baseline under the same name begins a
/// new history: a bound of the median is none for the 99 % quantile.
fn observed(expectation: &Expectation) -> String {
    let rule = &expectation.rule;
    let of = match rule {
        Rule::Latency { quantile, .. } | Rule::Freshness { quantile, .. } => {
            quantile.name().to_owned()
        }
        Rule::Drift { baseline, effect, bins, .. } => {
            format!("{baseline:?} {:?} {bins}", effect.map(|Effect { statistic, .. }| statistic))
        }
        Rule::Range { min, max, above } => format!("{min:?} {max:?} {above:?}"),
        Rule::Categories { allowed, baseline, .. } => format!("{allowed:?} {baseline:?}"),
        Rule::NullRate { .. }
        | Rule::ErrorRate { .. }
        | Rule::Volume { .. }
        | Rule::Silence { .. }
        | Rule::Slo { .. } => String::new(),
    };
    let mut name = sha256_hex(format!("{:?} {of}", rule.kind()).as_bytes());
    name.truncate(16);
    name
}

fn key(version: &Arc<str>, expectation: &Expectation) -> Key {
    (version.clone(), expectation.name.clone(), expectation.window, observed(expectation))
}

/// Lets go of what was observed under the same name by an earlier charter, once no
/// window asks for it: late events may still revise one that it judged.
fn forget_others<T>(histories: &mut BTreeMap<Key, T>, key: &Key, is_old: impl Fn(&T) -> bool) {
    let (version, name, window, of) = key;
    histories.retain(|(of_version, of_name, of_window, other), history| {
        let is_other =
            of_version == version && of_name == name && of_window == window && other != of;
        !(is_other && is_old(history))
    });
}

/// What has to be known of the windows of an expectation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// How many of them each event lies in.
    overlap: f64,
    /// After so many that are not far out a further one is another occasion, as it
    /// is another breach: what one breach goes over is told once.
    apart: usize,
}

/// How many windows of that kind each event lies in.
fn overlap(window: &WindowSpec) -> f64 {
    match window {
        WindowSpec::Hopping { size, hop } => size.as_micros() as f64 / hop.as_micros() as f64,
        WindowSpec::Tumbling { .. } | WindowSpec::Session { .. } => 1.0,
    }
}

/// What was observed of past windows and how they were judged, by their start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    windows: VecDeque<Noted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Noted {
    start: Timestamp,
    sides: Sides,
    /// Bad, and farther out than chance would have it: no example of how the
    /// feature ought to be. A bad window that is nearer is learned from, or
    /// chance would narrow the bounds step by step.
    far: bool,
}

/// On how many occasions windows may be far out and be set aside: so often as chance
/// has it at the rate, with two standard deviations, and [`OCCASIONS_SPARED`]. What
/// comes more often, such as bursts in one window of twenty, is how the feature is:
/// set aside, it would be bad for ever and more often than the rate says.
fn occasions_max(windows: usize, rate: f64) -> f64 {
    let by_chance = rate * windows as f64;
    by_chance + 2.0 * by_chance.sqrt() + OCCASIONS_SPARED
}

impl History {
    /// Takes note of a judged window, or of what a revision makes of it.
    pub(super) fn note(
        &mut self,
        start: Timestamp,
        sides: Option<Sides>,
        far: bool,
        from: TimeSpan,
    ) {
        let at = self.remove(start);
        let Some(sides) = sides else { return };
        self.windows.insert(at, Noted { start, sides, far });
        let newest = self.windows.back().map_or(start, |noted| noted.start);
        while self.windows.len() > WINDOWS_MAX
            || self.windows.front().is_some_and(|noted| noted.start < newest - from)
        {
            self.windows.pop_front();
        }
    }

    /// Forgets a window; answers with the place where it was or would be.
    fn remove(&mut self, start: Timestamp) -> usize {
        let at = self.windows.partition_point(|noted| noted.start < start);
        if self.windows.get(at).is_some_and(|noted| noted.start == start) {
            self.windows.remove(at);
        }
        at
    }

    /// The windows before `start` that are learned from. After `apart` that are not far
    /// out a further one is another occasion.
    fn good(&self, start: Timestamp, learned: &Learned, apart: usize) -> Vec<&Noted> {
        let from = self.windows.partition_point(|noted| noted.start < start - learned.from);
        let to = self.windows.partition_point(|noted| noted.start < start);
        let in_reach = self.windows.range(from..to.max(from));
        let (mut far, mut occasions, mut quiet) = (0, 0, apart);
        for noted in in_reach.clone() {
            far += usize::from(noted.far);
            occasions += usize::from(noted.far && quiet >= apart);
            quiet = if noted.far { 0 } else { quiet + 1 };
        }
        let windows = to.saturating_sub(from);
        let set_aside = far * SET_ASIDE_ONE_IN <= windows
            && occasions as f64 <= occasions_max(windows, learned.false_alarm_rate);
        in_reach.filter(|noted| !(set_aside && noted.far)).collect()
    }

    /// The bounds for the window that starts at `start`, of `rate` false
    /// alarms, and the medians beside them, or why there are none.
    pub(super) fn bounds(
        &self,
        start: Timestamp,
        learned: &Learned,
        rate: f64,
        windows: Windows,
    ) -> Result<(LearnedBounds, Sides), String> {
        let good = self.good(start, learned, windows.apart);
        let per_side = if learned.is_two_sided() { rate / 2.0 } else { rate };
        let needed = windows_needed(per_side);
        if good.len() < needed {
            return Err(format!(
                "{} good windows in the {} before, a bound with {rate} false alarms is learned \
                 from at least {needed}",
                good.len(),
                learned.from
            ));
        }
        let mut bounds = LearnedBounds {
            windows: good.len() as u64,
            false_alarm_rate: rate,
            ..LearnedBounds::default()
        };
        let mut usual = Sides::default();
        for side in learned.sides() {
            let past: Vec<Past> = good
                .iter()
                .map(|noted| Past { start: noted.start, observed: noted.sides.outward(side) })
                .collect();
            let bound = upper_bound_of_overlapping(&past, start, per_side, windows.overlap)
                .ok_or("what the windows before came to has no finite bound")?;
            bounds.method = bound.method.name().to_owned();
            match side {
                Side::Upper => (bounds.above, usual.upper) = (Some(bound.above), bound.median),
                Side::Lower => (bounds.below, usual.lower) = (Some(-bound.above), -bound.median),
            }
        }
        Ok((bounds, usual))
    }
}

#[cfg(test)]
mod tests;
