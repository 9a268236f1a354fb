//! Tests of telemetry decoding.

mod avro;
mod fuzz;
mod json;
mod malformed;

use watchkeep_model::telemetry::Telemetry;

use super::Decoder;
use crate::Malformed;
use crate::schema_set::SchemaSet;

/// Decodes one record by its first bytes with the embedded schemas alone.
fn decode(bytes: &[u8]) -> Result<Vec<Telemetry<'_>>, Malformed> {
    let mut out = Vec::new();
    Decoder::new(SchemaSet::new()).decode(bytes, None, &mut out).map(|()| out)
}
