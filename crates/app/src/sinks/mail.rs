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
        Some(450 | 452) => Failure::Address(why),
        Some(400..=499) | None => Failure::Passing(why),
        Some(_) => Failure::Message(why),
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
