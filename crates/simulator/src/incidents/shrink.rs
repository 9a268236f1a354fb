//! A failing plan made smaller, as [`crate::simulation::shrink`] does it:
//! whatever can be left out and still fails in the same way is left out.
//!
//! Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
//! input", IEEE Transactions on Software Engineering 28, 2002 (delta debugging).

use std::collections::BTreeSet;
use std::ops::Range;

use watchkeep_model::time::TimeSpan;

use super::plan::{Input, Plan, What};
use super::run::run_sabotaged;
use super::world::rules;
use crate::simulation::{Sabotage, Violation};

/// A small plan that fails as the large one did.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// It.
    pub plan: Plan,
    /// How it fails.
    pub violation: Violation,
    /// Runs that it took.
    pub runs: usize,
}

/// How lines of documents begin that a policy or a charter can do without.
const LINES: [&str; 12] = [
    "hours:",
    "ack_timeout:",
    "review:",
    "verification:",
    "limits:",
    "damping:",
    "rollback:",
    "independence:",
    "freeze:",
    "upstream:",
    "  - {name: second",
    "  - {name: third",
];

/// Makes a failing plan smaller, in at most `runs_max` runs. `None` where it
/// does not fail.
pub fn shrink(plan: &Plan, sabotage: Sabotage, runs_max: usize) -> Option<Shrunk> {
    let violation = run_sabotaged(plan, sabotage).violation?;
    let best = Shrunk { plan: plan.clone(), violation, runs: 1 };
    let mut search = Search { sabotage, runs_left: runs_max, best };
    search.simpler(|plan| plan.instances = 1);
    search.simpler(|plan| plan.partitions = 1);
    search.simpler(|plan| plan.slack = TimeSpan::ZERO);
    search.simpler(|plan| plan.terms.is_drill = false);
    search.simpler(|plan| plan.sinks = None);
    search.simpler(|plan| plan.sinks.iter_mut().for_each(|sinks| sinks.dead.clear()));
    search.simpler(|plan| plan.sinks.iter_mut().for_each(|sinks| sinks.drops = false));
    // Coarsely first: most of a plan has nothing to do with the failure.
    for pieces in [4, 16, usize::MAX] {
        loop {
            let before = search.size();
            search.parts(pieces, |plan| plan.faults.len(), without_faults);
            search.parts(pieces, |plan| units(plan).len(), without_units);
            if search.size() == before || search.runs_left == 0 {
                break;
            }
        }
    }
    search.parts(usize::MAX, |plan| lines(plan).len(), without_lines);
    search.best.runs = runs_max - search.runs_left + 1;
    Some(search.best)
}

struct Search {
    sabotage: Sabotage,
    runs_left: usize,
    best: Shrunk,
}

impl Search {
    fn size(&self) -> usize {
        self.best.plan.inputs.len() + self.best.plan.faults.len()
    }

    /// Takes a smaller plan if it fails in the same way.
    fn take(&mut self, plan: Plan) -> bool {
        if self.runs_left == 0 || plan == self.best.plan || rules(&plan).is_err() {
            return false;
        }
        self.runs_left -= 1;
        match run_sabotaged(&plan, self.sabotage).violation {
            Some(violation) if violation.invariant == self.best.violation.invariant => {
                self.best = Shrunk { plan, violation, runs: 0 };
                true
            }
            _ => false,
        }
    }

    fn simpler(&mut self, change: impl Fn(&mut Plan)) {
        let mut plan = self.best.plan.clone();
        change(&mut plan);
        self.take(plan);
    }

    /// Leaves out ever smaller runs of the parts of which there are `count`,
    /// down to one of so many pieces.
    fn parts(
        &mut self,
        pieces: usize,
        count: impl Fn(&Plan) -> usize,
        without: impl Fn(&Plan, Range<usize>) -> Plan,
    ) {
        let all = count(&self.best.plan);
        let smallest = (all / pieces).max(1);
        let mut size = all.div_ceil(2);
        while size >= smallest {
            let mut from = 0;
            while from < count(&self.best.plan) && self.runs_left > 0 {
                let plan = without(&self.best.plan, from..from + size);
                if !self.take(plan) {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }
}

fn without_faults(plan: &Plan, range: Range<usize>) -> Plan {
    let mut plan = plan.clone();
    let end = range.end.min(plan.faults.len());
    plan.faults.drain(range.start..end);
    plan
}

/// What can be left out of the inputs only as a whole: a breach from its
/// opening to its end, the windows of a subject, a command.
fn unit(input: &Input) -> String {
    match &input.what {
        What::Breach(breach) => breach.breach_id.clone(),
        What::Window(window) => format!("windows of {}", window.feature),
        What::Response(response) => response.id(),
    }
}

/// All of them, in order of appearance.
fn units(plan: &Plan) -> Vec<String> {
    let mut known = BTreeSet::new();
    let all = plan.inputs.iter().map(unit);
    all.filter(|unit| known.insert(unit.clone())).collect()
}

fn without_units(plan: &Plan, range: Range<usize>) -> Plan {
    let all = units(plan);
    let gone: BTreeSet<&String> = all[range.start..range.end.min(all.len())].iter().collect();
    let mut plan = plan.clone();
    plan.inputs.retain(|input| !gone.contains(&unit(input)));
    plan
}

/// Numbers of the lines of the documents that may be left out.
fn lines(plan: &Plan) -> Vec<usize> {
    let may = |line: &str| LINES.iter().any(|start| line.starts_with(start));
    let all = plan.documents.lines().enumerate();
    all.filter(|(_, line)| may(line)).map(|(number, _)| number).collect()
}

/// What follows from the lines goes with them.
fn without_lines(plan: &Plan, range: Range<usize>) -> Plan {
    let all = lines(plan);
    let gone = &all[range.start..range.end.min(all.len())];
    let mut plan = plan.clone();
    let mut kept = String::new();
    for (number, line) in plan.documents.lines().enumerate() {
        if !gone.contains(&number) {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        match line.split(':').next() {
            Some("limits") => plan.terms.per_owner = None,
            Some("damping") => plan.terms.flap = None,
            Some("upstream") => plan.terms.upstream.clear(),
            _ => {}
        }
    }
    plan.documents = kept;
    plan
}
