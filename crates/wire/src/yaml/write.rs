//! Documents as YAML texts that [`read`](super::read) takes as they were.

use serde_json::{Map, Value, json};
use watchkeep_model::charter::{CharterDocument, Expectation, Learned, Threshold};
use watchkeep_model::directory::Directory;
use watchkeep_model::lineage::Edge;
use watchkeep_model::time::Timestamp;

use super::walk::means_more_than_text;

/// Keys in the order in which documents of a charter folder show them; others
/// follow by name.
pub const KEY_ORDER: [&str; 47] = [
    "name",
    "kind",
    "subject",
    "description",
    "type",
    "unit",
    "tier",
    "lifecycle",
    "view",
    "group",
    "system",
    "domain",
    "owners",
    "primary",
    "backup",
    "data_steward",
    "architect",
    "business_owner",
    "reviewer",
    "executive",
    "subscribers",
    "consumers",
    "upstream",
    "policy",
    "runbook",
    "rollback",
    "review_every",
    "reviewed_at",
    "effective_from",
    "change_ticket",
    "window",
    "quantile",
    "allowed",
    "baseline",
    "min",
    "max",
    "below",
    "above",
    "tool",
    "from",
    "to",
    "users",
    "groups",
    "schedules",
    "systems",
    "domains",
    "expectations",
];

/// Characters that a map or list in one line may have.
const INLINE_CHARS_MAX: usize = 88;

/// A charter as the fields of its document, without what is not set or is the
/// default of its field.
pub fn charter(document: &CharterDocument) -> Value {
    let mut value = valued(document);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("kind".into(), "charter".into());
        let written = document.fields.expectations.as_ref();
        if let Some(expectations) = written {
            let list = expectations.iter().map(expectation).collect();
            fields.insert("expectations".into(), Value::Array(list));
        }
        for member in ["owners", "rollback"] {
            if fields.get(member).and_then(Value::as_object).is_some_and(Map::is_empty) {
                fields.remove(member);
            }
        }
    }
    value
}

/// An expectation as it stands in a charter.
pub fn expectation(expectation: &Expectation) -> Value {
    let mut value = valued(expectation);
    let Some(fields) = value.as_object_mut() else { return value };
    if fields.get("min_samples") == Some(&json!(Expectation::MIN_SAMPLES_DEFAULT)) {
        fields.remove("min_samples");
    }
    if fields.get("for") == Some(&json!({"k": 1, "of": 1})) {
        fields.remove("for");
    }
    if fields.get("resolve_after") == Some(&json!(1)) {
        fields.remove("resolve_after");
    }
    if let Some(window) = fields.get_mut("window")
        && window["kind"] == "tumbling"
    {
        *window = window["size"].take();
    }
    fields.remove("learned");
    if let Some(Value::Object(mut eased)) = fields.remove("resolve") {
        // Of the easier rule only what differs is written.
        let thresholds =
            ["above", "below", "after", "change", "p_below", "min", "max", "effect", "objective"];
        eased.retain(|key, _| thresholds.contains(&key.as_str()));
        let first = eased.keys().next().cloned();
        let is_same = |key: &String, value: &Value| fields.get(key) == Some(value);
        let all_same = eased.iter().all(|(key, value)| is_same(key, value));
        eased
            .retain(|key, value| !is_same(key, value) || (all_same && first.as_ref() == Some(key)));
        fields.insert("resolve".into(), Value::Object(eased));
    }
    if let Some(learned) = &expectation.learned {
        write_learned(fields, learned);
    }
    value
}

/// `learned` in place of the thresholds that are learned, whose numbers mean
/// nothing, with the rate and the history beside them.
fn write_learned(fields: &mut Map<String, Value>, learned: &Learned) {
    let Learned { thresholds, false_alarm_rate, from, resolve_rate } = learned;
    let resolve = fields.get_mut("resolve").and_then(Value::as_object_mut);
    if let Some(eased) = resolve {
        eased.retain(|key, _| thresholds.iter().all(|threshold| threshold.name() != key));
        if let Some(rate) = resolve_rate {
            eased.insert("false_alarm_rate".into(), json!(rate));
        }
    }
    let beside = [("false_alarm_rate", json!(false_alarm_rate)), ("from", valued(from))];
    for threshold in thresholds {
        let place = match threshold {
            Threshold::Effect => fields.get_mut("effect").and_then(Value::as_object_mut),
            _ => Some(&mut *fields),
        };
        let Some(place) = place else { continue };
        let name = if *threshold == Threshold::Effect { "above" } else { threshold.name() };
        place.insert(name.into(), "learned".into());
        place.extend(beside.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    }
}

/// A directory as the fields of its document.
pub fn directory(directory: &Directory) -> Value {
    let mut value = valued(directory);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
        fields.insert("kind".into(), "directory".into());
        for user in members(fields, "users") {
            if user.get("active") == Some(&Value::Bool(true)) {
                user.remove("active");
            }
        }
        for map in ["users", "groups", "schedules"] {
            for member in members(fields, map) {
                member.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
            }
        }
    }
    value
}

/// Edges as the fields of a lineage document.
pub fn lineage(edges: &[Edge]) -> Value {
    json!({"kind": "lineage", "edges": edges.iter().map(valued).collect::<Vec<_>>()})
}

fn members<'m>(
    fields: &'m mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'m mut Map<String, Value>> {
    let map = fields.get_mut(name).and_then(Value::as_object_mut);
    map.into_iter().flat_map(|map| map.values_mut()).filter_map(Value::as_object_mut)
}

/// A value without what is not set, instants as people write them.
fn valued(value: &impl serde::Serialize) -> Value {
    // The types of `model` have text for keys and no number that JSON lacks.
    let mut value = serde_json::to_value(value).unwrap_or_default();
    tidy(&mut value);
    value
}

/// Keys whose values are instants where they can be read as such.
const INSTANTS: [&str; 6] = ["from", "to", "at", "reviewed_at", "effective_from", "last_seen"];

fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            for (key, value) in fields.iter_mut() {
                if let Value::String(text) = value
                    && INSTANTS.contains(&key.as_str())
                    && let Ok(at) = text.parse::<Timestamp>()
                {
                    let at = at.to_string();
                    *text = at.strip_suffix("T00:00:00Z").map_or(at.clone(), str::to_owned);
                }
                tidy(value);
            }
        }
        _ => {}
    }
}

/// Documents as one text, each after a `---` but the first. Maps show the keys
/// of `order` first, in that order, then the others by name.
pub fn text(documents: &[Value], order: &[&str]) -> String {
    let mut text = String::new();
    for (number, document) in documents.iter().enumerate() {
        if number > 0 {
            text.push_str("---\n");
        }
        match document {
            Value::Object(fields) if !fields.is_empty() => map(fields, 0, order, &mut text),
            Value::Array(items) if !items.is_empty() => list(items, 0, order, &mut text),
            other => {
                text.push_str(&inline(other, order));
                text.push('\n');
            }
        }
    }
    text
}

fn map(fields: &Map<String, Value>, indent: usize, order: &[&str], out: &mut String) {
    for (number, (key, value)) in ordered(fields, order).into_iter().enumerate() {
        // The first key of an item stands behind its dash.
        if number > 0 || indent == 0 || out.ends_with('\n') {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(&scalar_text(key));
        out.push(':');
        below(value, indent, order, out);
    }
}

/// The value of a key: behind it where it fits, else in the lines below it.
fn below(value: &Value, indent: usize, order: &[&str], out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !fits(value, order) => {
            out.push('\n');
            map(fields, indent + 2, order, out);
        }
        Value::Array(items) if !items.is_empty() && !fits(value, order) => {
            out.push('\n');
            list(items, indent + 2, order, out);
        }
        _ => {
            out.push(' ');
            out.push_str(&inline(value, order));
            out.push('\n');
        }
    }
}

fn list(items: &[Value], indent: usize, order: &[&str], out: &mut String) {
    for item in items {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() && !fits(item, order) => {
                map(fields, indent + 2, order, out);
            }
            _ => {
                out.push_str(&inline(item, order));
                out.push('\n');
            }
        }
    }
}

/// True for what is shown in one line: single values, and small maps and lists
/// that have at most one more level in them.
fn fits(value: &Value, order: &[&str]) -> bool {
    depth(value) <= 2 && inline(value, order).chars().count() <= INLINE_CHARS_MAX
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn inline(value: &Value, order: &[&str]) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => scalar_text(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item, order)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = ordered(fields, order)
                .into_iter()
                .map(|(key, value)| format!("{}: {}", scalar_text(key), inline(value, order)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

fn ordered<'v>(fields: &'v Map<String, Value>, order: &[&str]) -> Vec<(&'v String, &'v Value)> {
    let rank = |key: &str| order.iter().position(|known| *known == key).unwrap_or(usize::MAX);
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(key, _)| (rank(key), *key));
    fields
}

/// A text without quotes where no reader of YAML 1.1 or 1.2 takes it for
/// anything else, else in double quotes.
fn scalar_text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _./:+-()@'=&;".contains(c);
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let numeric = |c: char| c.is_ascii_hexdigit() || "_.:+-xXoOTtZz".contains(c);
    (first.is_ascii_alphanumeric() || first == '/')
        && text.chars().all(allowed)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !words.contains(&text.to_ascii_lowercase().as_str())
        && !means_more_than_text(text)
        // Dates, times of 60, hexadecimal and grouped numbers of YAML 1.1.
        && !(first.is_ascii_digit()
            && text.chars().all(numeric)
            && text.contains(['_', '.', ':', '-', 'x', 'o', 'X', 'O']))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // What YAML does not count as printable, or breaks lines at.
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
