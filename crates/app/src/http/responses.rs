//! `POST /v1/responses`: one command of somebody, and what came of it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchkeep_model::incident::Fact;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::LogError;

use super::{App, json};
use crate::responses::{self, Answer};

/// How long an answer is waited for where the request does not say.
const WAIT: Duration = Duration::from_secs(10);

/// The longest wait; a request that wants more gets `pending` and asks again.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Time between two looks for what came of a command.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    wait: Option<TimeSpan>,
}

/// Writes a command to the log and waits for the facts that follow: 200 where
/// it was carried out, 409 where a rule forbids it, 202 where nothing has come
/// of it in time. A command that says too little is 400 with the field.
pub(super) async fn take(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // Browsers send this type across sites only after asking, so a page
    // elsewhere cannot give commands.
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if essence != "application/json" {
        let why = "send the command with content-type application/json\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response();
    }
    let response = match responses::read(&body, app.shared.clock.now()) {
        Ok(response) => response,
        Err(fault) => {
            let body = json(&serde_json::json!({"error": fault}));
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
    };
    let id = response.id();
    let record = responses::record(&app.topics.named("responses"), &response);
    let store = app.shared.store.clone();
    let appended = tokio::task::spawn_blocking(move || {
        let mut appender = store.appender()?;
        appender.append(record, None)?;
        appender.flush()
    });
    match appended.await {
        Ok(Ok(())) => {}
        Ok(Err(error @ LogError::Unavailable(_))) => {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response();
        }
        Ok(Err(error)) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
        }
        Err(_) => {
            let why = "the append did not end\n";
            return (StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
        }
    }
    let wait = parameters.wait.map(|span| u64::try_from(span.as_micros()).unwrap_or(0));
    let wait = wait.map_or(WAIT, Duration::from_micros).min(WAIT_MAX);
    let answer = wait_for(&app, id, wait).await;
    let status = match answer.outcome.as_str() {
        "done" => StatusCode::OK,
        "refused" => StatusCode::CONFLICT,
        _ => StatusCode::ACCEPTED,
    };
    (status, json(&answer)).into_response()
}

async fn wait_for(app: &App, id: String, wait: Duration) -> Answer {
    let begun = Instant::now();
    loop {
        let facts = facts_of(app, &id);
        let is_over = begun.elapsed() >= wait || app.shared.is_stopping();
        if !facts.is_empty() && !is_over {
            // Those of one commit are taken in one by one.
            tokio::time::sleep(LOOK_EVERY).await;
            return Answer::of(id.clone(), facts_of(app, &id));
        }
        if is_over {
            return Answer::of(id, facts);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn facts_of(app: &App, id: &str) -> Vec<Fact> {
    app.shared.view.lock().unwrap_or_else(PoisonError::into_inner).answers.of(id)
}
