//! Avro telemetry, with `apache-avro` as the oracle.

use apache_avro::schema::Schema;
use apache_avro::types::Value as Avro;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use watchkeep_model::telemetry::{Status, Telemetry, Value};
use watchkeep_model::time::Timestamp;

use super::decode;
use crate::Malformed;
use crate::avro::writer;
use crate::framing::{self, AvroFraming};
use crate::oracle;
use crate::schema_set::SchemaSet;
use crate::schemas;
use crate::telemetry::{Decoder, encode};

const REORDERED: &str = r#"{"type":"record","name":"T","namespace":"other","fields":[
  {"name":"extra","type":{"type":"array","items":{"type":"record","name":"Pair","fields":[
     {"name":"k","type":"string"},{"name":"next","type":["null","Pair"]},
     {"name":"f","type":{"type":"fixed","name":"Six","size":6}}]}}},
  {"name":"status","type":["string","null"]},
  {"name":"latency","type":"int","aliases":["latency_us"]},
  {"name":"value","type":["string","int","boolean","float","null","double","long"]},
  {"name":"event_time","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"colour","type":{"type":"enum","name":"C","symbols":["RED","BLUE"]}},
  {"name":"more","type":{"type":"map","values":["null",{"type":"map","values":"bytes"}]}},
  {"name":"feature","type":"string"}]}"#;
const SMALL: &str = r#"{"type":"record","name":"S","fields":[
  {"name":"feature","type":"string"},{"name":"event_time","type":"long"}]}"#;

fn decoder() -> Decoder {
    let mut schemas = SchemaSet::new();
    schemas.insert(1, REORDERED).unwrap();
    schemas.insert(2, SMALL).unwrap();
    schemas.insert(3, r#""string""#).unwrap();
    schemas
        .insert(4, r#"{"type":"record","name":"N","fields":[{"name":"feature","type":"string"}]}"#)
        .unwrap();
    Decoder::new(schemas)
}

/// A record of the schema with this id, written by the oracle.
fn written(id: u32, schema: &str, value: Avro) -> Vec<u8> {
    let mut out = Vec::new();
    framing::write(&mut out, AvroFraming::Confluent(id), 0);
    let schema = Schema::parse_str(schema).unwrap();
    out.extend(oracle::write(&schema, value));
    out
}

fn optional(value: Option<Avro>) -> Avro {
    value.map_or(Avro::Union(0, Box::new(Avro::Null)), |value| Avro::Union(1, Box::new(value)))
}

/// The same event as the oracle's value of the embedded schema.
fn as_avro(event: &Telemetry<'_>) -> Avro {
    let text = |text: &str| Avro::String(text.to_owned());
    let value = match &event.value {
        Value::Null => Avro::Union(0, Box::new(Avro::Null)),
        Value::Number(n) => Avro::Union(1, Box::new(Avro::Double(*n))),
        Value::Boolean(b) => Avro::Union(3, Box::new(Avro::Boolean(*b))),
        Value::Text(t) => Avro::Union(4, Box::new(text(t))),
    };
    let field = |name: &str, value: Avro| (name.to_owned(), value);
    let status = event.status;
    Avro::Record(vec![
        field("feature", text(&event.feature)),
        field("event_time", Avro::TimestampMicros(event.event_time.as_micros())),
        field("event_id", optional(event.event_id.as_deref().map(text))),
        field("feature_version", text(&event.feature_version)),
        field("value", value),
        field(
            "materialised_at",
            optional(event.materialised_at.map(|t| Avro::TimestampMicros(t.as_micros()))),
        ),
        field("latency_us", optional(event.latency_us.map(|us| Avro::Long(us.cast_signed())))),
        field("status", Avro::Enum(status.index() as u32, status.name().to_owned())),
        field("entity", optional(None)),
        field("producer", optional(None)),
        field("consumer", optional(None)),
        field("dataset", optional(None)),
        field("tags", optional(None)),
    ])
}

fn name() -> impl Strategy<Value = String> {
    "[a-zé.]{1,20}".prop_map(|name| name.replace("feature:", ""))
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros()).prop_map(Timestamp::from_micros)
}

pub(super) fn event() -> impl Strategy<Value = Telemetry<'static>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<f64>()
            .prop_filter("NaN is unequal to itself", |n| !n.is_nan())
            .prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,12}".prop_map(|text| Value::Text(text.into())),
    ];
    let ids = (name(), prop::option::of(".{1,9}"), ".{0,3}");
    let rest = (prop::option::of(instant()), prop::option::of(0..=i64::MAX as u64), 0usize..7);
    (ids, instant(), value, rest).prop_map(
        |((feature, id, version), event_time, value, (at, latency_us, status))| Telemetry {
            feature: feature.into(),
            event_time,
            event_id: id.map(Into::into),
            feature_version: version.into(),
            value,
            materialised_at: at,
            latency_us,
            status: Status::ALL[status],
        },
    )
}

proptest! {
    #[test]
    fn what_we_write_the_oracle_reads_and_the_other_way_round(event in event()) {
        let mut ours = Vec::new();
        encode::to_avro(&event, AvroFraming::SingleObject, &mut ours);
        prop_assert_eq!(&decode(&ours).unwrap()[..], std::slice::from_ref(&event));
        let schema = Schema::parse_str(schemas::named("telemetry").text).unwrap();
        let read = oracle::read(&schema, &ours[10..]);
        prop_assert_eq!(&read, &as_avro(&event));
        let theirs = oracle::write(&schema, as_avro(&event));
        prop_assert_eq!(&ours[10..], &theirs[..]);
        for end in 0..ours.len() {
            prop_assert!(decode(&ours[..end]).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn json_keeps_all_but_non_finite_numbers(event in event()) {
        prop_assume!(!matches!(event.value, Value::Number(n) if !n.is_finite() || n == 0.0));
        let line = encode::to_json(&event);
        let read = decode(line.as_bytes()).unwrap();
        let mut avro = Vec::new();
        encode::to_avro(&read[0], AvroFraming::SingleObject, &mut avro);
        prop_assert_eq!(&decode(&avro).unwrap()[..], std::slice::from_ref(&event));
    }

    #[test]
    fn any_writers_schema_is_read_by_name(
        feature in name(), millis in -62_135_596_800_000i64..253_402_300_799_999, latency in 0i32..,
        status in prop::option::of(0usize..7), branch in 0u32..7, number in any::<i32>(), depth in 0usize..9,
    ) {
        let pair = (0..depth).fold(optional(None), |next, i| optional(Some(Avro::Record(vec![
            ("k".into(), Avro::String(format!("k{i}"))), ("next".into(), next), ("f".into(), Avro::Fixed(6, vec![7; 6])),
        ]))));
        let Avro::Union(_, first) = pair else { unreachable!() };
        let extra = if depth == 0 { vec![] } else { vec![*first.clone(), *first] };
        let value = match branch {
            0 => Avro::String(number.to_string()),
            1 => Avro::Int(number),
            2 => Avro::Boolean(number > 0),
            3 => Avro::Float(number as f32),
            4 => Avro::Null,
            5 => Avro::Double(f64::from(number) / 3.0),
            _ => Avro::Long(i64::from(number) * 1000),
        };
        let expected = match &value {
            Avro::String(text) => Value::Text(text.clone().into()),
            Avro::Int(n) => Value::Number(f64::from(*n)),
            Avro::Boolean(b) => Value::Boolean(*b),
            Avro::Float(n) => Value::Number(f64::from(*n)),
            Avro::Double(n) => Value::Number(*n),
            Avro::Long(n) => Value::Number(*n as f64),
            _ => Value::Null,
        };
        let status_value = match status {
            Some(i) => Avro::Union(0, Box::new(Avro::String(Status::ALL[i].name().into()))),
            None => Avro::Union(1, Box::new(Avro::Null)),
        };
        let more = <_>::from([
            ("a".to_owned(), optional(Some(Avro::Map(<_>::from([("b".to_owned(), Avro::Bytes(vec![1, 2]))]))))),
            ("c".to_owned(), optional(None)),
        ]);
        let record = Avro::Record(vec![
            ("extra".into(), Avro::Array(extra)),
            ("status".into(), status_value),
            ("latency".into(), Avro::Int(latency)),
            ("value".into(), Avro::Union(branch, Box::new(value))),
            ("event_time".into(), Avro::TimestampMillis(millis)),
            ("colour".into(), Avro::Enum(1, "BLUE".into())),
            ("more".into(), Avro::Map(more)),
            ("feature".into(), Avro::String(feature.clone())),
        ]);
        let bytes = written(1, REORDERED, record);
        let mut out = Vec::new();
        decoder().decode(&bytes, None, &mut out).unwrap();
        prop_assert_eq!(out, vec![Telemetry {
            feature: feature.into(),
            event_time: Timestamp::from_millis(millis),
            event_id: None,
            feature_version: "".into(),
            value: expected,
            materialised_at: None,
            latency_us: Some(u64::from(latency.unsigned_abs())),
            status: status.map_or(Status::Ok, |i| Status::ALL[i]),
        }]);
    }
}

#[test]
fn fields_that_a_writer_does_not_have_are_absent() {
    let record = Avro::Record(vec![
        ("feature".into(), Avro::String("feature:a".into())),
        ("event_time".into(), Avro::Long(7)),
    ]);
    let bytes = written(2, SMALL, record);
    let mut out = Vec::new();
    decoder().decode(&bytes, Some("application/vnd.confluent.avro"), &mut out).unwrap();
    assert_eq!(
        out,
        [Telemetry {
            feature: "a".into(),
            event_time: Timestamp::from_micros(7),
            event_id: None,
            feature_version: "".into(),
            value: Value::Null,
            materialised_at: None,
            latency_us: None,
            status: Status::Ok,
        }]
    );
    for end in 0..bytes.len() {
        decoder().decode(&bytes[..end], None, &mut Vec::new()).expect_err("cut");
    }
}

#[test]
fn the_batch_schema_carries_many_features() {
    let schema = Schema::parse_str(schemas::named("telemetry-batch").text).unwrap();
    let mut bytes = Vec::new();
    framing::write(
        &mut bytes,
        AvroFraming::SingleObject,
        schemas::named("telemetry-batch").fingerprint,
    );
    // A block that tells its size, one that does not, then the end.
    let mut block = Vec::new();
    writer::string(&mut block, "a");
    writer::long(&mut block, 1);
    writer::double(&mut block, 2.5);
    writer::long(&mut bytes, -1);
    writer::count(&mut bytes, block.len());
    bytes.extend(block);
    writer::long(&mut bytes, 1);
    writer::string(&mut bytes, "b");
    writer::long(&mut bytes, 0);
    bytes.push(0);
    writer::long(&mut bytes, 5); // event_time
    bytes.push(0); // event_id
    bytes.push(0); // feature_version
    bytes.extend([0; 8]); // the rest
    oracle::read(&schema, &bytes[10..]);
    let events = decode(&bytes).unwrap();
    let read: Vec<_> =
        events.iter().map(|e| (&*e.feature, &e.value, e.event_time.as_micros())).collect();
    assert_eq!(read, [("a", &Value::Number(2.5), 5), ("b", &Value::Null, 5)]);
}

#[track_caller]
fn check(id: u32, body: impl FnOnce(&mut Vec<u8>), expected: Expect) {
    let mut bytes = Vec::new();
    framing::write(&mut bytes, AvroFraming::Confluent(id), 0);
    body(&mut bytes);
    let refused: Malformed =
        decoder().decode(&bytes, None, &mut Vec::new()).expect_err("malformed");
    expected.assert_eq(&refused.to_string());
}

#[test]
fn broken_avro_says_where() {
    let small = |out: &mut Vec<u8>| {
        writer::string(out, "a");
        writer::long(out, 0);
    };
    check(
        2,
        |_| {},
        expect![
            "malformed: broken Avro: `feature` at byte 5: the record ends in the middle of an item; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| out.extend([2, b'a', 0x80]),
        expect![
            "malformed: broken Avro: `event_time` at byte 7: the record ends in the middle of an item; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| {
            small(out);
            out.extend([1, 2, 3]);
        },
        expect![
            "malformed: broken Avro: at byte 8: 3 bytes follow the record; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| writer::long(out, -1),
        expect![
            "malformed: broken Avro: `feature` at byte 5: a length is -1; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| writer::long(out, 1 << 60),
        expect![
            "malformed: broken Avro: `feature` at byte 5: a length of 1152921504606846976 reaches beyond the record's end; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| out.extend([0xff; 11]),
        expect![
            "malformed: broken Avro: `feature` at byte 5: a number is longer than its type allows; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| out.extend([4, 0xff, 0xfe, 0]),
        expect![
            "malformed: broken Avro: `feature` at byte 5: a string is not UTF-8; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        2,
        |out| {
            writer::string(out, "a");
            writer::long(out, i64::MAX);
        },
        expect![
            "invalid: `event_time` is outside of the years 1 to 9999: write RFC 3339, or whole microseconds since 1970"
        ],
    );
    check(
        2,
        |out| {
            writer::string(out, "");
            writer::long(out, 0);
        },
        expect!["invalid: `feature` is empty: name the subject"],
    );
    check(
        1,
        |out| writer::long(out, 1 << 60),
        expect![
            "malformed: broken Avro: `extra` at byte 5: a block of 1152921504606846976 items cannot fit into the rest of the record; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| writer::long(out, i64::MIN),
        expect![
            "malformed: broken Avro: `extra` at byte 15: the record ends in the middle of an item; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| {
            writer::long(out, -1);
            writer::long(out, -5);
        },
        expect![
            "malformed: broken Avro: `extra` at byte 6: a length is -5; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| {
            writer::long(out, -1);
            writer::long(out, 1 << 40);
        },
        expect![
            "malformed: broken Avro: `extra` at byte 6: a length of 1099511627776 reaches beyond the record's end; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| out.extend([0, 4]),
        expect![
            "malformed: broken Avro: `status` at byte 6: the union has no branch 2; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| out.extend([0, 1]),
        expect![
            "malformed: broken Avro: `status` at byte 6: the union has no branch -1; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| {
            out.extend([0, 2]);
            writer::long(out, -7);
        },
        expect!["invalid: `latency_us` is -7: write whole microseconds, 0 or more"],
    );
    check(
        1,
        |out| {
            out.extend([0, 2]);
            writer::long(out, 1 << 40);
        },
        expect![
            "malformed: broken Avro: `latency` at byte 7: a number is longer than its type allows; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        1,
        |out| {
            out.extend([0, 0]);
            writer::string(out, "okey");
        },
        expect![
            "invalid: `status` is `okey`: use ok, null, not_found, stale, error, timeout, defaulted; did you mean `ok`?"
        ],
    );
    // Seventy levels of a recursive record.
    check(
        1,
        |out| {
            out.push(2);
            (0..70).for_each(|_| out.extend([0, 2]));
        },
        expect![
            "malformed: broken Avro: `extra` at byte 68: nested deeper than 64 levels; write the whole record by the schema that its first bytes name"
        ],
    );
    check(
        3,
        |out| writer::string(out, "a"),
        expect!["invalid: the writer's schema carries no telemetry: it is a string, not a record"],
    );
    check(
        4,
        |out| writer::string(out, "a"),
        expect!["invalid: the writer's schema carries no telemetry: it has no field `event_time`"],
    );
}

#[test]
fn a_value_of_bytes_is_refused_by_name() {
    let schema = r#"{"type":"record","name":"S","fields":[{"name":"feature","type":"string"},
        {"name":"event_time","type":"long"},{"name":"value","type":["null","bytes"]},{"name":"event_id","type":["null","long"]}]}"#;
    let mut schemas = SchemaSet::new();
    schemas.insert(7, schema).unwrap();
    let mut decoder = Decoder::new(schemas);
    let mut told = |tail: &[u8]| {
        let bytes = [&[0, 0, 0, 0, 7, 2, b'a', 0], tail].concat();
        decoder.decode(&bytes, None, &mut Vec::new()).map_err(|malformed| malformed.to_string())
    };
    assert_eq!(told(&[0, 0]), Ok(()));
    expect!["invalid: `value` is a bytes: a value is null, a double, float, long, int, boolean, string or enum"].assert_eq(&told(&[2, 2, 1, 0]).unwrap_err());
    expect!["invalid: `event_id` is a long in the writer's schema: a string is expected"]
        .assert_eq(&told(&[0, 2, 1]).unwrap_err());
}
