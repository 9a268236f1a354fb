//! Seeded lies about an incident log: each alters a copy as somebody might who
//! can write to it, and the audit must find and name it.

mod lie;
pub mod log;

use watchkeep_audit::{Audit, Finding};

pub use lie::{Kind, Lie};

use self::log::Log;

/// What came of one lie.
#[derive(Debug)]
pub struct Outcome {
    /// What was done.
    pub lie: Lie,
    /// The first finding with the chains and rules alone.
    pub by_chains: Option<Finding>,
    /// The first finding with anchors that were kept elsewhere, too.
    pub by_anchors: Option<Finding>,
}

impl Outcome {
    /// Why this is not good enough; `None` where the lie is found and named.
    pub fn fault(&self) -> Option<String> {
        let Some(found) = &self.by_anchors else {
            return Some(format!("{:?} is not found", self.lie));
        };
        if self.by_chains.is_none() && !self.lie.kind.may_need_anchors() {
            return Some(format!("{:?} is found by anchors alone", self.lie));
        }
        let named = self.lie.is_named(found);
        (!named).then(|| format!("{:?} is named {found:?}", self.lie))
    }
}

/// Tells one lie and audits it.
pub fn attempt(log: &Log, seed: u64) -> Outcome {
    let lie = Lie::of(log, seed);
    let by_chains = first(&lie.lines, &[]);
    let by_anchors = first(&lie.lines, &log.anchors);
    Outcome { lie, by_chains, by_anchors }
}

/// The first finding of the audit of some lines; places are `log:NUMBER`.
pub fn first(lines: &[String], anchors: &[String]) -> Option<Finding> {
    let mut audit = Audit::new();
    for (number, anchor) in anchors.iter().enumerate() {
        audit.anchor(&format!("anchors:{}", number + 1), anchor);
    }
    if !anchors.is_empty() {
        audit.expect_all_anchored();
    }
    for (number, line) in lines.iter().enumerate() {
        audit.fact(&format!("log:{}", number + 1), line);
    }
    audit.finish().findings.into_iter().next()
}
