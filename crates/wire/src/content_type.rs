//! Content types of records.

use crate::{Malformed, shown};

/// JSON.
pub const JSON: &str = "application/json";
/// Avro with single object encoding.
pub const AVRO: &str = "avro/binary";
/// Avro with Confluent framing.
pub const AVRO_CONFLUENT: &str = "application/vnd.confluent.avro";

/// What a content type promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON.
    Json,
    /// Avro in either framing.
    Avro,
}

/// The encoding of a content type; `None` where there is none or it does not
/// say, and the first bytes decide.
///
/// # Errors
/// The content type is one whose records would be misread.
pub fn encoding(content_type: Option<&str>) -> Result<Option<Encoding>, Malformed> {
    let Some(content_type) = content_type else { return Ok(None) };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is = |names: &[&str]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
    if is(&[JSON, "text/json", "application/x-ndjson"]) {
        Ok(Some(Encoding::Json))
    } else if is(&[AVRO, AVRO_CONFLUENT, "application/avro", "application/vnd.apache.avro+binary"])
    {
        Ok(Some(Encoding::Avro))
    } else if essence.to_ascii_lowercase().starts_with("application/cloudevents") {
        Err(Malformed::unreadable(format!(
            "content type {} is not supported yet: send the event itself, with CloudEvents attributes as headers",
            shown(essence)
        )))
    } else {
        Ok(None)
    }
}
