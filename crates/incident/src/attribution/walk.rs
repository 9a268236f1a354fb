//! Walks through the lineage: what lies above a node, and how much of what
//! lies below it breaches.

use watchkeep_model::time::Timestamp;

use super::{ANCESTORS_MAX, DESCENDANTS_MAX, Node, Search, WORK_MAX};
use crate::lineage::{EdgeState, Link};

/// Edges that a quick look downstream follows at least.
const PROBE_MAX: usize = 4_000;

/// What lies upstream of a node, nearest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ancestors {
    /// Nodes and how many edges away they are.
    pub(super) nodes: Vec<(Node, u32)>,
    /// The nearest with evidence, all at the same distance.
    pub(super) with_evidence: Vec<Node>,
    /// Sources behind an edge that is stale, and when it was last seen.
    pub(super) stale: Vec<(Node, Timestamp)>,
}

/// How much of what a node feeds is watched and breaches.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    /// Subjects downstream that breach.
    pub(super) breaching: usize,
    /// Subjects downstream that are watched, those included.
    pub(super) watched: usize,
    /// Nodes downstream, watched or not.
    pub(super) nodes: usize,
    /// False where counting was given up: enough did not breach already.
    pub(super) is_whole: bool,
}

impl Coverage {
    /// The share that breaches; 0 where nothing is watched.
    pub(super) fn ratio(&self) -> f64 {
        if self.watched == 0 { 0.0 } else { self.breaching as f64 / self.watched as f64 }
    }

    /// The share where it was counted to the end and there is one.
    pub(super) fn known(&self) -> Option<f64> {
        (self.is_whole && self.watched > 0).then(|| self.ratio())
    }
}

impl Search<'_> {
    /// Walks upstream breadth first, at most `max_depth` edges. With
    /// `to_evidence` no further than the nearest nodes with evidence.
    pub(super) fn ancestors(&mut self, start: Node, to_evidence: bool) -> Ancestors {
        let mut above = Ancestors::default();
        self.begin(start);
        let mut level = vec![start];
        for distance in 1..=self.limits.max_depth {
            let mut next = Vec::new();
            for node in level {
                for link in self.board.up(self.lineage, node) {
                    self.work += 1;
                    match self.state(link) {
                        EdgeState::Stale(seen) => above.stale.push((link.from, seen)),
                        EdgeState::Unknown => {}
                        EdgeState::Declared | EdgeState::Seen(_) => {
                            if self.marks.is_new(link.from) {
                                next.push(link.from);
                            }
                        }
                    }
                }
            }
            above.nodes.extend(next.iter().map(|node| (*node, distance)));
            if above.with_evidence.is_empty() {
                let is_evident = |node: &Node| self.has_evidence(*node, start);
                let evident = next.iter().copied().filter(is_evident);
                above.with_evidence = evident.collect();
            }
            let enough = to_evidence && !above.with_evidence.is_empty();
            if next.is_empty() || enough || self.is_tired(above.nodes.len(), ANCESTORS_MAX) {
                break;
            }
            level = next;
        }
        above
    }

    /// How much of what a node feeds breaches, all of it counted.
    pub(super) fn coverage(&mut self, node: Node) -> Coverage {
        if let Some(known) = self.coverages.get(&node).filter(|known| known.is_whole) {
            return known.clone();
        }
        let coverage = self.count(node, usize::MAX, &mut |_| {});
        self.coverages.insert(node, coverage.clone());
        coverage
    }

    /// The same, given up where more than `spared_max` do not breach or that
    /// many edges were looked at.
    pub(super) fn coverage_within(
        &mut self,
        node: Node,
        spared_max: usize,
        work_max: usize,
    ) -> Coverage {
        match self.coverages.get(&node) {
            Some(known) if known.is_whole => known.clone(),
            _ => {
                let until = self.work.saturating_add(work_max);
                let coverage = self.count_until(node, spared_max, until, &mut |_| {});
                self.coverages.insert(node, coverage.clone());
                coverage
            }
        }
    }

    /// Counts what a node feeds until more than `spared_max` of it are watched
    /// and do not breach. Every breaching one is shown to `visit`.
    pub(super) fn count(
        &mut self,
        node: Node,
        spared_max: usize,
        visit: &mut dyn FnMut(Node),
    ) -> Coverage {
        self.count_until(node, spared_max, usize::MAX, visit)
    }

    fn count_until(
        &mut self,
        node: Node,
        spared_max: usize,
        until: usize,
        visit: &mut dyn FnMut(Node),
    ) -> Coverage {
        let mut coverage = Coverage { is_whole: true, ..Coverage::default() };
        self.begin(node);
        let (mut level, mut visited) = (vec![node], 0);
        for _ in 0..self.limits.max_depth {
            let mut next = Vec::new();
            for node in level {
                for link in self.board.down(self.lineage, node) {
                    self.work += 1;
                    let is_fresh = || link.state(self.at, self.limits.edge_max_age).is_fresh();
                    if self.marks.is_known(link.to) || !is_fresh() {
                        continue;
                    }
                    self.marks.is_new(link.to);
                    next.push(link.to);
                    coverage.nodes += 1;
                    if self.board.breaches(link.to) {
                        coverage.breaching += 1;
                        coverage.watched += 1;
                        visit(link.to);
                    } else if self.board.is_watched(link.to, self.at, self.limits.edge_max_age) {
                        coverage.watched += 1;
                    }
                }
                if coverage.watched - coverage.breaching > spared_max || self.work > until {
                    coverage.is_whole = false;
                    return coverage;
                }
            }
            visited += next.len();
            if next.is_empty() || self.is_tired(visited, DESCENDANTS_MAX) {
                break;
            }
            level = next;
        }
        coverage
    }

    /// At most so many subjects downstream breach.
    pub(super) fn breaching_below(&self, node: Node) -> usize {
        self.board.breaching_below(node, self.limits.max_depth)
    }

    /// A node that more watched subjects downstream spare covers less than the
    /// least share, whatever else breaches.
    pub(super) fn spared_max(&self, node: Node) -> usize {
        let share = self.limits.min_coverage.clamp(f64::EPSILON, 1.0);
        (self.breaching_below(node) as f64 * (1.0 / share - 1.0)).ceil() as usize
    }

    /// True where more than so many watched subjects downstream are soon seen
    /// not to breach. It looks into the depth first, for what is watched often
    /// lies at the far end of what a popular node feeds; false says nothing.
    pub(super) fn spares_more_than(&mut self, node: Node, spared_max: usize) -> bool {
        self.begin(node);
        let (mut stack, mut spared) = (vec![(node, 0)], 0);
        let work_max = self.work + PROBE_MAX.max(spared_max.saturating_mul(4));
        while let Some((node, depth)) = stack.pop() {
            for link in self.board.down(self.lineage, node) {
                self.work += 1;
                let is_fresh = || link.state(self.at, self.limits.edge_max_age).is_fresh();
                if self.marks.is_known(link.to) || !is_fresh() {
                    continue;
                }
                self.marks.is_new(link.to);
                if depth + 1 < self.limits.max_depth {
                    stack.push((link.to, depth + 1));
                }
                if !self.board.breaches(link.to)
                    && self.board.is_watched(link.to, self.at, self.limits.edge_max_age)
                {
                    spared += 1;
                }
            }
            if spared > spared_max {
                return true;
            }
            if self.work >= work_max {
                return false;
            }
        }
        false
    }

    /// True where anything is known of where the node comes from or goes to.
    pub(super) fn is_placed(&self, node: Node) -> bool {
        let fresh = |link: &Link| self.state(link).is_fresh();
        self.board.up(self.lineage, node).any(fresh)
            || self.board.down(self.lineage, node).any(fresh)
    }

    /// True where this walk, or all together, have looked at enough.
    pub(super) fn is_tired(&self, visited: usize, max: usize) -> bool {
        visited >= max || self.work >= WORK_MAX
    }

    fn state(&self, link: &Link) -> EdgeState {
        link.state(self.at, self.limits.edge_max_age)
    }

    fn begin(&mut self, node: Node) {
        self.marks.walk += 1;
        self.marks.is_new(node);
    }
}
