//! Telemetry records: bytes to events and back.

mod draft;
pub mod encode;
mod json;
pub(crate) mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use watchkeep_model::telemetry::Telemetry;
use watchkeep_model::time::Timestamp;

use self::draft::Draft;
pub use self::draft::{FEATURE_BYTES_MAX, FEATURES_MAX};
use self::plan::Plan;
use crate::content_type::Encoding;
use crate::framing::{Framing, Unframed};
use crate::schema_set::SchemaSet;
use crate::{Malformed, content_type};

/// Bytes of one telemetry record. A larger one is rejected unread; with its
/// batch form a producer has no reason to come near it.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Decodes telemetry of any accepted encoding.
#[derive(Clone, Debug)]
pub struct Decoder {
    schemas: SchemaSet,
    /// Of the record before: nearly all records of a topic have one schema.
    last: Option<(Framing, Arc<Plan>)>,
}

impl Decoder {
    /// A decoder that knows these writers' schemas.
    pub fn new(schemas: SchemaSet) -> Self {
        Self { schemas, last: None }
    }

    /// Knows these writers' schemas from now on, and no others.
    pub fn set_schemas(&mut self, schemas: SchemaSet) {
        *self = Self::new(schemas);
    }

    /// Appends the events of one record of a log. The encoding is that of the
    /// content type, else told by the first bytes.
    ///
    /// # Errors
    /// The record cannot be used; nothing has been appended.
    pub fn decode<'a>(
        &mut self,
        bytes: &'a [u8],
        content_type: Option<&str>,
        out: &mut Vec<Telemetry<'a>>,
    ) -> Result<(), Malformed> {
        let mut draft = Draft::default();
        self.read(bytes, content_type, &mut draft)?;
        draft.finish(out)
    }

    /// Appends the events of one line of a file, and returns the line's
    /// `received_at`. Blank lines are the caller's to pass over.
    ///
    /// # Errors
    /// The line cannot be used; nothing has been appended.
    pub fn decode_line<'a>(
        &mut self,
        bytes: &'a [u8],
        out: &mut Vec<Telemetry<'a>>,
    ) -> Result<Option<Timestamp>, Malformed> {
        let mut draft = Draft::default();
        self.read(bytes, Some(content_type::JSON), &mut draft)?;
        draft.finish(out)?;
        Ok(draft.received_at)
    }

    fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        content_type: Option<&str>,
        draft: &mut Draft<'a>,
    ) -> Result<(), Malformed> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(Malformed::too_large(bytes.len(), RECORD_BYTES_MAX));
        }
        if bytes.is_empty() {
            return Err(Malformed::unreadable(
                "the record is empty: write one JSON object, or Avro",
            ));
        }
        match content_type::encoding(content_type)? {
            Some(Encoding::Json) => json::read(bytes, draft),
            Some(Encoding::Avro) => self.read_avro(bytes, true, draft),
            None => self.read_avro(bytes, false, draft),
        }
    }

    /// `promised` where a content type says Avro; else JSON is possible too.
    fn read_avro<'a>(
        &mut self,
        bytes: &'a [u8],
        promised: bool,
        draft: &mut Draft<'a>,
    ) -> Result<(), Malformed> {
        let framing = match Framing::read(bytes) {
            Ok(framing) => framing,
            Err(Unframed::Other) if !promised => return json::read(bytes, draft),
            Err(Unframed::Other) => {
                return Err(Malformed::unreadable(
                    "Avro without its schema: use Confluent framing (00 and the id) or single object encoding (C3 01 and the fingerprint)",
                ));
            }
            Err(Unframed::Truncated) => {
                return Err(Malformed::unreadable(format!(
                    "broken Avro: the record ends at byte {}, before the id of its schema does",
                    bytes.len()
                )));
            }
        };
        let start = framing.body_start();
        if let Some((last, plan)) = &self.last
            && *last == framing
        {
            return plan.read(bytes, start, draft);
        }
        let plan = Arc::clone(self.plan(framing)?);
        let read = plan.read(bytes, start, draft);
        self.last = Some((framing, plan));
        read
    }

    fn plan(&self, framing: Framing) -> Result<&Arc<Plan>, Malformed> {
        match framing {
            Framing::Confluent(id) => self.schemas.by_id(id).ok_or_else(|| {
                Malformed::unknown_schema(format!(
                    "schema id {id} is not known: add `{id}.avsc` to the folder of writers' schemas"
                ))
            }),
            Framing::SingleObject(fingerprint) => {
                self.schemas.by_fingerprint(fingerprint).ok_or_else(|| {
                    Malformed::unknown_schema(format!(
                        "schema fingerprint {fingerprint:016x} is not known: add the schema to the folder of writers' schemas"
                    ))
                })
            }
        }
    }
}
