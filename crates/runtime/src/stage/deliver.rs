//! The deliver stage on a log: escalations in, requests to sinks out, and
//! reports of what became of them back into the log.
//!
//! Everything but the sending is here: which sink takes a message ([`route`]),
//! in which order and how often it is tried ([`lane`]), when a sink counts as
//! dead ([`health`]), and what is known again after a restart (`restore`).
//! The shell carries [`Request`]s out and hands their [`Answer`]s back.
//!
//! At least once: the position of an escalation is committed when each of its
//! sinks has taken it or was given up, in one transaction with the reports. A
//! report is a `report_delivery` command in the responses topic, from which the
//! escalate stage, the one writer of the incident log, makes the fact
//! `delivery_reported`. After a crash a message whose report holds is not sent
//! again; one that was on its way is, with the same identifier.

pub mod health;
pub mod lane;
mod restore;
pub mod route;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::data::DeliveryOutcome;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::fact::{FactEncoding, decode};

use self::lane::{Done, Lane};
use self::state::State;
use crate::log::{Event, Log, LogError, Outgoing, Transaction};
use crate::outgoing;
use crate::stage::StageError;
use crate::topics::Topics;

/// Deliveries that are waited for at once. Beyond it nothing more is taken
/// from the topic, which keeps it, until some are done.
pub const OUTSTANDING_MAX: usize = 10_000;

/// What a sink speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Events of PagerDuty: an alert that is raised, taken and closed.
    Pagerduty,
    /// Alerts of Alertmanager: raised, kept alive and ended.
    Alertmanager,
    /// One signed CloudEvent for each message.
    Webhook,
    /// One message of a chat for each.
    Slack,
    /// One e-mail for each.
    Email,
}

impl Tool {
    /// Every tool with its name in policies and settings.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Pagerduty, "pagerduty"),
        (Self::Alertmanager, "alertmanager"),
        (Self::Webhook, "webhook"),
        (Self::Slack, "slack"),
        (Self::Email, "email"),
    ];

    /// The name in policies and settings.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tool, _)| *tool == self).map_or("", |(_, name)| name)
    }

    /// True where the tool holds one alert for an incident, not one message
    /// after the other.
    pub const fn holds_alerts(self) -> bool {
        matches!(self, Self::Pagerduty | Self::Alertmanager)
    }
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What it speaks.
    pub tool: Tool,
    /// The addresses that are its business; empty for those that no other
    /// sink of the tool names.
    pub to: Vec<String>,
    /// True where it takes every message, not only those addressed to its tool.
    pub takes_all: bool,
    /// True where it takes the messages of exercises, and no others.
    pub drill: bool,
    /// Requests that it is sent in a minute at most.
    pub per_minute: u32,
    /// How long a message is tried. A resolve is tried for longer:
    /// [`lane::RESOLVE_KEPT`].
    pub give_up_after: TimeSpan,
    /// How often alerts that fire are sent again; only Alertmanager wants it.
    pub refresh_every: Option<TimeSpan>,
}

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// By which the answer is known.
    pub ticket: u64,
    /// Which of the sinks, by its place.
    pub sink: usize,
    /// What: one message, or alerts to keep alive.
    pub alerts: Vec<Alert>,
    /// The time of this attempt.
    pub at: Timestamp,
}

/// One message or alert of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The message.
    pub message: Arc<Escalation>,
    /// The address in the tool.
    pub to: Option<Arc<str>>,
    /// When the incident was first told of at this address.
    pub since: Timestamp,
    /// The message before, where there was one; its alert may have other labels.
    pub previous: Option<Arc<Escalation>>,
    /// When the incident was paged at this address, each round once: the last
    /// one stands, and what the tool shows of those before is to be ended.
    pub pages: Vec<Timestamp>,
}

impl Alert {
    /// The round of a page by which an alert of it differs from the first one,
    /// so that the tool rings anew; `None` for the first.
    pub fn round(&self, page: Timestamp) -> Option<Timestamp> {
        (page != self.since).then_some(page)
    }

    /// The round that stands.
    pub fn last_round(&self) -> Option<Timestamp> {
        self.pages.last().and_then(|page| self.round(*page))
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's.
    pub ticket: u64,
    /// How it went.
    pub result: Result<(), Failure>,
}

/// Why a request failed, by what is done about it. Texts are without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may pass: try again.
    #[error("{0}")]
    Passing(String),
    /// Too much at once: try again after so long.
    #[error("{why}")]
    Busy {
        /// What the sink said.
        why: String,
        /// How long it wants to be left alone; absent where it did not say.
        after: Option<TimeSpan>,
    },
    /// The one address does not take it now: try again. Of the sink it says
    /// nothing, which may take what is for others.
    #[error("{0}")]
    Address(String),
    /// The sink does not take this message, however often it is sent.
    #[error("{0}")]
    Message(String),
    /// The sink takes nothing until somebody looks at its settings.
    #[error("{0}")]
    Settings(String),
}

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The deployment's topics.
    pub topics: Topics,
    /// Encoding of what is written.
    pub encoding: FactEncoding,
    /// The sinks.
    pub sinks: Vec<Sink>,
}

/// What the stage has counted since it began, by sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were taken.
    pub delivered: BTreeMap<Arc<str>, u64>,
    /// Messages that were given up.
    pub failed: BTreeMap<Arc<str>, u64>,
    /// Messages that later ones made needless.
    pub dropped: BTreeMap<Arc<str>, u64>,
    /// Attempts that failed.
    pub failures: BTreeMap<Arc<str>, u64>,
    /// Pages for a tool that no sink speaks, by tool: whoever reads the topic
    /// has to take them.
    pub unclaimed: BTreeMap<String, u64>,
    /// Transactions.
    pub commits: u64,
}

/// Something worth a line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The sink.
    pub sink: Arc<str>,
    /// What happened, one sentence without secrets.
    pub text: String,
}

/// The deliver stage of one session.
#[derive(Debug)]
pub struct DeliverStage {
    settings: Settings,
    /// Committed position of each assigned partition.
    committed: BTreeMap<Partition, i64>,
    /// `None` until the log is folded.
    state: Option<State>,
    /// Goes on over states, so that an answer to an earlier one is known as such.
    next_ticket: u64,
    /// True while what is out is waited for, and nothing else is sent.
    is_ending: bool,
    counts: Counts,
    notes: Vec<Note>,
}

impl DeliverStage {
    /// A stage at the beginning of a session.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            committed: BTreeMap::new(),
            state: None,
            next_ticket: 0,
            is_ending: false,
            counts: Counts::default(),
            notes: Vec::new(),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// True while it has its partitions and has folded them.
    pub fn is_ready(&self) -> bool {
        self.state.is_some()
    }

    /// Deliveries that are waited for.
    pub fn outstanding(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.lanes.iter().map(Lane::len).sum())
    }

    /// True while a request is out, so that its answer is soon to be expected.
    pub fn is_sending(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.lanes.iter().any(Lane::is_sending))
    }

    /// Sinks by name: true where the sink is taken to work, and the messages
    /// that wait for it or are on their way.
    pub fn sinks(&self) -> impl Iterator<Item = (&Arc<str>, bool, usize)> {
        let lanes = self.state.iter().flat_map(|state| &state.lanes);
        lanes.map(|lane| (&lane.sink.name, !lane.health.is_dead(), lane.len()))
    }

    /// Sends nothing more, so that what is out can be waited for and reported.
    pub fn end(&mut self) {
        self.is_ending = true;
    }

    /// What is worth a line of the log, once.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Polls once, takes answers in, commits what is done and says what is to
    /// be sent. `now` is the time of day, for facts; `steady` never goes back,
    /// for spans.
    ///
    /// # Errors
    /// [`StageError::Log`]: begin a new session. Otherwise stop and look.
    pub fn turn(
        &mut self,
        log: &mut dyn Log,
        max_wait: TimeSpan,
        answers: Vec<Answer>,
        now: impl Fn() -> Timestamp,
        steady: impl Fn() -> Timestamp,
    ) -> Result<Vec<Request>, StageError> {
        let mut records: Vec<(Partition, i64, Vec<u8>)> = Vec::new();
        let mut ends: BTreeMap<Partition, i64> = BTreeMap::new();
        let (mut changed, committed) = (false, &mut self.committed);
        let polled = log.poll(max_wait, &mut |event| match event {
            Event::Assigned { partition, position } => {
                committed.insert(partition.clone(), position);
                changed = true;
            }
            Event::Revoked { partition } => {
                committed.remove(partition);
                records.clear();
                ends.clear();
                changed = true;
            }
            Event::Record(record) => {
                records.push((record.partition.clone(), record.offset, record.value.to_vec()));
            }
            Event::CaughtUp { partition, position } => {
                ends.insert(partition.clone(), position);
            }
        });
        match polled {
            Ok(()) => {}
            Err(LogError::Unavailable(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        if changed {
            self.state = None;
        }
        if self.committed.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = match self.state.take() {
            Some(state) => state,
            None => restore::state(log, &self.settings, &self.committed, steady())?,
        };
        let mut done: Vec<Done> = Vec::new();
        for answer in answers {
            state.answer(answer, steady(), &mut self.counts, &mut self.notes, &mut done);
        }
        self.take(log, &mut state, records, &ends, steady(), &mut done)?;
        for (place, lane) in state.lanes.iter_mut().enumerate() {
            lane.expire(place, steady(), &mut done);
        }
        let records = self.settle(&mut state, done, now(), steady());
        if !self.commit(log, &state, records)? {
            // What was done holds nowhere; fold again what does.
            return Ok(Vec::new());
        }
        let requests = match self.is_ending {
            true => Vec::new(),
            false => state.requests(&mut self.next_ticket, now(), steady()),
        };
        self.state = Some(state);
        Ok(requests)
    }

    /// Puts messages into the lanes of their sinks, as many as there is room for.
    fn take(
        &mut self,
        log: &mut dyn Log,
        state: &mut State,
        records: Vec<(Partition, i64, Vec<u8>)>,
        ends: &BTreeMap<Partition, i64>,
        steady: Timestamp,
        done: &mut Vec<Done>,
    ) -> Result<(), StageError> {
        let mut full: BTreeMap<Partition, i64> = BTreeMap::new();
        for (partition, offset, value) in records {
            if full.contains_key(&partition) {
                continue;
            }
            if state.lanes.iter().map(Lane::len).sum::<usize>() >= OUTSTANDING_MAX {
                full.insert(partition, offset);
                continue;
            }
            let message: Escalation = decode(&value).map_err(|error| StageError::Unreadable {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset,
                error,
            })?;
            let origin =
                Position { topic: partition.topic.clone(), partition: partition.partition, offset };
            state.deliver(
                Arc::new(message),
                &origin,
                steady,
                &mut self.counts,
                &mut self.notes,
                done,
            );
            if let Some(progress) = state.partitions.get_mut(&partition) {
                progress.next = offset + 1;
            }
        }
        for (partition, progress) in &mut state.partitions {
            // Behind the last record there may be marks of transactions.
            if let Some(end) = ends.get(partition).filter(|_| !full.contains_key(partition)) {
                progress.next = progress.next.max(*end);
            }
        }
        for (partition, offset) in full {
            log.seek(&partition, offset)?;
        }
        Ok(())
    }

    /// What is done becomes reports, and sinks that died or came back breaches.
    fn settle(
        &mut self,
        state: &mut State,
        done: Vec<Done>,
        now: Timestamp,
        steady: Timestamp,
    ) -> Vec<Outgoing> {
        let Settings { topics, encoding, .. } = &self.settings;
        let unclaimed = state.take_unclaimed(now);
        let mut records: Vec<Outgoing> = unclaimed
            .iter()
            .map(|report| outgoing::response(&topics.responses, report, *encoding))
            .collect();
        for one in done {
            let report = state.report(&one, now);
            let (of, told) = match one.outcome {
                DeliveryOutcome::Delivered => (&mut self.counts.delivered, None),
                DeliveryOutcome::Failed => (&mut self.counts.failed, Some("given up")),
                DeliveryOutcome::Dropped => (&mut self.counts.dropped, Some("not sent")),
            };
            let sink = state.lanes[one.sink].sink.name.clone();
            *of.entry(sink.clone()).or_default() += 1;
            if let Some(told) = told {
                let why = one.detail.as_deref().unwrap_or_default();
                let text = format!(
                    "{told}: message {} of incident {}: {why}",
                    one.job.message.id, one.job.message.incident_id
                );
                self.notes.push(Note { sink, text });
            }
            records.push(outgoing::response(&topics.responses, &report, *encoding));
        }
        for breach in state.sink_breaches(now, steady) {
            let text = breach.reason.clone();
            self.notes.push(Note { sink: breach.expectation.as_str().into(), text });
            records.push(outgoing::breach(&topics.breaches, &breach, *encoding));
        }
        records
    }

    /// Commits reports and positions; false where the log dropped them.
    fn commit(
        &mut self,
        log: &mut dyn Log,
        state: &State,
        records: Vec<Outgoing>,
    ) -> Result<bool, StageError> {
        let mut moved: Vec<(Partition, i64)> = Vec::new();
        for (partition, progress) in &state.partitions {
            let position = progress.position();
            if self.committed.get(partition).is_some_and(|committed| *committed < position) {
                moved.push((partition.clone(), position));
            }
        }
        if records.is_empty() && moved.is_empty() {
            return Ok(true);
        }
        match log.commit(Transaction { positions: moved.clone(), records }) {
            Ok(()) => {
                self.committed.extend(moved);
                self.counts.commits += 1;
                Ok(true)
            }
            Err(LogError::Aborted(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
