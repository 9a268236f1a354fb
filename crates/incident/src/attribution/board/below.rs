//! How many breaching subjects each node can have downstream, kept up with
//! every breach: a bound by which most nodes are seen not to be the root
//! without counting what they feed.

use crate::lineage::{Lineage, Node};

use super::{Board, Subject};

/// Edges upstream that are followed. A policy that looks further goes by the
/// number of all breaching subjects.
const DEPTH_MAX: u32 = 8;

/// Nodes above one subject that are kept. A subject with more counts for every
/// node.
const ABOVE_MAX: usize = 256;

/// The counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Below {
    /// By node.
    counts: Vec<u32>,
    /// Breaching subjects with more nodes above than are kept.
    wide: usize,
    /// Subjects that breach and are not counted yet.
    waiting: Vec<u32>,
}

/// What a subject has been counted for.
#[derive(Clone, Debug, Default)]
pub(super) enum Counted {
    /// It does not breach, or waits.
    #[default]
    Not,
    /// These nodes.
    For(Box<[Node]>),
    /// Every node.
    Wide,
}

impl Below {
    /// Nothing is counted; all of these subjects wait.
    pub(super) fn begin(&mut self, subjects: &mut [Subject]) {
        *self = Self::default();
        for (number, subject) in (0..).zip(subjects) {
            subject.counted = Counted::Not;
            if !subject.breaches.is_empty() {
                self.waiting.push(number);
            }
        }
    }

    /// A subject breaches.
    pub(super) fn wait(&mut self, number: usize) {
        self.waiting.extend(u32::try_from(number));
    }

    /// A subject does not breach any more.
    pub(super) fn forget(&mut self, subject: &mut Subject) {
        match std::mem::take(&mut subject.counted) {
            Counted::Not => {}
            Counted::For(nodes) => {
                for node in nodes {
                    if let Some(count) = self.counts.get_mut(node as usize) {
                        *count = count.saturating_sub(1);
                    }
                }
            }
            Counted::Wide => self.wide -= 1,
        }
    }
}

impl Board {
    /// Counts the subjects that wait.
    pub(super) fn count_below(&mut self, lineage: &Lineage) {
        let nodes = self.nodes();
        self.below.counts.resize(nodes, 0);
        for number in std::mem::take(&mut self.below.waiting) {
            let Some(subject) = self.subjects.get(number as usize) else { continue };
            // It may be over, or wait twice because it was over in between.
            if subject.breaches.is_empty() || !matches!(subject.counted, Counted::Not) {
                continue;
            }
            let above = self.above(lineage, subject.node);
            match &above {
                Counted::For(nodes) => {
                    for node in nodes {
                        self.below.counts[*node as usize] += 1;
                    }
                }
                Counted::Wide => self.below.wide += 1,
                Counted::Not => {}
            }
            self.subjects[number as usize].counted = above;
        }
    }

    /// True where a further edge to a node may lead to something that is
    /// counted: then everything must be counted anew.
    pub(super) fn counts_above(&self, lineage: &Lineage, node: Node) -> bool {
        let is_counted = |subject: &Subject| !matches!(subject.counted, Counted::Not);
        self.down(lineage, node).next().is_some() || self.subject(node).is_some_and(is_counted)
    }

    /// Every node from which edges of any age lead to this one.
    fn above(&self, lineage: &Lineage, node: Node) -> Counted {
        let mut above: Vec<Node> = Vec::new();
        let mut from = 0;
        let mut level = vec![node];
        for _ in 0..DEPTH_MAX {
            for node in &level {
                for link in self.up(lineage, *node) {
                    if !above.contains(&link.from) {
                        above.push(link.from);
                    }
                }
                if above.len() > ABOVE_MAX {
                    return Counted::Wide;
                }
            }
            level = above[from..].to_vec();
            from = above.len();
            if level.is_empty() {
                break;
            }
        }
        Counted::For(above.into())
    }

    /// At most so many subjects downstream of a node breach, looking so far.
    pub(crate) fn breaching_below(&self, node: Node, depth: u32) -> usize {
        let count = self.below.counts.get(node as usize).filter(|_| depth <= DEPTH_MAX);
        count
            .map_or(self.breaching, |count| (*count as usize + self.below.wide).min(self.breaching))
    }
}
