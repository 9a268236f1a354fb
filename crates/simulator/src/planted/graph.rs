//! Lineages in layers: datasets, pipelines, datasets or views, features.

use std::collections::BTreeSet;

use watchkeep_model::lineage::{Ownership, RunEvent, RunState};
use watchkeep_model::time::TimeSpan;

use super::pick;
use super::telemetry::BAD_FROM;
use crate::generator::random::Random;

/// Kinds of the layers above the features, by the number of edges between the
/// first and the features.
const LAYERS: [&[&str]; 4] = [
    &["dataset", "view"],
    &["dataset", "pipeline", "view"],
    &["dataset", "pipeline", "dataset", "view"],
    &["dataset", "pipeline", "dataset", "pipeline", "view"],
];

/// A lineage. Nodes are numbered.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// Typed names.
    pub(super) names: Vec<String>,
    /// From the source to its user.
    pub(super) edges: BTreeSet<(usize, usize)>,
    /// Edges that have not been seen for a month.
    pub(super) stale: BTreeSet<(usize, usize)>,
    pub(super) depth: usize,
}

impl Graph {
    pub(super) fn random(random: &mut Random) -> Self {
        let kinds = LAYERS[random.below(LAYERS.len() as u64) as usize];
        let mut graph = Self { depth: kinds.len(), ..Self::default() };
        let mut above: Vec<usize> = Vec::new();
        for (layer, kind) in kinds.iter().enumerate() {
            let count = 2 + random.below(3);
            let here: Vec<usize> =
                (0..count).map(|n| graph.add(format!("{kind}:l{layer}.n{n}"))).collect();
            graph.connect(random, &above, &here, 2);
            above = here;
        }
        let count = 10 + random.below(21);
        let features: Vec<usize> = (0..count).map(|n| graph.add(format!("feature:f{n}"))).collect();
        graph.connect(random, &above, &features, 5);
        graph
    }

    fn add(&mut self, name: String) -> usize {
        self.names.push(name);
        self.names.len() - 1
    }

    /// Every node below gets one source above, one in `seldom` two; every node
    /// above feeds somebody.
    fn connect(&mut self, random: &mut Random, above: &[usize], below: &[usize], seldom: u64) {
        for (place, node) in below.iter().enumerate() {
            let Some(first) = pick(random, above) else { continue };
            // The first few see to it that nobody above feeds nothing.
            let first = above.get(place).copied().unwrap_or(first);
            self.edges.insert((first, *node));
            if random.below(seldom) == 0 {
                self.edges.extend(pick(random, above).map(|second| (second, *node)));
            }
        }
    }

    pub(super) fn features(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.names.len()).filter(|node| self.names[*node].starts_with("feature:"))
    }

    /// Everything that is made from a node.
    pub(super) fn below(&self, node: usize) -> BTreeSet<usize> {
        let mut below = BTreeSet::new();
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            for (_, to) in self.edges.range((node, 0)..(node + 1, 0)) {
                if below.insert(*to) {
                    waiting.push(*to);
                }
            }
        }
        below
    }

    pub(super) fn features_below(&self, node: usize) -> BTreeSet<usize> {
        let mut below = self.below(node);
        below.retain(|node| self.names[*node].starts_with("feature:"));
        below
    }

    pub(super) fn inner(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.names.len()).filter(|node| !self.names[*node].starts_with("feature:"))
    }

    /// True where at least four features come from the node, and from no other
    /// node the same.
    pub(super) fn is_distinct(&self, node: usize) -> bool {
        let own = self.features_below(node);
        own.len() >= 4
            && self.inner().all(|other| other == node || self.features_below(other) != own)
    }

    /// True of a pipeline that feeds somebody.
    pub(super) fn is_job(&self, node: usize) -> bool {
        self.names[node].starts_with("pipeline:") && self.below(node).len() >= 2
    }

    /// The same as [`Graph::is_distinct`] of a view with five features or more:
    /// from four on hardly any share can be cut close.
    pub(super) fn is_distinct_view(&self, node: usize) -> bool {
        self.names[node].starts_with("view:")
            && self.is_distinct(node)
            && self.features_below(node).len() >= 5
    }

    /// True where no node feeds another, and each has a feature that no other has.
    pub(super) fn are_apart(&self, nodes: &[usize]) -> bool {
        nodes.iter().all(|node| {
            let others = || nodes.iter().filter(|other| *other != node);
            let theirs: BTreeSet<usize> = others().flat_map(|n| self.features_below(*n)).collect();
            others().all(|other| !self.below(*node).contains(other))
                && self.features_below(*node).iter().any(|feature| !theirs.contains(feature))
        })
    }

    /// True where a fault of one node that feeds them all would look the same:
    /// most of what it feeds shows it.
    pub(super) fn is_one_cause(&self, nodes: &[usize]) -> bool {
        let bad: BTreeSet<usize> = nodes.iter().flat_map(|n| self.features_below(*n)).collect();
        self.inner().any(|node| {
            let (below, features) = (self.below(node), self.features_below(node));
            let shown = features.intersection(&bad).count();
            nodes.iter().all(|node| below.contains(node)) && shown * 10 >= features.len() * 6
        })
    }

    /// A node below through which all ways from a node to its features lead.
    pub(super) fn all_through(&self, node: usize) -> Option<usize> {
        let mine = self.features_below(node);
        let is_between = |below: &usize| {
            !self.names[*below].starts_with("feature:") && self.features_below(*below) == mine
        };
        self.below(node).into_iter().find(is_between)
    }

    pub(super) fn choose(
        &self,
        random: &mut Random,
        fits: impl Fn(&Self, usize) -> bool,
    ) -> Option<usize> {
        let all: Vec<usize> = self.inner().filter(|node| fits(self, *node)).collect();
        pick(random, &all)
    }

    /// Two nodes neither of which feeds the other, each with features of its
    /// own. Where only features show it, no third node could stand for one of
    /// them or for both.
    pub(super) fn choose_two(&self, random: &mut Random, is_hidden: bool) -> Option<[usize; 2]> {
        let one = self.choose(random, |graph, node| {
            if is_hidden { graph.is_distinct(node) } else { graph.features_below(node).len() >= 2 }
        })?;
        let mine = self.features_below(one);
        let fits = |other: usize| {
            let theirs = self.features_below(other);
            let least = if is_hidden { 4 } else { 1 };
            let apart = !self.below(one).contains(&other) && !self.below(other).contains(&one);
            let all: BTreeSet<usize> = mine.union(&theirs).copied().collect();
            let third = |node: usize| {
                let its = self.features_below(node);
                let instead = |of: &BTreeSet<usize>, beside: &BTreeSet<usize>| {
                    its.difference(beside).eq(of.difference(beside))
                };
                node != one
                    && node != other
                    && its.is_subset(&all)
                    && (its == all || instead(&mine, &theirs) || instead(&theirs, &mine))
            };
            apart
                && theirs.difference(&mine).count() >= least
                && mine.difference(&theirs).count() >= least
                && !(is_hidden && (!self.is_distinct(other) || self.inner().any(third)))
        };
        Some([one, self.choose(random, |_, other| other != one && fits(other))?])
    }

    /// True where no node feeds both.
    pub(super) fn share_no_source(&self, one: usize, other: usize) -> bool {
        one != other
            && self.inner().all(|node| {
                let below = self.below(node);
                !(below.contains(&one) && below.contains(&other)) || below.len() > 6
            })
    }

    /// A dataset that every view is made from, too.
    pub(super) fn add_source_of_views(&mut self) -> usize {
        let views: Vec<usize> =
            self.inner().filter(|node| self.names[*node].starts_with("view:")).collect();
        let source = self.add("dataset:reference".into());
        self.edges.extend(views.into_iter().map(|view| (source, view)));
        source
    }

    /// A dataset that fed a node and has not been seen to for a month.
    pub(super) fn add_stale_source(&mut self, node: usize) -> usize {
        let source = self.add("dataset:retired".into());
        self.stale.insert((source, node));
        source
    }

    /// Features that were made from a dataset until a month ago.
    pub(super) fn add_forgotten(&mut self, count: usize) -> (Vec<usize>, usize) {
        let lone = self.add_lone_features(count);
        let source = self.add("dataset:retired".into());
        self.stale.extend(lone.iter().map(|feature| (source, *feature)));
        (lone, source)
    }

    pub(super) fn add_lone_features(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|n| self.add(format!("feature:lone{n}"))).collect()
    }

    /// Whoever answers for a node.
    pub(super) fn owner(&self, node: usize) -> String {
        format!("user:{}", self.names[node].replace([':', '.'], "-"))
    }

    /// Hourly runs that show every edge; the last run of some jobs fails. Of one
    /// job they tell who owns it.
    pub(super) fn runs(&self, failing: &[usize], owned: Option<usize>) -> Vec<RunEvent> {
        let mut runs = Vec::new();
        for job in self.inner() {
            let sources = self.edges.iter().filter(|(_, to)| *to == job).map(|(from, _)| *from);
            let users = self.edges.range((job, 0)..(job + 1, 0)).map(|(_, to)| *to);
            let name = |node: usize| self.names[node].clone();
            let (inputs, outputs): (Vec<String>, Vec<String>) =
                (sources.map(name).collect(), users.map(name).collect());
            let ownership = |_| Ownership { node: name(job), owner: self.owner(job), role: None };
            let owners: Vec<_> =
                owned.filter(|one| *one == job).map(ownership).into_iter().collect();
            // Where two nodes that are no jobs follow each other, one stands for both.
            for hour in 0..4_i64 {
                let at = BAD_FROM - TimeSpan::HOUR.times(3 - hour) - TimeSpan::MINUTE;
                let fails = failing.contains(&job) && hour == 3;
                for state in [RunState::Started, RunState::Completed] {
                    let ended = state == RunState::Completed;
                    let state = if ended && fails { RunState::Failed } else { state };
                    runs.push(RunEvent {
                        at: if ended { at + TimeSpan::SECOND.times(30) } else { at },
                        job: name(job),
                        run: format!("{}-{hour}", self.owner(job)),
                        state,
                        message: (state == RunState::Failed).then(|| "out of memory".into()),
                        inputs: inputs.clone(),
                        outputs: outputs.clone(),
                        assertions: Vec::new(),
                        owners: owners.clone(),
                    });
                }
            }
        }
        runs.sort();
        runs
    }
}
