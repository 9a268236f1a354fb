//! Summary batches: every bit is kept, the oracle reads them, nothing panics.

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use proptest::prelude::*;
use watchkeep_model::batch::{Delta, SourceProgress, Step, SummaryBatch};
use watchkeep_model::distribution::Numbers;
use watchkeep_model::position::{Partition, Position};
use watchkeep_model::summary::{Categories, Summary};
use watchkeep_model::telemetry::{Status, Telemetry, Value};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::read::{Version, read_categories};
use super::{decode, encode, numbers, to_json_line};
use crate::avro::cursor::Cursor;
use crate::framing::AvroFraming;
use crate::oracle;
use crate::schemas;

const START: i64 = 1_364_774_400_000_000;

fn event(
    value: Value<'static>,
    status: Status,
    after_us: i64,
    latency_us: Option<u64>,
) -> Telemetry<'static> {
    Telemetry {
        feature: "f".into(),
        event_time: Timestamp::from_micros(START + after_us),
        event_id: None,
        feature_version: "".into(),
        value,
        materialised_at: latency_us.map(|us| Timestamp::from_micros(START - us as i64)),
        latency_us,
        status,
    }
}

fn batch(summaries: Vec<Summary>) -> SummaryBatch {
    let topic: Arc<str> = "feature.telemetry".into();
    let delta = |(number, summary): (usize, Summary)| Delta {
        feature: format!("flight.f{number}").into(),
        feature_version: "".into(),
        pane_start: Timestamp::from_micros(START),
        event_id: (summary.count == 1).then(|| "e-1".into()),
        summary,
    };
    let source = |partition, watermark, idle| SourceProgress {
        source: Partition::new(Arc::clone(&topic), partition),
        from: 5,
        to: 1 << 40,
        watermark,
        idle,
        silent_since: watermark,
    };
    SummaryBatch {
        pane: TimeSpan::MINUTE,
        instance: "watchkeep-summarise-0".into(),
        session: Timestamp::from_micros(START + 1),
        sequence: 7,
        part: 1,
        parts: 2,
        partitions: 4,
        source_topics: vec![(Arc::clone(&topic), 4), ("a".into(), 1)],
        charters: Some(3),
        steps: vec![
            Step {
                deltas: summaries.into_iter().enumerate().map(delta).collect(),
                sources: vec![],
            },
            Step {
                deltas: vec![],
                sources: vec![
                    source(0, Some(Timestamp::from_micros(START)), false),
                    source(1, None, true),
                ],
            },
        ],
    }
}

fn summary() -> impl Strategy<Value = Summary> {
    let value = prop_oneof![
        Just(Value::Null),
        (-100_000i32..100_000, 0i32..5)
            .prop_map(|(n, scale)| Value::Number(f64::from(n) / 10f64.powi(scale))),
        any::<f64>().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        "[a-zé]{0,3}".prop_map(|text| Value::Text(text.into())),
    ];
    let status = prop_oneof![5 => Just(0usize), 1 => 0usize..7];
    let latency = prop::option::of(prop_oneof![0u64..1000, 0..=i64::MAX as u64 / 4]);
    let events = prop::collection::vec((value, status, 0i64..60_000_000, latency), 0..250);
    (events, prop::collection::vec((0i32..3, 0i64..99), 0..5)).prop_map(|(events, positions)| {
        let mut summary = Summary::default();
        for (value, status, after_us, latency) in events {
            summary.add(&event(value, Status::ALL[status], after_us, latency));
        }
        for (partition, offset) in positions {
            summary.add_exemplar(Position { topic: "feature.telemetry".into(), partition, offset });
        }
        summary
    })
}

fn schema() -> Schema {
    Schema::parse_str(schemas::named("summary-batch").text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_bit_is_kept(summaries in prop::collection::vec(summary(), 0..4)) {
        let batch = batch(summaries);
        for framing in [AvroFraming::SingleObject, AvroFraming::Confluent(3)] {
            prop_assert_eq!(&decode(&encode(&batch, framing)).unwrap(), &batch);
        }
        let bytes = encode(&batch, AvroFraming::SingleObject);
        let read = oracle::read(&schema(), &bytes[10..]);
        prop_assert_eq!(&oracle::write(&schema(), read)[..], &bytes[10..]);
        prop_assert!(to_json_line(&bytes).is_ok());
    }

    #[test]
    fn broken_batches_are_answered(summary in summary(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&batch(vec![summary]), AvroFraming::SingleObject);
        prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode(&bytes) {
            // What is read is whole, so it can be written and merged.
            let mut merged = Summary::default();
            read.steps.iter().flat_map(|step| &step.deltas).for_each(|delta| merged.merge(&delta.summary));
            let _ = encode(&read, AvroFraming::SingleObject);
        }
    }
}

#[test]
fn the_schema_says_what_the_bytes_are() {
    let mut few = Summary::default();
    few.add(&event(Value::Number(1.5), Status::Ok, 7, Some(3)));
    few.add(&event(Value::Number(-0.25), Status::Stale, 9, None));
    let bytes = encode(&batch(vec![few]), AvroFraming::SingleObject);
    let Avro::Record(fields) = oracle::read(&schema(), &bytes[10..]) else { panic!("a record") };
    assert_eq!(
        fields[7].1,
        Avro::Array(vec![Avro::String("a".into()), Avro::String("feature.telemetry".into())])
    );
    expect_test::expect![[r#"{"pane":"1m","instance":"watchkeep-summarise-0","session":"2013-04-01T00:00:00.000001Z","sequence":7,"part":1,"parts":2,"partitions":4,"source_topics":[{"topic":"feature.telemetry","partitions":4},{"topic":"a","partitions":1}],"charters":3,"steps":[{"deltas":[{"feature":"flight.f0","feature_version":"","pane_start":"2013-04-01T00:00:00.000000Z","count":2,"status":{"ok":1,"stale":1},"null_count":0,"non_finite_count":0,"numbers":{"values":[-0.25,1.5]},"latency_us":{"values":[3]},"age_us":{"values":[10]},"negative_age_count":0,"first_event_time":"2013-04-01T00:00:00.000007Z","last_event_time":"2013-04-01T00:00:00.000009Z","last_materialised_at":"2013-03-31T23:59:59.999997Z"}],"sources":[]},{"deltas":[],"sources":[{"topic":"feature.telemetry","partition":0,"from":5,"to":1099511627776,"watermark":"2013-04-01T00:00:00.000000Z","idle":false,"silent_since":"2013-04-01T00:00:00.000000Z"},{"topic":"feature.telemetry","partition":1,"from":5,"to":1099511627776,"idle":true}]}]}"#]].assert_eq(&to_json_line(&bytes).unwrap());
}

#[test]
fn summaries_are_small_against_the_events() {
    // A whole batch of a hundred features against raw events of 127 bytes:
    // values in quarters over a wide range, latencies of a few milliseconds,
    // ages all over the minute.
    const FEATURES: i64 = 100;
    let bytes_at = |events: i64| {
        let summary = |feature: i64| {
            let mut summary = Summary::default();
            for i in 0..events {
                let spread = (i * 7919 + feature * 31) % 1000;
                let value = Value::Number((spread as f64 - 300.0) / 4.0);
                let latency_us = 2000 + spread.unsigned_abs() * 7;
                summary.add(&event(value, Status::Ok, i * 59_000, Some(latency_us)));
            }
            let topic: Arc<str> = "feature.telemetry".into();
            for offset in 0..3 {
                let topic = Arc::clone(&topic);
                summary.add_exemplar(Position { topic, partition: 0, offset: 1_000_000 + offset });
            }
            summary
        };
        encode(&batch((0..FEATURES).map(summary).collect()), AvroFraming::SingleObject).len()
    };
    for (events, part) in [(10, 10), (1000, 100)] {
        let raw = usize::try_from(FEATURES * events).unwrap() * 127;
        let bytes = bytes_at(events);
        assert!(bytes * part <= raw, "{bytes} bytes for {raw} at {events} events a pane");
    }
}

/// What was written before distinct counts were kept is read, and its count stays untold.
#[test]
fn batches_of_the_first_schema_are_read() {
    let mut untold = Summary::default();
    for n in 0..200 {
        untold.numbers.add(f64::from(n));
    }
    if let Numbers::Many(grid) = &mut untold.numbers {
        grid.distinct = None;
    }
    // An optional value that is absent is the last byte.
    let mut bytes = Vec::new();
    numbers::write(&mut bytes, &untold.numbers);
    bytes.pop();
    let read = numbers::read(&mut Cursor::new(&bytes, 0), Version::First);
    assert_eq!(read.ok(), Some(untold.numbers));

    let none = SummaryBatch { charters: None, ..batch(Vec::new()) };
    let mut bytes = encode(&none, AvroFraming::SingleObject);
    bytes.pop();
    let first = schemas::history("summary-batch").next().unwrap().fingerprint;
    bytes[2..10].copy_from_slice(&first.to_le_bytes());
    assert_eq!(decode(&bytes).unwrap(), none);
}

/// What was written while names of features were whole, and categories there also
/// where there were none.
#[test]
fn batches_of_the_fourth_schema_are_read() {
    let fourth = schemas::history("summary-batch").nth(3).unwrap();
    let mut of_categories = Summary::default();
    of_categories.add(&event(Value::Text("é".into()), Status::Ok, 7, Some(3)));
    let mut of_numbers = of_categories.clone();
    of_numbers.categories = Categories::default();
    let whole = batch(vec![of_categories, of_numbers, Summary::default()]);
    let bytes = encode(&whole, AvroFraming::SingleObject);
    // Each record as it was, its fields in their order.
    fn former(value: Avro, feature: &mut String) -> Avro {
        match value {
            Avro::Record(fields) => {
                let mut alike = 0;
                let field = |(name, value): (String, Avro)| match (&*name, value) {
                    ("feature_alike", Avro::Int(bytes)) => {
                        alike = usize::try_from(bytes).unwrap();
                        None
                    }
                    ("feature", Avro::String(rest)) => {
                        feature.truncate(alike);
                        feature.push_str(&rest);
                        Some((name, Avro::String(feature.clone())))
                    }
                    ("categories", Avro::Union(1, categories)) => Some((name, *categories)),
                    ("categories", _) => {
                        let none = vec![
                            ("level".into(), Avro::Int(0)),
                            ("other".into(), Avro::Long(0)),
                            ("counts".into(), Avro::Array(Vec::new())),
                            ("sketch".into(), Avro::Union(0, Box::new(Avro::Null))),
                        ];
                        Some((name, Avro::Record(none)))
                    }
                    (_, value) => Some((name, former(value, feature))),
                };
                Avro::Record(fields.into_iter().filter_map(field).collect())
            }
            Avro::Array(items) => {
                Avro::Array(items.into_iter().map(|item| former(item, feature)).collect())
            }
            value => value,
        }
    }
    let former = former(oracle::read(&schema(), &bytes[10..]), &mut String::new());
    let body = oracle::write(&Schema::parse_str(fourth.text).unwrap(), former);
    let former = [&bytes[..2], &fourth.fingerprint.to_le_bytes(), &body[..]].concat();
    assert_eq!(decode(&former).unwrap(), whole);
    assert!(bytes.len() < former.len(), "{} and {}", bytes.len(), former.len());
}

/// Of a name what the one before has not is written, in whole characters.
#[test]
fn names_of_features_come_back_whole() {
    let mut named = batch(vec![Summary::default(); 6]);
    let names = ["", "flight.é", "flight.è", "flight.è.b", "flight", "é"];
    for (delta, name) in named.steps[0].deltas.iter_mut().zip(names) {
        delta.feature = name.into();
    }
    let bytes = encode(&named, AvroFraming::SingleObject);
    assert_eq!(decode(&bytes).unwrap(), named);
}

/// Very many categories keep their sketch, in any version's JSON what it says;
/// what was written before there were sketches is read and tells none.
#[test]
fn very_many_categories_keep_what_finds_the_frequent_ones() {
    let mut many = Summary { count: 9_500, ..Summary::default() };
    many.statuses[0] = 9_500;
    (0..9_000).for_each(|n| many.categories.add(&format!("c{n}"), 1));
    many.categories.add("frequent", 500);
    let whole = batch(vec![many.clone()]);
    let bytes = encode(&whole, AvroFraming::SingleObject);
    assert_eq!(decode(&bytes).unwrap(), whole);
    let line = to_json_line(&bytes).unwrap();
    assert!(
        line.contains(r#""frequent":{"above":37,"error":10,"counts":[["frequent",50"#),
        "{line}"
    );

    let mut bytes = Vec::new();
    super::write_categories(&mut bytes, &many.categories);
    let read = read_categories(&mut Cursor::new(&bytes, 0), Version::Current).ok();
    assert_eq!(read.as_ref(), Some(&many.categories));
    // In earlier versions no branch came first.
    let read = read_categories(&mut Cursor::new(&bytes[1..], 0), Version::Fourth).ok();
    assert_eq!(read.as_ref(), Some(&many.categories));
    let read = read_categories(&mut Cursor::new(&bytes[1..], 0), Version::Third).ok().unwrap();
    let kept = (read.counts(), read.level(), read.total(), read.frequent());
    assert_eq!(kept, (many.categories.counts(), many.categories.level(), 9_500, None));
    // A sketch of other events.
    *bytes.last_mut().unwrap() ^= 1;
    assert!(read_categories(&mut Cursor::new(&bytes, 0), Version::Current).is_err());
}
