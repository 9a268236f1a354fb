//! `POST /v1/responses`: one command of somebody, and what came of it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchkeep_incident::command;
use watchkeep_incident::registry::publications::decide::Desk;
use watchkeep_model::incident::Fact;
use watchkeep_model::response::Response as Command;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::LogError;

use super::{App, json};
use crate::charters;
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
    let answer = match command::is_about_charters(&response) {
        true => wait_for_charters(&app, response, wait).await,
        false => wait_for(&app, id, wait).await,
    };
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

/// The same of a command about charters, which the charters topic tells of; what
/// cannot be meant, the incident log.
async fn wait_for_charters(app: &Arc<App>, response: Command, wait: Duration) -> Answer {
    let begun = Instant::now();
    let response = Arc::new(response);
    loop {
        let (one, asked) = (app.clone(), response.clone());
        let looked = tokio::task::spawn_blocking(move || answer_of(&one, &asked)).await;
        if let Ok(Some(answer)) = looked {
            return answer;
        }
        let facts = facts_of(app, &response.id());
        if !facts.is_empty() || begun.elapsed() >= wait || app.shared.is_stopping() {
            return Answer::of(response.id(), facts);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn answer_of(app: &App, response: &Command) -> Option<Answer> {
    let shared = &app.shared;
    // A process without the stage that decides reads the topic here.
    shared.store.reader().ok().and_then(|mut r| charters::follow(&shared.rules, &mut r).ok())?;
    let (publications, registry) = shared.rules.publications()?;
    let desk = Desk { publications: &publications, registry: &registry, pane: app.pane };
    Answer::about_charters(response, &desk)
}

/// `GET /v1/proposals`: every change of charters that was asked for, and what it
/// waits for.
pub(super) async fn proposals(State(app): State<Arc<App>>) -> Response {
    let listed = tokio::task::spawn_blocking(move || {
        let shared = &app.shared;
        charters::follow(&shared.rules, &mut shared.store.reader()?)?;
        let known = shared.rules.publications();
        anyhow::Ok(known.map_or_else(Vec::new, |(publications, registry)| {
            let desk = Desk { publications: &publications, registry: &registry, pane: app.pane };
            desk.proposals()
        }))
    });
    match listed.await {
        Ok(Ok(proposals)) => json(&proposals),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn facts_of(app: &App, id: &str) -> Vec<Fact> {
    app.shared.view.lock().unwrap_or_else(PoisonError::into_inner).answers.of(id)
}
