//! From a measured window to what is told of it: its line, judged, and what
//! that does to breaches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{
    Charter, Expectation, ExpectationKind, ForSpec, Rule, Severity, WindowSpec,
};
use watchkeep_model::identifier::derived;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Verdict, Window};

use crate::alarm::{Alarm, Announcement, Damping, Judgement, Line};
use crate::baseline::Baseline;
use crate::evaluate::Decided;
use crate::evaluate::asked::{Asked, Levels};
use crate::evaluate::breaches::Breaches;
use crate::evaluate::learning::Histories;
use crate::judge::{self, Evidence, Opinion};
use crate::measure::{self, Frame};
use crate::slo::Tallies;
use crate::sustained::Shift;

/// The alarms of one subject, by version, expectation and window. A silence is
/// that of all versions, so its alarm has none.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Alarms(BTreeMap<Key, Watched>, Histories);

type Key = (Arc<str>, String, WindowSpec);

#[derive(Debug, Serialize, Deserialize)]
struct Watched {
    alarm: Alarm,
    damping: Damping,
    levels: Levels,
    /// True where its breaches are those of every version.
    of_all_versions: bool,
    /// What its breaches say of the expectation, also when it is asked no more.
    kind: ExpectationKind,
    severity: Severity,
}

/// A window of one version that is told now.
pub(super) struct Measured<'a> {
    pub(super) feature: &'a Arc<str>,
    pub(super) version: &'a Arc<str>,
    pub(super) window: WindowSpec,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) revision: u32,
    pub(super) late_count: u64,
    pub(super) partial: bool,
    pub(super) summary: &'a Summary,
    /// True where other versions have events and this one has none, so that the
    /// window is told of it for a breach alone.
    pub(super) is_absent: bool,
    /// How long before the end the feature was last heard of.
    pub(super) silent_for: Option<TimeSpan>,
    /// What an objective is judged by.
    pub(super) tallies: &'a dyn Fn(&Expectation) -> Option<Tallies>,
    /// Starts of sessions that are part of this one now.
    pub(super) replaces: &'a [Timestamp],
}

/// The expectations that judge windows of this kind.
pub(super) fn expectations_of(charter: Option<&Charter>, window: WindowSpec) -> Vec<&Expectation> {
    let all = charter.map(Charter::expectations).unwrap_or_default();
    all.iter().filter(|expectation| expectation.window == window).collect()
}

impl Alarms {
    /// Versions with breaches in windows of that kind by expectations that are asked
    /// no more: nothing would judge these again. `latest` stands for all versions.
    pub(super) fn dropped(
        &self,
        window: WindowSpec,
        expectations: &[&Expectation],
        latest: &Arc<str>,
    ) -> BTreeSet<Arc<str>> {
        let dropped = self.0.iter().filter(|((_, name, of_window), watched)| {
            *of_window == window
                && !expectations.iter().any(|expectation| expectation.name == *name)
                && watched.alarm.is_open(watched.damping)
        });
        let version = |((version, ..), watched): (&Key, &Watched)| {
            if watched.of_all_versions { latest.clone() } else { version.clone() }
        };
        dropped.map(version).collect()
    }

    /// Breaches of the window's version by expectations that are asked no more come
    /// to their end, as if its windows were good.
    fn end_dropped(
        &mut self,
        measured: &Measured<'_>,
        charter: Option<&Charter>,
        expectations: &[&Expectation],
        told: &Window,
        now: Timestamp,
    ) -> Vec<Breach> {
        let none = Charter::default();
        let mut breaches = Vec::new();
        for ((version, name, window), watched) in &mut self.0 {
            if *window != measured.window
                || !(watched.of_all_versions || version == measured.version)
                || expectations.iter().any(|expectation| expectation.name == *name)
                || !watched.alarm.is_open(watched.damping)
            {
                continue;
            }
            let opinion = judge::without_measuring(
                name,
                Verdict::Good,
                "the charter does not ask for the expectation any more",
            );
            let judgement = Judgement { fire: Verdict::Good, resolve: Verdict::Good };
            let said = watched.alarm.judge(measured.line(), judgement, watched.damping);
            let about = About {
                name,
                kind: watched.kind,
                severity: watched.severity,
                open: watched.damping.open,
            };
            breaches.extend(
                said.into_iter().map(|said| {
                    breach(said, &about, charter.unwrap_or(&none), told, &opinion, now)
                }),
            );
        }
        breaches
    }

    /// Start of the window that opened the breach which goes on, where it is before
    /// the measured one.
    fn opened_at(&self, measured: &Measured<'_>, expectation: &Expectation) -> Option<Timestamp> {
        let key = (measured.version.clone(), expectation.name.clone(), measured.window);
        let watched = self.0.get(&key).filter(|_| is_sustained(expectation))?;
        let opened_at = watched.alarm.opened_at(watched.damping)?;
        (opened_at < measured.start).then_some(opened_at)
    }

    /// Judges the window by `expectations`, each with what it compares with.
    pub(super) fn tell(
        &mut self,
        measured: &Measured<'_>,
        charter: Option<&Charter>,
        expectations: &[&Expectation],
        baselines: &[Result<Baseline, String>],
        asked: &mut Asked<'_>,
        now: Timestamp,
    ) -> Decided {
        let mut told = measure::window(measured.frame(), measured.summary);
        let mut breaches = Vec::new();
        if let (Some(charter), false) = (charter, measured.partial) {
            for (expectation, baseline) in expectations.iter().zip(baselines) {
                let lesson = self.1.lesson(measured.version, expectation, measured.start);
                let shifts = self.1.shifts(measured.version, expectation, measured.start);
                let in_breach = self
                    .opened_at(measured, expectation)
                    .map(|opened_at| shifts.iter().filter(|(start, _)| *start > opened_at).count());
                let shifts: Vec<Shift> = shifts.into_iter().map(|(_, shift)| shift).collect();
                let evidence = Evidence {
                    lesson: lesson.as_ref(),
                    shifts: &shifts,
                    in_breach,
                    summary: measured.summary,
                    baseline: baseline.as_ref().map_err(String::as_str),
                    silent_for: measured.silent_for,
                    tallies: (measured.tallies)(expectation),
                };
                let mut opinion = of_absent(measured, expectation)
                    .unwrap_or_else(|| judge::judge(expectation, charter, &evidence));
                let said = self.judge(measured, expectation, &mut opinion, asked, now);
                self.1.note(measured.version, expectation, measured.start, &opinion);
                for replaced in measured.replaces {
                    self.1.forget(measured.version, expectation, *replaced);
                }
                for said in said {
                    let is_here = said.window.start == measured.start;
                    let about = About::of(expectation);
                    let mut breach = breach(said, &about, charter, &told, &opinion, now);
                    if is_here {
                        breach.exemplars.clone_from(&measured.summary.exemplars);
                    }
                    if breach.transition == Transition::Retracted && expectation.rule.is_test() {
                        asked.retract();
                    }
                    breaches.push(breach);
                }
                told.judged.push(opinion.judged);
            }
        } else {
            let reason = "the input ends before the window does";
            told.judged = expectations.iter().map(|e| judge::not_judged(e, reason)).collect();
        }
        if !measured.partial {
            breaches.extend(self.end_dropped(measured, charter, expectations, &told, now));
        }
        Decided { at: now, window: told, breaches }
    }

    fn judge(
        &mut self,
        measured: &Measured<'_>,
        expectation: &Expectation,
        opinion: &mut Opinion,
        asked: &mut Asked<'_>,
        now: Timestamp,
    ) -> Vec<Announcement> {
        let of_all_versions = matches!(expectation.rule, Rule::Silence { .. });
        let version = if of_all_versions { Arc::default() } else { measured.version.clone() };
        let damping = Damping { open: expectation.r#for, resolve_after: expectation.resolve_after };
        let key = (version, expectation.name.clone(), measured.window);
        let watched = self.0.entry(key).or_insert_with(|| Watched {
            alarm: Alarm::default(),
            damping,
            levels: Levels::default(),
            of_all_versions,
            kind: expectation.rule.kind(),
            severity: expectation.severity,
        });
        watched.damping = damping;
        (watched.kind, watched.severity) = (expectation.rule.kind(), expectation.severity);
        if let Some(p_below) = expectation.rule.p_below() {
            let is_open = watched.alarm.is_open(damping);
            watched.levels.ask(opinion, p_below, measured.start, is_open, now, asked);
        }
        let judgement = Judgement { fire: opinion.judged.verdict, resolve: opinion.resolve };
        watched.alarm.judge(measured.line(), judgement, damping)
    }

    /// No window of this kind, of `version` or of all, that starts before
    /// `start` is told any more. Breaches that ended since `remember` are kept.
    pub(super) fn settle(
        &mut self,
        window: WindowSpec,
        version: Option<&Arc<str>>,
        start: Timestamp,
        remember: Option<Timestamp>,
    ) {
        for ((of_version, _, of_window), watched) in &mut self.0 {
            if *of_window == window && version.is_none_or(|version| of_version == version) {
                watched.alarm.settle(start, watched.damping, remember);
                watched.levels.settle(start);
            }
        }
    }

    /// The breaches of a version, by whatever expectation, and those of all
    /// versions: from the start of the window that opened one to the end of the
    /// last one before that which cleared it.
    pub(super) fn breaches(&self, version: &str) -> Breaches {
        let mut breaches = Breaches::default();
        for ((of_version, expectation, window), watched) in &self.0 {
            if !watched.of_all_versions && &**of_version != version {
                continue;
            }
            for (opened_at, cleared_at) in watched.alarm.intervals(watched.damping) {
                breaches.add(
                    expectation,
                    opened_at,
                    cleared_at.map(|at| window.last_end_before(at)),
                );
            }
        }
        breaches
    }
}

impl Measured<'_> {
    fn line(&self) -> Line<'_> {
        Line {
            start: self.start,
            end: self.end,
            revision: self.revision,
            version: self.version,
            replaces: self.replaces,
        }
    }

    fn frame(&self) -> Frame {
        Frame {
            feature: self.feature.to_string(),
            feature_version: self.version.to_string(),
            window: self.window.to_string(),
            start: self.start,
            end: self.end,
            revision: self.revision,
            partial: self.partial,
            late_count: self.late_count,
        }
    }

    /// The line that withdraws a session: nothing is left of it.
    pub(super) fn withdrawal(
        &self,
        start: Timestamp,
        end: Timestamp,
        revision: u32,
        expectations: &[&Expectation],
        now: Timestamp,
    ) -> Decided {
        let frame = Frame { start, end, revision, late_count: 0, partial: false, ..self.frame() };
        let mut window = measure::window(frame, &Summary::default());
        let reason =
            format!("late events made the session part of the one that begins at {}", self.start);
        window.judged = expectations.iter().map(|e| judge::not_judged(e, &reason)).collect();
        Decided { at: now, window, breaches: Vec::new() }
    }
}

fn is_sustained(expectation: &Expectation) -> bool {
    matches!(expectation.rule, Rule::Drift { sustained: Some(_), .. })
}

/// What a window tells that is told of a version without events for a breach alone:
/// nothing. A silence is that of all versions.
fn of_absent(measured: &Measured<'_>, expectation: &Expectation) -> Option<Opinion> {
    if !measured.is_absent || matches!(expectation.rule, Rule::Silence { .. }) {
        return None;
    }
    let reason = format!("no event of version {}", measured.version);
    Some(judge::without_measuring(&expectation.name, Verdict::NotJudged, &reason))
}

/// What a breach says of its expectation.
struct About<'a> {
    name: &'a str,
    kind: ExpectationKind,
    severity: Severity,
    open: ForSpec,
}

impl<'a> About<'a> {
    fn of(expectation: &'a Expectation) -> Self {
        Self {
            name: &expectation.name,
            kind: expectation.rule.kind(),
            severity: expectation.severity,
            open: expectation.r#for,
        }
    }
}

/// A line of a breach. Where it happened at another window than the measured
/// one, whose numbers stand in that one's line, it says none.
fn breach(
    said: Announcement,
    expectation: &About<'_>,
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
        &said.version,
        expectation.name,
        &window.window,
        &opened_at,
        &by_revision,
    ];
    if by_window != opened_at {
        name.push(&by_window);
    }
    let id = derived(&name);
    let Announcement { transition, window: at, .. } = said;
    let by = format!("revision {} of the window from {}", window.revision, window.window_start);
    let ForSpec { k, of } = expectation.open;
    let is_here = at.start == window.window_start;
    let reason = match transition {
        Transition::Opened if !is_here => {
            format!("{k} of the last {of} judged windows are bad, as {by} shows")
        }
        Transition::Opened | Transition::Sustained => judged.reason.clone().unwrap_or_default(),
        Transition::Cleared if !is_here => format!("good again, as {by} shows"),
        // It may be good because the expectation is no more.
        Transition::Cleared if judged.verdict == Verdict::Good && judged.observed.is_none() => {
            judged.reason.clone().unwrap_or_default()
        }
        Transition::Cleared => "good again".to_owned(),
        Transition::Retracted => format!(
            "revision {} of the window takes away what the breach stood on",
            window.revision
        ),
    };
    let said_here = |number: Option<f64>| number.filter(|_| is_here);
    Breach {
        breach_id: id,
        transition,
        feature: window.feature.clone(),
        feature_version: said.version.to_string(),
        expectation: expectation.name.to_owned(),
        kind: expectation.kind,
        severity: expectation.severity,
        window: window.window.clone(),
        window_start: at.start,
        window_end: at.end,
        revision: at.revision,
        detected_at: now,
        observed: said_here(judged.observed),
        threshold: said_here(judged.threshold),
        p_value: said_here(judged.p_value),
        effect: said_here(opinion.effect),
        baseline: judged.baseline.clone().filter(|_| is_here),
        owner: charter.fields.owners.primary.clone(),
        policy: charter.fields.policy.clone(),
        affected_consumers: charter.fields.consumers.clone().unwrap_or_default(),
        exemplars: Vec::new(),
        reason,
    }
}
