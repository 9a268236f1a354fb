//! One run: events and faults, then the wait for the last window, then the audit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::audit::{Findings, audit};
use super::facts::Topics;
use super::faults::{Chaos, Fault};
use super::fleet::Fleet;
use super::ledger::Ledger;
use super::recovery::Recovery;
use super::settle::settle;
use super::traffic::Traffic;
use super::truth::Truth;
use crate::binary;
use crate::kafka::Cluster;

/// Time between two lines on the progress.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Time between two steps of the faults.
const STEP: Duration = Duration::from_millis(10);

/// Faults that take a broker away.
const BROKER_KILLS: &[Fault] =
    &[Fault::KillBroker, Fault::UnmarkSummaries, Fault::UnmarkBreaches, Fault::UnmarkIncidents];

/// Topics that say who committed what, kept where something is wrong. Kafka's
/// `kafka.tools.DumpLogSegments` shows them with every control record.
const EVIDENCE: &[&str] = &["chaos.summaries-", "__consumer_offsets-", "__transaction_state-"];

/// What a run did and what is wrong with the outcome.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The seed of its plan.
    pub seed: u64,
    /// Events that were sent.
    pub events: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Lines of windows, and how many of them are revisions.
    pub windows: (u64, u64),
    /// Events that were too late for their window.
    pub late: u64,
    /// Transitions of breaches.
    pub breaches: u64,
    /// Facts of incidents.
    pub facts: u64,
    /// Messages to people.
    pub escalations: u64,
    /// Records of the summaries topic.
    pub batches: u64,
    /// Processes that gave way, by reason.
    pub fenced: BTreeMap<String, u64>,
    /// Commits without their marks that were finished, and that were done again.
    #[serde(default)]
    pub unmarked: (u64, u64),
    /// Longest time from SIGTERM to the end.
    pub drain_max: Duration,
    /// What is wrong.
    pub findings: Findings,
    /// From the kill of an instance to what followed.
    pub after_kill: Recovery,
    /// From the kill of a broker to what followed.
    pub after_broker_kill: Recovery,
    /// How long it took without the start of the brokers.
    pub took: Duration,
    /// Where logs and settings are; kept where something is wrong.
    pub folder: Option<std::path::PathBuf>,
}

/// Carries out a plan.
///
/// # Errors
/// What kept the run from coming to its end; what it found is in the outcome.
pub fn run(plan: &Plan) -> Result<Outcome, String> {
    // Built before anything is timed.
    binary::path();
    let has_gate =
        plan.faults.unmarked > 0 || plan.script.iter().any(|fault| fault.unmarks().is_some());
    let cluster = if has_gate { Cluster::start_with_gate()? } else { Cluster::start(plan.nodes)? };
    let cluster = Arc::new(cluster);
    let begun = Instant::now();
    let name = "chaos";
    let mut fleet = Fleet::new(plan, cluster.bootstrap(), name)?;
    let outcome = drive(plan, &cluster, name, &mut fleet);
    match outcome {
        Ok(mut outcome) => {
            outcome.took = begun.elapsed();
            if !outcome.findings.is_clean() {
                fleet.keep();
                cluster.copy_logs(EVIDENCE, &fleet.folder().join("kafka"));
                outcome.folder = Some(fleet.folder().to_owned());
            }
            Ok(outcome)
        }
        Err(why) => {
            fleet.keep();
            Err(format!("{why}\nlogs and settings are in {}", fleet.folder().display()))
        }
    }
}

fn drive(
    plan: &Plan,
    cluster: &Arc<Cluster>,
    name: &str,
    fleet: &mut Fleet,
) -> Result<Outcome, String> {
    for instance in 0..plan.instances {
        fleet.start(instance)?;
    }
    let traffic = Traffic::start(plan, cluster.bootstrap(), &format!("{name}.telemetry"))?;
    let mut chaos = Chaos::new(plan);
    let mut told = Instant::now();
    while (!chaos.is_over(fleet) || traffic.sent() < plan.events) && !traffic.has_ended() {
        if chaos.step(fleet, cluster)? {
            add_partitions(cluster.bootstrap(), &format!("{name}.telemetry"), plan)?;
            traffic.spread_over(plan.partitions_later);
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let (events, left) = (traffic.sent(), chaos.left());
            chaos.tell(&format!("{events} events, {left} faults to come"));
        }
        std::thread::sleep(STEP);
    }
    let sent = traffic.end()?;
    chaos.tell(&format!("{} events sent, waiting for the last window", sent.events));
    let mut topics = Topics::open(cluster.bootstrap(), name)?;
    let mut findings = Findings::default();
    if let Err(why) = settle(plan, &sent, &mut topics, &mut chaos, fleet, cluster) {
        findings.other(why);
    }
    for instance in fleet.running() {
        match fleet.stop(instance) {
            Ok(took) => chaos.drain_max = chaos.drain_max.max(took),
            Err(why) => findings.other(why),
        }
    }
    chaos.tell("reading everything back");
    // The product's own proof must come to the same end as ours.
    if let Err(why) = fleet.run(&["audit", "ledger", "--windows"]) {
        findings.other(why);
    }
    let truth = Truth::read(&mut topics, &sent)?;
    let ledger = Ledger::read(&mut topics)?;
    let published = topics.published()?;
    let found = audit(plan, &truth, &ledger, &published);
    findings = found.after(findings);
    for wrong in std::mem::take(&mut chaos.wrong) {
        findings.other(wrong);
    }
    let summaries = i32::try_from(topics.partitions("summaries")?.len()).unwrap_or(1);
    let after =
        |kinds: &[Fault]| Recovery::measure(&chaos.injected, kinds, &ledger, &published, summaries);
    let mut faults = BTreeMap::new();
    for injected in &chaos.injected {
        *faults.entry(injected.fault).or_default() += 1;
    }
    let revisions = published.windows.iter().filter(|at| at.fact.revision > 0).count();
    Ok(Outcome {
        seed: plan.seed,
        events: sent.events,
        faults,
        windows: (published.windows.len() as u64, revisions as u64),
        late: published.rejects.iter().filter_map(|at| at.fact.count).sum(),
        breaches: published.breaches.len() as u64,
        facts: published.incidents.len() as u64,
        escalations: published.escalations.len() as u64,
        batches: ledger.records,
        fenced: chaos.fenced.clone(),
        unmarked: (fleet.said("finishing it"), fleet.said("it is done again")),
        drain_max: chaos.drain_max,
        findings,
        after_kill: after(&[Fault::Kill]),
        after_broker_kill: after(BROKER_KILLS),
        took: Duration::ZERO,
        folder: None,
    })
}

fn add_partitions(bootstrap: &str, topic: &str, plan: &Plan) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .map_err(|error| error.to_string())?;
    let count = usize::try_from(plan.partitions_later).unwrap_or(0);
    // The client has threads of its own that do the work; the answer is not
    // awaited but looked for, which needs no runtime.
    drop(admin.create_partitions(&[NewPartitions::new(topic, count)], &AdminOptions::new()));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(10));
        let found = metadata.iter().flat_map(|metadata| metadata.topics()).next();
        let led = found.map_or(0, |topic| {
            topic.partitions().iter().filter(|partition| partition.leader() >= 0).count()
        });
        if led >= count {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{topic} has {led} partitions instead of {count}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Outcome {
    /// The outcome as a file, with the plan that it is of.
    ///
    /// # Panics
    /// Never: an outcome is text and numbers.
    pub fn to_json(&self, plan: &str) -> String {
        serde_json::to_string_pretty(&(plan, self)).expect("text and numbers")
    }

    /// Reads such a file; none where it is of another plan.
    pub fn from_json(text: &str, plan: &str) -> Option<Self> {
        let (of, outcome): (String, Self) = serde_json::from_str(text).ok()?;
        (of == plan).then_some(outcome)
    }

    /// Adds another run's numbers.
    pub fn extend(&mut self, other: &Self) {
        self.events += other.events;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.windows.0 += other.windows.0;
        self.windows.1 += other.windows.1;
        self.late += other.late;
        self.breaches += other.breaches;
        self.facts += other.facts;
        self.escalations += other.escalations;
        self.batches += other.batches;
        for (why, count) in &other.fenced {
            *self.fenced.entry(why.clone()).or_default() += count;
        }
        self.unmarked.0 += other.unmarked.0;
        self.unmarked.1 += other.unmarked.1;
        self.drain_max = self.drain_max.max(other.drain_max);
        self.findings = std::mem::take(&mut self.findings).after(other.findings.clone());
        self.after_kill.extend(&other.after_kill);
        self.after_broker_kill.extend(&other.after_broker_kill);
        self.took += other.took;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { lost, doubled, repeated, torn, other, .. } = &self.findings;
        writeln!(f, "seed {}, {:.0} s", self.seed, self.took.as_secs_f64())?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {count:>10}  {fault}")?;
        }
        for (why, count) in &self.fenced {
            writeln!(f, "  {count:>10}  processes that ended fenced, {why}")?;
        }
        for (count, what) in [
            (self.events, "events"),
            (self.batches, "records of summaries"),
            (self.windows.0, "lines of windows"),
            (self.windows.1, "of them revisions"),
            (self.late, "events too late for their window, kept as late summaries"),
            (self.breaches, "transitions of breaches"),
            (self.facts, "facts of incidents"),
            (self.escalations, "escalations"),
            (self.unmarked.0, "commits that brokers left without marks, finished"),
            (self.unmarked.1, "commits that brokers left without marks, done again"),
            (self.findings.alarms_checked, "features whose breaches were worked out by counting"),
            (self.findings.alarms_revised, "features with a verdict that a revision changed"),
        ] {
            writeln!(f, "  {count:>10}  {what}")?;
        }
        writeln!(
            f,
            "lost {lost}, doubled {doubled}, repeated ids {repeated}, torn ranges {torn}, other findings {other}"
        )?;
        writeln!(f, "longest end after SIGTERM: {} ms", self.drain_max.as_millis())?;
        for (what, recovery) in
            [("an instance", &self.after_kill), ("a broker", &self.after_broker_kill)]
        {
            writeln!(f, "from the kill of {what} to the next commit: {}", recovery.commit)?;
            writeln!(f, "  until every telemetry partition moved: {}", recovery.telemetry)?;
            writeln!(f, "  until every summaries partition told a window: {}", recovery.windows)?;
        }
        for example in &self.findings.examples {
            writeln!(f, "- {example}")?;
        }
        if let Some(folder) = &self.folder {
            writeln!(f, "logs and settings are in {}", folder.display())?;
        }
        Ok(())
    }
}
