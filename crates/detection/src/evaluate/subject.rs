//! The windows, baselines and alarms of one subject.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{BaselineSpec, Charter, Expectation, WindowSpec};
use watchkeep_model::identifier::derived;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use crate::alarm::{Alarm, Announcement, Damping, Judgement};
use crate::baseline::{self, Baseline};
use crate::charters::{Charters, windows_of};
use crate::evaluate::{Action, Deadline, Decided, Outputs};
use crate::judge::{self, Opinion};
use crate::measure::{self, Frame};
use crate::settings::TimeSettings;

/// Silent windows of one subject in a row. At the limit the subject has no
/// more windows until its next event, so that one event with a time far in
/// the future cannot ask for millions of them.
const SILENT_WINDOWS_MAX: u32 = 100_000;

/// What a subject has to know of the stage when something happens to it.
pub(super) struct Moment<'a> {
    pub(super) settings: &'a TimeSettings,
    pub(super) watermark: Option<Timestamp>,
    pub(super) deadlines: &'a mut BTreeSet<Deadline>,
}

/// The state of one subject, all versions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Subject {
    #[serde(skip)]
    plan: Plan,
    tracks: BTreeMap<WindowSpec, Track>,
    fixed: BTreeMap<(BaselineSpec, Arc<str>), Fixed>,
    alarms: BTreeMap<(Arc<str>, String, WindowSpec), (Alarm, Damping)>,
    /// Time and version of the latest event; a silent window is this version's.
    latest: (Option<Timestamp>, Arc<str>),
    /// True where something changed since the last snapshot.
    #[serde(skip)]
    pub(super) changed: bool,
}

/// What the charters ask to be kept, remembered as long as they are the same.
#[derive(Debug, Default)]
struct Plan {
    made_from: Option<[Option<Arc<Charter>>; 2]>,
    windows: Vec<WindowSpec>,
    fixed: Vec<BaselineSpec>,
    /// True where a charter matches: such a subject has windows when silent.
    chartered: bool,
    named: bool,
}

/// The windows of one shape.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Track {
    /// From this window on there are windows even without events.
    from: Option<Timestamp>,
    open: BTreeMap<Timestamp, Open>,
    /// Summaries of settled windows that a seasonal baseline still needs.
    past: BTreeMap<(Arc<str>, Timestamp), Summary>,
    /// How far back those go.
    past_span: Option<TimeSpan>,
    silent_run: u32,
}

/// A window that takes events, before or after its close.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Open {
    closed: bool,
    revise_at: Option<Timestamp>,
    versions: BTreeMap<Arc<str>, Measured>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Measured {
    summary: Summary,
    /// The last revision that was told; none before the first.
    revision: Option<u32>,
    late_count: u64,
    /// True where events came after the last revision.
    changed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Fixed {
    summary: Summary,
    #[serde(skip)]
    named: Option<Baseline>,
}

impl Subject {
    /// Merges a delta into every window of its time; answers with the windows
    /// that it came too late for.
    pub(super) fn take(
        &mut self,
        delta: &Delta,
        charters: &dyn Charters,
        moment: &mut Moment<'_>,
    ) -> Vec<(WindowSpec, Timestamp)> {
        self.plan.renew(&delta.feature, delta.pane_start, charters);
        // Of two versions at one instant the greater, whatever the order of the deltas.
        let latest = (delta.summary.last_event_time, delta.feature_version.clone());
        self.latest = latest.max(std::mem::take(&mut self.latest));
        let mut late = Vec::new();
        for window in &self.plan.windows {
            let WindowSpec::Tumbling { size } = *window else { continue };
            let start = delta.pane_start.floor(size);
            let end = start + size;
            let track = self.tracks.entry(*window).or_default();
            if self.plan.chartered && !self.plan.named {
                // From the earliest event on, or from the present window where
                // that event came late: windows of the past are not made up.
                let present = moment.watermark.map_or(start, |at| at.floor(size));
                let first = start.max(present);
                if track.from.is_none_or(|from| first < from) {
                    track.from = Some(first);
                    track.open(*window, &delta.feature, first, first + size, true, moment);
                }
            }
            let settled = end + moment.settings.allowed_lateness;
            if moment.watermark.is_some_and(|watermark| watermark >= settled) {
                late.push((*window, start));
                continue;
            }
            let open = track.open(*window, &delta.feature, start, end, false, moment);
            let measured = open.versions.entry(delta.feature_version.clone()).or_default();
            measured.summary.merge(&delta.summary);
            measured.changed = true;
            if open.closed {
                measured.late_count += delta.summary.count;
                if open.revise_at.is_none() {
                    let next =
                        moment.watermark.unwrap_or(end).next_multiple(moment.settings.revise_every);
                    let due = next.min(settled);
                    open.revise_at = Some(due);
                    let feature = delta.feature.clone();
                    let window = *window;
                    let action = Action::Revise;
                    moment.deadlines.insert(Deadline { due, end, window, feature, start, action });
                }
            }
        }
        for spec in &self.plan.fixed {
            let BaselineSpec::Fixed { from, to } = *spec else { continue };
            let in_range = from <= delta.pane_start && delta.pane_start < to;
            let settled = to + moment.settings.allowed_lateness;
            if in_range && moment.watermark.is_none_or(|watermark| watermark < settled) {
                let fixed = self.fixed.entry((*spec, delta.feature_version.clone())).or_default();
                fixed.summary.merge(&delta.summary);
                fixed.named = None;
            }
        }
        late
    }

    /// The stream has begun at `start`: a subject that a charter names has
    /// windows from the one of that instant on.
    pub(super) fn begin(
        &mut self,
        feature: &Arc<str>,
        start: Timestamp,
        charters: &dyn Charters,
        moment: &mut Moment<'_>,
    ) {
        self.plan.renew(feature, start, charters);
        for window in &self.plan.windows {
            let WindowSpec::Tumbling { size } = *window else { continue };
            let first = start.floor(size);
            let track = self.tracks.entry(*window).or_default();
            track.from = Some(first);
            track.open(*window, feature, first, first + size, true, moment);
        }
    }

    /// Closes, revises or, at the end of the input, breaks off a window.
    pub(super) fn measure(
        &mut self,
        deadline: &Deadline,
        now: Timestamp,
        partial: bool,
        charter: Option<&Charter>,
        moment: &mut Moment<'_>,
        out: &mut Outputs,
    ) {
        let Deadline { window, start, end, action, .. } = *deadline;
        let Some(track) = self.tracks.get_mut(&window) else { return };
        let Some(open) = track.open.get_mut(&start) else { return };
        if action == Action::Close {
            open.closed = !partial;
            if open.versions.is_empty() {
                let silent = open.versions.entry(self.latest.1.clone()).or_default();
                silent.changed = true;
                track.silent_run += 1;
            } else {
                track.silent_run = 0;
            }
            let next = end;
            let goes_on = track.from.is_some_and(|from| next >= from);
            let goes_on = goes_on && !partial && track.silent_run < SILENT_WINDOWS_MAX;
            if let (true, WindowSpec::Tumbling { size }) = (goes_on, window) {
                track.open(window, &deadline.feature, next, next + size, true, moment);
            }
        } else {
            open.revise_at = None;
        }
        // A charter that came into force or went since may not ask for this window.
        if !windows_of(charter).contains(&window) {
            return;
        }
        let Some(open) = self.tracks.get_mut(&window).and_then(|t| t.open.get_mut(&start)) else {
            return;
        };
        let changed: Vec<Arc<str>> = open
            .versions
            .iter_mut()
            .filter_map(|(version, measured)| {
                std::mem::take(&mut measured.changed).then(|| version.clone())
            })
            .collect();
        for version in changed {
            self.tell(deadline, &version, now, partial, charter, out);
        }
    }

    /// The window takes no more events; what later baselines need of it is kept.
    pub(super) fn settle(&mut self, window: WindowSpec, start: Timestamp, settings: &TimeSettings) {
        let WindowSpec::Tumbling { size } = window else { return };
        let Some(track) = self.tracks.get_mut(&window) else { return };
        let Some(open) = track.open.remove(&start) else { return };
        if let Some(span) = track.past_span {
            for (version, measured) in open.versions {
                if measured.summary.count > 0 {
                    track.past.insert((version, start), measured.summary);
                }
            }
            // A season is looked for from windows that may still be revised.
            let needed = start - span - settings.allowed_lateness;
            track.past.retain(|(_, start), _| *start >= needed);
        }
        let next = start + size;
        for ((.., alarm_window), (alarm, damping)) in &mut self.alarms {
            if *alarm_window == window {
                alarm.settle(next, *damping);
            }
        }
    }

    /// Takes note that something changes, for the next snapshot.
    pub(super) fn note_change(&mut self, feature: &Arc<str>, changed: &mut Vec<Arc<str>>) {
        if !self.changed {
            self.changed = true;
            changed.push(feature.clone());
        }
    }

    /// The deadlines that its open windows have.
    pub(super) fn deadlines(
        &self,
        feature: &Arc<str>,
        settings: &TimeSettings,
        deadlines: &mut Vec<Deadline>,
    ) {
        for (window, track) in &self.tracks {
            let WindowSpec::Tumbling { size } = *window else { continue };
            for (start, open) in &track.open {
                let (start, end) = (*start, *start + size);
                let mut add = |due, action| {
                    let (feature, window) = (feature.clone(), *window);
                    deadlines.push(Deadline { due, end, window, feature, start, action });
                };
                if !open.closed {
                    add(end, Action::Close);
                }
                if let Some(due) = open.revise_at {
                    add(due, Action::Revise);
                }
                add(end + settings.allowed_lateness, Action::Settle);
            }
        }
    }

    /// Makes every exemplar of one topic name it by the same text in memory.
    pub(super) fn share_names(&mut self, topics: &mut BTreeSet<Arc<str>>) {
        let tracks = self.tracks.values_mut();
        let windows = tracks.flat_map(|track| {
            let open = track.open.values_mut().flat_map(|open| open.versions.values_mut());
            open.map(|measured| &mut measured.summary).chain(track.past.values_mut())
        });
        let fixed = self.fixed.values_mut().map(|fixed| &mut fixed.summary);
        for position in windows.chain(fixed).flat_map(|summary| &mut summary.exemplars) {
            match topics.get(&position.topic) {
                Some(topic) => position.topic = topic.clone(),
                None => {
                    topics.insert(position.topic.clone());
                }
            }
        }
    }

    pub(super) fn open_windows(&self) -> usize {
        self.tracks.values().map(|track| track.open.len()).sum()
    }

    /// True where the open window holds an event.
    pub(super) fn has_events(&self, window: WindowSpec, start: Timestamp) -> bool {
        let open = self.tracks.get(&window).and_then(|track| track.open.get(&start));
        open.is_some_and(|open| open.versions.values().any(|measured| measured.summary.count > 0))
    }

    fn tell(
        &mut self,
        deadline: &Deadline,
        version: &Arc<str>,
        now: Timestamp,
        partial: bool,
        charter: Option<&Charter>,
        out: &mut Outputs,
    ) {
        let Deadline { window, start, .. } = *deadline;
        let expectations: Vec<&Expectation> = charter
            .map(|c| c.expectations().iter().filter(|e| e.window == window).collect())
            .unwrap_or_default();
        // Baselines are looked up before the window is borrowed to be changed.
        let baselines: Vec<Result<Baseline, String>> = expectations
            .iter()
            .map(|expectation| match expectation.rule.baseline() {
                Some(spec) if !partial => self.baseline(spec, window, start, version),
                _ => Err(String::new()),
            })
            .collect();
        let measured = self.tracks.get_mut(&window).and_then(|t| t.open.get_mut(&start));
        let Some(measured) = measured.and_then(|open| open.versions.get_mut(version)) else {
            return;
        };
        let revision = measured.revision.map_or(0, |last| last + 1);
        measured.revision = Some(revision);
        let frame = Frame {
            feature: deadline.feature.to_string(),
            feature_version: version.to_string(),
            window: window.to_string(),
            start,
            end: deadline.end,
            revision,
            partial,
            late_count: measured.late_count,
        };
        let mut told = measure::window(frame, &measured.summary);
        let mut breaches = Vec::new();
        if let (Some(charter), false) = (charter, partial) {
            for (expectation, baseline) in expectations.iter().zip(&baselines) {
                let baseline = baseline.as_ref().map_err(String::as_str);
                let opinion = judge::judge(expectation, charter, &measured.summary, baseline);
                let key = (version.clone(), expectation.name.clone(), window);
                let damping =
                    Damping { open: expectation.r#for, resolve_after: expectation.resolve_after };
                let (alarm, kept) = self.alarms.entry(key).or_insert((Alarm::default(), damping));
                *kept = damping;
                let judgement =
                    Judgement { fire: opinion.judged.verdict, resolve: opinion.resolve };
                let exemplars = &measured.summary.exemplars;
                for said in alarm.judge(start, revision, judgement, damping) {
                    let mut breach = breach(said, expectation, charter, &told, &opinion, now);
                    breach.exemplars.clone_from(exemplars);
                    breaches.push(breach);
                }
                told.judged.push(opinion.judged);
            }
        } else {
            let reason = "the input ends before the window does";
            told.judged = expectations.iter().map(|e| judge::not_judged(e, reason)).collect();
        }
        out.decided.push(Decided { at: now, window: told, breaches });
    }

    fn baseline(
        &mut self,
        spec: &BaselineSpec,
        window: WindowSpec,
        start: Timestamp,
        version: &Arc<str>,
    ) -> Result<Baseline, String> {
        match *spec {
            BaselineSpec::Fixed { to, .. } if start < to => Err(format!(
                "the baseline ({}) is complete only from {to} on",
                baseline::extent(spec)
            )),
            BaselineSpec::Fixed { .. } => {
                let fixed = self.fixed.get_mut(&(*spec, version.clone()));
                let Some(fixed) = fixed else {
                    return Err(format!(
                        "the baseline ({}) holds no event of this version",
                        baseline::extent(spec)
                    ));
                };
                let summary = &fixed.summary;
                let named = fixed
                    .named
                    .get_or_insert_with(|| Baseline::new(spec, Arc::new(summary.clone())));
                Ok(named.clone())
            }
            BaselineSpec::Seasonal { by, weeks } => {
                let span = TimeSpan::WEEK.times(i64::from(weeks));
                let track = self.tracks.entry(window).or_default();
                track.past_span = track.past_span.max(Some(span));
                let mut summary = Summary::default();
                let (mut found, mut wanted) = (0, 0);
                for at in baseline::season(by, weeks, start) {
                    wanted += 1;
                    if let Some(past) = track.summary(version, at) {
                        summary.merge(past);
                        found += 1;
                    }
                }
                if found < wanted {
                    return Err(format!(
                        "the baseline ({}) has {found} of {wanted} windows",
                        baseline::extent(spec)
                    ));
                }
                Ok(Baseline::new(spec, Arc::new(summary)))
            }
        }
    }
}

impl Plan {
    fn renew(&mut self, feature: &Arc<str>, at: Timestamp, charters: &dyn Charters) {
        // The charter of the event's time and the last one there is: between
        // them lie the windows that the event may belong to.
        let made_from = [charters.charter(feature, at), charters.charter(feature, Timestamp::MAX)];
        let same = self.made_from.as_ref().is_some_and(|before| {
            before.iter().zip(&made_from).all(|(a, b)| match (a, b) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            })
        });
        if same {
            return;
        }
        let mut windows: Vec<WindowSpec> =
            made_from.iter().flat_map(|charter| windows_of(charter.as_deref())).collect();
        windows.sort_unstable();
        windows.dedup();
        let mut fixed: Vec<BaselineSpec> = made_from
            .iter()
            .flatten()
            .flat_map(|charter| charter.expectations())
            .filter_map(|expectation| expectation.rule.baseline())
            .filter(|spec| matches!(spec, BaselineSpec::Fixed { .. }))
            .copied()
            .collect();
        fixed.sort_unstable();
        fixed.dedup();
        let chartered = made_from.iter().any(Option::is_some);
        let named = made_from.iter().flatten().any(|charter| charter.exact);
        *self = Self { windows, fixed, chartered, named, made_from: Some(made_from) };
    }
}

impl Track {
    /// The window at `start`, made with its deadlines if there is none yet.
    fn open(
        &mut self,
        window: WindowSpec,
        feature: &Arc<str>,
        start: Timestamp,
        end: Timestamp,
        silent: bool,
        moment: &mut Moment<'_>,
    ) -> &mut Open {
        let Moment { settings, watermark, deadlines } = moment;
        self.open.entry(start).or_insert_with(|| {
            // A window that the watermark has passed is told at its next
            // revision, unless it is one of those that exist without events.
            let passed = !silent && watermark.is_some_and(|watermark| watermark >= end);
            let mut add = |due, action| {
                let feature = feature.clone();
                deadlines.insert(Deadline { due, end, window, feature, start, action });
            };
            if !passed {
                add(end, Action::Close);
            }
            add(end + settings.allowed_lateness, Action::Settle);
            Open { closed: passed, ..Open::default() }
        })
    }

    fn summary(&self, version: &Arc<str>, start: Timestamp) -> Option<&Summary> {
        let open = self.open.get(&start).and_then(|open| open.versions.get(version));
        open.map(|measured| &measured.summary)
            .filter(|summary| summary.count > 0)
            .or_else(|| self.past.get(&(version.clone(), start)))
    }
}

fn breach(
    said: Announcement,
    expectation: &Expectation,
    charter: &Charter,
    window: &Window,
    opinion: &Opinion,
    now: Timestamp,
) -> Breach {
    let judged = &opinion.judged;
    let (by_window, by_revision) = said.opened_by;
    let [opened_at, by_revision] = [said.opened_at.to_string(), by_revision.to_string()];
    let by_window = by_window.to_string();
    let mut name = vec![
        "breach",
        &window.feature,
        &window.feature_version,
        &expectation.name,
        &window.window,
        &opened_at,
        &by_revision,
    ];
    if by_window != opened_at {
        name.push(&by_window);
    }
    let id = derived(&name);
    let reason = match said.transition {
        Transition::Opened | Transition::Sustained => judged.reason.clone().unwrap_or_default(),
        Transition::Cleared => "good again".to_owned(),
        Transition::Retracted => format!(
            "revision {} of the window takes away what the breach stood on",
            window.revision
        ),
    };
    Breach {
        breach_id: id,
        transition: said.transition,
        feature: window.feature.clone(),
        feature_version: window.feature_version.clone(),
        expectation: expectation.name.clone(),
        kind: expectation.rule.kind(),
        severity: expectation.severity,
        window: window.window.clone(),
        window_start: window.window_start,
        window_end: window.window_end,
        revision: window.revision,
        detected_at: now,
        observed: judged.observed,
        threshold: judged.threshold,
        p_value: judged.p_value,
        effect: opinion.effect,
        baseline: judged.baseline.clone(),
        owner: charter.fields.owners.primary.clone(),
        policy: charter.fields.policy.clone(),
        affected_consumers: charter.fields.consumers.clone().unwrap_or_default(),
        exemplars: Vec::new(),
        reason,
    }
}
