//! The escalate stage on a log: breaches, windows and responses in, incident
//! facts and escalations out.
//!
//! Its state is a fold of its own output, the incident log, and of the
//! breaches that are held and not yet in it. Timers are deadlines in that
//! state; the caller says what time it is.

mod charters;

use std::collections::{BTreeMap, VecDeque};

use watchkeep_incident::command;
use watchkeep_incident::escalate::{Escalate, Outputs, Settings as EscalationSettings};
use watchkeep_incident::report::policies::{as_kept, kept};
use watchkeep_model::anchor::AnchorChain;
use watchkeep_model::breach::Breach;
use watchkeep_model::incident::Fact;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::reject::Reject;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::revision::Revision;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;
use watchkeep_wire::Malformed;
use watchkeep_wire::fact::{FactEncoding, decode, decode_response};
use watchkeep_wire::reject::{self, KEPT_BYTES_MAX};

use crate::in_order;
use crate::log::{Event, Log, LogError, Outgoing, Transaction};
use crate::outgoing;
use crate::rules::Rules;
use crate::stage::StageError;
use crate::topics::Topics;

/// How long the charters that were read last are gone by.
const CHARTERS_AGE_MAX: TimeSpan = TimeSpan::SECOND.times(10);

/// Run events that let what was read of them be gone by for a second longer:
/// putting a wide lineage together takes a while.
const RUNS_EACH: usize = 25_000;

/// How long decisions wait after an assignment for what lies unread in the log:
/// an answer that was given while nobody read it comes before the deadline that
/// it answers. A partition that delivers nothing does not hold them up for longer.
const CATCH_UP_MAX: TimeSpan = TimeSpan::SECOND.times(30);

/// How long one poll waits at most meanwhile.
const CATCH_UP_POLL: TimeSpan = TimeSpan::from_micros(50_000);

/// Records that wait meanwhile. Beyond it they are decided, and timers alone wait.
const CATCH_UP_RECORDS_MAX: usize = 10_000;

/// Settings of the stage.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The deployment's topics.
    pub topics: Topics,
    /// Encoding of what is written.
    pub encoding: FactEncoding,
    /// Settings of the pure stage.
    pub escalation: EscalationSettings,
    /// The smallest slice of time, which proposed charters are checked by.
    pub pane: TimeSpan,
}

/// What the stage has counted since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Incident facts.
    pub facts: u64,
    /// Messages to people.
    pub escalations: u64,
    /// Responses that could not be read; each is a reject.
    pub unreadable: u64,
    /// Transactions.
    pub commits: u64,
}

/// A record that waits for its decision.
#[derive(Debug)]
struct Input {
    partition: Partition,
    offset: i64,
    timestamp: Timestamp,
    value: Vec<u8>,
}

impl Input {
    /// Checks that a command takes effect about when it was written, or now: a
    /// story has a clock of its own.
    fn check_at(&self, response: &Response, now: Timestamp) -> Result<(), String> {
        // The deliver stage may have waited for the log.
        if response.command == Command::ReportDelivery || command::check_at(response, now).is_ok() {
            return Ok(());
        }
        command::check_at(response, self.timestamp).map_err(|fault| fault.what)
    }

    /// A response that cannot be read, for people to look at: nobody waits for
    /// what comes of it.
    fn reject(&self, error: Malformed) -> Reject {
        let Partition { topic, partition } = self.partition.clone();
        let origin = Position { topic, partition, offset: self.offset };
        let why = format!("no response: {}", error.detail);
        let malformed = Malformed { detail: why, ..error };
        let received_at = Some(self.timestamp);
        reject::of_record(&self.value, &malformed, &origin, received_at, Some(KEPT_BYTES_MAX))
    }
}

/// The escalate stage of one session.
#[derive(Debug)]
pub struct EscalateStage {
    settings: Settings,
    rules: Rules,
    /// Committed position of each assigned partition.
    committed: BTreeMap<Partition, i64>,
    /// The ends that partitions had when the incident log was folded, of those
    /// that have not been read up to there.
    unread: BTreeMap<Partition, i64>,
    /// When that was.
    folded_at: Option<Timestamp>,
    /// When charters were read last.
    followed_at: Option<Timestamp>,
    /// When run events were read last.
    runs_at: Option<Timestamp>,
    /// Polled and not decided yet.
    waiting: VecDeque<Input>,
    /// The last command about charters that was committed, until the topic
    /// shows what came of it: the next one rests on that.
    unseen: Option<charters::Unseen>,
    /// `None` until the incident log is folded.
    escalate: Option<Escalate>,
    /// The chain over all facts; `None` where there is more than one writer of
    /// them, more than one partition or no topic for its anchors.
    chain: Option<AnchorChain>,
    counts: Counts,
}

impl EscalateStage {
    /// A stage at the beginning of a session.
    pub fn new(settings: Settings, rules: Rules) -> Self {
        Self {
            settings,
            rules,
            committed: BTreeMap::new(),
            unread: BTreeMap::new(),
            folded_at: None,
            followed_at: None,
            runs_at: None,
            waiting: VecDeque::new(),
            unseen: None,
            escalate: None,
            chain: None,
            counts: Counts::default(),
        }
    }

    /// What was committed so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The stage's state, once it is folded.
    pub fn state(&self) -> Option<&Escalate> {
        self.escalate.as_ref()
    }

    /// Polls once, decides and commits. Waits until the next deadline at most.
    ///
    /// # Errors
    /// [`StageError::Log`]: begin a new session. Otherwise stop and look.
    pub fn turn(
        &mut self,
        log: &mut dyn Log,
        max_wait: TimeSpan,
        now: impl Fn() -> Timestamp,
    ) -> Result<(), StageError> {
        let due = self.escalate.as_ref().and_then(Escalate::next_deadline);
        let mut wait = due.map_or(max_wait, |due| due.since(now()).clamp(TimeSpan::ZERO, max_wait));
        if self.unseen.is_some() {
            wait = wait.min(charters::LOOK_EVERY);
        }
        if self.catches_up(now()) {
            wait = CATCH_UP_POLL.min(max_wait);
        }
        let mut changed = false;
        let (committed, records) = (&mut self.committed, &mut self.waiting);
        let unread = &mut self.unread;
        let polled = log.poll(wait, &mut |event| match event {
            Event::Assigned { partition, position } => {
                committed.insert(partition.clone(), position);
                changed = true;
            }
            Event::Revoked { partition } => {
                committed.remove(partition);
                unread.remove(partition);
                records.clear();
                changed = true;
            }
            Event::Record(record) => {
                if unread.get(record.partition).is_some_and(|end| record.offset + 1 >= *end) {
                    unread.remove(record.partition);
                }
                records.push_back(Input {
                    partition: record.partition.clone(),
                    offset: record.offset,
                    timestamp: record.timestamp,
                    value: record.value.to_vec(),
                });
            }
            Event::CaughtUp { partition, .. } => _ = unread.remove(partition),
        });
        match polled {
            Ok(()) => {}
            Err(LogError::Unavailable(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if changed {
            self.escalate = None;
        }
        // Without the breaches this instance only stands by; timers are the
        // business of the one that has them.
        if !self.committed.keys().any(|partition| partition.topic == self.settings.topics.breaches)
        {
            self.waiting.clear();
            return Ok(());
        }
        let moment = now();
        // A clock that went back reads again, too.
        let is_fresh = |at: Option<Timestamp>, most: TimeSpan| {
            let age = at.map(|at| moment.since(at));
            age.is_some_and(|age| age >= TimeSpan::ZERO && age < most)
        };
        if !is_fresh(self.followed_at, CHARTERS_AGE_MAX) {
            super::follow(&self.rules, log)?;
            self.followed_at = Some(moment);
        }
        // Run events matter to where breaches come from, and to nothing else.
        let breaches = &self.settings.topics.breaches;
        let decides = due.is_some_and(|due| due <= moment)
            || self.waiting.iter().any(|input| input.partition.topic == *breaches);
        let seconds = i64::try_from(self.rules.runs().len() / RUNS_EACH).unwrap_or_default();
        if (decides || self.escalate.is_none())
            && !is_fresh(self.runs_at, TimeSpan::SECOND.times(seconds))
        {
            super::follow_runs(&self.rules, log)?;
            self.runs_at = Some(moment);
        }
        if self.escalate.is_none() {
            let (escalate, chain) = self.restore(log)?;
            (self.escalate, self.chain) = (Some(escalate), chain);
            self.unread = self.find_unread(log)?;
            self.folded_at = Some(now());
        }
        if self.catches_up(now()) && self.waiting.len() < CATCH_UP_RECORDS_MAX {
            return Ok(());
        }
        self.decide_all(log, &now)
    }

    /// Decides what was polled. A command about charters ends a transaction:
    /// what follows is decided by the charters that it has changed.
    fn decide_all(
        &mut self,
        log: &mut dyn Log,
        now: &impl Fn() -> Timestamp,
    ) -> Result<(), StageError> {
        loop {
            let is_free = self.look_for_unseen(log, now())?;
            let mut inputs = self.waiting.iter();
            let next = inputs.position(|input| self.is_about_charters(input));
            if next.is_some() && is_free {
                // Somebody at the command line may have decided meanwhile.
                super::follow(&self.rules, log)?;
                self.followed_at = Some(now());
            }
            let count = match next {
                Some(next) if is_free => next + 1,
                Some(next) => next,
                None => self.waiting.len(),
            };
            let records: Vec<Input> = self.waiting.drain(..count).collect();
            let moment = now();
            // What was read comes before what is due.
            let is_timers_turn = (self.waiting.is_empty() || !is_free) && !self.catches_up(moment);
            self.decide(log, &records, is_timers_turn, moment)?;
            if self.escalate.is_none() {
                // The log delivers again what was not committed.
                self.waiting.clear();
            }
            if self.waiting.is_empty() || !is_free {
                return Ok(());
            }
        }
    }

    /// What was written and not handed over yet: the end of each partition in
    /// which there is such a thing.
    fn find_unread(&self, log: &mut dyn Log) -> Result<BTreeMap<Partition, i64>, LogError> {
        let mut unread = BTreeMap::new();
        for (partition, committed) in &self.committed {
            let (_, end) = log.bounds(partition)?;
            let polled = self.waiting.iter().rev().find(|input| input.partition == *partition);
            if polled.map_or(*committed, |input| input.offset + 1) < end {
                unread.insert(partition.clone(), end);
            }
        }
        Ok(unread)
    }

    /// True while decisions wait for what was written before this instance was
    /// to read it. A clock that went back lets them go.
    fn catches_up(&self, now: Timestamp) -> bool {
        let waited = self.folded_at.map(|at| now.since(at));
        !self.unread.is_empty()
            && waited.is_some_and(|waited| (TimeSpan::ZERO..CATCH_UP_MAX).contains(&waited))
    }

    fn is_about_charters(&self, input: &Input) -> bool {
        input.partition.topic == self.settings.topics.responses
            && decode_response(&input.value, input.timestamp)
                .is_ok_and(|response| command::is_about_charters(&response))
    }

    fn restore(&self, log: &mut dyn Log) -> Result<(Escalate, Option<AnchorChain>), StageError> {
        let topics = &self.settings.topics;
        let mut escalate = Escalate::new(self.settings.escalation.clone());
        let registry = self.rules.registry();
        let mut result = Ok(());
        // One order of all facts needs one partition, and one writer.
        let counts = [&topics.incidents, &topics.breaches, &topics.anchors];
        let mut is_one = true;
        for (topic, most) in counts.into_iter().zip([1, 1, i32::MAX]) {
            is_one &= (1..=most).contains(&log.partition_count(topic)?);
        }
        let mut chain = is_one.then(AnchorChain::default);
        self.restore_policies(log, &mut escalate)?;
        // Which incident of a group is the latest follows from the order of the
        // facts, also where their topic has several partitions.
        in_order::scan(
            log,
            &topics.incidents,
            &mut |partition, offset, value| match decode::<Fact>(value) {
                Ok(fact) => {
                    escalate.restore_fact(&fact);
                    if let Some(chain) = &mut chain {
                        chain.add(&fact);
                    }
                }
                Err(error) => result = Err(unreadable(partition, offset, error)),
            },
        )?;
        // Breaches that are held and good windows that are counted are in no
        // fact yet; both follow from what was read before.
        for (partition, committed) in &self.committed {
            let (first, _) = log.bounds(partition)?;
            let breaches = partition.topic == topics.breaches;
            if !breaches && partition.topic != topics.windows {
                continue;
            }
            log.scan(partition, first, *committed, &mut |record| {
                let read = if breaches {
                    decode::<Breach>(record.value)
                        .map(|breach| escalate.restore_breach(&breach, &*registry))
                } else {
                    decode::<Window>(record.value).map(|window| escalate.restore_window(&window))
                };
                if let Err(error) = read {
                    result = Err(unreadable(partition, record.offset, error));
                }
            })?;
        }
        // One instance speaks for all charters.
        let first = Partition::new(topics.breaches.clone(), 0);
        if self.committed.contains_key(&first) {
            escalate.tell_upkeep(Timestamp::MIN, Timestamp::MIN);
        }
        result.map(|()| (escalate, chain))
    }

    /// Takes in the policies as incidents opened under them, where charters
    /// come from a folder, which does not tell how it was.
    fn restore_policies(
        &self,
        log: &mut dyn Log,
        escalate: &mut Escalate,
    ) -> Result<(), StageError> {
        let topic = &self.settings.topics.policies;
        if !self.keeps_policies(log)? {
            return Ok(());
        }
        let mut result = Ok(());
        let partition = Partition::new(topic.clone(), 0);
        let (first, end) = log.settled(&partition)?;
        log.scan(&partition, first, end, &mut |record| match decode::<Revision>(record.value) {
            Ok(revision) => {
                if let Some((policy, at)) = kept(revision) {
                    escalate.restore_policy(policy, at);
                }
            }
            Err(error) => result = Err(unreadable(&partition, record.offset, error)),
        })?;
        result
    }

    /// True where this stage keeps the policies that incidents open under: the
    /// charters topic has a history of its own.
    fn keeps_policies(&self, log: &mut dyn Log) -> Result<bool, LogError> {
        Ok(self.rules.position().is_none()
            && log.partition_count(&self.settings.topics.policies)? > 0)
    }

    fn decide(
        &mut self,
        log: &mut dyn Log,
        records: &[Input],
        is_timers_turn: bool,
        now: Timestamp,
    ) -> Result<(), StageError> {
        let Some(escalate) = &mut self.escalate else { return Ok(()) };
        let registry = &*self.rules.registry();
        let Settings { topics, encoding, pane, .. } = &self.settings;
        let desk = charters::Desk { rules: &self.rules, pane: *pane };
        let mut asked = charters::Asked::default();
        let mut outputs = Outputs::default();
        let mut positions: BTreeMap<Partition, i64> = BTreeMap::new();
        let mut counts = self.counts.clone();
        let mut rejects: Vec<Outgoing> = Vec::new();
        for input in records {
            let Input { partition, offset, value, .. } = input;
            let unreadable = |error| unreadable(partition, *offset, error);
            if partition.topic == topics.breaches {
                let breach: Breach = decode(value).map_err(unreadable)?;
                escalate.breach(&breach, registry, now, &mut outputs);
            } else if partition.topic == topics.windows {
                let window: Window = decode(value).map_err(unreadable)?;
                escalate.window(&window, registry, now, &mut outputs);
            } else {
                // Responses come from people and programs; one that cannot be
                // read must not hold up the others.
                match decode_response(value, input.timestamp) {
                    Ok(response) => {
                        if let Err(rule) = input.check_at(&response, now) {
                            escalate.refuse(&response, rule, registry, now, &mut outputs);
                        } else if command::is_about_charters(&response) {
                            asked = desk.take(&response, now);
                            if let Some(rule) = asked.rule.take() {
                                escalate.refuse(&response, rule, registry, now, &mut outputs);
                            }
                        } else {
                            escalate.respond(&response, registry, now, &mut outputs);
                        }
                    }
                    Err(error) => {
                        counts.unreadable += 1;
                        let reject = input.reject(error);
                        rejects.push(outgoing::reject(&topics.rejects, &reject, *encoding));
                    }
                }
            }
            positions.insert(partition.clone(), offset + 1);
        }
        if is_timers_turn {
            escalate.advance(registry, now, &mut outputs);
        }
        // Each commit ends with an anchor, so that none of its facts can be cut off.
        let mut chain = self.chain.clone();
        if let Some(chain) = &mut chain {
            outputs.facts.iter().for_each(|fact| chain.add(fact));
        }
        let anchor =
            chain.as_ref().and_then(AnchorChain::head).filter(|_| !outputs.facts.is_empty());
        let anchor = anchor.map(|anchor| outgoing::anchor(&topics.anchors, anchor));
        let facts =
            outputs.facts.iter().map(|fact| outgoing::fact(&topics.incidents, fact, *encoding));
        let messages = outputs
            .escalations
            .iter()
            .map(|message| outgoing::escalation(&topics.escalations, message, *encoding));
        let keeps_policies = !outputs.policies.is_empty() && self.keeps_policies(log)?;
        let policies = outputs.policies.iter().filter(|_| keeps_policies).map(|(at, policy)| {
            outgoing::revision(&topics.policies, &as_kept(policy, *at), *encoding)
        });
        let transaction = Transaction {
            positions: positions.iter().map(|(p, at)| (p.clone(), *at)).collect(),
            records: policies
                .chain(facts)
                .chain(messages)
                .chain(anchor)
                .chain(rejects)
                .chain(asked.records(topics, *encoding))
                .collect(),
        };
        if transaction == Transaction::default() {
            return Ok(());
        }
        counts.facts += outputs.facts.len() as u64;
        counts.escalations += outputs.escalations.len() as u64;
        counts.commits += 1;
        match log.commit(transaction) {
            Ok(()) => {
                self.committed.extend(positions);
                self.chain = chain;
                self.counts = counts;
                self.unseen = asked.unseen(now).or_else(|| self.unseen.take());
                Ok(())
            }
            Err(LogError::Aborted(_)) => {
                // What was decided does not hold; fold again what does.
                self.escalate = None;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn unreadable(partition: &Partition, offset: i64, error: Malformed) -> StageError {
    let topic = partition.topic.to_string();
    StageError::Unreadable { topic, partition: partition.partition, offset, error }
}
