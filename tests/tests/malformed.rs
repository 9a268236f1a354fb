//! Malformed telemetry of every kind, by file and through real Kafka: each
//! record becomes a reject with its place, its bytes and what to write
//! instead, and the windows are those of the good records alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_runtime::log::{CONTENT_TYPE, Outgoing};
use watchkeep_tests::service::Service;
use watchkeep_tests::{binary, kafka};

/// 2013-05-06T00:00:00Z in microseconds, a Monday.
const START: i64 = 1_367_798_400_000_000;
const SECOND: i64 = 1_000_000;
/// Bytes of a rejected record that are kept in a log.
const KEPT_BYTES: usize = 512 << 10;

/// A record that cannot be used and what its producer must be told.
struct Case {
    kind: &'static str,
    bytes: Vec<u8>,
    reason: &'static str,
    /// What is wrong: where there is one, the field.
    what: &'static str,
    /// What to write instead.
    remedy: &'static str,
}

fn case(
    kind: &'static str,
    bytes: impl Into<Vec<u8>>,
    reason: &'static str,
    what: &'static str,
    remedy: &'static str,
) -> Case {
    Case { kind, bytes: bytes.into(), reason, what, remedy }
}

impl Case {
    fn check(&self, reject: &Value) {
        let kind = self.kind;
        assert_eq!(reject["reason"], self.reason, "{kind}: {reject}");
        let detail = reject["detail"].as_str().unwrap_or_else(|| panic!("{kind}: {reject}"));
        assert!(detail.contains(self.what), "{kind}: `{}` is not in: {detail}", self.what);
        assert!(detail.contains(self.remedy), "{kind}: `{}` is not in: {detail}", self.remedy);
        if detail.starts_with("broken Avro: `") {
            assert!(detail.contains("by the schema that its first bytes name"), "{kind}: {detail}");
        }
        assert!(detail.len() < 500, "{kind}: nobody reads {detail}");
        let kept = STANDARD.decode(reject["bytes"].as_str().expect("base64")).expect("base64");
        assert!(kept == self.bytes, "{kind}: other bytes were kept");
    }
}

/// An event that nothing is wrong with but for `fields`.
fn with(fields: &str) -> String {
    format!(r#"{{"feature":"shop.price","event_time":"2013-05-06T01:00:00Z",{fields}}}"#)
}

const INSTANT: &str = "write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds";
const VALUE: &str = "a value is null, a number, a boolean or a string";
const TEXT: &str = "write a string";
const TAGS: &str = "write an object of strings";
const LATENCY: &str = "write whole microseconds, 0 or more";
const OBJECT: &str = "write one object, with the fields of one event";

/// Malformed lines, each of another kind. None holds a line break.
fn lines() -> Vec<Case> {
    let mut cases = not_an_object();
    cases.extend(wrong_types());
    cases.extend(wrong_fields());
    cases.extend(out_of_bounds());
    cases
}

fn not_an_object() -> Vec<Case> {
    const BAD: &str = "malformed";
    let deep = with(&format!(r#""value":{}"#, "[".repeat(100_000)));
    let two = with(r#""value":1"#).repeat(2);
    vec![
        case("not JSON", "hello, world", BAD, "not JSON at byte 0", "a value expected"),
        case(
            "cut JSON",
            r#"{"feature":"shop.price","event_time":"2013-05-06T0"#,
            BAD,
            "not JSON at byte 50",
            "the record ends in the middle of a string",
        ),
        case("only {", "{", BAD, "not JSON at byte 1", "a string expected, the record ends here"),
        case("an array", "[1,2]", BAD, "the record is an array", OBJECT),
        case("a bare string", r#""shop.price""#, BAD, "the record is a string", OBJECT),
        case("a bare number", "12", BAD, "the record is a number", OBJECT),
        case("null", "null", BAD, "the record is null", OBJECT),
        case("two objects", two, BAD, "not JSON at byte 70", "a record holds one object"),
        case("apostrophes", "{'feature':'a'}", BAD, "not JSON at byte 1", "a string expected"),
        case("a comma too many", with(""), BAD, "not JSON at byte 60", "a string expected"),
        case("a byte order mark", "\u{feff}{}", BAD, "byte order mark", "write UTF-8 without one"),
        case(
            "invalid UTF-8",
            b"{\"feature\":\"shop.\xff\"}",
            BAD,
            "not UTF-8 at byte 17",
            "write JSON as UTF-8",
        ),
        case("Avro in a file of lines", b"\xC3\x01\x08\x07\x06", BAD, "byte 0", "JSON as UTF-8"),
        case("bytes of zero", [0; 64], BAD, "not JSON at byte 0", "a value expected"),
        case(
            "control bytes",
            with("\"entity\":\"a\u{1}\u{1b}[2J\""),
            BAD,
            "a string holds the control character 0x01",
            "escape it",
        ),
        case("an unknown escape", with(r#""entity":"\x41""#), BAD, "byte 70", "unknown escape"),
        case(
            "half a surrogate pair",
            with(r#""entity":"\ud800""#),
            BAD,
            "byte 70",
            "half of a surrogate pair",
        ),
        case("NaN", with(r#""value":NaN"#), BAD, "JSON has no NaN", "write null, or send Avro"),
        case(
            "Infinity",
            with(r#""value":Infinity"#),
            BAD,
            "JSON has no Infinity",
            "write null, or send Avro",
        ),
        case(
            "-Infinity",
            with(r#""value":-Infinity"#),
            BAD,
            "JSON has no -Infinity",
            "write null, or send Avro",
        ),
        case("a leading zero", with(r#""value":01"#), BAD, "byte 69", "no leading zero"),
        case("deep nesting", deep, "invalid", "`value` at byte 68 is an array", VALUE),
    ]
}

fn wrong_types() -> Vec<Case> {
    const BAD: &str = "invalid";
    vec![
        case("feature: a number", r#"{"feature":7,"event_time":0}"#, BAD, "`feature`", TEXT),
        case(
            "event_time: a boolean",
            r#"{"feature":"a","event_time":true}"#,
            BAD,
            "`event_time` at byte 28 is a boolean",
            INSTANT,
        ),
        case("event_id: a number", with(r#""event_id":7"#), BAD, "`event_id` at byte", TEXT),
        case("version: a number", with(r#""feature_version":2"#), BAD, "`feature_version`", TEXT),
        case("value: an object", with(r#""value":{"a":1}"#), BAD, "`value` at byte 68", VALUE),
        case(
            "materialised_at: an object",
            with(r#""materialised_at":{}"#),
            BAD,
            "`materialised_at` at byte 78 is an object",
            INSTANT,
        ),
        case("latency_us: text", with(r#""latency_us":"5ms""#), BAD, "`latency_us`", LATENCY),
        case("status: a number", with(r#""status":1"#), BAD, "`status` at byte 69", TEXT),
        case("entity: a number", with(r#""entity":1"#), BAD, "`entity` at byte 69", TEXT),
        case("producer: a list", with(r#""producer":["a"]"#), BAD, "`producer` at byte", TEXT),
        case("consumer: a boolean", with(r#""consumer":true"#), BAD, "`consumer` at byte", TEXT),
        case("dataset: an object", with(r#""dataset":{}"#), BAD, "`dataset` at byte", TEXT),
        case("tags: a list", with(r#""tags":["a"]"#), BAD, "`tags` at byte 67", TAGS),
        case("a tag: a number", with(r#""tags":{"a":1}"#), BAD, "has `a` as a number", TAGS),
        case(
            "features: a list",
            r#"{"features":["a"],"event_time":0}"#,
            BAD,
            "`features` at byte 12 is an array",
            "write an object with the value of each subject",
        ),
        case(
            "received_at: a boolean",
            with(r#""received_at":false"#),
            BAD,
            "`received_at` at byte",
            INSTANT,
        ),
    ]
}

fn wrong_fields() -> Vec<Case> {
    const BAD: &str = "invalid";
    vec![
        case(
            "no feature",
            r#"{"event_time":"2013-05-06T01:00:00Z","value":1}"#,
            BAD,
            "`feature` is missing",
            "name the subject",
        ),
        case(
            "no event_time",
            r#"{"feature":"shop.price","value":1}"#,
            BAD,
            "`event_time` is missing",
            "write when the value was served, for example 2013-05-06T14:00:00Z",
        ),
        case(
            "event_time: null",
            r#"{"feature":"shop.price","event_time":null}"#,
            BAD,
            "`event_time` is missing",
            "write when the value was served",
        ),
        case(
            "a field twice",
            with(r#""value":1,"value":2"#),
            BAD,
            "`value` at byte 70 is there twice",
            "write it once",
        ),
        case(
            "a misspelt field",
            with(r#""materialized_at":0"#),
            BAD,
            "unknown field `materialized_at` at byte 60",
            "did you mean `materialised_at`?",
        ),
        case(
            "an unknown field",
            with(r#""zzz":0"#),
            BAD,
            "unknown field `zzz` at byte 60",
            "anything else goes into `tags`",
        ),
        case(
            "feature and features",
            with(r#""features":{"shop.basket":1}"#),
            BAD,
            "`feature` and `features` exclude each other",
            "write one subject or a batch",
        ),
        case(
            "no features",
            r#"{"features":{},"event_time":0}"#,
            BAD,
            "`features` is empty",
            "name at least one subject",
        ),
        case(
            "a batch with a value",
            r#"{"features":{"shop.price":1},"value":1,"event_time":0}"#,
            BAD,
            "`value` belongs to `feature`",
            "a batch has its values in `features`",
        ),
        case(
            "a feature twice in a batch",
            r#"{"features":{"shop.price":1,"feature:shop.price":2},"event_time":0}"#,
            BAD,
            "`features` has `shop.price` twice",
            "one value for each subject",
        ),
    ]
}

fn out_of_bounds() -> Vec<Case> {
    const BAD: &str = "invalid";
    let at = |instant: &str| format!(r#"{{"feature":"shop.price","event_time":{instant}}}"#);
    let many = (0..10_001).fold(String::new(), |mut all, n| {
        let _ = write!(all, r#","f{n}":1"#);
        all
    });
    let many = format!(r#"{{"event_time":0,"features":{{{}}}}}"#, &many[1..]);
    let named = |name: &str| format!(r#"{{"feature":"{name}","event_time":0}}"#);
    vec![
        case(
            "an unknown status",
            with(r#""status":"notfound""#),
            BAD,
            "`status` at byte 69 is `notfound`: use ok, null, not_found",
            "did you mean `not_found`?",
        ),
        case("no time", at(r#""yesterday""#), BAD, "`event_time` at byte 37", INSTANT),
        case("no zone", at(r#""2013-05-06T14:00:00""#), BAD, "`event_time` at byte 37", INSTANT),
        case("30 February", at(r#""2013-02-30T00:00:00Z""#), BAD, "`2013-02-30", INSTANT),
        case("the year 10000", at(r#""10000-01-01T00:00:00Z""#), BAD, "`10000-01", INSTANT),
        case(
            "a time out of all years",
            at("9223372036854775807"),
            BAD,
            "`event_time` at byte 37 is outside of the years 1 to 9999",
            "write RFC 3339",
        ),
        case("a time with a fraction", at("1.5"), BAD, "`event_time` at byte 37", INSTANT),
        case(
            "1e400",
            with(r#""value":1e400"#),
            BAD,
            "`value` at byte 68 is `1e400`, more than a double holds",
            "write null, or send Avro",
        ),
        case("a negative latency", with(r#""latency_us":-3"#), BAD, "is `-3`", LATENCY),
        case("half a microsecond", with(r#""latency_us":1.5"#), BAD, "is `1.5`", LATENCY),
        case("an endless latency", with(r#""latency_us":1e3"#), BAD, "is `1e3`", LATENCY),
        case("an empty name", named(""), BAD, "`feature` is empty", "name the subject"),
        case("only a type", named("feature:"), BAD, "`feature` is empty", "name the subject"),
        case(
            "a bell in a name",
            named("\\u0007"),
            BAD,
            "`feature` is `\\u{7}`",
            "a name has no control characters",
        ),
        case("a long name", named(&"a".repeat(513)), BAD, "513 bytes", "at most 512"),
        case("a batch of 10001", many, BAD, "more than 10000 subjects", "write several records"),
        case(
            "10 MB",
            with(&format!(r#""entity":"{}""#, "x".repeat(10 << 20))),
            "too_large",
            "bytes: at most 1048576 are read",
            "write several smaller records",
        ),
        case(
            "the future",
            with(r#""received_at":"2013-05-06T00:54:59Z""#),
            "future",
            "event_time 2013-05-06T01:00:00Z is 301",
            "correct the producer's clock",
        ),
    ]
}

/// Good telemetry of two features over five hours, the last two of which are
/// slow and lose values.
fn telemetry() -> Vec<String> {
    (0..1_200)
        .map(|n: i64| {
            let at = START + n * 15 * SECOND;
            let late = n >= 720;
            let latency_us = if late { 90_000 + n } else { 4_000 + n % 97 };
            match n % 2 {
                0 if late && n % 3 == 0 => {
                    format!(r#"{{"feature":"shop.price","event_time":{at},"value":null}}"#)
                }
                0 => format!(
                    r#"{{"feature":"shop.price","event_time":{at},"value":{},"latency_us":{latency_us}}}"#,
                    10.0 + (n % 41) as f64 / 4.0
                ),
                _ => format!(
                    r#"{{"features":{{"shop.basket":"{}"}},"event_time":{at},"latency_us":{latency_us}}}"#,
                    ["small", "large", "empty"][n as usize % 3]
                ),
            }
        })
        .collect()
}

const CHARTERS: &str = r"
kind: charter
subject: feature:shop.*
tier: 3
owners: {primary: user:ada}
policy: shop
expectations:
  - {name: missing, kind: null_rate, window: 1h, above: 0.05, severity: error}
  - {name: slow, kind: latency, window: 1h, quantile: p90, above: 50ms, severity: warning}
---
kind: directory
users: {ada: {name: Ada Byron, contacts: [{tool: email, to: ada@example.com}]}}
---
kind: policy
name: shop
version: 1
steps: [{name: owner, notify: [{role: primary}], channels: [{tool: email, to: shop@example.com}]}]
";

fn replay(folder: &Path, lines: &[u8]) -> Value {
    let charters = folder.join("charters");
    std::fs::create_dir_all(&charters).expect("disk");
    std::fs::write(charters.join("shop.yaml"), CHARTERS).expect("disk");
    let events = folder.join("events.ndjson");
    std::fs::write(&events, lines).expect("disk");
    let out = folder.join("out");
    binary::run([
        "replay".as_ref(),
        "--input".as_ref(),
        events.as_os_str(),
        "--charters".as_ref(),
        charters.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ]);
    let report = std::fs::read(out.join("replay.json")).expect("replay.json");
    serde_json::from_slice(&report).expect("JSON")
}

fn kinds(cases: &[Case]) -> usize {
    cases.iter().map(|case| case.kind).collect::<BTreeSet<_>>().len()
}

#[test]
fn every_malformed_line_is_a_reject_and_no_window_notices() {
    let good = telemetry();
    let bad = lines();
    assert!(bad.len() >= 25 && kinds(&bad) == bad.len(), "{} kinds", kinds(&bad));
    // Between the good lines, first and last included; some lines are empty.
    let (mut text, mut line, mut offsets) = (Vec::new(), 0, Vec::new());
    let mut push = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        text.push(b'\n');
        line += 1;
        line - 1
    };
    let every = good.len() / (bad.len() - 1);
    let mut cases = bad.iter();
    for (n, event) in good.iter().enumerate() {
        if n % every == 0
            && let Some(case) = cases.next()
        {
            offsets.push(push(&case.bytes));
        }
        if n % 100 == 0 {
            push(b"  ");
        }
        push(event.as_bytes());
    }
    offsets.extend(cases.map(|case| push(&case.bytes)));
    assert_eq!(offsets.len(), bad.len());

    let folder = tempfile::tempdir().expect("a folder");
    let [mixed, clean] = ["mixed", "clean"].map(|name| folder.path().join(name));
    let report = replay(&mixed, &text);
    let clean_report = replay(&clean, (good.join("\n") + "\n").as_bytes());
    assert_eq!(report["events"], good.len());
    assert_eq!(report["rejected"], bad.len());
    assert_eq!(report["late"], 0);
    assert_eq!(report["event_time"], clean_report["event_time"]);
    assert_eq!(clean_report["rejected"], 0);

    let rejects = binary::lines(&mixed.join("out/rejects.ndjson"));
    assert_eq!(rejects.len(), bad.len());
    for ((case, offset), reject) in bad.iter().zip(&offsets).zip(&rejects) {
        case.check(reject);
        assert_eq!(reject["topic"], "events.ndjson", "{}", case.kind);
        assert_eq!(reject["partition"], 0, "{}", case.kind);
        assert_eq!(reject["offset"], *offset, "{}", case.kind);
    }
    let future = rejects.iter().find(|reject| reject["reason"] == "future").expect("one");
    assert_eq!(future["received_at"], "2013-05-06T00:54:59.000000Z");

    let read =
        |folder: &Path, name: &str| std::fs::read(folder.join("out").join(name)).expect(name);
    let windows = read(&mixed, "windows.ndjson");
    assert_eq!(windows, read(&clean, "windows.ndjson"));
    assert!(binary::lines(&mixed.join("out/windows.ndjson")).len() >= 10);
    // Breaches name records by their offsets, which are others; all else is the same.
    let breaches = |folder: &Path| {
        let mut breaches = binary::lines(&folder.join("out/breaches.ndjson"));
        for breach in &mut breaches {
            breach["exemplars"].take();
        }
        breaches
    };
    assert_eq!(breaches(&mixed), breaches(&clean));
    let kinds: BTreeSet<String> =
        breaches(&mixed).iter().map(|breach| breach["kind"].to_string()).collect();
    assert_eq!(kinds, BTreeSet::from(["\"latency\"".to_owned(), "\"null_rate\"".to_owned()]));
    assert_eq!(read(&mixed, "incidents.ndjson"), read(&clean, "incidents.ndjson"));
    assert_eq!(read(&mixed, "escalations.ndjson"), read(&clean, "escalations.ndjson"));
}

/// Avro as a producer without a library would write it.
#[derive(Clone, Default)]
struct Avro(Vec<u8>);

impl Avro {
    /// Single object encoding of the schema with this fingerprint.
    fn single(fingerprint: u64) -> Self {
        Self([&[0xC3, 0x01][..], &fingerprint.to_le_bytes()].concat())
    }

    /// Confluent framing with the schema of this id.
    fn confluent(id: u32) -> Self {
        Self([&[0][..], &id.to_be_bytes()].concat())
    }

    /// A zig-zag number of variable length.
    fn long(mut self, number: i64) -> Self {
        let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while left >= 0x80 {
            self.0.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        self.0.push(left as u8);
        self
    }

    fn text(self, text: &str) -> Self {
        self.long(i64::try_from(text.len()).expect("short")).raw(text.as_bytes())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The fields of `schemas/telemetry.avsc` up to the value: feature,
    /// event_time, no event_id, no version.
    fn begin(self, feature: &str, at: i64) -> Self {
        self.text(feature).long(at).long(0).text("")
    }

    /// A double as the value, and every field after it absent or at its default.
    fn finish(self, value: f64) -> Self {
        self.long(1).raw(&value.to_le_bytes()).raw(&[0; 8])
    }
}

/// The fingerprint of the embedded telemetry schema.
fn fingerprint() -> u64 {
    let listed = binary::run(["schemas", "list", "--format", "json"]).stdout;
    let listed: Value = serde_json::from_slice(&listed).expect("JSON");
    let schemas = listed.as_array().expect("a list");
    let telemetry = schemas.iter().find(|schema| schema["name"] == "telemetry").expect("there");
    u64::from_str_radix(telemetry["fingerprint"].as_str().expect("text"), 16).expect("hexadecimal")
}

/// Id under which the writers' folder has the telemetry schema.
const KNOWN_ID: u32 = 7;
/// Id of a schema that has no time.
const TIMELESS_ID: u32 = 8;

/// Malformed records, each with the content type that it says it has.
fn records() -> Vec<(Case, Option<&'static str>)> {
    const BAD: &str = "malformed";
    const AVRO: Option<&str> = Some("avro/binary");
    const UNREADABLE: &str = "broken Avro";
    const TAGS: &str = "broken Avro: `tags` at byte";
    let single = || Avro::single(fingerprint());
    let whole = single().begin("shop.price", START).finish(1.0);
    let cut = whole.0[..35].to_vec();
    // Eight fields of one byte follow the value: the third is the status, the
    // last the tags.
    let before_tags = whole.0[..whole.0.len() - 1].to_vec();
    let status_at = whole.0.len() - 6;
    let mut unknown_status = whole.0.clone();
    unknown_status[status_at] = 60 << 1;
    let until_value = || single().begin("shop.price", START);
    let json = with(r#""value":1"#);
    let mut cases = vec![
        (
            case(
                "Avro that ends early",
                cut,
                BAD,
                "broken Avro: `value` at byte",
                "the record ends",
            ),
            AVRO,
        ),
        (
            case(
                "a framing that ends early",
                [0, 0, 0],
                BAD,
                UNREADABLE,
                "before the id of its schema",
            ),
            None,
        ),
        (
            case(
                "a fingerprint that ends early",
                b"\xC3\x01\x02",
                BAD,
                UNREADABLE,
                "before the id of its schema",
            ),
            None,
        ),
        (
            case(
                "an unknown schema id",
                Avro::confluent(9_999).begin("shop.price", START).finish(1.0).0,
                "unknown_schema",
                "schema id 9999 is not known",
                "add `9999.avsc` to the folder of writers' schemas",
            ),
            None,
        ),
        (
            case(
                "an unknown fingerprint",
                Avro::single(0x0123_4567_89ab_cdef).begin("shop.price", START).finish(1.0).0,
                "unknown_schema",
                "schema fingerprint 0123456789abcdef is not known",
                "add the schema to the folder of writers' schemas",
            ),
            AVRO,
        ),
        (
            case(
                "a schema without a time",
                Avro::confluent(TIMELESS_ID).text("shop.price").0,
                "invalid",
                "the writer's schema carries no telemetry",
                "it has no field `event_time`",
            ),
            None,
        ),
        (
            case(
                "a block of 2^60 items",
                Avro(before_tags.clone()).long(1).long(1 << 60).0,
                BAD,
                TAGS,
                "a block of 1152921504606846976 items cannot fit",
            ),
            AVRO,
        ),
        (
            case(
                "a block of -2^63 items",
                Avro(before_tags).long(1).long(i64::MIN).long(4).0,
                BAD,
                TAGS,
                "a length of 4 reaches beyond the record's end",
            ),
            AVRO,
        ),
        (
            case(
                "a negative length",
                single().long(-1).0,
                BAD,
                "`feature` at byte 10",
                "a length is -1",
            ),
            AVRO,
        ),
        (
            case(
                "a length of 2^40",
                single().long(1 << 40).raw(b"shop").0,
                BAD,
                "`feature` at byte 10",
                "reaches beyond the record's end",
            ),
            None,
        ),
        (
            case(
                "a branch that is not there",
                until_value().long(9).0,
                BAD,
                "`value` at byte",
                "the union has no branch 9",
            ),
            AVRO,
        ),
        (
            case(
                "a symbol that is not there",
                unknown_status,
                BAD,
                "`status` at byte",
                "the enum has no symbol",
            ),
            AVRO,
        ),
        (
            case(
                "a number without an end",
                single().raw(&[0xff; 11]).0,
                BAD,
                "`feature` at byte 10",
                "longer than its type allows",
            ),
            AVRO,
        ),
        (
            case(
                "text that is not UTF-8",
                single().long(2).raw(b"\xff\xfe").0,
                BAD,
                "`feature` at byte",
                "a string is not UTF-8",
            ),
            AVRO,
        ),
        (
            case(
                "bytes after the record",
                whole.clone().raw(b"xyz").0,
                BAD,
                UNREADABLE,
                "3 bytes follow the record",
            ),
            AVRO,
        ),
        (
            case(
                "a time out of all years",
                single().begin("a", i64::MAX).finish(1.0).0,
                "invalid",
                "`event_time`",
                "write RFC 3339",
            ),
            None,
        ),
        (
            case(
                "an empty record",
                "",
                BAD,
                "the record is empty",
                "write one JSON object, or Avro",
            ),
            None,
        ),
        (
            case(
                "JSON that says it is Avro",
                json.as_str(),
                BAD,
                "Avro without its schema",
                "use Confluent framing",
            ),
            AVRO,
        ),
        (
            case(
                "Avro that says it is JSON",
                whole.0,
                BAD,
                "not UTF-8 at byte 0",
                "write JSON as UTF-8",
            ),
            Some("application/json"),
        ),
        (
            case(
                "a CloudEvent in one piece",
                json.as_str(),
                BAD,
                "content type `application/cloudevents+json` is not supported yet",
                "send the event itself",
            ),
            Some("application/cloudevents+json"),
        ),
        (
            case(
                "the far future",
                r#"{"feature":"shop.price","event_time":"2199-01-01T00:00:00Z"}"#,
                "future",
                "event_time 2199-01-01T00:00:00Z is",
                "correct the producer's clock",
            ),
            None,
        ),
    ];
    let from_file = [
        "cut JSON",
        "no feature",
        "NaN",
        "a misspelt field",
        "an unknown status",
        "1e400",
        "invalid UTF-8",
    ];
    let lines = lines().into_iter().filter(|case| from_file.contains(&case.kind));
    cases.extend(lines.map(|case| (case, None)));
    assert!(cases.len() >= 25, "{}", cases.len());
    cases
}

/// A good event of `shop.price` in the encoding whose turn it is.
fn good(n: i64) -> (Vec<u8>, Option<&'static str>) {
    let (at, value) = (START + n * 30 * SECOND, (n % 50) as f64);
    let json = format!(r#"{{"feature":"shop.price","event_time":{at},"value":{value}}}"#);
    match n % 4 {
        0 => (json.into_bytes(), None),
        1 => (json.into_bytes(), Some("application/json; charset=utf-8")),
        2 => (
            Avro::single(fingerprint()).begin("shop.price", at).finish(value).0,
            Some("avro/binary"),
        ),
        _ => (Avro::confluent(KNOWN_ID).begin("shop.price", at).finish(value).0, None),
    }
}

/// Appends records to the partitions of a topic and knows where each lies.
struct Producer {
    appender: KafkaAppender,
    topic: String,
    next: BTreeMap<i32, i64>,
}

impl Producer {
    fn send(&mut self, partition: i32, value: &[u8], content_type: Option<&str>) -> i64 {
        let headers = content_type
            .map(|text| (CONTENT_TYPE.to_owned(), text.as_bytes().to_vec()))
            .into_iter()
            .collect();
        let record = Outgoing {
            topic: self.topic.as_str().into(),
            partition: Some(partition),
            key: None,
            value: value.to_vec(),
            headers,
        };
        self.appender.append(&record, None).expect("Kafka takes it");
        let next = self.next.entry(partition).or_default();
        *next += 1;
        *next - 1
    }
}

/// Two partitions: each good record lies between malformed ones.
const PARTITIONS: i32 = 2;

#[test]
fn every_malformed_record_of_kafka_is_a_reject_and_the_service_keeps_running() {
    let cluster = kafka::Cluster::shared();
    let more = "[registry]\nfolder = \"writers\"\n";
    let mut service = Service::kafka(cluster, "malformed", PARTITIONS as u32, "avro", more);
    let writers = service.folder().join("writers");
    std::fs::create_dir(&writers).expect("disk");
    let schema = binary::root().join("schemas/telemetry.avsc");
    std::fs::copy(schema, writers.join(format!("{KNOWN_ID}.avsc"))).expect("disk");
    let timeless = r#"{"type":"record","name":"T","fields":[{"name":"feature","type":"string"}]}"#;
    std::fs::write(writers.join(format!("{TIMELESS_ID}.avsc")), timeless).expect("disk");

    let appender = KafkaAppender::open(&KafkaSettings::new(cluster.bootstrap())).expect("Kafka");
    let topic = "malformed.telemetry".to_owned();
    let mut producer = Producer { appender, topic, next: BTreeMap::new() };
    let mut cases = records();
    // Of a record this long a log keeps the beginning; of which, the detail says.
    let long = case(
        "long and no JSON",
        vec![b'x'; 900_000],
        "malformed",
        "not JSON at byte 0",
        "the first 524288 of 900000 bytes are kept",
    );
    cases.push((long, None));
    let (mut sent, mut count) = (BTreeMap::new(), 0);
    for (n, (case, content_type)) in cases.iter().enumerate() {
        let partition = n as i32 % PARTITIONS;
        let offset = producer.send(partition, &case.bytes, *content_type);
        sent.insert((partition, offset), case);
        for partition in 0..PARTITIONS {
            for _ in 0..3 {
                let (value, content_type) = good(count);
                producer.send(partition, &value, content_type);
                count += 1;
            }
        }
    }
    producer.appender.flush().expect("Kafka takes them");

    service.start();
    let events = |service: &Service| service.metric("watchkeep_events_total") as i64;
    let refused = |service: &Service| service.metric("watchkeep_rejects_total") as i64;
    let records = count + cases.len() as i64;
    service.wait_for("records", |service| events(service) + refused(service) >= records);
    assert_eq!((events(&service), refused(&service)), (count, cases.len() as i64));

    // It keeps running: what comes now is counted too, and an event days
    // later on each partition closes the windows.
    let (value, content_type) = good(count);
    producer.send(0, &value, content_type);
    count += 1;
    for partition in 0..PARTITIONS {
        let later = r#"{"feature":"sentinel","event_time":"2013-05-09T00:00:00Z"}"#;
        producer.send(partition, later.as_bytes(), None);
    }
    producer.appender.flush().expect("Kafka takes them");
    let all = count + i64::from(PARTITIONS);
    service.wait_for("later events", |service| events(service) >= all);
    service.wait_for("windows", |service| counted(service) == count);
    assert_eq!(events(&service), all);
    let by_reason: BTreeMap<&str, usize> =
        cases.iter().fold(BTreeMap::new(), |mut all, (case, _)| {
            *all.entry(case.reason).or_default() += 1;
            all
        });
    for (reason, wanted) in by_reason {
        let name = format!("watchkeep_rejects_total{{reason=\"{reason}\"}}");
        assert_eq!(service.metric(&name), wanted as f64, "{reason}");
    }
    service.stop();

    let rejects = service.export("malformed.rejects");
    assert_eq!(rejects.len(), cases.len());
    for reject in &rejects {
        assert_eq!(reject["topic"], "malformed.telemetry");
        let number = |name: &str| reject[name].as_i64().unwrap_or_else(|| panic!("{reject}"));
        let place = (number("partition") as i32, number("offset"));
        let case = sent.remove(&place).unwrap_or_else(|| panic!("{place:?} is good or told twice"));
        assert!(reject["received_at"].is_string(), "{}", case.kind);
        if case.bytes.len() > KEPT_BYTES {
            let kept = case.bytes[..KEPT_BYTES].to_vec();
            Case { kind: case.kind, bytes: kept, ..*case }.check(reject);
        } else {
            case.check(reject);
        }
    }
    assert!(sent.is_empty());
    assert_eq!(counted(&service), count);
}

/// Events of `shop.price` in the last revisions of its windows.
fn counted(service: &Service) -> i64 {
    let mut last: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for window in service.export("windows") {
        let revision = window["revision"].as_u64().expect("a number");
        let count = window["count"].as_i64().expect("a number");
        let start = window["window_start"].as_str().expect("an instant").to_owned();
        if window["feature"] == "shop.price" {
            let entry = last.entry(start).or_default();
            *entry = (*entry).max((revision, count));
        }
    }
    last.values().map(|(_, count)| count).sum()
}
