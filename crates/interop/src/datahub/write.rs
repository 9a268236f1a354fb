//! A catalog as change proposals.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use watchkeep_model::charter::{CharterFields, Lifecycle};

use super::read::OWNERS;
use super::{property, urn};
use crate::catalog::{Catalog, split};
use crate::notes::Note;
use crate::{Converted, Written, extension};

pub(crate) fn write(catalog: &Catalog) -> Converted {
    let mut writer = Writer { catalog, proposals: Vec::new(), notes: Vec::new() };
    for subject in catalog.nodes() {
        writer.subject(subject);
    }
    let text = serde_json::to_string_pretty(&writer.proposals).unwrap_or_default() + "\n";
    let mut notes = writer.notes;
    notes.extend(catalog.directory_lost());
    for edge in catalog.edges.iter().filter(|edge| edge.last_seen.is_some()) {
        let subject = format!("{} -> {}", edge.from, edge.to);
        notes.push(Note::not_carried(&subject, "last_seen", "DataHub has other stamps of time"));
    }
    Converted { files: vec![Written { name: "datahub.json".into(), text }], notes }
}

struct Writer<'a> {
    catalog: &'a Catalog,
    proposals: Vec<Value>,
    notes: Vec<Note>,
}

impl Writer<'_> {
    fn subject(&mut self, subject: &str) {
        let (kind, bare) = split(subject);
        // What would end a part of an urn stands under another name.
        let clean: String = bare.chars().map(|c| if "(),".contains(c) { '_' } else { c }).collect();
        let Some((urn, entity)) = urn::of(kind, &clean) else {
            self.notes.push(Note::not_carried(subject, "", "DataHub has no such entity"));
            return;
        };
        let document = self.catalog.charter(subject);
        let mut rest = Map::new();
        let mut properties = Map::new();
        if urn::subject(&urn).is_none_or(|(known, _)| known != subject) {
            rest.insert("subject".into(), subject.into());
        }
        if let Some(document) = document {
            let mut fields = document.fields.clone();
            if let Some(description) = fields.description.take() {
                properties.insert("description".into(), description.into());
            }
            self.owners(&urn, entity, &mut fields);
            if let Some(domain) = fields.domain.take_if(|name| !name.contains(['(', ')', ','])) {
                let domains = json!({"domains": [format!("urn:li:domain:{domain}")]});
                self.propose(&urn, entity, "domains", domains);
            }
            if fields.lifecycle.take_if(|of| *of == Lifecycle::Deprecated).is_some() {
                self.propose(&urn, entity, "deprecation", json!({"deprecated": true, "note": ""}));
            }
            rest.extend(extension::of(fields));
        } else {
            rest.insert("charter".into(), "none".into());
        }
        self.lineage(subject, &urn, entity, &mut rest);
        let custom: Map<String, Value> = rest
            .iter()
            .map(|(field, value)| (property(field), extension::to_text(value).into()))
            .collect();
        if !custom.is_empty() {
            properties.insert("customProperties".into(), custom.into());
        }
        if !properties.is_empty() || document.is_some() {
            let (_, _, aspect) = urn::ENTITIES
                .iter()
                .find(|(known, ..)| *known == entity)
                .copied()
                .unwrap_or_default();
            self.propose(&urn, entity, aspect, Value::Object(properties));
        }
    }

    /// Owners whose roles have a type of ownership.
    fn owners(&mut self, urn: &str, entity: &str, fields: &mut CharterFields) {
        let owners = &mut fields.owners;
        let slots = [&mut owners.primary, &mut owners.business_owner, &mut owners.data_steward];
        let mut list = Vec::new();
        for ((_, types), slot) in OWNERS.iter().zip(slots) {
            let written = slot.as_deref().and_then(|name| match split(name) {
                ("user", bare) => Some(format!("urn:li:corpuser:{bare}")),
                ("group", bare) => Some(format!("urn:li:corpGroup:{bare}")),
                _ => None,
            });
            let same = written.filter(|urn| urn::person(urn).as_ref() == slot.as_ref());
            if let Some(owner) = same {
                list.push(json!({"owner": owner, "type": types[0]}));
                *slot = None;
            }
        }
        if !list.is_empty() {
            self.propose(urn, entity, "ownership", json!({"owners": list}));
        }
    }

    /// What a subject is made from: between datasets in DataHub's words, else
    /// as fields of ours.
    fn lineage(&mut self, subject: &str, urn: &str, entity: &str, rest: &mut Map<String, Value>) {
        let none = BTreeSet::new();
        let mut own = extension::lineage(self.catalog, subject, &[], &none);
        // Each edge stands with its end, which is always in the file.
        own.remove("consumers");
        let Some(Value::Array(upstream)) = own.remove("upstream") else { return };
        let names: Vec<&str> = upstream.iter().filter_map(Value::as_str).collect();
        let urns: Option<Vec<String>> = names
            .iter()
            .map(|name| {
                let (kind, bare) = split(name);
                let (urn, _) = urn::of(kind, bare)?;
                let is_same = urn::subject(&urn).is_some_and(|(known, _)| known == **name);
                (kind == "dataset" && is_same).then_some(urn)
            })
            .collect();
        match (entity, urns) {
            ("dataset", Some(urns)) => {
                let upstreams: Vec<Value> =
                    urns.iter().map(|urn| json!({"dataset": urn, "type": "TRANSFORMED"})).collect();
                self.propose(urn, entity, "upstreamLineage", json!({"upstreams": upstreams}));
            }
            ("dataJob", Some(urns)) => {
                let io = json!({"inputDatasets": urns, "outputDatasets": []});
                self.propose(urn, entity, "dataJobInputOutput", io);
            }
            _ => {
                rest.insert("upstream".into(), json!(names));
            }
        }
    }

    fn propose(&mut self, urn: &str, entity: &str, aspect: &str, json: Value) {
        self.proposals.push(json!({
            "entityType": entity,
            "entityUrn": urn,
            "changeType": "UPSERT",
            "aspectName": aspect,
            "aspect": {"json": json},
        }));
    }
}
