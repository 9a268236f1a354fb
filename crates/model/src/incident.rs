//! The incident log: one fact a line, hash-chained per incident.
//!
//! A [`Fact`] says what happened; its `data` is typed by its name. The hash of
//! a fact is SHA-256 over its canonical JSON without `hash`, including
//! `previous_hash`, so that no line can be altered, dropped or moved unseen.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::identifier::sha256_hex;
use crate::json;
use crate::time::Timestamp;

pub mod data;

pub use data::FactData;

/// Who acts where nobody does.
pub const SYSTEM_ACTOR: &str = "watchkeep";

/// One line of `incidents.ndjson` and one record of the incidents topic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// The incident; commands that concern no incident have a chain of their own.
    pub incident_id: String,
    /// From 1, without gaps.
    pub sequence: u64,
    /// What happened.
    pub fact: FactName,
    /// When it happened: a timer's `due_at`, a response's `at`.
    pub occurred_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// Who did it, a typed name or [`SYSTEM_ACTOR`].
    pub actor: String,
    /// What led to it: `breach …`, `response …`, `timer …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Why, in the words of whoever decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// True in an exercise.
    pub drill: bool,
    /// What else is known, by the fact's name.
    pub data: FactData,
    /// The hash of the fact before; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_hash: Option<String>,
    /// SHA-256 of this fact without this field, hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

impl Fact {
    /// The hash that this fact must have.
    pub fn expected_hash(&self) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        sha256_hex(json::to_line(&bare).as_bytes())
    }

    /// Writes the hash, after every other field is set.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.hash = String::new();
        self.hash = json::with_line(&self, |line| sha256_hex(line.as_bytes()));
        self
    }
}

/// Names of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "described at the variants of `FactData`")]
pub enum FactName {
    Opened,
    BreachAttached,
    BreachCleared,
    SeverityChanged,
    OwnerResolved,
    Notified,
    NotificationSkipped,
    DeliveryReported,
    Acknowledged,
    AcknowledgementExpired,
    Escalated,
    ActionRecorded,
    SignedOff,
    CommandRejected,
    Remediated,
    Verified,
    VerificationFailed,
    Resolved,
    Reopened,
    FlappingStarted,
    FlappingEnded,
    Silenced,
    Unsilenced,
    Inhibited,
    Uninhibited,
    Merged,
    Reviewed,
    Closed,
    Exhausted,
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Line {
            incident_id: String,
            sequence: u64,
            fact: FactName,
            occurred_at: Timestamp,
            recorded_at: Timestamp,
            actor: String,
            cause: Option<String>,
            rationale: Option<String>,
            #[serde(default)]
            drill: bool,
            data: serde_json::Value,
            previous_hash: Option<String>,
            #[serde(default)]
            hash: String,
        }
        let line = Line::deserialize(deserializer)?;
        Ok(Self {
            incident_id: line.incident_id,
            sequence: line.sequence,
            fact: line.fact,
            occurred_at: line.occurred_at,
            recorded_at: line.recorded_at,
            actor: line.actor,
            cause: line.cause,
            rationale: line.rationale,
            drill: line.drill,
            data: FactData::read(line.fact, line.data).map_err(de::Error::custom)?,
            previous_hash: line.previous_hash,
            hash: line.hash,
        })
    }
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The fact was altered after it was written.
    #[error("incident {incident_id}, fact {sequence}: the hash does not fit the content")]
    Hash {
        /// The incident.
        incident_id: String,
        /// The fact's place.
        sequence: u64,
    },
    /// A fact is missing, doubled or out of place before this one.
    #[error("incident {incident_id}, fact {sequence}: does not follow the fact before it")]
    Link {
        /// The incident.
        incident_id: String,
        /// The fact's place.
        sequence: u64,
    },
}

/// Checks one fact against the one before it in its incident.
///
/// # Errors
/// Where the hash does not fit the content, or the fact does not follow.
pub fn check_link(before: Option<&Fact>, fact: &Fact) -> Result<(), ChainError> {
    let (incident_id, sequence) = (fact.incident_id.clone(), fact.sequence);
    let expected_sequence = before.map_or(1, |fact| fact.sequence + 1);
    let expected_previous = before.map(|fact| fact.hash.as_str());
    if sequence != expected_sequence || fact.previous_hash.as_deref() != expected_previous {
        return Err(ChainError::Link { incident_id, sequence });
    }
    if fact.hash != fact.expected_hash() {
        return Err(ChainError::Hash { incident_id, sequence });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
