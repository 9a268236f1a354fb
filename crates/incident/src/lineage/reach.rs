//! What can be reached from a node along the edges.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{EdgeState, History};
use crate::context::{Context, Declared};

/// Nodes that a listing holds at most; the nearest come first.
pub const REACHED_MAX: usize = 100_000;

/// Which way along the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To where the data come from.
    Up,
    /// To what is made from them.
    Down,
}

/// An edge on the way, and the node at its far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Edges from the start.
    pub distance: u32,
    /// Where the data come from, a typed name.
    pub from: String,
    /// What uses them, a typed name.
    pub to: String,
    /// What is known of the edge. One that is stale leads no further.
    pub state: EdgeState,
    /// When runs first showed it, where they did.
    pub first_seen: Option<Timestamp>,
    /// When it was last shown, where anything did.
    pub last_seen: Option<Timestamp>,
}

/// The edges up to `depth` away from a typed name, nearest first, then by
/// name, as they were known at an instant. Edges that nobody knew then are
/// left out.
pub fn reach(
    context: &dyn Context,
    start: &str,
    direction: Direction,
    depth: u32,
    at: Timestamp,
    max_age: TimeSpan,
) -> Vec<Reached> {
    let mut seen: BTreeSet<String> = BTreeSet::from([start.to_owned()]);
    let mut level: BTreeSet<String> = seen.clone();
    let mut all: Vec<Reached> = Vec::new();
    for distance in 1..=depth {
        let mut next: BTreeSet<String> = BTreeSet::new();
        for node in &level {
            for edge in edges(context, node, direction, distance, at, max_age) {
                let far = if direction == Direction::Up { &edge.from } else { &edge.to };
                if edge.state.is_fresh() && !seen.contains(far) {
                    next.insert(far.clone());
                }
                if edge.state != EdgeState::Unknown && all.len() < REACHED_MAX {
                    all.push(edge);
                }
            }
        }
        if next.is_empty() || all.len() >= REACHED_MAX {
            break;
        }
        seen.extend(next.iter().cloned());
        level = next;
    }
    all
}

/// The edges of a node: those of the lineage, and those that charters declare
/// for a subject that only a pattern matches.
fn edges(
    context: &dyn Context,
    node: &str,
    direction: Direction,
    distance: u32,
    at: Timestamp,
    max_age: TimeSpan,
) -> Vec<Reached> {
    let lineage = context.lineage();
    if let Some(number) = lineage.node(node) {
        let towards = |one: super::Neighbour, from: &str, to: &str| Reached {
            distance,
            from: from.to_owned(),
            to: to.to_owned(),
            state: one.state,
            first_seen: one.first_seen,
            last_seen: one.last_seen,
        };
        return match direction {
            Direction::Up => lineage
                .sources(number, at, max_age)
                .map(|one| towards(one, lineage.name(one.node), node))
                .collect(),
            Direction::Down => lineage
                .users(number, at, max_age)
                .map(|one| towards(one, node, lineage.name(one.node)))
                .collect(),
        };
    }
    let mut declared: BTreeMap<(String, String), History> = BTreeMap::new();
    for Declared { from, to, since, until } in context.declared(node) {
        let near = if direction == Direction::Up { &to } else { &from };
        if near == node {
            declared.entry((from, to)).or_default().declared.push((since, until));
        }
    }
    let reached = |((from, to), history): ((String, String), History)| Reached {
        distance,
        from,
        to,
        state: history.state(at, max_age),
        first_seen: None,
        last_seen: None,
    };
    declared.into_iter().map(reached).collect()
}
