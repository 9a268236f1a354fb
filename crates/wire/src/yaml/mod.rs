//! Charter folders: YAML texts in, typed documents and findings out.
//!
//! Nothing here touches a disk: the caller hands over names and texts. All
//! findings of all files come back at once, ordered by file, line and column.
//! A document with findings is still returned as far as it could be read, so
//! that the checks of meaning (the registry's) can be shown with them; whoever
//! uses the documents refuses the folder while any finding is an error.

mod charter;
mod directory;
mod expectation;
mod foreign;
mod node;
mod policy;
mod render;
mod sarif;
mod tree;
mod walk;
pub mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use watchkeep_model::charter::CharterDocument;
use watchkeep_model::document::{Diagnostic, Documents, Level, Located, Place, nearest};
use watchkeep_model::response::{Command, Response};

pub use render::{Format, render};
pub use sarif::sarif;
pub use tree::{Content, Tree, trees};

use node::{Node, Value};
use walk::Walk;

/// Bytes of one file, 16 MiB. A larger one is refused unread: a charter folder
/// for 100,000 features fits into a few files of this size.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// Findings shown of one file. The rest are counted in one more finding; the
/// first ones are what has to be corrected anyway.
pub const FINDINGS_MAX: usize = 1000;

/// The kinds of documents.
pub const KINDS: [&str; 4] = ["charter", "directory", "lineage", "policy"];

/// Every rule of the reader with what it means.
pub const RULES: [(&str, &str); 12] = [
    ("encoding", "Charter folders are UTF-8. Nothing is read of a file in another encoding."),
    (
        "syntax",
        "The text is not YAML, and the rest of its document is not read; later ones are. Or a line \
         of a file of run events is none.",
    ),
    ("bound", "The text is larger, deeper or has more in it than a charter folder may have."),
    ("kind", "Every document has a `kind`: charter, directory, lineage or policy."),
    (
        "foreign_document",
        "The document is of another program: it has an `apiVersion`, or no `kind` and no field of a \
         charter, directory, lineage or policy. It is passed over. A file that is no YAML by itself, \
         such as a template, is named in `.watchkeepignore`.",
    ),
    ("unknown_field", "The format has no such field here. Nothing is ignored silently."),
    ("duplicate_key", "A key is written twice in one map, so that one of the two would be lost."),
    ("missing_field", "A field that the format needs is not there."),
    ("missing_value", "A key is there and nothing behind it."),
    (
        "wrong_type",
        "The value is of another type than the field: a list for a text, text for a number.",
    ),
    ("wrong_value", "The type is right and the value is not one that the field may have."),
    ("unsupported", "The format has it and this version does not do it, so it is refused by name."),
];

/// What a rule of the reader means; `None` for names that are no such rule.
pub fn explain(rule: &str) -> Option<&'static str> {
    RULES.iter().find(|(name, _)| *name == rule).map(|(_, text)| *text)
}

/// Reads files, given as name and text, in the order of their names.
pub fn read(files: &[(String, String)]) -> (Documents, Vec<Diagnostic>) {
    let mut sorted: Vec<&(String, String)> = files.iter().collect();
    sorted.sort();
    let mut documents = Documents::default();
    let mut diagnostics = Vec::new();
    for (name, text) in sorted {
        let mut found = Vec::new();
        read_file(name, text, &mut documents, &mut found);
        found.sort();
        if found.len() > FINDINGS_MAX {
            let left_out = found.len() - FINDINGS_MAX;
            found.truncate(FINDINGS_MAX);
            let place = found
                .last()
                .map_or(Place::default(), |last| Place { line: last.line, column: last.column });
            found.push(finding(
                name,
                place,
                "bound",
                format!("{left_out} more findings of this file are left out"),
            ));
        }
        diagnostics.append(&mut found);
    }
    (documents, diagnostics)
}

/// The name that documents of a command go by in findings.
const COMMAND: &str = "documents";

/// Bytes of the documents of one command.
pub const PROPOSED_BYTES_MAX: usize = 1 << 20;

/// The charters that a command proposes; none of one that proposes nothing.
///
/// # Errors
/// Those of [`proposed`].
pub fn proposed_by(response: &Response) -> Result<Vec<CharterDocument>, String> {
    match (response.command, &response.documents) {
        (Command::Propose, Some(documents)) => proposed(documents),
        _ => Ok(Vec::new()),
    }
}

/// The charters that a command carries: the text of YAML documents, or one
/// document or a list of them as JSON.
///
/// # Errors
/// Every finding, with its place in the text; there is no charter in it.
pub fn proposed(documents: &serde_json::Value) -> Result<Vec<CharterDocument>, String> {
    let text = match documents {
        serde_json::Value::String(text) => text.clone(),
        // JSON is YAML. Each begins a document of its own.
        serde_json::Value::Array(items) => {
            items.iter().map(|item| format!("---\n{item}\n")).collect()
        }
        other => other.to_string(),
    };
    if text.len() > PROPOSED_BYTES_MAX {
        let size = text.len();
        return Err(format!("the documents have {size} bytes and may have {PROPOSED_BYTES_MAX}"));
    }
    let files = [(COMMAND.to_owned(), text)];
    let (documents, found) = read(&files);
    if !found.is_empty() {
        return Err(render(&found, &files, Format::Text).trim_end().to_owned());
    }
    if documents.charters.is_empty() {
        return Err("there is no document of kind charter in it".to_owned());
    }
    Ok(documents.charters.into_iter().map(|located| located.value).collect())
}

/// The text of a file.
///
/// # Errors
/// What is wrong with it as a whole: it is not UTF-8.
pub fn text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Box<Diagnostic>> {
    let told = |place, message, hint: &str| {
        let hint = Some(hint.to_owned());
        Box::new(Diagnostic { hint, ..finding(name, place, "encoding", message) })
    };
    // Without a mark at its beginning every other byte of ASCII in it is 0.
    let is_bare = matches!(bytes, [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..]);
    if is_bare || bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let start = Place { line: 1, column: 1 };
        return Err(told(start, "the file is UTF-16".to_owned(), "save it as UTF-8"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let before = String::from_utf8_lossy(before);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        let place = Place {
            line: number(before.matches('\n').count()).saturating_add(1),
            column: number(last_line.chars().count()).saturating_add(1),
        };
        let byte = rest.first().copied().unwrap_or_default();
        told(place, format!("the byte {byte:#04x} is not UTF-8"), "save the file as UTF-8")
    })
}

/// The finding about a file that is not read at all, because of its size in bytes.
pub fn too_large(name: &str, size: u64) -> Diagnostic {
    let message = format!("the file has {size} bytes and may have {FILE_BYTES_MAX}; split it");
    finding(name, Place { line: 1, column: 1 }, "bound", message)
}

/// The finding about a name that leads to a pipe, a device or a socket: reading
/// one may never end.
pub fn no_regular_file(name: &str) -> Diagnostic {
    let message = "this is no regular file, and reading it may never end".to_owned();
    let hint = Some("put a file here, or take the name away".to_owned());
    Diagnostic { hint, ..finding(name, Place { line: 1, column: 1 }, "bound", message) }
}

fn read_file(name: &str, text: &str, documents: &mut Documents, found: &mut Vec<Diagnostic>) {
    if text.len() > FILE_BYTES_MAX {
        found.push(too_large(name, text.len() as u64));
        return;
    }
    let mut foreigners: Option<Place> = None;
    for (first_line, part) in parts(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let mut faults = Vec::new();
        let nodes = node::parse(part, first_line, &mut faults);
        let document = nodes.first().map(|node| label(node)).unwrap_or_default();
        if !nodes.is_empty() && nodes.iter().all(|node| foreign::is_foreign(node)) {
            // What another program's reader allows is no business of ours.
            faults.retain(|fault| !["unsupported", "duplicate_key"].contains(&fault.rule));
        }
        for fault in faults {
            let mut diagnostic = finding(name, fault.place, fault.rule, fault.message);
            diagnostic.document.clone_from(&document);
            diagnostic.hint = fault.hint;
            found.push(diagnostic);
        }
        for node in &nodes {
            if foreign::is_foreign(node) {
                // Of each file the first is told of.
                foreigners.get_or_insert(node.place);
            } else {
                read_document(name, node, documents, found);
            }
        }
    }
    found.extend(foreigners.map(|place| foreign::told(name, place)));
}

/// Cuts a text before each line that begins with `---`, where YAML ends a
/// document in any case, so that a fault of the syntax costs one document.
fn parts(text: &str) -> Vec<(u32, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let is_mark = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']));
        if is_mark && at > start {
            parts.push((start_line, &text[start..at]));
            (start, start_line) = (at, u32::try_from(index + 1).unwrap_or(u32::MAX));
        }
        at += line.len();
    }
    parts.push((start_line, &text[start..]));
    parts
}

fn read_document(file: &str, node: &Node, documents: &mut Documents, found: &mut Vec<Diagnostic>) {
    if node.is_null() {
        return;
    }
    let mut w = Walk::new(file, label(node), found);
    let Value::Mapping(_) = node.value else {
        let _: Option<()> = w.wrong_type(node, "a document", "begin with `kind: charter`");
        return;
    };
    match node.text_at("kind") {
        Some("charter") => documents.charters.extend(located(w, node, charter::read)),
        Some("directory") => documents.directories.extend(located(w, node, directory::read)),
        Some("lineage") => documents.lineage.extend(located(w, node, directory::lineage)),
        Some("policy") => documents.policies.extend(located(w, node, policy::read)),
        Some(other) => {
            let hint = match nearest(other, KINDS) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("write one of {}", KINDS.join(", ")),
            };
            let message = format!("unknown kind `{}`", walk::shorten(other));
            let place = w.any_mapping(node).and_then(|map| Some(map.get("kind")?.node.place));
            w.within("kind", |w| {
                w.report(place.unwrap_or(node.place), "kind", message, Some(hint));
            });
        }
        None => {
            let hint = format!("write one of {}", KINDS.join(", "));
            w.within("kind", |w| {
                w.report(node.place, "kind", "the document has no `kind`", Some(hint));
            });
        }
    }
}

fn located<T>(
    mut w: Walk<'_>,
    node: &Node,
    read: fn(&mut Walk<'_>, &Node) -> Option<T>,
) -> Option<Located<T>> {
    let value = read(&mut w, node)?;
    let fields: BTreeMap<String, Place> = std::mem::take(&mut w.fields);
    Some(Located {
        file: w.file.to_owned(),
        place: node.place,
        document: std::mem::take(&mut w.document),
        fields,
        value,
    })
}

/// Kind and name of a document, for findings.
fn label(node: &Node) -> String {
    let kind = node.text_at("kind").unwrap_or_default();
    let name = match kind {
        "charter" => node.text_at("subject"),
        "policy" => node.text_at("name"),
        _ => None,
    };
    let kind = walk::shorten(kind);
    name.map_or(kind.clone(), |name| format!("{kind} {}", walk::shorten(name)))
}

fn finding(file: &str, place: Place, rule: &'static str, message: String) -> Diagnostic {
    Diagnostic {
        file: file.to_owned(),
        line: place.line,
        column: place.column,
        document: String::new(),
        field: String::new(),
        rule,
        severity: Level::Error,
        message,
        hint: None,
    }
}
