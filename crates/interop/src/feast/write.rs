//! A catalog as a dump of a registry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use watchkeep_model::charter::CharterDocument;

use super::{TYPES, tag};
use crate::catalog::{Catalog, split};
use crate::notes::Note;
use crate::{Converted, Written, extension};

/// The view of features without one.
const LOOSE: &str = "features";

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let mut writer = Writer { catalog, notes: Vec::new(), carried: BTreeSet::new() };
    for document in &catalog.charters {
        if document.subject.starts_with("pipeline:") {
            let why = "a registry describes data and its users, not pipelines";
            writer.notes.push(Note::not_carried(&document.subject, "", why));
        } else {
            writer.carried.insert(document.subject.clone());
        }
    }
    let text = serde_json::to_string_pretty(&writer.registry()).unwrap_or_default() + "\n";
    writer.notes.extend(catalog.directory_lost());
    writer.notes.extend(catalog.edges_lost(&writer.carried, "in the registry"));
    let files = vec![Written { name: "registry.json".into(), text }];
    Converted { files, notes: writer.notes }
}

struct Writer<'a> {
    catalog: &'a Catalog,
    notes: Vec<Note>,
    carried: BTreeSet<String>,
}

impl Writer<'_> {
    fn registry(&self) -> Value {
        let (mut sources, mut services) = (Vec::new(), Vec::new());
        let mut views: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for document in &self.catalog.charters {
            let (kind, bare) = split(&document.subject);
            match kind {
                "dataset" => sources.push(self.object(document, &format!("dataset:{bare}"), &[])),
                "view" => {
                    views.entry(bare.to_owned()).or_default();
                }
                "feature" => {
                    let (view, name) = bare.rsplit_once('.').unwrap_or((LOOSE, bare));
                    let feature = self.feature(document, view, name);
                    views.entry(view.to_owned()).or_default().push(feature);
                }
                "pipeline" => {}
                _ => services
                    .push(json!({"spec": self.object(document, &format!("service:{bare}"), &[])})),
            }
        }
        let views: Vec<Value> = views
            .into_iter()
            .map(|(name, features)| {
                let view = format!("view:{name}");
                let mut spec = match self.catalog.charter(&view) {
                    Some(document) => self.object(document, &view, &[]),
                    None => json!({"name": name, "tags": {tag("charter"): "none"}}),
                };
                spec["features"] = features.into();
                json!({"spec": spec})
            })
            .collect();
        json!({
            "project": "watchkeep",
            "dataSources": sources,
            "featureViews": views,
            "featureServices": services,
        })
    }

    /// A data source, a view or a feature service.
    fn object(&self, document: &CharterDocument, default: &str, implied: &[&str]) -> Value {
        let mut object = Map::new();
        let mut fields = document.fields.clone();
        object.insert("name".into(), split(&document.subject).1.into());
        if let Some(description) = fields.description.take() {
            object.insert("description".into(), description.into());
        }
        if let Some(primary) = fields.owners.primary.take() {
            let address = primary.strip_prefix("user:").filter(|bare| bare.contains('@'));
            let plain = address.filter(|bare| split(bare).0.is_empty());
            object.insert("owner".into(), plain.unwrap_or(&primary).into());
        }
        let rest = extension::of(fields);
        self.tags(document, default, implied, rest, &mut object);
        Value::Object(object)
    }

    fn feature(&self, document: &CharterDocument, view: &str, name: &str) -> Value {
        let mut feature = Map::new();
        let mut fields = document.fields.clone();
        feature.insert("name".into(), name.into());
        if let Some(description) = fields.description.take() {
            feature.insert("description".into(), description.into());
        }
        if let Some(value_type) = fields.r#type.take() {
            let known = TYPES.iter().find(|(known, _)| *known == value_type);
            feature.extend(known.map(|(_, names)| ("valueType".to_owned(), names[0].into())));
        }
        let of = format!("view:{view}");
        let of_view = self.catalog.charter(&of).map(|document| &document.fields.owners);
        let is_inherited = of_view.is_some_and(|owners| owners.primary == fields.owners.primary);
        let has_more = extension::of(fields.clone())
            .get("owners")
            .and_then(Value::as_object)
            .is_some_and(|owners| owners.len() > 1);
        if is_inherited && !has_more {
            fields.owners.primary = None;
        }
        if fields.view.as_deref() == Some(of.as_str()) {
            fields.view = None;
        } else if fields.view.is_none() {
            fields.view = Some("none".into());
        }
        let has_none = document.fields.owners.primary.is_none();
        let mut rest = extension::of(fields);
        if has_none && of_view.is_some_and(|owners| owners.primary.is_some()) {
            rest.entry("owners").or_insert(Value::Null);
        }
        self.tags(document, &format!("feature:{view}.{name}"), &[&of], rest, &mut feature);
        Value::Object(feature)
    }

    fn tags(
        &self,
        document: &CharterDocument,
        default: &str,
        implied: &[&str],
        mut rest: Map<String, Value>,
        object: &mut Map<String, Value>,
    ) {
        let subject = &document.subject;
        if subject != default {
            rest.insert("subject".into(), subject.as_str().into());
        }
        rest.extend(extension::lineage(self.catalog, subject, implied, &self.carried));
        let tags: Map<String, Value> = rest
            .iter()
            .map(|(field, value)| (tag(field), extension::to_text(value).into()))
            .collect();
        if !tags.is_empty() {
            object.insert("tags".into(), tags.into());
        }
    }
}
