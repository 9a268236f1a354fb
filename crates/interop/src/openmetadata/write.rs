//! A catalog as a list of entities and of edges.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use watchkeep_model::charter::CharterDocument;

use super::{ENTITIES, TYPES, property};
use crate::catalog::{Catalog, split};
use crate::notes::Note;
use crate::{Converted, Written, extension};

/// The table of features whose names have no part before a dot.
const LOOSE: &str = "features";

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let mut writer = Writer { catalog, carried: BTreeSet::new() };
    let mut notes = Vec::new();
    let mut columns: BTreeMap<String, Vec<&CharterDocument>> = BTreeMap::new();
    let mut entities: BTreeMap<String, Option<&CharterDocument>> = BTreeMap::new();
    for document in &catalog.charters {
        let (kind, bare) = split(&document.subject);
        if kind == "feature" {
            let table = bare.rsplit_once('.').map_or(LOOSE, |(table, _)| table);
            let table = format!("dataset:{table}");
            entities.entry(table.clone()).or_insert(None);
            columns.entry(table).or_default().push(document);
        } else if ENTITIES.iter().any(|(known, _)| *known == kind) {
            entities.insert(document.subject.clone(), Some(document));
        } else {
            let why = "OpenMetadata has no entity like it";
            notes.push(Note::not_carried(&document.subject, "", why));
            continue;
        }
        writer.carried.insert(document.subject.clone());
    }
    let data: Vec<Value> = entities
        .iter()
        .map(|(subject, document)| {
            let mut entity = writer.entity(subject, *document);
            let of_table = columns.get(subject).into_iter().flatten();
            let list: Vec<Value> =
                of_table.map(|column| writer.column(subject, *document, column)).collect();
            if subject.starts_with("dataset:") {
                entity["columns"] = list.into();
            }
            entity
        })
        .collect();
    let edges: Vec<Value> = catalog.edges.iter().filter_map(|edge| writer.edge(edge)).collect();
    notes.extend(catalog.directory_lost());
    notes.extend(catalog.edges_lost(&writer.carried, "among the entities"));
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let mut files =
        vec![Written { name: "entities.json".into(), text: text(&json!({"data": data})) }];
    if !edges.is_empty() {
        files.push(Written { name: "lineage.json".into(), text: text(&json!({"data": edges})) });
    }
    Converted { files, notes }
}

struct Writer<'a> {
    catalog: &'a Catalog,
    carried: BTreeSet<String>,
}

fn entity_type(kind: &str) -> Option<&'static str> {
    ENTITIES.iter().find(|(known, _)| *known == kind).map(|(_, kinds)| kinds[0])
}

impl Writer<'_> {
    fn entity(&self, subject: &str, document: Option<&CharterDocument>) -> Value {
        let (kind, bare) = split(subject);
        let mut entity = json!({
            "name": bare.rsplit('.').next().unwrap_or(bare),
            "fullyQualifiedName": bare,
            "entityType": entity_type(kind),
        });
        let Some(document) = document else {
            entity["extension"] = json!({property("charter"): "none"});
            return entity;
        };
        let mut fields = document.fields.clone();
        if let Some(description) = fields.description.take() {
            entity["description"] = description.into();
        }
        let mut owners = Vec::new();
        if let Some(primary) = reference(fields.owners.primary.as_deref()) {
            fields.owners.primary = None;
            owners.push(primary);
            if let Some(backup) = reference(fields.owners.backup.as_deref()) {
                fields.owners.backup = None;
                owners.push(backup);
            }
        }
        if !owners.is_empty() {
            entity["owners"] = owners.into();
        }
        if let Some(domain) = fields.domain.take() {
            entity["domains"] =
                json!([{"type": "domain", "name": domain, "fullyQualifiedName": domain}]);
        }
        if let Some(tier) = fields.tier.take() {
            entity["tags"] =
                json!([{"tagFQN": format!("Tier.Tier{tier}"), "source": "Classification"}]);
        }
        let rest = extension::of(fields);
        self.extension(&document.subject, &[], rest, &mut entity);
        entity
    }

    fn column(
        &self,
        table: &str,
        of_table: Option<&CharterDocument>,
        document: &CharterDocument,
    ) -> Value {
        let bare = split(&document.subject).1;
        let name = bare.rsplit('.').next().unwrap_or(bare);
        let mut column = json!({"name": name});
        let mut fields = document.fields.clone();
        if let Some(description) = fields.description.take() {
            column["description"] = description.into();
        }
        if let Some(value_type) = fields.r#type.take()
            && let Some((_, names)) = TYPES.iter().find(|(known, _)| *known == value_type)
        {
            column["dataType"] = names[0].into();
        }
        let mut rest = extension::of(fields);
        // Whatever makes a column a feature: its subject, where nothing else is said.
        rest.insert("subject".into(), document.subject.as_str().into());
        let has_primary = of_table.is_some_and(|d| d.fields.owners.primary.is_some());
        if document.fields.owners.primary.is_none() && has_primary {
            rest.entry("owners").or_insert(Value::Null);
        }
        self.extension(&document.subject, &[table], rest, &mut column);
        column
    }

    fn extension(
        &self,
        subject: &str,
        implied: &[&str],
        mut rest: Map<String, Value>,
        entity: &mut Value,
    ) {
        let mut lineage = extension::lineage(self.catalog, subject, implied, &self.carried);
        // Edges of the list need not stand here too.
        for (field, incoming) in [("upstream", true), ("consumers", false)] {
            let Some(Value::Array(names)) = lineage.get_mut(field) else { continue };
            names.retain(|name| {
                let name = name.as_str().unwrap_or_default();
                let (from, to) = if incoming { (name, subject) } else { (subject, name) };
                !is_listed(from, to)
            });
            if names.is_empty() && implied.is_empty() {
                lineage.remove(field);
            }
        }
        rest.extend(lineage);
        if !rest.is_empty() {
            let fields = rest
                .iter()
                .map(|(field, value)| (property(field), extension::to_text(value).into()));
            entity["extension"] = Value::Object(fields.collect());
        }
    }

    fn edge(&self, edge: &watchkeep_model::lineage::Edge) -> Option<Value> {
        let is_carried = self.carried.contains(&edge.from) || self.carried.contains(&edge.to);
        if !is_carried || !is_listed(&edge.from, &edge.to) {
            return None;
        }
        let end = |name: &str| {
            let (kind, bare) = split(name);
            json!({"type": entity_type(kind), "fullyQualifiedName": bare})
        };
        Some(json!({"edge": {"fromEntity": end(&edge.from), "toEntity": end(&edge.to)}}))
    }
}

/// True for an edge between entities, which the list of edges has.
fn is_listed(from: &str, to: &str) -> bool {
    entity_type(split(from).0).is_some() && entity_type(split(to).0).is_some()
}

fn reference(name: Option<&str>) -> Option<Value> {
    match split(name?) {
        ("user", bare) => Some(json!({"type": "user", "name": bare})),
        ("group", bare) => Some(json!({"type": "team", "name": bare})),
        _ => None,
    }
}
