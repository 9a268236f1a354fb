//! The edges of a folder: those of lineage documents, and those that
//! `upstream` and `consumers` of charters add.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::document::Located;
use watchkeep_model::lineage::Edge;

use super::index::{Index, NEVER};

/// Where an edge was written.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Lineage document and field path.
    Lineage(usize, String),
    /// Charter document and field path.
    Charter(usize, String),
}

/// Both ends of an edge.
pub(super) type Ends = (String, String);

/// Every edge once, by `from`, then `to`, and where each was written first. A
/// declared edge stays one although runs have shown it too: it does not age.
pub(super) fn edges(
    index: &Index,
    lineage: &[Located<Vec<Edge>>],
) -> (Vec<Edge>, BTreeMap<Ends, Source>) {
    let mut edges: BTreeMap<Ends, Edge> = BTreeMap::new();
    let mut sources: BTreeMap<Ends, Source> = BTreeMap::new();
    let mut subjects: BTreeSet<&str> = index.named().collect();
    for (number, document) in lineage.iter().enumerate() {
        let paths = document.items("edges");
        for (at, edge) in document.value.iter().enumerate() {
            let path = paths.get(at).cloned().unwrap_or_default();
            add(&mut edges, &mut sources, edge.clone(), Source::Lineage(number, path));
            subjects.extend([edge.from.as_str(), edge.to.as_str()]);
        }
    }
    // As of the last revision: the lineage has no history of its own yet.
    for subject in subjects {
        let documents = index.matching(subject, NEVER);
        let field = |name: &str| {
            documents.iter().copied().find_map(|number| {
                let fields = &index.documents[number].fields;
                let list = if name == "upstream" { &fields.upstream } else { &fields.consumers };
                list.as_ref().map(|list| (number, list))
            })
        };
        for name in ["upstream", "consumers"] {
            let Some((number, others)) = field(name) else { continue };
            for (at, other) in others.iter().enumerate() {
                let edge = match name {
                    "upstream" => Edge::declared(other.clone(), subject),
                    _ => Edge::declared(subject, other.clone()),
                };
                let source = Source::Charter(number, format!("{name}[{at}]"));
                // A pattern for `dataset:*` may name one of them as upstream.
                if edge.from != edge.to || index.documents[number].subject == subject {
                    add(&mut edges, &mut sources, edge, source);
                }
            }
        }
    }
    (edges.into_values().collect(), sources)
}

fn add(
    edges: &mut BTreeMap<Ends, Edge>,
    sources: &mut BTreeMap<Ends, Source>,
    edge: Edge,
    source: Source,
) {
    let ends = (edge.from.clone(), edge.to.clone());
    sources.entry(ends.clone()).or_insert(source);
    let kept = edges.entry(ends).or_insert_with(|| edge.clone());
    kept.last_seen = match (kept.last_seen, edge.last_seen) {
        (Some(a), Some(b)) => Some(a.max(b)),
        _ => None,
    };
}
