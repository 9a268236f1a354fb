//! `GET /v1/topics/NAME`: records of the topics that incidents and charters are told from,
//! for commands that cannot open a log which this process holds.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchkeep_model::position::Partition;
use watchkeep_runtime::log::LogError;

use super::{App, json};
use crate::store::Store;
use crate::store::through::{BYTES_MAX, Line, Page, READ_OUT, RECORDS_MAX};

/// What may stand behind the question mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    #[serde(default)]
    partition: i32,
    #[serde(default)]
    from: i64,
    to: Option<i64>,
}

/// A page of a partition's records: those of `[from, to)`, as many as fit.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    if READ_OUT.iter().all(|name| app.topics.named(name) != topic) {
        let names: Vec<String> = READ_OUT.iter().map(|name| app.topics.named(name)).collect();
        let why = format!("only {} are read out\n", names.join(", "));
        return (StatusCode::NOT_FOUND, why).into_response();
    }
    let store = app.shared.store.clone();
    match tokio::task::spawn_blocking(move || page(&store, &topic, &parameters)).await {
        Ok(Ok(page)) => json(&page),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the reading did not end\n").into_response(),
    }
}

fn page(store: &Store, topic: &str, parameters: &Parameters) -> Result<Page, LogError> {
    let mut reader = store.reader()?;
    let partitions = reader.partition_count(topic)?;
    if !(0..partitions).contains(&parameters.partition) {
        return Ok(Page { partitions, ..Page::default() });
    }
    let partition = Partition::new(topic, parameters.partition);
    let (first, end) = reader.bounds(&partition)?;
    let from = parameters.from.max(first);
    let to = parameters.to.unwrap_or(end).min(end).min(from.saturating_add(RECORDS_MAX));
    let mut page = Page { partitions, first, end, next: to.max(from), records: Vec::new() };
    if from >= to {
        return Ok(page);
    }
    let mut bytes = 0;
    for record in reader.read(&partition, from, to)? {
        bytes += record.value.len();
        if bytes > BYTES_MAX && !page.records.is_empty() {
            page.next = record.offset;
            break;
        }
        page.records.push(Line::from(&record));
    }
    Ok(page)
}
