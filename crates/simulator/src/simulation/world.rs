//! The deployment of a plan while it runs: one log, instances that come and
//! go, and a time that passes only when the plan says so.

mod faults;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use watchkeep_incident::registry::Registry;
use watchkeep_model::document::Level;
use watchkeep_model::position::Partition;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{LogError, Outgoing};
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::snapshot::Pace;
use watchkeep_runtime::stage::StageError;
use watchkeep_runtime::stage::escalate::{self, EscalateStage};
use watchkeep_runtime::stage::evaluate::{self, EvaluateStage};
use watchkeep_runtime::stage::summarise::{self, SummariseStage};
use watchkeep_runtime::topics::Topics;
use watchkeep_wire::fact::FactEncoding;
use watchkeep_wire::schema_set::SchemaSet;
use watchkeep_wire::telemetry::Decoder;
use watchkeep_wire::yaml;

use super::documents;
use super::oracle::Event;
use super::plan::{Answer, Arrival, Breakage, Plan, Record, Stage};
use super::session::{Sabotage, Session};
use crate::log::MemoryStore;
use crate::snapshots::MemorySnapshots;

/// The feature of events that only move the watermark.
pub(super) const TICK: &str = "tick";

/// What was sent to a source partition, offset by offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Events that have to be counted.
    pub(super) events: u64,
    /// True where the record has to be rejected.
    pub(super) is_rejected: bool,
}

/// A deployment on one store.
pub(super) struct World<'p> {
    plan: &'p Plan,
    sabotage: Sabotage,
    pub(super) store: MemoryStore,
    pub(super) topics: Topics,
    rules: Rules,
    pub(super) now: Timestamp,
    instances: Vec<Instance>,
    holds: Vec<(Partition, Timestamp)>,
    away_until: Option<Timestamp>,
    next_arrival: usize,
    next_answer: usize,
    /// By source partition, at the place of its offset.
    pub(super) sent: BTreeMap<Partition, Vec<Sent>>,
    /// Events that have to be counted, without ticks.
    pub(super) events: Vec<Event>,
    /// The first of them in each source partition.
    pub(super) first_events: BTreeMap<Partition, Timestamp>,
    /// When the last tick was sent.
    pub(super) ticked_at: Timestamp,
}

#[derive(Default)]
struct Instance {
    stages: BTreeMap<Stage, (Session, Running)>,
    /// Sessions of a life that ended, of which the groups do not know yet.
    corpses: Vec<Session>,
    down_until: Option<Timestamp>,
    frozen_until: Option<Timestamp>,
    skew: TimeSpan,
    breakages: BTreeMap<Stage, Breakage>,
    /// The disk, which outlives the instance.
    snapshots: MemorySnapshots,
}

enum Running {
    Summarise(Box<SummariseStage>),
    Evaluate(Box<EvaluateStage>),
    Escalate(Box<EscalateStage>),
}

impl<'p> World<'p> {
    pub(super) fn new(plan: &'p Plan, sabotage: Sabotage) -> Self {
        let deployment = &plan.deployment;
        let names: Vec<String> =
            (0..deployment.sources.len()).map(|number| format!("t{number}")).collect();
        let topics = Topics::new("w.", &names);
        let store = MemoryStore::with_markers();
        for (name, partitions) in names.iter().zip(&deployment.sources) {
            store.create_topic(name, *partitions);
        }
        store.create_topic(&topics.summaries, deployment.summaries);
        let owned = [
            &topics.windows,
            &topics.breaches,
            &topics.rejects,
            &topics.responses,
            &topics.anchors,
        ];
        for topic in owned {
            store.create_topic(topic, 1);
        }
        for topic in [&topics.incidents, &topics.escalations] {
            store.create_topic(topic, deployment.incidents);
        }
        store.set_now(deployment.from);
        Self {
            plan,
            sabotage,
            store,
            topics,
            rules: rules(plan),
            now: deployment.from,
            instances: deployment.instances.iter().map(|_| Instance::default()).collect(),
            holds: Vec::new(),
            away_until: None,
            next_arrival: 0,
            next_answer: 0,
            sent: BTreeMap::new(),
            events: Vec::new(),
            first_events: BTreeMap::new(),
            ticked_at: deployment.from,
        }
    }

    /// Lets time pass; what is due by then arrives.
    pub(super) fn pass(&mut self, span: TimeSpan) {
        self.now = self.now + span;
        let (plan, now) = (self.plan, self.now);
        while let Some(arrival) = plan.arrivals.get(self.next_arrival).filter(|a| a.at <= now) {
            self.next_arrival += 1;
            self.send(arrival);
        }
        while let Some(answer) = plan.answers.get(self.next_answer).filter(|a| a.at <= now) {
            self.next_answer += 1;
            self.answer(answer);
        }
        self.store.set_now(now);
        self.holds.retain(|(partition, until)| {
            let goes_on = *until > now;
            if !goes_on {
                self.store.release(partition);
            }
            goes_on
        });
        if self.away_until.is_some_and(|until| until <= now) {
            self.away_until = None;
            self.store.come_back();
        }
        for instance in &mut self.instances {
            if instance.down_until.is_some_and(|until| until <= now) {
                instance.down_until = None;
                instance.corpses.clear();
            }
            instance.frozen_until = instance.frozen_until.filter(|until| *until > now);
        }
    }

    /// When everything that the plan sends will have been sent.
    pub(super) fn last_sent_at(&self) -> Timestamp {
        let arrival = self.plan.arrivals.last().map(|arrival| arrival.at);
        let answer = self.plan.answers.last().map(|answer| answer.at);
        arrival.max(answer).unwrap_or(self.now).max(self.now)
    }

    fn send(&mut self, arrival: &Arrival) {
        let Some(topic) = self.topics.telemetry.get(arrival.topic).cloned() else { return };
        let partition = arrival.partition % self.store.partition_count(&topic).max(1);
        let value = bytes(&arrival.record);
        self.append(&topic, Some(partition), value, arrival.at);
        let latest = arrival.at + self.plan.deployment.time.max_future;
        let sent = match &arrival.record {
            Record::Events(events) if events.iter().all(|event| event.time <= latest) => {
                let first = events.iter().map(|event| event.time).min();
                let partition = Partition::new(topic.clone(), partition);
                self.first_events.entry(partition).or_insert(first.unwrap_or(arrival.at));
                self.events.extend(events.iter().cloned());
                Sent { events: events.len() as u64, is_rejected: false }
            }
            _ => Sent { events: 0, is_rejected: true },
        };
        self.sent.entry(Partition::new(topic, partition)).or_default().push(sent);
    }

    /// An event in every source partition that moves the watermark to now.
    pub(super) fn tick(&mut self) {
        self.ticked_at = self.now;
        for topic in self.topics.telemetry.clone() {
            for partition in 0..self.store.partition_count(&topic) {
                let micros = self.now.as_micros();
                let line = format!("{{\"feature\":\"{TICK}\",\"event_time\":{micros}}}");
                self.append(&topic, Some(partition), line.into_bytes(), self.now);
                let sent = Sent { events: 1, is_rejected: false };
                self.sent.entry(Partition::new(topic.clone(), partition)).or_default().push(sent);
            }
        }
    }

    fn answer(&self, answer: &Answer) {
        let Answer { at, by, command, feature } = answer;
        let line = format!(
            "{{\"at\":\"{at}\",\"by\":\"user:{by}\",\"command\":\"{command}\",\
             \"subject\":\"feature:{feature}\",\"rationale\":\"simulated\"}}"
        );
        self.append(&self.topics.responses, None, line.into_bytes(), *at);
    }

    fn append(&self, topic: &Arc<str>, partition: Option<i32>, value: Vec<u8>, at: Timestamp) {
        let topic = topic.clone();
        let record = Outgoing { topic, partition, key: None, value, headers: Vec::new() };
        self.store.append(&record, at).expect("the topic and the partition were made before");
    }

    /// One turn of a stage, if its instance is up.
    ///
    /// # Errors
    /// What only a person could mend, of which a run must have none.
    pub(super) fn turn(&mut self, number: usize, stage: Stage) -> Result<String, StageError> {
        // No two turns are at one instant, so no two sessions begin at one.
        self.now = self.now + TimeSpan::from_micros(1);
        let Some(instance) = self.instances.get(number) else { return Ok("nobody".into()) };
        if instance.down_until.is_some() || instance.frozen_until.is_some() {
            return Ok("away".to_owned());
        }
        if !instance.stages.contains_key(&stage) {
            match self.begin(number, stage) {
                Ok(begun) => {
                    self.instances[number].corpses.clear();
                    self.instances[number].stages.insert(stage, begun);
                }
                Err(error) => return Ok(error.to_string()),
            }
        }
        let instance = &mut self.instances[number];
        let now = self.now + instance.skew;
        let Some((session, running)) = instance.stages.get_mut(&stage) else {
            return Ok("nobody".into());
        };
        session.breakage = instance.breakages.remove(&stage);
        let result = match running {
            Running::Summarise(stage) => stage.turn(session, now),
            Running::Evaluate(stage) => stage.turn(session, TimeSpan::ZERO),
            Running::Escalate(stage) => stage.turn(session, TimeSpan::ZERO, || now),
        };
        if let Some(unused) = session.breakage.take() {
            instance.breakages.insert(stage, unused);
        }
        let died = session.died;
        match result {
            Ok(()) => Ok("ok".to_owned()),
            Err(StageError::Log(error)) => {
                if died {
                    instance.stages.clear();
                } else {
                    instance.stages.remove(&stage);
                }
                Ok(error.to_string())
            }
            Err(error) => Err(error),
        }
    }

    fn begin(&self, number: usize, stage: Stage) -> Result<(Session, Running), LogError> {
        let deployment = &self.plan.deployment;
        let id = format!("{}-{number}", stage.group());
        let topics = &self.topics;
        let read: Vec<&str> = match stage {
            Stage::Summarise => topics.telemetry.iter().map(AsRef::as_ref).collect(),
            Stage::Evaluate => vec![&topics.summaries],
            Stage::Escalate => vec![&topics.breaches, &topics.windows, &topics.responses],
        };
        let log = self.store.session(stage.group(), &read, &id)?;
        let (topics, encoding) = (topics.clone(), FactEncoding::Json);
        let running = match stage {
            Stage::Summarise => {
                let settings = summarise::Settings {
                    time: deployment.time,
                    commit_interval: deployment.commit_interval,
                    topics,
                    encoding,
                    instance: id,
                };
                let (rules, decoder) = (self.rules.clone(), Decoder::new(SchemaSet::new()));
                Running::Summarise(Box::new(SummariseStage::new(settings, rules, decoder)))
            }
            Stage::Evaluate => {
                // Few, so that one poll takes several transactions and crashes
                // come between them.
                let (time, outputs_max) = (deployment.time, 8);
                let settings = evaluate::Settings { time, topics, encoding, outputs_max };
                let mut stage = EvaluateStage::new(settings, self.rules.clone());
                if let Some(folded_bytes_min) = deployment.snapshot_bytes {
                    let pace = Pace { folded_bytes_min, folded_bytes_per_saved: 0 };
                    let store = self.instances[number].snapshots.clone();
                    stage = stage.with_snapshots(Box::new(store), pace);
                }
                Running::Evaluate(Box::new(stage))
            }
            Stage::Escalate => {
                let escalation = watchkeep_incident::escalate::Settings::default();
                let pane = deployment.time.pane;
                let settings = escalate::Settings { topics, encoding, escalation, pane };
                Running::Escalate(Box::new(EscalateStage::new(settings, self.rules.clone())))
            }
        };
        Ok((Session::new(log, self.sabotage), running))
    }

    /// Of each summaries partition that an evaluate stage holds: the position
    /// up to which it is folded, and the watermark there.
    pub(super) fn watermarks(&self) -> Vec<(Partition, i64, Timestamp)> {
        let running = self.instances.iter().flat_map(|instance| instance.stages.values());
        let stages = running.filter_map(|(_, running)| match running {
            Running::Evaluate(stage) => Some(stage),
            _ => None,
        });
        let all = stages.flat_map(|stage| stage.progress());
        all.filter_map(|(partition, at, mark)| Some((partition.clone(), at, mark?))).collect()
    }

    /// A ledger that an evaluate stage finds torn, and why.
    pub(super) fn torn(&self) -> Option<String> {
        let mut running = self.instances.iter().flat_map(|instance| instance.stages.values());
        running.find_map(|(_, running)| match running {
            Running::Evaluate(stage) => stage.torn().next().map(|(_, why)| why),
            _ => None,
        })
    }

    /// The first partition with a record that its group has not committed.
    pub(super) fn unread(&self) -> Option<(Partition, i64)> {
        let topics = &self.topics;
        let of = |stage: Stage| -> Vec<&Arc<str>> {
            match stage {
                Stage::Summarise => topics.telemetry.iter().collect(),
                Stage::Evaluate => vec![&topics.summaries],
                Stage::Escalate => vec![&topics.breaches, &topics.windows, &topics.responses],
            }
        };
        Stage::ALL.into_iter().find_map(|stage| {
            let committed = self.store.committed(stage.group());
            of(stage).into_iter().find_map(|topic| {
                (0..self.store.partition_count(topic)).find_map(|number| {
                    let partition = Partition::new(topic.clone(), number);
                    let position = committed.get(&partition).copied().unwrap_or(0);
                    let waits = !self.store.records_from(&partition, position).is_empty();
                    waits.then_some((partition, position))
                })
            })
        })
    }
}

fn rules(plan: &Plan) -> Rules {
    let text = documents::of(plan);
    let (documents, found) = yaml::read(&[("plan.yaml".to_owned(), text)]);
    let errors: Vec<_> = found.iter().filter(|d| d.severity == Level::Error).collect();
    assert!(errors.is_empty(), "the plan's documents must be sound: {errors:?}");
    let (registry, _) = Registry::new(documents, plan.deployment.time.pane);
    Rules::new(registry)
}

/// A record as a producer writes it.
fn bytes(record: &Record) -> Vec<u8> {
    let events = match record {
        Record::Malformed(text) => return text.as_bytes().to_vec(),
        Record::Events(events) => events,
    };
    let Some(event) = events.first() else { return b"{}".to_vec() };
    let number = |value: Option<f64>| value.map_or("null".to_owned(), |value| value.to_string());
    let mut line = match &events[..] {
        [event] => {
            format!("{{\"feature\":\"{}\",\"value\":{}", event.feature, number(event.value))
        }
        events => {
            let of = |event: &Event| format!("\"{}\":{}", event.feature, number(event.value));
            let values: Vec<String> = events.iter().map(of).collect();
            format!("{{\"features\":{{{}}}", values.join(","))
        }
    };
    let Event { version, id, time, status, latency_us, age_us, .. } = event;
    let _ = write!(
        line,
        ",\"event_time\":{},\"feature_version\":\"{version}\",\"status\":\"{status}\",\
         \"event_id\":\"{id}\"",
        time.as_micros()
    );
    if let Some(latency_us) = latency_us {
        let _ = write!(line, ",\"latency_us\":{latency_us}");
    }
    if let Some(age_us) = age_us {
        let at = time.as_micros() - i64::try_from(*age_us).unwrap_or(i64::MAX);
        let _ = write!(line, ",\"materialised_at\":{at}");
    }
    line.push('}');
    line.into_bytes()
}
