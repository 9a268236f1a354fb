//! Which faults there are, in which order they come, and how they are injected.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::fleet::{Ended, Fleet};
use super::random::Random;
use super::{Plan, SESSION_TIMEOUT};
use crate::kafka::Cluster;

/// How long a killed instance stays away, from and to. The longer ones outlast
/// the session, so that others take over its partitions.
const AWAY: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3));
const AWAY_LONG: (Duration, Duration) = (Duration::from_secs(7), Duration::from_secs(10));
/// One in so many kills is followed by a long absence.
const LONG_ONE_IN: u64 = 5;
/// How long a frozen process outlasts its session.
const FROZEN_FURTHER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6));
/// Rest for the brokers after one has come back.
const BROKER_REST: Duration = Duration::from_secs(15);
/// Time in which a stage must have committed something.
const MARKS_MAX: Duration = Duration::from_secs(60);
/// Time in which a zombie that goes on must have ended.
const ZOMBIE_MAX: Duration = Duration::from_secs(60);

/// Something that is done to a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// `kill -9` of an instance, which comes back later.
    Kill,
    /// SIGTERM; the instance comes back later.
    Stop,
    /// SIGSTOP until the group has given the instance up, then SIGCONT.
    Freeze,
    /// SIGSTOP, another process takes the instance's name, then SIGCONT.
    Usurp,
    /// An instance more, or one less for good, whichever there are too few or
    /// enough for.
    Rescale,
    /// An instance more.
    Join,
    /// An instance less for good.
    Leave,
    /// `kill -9` of a broker, which comes back later.
    KillBroker,
    /// `kill -9` of a lone broker after it has agreed to a commit of the
    /// summarise stage and before it has marked it anywhere.
    UnmarkSummaries,
    /// The same for a commit of the evaluate stage.
    UnmarkBreaches,
    /// The same for a commit of the escalate stage.
    UnmarkIncidents,
    /// The telemetry topic gets more partitions.
    Grow,
}

impl Fault {
    /// The topic whose marks are held back, without its prefix; none where
    /// this is about no marks.
    pub fn unmarks(self) -> Option<&'static str> {
        match self {
            Self::UnmarkSummaries => Some("summaries"),
            Self::UnmarkBreaches => Some("breaches"),
            Self::UnmarkIncidents => Some("incidents"),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill -9",
            Self::Stop => "SIGTERM",
            Self::Freeze => "SIGSTOP, SIGCONT",
            Self::Usurp => "zombie",
            Self::Rescale => "join or leave",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::KillBroker => "kill -9 of a broker",
            Self::UnmarkSummaries => "kill -9 of a broker, summarise unmarked",
            Self::UnmarkBreaches => "kill -9 of a broker, evaluate unmarked",
            Self::UnmarkIncidents => "kill -9 of a broker, escalate unmarked",
            Self::Grow => "more partitions",
        })
    }
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// See [`Fault::Kill`].
    pub kills: u64,
    /// See [`Fault::Stop`].
    pub stops: u64,
    /// See [`Fault::Freeze`].
    pub freezes: u64,
    /// See [`Fault::Usurp`].
    pub usurps: u64,
    /// See [`Fault::Rescale`].
    pub rescales: u64,
    /// See [`Fault::KillBroker`].
    pub broker_kills: u64,
    /// Of each of [`Fault::UnmarkSummaries`], [`Fault::UnmarkBreaches`] and
    /// [`Fault::UnmarkIncidents`]; needs a lone node.
    pub unmarked: u64,
}

/// A fault that was injected.
#[derive(Clone, Debug)]
pub struct Injected {
    /// Which.
    pub fault: Fault,
    /// When, by the wall clock, in microseconds since 1970.
    pub at_us: i64,
}

/// A broker that is away, and the thread that brings it back.
#[derive(Debug)]
struct BrokerAway {
    node: u16,
    up: Option<JoinHandle<Result<(), String>>>,
}

/// What follows a fault.
#[derive(Clone, Copy, Debug)]
enum After {
    Start(u16),
    Thaw(u16),
    WakeZombie(u16),
    Up(u16),
}

/// Injects one fault after the other.
pub struct Chaos {
    plan: Plan,
    random: Random,
    deck: Vec<Fault>,
    next_at: Instant,
    begun: Instant,
    after: Vec<(Instant, After)>,
    /// Instances that are away, frozen or under another name for a while.
    busy: Vec<u16>,
    broker: Option<BrokerAway>,
    broker_rests_until: Instant,
    zombies_since: Option<Instant>,
    /// What was done so far.
    pub injected: Vec<Injected>,
    /// What went wrong with a process.
    pub wrong: Vec<String>,
    /// Instances that ended fenced after they had been given up by the brokers.
    pub fenced: BTreeMap<String, u64>,
    /// The longest time that an instance took to end when asked.
    pub drain_max: Duration,
}

impl Chaos {
    /// The faults of a plan, in the order of its seed.
    pub fn new(plan: &Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let deck = deck(plan, &mut random);
        let now = Instant::now();
        let next_at = now + random.between(plan.gap);
        Self {
            plan: plan.clone(),
            random,
            deck,
            next_at,
            begun: now,
            after: Vec::new(),
            busy: Vec::new(),
            broker: None,
            broker_rests_until: now,
            zombies_since: None,
            injected: Vec::new(),
            wrong: Vec::new(),
            fenced: BTreeMap::new(),
            drain_max: Duration::ZERO,
        }
    }

    /// True where every fault was injected and everything is back.
    pub fn is_over(&self, fleet: &Fleet) -> bool {
        self.deck.is_empty()
            && self.after.is_empty()
            && self.broker.is_none()
            && fleet.zombies() == 0
    }

    /// Faults that are still to come.
    pub fn left(&self) -> usize {
        self.deck.len()
    }

    /// Brings back what is due and injects the next fault when it is time.
    /// True where the telemetry topic is to grow.
    ///
    /// # Errors
    /// A process that cannot be started.
    pub fn step(&mut self, fleet: &mut Fleet, cluster: &Arc<Cluster>) -> Result<bool, String> {
        self.look(fleet);
        let now = Instant::now();
        let (due, later) =
            std::mem::take(&mut self.after).into_iter().partition(|(at, _)| *at <= now);
        self.after = later;
        let due: Vec<(Instant, After)> = due;
        for (_, after) in due {
            self.bring_back(after, fleet, cluster)?;
        }
        self.await_broker();
        if now < self.next_at {
            return Ok(false);
        }
        // The first that can be done now, as a fault of the brokers may have to
        // wait; a script is kept to.
        let among = if self.plan.script.is_empty() { self.deck.len() } else { 1 };
        let possible = |fault: &Fault| self.is_possible(*fault, fleet);
        let Some(index) = self.deck.iter().take(among).position(possible) else {
            return Ok(false);
        };
        let fault = self.deck.remove(index);
        self.next_at = now + self.random.between(self.plan.gap);
        self.inject(fault, fleet, cluster)?;
        Ok(fault == Fault::Grow)
    }

    fn is_possible(&self, fault: Fault, fleet: &Fleet) -> bool {
        match fault {
            Fault::KillBroker
            | Fault::UnmarkSummaries
            | Fault::UnmarkBreaches
            | Fault::UnmarkIncidents => {
                self.broker.is_none() && Instant::now() >= self.broker_rests_until
            }
            // Somebody must be there who makes them.
            Fault::Grow => self.plan.nodes > 1 || self.broker.is_none(),
            Fault::Join => true,
            Fault::Usurp => fleet.zombies() == 0 && !self.at_hand(fleet).is_empty(),
            _ => !self.at_hand(fleet).is_empty(),
        }
    }

    /// Instances to which something can be done.
    fn at_hand(&self, fleet: &Fleet) -> Vec<u16> {
        let mut running = fleet.running();
        running.retain(|instance| !self.busy.contains(instance));
        running
    }

    fn inject(
        &mut self,
        fault: Fault,
        fleet: &mut Fleet,
        cluster: &Arc<Cluster>,
    ) -> Result<(), String> {
        let at_hand = self.at_hand(fleet);
        let chosen = self.random.below(at_hand.len() as u64);
        let instance = at_hand.get(usize::try_from(chosen).unwrap_or(0)).copied().unwrap_or(0);
        let at_us = now_us();
        let frozen = SESSION_TIMEOUT + self.random.between(FROZEN_FURTHER);
        let detail = match fault {
            Fault::Kill => {
                let is_long = self.random.below(LONG_ONE_IN) == 0;
                let away = self.random.between(if is_long { AWAY_LONG } else { AWAY });
                fleet.kill(instance);
                self.then(away, After::Start(instance));
                format!("instance {instance}, back after {} ms", away.as_millis())
            }
            Fault::Stop => {
                let away = self.random.between(AWAY);
                let took = self.stop(instance, fleet);
                self.then(away, After::Start(instance));
                format!("instance {instance} ended within {} ms", took.as_millis())
            }
            Fault::Freeze => {
                fleet.freeze(instance);
                self.then(frozen, After::Thaw(instance));
                format!("instance {instance} for {} ms", frozen.as_millis())
            }
            Fault::Usurp => {
                fleet.usurp(instance)?;
                self.then(frozen, After::WakeZombie(instance));
                format!("instance {instance} goes on after {} ms", frozen.as_millis())
            }
            Fault::Leave => {
                let took = self.stop(instance, fleet);
                format!("instance {instance} within {} ms", took.as_millis())
            }
            Fault::Join => {
                let free = (0..).find(|n| !fleet.running().contains(n) && !self.busy.contains(n));
                let free = free.unwrap_or_default();
                fleet.start(free)?;
                format!("instance {free}")
            }
            Fault::Rescale => {
                let enough = fleet.running().len() >= usize::from(self.plan.instances);
                let is_one_less = enough && at_hand.len() > 1;
                return self.inject(
                    if is_one_less { Fault::Leave } else { Fault::Join },
                    fleet,
                    cluster,
                );
            }
            Fault::KillBroker => {
                let nodes = u64::from(self.plan.nodes);
                let node = u16::try_from(self.random.below(nodes)).unwrap_or(0) + 1;
                self.kill_broker(node, cluster)?
            }
            Fault::UnmarkSummaries | Fault::UnmarkBreaches | Fault::UnmarkIncidents => {
                let gate = cluster.gate().ok_or("a script that needs a gate")?;
                gate.arm(&format!("chaos.{}", fault.unmarks().unwrap_or_default()));
                if !gate.await_marks(MARKS_MAX) {
                    return Err(format!("{fault}: no marks came within {MARKS_MAX:?}"));
                }
                let detail = self.kill_broker(1, cluster)?;
                gate.reopen();
                detail
            }
            Fault::Grow => {
                format!("{} instead of {}", self.plan.partitions_later, self.plan.partitions)
            }
        };
        self.tell(&format!("{fault}: {detail}"));
        self.injected.push(Injected { fault, at_us });
        Ok(())
    }

    fn kill_broker(&mut self, node: u16, cluster: &Cluster) -> Result<String, String> {
        let away = self.random.between(self.plan.broker_away);
        cluster.kill(node)?;
        self.broker = Some(BrokerAway { node, up: None });
        self.after.push((Instant::now() + away, After::Up(node)));
        Ok(format!("node {node}, back after {} ms", away.as_millis()))
    }

    fn stop(&mut self, instance: u16, fleet: &mut Fleet) -> Duration {
        match fleet.stop(instance) {
            Ok(took) => {
                self.drain_max = self.drain_max.max(took);
                took
            }
            Err(why) => {
                self.wrong.push(why);
                Duration::ZERO
            }
        }
    }

    fn then(&mut self, wait: Duration, after: After) {
        if let After::Start(instance) | After::Thaw(instance) | After::WakeZombie(instance) = after
        {
            self.busy.push(instance);
        }
        self.after.push((Instant::now() + wait, after));
    }

    fn bring_back(
        &mut self,
        after: After,
        fleet: &mut Fleet,
        cluster: &Arc<Cluster>,
    ) -> Result<(), String> {
        match after {
            After::Start(instance) => {
                fleet.start(instance)?;
                self.busy.retain(|busy| *busy != instance);
            }
            After::Thaw(instance) => {
                fleet.thaw(instance);
                self.busy.retain(|busy| *busy != instance);
            }
            After::WakeZombie(instance) => {
                fleet.wake_zombie(instance);
                self.zombies_since = Some(Instant::now());
                self.busy.retain(|busy| *busy != instance);
            }
            After::Up(node) => {
                let cluster = cluster.clone();
                let up = Some(std::thread::spawn(move || cluster.up(node)));
                self.broker = Some(BrokerAway { node, up });
            }
        }
        Ok(())
    }

    fn await_broker(&mut self) {
        let is_up = |away: &mut BrokerAway| away.up.as_ref().is_some_and(JoinHandle::is_finished);
        if let Some(BrokerAway { node, up: Some(up) }) = self.broker.take_if(is_up) {
            if let Err(why) = up.join().unwrap_or_else(|_| Err("panicked".to_owned())) {
                self.wrong.push(format!("node {node} did not come back: {why}"));
            }
            self.broker_rests_until = Instant::now() + BROKER_REST;
        }
    }

    /// Looks for processes that have ended by themselves, and starts them anew
    /// as a supervisor would.
    fn look(&mut self, fleet: &mut Fleet) {
        let (instances, zombies) = fleet.ended();
        for ended in instances {
            let how = format!("instance {} ended with {}", ended.instance, ended.status);
            self.tell(&how);
            // Brokers end the transaction of a process that gives no sign of
            // life; going on later it is told that its time is over.
            if ended.is_fenced() {
                *self.fenced.entry("given up by the brokers".to_owned()).or_default() += 1;
            } else {
                self.wrong.push(format!("{how}\n{}", ended.log));
            }
            self.then(Duration::from_millis(500), After::Start(ended.instance));
        }
        for ended in zombies {
            self.tell(&format!("the zombie {} ended with {}", ended.instance, ended.status));
            *self.fenced.entry("usurped".to_owned()).or_default() += 1;
            if ended.status.success() || !ended.is_fenced() {
                let Ended { instance, status, log } = &ended;
                self.wrong.push(format!("zombie {instance} ended with {status}\n{log}"));
            }
        }
        if fleet.zombies() == 0 {
            self.zombies_since = None;
        } else if self.zombies_since.is_some_and(|since| since.elapsed() > ZOMBIE_MAX) {
            self.wrong.push("a zombie went on for a minute".to_owned());
            self.zombies_since = None;
        }
    }

    /// A line on standard error, where lines are wanted.
    pub fn tell(&self, what: &str) {
        if self.plan.is_told {
            let seconds = self.begun.elapsed().as_secs_f64();
            let _ = writeln!(std::io::stderr(), "{seconds:8.2} s  {what}");
        }
    }
}

/// The script of a plan, or its faults in any order.
fn deck(plan: &Plan, random: &mut Random) -> Vec<Fault> {
    if !plan.script.is_empty() {
        return plan.script.to_vec();
    }
    let Counts { kills, stops, freezes, usurps, rescales, broker_kills, unmarked } = plan.faults;
    let mut deck = Vec::new();
    for (fault, count) in [
        (Fault::Kill, kills),
        (Fault::Stop, stops),
        (Fault::Freeze, freezes),
        (Fault::Usurp, usurps),
        (Fault::Rescale, rescales),
        (Fault::KillBroker, broker_kills),
        (Fault::UnmarkSummaries, unmarked),
        (Fault::UnmarkBreaches, unmarked),
        (Fault::UnmarkIncidents, unmarked),
    ] {
        deck.extend((0..count).map(|_| fault));
    }
    random.shuffle(&mut deck);
    if plan.partitions_later > plan.partitions {
        deck.insert(deck.len() / 2, Fault::Grow);
    }
    deck
}

/// The wall clock, in microseconds since 1970.
pub fn now_us() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
