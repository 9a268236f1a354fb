//! One folder for each rule that triggers it and one that does not, and who
//! wins where several documents are about one subject.

use expect_test::{Expect, expect};
use watchkeep_model::document::Documents;
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::yaml::{Format, read, render};

use super::*;

mod lookup;
mod rules;
mod upkeep;
mod whole;

/// People whom the folders below may name.
const PEOPLE: &str = "kind: directory
users:
  ada: {contacts: [{tool: email, to: ada@example.com}]}
  grace: {contacts: [{tool: email, to: grace@example.com}]}
  ken: {}
groups:
  flights: {lead: user:ada, members: [user:ada, user:grace]}
  nobody: {}
schedules:
  rota: {layers: [{users: [user:ada], every: 1w, from: 2013-04-01}]}
systems:
  board: {owner: group:flights, domain: operations}
  screen: {parent: board}
domains:
  operations: {owner: user:ada}
  flying: {parent: operations}
  sailing: {}
governance: group:flights
";

fn documents(texts: &[&str]) -> Documents {
    let files: Vec<(String, String)> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| (format!("{n}.yaml"), (*text).to_owned()))
        .collect();
    let (documents, found) = read(&files);
    assert_eq!(render(&found, &files, Format::Text), "");
    documents
}

fn registry(text: &str) -> Registry {
    Registry::new(documents(&[text]), TimeSpan::MINUTE).0
}

/// The findings about a text beside [`PEOPLE`], each on one line.
fn findings(text: &str) -> String {
    let (_, found) = Registry::new(documents(&[text, PEOPLE]), TimeSpan::MINUTE);
    let mut shown = String::new();
    for d in found {
        assert!(explain(d.rule).is_some(), "{} is not explained", d.rule);
        shown.push_str(&format!(
            "{}:{}:{} {} {}[{}] {}",
            d.file,
            d.line,
            d.column,
            d.field,
            d.severity.name(),
            d.rule,
            d.message
        ));
        if let Some(hint) = d.hint {
            shown.push_str(&format!(" => {hint}"));
        }
        shown.push('\n');
    }
    shown
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&findings(text));
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn repeats_are_looked_for_where_a_document_of_any_time_says_so() {
    let registry = registry(
        "kind: charter\nsubject: feature:a.*\ndeduplicate: 10m\n---\n\
         kind: charter\nsubject: feature:a.*\neffective_from: 2020-01-01\n",
    );
    assert!(registry.deduplicates("a.x") && registry.deduplicates("feature:a.x"));
    assert!(!registry.deduplicates("b.x"));
}
