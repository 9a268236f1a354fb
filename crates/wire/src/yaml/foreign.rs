//! Documents of other programs that lie in a charter folder: a repository has
//! many. What might be ours with a slip in it is none of them.

use watchkeep_model::document::{Diagnostic, Level, Place};

use super::finding;
use super::node::{Node, Value};

/// Fields of which each of our documents has one. Those that other programs have
/// too, such as `name` and `groups`, are not among them.
const OURS: [&str; 24] = [
    "subject",
    "owners",
    "expectations",
    "upstream",
    "consumers",
    "subscribers",
    "lifecycle",
    "tier",
    "rollback",
    "runbook",
    "review_every",
    "policy",
    "users",
    "schedules",
    "systems",
    "domains",
    "governance",
    "edges",
    "grouping",
    "steps",
    "loops",
    "damping",
    "on_exhausted",
    "sign_offs",
];

/// True for a document of another program: it has the `apiVersion` of Kubernetes
/// and those who write as it does, or neither a `kind` nor any field of ours.
pub(super) fn is_foreign(node: &Node) -> bool {
    match &node.value {
        Value::Mapping(entries) => {
            let has = |key: &str| entries.iter().any(|entry| entry.key == key);
            let is_empty = entries.is_empty();
            has("apiVersion") || !(is_empty || has("kind") || OURS.iter().any(|key| has(key)))
        }
        // A list of documents would be ours with a dash too much.
        Value::Sequence(items) => {
            !items.is_empty() && items.iter().all(|item| is_foreign_item(item))
        }
        Value::Scalar { .. } => false,
    }
}

fn is_foreign_item(item: &Node) -> bool {
    match &item.value {
        Value::Mapping(_) => is_foreign(item),
        Value::Sequence(_) | Value::Scalar { .. } => true,
    }
}

/// What is said of a file with such documents.
pub(super) fn told(file: &str, place: Place) -> Diagnostic {
    let message = "the document is of another program and is passed over".to_owned();
    let hint = "name the file in `.watchkeepignore`, or begin a document of ours with `kind`";
    Diagnostic {
        severity: Level::Warning,
        hint: Some(hint.to_owned()),
        ..finding(file, place, "foreign_document", message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn rules(text: &str) -> Vec<&'static str> {
        let (_, found) = read(&[("a.yaml".to_owned(), text.to_owned())]);
        found.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn what_might_be_ours_is_not_passed_over() {
        for foreign in [
            "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Service\n",
            "name: build\non: [push]\n",
            "- hosts: all\n  tasks: []\n",
            "repos:\n  - repo: https://example.com/hooks\n",
            "[1, 2]\n",
        ] {
            assert_eq!(rules(foreign), ["foreign_document"], "{foreign}");
        }
        for (slip, rule) in [
            ("subject: feature:a\n", "kind"),
            ("kind: chartr\nname: a\n", "kind"),
            ("users: {ada: {}}\n", "kind"),
            ("- kind: charter\n", "wrong_type"),
            ("- subject: feature:a\n", "wrong_type"),
            ("{}\n", "kind"),
            ("kind charter\n", "wrong_type"),
        ] {
            assert_eq!(rules(slip), [rule], "{slip}");
        }
    }
}
