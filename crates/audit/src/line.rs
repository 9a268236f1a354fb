//! One fact as a line of text.

use serde_json::{Map, Value};

use crate::sha256_hex;
use crate::time::is_instant;
use crate::unique::Unique;

/// What a line may have, in the order in which it is written.
const KEYS: [&str; 12] = [
    "incident_id",
    "sequence",
    "fact",
    "occurred_at",
    "recorded_at",
    "actor",
    "cause",
    "rationale",
    "drill",
    "data",
    "previous_hash",
    "hash",
];

/// Every name of a fact.
const FACTS: [&str; 29] = [
    "opened",
    "breach_attached",
    "breach_cleared",
    "severity_changed",
    "owner_resolved",
    "notified",
    "notification_skipped",
    "delivery_reported",
    "acknowledged",
    "acknowledgement_expired",
    "escalated",
    "action_recorded",
    "signed_off",
    "command_rejected",
    "remediated",
    "verified",
    "verification_failed",
    "resolved",
    "reopened",
    "flapping_started",
    "flapping_ended",
    "silenced",
    "unsilenced",
    "inhibited",
    "uninhibited",
    "merged",
    "reviewed",
    "closed",
    "exhausted",
];

/// A hash in hexadecimal digits.
const HASH_CHARS: usize = 64;

/// A line that has the form of a fact.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The text whose hash the line bears: itself without its last field.
    bare: &'a str,
    /// The hash that it bears.
    pub hash: &'a str,
    /// The incident.
    pub incident_id: String,
    /// The fact's number in it.
    pub sequence: u64,
    /// Its name.
    pub fact: String,
    /// When it happened, as it is written.
    pub occurred_at: String,
    /// When it was written down, as it is written.
    pub recorded_at: String,
    /// Who did it.
    pub actor: String,
    /// The hash of the fact before.
    pub previous_hash: Option<String>,
    /// True where somebody says why.
    pub has_rationale: bool,
    /// What else is known.
    pub data: Map<String, Value>,
}

impl<'a> Line<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// What makes it no fact, in one sentence.
    pub fn read(text: &'a str) -> Result<Self, String> {
        let Unique(value) =
            serde_json::from_str(text).map_err(|error| format!("the line is no JSON: {error}"))?;
        let Value::Object(mut fields) = value else {
            return Err("the line is no JSON object".to_owned());
        };
        if let Some(odd) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("a fact has no field `{odd}`"));
        }
        let (bare, hash) = split_hash(text).ok_or(
            "the line does not end with its hash: it was cut, or written by another program",
        )?;
        let mut text_of = |name: &str| match fields.get_mut(name).map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(_) => Err(format!("`{name}` is no text")),
            None => Err(format!("`{name}` is missing")),
        };
        let incident_id = text_of("incident_id")?;
        let fact = text_of("fact")?;
        let occurred_at = text_of("occurred_at")?;
        let recorded_at = text_of("recorded_at")?;
        let actor = text_of("actor")?;
        let previous_hash = match fields.contains_key("previous_hash") {
            true => Some(text_of_hash(&fields)?),
            false => None,
        };
        if !FACTS.contains(&fact.as_str()) {
            return Err(format!("there is no fact `{fact}`"));
        }
        for (name, instant) in [("occurred_at", &occurred_at), ("recorded_at", &recorded_at)] {
            if !is_instant(instant) {
                return Err(format!("`{name}` is no instant in microseconds: {instant}"));
            }
        }
        let rationale = fields.get("rationale").and_then(Value::as_str);
        let has_rationale = rationale.is_some_and(|text| !text.trim().is_empty());
        let sequence = fields.get("sequence").and_then(Value::as_u64);
        let sequence = sequence.ok_or("`sequence` is no number")?;
        if !fields.get("drill").is_some_and(Value::is_boolean) {
            return Err("`drill` is neither true nor false".to_owned());
        }
        let Some(Value::Object(data)) = fields.remove("data") else {
            return Err("`data` is no JSON object".to_owned());
        };
        Ok(Self {
            bare,
            hash,
            incident_id,
            sequence,
            fact,
            occurred_at,
            recorded_at,
            actor,
            previous_hash,
            has_rationale,
            data,
        })
    }

    /// What is wrong with the hash; `None` where it fits.
    pub fn wrong_hash(&self) -> Option<String> {
        let comma = &[self.bare, "}"];
        let computed = sha256_hex(comma);
        (computed != self.hash).then(|| {
            format!(
                "the line was altered after it was written: its hash is {computed}, it bears {}",
                self.hash
            )
        })
    }

    /// A text of the data; `None` where there is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Value::as_str)
    }

    /// A whole number of the data; `None` where there is none.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.data.get(name).and_then(Value::as_i64)
    }
}

fn text_of_hash(fields: &Map<String, Value>) -> Result<String, String> {
    match fields.get("previous_hash") {
        Some(Value::String(text)) if is_hash(text) => Ok(text.clone()),
        _ => Err("`previous_hash` is no hash".to_owned()),
    }
}

/// The text before the hash, which is always the last field, and the hash.
fn split_hash(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_suffix("\"}")?;
    let start = body.len().checked_sub(HASH_CHARS)?;
    let hash = body.get(start..).filter(|hash| is_hash(hash))?;
    let bare = body.get(..start)?.strip_suffix(",\"hash\":\"")?;
    Some((bare, hash))
}

/// True for 64 lower-case hexadecimal digits.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == HASH_CHARS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
