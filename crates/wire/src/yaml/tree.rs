//! YAML of other programs: trees with places, read by the reader of charter
//! folders and under its bounds, for formats that this crate does not know.

use watchkeep_model::document::{Diagnostic, Place};

use super::node::{Node, Value};
use super::{FILE_BYTES_MAX, finding, node, parts};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Where it begins.
    pub place: Place,
    /// What it holds.
    pub content: Content,
}

/// What a [`Tree`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing is written, or `null` or `~`.
    Null,
    /// A single value.
    Scalar {
        /// As it is written, without quotes and escapes.
        text: String,
        /// True without quotes, where it may mean a number or a truth value.
        plain: bool,
    },
    /// Items in their order.
    List(Vec<Tree>),
    /// Keys with their values in the order of the text; no key twice.
    Map(Vec<(String, Tree)>),
}

/// The documents of a file. Aliases are filled in, bounded as in charter
/// folders; a fault costs its document, later ones are still read. A key that is
/// written twice with one value is no fault here. `name` is for the findings alone.
pub fn trees(name: &str, text: &str) -> (Vec<Tree>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    if text.len() > FILE_BYTES_MAX {
        let message =
            format!("the file has {} bytes and may have {FILE_BYTES_MAX}; split it", text.len());
        found.push(finding(name, Place { line: 1, column: 1 }, "bound", message));
        return (Vec::new(), found);
    }
    let mut documents = Vec::new();
    for (first_line, part) in parts(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let mut faults = Vec::new();
        let nodes = node::parse(part, first_line, &mut faults);
        let is_harmless =
            |fault: &node::Fault| fault.hint.as_deref() == Some(node::BOTH_SAY_THE_SAME);
        for fault in faults.into_iter().filter(|fault| !is_harmless(fault)) {
            let mut diagnostic = finding(name, fault.place, fault.rule, fault.message);
            diagnostic.hint = fault.hint;
            found.push(diagnostic);
        }
        documents.extend(nodes.iter().map(|node| tree(node)));
    }
    (documents, found)
}

/// Recursion is bounded by the parser's own bound of depth.
fn tree(node: &Node) -> Tree {
    let content = match &node.value {
        _ if node.is_null() => Content::Null,
        Value::Scalar { text, plain } => Content::Scalar { text: text.clone(), plain: *plain },
        Value::Sequence(items) => Content::List(items.iter().map(|item| tree(item)).collect()),
        Value::Mapping(entries) => Content::Map(
            entries.iter().map(|entry| (entry.key.clone(), tree(&entry.node))).collect(),
        ),
    };
    Tree { place: node.place, content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_with_places_and_aliases_filled_in() {
        let (documents, found) = trees("a.yaml", "a: &x [1, '1']\nb: *x\n---\n~\n");
        assert_eq!(found, []);
        let Content::Map(fields) = &documents[0].content else { panic!("no map") };
        assert_eq!(fields[0].1.content, fields[1].1.content);
        let Content::List(items) = &fields[0].1.content else { panic!("no list") };
        let scalar = |plain| Content::Scalar { text: "1".into(), plain };
        assert_eq!(items[1].place, Place { line: 1, column: 11 });
        assert_eq!([&items[0].content, &items[1].content], [&scalar(true), &scalar(false)]);
        assert_eq!(documents[1].content, Content::Null);
    }

    #[test]
    fn a_fault_costs_its_document_alone() {
        let (documents, found) = trees("a.yaml", "a: [\n---\nb: 1\nb: 2\nc: 3\nc: 3\n");
        assert_eq!(documents.len(), 1);
        let rules: Vec<_> = found.iter().map(|d| (d.rule, d.line)).collect();
        assert_eq!(rules, [("syntax", 2), ("duplicate_key", 4)]);
    }
}
