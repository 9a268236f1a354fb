//! Values of another program's file, and cursors that remember what was taken.
//!
//! Every reader goes through [`At`]: to look at a field is to take it. At the
//! end [`At::leftovers`] makes a note of each field that nobody took, so that a
//! reader cannot forget one silently.

use std::cell::{Cell, OnceCell, RefCell};

use serde_json::Map;
use watchkeep_model::document::{Diagnostic, Level, Place};
use watchkeep_wire::yaml;

use crate::notes::{Note, NoteKind};

/// Why a field without a home is not carried.
const NO_HOME: &str = "charters have no such field";

/// Characters of a wrong value that a finding repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// A value of a YAML or JSON file.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) value: Value,
    taken: Cell<bool>,
    /// True of a map whose keys name things, as the numbers of a list do.
    is_keyed: Cell<bool>,
    /// What a reader called the thing that this value describes.
    about: OnceCell<Box<str>>,
}

/// What an [`Item`] holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Item>),
    /// In the order of the text; no key twice.
    Map(Vec<(String, Item)>),
}

impl Item {
    pub(crate) const fn new(place: Place, value: Value) -> Self {
        Self {
            place,
            value,
            taken: Cell::new(false),
            is_keyed: Cell::new(false),
            about: OnceCell::new(),
        }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// A field of a map, without taking it.
    pub(crate) fn peek(&self, key: &str) -> Option<&Self> {
        let Value::Map(fields) = &self.value else { return None };
        fields.iter().find(|(name, _)| name == key).map(|(_, item)| item)
    }

    /// A field of a map, to change it before anybody reads it.
    pub(crate) fn peek_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Value::Map(fields) = &mut self.value else { return None };
        fields.iter_mut().find(|(name, _)| name == key).map(|(_, item)| item)
    }

    /// Puts all of it at one place, where it was text within text.
    pub(crate) fn stand_at(&mut self, place: Place) {
        self.place = place;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.stand_at(place)),
            Value::Map(fields) => fields.iter_mut().for_each(|(_, item)| item.stand_at(place)),
            _ => {}
        }
    }

    /// The text of a field, without taking it.
    pub(crate) fn peek_text(&self, key: &str) -> Option<&str> {
        match &self.peek(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// True where there is nothing in it that could be lost.
    fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.iter().all(Self::is_empty),
            Value::Map(fields) => fields.iter().all(|(_, item)| item.is_empty()),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// The value for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
            }
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(fields) => {
                let fields = fields.iter().map(|(key, item)| (key.clone(), item.to_json()));
                serde_json::Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    fn take_all(&self) {
        self.taken.set(true);
        match &self.value {
            Value::List(items) => items.iter().for_each(Self::take_all),
            Value::Map(fields) => fields.iter().for_each(|(_, item)| item.take_all()),
            _ => {}
        }
    }
}

impl From<yaml::Tree> for Item {
    fn from(tree: yaml::Tree) -> Self {
        let value = match tree.content {
            yaml::Content::Null => Value::Null,
            yaml::Content::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Value::Bool(true),
                "false" | "False" | "FALSE" => Value::Bool(false),
                _ if is_number(&text) => Value::Number(text),
                _ => Value::Text(text),
            },
            yaml::Content::Scalar { text, plain: false } => Value::Text(text),
            yaml::Content::List(items) => Value::List(items.into_iter().map(Self::from).collect()),
            yaml::Content::Map(fields) => {
                Value::Map(fields.into_iter().map(|(key, tree)| (key, tree.into())).collect())
            }
        };
        Self::new(tree.place, value)
    }
}

/// A number as JSON writes it.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// Where findings and notes about one file go.
#[derive(Debug)]
pub(crate) struct Sink {
    file: String,
    found: RefCell<Vec<Diagnostic>>,
    notes: RefCell<Vec<Note>>,
}

impl Sink {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: RefCell::default(), notes: RefCell::default() }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Note>) {
        (self.found.into_inner(), self.notes.into_inner())
    }
}

/// A value with its path, and the name of what it is a part of.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) item: &'a Item,
    path: String,
    subject: String,
    sink: &'a Sink,
}

impl<'a> At<'a> {
    /// The whole of a document.
    pub(crate) fn root(item: &'a Item, sink: &'a Sink) -> Self {
        item.taken.set(true);
        Self { item, path: String::new(), subject: String::new(), sink }
    }

    /// The same place, whose notes and findings are about `subject`.
    pub(crate) fn about(&self, subject: &str) -> Self {
        // The first name is the source's own; a later one does not replace it.
        let _ = self.item.about.set(subject.into());
        Self { subject: subject.to_owned(), ..self.clone() }
    }

    /// The whole of another document of the same file.
    pub(crate) fn of(&self, item: &'a Item) -> Self {
        Self::root(item, self.sink)
    }

    /// The file that this is in.
    pub(crate) fn file(&self) -> &str {
        self.sink.file()
    }

    /// What notes and findings here are about.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) fn place(&self) -> Place {
        self.item.place
    }

    fn child(&self, key: &str, item: &'a Item) -> Self {
        item.taken.set(true);
        if self.item.is_keyed.get() {
            let path = format!("{}[\"{key}\"]", self.path);
            return Self { item, path, subject: self.subject.clone(), sink: self.sink };
        }
        // A key with dots of its own would read as a path.
        let step = if key.contains(['.', '[', ' ']) { format!("\"{key}\"") } else { key.into() };
        let path = if self.path.is_empty() { step } else { format!("{}.{step}", self.path) };
        Self { item, path, subject: self.subject.clone(), sink: self.sink }
    }

    /// A field that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let at = self.child(key, self.item.peek(key)?);
        (!at.item.is_null()).then_some(at)
    }

    /// A map; anything else is a finding.
    pub(crate) fn map(&self, key: &str) -> Option<Self> {
        let at = self.get(key)?;
        at.expect_map().then_some(at)
    }

    /// True where it is a map; else that is a finding.
    pub(crate) fn expect_map(&self) -> bool {
        let is_map = matches!(self.item.value, Value::Map(_));
        if !is_map {
            self.wrong_type("a map");
        }
        is_map
    }

    /// True where it is a map.
    pub(crate) const fn is_map(&self) -> bool {
        matches!(self.item.value, Value::Map(_))
    }

    /// True where it is a list.
    pub(crate) const fn is_list(&self) -> bool {
        matches!(self.item.value, Value::List(_))
    }

    /// The text of this value; numbers and truth values as they are written.
    pub(crate) fn as_text(&self) -> Option<String> {
        match &self.item.value {
            Value::Text(text) => {
                let text = text.trim();
                (!text.is_empty()).then(|| text.to_owned())
            }
            Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null => None,
            Value::List(_) | Value::Map(_) => {
                self.wrong_type("text");
                None
            }
        }
    }

    /// A field of text; empty is absent.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_text()
    }

    /// A field of text that must be there.
    pub(crate) fn required(&self, key: &str) -> Option<String> {
        let text = self.text(key);
        let is_text = self
            .item
            .peek(key)
            .is_none_or(|item| matches!(item.value, Value::Text(_) | Value::Null));
        if text.is_none() && is_text {
            let place = self.item.peek(key).map_or(self.item.place, |item| item.place);
            let message = format!("`{key}` is missing");
            self.report_at(place, key, "missing_field", message, Some("write one".into()));
        }
        text
    }

    /// A number.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let at = self.get(key)?;
        at.as_number()
    }

    /// The number of this value.
    pub(crate) fn as_number(&self) -> Option<f64> {
        let number = match &self.item.value {
            Value::Number(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type("a number");
        }
        number
    }

    /// The items of a list; a single value is a finding.
    pub(crate) fn list(&self, key: &str) -> Vec<Self> {
        let Some(at) = self.get(key) else { return Vec::new() };
        at.items()
    }

    /// The items of this list.
    pub(crate) fn items(&self) -> Vec<Self> {
        let Value::List(items) = &self.item.value else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let item = |(number, item): (usize, &'a Item)| {
            item.taken.set(true);
            Self { item, path: format!("{}[{number}]", self.path), ..self.clone() }
        };
        items.iter().enumerate().map(item).filter(|at| !at.item.is_null()).collect()
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        self.list(key).iter().filter_map(Self::as_text).collect()
    }

    /// The fields of this map with their names.
    pub(crate) fn fields(&self) -> Vec<(&'a str, Self)> {
        let Value::Map(fields) = &self.item.value else {
            self.wrong_type("a map");
            return Vec::new();
        };
        let all = fields.iter().map(|(key, item)| (key.as_str(), self.child(key, item)));
        all.filter(|(_, at)| !at.item.is_null()).collect()
    }

    /// The fields of a map under a key.
    pub(crate) fn fields_of(&self, key: &str) -> Vec<(&'a str, Self)> {
        self.get(key).map(|at| at.fields()).unwrap_or_default()
    }

    /// The things that a map under a key has by their names.
    pub(crate) fn entries_of(&self, key: &str) -> Vec<(&'a str, Self)> {
        let Some(at) = self.get(key) else { return Vec::new() };
        at.item.is_keyed.set(true);
        at.fields()
    }

    /// The value with all that is in it, taken.
    pub(crate) fn whole(&self) -> serde_json::Value {
        self.item.take_all();
        self.item.to_json()
    }

    /// Takes a field and notes that it is not carried, where there is anything in it.
    pub(crate) fn lose(&self, key: &str, why: &str) {
        if let Some(at) = self.get(key) {
            at.lost(why);
        }
    }

    /// Notes that this value is not carried.
    pub(crate) fn lost(&self, why: &str) {
        self.item.take_all();
        if !self.item.is_empty() {
            self.note(NoteKind::NotCarried, &self.path, why);
        }
    }

    /// Notes that a part of this value, which is no field of it, is not carried.
    pub(crate) fn lost_field(&self, field: &str, why: &str) {
        self.note(NoteKind::NotCarried, field, why);
    }

    /// Takes a field that says nothing by itself, such as the version of the format.
    pub(crate) fn pass(&self, key: &str) {
        if let Some(item) = self.item.peek(key) {
            item.take_all();
        }
    }

    /// Takes a field that says what another says, too.
    pub(crate) fn pass_same(&self, key: &str, other: &Item) {
        if let Some(item) = self.item.peek(key)
            && item.to_json() == other.to_json()
        {
            item.take_all();
        }
    }

    /// Notes something that the file does not say.
    pub(crate) fn assumed(&self, field: &str, why: &str) {
        self.note(NoteKind::Assumed, field, why);
    }

    fn note(&self, kind: NoteKind, field: &str, why: &str) {
        self.sink.notes.borrow_mut().push(Note {
            kind,
            file: self.sink.file.clone(),
            line: self.item.place.line,
            subject: self.subject.clone(),
            field: field.to_owned(),
            why: why.to_owned(),
        });
    }

    /// Notes every field in this value that nobody has taken.
    pub(crate) fn leftovers(&self) {
        if let Some(subject) = self.item.about.get()
            && **subject != *self.subject
        {
            Self { subject: (**subject).to_owned(), ..self.clone() }.leftovers();
            return;
        }
        match &self.item.value {
            Value::Map(fields) => {
                for (key, item) in fields {
                    let was_taken = item.taken.get();
                    let at = self.child(key, item);
                    if was_taken { at.leftovers() } else { at.lost(NO_HOME) }
                }
            }
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    let was_taken = item.taken.get();
                    let at =
                        Self { item, path: format!("{}[{number}]", self.path), ..self.clone() };
                    if was_taken { at.leftovers() } else { at.lost(NO_HOME) }
                }
            }
            _ => {}
        }
    }

    fn wrong_type(&self, wanted: &str) {
        let is = match &self.item.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Number(text) | Value::Text(text) => format!("`{}`", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        };
        self.report("wrong_type", format!("{is} is not {wanted}"), None);
    }

    /// A finding about this value.
    pub(crate) fn report(
        &self,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.push(self.item.place, self.path.clone(), rule, message.into(), hint);
    }

    fn report_at(
        &self,
        place: Place,
        key: &str,
        rule: &'static str,
        message: String,
        hint: Option<String>,
    ) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.push(place, format!("{}{dot}{key}", self.path), rule, message, hint);
    }

    fn push(
        &self,
        place: Place,
        field: String,
        rule: &'static str,
        message: String,
        hint: Option<String>,
    ) {
        self.sink.found.borrow_mut().push(Diagnostic {
            file: self.sink.file.clone(),
            line: place.line,
            column: place.column,
            document: self.subject.clone(),
            field,
            rule,
            severity: Level::Error,
            message,
            hint,
        });
    }
}

/// A text as a finding repeats it.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
