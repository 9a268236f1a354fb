//! What holds as of a publication.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::directory::Directory;
use watchkeep_model::document::{Documents, Located};
use watchkeep_model::lineage::Edge;
use watchkeep_model::policy::Policy;
use watchkeep_model::revision::{Revision, RevisionKind};
use watchkeep_model::time::Timestamp;

use super::Difference;
use crate::registry::index::{ALWAYS, NEVER};

/// The file that documents of the topic are said to be of.
const TOPIC: &str = "charters topic";

/// People, groups and the like that the directories of the past hold together.
/// Before the oldest that is kept, who there was is taken to be the same.
const DIRECTORY_ENTRIES_MAX: usize = 200_000;

/// The fold of revisions.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    subjects: BTreeMap<String, SubjectHistory>,
    /// Everything but charters, as it was written, by kind and name.
    others: BTreeMap<(RevisionKind, String), Value>,
    /// Policies as they were before, in order of their publication.
    earlier: Vec<Value>,
    /// The same of people and lineage, from an instant on; null where it was
    /// withdrawn.
    history: BTreeMap<(RevisionKind, String), BTreeMap<Timestamp, Value>>,
}

/// The charters of a subject or pattern.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectHistory {
    /// The latest documents as they were written; none where it was withdrawn.
    pub written: Vec<CharterDocument>,
    /// What is in force from an instant on; nothing where it was withdrawn.
    pub in_force: BTreeMap<Timestamp, Vec<CharterDocument>>,
}

impl Contents {
    pub(super) fn take(&mut self, revision: &Revision) {
        if revision.kind == RevisionKind::Charter {
            let documents: Vec<CharterDocument> = read(&revision.content).unwrap_or_default();
            let subject = self.subjects.entry(revision.name.clone()).or_default();
            subject.take(documents, revision.effective_from.unwrap_or(ALWAYS));
            return;
        }
        let key = (revision.kind, revision.name.clone());
        if revision.kind != RevisionKind::Policy {
            let from = revision.effective_from.unwrap_or(ALWAYS);
            let history = self.history.entry(key.clone()).or_default();
            drop(history.split_off(&from));
            history.insert(from, revision.content.clone());
        }
        let before = if revision.content.is_null() {
            self.others.remove(&key)
        } else {
            self.others.insert(key, revision.content.clone())
        };
        if revision.kind == RevisionKind::Policy {
            self.earlier.extend(before);
        }
    }

    /// The same with changes, of which charters hold always: for checking what
    /// the charters would be.
    #[must_use]
    pub fn with(mut self, differences: &[Difference]) -> Self {
        for Difference { kind, name, after, .. } in differences {
            if *kind == RevisionKind::Charter {
                self.subjects.remove(name);
            }
            self.take(&Revision {
                publication: String::new(),
                kind: *kind,
                name: name.clone(),
                at: ALWAYS,
                by: String::new(),
                effective_from: None,
                base: None,
                change_ticket: None,
                rationale: None,
                cause: None,
                content: after.clone(),
            });
        }
        self
    }

    /// What was written of something last; null where it is not there.
    pub fn written(&self, kind: RevisionKind, name: &str) -> Value {
        if kind == RevisionKind::Charter {
            let documents = self.subjects.get(name).map_or(&[][..], |s| s.written.as_slice());
            return of_documents(documents);
        }
        self.others.get(&(kind, name.to_owned())).cloned().unwrap_or(Value::Null)
    }

    /// Kinds and names of all that is there.
    pub fn names(&self) -> impl Iterator<Item = (RevisionKind, &str)> {
        let subjects = self.subjects.iter().filter(|(_, subject)| !subject.written.is_empty());
        let charters = subjects.map(|(name, _)| (RevisionKind::Charter, name.as_str()));
        charters.chain(self.others.keys().map(|(kind, name)| (*kind, name.as_str())))
    }

    /// The charters of a subject or pattern.
    pub fn subject(&self, name: &str) -> Option<&SubjectHistory> {
        self.subjects.get(name)
    }

    /// As documents of a folder, with the history of each charter.
    pub fn documents(&self) -> Documents {
        let mut documents = Documents::default();
        for (name, subject) in &self.subjects {
            for (from, in_force) in &subject.in_force {
                if in_force.is_empty() {
                    documents.withdrawn.push((name.clone(), *from));
                }
                for document in in_force {
                    let mut document = document.clone();
                    document.fields.effective_from = (*from != ALWAYS).then_some(*from);
                    documents.charters.push(located(format!("charter {name}"), document));
                }
            }
        }
        let mut directory = Directory::default();
        let mut edges: Vec<Edge> = Vec::new();
        documents.earlier_policies = self.earlier.iter().filter_map(read).collect();
        documents.edges = self.edges_of_all_time();
        documents.directories_since = self.directories();
        for ((kind, name), content) in &self.others {
            match kind {
                RevisionKind::Policy => {
                    if let Some(policy) = read::<Policy>(content) {
                        documents.policies.push(located(format!("policy {name}"), policy));
                    }
                }
                RevisionKind::Lineage => {
                    edges.extend(read::<Vec<Edge>>(content).unwrap_or_default());
                }
                kind => put(&mut directory, *kind, name, content),
            }
        }
        documents.directories.push(located("directory".to_owned(), directory));
        if !edges.is_empty() {
            edges.sort();
            documents.lineage.push(located("lineage".to_owned(), edges));
        }
        documents
    }

    /// Every edge with the instants between which it was written.
    fn edges_of_all_time(&self) -> Vec<(Edge, Timestamp, Timestamp)> {
        let mut all = Vec::new();
        for ((_, _), history) in
            self.history.iter().filter(|(key, _)| key.0 == RevisionKind::Lineage)
        {
            let mut open: BTreeMap<Edge, Timestamp> = BTreeMap::new();
            for (from, content) in history {
                let edges: BTreeSet<Edge> = read(content).unwrap_or_default();
                let kept = |edge: &Edge| edges.contains(edge);
                let gone: Vec<Edge> = open.keys().filter(|edge| !kept(edge)).cloned().collect();
                for edge in gone {
                    if let Some(since) = open.remove(&edge) {
                        all.push((edge, since, *from));
                    }
                }
                for edge in edges {
                    open.entry(edge).or_insert(*from);
                }
            }
            all.extend(open.into_iter().map(|(edge, since)| (edge, since, NEVER)));
        }
        all
    }

    /// The directory from each instant on at which something of it changed, as
    /// far back as [`DIRECTORY_ENTRIES_MAX`] allows.
    fn directories(&self) -> Vec<(Timestamp, Directory)> {
        let people = || self.history.iter().filter(|(key, _)| key.0 != RevisionKind::Lineage);
        let instants: BTreeSet<Timestamp> =
            people().flat_map(|(_, history)| history.keys().copied()).collect();
        if instants.iter().all(|from| *from == ALWAYS) {
            return Vec::new();
        }
        let kept = (DIRECTORY_ENTRIES_MAX / people().count().max(1)).max(2);
        let latest = instants.into_iter().rev().take(kept).collect::<Vec<_>>();
        let at = |from: Timestamp| {
            let mut directory = Directory::default();
            for ((kind, name), history) in people() {
                if let Some((_, content)) = history.range(..=from).next_back() {
                    put(&mut directory, *kind, name, content);
                }
            }
            (from, directory)
        };
        latest.into_iter().rev().map(at).collect()
    }
}

impl SubjectHistory {
    /// Documents without a date hold from `from` on, the ones before until
    /// then. Documents with dates hold as they are written.
    fn take(&mut self, documents: Vec<CharterDocument>, from: Timestamp) {
        self.written.clone_from(&documents);
        let first = documents.iter().filter_map(|d| d.fields.effective_from).min();
        let Some(first) = first else {
            // What was planned for later is called off.
            drop(self.in_force.split_off(&from));
            self.in_force.insert(from, documents);
            return;
        };
        // An undated one is what holds before the first date.
        let before = self.in_force.range(..first).next_back();
        let base = before.map_or(ALWAYS, |(base, _)| *base);
        drop(self.in_force.split_off(&first));
        let mut dated: BTreeMap<Timestamp, Vec<CharterDocument>> = BTreeMap::new();
        for document in documents {
            dated.entry(document.fields.effective_from.unwrap_or(base)).or_default().push(document);
        }
        self.in_force.append(&mut dated);
    }
}

/// Puts a thing of the directory into one.
fn put(directory: &mut Directory, kind: RevisionKind, name: &str, content: &Value) {
    match kind {
        RevisionKind::User => insert(&mut directory.users, name, content),
        RevisionKind::Group => insert(&mut directory.groups, name, content),
        RevisionKind::Schedule => insert(&mut directory.schedules, name, content),
        RevisionKind::System => insert(&mut directory.systems, name, content),
        RevisionKind::Domain => insert(&mut directory.domains, name, content),
        RevisionKind::Governance => directory.governance = read(content),
        _ => {}
    }
}

/// Charter documents as the content of a revision.
pub(super) fn of_documents(documents: &[CharterDocument]) -> Value {
    if documents.is_empty() {
        return Value::Null;
    }
    serde_json::to_value(documents).map_or(Value::Null, without_nulls)
}

/// A value without the members that say nothing: so a field that a later
/// version adds does not make every charter another one.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, member)| (name, without_nulls(member)));
            Value::Object(kept.filter(|(_, member)| !is_nothing(member)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        Value::Number(number) => Value::Number(as_written(number)),
        other => other,
    }
}

/// A whole number is written without a point, and read as one: `1.0` is `1`.
fn as_written(number: serde_json::Number) -> serde_json::Number {
    // Beyond it not every whole number is a double.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let is_whole = |value: &f64| value.fract() == 0.0 && value.abs() < WHOLE_MAX;
    let whole = number.as_f64().filter(|value| number.is_f64() && is_whole(value));
    let whole = whole.and_then(|value| format!("{value:.0}").parse::<i64>().ok());
    whole.map_or(number, Into::into)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn read<T: DeserializeOwned>(content: &Value) -> Option<T> {
    T::deserialize(content).ok()
}

fn insert<T: DeserializeOwned>(map: &mut BTreeMap<String, T>, name: &str, content: &Value) {
    if let Some(value) = read(content) {
        map.insert(name.to_owned(), value);
    }
}

fn located<T>(document: String, value: T) -> Located<T> {
    Located {
        file: TOPIC.to_owned(),
        place: watchkeep_model::document::Place { line: 1, column: 1 },
        document,
        fields: BTreeMap::new(),
        value,
    }
}
