//! Which held breaches may belong together. What is due is placed with these
//! alone, so that a breach costs what is around it and not what else waits.
//!
//! Two breaches may share a root, or weigh in the same choice of roots, only
//! where something lies above both: the subject itself, or any node from which
//! edges lead to it, however long the way and however old the edges. Breaches
//! whose policies do not group by root may share an incident wherever they are.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::policy::GroupKey;
use watchkeep_model::subject::typed;

use super::Held;
use super::place::policy_of;
use crate::attribution::board::Board;
use crate::context::Context;
use crate::lineage::Node;

/// Nodes above one breach that are remembered. While one with more is held, any
/// may belong together with any other.
const ABOVE_MAX: usize = 10_000;

/// What lies above each held breach. Follows from the held breaches, the
/// lineage and the policies as they were when a breach was looked at first.
#[derive(Clone, Debug, Default)]
pub(super) struct Near {
    version: (Option<[u8; 32]>, usize),
    /// Held since the last look.
    new: BTreeSet<String>,
    above: BTreeMap<String, Vec<Node>>,
    below: BTreeMap<Node, BTreeSet<String>>,
    /// Those that may belong together with each other wherever they are.
    loose: BTreeSet<String>,
    /// Those with too much above them.
    wide: BTreeSet<String>,
}

impl Near {
    /// A breach is held.
    pub(super) fn add(&mut self, breach_id: &str) {
        self.new.insert(breach_id.to_owned());
    }

    /// A breach is not held any more.
    pub(super) fn remove(&mut self, breach_id: &str) {
        self.new.remove(breach_id);
        self.loose.remove(breach_id);
        self.wide.remove(breach_id);
        for node in self.above.remove(breach_id).unwrap_or_default() {
            if let Some(ids) = self.below.get_mut(&node) {
                ids.remove(breach_id);
                if ids.is_empty() {
                    self.below.remove(&node);
                }
            }
        }
    }

    /// All held breaches that may belong together with one that is due, the
    /// due ones included. The board must be settled.
    pub(super) fn of(
        &mut self,
        due: Vec<String>,
        held: &BTreeMap<String, Held>,
        board: &Board,
        context: &dyn Context,
    ) -> BTreeSet<String> {
        if self.version != board.version() {
            let new = held.keys().cloned().collect();
            *self = Self { version: board.version(), new, ..Self::default() };
        }
        for id in std::mem::take(&mut self.new) {
            if let Some(one) = held.get(&id) {
                self.look(id, one, board, context);
            }
        }
        if !self.wide.is_empty() {
            return held.keys().cloned().collect();
        }
        let mut found: BTreeSet<String> = due.iter().cloned().collect();
        let (mut next, mut seen) = (due, BTreeSet::new());
        let mut take = |ids: &BTreeSet<String>, next: &mut Vec<String>| {
            let fresh = ids.iter().filter(|id| found.insert((*id).clone()));
            next.extend(fresh.cloned());
        };
        let mut any_loose = false;
        while let Some(id) = next.pop() {
            if !any_loose && self.loose.contains(&id) {
                any_loose = true;
                take(&self.loose, &mut next);
            }
            for node in self.above.get(&id).into_iter().flatten() {
                if seen.insert(*node)
                    && let Some(ids) = self.below.get(node)
                {
                    take(ids, &mut next);
                }
            }
        }
        found
    }

    fn look(&mut self, id: String, held: &Held, board: &Board, context: &dyn Context) {
        let by = policy_of(&held.breach, context).grouping.by.clone();
        let mut above = Vec::new();
        if let Some(node) = board.node(context.lineage(), &typed(&held.breach.feature)) {
            above = all_above(node, board, context);
        }
        if above.len() >= ABOVE_MAX {
            self.wide.insert(id.clone());
        }
        if !by.contains(&GroupKey::Root) {
            self.loose.insert(id.clone());
        }
        for node in &above {
            self.below.entry(*node).or_default().insert(id.clone());
        }
        self.above.insert(id, above);
    }
}

/// The node and all from which edges lead to it, at most [`ABOVE_MAX`].
fn all_above(node: Node, board: &Board, context: &dyn Context) -> Vec<Node> {
    let (mut seen, mut all, mut next) = (BTreeSet::from([node]), vec![node], 0);
    while let Some(node) = all.get(next).copied().filter(|_| all.len() < ABOVE_MAX) {
        next += 1;
        let fresh = board.up(context.lineage(), node).map(|link| link.from);
        all.extend(fresh.filter(|from| seen.insert(*from)));
    }
    all
}

#[cfg(test)]
mod tests;
