//! Histories told as what was published, and read as what is in force.

use serde_json::{Value, json};
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::document::{Documents, Located};
use watchkeep_model::revision::{PublicationSize, Revision, RevisionKind};
use watchkeep_model::time::Timestamp;

use super::*;
use crate::registry::Registry;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn charter(subject: &str, fields: Value) -> CharterDocument {
    let mut value = json!({"subject": subject});
    value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

fn folder(charters: Vec<CharterDocument>) -> Documents {
    let located = |value| Located { value, ..Located::default() };
    Documents { charters: charters.into_iter().map(located).collect(), ..Documents::default() }
}

/// Publishes a folder at an instant; the offset of its head, where it counts.
fn publish(history: &mut Publications, now: &str, charters: Vec<CharterDocument>) -> Option<i64> {
    let base = history.head();
    let found = changes(&history.newest(), &folder(charters), true);
    let fact = |kind, name: &str, content| Revision {
        publication: now.to_owned(),
        kind,
        name: name.to_owned(),
        at: at(now),
        by: "user:ada".to_owned(),
        effective_from: history.stamp(None, at(now)),
        base: kind.is_head().then_some(base),
        change_ticket: None,
        rationale: None,
        cause: None,
        content,
    };
    let size = PublicationSize { charters: found.len() as u64, ..PublicationSize::default() };
    let mut facts: Vec<Revision> =
        found.into_iter().map(|d| fact(d.kind, &d.name, d.after)).collect();
    facts.push(fact(RevisionKind::Publication, now, serde_json::to_value(size).unwrap()));
    let mut taken = None;
    for (offset, fact) in (base + 1..).zip(facts) {
        taken = (history.take(offset, fact) == Taken::Yes).then_some(offset);
    }
    taken
}

fn units(history: &Publications, subject: &str, instants: &[&str]) -> Vec<Option<String>> {
    let registry = Registry::of_checked(history.newest().documents());
    let unit = |instant: &&str| registry.charter(subject, at(instant))?.fields.unit.clone();
    instants.iter().map(unit).collect()
}

fn texts(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|t| (!t.is_empty()).then(|| (*t).to_owned())).collect()
}

#[test]
fn the_first_publication_holds_always_and_later_ones_from_their_time() {
    let mut history = Publications::default();
    publish(&mut history, "2026-01-01", vec![charter("feature:a", json!({"unit": "s"}))]);
    publish(&mut history, "2026-02-01", vec![charter("feature:a", json!({"unit": "min"}))]);
    let instants = ["2020-01-01", "2026-01-31T23:59:59Z", "2026-02-01", "2030-01-01"];
    assert_eq!(units(&history, "feature:a", &instants), texts(&["s", "s", "min", "min"]));
    // Withdrawn, and a feature that is new holds from then on and not before.
    publish(&mut history, "2026-03-01", vec![charter("feature:b", json!({"unit": "h"}))]);
    let instants = ["2026-02-15", "2026-03-01"];
    assert_eq!(units(&history, "feature:a", &instants), texts(&["min", ""]));
    assert_eq!(units(&history, "feature:b", &instants), texts(&["", "h"]));
}

#[test]
fn whoever_has_read_less_knows_less() {
    let mut history = Publications::default();
    publish(&mut history, "2026-01-01", vec![charter("feature:a", json!({"unit": "s"}))]);
    let early = history.position();
    publish(&mut history, "2026-02-01", vec![charter("feature:a", json!({"unit": "min"}))]);
    let unit = |position| {
        let registry = Registry::of_checked(history.contents(position).documents());
        registry.charter("feature:a", Timestamp::MAX).and_then(|c| c.fields.unit.clone())
    };
    assert_eq!(unit(0), None);
    assert_eq!(unit(early).as_deref(), Some("s"));
    assert_eq!(unit(history.position()).as_deref(), Some("min"));
}

#[test]
fn a_folder_that_says_the_same_changes_nothing() {
    let mut history = Publications::default();
    let charters =
        || vec![charter("feature:a", json!({"tier": 2, "owners": {"primary": "user:a"}}))];
    publish(&mut history, "2026-01-01", charters());
    assert_eq!(changes(&history.newest(), &folder(charters()), true), []);
    // A whole number comes back from the log without its point.
    let domain = json!({"domains": {"d": {"alert_budget": {"false_alarms": 1.0, "per": "1w"}}}});
    let value = serde_json::from_value(domain).unwrap();
    let directories = vec![Located { value, ..Located::default() }];
    let budget = Documents { directories, ..Documents::default() };
    let found = changes(&Publications::default().newest(), &budget, true);
    assert_eq!(found[0].after["alert_budget"]["false_alarms"], json!(1));
}

#[test]
fn documents_with_dates_hold_as_they_are_written() {
    let dated = |from: &str, unit: &str| {
        charter("feature:a", json!({"effective_from": from, "unit": unit}))
    };
    let mut history = Publications::default();
    let jan = "2026-01-01T00:00:00Z";
    publish(&mut history, "2026-01-05", vec![charter("feature:a", json!({"unit": "s"}))]);
    publish(
        &mut history,
        "2026-02-01",
        vec![charter("feature:a", json!({"unit": "s"})), dated("2026-03-01T00:00:00Z", "h")],
    );
    let instants = ["2026-01-02", "2026-02-02", "2026-03-02"];
    assert_eq!(units(&history, "feature:a", &instants), texts(&["s", "s", "h"]));
    // The planned revision is called off by a folder without it.
    publish(&mut history, "2026-02-10", vec![charter("feature:a", json!({"unit": "min"}))]);
    assert_eq!(units(&history, "feature:a", &instants), texts(&["s", "s", "min"]));
    // A date in the past reaches back, where somebody writes it down.
    publish(&mut history, "2026-02-11", vec![dated(jan, "day")]);
    assert_eq!(units(&history, "feature:a", &instants), texts(&["day", "day", "day"]));
}

#[test]
fn of_two_that_rest_on_the_same_head_the_first_counts() {
    let mut history = Publications::default();
    publish(&mut history, "2026-01-01", vec![charter("feature:a", json!({"unit": "s"}))]);
    let mut late = history.clone();
    publish(&mut history, "2026-01-02", vec![charter("feature:a", json!({"unit": "min"}))]);
    // Another folder was compared with what held before.
    publish(&mut late, "2026-01-03", vec![charter("feature:a", json!({"unit": "h"}))]);
    let head = late.all().last().unwrap().head.clone();
    assert_eq!(history.take(99, head), Taken::Outrun);
    assert_eq!(units(&history, "feature:a", &["2026-01-04"]), texts(&["min"]));
}

#[test]
fn a_publication_without_all_of_its_revisions_waits() {
    let mut history = Publications::default();
    let head = |base| Revision {
        publication: "p".into(),
        kind: RevisionKind::Publication,
        name: "p".into(),
        at: at("2026-01-01"),
        by: "user:ada".into(),
        effective_from: None,
        base: Some(base),
        change_ticket: None,
        rationale: None,
        cause: None,
        content: json!({"charters": 0, "policies": 1}),
    };
    assert_eq!(history.take(0, head(-1)), Taken::Incomplete);
    let policy = Revision {
        kind: RevisionKind::Policy,
        name: "standard".into(),
        base: None,
        content: json!({"name": "standard"}),
        ..head(-1)
    };
    history.take_policy(policy);
    assert_eq!(history.take(0, head(-1)), Taken::Yes);
    let registry = Registry::of_checked(history.newest().documents());
    assert!(registry.policy("standard").is_some());
}

#[test]
fn changes_name_the_fields() {
    let expectation = |name: &str, above: f64| {
        json!({"name": name, "window": {"kind": "tumbling", "size": "1h"}, "severity": "error", "min_samples": 30,
            "for": {"k": 1, "of": 1}, "resolve_after": 1, "kind": "null_rate", "above": above, "confidence": 0.99})
    };
    let before =
        charter("feature:a", json!({"tier": 1, "expectations": [expectation("nulls", 0.1)]}));
    let after = charter(
        "feature:a",
        json!({"owners": {"primary": "user:b"}, "expectations": [expectation("nulls", 0.2)]}),
    );
    let mut history = Publications::default();
    publish(&mut history, "2026-01-01", vec![before]);
    let found = changes(&history.newest(), &folder(vec![after]), true);
    let fields: Vec<(String, String, String)> = found[0]
        .fields()
        .into_iter()
        .map(|c| (c.field, c.before.to_string(), c.after.to_string()))
        .collect();
    let row = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(
        fields,
        [
            row("expectations[nulls].above", "0.1", "0.2"),
            row("owners", "null", "{\"primary\":\"user:b\"}"),
            row("tier", "1", "null"),
        ]
    );
}
