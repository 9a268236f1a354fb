//! Incoming webhooks of Slack, which Mattermost, Rocket.Chat and others take
//! too: a text, and blocks that Slack shows in its place.
//!
//! Sources: Slack, *Sending messages using incoming webhooks*, *Block Kit*
//! (3,000 characters a section), *Formatting text for app surfaces*.

use serde_json::{Value, json};
use watchkeep_model::escalation::Escalation;
use watchkeep_model::json::to_line;

use super::{details, headline, shortened};

/// Characters of one section.
const SECTION_CHARS_MAX: usize = 3_000;

/// The body of a message. `to` is a channel or person; tools whose webhooks
/// belong to one channel pass over it.
pub fn body(message: &Escalation, to: Option<&str>) -> String {
    let text = format!("*{}*", escaped(&headline(message)));
    let lines: Vec<String> = details(message)
        .into_iter()
        .map(|(label, text)| format!("*{label}:* {}", escaped(&text)))
        .collect();
    let mut body = json!({
        "text": cut(&text),
        "blocks": [section(&cut(&text)), section(&cut(&lines.join("\n")))],
    });
    if let Some(to) = to.filter(|to| to.starts_with(['#', '@'])) {
        body["channel"] = json!(to);
    }
    to_line(&body)
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text that fits into a section, no escape cut apart.
fn cut(text: &str) -> String {
    let mut short = shortened(text, SECTION_CHARS_MAX);
    if short.len() < text.len()
        && let Some(at) = short.rfind('&').filter(|at| !short[*at..].contains(';'))
    {
        short.truncate(at);
        short.push('…');
    }
    short
}
