//! Holds the windows that a service told of against those of a replay from
//! telemetry, and lists where they differ.
//!
//! A replay reads the partitions in step, a service as they come, so records
//! that are late in one run may be in time in the other. Nothing else may
//! differ: the last revision of every window is the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchkeep_detection::charters::Charters;
use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::reject::Reject;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Judged, Window};

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

    /// Features and shapes of windows with records that came after a window's close.
    fn late_shapes(&self) -> impl Iterator<Item = (&str, &str)> {
        let too_late = self.late.keys().map(|(feature, _, window, _)| (&**feature, &**window));
        let late = self.windows.values().filter(|window| window.late_count > 0);
        too_late.chain(late.map(|window| (&*window.feature, &*window.window)))
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
    /// Its first instant.
    pub window_start: Timestamp,
    /// Events of the service's window and late summaries of it; absent where it has none.
    pub service: Option<Side>,
    /// The same of the replay.
    pub replay: Option<Side>,
    /// True where late records of the feature, in windows of this shape, explain it.
    pub is_late: bool,
}

/// What one run has of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Events in the window.
    pub count: u64,
    /// Events too late for it.
    pub late: u64,
}

impl Comparison {
    /// Differences that late records do not explain: there must be none.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| !difference.is_late)
    }
}

/// Compares two runs. Windows that the replay broke off, and those that the
/// service may still revise, `lateness` after their end, are left out.
///
/// `charters` tell which expectations look at more than the window itself.
pub fn compare(
    service: &Run,
    replay: &Run,
    lateness: TimeSpan,
    charters: &dyn Charters,
) -> Comparison {
    let mut reached: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for window in service.windows.values() {
        let end = reached.entry(&window.window).or_insert(window.window_end);
        *end = (*end).max(window.window_end);
    }
    let late: BTreeSet<(&str, &str)> =
        [service, replay].into_iter().flat_map(Run::late_shapes).collect();
    let mut comparison = Comparison::default();
    let keys: BTreeSet<&Key> = service.windows.keys().chain(replay.windows.keys()).collect();
    for key in keys {
        let (ours, theirs) = (service.windows.get(key), replay.windows.get(key));
        let is_open = ours.or(theirs).is_some_and(|window| {
            let reached = reached.get(window.window.as_str());
            reached.is_none_or(|end| window.window_end + lateness > *end)
        });
        let is_open = is_open || theirs.is_some_and(|window| window.partial);
        if is_open {
            comparison.open += 1;
            continue;
        }
        if ours.zip(theirs).is_some_and(|(ours, theirs)| content(ours) == content(theirs)) {
            comparison.same += 1;
            continue;
        }
        let side = |run: &Run, window: Option<&Window>| {
            let late = run.late.get(key).copied().unwrap_or(0);
            let found = window.is_some() || late > 0;
            found.then(|| Side { count: window.map_or(0, |window| window.count), late })
        };
        let (ours, theirs) = (side(service, ours), side(replay, theirs));
        let differs_by_verdict = service
            .windows
            .get(key)
            .zip(replay.windows.get(key))
            .filter(|(ours, theirs)| measured(ours) == measured(theirs));
        let has_late = late.contains(&(key.0.as_str(), key.2.as_str()));
        let is_late = match differs_by_verdict {
            // Of the same events only what looks at other windows may be judged differently.
            Some((ours, theirs)) => has_late && same_verdicts(ours, theirs, charters),
            // What is late moves silent lines to other versions, parts sessions at
            // other places, and may not be told of yet; so the sum alone says too little.
            None => has_late,
        };
        let (feature, feature_version, window, window_start) = key.clone();
        comparison.differences.push(Difference {
            feature,
            feature_version,
            window,
            window_start,
            service: ours,
            replay: theirs,
            is_late,
        });
    }
    comparison
}

/// True where the verdicts differ in nothing but what other windows decide: a
/// baseline, or when the last event before the window came.
fn same_verdicts(ours: &Window, theirs: &Window, charters: &dyn Charters) -> bool {
    let charter = charters.charter(&ours.feature, ours.window_end);
    let is_silence = |judged: &Judged| {
        let expectations = charter.iter().flat_map(|charter| charter.expectations());
        let mut named = expectations.filter(|known| known.name == judged.expectation);
        named.any(|known| known.rule.kind() == ExpectationKind::Silence)
    };
    ours.judged.len() == theirs.judged.len()
        && ours.judged.iter().zip(&theirs.judged).all(|(ours, theirs)| {
            let has_baseline = ours.baseline.is_some() || theirs.baseline.is_some();
            let same = Judged { reason: None, ..ours.clone() }
                == Judged { reason: None, ..theirs.clone() };
            ours.expectation == theirs.expectation && (same || has_baseline || is_silence(ours))
        })
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
