//! HTTP on the loopback interface: health, metrics, a small API, and the page.
//!
//! | path | what |
//! |---|---|
//! | `/live` | 200 while the process lives |
//! | `/ready` | 200 while every stage works, 503 while one restores |
//! | `/metrics` | Prometheus text |
//! | `/v1/features`, `/v1/incidents` | JSON |
//! | `/v1/who` | who answers for a subject, what feeds and watches it, and why; JSON |
//! | `POST /v1/telemetry` | NDJSON lines into the embedded log |
//! | `/v1/lineage` | what a node is made from, or what is made from it; JSON |
//! | `POST /v1/lineage`, `POST /api/v1/lineage` | one OpenLineage event into the embedded log |
//! | `/v1/topics/NAME` | records of the topics that incidents and charters are told from |
//! | `POST /v1/responses` | a command of somebody, and what came of it |
//! | `/v1/proposals` | changes of charters that were asked for, JSON |
//! | `/` | the page |

mod lineage;
mod page;
mod responses;
mod telemetry;
mod topics;
mod who;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};
use serde::Serialize;
use watchkeep_incident::owner;
use watchkeep_model::subject::{typed, untyped};
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::config::{Config, Topics};
use crate::metrics;
use crate::service::view::View;
use crate::service::{Service, Shared};
use crate::signals;

/// Bytes of one request; a larger one is answered with 413.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;

/// Features on the page and in one answer. More are counted, and watched just
/// the same.
const LISTED_MAX: usize = 1_000;

/// Time that open requests have after the end of the service.
const LINGER: Duration = Duration::from_secs(2);

/// What the handlers share.
pub(crate) struct App {
    shared: Arc<Shared>,
    topics: Topics,
    pane: TimeSpan,
    is_demo: bool,
}

/// A feature as the page and the API list it.
#[derive(Serialize)]
pub(crate) struct FeatureLine {
    pub(crate) feature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    pub(crate) verdict: &'static str,
    pub(crate) open_breaches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window_end: Option<Timestamp>,
    pub(crate) count: u64,
    pub(crate) null_count: u64,
    pub(crate) watched_by: Vec<String>,
}

/// Serves until a signal, a failure, or `until` is over.
///
/// # Errors
/// The address cannot be had.
pub(crate) fn serve(
    config: &Config,
    service: &Service,
    until: Option<Duration>,
) -> anyhow::Result<()> {
    let listener = listen(config.listen)?;
    serve_on(listener, config, service, until, false)
}

/// Takes an address.
///
/// # Errors
/// It cannot be had.
pub(crate) fn listen(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address).with_context(|| {
        format!("http.listen = {address}: set another address, or stop what has this one")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// As [`serve`], on an address that was taken before.
///
/// # Errors
/// The system refuses.
pub(crate) fn serve_on(
    listener: std::net::TcpListener,
    config: &Config,
    service: &Service,
    until: Option<Duration>,
    is_demo: bool,
) -> anyhow::Result<()> {
    let shared = service.shared.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("http")
        .enable_all()
        .build()?;
    let (topics, pane) = (config.topics.clone(), config.time.pane);
    let app = Arc::new(App { shared: shared.clone(), topics, pane, is_demo });
    let result = runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tracing::info!(address = %listener.local_addr()?, "http");
        let ending = {
            let shared = shared.clone();
            async move {
                ended(&shared, until).await;
                // At once, so that the stages end while open requests linger.
                shared.stop();
            }
        };
        let lingered = async move {
            stopping(&shared).await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            served = axum::serve(listener, router(app)).with_graceful_shutdown(ending) => served,
            // A browser that keeps its connection open must not hold up the end.
            () = lingered => Ok(()),
        }
    });
    runtime.shutdown_background();
    result.context("http")
}

/// Ready when the threads are asked to end.
async fn stopping(shared: &Shared) {
    while !shared.is_stopping() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Ready at the end of the service, for whatever reason.
async fn ended(shared: &Shared, until: Option<Duration>) {
    let time_is_up = async {
        match until {
            Some(span) => tokio::time::sleep(span).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stopping(shared) => {}
        () = time_is_up => {}
        name = signals::asked() => tracing::info!("{name}: committing what there is"),
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/live", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(show_metrics))
        .route("/v1/features", get(features))
        .route("/v1/incidents", get(incidents))
        .route("/v1/who", get(who::show))
        .route("/v1/telemetry", post(telemetry::take))
        .route("/v1/lineage", get(lineage::show).post(lineage::take))
        // Where OpenLineage's HTTP transport sends by default.
        .route("/api/v1/lineage", post(lineage::take))
        .route("/v1/responses", post(responses::take))
        .route("/v1/proposals", get(responses::proposals))
        .route("/v1/topics/{topic}", get(topics::read))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(only_local_names))
        .with_state(app)
}

/// Refuses requests whose `Host` is not this machine's loopback name: a web
/// page elsewhere could otherwise point a name of its own here and read along.
async fn only_local_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    });
    let is_local = match name {
        None => true,
        Some("localhost" | "[::1]") => true,
        Some(name) => name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
    };
    if is_local {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "ask by localhost or 127.0.0.1\n").into_response()
    }
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.shared.status.is_ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "restoring\n").into_response()
    }
}

async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    let text = metrics::text(&app.shared.status, app.shared.clock.now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn show_page(State(app): State<Arc<App>>) -> Html<String> {
    Html(page::page(&app))
}

async fn features(State(app): State<Arc<App>>) -> Response {
    let view = app.shared.view.lock().unwrap_or_else(PoisonError::into_inner);
    let (features, total) = app.features(&view);
    json(&serde_json::json!({"features": features, "total": total}))
}

async fn incidents(State(app): State<Arc<App>>) -> Response {
    let view = app.shared.view.lock().unwrap_or_else(PoisonError::into_inner);
    let incidents: Vec<_> = view.incidents.values().collect();
    json(&serde_json::json!({"incidents": incidents}))
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            ([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl App {
    /// The features that a charter names or that have windows, and how many
    /// there are in all.
    fn features(&self, view: &View) -> (Vec<FeatureLine>, usize) {
        let registry = &*self.shared.rules.registry();
        let now = self.shared.clock.now();
        let named = registry.named().map(untyped);
        let seen = view.windows.keys().map(String::as_str);
        let names: std::collections::BTreeSet<&str> = named.chain(seen).collect();
        let lines = names
            .iter()
            .take(LISTED_MAX)
            .map(|name| {
                let charter = registry.charter(&typed(name), now);
                let resolved = owner::resolve(charter.as_deref(), registry, now, &|_| 0);
                let expectations = charter.as_deref().map(|c| c.expectations()).unwrap_or_default();
                let windows = view.windows.get(*name);
                let last = windows.and_then(|w| w.values().max_by_key(|w| w.window_end));
                let breaches = view.breaches.values().filter(|breach| breach.feature == **name);
                FeatureLine {
                    feature: (*name).to_owned(),
                    owner: charter.is_some().then_some(resolved.owner).flatten(),
                    verdict: view.verdict(name),
                    open_breaches: breaches.map(|breach| breach.expectation.clone()).collect(),
                    window_end: last.map(|window| window.window_end),
                    count: last.map_or(0, |window| window.count),
                    null_count: last.map_or(0, |window| window.null_count),
                    watched_by: expectations.iter().map(|e| e.name.clone()).collect(),
                }
            })
            .collect();
        (lines, names.len())
    }
}
