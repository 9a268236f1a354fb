//! The edges of a folder: those of lineage documents, and those that
//! `upstream` and `consumers` of charters add.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchkeep_model::document::Located;
use watchkeep_model::lineage::{Edge, RunEvent};
use watchkeep_model::time::Timestamp;

use super::index::{ALWAYS, Index, NEVER};
use super::pattern;
use crate::context::Declared;
use crate::lineage::{Base, Builder, Lineage, Node};

/// Where an edge was written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// Lineage document, and which of its edges.
    Lineage(usize, usize),
    /// Charter document, the list in it, and the place in that.
    Charter(usize, &'static str, usize),
}

/// The edges of a folder. A million of them have far fewer ends, and names are
/// slow to compare: each is numbered once, and all that follows goes by that.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// Every edge once, by `from`, then `to`. A declared edge stays one
    /// although runs have shown it too: it does not age.
    pub(super) edges: Vec<Edge>,
    /// The ends of each.
    pub(super) ends: Ends,
    /// What every lineage of this folder has, whatever runs show.
    pub(super) base: Base,
}

/// What the checks know of each edge beside its names.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The numbers of both ends, in the order of names; not every number is
    /// the end of an edge.
    pub(super) nodes: Vec<(Node, Node)>,
    /// Where it was written first.
    pub(super) sources: Vec<Source>,
}

/// An edge as it was written, once or one of many times.
struct Row {
    from: Node,
    to: Node,
    last_seen: Option<Timestamp>,
    source: Source,
}

/// The ends of an edge, and between which instants it was written.
type Dated<'e> = ((Node, Node), &'e (Edge, Timestamp, Timestamp));

/// Draws the edges of lineage documents as they are written now, those of
/// `of_all_time` with the instants between which they were written (empty where
/// these are not known), and those of charters.
pub(super) fn drawn(
    index: &Index,
    lineage: &[Located<Vec<Edge>>],
    of_all_time: &[(Edge, Timestamp, Timestamp)],
) -> Drawn {
    let now = || lineage.iter().flat_map(|document| &document.value);
    let ever = || of_all_time.iter().map(|(edge, _, _)| edge);
    let (names, numbers) = numbered(
        now().chain(ever()).flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]),
        index.named().chain(listed(index)),
    );
    let mut pairs = numbers.pairs.iter().copied();
    let mut rows: Vec<Row> = Vec::new();
    // What a pattern says holds for every subject that something names now.
    let mut is_named = vec![false; names.len()];
    for (number, document) in lineage.iter().enumerate() {
        for (place, (edge, (from, to))) in document.value.iter().zip(&mut pairs).enumerate() {
            let source = Source::Lineage(number, place);
            rows.push(Row { from, to, last_seen: edge.last_seen, source });
            (is_named[from as usize], is_named[to as usize]) = (true, true);
        }
    }
    let of_all_time: Vec<Dated<'_>> = pairs.zip(of_all_time).collect();
    numbers.others.iter().for_each(|node| is_named[*node as usize] = true);
    let base = base(index, &names, &rows, &of_all_time);
    // For checks and lists, as of the last revision.
    let node = |name: &str| names.binary_search(&name).ok().and_then(|n| Node::try_from(n).ok());
    for (subject, _) in names.iter().zip(&is_named).filter(|(_, is_named)| **is_named) {
        for (from, to, source) in declared(index, subject, NEVER) {
            let (Some(from), Some(to)) = (node(from), node(to)) else { continue };
            rows.push(Row { from, to, last_seen: None, source });
        }
    }
    rows.sort_by_key(|row| (row.from, row.to));
    let mut drawn = Drawn { base, ..Drawn::default() };
    for same in rows.chunk_by(|a, b| (a.from, a.to) == (b.from, b.to)) {
        let [Row { from, to, source, .. }, ..] = *same else { continue };
        let is_shown = same.iter().all(|row| row.last_seen.is_some());
        let last_seen = same.iter().filter_map(|row| row.last_seen).max().filter(|_| is_shown);
        let name = |node: Node| names[node as usize].to_owned();
        drawn.edges.push(Edge { from: name(from), to: name(to), last_seen });
        drawn.ends.nodes.push((from, to));
        drawn.ends.sources.push(source);
    }
    drawn
}

/// The instants between which something was written, `[since, until)`.
type Span = (Timestamp, Timestamp);

/// Numbers of names in the order in which these were given.
struct Numbers {
    pairs: Vec<(Node, Node)>,
    others: Vec<Node>,
}

/// Numbers the ends of edges, given one after the other, and other names, in
/// the order of names.
fn numbered<'n>(
    ends: impl Iterator<Item = &'n str>,
    others: impl Iterator<Item = &'n str>,
) -> (Vec<&'n str>, Numbers) {
    let mut given: Vec<(&str, usize)> = ends.zip(0..).collect();
    let ends = given.len();
    given.extend(others.zip(ends..));
    given.sort_unstable();
    let mut names: Vec<&str> = Vec::new();
    let mut numbers: Vec<Node> = vec![0; given.len()];
    for (name, place) in given {
        if names.last() != Some(&name) {
            names.push(name);
        }
        numbers[place] = Node::try_from(names.len() - 1).unwrap_or(Node::MAX);
    }
    let (ends, others) = numbers.split_at(ends);
    let pairs = ends.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    (names, Numbers { pairs, others: others.to_vec() })
}

/// What every lineage has: the edges of documents, and what charters declare of
/// the subjects that any of them names.
fn base(index: &Index, names: &[&str], now: &[Row], of_all_time: &[Dated<'_>]) -> Base {
    let mut base = Base::default();
    let mut add = |ends: (Node, Node), seen: Option<Timestamp>, (since, until): Span| {
        let (from, to) = ends;
        match seen {
            Some(seen) if until == NEVER => base.note(from, to, seen),
            // What is no longer written was there while it was, and fresh.
            Some(seen) if since < until.min(seen) => {
                base.declare(from, to, since, until.min(seen));
            }
            Some(_) => {}
            None => base.declare(from, to, since, until),
        }
    };
    // Where there is a history it has all edges that are written now.
    if of_all_time.is_empty() {
        now.iter().for_each(|row| add((row.from, row.to), row.last_seen, (ALWAYS, NEVER)));
    }
    for (ends, (edge, since, until)) in of_all_time {
        add(*ends, edge.last_seen, (*since, *until));
    }
    let node = |name: &str| names.binary_search(&name).ok().and_then(|n| Node::try_from(n).ok());
    for edge in names.iter().flat_map(|subject| declared_ever(index, subject)) {
        if let (Some(from), Some(to)) = (node(&edge.from), node(&edge.to)) {
            base.declare(from, to, edge.since, edge.until);
        }
    }
    base.named(names)
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
fn declared<'i>(
    index: &'i Index,
    subject: &'i str,
    at: Timestamp,
) -> Vec<(&'i str, &'i str, Source)> {
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
            let (from, to) = match name {
                "upstream" => (other.as_str(), subject),
                _ => (subject, other.as_str()),
            };
            found.push((from, to, Source::Charter(number, name, place)));
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
        found.extend(edges.map(|(from, to, _)| Declared {
            from: from.to_owned(),
            to: to.to_owned(),
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
    base: &Arc<Base>,
    runs: &'a [RunEvent],
    named: &dyn Fn(&'a str) -> &'a str,
) -> Lineage {
    let mut builder = Builder::on(base.clone());
    // Those of the base have what charters declare of them.
    let mut subjects: BTreeSet<&str> = BTreeSet::new();
    for run in runs {
        builder.run_named(run, named);
        let nodes = run.inputs.iter().chain(&run.outputs).chain([&run.job]);
        subjects.extend(nodes.map(|node| named(node)).filter(|node| !base.has(node)));
    }
    for subject in subjects {
        for edge in declared_ever(index, subject) {
            builder.declare(&edge.from, &edge.to, edge.since, edge.until);
        }
    }
    builder.build()
}
