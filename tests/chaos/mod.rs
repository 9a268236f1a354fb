//! Real faults on real Kafka: instances of the real binary are killed, paused,
//! usurped and restarted, brokers are killed, partitions are added, while known
//! events come in at a steady rate. Afterwards everything that was published
//! is read as any consumer would and held against what the telemetry topic holds.
//!
//! A run is one [`Plan`]; its [`Outcome`] says what was done and what is wrong.
//! The seed decides which faults come in which order with which pauses; the
//! moments at which they hit the processes are the machine's.

pub mod audit;
pub mod deployment;
pub mod disk;
pub mod embedded;
pub mod facts;
pub mod faults;
pub mod fleet;
pub mod ledger;
pub mod process;
pub mod random;
pub mod recovery;
pub mod run;
mod settle;
pub mod timers;
pub mod traffic;
pub mod truth;

use std::time::Duration;

pub use self::run::{Outcome, run};

/// Event time of the first event: long past, so that no event is ahead of the
/// broker's clock, and a whole hour, so that windows begin with it.
pub const BEGIN_US: i64 = 1_736_150_400_000_000;

/// Length of the windows that are judged, in microseconds of event time.
pub const WINDOW_US: i64 = 10_000_000;

/// How far events may be out of order without being late, in microseconds.
pub const OUT_OF_ORDERNESS_US: i64 = 2_000_000;

/// How long a closed window takes late events, in microseconds.
pub const LATENESS_US: i64 = 30_000_000;

/// Features that events are spread over. One more has a charter and no event.
pub const FEATURES: u64 = 20;

/// Time without a sign of life after which the group gives an instance up.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// An answer is awaited for longer than any run takes.
pub const NO_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What one run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides the faults, their order and pauses, and the events.
    pub seed: u64,
    /// Kafka nodes: 1, or 3 with replication 3 and at least 2 in sync.
    pub nodes: u16,
    /// Instances that run at the beginning.
    pub instances: u16,
    /// Partitions of the telemetry topic at the beginning.
    pub partitions: i32,
    /// Partitions that the telemetry topic gets in the middle of the run; as
    /// many as at the beginning for none.
    pub partitions_later: i32,
    /// Events a second.
    pub rate: u64,
    /// Event time that passes in a second.
    pub speed: u64,
    /// At least so many events; the traffic goes on until the last fault is over.
    pub events: u64,
    /// What is done to instances and brokers.
    pub faults: faults::Counts,
    /// Faults that come in this order instead of those that are counted.
    pub script: &'static [faults::Fault],
    /// Pause between two faults, from and to.
    pub gap: (Duration, Duration),
    /// How long a killed broker stays away, from and to.
    pub broker_away: (Duration, Duration),
    /// Time between the stages' commits.
    pub commit_interval: Duration,
    /// How long the first step of the policy waits for an answer.
    pub acknowledge_within: Duration,
    /// Whether to tell what happens on standard error.
    pub is_told: bool,
}

impl Plan {
    /// Events of the windows that are not quiet, per feature and window; a
    /// window with fewer than a bit more than half of it is bad.
    pub fn events_per_window(&self) -> u64 {
        let window_us = WINDOW_US.unsigned_abs();
        self.rate * window_us / (self.speed * 1_000_000 * FEATURES)
    }

    /// The bound of the volume expectation.
    pub fn volume_below(&self) -> u64 {
        self.events_per_window() * 6 / 10
    }
}
