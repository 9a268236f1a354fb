//! What one incident came to, digested from its facts for reports.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::data::{BreachAttached, Opened, PolicyRevision, Reviewed};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::Feedback;
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use crate::decide::merge::ADOPTED;
use crate::state::people::action::ACTION_DONE;

/// A span of time, `[from, to)`.
pub type Span = (Timestamp, Timestamp);

/// Severities from this one on count against uptime.
pub const DOWN_FROM: Severity = Severity::Error;

/// An incident as reports see it, up to the end of what they look at.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// Its first fact.
    pub opened: &'a Opened,
    /// When it opened.
    pub opened_at: Timestamp,
    /// The worst it was.
    pub severity: Severity,
    /// Who answered last.
    pub owner: Option<&'a str>,
    /// First instant of the first bad window.
    pub bad_from: Option<Timestamp>,
    /// When the first breach was detected.
    pub detected_at: Option<Timestamp>,
    /// First page.
    pub notified_at: Option<Timestamp>,
    /// First acknowledgement, and whose it was.
    pub acknowledged: Option<(Timestamp, &'a str)>,
    /// First remediation.
    pub remediated_at: Option<Timestamp>,
    /// First verification.
    pub verified_at: Option<Timestamp>,
    /// The latest resolution; absent while the incident is open.
    pub resolved_at: Option<Timestamp>,
    /// Times that it was reopened.
    pub reopened: u64,
    /// True where its steps have run out once.
    pub exhausted: bool,
    /// The latest review, with its instant. What it asks for stays to be done
    /// also where the incident was reopened since …
    pub reviewed: Option<(Timestamp, &'a Reviewed)>,
    /// … but it does not count for the incident as it went on then.
    pub is_reviewed: bool,
    /// Actions of that review that are done, each as often as it was said.
    pub done: Vec<&'a str>,
    /// True where nothing is left to do.
    pub closed: bool,
    /// True where it goes on as one with another.
    pub merged: bool,
    /// When each subject was down: from its first breach, or from the instant
    /// at which the incident became an error, until the incident's end.
    pub down: BTreeMap<String, Vec<Span>>,
    /// When each consumer was affected, whatever the severity.
    pub affected: BTreeMap<&'a str, Vec<Span>>,
    /// Expectations that it was about: typed subject and name.
    pub expectations: BTreeSet<(String, &'a str)>,
    /// What people said a page was worth.
    pub feedback: Vec<Feedback>,
    /// How long each gate kept the incident waiting, in seconds, by gate.
    pub gate_waits: Vec<(&'a str, i64)>,
}

impl<'a> Story<'a> {
    /// Digests the facts of one incident before `to`; `None` for commands that
    /// concern no incident, for exercises, and for what opened later.
    pub fn of(facts: &'a [Fact], to: Timestamp) -> Option<Self> {
        let first = facts.first().filter(|first| first.occurred_at < to && !first.drill)?;
        let FactData::Opened(opened) = &first.data else { return None };
        let mut teller = Teller { story: Self::begin(first, opened), open: Open::of(opened) };
        for fact in facts.iter().take_while(|fact| fact.occurred_at < to) {
            teller.take(fact);
        }
        teller.end(to);
        Some(teller.story)
    }

    fn begin(first: &'a Fact, opened: &'a Opened) -> Self {
        Self {
            id: &first.incident_id,
            opened,
            opened_at: first.occurred_at,
            severity: opened.severity,
            owner: opened.owner.as_deref(),
            bad_from: None,
            detected_at: None,
            notified_at: None,
            acknowledged: None,
            remediated_at: None,
            verified_at: None,
            resolved_at: None,
            reopened: 0,
            exhausted: false,
            reviewed: None,
            is_reviewed: false,
            done: Vec::new(),
            closed: false,
            merged: false,
            down: BTreeMap::new(),
            affected: BTreeMap::new(),
            expectations: BTreeSet::new(),
            feedback: Vec::new(),
            gate_waits: Vec::new(),
        }
    }

    /// The policy that it follows.
    pub fn policy(&self) -> &'a PolicyRevision {
        &self.opened.policy
    }

    /// What it was about, for counting how often it comes again: root and kind.
    pub fn cause(&self) -> (&'a str, ExpectationKind) {
        (&self.opened.root, self.opened.kind)
    }

    /// True while nobody and nothing has ended it.
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// The root and every subject that breached.
    pub fn subjects(&self) -> BTreeSet<&str> {
        let features = self.expectations.iter().map(|(subject, _)| subject.as_str());
        features.chain([self.opened.root.as_str()]).collect()
    }
}

/// What is open while the facts are gone through.
struct Open<'a> {
    severity: Severity,
    since: BTreeMap<String, Timestamp>,
    consumers: BTreeMap<&'a str, Timestamp>,
    /// Since when gates keep the incident waiting.
    waiting_since: Option<Timestamp>,
}

impl Open<'_> {
    fn of(opened: &Opened) -> Self {
        Self {
            severity: opened.severity,
            since: BTreeMap::new(),
            consumers: BTreeMap::new(),
            waiting_since: None,
        }
    }
}

struct Teller<'a> {
    story: Story<'a>,
    open: Open<'a>,
}

impl<'a> Teller<'a> {
    fn take(&mut self, fact: &'a Fact) {
        let at = fact.occurred_at;
        let story = &mut self.story;
        match &fact.data {
            FactData::Opened(_) => self.open.waiting_since = Some(at),
            FactData::BreachAttached(breach) => {
                // What another found and gave over says nothing of how quickly
                // this one was found.
                let is_adopted = fact.cause.as_deref().is_some_and(|of| of.starts_with(ADOPTED));
                self.attach(breach, at, is_adopted);
            }
            FactData::BreachCleared(breach) if breach.open_count == 0 => {
                self.open.waiting_since = Some(at);
            }
            FactData::SeverityChanged(changed) => {
                self.raise(changed.to, at);
            }
            FactData::OwnerResolved(resolved) => story.owner = resolved.owner.as_deref(),
            FactData::Notified(_) => {
                story.notified_at.get_or_insert(at);
            }
            FactData::Acknowledged(_) => {
                story.acknowledged.get_or_insert((at, &fact.actor));
            }
            FactData::Remediated(_) => {
                story.remediated_at.get_or_insert(at);
                self.open.waiting_since = Some(at);
            }
            FactData::Verified(_) => {
                story.verified_at.get_or_insert(at);
                self.open.waiting_since = Some(at);
            }
            FactData::SignedOff(signed) if signed.approve && signed.signed == signed.needed => {
                if let Some(since) = self.open.waiting_since {
                    let wait = at.since(since).as_micros() / 1_000_000;
                    story.gate_waits.push((&signed.gate, wait));
                }
            }
            FactData::ActionRecorded(said) => {
                story.feedback.extend(said.feedback);
                if said.action == ACTION_DONE {
                    story.done.push(&said.detail);
                }
            }
            FactData::Exhausted(_) => story.exhausted = true,
            FactData::Resolved(_) | FactData::Merged(_) => {
                story.resolved_at = Some(at);
                // What is to be learned is learned of the incident that goes on.
                story.merged |= matches!(fact.data, FactData::Merged(_));
                story.closed |= story.merged;
                self.close(at);
            }
            FactData::Reopened(reopened) => {
                story.resolved_at = None;
                story.reopened += 1;
                story.closed = false;
                story.is_reviewed = false;
                story.severity = story.severity.max(reopened.severity);
                self.open.severity = reopened.severity;
                self.open.waiting_since = Some(at);
            }
            FactData::Reviewed(reviewed) => {
                story.reviewed = Some((at, reviewed));
                story.is_reviewed = true;
                story.done.clear();
            }
            FactData::Closed(_) => story.closed = true,
            _ => {}
        }
    }

    fn attach(&mut self, breach: &'a BreachAttached, at: Timestamp, is_adopted: bool) {
        let (story, open) = (&mut self.story, &mut self.open);
        let least = |known: Option<Timestamp>, new: Timestamp| {
            Some(known.map_or(new, |known| known.min(new)))
        };
        if !is_adopted {
            story.bad_from = least(story.bad_from, breach.window_start);
            story.detected_at = least(story.detected_at, breach.detected_at);
        }
        story.expectations.insert((typed(&breach.feature), &breach.expectation));
        open.since.entry(typed(&breach.feature)).or_insert(at);
        for consumer in &breach.consumers {
            open.consumers.entry(consumer).or_insert(at);
        }
    }

    /// From now on the subjects are down that were only told of before.
    fn raise(&mut self, to: Severity, at: Timestamp) {
        if self.open.severity < DOWN_FROM && to >= DOWN_FROM {
            self.open.since.values_mut().for_each(|since| *since = at);
        }
        self.open.severity = to;
        self.story.severity = self.story.severity.max(to);
    }

    fn close(&mut self, at: Timestamp) {
        for (feature, since) in std::mem::take(&mut self.open.since) {
            if self.open.severity >= DOWN_FROM {
                self.story.down.entry(feature).or_default().push((since, at));
            }
        }
        for (consumer, since) in std::mem::take(&mut self.open.consumers) {
            self.story.affected.entry(consumer).or_default().push((since, at));
        }
    }

    fn end(&mut self, to: Timestamp) {
        self.close(to);
    }
}

/// The time that spans cover together within a period, in microseconds; what
/// several cover counts once.
pub fn covered(spans: impl IntoIterator<Item = Span>, period: super::Period) -> i64 {
    let mut spans: Vec<Span> = spans
        .into_iter()
        .map(|(from, to)| (from.max(period.from), to.min(period.to)))
        .filter(|(from, to)| from < to)
        .collect();
    spans.sort_unstable();
    let (mut total, mut end) = (0, Timestamp::from_micros(i64::MIN));
    for (from, to) in spans {
        let from = from.max(end);
        if from < to {
            total += to.since(from).as_micros();
            end = to;
        }
    }
    total
}
