//! What a simulated run consists of. All of it is data: the same plan gives
//! the same run, and a part that is left out gives a smaller one.

mod show;

use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::oracle::{Event, Expectation};

/// A whole run: who is there, what arrives, and in which order things happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where it came from.
    pub seed: u64,
    /// What the deployment looks like.
    pub deployment: Deployment,
    /// What is watched.
    pub features: Vec<Feature>,
    /// Telemetry, in order of arrival.
    pub arrivals: Vec<Arrival>,
    /// What people do, in order of time.
    pub answers: Vec<Answer>,
    /// Turns, passing time and faults, in order.
    pub schedule: Vec<Action>,
}

/// What the deployment looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// When the run begins.
    pub from: Timestamp,
    /// Partitions of each source topic at the beginning.
    pub sources: Vec<i32>,
    /// Partitions of the summaries topic.
    pub summaries: i32,
    /// Partitions of the incidents and of the escalations topic.
    pub incidents: i32,
    /// The stages of each instance.
    pub instances: Vec<Vec<Stage>>,
    /// How event time is cut.
    pub time: TimeSettings,
    /// Time between commits of the summarise stage.
    pub commit_interval: TimeSpan,
    /// Bytes of batches from one snapshot to the next; `None` keeps none.
    pub snapshot_bytes: Option<u64>,
    /// What may be late.
    pub disorder: Disorder,
    /// What the policy says.
    pub ladder: Ladder,
}

/// How far events may be out of order, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disorder {
    /// Within `out_of_orderness`, and no partition is ever idle: nothing may be
    /// late, however long a partition is away.
    None,
    /// So far, and delays so short, that nothing may be later than
    /// `allowed_lateness`.
    Bounded,
    /// Events may come too late for their windows.
    Unbounded,
}

/// The policy of all incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// How long breaches are held.
    pub group_wait: TimeSpan,
    /// Each step: who is notified by role, and the times to acknowledge and to remediate.
    pub steps: Vec<Rung>,
    /// Climbs.
    pub loops: u32,
    /// How long an acknowledgement holds.
    pub ack_timeout: Option<TimeSpan>,
    /// How long after its end an incident is reopened.
    pub reopen_within: TimeSpan,
    /// How often an exhausted incident repeats itself.
    pub repeat_interval: TimeSpan,
}

/// One step of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Its name.
    pub name: String,
    /// `primary` or `backup`.
    pub role: &'static str,
    /// Time to acknowledge.
    pub acknowledge_within: TimeSpan,
    /// Time to remediate.
    pub remediate_within: Option<TimeSpan>,
}

/// A stage of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Telemetry to summaries.
    Summarise,
    /// Summaries to windows and breaches.
    Evaluate,
    /// Breaches to incidents.
    Escalate,
}

impl Stage {
    /// In the order of the flow.
    pub const ALL: [Self; 3] = [Self::Summarise, Self::Evaluate, Self::Escalate];

    /// The consumer group of the stage.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Summarise => "summarise",
            Self::Evaluate => "evaluate",
            Self::Escalate => "escalate",
        }
    }
}

/// How a feature's charter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charter {
    /// There is none.
    None,
    /// It names the feature.
    Named,
    /// A pattern matches the feature.
    Pattern,
}

/// A watched feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// How its charter is written.
    pub charter: Charter,
    /// True where its charter says `deduplicate`.
    pub deduplicates: bool,
    /// What its charter expects.
    pub expectations: Vec<Expectation>,
    /// Who answers for it, a user without its type.
    pub primary: &'static str,
}

/// A record of telemetry.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// When the log takes it.
    pub at: Timestamp,
    /// The number of its topic.
    pub topic: usize,
    /// Its partition, where the topic has so many; else the rest of a division.
    pub partition: i32,
    /// What it holds.
    pub record: Record,
}

/// What a record of telemetry holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// One event, or several in the batch form that share all but name and value.
    Events(Vec<Event>),
    /// Bytes that are no telemetry.
    Malformed(&'static str),
}

/// Somebody's answer to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it is given.
    pub at: Timestamp,
    /// Who gives it, a user without its type.
    pub by: &'static str,
    /// The command's name.
    pub command: &'static str,
    /// The feature that is the incident's root.
    pub feature: String,
}

/// Something that happens in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes, and telemetry arrives.
    Pass(TimeSpan),
    /// A stage of an instance takes one turn, if it is up.
    Turn(usize, Stage),
    /// Something goes wrong.
    Fault(Fault),
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// All sessions of the instance end without a word. It begins anew after
    /// that time; where it lingers, its partitions have no owner until then.
    Crash {
        /// Which instance.
        instance: usize,
        /// How long it is away.
        down: TimeSpan,
        /// True where the group does not notice before.
        lingers: bool,
    },
    /// The instance ends in good order.
    Leave {
        /// Which instance.
        instance: usize,
        /// How long it is away.
        down: TimeSpan,
    },
    /// The next commit of the stage does not come to its end.
    Break {
        /// Which instance.
        instance: usize,
        /// Which of its stages.
        stage: Stage,
        /// How.
        how: Breakage,
    },
    /// The next commit of anybody is aborted.
    Abort,
    /// The stage's session cannot commit any more.
    Fence {
        /// Which instance.
        instance: usize,
        /// Which of its stages.
        stage: Stage,
    },
    /// The instance stands still, loses its place, and goes on as if it had it.
    Freeze {
        /// Which instance.
        instance: usize,
        /// How long.
        span: TimeSpan,
    },
    /// Partitions of a stage's group change hands.
    Rebalance(Stage),
    /// The log answers nobody.
    Outage(TimeSpan),
    /// A partition delivers nothing.
    Hold {
        /// Which topic.
        topic: HeldTopic,
        /// Which of its partitions, where it has so many; else the rest of a division.
        partition: i32,
        /// How long.
        span: TimeSpan,
    },
    /// A source topic gets one more partition.
    Grow(usize),
    /// The clock of the instance is so far ahead from now on, or behind.
    Skew {
        /// Which instance.
        instance: usize,
        /// How far.
        by: TimeSpan,
    },
    /// Polls hand over so many records at most from now on.
    Dribble(usize),
    /// Something happens to the snapshots of an instance.
    Snapshots {
        /// Which instance.
        instance: usize,
        /// What.
        what: SnapshotFault,
    },
}

/// What can happen to the snapshots of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFault {
    /// They are gone.
    Lost,
    /// A copy is made.
    SetAside,
    /// The copy comes back.
    PutBack,
    /// A bit is flipped, of the byte with this number counted around.
    Altered(usize),
    /// The next use fails as a full disk does.
    Fails,
}

/// How a commit does not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// The instance dies before the commit takes effect.
    DiesBefore,
    /// The commit takes effect and the instance dies before it hears of it.
    DiesAfter,
    /// The commit takes effect and the answer is lost.
    AnswerLost,
    /// The commit takes no effect and there is no answer.
    RequestLost,
}

/// A topic of which deliveries can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldTopic {
    /// A source topic by its number.
    Source(usize),
    /// Summaries.
    Summaries,
    /// Windows.
    Windows,
    /// Breaches.
    Breaches,
    /// Responses.
    Responses,
}

impl Fault {
    /// The name by which faults are counted.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Leave { .. } => "leave",
            Self::Break { how: Breakage::DiesBefore, .. } => "crash before a commit",
            Self::Break { how: Breakage::DiesAfter, .. } => "crash after a commit",
            Self::Break { how: Breakage::AnswerLost, .. } => "answer to a commit lost",
            Self::Break { how: Breakage::RequestLost, .. } => "request to commit lost",
            Self::Abort => "abort",
            Self::Fence { .. } => "fence",
            Self::Freeze { .. } => "freeze",
            Self::Rebalance(_) => "rebalance",
            Self::Outage(_) => "outage",
            Self::Hold { .. } => "hold",
            Self::Grow(_) => "partition added",
            Self::Skew { .. } => "clock skew",
            Self::Dribble(_) => "dribble",
            Self::Snapshots { what: SnapshotFault::Lost, .. } => "snapshots lost",
            Self::Snapshots { what: SnapshotFault::SetAside, .. } => "snapshots copied",
            Self::Snapshots { what: SnapshotFault::PutBack, .. } => "old snapshots put back",
            Self::Snapshots { what: SnapshotFault::Altered(_), .. } => "snapshot altered",
            Self::Snapshots { what: SnapshotFault::Fails, .. } => "snapshot store fails",
        }
    }
}

impl Plan {
    /// How many faults there are.
    pub fn fault_count(&self) -> usize {
        self.schedule.iter().filter(|action| matches!(action, Action::Fault(_))).count()
    }

    /// The longest window of any feature; without a charter it is an hour.
    pub fn longest_window(&self) -> TimeSpan {
        let events = self.arrivals.iter().filter_map(|arrival| match &arrival.record {
            Record::Events(events) => Some(events),
            Record::Malformed(_) => None,
        });
        let has_charter = |event: &Event| {
            let of = |one: &Feature| one.name == event.feature && one.charter != Charter::None;
            self.features.iter().any(of)
        };
        if !events.flatten().all(has_charter) {
            return TimeSpan::HOUR;
        }
        let expectations = self.features.iter().flat_map(|feature| &feature.expectations);
        expectations.map(|one| one.shape.longest()).max().unwrap_or(TimeSpan::ZERO)
    }

    /// How many events there are, malformed records counted as one.
    pub fn event_count(&self) -> usize {
        let count = |arrival: &Arrival| match &arrival.record {
            Record::Events(events) => events.len(),
            Record::Malformed(_) => 1,
        };
        self.arrivals.iter().map(count).sum()
    }
}
