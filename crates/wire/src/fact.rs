//! Facts to bytes and back: windows, breaches, incident facts, escalations,
//! rejects, responses, charters, policies and captured baselines, as JSON or Avro.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use watchkeep_model::anchor::Anchor;
use watchkeep_model::breach::Breach;
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::json;
use watchkeep_model::policy::Policy;
use watchkeep_model::profile::Profile;
use watchkeep_model::reject::Reject;
use watchkeep_model::response::Response;
use watchkeep_model::revision::Revision;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::Window;
use watchkeep_model::{incident, reject};

use crate::avro::cursor::Cursor;
use crate::content_type;
use crate::framing::{self, AvroFraming, Framing, Unframed};
use crate::schemas::{self, Embedded};
use crate::{Malformed, avro};

/// Bytes of one fact. Ours are far smaller; a larger record of one of our
/// topics was not written by us and is refused.
pub const FACT_BYTES_MAX: usize = 16 << 20;

/// How facts are written. Both are read, told apart by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactEncoding {
    /// One canonical line of JSON.
    Json,
    /// Avro with its schema named by the framing.
    Avro(AvroFraming),
}

impl FactEncoding {
    /// The content type of records of this encoding.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => content_type::JSON,
            Self::Avro(AvroFraming::SingleObject) => content_type::AVRO,
            Self::Avro(AvroFraming::Confluent(_)) => content_type::AVRO_CONFLUENT,
        }
    }
}

/// A fact that has a schema of its own.
pub trait Stored: Serialize + DeserializeOwned {
    /// The schema's name.
    const SCHEMA: &'static str;
}

macro_rules! stored {
    ($($name:ty => $schema:literal),* $(,)?) => {
        $(impl Stored for $name { const SCHEMA: &'static str = $schema; })*
    };
}

stored! {
    Window => "window",
    Breach => "breach",
    incident::Fact => "incident-fact",
    Escalation => "escalation",
    CharterDocument => "charter",
    Policy => "policy",
    Profile => "baseline",
    Response => "response",
    Reject => "reject",
    Revision => "revision",
}

/// One record.
///
/// # Panics
/// Where the type and its schema have parted ways, which tests rule out.
pub fn encode<T: Stored>(fact: &T, encoding: FactEncoding) -> Vec<u8> {
    match encoding {
        FactEncoding::Json => json::to_line(fact).into_bytes(),
        FactEncoding::Avro(framing) => {
            let schema = schemas::named(T::SCHEMA);
            let value = serde_json::to_value(fact).expect("facts have text keys");
            let mut out = Vec::with_capacity(512);
            framing::write(&mut out, framing, schema.fingerprint);
            if let Err(misfit) = avro::json::write(&schema.shape, &value, &mut out) {
                panic!(
                    "{} does not fit its schema at `{}`: {}",
                    T::SCHEMA,
                    misfit.path,
                    misfit.wanted
                );
            }
            out
        }
    }
}

/// Reads a command of the responses topic. One as JSON may leave out `at`: it
/// takes effect when it was written. A field that is there twice is refused, as
/// in every fact.
///
/// # Errors
/// The bytes are no command.
pub fn decode_response(bytes: &[u8], written_at: Timestamp) -> Result<Response, Malformed> {
    decode::<Response>(bytes).or_else(|error| {
        let Ok(Value::Object(map)) = serde_json::from_slice(bytes) else { return Err(error) };
        if map.contains_key("at") || map.is_empty() {
            return Err(error);
        }
        // Put before the other fields of the text, as a map would forget of two
        // with one name the first. What else is wrong is what there is to tell.
        let Ok(text) = std::str::from_utf8(bytes) else { return Err(error) };
        let rest = text.trim_start().trim_start_matches('{');
        decode::<Response>(format!("{{\"at\":\"{written_at}\",{rest}").as_bytes())
    })
}

/// A command of the responses topic as canonical JSON, with the time at which
/// it takes effect, so that it says the same wherever it is read next.
///
/// # Errors
/// The bytes are no command.
pub fn response_line(bytes: &[u8], written_at: Timestamp) -> Result<String, Malformed> {
    Ok(json::to_line(&decode_response(bytes, written_at)?))
}

/// Reads one record of either encoding. Single objects of earlier versions are
/// read by the schema that they name; Confluent framing by the current one.
///
/// # Errors
/// The bytes are no such fact.
pub fn decode<T: Stored>(bytes: &[u8]) -> Result<T, Malformed> {
    if bytes.len() > FACT_BYTES_MAX {
        return Err(Malformed::too_large(bytes.len(), FACT_BYTES_MAX));
    }
    let framing = match Framing::read(bytes) {
        Ok(framing) => framing,
        Err(Unframed::Other) => {
            return serde_json::from_slice(bytes).map_err(|error| wrong_json(T::SCHEMA, &error));
        }
        Err(Unframed::Truncated) => {
            return Err(Malformed::unreadable(
                "broken Avro: the record ends before the id of its schema does",
            ));
        }
    };
    let schema = schema_of(T::SCHEMA, framing)?;
    let mut cursor = Cursor::new(bytes, framing.body_start());
    let value =
        avro::json::read(&schema.shape, &mut cursor).and_then(|value| cursor.end().map(|()| value));
    let value = value.map_err(|fault| Malformed::unreadable(format!("broken Avro: {fault}")))?;
    serde_json::from_value(value).map_err(|error| wrong_json(T::SCHEMA, &error))
}

/// The version of the schema that a record names.
pub(crate) fn schema_of(name: &str, framing: Framing) -> Result<&'static Embedded, Malformed> {
    match framing {
        Framing::Confluent(_) => Ok(schemas::named(name)),
        Framing::SingleObject(fingerprint) => schemas::version(name, fingerprint).ok_or_else(|| {
            Malformed::unknown_schema(format!(
                "schema fingerprint {fingerprint:016x} is no version of `{name}`: written by a newer version, or to another topic"
            ))
        }),
    }
}

fn wrong_json(name: &str, error: &serde_json::Error) -> Malformed {
    let detail = format!("not a {name}: {error}");
    if error.is_data() { Malformed::invalid(detail) } else { Malformed::unreadable(detail) }
}

/// What the records of a topic are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the facts")]
pub enum TopicKind {
    Telemetry,
    Summaries,
    Windows,
    Breaches,
    Incidents,
    Anchors,
    Escalations,
    Charters,
    Policies,
    Baselines,
    Responses,
    Rejects,
    Lineage,
}

impl TopicKind {
    /// Every kind of our own topics with its name behind the prefix.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Summaries, "summaries"),
        (Self::Windows, "windows"),
        (Self::Breaches, "breaches"),
        (Self::Incidents, "incidents"),
        (Self::Anchors, "anchors"),
        (Self::Escalations, "escalations"),
        (Self::Charters, "charters"),
        (Self::Policies, "policies"),
        (Self::Baselines, "baselines"),
        (Self::Responses, "responses"),
        (Self::Rejects, "rejects"),
        (Self::Lineage, "lineage"),
    ];

    /// The kind of a topic by its name; without the prefix it is telemetry.
    pub fn of(topic: &str, prefix: &str) -> Self {
        let name = topic.strip_prefix(prefix).unwrap_or_default();
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(Self::Telemetry, |(kind, _)| *kind)
    }
}

fn line_of<T: Stored>(bytes: &[u8]) -> Result<String, Malformed> {
    Ok(json::to_line(&decode::<T>(bytes)?))
}

/// One record of one of our topics as canonical JSON. Telemetry needs writers'
/// schemas and goes through [`crate::telemetry::Decoder`].
///
/// # Errors
/// The bytes are no such record.
pub fn to_json_line(kind: TopicKind, bytes: &[u8]) -> Result<String, Malformed> {
    match kind {
        TopicKind::Telemetry => {
            Err(Malformed::invalid("telemetry is read with the writers' schemas, not as a fact"))
        }
        TopicKind::Summaries => crate::summary_batch::to_json_line(bytes),
        TopicKind::Windows => line_of::<Window>(bytes),
        TopicKind::Breaches => line_of::<Breach>(bytes),
        TopicKind::Incidents => line_of::<incident::Fact>(bytes),
        // Always JSON, so that nobody needs a schema to prove a log.
        TopicKind::Anchors => serde_json::from_slice::<Anchor>(bytes)
            .map(|anchor| json::to_line(&anchor))
            .map_err(|error| wrong_json("anchor", &error)),
        TopicKind::Escalations => line_of::<Escalation>(bytes),
        TopicKind::Baselines => line_of::<Profile>(bytes),
        TopicKind::Charters | TopicKind::Policies => line_of::<Revision>(bytes),
        TopicKind::Responses => line_of::<Response>(bytes),
        TopicKind::Rejects => line_of::<reject::Reject>(bytes),
        // As others wrote it.
        TopicKind::Lineage => serde_json::from_slice::<serde_json::Value>(bytes)
            .map(|event| json::to_line(&event))
            .map_err(|error| wrong_json("run event", &error)),
    }
}

#[cfg(test)]
mod tests;
