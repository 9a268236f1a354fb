//! Holds the files of a replay against each other: breaches against the windows
//! that they name, incidents against breaches, messages against incidents, and
//! all of them against their order.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::ExpectationKind;
use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::incident::data::BreachAttached;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Judged, Verdict, Window};

use super::line::gap;
use super::{FaultKind, Finding};

/// Feature, version, window, its start and revision.
type LineKey = (String, String, String, Timestamp, u32);

/// In the place of a version: a silence is that of all, so a breach of one may
/// name another version's line.
const ANY_VERSION: &str = "\0";

/// When a window was decided, its size and whose it is: the order of lines.
type Place = (Timestamp, TimeSpan, String, String, String);

/// Feature, version, expectation and window.
type AlarmKey = (String, String, String, String);

/// Incident, time, and what identifies a message of it.
type MessageKey = (String, Timestamp, String);

/// The audit. Breaches are taken first, then windows, facts and messages, each
/// in the order of its file.
#[derive(Debug, Default)]
pub struct LinksAudit {
    breaches: Vec<Breach>,
    /// Breaches by the line that they name, as places in `breaches`.
    by_line: BTreeMap<LineKey, Vec<usize>>,
    /// And by what they are of.
    by_alarm: BTreeMap<AlarmKey, Vec<usize>>,
    /// Breaches whose window's line has come.
    met: BTreeSet<usize>,
    /// Where the last line of windows stands that was decided at its end.
    last_window: Option<Place>,
    last_fact: Option<Timestamp>,
    last_message: Option<Timestamp>,
    has_platform: bool,
    /// Messages that facts tell of less those that there are.
    pages: BTreeMap<MessageKey, i64>,
    notices: BTreeMap<MessageKey, i64>,
    findings: Vec<Finding>,
}

impl LinksAudit {
    /// Takes a line of a breach.
    pub fn breach(&mut self, breach: &Breach) {
        if breach.kind == ExpectationKind::Platform {
            self.has_platform = true;
            return;
        }
        let last = self.breaches.last().map(|last| last.detected_at);
        if last.is_some_and(|last| last > breach.detected_at) {
            let detail = format!("{} is told of after a later one", shown(breach));
            self.find(FaultKind::Order, detail);
        }
        let place = self.breaches.len();
        self.by_line.entry(line_of(breach)).or_default().push(place);
        self.by_alarm.entry(alarm_of(breach)).or_default().push(place);
        self.breaches.push(breach.clone());
    }

    /// Takes a line of a window.
    pub fn window(&mut self, window: &Window) {
        let was_in_time = window.revision == 0 && window.late_count == 0 && !window.partial;
        if was_in_time {
            self.order(window);
            self.sustained(window);
        }
        let mut key = (
            window.feature.clone(),
            window.feature_version.clone(),
            window.window.clone(),
            window.window_start,
            window.revision,
        );
        for place in self.by_line.remove(&key).unwrap_or_default() {
            self.met.insert(place);
            if let Some(detail) = contradiction(&self.breaches[place], window, was_in_time) {
                self.find(FaultKind::Contradiction, detail);
            }
        }
        ANY_VERSION.clone_into(&mut key.1);
        self.met.extend(self.by_line.remove(&key).unwrap_or_default());
    }

    /// Windows that are decided at their end come in order of it, then of size
    /// and subject.
    fn order(&mut self, window: &Window) {
        let size = gap(&window.window);
        let place = (
            decided_at(window),
            size.unwrap_or_else(|| window.window_end.since(window.window_start)),
            window.feature.clone(),
            window.window.clone(),
            window.feature_version.clone(),
        );
        if self.last_window.as_ref().is_some_and(|last| *last > place) {
            let detail = format!(
                "{} {} from {} stands behind a window that was decided later",
                window.feature, window.window, window.window_start
            );
            self.find(FaultKind::Order, detail);
        }
        self.last_window = Some(place);
    }

    /// A bad window sustains the breach that is open at its end.
    fn sustained(&mut self, window: &Window) {
        let at = decided_at(window);
        let bad = window.judged.iter().filter(|judged| judged.verdict == Verdict::Bad);
        for judged in bad {
            let key = (
                window.feature.clone(),
                window.feature_version.clone(),
                judged.expectation.clone(),
                window.window.clone(),
            );
            let Some(lines) = self.by_alarm.get(&key) else { continue };
            let lines: Vec<&Breach> = lines.iter().map(|place| &self.breaches[*place]).collect();
            let is_of_this = |line: &&Breach| line.window_start == window.window_start;
            let open = lines.iter().find(|line| {
                // Of a silence another version may have the breach.
                line.transition == Transition::Opened
                    && line.kind != ExpectationKind::Silence
                    && line.detected_at < at
                    && line.window_start < window.window_start
                    && !lines.iter().any(|end| {
                        end.breach_id == line.breach_id && is_end(end) && end.detected_at <= at
                    })
            });
            if let Some(open) = open
                && !lines.iter().any(is_of_this)
            {
                let detail = format!(
                    "{} {} from {} is bad by {}, and breach {}, which is open then, is not sustained",
                    window.feature,
                    window.window,
                    window.window_start,
                    judged.expectation,
                    open.breach_id
                );
                self.findings.push(Finding { fault: FaultKind::Contradiction, at: None, detail });
            }
        }
    }

    /// Takes a fact of the incident log.
    pub fn fact(&mut self, fact: &Fact) {
        if self.last_fact.is_some_and(|last| last > fact.recorded_at) && self.is_by_watermark() {
            let detail =
                format!("fact {} of {} stands behind a later one", fact.sequence, fact.incident_id);
            self.find(FaultKind::Order, detail);
        }
        self.last_fact = Some(fact.recorded_at);
        let (incident, at) = (&fact.incident_id, fact.occurred_at);
        match &fact.data {
            // The message of another incident speaks for this one in a digest.
            FactData::Notified(said) if said.carried_by.is_some() => {}
            FactData::Notified(said) => {
                let (step, channel) = (Some(&said.step), Some(&said.channel));
                let what = page(step, Some(said.climb), &said.target, &said.role, channel);
                let what = format!("{what}, {}, {:?}", said.reason, said.respond_by);
                *self.pages.entry((incident.clone(), at, what)).or_default() += 1;
            }
            FactData::BreachAttached(said) => {
                for one in &said.informed {
                    let what = format!("{} as {}", one.target, one.role);
                    *self.notices.entry((incident.clone(), at, what)).or_default() += 1;
                }
                self.attached(fact, said);
            }
            _ => {}
        }
    }

    /// An attached breach is one that was opened, and told of alike.
    fn attached(&mut self, fact: &Fact, said: &BreachAttached) {
        if said.kind == ExpectationKind::Platform {
            return;
        }
        let key = (
            said.feature.clone(),
            said.feature_version.clone(),
            said.expectation.clone(),
            said.window.clone(),
        );
        let lines = self.by_alarm.get(&key).map(Vec::as_slice).unwrap_or_default();
        let is_told = lines.iter().map(|place| &self.breaches[*place]).any(|line| {
            line.breach_id == said.breach_id
                && (line.kind, line.severity) == (said.kind, said.severity)
                && (line.window_start, line.window_end) == (said.window_start, said.window_end)
                && line.detected_at == said.detected_at
        });
        if !is_told {
            let detail = format!(
                "fact {} of {} attaches breach {} of {} by {}, detected at {}: no line of a \
                 breach says so",
                fact.sequence,
                fact.incident_id,
                said.breach_id,
                said.feature,
                said.expectation,
                said.detected_at
            );
            self.find(FaultKind::Contradiction, detail);
        }
    }

    /// Takes a message.
    pub fn escalation(&mut self, message: &Escalation) {
        if self.last_message.is_some_and(|last| last > message.time) && self.is_by_watermark() {
            let detail = format!("escalation {} stands behind a later one", message.id);
            self.find(FaultKind::Order, detail);
        }
        self.last_message = Some(message.time);
        if message.drill {
            // An exercise is of no incident of this log; it only rang.
            return;
        }
        let (incident, at) = (message.incident_id.clone(), message.time);
        let none = String::new();
        let [target, role] =
            [&message.target, &message.role].map(|one| one.as_ref().unwrap_or(&none));
        match (message.audience, message.event_action) {
            (Audience::Page, EventAction::Trigger) => {
                let what = page(
                    message.step.as_ref(),
                    message.climb,
                    target,
                    role,
                    message.channel.as_ref(),
                );
                let what = format!("{what}, {}, {:?}", message.reason, message.respond_by);
                *self.pages.entry((incident, at, what)).or_default() -= 1;
            }
            (Audience::Inform, _) => {
                let what = format!("{target} as {role}");
                *self.notices.entry((incident, at, what)).or_default() -= 1;
            }
            _ => {}
        }
    }

    /// True where nothing was told by another clock than the watermark.
    fn is_by_watermark(&self) -> bool {
        !self.has_platform
    }

    /// What is wrong, once everything was taken.
    pub fn finish(mut self) -> Vec<Finding> {
        for (place, breach) in self.breaches.iter().enumerate() {
            if !self.met.contains(&place) {
                let detail = format!("{} names a window's line that is not there", shown(breach));
                self.findings.push(Finding { fault: FaultKind::Contradiction, at: None, detail });
            }
        }
        // Of notices there are more: breaches alone say who is told because of them.
        let pages = self.pages.iter().map(|(key, left)| ("page", key, *left));
        let notices = self.notices.iter().map(|(key, left)| ("notice", key, (*left).max(0)));
        for (what, (incident, at, to), left) in pages.chain(notices) {
            let which = match left {
                0 => continue,
                1.. => "its facts tell of it, and there is no such message",
                _ => "there is such a message, and its facts do not tell of it",
            };
            let detail = format!("{what} of {incident} at {at} to {to}: {which}");
            self.findings.push(Finding { fault: FaultKind::Contradiction, at: None, detail });
        }
        self.findings
    }

    fn find(&mut self, fault: FaultKind, detail: String) {
        self.findings.push(Finding { fault, at: None, detail });
    }
}

/// What a breach says of the line that it names and the line does not.
fn contradiction(breach: &Breach, window: &Window, was_in_time: bool) -> Option<String> {
    let says = |what: String| Some(format!("{} {what}", shown(breach)));
    if breach.window_end != window.window_end {
        return says(format!("ends its window at {}", breach.window_end));
    }
    let at = decided_at(window);
    let is_its_own = matches!(breach.transition, Transition::Opened | Transition::Sustained)
        && has_numbers(breach);
    if breach.detected_at < at || was_in_time && is_its_own && breach.detected_at != at {
        return says(format!("was detected at {}, its window decided at {at}", breach.detected_at));
    }
    let judged = window.judged.iter().find(|judged| judged.expectation == breach.expectation);
    let Some(judged) = judged else {
        let is_missing = breach.transition != Transition::Retracted;
        return is_missing.then(|| format!("{} is of no judgement of its window", shown(breach)));
    };
    let wanted = match breach.transition {
        Transition::Opened | Transition::Sustained => Some((Verdict::Bad, "bad")),
        Transition::Cleared => Some((Verdict::Good, "good")),
        Transition::Retracted => None,
    };
    if let Some((wanted, name)) = wanted
        && wanted != judged.verdict
    {
        return says(format!("stands on a window that is not {name}"));
    }
    (!is_alike(breach, judged))
        .then(|| format!("{} tells of other numbers than its window", shown(breach)))
}

/// True where a breach repeats what was judged.
fn is_alike(breach: &Breach, judged: &Judged) -> bool {
    let said = (breach.observed, breach.threshold, breach.p_value, &breach.baseline);
    !has_numbers(breach)
        || said == (judged.observed, judged.threshold, judged.p_value, &judged.baseline)
}

/// A breach that another window's revision brought about says nothing of numbers.
fn has_numbers(breach: &Breach) -> bool {
    let Breach { observed, threshold, p_value, .. } = breach;
    [observed, threshold, p_value].into_iter().any(Option::is_some) || breach.baseline.is_some()
}

fn decided_at(window: &Window) -> Timestamp {
    window.window_end + gap(&window.window).unwrap_or(TimeSpan::ZERO)
}

fn is_end(breach: &Breach) -> bool {
    matches!(breach.transition, Transition::Cleared | Transition::Retracted)
}

fn shown(breach: &Breach) -> String {
    format!(
        "breach {} of {}, {} by {} {} from {}, revision {},",
        breach.breach_id,
        breach.feature,
        breach.transition.name(),
        breach.expectation,
        breach.window,
        breach.window_start,
        breach.revision
    )
}

fn line_of(breach: &Breach) -> LineKey {
    let Breach { feature, mut feature_version, window, .. } = breach.clone();
    if breach.kind == ExpectationKind::Silence {
        ANY_VERSION.clone_into(&mut feature_version);
    }
    (feature, feature_version, window, breach.window_start, breach.revision)
}

fn alarm_of(breach: &Breach) -> AlarmKey {
    let Breach { feature, feature_version, expectation, window, .. } = breach.clone();
    (feature, feature_version, expectation, window)
}

fn page(
    step: Option<&String>,
    climb: Option<u32>,
    target: &str,
    role: &str,
    channel: Option<&String>,
) -> String {
    let [step, channel] = [step, channel].map(|one| one.map_or("-", String::as_str));
    format!("{target} as {role} over {channel} (step {step}, loop {})", climb.unwrap_or(0))
}
