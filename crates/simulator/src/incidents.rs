//! Deterministic simulation of incidents: the escalate stage alone, over the
//! in-memory log, with policies, breaches, windows and commands from a seed.
//!
//! The simulation of the whole pipeline ([`crate::simulation`]) holds
//! incidents to one policy that it works out anew. This one draws whole
//! policies and holds incidents to what is so under all of them
//! ([`duties`]): each deadline is answered once, nothing fires before its
//! time, nobody is paged for what is over, no breach, command or page is lost
//! and none doubled. It is small enough that a run can be repeated with a
//! crash in every commit, one after the other; whatever follows from the
//! crash, the facts must be those of the run without it, to the byte.
//!
//! How to run it: `docs/simulation.md`.

pub mod duties;
mod make;
pub mod plan;
mod run;
mod shrink;
mod world;

pub use self::plan::Plan;
pub use self::run::{Report, run, run_sabotaged, run_with_a_crash};
pub use self::shrink::{Shrunk, shrink};

use watchkeep_model::time::TimeSpan;

use crate::simulation::{Breakage, Violation};

/// How often a run was repeated with a crash, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crashes {
    /// Runs, each with one crash.
    pub runs: u64,
    /// What must not be so, where there is such a thing, with the commit and
    /// how it broke.
    pub violation: Option<(u64, Breakage, Violation)>,
}

/// How a commit can break.
const BREAKAGES: [Breakage; 4] =
    [Breakage::DiesBefore, Breakage::DiesAfter, Breakage::AnswerLost, Breakage::RequestLost];

/// Repeats the run of a plan without its faults, each time with one commit
/// that breaks, in every way that there is: those that write facts or, where
/// `all`, also those that only move positions.
///
/// # Errors
/// The violation of the run without a crash.
pub fn crash_everywhere(plan: &Plan, all: bool) -> Result<Crashes, Violation> {
    let plan = Plan { faults: Vec::new(), slack: TimeSpan::ZERO, ..plan.clone() };
    let whole = run(&plan);
    if let Some(violation) = whole.violation {
        return Err(violation);
    }
    let mut crashes = Crashes::default();
    let commits = (0..whole.commits).filter(|commit| all || whole.decisive.contains(commit));
    for commit in commits {
        for how in BREAKAGES {
            crashes.runs += 1;
            let broken = run_with_a_crash(&plan, commit, how);
            let violation = broken.violation.clone().or_else(|| differs(&whole, &broken));
            if let Some(violation) = violation {
                crashes.violation = Some((commit, how, violation));
                return Ok(crashes);
            }
        }
    }
    Ok(crashes)
}

/// A crash may change nothing.
fn differs(whole: &Report, broken: &Report) -> Option<Violation> {
    let at = whole.lines.iter().zip(&broken.lines).position(|(a, b)| a != b);
    let at = match at {
        Some(at) => at,
        None if whole.lines.len() == broken.lines.len() => return None,
        None => whole.lines.len().min(broken.lines.len()),
    };
    let line = |report: &Report| report.lines.get(at).cloned().unwrap_or_default();
    Some(Violation::new(
        "facts are those of a run without the crash",
        format!("{} was to come, not {}", line(whole), line(broken)),
    ))
}
