//! A scenario file: a head with events, then documents of a charter folder
//! that are laid over those of the base.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Map, Value};
use watchkeep_incident::registry::Registry;
use watchkeep_model::document::Level;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_wire::yaml::{self, Content, Tree};

use super::folder;

/// The head of a scenario file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[expect(dead_code, reason = "read so that no other document passes for a head")]
    kind: Kind,
    shows: String,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default = "flights")]
    base: String,
    #[serde(default = "delay")]
    subject: String,
    #[serde(default = "of_2013")]
    year: u16,
    events: Vec<Value>,
    ends: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Scenario,
}

fn flights() -> String {
    "flights".into()
}

fn delay() -> String {
    "flight.arr_delay_min".into()
}

const fn of_2013() -> u16 {
    2013
}

/// Something that happens at an instant.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    /// Its fields without `at`.
    pub(super) fields: Map<String, Value>,
}

/// A scenario, ready to be played.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) shows: String,
    /// Requirements that it shows, `R31`.
    pub(super) holds: Vec<String>,
    pub(super) subject: String,
    pub(super) year: u16,
    pub(super) events: Vec<Event>,
    pub(super) ends: Timestamp,
    pub(super) registry: Registry,
}

impl Scenario {
    /// The first event, before which others watched.
    pub(super) fn begins(&self) -> Timestamp {
        self.events.first().map_or(self.ends, |event| event.at)
    }

    /// Reads the text before the expected story.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, String> {
        let mut documents = values(name, text)?.into_iter();
        let head = documents.next().ok_or("the file is empty")?;
        let head: Head = serde_json::from_value(head).map_err(|why| format!("the head: {why}"))?;
        let mut all = match head.base.as_str() {
            "none" => Vec::new(),
            name => base(name)?,
        };
        documents.for_each(|document| lay_over(&mut all, document));
        let instant = |text: &str| instant(text, head.year);
        let mut events = Vec::new();
        for (number, event) in head.events.into_iter().enumerate() {
            let Value::Object(mut fields) = event else {
                return Err(format!("event {}: not a map", number + 1));
            };
            let at = fields.remove("at");
            let at = at.as_ref().and_then(Value::as_str).and_then(instant);
            let at = at.ok_or_else(|| format!("event {}: `at` is no instant", number + 1))?;
            if events.last().is_some_and(|last: &Event| last.at > at) {
                return Err(format!("event {}: before the one above", number + 1));
            }
            events.push(Event { at, fields });
        }
        Ok(Self {
            shows: head.shows,
            holds: head.holds,
            subject: head.subject,
            year: head.year,
            events,
            ends: instant(&head.ends).ok_or("`ends` is no instant")?,
            registry: registry(&all)?,
        })
    }
}

/// The documents of a base, read once.
fn base(name: &str) -> Result<Vec<Value>, String> {
    static KNOWN: Mutex<BTreeMap<String, Vec<Value>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("nobody panics with it");
    if let Some(documents) = known.get(name) {
        return Ok(documents.clone());
    }
    let path = folder().join("base").join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let documents = values(name, &text)?;
    known.insert(name.to_owned(), documents.clone());
    Ok(documents)
}

/// `05-08 00:01`, `05-08 00:01:30` or `05-08` of the scenario's year, or RFC 3339.
pub(super) fn instant(text: &str, year: u16) -> Option<Timestamp> {
    let full = match text.len() {
        5 => format!("{year}-{text}"),
        11 => format!("{year}-{}:00Z", text.replace(' ', "T")),
        14 => format!("{year}-{}Z", text.replace(' ', "T")),
        _ => text.to_owned(),
    };
    full.parse().ok()
}

fn registry(documents: &[Value]) -> Result<Registry, String> {
    // JSON is YAML too, so that the reader of charter folders reads it.
    let text: Vec<String> = documents.iter().map(|document| format!("--- {document}\n")).collect();
    let files = [("scenario.yaml".to_owned(), text.concat())];
    let (documents, mut found) = yaml::read(&files);
    let (registry, more) = Registry::new(documents, TimeSpan::MINUTE);
    found.extend(more);
    let errors: Vec<String> = found
        .iter()
        .filter(|one| one.severity == Level::Error)
        .map(|one| format!("{} {}: {}", one.document, one.field, one.message))
        .collect();
    if errors.is_empty() { Ok(registry) } else { Err(errors.join("\n")) }
}

fn values(name: &str, text: &str) -> Result<Vec<Value>, String> {
    let (trees, faults) = yaml::trees(name, text);
    match faults.first() {
        Some(fault) => Err(format!("line {}: {}", fault.line, fault.message)),
        None => Ok(trees.iter().map(value).collect()),
    }
}

fn value(tree: &Tree) -> Value {
    match &tree.content {
        Content::Null => Value::Null,
        Content::Scalar { text, plain: true } => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => serde_json::from_str(text)
                .ok()
                .filter(Value::is_number)
                .unwrap_or_else(|| Value::String(text.clone())),
        },
        Content::Scalar { text, .. } => Value::String(text.clone()),
        Content::List(items) => Value::Array(items.iter().map(value).collect()),
        Content::Map(entries) => {
            Value::Object(entries.iter().map(|(key, tree)| (key.clone(), value(tree))).collect())
        }
    }
}

/// Lays a document over the one of the same kind and name; else adds it.
fn lay_over(all: &mut Vec<Value>, document: Value) {
    let identity = |document: &Value| -> BTreeMap<&'static str, Value> {
        ["kind", "name", "subject"].map(|key| (key, document[key].clone())).into()
    };
    let own = identity(&document);
    match all.iter_mut().find(|other| own["kind"] != "lineage" && identity(other) == own) {
        Some(other) => merge(other, document),
        None => all.push(document),
    }
}

/// RFC 7386: maps are merged, a null takes away, all else replaces.
fn merge(into: &mut Value, from: Value) {
    if from.is_object() && !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let (Value::Object(into), Value::Object(from)) = (&mut *into, &from) else {
        *into = from;
        return;
    };
    for (key, value) in from {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value.clone());
        }
    }
}
