//! A catalog as contracts: one for each dataset or view, with its features as
//! properties.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use watchkeep_model::charter::{CharterDocument, CharterFields, ValueType};
use watchkeep_wire::yaml::write as yaml;

use super::read::{FIRST_VERSION, of_the_contract, status};
use super::{OF_THE_CONTRACT, property, quality, team};
use crate::catalog::{Catalog, split};
use crate::notes::Note;
use crate::{Converted, Written, extension, files};

const ORDER: [&str; 19] = [
    "apiVersion",
    "kind",
    "id",
    "name",
    "version",
    "status",
    "domain",
    "dataProduct",
    "property",
    "value",
    "username",
    "role",
    "description",
    "team",
    "type",
    "logicalType",
    "metric",
    "engine",
    "window",
];

/// The object of features whose names have no part before a dot.
const LOOSE: &str = "features";

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let mut writer = Writer { catalog, notes: Vec::new(), carried: BTreeSet::new() };
    let mut contracts: BTreeMap<String, Vec<&CharterDocument>> = BTreeMap::new();
    for document in &catalog.charters {
        let Some(object) = writer.object_of(&document.subject) else {
            let why = "a data contract is about data: datasets, views and features";
            writer.notes.push(Note::not_carried(&document.subject, "", why));
            continue;
        };
        writer.carried.insert(document.subject.clone());
        contracts.entry(object).or_default().push(document);
    }
    let mut names = files::Names::default();
    let mut files = Vec::new();
    for (object, documents) in &contracts {
        let contract = writer.contract(object, documents);
        let name = names.unused(split(object).1, ".odcs.yaml");
        files.push(Written { name, text: yaml::text(&[contract], &ORDER) });
    }
    writer.what_contracts_have_not();
    Converted { files, notes: writer.notes }
}

struct Writer<'a> {
    catalog: &'a Catalog,
    notes: Vec<Note>,
    /// Subjects that an object or a property is about.
    carried: BTreeSet<String>,
}

impl Writer<'_> {
    /// The subject of the object that a subject is, or is a property of.
    fn object_of(&self, subject: &str) -> Option<String> {
        let (kind, bare) = split(subject);
        match kind {
            "dataset" | "view" => Some(subject.to_owned()),
            "feature" => {
                let whole = bare.rsplit_once('.').filter(|(object, _)| !object.is_empty());
                let Some((object, _)) = whole else { return Some(format!("dataset:{LOOSE}")) };
                let has = |subject: &str| self.catalog.charter(subject).is_some();
                let (view, dataset) = (format!("view:{object}"), format!("dataset:{object}"));
                Some(if has(&view) && !has(&dataset) { view } else { dataset })
            }
            _ => None,
        }
    }

    fn contract(&self, object: &str, documents: &[&CharterDocument]) -> Value {
        let own = documents.iter().find(|document| document.subject == object);
        // Without a charter of its own the object takes over from the first feature.
        let head = own.or(documents.first()).map(|d| d.fields.clone()).unwrap_or_default();
        let of_head = of_the_contract(&extension::of(head.clone()));
        let mut contract = Map::new();
        contract.insert("apiVersion".into(), "v3.1.0".into());
        contract.insert("kind".into(), "DataContract".into());
        contract.insert("id".into(), object.into());
        contract.insert("version".into(), FIRST_VERSION.into());
        contract.insert("status".into(), status(head.lifecycle).into());
        for (field, name) in [("domain", &head.domain), ("dataProduct", &head.system)] {
            contract.extend(name.clone().map(|name| (field.to_owned(), name.into())));
        }
        let name_of = |bare: &str| self.catalog.directory.users.get(bare)?.name.clone();
        if let Some(team) = team::write(&head.owners, head.group.as_deref(), name_of) {
            contract.insert("team".into(), team);
        }
        let mut schema = match own {
            Some(document) => self.part(document, None),
            None => {
                let none = json!({"property": property("charter"), "value": "none"});
                Map::from_iter([("customProperties".to_owned(), json!([none]))])
            }
        };
        schema.insert("name".into(), split(object).1.into());
        schema.insert("logicalType".into(), "object".into());
        if !object.starts_with("dataset:") {
            custom(&mut schema, "subject", object.into());
        }
        let properties: Vec<Value> = documents
            .iter()
            .filter(|document| document.subject != object)
            .map(|document| self.property(object, document, &of_head))
            .collect();
        if !properties.is_empty() {
            schema.insert("properties".into(), properties.into());
        }
        contract.insert("schema".into(), json!([schema]));
        Value::Object(contract)
    }

    fn property(
        &self,
        object: &str,
        document: &CharterDocument,
        of_head: &Map<String, Value>,
    ) -> Value {
        let bare = split(&document.subject).1;
        let prefix = format!("{}.", split(object).1);
        let name = bare.strip_prefix(&prefix).unwrap_or(bare);
        let mut part = self.part(document, Some((object, of_head)));
        part.insert("name".into(), name.into());
        if format!("{prefix}{name}") != bare {
            custom(&mut part, "subject", document.subject.as_str().into());
        }
        Value::Object(part)
    }

    /// What objects and properties have in common. `parent` is the object of a
    /// property and what the contract says for it.
    fn part(
        &self,
        document: &CharterDocument,
        parent: Option<(&str, &Map<String, Value>)>,
    ) -> Map<String, Value> {
        let mut fields: CharterFields = document.fields.clone();
        let mut part = Map::new();
        if let Some(description) = fields.description.take() {
            part.insert("description".into(), description.into());
        }
        if parent.is_some()
            && let Some(value_type) = fields.r#type.take()
        {
            let logical = match value_type {
                ValueType::Double => "number",
                ValueType::Long => "integer",
                ValueType::Boolean => "boolean",
                ValueType::String => "string",
            };
            part.insert("logicalType".into(), logical.into());
        }
        if let Some(expectations) = fields.expectations.take_if(|list| !list.is_empty()) {
            let rules: Vec<Value> = expectations.iter().map(quality::write_one).collect();
            part.insert("quality".into(), rules.into());
        }
        let mut rest = extension::of(fields);
        for field in OF_THE_CONTRACT {
            let own = rest.remove(field);
            let said = parent.and_then(|(_, of_head)| of_head.get(field));
            if parent.is_some() && own.as_ref() != said {
                rest.insert(field.to_owned(), own.unwrap_or_default());
            }
        }
        let implied: Vec<&str> = parent.map(|(object, _)| object).into_iter().collect();
        let subject = &document.subject;
        rest.extend(extension::lineage(self.catalog, subject, &implied, &self.carried));
        for (field, value) in rest {
            custom(&mut part, &field, value);
        }
        part
    }

    fn what_contracts_have_not(&mut self) {
        self.notes.extend(self.catalog.directory_lost());
        let about = "in a contract";
        self.notes.extend(self.catalog.edges_lost(&self.carried, about));
    }
}

/// Adds a custom property of ours.
fn custom(part: &mut Map<String, Value>, field: &str, value: Value) {
    let list = part.entry("customProperties").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(json!({"property": property(field), "value": value}));
    }
}
