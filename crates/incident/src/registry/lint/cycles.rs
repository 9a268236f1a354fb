//! Data made from themselves, and systems that are parts of themselves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watchkeep_model::document::{Diagnostic, Level};

use super::super::Registry;
use super::super::lineage::Source;
use super::{Folder, Found};
use crate::context::Context as _;
use crate::lineage::Node;

/// Nodes of a cycle that a message names.
const SHOWN_MAX: usize = 10;

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    lineage(folder, found);
    let directory = folder.registry.directory();
    let systems = directory.systems.iter().map(|(name, s)| (name.as_str(), s.parent.as_deref()));
    parents(folder, found, "system", "systems", systems.collect());
    let domains = directory.domains.iter().map(|(name, d)| (name.as_str(), d.parent.as_deref()));
    parents(folder, found, "domain", "domains", domains.collect());
}

fn lineage(folder: &Folder<'_>, found: &mut Found) {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in folder.registry.edges() {
        users.entry(&edge.from).or_default().push(&edge.to);
    }
    for cycle in cycles(&users) {
        let message = format!("cycle in the lineage: {}", shown(&cycle));
        let hint = Some("take one of these edges away".to_owned());
        let ends = (cycle[0].to_owned(), cycle[1 % cycle.len()].to_owned());
        match folder.sources.get(&ends) {
            Some(Source::Lineage(number, path)) => {
                found.error(&folder.lineage[*number], path, "lineage_cycle", message, hint);
            }
            Some(Source::Charter(number, path)) => {
                found.error(&folder.charters[*number], path, "lineage_cycle", message, hint);
            }
            None => {}
        }
    }
}

/// Circles of several jobs that runs have shown, and that nobody declared. A job
/// that reads what it wrote before is usual, and none of them.
pub fn shown_by_runs(registry: &Registry) -> Vec<Vec<String>> {
    let lineage = registry.lineage();
    let nodes = || (0..lineage.len()).filter_map(|node| Node::try_from(node).ok());
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes() {
        let links = lineage.down_links(node).iter();
        users.entry(lineage.name(node)).or_default().extend(links.map(|l| lineage.name(l.to)));
    }
    let declared: BTreeSet<(&str, &str)> =
        registry.edges().iter().map(|edge| (edge.from.as_str(), edge.to.as_str())).collect();
    let is_shown = |cycle: &Vec<&str>| {
        let mut ends = cycle.iter().zip(cycle.iter().cycle().skip(1));
        let jobs = cycle.iter().filter(|node| node.starts_with("pipeline:")).count();
        jobs > 1 && ends.any(|(from, to)| !declared.contains(&(*from, *to)))
    };
    let found = cycles(&users).into_iter().filter(is_shown);
    found.map(|cycle| cycle.into_iter().map(str::to_owned).collect()).collect()
}

/// Tells of a circle that runs have shown, at the event that showed an edge of it.
pub fn shown_cycle(cycle: &[String], file: &str, line: u32) -> Diagnostic {
    let names: Vec<&str> = cycle.iter().map(String::as_str).collect();
    Diagnostic {
        file: file.to_owned(),
        line,
        column: 1,
        document: "run event".to_owned(),
        field: String::new(),
        rule: "lineage_cycle",
        severity: Level::Warning,
        message: format!("runs have shown a cycle: {}", shown(&names)),
        hint: Some(
            "where all of it breaches, the first by name is blamed: see whether a job writes what \
             it should not"
                .to_owned(),
        ),
    }
}

fn parents(
    folder: &Folder<'_>,
    found: &mut Found,
    what: &str,
    map: &str,
    parents: BTreeMap<&str, Option<&str>>,
) {
    let above: BTreeMap<&str, Vec<&str>> =
        parents.into_iter().map(|(name, parent)| (name, parent.into_iter().collect())).collect();
    for cycle in cycles(&above) {
        let field = format!("{map}.{}.parent", cycle[0]);
        let message = format!("the {what} is a part of itself: {}", shown(&cycle));
        let place = folder.directories.iter().find(|d| d.fields.contains_key(&field));
        if let Some(document) = place.or(folder.directories.first()) {
            let hint = Some("take one `parent` away".to_owned());
            found.error(document, &field, "parent_cycle", message, hint);
        }
    }
}

/// `a → b → a`.
fn shown(cycle: &[&str]) -> String {
    let mut names: Vec<&str> = cycle.iter().copied().take(SHOWN_MAX).collect();
    if cycle.len() > SHOWN_MAX {
        names.push("…");
    }
    names.push(cycle[0]);
    names.join(" → ")
}

/// A shortest cycle through the least node of every knot of nodes that reach
/// each other, each beginning with that node.
fn cycles<'g>(graph: &BTreeMap<&'g str, Vec<&'g str>>) -> Vec<Vec<&'g str>> {
    let mut cycles = Vec::new();
    for knot in knots(graph) {
        let Some(&start) = knot.first() else { continue };
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        'search: while let Some(node) = queue.pop_front() {
            for &next in graph.get(node).into_iter().flatten() {
                if next == start {
                    let mut cycle = vec![node];
                    while let Some(&previous) = before.get(cycle[cycle.len() - 1]) {
                        cycle.push(previous);
                    }
                    cycle.reverse();
                    cycles.push(cycle);
                    break 'search;
                }
                if knot.contains(next) && !before.contains_key(next) {
                    before.insert(next, node);
                    queue.push_back(next);
                }
            }
        }
    }
    cycles
}

/// Strongly connected components that hold a cycle, by Tarjan's algorithm
/// (SIAM J. Comput. 1(2), 1972) with its own stack: a lineage may be deep.
fn knots<'g>(graph: &BTreeMap<&'g str, Vec<&'g str>>) -> Vec<BTreeSet<&'g str>> {
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    let mut low: BTreeMap<&str, usize> = BTreeMap::new();
    let mut on_path: BTreeSet<&str> = BTreeSet::new();
    let mut path: Vec<&str> = Vec::new();
    let mut knots = Vec::new();
    for &root in graph.keys() {
        if order.contains_key(root) {
            continue;
        }
        let mut work: Vec<(&str, usize)> = vec![(root, 0)];
        while let Some((node, next)) = work.pop() {
            if next == 0 {
                let number = order.len();
                order.insert(node, number);
                low.insert(node, number);
                path.push(node);
                on_path.insert(node);
            }
            let above = graph.get(node).map_or(&[][..], Vec::as_slice);
            if let Some(&child) = above.get(next) {
                work.push((node, next + 1));
                if !order.contains_key(child) {
                    work.push((child, 0));
                } else if on_path.contains(child) {
                    let least = low[node].min(order[child]);
                    low.insert(node, least);
                }
                continue;
            }
            if low[node] == order[node] {
                let mut knot = BTreeSet::new();
                while let Some(member) = path.pop() {
                    on_path.remove(member);
                    knot.insert(member);
                    if member == node {
                        break;
                    }
                }
                let itself = graph.get(node).is_some_and(|above| above.contains(&node));
                if knot.len() > 1 || itself {
                    knots.push(knot);
                }
            }
            if let Some(&(parent, _)) = work.last() {
                let least = low[parent].min(low[node]);
                low.insert(parent, least);
            }
        }
    }
    knots
}
