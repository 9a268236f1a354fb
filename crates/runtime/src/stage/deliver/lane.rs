//! The messages of one sink: their order, when they are tried, and when they
//! are given up.
//!
//! One request is out at a time. Of one incident at one address messages go in
//! the order of the log: a later one waits until the one before is done. Those
//! of other incidents do not wait for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use watchkeep_incident::state::people::{HANDOFF, HANDS_OVER};
use watchkeep_model::charter::Severity;
use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::incident::data::DeliveryOutcome;
use watchkeep_model::position::Position;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::health::{Health, doubled};
use super::route::{Book, Needless};
use super::{Alert, Failure, Sink, Tool};

/// Time between the first two attempts, doubled each time up to the last one.
pub const RETRY_FIRST: TimeSpan = TimeSpan::SECOND;
const RETRY_LAST: TimeSpan = TimeSpan::SECOND.times(30);

/// How long a resolve is tried: an alert that never closes would cry wolf.
/// Beyond it somebody has to close it by hand, of which the report tells.
pub const RESOLVE_KEPT: TimeSpan = TimeSpan::DAY;

/// Requests that may follow each other at once, before the rate holds.
const BURST: i64 = 10;

/// Time between two looks at what has waited for too long.
const LOOK_EVERY: TimeSpan = TimeSpan::SECOND;

/// Alerts that one request keeps alive.
pub const REFRESHED_MAX: usize = 100;

/// A message on its way to one address of one sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The message.
    pub message: Arc<Escalation>,
    /// The address in the tool.
    pub to: Option<Arc<str>>,
    /// When the incident was first told of at this address.
    pub since: Timestamp,
    /// The message before, of the same incident at the same address.
    pub previous: Option<Arc<Escalation>>,
    /// The rounds of pages there, as in [`Alert::pages`].
    pub pages: Vec<Timestamp>,
    /// Where its record lies.
    pub origin: Position,
    /// True where whoever it pages counts on this sink: it is of the page's channel.
    pub is_counted_on: bool,
    /// How often it was sent.
    pub attempts: u32,
    /// When it came, by the steady clock.
    pub enqueued_at: Timestamp,
    /// When it was first tried.
    pub first_tried_at: Option<Timestamp>,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// Why it is not tried again, where it was being sent when that came.
    pub needless: Option<Needless>,
}

impl Job {
    fn is_resolve(&self) -> bool {
        self.message.event_action == EventAction::Resolve
    }

    /// True for a page that need not be sent. One that hands an incident over
    /// tells whose it is, whoever has answered; a quiet holds it back like any.
    fn is_needless(&self, why: Needless) -> bool {
        let is_page = self.message.audience == Audience::Page && !self.message.drill;
        let hands_over = reason_of(&self.message) == HANDOFF
            || self.message.custom_details.contains_key(HANDS_OVER);
        is_page && (why == Needless::Quiet || !hands_over)
    }

    /// What goes first where several are due: less is sooner.
    fn haste(&self) -> (Reverse<(Severity, bool)>, Timestamp, i64) {
        let is_page = self.message.audience == Audience::Page;
        let severity = if is_page { self.message.severity } else { Severity::Warning };
        (Reverse((severity, is_page)), self.enqueued_at, self.origin.offset)
    }

    /// True where it has been tried for long enough, or its sink has failed
    /// for so long while it waited. One that only waits for its turn is not,
    /// nor one that came while a dead sink is left alone: the next attempt,
    /// which is a page where one waits, shows whether the sink is back.
    fn is_over(&self, sink: &Sink, health: &Health, steady: Timestamp) -> bool {
        if self.is_resolve() {
            return steady.since(self.enqueued_at) >= RESOLVE_KEPT;
        }
        let failing = health.failing_since().map(|since| since.max(self.enqueued_at));
        let long = |since: Timestamp| steady.since(since) >= sink.give_up_after;
        self.first_tried_at.into_iter().chain(failing).any(long)
            || (health.is_dead() && health.failed_at().is_some_and(|at| at > self.enqueued_at))
    }
}

/// Why a message is sent; in an exercise the details tell it.
pub(super) fn reason_of(message: &Escalation) -> &str {
    let in_a_drill = message.custom_details.get("drill_reason").filter(|_| message.drill);
    in_a_drill.map_or(&message.reason, String::as_str)
}

/// A message that is waited for no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The sink's place.
    pub sink: usize,
    /// The message.
    pub job: Job,
    /// How it went.
    pub outcome: DeliveryOutcome,
    /// Why, where it was not delivered.
    pub detail: Option<String>,
}

impl Done {
    /// A message that later ones made needless.
    fn needless(sink: usize, job: Job, why: Needless) -> Self {
        let job = Job { needless: Some(why), ..job };
        let detail = Some(why.text().to_owned());
        Self { sink, job, outcome: DeliveryOutcome::Dropped, detail }
    }
}

/// What is sent next.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// A message.
    Job(Alert),
    /// Alerts that are kept alive.
    Refresh(Vec<Alert>),
}

/// True where a sink need not have what later messages make needless.
fn drops_needless(sink: &Sink, job: &Job) -> bool {
    sink.tool != Tool::Webhook && !job.message.drill
}

/// Incident and address.
type ThreadKey = (String, Option<Arc<str>>);

/// The threads of one incident, whatever their address.
fn of_incident<'a>(
    threads: &'a mut BTreeMap<ThreadKey, VecDeque<Job>>,
    incident: &str,
) -> impl Iterator<Item = (&'a ThreadKey, &'a mut VecDeque<Job>)> {
    let from = (incident.to_owned(), None);
    let incident = incident.to_owned();
    threads.range_mut(from..).take_while(move |((own, _), _)| *own == incident)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Flying {
    Job(ThreadKey),
    Refresh,
}

/// The messages of one sink.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The sink.
    pub sink: Sink,
    /// How it is.
    pub health: Health,
    threads: BTreeMap<ThreadKey, VecDeque<Job>>,
    count: usize,
    flying: Option<(u64, Flying)>,
    /// When the next request would be due at an even rate.
    rate_at: Timestamp,
    refresh_at: Timestamp,
    /// The last alert of a refresh that took more than one request.
    refreshed_to: Option<ThreadKey>,
    looked_at: Option<Timestamp>,
}

impl Lane {
    /// An empty one.
    pub fn new(sink: Sink, health: Health, steady: Timestamp) -> Self {
        let refresh_at = sink.refresh_every.map_or(Timestamp::MAX, |every| steady + every);
        Self {
            sink,
            health,
            threads: BTreeMap::new(),
            count: 0,
            flying: None,
            rate_at: steady,
            refresh_at,
            refreshed_to: None,
            looked_at: None,
        }
    }

    /// Keeps alerts alive from this instant on.
    #[must_use]
    pub fn refreshed_at(self, steady: Timestamp) -> Self {
        Self { refresh_at: steady, ..self }
    }

    /// Messages that wait or are on their way.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True where none does.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True while a request is out.
    pub fn is_sending(&self) -> bool {
        self.flying.is_some()
    }

    /// True where the answer with this ticket is the one that is waited for.
    pub fn waits_for(&self, ticket: u64) -> bool {
        self.flying.as_ref().is_some_and(|(own, _)| *own == ticket)
    }

    /// Takes a message. A resolve makes everything needless that still waits
    /// before it; where nothing of the incident was ever handed to the sink,
    /// itself as well. A webhook's receiver gets the whole story, and so does
    /// whoever an exercise rings: its messages come all at once.
    pub fn push(&mut self, place: usize, job: Job, was_handed: bool, done: &mut Vec<Done>) {
        let key = (job.message.incident_id.clone(), job.to.clone());
        let flies = self.is_flying(&key);
        let thread = self.threads.entry(key).or_default();
        let mut needless: Vec<Job> = Vec::new();
        if job.is_resolve() && drops_needless(&self.sink, &job) {
            needless.extend(thread.drain(usize::from(flies).min(thread.len())..));
            self.count -= needless.len();
            let untried = !was_handed && !flies && needless.iter().all(|one| one.attempts == 0);
            if untried && !needless.is_empty() {
                needless.push(job);
            } else {
                thread.push_back(job);
                self.count += 1;
            }
        } else {
            thread.push_back(job);
            self.count += 1;
        }
        self.threads.retain(|_, thread| !thread.is_empty());
        let over = |job| Done::needless(place, job, Needless::Over);
        done.extend(needless.into_iter().map(over));
    }

    /// Drops pages of an incident that still wait and ask for an answer, since
    /// there is one, or all of them, since something holds pages back from here on. What is being
    /// sent is not tried again. A webhook's receiver gets the whole story.
    pub fn forgo(&mut self, place: usize, incident: &str, why: Needless, done: &mut Vec<Done>) {
        if self.sink.tool == Tool::Webhook {
            return;
        }
        let flying = match &self.flying {
            Some((_, Flying::Job(key))) => Some(key.clone()),
            _ => None,
        };
        for (key, thread) in of_incident(&mut self.threads, incident) {
            let flies = flying.as_ref() == Some(key);
            if let Some(job) = thread.front_mut().filter(|job| flies && job.is_needless(why)) {
                job.needless = Some(why);
            }
            let first = usize::from(flies).min(thread.len());
            let (asks, rest): (Vec<Job>, Vec<Job>) =
                thread.drain(first..).partition(|job| job.is_needless(why));
            thread.extend(rest);
            self.count -= asks.len();
            done.extend(asks.into_iter().map(|job| Done::needless(place, job, why)));
        }
        self.threads.retain(|_, thread| !thread.is_empty());
    }

    /// What waits tells nothing of a round of pages that was never sent.
    pub fn forget_round(&mut self, incident: &str, to: Option<&Arc<str>>, round: Timestamp) {
        if let Some(thread) = self.threads.get_mut(&(incident.to_owned(), to.cloned())) {
            thread.iter_mut().for_each(|job| job.pages.retain(|page| *page != round));
        }
    }

    fn is_flying(&self, key: &ThreadKey) -> bool {
        matches!(&self.flying, Some((_, Flying::Job(own))) if own == key)
    }

    /// What to send now, if anything: of the messages that are due the pages
    /// of what is critical before those of errors and these before all others,
    /// and of each the one that has waited longest; else alerts of the book that are to be kept alive.
    pub fn next(
        &mut self,
        ticket: u64,
        book: Option<&Book>,
        place: usize,
        steady: Timestamp,
    ) -> Option<Sent> {
        if self.flying.is_some() || self.health.is_paused(steady) || !self.rate_allows(steady) {
            return None;
        }
        let due = self.threads.iter_mut().filter_map(|(key, thread)| {
            let job = thread.front_mut().filter(|job| job.next_at <= steady)?;
            Some((job.haste(), key, job))
        });
        let first = due.min_by_key(|(haste, ..)| *haste);
        let (flying, sent) = if let Some((_, key, job)) = first {
            job.first_tried_at.get_or_insert(steady);
            let Job { message, to, since, previous, pages, .. } = &*job;
            let alert = Alert {
                message: message.clone(),
                to: to.clone(),
                since: *since,
                previous: previous.clone(),
                pages: pages.clone(),
            };
            (Flying::Job(key.clone()), Sent::Job(alert))
        } else {
            let alerts = self.refresh(book?, place, steady)?;
            (Flying::Refresh, Sent::Refresh(alerts))
        };
        self.flying = Some((ticket, flying));
        self.rate_at = self.rate_at.max(steady) + self.interval();
        Some(sent)
    }

    fn interval(&self) -> TimeSpan {
        TimeSpan::from_micros(60_000_000 / i64::from(self.sink.per_minute.max(1)))
    }

    fn rate_allows(&self, steady: Timestamp) -> bool {
        self.rate_at - self.interval().times(BURST - 1) <= steady
    }

    /// Alerts that fire and of which nothing is under way, some at a time.
    fn refresh(&mut self, book: &Book, place: usize, steady: Timestamp) -> Option<Vec<Alert>> {
        self.sink.refresh_every.filter(|_| self.refresh_at <= steady)?;
        let after = self.refreshed_to.take();
        let firing = book.firing(place).filter(|(incident, alert)| {
            let key = (incident.to_string(), alert.to.clone());
            !self.threads.contains_key(&key) && after.as_ref().is_none_or(|after| key > *after)
        });
        let alerts: Vec<Alert> = firing.map(|(_, alert)| alert).take(REFRESHED_MAX).collect();
        if alerts.len() == REFRESHED_MAX {
            let last = alerts.last().map(|one| (one.message.incident_id.clone(), one.to.clone()));
            self.refreshed_to = last;
        }
        if alerts.is_empty() {
            self.refresh_at = self.next_refresh(steady);
            return None;
        }
        Some(alerts)
    }

    fn next_refresh(&self, steady: Timestamp) -> Timestamp {
        self.sink.refresh_every.map_or(Timestamp::MAX, |every| steady + every)
    }

    /// Takes the answer to the request that is out.
    pub fn answer(
        &mut self,
        place: usize,
        result: Result<(), Failure>,
        steady: Timestamp,
        done: &mut Vec<Done>,
    ) {
        match (&result, &self.flying) {
            (Ok(()), _) => self.health.success(),
            (Err(failure), Some((_, Flying::Job((_, to))))) => {
                self.health.failure(failure, to.as_ref(), steady);
            }
            (Err(failure), _) => self.health.failure(failure, None, steady),
        }
        self.health.look(self.sink.give_up_after, steady);
        let key = match self.flying.take() {
            Some((_, Flying::Job(key))) => key,
            Some((_, Flying::Refresh)) => {
                if result.is_err() {
                    // From the first one on; a few are sent twice.
                    self.refreshed_to = None;
                    self.refresh_at = steady + RETRY_FIRST;
                } else if self.refreshed_to.is_none() {
                    self.refresh_at = self.next_refresh(steady);
                }
                return;
            }
            None => return,
        };
        let Some(thread) = self.threads.get_mut(&key) else { return };
        let has_resolve = thread.iter().skip(1).any(Job::is_resolve);
        let Some(job) = thread.front_mut() else { return };
        job.attempts = job.attempts.saturating_add(1);
        if has_resolve && drops_needless(&self.sink, job) {
            job.needless = Some(Needless::Over);
        }
        let outcome = match &result {
            Err(_) if job.needless.is_some() => Some(DeliveryOutcome::Dropped),
            Ok(()) => Some(DeliveryOutcome::Delivered),
            Err(Failure::Message(_)) => Some(DeliveryOutcome::Failed),
            Err(Failure::Settings(_)) if !job.is_resolve() => Some(DeliveryOutcome::Failed),
            Err(_) => {
                job.next_at = steady + doubled(RETRY_FIRST, job.attempts - 1, RETRY_LAST);
                let over = job.is_over(&self.sink, &self.health, steady);
                over.then_some(DeliveryOutcome::Failed)
            }
        };
        if let Some(outcome) = outcome {
            let failure = result.err().map(|failure| failure.to_string());
            done.extend(thread.pop_front().map(|job| {
                let why = job.needless.filter(|_| outcome == DeliveryOutcome::Dropped);
                let why = why.into_iter().map(|why| why.text().to_owned());
                let all: Vec<String> = why.chain(failure).collect();
                let detail =
                    Some(all.join("; the last attempt failed: ")).filter(|_| !all.is_empty());
                Done { sink: place, job, outcome, detail }
            }));
            self.count -= 1;
        }
        self.threads.retain(|_, thread| !thread.is_empty());
    }

    /// Gives up what has waited for too long.
    pub fn expire(&mut self, place: usize, steady: Timestamp, done: &mut Vec<Done>) {
        if self.looked_at.is_some_and(|at| steady.since(at) < LOOK_EVERY) {
            return;
        }
        self.looked_at = Some(steady);
        self.health.look(self.sink.give_up_after, steady);
        let flying = match &self.flying {
            Some((_, Flying::Job(key))) => Some(key.clone()),
            _ => None,
        };
        for (key, thread) in &mut self.threads {
            let first = usize::from(flying.as_ref() == Some(key));
            while let Some(job) = thread.get(first)
                && job.is_over(&self.sink, &self.health, steady)
            {
                let Some(job) = thread.remove(first) else { break };
                self.count -= 1;
                let why = self.health.why();
                let detail = match why.is_empty() {
                    true => "it was tried for too long".to_owned(),
                    false => format!("the sink takes nothing: {why}"),
                };
                let (outcome, detail) = (DeliveryOutcome::Failed, Some(detail));
                done.push(Done { sink: place, job, outcome, detail });
            }
        }
        self.threads.retain(|_, thread| !thread.is_empty());
    }
}
