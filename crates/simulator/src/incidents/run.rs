//! Carries a plan out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_incident::escalate as escalation;
use watchkeep_incident::state::people::HANDS_OVER;
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported};
use watchkeep_model::incident::{Fact, FactName};
use watchkeep_model::position::Partition;
use watchkeep_model::response::{Command, DELIVERER, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::{LogError, Outgoing};
use watchkeep_runtime::outgoing;
use watchkeep_runtime::rules::Rules;
use watchkeep_runtime::stage::StageError;
use watchkeep_runtime::stage::escalate::{self, EscalateStage};
use watchkeep_runtime::topics::Topics;
use watchkeep_wire::fact::{FactEncoding, decode};

use super::duties::{Counts, Duties};
use super::plan::{Fault, Held, Input, Plan, What};
use super::world::{Instance, name, rules};
use crate::generator::random::Random;
use crate::log::MemoryStore;
use crate::simulation::{Breakage, Sabotage, Session, Violation};

/// The group of the instances.
const GROUP: &str = "escalate";

/// Turns at one instant after which nothing may be left to do, also where each
/// hands over one record.
const TURNS_MAX: usize = 5_000;

/// Turns in a row without a commit after which nothing is to be done at this
/// instant while deliveries are held.
const STALLED_MAX: usize = 50;

/// Instants of one run. More mean that something is due again and again.
const INSTANTS_MAX: usize = 20_000;

const ENCODING: FactEncoding = FactEncoding::Json;

/// What became of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every fact and message, in the order of the log.
    pub lines: Vec<String>,
    /// Commits that took effect, each of which a crash can hit.
    pub commits: u64,
    /// The numbers of those that wrote facts or messages.
    pub decisive: BTreeSet<u64>,
    /// Faults that were injected, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// What was counted.
    pub counts: Counts,
    /// What must not be so, where there is such a thing.
    pub violation: Option<Violation>,
}

/// Carries a plan out, up to the first violation.
pub fn run(plan: &Plan) -> Report {
    carry_out(plan, None, Sabotage::None)
}

/// The same with a bug that is planted around the log's session.
pub fn run_sabotaged(plan: &Plan, sabotage: Sabotage) -> Report {
    carry_out(plan, None, sabotage)
}

/// The same with a commit that breaks; the instance begins anew at once.
pub fn run_with_a_crash(plan: &Plan, commit: u64, how: Breakage) -> Report {
    carry_out(plan, Some((commit, how)), Sabotage::None)
}

fn carry_out(plan: &Plan, crash: Option<(u64, Breakage)>, sabotage: Sabotage) -> Report {
    let mut run = Run::new(plan, crash, sabotage);
    let violation = run.all().err();
    let counts = run.duties.counts();
    let Run { lines, commits, decisive, faults, .. } = run;
    Report { lines, commits, decisive, faults, counts, violation }
}

struct Run<'p> {
    plan: &'p Plan,
    crash: Option<(u64, Breakage)>,
    sabotage: Sabotage,
    store: MemoryStore,
    topics: Topics,
    rules: Rules,
    instances: Vec<Instance>,
    now: Timestamp,
    /// Chance of when turns come.
    dice: Random,
    next_input: usize,
    next_fault: usize,
    /// What the sinks will say of pages, by when; true for those that hand an
    /// incident over.
    reports: BTreeMap<Timestamp, (bool, Input)>,
    /// Incidents in the order in which the log tells that they opened.
    opened: Vec<String>,
    breakage: Option<Breakage>,
    away_until: Option<Timestamp>,
    holds: Vec<(Partition, Timestamp)>,
    cursors: BTreeMap<Partition, i64>,
    duties: Duties,
    lines: Vec<String>,
    commits: u64,
    decisive: BTreeSet<u64>,
    faults: BTreeMap<&'static str, u64>,
}

impl<'p> Run<'p> {
    fn new(plan: &'p Plan, crash: Option<(u64, Breakage)>, sabotage: Sabotage) -> Self {
        let (store, topics) = (MemoryStore::with_markers(), Topics::new("w.", &[]));
        for topic in [&topics.windows, &topics.breaches, &topics.responses] {
            store.create_topic(topic, 1);
        }
        for topic in [&topics.incidents, &topics.escalations] {
            store.create_topic(topic, plan.partitions);
        }
        store.set_now(plan.from);
        Self {
            plan,
            crash,
            sabotage,
            store,
            topics,
            rules: rules(plan).expect("the plan's documents must be sound"),
            instances: (0..plan.instances.max(1)).map(|_| Instance::default()).collect(),
            now: plan.from,
            dice: Random::new(plan.seed),
            next_input: 0,
            next_fault: 0,
            reports: BTreeMap::new(),
            opened: Vec::new(),
            breakage: None,
            away_until: None,
            holds: Vec::new(),
            cursors: BTreeMap::new(),
            duties: Duties::under(plan.terms.clone()),
            lines: Vec::new(),
            commits: 0,
            decisive: BTreeSet::new(),
            faults: BTreeMap::new(),
        }
    }

    fn all(&mut self) -> Result<(), Violation> {
        let last = self.plan.inputs.last().map_or(self.plan.from, |input| input.at);
        let end = last + self.plan.run_on;
        let mut is_healed = false;
        for _ in 0..INSTANTS_MAX {
            if self.now >= last && !is_healed {
                is_healed = true;
                self.heal();
            }
            self.pass();
            self.settle()?;
            match self.next_instant(is_healed).filter(|next| *next <= end) {
                Some(next) => self.now = next,
                None if is_healed => {
                    self.now = end;
                    self.pass();
                    self.settle()?;
                    return self.duties.end(self.now);
                }
                None => self.now = last.max(self.now),
            }
        }
        Err(Violation::new("time goes on", format!("the run stands at {}", self.now)))
    }

    /// When something happens next, or a turn is due.
    fn next_instant(&mut self, is_healed: bool) -> Option<Timestamp> {
        let input = self.plan.inputs.get(self.next_input).map(|input| input.at);
        let faults = self.plan.faults.get(self.next_fault).filter(|_| !is_healed);
        let until = self.holds.iter().map(|(_, until)| *until);
        // The clock of each instance decides when it looks.
        let due = self.instances.iter().filter_map(|instance| {
            let due = instance.escalate()?.next_deadline()?;
            Some((due - instance.skew).max(self.now))
        });
        let down = self.instances.iter().filter_map(|instance| instance.down_until);
        let slack = self.plan.slack.as_micros();
        let late = if slack > 0 && !is_healed { self.dice.below(slack.unsigned_abs()) } else { 0 };
        let late = TimeSpan::from_micros(late.cast_signed());
        let report = self.reports.keys().next().copied();
        let events = [input, report, faults.map(|(at, _)| *at), self.away_until];
        let next = events.into_iter().flatten().chain(until).chain(due).chain(down).min()?;
        let next = next + late;
        // Whoever could not act tries again.
        Some(if next > self.now { next } else { self.now + TimeSpan::SECOND })
    }

    /// What is due by now arrives, goes wrong or is over.
    fn pass(&mut self) {
        while let Some(input) = self.plan.inputs.get(self.next_input).filter(|i| i.at <= self.now) {
            self.next_input += 1;
            self.append(input);
        }
        while let Some(report) = self.reports.first_entry().filter(|one| *one.key() <= self.now) {
            let (hands_over, mut report) = report.remove();
            self.drop_if_needless(hands_over, &mut report);
            self.append(&report);
        }
        while let Some((at, fault)) = self.plan.faults.get(self.next_fault)
            && *at <= self.now
        {
            self.next_fault += 1;
            *self.faults.entry(fault.name()).or_default() += 1;
            self.fault(fault);
        }
        let now = self.now;
        self.store.set_now(now);
        let store = &self.store;
        self.holds.retain(|(partition, until)| {
            if *until <= now {
                store.release(partition);
            }
            *until > now
        });
        if self.away_until.is_some_and(|until| until <= now) {
            self.away_until = None;
            self.store.come_back();
        }
        for instance in &mut self.instances {
            instance.down_until = instance.down_until.filter(|until| *until > now);
        }
    }

    fn append(&mut self, input: &Input) {
        let topics = &self.topics;
        let record = match &input.what {
            What::Breach(breach) => {
                self.duties.breach(breach);
                outgoing::breach(&topics.breaches, breach, ENCODING)
            }
            What::Window(window) => outgoing::window(&topics.windows, window, ENCODING),
            What::Response(response) => {
                let response = self.named(response);
                self.duties.response(&response.id());
                let value = serde_json::to_vec(&response).expect("a command is plain data");
                let (topic, key) = (topics.responses.clone(), None);
                Outgoing { topic, partition: None, key, value, headers: Vec::new() }
            }
        };
        self.store.append(&record, input.at).expect("the topics were made before");
    }

    /// A command that names an incident by its number names it by its identifier.
    fn named(&self, response: &Response) -> Response {
        let number = response.into.as_ref().and_then(|into| into.parse::<usize>().ok());
        let known = self.opened.len().max(1);
        let into = number.and_then(|number| self.opened.get(number % known));
        Response { into: into.or(response.into.as_ref()).cloned(), ..response.clone() }
    }

    /// What a sink will say of a page.
    fn report(&mut self, page: &Escalation) {
        let (Some(sinks), Some(channel)) = (&self.plan.sinks, &page.channel) else { return };
        let Some((tool, _)) = channel.split_once(':').filter(|_| page.audience == Audience::Page)
        else {
            return;
        };
        let is_dead = |(dead, from, until): &(String, Timestamp, Timestamp)| {
            dead == tool && (*from..*until).contains(&self.now)
        };
        let unreached = sinks.dead.iter().any(is_dead);
        let mut at = self.now + sinks.delay;
        // In which order partitions are read is nobody's promise.
        while self.reports.contains_key(&at) || self.plan.inputs.iter().any(|one| one.at == at) {
            at = at + TimeSpan::from_micros(1);
        }
        let delivery = DeliveryReported {
            escalation: page.id.clone(),
            sink: tool.to_owned(),
            tool: tool.to_owned(),
            outcome: match unreached {
                true => DeliveryOutcome::Failed,
                false => DeliveryOutcome::Delivered,
            },
            attempts: 1,
            target: page.target.clone(),
            channel: Some(channel.clone()),
            to: None,
            detail: None,
            unreached,
            drill: page.drill,
            origin: None,
        };
        let mut response = Response::new(at, DELIVERER, Command::ReportDelivery);
        response.incident = Some(page.incident_id.clone());
        response.delivery = Some(delivery);
        let report = Input { at, what: What::Response(Box::new(response)) };
        self.reports.insert(at, (page.custom_details.contains_key(HANDS_OVER), report));
    }

    /// A page that has waited is dropped where nobody is to get it any more.
    fn drop_if_needless(&self, hands_over: bool, report: &mut Input) {
        let What::Response(response) = &mut report.what else { return };
        let drops = self.plan.sinks.as_ref().is_some_and(|sinks| sinks.drops);
        let incident = response.incident.as_deref().filter(|_| drops);
        let quiet = incident.and_then(|id| self.duties.drops(id, hands_over));
        if let Some((delivery, unreached)) = response.delivery.as_mut().zip(quiet) {
            (delivery.outcome, delivery.unreached) = (DeliveryOutcome::Dropped, unreached);
        }
    }

    fn fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Crash(instance, down) => {
                let until = self.now + *down;
                if let Some(instance) = self.instances.get_mut(*instance) {
                    (instance.running, instance.down_until) = (None, Some(until));
                }
            }
            Fault::Break(how) => self.breakage = Some(*how),
            Fault::Abort => self.store.abort_next_commit("the coordinator has moved"),
            Fault::Fence(instance) => self.store.fence(&name(*instance)),
            Fault::Rebalance => self.store.reassign(GROUP),
            Fault::Outage(span) => {
                self.store.go_away("no broker");
                self.away_until = Some(self.now + *span);
            }
            Fault::Hold(held, span) => {
                let topic = match held {
                    Held::Breaches => &self.topics.breaches,
                    Held::Windows => &self.topics.windows,
                    Held::Responses => &self.topics.responses,
                };
                let partition = Partition::new(topic.clone(), 0);
                self.store.hold(&partition);
                self.holds.push((partition, self.now + *span));
            }
            Fault::Skew(instance, by) => {
                if let Some(instance) = self.instances.get_mut(*instance) {
                    instance.skew = *by;
                }
            }
            Fault::Dribble(records) => self.store.set_batch_records_max(*records),
        }
    }

    /// Everything works again and the clock is right.
    fn heal(&mut self) {
        self.next_fault = self.plan.faults.len();
        for (partition, _) in std::mem::take(&mut self.holds) {
            self.store.release(&partition);
        }
        (self.away_until, self.breakage) = (None, None);
        for instance in &mut self.instances {
            (instance.down_until, instance.skew) = (None, TimeSpan::ZERO);
        }
        self.store.come_back();
        self.store.forget_faults();
        self.store.set_batch_records_max(crate::log::BATCH_RECORDS_MAX);
    }

    /// Turns until there is nothing to do at this instant, or nothing can be done.
    fn settle(&mut self) -> Result<(), Violation> {
        let mut stalled = 0;
        for _ in 0..TURNS_MAX {
            let commits = self.commits;
            for instance in 0..self.instances.len() {
                self.turn(instance)?;
                self.look()?;
            }
            let all_down = self.instances.iter().all(|instance| instance.down_until.is_some());
            if all_down || self.away_until.is_some() {
                return Ok(());
            }
            let mut states = self.instances.iter().filter_map(|instance| {
                let due = instance.escalate()?.next_deadline();
                Some(due.is_none_or(|due| due > self.now + instance.skew))
            });
            let is_idle = states.next().is_some_and(|is_idle| is_idle && states.all(|one| one));
            let waits = !self.holds.is_empty() && commits == self.commits;
            stalled = if waits { stalled + 1 } else { 0 };
            // Timers wait a while for what is held.
            if is_idle && (self.is_read() || waits) || stalled > STALLED_MAX {
                return Ok(());
            }
        }
        Err(Violation::new("every turn gets somewhere", format!("not at {}", self.now)))
    }

    fn is_read(&self) -> bool {
        let committed = self.store.committed(GROUP);
        let Topics { breaches, windows, responses, .. } = &self.topics;
        [breaches, windows, responses].into_iter().all(|topic| {
            let partition = Partition::new(topic.clone(), 0);
            let position = committed.get(&partition).copied().unwrap_or(0);
            self.store.records_from(&partition, position).is_empty()
        })
    }

    fn turn(&mut self, number: usize) -> Result<(), Violation> {
        let instance = &mut self.instances[number];
        if instance.down_until.is_some() || self.away_until.is_some() {
            return Ok(());
        }
        let now = self.now + instance.skew;
        let (mut session, mut stage) = match instance.running.take() {
            Some(running) => running,
            None => match self.begin(number) {
                Ok(begun) => begun,
                Err(_) => return Ok(()),
            },
        };
        session.breakage = match self.crash {
            Some((commit, how)) if commit == self.commits => Some(how),
            _ => self.breakage.take(),
        };
        let before = stage.counts().commits;
        let result = stage.turn(&mut session, TimeSpan::ZERO, || now);
        match session.breakage.take() {
            // No commit came along.
            Some(unused) if self.crash.is_none() => self.breakage = Some(unused),
            Some(_) => {}
            None => self.crash = self.crash.filter(|(commit, _)| *commit != self.commits),
        }
        self.commits += stage.counts().commits - before;
        match result {
            Ok(()) => self.instances[number].running = Some((session, stage)),
            Err(StageError::Log(_)) => {}
            Err(error) => return Err(Violation::new("no stage stops", error.to_string())),
        }
        Ok(())
    }

    fn begin(&self, number: usize) -> Result<(Session, EscalateStage), LogError> {
        let Topics { breaches, windows, responses, .. } = &self.topics;
        let log = self.store.session(GROUP, &[breaches, windows, responses], &name(number))?;
        let settings = escalate::Settings {
            topics: self.topics.clone(),
            encoding: ENCODING,
            escalation: escalation::Settings {
                drill: self.plan.terms.is_drill,
                ..escalation::Settings::default()
            },
            pane: TimeSpan::MINUTE,
        };
        let stage = EscalateStage::new(settings, self.rules.clone());
        Ok((Session::new(log, self.sabotage), stage))
    }

    /// Takes in what the log holds since the last look.
    fn look(&mut self) -> Result<(), Violation> {
        for topic in [self.topics.incidents.clone(), self.topics.escalations.clone()] {
            for number in 0..self.plan.partitions {
                let partition = Partition::new(Arc::clone(&topic), number);
                let from = self.cursors.get(&partition).copied().unwrap_or(0);
                for record in self.store.records_from(&partition, from) {
                    self.cursors.insert(partition.clone(), record.offset + 1);
                    self.decisive.insert(self.commits.saturating_sub(1));
                    self.lines.push(String::from_utf8_lossy(&record.value).into_owned());
                    let unreadable = |error: watchkeep_wire::Malformed| {
                        Violation::new("facts can be read", error.detail)
                    };
                    if topic == self.topics.incidents {
                        let fact = decode::<Fact>(&record.value).map_err(unreadable)?;
                        let opens = fact.fact == FactName::Opened;
                        self.opened.extend(opens.then(|| fact.incident_id.clone()));
                        self.duties.fact(fact)?;
                    } else {
                        let message = decode::<Escalation>(&record.value).map_err(unreadable)?;
                        self.duties.message(&message)?;
                        self.report(&message);
                    }
                }
            }
        }
        self.duties.commit()
    }
}
