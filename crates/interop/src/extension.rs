//! Fields of a charter that a format has no place for, carried where the format
//! lets others put fields of their own: annotations, custom properties, meta,
//! tags. They stand under `watchkeep`, each under the name of its field.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use watchkeep_model::charter::{CharterDocument, CharterFields};
use watchkeep_wire::yaml::write;

use crate::catalog::{Catalog, split};
use crate::item::At;

/// The namespace of our fields in other formats.
pub(crate) const NAMESPACE: &str = "watchkeep";

/// Fields that are not text. Where a format carries text alone, these are JSON.
const STRUCTURED: [&str; 17] = [
    "tier",
    "owners",
    "subscribers",
    "consumers",
    "upstream",
    "external_dependencies",
    "business_outcomes",
    "duties",
    "limitations",
    "decision_rights",
    "rollback",
    "approvals",
    "expectations",
    // Of people.
    "contacts",
    "absences",
    "active",
    "max_open",
];

/// What is set in the fields, by name.
pub(crate) fn of(fields: CharterFields) -> Map<String, Value> {
    let document = CharterDocument { subject: String::new(), fields };
    let Value::Object(mut all) = write::charter(&document) else { return Map::new() };
    all.remove("kind");
    all.remove("subject");
    all
}

/// A value where the format carries text alone.
pub(crate) fn to_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The value of a field that was carried as text.
///
/// # Errors
/// The field is not text and the text is not JSON.
pub(crate) fn from_text(field: &str, text: &str) -> Result<Value, String> {
    if !STRUCTURED.contains(&field) {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str(text).map_err(|error| format!("`{field}` is not JSON: {error}"))
}

/// Puts carried fields over those of a document; `owners` and `rollback` are
/// filled up member by member.
pub(crate) fn overlay(document: &mut Map<String, Value>, extension: Map<String, Value>) {
    for (field, value) in extension {
        match (document.get_mut(&field), value) {
            (Some(Value::Object(under)), Value::Object(over)) => under.extend(over),
            (_, value) => {
                document.insert(field, value);
            }
        }
    }
}

/// Our fields of a part of another program's file.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    /// Fields of the charter.
    pub(crate) fields: Map<String, Value>,
    /// The subject, where the part's own name does not say it.
    pub(crate) subject: Option<String>,
    /// True for a part that stands for an end of an edge alone.
    pub(crate) has_no_charter: bool,
    /// What it is made from, in place of what the part implies.
    pub(crate) upstream: Option<Vec<String>>,
    /// Users of it that the file does not describe.
    pub(crate) consumers: Vec<String>,
}

impl Ours {
    /// Takes a field over; `at` is where a wrong one is reported.
    pub(crate) fn set(&mut self, at: &At<'_>, field: &str, value: Value) {
        let names = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match field {
            "subject" => match value.as_str().filter(|name| !split(name).0.is_empty()) {
                Some(name) => self.subject = Some(name.to_owned()),
                None => {
                    let hint = "write it with its type, such as feature:orders.amount".to_owned();
                    at.report("wrong_value", "the subject is no typed name", Some(hint));
                }
            },
            "charter" => self.has_no_charter = value == "none",
            "upstream" => self.upstream = Some(names(&value)),
            "consumers" => self.consumers = names(&value),
            _ => {
                self.fields.insert(field.to_owned(), value);
            }
        }
    }

    /// Takes a field over that is carried as text.
    pub(crate) fn set_text(&mut self, at: &At<'_>, field: &str, text: &str) {
        match from_text(field, text) {
            Ok(value) => self.set(at, field, value),
            Err(message) => at.report("wrong_value", message, None),
        }
    }
}

/// The edges of a subject that its part does not imply: all of `upstream`
/// where that differs from what is implied, and consumers that no part of the
/// file is about.
pub(crate) fn lineage(
    catalog: &Catalog,
    subject: &str,
    implied: &[&str],
    carried: &BTreeSet<String>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    let into = catalog.edges.iter().filter(|edge| edge.to == subject);
    let upstream: Vec<&str> = into.map(|edge| edge.from.as_str()).collect();
    if upstream != implied {
        fields.insert("upstream".into(), json!(upstream));
    }
    let out = catalog.edges.iter().filter(|edge| edge.from == subject);
    let consumers: Vec<&str> =
        out.map(|edge| edge.to.as_str()).filter(|to| !carried.contains(*to)).collect();
    if !consumers.is_empty() {
        fields.insert("consumers".into(), json!(consumers));
    }
    fields
}
