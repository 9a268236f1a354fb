//! Avro as a producer without a library would write it.

use serde_json::Value;
use watchkeep_tests::binary;

/// Avro as a producer without a library would write it.
#[derive(Clone, Default)]
pub(crate) struct Avro(pub(crate) Vec<u8>);

impl Avro {
    /// Single object encoding of the schema with this fingerprint.
    pub(crate) fn single(fingerprint: u64) -> Self {
        Self([&[0xC3, 0x01][..], &fingerprint.to_le_bytes()].concat())
    }

    /// Confluent framing with the schema of this id.
    pub(crate) fn confluent(id: u32) -> Self {
        Self([&[0][..], &id.to_be_bytes()].concat())
    }

    /// A zig-zag number of variable length.
    pub(crate) fn long(mut self, number: i64) -> Self {
        let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while left >= 0x80 {
            self.0.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        self.0.push(left as u8);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.long(i64::try_from(text.len()).expect("short")).raw(text.as_bytes())
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The fields of `schemas/telemetry.avsc` up to the value: feature,
    /// event_time, no event_id, no version.
    pub(crate) fn begin(self, feature: &str, at: i64) -> Self {
        self.text(feature).long(at).long(0).text("")
    }

    /// A double as the value, and every field after it absent or at its default.
    pub(crate) fn finish(self, value: f64) -> Self {
        self.long(1).raw(&value.to_le_bytes()).raw(&[0; 8])
    }
}

/// The fingerprint of the embedded telemetry schema.
pub(crate) fn fingerprint() -> u64 {
    let listed = binary::run(["schemas", "list", "--format", "json"]).stdout;
    let listed: Value = serde_json::from_slice(&listed).expect("JSON");
    let schemas = listed.as_array().expect("a list");
    let telemetry = schemas.iter().find(|schema| schema["name"] == "telemetry").expect("there");
    u64::from_str_radix(telemetry["fingerprint"].as_str().expect("text"), 16).expect("hexadecimal")
}

/// Id under which the writers' folder has the telemetry schema.
pub(crate) const KNOWN_ID: u32 = 7;
/// Id of a schema that has no time.
pub(crate) const TIMELESS_ID: u32 = 8;
