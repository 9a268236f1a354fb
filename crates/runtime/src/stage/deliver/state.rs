//! What the deliver stage knows between two turns, and what follows from a
//! message, an answer, and a look at the sinks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_incident::state::DELIVERY_FAILED;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported};
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::response::{Command, DELIVERER, Response};
use watchkeep_model::time::Timestamp;

use super::health::SinkBreach;
use super::lane::{Done, Job, Lane, Sent};
use super::route::{self, Book, Needless, Route};
use super::{Answer, Counts, Note, Request, Sink};

/// What is known between two turns.
#[derive(Debug)]
pub(super) struct State {
    pub(super) book: Book,
    pub(super) lanes: Vec<Lane>,
    pub(super) partitions: BTreeMap<Partition, Progress>,
    /// Pages and how many sinks of their channels have yet to answer; true
    /// once one has taken it.
    pub(super) pages: BTreeMap<String, (usize, bool)>,
    /// Reports that hold of messages whose position is not committed yet.
    pub(super) reported: BTreeMap<Reported, DeliveryOutcome>,
    /// Where this instance speaks for the platform.
    pub(super) tells_of_sinks: bool,
    pub(super) breaches: BTreeMap<Arc<str>, Breach>,
    pub(super) unclaimed_told: BTreeSet<String>,
    /// Reports, with their incidents, of pages that only the topic holds.
    pub(super) unclaimed: Vec<(String, DeliveryReported)>,
}

/// A message, a sink and the address there.
pub(super) type Reported = (String, Arc<str>, Option<Arc<str>>);

/// How far a partition is done.
#[derive(Debug)]
pub(super) struct Progress {
    /// The next offset to take.
    pub(super) next: i64,
    /// What lies before this may have been tried by an earlier session.
    pub(super) tried_to: i64,
    /// Deliveries that are waited for, by offset.
    pub(super) outstanding: BTreeMap<i64, usize>,
}

impl Progress {
    pub(super) fn position(&self) -> i64 {
        self.outstanding.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }
}

impl State {
    /// Sends a message to the sinks that take it.
    pub(super) fn deliver(
        &mut self,
        message: Arc<Escalation>,
        origin: &Position,
        steady: Timestamp,
        counts: &mut Counts,
        notes: &mut Vec<Note>,
        done: &mut Vec<Done>,
    ) {
        if let Some(why) = route::makes_needless(&message) {
            self.forgo(&message.incident_id, why, done);
        }
        let sinks: Vec<&Sink> = self.lanes.iter().map(|lane| &lane.sink).collect();
        let routes = self.book.take(&message, &sinks);
        if let Some(tool) = route::unclaimed(&message, &routes) {
            self.unclaimed(tool, &message, origin, counts, notes);
        }
        let is_page = message.audience == Audience::Page;
        for Route { sink, to, since, previous, pages, was_handed, is_of_channel } in routes {
            let partition = Partition::new(origin.topic.clone(), origin.partition);
            let Some(progress) = self.partitions.get_mut(&partition) else { continue };
            let is_old = origin.offset < progress.tried_to;
            if is_old {
                self.book.handed(&message.incident_id, sink, to.as_ref());
            }
            let name = self.lanes[sink].sink.name.clone();
            let is_counted_on = is_page && is_of_channel;
            if let Some(outcome) = self.reported.get(&(message.id.clone(), name, to.clone())) {
                if is_counted_on && *outcome == DeliveryOutcome::Delivered {
                    self.pages.entry(message.id.clone()).or_default().1 = true;
                }
                if *outcome == DeliveryOutcome::Dropped {
                    self.book.forgone(&message.incident_id, sink, to.as_ref(), &message.id);
                }
                continue;
            }
            if is_counted_on {
                self.pages.entry(message.id.clone()).or_default().0 += 1;
            }
            *progress.outstanding.entry(origin.offset).or_default() += 1;
            let job = Job {
                message: message.clone(),
                to,
                since,
                previous,
                pages,
                origin: origin.clone(),
                is_counted_on,
                attempts: 0,
                enqueued_at: steady,
                first_tried_at: None,
                next_at: steady,
                needless: None,
            };
            self.lanes[sink].push(sink, job, was_handed || is_old, done);
        }
        if self.pages.get(&message.id).is_some_and(|(left, _)| *left == 0) {
            self.pages.remove(&message.id);
        }
    }

    /// Drops what waits of an incident's pages at every sink.
    fn forgo(&mut self, incident: &str, why: Needless, done: &mut Vec<Done>) {
        let from = done.len();
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            lane.forgo(place, incident, why, done);
        }
        for one in &done[from..] {
            self.forgone(one);
        }
    }

    /// No alert stands for a page that was dropped.
    fn forgone(&mut self, done: &Done) {
        let Job { message, to, .. } = &done.job;
        let incident = &message.incident_id;
        if let Some(round) = self.book.forgone(incident, done.sink, to.as_ref(), &message.id) {
            self.lanes[done.sink].forget_round(incident, to.as_ref(), round);
        }
    }

    /// A page that only the topic holds. Where it should reach somebody whom
    /// another contact did not reach, the next one is tried as well: nobody
    /// knows whether anything reads the topic.
    fn unclaimed(
        &mut self,
        tool: &str,
        message: &Escalation,
        origin: &Position,
        counts: &mut Counts,
        notes: &mut Vec<Note>,
    ) {
        *counts.unclaimed.entry(tool.to_owned()).or_default() += 1;
        if self.unclaimed_told.insert(tool.to_owned()) {
            let text = "no sink speaks this tool, or has this address: whoever reads the topic \
                        has to take its pages";
            notes.push(Note { sink: tool.into(), text: text.to_owned() });
        }
        let reported = (message.id.clone(), route::TOPIC.into(), None);
        if message.reason != DELIVERY_FAILED || self.reported.contains_key(&reported) {
            return;
        }
        let delivery = DeliveryReported {
            escalation: message.id.clone(),
            sink: route::TOPIC.to_owned(),
            tool: tool.to_owned(),
            outcome: DeliveryOutcome::Failed,
            attempts: 0,
            target: message.target.clone(),
            channel: message.channel.clone(),
            to: None,
            detail: Some("no sink takes it, and it stays in the topic".to_owned()),
            unreached: true,
            drill: message.drill,
            origin: Some(origin.clone()),
        };
        self.unclaimed.push((message.incident_id.clone(), delivery));
    }

    /// Reports of pages that only the topic holds.
    pub(super) fn take_unclaimed(&mut self, now: Timestamp) -> Vec<Response> {
        let all = std::mem::take(&mut self.unclaimed);
        all.into_iter().map(|(incident, delivery)| response(&incident, delivery, now)).collect()
    }

    /// Takes what became of a request.
    pub(super) fn answer(
        &mut self,
        answer: Answer,
        steady: Timestamp,
        counts: &mut Counts,
        notes: &mut Vec<Note>,
        done: &mut Vec<Done>,
    ) {
        let Some(sink) = self.lanes.iter().position(|lane| lane.waits_for(answer.ticket)) else {
            // It was sent by a state that is no more.
            return;
        };
        let lane = &mut self.lanes[sink];
        if let Err(failure) = &answer.result {
            *counts.failures.entry(lane.sink.name.clone()).or_default() += 1;
            let text = format!("failed: {failure}");
            notes.push(Note { sink: lane.sink.name.clone(), text });
        }
        lane.answer(sink, answer.result, steady, done);
    }

    /// The report of a delivery, which is waited for no more.
    pub(super) fn report(&mut self, done: &Done, now: Timestamp) -> Response {
        let Job { message, to, origin, attempts, .. } = &done.job;
        let partition = Partition::new(origin.topic.clone(), origin.partition);
        if let Some(progress) = self.partitions.get_mut(&partition)
            && let Some(left) = progress.outstanding.get_mut(&origin.offset)
        {
            *left -= 1;
            if *left == 0 {
                progress.outstanding.remove(&origin.offset);
            }
        }
        let mut unreached = false;
        let counted_on = self.pages.get_mut(&message.id).filter(|_| done.job.is_counted_on);
        if let Some((left, taken)) = counted_on {
            *left -= 1;
            // One that was overtaken by the resolve or an answer has nobody to
            // reach any more; one that a quiet overtook may have so later.
            *taken |= match done.outcome {
                DeliveryOutcome::Delivered => true,
                DeliveryOutcome::Failed => false,
                DeliveryOutcome::Dropped => done.job.needless != Some(Needless::Quiet),
            };
            if *left == 0 {
                unreached = !*taken;
                self.pages.remove(&message.id);
            }
        }
        if done.outcome == DeliveryOutcome::Delivered {
            let Job { message, to, pages, .. } = &done.job;
            self.book.taken(&message.incident_id, done.sink, to.as_ref(), pages);
        } else if done.outcome == DeliveryOutcome::Dropped {
            self.forgone(done);
        }
        let sink = &self.lanes[done.sink].sink;
        let delivery = DeliveryReported {
            escalation: message.id.clone(),
            sink: sink.name.to_string(),
            tool: sink.tool.name().to_owned(),
            outcome: done.outcome,
            attempts: *attempts,
            target: message.target.clone(),
            channel: message.channel.clone(),
            to: to.as_deref().map(str::to_owned),
            detail: done.detail.clone(),
            unreached,
            drill: message.drill,
            origin: Some(origin.clone()),
        };
        response(&message.incident_id, delivery, now)
    }

    /// Sinks that died or came back since the last call.
    pub(super) fn sink_breaches(&mut self, now: Timestamp, steady: Timestamp) -> Vec<Breach> {
        if !self.tells_of_sinks {
            return Vec::new();
        }
        let mut told = Vec::new();
        let lanes = &self.lanes;
        self.breaches.retain(|name, open| {
            let is_known = lanes.iter().any(|lane| lane.sink.name == *name);
            if !is_known {
                told.push(SinkBreach::cleared(open, now, "the sink is not configured any more"));
            }
            is_known
        });
        for lane in &mut self.lanes {
            lane.health.look(lane.sink.give_up_after, steady);
            let name = &lane.sink.name;
            match (lane.health.is_dead(), self.breaches.get(name)) {
                (true, None) => {
                    let of = SinkBreach { sink: &lane.sink, why: lane.health.why() };
                    let breach = of.opened(now);
                    self.breaches.insert(name.clone(), breach.clone());
                    told.push(breach);
                }
                (false, Some(open)) if lane.health.has_worked() => {
                    told.push(SinkBreach::cleared(open, now, "the sink takes messages again"));
                    self.breaches.remove(name);
                }
                _ => {}
            }
        }
        told
    }

    /// What is to be sent now: at most one request a sink.
    pub(super) fn requests(
        &mut self,
        next_ticket: &mut u64,
        now: Timestamp,
        steady: Timestamp,
    ) -> Vec<Request> {
        let mut requests = Vec::new();
        // Before the end of what an earlier session may have sent, an alert
        // that seems to fire may have been ended.
        let knows_all = self.partitions.values().all(|one| one.next >= one.tried_to);
        for (sink, lane) in self.lanes.iter_mut().enumerate() {
            let book = knows_all.then_some(&self.book);
            let Some(sent) = lane.next(*next_ticket, book, sink, steady) else { continue };
            let alerts = match sent {
                Sent::Job(alert) => {
                    self.book.handed(&alert.message.incident_id, sink, alert.to.as_ref());
                    vec![alert]
                }
                Sent::Refresh(alerts) => alerts,
            };
            requests.push(Request { ticket: *next_ticket, sink, alerts, at: now });
            *next_ticket += 1;
        }
        requests
    }
}

/// The command that makes a fact of a report.
fn response(incident: &str, delivery: DeliveryReported, now: Timestamp) -> Response {
    Response {
        incident: Some(incident.to_owned()),
        delivery: Some(delivery),
        ..Response::new(now, DELIVERER, Command::ReportDelivery)
    }
}
