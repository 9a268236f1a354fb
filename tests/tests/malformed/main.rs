//! Malformed telemetry of every kind, by file and through real Kafka: each
//! record becomes a reject with its place, its bytes and what to write
//! instead, and the windows are those of the good records alone.

mod avro;
mod by_file;
mod by_kafka;
mod lines;
mod records;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// 2013-05-06T00:00:00Z in microseconds, a Monday.
const START: i64 = 1_367_798_400_000_000;
const SECOND: i64 = 1_000_000;

/// A record that cannot be used and what its producer must be told.
pub(crate) struct Case {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) reason: &'static str,
    /// What is wrong: where there is one, the field.
    pub(crate) what: &'static str,
    /// What to write instead.
    pub(crate) remedy: &'static str,
}

pub(crate) fn case(
    kind: &'static str,
    bytes: impl Into<Vec<u8>>,
    reason: &'static str,
    what: &'static str,
    remedy: &'static str,
) -> Case {
    Case { kind, bytes: bytes.into(), reason, what, remedy }
}

impl Case {
    pub(crate) fn check(&self, reject: &Value) {
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
pub(crate) fn with(fields: &str) -> String {
    format!(r#"{{"feature":"shop.price","event_time":"2013-05-06T01:00:00Z",{fields}}}"#)
}
