//! Session windows: from a version's first event to its last before a gap.
//!
//! A pane keeps its first and last event time and is no longer than the gap,
//! so a pane's events are of one session and sessions are exact. A session is
//! closed when the watermark reaches its last event plus the gap, its *end*;
//! it takes events until `allowed_lateness` after that, and an event that
//! touches no session that takes events is judged as a session of its own. Of
//! a session that has taken its last event only the end of its time is kept:
//! an event up to there is too late, and a later one near it begins another
//! session. So sessions never overlap and no two have the same start.
//!
//! An event may extend a session or join several, told or not. What was told
//! of them is kept until the joined session is told: its revision is one above
//! theirs, and those with another start are withdrawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_model::batch::Delta;
use watchkeep_model::charter::WindowSpec;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::evaluate::subject::Moment;
use crate::evaluate::{Action, Deadline};
use crate::settings::TimeSettings;

/// The sessions of one gap of one subject. Those of a version that take events
/// lie more than the gap apart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    versions: BTreeMap<Arc<str>, OfVersion>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct OfVersion {
    /// Those that take events, by their first one. Mostly one, and a map makes
    /// room for eleven.
    open: BTreeMap<Timestamp, Box<Session>>,
    /// The last event of all that take none any more.
    settled_to: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    /// The last event's time.
    last: Timestamp,
    summary: Summary,
    /// True where the watermark has reached its end.
    closed: bool,
    /// True where that was so once, for it or for a part of it.
    was_closed: bool,
    revise_at: Option<Timestamp>,
    /// Events that came after the first close.
    late_count: u64,
    /// What was told of it and of its parts, by their starts.
    told: BTreeMap<Timestamp, Told>,
}

/// A line that was told of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    last: Timestamp,
    revision: u32,
}

/// A session that is to be told now.
#[derive(Debug)]
pub(super) struct Due<'a> {
    pub(super) last: Timestamp,
    pub(super) revision: u32,
    pub(super) late_count: u64,
    pub(super) summary: &'a Summary,
    pub(super) withdrawn: Vec<Withdrawn>,
}

/// A session that was told and is part of another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Withdrawn {
    pub(super) start: Timestamp,
    pub(super) last: Timestamp,
    /// The revision that withdraws it.
    pub(super) revision: u32,
}

/// What became of a deadline of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The session is no more or has moved on since; nothing is to be done.
    Nothing,
    /// It is to be told.
    Telling,
    /// It takes no more events; its last one was at this time.
    Ended(Timestamp),
}

impl Sessions {
    /// Takes a delta into the sessions that it touches; `false` where it came
    /// too late for any.
    pub(super) fn take(&mut self, gap: TimeSpan, delta: &Delta, moment: &mut Moment<'_>) -> bool {
        let summary = &delta.summary;
        let (Some(first), Some(last)) = (summary.first_event_time, summary.last_event_time) else {
            return true;
        };
        let passed = |at: Timestamp| moment.watermark.is_some_and(|watermark| watermark >= at);
        let of_version = self.versions.entry(delta.feature_version.clone()).or_default();
        let sessions = &mut of_version.open;
        let before = sessions.range(..=last + gap).rev();
        let touched: Vec<Timestamp> =
            before.take_while(|(_, s)| s.last + gap >= first).map(|(start, _)| *start).collect();
        let too_late = of_version.settled_to.is_some_and(|settled_to| first <= settled_to)
            || touched.is_empty() && passed(last + gap + moment.settings.allowed_lateness);
        if too_late {
            return false;
        }
        // By far most events extend the session that is going on.
        if let [start] = touched[..]
            && start <= first
            && let Some(session) = sessions.get_mut(&start)
            && !session.closed
        {
            session.take(summary, last);
            return true;
        }
        let mut joined = Session::new(last, touched.is_empty() && passed(last + gap));
        let mut start = first;
        for touched in &touched {
            if let Some(part) = sessions.remove(touched) {
                start = start.min(*touched);
                joined.join(*part);
            }
        }
        joined.take(summary, last);
        let end = joined.last + gap;
        let settled = end + moment.settings.allowed_lateness;
        joined.closed = passed(end);
        joined.revise_at = None;
        let mut add = |due, action| {
            let (feature, window) = (delta.feature.clone(), WindowSpec::Session { gap });
            let version = Some(delta.feature_version.clone());
            moment.deadlines.insert(Deadline { due, end, feature, window, version, start, action });
        };
        if joined.closed {
            let from = moment.watermark.unwrap_or(end);
            let due = from.next_multiple(moment.settings.revise_every).min(settled);
            joined.revise_at = Some(due);
            add(due, Action::Revise);
        } else {
            add(end, Action::Close);
        }
        add(settled, Action::Settle);
        sessions.insert(start, Box::new(joined));
        true
    }

    /// Something is due. A session that was extended since the deadline was set
    /// gets the same one later.
    pub(super) fn due(
        &mut self,
        gap: TimeSpan,
        deadline: &Deadline,
        moment: &mut Moment<'_>,
    ) -> Came {
        let lateness = moment.settings.allowed_lateness;
        let Deadline { due, start, action, .. } = *deadline;
        let Some(version) = &deadline.version else { return Came::Nothing };
        let Some(of_version) = self.versions.get_mut(version) else { return Came::Nothing };
        let Some(session) = of_version.open.get_mut(&start) else { return Came::Nothing };
        let end = session.last + gap;
        let mut later = |due| {
            moment.deadlines.insert(Deadline { due, end, ..deadline.clone() });
        };
        match action {
            Action::Close if session.closed => Came::Nothing,
            Action::Close if end > due => {
                later(end);
                Came::Nothing
            }
            Action::Close => {
                (session.closed, session.was_closed) = (true, true);
                Came::Telling
            }
            // One that was set before the session was extended would be taken
            // in the order of its earlier end.
            Action::Revise if session.revise_at == Some(due) && deadline.end == end => {
                session.revise_at = None;
                Came::Telling
            }
            Action::Revise => Came::Nothing,
            Action::Settle if end + lateness > due => {
                later(end + lateness);
                Came::Nothing
            }
            Action::Settle => {
                let last = session.last;
                of_version.open.remove(&start);
                of_version.settled_to = of_version.settled_to.max(Some(last));
                Came::Ended(last)
            }
        }
    }

    /// The session as it is told now, and what its telling withdraws.
    pub(super) fn tell(&mut self, version: &Arc<str>, start: Timestamp) -> Option<Due<'_>> {
        let session = self.versions.get_mut(version)?.open.get_mut(&start)?;
        let revision = session.told.values().map(|told| told.revision + 1).max().unwrap_or(0);
        let told = Told { last: session.last, revision };
        let before = std::mem::replace(&mut session.told, BTreeMap::from([(start, told)]));
        let others = before.into_iter().filter(|(other, _)| *other != start);
        let withdrawn = others
            .map(|(start, told)| Withdrawn { start, last: told.last, revision: told.revision + 1 })
            .collect();
        let Session { last, late_count, ref summary, .. } = **session;
        Some(Due { last, revision, late_count, summary, withdrawn })
    }

    /// The deadlines that the sessions have, as they are now.
    pub(super) fn deadlines(
        &self,
        gap: TimeSpan,
        feature: &Arc<str>,
        settings: &TimeSettings,
        deadlines: &mut Vec<Deadline>,
    ) {
        for (version, sessions) in &self.versions {
            for (start, session) in &sessions.open {
                let (start, end) = (*start, session.last + gap);
                let mut add = |due, action| {
                    let (feature, window) = (feature.clone(), WindowSpec::Session { gap });
                    let version = Some(version.clone());
                    deadlines.push(Deadline { due, end, feature, window, version, start, action });
                };
                if !session.closed {
                    add(end, Action::Close);
                }
                if let Some(due) = session.revise_at {
                    add(due, Action::Revise);
                }
                add(end + settings.allowed_lateness, Action::Settle);
            }
        }
    }

    /// Every summary that is kept.
    pub(super) fn summaries(&mut self) -> impl Iterator<Item = &mut Summary> {
        let sessions = self.versions.values_mut().flat_map(|of| of.open.values_mut());
        sessions.map(|session| &mut session.summary)
    }

    /// The first event of the earliest session that takes events.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.versions.values().filter_map(|of| of.open.keys().next()).min().copied()
    }

    /// Sessions that take events.
    pub(super) fn open_windows(&self) -> usize {
        self.versions.values().map(|of| of.open.len()).sum()
    }
}

impl Session {
    /// Without an event yet; `passed` where the watermark has reached its end already.
    fn new(last: Timestamp, passed: bool) -> Self {
        Self {
            last,
            summary: Summary::default(),
            closed: false,
            was_closed: passed,
            revise_at: None,
            late_count: 0,
            told: BTreeMap::new(),
        }
    }

    fn take(&mut self, summary: &Summary, last: Timestamp) {
        self.last = self.last.max(last);
        self.summary.merge(summary);
        if self.was_closed {
            self.late_count += summary.count;
        }
    }

    fn join(&mut self, part: Self) {
        self.last = self.last.max(part.last);
        self.summary.merge(&part.summary);
        self.was_closed |= part.was_closed;
        self.late_count += part.late_count;
        self.told.extend(part.told);
    }
}
