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

/// Method of a root that lies upstream and breaches itself.
pub const UPSTREAM_BREACH: &str = "upstream_breach";

/// A root and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Rooted {
    /// The root, a typed name.
    pub root: String,
    /// How it was found.
    pub attribution: Attribution,
}

/// What a search looks at.
pub struct Search<'a, 'e> {
    /// What the subject's own charter says it is made from.
    pub declared: &'a [String],
    /// The edges that end at a node.
    pub upstream: &'a dyn Fn(&str) -> Vec<&'e Edge>,
    /// True where the lineage knows users of the subject: a source has
    /// nothing upstream and is known nevertheless.
    pub is_source: bool,
    /// What is wrong with a node, where something is.
    pub evidence: &'a dyn Fn(&str) -> Option<String>,
}

/// Searches breadth first against the flow, up to `max_depth` edges, for a
/// node with evidence of its own. Of several at the same distance the first
/// by name is taken. Edges not seen for `edge_max_age` are not followed.
pub fn attribute(
    subject: &str,
    search: &Search<'_, '_>,
    limits: &AttributionLimits,
    at: Timestamp,
) -> Rooted {
    let mut seen: BTreeSet<&str> = BTreeSet::from([subject]);
    let mut frontier: BTreeSet<&str> = BTreeSet::from([subject]);
    let mut any_edge = search.is_source || !search.declared.is_empty();
    for _ in 0..limits.max_depth {
        let mut above: BTreeSet<&str> = BTreeSet::new();
        if frontier.contains(subject) {
            let declared = search.declared.iter().map(String::as_str);
            above.extend(declared.filter(|node| *node != subject));
        }
        for edge in frontier.iter().flat_map(|node| (search.upstream)(node)) {
            let fresh = edge.last_seen.is_none_or(|seen| seen + limits.edge_max_age >= at);
            any_edge |= fresh;
            if fresh && !seen.contains(edge.from.as_str()) {
                above.insert(&edge.from);
            }
        }
        for node in &above {
            if let Some(what) = (search.evidence)(node) {
                let evidence = vec![format!("{node}: {what}")];
                return rooted(node, UPSTREAM_BREACH, evidence);
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
