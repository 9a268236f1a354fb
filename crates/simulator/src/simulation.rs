//! Deterministic simulation: the whole pipeline in one thread over the
//! in-memory log, with faults from a plan and a check after every action.
//!
//! A [`Plan`] is data, made from a seed. [`run`] carries it out: instances take
//! turns, time passes, telemetry arrives, things go wrong; after each action the
//! log is looked at, and at the end what it holds is compared with an oracle
//! that knows only the events. The same plan gives the same run to the byte,
//! told by [`Report::digest`]; a plan that fails is made smaller by [`shrink`].
//!
//! How to run it and how to read a failure: `docs/simulation.md`.

mod anchors;
mod compare;
mod documents;
mod incidents;
mod make;
pub mod oracle;
pub mod plan;
mod session;
mod shrink;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use watchkeep_model::time::TimeSpan;

pub use self::plan::Breakage;
pub use self::plan::Plan;
pub use self::session::Sabotage;
pub(crate) use self::session::Session;
pub use self::shrink::{Shrunk, shrink};

use self::plan::{Action, Stage};
use self::watch::Watch;
use self::world::World;

/// Rounds of turns in which everything must have been read once nothing is
/// wrong any more. A commit interval, an idle partition and a restart all fit.
const SETTLING_ROUNDS_MAX: usize = 150;

/// Time between two such rounds.
const SETTLING_PAUSE: TimeSpan = TimeSpan::from_micros(2_000_000);

/// Something that must never be so, and is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What must hold, in a few words; the same for failures of one kind.
    pub invariant: &'static str,
    /// What was found.
    pub detail: String,
    /// After which action of the plan; none after the last.
    pub action: Option<usize>,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into(), action: None }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.invariant)?;
        match self.action {
            Some(action) => write!(f, "after action {action}")?,
            None => write!(f, "at the end")?,
        }
        write!(f, "): {}", self.detail)
    }
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// A hash of every action, its outcome and every byte that was written.
    pub digest: u64,
    /// Faults that were injected, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Events that were sent.
    pub events: u64,
    /// Windows, revisions included.
    pub windows: u64,
    /// Lines about breaches.
    pub breaches: u64,
    /// Incidents.
    pub incidents: u64,
    /// What must not be so, where there is such a thing.
    pub violation: Option<Violation>,
}

/// FNV-1a, 64 bits: written down, so that a digest means the same tomorrow.
#[derive(Clone, Copy, Debug)]
struct Digest(u64);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Carries a plan out, up to the first violation.
pub fn run(plan: &Plan, sabotage: Sabotage) -> Report {
    let mut run = Run {
        plan,
        world: World::new(plan, sabotage),
        watch: Watch::new(plan),
        digest: Digest(0xcbf2_9ce4_8422_2325),
        faults: BTreeMap::new(),
    };
    let violation = run.all().err();
    Report {
        digest: run.digest.0,
        faults: run.faults,
        events: run.world.events.len() as u64,
        windows: run.watch.windows.values().map(|revisions| revisions.len() as u64).sum(),
        breaches: run.watch.breach_lines.len() as u64,
        incidents: run.watch.incidents.count() as u64,
        violation,
    }
}

struct Run<'p> {
    plan: &'p Plan,
    world: World<'p>,
    watch: Watch,
    digest: Digest,
    faults: BTreeMap<&'static str, u64>,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), Violation> {
        for (number, action) in self.plan.schedule.iter().enumerate() {
            self.act(action)
                .map_err(|violation| Violation { action: Some(number), ..violation })?;
        }
        self.end()
    }

    fn act(&mut self, action: &Action) -> Result<(), Violation> {
        let outcome = match action {
            Action::Pass(span) => {
                self.world.pass(*span);
                String::new()
            }
            Action::Turn(instance, stage) => {
                let turn = self.world.turn(*instance, *stage);
                turn.map_err(|error| Violation::new("no stage stops", error.to_string()))?
            }
            Action::Fault(fault) => {
                *self.faults.entry(fault.name()).or_default() += 1;
                self.world.fault(fault);
                String::new()
            }
        };
        self.digest.add(format!("{action:?} {outcome}").as_bytes());
        self.watch.look(&self.world, &mut self.digest)
    }

    /// Mends everything, has everything read, moves the watermark past every
    /// window and every revision, and compares.
    fn end(&mut self) -> Result<(), Violation> {
        self.world.heal();
        self.settle()?;
        let rest = self.world.last_sent_at().since(self.world.now);
        self.act(&Action::Pass(rest))?;
        self.settle()?;
        // Windows with events close at the first tick; what is gathering and
        // what came too late is written by the second at the latest.
        let longest = self.plan.longest_window();
        let newest = self.world.events.iter().map(|event| event.time).max();
        let ahead =
            newest.map_or(TimeSpan::ZERO, |at| at.since(self.world.now)).max(TimeSpan::ZERO);
        for span in [ahead + longest + TimeSpan::MINUTE.times(2), TimeSpan::MINUTE.times(12)] {
            self.act(&Action::Pass(span))?;
            // What was due in the meantime is done before anything new comes.
            self.settle()?;
            self.world.tick();
            self.settle()?;
        }
        // The last breaches have been held for long enough, too.
        self.act(&Action::Pass(self.plan.deployment.ladder.group_wait.max(TimeSpan::MINUTE)))?;
        self.settle()?;
        let watermark = self.world.ticked_at - self.plan.deployment.time.out_of_orderness;
        compare::final_facts(self.plan, &self.world, &self.watch, watermark)
    }

    /// Turns of everybody until all is read.
    fn settle(&mut self) -> Result<(), Violation> {
        let mut quiet = 0;
        for _ in 0..SETTLING_ROUNDS_MAX {
            self.act(&Action::Pass(SETTLING_PAUSE))?;
            for stage in Stage::ALL {
                for (number, stages) in self.plan.deployment.instances.iter().enumerate() {
                    if stages.contains(&stage) {
                        self.act(&Action::Turn(number, stage))?;
                    }
                }
            }
            // A last look at everything by everybody.
            quiet = if self.world.unread().is_none() { quiet + 1 } else { 0 };
            if quiet > 2 {
                return Ok(());
            }
        }
        let unread = self.world.unread();
        Err(Violation::new("everything is read in the end", format!("unread: {unread:?}")))
    }
}
