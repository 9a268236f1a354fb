//! Which nodes lie upstream and downstream of one, nearest first.

use std::collections::BTreeSet;

use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::time::Timestamp;

use super::board::Board;
use super::{ANCESTORS_MAX, DESCENDANTS_MAX};
use crate::lineage::{Lineage, Node};

/// Which way along the edges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// The nodes that fresh edges lead to within `max_depth`, level by level. The
/// board must be settled in this lineage.
pub(crate) fn related(
    board: &Board,
    lineage: &Lineage,
    start: Node,
    way: Way,
    limits: &AttributionLimits,
    at: Timestamp,
) -> Vec<Vec<Node>> {
    let max = if way == Way::Up { ANCESTORS_MAX } else { DESCENDANTS_MAX };
    let mut seen = BTreeSet::from([start]);
    let mut levels: Vec<Vec<Node>> = Vec::new();
    let mut level = vec![start];
    for _ in 0..limits.max_depth {
        let mut next = Vec::new();
        for node in &level {
            let mut visit = |link: &crate::lineage::Link| {
                let far = if way == Way::Up { link.from } else { link.to };
                if link.state(at, limits.edge_max_age).is_fresh() && seen.insert(far) {
                    next.push(far);
                }
            };
            match way {
                Way::Up => board.up(lineage, *node).for_each(&mut visit),
                Way::Down => board.down(lineage, *node).for_each(&mut visit),
            }
        }
        if next.is_empty() {
            break;
        }
        levels.push(next.clone());
        if seen.len() > max {
            break;
        }
        level = next;
    }
    levels
}
