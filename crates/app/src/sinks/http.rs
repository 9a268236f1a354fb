//! Requests to tools that take them over HTTP, and what their answers mean.

use std::io::Read as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Body, http};
use watchkeep_interop::sink::{alertmanager, pagerduty, retry_after, slack, webhook};
use watchkeep_model::escalation::EventAction;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::stage::deliver::{Alert, Failure, Request, Tool};

use super::duration;
use crate::config::sinks::{Secret, SinkConfig, is_loopback};

const JSON: &str = "application/json";

/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// A sink that speaks HTTP.
pub(super) struct Http {
    tool: Tool,
    agent: Agent,
    /// May hold a secret.
    url: String,
    secret: Option<Secret>,
    authorization: Option<String>,
    resolve_timeout: TimeSpan,
}

impl Http {
    /// # Errors
    /// The certificates cannot be read.
    pub(super) fn new(config: &SinkConfig, secret: Option<&Secret>) -> anyhow::Result<Self> {
        let tool = config.sink.tool;
        let url = match (tool, secret) {
            (Tool::Slack, Some(secret)) => secret.reveal().to_owned(),
            (Tool::Alertmanager, _) if !config.url.ends_with(alertmanager::PATH) => {
                format!("{}{}", config.url.trim_end_matches('/'), alertmanager::PATH)
            }
            _ => config.url.clone(),
        };
        let authorization = match (tool, secret, &config.username) {
            (Tool::Alertmanager, Some(secret), Some(name)) => {
                let pair = format!("{name}:{}", secret.reveal());
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            (Tool::Alertmanager, Some(secret), None) => Some(format!("Bearer {}", secret.reveal())),
            _ => None,
        };
        let builder = Agent::config_builder()
            .timeout_global(Some(duration(config.timeout)))
            .tls_config(tls(config)?)
            .http_status_as_error(false)
            // A redirect would carry a secret elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("watchkeep/", env!("CARGO_PKG_VERSION")))
            // A connection that the other side has closed meanwhile would look
            // like a failure; messages are few.
            .max_idle_connections(0);
        // What runs on this machine is not reached through a proxy.
        let builder = if is_loopback(&url) { builder.proxy(None) } else { builder };
        Ok(Self {
            tool,
            agent: builder.build().into(),
            url,
            secret: secret.cloned(),
            authorization,
            resolve_timeout: config.resolve_timeout,
        })
    }

    pub(super) fn send(&self, request: &Request) -> Result<(), Failure> {
        let Some(first) = request.alerts.first() else { return Ok(()) };
        let key = self.secret.as_ref().map(Secret::reveal);
        let (body, headers) = match self.tool {
            Tool::Pagerduty => (pagerduty::event(&first.message, key.unwrap_or_default()), json()),
            Tool::Alertmanager => (self.alerts(request), json()),
            Tool::Slack => (slack::body(&first.message, first.to.as_deref()), json()),
            Tool::Webhook => {
                let body = webhook::body(&first.message);
                let headers = webhook::headers(&first.message, &body, key, request.at);
                (body, headers)
            }
            Tool::Email => return Err(Failure::Settings("e-mail is not sent over HTTP".into())),
        };
        let mut post = self.agent.post(&self.url);
        for (name, value) in headers {
            post = post.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            post = post.header("authorization", authorization);
        }
        let response = post.send(body).map_err(|error| unsent(&error))?;
        judge(self.tool, response, request.at)
    }

    /// Firing alerts with their end ahead; ended ones, and those whose labels
    /// have changed since, with the end where it was.
    fn alerts(&self, request: &Request) -> String {
        let mut all = Vec::new();
        for Alert { message, to, since, previous } in &request.alerts {
            let is_over = message.event_action == EventAction::Resolve;
            let to = to.as_deref();
            let alert =
                |message, ends_at| alertmanager::Alert { message, to, starts_at: *since, ends_at };
            let labels = alertmanager::labels(message, to);
            let changed = previous.as_ref().filter(|one| alertmanager::labels(one, to) != labels);
            all.extend(changed.map(|before| alert(before, request.at)));
            let ends_at = if is_over { request.at } else { request.at + self.resolve_timeout };
            all.push(alert(message, ends_at));
        }
        alertmanager::body(&all)
    }
}

fn json() -> Vec<(&'static str, String)> {
    vec![("content-type", JSON.to_owned())]
}

fn tls(config: &SinkConfig) -> anyhow::Result<TlsConfig> {
    let roots = match &config.ca_file {
        None => RootCerts::PlatformVerifier,
        Some(path) => {
            let place = || format!("sinks.{}.ca_file = {}", config.sink.name, path.display());
            let pem = std::fs::read(path).with_context(place)?;
            let mut certificates: Vec<Certificate<'static>> = Vec::new();
            for item in parse_pem(&pem) {
                if let PemItem::Certificate(certificate) = item.with_context(place)? {
                    certificates.push(certificate);
                }
            }
            anyhow::ensure!(!certificates.is_empty(), "{}: no certificate in it", place());
            RootCerts::from(certificates)
        }
    };
    Ok(TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build())
}

/// Why nothing came back. Texts of the library may hold the address, so only
/// those that cannot are repeated.
fn unsent(error: &ureq::Error) -> Failure {
    use ureq::Error as E;
    match error {
        E::Timeout(what) => Failure::Passing(format!("no answer in time ({what})")),
        E::HostNotFound => Failure::Passing("the host is not found".into()),
        E::ConnectionFailed => Failure::Passing("no connection".into()),
        E::Io(error) => Failure::Passing(error.to_string()),
        E::Tls(why) => Failure::Passing(format!("TLS: {why}")),
        E::NativeTls(error) => Failure::Passing(format!("TLS: {error}")),
        E::BadUri(_) | E::Http(_) => Failure::Settings("the address cannot be used".into()),
        E::Protocol(_) => Failure::Passing("the answer is no HTTP".into()),
        _ => Failure::Passing("the request failed".into()),
    }
}

/// What an answer means.
fn judge(
    tool: Tool,
    mut response: http::Response<Body>,
    now: watchkeep_model::time::Timestamp,
) -> Result<(), Failure> {
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(());
    }
    let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| retry_after(text, now));
    let mut answer = Vec::new();
    // What cannot be read of it would only have explained.
    let _ = response.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let why = match answer.trim() {
        "" => format!("HTTP {status}"),
        text => format!("HTTP {status}: {text}"),
    };
    Err(match status {
        429 => Failure::Busy { why, after },
        503 if after.is_some() => Failure::Busy { why, after },
        300..400 => Failure::Settings(format!(
            "HTTP {status}: it is somewhere else: set the address that is redirected to"
        )),
        401 | 403 | 404 | 405 | 407 | 410 => Failure::Settings(why),
        // PagerDuty tells so of a key that it does not know.
        400 if tool == Tool::Pagerduty && answer.contains("routing") => Failure::Settings(why),
        408 | 425 => Failure::Passing(why),
        400..500 => Failure::Message(why),
        _ => Failure::Passing(why),
    })
}
