//! Fields of a charter that a format has no place for, carried where the format
//! lets others put fields of their own: annotations, custom properties, meta,
//! tags. They stand under `watchkeep`, each under the name of its field.

use serde_json::{Map, Value};
use watchkeep_model::charter::{CharterDocument, CharterFields};
use watchkeep_wire::yaml::write;

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
