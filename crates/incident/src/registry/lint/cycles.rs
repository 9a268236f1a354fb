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
    let nodes = folder.nodes();
    let ends = &folder.ends.nodes;
    let mut users: Vec<Vec<Node>> = vec![Vec::new(); nodes.len()];
    ends.iter().for_each(|(from, to)| users[*from as usize].push(*to));
    for cycle in cycles(&users) {
        let names: Vec<&str> = cycle.iter().map(|node| nodes[*node as usize]).collect();
        let message = format!("cycle in the lineage: {}", shown(&names));
        let hint = Some("take one of these edges away".to_owned());
        let first = (cycle[0], cycle[1 % cycle.len()]);
        let Ok(edge) = ends.binary_search(&first) else { continue };
        match folder.ends.sources[edge] {
            Source::Lineage(number, place) => {
                let path = folder.edge_path(number, place);
                found.error(&folder.lineage[number], path, "lineage_cycle", message, hint);
            }
            Source::Charter(number, list, place) => {
                let path = format!("{list}[{place}]");
                found.error(&folder.charters[number], &path, "lineage_cycle", message, hint);
            }
        }
    }
}

/// Circles of several jobs that runs have shown, and that nobody declared. A job
/// that reads what it wrote before is usual, and none of them.
pub fn shown_by_runs(registry: &Registry) -> Vec<Vec<String>> {
    let lineage = registry.lineage();
    let nodes = (0..lineage.len()).filter_map(|node| Node::try_from(node).ok());
    let users: Vec<Vec<Node>> =
        nodes.map(|node| lineage.down_links(node).iter().map(|link| link.to).collect()).collect();
    let declared: BTreeSet<(&str, &str)> =
        registry.edges().iter().map(|edge| (edge.from.as_str(), edge.to.as_str())).collect();
    let is_shown = |cycle: &Vec<&str>| {
        let mut ends = cycle.iter().zip(cycle.iter().cycle().skip(1));
        let jobs = cycle.iter().filter(|node| node.starts_with("pipeline:")).count();
        jobs > 1 && ends.any(|(from, to)| !declared.contains(&(*from, *to)))
    };
    let found = cycles(&users).into_iter();
    let named = found.map(|cycle| cycle.into_iter().map(|node| lineage.name(node)).collect());
    let shown = named.filter(is_shown);
    shown.map(|cycle| cycle.into_iter().map(str::to_owned).collect()).collect()
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
    let names: Vec<&str> = parents.keys().copied().collect();
    // A parent that nobody knows has none.
    let number = |name: &&str| names.binary_search(name).ok().and_then(|n| Node::try_from(n).ok());
    let above = parents.values().map(|parent| parent.as_ref().and_then(number));
    let above: Vec<Vec<Node>> = above.map(|parent| parent.into_iter().collect()).collect();
    for cycle in cycles(&above) {
        let cycle: Vec<&str> = cycle.iter().map(|node| names[*node as usize]).collect();
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
/// each other, each beginning with that node. `graph` has the users of each.
fn cycles(graph: &[Vec<Node>]) -> Vec<Vec<Node>> {
    let mut cycles = Vec::new();
    for knot in knots(graph) {
        let Some(&start) = knot.first() else { continue };
        let mut before: BTreeMap<Node, Node> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        'search: while let Some(node) = queue.pop_front() {
            for &next in &graph[node as usize] {
                if next == start {
                    let mut cycle = vec![node];
                    while let Some(&previous) = before.get(&cycle[cycle.len() - 1]) {
                        cycle.push(previous);
                    }
                    cycle.reverse();
                    cycles.push(cycle);
                    break 'search;
                }
                if knot.binary_search(&next).is_ok() && !before.contains_key(&next) {
                    before.insert(next, node);
                    queue.push_back(next);
                }
            }
        }
    }
    cycles
}

/// Strongly connected components that hold a cycle, each ascending, by Tarjan's
/// algorithm (SIAM J. Comput. 1(2), 1972) with its own stack: a lineage may be
/// deep.
fn knots(graph: &[Vec<Node>]) -> Vec<Vec<Node>> {
    /// The order of a node that was not come to yet.
    const UNSEEN: usize = usize::MAX;
    let mut order: Vec<usize> = vec![UNSEEN; graph.len()];
    let mut low: Vec<usize> = vec![UNSEEN; graph.len()];
    let mut on_path: Vec<bool> = vec![false; graph.len()];
    let mut path: Vec<Node> = Vec::new();
    let mut knots = Vec::new();
    let mut count = 0;
    for root in (0..graph.len()).filter_map(|node| Node::try_from(node).ok()) {
        if order[root as usize] != UNSEEN {
            continue;
        }
        let mut work: Vec<(Node, usize)> = vec![(root, 0)];
        while let Some((node, next)) = work.pop() {
            let at = node as usize;
            if next == 0 {
                (order[at], low[at]) = (count, count);
                count += 1;
                path.push(node);
                on_path[at] = true;
            }
            if let Some(&child) = graph[at].get(next) {
                work.push((node, next + 1));
                if order[child as usize] == UNSEEN {
                    work.push((child, 0));
                } else if on_path[child as usize] {
                    low[at] = low[at].min(order[child as usize]);
                }
                continue;
            }
            if low[at] == order[at] {
                let mut knot = Vec::new();
                while let Some(member) = path.pop() {
                    on_path[member as usize] = false;
                    knot.push(member);
                    if member == node {
                        break;
                    }
                }
                if knot.len() > 1 || graph[at].contains(&node) {
                    knot.sort_unstable();
                    knots.push(knot);
                }
            }
            if let Some(&(parent, _)) = work.last() {
                low[parent as usize] = low[parent as usize].min(low[at]);
            }
        }
    }
    knots
}
