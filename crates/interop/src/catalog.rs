//! What is exported: charters as they hold for single subjects, everybody who
//! is named, and the lineage as one graph.

use std::collections::BTreeSet;

use watchkeep_model::charter::CharterDocument;
use watchkeep_model::directory::Directory;
use watchkeep_model::lineage::Edge;

use crate::notes::Note;

/// A charter folder as other programs see it. Most formats know no patterns,
/// so charters are those of single subjects, with what patterns give them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// By subject; none has `upstream` or `consumers`.
    pub charters: Vec<CharterDocument>,
    /// People, groups, rotas, systems and domains.
    pub directory: Directory,
    /// By `from`, then `to`.
    pub edges: Vec<Edge>,
    /// Patterns and policies of the folder, as `kind name`. No format has a
    /// place for them, so each is a note.
    pub others: Vec<String>,
}

impl Catalog {
    /// Takes charters of single subjects; their `upstream` and `consumers`
    /// become edges, so that it no longer matters which side wrote one down.
    pub fn new(
        charters: impl IntoIterator<Item = CharterDocument>,
        directory: Directory,
        edges: impl IntoIterator<Item = Edge>,
    ) -> Self {
        let mut charters: Vec<CharterDocument> = charters.into_iter().collect();
        charters.sort_by(|a, b| a.subject.cmp(&b.subject));
        let mut all: Vec<Edge> = edges.into_iter().collect();
        for document in &mut charters {
            let subject = &document.subject;
            let upstream = document.fields.upstream.take().unwrap_or_default();
            all.extend(upstream.into_iter().map(|from| Edge::declared(from, subject)));
            let consumers = document.fields.consumers.take().unwrap_or_default();
            all.extend(consumers.into_iter().map(|to| Edge::declared(subject, to)));
        }
        // A declared edge does not age, so it stands before one that was seen.
        all.sort();
        all.dedup_by(|b, a| (&a.from, &a.to) == (&b.from, &b.to));
        Self { charters, directory, edges: all, others: Vec::new() }
    }

    /// The charter of a subject.
    pub(crate) fn charter(&self, subject: &str) -> Option<&CharterDocument> {
        let by_subject = |document: &CharterDocument| document.subject.as_str().cmp(subject);
        self.charters.binary_search_by(by_subject).ok().map(|place| &self.charters[place])
    }

    /// Notes of what a format with parts about `carried` subjects loses of the
    /// lineage; `about` says where those are.
    pub(crate) fn edges_lost(&self, carried: &BTreeSet<String>, about: &str) -> Vec<Note> {
        let lost = self.edges.iter().filter_map(|edge| {
            let subject = format!("{} -> {}", edge.from, edge.to);
            if !carried.contains(&edge.from) && !carried.contains(&edge.to) {
                return Some(Note::not_carried(&subject, "", &format!("neither end is {about}")));
            }
            let why = "the format has no time for it";
            edge.last_seen.map(|_| Note::not_carried(&subject, "last_seen", why))
        });
        lost.collect()
    }

    /// A note that people are carried by their names alone, where there are any.
    pub(crate) fn directory_lost(&self) -> Option<Note> {
        let why = "people, groups, systems and domains are carried by their names alone";
        (self.directory != Directory::default()).then(|| Note::not_carried("directory", "", why))
    }

    /// Every subject: of charters and of ends of edges.
    pub(crate) fn nodes(&self) -> BTreeSet<&str> {
        let charters = self.charters.iter().map(|document| document.subject.as_str());
        let ends = self.edges.iter().flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]);
        charters.chain(ends).collect()
    }
}

/// Type and bare name of a typed name; without a type the type is empty.
pub(crate) fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}
