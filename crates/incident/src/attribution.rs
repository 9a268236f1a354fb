//! Where breaches come from. Three rules, in this order:
//!
//! 1. **Evidence.** The nearest upstream node that breaches itself, whose runs
//!    went wrong or about which an incident is open. It hands the blame on in
//!    the same way, for its own breach may have come from further up; only
//!    towards a node that covers less than it does itself it does not.
//! 2. **Coverage.** Of what is left: the node without evidence of whose watched
//!    descendants at least `min_coverage` and `min_features` breach. The fewest
//!    such nodes are sought that explain the most, greedily: the risk model of
//!    Kompella et al., *IP fault localization via risk modeling* (NSDI 2005),
//!    whose hit ratio is our coverage, over Chvátal's greedy set cover (1979).
//! 3. **Itself.** What nothing explains is its own cause.
//!
//! Only edges that are known and not stale are followed, at most `max_depth`
//! of them. `docs/attribution.md` explains it with examples.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::lineage::{Lineage, Node};

pub(crate) mod board;
mod cover;
pub(crate) mod related;
mod tell;
mod walk;

use board::Board;
use walk::{Ancestors, Coverage};

/// Method of a root that lies upstream and breaches itself.
pub const UPSTREAM_BREACH: &str = "upstream_breach";

/// Method of a root that lies upstream and whose runs went wrong.
pub const UPSTREAM_RUN: &str = "upstream_run";

/// Method of a root that is found by how much of what it feeds breaches.
pub const COVERAGE: &str = "coverage";

/// Method of a subject with nothing upstream to blame.
pub const ITSELF: &str = "itself";

/// Method of a subject of which no source is known.
pub const LINEAGE_UNKNOWN: &str = "lineage_unknown";

/// What runs showed, or struck the root of an incident, within this time explains
/// any breach below, however small: the trouble may only begin to show. What is
/// older has to show by now.
pub(crate) const RECENT: TimeSpan = TimeSpan::DAY;

/// Nodes that one search upstream looks at. A wider lineage is searched no
/// further, nearest nodes first.
const ANCESTORS_MAX: usize = 10_000;

/// Nodes that one count of what a node feeds looks at; what lies beyond counts
/// as if it were not there.
const DESCENDANTS_MAX: usize = 200_000;

/// Edges that all searches for the breaches of one instant look at together.
/// Beyond it no further than one edge is looked, so that it ends.
const WORK_MAX: usize = 50_000_000;

/// Walks after which marks are cleared: one search makes no more than it looks
/// at edges and nodes.
const WALKS_MAX: u32 = u32::MAX / 2;

/// By node the number of the last walk that came by, and what an earlier search
/// counted that a later one need not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    seen: Vec<u32>,
    walk: u32,
    covering: Covering,
}

/// When, by which limits, and in which state of the board and its edges.
type Under = (Timestamp, AttributionLimits, board::Calm, (Option<[u8; 32]>, usize));

/// Nodes that were found to cover enough. While breaches are only added that
/// stays so: each makes a share of what a node feeds larger.
#[derive(Clone, Debug, Default)]
struct Covering {
    under: Option<Under>,
    nodes: BTreeSet<Node>,
}

impl Marks {
    fn is_known(&self, node: Node) -> bool {
        self.seen.get(node as usize) == Some(&self.walk)
    }

    /// Marks a node; false where this walk came by before.
    fn is_new(&mut self, node: Node) -> bool {
        let place = node as usize;
        if place >= self.seen.len() {
            self.seen.resize(place + 1, 0);
        }
        std::mem::replace(&mut self.seen[place], self.walk) != self.walk
    }
}

/// The search for roots at one instant under one policy.
pub(crate) struct Search<'a> {
    pub(crate) board: &'a Board,
    pub(crate) lineage: &'a Lineage,
    pub(crate) limits: &'a AttributionLimits,
    pub(crate) at: Timestamp,
    marks: Marks,
    /// True where [`Search::remembering`] was asked for.
    remembers: bool,
    work: usize,
    coverages: BTreeMap<Node, Coverage>,
    /// Why too little breaches below a node without evidence, where it was asked.
    too_little: BTreeMap<Node, Option<String>>,
    /// Where a node with evidence hands the blame on.
    handed: BTreeMap<Node, Option<Node>>,
    /// Nodes, and others above them about which something was known that is over
    /// or long ago for them and does not show in what those feed.
    outlived: BTreeSet<(Node, Node)>,
}

/// Where each subject's breach comes from.
pub(crate) type Roots = BTreeMap<Node, Node>;

impl<'a> Search<'a> {
    /// The board must be settled in this lineage.
    pub(crate) fn new(
        board: &'a Board,
        lineage: &'a Lineage,
        limits: &'a AttributionLimits,
        at: Timestamp,
    ) -> Self {
        Self {
            board,
            lineage,
            limits,
            at,
            marks: Marks::default(),
            remembers: false,
            work: 0,
            coverages: BTreeMap::new(),
            too_little: BTreeMap::new(),
            handed: BTreeMap::new(),
            outlived: BTreeSet::new(),
        }
    }

    /// Takes over what an earlier search marked its way with, so that no search
    /// has to clear as much as there are nodes.
    pub(crate) fn marking(mut self, mut marks: Marks) -> Self {
        if marks.walk > WALKS_MAX {
            marks = Marks::default();
        }
        self.marks = marks;
        self
    }

    /// Goes by what an earlier search found to cover enough, where it looked at the
    /// same. For searches that are to tell of nothing: of what is not counted
    /// anew they would tell less.
    pub(crate) fn remembering(mut self) -> Self {
        let (calm, edges) = (self.board.calm(), self.board.version());
        let under = (self.at, self.limits.clone(), calm, edges);
        let covering = &mut self.marks.covering;
        if covering.under.as_ref() != Some(&under) {
            *covering = Covering { under: Some(under), nodes: BTreeSet::new() };
        }
        self.remembers = true;
        self
    }

    /// What the search marked its way with, for the next one.
    pub(crate) fn into_marks(self) -> Marks {
        self.marks
    }

    /// The root of each subject, by all three rules. `is_accountable` tells
    /// whether somebody answers for a node: of nodes that explain the same the
    /// nearest for which somebody does is taken.
    pub(crate) fn roots(
        &mut self,
        subjects: &[Node],
        is_accountable: &dyn Fn(&str) -> bool,
    ) -> Roots {
        let mut roots: Roots = BTreeMap::new();
        for subject in subjects {
            if !roots.contains_key(subject) {
                let root = self.by_evidence(*subject);
                roots.insert(*subject, root);
            }
        }
        let taken = self.by_coverage(&roots, is_accountable);
        for root in roots.values_mut() {
            // What a subject explains goes with it to its own root.
            *root = taken.get(root).copied().unwrap_or(*root);
        }
        roots
    }

    /// The root by evidence alone; the subject itself where there is none.
    pub(crate) fn by_evidence(&mut self, subject: Node) -> Node {
        let mut chain = vec![subject];
        loop {
            let last = chain[chain.len() - 1];
            // An incident has decided it already.
            let known = self.board.attached_root(last).and_then(|root| self.node(root));
            if let Some(root) = known.filter(|_| last != subject) {
                return root;
            }
            let Some(next) = self.hands_on(last) else { return last };
            if let Some(from) = chain.iter().position(|node| *node == next) {
                // A circle of nodes that all breach: the first by name, so that
                // each of them finds the same.
                let circle = chain[from..].iter().copied();
                let first = circle.min_by(|a, b| self.name(*a).cmp(self.name(*b)));
                return first.unwrap_or(next);
            }
            chain.push(next);
        }
    }

    /// The nearest upstream node with evidence, where the blame may go there.
    fn hands_on(&mut self, node: Node) -> Option<Node> {
        if let Some(next) = self.handed.get(&node) {
            return *next;
        }
        let nearest = self.upstream_evidence(node).with_evidence;
        let nearest = if nearest.iter().any(|evident| self.covers(*evident)) {
            nearest
        } else {
            // What feeds much else that is well explains it less than what lies
            // further up and shows in most of what it feeds.
            let covering = self.covering_evidence(node);
            if covering.is_empty() { nearest } else { covering }
        };
        let next = self.best_of(&nearest).filter(|next| {
            // A node that explains what it feeds keeps the blame from one that
            // does not, however popular.
            !self.covers(node) || self.covers(*next)
        });
        self.handed.insert(node, next);
        next
    }

    /// The nearest nodes upstream with evidence. What is over, or was shown long
    /// ago, is evidence only where enough of what the node feeds breaches:
    /// otherwise it has been well since.
    fn upstream_evidence(&mut self, node: Node) -> Ancestors {
        loop {
            let above = self.ancestors(node, true);
            let before = self.outlived.len();
            for evident in &above.with_evidence {
                if self.has_outlived(node, *evident) {
                    self.outlived.insert((node, *evident));
                }
            }
            if self.outlived.len() == before {
                return above;
            }
        }
    }

    /// True where what was wrong with a node does not explain what is wrong with
    /// another below it: it is over or was long ago, and shows in little of what
    /// the node feeds.
    pub(crate) fn has_outlived(&mut self, below: Node, node: Node) -> bool {
        self.is_past(below, node) && !self.covers(node)
    }

    /// Of the nodes upstream with evidence that cover enough the nearest, all at
    /// the same distance.
    fn covering_evidence(&mut self, node: Node) -> Vec<Node> {
        let mut found: (u32, Vec<Node>) = (u32::MAX, Vec::new());
        for (above, distance) in self.ancestors(node, false).nodes {
            if distance > found.0 {
                break;
            }
            if self.has_evidence(above, node) && self.covers(above) {
                found.0 = distance;
                found.1.push(above);
            }
        }
        found.1
    }

    /// True where nothing speaks against a node but what its runs showed long
    /// ago, or an incident that is open still, but over or struck long ago. One
    /// that is over speaks for what was measured before it was, and for a day for
    /// what it has taken in before: that has not held.
    fn is_past(&self, below: Node, node: Node) -> bool {
        let is_recent = |since: Timestamp| since + RECENT >= self.at;
        if self.board.breaches(node)
            || self.trouble(node).is_some_and(|(since, _)| is_recent(since))
        {
            return false;
        }
        if self.board.open_incident(node).is_none() {
            return true;
        }
        match self.board.over_since(node) {
            Some(over) => {
                let is_measured_before = self.board.began(below).is_some_and(|at| at < over);
                let is_again = self.board.has_joined(below, node) && is_recent(over);
                !is_measured_before && !is_again
            }
            None => !self.board.struck_at(node).is_none_or(is_recent),
        }
    }

    /// Of several nodes with evidence equally near: the one that covers most,
    /// then the first by name.
    fn best_of(&mut self, nearest: &[Node]) -> Option<Node> {
        if let [only] = *nearest {
            return Some(only);
        }
        let mut best: Option<(f64, Node)> = None;
        for node in nearest.iter().copied() {
            let ratio = self.coverage(node).ratio();
            let wins = best.is_none_or(|(most, known)| {
                ratio > most || (ratio == most && self.name(node) < self.name(known))
            });
            if wins {
                best = Some((ratio, node));
            }
        }
        best.map(|(_, node)| node)
    }

    /// True where the node feeds something watched and enough of it breaches.
    fn covers(&mut self, node: Node) -> bool {
        if self.remembers && self.marks.covering.nodes.contains(&node) {
            return true;
        }
        let coverage = self.coverage(node);
        let covers = coverage.breaching > 0 && coverage.ratio() >= self.limits.min_coverage;
        if covers && self.remembers {
            self.marks.covering.nodes.insert(node);
        }
        covers
    }

    /// True where something is known to be wrong with the node itself that may
    /// explain what is wrong with another below it.
    fn has_evidence(&self, node: Node, below: Node) -> bool {
        self.has_any_evidence(node) && !self.outlived.contains(&(below, node))
    }

    /// True where something is known to be wrong with the node itself, or was and
    /// nobody has said that it is over.
    fn has_any_evidence(&self, node: Node) -> bool {
        self.board.breaches(node)
            || self.board.open_incident(node).is_some()
            || self.trouble(node).is_some()
    }

    fn trouble(&self, node: Node) -> Option<(Timestamp, &'a str)> {
        self.lineage.trouble(node, self.at, self.limits.edge_max_age)
    }

    fn name(&self, node: Node) -> &'a str {
        self.board.name(self.lineage, node)
    }

    fn node(&self, name: &str) -> Option<Node> {
        self.board.node(self.lineage, name)
    }
}

#[cfg(test)]
mod tests;
