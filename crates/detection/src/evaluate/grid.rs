//! Windows on a grid: tumbling, hopping and so sliding ones.
//!
//! Windows that overlap share what they hold. Events are kept in slices, the
//! largest spans that every window holds whole or not at all, and the slices
//! of a window are merged when it is measured. A tumbling window is one slice.
//! An event that is too late for one window and in time for a later one is in
//! their slice; the earlier window has been measured for the last time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::charter::WindowSpec;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::evaluate::subject::Moment;
use crate::evaluate::{Action, Deadline};
use crate::past::{Owner, Past, Store};
use crate::settings::TimeSettings;

/// Silent windows of one subject in a row. At the limit the subject has no
/// more windows until its next event, so that one event with a time far in
/// the future cannot ask for millions of them.
const SILENT_WINDOWS_MAX: u32 = 100_000;

/// Where the windows of one kind lie: `[start, start + size)` for each start
/// that is a multiple of the hop. Of a tumbling window the hop is the size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    window: WindowSpec,
    size: TimeSpan,
    hop: TimeSpan,
}

impl Shape {
    /// `None` for sessions, which have no grid.
    pub(super) fn of(window: WindowSpec) -> Option<Self> {
        match window {
            WindowSpec::Tumbling { size } => Some(Self { window, size, hop: size }),
            WindowSpec::Hopping { size, hop } => Some(Self { window, size, hop }),
            WindowSpec::Session { .. } => None,
        }
    }

    /// The start of the earliest window that ends after the instant.
    pub(super) fn first_start(self, at: Timestamp) -> Timestamp {
        (at - self.size).floor(self.hop) + self.hop
    }

    /// The starts of all windows that hold the instant, ascending.
    fn starts(self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        let (hop, last) = (self.hop, at.floor(self.hop));
        let first = Some(self.first_start(at).min(last));
        std::iter::successors(first, move |start| Some(*start + hop))
            .take_while(move |s| *s <= last)
    }

    /// True where a window that holds the instant still takes events: the latest does longest.
    pub(super) fn takes(self, at: Timestamp, moment: &Moment<'_>) -> bool {
        let settled = at.floor(self.hop) + self.size + moment.settings.allowed_lateness;
        moment.watermark.is_none_or(|watermark| watermark < settled)
    }

    fn deadline(
        self,
        feature: &Arc<str>,
        start: Timestamp,
        due: Timestamp,
        action: Action,
    ) -> Deadline {
        let (feature, window, end) = (feature.clone(), self.window, start + self.size);
        Deadline { due, end, feature, window, version: None, start, action }
    }

    /// The start of the slice that holds the instant. Slices are counted from
    /// the start of a window: the grid of whole weeks begins on a Monday.
    fn slice_start(self, at: Timestamp) -> Timestamp {
        let start = at.floor(self.hop);
        let slice = greatest_common_divisor(self.size.as_micros(), self.hop.as_micros());
        start + TimeSpan::from_micros(at.since(start).as_micros() / slice * slice)
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The windows of one shape of one subject.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Grid {
    /// From this window on there are windows even without events.
    from: Option<Timestamp>,
    /// Events by the start of their slice and their version. Most have one
    /// version, and a map makes room for eleven: that of boxes is small.
    slices: BTreeMap<Timestamp, BTreeMap<Arc<str>, Box<Summary>>>,
    /// Windows that take events, before or after their close.
    windows: BTreeMap<Timestamp, Open>,
    /// What rolling and seasonal baselines still need of settled windows.
    past: Past,
    /// How far back those go.
    past_span: Option<TimeSpan>,
    silent_run: u32,
}

/// A window that takes events.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Open {
    closed: bool,
    revise_at: Option<Timestamp>,
    /// Versions that were told or are to be told at the next revision.
    versions: BTreeMap<Arc<str>, Told>,
}

/// What was told of one version of a window.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    /// The last revision; none before the first.
    revision: Option<u32>,
    late_count: u64,
    /// True where events came after the last revision.
    changed: bool,
}

/// A version of a window that is to be told now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) version: Arc<str>,
    pub(super) revision: u32,
    pub(super) late_count: u64,
}

impl Grid {
    /// There are windows from the one on that `at` is the first to be in,
    /// with or without events, if not from an earlier one on.
    pub(super) fn begin(
        &mut self,
        shape: Shape,
        feature: &Arc<str>,
        at: Timestamp,
        moment: &mut Moment<'_>,
    ) {
        let first = shape.first_start(at);
        if self.from.is_none_or(|from| first < from) {
            self.from = Some(first);
            self.open(shape, feature, first, true, moment);
        }
    }

    /// Keeps summaries of windows for baselines that go so far back.
    pub(super) fn keep_past(&mut self, span: TimeSpan) {
        self.past_span = self.past_span.max(Some(span));
    }

    /// Takes a delta into every window of its time that takes events; those
    /// that it came too late for are added to `late`.
    pub(super) fn take(
        &mut self,
        shape: Shape,
        delta: &Delta,
        moment: &mut Moment<'_>,
        late: &mut Vec<(WindowSpec, Timestamp)>,
    ) {
        let pane = delta.pane_start;
        let first_end = shape.first_start(pane) + shape.size;
        let all_open = moment.watermark.is_none_or(|watermark| watermark < first_end);
        let slice = shape.slice_start(pane);
        // The slice was begun when the same windows were open.
        if let (true, Some(versions)) = (all_open, self.slices.get_mut(&slice)) {
            versions.entry(delta.feature_version.clone()).or_default().merge(&delta.summary);
            return;
        }
        let mut taken = false;
        for start in shape.starts(pane) {
            let settled = start + shape.size + moment.settings.allowed_lateness;
            if moment.watermark.is_some_and(|watermark| watermark >= settled) {
                late.push((shape.window, start));
                continue;
            }
            taken = true;
            let open = self.open(shape, &delta.feature, start, false, moment);
            if open.closed {
                let told = open.versions.entry(delta.feature_version.clone()).or_default();
                told.changed = true;
                told.late_count += delta.summary.count;
                if open.revise_at.is_none() {
                    let from = moment.watermark.unwrap_or(start + shape.size);
                    let due = from.next_multiple(moment.settings.revise_every).min(settled);
                    open.revise_at = Some(due);
                    let revise = shape.deadline(&delta.feature, start, due, Action::Revise);
                    moment.deadlines.insert(revise);
                }
            }
        }
        if taken {
            let versions = self.slices.entry(slice).or_default();
            versions.entry(delta.feature_version.clone()).or_default().merge(&delta.summary);
        }
    }

    /// The window is closed or, at the end of the input, broken off. A window
    /// without events is one of `silent`, the feature's latest version.
    pub(super) fn close(
        &mut self,
        shape: Shape,
        deadline: &Deadline,
        partial: bool,
        silent: &Arc<str>,
        moment: &mut Moment<'_>,
    ) {
        let start = deadline.start;
        let Some(open) = self.windows.get_mut(&start) else { return };
        open.closed = !partial;
        for versions in self.slices.range(start..start + shape.size).map(|(_, versions)| versions) {
            for version in versions.keys() {
                if !open.versions.get(version).is_some_and(|told| told.changed) {
                    open.versions.entry(version.clone()).or_default().changed = true;
                }
            }
        }
        if open.versions.is_empty() {
            open.versions.entry(silent.clone()).or_default().changed = true;
            self.silent_run += 1;
        } else {
            self.silent_run = 0;
        }
        let next = start + shape.hop;
        if !partial && self.goes_on(next) {
            self.open(shape, &deadline.feature, next, true, moment);
        }
    }

    /// True where a version has no events in the window, and it is not the silent
    /// window of `silent`, in which none has.
    pub(super) fn has_others_only(
        &self,
        shape: Shape,
        start: Timestamp,
        version: &Arc<str>,
        silent: &Arc<str>,
    ) -> bool {
        let slices = || self.slices.range(start..start + shape.size).map(|(_, versions)| versions);
        let is_present = slices().any(|versions| versions.contains_key(version));
        !is_present && (version != silent || slices().any(|versions| !versions.is_empty()))
    }

    /// Has a closed window told of a version without events, too.
    pub(super) fn tell_of(&mut self, start: Timestamp, version: &Arc<str>) {
        if let Some(open) = self.windows.get_mut(&start) {
            open.versions.entry(version.clone()).or_default().changed = true;
        }
    }

    /// Late events have gathered and are to be told.
    pub(super) fn revise(&mut self, start: Timestamp) {
        if let Some(open) = self.windows.get_mut(&start) {
            open.revise_at = None;
        }
    }

    /// The versions of the window that changed since they were last told.
    pub(super) fn changed(&mut self, start: Timestamp) -> Vec<Due> {
        let Some(open) = self.windows.get_mut(&start) else { return Vec::new() };
        let mut due = Vec::new();
        for (version, told) in &mut open.versions {
            if std::mem::take(&mut told.changed) {
                let revision = told.revision.map_or(0, |last| last + 1);
                told.revision = Some(revision);
                due.push(Due { version: version.clone(), revision, late_count: told.late_count });
            }
        }
        due
    }

    /// What a version's window holds.
    pub(super) fn summary(
        &self,
        shape: Shape,
        start: Timestamp,
        version: &Arc<str>,
    ) -> Cow<'_, Summary> {
        let slices = self.slices.range(start..start + shape.size);
        let mut parts = slices.filter_map(|(_, versions)| versions.get(version));
        let Some(first) = parts.next() else { return Cow::Owned(Summary::default()) };
        let mut whole: Cow<'_, Summary> = Cow::Borrowed(first);
        for part in parts {
            whole.to_mut().merge(part);
        }
        whole
    }

    /// True where the window holds an event.
    pub(super) fn has_events(&self, shape: Shape, start: Timestamp) -> bool {
        self.slices.range(start..start + shape.size).next().is_some()
    }

    /// The input has ended at `now`: opens the windows that have begun and
    /// that the close of an earlier one would have opened later.
    pub(super) fn open_begun(
        &mut self,
        shape: Shape,
        feature: &Arc<str>,
        now: Timestamp,
        moment: &mut Moment<'_>,
    ) {
        let Some(from) = self.from else { return };
        let mut start = shape.first_start(now).max(from);
        while start < now && self.goes_on(start) {
            self.open(shape, feature, start, true, moment);
            start = start + shape.hop;
        }
    }

    /// The window takes no more events; what later baselines need of it is
    /// kept. Answers with the start of the next window.
    pub(super) fn settle(
        &mut self,
        shape: Shape,
        deadline: &Deadline,
        moment: &mut Moment<'_>,
    ) -> Timestamp {
        let start = deadline.start;
        let next = start + shape.hop;
        self.windows.remove(&start);
        if let Some(span) = self.past_span {
            let slices = self.slices.range(start..start + shape.size);
            let mut versions: Vec<Arc<str>> = slices.flat_map(|(_, v)| v.keys().cloned()).collect();
            versions.sort_unstable();
            versions.dedup();
            let owner = Owner { feature: &deadline.feature, window: shape.window };
            for version in versions {
                let window = self.summary(shape, start, &version).into_owned();
                self.past.put(owner, &version, start, &window, moment.past);
            }
            // Baselines are looked for from windows that may still be revised.
            let needed = start - span - moment.settings.allowed_lateness;
            self.past.forget_before(owner, needed, moment.past);
        }
        // Later windows hold none of the slices before their own start.
        self.slices = self.slices.split_off(&next);
        next
    }

    /// The start of the version's first events, as far as they are kept.
    pub(super) fn first(&self, version: &Arc<str>) -> Option<Timestamp> {
        let open = self.slices.iter().find(|(_, versions)| versions.contains_key(version));
        open.map(|(start, _)| *start).into_iter().chain(self.past.first(version)).min()
    }

    /// A version's window that has closed, with the events that it has by now;
    /// `None` where it has none or is not kept.
    pub(super) fn past(
        &self,
        shape: Shape,
        feature: &str,
        start: Timestamp,
        version: &Arc<str>,
        store: &mut Store,
    ) -> Option<Cow<'_, Summary>> {
        let open = self.windows.contains_key(&start).then(|| self.summary(shape, start, version));
        let owner = Owner { feature, window: shape.window };
        let settled = || self.past.get(owner, version, start, store).map(Cow::Owned);
        open.filter(|summary| summary.count > 0).or_else(settled)
    }

    /// How far back windows are kept; `None` where none are.
    pub(super) fn past_span(&self) -> Option<TimeSpan> {
        self.past_span
    }

    /// Windows that take events.
    pub(super) fn open_windows(&self) -> usize {
        self.windows.len()
    }

    /// The deadlines that the windows have.
    pub(super) fn deadlines(
        &self,
        shape: Shape,
        feature: &Arc<str>,
        settings: &TimeSettings,
        deadlines: &mut Vec<Deadline>,
    ) {
        for (start, open) in &self.windows {
            let mut add =
                |due, action| deadlines.push(shape.deadline(feature, *start, due, action));
            let end = *start + shape.size;
            if !open.closed {
                add(end, Action::Close);
            }
            if let Some(due) = open.revise_at {
                add(due, Action::Revise);
            }
            add(end + settings.allowed_lateness, Action::Settle);
        }
    }

    /// Every summary that is kept.
    pub(super) fn summaries(&mut self) -> impl Iterator<Item = &mut Summary> {
        let slices = self.slices.values_mut().flat_map(BTreeMap::values_mut);
        slices.map(Box::as_mut)
    }

    fn goes_on(&self, start: Timestamp) -> bool {
        self.from.is_some_and(|from| start >= from) && self.silent_run < SILENT_WINDOWS_MAX
    }

    /// The window at `start`, made with its deadlines if there is none yet.
    fn open(
        &mut self,
        shape: Shape,
        feature: &Arc<str>,
        start: Timestamp,
        silent: bool,
        moment: &mut Moment<'_>,
    ) -> &mut Open {
        let Moment { settings, watermark, deadlines, .. } = moment;
        self.windows.entry(start).or_insert_with(|| {
            let end = start + shape.size;
            // A window that the watermark has passed is told at its next
            // revision, unless it is one of those that exist without events.
            let passed = !silent && watermark.is_some_and(|watermark| watermark >= end);
            let mut add = |due, action| {
                deadlines.insert(shape.deadline(feature, start, due, action));
            };
            if !passed {
                add(end, Action::Close);
            }
            add(end + settings.allowed_lateness, Action::Settle);
            Open { closed: passed, ..Open::default() }
        })
    }
}
