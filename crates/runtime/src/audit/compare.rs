//! Holds the windows that a service told of against those of a replay from
//! telemetry, and lists where they differ.
//!
//! A replay reads the partitions in step, a service as they come, so an event
//! that is too late for a window in one run may be in time in the other. Both
//! runs say so: for a window that takes no more events, the count of its last
//! revision and its late summaries come to all events of its time, the same in
//! both. A window may differ where they do and some of them were late, and
//! nowhere else; what a verdict owes to other windows is told apart.

mod sessions;
#[cfg(test)]
mod tests;
pub mod untold;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchkeep_detection::charters::Charters;
use watchkeep_model::charter::{ExpectationKind, Rule};
use watchkeep_model::reject::Reject;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Judged, Window};

use super::recount::Shape;
use untold::Untold;

/// Feature, version, window and its start.
type Key = (String, String, String, Timestamp);

/// The windows of one run.
#[derive(Debug, Default)]
pub struct Run {
    windows: BTreeMap<Key, Window>,
    late: BTreeMap<Key, u64>,
}

impl Run {
    /// Takes a window's line; the last revision counts.
    pub fn window(&mut self, window: Window) {
        let key = (
            window.feature.clone(),
            window.feature_version.clone(),
            window.window.clone(),
            window.window_start,
        );
        match self.windows.get(&key) {
            Some(kept) if kept.revision > window.revision => {}
            _ => {
                self.windows.insert(key, window);
            }
        }
    }

    /// Takes a late summary; other rejects are passed over.
    pub fn late(&mut self, reject: &Reject) {
        if let (Some(feature), Some(window), Some(start), Some(count)) =
            (&reject.feature, &reject.window, reject.window_start, reject.count)
        {
            let version = reject.feature_version.clone().unwrap_or_default();
            let key = (feature.clone(), version, window.clone(), start);
            *self.late.entry(key).or_default() += count;
        }
    }

    /// What this run has of a window that is no session.
    fn side(&self, key: &Key) -> Option<Side> {
        let (window, late) = (self.windows.get(key), self.late.get(key));
        let count = window.map_or(0, |window| window.count);
        (window.is_some() || late.is_some())
            .then(|| Side { count, late: late.copied().unwrap_or(0) })
    }

    /// Features, and when a window of theirs with late events begins.
    fn late_features(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let too_late = self.late.keys().map(|(feature, _, _, start)| (&**feature, *start));
        let late = self.windows.values().filter(|window| window.late_count > 0);
        too_late.chain(late.map(|window| (&*window.feature, window.window_start)))
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Windows that both runs have decided and that are the same.
    pub same: u64,
    /// Windows that only one run has decided, because the other ended before.
    pub open: u64,
    /// Windows that differ.
    pub differences: Vec<Difference>,
}

/// A window that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The subject.
    pub feature: String,
    /// Its version.
    pub feature_version: String,
    /// The window's name.
    pub window: String,
    /// Its first instant; of sessions that touch each other the earliest's.
    pub window_start: Timestamp,
    /// Events of the service's window and late summaries of it; absent where
    /// it has none. Sessions that touch each other are taken together.
    pub service: Option<Side>,
    /// The same of the replay.
    pub replay: Option<Side>,
    /// What it comes from.
    pub why: Why,
}

/// What one run has of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Events in the window.
    pub count: u64,
    /// Events too late for it.
    pub late: u64,
}

impl Side {
    const fn events(self) -> u64 {
        self.count + self.late
    }
}

/// What a difference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Events of this window were late in one of the runs, and none is missing.
    Late,
    /// The events are the same, and a verdict looks at other windows, earlier
    /// ones of which had late events: at a baseline, at silence, at what was learned.
    OtherWindows,
    /// The events are the same, and a test that an alert budget was asked for
    /// was granted another level: the service shares a budget over its
    /// summaries partitions, a replay of telemetry has one.
    Budget,
    /// There is no event. A silent line belongs to the version of the event
    /// before it, and late events tell of another one.
    Silent,
    /// The feature drops repeats and had late events. Which of two repeats
    /// counts, and in which window, is a matter of their order.
    Repeats,
    /// Nothing that may be: an event is missing or doubled, or the same events
    /// were measured or judged in another way.
    Unexplained,
}

impl Why {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late records",
            Self::OtherWindows => "late records of windows before",
            Self::Budget => "another share of an alert budget",
            Self::Silent => "silent, after late records",
            Self::Repeats => "late records and repeats",
            Self::Unexplained => "NOT EXPLAINED",
        }
    }
}

impl Comparison {
    /// Differences that nothing explains: there must be none.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.why == Why::Unexplained)
    }
}

/// Compares two runs. Windows that the replay broke off, and those that the
/// service may still revise, `lateness` after their end, are left out.
///
/// `untold` is what the service has taken and not told of yet, `charters` tell
/// which expectations look at more than the window itself.
pub fn compare(
    service: &Run,
    replay: &Run,
    untold: &Untold,
    lateness: TimeSpan,
    charters: &dyn Charters,
) -> Comparison {
    let both = [service, replay];
    let mut late_from: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (feature, start) in both.into_iter().flat_map(Run::late_features) {
        let from = late_from.entry(feature).or_insert(start);
        *from = start.min(*from);
    }
    let comparing = Comparing {
        service,
        replay,
        untold,
        lateness,
        charters,
        late_from,
        made: Comparison::default(),
    };
    comparing.run()
}

struct Comparing<'a> {
    service: &'a Run,
    replay: &'a Run,
    untold: &'a Untold,
    lateness: TimeSpan,
    charters: &'a dyn Charters,
    /// Per feature the start of the first window with late events.
    late_from: BTreeMap<&'a str, Timestamp>,
    made: Comparison,
}

impl<'a> Comparing<'a> {
    fn run(mut self) -> Comparison {
        let both = [self.service, self.replay];
        let keys: BTreeSet<&'a Key> =
            both.into_iter().flat_map(|run| run.windows.keys().chain(run.late.keys())).collect();
        for key in keys {
            // Sessions have no place of their own in time; they come after.
            if let Some(shape) = Shape::of(&key.2) {
                self.window(key, shape);
            }
        }
        self.sessions();
        let by_place = |one: &Difference| {
            (one.feature.clone(), one.feature_version.clone(), one.window.clone(), one.window_start)
        };
        self.made.differences.sort_by_cached_key(by_place);
        self.made
    }

    /// True where the service has decided for good what ended then.
    fn is_settled(&self, end: Timestamp) -> bool {
        self.untold.watermark().is_some_and(|watermark| end + self.lateness <= watermark)
    }

    fn window(&mut self, key: &Key, shape: Shape) {
        let (feature, version, _, start) = key;
        let end = *start + shape.size;
        let (ours, theirs) = (self.service.windows.get(key), self.replay.windows.get(key));
        let is_broken_off = [ours, theirs].into_iter().flatten().any(|window| window.partial);
        if is_broken_off || !self.is_settled(end) {
            self.made.open += 1;
            return;
        }
        let (service, replay) = (self.service.side(key), self.replay.side(key));
        let untold = self.untold.between(feature, version, *start, end);
        let adds_up = adds_up(service, replay, untold);
        let is_same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => content(ours) == content(theirs),
            (None, None) => true,
            _ => false,
        };
        if adds_up && is_same {
            self.made.same += u64::from(ours.is_some());
            return;
        }
        let was_late =
            untold > 0 || [service, replay].into_iter().flatten().any(|one| one.late > 0);
        let why = if self.charters.deduplicates(feature) && self.has_late(feature, *start) {
            Why::Repeats
        } else if !adds_up {
            Why::Unexplained
        } else if was_late {
            Why::Late
        } else {
            self.why_of_the_same_events(ours, theirs)
        };
        self.differ(key.clone(), service, replay, why);
    }

    /// What it may come from that two runs tell of the same events in another way.
    fn why_of_the_same_events(&self, ours: Option<&Window>, theirs: Option<&Window>) -> Why {
        let Some(any) = ours.or(theirs) else { return Why::Unexplained };
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && same_but_for_budgets(ours, theirs)
        {
            return Why::Budget;
        }
        if !self.has_late(&any.feature, any.window_start) {
            return Why::Unexplained;
        }
        match (ours, theirs) {
            (Some(ours), Some(theirs))
                if measured(ours) == measured(theirs)
                    && same_verdicts(ours, theirs, self.charters) =>
            {
                Why::OtherWindows
            }
            // A line that one run has and the other has not adds up to nothing.
            (None, Some(_)) | (Some(_), None) => Why::Silent,
            _ => Why::Unexplained,
        }
    }

    /// True where the feature had late events in this window's time or before.
    fn has_late(&self, feature: &str, start: Timestamp) -> bool {
        self.late_from.get(feature).is_some_and(|from| *from <= start)
    }

    fn differ(&mut self, key: Key, service: Option<Side>, replay: Option<Side>, why: Why) {
        let (feature, feature_version, window, window_start) = key;
        self.made.differences.push(Difference {
            feature,
            feature_version,
            window,
            window_start,
            service,
            replay,
            why,
        });
    }
}

/// True where both runs have seen the same number of events, apart from those
/// that the service has yet to tell of.
fn adds_up(service: Option<Side>, replay: Option<Side>, untold: u64) -> bool {
    let [told, all] = [service, replay].map(|side| side.map_or(0, Side::events));
    told <= all && all <= told + untold
}

/// True where the verdicts differ in nothing but what other windows decide: a
/// baseline, when the last event before the window came, a bound that was learned.
fn same_verdicts(ours: &Window, theirs: &Window, charters: &dyn Charters) -> bool {
    let charter = charters.charter(&ours.feature, ours.window_end);
    let looks_back = |judged: &Judged| {
        let expectations = charter.iter().flat_map(|charter| charter.expectations());
        let mut named = expectations.filter(|known| known.name == judged.expectation);
        named.any(|known| {
            let adds_up = matches!(known.rule, Rule::Drift { sustained: Some(_), .. });
            known.rule.kind() == ExpectationKind::Silence || known.learned.is_some() || adds_up
        })
    };
    ours.judged.len() == theirs.judged.len()
        && ours.judged.iter().zip(&theirs.judged).all(|(ours, theirs)| {
            let has_baseline = ours.baseline.is_some() || theirs.baseline.is_some();
            // Of a bound that stands in the charter both runs have the same.
            let is_learned = ours.threshold != theirs.threshold
                || [ours, theirs].iter().any(|judged| {
                    judged.learned.is_some() || judged.slo.is_some() || judged.budget.is_some()
                });
            let same = Judged { reason: None, ..ours.clone() }
                == Judged { reason: None, ..theirs.clone() };
            let may_differ = has_baseline || is_learned || looks_back(ours);
            ours.expectation == theirs.expectation && (same || may_differ)
        })
}

/// True where nothing differs but verdicts of tests that an alert budget was
/// asked for in one of the runs: what was measured for them is the same.
fn same_but_for_budgets(ours: &Window, theirs: &Window) -> bool {
    let (mut ours, mut theirs) = (content(ours), content(theirs));
    for (ours, theirs) in ours.judged.iter_mut().zip(&mut theirs.judged) {
        if ours.budget.is_some() || theirs.budget.is_some() {
            (ours.budget, theirs.budget) = (None, None);
            ours.verdict = theirs.verdict;
        }
    }
    ours == theirs
}

/// A window without its verdicts.
fn measured(window: &Window) -> Window {
    Window { judged: Vec::new(), ..content(window) }
}

/// A window without what tells how often and when it was revised.
fn content(window: &Window) -> Window {
    let mut content = Window { revision: 0, late_count: 0, ..window.clone() };
    for judged in &mut content.judged {
        // The words may name what was known of a baseline at the time.
        judged.reason = None;
    }
    content
}
