//! Reads a tree against a format: every helper takes a node, records where it
//! stands, and answers with a value or with a finding, never with both.
//!
//! A finding does not end the walk, so that all of a folder are shown at once.

use std::collections::BTreeMap;
use std::rc::Rc;

use watchkeep_model::document::{Diagnostic, Level, Place, nearest};
use watchkeep_model::time::Timestamp;

use super::node::{Entry, Node, Value};

/// The key by which YAML 1.1 takes another map's fields in.
pub(super) const MERGE: &str = "<<";

mod values;

pub(super) use values::means_more_than_text;

/// The state of one document's reading.
pub(super) struct Walk<'a> {
    pub(super) file: &'a str,
    pub(super) document: String,
    pub(super) fields: BTreeMap<String, Place>,
    pub(super) found: &'a mut Vec<Diagnostic>,
    path: String,
}

/// A node that is a mapping.
#[derive(Clone, Copy)]
pub(super) struct Map<'n> {
    pub(super) place: Place,
    entries: &'n [Entry],
}

impl<'n> Map<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn entries(&self) -> &'n [Entry] {
        self.entries
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a str, document: String, found: &'a mut Vec<Diagnostic>) -> Self {
        Self { file, document, fields: BTreeMap::new(), found, path: String::new() }
    }

    pub(super) fn report(
        &mut self,
        place: Place,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.found.push(Diagnostic {
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            document: self.document.clone(),
            field: self.path.clone(),
            rule,
            severity: Level::Error,
            message: message.into(),
            hint,
        });
    }

    /// Runs a reader with the path longer by a key.
    pub(super) fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// A mapping whose keys the format names; others are findings.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, known: &[&str]) -> Option<Map<'n>> {
        let map = self.any_mapping(node)?;
        self.check_keys(map, known);
        Some(map)
    }

    /// A mapping whose keys the user names.
    pub(super) fn any_mapping<'n>(&mut self, node: &'n Node) -> Option<Map<'n>> {
        match &node.value {
            Value::Mapping(entries) => Some(Map { place: node.place, entries }),
            _ => self.wrong_type(node, "a map", "write `key: value` pairs"),
        }
    }

    /// Reports the keys that are not known.
    pub(super) fn check_keys(&mut self, map: Map<'_>, known: &[&str]) {
        for entry in map.entries {
            if known.contains(&entry.key.as_str()) {
                continue;
            }
            let (message, hint) = if entry.key == MERGE {
                let hint = "write the fields out; `*name` for a whole value is read";
                ("merge keys (`<<`) are not supported".to_owned(), Some(hint.to_owned()))
            } else {
                let hint = match nearest(&entry.key, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                (format!("unknown field `{}`", shorten(&entry.key)), Some(hint))
            };
            self.within(&entry.key, |w| w.report(entry.place, "unknown_field", message, hint));
        }
    }

    /// A field that may be absent.
    pub(super) fn field<T>(
        &mut self,
        map: Map<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        let entry = map.get(name)?;
        self.entry(entry, read)
    }

    /// A field that may not.
    pub(super) fn required<T>(
        &mut self,
        map: Map<'_>,
        name: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        if !map.has(name) {
            self.missing(map.place, name);
        }
        self.field(map, name, read)
    }

    pub(super) fn missing(&mut self, place: Place, name: &str) {
        self.within(name, |w| {
            w.report(place, "missing_field", format!("`{name}` is missing"), None);
        });
    }

    /// The value of a key, with its place recorded.
    pub(super) fn entry<T>(
        &mut self,
        entry: &Entry,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        self.within(&entry.key, |w| {
            w.fields.insert(w.path.clone(), entry.node.place);
            if entry.node.is_null() {
                let message = format!("`{}` has no value", shorten(&entry.key));
                w.report(
                    entry.place,
                    "missing_value",
                    message,
                    Some("write one or take the line away".into()),
                );
                return None;
            }
            read(w, &entry.node)
        })
    }

    /// Every entry of a mapping whose keys the user names, in the order of the text.
    pub(super) fn named<T>(
        &mut self,
        node: &Node,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let map = self.any_mapping(node)?;
        let mut values = BTreeMap::new();
        for entry in map.entries {
            if !self.is_short(&entry.key, entry.place) {
                continue;
            }
            if let Some(value) = self.entry(entry, &mut read) {
                values.insert(entry.key.clone(), value);
            }
        }
        Some(values)
    }

    /// A list; items that cannot be read are left out, each with a finding.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Sequence(items) = &node.value else {
            return self.wrong_type(node, "a list", "write it in brackets: [a, b]");
        };
        let length = self.path.len();
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.path.push_str(&format!("[{index}]"));
            self.fields.insert(self.path.clone(), item.place);
            match self.item(item, &mut read) {
                Some(value) => values.push(value),
                None => {
                    self.fields.remove(&self.path);
                }
            }
            self.path.truncate(length);
        }
        Some(values)
    }

    fn item<T>(
        &mut self,
        item: &Rc<Node>,
        read: &mut impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        if item.is_null() {
            self.report(item.place, "missing_value", "an entry of the list has no value", None);
            return None;
        }
        read(self, item)
    }

    /// `[from, to)` of a mapping; `to` must be later.
    pub(super) fn period(&mut self, map: Map<'_>) -> Option<(Timestamp, Timestamp)> {
        let from = self.required(map, "from", Self::instant);
        let to = self.required(map, "to", Self::instant);
        let (from, to) = (from?, to?);
        if to <= from {
            let place = map.get("to").map_or(map.place, |entry| entry.node.place);
            self.within("to", |w| {
                w.report(
                    place,
                    "wrong_value",
                    format!("`to` ({to}) is not after `from` ({from})"),
                    Some("swap the two, or mend one".to_owned()),
                );
            });
            return None;
        }
        Some((from, to))
    }

    /// A field that the format has and this version refuses.
    pub(super) fn unsupported(&mut self, map: Map<'_>, name: &str, what: &str) {
        if let Some(entry) = map.get(name) {
            self.within(name, |w| {
                w.fields.insert(w.path.clone(), entry.node.place);
                w.report(entry.place, "unsupported", format!("{what} is not supported yet"), None);
            });
        }
    }

    pub(super) fn wrong_type<T>(&mut self, node: &Node, wanted: &str, hint: &str) -> Option<T> {
        let is = match &node.value {
            Value::Scalar { text, .. } => format!("`{}`", shorten(text)),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a map".to_owned(),
        };
        self.report(
            node.place,
            "wrong_type",
            format!("{is} is not {wanted}"),
            Some(hint.to_owned()),
        );
        None
    }
}

/// Longest part of a wrong text that a finding repeats.
const SHOWN_CHARS_MAX: usize = 60;

pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
