//! E-mails: subject, text, and what keeps the messages of one incident together.

use watchkeep_model::escalation::{Audience, Escalation, EventAction};

use super::{details, headline, one_line, shortened};

/// Characters of a subject; mail programs show fewer.
const SUBJECT_CHARS_MAX: usize = 200;

/// An e-mail without its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// The text, lines ended by a line feed.
    pub text: String,
    /// `Message-ID`, the same with every repetition, so that mail servers and
    /// programs can tell a second copy.
    pub message_id: String,
    /// `References`, the same for all messages of an incident, so that mail
    /// programs show them together.
    pub thread: String,
}

/// The e-mail of a message. `domain` is what identifiers end with, by custom
/// that of the sender.
pub fn mail(message: &Escalation, domain: &str) -> Mail {
    let mut text = format!("{}\n\n", one_line(&message.summary));
    for (label, value) in details(message) {
        text.push_str(&format!("{label}: {}\n", one_line(&value)));
    }
    text.push_str(&format!("\n{}\n", closing(message)));
    Mail {
        subject: shortened(&headline(message), SUBJECT_CHARS_MAX),
        text,
        message_id: format!("<{}@{domain}>", message.id),
        thread: format!("<{}@{domain}>", message.incident_id),
    }
}

fn closing(message: &Escalation) -> String {
    match (message.audience, message.event_action) {
        (Audience::Page, _) => {
            format!("You are asked to respond: watchkeep incidents ack {}", message.incident_id)
        }
        (_, EventAction::Resolve) => "Nothing is left to do about this incident.".to_owned(),
        _ => "For your information; nothing is asked of you.".to_owned(),
    }
}
