//! `POST /v1/telemetry`: lines into the embedded log, which this process holds.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchkeep_runtime::log::Outgoing;

use super::App;
use crate::commands::{KeyOf, headers_of, key_of};
use crate::store::Store;

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    topic: Option<String>,
    key: Option<String>,
}

/// Appends every line that is not empty and answers 202 with their number once
/// they are on the disk. Whether they can be used is the service's to find out.
pub(super) async fn take(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let refuse = |status, why: &str| (status, format!("{why}\n")).into_response();
    // Browsers send this type across sites only after asking, so a page
    // elsewhere cannot feed telemetry.
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !matches!(essence, "application/x-ndjson" | "application/json") {
        let why = "send the lines with content-type application/x-ndjson";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    let Store::Embedded(store) = &app.shared.store else {
        let why = "the log is Kafka: produce to its topic";
        return refuse(StatusCode::CONFLICT, why);
    };
    let topic = parameters.topic.as_deref().or(app.topics.telemetry.first().map(String::as_str));
    let is_open = |topic: &&str| {
        app.topics.telemetry.iter().any(|known| known == topic)
            || ["responses", "lineage"].iter().any(|ours| app.topics.named(ours) == **topic)
    };
    let Some(topic) = topic.filter(is_open) else {
        let why = format!("topic is one of {}", app.topics.telemetry.join(", "));
        return refuse(StatusCode::NOT_FOUND, &why);
    };
    let key = match parameters.key.as_deref() {
        None | Some("feature") => KeyOf::Feature,
        Some("entity") => KeyOf::Entity,
        Some("none") => KeyOf::None,
        Some(_) => return refuse(StatusCode::BAD_REQUEST, "key is feature, entity or none"),
    };
    let topic: Arc<str> = topic.into();
    let store = store.clone();
    let appended = tokio::task::spawn_blocking(move || {
        let records: Vec<_> = body
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
            .map(|line| {
                let record = Outgoing {
                    topic: topic.clone(),
                    partition: None,
                    key: key_of(line, key),
                    value: line.to_vec(),
                    headers: headers_of(line),
                };
                (record, None)
            })
            .collect();
        store.append(&records).map(|()| records.len())
    });
    match appended.await {
        Ok(Ok(count)) => {
            (StatusCode::ACCEPTED, format!("{{\"accepted\":{count}}}\n")).into_response()
        }
        Ok(Err(error)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the append did not end"),
    }
}
