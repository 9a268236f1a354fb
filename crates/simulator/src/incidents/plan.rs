//! What a simulated run of incidents consists of. All of it is data: the same
//! plan gives the same run.

use std::fmt;

use watchkeep_model::breach::Breach;
use watchkeep_model::response::Response;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Window;

use super::duties::Terms;
use crate::simulation::Breakage;

/// A whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where it came from.
    pub seed: u64,
    /// When the clock begins.
    pub from: Timestamp,
    /// Charters, the policy and people, as a file has them.
    pub documents: String,
    /// Partitions of the incidents and of the escalations topic.
    pub partitions: i32,
    /// What arrives, in order of time.
    pub inputs: Vec<Input>,
    /// What goes wrong, in order of time.
    pub faults: Vec<(Timestamp, Fault)>,
    /// How long at most a turn comes after it could have done something.
    pub slack: TimeSpan,
    /// How long the clock runs on after the last input.
    pub run_on: TimeSpan,
    /// Instances of the stage: one decides, another stands by.
    pub instances: usize,
    /// What takes pages, where it is told what became of them.
    pub sinks: Option<Sinks>,
    /// What is so beyond what facts tell.
    pub terms: Terms,
}

/// What takes pages, and reports each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sinks {
    /// How long a report takes.
    pub delay: TimeSpan,
    /// Tools that take no page from an instant on until another.
    pub dead: Vec<(String, Timestamp, Timestamp)>,
    /// True where pages wait until they are reported, and are dropped if nobody
    /// is to get them by then.
    pub drops: bool,
}

/// A record of one of the stage's topics.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// When the log takes it.
    pub at: Timestamp,
    /// What it is.
    pub what: What,
}

/// What arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A line of a breach.
    Breach(Box<Breach>),
    /// A judged window.
    Window(Box<Window>),
    /// A command. A merger names `into` by a number: the incident that opened as
    /// that many-th, as far as so many have.
    Response(Box<Response>),
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9; the instance is away for so long.
    Crash(usize, TimeSpan),
    /// The next commit does not come to its end.
    Break(Breakage),
    /// The next commit is aborted.
    Abort,
    /// The instance's session cannot commit any more.
    Fence(usize),
    /// Partitions are revoked and assigned anew.
    Rebalance,
    /// The log answers nothing.
    Outage(TimeSpan),
    /// Breaches, windows or commands are delivered later.
    Hold(Held, TimeSpan),
    /// The instance's clock is so far ahead from now on, or behind.
    Skew(usize, TimeSpan),
    /// Polls hand over so many records at most from now on.
    Dribble(usize),
}

/// A topic of which deliveries can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Breaches.
    Breaches,
    /// Windows.
    Windows,
    /// Commands.
    Responses,
}

impl Fault {
    /// The name by which faults are counted.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Crash(..) => "crash",
            Self::Break(Breakage::DiesBefore) => "crash before a commit",
            Self::Break(Breakage::DiesAfter) => "crash after a commit",
            Self::Break(Breakage::AnswerLost) => "answer to a commit lost",
            Self::Break(Breakage::RequestLost) => "request to commit lost",
            Self::Abort => "abort",
            Self::Fence(_) => "fence",
            Self::Rebalance => "rebalance",
            Self::Outage(_) => "outage",
            Self::Hold(..) => "hold",
            Self::Skew(..) => "clock skew",
            Self::Dribble(_) => "dribble",
        }
    }
}

impl fmt::Display for Plan {
    /// The whole plan but for good windows, for reading a failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, from {}, {} instances, {} partitions, turns late by up to {}{}\n{}",
            self.seed,
            self.from,
            self.instances,
            self.partitions,
            self.slack,
            if self.terms.is_drill { ", an exercise" } else { "" },
            self.documents
        )?;
        for Input { at, what } in &self.inputs {
            match what {
                What::Breach(breach) => writeln!(
                    f,
                    "{at} breach {} {} {} {} {} {}",
                    breach.breach_id,
                    breach.transition.name(),
                    breach.feature,
                    breach.expectation,
                    breach.severity.name(),
                    breach.window_end
                )?,
                What::Response(response) => {
                    writeln!(f, "{at} {} {:?} {response:?}", response.by, response.command)?;
                }
                What::Window(_) => {}
            }
        }
        if let Some(Sinks { delay, dead, drops }) = &self.sinks {
            let drops = if *drops { ", dropped where nobody is to get them" } else { "" };
            writeln!(f, "reports of pages after {delay}{drops}")?;
            for (tool, from, until) in dead {
                writeln!(f, "{from} no sink of {tool} until {until}")?;
            }
        }
        for (at, fault) in &self.faults {
            writeln!(f, "{at} FAULT {fault:?}")?;
        }
        Ok(())
    }
}
