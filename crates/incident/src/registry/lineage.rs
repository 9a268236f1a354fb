//! The edges of a folder: those of lineage documents, and those that
//! `upstream` and `consumers` of charters add.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::document::Located;
use watchkeep_model::lineage::{Edge, RunEvent};
use watchkeep_model::time::Timestamp;

use super::index::{ALWAYS, Index, NEVER};
use super::pattern;
use crate::context::Declared;
use crate::lineage::{Builder, Lineage};

/// Where an edge was written.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Lineage document and field path.
    Lineage(usize, String),
    /// Charter document and field path.
    Charter(usize, String),
}

/// The edges of lineage documents.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// By document, as they are written now.
    pub(super) documents: Vec<Vec<Edge>>,
    /// With the instants between which they were written; empty where these
    /// are not known.
    pub(super) of_all_time: Vec<(Edge, Timestamp, Timestamp)>,
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
    let mut subjects: BTreeSet<&str> = index.named().chain(listed(index)).collect();
    for (number, document) in lineage.iter().enumerate() {
        let paths = document.items("edges");
        for (at, edge) in document.value.iter().enumerate() {
            let path = paths.get(at).cloned().unwrap_or_default();
            add(&mut edges, &mut sources, edge.clone(), Source::Lineage(number, path));
            subjects.extend([edge.from.as_str(), edge.to.as_str()]);
        }
    }
    // For checks and lists, as of the last revision.
    for subject in subjects {
        for (edge, source) in declared(index, subject, NEVER) {
            add(&mut edges, &mut sources, edge, source);
        }
    }
    (edges.into_values().collect(), sources)
}

/// The nodes that charters list as sources or users. What a pattern says of
/// them holds although no document is about them alone.
fn listed(index: &Index) -> impl Iterator<Item = &str> {
    let lists = index.documents.iter().flat_map(|document| {
        [document.fields.upstream.as_ref(), document.fields.consumers.as_ref()]
    });
    lists.flatten().flatten().map(String::as_str)
}

/// The edges that charters in force at an instant declare for a subject.
fn declared(index: &Index, subject: &str, at: Timestamp) -> Vec<(Edge, Source)> {
    let documents = index.matching(subject, at);
    let mut found = Vec::new();
    for name in ["upstream", "consumers"] {
        let field = documents.iter().copied().find_map(|number| {
            let fields = &index.documents[number].fields;
            let list = if name == "upstream" { &fields.upstream } else { &fields.consumers };
            list.as_ref().map(|list| (number, list))
        });
        let Some((number, others)) = field else { continue };
        let about = index.documents[number].subject.as_str();
        // A pattern for `dataset:*` may name some of them as sources of all
        // others: they are not made from themselves nor from each other.
        let is_among = about != subject && others.iter().any(|other| other == subject);
        for (place, other) in others.iter().enumerate() {
            if is_among && pattern::matches(about, other) {
                continue;
            }
            let edge = match name {
                "upstream" => Edge::declared(other.clone(), subject),
                _ => Edge::declared(subject, other.clone()),
            };
            found.push((edge, Source::Charter(number, format!("{name}[{place}]"))));
        }
    }
    found
}

/// The edges that charters declare for a subject at any time.
pub(super) fn declared_ever(index: &Index, subject: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    let mut at = ALWAYS;
    loop {
        let (_, until) = index.constant_around(subject, at);
        let edges = declared(index, subject, at).into_iter();
        found.extend(edges.map(|(Edge { from, to, .. }, _)| Declared {
            from,
            to,
            since: at,
            until,
        }));
        if until == NEVER {
            return found;
        }
        at = until;
    }
}

/// The lineage of a folder and of the runs that were seen, with its history.
/// `named` tells what the nodes of runs are called.
pub(super) fn graph<'a>(
    index: &Index,
    written: &Written,
    runs: &'a [RunEvent],
    named: &dyn Fn(&'a str) -> &'a str,
) -> Lineage {
    let mut builder = Builder::default();
    let mut subjects: BTreeSet<&str> = index.named().chain(listed(index)).collect();
    let always = written.documents.iter().flatten().map(|edge| (edge, ALWAYS, NEVER));
    let of_time = written.of_all_time.iter().map(|(edge, since, until)| (edge, *since, *until));
    // Where there is a history it has all edges that are written now.
    let edges: Vec<(&Edge, Timestamp, Timestamp)> =
        if written.of_all_time.is_empty() { always.collect() } else { of_time.collect() };
    for (edge, since, until) in edges {
        match edge.last_seen {
            Some(seen) if until == NEVER => builder.note(&edge.from, &edge.to, seen),
            // What is no longer written was there while it was, and fresh.
            Some(seen) if since < until.min(seen) => {
                builder.declare(&edge.from, &edge.to, since, until.min(seen));
            }
            Some(_) => {}
            None => builder.declare(&edge.from, &edge.to, since, until),
        }
        subjects.extend([edge.from.as_str(), edge.to.as_str()]);
    }
    for run in runs {
        builder.run_named(run, named);
        subjects.insert(named(&run.job));
        subjects.extend(run.inputs.iter().chain(&run.outputs).map(|node| named(node)));
    }
    for subject in subjects {
        for edge in declared_ever(index, subject) {
            builder.declare(&edge.from, &edge.to, edge.since, edge.until);
        }
    }
    builder.build()
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
