//! What alerting tools are sent: one message of ours as the body, and where
//! they ask for them the headers, of a tool's own request. Pure: the shell
//! carries it there and reads the answer.
//!
//! `docs/sinks.md` says which field becomes which.

pub mod alertmanager;
pub mod email;
pub mod pagerduty;
pub mod slack;
pub mod webhook;

use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::time::{TimeSpan, Timestamp};

/// What a message says beside its summary, each with its label, in the order
/// in which people want to read it.
pub(crate) fn details(message: &Escalation) -> Vec<(&'static str, String)> {
    let mut all: Vec<(&'static str, String)> = Vec::new();
    let mut say = |label, text: Option<String>| {
        all.extend(text.filter(|text| !text.is_empty()).map(|text| (label, text)));
    };
    say("Why now", Some(message.reason.replace('_', " ")));
    say("Respond by", message.respond_by.map(|at| at.to_string()));
    say("Severity", Some(message.severity.name().to_owned()));
    say("Subject", Some(message.component.clone()));
    say("Belongs to", message.group.clone());
    let owner = if message.unowned { "nobody; the last resort is asked" } else { "" };
    say("Owner", message.owner.clone().or(Some(owner.to_owned())));
    let step = message.step.as_ref().map(|step| {
        let climb = message.climb.filter(|climb| *climb > 1);
        climb.map_or(step.clone(), |climb| format!("{step} (climb {climb})"))
    });
    say("Step", step);
    let target = message.target.as_ref().map(|target| match &message.role {
        Some(role) if role != target => format!("{target} as {role}"),
        _ => target.clone(),
    });
    say("Asked", target);
    say("Affected", Some(listed(&message.affected_features, message.affected_count)));
    say("Used by", Some(message.consumers.join(", ")));
    for (name, text) in &message.custom_details {
        say("Because", Some(format!("{name}: {text}")));
    }
    say("Runbook", message.runbook.clone());
    for link in &message.links {
        say("See", Some(format!("{}: {}", link.text, link.href)));
    }
    say("Incident", Some(message.incident_id.clone()));
    all
}

/// The first names and how many more there are.
fn listed(names: &[String], count: u64) -> String {
    let more = count.saturating_sub(names.len() as u64);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// One line that says what the message is, for a subject or a headline.
pub(crate) fn headline(message: &Escalation) -> String {
    let what = match (message.audience, message.event_action) {
        (Audience::Page, _) => "PAGE".to_owned(),
        (Audience::Inform, _) => "FYI".to_owned(),
        (Audience::Status, EventAction::Resolve) => "RESOLVED".to_owned(),
        (Audience::Status, _) => message.reason.replace('_', " ").to_uppercase(),
    };
    one_line(&format!("[{what}] {}", message.summary))
}

/// A text without line breaks and other control characters, which must not
/// reach a header or a headline.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// At most `max` characters, the last one an ellipsis where some were left out.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// True for what a tool can make a link of.
pub(crate) fn is_web(href: &str) -> bool {
    href.starts_with("https://") || href.starts_with("http://")
}

/// How long a `Retry-After` header asks to wait: seconds, or a date as mail
/// has it. Source: RFC 9110, 10.2.3.
pub fn retry_after(header: &str, now: Timestamp) -> Option<TimeSpan> {
    if let Ok(seconds) = header.trim().parse::<u32>() {
        return Some(TimeSpan::SECOND.times(i64::from(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(header.trim()).ok()?;
    let wait = Timestamp::from_micros(date.timestamp().as_microsecond()).since(now);
    Some(wait.max(TimeSpan::ZERO))
}

#[cfg(test)]
mod tests;
