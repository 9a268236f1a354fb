//! Planted faults: lineages with a known cause, the telemetry that follows
//! from it, and who is to blame. They measure how well the cause is found.
//!
//! A case is made of a seed. What telemetry cannot tell apart is not planted:
//! a fault without evidence of its own lies at a node whose features no other
//! node has, and of two such faults neither could be another node's as well.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::lineage::RunEvent;

use crate::generator::random::Random;

mod files;
mod graph;
mod measure;
mod shape;
mod storm;
mod telemetry;

pub use files::files;
pub use measure::{Measured, blamed, measure};
pub use shape::Shape;
pub use storm::{TEAMS, storm};

use graph::Graph;

/// A node that is to blame and whoever answers for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blame {
    /// A typed name.
    pub root: String,
    /// `user:…`; empty where nobody answers.
    pub owner: String,
}

/// A planted fault and what can be seen of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made of.
    pub seed: u64,
    /// What was planted.
    pub shape: Shape,
    /// Who is to blame.
    pub expected: BTreeSet<Blame>,
    /// What runs showed, for shapes with runs.
    pub runs: Vec<RunEvent>,
    graph: Graph,
    /// Nodes that report telemetry.
    watched: BTreeSet<usize>,
    /// Of those, nodes that show the fault.
    bad: BTreeSet<usize>,
    /// A node that no charter names.
    uncharted: Option<usize>,
}

/// Lineages that are tried for a shape before the last is taken as it is.
const TRIES_MAX: u64 = 200;

impl Case {
    /// The case of a seed; seeds take the shapes in turn.
    pub fn from_seed(seed: u64) -> Self {
        let shape = Shape::ALL[(seed % Shape::ALL.len() as u64) as usize];
        for attempt in 0..TRIES_MAX {
            let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(attempt));
            if let Some(case) = plant(seed, shape, &mut random) {
                return case;
            }
        }
        let graph = Graph::random(&mut Random::new(seed));
        let (expected, runs) = (BTreeSet::new(), Vec::new());
        let (watched, bad) = (BTreeSet::new(), BTreeSet::new());
        Self { seed, shape, expected, runs, graph, watched, bad, uncharted: None }
    }

    /// Edges on the longest way.
    pub fn depth(&self) -> usize {
        self.graph.depth
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.graph.names.len()
    }
}

/// Plants a fault; `None` where this lineage has no place for it.
fn plant(seed: u64, shape: Shape, random: &mut Random) -> Option<Case> {
    let mut graph = Graph::random(random);
    let popular =
        matches!(shape, Shape::Popular | Shape::PopularNoisy).then(|| graph.add_source_of_views());
    let features: BTreeSet<usize> = graph.features().collect();
    let mut watched = features.clone();
    let mut bad: BTreeSet<usize> = BTreeSet::new();
    let mut runs = Vec::new();
    let roots: Vec<usize> = match shape {
        Shape::Watched | Shape::Propagated | Shape::Gaps | Shape::Stale => {
            vec![graph.choose(random, |graph, node| graph.below(node).len() >= 3)?]
        }
        Shape::Unwatched | Shape::Partial => vec![graph.choose(random, Graph::is_distinct)?],
        Shape::Beside => {
            let root = graph.choose(random, Graph::is_distinct)?;
            let others: Vec<usize> = features.difference(&graph.below(root)).copied().collect();
            vec![root, pick(random, &others)?]
        }
        Shape::TwoWatched => graph.choose_two(random, false)?.to_vec(),
        Shape::TwoUnwatched => graph.choose_two(random, true)?.to_vec(),
        Shape::Popular | Shape::PopularNoisy => {
            let is_view = |graph: &Graph, node: usize| {
                let part = graph.below(node).len() * 2 <= features.len();
                graph.names[node].starts_with("view:") && graph.is_distinct(node) && part
            };
            vec![graph.choose(random, is_view)?]
        }
        Shape::Features => {
            let all: Vec<usize> = features.iter().copied().collect();
            let one = pick(random, &all)?;
            let apart = |other: &usize| graph.share_no_source(one, *other);
            let other: Vec<usize> = all.iter().copied().filter(apart).collect();
            [Some(one), pick(random, &other)].into_iter().flatten().collect()
        }
        Shape::Unknown => {
            let lone = graph.add_lone_features(2);
            watched.extend(&lone);
            lone
        }
        Shape::FailedRun | Shape::OwnedByRuns => vec![graph.choose(random, Graph::is_job)?],
        Shape::TwoFailedRuns => {
            let one = graph.choose(random, Graph::is_job)?;
            let fits = |graph: &Graph, node| graph.is_job(node) && graph.are_apart(&[one, node]);
            vec![one, graph.choose(random, fits)?]
        }
        Shape::WellRun => {
            let job = graph.choose(random, Graph::is_job)?;
            runs = graph.runs(&[job], None);
            let others: Vec<usize> = features.difference(&graph.below(job)).copied().collect();
            vec![pick(random, &others)?]
        }
        Shape::ThreeWatched => {
            let [one, other] = graph.choose_two(random, false)?;
            let fits = |graph: &Graph, node| {
                let three = [one, other, node];
                graph.are_apart(&three) && !graph.is_one_cause(&three)
            };
            vec![one, other, graph.choose(random, fits)?]
        }
        Shape::Between => {
            vec![graph.choose(random, |graph, node| graph.all_through(node).is_some())?]
        }
        Shape::JustEnough => vec![graph.choose(random, Graph::is_distinct_view)?],
        Shape::TooFew => {
            let view = graph.choose(random, Graph::is_distinct_view)?;
            let own: Vec<usize> = graph.below(view).into_iter().collect();
            // Less than 0.6 of them, and not fewer than three.
            let count = own.len() / 2;
            let broken = own.get(..count.max(3)).filter(|_| count >= 3)?;
            let covers = |node: usize| {
                let below = graph.features_below(node);
                let bad = broken.iter().filter(|feature| below.contains(feature)).count();
                bad >= 3 && bad * 10 >= below.len() * 6
            };
            if graph.inner().any(covers) {
                return None;
            }
            broken.to_vec()
        }
        Shape::Forgotten => {
            let (lone, retired) = graph.add_forgotten(2);
            watched.extend(lone.iter().chain([&retired]));
            lone.into_iter().chain([retired]).collect()
        }
    };
    for root in &roots {
        let below = graph.below(*root);
        bad.extend(below.intersection(&features));
        bad.insert(*root);
        match shape {
            Shape::Watched | Shape::TwoWatched | Shape::ThreeWatched | Shape::Stale => {
                watched.insert(*root);
            }
            Shape::PopularNoisy => _ = watched.insert(*root),
            Shape::Propagated => {
                watched.insert(*root);
                watched.extend(&below);
                bad.extend(&below);
            }
            Shape::Gaps => {
                watched.insert(*root);
                bad.extend(&below);
                let between = below.difference(&features).copied();
                watched.extend(between.filter(|_| random.below(2) == 0));
            }
            _ => {}
        }
    }
    let mut expected_roots = roots.clone();
    match shape {
        Shape::Partial => {
            let mut affected: Vec<usize> = bad.intersection(&features).copied().collect();
            for _ in 0..affected.len() / 5 {
                let spared = pick(random, &affected)?;
                affected.retain(|node| *node != spared);
                bad.remove(&spared);
            }
        }
        Shape::PopularNoisy => {
            let popular = popular?;
            watched.insert(popular);
            bad.insert(popular);
            expected_roots.push(popular);
        }
        Shape::Stale => {
            let old = graph.add_stale_source(roots[0]);
            watched.insert(old);
            bad.insert(old);
            expected_roots.push(old);
        }
        Shape::FailedRun | Shape::TwoFailedRuns => runs = graph.runs(&roots, None),
        Shape::OwnedByRuns => runs = graph.runs(&roots, Some(roots[0])),
        Shape::Between => {
            let between = graph.all_through(roots[0])?;
            watched.insert(between);
            bad.insert(between);
            bad.remove(&roots[0]);
            expected_roots = vec![between];
        }
        Shape::JustEnough => {
            // The least that is not below 0.6.
            let own: Vec<usize> = graph.below(roots[0]).into_iter().collect();
            let enough = (own.len() * 6).div_ceil(10).max(3);
            own.iter().skip(enough).for_each(|spared| _ = bad.remove(spared));
        }
        _ => {}
    }
    // Well-being shows too, here and there; not where the fault comes by.
    let reached: BTreeSet<usize> = roots.iter().flat_map(|root| graph.below(*root)).collect();
    let is_well = |node: &usize| !bad.contains(node) && !reached.contains(node);
    let is_known_by_runs = |node: &usize| shape == Shape::OwnedByRuns && *node == roots[0];
    let is_well = |node: &usize| is_well(node) && !is_known_by_runs(node);
    let well: Vec<usize> = (0..graph.names.len()).filter(is_well).collect();
    watched.extend(well.into_iter().filter(|_| random.below(3) == 0));
    let blame =
        |node: &usize| Blame { root: graph.names[*node].clone(), owner: graph.owner(*node) };
    let expected: BTreeSet<Blame> = expected_roots.iter().map(blame).collect();
    let is_distinct = expected.len() == expected_roots.len();
    let uncharted = (shape == Shape::OwnedByRuns).then_some(roots[0]);
    let case = Case { seed, shape, expected, runs, graph, watched, bad, uncharted };
    is_distinct.then_some(case)
}

fn pick(random: &mut Random, among: &[usize]) -> Option<usize> {
    let place = random.below(among.len() as u64) as usize;
    among.get(place).copied()
}

/// Counts by shape.
pub type ByShape = BTreeMap<Shape, Measured>;

#[cfg(test)]
mod tests;
