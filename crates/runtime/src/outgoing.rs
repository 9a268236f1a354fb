//! Facts as records of the log: topic, key, headers, bytes.

use std::sync::Arc;

use watchkeep_model::anchor::Anchor;
use watchkeep_model::breach::Breach;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::Fact;
use watchkeep_model::json;
use watchkeep_model::profile::Profile;
use watchkeep_model::reject::Reject;
use watchkeep_model::response::Response;
use watchkeep_model::revision::Revision;
use watchkeep_model::window::Window;
use watchkeep_wire::content_type;
use watchkeep_wire::fact::{FactEncoding, encode};

use crate::log::{CONTENT_TYPE, Outgoing};

/// A summary batch for a stated partition.
pub fn batch(topic: &Arc<str>, partition: i32, value: Vec<u8>) -> Outgoing {
    let headers = vec![header(CONTENT_TYPE, content_type::AVRO)];
    Outgoing { topic: topic.clone(), partition: Some(partition), key: None, value, headers }
}

/// A window, keyed by its subject.
pub fn window(topic: &Arc<str>, window: &Window, encoding: FactEncoding) -> Outgoing {
    keyed(topic, &window.feature, encode(window, encoding), encoding)
}

/// A breach, keyed by its subject.
pub fn breach(topic: &Arc<str>, breach: &Breach, encoding: FactEncoding) -> Outgoing {
    keyed(topic, &breach.feature, encode(breach, encoding), encoding)
}

/// An incident fact, keyed by its incident.
pub fn fact(topic: &Arc<str>, fact: &Fact, encoding: FactEncoding) -> Outgoing {
    keyed(topic, &fact.incident_id, encode(fact, encoding), encoding)
}

/// An anchor of the incident log, always JSON, so that nobody needs a schema to
/// prove a log. All are in the first partition, which gives them one order.
pub fn anchor(topic: &Arc<str>, anchor: &Anchor) -> Outgoing {
    let value = json::to_line(anchor).into_bytes();
    let record = keyed(topic, &anchor.incident_id, value, FactEncoding::Json);
    Outgoing { partition: Some(0), ..record }
}

/// An escalation, keyed by its incident, with the CloudEvents attributes as headers.
pub fn escalation(topic: &Arc<str>, escalation: &Escalation, encoding: FactEncoding) -> Outgoing {
    let value = encode(escalation, encoding);
    let mut record = keyed(topic, &escalation.incident_id, value, encoding);
    let time = escalation.time.to_string();
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_id", &escalation.id),
        ("ce_type", &escalation.r#type),
        ("ce_source", &escalation.source),
        ("ce_subject", &escalation.subject),
        ("ce_time", &time),
    ];
    record.headers.extend(attributes.map(|(name, value)| header(name, value)));
    record
}

/// A response, keyed by the incident or the subject that it is about.
pub fn response(topic: &Arc<str>, response: &Response, encoding: FactEncoding) -> Outgoing {
    let about = response.incident.as_ref().or(response.subject.as_ref());
    keyed(topic, about.map_or("", String::as_str), encode(response, encoding), encoding)
}

/// A reject, keyed by its origin so that those of a partition stay in order.
pub fn reject(topic: &Arc<str>, reject: &Reject, encoding: FactEncoding) -> Outgoing {
    let key = match (&reject.topic, reject.partition, &reject.feature) {
        (Some(topic), Some(partition), _) => format!("{topic}/{partition}"),
        (.., Some(feature)) => feature.clone(),
        _ => String::new(),
    };
    keyed(topic, &key, encode(reject, encoding), encoding)
}

/// A captured baseline, keyed by its id.
pub fn profile(topic: &Arc<str>, profile: &Profile, encoding: FactEncoding) -> Outgoing {
    keyed(topic, &profile.id, encode(profile, encoding), encoding)
}

/// A revision of charters or policies, keyed by what it is of. All of a topic
/// are in its first partition, which gives them one order.
pub fn revision(topic: &Arc<str>, revision: &Revision, encoding: FactEncoding) -> Outgoing {
    let record = keyed(topic, &revision.name, encode(revision, encoding), encoding);
    Outgoing { partition: Some(0), ..record }
}

fn keyed(topic: &Arc<str>, key: &str, value: Vec<u8>, encoding: FactEncoding) -> Outgoing {
    Outgoing {
        topic: topic.clone(),
        partition: None,
        key: Some(key.as_bytes().to_vec()),
        value,
        headers: vec![header(CONTENT_TYPE, encoding.content_type())],
    }
}

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}
