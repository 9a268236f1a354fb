//! A failing plan made smaller: whatever can be left out and still fails in
//! the same way is left out.
//!
//! Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
//! input", IEEE Transactions on Software Engineering 28, 2002 (delta debugging),
//! applied to one part of the plan after the other.

use super::plan::{Action, Charter, Fault, Plan, Stage};
use super::{Sabotage, Violation, run};

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

/// Makes a failing plan smaller, in at most `runs_max` runs. `None` where it
/// does not fail.
pub fn shrink(plan: &Plan, sabotage: Sabotage, runs_max: usize) -> Option<Shrunk> {
    let violation = run(plan, sabotage).violation?;
    let mut search = Search {
        sabotage,
        runs_left: runs_max,
        best: Shrunk { plan: plan.clone(), violation, runs: 1 },
    };
    search.cut_the_end();
    search.fewer_instances();
    // Coarsely first: most of a plan has nothing to do with the failure, and
    // what is left out at once makes every further run shorter.
    for pieces in [4, 16, usize::MAX] {
        loop {
            let before = search.size();
            search.list(pieces, |plan| &mut plan.schedule, |action| !is_pass(action));
            search.fewer_passes();
            search.list(pieces, |plan| &mut plan.schedule, |_| true);
            search.list(pieces, |plan| &mut plan.arrivals, |_| true);
            search.list(pieces, |plan| &mut plan.schedule, is_fault);
            search.list(pieces, |plan| &mut plan.answers, |_| true);
            search.list(pieces, |plan| &mut plan.features, |_| true);
            search.cut_the_end();
            if search.size() == before || search.runs_left == 0 {
                break;
            }
        }
    }
    search.expectations();
    search.fewer_partitions();
    search.best.runs = runs_max - search.runs_left + 1;
    Some(search.best)
}

fn is_pass(action: &Action) -> bool {
    matches!(action, Action::Pass(_))
}

fn is_fault(action: &Action) -> bool {
    matches!(action, Action::Fault(_))
}

struct Search {
    sabotage: Sabotage,
    runs_left: usize,
    best: Shrunk,
}

impl Search {
    fn size(&self) -> usize {
        let Plan { deployment, features, arrivals, answers, schedule, .. } = &self.best.plan;
        let expectations: usize = features.iter().map(|feature| feature.expectations.len()).sum();
        let partitions = deployment.sources.iter().sum::<i32>() + deployment.summaries;
        let parts = [features.len(), expectations, arrivals.len(), answers.len(), schedule.len()];
        parts.iter().sum::<usize>()
            + deployment.instances.len()
            + usize::try_from(partitions).unwrap_or(0)
    }

    /// Takes a smaller plan if it fails in the same way.
    fn take(&mut self, plan: Plan) -> bool {
        // A charter without expectations would have other windows.
        let is_sound = plan
            .features
            .iter()
            .all(|feature| feature.charter == Charter::None || !feature.expectations.is_empty());
        if self.runs_left == 0 || !is_sound {
            return false;
        }
        self.runs_left -= 1;
        match run(&plan, self.sabotage).violation {
            Some(violation) if violation.invariant == self.best.violation.invariant => {
                self.best = Shrunk { plan, violation, runs: 0 };
                true
            }
            _ => false,
        }
    }

    /// Nothing after the action that failed matters.
    fn cut_the_end(&mut self) {
        let Some(action) = self.best.violation.action else { return };
        if action + 1 < self.best.plan.schedule.len() {
            let mut plan = self.best.plan.clone();
            plan.schedule.truncate(action + 1);
            self.take(plan);
        }
    }

    /// Time that passes without anything else passes at once.
    fn fewer_passes(&mut self) {
        let mut plan = self.best.plan.clone();
        plan.schedule.dedup_by(|next, before| match (next, before) {
            (Action::Pass(next), Action::Pass(before)) => {
                *before = *before + *next;
                true
            }
            _ => false,
        });
        if plan.schedule.len() < self.best.plan.schedule.len() {
            self.take(plan);
        }
    }

    /// Leaves out ever smaller runs of the elements that `may` names, down to
    /// one of so many pieces.
    fn list<T: Clone>(
        &mut self,
        pieces: usize,
        of: impl Fn(&mut Plan) -> &mut Vec<T>,
        may: impl Fn(&T) -> bool,
    ) {
        let count = |plan: &mut Plan| of(plan).iter().filter(|one| may(one)).count();
        let all = count(&mut self.best.plan);
        let smallest = (all / pieces).max(1);
        let mut size = all.div_ceil(2);
        while size >= smallest {
            let mut from = 0;
            while from < count(&mut self.best.plan) && self.runs_left > 0 {
                let mut plan = self.best.plan.clone();
                let mut number = 0;
                of(&mut plan).retain(|one| {
                    number += usize::from(may(one));
                    let inside = (from + 1..=from + size).contains(&number);
                    !(may(one) && inside)
                });
                if !self.take(plan) {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn expectations(&mut self) {
        for feature in 0..self.best.plan.features.len() {
            self.list(usize::MAX, |plan| &mut plan.features[feature].expectations, |_| true);
        }
    }

    /// One instance that runs all stages.
    fn fewer_instances(&mut self) {
        if self.best.plan.deployment.instances.len() == 1 {
            return;
        }
        let mut plan = self.best.plan.clone();
        plan.deployment.instances = vec![Stage::ALL.to_vec()];
        for action in &mut plan.schedule {
            match action {
                Action::Turn(instance, _)
                | Action::Fault(
                    Fault::Crash { instance, .. }
                    | Fault::Leave { instance, .. }
                    | Fault::Break { instance, .. }
                    | Fault::Fence { instance, .. }
                    | Fault::Freeze { instance, .. }
                    | Fault::Skew { instance, .. }
                    | Fault::Snapshots { instance, .. },
                ) => *instance = 0,
                _ => {}
            }
        }
        self.take(plan);
    }

    fn fewer_partitions(&mut self) {
        let mut plan = self.best.plan.clone();
        (plan.deployment.summaries, plan.deployment.incidents) = (1, 1);
        if plan != self.best.plan {
            self.take(plan);
        }
        for topic in 0..self.best.plan.deployment.sources.len() {
            while self.best.plan.deployment.sources[topic] > 1 {
                let mut plan = self.best.plan.clone();
                plan.deployment.sources[topic] -= 1;
                if !self.take(plan) {
                    break;
                }
            }
        }
    }
}
