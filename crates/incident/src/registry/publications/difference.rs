//! What a folder changes of what was published, thing by thing and field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::document::Documents;
use watchkeep_model::lineage::Edge;
use watchkeep_model::revision::{Revision, RevisionKind};

use super::contents::{Contents, of_documents, without_nulls};
use crate::registry::{joined, newest};

/// Something that is other than before.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What it is of.
    pub kind: RevisionKind,
    /// Its name.
    pub name: String,
    /// What it was; null where it is new.
    pub before: Value,
    /// What it shall be; null where it is withdrawn.
    pub after: Value,
}

impl Difference {
    /// The fields that are other.
    pub fn fields(&self) -> Vec<Change> {
        field_changes(&self.before, &self.after)
    }
}

/// A field that is other than before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Path of the field; items of lists that have a name go by it:
    /// `expectations[arr-drift].p_below`.
    pub field: String,
    /// What it was; null where it was not set.
    pub before: Value,
    /// What it is; null where it is not set.
    pub after: Value,
}

/// Something that is other than before, field by field, as people are told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// What it is of.
    pub kind: RevisionKind,
    /// Its name.
    pub name: String,
    /// What is other.
    pub fields: Vec<Change>,
}

impl Changed {
    /// What would be other.
    pub fn by(difference: &Difference) -> Self {
        let Difference { kind, name, .. } = difference;
        Self { kind: *kind, name: name.clone(), fields: difference.fields() }
    }

    /// Something that was published, whole.
    pub fn of(revision: &Revision) -> Self {
        let change =
            Change { field: String::new(), before: Value::Null, after: revision.content.clone() };
        Self { kind: revision.kind, name: revision.name.clone(), fields: vec![change] }
    }
}

/// What the documents change, by kind and name. With `whole` they are all
/// there is, and what they do not name is withdrawn; otherwise it stays.
pub fn changes(contents: &Contents, documents: &Documents, whole: bool) -> Vec<Difference> {
    let wanted = wanted(documents);
    let mut keys: BTreeSet<(RevisionKind, String)> = wanted.keys().cloned().collect();
    if whole {
        keys.extend(contents.names().map(|(kind, name)| (kind, name.to_owned())));
    }
    keys.into_iter()
        .filter_map(|key| {
            let before = contents.written(key.0, &key.1);
            let after = wanted.get(&key).cloned().unwrap_or(Value::Null);
            let (kind, name) = key;
            (before != after).then_some(Difference { kind, name, before, after })
        })
        .collect()
}

/// The contents of the documents by kind and name.
fn wanted(documents: &Documents) -> BTreeMap<(RevisionKind, String), Value> {
    let mut wanted = BTreeMap::new();
    let mut add = |kind, name: &str, content: Value| {
        if !content.is_null() {
            wanted.insert((kind, name.to_owned()), content);
        }
    };
    let mut charters: BTreeMap<&str, Vec<CharterDocument>> = BTreeMap::new();
    for charter in &documents.charters {
        charters.entry(&charter.value.subject).or_default().push(charter.value.clone());
    }
    for (subject, documents) in charters {
        add(RevisionKind::Charter, subject, of_documents(&documents));
    }
    for (name, policy) in newest(&documents.policies) {
        add(RevisionKind::Policy, &name, content(&policy));
    }
    let directory = joined(&documents.directories);
    directory.users.iter().for_each(|(name, user)| add(RevisionKind::User, name, content(user)));
    directory.groups.iter().for_each(|(n, group)| add(RevisionKind::Group, n, content(group)));
    directory.schedules.iter().for_each(|(n, rota)| add(RevisionKind::Schedule, n, content(rota)));
    directory.systems.iter().for_each(|(n, system)| add(RevisionKind::System, n, content(system)));
    directory.domains.iter().for_each(|(n, domain)| add(RevisionKind::Domain, n, content(domain)));
    add(RevisionKind::Governance, "governance", content(&directory.governance));
    let mut ends: BTreeMap<&str, BTreeSet<&Edge>> = BTreeMap::new();
    for edge in documents.lineage.iter().flat_map(|document| &document.value) {
        ends.entry(&edge.to).or_default().insert(edge);
    }
    for (node, edges) in ends {
        add(RevisionKind::Lineage, node, content(&edges));
    }
    wanted
}

fn content<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).map_or(Value::Null, without_nulls)
}

/// The fields in which two contents differ, by path.
pub fn field_changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", single(before), single(after), &mut found);
    found
}

/// A charter of one document is shown without the list around it.
fn single(value: &Value) -> &Value {
    match value {
        Value::Array(items) if items.len() == 1 && items[0].get("subject").is_some() => &items[0],
        other => other,
    }
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let (old, new) = (members(before), members(after));
    let has_members = |value: &Value, members: &Option<_>| value.is_null() || members.is_some();
    let is_whole = path.is_empty() || (!before.is_null() && !after.is_null());
    if !is_whole || !has_members(before, &old) || !has_members(after, &new) {
        let (before, after) = (before.clone(), after.clone());
        found.push(Change { field: path.to_owned(), before, after });
        return;
    }
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let path = match name.starts_with('[') || path.is_empty() {
            true => format!("{path}{name}"),
            false => format!("{path}.{name}"),
        };
        let before = old.get(name).copied().unwrap_or(&Value::Null);
        let after = new.get(name).copied().unwrap_or(&Value::Null);
        compare(&path, before, after, found);
    }
}

/// Members by name: of a map by key, of a list whose items have one by that.
fn members(value: &Value) -> Option<BTreeMap<String, &Value>> {
    match value {
        Value::Object(members) => Some(members.iter().map(|(k, v)| (k.clone(), v)).collect()),
        Value::Array(items) => {
            let mut named = BTreeMap::new();
            for item in items {
                let name =
                    ["name", "effective_from"].iter().find_map(|key| item.get(key)?.as_str());
                let name = name.or_else(|| item.get("subject").map(|_| "always"))?;
                named.insert(format!("[{name}]"), item);
            }
            (named.len() == items.len()).then_some(named)
        }
        _ => None,
    }
}
