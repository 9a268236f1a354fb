//! The escalate stage is killed again and again while its timers run: every
//! deadline must fire once, every page be a fact and a message, once.
//!
//! Breaches and commands are written by this program, so that nothing but the
//! stage and its timers is at work; the deadlines of the policy are a second
//! or two. What must hold is the same as in the simulation of incidents
//! ([`watchkeep_simulator::incidents::duties`]), read from the topics as any
//! consumer reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::FactData;
use watchkeep_model::response::{Command, RemedyAction, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_simulator::incidents::duties::{Counts, Duties};
use watchkeep_wire::fact::{FactEncoding, encode};

use super::SESSION_TIMEOUT;
use super::facts::Topics;
use super::process::Process;
use super::random::Random;
use crate::binary;
use crate::kafka::Cluster;

/// The name of the deployment.
const NAME: &str = "timers";
/// Features that breach now and then.
const FEATURES: u64 = 40;
/// Mean time between two breaches.
const BREACH_EVERY: Duration = Duration::from_millis(250);
/// How long a breach stays open, from and to.
const OPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(12));
/// From a sign of life of a new process to its kill, from and to.
const LIVES: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(1_500));
/// Time in which a process must show a sign of life, or everything must end.
const WAIT_MAX: Duration = Duration::from_secs(90);
const TICK: Duration = Duration::from_millis(10);
/// Questions that a broker may leave unanswered, one after the other.
const TRIES_MAX: u32 = 50;

/// Deadlines of a second or two, a repetition, an acknowledgement that expires.
const POLICY: &str = "kind: policy
name: timers
version: 1
grouping: {by: [feature, expectation], group_wait: 500ms, group_interval: 1s, repeat_interval: 2s, max_listed: 5}
damping: {keep_firing_for: 300ms, reopen_within: 1s}
steps:
  - {name: owner, notify: [{role: primary}], channels: [{tool: email, to: owner@example.com}], acknowledge_within: 1s, remediate_within: 3s, escalate_if: [not_acknowledged, not_remediated]}
  - {name: lead, notify: [{user: user:bo}, {user: user:ada}], channels: [{tool: email, to: lead@example.com}], acknowledge_within: 1500ms, escalate_if: [not_acknowledged]}
loops: 2
ack_timeout: 2s
on_exhausted: {notify: [user:ada]}
---
kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}
  bo: {name: Bo, contacts: [{tool: email, to: bo@example.com}]}
governance: user:ada
";

/// What a run did and what is wrong with the outcome.
#[derive(Debug)]
pub struct Outcome {
    /// kill -9 of the process.
    pub kills: u64,
    /// Incidents, facts, pages, deadlines.
    pub counts: Counts,
    /// Deadlines that fired after their time by so long at most.
    pub late_max: TimeSpan,
    /// How long it took without the start of the broker.
    pub took: Duration,
    /// What must not be so.
    pub wrong: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, counts, late_max, took, wrong } = self;
        writeln!(
            f,
            "{kills} kills of the escalate stage in {} s: {counts:?}, the latest deadline fired \
             {late_max} late, {} findings",
            took.as_secs(),
            wrong.len()
        )?;
        wrong.iter().try_for_each(|one| writeln!(f, "- {one}"))
    }
}

/// Kills the stage so often on a cluster of its own.
///
/// # Errors
/// What kept the run from coming to its end.
pub fn run(seed: u64, kills: u64) -> Result<Outcome, String> {
    // Built before anything is timed.
    binary::path();
    let cluster = Cluster::start(1)?;
    let begun = Instant::now();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write(folder.path(), cluster.bootstrap())?;
    let mut run = Run::new(seed, folder.path(), cluster.bootstrap())?;
    let outcome = run.all(kills);
    let (wrong, took) = (std::mem::take(&mut run.wrong), begun.elapsed());
    drop(run);
    match outcome {
        Ok((duties, late_max)) => {
            Ok(Outcome { kills, counts: duties.counts(), late_max, took, wrong })
        }
        Err(why) => Err(format!("{why}\nlogs and settings are in {}", folder.keep().display())),
    }
}

fn write(folder: &Path, bootstrap: &str) -> Result<(), String> {
    let mut charters = String::new();
    for feature in 0..FEATURES {
        charters.push_str(&format!(
            "kind: charter\nsubject: feature:{}\nowners: {{primary: user:ada}}\npolicy: timers\n\
             expectations:\n  - {{name: enough, kind: volume, window: 1m, below: 1}}\n---\n",
            name_of(feature)
        ));
    }
    let session_ms = SESSION_TIMEOUT.as_millis();
    let settings = format!(
        "[log]\nkind = \"kafka\"\nbootstrap = \"{bootstrap}\"\n[log.kafka]\n\"group.id\" = \
         \"{NAME}\"\n\"session.timeout.ms\" = \"{session_ms}\"\n[topics]\ntelemetry = \
         [\"{NAME}.telemetry\"]\nprefix = \"{NAME}.\"\nencoding = \"json\"\n[charters]\nfolder = \
         \"charters\"\n"
    );
    std::fs::create_dir_all(folder.join("charters"))
        .and_then(|()| std::fs::write(folder.join("charters/all.yaml"), charters + POLICY))
        .and_then(|()| std::fs::write(folder.join("watchkeep.toml"), settings))
        .map_err(|error| error.to_string())?;
    let config = folder.join("watchkeep.toml");
    let create = ["topics", "create", "--telemetry-partitions", "1", "-c"];
    let arguments = create.iter().map(AsRef::as_ref).chain([config.as_os_str()]);
    let output = binary::command(arguments).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn name_of(feature: u64) -> String {
    format!("timed.f{feature:02}")
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

struct Run<'f> {
    folder: &'f Path,
    random: Random,
    producer: BaseProducer,
    topics: Topics,
    process: Option<Process>,
    started: u32,
    /// Everything that was sent, in order.
    breaches: Vec<Breach>,
    responses: Vec<String>,
    /// By feature: the breach that is open, and when it clears.
    open: BTreeMap<u64, (Breach, Instant)>,
    /// Commands to come: when, about which feature, what.
    commands: Vec<(Instant, u64, Command)>,
    next_breach: Instant,
    wrong: Vec<String>,
}

impl<'f> Run<'f> {
    fn new(seed: u64, folder: &'f Path, bootstrap: &str) -> Result<Self, String> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .create()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            folder,
            random: Random::new(seed),
            producer,
            topics: Topics::open(bootstrap, NAME)?,
            process: None,
            started: 0,
            breaches: Vec::new(),
            responses: Vec::new(),
            open: BTreeMap::new(),
            commands: Vec::new(),
            next_breach: Instant::now(),
            wrong: Vec::new(),
        })
    }

    fn all(&mut self, kills: u64) -> Result<(Duties, TimeSpan), String> {
        for kill in 0..=kills {
            self.start()?;
            let end = self.incidents_end()?;
            let since = Instant::now();
            // A sign of life: the new process has committed a fact.
            while self.incidents_end()? == end {
                self.tick(true)?;
                if since.elapsed() > WAIT_MAX {
                    let log = self.process.as_ref().map(Process::log_tail).unwrap_or_default();
                    return Err(format!("nothing was decided after kill {kill}\n{log}"));
                }
            }
            let until = Instant::now() + self.random.between(LIVES);
            while Instant::now() < until {
                self.tick(true)?;
            }
            if kill < kills
                && let Some(mut process) = self.process.take()
            {
                process.kill();
            }
        }
        self.finish()
    }

    fn start(&mut self) -> Result<(), String> {
        self.started += 1;
        let log = self.folder.join(format!("{:04}.log", self.started));
        let config = self.folder.join("watchkeep.toml");
        let run = binary::command([
            "run".as_ref(),
            "-c".as_ref(),
            config.as_os_str(),
            "--stages".as_ref(),
            "escalate".as_ref(),
            "--instance".as_ref(),
            "0".as_ref(),
        ]);
        let process = Process::spawn(&run, &[("WATCHKEEP_HTTP__LISTEN", "127.0.0.1:0")], log)?;
        self.process = Some(process);
        Ok(())
    }

    fn incidents_end(&mut self) -> Result<i64, String> {
        let mut tries = 0;
        loop {
            let partitions = self.topics.partitions("incidents")?;
            let ends = partitions.iter().map(|partition| self.topics.end(partition));
            match ends.sum::<Result<i64, String>>() {
                // A topic that was just made may have no leader for a moment.
                Err(_) if tries < TRIES_MAX => tries += 1,
                ends => return ends,
            }
            std::thread::sleep(TICK * 10);
        }
    }

    /// What is due of breaches and commands is sent.
    fn tick(&mut self, opens: bool) -> Result<(), String> {
        let at = Instant::now();
        if opens && self.next_breach <= at {
            self.next_breach = at + self.random.between((Duration::ZERO, BREACH_EVERY * 2));
            let feature = self.random.below(FEATURES);
            if !self.open.contains_key(&feature) {
                let breach = opened(feature, self.breaches.len());
                self.send_breach(&breach)?;
                let clears = at + self.random.between(OPEN);
                self.open.insert(feature, (breach, clears));
                for (command, of_ten) in [(Command::Acknowledge, 4), (Command::Remediate, 2)] {
                    if self.random.below(10) < of_ten {
                        let later = self.random.between((Duration::from_millis(600), OPEN.1 / 2));
                        self.commands.push((at + later, feature, command));
                    }
                }
            }
        }
        let due: Vec<u64> =
            self.open.iter().filter(|(_, (_, clears))| *clears <= at).map(|(f, _)| *f).collect();
        for feature in due {
            if let Some((breach, _)) = self.open.remove(&feature) {
                self.send_breach(&cleared(breach))?;
            }
        }
        let (due, later) =
            std::mem::take(&mut self.commands).into_iter().partition(|(when, ..)| *when <= at);
        self.commands = later;
        let due: Vec<(Instant, u64, Command)> = due;
        for (_, feature, command) in due {
            self.send_command(feature, command)?;
        }
        self.producer.poll(Duration::ZERO);
        std::thread::sleep(TICK);
        Ok(())
    }

    fn send_breach(&mut self, breach: &Breach) -> Result<(), String> {
        self.send("breaches", &encode(breach, FactEncoding::Json))?;
        self.breaches.push(breach.clone());
        Ok(())
    }

    fn send_command(&mut self, feature: u64, command: Command) -> Result<(), String> {
        let mut response = Response::new(now(), "user:bo", command);
        response.subject = Some(format!("feature:{}", name_of(feature)));
        response.rationale = Some(format!("number {}", self.responses.len()));
        if command == Command::Remediate {
            response.action = Some(RemedyAction::Fix);
        }
        self.responses.push(response.id());
        let value = serde_json::to_vec(&response).map_err(|error| error.to_string())?;
        self.send("responses", &value)
    }

    fn send(&self, topic: &str, value: &[u8]) -> Result<(), String> {
        let topic = self.topics.named(topic);
        let record = BaseRecord::<(), _>::to(&topic).partition(0).payload(value);
        self.producer.send(record).map_err(|(error, _)| format!("{topic}: {error}"))
    }

    /// Nothing breaches any more; everything must come to its end.
    fn finish(&mut self) -> Result<(Duties, TimeSpan), String> {
        let since = Instant::now();
        while !self.open.is_empty() || !self.commands.is_empty() {
            self.tick(false)?;
        }
        self.producer.flush(WAIT_MAX).map_err(|error| error.to_string())?;
        loop {
            let (duties, late_max, open) = self.read()?;
            let wrong = duties.end(now()).err();
            if open == 0 && wrong.is_none() || since.elapsed() > WAIT_MAX {
                if let Some(mut process) = self.process.take() {
                    process.stop()?;
                }
                self.wrong.extend(wrong.map(|wrong| wrong.to_string()));
                if open > 0 {
                    self.wrong.push(format!("{open} incidents are not resolved"));
                }
                return Ok((duties, late_max));
            }
            self.wrong.clear();
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Reads everything back; what must not be so is kept in `wrong`.
    fn read(&mut self) -> Result<(Duties, TimeSpan, usize), String> {
        let mut duties = Duties::new(true);
        self.breaches.iter().for_each(|breach| duties.breach(breach));
        self.responses.iter().for_each(|id| duties.response(id));
        let mut open: BTreeMap<String, bool> = BTreeMap::new();
        let mut late_max = TimeSpan::ZERO;
        for at in self.topics.read::<watchkeep_model::incident::Fact>("incidents")? {
            let fact = at.fact;
            match &fact.data {
                FactData::Opened(_) | FactData::Reopened(_) => {
                    open.insert(fact.incident_id.clone(), true);
                }
                FactData::Resolved(_) => drop(open.insert(fact.incident_id.clone(), false)),
                FactData::Escalated(_) => {
                    late_max = late_max.max(fact.recorded_at.since(fact.occurred_at));
                }
                _ => {}
            }
            self.note(duties.fact(fact));
        }
        for at in self.topics.read::<watchkeep_model::escalation::Escalation>("escalations")? {
            self.note(duties.message(&at.fact));
        }
        self.note(duties.pages_are_facts());
        Ok((duties, late_max, open.values().filter(|open| **open).count()))
    }

    fn note(&mut self, outcome: Result<(), watchkeep_simulator::simulation::Violation>) {
        self.wrong.extend(outcome.err().map(|violation| violation.to_string()));
    }
}

fn opened(feature: u64, number: usize) -> Breach {
    let at = now();
    Breach {
        breach_id: format!("timers-{number}"),
        transition: Transition::Opened,
        feature: name_of(feature),
        feature_version: String::new(),
        expectation: "enough".to_owned(),
        kind: ExpectationKind::Volume,
        severity: Severity::Error,
        window: "1m".to_owned(),
        window_start: at - TimeSpan::MINUTE,
        window_end: at,
        revision: 0,
        detected_at: at,
        observed: None,
        threshold: None,
        p_value: None,
        effect: None,
        baseline: None,
        owner: Some("user:ada".to_owned()),
        policy: Some(NAME.to_owned()),
        affected_consumers: Vec::new(),
        exemplars: Vec::new(),
        reason: "timers".to_owned(),
    }
}

fn cleared(breach: Breach) -> Breach {
    let at = now();
    let (window_start, window_end) = (at - TimeSpan::MINUTE, at);
    let transition = Transition::Cleared;
    Breach { transition, window_start, window_end, detected_at: at, ..breach }
}
