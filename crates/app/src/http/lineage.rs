//! `/v1/lineage`: what is made from what, and the events by which runs tell it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchkeep_incident::lineage::reach::Direction;
use watchkeep_interop::openlineage;
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::Outgoing;

use super::{App, json};
use crate::charters;
use crate::commands::lineage::{DEPTH_DEFAULT, DEPTH_MAX, Question, answer};
use crate::store::Store;

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    node: String,
    direction: Option<Way>,
    depth: Option<u32>,
    at: Option<Timestamp>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Up,
    Down,
}

/// The edges up or down from a node, with what runs have shown up to now.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let question = Question {
        node: typed(&parameters.node),
        direction: match parameters.direction {
            Some(Way::Down) => Direction::Down,
            Some(Way::Up) | None => Direction::Up,
        },
        depth: parameters.depth.unwrap_or(DEPTH_DEFAULT).min(DEPTH_MAX),
        at: parameters.at.unwrap_or_else(|| app.shared.clock.now()),
    };
    let answered = tokio::task::spawn_blocking(move || {
        let shared = &app.shared;
        // The escalate stage reads the topic when it has to decide.
        charters::follow_runs(&shared.rules, &mut shared.store.reader()?)?;
        anyhow::Ok(answer(&shared.rules.registry(), &question))
    });
    match answered.await {
        Ok(Ok(Ok(answer))) => json(&answer),
        Ok(Ok(Err(why))) => refuse(StatusCode::NOT_FOUND, &why),
        Ok(Err(error)) => refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the answer did not end"),
    }
}

/// Appends one event of OpenLineage, as its HTTP transport sends it, and
/// answers 201 once it is on the disk.
pub(super) async fn take(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    // Browsers send this type across sites only after asking.
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if essence != "application/json" {
        let why = "send the event with content-type application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    let Store::Embedded(store) = &app.shared.store else {
        let why = "the log is Kafka: let OpenLineage produce to its topic";
        return refuse(StatusCode::CONFLICT, why);
    };
    if let Err(why) = openlineage::shown_run(&body) {
        return refuse(StatusCode::BAD_REQUEST, &why);
    }
    let record = Outgoing {
        topic: app.topics.named("lineage").into(),
        partition: None,
        key: None,
        value: body.to_vec(),
        headers: Vec::new(),
    };
    let store = store.clone();
    match tokio::task::spawn_blocking(move || store.append(&[(record, None)])).await {
        Ok(Ok(())) => StatusCode::CREATED.into_response(),
        Ok(Err(error)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the append did not end"),
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}
