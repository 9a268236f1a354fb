//! Well-formed JSON telemetry.

use std::borrow::Cow;

use watchkeep_model::telemetry::{Status, Value};

use super::decode;
use crate::schema_set::SchemaSet;
use crate::telemetry::{Decoder, encode};

const FULL: &str = r#"{"feature":"feature:checkout.amount","event_time":"2013-04-01T02:00:00.25+02:00",
 "event_id":"e-1","feature_version":"3","value":12.5,"materialised_at":1364774400000000,"latency_us":900,
 "status":"stale","entity":"u","producer":"p","consumer":"model:x","dataset":null,"tags":{"a":"b"}}"#;

#[test]
fn every_field_is_read() {
    let events = decode(FULL.as_bytes()).unwrap();
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!(event.feature, "checkout.amount");
    assert_eq!(event.event_time.to_string(), "2013-04-01T00:00:00.25Z");
    assert_eq!(event.event_id.as_deref(), Some("e-1"));
    assert_eq!(event.feature_version, "3");
    assert_eq!(event.value, Value::Number(12.5));
    assert_eq!(event.materialised_at.unwrap().to_string(), "2013-04-01T00:00:00Z");
    assert_eq!(event.latency_us, Some(900));
    assert_eq!(event.status, Status::Stale);
}

#[test]
fn an_empty_event_id_is_none() {
    for subject in [r#""feature":"a""#, r#""features":{"a":1}"#] {
        let record = format!(r#"{{{subject},"event_time":0,"event_id":""}}"#);
        assert_eq!(decode(record.as_bytes()).unwrap()[0].event_id, None, "{record}");
    }
}

#[test]
fn the_batch_form_shares_all_other_fields() {
    let record =
        r#"{"features":{"a":1,"b":null,"feature:c":"x","d":true},"event_time":0,"latency_us":5}"#;
    let events = decode(record.as_bytes()).unwrap();
    let read: Vec<(&str, &Value<'_>)> = events.iter().map(|e| (&*e.feature, &e.value)).collect();
    assert_eq!(
        read,
        [
            ("a", &Value::Number(1.0)),
            ("b", &Value::Null),
            ("c", &Value::Text("x".into())),
            ("d", &Value::Boolean(true)),
        ]
    );
    assert!(events.iter().all(|e| e.latency_us == Some(5)));
}

#[test]
fn text_without_escapes_is_borrowed() {
    let events =
        decode(r#"{"feature":"größe","event_time":0,"value":"A\u00e9\n\ud83d\ude00"}"#.as_bytes())
            .unwrap();
    assert!(matches!(events[0].feature, Cow::Borrowed("größe")));
    assert_eq!(events[0].value, Value::Text("Aé\n😀".into()));
}

#[test]
fn a_line_of_a_file_may_tell_when_it_was_received() {
    let line = br#"{"feature":"a","event_time":0,"received_at":"1970-01-01T00:00:01Z"} "#;
    let mut out = Vec::new();
    let mut decoder = Decoder::new(SchemaSet::new());
    let received_at = decoder.decode_line(line, &mut out).unwrap();
    assert_eq!((received_at.unwrap().as_micros(), out.len()), (1_000_000, 1));
}

#[test]
fn numbers_are_rounded_correctly() {
    for text in ["416.494", "-14.0", "1e23", "0.1", "123456789012345678", "5e-324", "-0.0"] {
        let record = format!(r#"{{"feature":"a","event_time":0,"value":{text}}}"#);
        let Value::Number(read) = decode(record.as_bytes()).unwrap()[0].value else {
            panic!("{text}")
        };
        assert_eq!(read.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

#[test]
fn what_is_written_reads_back() {
    let events = decode(FULL.as_bytes()).unwrap();
    let line = encode::to_json(&events[0]);
    assert_eq!(
        line,
        r#"{"feature":"checkout.amount","event_time":"2013-04-01T00:00:00.250000Z","event_id":"e-1","feature_version":"3","value":12.5,"materialised_at":"2013-04-01T00:00:00.000000Z","latency_us":900,"status":"stale"}"#
    );
    assert_eq!(decode(line.as_bytes()).unwrap(), events);
}
