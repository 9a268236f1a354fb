//! Records of a log that cannot be used.

use crate::avro::{Avro, TIMELESS_ID, fingerprint};
use crate::lines::lines;
use crate::{Case, START, case, with};

/// Malformed records, each with the content type that it says it has.
pub(crate) fn records() -> Vec<(Case, Option<&'static str>)> {
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
