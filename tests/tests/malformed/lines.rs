//! Lines of a file that cannot be used.

use std::fmt::Write as _;

use crate::{Case, case, with};

const INSTANT: &str = "write RFC 3339, for example 2013-05-06T14:00:00Z, or whole microseconds";
const VALUE: &str = "a value is null, a number, a boolean or a string";
const TEXT: &str = "write a string";
const TAGS: &str = "write an object of strings";
const LATENCY: &str = "write whole microseconds, 0 or more";
const OBJECT: &str = "write one object, with the fields of one event";

/// Malformed lines, each of another kind. None holds a line break.
pub(crate) fn lines() -> Vec<Case> {
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
        case("a word", "not json", BAD, "not JSON at byte 1", OBJECT),
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
