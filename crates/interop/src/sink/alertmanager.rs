//! Alerts of Alertmanager's API v2: `POST /api/v2/alerts`.
//!
//! An alert *is* its labels: whoever changes one makes another alert. So
//! labels hold what identifies an incident and what routes it, annotations
//! everything else, and where a label had to change (an incident became worse,
//! or people were paged again) the old alert is ended in the same request. An
//! alert that stays the same would be told of again after `repeat_interval`
//! only; another one in the group is told of after `group_interval`. Firing alerts are sent again
//! before they expire, as Prometheus does.
//!
//! Source: Alertmanager, `api/v2/openapi.yaml`, `postableAlert`.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::escalation::Escalation;
use watchkeep_model::json::to_line;
use watchkeep_model::time::Timestamp;

use super::{details, is_web, one_line};

/// The path of the API below Alertmanager's own address.
pub const PATH: &str = "/api/v2/alerts";

/// The name of every alert of ours, by which routes can tell them.
pub const ALERT_NAME: &str = "WatchkeepIncident";

/// An alert as it is to stand from now on.
#[derive(Clone, Copy, Debug)]
pub struct Alert<'a> {
    /// The latest message that raised it.
    pub message: &'a Escalation,
    /// The address of the channel, where it has one.
    pub to: Option<&'a str>,
    /// The round of pages that it stands for; absent is the first.
    pub round: Option<Timestamp>,
    /// When it began.
    pub starts_at: Timestamp,
    /// Until when it holds: later than now while it fires, else the instant
    /// at which it ended.
    pub ends_at: Timestamp,
}

/// One alert of a request.
#[derive(Serialize)]
struct Postable {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: Timestamp,
    #[serde(rename = "endsAt")]
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// The body of a request.
pub fn body(alerts: &[Alert<'_>]) -> String {
    let alerts: Vec<Postable> = alerts.iter().map(postable).collect();
    to_line(&alerts)
}

/// What identifies the alert of a message.
pub fn labels(
    message: &Escalation,
    to: Option<&str>,
    round: Option<Timestamp>,
) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([
        ("alertname", ALERT_NAME.to_owned()),
        ("incident_id", message.incident_id.clone()),
        ("severity", message.severity.name().to_owned()),
        ("component", message.component.clone()),
        ("class", message.class.clone()),
    ]);
    labels.extend(message.group.clone().map(|group| ("group", group)));
    labels.extend(to.map(|to| ("to", to.to_owned())));
    labels.extend(round.map(|round| ("paged_at", round.to_string())));
    if message.drill {
        labels.insert("drill", "true".to_owned());
    }
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn postable(alert: &Alert<'_>) -> Postable {
    let message = alert.message;
    let lines: Vec<String> =
        details(message).into_iter().map(|(label, text)| format!("{label}: {text}")).collect();
    let mut annotations = BTreeMap::from([
        ("summary", one_line(&message.summary)),
        ("description", lines.join("\n")),
        ("reason", message.reason.clone()),
        ("affected_count", message.affected_count.to_string()),
    ]);
    annotations.extend(message.owner.clone().map(|owner| ("owner", owner)));
    annotations.extend(message.target.clone().map(|target| ("target", target)));
    annotations.extend(message.step.clone().map(|step| ("step", step)));
    annotations.extend(message.respond_by.map(|at| ("respond_by", at.to_string())));
    annotations.extend(message.runbook.clone().map(|runbook| ("runbook_url", runbook)));
    Postable {
        labels: labels(message, alert.to, alert.round),
        annotations,
        starts_at: alert.starts_at,
        // An end before the beginning is refused.
        ends_at: alert.ends_at.max(alert.starts_at),
        generator_url: message.runbook.clone().filter(|href| is_web(href)),
    }
}
