//! Every kind of input that cannot be used, with what its producer is told.

use expect_test::{Expect, expect};

use super::decode;
use crate::Malformed;
use crate::schema_set::SchemaSet;
use crate::telemetry::{Decoder, RECORD_BYTES_MAX};

fn check(record: impl AsRef<[u8]>, expected: Expect) {
    let malformed = decode(record.as_ref()).expect_err("the record is malformed");
    expected.assert_eq(&malformed.to_string());
}

/// A valid record with `fields` put behind feature and event time.
fn with(fields: &str) -> String {
    format!(r#"{{"feature":"a","event_time":0,{fields}}}"#)
}

#[test]
fn not_json() {
    check("hello", expect!["malformed: not JSON at byte 0: a value expected, found `h`"]);
    check("", expect!["malformed: the record is empty: write one JSON object, or Avro"]);
    check("   ", expect!["malformed: the record is empty: write one JSON object, or Avro"]);
    check(
        "[1,2]",
        expect![
            "malformed: the record is an array: write one object, with the fields of one event"
        ],
    );
    check(
        "12",
        expect![
            "malformed: the record is a number: write one object, with the fields of one event"
        ],
    );
    check(
        "\u{feff}{}",
        expect!["malformed: not JSON at byte 0: a byte order mark; write UTF-8 without one"],
    );
    check(b"\xff\xfe{", expect!["malformed: not UTF-8 at byte 0: write JSON as UTF-8"]);
    check(
        b"{\"feature\":\"a\xff\"}",
        expect!["malformed: not UTF-8 at byte 13: write JSON as UTF-8"],
    );
    check(
        "{'feature': 'a'}",
        expect!["malformed: not JSON at byte 1: a string expected, found `'`"],
    );
    check(
        with(r#""value":1"#) + "x",
        expect![
            "malformed: not JSON at byte 40: more text follows the object: a record holds one object"
        ],
    );
    check(
        with(r#""value":1"#) + &with(r#""value":2"#),
        expect![
            "malformed: not JSON at byte 40: more text follows the object: a record holds one object"
        ],
    );
    check(
        r#"{"feature":"a",}"#,
        expect!["malformed: not JSON at byte 15: a string expected, found `}`"],
    );
    check(
        r#"{"feature" "a"}"#,
        expect![[r#"malformed: not JSON at byte 11: a colon expected, found `"`"#]],
    );
}

#[test]
fn cut_json() {
    check(
        r#"{"feature":"a","event_time":"2013-04-01T00:0"#,
        expect!["malformed: not JSON at byte 44: the record ends in the middle of a string"],
    );
    check(
        r#"{"feature":"a""#,
        expect!["malformed: not JSON at byte 14: a comma or } expected, the record ends here"],
    );
    check(
        r#"{"feature":"#,
        expect!["malformed: not JSON at byte 11: a value expected, the record ends here"],
    );
    check("{", expect!["malformed: not JSON at byte 1: a string expected, the record ends here"]);
    let whole = with(r#""value":1.5e3,"status":"ok","tags":{"a":"\u00e9"},"latency_us":null"#);
    for end in 0..whole.len() {
        decode(&whole.as_bytes()[..end]).expect_err("cut");
    }
    decode(whole.as_bytes()).expect("whole");
}

#[test]
fn numbers_that_json_or_a_double_does_not_have() {
    check(
        with(r#""value":NaN"#),
        expect![
            "malformed: not JSON at byte 38: JSON has no NaN: write null, or send Avro, which has it"
        ],
    );
    check(
        with(r#""value":-Infinity"#),
        expect![
            "malformed: not JSON at byte 38: JSON has no -Infinity: write null, or send Avro, which has it"
        ],
    );
    check(
        with(r#""value":1e400"#),
        expect![
            "invalid: `value` at byte 38 is `1e400`, more than a double holds (±1.797e308): write null, or send Avro"
        ],
    );
    check(
        with(r#""value":01"#),
        expect!["malformed: not JSON at byte 39: a number has no leading zero"],
    );
    check(
        with(r#""value":1."#),
        expect!["malformed: not JSON at byte 40: a digit expected, found `}`"],
    );
    check(
        with(r#""value":.5"#),
        expect!["malformed: not JSON at byte 38: a value expected, found `.`"],
    );
    check(
        with(r#""value":+1"#),
        expect!["malformed: not JSON at byte 38: a value expected, found `+`"],
    );
    check(
        with(r#""value":tru"#),
        expect!["malformed: not JSON at byte 38: true expected, found `t`"],
    );
}

#[test]
fn strings() {
    check(
        with("\"event_id\":\"a\nb\""),
        expect![
            "malformed: not JSON at byte 43: a string holds the control character 0x0a: escape it"
        ],
    );
    check(
        with(r#""event_id":"\x41""#),
        expect!["malformed: not JSON at byte 42: unknown escape in a string"],
    );
    check(
        with(r#""event_id":"\ud800""#),
        expect!["malformed: not JSON at byte 42: half of a surrogate pair in a string"],
    );
    check(
        with(r#""event_id":"\u12g4""#),
        expect!["malformed: not JSON at byte 44: four hexadecimal digits expected, found `1`"],
    );
}

#[test]
fn wrong_types() {
    check(
        r#"{"feature":7,"event_time":0}"#,
        expect!["invalid: `feature` at byte 11 is a number: write a string"],
    );
    check(
        r#"{"feature":"a","event_time":true}"#,
        expect![
            "invalid: `event_time` at byte 28 is a boolean: write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds since 1970"
        ],
    );
    check(
        with(r#""event_id":7"#),
        expect!["invalid: `event_id` at byte 41 is a number: write a string"],
    );
    check(
        with(r#""feature_version":2"#),
        expect!["invalid: `feature_version` at byte 48 is a number: write a string"],
    );
    check(
        with(r#""value":{"a":1}"#),
        expect![
            "invalid: `value` at byte 38 is an object: a value is null, a number, a boolean or a string"
        ],
    );
    check(
        with(r#""value":[1]"#),
        expect![
            "invalid: `value` at byte 38 is an array: a value is null, a number, a boolean or a string"
        ],
    );
    check(
        with(r#""materialised_at":{}"#),
        expect![
            "invalid: `materialised_at` at byte 48 is an object: write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds since 1970"
        ],
    );
    check(
        with(r#""latency_us":"5""#),
        expect![
            "invalid: `latency_us` at byte 43 is a string: write whole microseconds, 0 or more"
        ],
    );
    check(
        with(r#""status":1"#),
        expect!["invalid: `status` at byte 39 is a number: write a string"],
    );
    check(
        with(r#""entity":1"#),
        expect!["invalid: `entity` at byte 39 is a number: write a string"],
    );
    check(
        with(r#""tags":["a"]"#),
        expect!["invalid: `tags` at byte 37 is an array: write an object of strings"],
    );
    check(
        with(r#""tags":{"a":1}"#),
        expect!["invalid: `tags` at byte 42 has `a` as a number: write an object of strings"],
    );
    check(
        r#"{"features":["a"],"event_time":0}"#,
        expect![
            "invalid: `features` at byte 12 is an array: write an object with the value of each subject"
        ],
    );
    check(
        r#"{"features":{"a":{}},"event_time":0}"#,
        expect![
            "invalid: `a` at byte 17 is an object: a value is null, a number, a boolean or a string"
        ],
    );
}

#[test]
fn missing_and_contradicting_fields() {
    check(
        "{}",
        expect!["invalid: `feature` is missing: name the subject, or write `features` for a batch"],
    );
    check(
        r#"{"event_time":0}"#,
        expect!["invalid: `feature` is missing: name the subject, or write `features` for a batch"],
    );
    check(
        r#"{"feature":null,"event_time":0}"#,
        expect!["invalid: `feature` is missing: name the subject, or write `features` for a batch"],
    );
    check(
        r#"{"feature":"a"}"#,
        expect![
            "invalid: `event_time` is missing: write when the value was served, for example 2013-05-06T14:00:00Z"
        ],
    );
    check(
        r#"{"feature":"a","event_time":null}"#,
        expect![
            "invalid: `event_time` is missing: write when the value was served, for example 2013-05-06T14:00:00Z"
        ],
    );
    check(
        r#"{"feature":"a","features":{"b":1},"event_time":0}"#,
        expect![
            "invalid: `feature` and `features` exclude each other: write one subject or a batch"
        ],
    );
    check(
        r#"{"features":{},"event_time":0}"#,
        expect!["invalid: `features` is empty: name at least one subject and its value"],
    );
    check(
        r#"{"features":{"a":1},"value":1,"event_time":0}"#,
        expect!["invalid: `value` belongs to `feature`: a batch has its values in `features`"],
    );
    check(
        r#"{"features":{"a":1,"feature:a":2},"event_time":0}"#,
        expect!["invalid: `features` has `a` twice: a batch has one value for each subject"],
    );
    check(
        with(r#""value":1,"value":2"#),
        expect!["invalid: `value` at byte 40 is there twice: write it once"],
    );
}

#[test]
fn unknown_fields() {
    check(
        with(r#""latency":5"#),
        expect!["invalid: unknown field `latency` at byte 30: did you mean `latency_us`?"],
    );
    check(
        with(r#""materialized_at":0"#),
        expect![
            "invalid: unknown field `materialized_at` at byte 30: did you mean `materialised_at`?"
        ],
    );
    check(
        with(r#""zzz":0"#),
        expect![
            "invalid: unknown field `zzz` at byte 30: known are feature, features, event_time, event_id, feature_version, value, materialised_at, latency_us, status, entity, producer, consumer, dataset, tags; anything else goes into `tags`"
        ],
    );
    check(
        with(r#""ev\nil":0"#),
        expect![[
            r#"invalid: unknown field `ev\nil` at byte 30: known are feature, features, event_time, event_id, feature_version, value, materialised_at, latency_us, status, entity, producer, consumer, dataset, tags; anything else goes into `tags`"#
        ]],
    );
}

#[test]
fn values_out_of_bounds() {
    check(
        with(r#""status":"okay""#),
        expect![
            "invalid: `status` at byte 39 is `okay`: use ok, null, not_found, stale, error, timeout, defaulted; did you mean `ok`?"
        ],
    );
    check(
        with(r#""status":"notfound""#),
        expect![
            "invalid: `status` at byte 39 is `notfound`: use ok, null, not_found, stale, error, timeout, defaulted; did you mean `not_found`?"
        ],
    );
    check(
        with(r#""latency_us":-3"#),
        expect!["invalid: `latency_us` at byte 43 is `-3`: write whole microseconds, 0 or more"],
    );
    check(
        with(r#""latency_us":1.5"#),
        expect!["invalid: `latency_us` at byte 43 is `1.5`: write whole microseconds, 0 or more"],
    );
    check(
        with(r#""latency_us":99999999999999999999"#),
        expect![
            "invalid: `latency_us` at byte 43 is `99999999999999999999`: write whole microseconds, 0 or more"
        ],
    );
    check(
        r#"{"feature":"a","event_time":"yesterday"}"#,
        expect![
            "invalid: `event_time` at byte 28 is `yesterday`: write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds since 1970"
        ],
    );
    check(
        r#"{"feature":"a","event_time":"2013-02-30T00:00:00Z"}"#,
        expect![
            "invalid: `event_time` at byte 28 is `2013-02-30T00:00:00Z`: write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds since 1970"
        ],
    );
    check(
        r#"{"feature":"a","event_time":1.5}"#,
        expect![
            "invalid: `event_time` at byte 28 is `1.5`: write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds since 1970"
        ],
    );
    check(
        r#"{"feature":"a","event_time":9223372036854775807}"#,
        expect![
            "invalid: `event_time` at byte 28 is outside of the years 1 to 9999: write RFC 3339, or whole microseconds since 1970"
        ],
    );
    check(
        r#"{"feature":"a","event_time":"0001-01-01T00:00:00+10:00"}"#,
        expect![
            "invalid: `event_time` at byte 28 is outside of the years 1 to 9999: write RFC 3339, or whole microseconds since 1970"
        ],
    );
    check(
        r#"{"feature":"","event_time":0}"#,
        expect!["invalid: `feature` is empty: name the subject"],
    );
    check(
        r#"{"feature":"feature:","event_time":0}"#,
        expect!["invalid: `feature` is empty: name the subject"],
    );
    check(
        r#"{"feature":"a\u0007","event_time":0}"#,
        expect![[r#"invalid: `feature` is `a\u{7}`: a name has no control characters"#]],
    );
    check(
        format!(r#"{{"feature":"{}","event_time":0}}"#, "a".repeat(513)),
        expect!["invalid: `feature` has 513 bytes: a name has at most 512"],
    );
}

#[test]
fn size_and_depth() {
    check(
        with(&format!(r#""event_id":"{}""#, "x".repeat(10 << 20))),
        expect![
            "too_large: the record has 10485804 bytes: at most 1048576 are read; write several smaller records"
        ],
    );
    check(
        with(&format!(r#""value":{}"#, "[".repeat(RECORD_BYTES_MAX / 2))),
        expect![
            "invalid: `value` at byte 38 is an array: a value is null, a number, a boolean or a string"
        ],
    );
    let many: Vec<String> = (0..10_001).map(|i| format!(r#""f{i}":1"#)).collect();
    check(
        format!(r#"{{"features":{{{}}},"event_time":0}}"#, many.join(",")),
        expect!["invalid: `features` has more than 10000 subjects: write several records"],
    );
}

#[test]
fn framing() {
    check(
        [0, 0, 0, 0, 9, 1, 2],
        expect![
            "unknown_schema: schema id 9 is not known: add `9.avsc` to the folder of writers' schemas"
        ],
    );
    check(
        [0, 0, 0],
        expect![
            "malformed: broken Avro: the record ends at byte 3, before the id of its schema does"
        ],
    );
    check(
        [0xC3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        expect![
            "unknown_schema: schema fingerprint 0807060504030201 is not known: add the schema to the folder of writers' schemas"
        ],
    );
    check(
        [0xC3, 0x01, 1, 2],
        expect![
            "malformed: broken Avro: the record ends at byte 4, before the id of its schema does"
        ],
    );
    check(
        [0xC3],
        expect![
            "malformed: broken Avro: the record ends at byte 1, before the id of its schema does"
        ],
    );
    check([0xC3, 0x02, 1], expect!["malformed: not UTF-8 at byte 0: write JSON as UTF-8"]);
}

#[test]
fn content_types() {
    let told = |bytes: &[u8], content_type: &str| -> Result<(), Malformed> {
        Decoder::new(SchemaSet::new()).decode(bytes, Some(content_type), &mut Vec::new())
    };
    let json = with(r#""value":1"#);
    told(json.as_bytes(), "application/json; charset=utf-8").unwrap();
    told(json.as_bytes(), "text/plain").unwrap();
    let refused =
        |bytes: &[u8], content_type: &str| told(bytes, content_type).unwrap_err().to_string();
    expect!["malformed: Avro without its schema: use Confluent framing (00 and the id) or single object encoding (C3 01 and the fingerprint)"].assert_eq(&refused(json.as_bytes(), "avro/binary"));
    expect![[r#"malformed: not JSON at byte 0: a value expected, found `\0`"#]]
        .assert_eq(&refused(b"\0\0\0\0\x01", "application/json"));
    expect!["malformed: content type `application/cloudevents+json` is not supported yet: send the event itself, with CloudEvents attributes as headers"].assert_eq(&refused(json.as_bytes(), "application/cloudevents+json"));
}

#[test]
fn nothing_is_appended_on_an_error() {
    let mut out = Vec::new();
    let mut decoder = Decoder::new(SchemaSet::new());
    decoder.decode(br#"{"features":{"a":1,"":2},"event_time":0}"#, None, &mut out).unwrap_err();
    decoder
        .decode(br#"{"features":{"a":1,"b":1,"feature:a":2},"event_time":0}"#, None, &mut out)
        .unwrap_err();
    assert!(out.is_empty());
}
