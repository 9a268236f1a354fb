//! `/v1/who`: who answers for a subject, and everything that `watchkeep who` tells.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::{App, json};
use crate::charters;
use crate::commands::{incidents, who};

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    subject: String,
    at: Option<Timestamp>,
}

/// The answer as JSON; 404 where no charter is in force for the subject.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Query(Parameters { subject, at }): Query<Parameters>,
) -> Response {
    let subject = typed(&subject);
    let at = at.unwrap_or_else(|| app.shared.clock.now());
    let unknown = format!("no charter matches {subject} at {at}");
    let answered = tokio::task::spawn_blocking(move || {
        let shared = &app.shared;
        // The stages read both topics only when they have to decide.
        charters::follow(&shared.rules, &mut shared.store.reader()?)?;
        charters::follow_runs(&shared.rules, &mut shared.store.reader()?)?;
        let topic = app.topics.named("incidents");
        let incidents = incidents::of_log(&mut shared.store.reader()?, &topic)?;
        anyhow::Ok(who::told(&shared.rules.registry(), &subject, at, incidents))
    });
    let refuse = |status: StatusCode, why: String| (status, format!("{why}\n")).into_response();
    match answered.await {
        Ok(Ok(Some(answer))) => json(&answer),
        Ok(Ok(None)) => refuse(StatusCode::NOT_FOUND, unknown),
        Ok(Err(error)) => refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}")),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the answer did not end".into()),
    }
}
