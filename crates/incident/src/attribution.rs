//! Where a breach comes from: the nearest upstream node with a breach of its
//! own, else the subject itself.

use std::collections::BTreeSet;

use watchkeep_model::incident::data::Attribution;
use watchkeep_model::lineage::Edge;
use watchkeep_model::policy::AttributionLimits;
use watchkeep_model::time::Timestamp;

/// Nodes that one search looks at. A wider lineage is searched no further and
/// the breach stays with its subject.
const NODES_MAX: usize = 10_000;

/// Searches breadth first against the flow, up to `max_depth` edges, for a
/// node of which `evidence` tells what is wrong with it. Of several at the
/// same distance the first by name is taken. Edges not seen for
/// `edge_max_age` are not followed.
pub fn attribute(
    subject: &str,
    edges: &[Edge],
    limits: &AttributionLimits,
    at: Timestamp,
    evidence: &dyn Fn(&str) -> Option<String>,
) -> Attribution {
    let mut seen: BTreeSet<&str> = BTreeSet::from([subject]);
    let mut frontier: BTreeSet<&str> = BTreeSet::from([subject]);
    let mut any_edge = false;
    for _ in 0..limits.max_depth {
        let mut above: BTreeSet<&str> = BTreeSet::new();
        for edge in edges.iter().filter(|edge| frontier.contains(edge.to.as_str())) {
            let fresh = edge.last_seen.is_none_or(|seen| seen + limits.edge_max_age >= at);
            if fresh && !seen.contains(edge.from.as_str()) {
                above.insert(&edge.from);
            }
            any_edge |= fresh;
        }
        for node in &above {
            if let Some(what) = evidence(node) {
                return Attribution {
                    root: (*node).to_owned(),
                    method: "upstream_breach".into(),
                    evidence: vec![format!("{node}: {what}")],
                    coverage: 1.0,
                };
            }
        }
        seen.extend(&above);
        if above.is_empty() || seen.len() > NODES_MAX {
            break;
        }
        frontier = above;
    }
    let method = if any_edge { "itself" } else { "lineage_unknown" };
    let evidence = match any_edge {
        true => vec!["no upstream node breaches by itself".into()],
        false => vec!["no lineage is known upstream of the subject".into()],
    };
    Attribution { root: subject.to_owned(), method: method.into(), evidence, coverage: 1.0 }
}

#[cfg(test)]
mod tests;
