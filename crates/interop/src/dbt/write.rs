//! A catalog as a properties file of dbt.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use watchkeep_model::charter::CharterDocument;
use watchkeep_wire::yaml::write as yaml;

use super::freshness;
use super::read::EXPOSURES;
use crate::catalog::{Catalog, split};
use crate::extension::NAMESPACE;
use crate::notes::Note;
use crate::{Converted, Written, extension};

const ORDER: [&str; 14] = [
    "version",
    "groups",
    "sources",
    "models",
    "exposures",
    "name",
    "label",
    "type",
    "description",
    "owner",
    "config",
    "meta",
    "freshness",
    "depends_on",
];

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let mut writer =
        Writer { catalog, places: BTreeMap::new(), carried: BTreeSet::new(), notes: Vec::new() };
    writer.find_places();
    let file = writer.file();
    let text = yaml::text(&[Value::Object(file)], &ORDER);
    writer.notes.extend(catalog.directory_lost());
    writer.notes.extend(catalog.edges_lost(&writer.carried, "in the file"));
    let files = vec![Written { name: "watchkeep.yml".into(), text }];
    Converted { files, notes: writer.notes }
}

/// Where a subject stands in the file.
#[derive(Clone, Debug)]
enum Place {
    Model(String),
    /// Source and table.
    Table(String, String),
    /// Name and type.
    Exposure(String, &'static str),
    /// The subject of the table, and the name.
    Column(String, String),
}

struct Writer<'a> {
    catalog: &'a Catalog,
    places: BTreeMap<String, Place>,
    carried: BTreeSet<String>,
    notes: Vec<Note>,
}

impl Writer<'_> {
    /// Gives each subject its place, under names that dbt takes.
    fn find_places(&mut self) {
        let mut taken = BTreeSet::new();
        let mut unused = |name: String, list: &str| {
            let numbered = (2..).map(|number| format!("{name}_{number}"));
            let mut names = std::iter::once(name.clone()).chain(numbered);
            names.find(|name| taken.insert(format!("{list} {name}"))).unwrap_or(name)
        };
        for document in &self.catalog.charters {
            let subject = document.subject.as_str();
            let (kind, bare) = split(subject);
            let place = match kind {
                "dataset" => match bare.split_once('.') {
                    Some((source, table)) if is_word(source) && is_word(table) => {
                        Place::Table(source.to_owned(), unused(table.to_owned(), source))
                    }
                    _ => Place::Model(unused(word(bare), "models")),
                },
                "view" => Place::Model(unused(word(bare), "models")),
                "feature" => continue,
                "pipeline" => {
                    let why = "dbt describes data and its users, not pipelines";
                    self.notes.push(Note::not_carried(subject, "", why));
                    continue;
                }
                _ => {
                    let known = EXPOSURES.iter().find(|(known, _)| *known == kind);
                    let written = known.map_or("application", |(_, types)| types[0]);
                    Place::Exposure(unused(word(bare), "exposures"), written)
                }
            };
            self.places.insert(subject.to_owned(), place);
        }
        for document in &self.catalog.charters {
            let subject = document.subject.as_str();
            let ("feature", bare) = split(subject) else { continue };
            let (table, column) = bare.rsplit_once('.').unwrap_or(("features", bare));
            let owners = ["dataset", "view"].map(|kind| format!("{kind}:{table}"));
            let owner = owners.iter().find(|owner| self.places.contains_key(*owner));
            let owner = owner.cloned().unwrap_or_else(|| {
                let [dataset, _] = &owners;
                let name = unused(word(table), "models");
                self.places.insert(dataset.clone(), Place::Model(name));
                dataset.clone()
            });
            let column = unused(word(column), &owner);
            self.places.insert(subject.to_owned(), Place::Column(owner, column));
        }
        let has_charter = |subject: &&String| self.catalog.charter(subject).is_some();
        self.carried = self.places.keys().filter(has_charter).cloned().collect();
    }

    fn file(&self) -> Map<String, Value> {
        let mut columns: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (subject, place) in &self.places {
            if let (Place::Column(table, name), Some(document)) =
                (place, self.catalog.charter(subject))
            {
                let default = format!("feature:{}.{name}", split(table).1);
                let mut column = self.part(document, &default, &[table], false);
                column.insert("name".into(), name.as_str().into());
                columns.entry(table).or_default().push(Value::Object(column));
            }
        }
        let (mut models, mut exposures) = (Vec::new(), Vec::new());
        let mut sources: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (subject, place) in &self.places {
            let (default, bare) = match place {
                Place::Model(name) => (format!("dataset:{name}"), name),
                Place::Table(source, table) => (format!("dataset:{source}.{table}"), table),
                Place::Exposure(name, _) => (format!("{}:{name}", split(subject).0), name),
                Place::Column(..) => continue,
            };
            let is_exposure = matches!(place, Place::Exposure(..));
            let mut part = match self.catalog.charter(subject) {
                Some(document) if is_exposure => self.exposure(document, &default),
                Some(document) => {
                    let mut part =
                        self.part(document, &default, &[], matches!(place, Place::Table(..)));
                    part.remove("columns");
                    part
                }
                None => {
                    let mut ours = json!({"charter": "none"});
                    if default != *subject {
                        ours["subject"] = subject.as_str().into();
                    }
                    map(json!({"config": {"meta": {NAMESPACE: ours}}}))
                }
            };
            part.insert("name".into(), bare.as_str().into());
            if let Some(columns) = columns.remove(subject.as_str()) {
                part.insert("columns".into(), columns.into());
            }
            match place {
                Place::Table(source, _) => sources.entry(source).or_default().push(part.into()),
                Place::Exposure(_, written) => {
                    part.insert("type".into(), (*written).into());
                    exposures.push(Value::Object(part));
                }
                _ => models.push(Value::Object(part)),
            }
        }
        let mut file = map(json!({"version": 2}));
        let sources: Vec<Value> = sources
            .into_iter()
            .map(|(name, tables)| json!({"name": name, "tables": tables}))
            .collect();
        for (key, list) in [("models", models), ("sources", sources), ("exposures", exposures)] {
            if !list.is_empty() {
                file.insert(key.into(), list.into());
            }
        }
        file
    }

    /// A model, a table or a column.
    fn part(
        &self,
        document: &CharterDocument,
        default: &str,
        implied: &[&str],
        has_freshness: bool,
    ) -> Map<String, Value> {
        let mut part = Map::new();
        let mut rest = self.rest(document, default, implied, &mut part);
        if has_freshness
            && let Some(list) = rest.get("expectations").and_then(Value::as_array)
            && let Some(freshness) = freshness::write(list)
        {
            part.insert("freshness".into(), freshness.into());
            rest.remove("expectations");
        }
        let mut meta = Map::new();
        if let Some(owners) = rest.get_mut("owners").and_then(Value::as_object_mut)
            && let Some(primary) = owners.remove("primary")
        {
            meta.insert("owner".into(), primary);
            if owners.is_empty() {
                rest.remove("owners");
            }
        }
        let is_column = !implied.is_empty();
        // A column is a feature only where there is something of ours.
        if !rest.is_empty() || is_column {
            meta.insert(NAMESPACE.into(), rest.into());
        }
        if !meta.is_empty() {
            part.insert("config".into(), json!({"meta": meta}));
        }
        part
    }

    fn exposure(&self, document: &CharterDocument, default: &str) -> Map<String, Value> {
        let mut part = Map::new();
        let mut rest = self.rest(document, default, &[], &mut part);
        let mut depends_on = Vec::new();
        if let Some(upstream) = rest.get_mut("upstream").and_then(Value::as_array_mut) {
            upstream.retain(|name| {
                let place = name.as_str().and_then(|name| self.places.get(name));
                let reference = match place {
                    Some(Place::Model(name)) => format!("ref('{name}')"),
                    Some(Place::Table(source, table)) => format!("source('{source}', '{table}')"),
                    _ => return true,
                };
                depends_on.push(reference);
                false
            });
            if upstream.is_empty() {
                rest.remove("upstream");
            }
        }
        if !depends_on.is_empty() {
            part.insert("depends_on".into(), json!(depends_on));
        }
        let owners = rest.get_mut("owners").and_then(Value::as_object_mut);
        let primary = owners.and_then(|owners| owners.remove("primary"));
        if rest.get("owners").and_then(Value::as_object).is_some_and(Map::is_empty) {
            rest.remove("owners");
        }
        let primary = primary.as_ref().and_then(Value::as_str).unwrap_or_default();
        let owner = match split(primary) {
            ("user", bare) if bare.contains('@') => {
                let user = self.catalog.directory.users.get(bare);
                let name = user.and_then(|user| user.name.as_deref()).unwrap_or(bare);
                json!({"email": bare, "name": name})
            }
            _ => json!({"name": primary}),
        };
        part.insert("owner".into(), owner);
        if !rest.is_empty() {
            part.insert("config".into(), json!({"meta": {NAMESPACE: rest}}));
        }
        part
    }

    /// Takes out what dbt has words for, and returns what is left.
    fn rest(
        &self,
        document: &CharterDocument,
        default: &str,
        implied: &[&str],
        part: &mut Map<String, Value>,
    ) -> Map<String, Value> {
        let mut fields = document.fields.clone();
        if let Some(description) = fields.description.take() {
            part.insert("description".into(), description.into());
        }
        let mut rest = extension::of(fields);
        if document.subject != default {
            rest.insert("subject".into(), document.subject.as_str().into());
        }
        let subject = &document.subject;
        rest.extend(extension::lineage(self.catalog, subject, implied, &self.carried));
        rest
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// True for what dbt takes for a name.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn word(name: &str) -> String {
    let word: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if word.is_empty() { "unnamed".to_owned() } else { word }
}
