//! Every fact in both forms, with `apache-avro` as the oracle of the Avro one.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::json;
use watchkeep_model::breach::Breach;
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::policy::Policy;
use watchkeep_model::reject::Reject;
use watchkeep_model::response::Response;
use watchkeep_model::revision::Revision;
use watchkeep_model::window::Window;
use watchkeep_model::{incident, json as canonical};

use super::{FactEncoding, Stored, TopicKind, decode, encode, to_json_line};
use crate::framing::AvroFraming;
use crate::oracle;
use crate::schemas;

const AVRO: FactEncoding = FactEncoding::Avro(AvroFraming::SingleObject);

fn fact<T: DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Holds a fact to what every fact promises.
#[track_caller]
fn check<T: Stored + PartialEq + std::fmt::Debug>(kind: impl Into<Option<TopicKind>>, fact: &T) {
    let kind = kind.into();
    let line = canonical::to_line(fact);
    let avro = encode(fact, AVRO);
    for bytes in [
        encode(fact, FactEncoding::Json),
        avro.clone(),
        encode(fact, FactEncoding::Avro(AvroFraming::Confluent(9))),
    ] {
        assert_eq!(&decode::<T>(&bytes).unwrap(), fact);
        if let Some(kind) = kind {
            assert_eq!(to_json_line(kind, &bytes).unwrap(), line);
        }
    }
    // The oracle reads the same bytes, and writes them from what it read.
    let schema = Schema::parse_str(schemas::named(T::SCHEMA).text).unwrap();
    let read = oracle::read(&schema, &avro[10..]);
    assert_eq!(
        oracle_json(&read),
        oracle_json(&oracle::read(&schema, &oracle::write(&schema, read.clone())))
    );
    // Each field that the JSON form has is one that the oracle found, with a value.
    let Avro::Record(fields) = read else { panic!("a record") };
    let serde_json::Value::Object(members) = serde_json::to_value(fact).unwrap() else {
        panic!("an object")
    };
    let named: BTreeMap<_, _> = fields.into_iter().collect();
    for (key, member) in members {
        if !named.contains_key(&key) && member.is_null() {
            continue;
        }
        let found = named
            .get(&key)
            .or_else(|| named.get("rest"))
            .unwrap_or_else(|| panic!("{key} is lost"));
        let is_null = matches!(found, Avro::Union(0, inner) if **inner == Avro::Null);
        assert_eq!(is_null, member.is_null(), "{key}");
    }
    // A cut record is refused wherever it is cut.
    for end in 0..avro.len() {
        assert!(decode::<T>(&avro[..end]).is_err(), "cut at {end}");
    }
}

/// Maps have no order in the oracle.
fn oracle_json(value: &Avro) -> serde_json::Value {
    serde_json::Value::try_from(value.clone()).unwrap()
}

fn window() -> Window {
    serde_json::from_str(r#"{
        "feature": "flight.origin", "feature_version": "2", "window": "1h",
        "window_start": "2013-05-06T14:00:00Z", "window_end": "2013-05-06T15:00:00Z", "revision": 1,
        "partial": false, "count": 100, "null_count": 3, "error_count": 2, "status": {"ok": 98, "timeout": 2},
        "non_finite_count": 1, "late_count": 4, "min": -1.5, "max": 1e300, "mean": 0.1, "p50": 1.0, "p90": 2.0,
        "p95": 3.0, "p99": 4.0, "latency_us": {"p50": 1.0, "p90": 2.0, "p95": 3.0, "p99": 4.0, "max": 5},
        "age_us": {"p50": 1.0, "max": 7, "negative_count": 2}, "distinct": 4, "distinct_error": 0.03,
        "top": [["JFK", 5], ["EWR", 4]], "top_error": {"above": 3, "count": 1}, "last_event_time": "2013-05-06T14:59:59.999999Z",
        "last_materialised_at": "2013-05-06T14:00:00Z",
        "judged": [
            {"expectation": "origin-drift", "verdict": "bad", "reason": "it drifted", "observed": 0.2,
             "threshold": 0.1, "p_value": 1e-9, "baseline": "fixed abc",
             "drift": {"n": 100, "n_ref": 1000, "psi": 0.3, "js": 0.2, "hellinger": 0.1, "wasserstein": 1.5,
               "wasserstein_norm": 0.5, "ks_stat": 0.2, "ks_p": 0.01, "chi2_stat": 12.5, "chi2_dof": 3,
               "chi2_p": 0.001, "n_effective": 31.5, "unseen_share": 0.01, "unseen": ["XXX"],
               "bins": {"edges": [1.0, 2.5], "categories": ["JFK"], "current": [1, 2, 3], "reference": [4, 5, 6], "null_bin": true,
                 "areas": [0.5, 1.0], "widest": {"below": 2.5, "current": 3, "reference": 9}, "reference_sd": 3.0}}},
            {"expectation": "volume", "verdict": "not_judged"}
        ]
    }"#).unwrap()
}

fn breach() -> Breach {
    fact(json!({
        "breach_id": "b-1", "transition": "opened", "feature": "flight.arr_delay_min", "feature_version": "",
        "expectation": "delay-drift", "kind": "drift", "severity": "critical", "window": "1d",
        "window_start": "2013-05-06T00:00:00Z", "window_end": "2013-05-07T00:00:00Z", "revision": 0,
        "detected_at": "2013-05-07T00:00:00Z", "observed": 0.25, "threshold": 0.1, "p_value": 0.0, "effect": 0.25,
        "baseline": "seasonal abc", "owner": "user:ada", "policy": "standard",
        "affected_consumers": ["model:eta"], "exemplars": [{"topic": "t", "partition": 3, "offset": 1}],
        "reason": "the effect is above"
    }))
}

#[test]
fn windows() {
    check(TopicKind::Windows, &window());
    let bare = Window {
        min: None,
        max: None,
        mean: None,
        p50: None,
        p90: None,
        p95: None,
        p99: None,
        latency_us: None,
        age_us: None,
        distinct: None,
        distinct_error: None,
        top: vec![],
        top_error: None,
        last_event_time: None,
        last_materialised_at: None,
        judged: vec![],
        status: BTreeMap::new(),
        ..window()
    };
    check(TopicKind::Windows, &bare);
}

#[test]
fn breaches() {
    check(TopicKind::Breaches, &breach());
    let bare = Breach {
        observed: None,
        threshold: None,
        p_value: None,
        effect: None,
        baseline: None,
        owner: None,
        policy: None,
        affected_consumers: vec![],
        exemplars: vec![],
        ..breach()
    };
    check(TopicKind::Breaches, &bare);
}

#[test]
fn incident_facts() {
    let reviewed = json!({
        "incident_id": "i-1", "sequence": 2, "fact": "reviewed", "occurred_at": "2013-05-07T00:15:00Z",
        "recorded_at": "2013-05-07T00:15:00.5Z", "actor": "watchkeep", "cause": "timer", "rationale": "it comes and goes",
        "drill": false, "data": {"root_cause": "é \"1\"", "actions": [{"what": "w", "by": "user:ada", "due": "2013-05-08T00:00:00Z"}]},
        "previous_hash": "aa", "hash": "bb"
    });
    check(TopicKind::Incidents, &fact::<incident::Fact>(reviewed));
}

#[test]
fn a_sealed_fact_keeps_its_hash_in_both_forms() {
    let bare = json!({
        "incident_id": "i-1", "sequence": 1, "fact": "closed", "occurred_at": "2013-05-07T00:15:00Z",
        "recorded_at": "2013-05-07T00:15:00Z", "actor": "user:ada", "drill": false, "data": {"reason": "reviewed"}
    });
    let sealed = fact::<incident::Fact>(bare).sealed();
    for encoding in [FactEncoding::Json, AVRO] {
        let read: incident::Fact = decode(&encode(&sealed, encoding)).unwrap();
        assert_eq!(incident::check_link(None, &read), Ok(()));
    }
    check(TopicKind::Incidents, &sealed);
}

#[test]
fn escalations() {
    let full = json!({
        "id": "e", "type": "watchkeep.escalation.page", "source": "watchkeep", "subject": "feature:a",
        "time": "2013-05-07T00:15:00Z", "incident_id": "i", "dedup_key": "i", "event_action": "trigger",
        "severity": "error", "summary": "s", "component": "feature:a", "group": "group:g", "class": "drift",
        "audience": "page", "step": "owner", "loop": 1, "target": "user:ada", "role": "primary",
        "channel": "email ada@example.com", "respond_by": "2013-05-07T00:30:00Z", "reason": "first",
        "owner": "user:ada", "unowned": false, "affected_features": ["a"], "affected_count": 1,
        "consumers": ["model:m"], "runbook": "https://example.com", "links": [{"href": "h", "text": "t"}],
        "drill": true, "custom_details": {"a": "b"}
    });
    check(TopicKind::Escalations, &fact::<Escalation>(full.clone()));
    let optional = [
        "group",
        "step",
        "loop",
        "target",
        "role",
        "channel",
        "respond_by",
        "owner",
        "runbook",
        "links",
        "custom_details",
    ];
    let mut bare = full;
    optional.iter().for_each(|key| drop(bare.as_object_mut().unwrap().remove(*key)));
    check(TopicKind::Escalations, &fact::<Escalation>(bare));
}

#[test]
fn responses_keep_fields_of_commands_to_come() {
    let full = json!({
        "at": "2013-05-07T00:15:00Z", "by": "user:ada", "command": "remediate", "incident": "i", "subject": "feature:a",
        "rationale": "r", "action": "fix", "gate": "resolve", "approve": true, "to": "user:grace",
        "until": "2013-05-08", "matchers": ["root=~\"a.*\""], "of_tomorrow": [{"a": 1.5}], "nothing": null
    });
    check(TopicKind::Responses, &fact::<Response>(full));
    check(
        TopicKind::Responses,
        &fact::<Response>(json!({"at": "2013-05-07", "by": "user:ada", "command": "acknowledge"})),
    );
}

#[test]
fn rejects() {
    check(
        TopicKind::Rejects,
        &fact::<Reject>(json!({
            "reason": "late", "detail": "d", "topic": "t", "partition": 0, "offset": 5, "bytes": "AA==",
            "received_at": "2013-05-07T00:15:00Z", "feature": "a", "feature_version": "1", "window": "1h",
            "window_start": "2013-05-07T00:00:00Z", "count": 3
        })),
    );
    check(TopicKind::Rejects, &fact::<Reject>(json!({"reason": "late"})));
}

#[test]
fn charters() {
    let rule = |name: &str, rule: serde_json::Value| {
        let mut whole = json!({
            "name": name, "window": {"kind": "tumbling", "size": "1h"}, "severity": "error", "min_samples": 30,
            "for": {"k": 2, "of": 3}, "resolve_after": 1, "resolve": null
        });
        whole.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        whole
    };
    let expectations = [
        rule(
            "drift",
            json!({"kind": "drift", "baseline": {"kind": "fixed", "from": "2013-04-01T00:00:00Z", "to": "2013-05-01T00:00:00Z"},
            "p_below": 0.001, "effect": {"statistic": "psi", "above": 0.25}, "bins": 10}),
        ),
        rule("latency", json!({"kind": "latency", "quantile": "p95", "above": "1h"})),
        rule("nulls", json!({"kind": "null_rate", "above": 0.0, "confidence": 0.99})),
        rule("volume", json!({"kind": "volume", "below": 5, "above": 100})),
        rule(
            "usual",
            json!({"kind": "volume", "below": null, "above": null, "change": 0.5, "p_below": 0.001,
            "baseline": {"kind": "rolling", "windows": 24, "min_windows": null}}),
        ),
        rule("silence", json!({"kind": "silence", "after": "1h"})),
        rule(
            "objective",
            json!({"kind": "slo", "objective": 0.999, "good": {"latency_below": "50ms"}, "period": "4w"}),
        ),
        rule("range", json!({"kind": "range", "min": 0.0, "max": 800.0, "above": 0.01})),
        rule(
            "categories",
            json!({"kind": "categories", "allowed": ["a"], "above": 0.0, "baseline": null}),
        ),
    ];
    let full = json!({
        "subject": "feature:a.*", "description": "d", "type": "double", "unit": "min", "tier": 1,
        "lifecycle": "production", "view": "view:v", "group": "group:g", "system": "s", "domain": "d",
        "owners": {"primary": "user:ada", "backup": "user:grace", "data_steward": "x", "architect": "x", "business_owner": "x", "reviewer": "x", "executive": "x"},
        "subscribers": ["user:x"], "consumers": ["model:m"], "upstream": ["dataset:d"], "external_dependencies": ["e"],
        "business_outcomes": ["o"], "duties": ["d"], "limitations": ["l"], "decision_rights": ["r"],
        "independence": "regulatory", "policy": "standard", "runbook": "https://example.com",
        "rollback": {"procedure": "p", "within": "4h", "criteria": ["c"]}, "review_every": "90d",
        "reviewed_at": "2013-01-01T00:00:00Z", "change_ticket": "T-1", "approvals": [{"by": "user:x", "at": "2013-01-01T00:00:00Z"}],
        "effective_from": "2013-01-01T00:00:00Z", "driver": "regulatory", "deduplicate": "1h",
        "expectations": expectations
    });
    // The content of revisions, on no topic by itself.
    check(None, &fact::<CharterDocument>(full));
    check(None, &fact::<CharterDocument>(json!({"subject": "feature:a"})));
}

#[test]
fn policies() {
    let full = json!({
        "name": "standard", "version": 3,
        "damping": {"keep_firing_for": "10m", "reopen_within": "2h", "flap": {"look_back": 20, "changes": 6}},
        "limits": {"per_owner": {"burst": 5, "per": "10m"}, "platform_incident_share": 0.5},
        "hours": {"zone": "America/New_York", "working": [{"days": ["mon", "fri"], "from": "09:00", "to": "24:00"}],
          "holidays": ["2013-05-27"], "outside": {"warning": "defer", "critical": "page"}},
        "steps": [{"name": "owner", "kinds": ["drift"], "decisions": ["rollback"],
          "notify": [{"role": "primary", "severities": ["error"]}, {"schedule": "schedule:s"}],
          "channels": [{"tool": "email", "to": "x", "scope": "all"}, {"tool": "sms"}],
          "acknowledge_within": "15m", "remediate_within": "4h", "decide_within": "1d",
          "escalate_if": ["not_acknowledged", {"affected_features": 5}, {"recurrence": {"count": 3, "within": "1w"}}, {"severity": "critical"}]}],
        "loops": 2, "ack_timeout": "1h", "on_exhausted": {"notify": ["group:g"]},
        "sign_offs": [{"gate": "resolve", "severities": ["critical"], "roles": ["executive"], "minimum": 2, "distinct_from": ["remediator"]}],
        "verification": {"severities": ["critical"], "good_windows": 3, "reference": "r", "third_party": "t", "on_failure": "owner"},
        "independence": {"regulatory": {"verifier_not_in_team_of": ["remediator"], "approver_not_in_team_of": ["primary"], "owner_not_in_team_of": ["business_owner"]}},
        "review": {"severities": ["critical"], "due_within": "5d"}, "drill": {"every": "90d"},
        "freeze": [{"from": "2013-12-20T00:00:00Z", "to": "2014-01-02T00:00:00Z", "reason": "holidays"}]
    });
    check(None, &fact::<Policy>(full));
    check(None, &Policy::default());
}

#[test]
fn revisions() {
    let full = json!({
        "publication": "p", "kind": "charter", "name": "feature:a", "at": "2026-01-01T00:00:00Z", "by": "user:ada",
        "effective_from": "2026-01-02T00:00:00Z", "base": 7, "change_ticket": "CHG-1", "rationale": "why",
        "content": [{"subject": "feature:a", "tier": 1}]
    });
    check(TopicKind::Charters, &fact::<Revision>(full));
    let bare = json!({"publication": "p", "kind": "policy", "name": "n", "at": "2026-01-01T00:00:00Z", "by": "user:ada"});
    check(TopicKind::Policies, &fact::<Revision>(bare));
}

#[test]
fn a_foreign_record_is_refused_with_the_reason() {
    let told = |bytes: &[u8]| decode::<Window>(bytes).unwrap_err().to_string();
    let avro = encode(&breach(), AVRO);
    assert!(told(&avro).starts_with("unknown_schema: schema fingerprint "), "{}", told(&avro));
    assert!(
        told(b"{}").starts_with("invalid: not a window: missing field `feature`"),
        "{}",
        told(b"{}")
    );
    assert!(told(b"{").starts_with("malformed: not a window: "), "{}", told(b"{"));
    assert!(
        told(&[&encode(&window(), AVRO)[..], b"x"].concat()).contains("1 bytes follow the record")
    );
}

#[test]
fn topics_are_known_by_their_names() {
    assert_eq!(TopicKind::of("watchkeep.breaches", "watchkeep."), TopicKind::Breaches);
    assert_eq!(TopicKind::of("feature.telemetry", "watchkeep."), TopicKind::Telemetry);
    assert_eq!(TopicKind::of("breaches", "watchkeep."), TopicKind::Telemetry);
}

proptest! {
    #[test]
    fn numbers_keep_every_bit(a in any::<f64>(), b in any::<f64>(), micros in -62_135_596_800_000_000i64..253_402_300_799_999_999) {
        prop_assume!(a.is_finite() && b.is_finite() && a.to_bits() != 1 << 63 && b.to_bits() != 1 << 63);
        let at = watchkeep_model::time::Timestamp::from_micros(micros);
        let window = Window { mean: Some(a), p50: Some(b), last_event_time: Some(at), ..window() };
        for encoding in [FactEncoding::Json, AVRO] {
            let read: Window = decode(&encode(&window, encoding)).unwrap();
            prop_assert_eq!(read.mean.unwrap().to_bits(), a.to_bits());
            prop_assert_eq!(&read, &window);
        }
    }

    #[test]
    fn mutated_facts_are_answered(at in 0usize..2000, byte in any::<u8>(), cut in 0usize..2000) {
        for mut bytes in [encode(&window(), AVRO), encode(&breach(), FactEncoding::Json)] {
            let (at, cut) = (at % bytes.len(), cut % bytes.len());
            bytes[at] = byte;
            let _ = decode::<Window>(&bytes);
            let _ = decode::<Breach>(&bytes);
            let _ = decode::<Window>(&bytes[..cut]);
            let _ = to_json_line(TopicKind::Summaries, &bytes);
        }
    }
}

#[test]
fn a_command_as_json_may_leave_out_when_it_takes_effect() {
    use super::decode_response;
    let at = "2013-05-08T14:01:00Z".parse().unwrap();
    let text = br#"{"by":"user:ada","command":"acknowledge","incident":"3f2a"}"#;
    let response = decode_response(text, at).unwrap();
    assert_eq!((response.at, decode_response(text, at).unwrap().id()), (at, response.id()));
    let written =
        decode_response(&encode(&response, AVRO), "2014-05-08T00:00:00Z".parse().unwrap());
    assert_eq!(written.unwrap(), response);
    let twice = br#"{"by":"user:ada","by":"user:bob","command":"verify","incident":"3f2a"}"#;
    for wrong in [
        &br#"{"by":"user:ada"}"#[..],
        br#"{"at":"now","by":"a","command":"verify"}"#,
        b"[]",
        b"{}",
        twice,
    ] {
        assert!(decode_response(wrong, at).is_err());
    }
    assert_eq!(super::response_line(text, at).unwrap(), canonical::to_line(&response));
    let told = decode_response(br#"{"by":"user:ada"}"#, at).unwrap_err().to_string();
    assert!(told.contains("missing field `command`"), "{told}");
}
