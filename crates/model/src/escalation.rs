//! What alerting systems consume: one message to one person over one channel,
//! or one notice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::charter::Severity;
use crate::time::Timestamp;

/// One line of `escalations.ndjson` and one record of the escalations topic.
/// The first five fields are CloudEvents attributes, the others follow
/// PagerDuty's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Derived from the incident, the fact and the addressee.
    pub id: String,
    /// `watchkeep.escalation.` and the audience.
    pub r#type: String,
    /// Where it comes from, a URI reference.
    pub source: String,
    /// The incident's root, a typed name.
    pub subject: String,
    /// When what it tells of happened.
    pub time: Timestamp,
    /// The incident.
    pub incident_id: String,
    /// The same for all messages of one incident.
    pub dedup_key: String,
    /// What an alerting system does with its alert.
    pub event_action: EventAction,
    /// The incident's severity.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
    /// The root.
    pub component: String,
    /// The system, domain or group that the root belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The kind of breach.
    pub class: String,
    /// Whether anybody is asked to do anything.
    pub audience: Audience,
    /// The step, or `on_exhausted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The climb, from 1.
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    pub climb: Option<u32>,
    /// Who, a typed name; absent for a status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// By which role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The tool and the address in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The first deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Timestamp>,
    /// Why now: `first`, `escalated`, `ack_timeout`, `repeat`, `exhausted`,
    /// `reopened`, `verification_failed`, `acknowledged`, `resolved` …
    pub reason: String,
    /// Who answers for the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// True where nobody does but the governance group.
    pub unowned: bool,
    /// Subjects that breach, as many as the policy lists.
    pub affected_features: Vec<String>,
    /// How many there are.
    pub affected_count: u64,
    /// Who uses them.
    pub consumers: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Other pages to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Hyperlink>,
    /// True in an exercise.
    pub drill: bool,
    /// What else helps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_details: BTreeMap<String, String>,
}

/// A page to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hyperlink {
    /// Its address.
    pub href: String,
    /// What it is.
    pub text: String,
}

/// What an alerting system does with its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// Raise it, or raise it again.
    Trigger,
    /// Mark it as taken.
    Acknowledge,
    /// Close it.
    Resolve,
}

/// Whether anybody is asked to do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The target is asked to respond.
    Page,
    /// The target is told, nothing is asked.
    Inform,
    /// Everybody who follows the incident: its state changed.
    Status,
}

impl Audience {
    /// The name used in facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Inform => "inform",
            Self::Status => "status",
        }
    }
}
