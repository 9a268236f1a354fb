//! Requests to tools that take them over HTTP, and what their answers mean.

use std::io::Read as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Body, http};
use watchkeep_interop::sink::{alertmanager, pagerduty, retry_after, slack, webhook};
use watchkeep_model::escalation::EventAction;
use watchkeep_model::time::{TimeSpan, Timestamp};
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

    /// Sends a request, which for PagerDuty may be several of theirs; each may
    /// be repeated without harm.
    pub(super) fn send(&self, request: &Request) -> Result<(), Failure> {
        let Some(first) = request.alerts.first() else { return Ok(()) };
        let key = self.secret.as_ref().map(Secret::reveal);
        let (bodies, headers) = match self.tool {
            Tool::Pagerduty => (events(first, key.unwrap_or_default()), json()),
            Tool::Alertmanager => (vec![self.alerts(request)], json()),
            Tool::Slack => (vec![slack::body(&first.message, first.to.as_deref())], json()),
            Tool::Webhook => {
                let body = webhook::body(&first.message);
                let headers = webhook::headers(&first.message, &body, key, request.at);
                (vec![body], headers)
            }
            Tool::Email => return Err(Failure::Settings("e-mail is not sent over HTTP".into())),
        };
        bodies.into_iter().try_for_each(|body| self.post(body, &headers, request.at))
    }

    fn post(
        &self,
        body: String,
        headers: &[(&'static str, String)],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut post = self.agent.post(&self.url);
        for (name, value) in headers {
            post = post.header(*name, value);
        }
        if let Some(authorization) = &self.authorization {
            post = post.header("authorization", authorization);
        }
        let response = post.send(body).map_err(|error| unsent(&error))?;
        judge(self.tool, response, now)
    }

    /// Firing alerts with their end ahead; ended ones, and those whose labels
    /// have changed since, with the end where it was.
    fn alerts(&self, request: &Request) -> String {
        let mut all = Vec::new();
        for one in &request.alerts {
            let Alert { message, to, since, previous, pages } = one;
            let is_over = message.event_action == EventAction::Resolve;
            let (to, starts_at) = (to.as_deref(), *since);
            let alert = |message, round, ends_at| alertmanager::Alert {
                message,
                to,
                round,
                starts_at,
                ends_at,
            };
            let last = one.last_round();
            let mut known = vec![alertmanager::labels(message, to, last)];
            // Without a message before there is nothing to end.
            for before in previous.iter().flat_map(|previous| [previous, message]) {
                for round in pages.iter().map(|page| one.round(*page)).chain([last]) {
                    let labels = alertmanager::labels(before, to, round);
                    if !known.contains(&labels) {
                        known.push(labels);
                        all.push(alert(before, round, request.at));
                    }
                }
            }
            let ends_at = if is_over { request.at } else { request.at + self.resolve_timeout };
            all.push(alert(message, last, ends_at));
        }
        alertmanager::body(&all)
    }
}

/// The events of a message: what it says of the alert that stands, then the
/// ends of those of earlier rounds. The new one comes first, so that whatever
/// fails in between, somebody hears of it.
fn events(alert: &Alert, routing_key: &str) -> Vec<String> {
    let message = &alert.message;
    let key = pagerduty::dedup_key(message, alert.last_round());
    let mut events = vec![pagerduty::event(message, &key, routing_key)];
    if message.event_action == EventAction::Acknowledge {
        return events;
    }
    let earlier = alert.pages.split_last().map_or(&[][..], |(_, earlier)| earlier);
    events.extend(earlier.iter().map(|page| {
        pagerduty::end(&pagerduty::dedup_key(message, alert.round(*page)), routing_key)
    }));
    events
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
fn judge(tool: Tool, mut response: http::Response<Body>, now: Timestamp) -> Result<(), Failure> {
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
        // So Slack tells of one channel: the hook itself is right.
        404 | 410 if tool == Tool::Slack && answer.starts_with("channel_") => Failure::Message(why),
        401 | 403 | 404 | 405 | 407 | 410 => Failure::Settings(why),
        // PagerDuty tells so of a key that it does not know.
        400 if tool == Tool::Pagerduty && answer.contains("routing") => Failure::Settings(why),
        408 | 425 => Failure::Passing(why),
        400..500 => Failure::Message(why),
        _ => Failure::Passing(why),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_micros(minute * 60_000_000)
    }

    fn alert(action: &str, severity: &str) -> Alert {
        let message = serde_json::json!({
            "id": "m", "type": "t", "source": "s", "subject": "feature:a", "time": minute(9),
            "incident_id": "i", "dedup_key": "i", "event_action": action, "severity": severity,
            "summary": "s", "component": "feature:a", "class": "drift", "audience": "page",
            "reason": "escalated", "unowned": false, "affected_features": [], "affected_count": 1,
            "consumers": [], "links": [], "drill": false, "custom_details": {},
        });
        Alert {
            message: Arc::new(serde_json::from_value(message).unwrap()),
            to: None,
            since: minute(0),
            previous: None,
            pages: vec![minute(0), minute(5), minute(9)],
        }
    }

    #[test]
    fn pagerduty_hears_of_the_last_round_and_then_of_the_end_of_others() {
        let told = |action| -> Vec<String> {
            let events = events(&alert(action, "error"), "key");
            let of = |event: &String| {
                let event: Value = serde_json::from_str(event).unwrap();
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("event_action"), text("dedup_key"))
            };
            events.iter().map(of).collect()
        };
        let key = |minute: i64| format!("i 1970-01-01T00:0{minute}:00Z");
        let ended = |minute| format!("resolve {}", key(minute));
        assert_eq!(told("trigger"), [format!("trigger {}", key(9)), "resolve i".into(), ended(5)]);
        assert_eq!(told("acknowledge"), [format!("acknowledge {}", key(9))]);
        assert_eq!(told("resolve"), [ended(9), "resolve i".into(), ended(5)]);
    }

    #[test]
    fn alertmanager_ends_what_had_other_labels_in_the_same_request() {
        let config = crate::config::sinks::SinkConfig::for_tests("http://127.0.0.1:9/");
        let http = Http::new(&config, None).unwrap();
        let mut one = alert("trigger", "critical");
        one.previous = Some(alert("trigger", "error").message);
        let request = Request { ticket: 0, sink: 0, alerts: vec![one.clone()], at: minute(10) };
        let all: Vec<Value> = serde_json::from_str(&http.alerts(&request)).unwrap();
        let end = serde_json::to_value(minute(10)).unwrap();
        let ended = |alert: &&Value| alert["endsAt"] == end;
        // Two severities in three rounds, one of which fires.
        assert_eq!((all.len(), all.iter().filter(ended).count()), (6, 5));
        let last = &all[5]["labels"];
        assert_eq!(
            (&last["severity"], &last["paged_at"]),
            (&"critical".into(), &minute(9).to_string().into())
        );
        one.previous = None;
        let request = Request { alerts: vec![one], ..request };
        let all: Vec<Value> = serde_json::from_str(&http.alerts(&request)).unwrap();
        assert_eq!(all.len(), 1, "a refresh ends nothing");
    }
}
