//! A webhook: one CloudEvent a request, structured as JSON, signed.
//!
//! Sources: CloudEvents 1.0.2, *JSON Event Format*; *Standard Webhooks* 1.0
//! (<https://www.standardwebhooks.com>) for the signature and its headers, so
//! that receivers can use its libraries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::json::to_line;
use watchkeep_model::time::Timestamp;

/// The content type of the body.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// What a secret begins with whose rest is base64; others are taken as they are.
const ENCODED: &str = "whsec_";

/// The attributes that CloudEvents names; the others are the event's data.
const ATTRIBUTES: [&str; 5] = ["id", "type", "source", "subject", "time"];

/// The body of a request.
pub fn body(message: &Escalation) -> String {
    let Ok(Value::Object(mut data)) = serde_json::to_value(message) else { return String::new() };
    let mut event = Map::from_iter([
        ("specversion".to_owned(), json!("1.0")),
        ("datacontenttype".to_owned(), json!("application/json")),
    ]);
    for name in ATTRIBUTES {
        event.extend(data.remove(name).map(|value| (name.to_owned(), value)));
    }
    event.insert("data".to_owned(), Value::Object(data));
    to_line(&Value::Object(event))
}

/// The headers of a request: `Idempotency-Key` and `webhook-id` are the
/// message's id, the same with every repetition; with a secret the time of
/// this attempt and the signature of both and the body.
pub fn headers(
    message: &Escalation,
    body: &str,
    secret: Option<&str>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let id = message.id.clone();
    let mut headers = vec![
        ("content-type", CONTENT_TYPE.to_owned()),
        ("idempotency-key", id.clone()),
        ("webhook-id", id.clone()),
    ];
    let seconds = now.as_micros().div_euclid(1_000_000);
    headers.push(("webhook-timestamp", seconds.to_string()));
    if let Some(secret) = secret {
        headers.push(("webhook-signature", signature(&id, seconds, body, secret)));
    }
    headers
}

/// True for a secret that receivers read as this side does: one that says that
/// it is base64 is.
pub fn is_secret(text: &str) -> bool {
    text.strip_prefix(ENCODED).is_none_or(|rest| STANDARD.decode(rest).is_ok())
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.seconds.body`.
pub fn signature(id: &str, seconds: i64, body: &str, secret: &str) -> String {
    let key = secret
        .strip_prefix(ENCODED)
        .and_then(|rest| STANDARD.decode(rest).ok())
        .unwrap_or_else(|| secret.as_bytes().to_vec());
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
