//! The windows, baselines and alarms of one subject.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::charter::{BaselineSpec, Expectation, Rule, WindowSpec};
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::baseline::Baseline;
use crate::charters::{Charters, windows_of};
use crate::evaluate::asked::Asked;
use crate::evaluate::baselines::FixedBaselines;
use crate::evaluate::breaches::Breaches;
use crate::evaluate::burns::Burns;
use crate::evaluate::dedupe::Kept;
use crate::evaluate::grid::{Grid, Shape};
use crate::evaluate::past::{self, Search};
use crate::evaluate::plan::Plan;
use crate::evaluate::recency::Recency;
use crate::evaluate::sessions::{Came, Sessions};
use crate::evaluate::tell::{Alarms, Measured, expectations_of};
use crate::evaluate::{Action, Deadline, Outputs};
use crate::past::Store;
use crate::settings::TimeSettings;

/// What a subject has to know of the stage when something happens to it.
pub(super) struct Moment<'a> {
    pub(super) settings: &'a TimeSettings,
    pub(super) watermark: Option<Timestamp>,
    pub(super) deadlines: &'a mut BTreeSet<Deadline>,
    pub(super) past: &'a mut Store,
}

/// The state of one subject, all versions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Subject {
    #[serde(skip)]
    plan: Plan,
    grids: BTreeMap<WindowSpec, Grid>,
    /// By gap.
    sessions: BTreeMap<TimeSpan, Sessions>,
    fixed: FixedBaselines,
    burns: Burns,
    alarms: Alarms,
    recency: Recency,
    kept: Kept,
    /// Time and version of the latest event; a silent window is this version's.
    latest: (Option<Timestamp>, Arc<str>),
    /// True where something changed since the last snapshot.
    #[serde(skip)]
    pub(super) changed: bool,
}

impl Subject {
    /// True where the charter in force at the event's time takes the delta, of
    /// one event, for a repeat. Otherwise it will be known for one that is kept.
    pub(super) fn is_repeat(&mut self, delta: &Delta, charters: &dyn Charters) -> bool {
        let (Some(name), Some(at)) = (&delta.event_id, delta.summary.first_event_time) else {
            return false;
        };
        let charter = charters.charter(&delta.feature, at);
        let span = charter.and_then(|charter| charter.fields.deduplicate);
        span.is_some_and(|span| self.kept.is_repeat(name, at, span))
    }

    /// Merges a delta into every window of its time; answers with the windows
    /// that it came too late for. A session is named by the event's pane.
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
        if let (true, Some(last)) = (self.plan.silence, delta.summary.last_event_time) {
            self.recency.note(delta.pane_start, last);
        }
        let mut late = Vec::new();
        for window in &self.plan.windows {
            let Some(shape) = Shape::of(*window) else {
                let gap = window.size();
                if !self.sessions.entry(gap).or_default().take(gap, delta, moment) {
                    late.push((*window, delta.pane_start));
                }
                continue;
            };
            let grid = self.grids.entry(*window).or_default();
            if self.plan.chartered && !self.plan.named {
                // From the earliest event on, or from the present window where
                // that event came late: windows of the past are not made up.
                let at = moment.watermark.max(Some(delta.pane_start)).unwrap_or(delta.pane_start);
                grid.begin(shape, &delta.feature, at, moment);
            }
            grid.take(shape, delta, moment, &mut late);
        }
        for (window, span) in &self.plan.past {
            self.grids.entry(*window).or_default().keep_past(*span);
        }
        self.fixed.take(
            &self.plan.fixed,
            &self.plan.counted,
            delta,
            moment.watermark,
            moment.settings,
        );
        self.burns.take(&self.plan.objectives, delta, moment);
        late
    }

    /// The stream has begun at `start`: a subject that a charter names has
    /// windows from that instant on.
    pub(super) fn begin(
        &mut self,
        feature: &Arc<str>,
        start: Timestamp,
        charters: &dyn Charters,
        moment: &mut Moment<'_>,
    ) {
        self.plan.renew(feature, start, charters);
        self.recency.begin(start);
        for window in &self.plan.windows {
            if let Some(shape) = Shape::of(*window) {
                self.grids.entry(*window).or_default().begin(shape, feature, start, moment);
            }
        }
    }

    /// Something is due: a window is closed, revised or, at the end of the
    /// input, broken off, or it takes no more events.
    #[expect(clippy::too_many_arguments, reason = "the stage's parts that a deadline may touch")]
    pub(super) fn due(
        &mut self,
        deadline: &Deadline,
        now: Timestamp,
        partial: bool,
        charters: &dyn Charters,
        asked: &mut Asked<'_>,
        moment: &mut Moment<'_>,
        out: &mut Outputs,
    ) {
        match (Shape::of(deadline.window), deadline.action) {
            (Some(shape), Action::Settle) => self.settle(shape, deadline, moment),
            (Some(shape), _) => {
                self.measure(shape, deadline, now, partial, charters, asked, moment, out);
            }
            (None, _) => self.due_session(deadline, now, partial, charters, asked, moment, out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "those of `due`, with the shape")]
    fn measure(
        &mut self,
        shape: Shape,
        deadline: &Deadline,
        now: Timestamp,
        partial: bool,
        charters: &dyn Charters,
        asked: &mut Asked<'_>,
        moment: &mut Moment<'_>,
        out: &mut Outputs,
    ) {
        let Deadline { window, start, end, .. } = *deadline;
        let charter = charters.charter(&deadline.feature, end);
        let charter = charter.as_deref();
        asked.by(charter, charters);
        let Self { grids, fixed, burns, alarms, recency, latest, .. } = self;
        let Some(grid) = grids.get_mut(&window) else { return };
        if deadline.action == Action::Close {
            grid.close(shape, deadline, partial, &latest.1, moment);
        } else {
            grid.revise(start);
        }
        let expectations = expectations_of(charter, window);
        // A charter that came into force or went since may not ask for this window, or
        // not for what found a breach in it.
        let dropped = alarms.dropped(window, &expectations, &latest.1);
        let is_asked = windows_of(charter).contains(&window);
        if !is_asked && dropped.is_empty() {
            return;
        }
        if deadline.action == Action::Close && !partial {
            dropped.iter().for_each(|version| grid.tell_of(start, version));
        }
        let of_past = expectations.iter().filter_map(|expectation| expectation.rule.baseline());
        let of_past = of_past.into_iter().any(|spec| spec.reach(window).is_some());
        let told = grid.changed(start);
        for due in told.into_iter().filter(|due| is_asked || dropped.contains(&due.version)) {
            let version = &due.version;
            let breaches = if of_past { alarms.breaches(version) } else { Breaches::default() };
            let baselines = baselines(&expectations, partial, |expectation, spec| match spec {
                BaselineSpec::Fixed { .. } if counts(expectation) => {
                    fixed.of_counts(spec, start, version, window.size())
                }
                BaselineSpec::Fixed { .. } => fixed.of(spec, start, version),
                BaselineSpec::Rolling { .. } | BaselineSpec::Seasonal { .. } => {
                    let empty_from = counts(expectation).then(|| grid.first(version)).flatten();
                    let own = &*expectation.name;
                    let search = Search { window, start, breaches: &breaches, own, empty_from };
                    past::baseline(spec, &search, &mut |at| {
                        grid.past(shape, &deadline.feature, at, version, moment.past)
                    })
                }
                BaselineSpec::Profile { id } => profile(charters, id, &deadline.feature, version),
            });
            let measured = Measured {
                feature: &deadline.feature,
                version,
                window,
                start,
                end,
                revision: due.revision,
                late_count: due.late_count,
                partial,
                summary: &grid.summary(shape, start, version),
                is_absent: dropped.contains(version)
                    && grid.has_others_only(shape, start, version, &latest.1),
                silent_for: recency.silent_for(end),
                tallies: &|expectation| burns.tallies(expectation, version, end, moment.settings),
                replaces: &[],
            };
            out.decided.push(alarms.tell(
                &measured,
                charter,
                &expectations,
                &baselines,
                asked,
                now,
            ));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "those of `due`")]
    fn due_session(
        &mut self,
        deadline: &Deadline,
        now: Timestamp,
        partial: bool,
        charters: &dyn Charters,
        asked: &mut Asked<'_>,
        moment: &mut Moment<'_>,
        out: &mut Outputs,
    ) {
        let (WindowSpec::Session { gap }, Some(version)) = (deadline.window, &deadline.version)
        else {
            return;
        };
        let Self { sessions, fixed, alarms, .. } = self;
        let Some(sessions) = sessions.get_mut(&gap) else { return };
        // At the end of the input an open session is told whatever it waits for.
        let came = if partial { Came::Telling } else { sessions.due(gap, deadline, moment) };
        match came {
            Came::Nothing => return,
            Came::Ended(last) => {
                // A later session begins after the last event of this one.
                let next = last + TimeSpan::from_micros(1);
                let remember = self.remember_from(deadline.start, moment.settings);
                self.alarms.settle(deadline.window, Some(version), next, remember);
                self.forget(deadline.due, moment.settings);
                return;
            }
            Came::Telling => {}
        }
        let Some(due) = sessions.tell(version, deadline.start) else { return };
        let charter = charters.charter(&deadline.feature, due.last);
        let charter = charter.as_deref();
        asked.by(charter, charters);
        let expectations = expectations_of(charter, deadline.window);
        if expectations.is_empty() {
            return;
        }
        let baselines = baselines(&expectations, partial, |_, spec| match spec {
            BaselineSpec::Profile { id } => profile(charters, id, &deadline.feature, version),
            _ => fixed.of(spec, deadline.start, version),
        });
        let replaces: Vec<Timestamp> = due.withdrawn.iter().map(|other| other.start).collect();
        let measured = Measured {
            feature: &deadline.feature,
            version,
            window: deadline.window,
            start: deadline.start,
            end: due.last,
            revision: due.revision,
            late_count: due.late_count,
            partial,
            summary: due.summary,
            is_absent: false,
            silent_for: None,
            tallies: &|_| None,
            replaces: &replaces,
        };
        out.decided.push(alarms.tell(&measured, charter, &expectations, &baselines, asked, now));
        for other in &due.withdrawn {
            let (start, last, revision) = (other.start, other.last, other.revision);
            out.decided.push(measured.withdrawal(start, last, revision, &expectations, now));
        }
    }

    /// The window takes no more events.
    fn settle(&mut self, shape: Shape, deadline: &Deadline, moment: &mut Moment<'_>) {
        let Some(grid) = self.grids.get_mut(&deadline.window) else { return };
        let next = grid.settle(shape, deadline, moment);
        let remember = self.remember_from(deadline.start, moment.settings);
        self.alarms.settle(deadline.window, None, next, remember);
        self.recency.settle(deadline.end);
        let next_end = next + deadline.window.size();
        self.burns.settle(deadline.window, next_end, moment.settings);
        self.forget(deadline.due, moment.settings);
    }

    /// From when on breaches are remembered at the settling of a window that
    /// starts at `start`: as far back as any past window of a baseline begins.
    fn remember_from(&self, start: Timestamp, settings: &TimeSettings) -> Option<Timestamp> {
        let grids = self.grids.iter();
        let kept = grids.filter_map(|(window, grid)| Some(grid.past_span()? + window.size()));
        let span = kept.max()?;
        Some(start - span - settings.allowed_lateness)
    }

    /// Forgets the named events that no window or baseline could take a repeat
    /// of. `due` is the instant at which a window settled and not how far the
    /// watermark has jumped, so that it does not depend on how the input is cut.
    fn forget(&mut self, due: Timestamp, settings: &TimeSettings) {
        if self.kept.is_empty() {
            return;
        }
        let settled = due - settings.allowed_lateness;
        let grids = self.grids.keys().filter_map(|window| Shape::of(*window));
        let by_grids = grids.map(|shape| shape.first_start(settled));
        let by_sessions = self.sessions.iter().map(|(gap, sessions)| {
            sessions.earliest().map_or(settled, |first| first.min(settled)) - *gap
        });
        let by_baselines = self.fixed.earliest(Some(due), settings);
        if let Some(earliest) = by_grids.chain(by_sessions).chain(by_baselines).min() {
            self.kept.settle(earliest);
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
        for (window, grid) in &self.grids {
            if let Some(shape) = Shape::of(*window) {
                grid.deadlines(shape, feature, settings, deadlines);
            }
        }
        for (gap, sessions) in &self.sessions {
            sessions.deadlines(*gap, feature, settings, deadlines);
        }
    }

    /// Makes every exemplar of one topic name it by the same text in memory.
    pub(super) fn share_names(&mut self, topics: &mut BTreeSet<Arc<str>>) {
        let grids = self.grids.values_mut().flat_map(Grid::summaries);
        let sessions = self.sessions.values_mut().flat_map(Sessions::summaries);
        let summaries = grids.chain(sessions).chain(self.fixed.summaries());
        for position in summaries.flat_map(|summary| &mut summary.exemplars) {
            match topics.get(&position.topic) {
                Some(topic) => position.topic = topic.clone(),
                None => {
                    topics.insert(position.topic.clone());
                }
            }
        }
    }

    pub(super) fn open_windows(&self) -> usize {
        self.grids.values().map(Grid::open_windows).sum::<usize>()
            + self.sessions.values().map(Sessions::open_windows).sum::<usize>()
    }

    /// True where the open window holds an event.
    pub(super) fn has_events(&self, window: WindowSpec, start: Timestamp) -> bool {
        match (Shape::of(window), self.grids.get(&window)) {
            (Some(shape), Some(grid)) => grid.has_events(shape, start),
            (None, _) => true,
            _ => false,
        }
    }

    /// The input has ended at `now`: opens the windows that have begun, and
    /// answers with the deadlines of sessions as they are now.
    pub(super) fn finish(
        &mut self,
        feature: &Arc<str>,
        now: Timestamp,
        moment: &mut Moment<'_>,
    ) -> Vec<Deadline> {
        for (window, grid) in &mut self.grids {
            if let Some(shape) = Shape::of(*window) {
                grid.open_begun(shape, feature, now, moment);
            }
        }
        let mut deadlines = Vec::new();
        for (gap, sessions) in &self.sessions {
            sessions.deadlines(*gap, feature, moment.settings, &mut deadlines);
        }
        deadlines
    }
}

fn profile(
    charters: &dyn Charters,
    id: &str,
    feature: &str,
    version: &str,
) -> Result<Baseline, String> {
    charters.profile(id, feature, version).ok_or_else(|| {
        format!(
            "there is no profile {id} of this feature and version: capture one with \
             `watchkeep baselines capture`"
        )
    })
}

/// Whether counts of events are compared, and not values.
fn counts(expectation: &Expectation) -> bool {
    matches!(expectation.rule, Rule::Volume { .. })
}

/// What each expectation compares with, or why there is nothing. They are
/// looked up before the window is judged; a partial one is not.
fn baselines(
    expectations: &[&Expectation],
    partial: bool,
    mut of: impl FnMut(&Expectation, &BaselineSpec) -> Result<Baseline, String>,
) -> Vec<Result<Baseline, String>> {
    let of = |expectation: &&Expectation| match expectation.rule.baseline() {
        Some(spec) if !partial => of(expectation, spec),
        _ => Err(String::new()),
    };
    expectations.iter().map(of).collect()
}
