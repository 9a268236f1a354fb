//! Events API v2 of PagerDuty: `POST /v2/enqueue`.
//!
//! Source: PagerDuty, *Send an Alert Event*,
//! <https://developer.pagerduty.com/docs/send-alert-event>: which fields there
//! are and their lengths; 512 KB an event.

use serde::Serialize;
use serde_json::{Map, Value, json};
use watchkeep_model::escalation::{Escalation, EventAction};
use watchkeep_model::json::to_line;
use watchkeep_model::time::Timestamp;

use super::{is_web, one_line, shortened};

/// Where events go if the sink names no other address.
pub const URL_DEFAULT: &str = "https://events.pagerduty.com/v2/enqueue";

/// Bytes of an event; PagerDuty refuses more.
pub const EVENT_BYTES_MAX: usize = 512 << 10;

/// Characters of a summary; PagerDuty refuses more.
pub const SUMMARY_CHARS_MAX: usize = 1_024;

/// Characters of a `dedup_key`; PagerDuty refuses more. Ours have 36.
const DEDUP_KEY_CHARS_MAX: usize = 255;

/// Characters of a text, and entries of a list, in an event that would be too large.
const TEXT_CHARS_SHORT: usize = 1_024;
const LISTED_SHORT: usize = 20;

/// The `dedup_key` of an incident, or of a later round of its pages. PagerDuty
/// notifies nobody of a trigger for an alert that is open or acknowledged, so
/// whoever is to hear of it again needs an alert of its own.
pub fn dedup_key(message: &Escalation, round: Option<Timestamp>) -> String {
    let own = shortened(&message.dedup_key, DEDUP_KEY_CHARS_MAX / 2);
    round.map_or(own.clone(), |round| format!("{own} {round}"))
}

/// The body of an event that ends an alert.
pub fn end(dedup_key: &str, routing_key: &str) -> String {
    to_line(&json!({
        "routing_key": routing_key,
        "event_action": "resolve",
        "dedup_key": dedup_key,
    }))
}

/// The body of an event, at most [`EVENT_BYTES_MAX`]. What is too long is
/// shortened: first lists and texts among the details, then the details as a
/// whole, for a page without its reasons is better than none.
pub fn event(message: &Escalation, dedup_key: &str, routing_key: &str) -> String {
    for details in [details(message), short(details(message)), Map::new()] {
        let event = to_line(&whole(message, dedup_key, routing_key, details));
        if event.len() <= EVENT_BYTES_MAX {
            return event;
        }
    }
    // The rest is bounded by the lengths of its fields, save for links.
    let bare = Escalation { links: Vec::new(), runbook: None, ..message.clone() };
    to_line(&whole(&bare, dedup_key, routing_key, Map::new()))
}

fn whole(
    message: &Escalation,
    dedup_key: &str,
    routing_key: &str,
    details: Map<String, Value>,
) -> Value {
    let action = match message.event_action {
        EventAction::Trigger => "trigger",
        EventAction::Acknowledge => "acknowledge",
        EventAction::Resolve => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key,
    });
    if message.event_action != EventAction::Trigger {
        return event;
    }
    let links: Vec<Link> = links(message).collect();
    event["client"] = json!("Watchkeep");
    event["payload"] = json!({
        "summary": shortened(&one_line(&message.summary), SUMMARY_CHARS_MAX),
        "source": shortened(&message.component, SUMMARY_CHARS_MAX),
        "severity": message.severity.name(),
        "timestamp": message.time.to_string(),
        "component": shortened(&message.component, SUMMARY_CHARS_MAX),
        "class": message.class,
        "custom_details": details,
    });
    if let Some(group) = &message.group {
        event["payload"]["group"] = json!(shortened(group, SUMMARY_CHARS_MAX));
    }
    if !links.is_empty() {
        event["links"] = json!(links);
    }
    event
}

#[derive(Serialize)]
struct Link {
    href: String,
    text: String,
}

/// What can be clicked; a runbook that is a path stands among the details.
fn links(message: &Escalation) -> impl Iterator<Item = Link> {
    let runbook = message.runbook.as_ref().map(|href| (href, "runbook"));
    let others = message.links.iter().map(|link| (&link.href, link.text.as_str()));
    runbook
        .into_iter()
        .chain(others)
        .filter(|(href, _)| is_web(href))
        .map(|(href, text)| Link { href: href.clone(), text: text.to_owned() })
}

/// Everything that has no field of its own in an event.
fn details(message: &Escalation) -> Map<String, Value> {
    const OWN: [&str; 11] = [
        "id",
        "type",
        "source",
        "subject",
        "time",
        "dedup_key",
        "event_action",
        "severity",
        "summary",
        "component",
        "class",
    ];
    let Ok(Value::Object(mut details)) = serde_json::to_value(message) else { return Map::new() };
    details.retain(|name, _| !OWN.contains(&name.as_str()));
    details.remove("group");
    details
}

fn short(details: Map<String, Value>) -> Map<String, Value> {
    fn cut(value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(shortened(&text, TEXT_CHARS_SHORT)),
            Value::Array(list) => list.into_iter().take(LISTED_SHORT).map(cut).collect(),
            Value::Object(map) => {
                let pairs = map.into_iter().take(LISTED_SHORT);
                Value::Object(pairs.map(|(name, value)| (name, cut(value))).collect())
            }
            other => other,
        }
    }
    details.into_iter().map(|(name, value)| (name, cut(value))).collect()
}
