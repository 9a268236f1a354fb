//! Telemetry to bytes: what `produce`, the generator and tests write.

use serde::{Serialize, Serializer};
use watchkeep_model::json;
use watchkeep_model::telemetry::{Status, Telemetry, Value};
use watchkeep_model::time::Timestamp;

use crate::avro::writer;
use crate::framing::{self, AvroFraming};
use crate::schemas;

/// One JSON object, keys in the order of the documentation. Numbers that are
/// NaN or infinite become null, because JSON has none; Avro keeps them.
pub fn to_json(event: &Telemetry<'_>) -> String {
    json::to_line(&Line {
        feature: &event.feature,
        event_time: event.event_time,
        event_id: event.event_id.as_deref(),
        feature_version: &event.feature_version,
        value: JsonValue(&event.value),
        materialised_at: event.materialised_at,
        latency_us: event.latency_us,
        status: event.status,
    })
}

/// Appends one Avro record of the embedded telemetry schema.
pub fn to_avro(event: &Telemetry<'_>, framing: AvroFraming, out: &mut Vec<u8>) {
    framing::write(out, framing, schemas::named("telemetry").fingerprint);
    writer::string(out, &event.feature);
    writer::long(out, event.event_time.as_micros());
    writer::optional_string(out, event.event_id.as_deref());
    writer::string(out, &event.feature_version);
    match &event.value {
        Value::Null => writer::long(out, 0),
        Value::Number(number) => {
            writer::long(out, 1);
            writer::double(out, *number);
        }
        Value::Boolean(value) => {
            writer::long(out, 3);
            out.push(u8::from(*value));
        }
        Value::Text(text) => {
            writer::long(out, 4);
            writer::string(out, text);
        }
    }
    writer::optional_long(out, event.materialised_at.map(Timestamp::as_micros));
    writer::optional_long(out, event.latency_us.map(|us| i64::try_from(us).unwrap_or(i64::MAX)));
    writer::count(out, event.status.index());
    // entity, producer, consumer, dataset, tags: an event does not keep them.
    out.extend_from_slice(&[0; 5]);
}

#[derive(Serialize)]
struct Line<'a> {
    feature: &'a str,
    event_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    feature_version: &'a str,
    value: JsonValue<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    materialised_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    #[serde(skip_serializing_if = "is_ok")]
    status: Status,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_ok(status: &Status) -> bool {
    *status == Status::Ok
}

struct JsonValue<'a>(&'a Value<'a>);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}
