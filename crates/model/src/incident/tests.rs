//! The chain and the reading back of facts.

use super::data::{Acknowledged, CommandRejected};
use super::*;

fn fact(sequence: u64, before: Option<&Fact>, data: FactData) -> Fact {
    Fact {
        incident_id: "i".into(),
        sequence,
        fact: data.name(),
        occurred_at: Timestamp::from_micros(0),
        recorded_at: Timestamp::from_micros(0),
        actor: "user:ada".into(),
        cause: None,
        rationale: None,
        drill: false,
        data,
        previous_hash: before.map(|fact| fact.hash.clone()),
        hash: String::new(),
    }
    .sealed()
}

fn two() -> (Fact, Fact) {
    let rejected = CommandRejected { command: "verify".into(), rule: "r".into(), addressed: None };
    let first = fact(1, None, FactData::CommandRejected(rejected));
    let acknowledged =
        Acknowledged { step: "on-call".into(), climb: 1, expires_at: None, late_by_us: None };
    let second = fact(2, Some(&first), FactData::Acknowledged(acknowledged));
    (first, second)
}

#[test]
fn keys_come_in_the_documented_order_and_read_back() {
    let (_, second) = two();
    let line = json::to_line(&second);
    let (body, _) = line.split_once(r#","previous_hash""#).unwrap();
    assert_eq!(
        body,
        r#"{"incident_id":"i","sequence":2,"fact":"acknowledged","occurred_at":"1970-01-01T00:00:00.000000Z","recorded_at":"1970-01-01T00:00:00.000000Z","actor":"user:ada","drill":false,"data":{"step":"on-call","loop":1}"#
    );
    let back: Fact = serde_json::from_str(&line).unwrap();
    assert_eq!(back, second);
    assert_eq!(json::to_line(&back), line);
}

#[test]
fn an_altered_dropped_or_moved_fact_is_found() {
    let (first, second) = two();
    assert_eq!(check_link(None, &first), Ok(()));
    assert_eq!(check_link(Some(&first), &second), Ok(()));
    let altered = Fact { actor: "user:eve".into(), ..second.clone() };
    assert!(matches!(check_link(Some(&first), &altered), Err(ChainError::Hash { .. })));
    assert!(matches!(check_link(None, &second), Err(ChainError::Link { .. })));
    assert!(matches!(check_link(Some(&second), &second), Err(ChainError::Link { .. })));
}

#[test]
fn facts_of_every_kind_read_back_as_they_were_written() {
    for (name, data) in [
        (
            "silenced",
            r#"{"silence":"s","matchers":["root=\"dataset:weather\""],"from":"1970-01-01T00:00:00.000000Z","until":"1970-01-02T00:00:00.000000Z","by":"user:ada"}"#,
        ),
        ("unsilenced", r#"{"silence":"s","reason":"expired"}"#),
        ("inhibited", r#"{"by":"j","rule":"upstream"}"#),
        ("uninhibited", r#"{"by":"j","reason":"resolved"}"#),
        ("flapping_started", r#"{"changes":4,"look_back":10}"#),
        ("flapping_ended", r#"{"changes":1,"look_back":10}"#),
        ("merged", r#"{"into":"j","reason":"one root"}"#),
        (
            "delivery_reported",
            r#"{"escalation":"e","sink":"pager","tool":"pagerduty","outcome":"failed","attempts":5,"detail":"HTTP 500"}"#,
        ),
        (
            "reviewed",
            r#"{"root_cause":"a mapping","actions":[{"what":"test it","by":"user:ada","due":"1970-01-09T00:00:00.000000Z"}]}"#,
        ),
        ("closed", r#"{"reason":"reviewed"}"#),
    ] {
        let text = format!(
            r#"{{"incident_id":"i","sequence":1,"fact":"{name}","occurred_at":"1970-01-01T00:00:00.000000Z","recorded_at":"1970-01-01T00:00:00.000000Z","actor":"user:ada","drill":false,"data":{data},"hash":"x"}}"#
        );
        let fact: Fact = serde_json::from_str(&text).unwrap();
        assert_eq!(json::to_line(&fact), text);
        assert_eq!(fact.data.name(), fact.fact);
    }
}
