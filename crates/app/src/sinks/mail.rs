//! E-mail over SMTP.

use anyhow::Context as _;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};
use watchkeep_interop::sink::email;
use watchkeep_runtime::stage::deliver::{Failure, Request};

use super::duration;
use crate::config::sinks::{MailTls, Secret, SinkConfig, host, port};

/// A sink that sends e-mail.
pub(super) struct Mail {
    transport: SmtpTransport,
    from: Mailbox,
}

impl Mail {
    /// # Errors
    /// The certificates cannot be read.
    pub(super) fn new(config: &SinkConfig, secret: Option<&Secret>) -> anyhow::Result<Self> {
        let name = &config.sink.name;
        let (_, rest) = config.url.split_once("://").context("an address of a mail server")?;
        let from = config.from.as_deref().unwrap_or_default();
        let from = from.parse().with_context(|| format!("sinks.{name}.from"))?;
        let standard_port = match config.tls {
            MailTls::Implicit => 465,
            MailTls::Starttls => 587,
            MailTls::None => 25,
        };
        let tls = match config.tls {
            MailTls::Implicit => Tls::Wrapper(parameters(config, host(rest))?),
            MailTls::Starttls => Tls::Required(parameters(config, host(rest))?),
            MailTls::None => Tls::None,
        };
        let mut builder = SmtpTransport::builder_dangerous(host(rest))
            .port(port(rest).unwrap_or(standard_port))
            .timeout(Some(duration(config.timeout)))
            .tls(tls);
        if let (Some(username), Some(secret)) = (&config.username, secret) {
            let credentials = Credentials::new(username.clone(), secret.reveal().to_owned());
            builder = builder.credentials(credentials);
        }
        Ok(Self { transport: builder.build(), from })
    }

    pub(super) fn send(&self, request: &Request) -> Result<(), Failure> {
        let Some(alert) = request.alerts.first() else { return Ok(()) };
        let to = alert.to.as_deref().unwrap_or_default();
        let to: Mailbox =
            to.parse().map_err(|_| Failure::Message(format!("`{to}` is no e-mail address")))?;
        let mail = email::mail(&alert.message, self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject)
            .message_id(Some(mail.message_id))
            .references(mail.thread.clone())
            .in_reply_to(mail.thread)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(|error| Failure::Message(error.to_string()))?;
        self.transport.send(&message).map(|_| ()).map_err(|error| failure(&error))
    }
}

/// SMTP tells by its first digit whether trying again makes sense; 53x is
/// about who we are, not about the message. A mailbox that is busy, greylisted
/// or full is one of many. Source: RFC 5321, 4.2.1 and 4.2.3; RFC 4954, 6.
fn failure(error: &SmtpError) -> Failure {
    let why = if is_timeout(error) { "no answer in time".to_owned() } else { error.to_string() };
    match error.status().map(u16::from) {
        Some(530..=539) => Failure::Settings(why),
        Some(code @ 400..=499) if is_of_mailbox(code, &why) => Failure::Address(why),
        Some(400..=499) | None => Failure::Passing(why),
        Some(_) => Failure::Message(why),
    }
}

/// True where a passing refusal is about the recipient and not about the
/// server. The enhanced code says so by its second number: 1 addresses, 2
/// mailboxes, 7 policies, of which greylisting is one (RFC 3463, 3); without
/// it 450 is a mailbox that is not available, and 452 most often one that is
/// full (RFC 5321, 4.2.3).
fn is_of_mailbox(code: u16, why: &str) -> bool {
    let enhanced = why.split(|c: char| c.is_whitespace() || "():;,".contains(c)).find_map(|word| {
        let (subject, detail) = word.strip_prefix("4.")?.split_once('.')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (is_number(subject) && is_number(detail)).then_some(subject)
    });
    match (code, enhanced) {
        // The server goes away, or has trouble with who we are.
        (421 | 454, _) => false,
        (_, Some(subject)) => matches!(subject, "1" | "2" | "7"),
        (code, None) => matches!(code, 450 | 452),
    }
}

/// True where a read or write took too long; systems name it in two ways.
fn is_timeout(error: &SmtpError) -> bool {
    let kinds = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        if one.downcast_ref::<std::io::Error>().is_some_and(|io| kinds.contains(&io.kind())) {
            return true;
        }
        cause = one.source();
    }
    error.is_timeout()
}

fn parameters(config: &SinkConfig, host: &str) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.ca_file {
        let place = || format!("sinks.{}.ca_file = {}", config.sink.name, path.display());
        let pem = std::fs::read(path).with_context(place)?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).with_context(place)?);
    }
    builder.build().with_context(|| format!("sinks.{}: TLS", config.sink.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_that_takes_nothing_for_now_is_told_from_a_server_that_does_not() {
        for (code, why, is_of_one) in [
            (450, "transient error (450): greylisted, try later", true),
            (451, "transient error (451): 4.7.1 greylisted", true),
            (452, "transient error (452): 4.2.2 The mailbox is full", true),
            (452, "transient error (452): full", true),
            (452, "transient error (452): 4.3.1 no space on 10.4.2.1", false),
            (451, "transient error (451): local error", false),
            (450, "transient error (450): 4.3.2 the system takes nothing", false),
            (421, "transient error (421): 4.7.0 too many connections", false),
        ] {
            assert_eq!(is_of_mailbox(code, why), is_of_one, "{why}");
        }
    }
}
