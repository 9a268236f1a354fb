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

/// A root and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Rooted {
    /// The root, a typed name.
    pub root: String,
    /// How it was found.
    pub attribution: Attribution,
}

/// Searches breadth first against the flow, up to `max_depth` edges, for a
/// node of which `evidence` tells what is wrong with it. Of several at the
/// same distance the first by name is taken. Edges not seen for
/// `edge_max_age` are not followed. `declared` names what the subject's own
/// charter says it is made from.
pub fn attribute(
    subject: &str,
    declared: &[String],
    edges: &[Edge],
    limits: &AttributionLimits,
    at: Timestamp,
    evidence: &dyn Fn(&str) -> Option<String>,
) -> Rooted {
    let mut seen: BTreeSet<&str> = BTreeSet::from([subject]);
    let mut frontier: BTreeSet<&str> = BTreeSet::from([subject]);
    // A source of the lineage has nothing upstream and is known nevertheless.
    let mut any_edge = !declared.is_empty() || edges.iter().any(|edge| edge.from == subject);
    for _ in 0..limits.max_depth {
        let mut above: BTreeSet<&str> = BTreeSet::new();
        if frontier.contains(subject) {
            above.extend(declared.iter().map(String::as_str).filter(|node| *node != subject));
        }
        for edge in edges.iter().filter(|edge| frontier.contains(edge.to.as_str())) {
            let fresh = edge.last_seen.is_none_or(|seen| seen + limits.edge_max_age >= at);
            if fresh && !seen.contains(edge.from.as_str()) {
                above.insert(&edge.from);
            }
            any_edge |= fresh;
        }
        for node in &above {
            if let Some(what) = evidence(node) {
                let evidence = vec![format!("{node}: {what}")];
                return rooted(node, "upstream_breach", evidence);
            }
        }
        seen.extend(&above);
        if above.is_empty() || seen.len() > NODES_MAX {
            break;
        }
        frontier = above;
    }
    let (method, why) = if any_edge {
        ("itself", "no upstream node breaches by itself")
    } else {
        ("lineage_unknown", "no lineage of the subject is known")
    };
    rooted(subject, method, vec![why.into()])
}

/// The coverage is that of the one breach that was asked about, which its
/// root explains whole.
fn rooted(root: &str, method: &str, evidence: Vec<String>) -> Rooted {
    let attribution = Attribution { method: method.into(), evidence, coverage: 1.0 };
    Rooted { root: root.to_owned(), attribution }
}

#[cfg(test)]
mod tests;
