//! `[sinks.NAME]`: where escalations are sent. Which keys there are, what each
//! tool needs, and what would give a secret away.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use watchkeep_interop::sink::{pagerduty, webhook};
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::stage::deliver::{Sink, Tool};

use super::ConfigError;
use super::keys::{Key, Kind, SINKS};
use super::layers::{Layers, Setting};

/// Names of tools, for a key that may be one of them.
const TOOLS: [&str; 5] = ["pagerduty", "alertmanager", "webhook", "slack", "email"];

const fn key(
    path: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Key {
    Key { path, kind, default, meaning }
}

/// Keys of a sink, without `sinks.NAME`.
pub(crate) const SINK_KEYS: [Key; 15] = [
    key("tool", Kind::OneOf(&TOOLS), None, "what the sink speaks"),
    key("url", Kind::Text, None, "its address; for e-mail smtp:// or smtps://"),
    key("secret_file", Kind::Path, None, "file with its key or password"),
    key("secret_env", Kind::Text, None, "variable with its key or password"),
    key("username", Kind::Text, None, "name that the password belongs to"),
    key(
        "to",
        Kind::Texts,
        None,
        "addresses that are this sink's business; by default those of no other",
    ),
    key("takes", Kind::OneOf(&["addressed", "all"]), Some("addressed"), "which messages it takes"),
    key("drill", Kind::Flag, Some("false"), "whether it takes those of exercises, and only those"),
    key(
        "per_minute",
        Kind::Count,
        None,
        "requests a minute at most; by default what the tool bears",
    ),
    key("timeout", Kind::Span, Some("10s"), "how long one request may take"),
    key("give_up_after", Kind::Span, Some("5m"), "how long a message is tried"),
    key(
        "resolve_timeout",
        Kind::Span,
        Some("5m"),
        "how long Alertmanager keeps an alert that is not sent again",
    ),
    key("from", Kind::Text, None, "sender of e-mails"),
    key(
        "tls",
        Kind::OneOf(&["tls", "starttls", "none"]),
        None,
        "how e-mail is protected; by default never without",
    ),
    key("ca_file", Kind::Path, None, "authorities that it is trusted by, as PEM"),
];

/// Where a secret is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    File(PathBuf),
    Variable(String),
}

/// A secret. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret, for a request.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// How e-mail is protected on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailTls {
    /// From the first byte.
    Implicit,
    /// By STARTTLS; without it nothing is sent.
    Starttls,
    /// Not at all.
    None,
}

/// One sink.
#[derive(Clone)]
pub(crate) struct SinkConfig {
    /// What the deliver stage knows of it.
    pub(crate) sink: Sink,
    /// Its address; may hold a secret, so never printed as it is. Empty where
    /// the secret is the address.
    pub(crate) url: String,
    secret: Option<SecretSource>,
    /// Name that the secret belongs to.
    pub(crate) username: Option<String>,
    /// How long one request may take.
    pub(crate) timeout: TimeSpan,
    /// How long Alertmanager keeps an alert that is not sent again.
    pub(crate) resolve_timeout: TimeSpan,
    /// Sender of e-mails.
    pub(crate) from: Option<String>,
    /// How e-mail is protected.
    pub(crate) tls: MailTls,
    /// Authorities to trust.
    pub(crate) ca_file: Option<PathBuf>,
}

impl SinkConfig {
    #[cfg(test)]
    pub(crate) fn for_tests(url: &str) -> Self {
        let sink = Sink {
            name: "alerts".into(),
            tool: Tool::Alertmanager,
            to: Vec::new(),
            takes_all: false,
            drill: false,
            per_minute: 600,
            give_up_after: TimeSpan::MINUTE,
            refresh_every: None,
        };
        Self {
            sink,
            url: url.to_owned(),
            secret: None,
            username: None,
            timeout: TimeSpan::SECOND,
            resolve_timeout: TimeSpan::MINUTE,
            from: None,
            tls: MailTls::None,
            ca_file: None,
        }
    }

    /// Reads the secret from where it is kept, without the line's end.
    ///
    /// # Errors
    /// It cannot be read, or is empty.
    pub(crate) fn secret(&self) -> anyhow::Result<Option<Secret>> {
        let name = &self.sink.name;
        let text = match &self.secret {
            None => return Ok(None),
            Some(SecretSource::File(path)) => std::fs::read_to_string(path)
                .with_context(|| format!("sinks.{name}.secret_file = {}", path.display()))?,
            Some(SecretSource::Variable(variable)) => std::env::var(variable).map_err(|_| {
                anyhow::anyhow!("sinks.{name}.secret_env = {variable}: there is no such variable")
            })?,
        };
        let text = text.trim();
        if text.is_empty() {
            anyhow::bail!("sinks.{name}: the secret is empty");
        }
        if self.sink.tool == Tool::Slack && !is_fit_for_a_secret(text) {
            anyhow::bail!(
                "sinks.{name}: the secret, which is the address, must begin with https://; in the \
                 clear it would give itself away"
            );
        }
        if self.sink.tool == Tool::Webhook && !webhook::is_secret(text) {
            anyhow::bail!(
                "sinks.{name}: the secret begins with whsec_, and what follows is no base64 with \
                 its padding: receivers would refuse each signature"
            );
        }
        Ok(Some(Secret(text.to_owned())))
    }
}

/// Names of the sinks that are set, ascending.
pub(crate) fn names(layers: &Layers) -> BTreeSet<String> {
    let prefix = format!("{SINKS}.");
    let paths = layers.paths_below(&prefix);
    paths.filter_map(|path| Some(path[prefix.len()..].rsplit_once('.')?.0.to_owned())).collect()
}

/// A value as `config check` shows it: addresses may hold passwords, and those
/// of webhooks are secrets themselves.
pub(crate) fn shown_value(name: &str, setting: &Setting) -> String {
    let text = setting.parts.join(",");
    if name == "url" { masked_url(&text) } else { text }
}

/// The scheme and the host of an address, and whether there is more.
pub(crate) fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "********".to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let more = if path.trim_matches('/').is_empty() { "" } else { "/********" };
    format!("{scheme}://{host}{more}")
}

/// Every sink, checked.
pub(crate) fn checked(layers: &Layers, errors: &mut ConfigError) -> Vec<SinkConfig> {
    let all = names(layers);
    all.iter().filter_map(|name| Reader { layers, name, errors }.sink()).collect()
}

struct Reader<'a> {
    layers: &'a Layers,
    name: &'a str,
    errors: &'a mut ConfigError,
}

impl Reader<'_> {
    fn path(&self, key: &str) -> String {
        format!("{SINKS}.{}.{key}", self.name)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.layers.text(&self.path(key)).filter(|text| !text.is_empty())
    }

    /// Tells what is wrong, at the key's line or else the sink's first one.
    fn wrong(&mut self, key: &str, what: impl fmt::Display) {
        let path = self.path(key);
        let near = if self.layers.is_written(&path) { path.clone() } else { self.path("tool") };
        self.errors.add(self.layers.place(&near), format!("{path}: {what}"));
    }

    fn span(&mut self, key: &str, least: TimeSpan, most: TimeSpan) -> TimeSpan {
        let span = self.layers.span(&self.path(key), self.errors);
        if span < least || span > most {
            self.wrong(key, format!("must be at least {least} and at most {most}"));
        }
        span
    }

    fn sink(&mut self) -> Option<SinkConfig> {
        let Some(tool) = self.text("tool") else {
            self.wrong("tool", format!("must be one of {}", TOOLS.join(", ")));
            return None;
        };
        let tool = Tool::ALL.iter().find(|(_, name)| *name == tool)?.0;
        let timeout = self.span("timeout", TimeSpan::from_micros(100_000), TimeSpan::MINUTE);
        let give_up_after = self.span("give_up_after", TimeSpan::SECOND, TimeSpan::DAY);
        let resolve_timeout =
            self.span("resolve_timeout", TimeSpan::SECOND.times(2), TimeSpan::DAY);
        let per_minute = match self.text("per_minute") {
            None => default_rate(tool),
            Some(_) => {
                let count = self.layers.count(&self.path("per_minute"), self.errors);
                u32::try_from(count).unwrap_or(1)
            }
        };
        let takes_all = self.text("takes").as_deref() == Some("all");
        if takes_all && tool == Tool::Email {
            self.wrong("takes", "e-mail goes to addresses: use `addressed`");
        }
        let secret = self.secret_source();
        let url = self.url(tool, secret.is_some());
        let tls = self.mail_tls(tool, &url);
        self.check_clear_text(tool, &url, tls, secret.is_some());
        self.check_mail(tool, secret.is_some());
        let sink = Sink {
            name: self.name.into(),
            tool,
            to: self.layers.texts(&self.path("to")),
            takes_all,
            drill: self.text("drill").as_deref() == Some("true"),
            per_minute,
            give_up_after,
            // Twice may fail before the alert would expire.
            refresh_every: (tool == Tool::Alertmanager)
                .then(|| TimeSpan::from_micros(resolve_timeout.as_micros() / 4)),
        };
        Some(SinkConfig {
            sink,
            url,
            secret,
            username: self.text("username"),
            timeout,
            resolve_timeout,
            from: self.text("from"),
            tls,
            ca_file: self.layers.path(&self.path("ca_file")),
        })
    }

    fn secret_source(&mut self) -> Option<SecretSource> {
        let file = self.layers.path(&self.path("secret_file"));
        let variable = self.text("secret_env");
        if file.is_some() && variable.is_some() {
            self.wrong("secret_env", "set either secret_file or secret_env");
        }
        file.map(SecretSource::File).or(variable.map(SecretSource::Variable))
    }

    fn url(&mut self, tool: Tool, has_secret: bool) -> String {
        let url = self.text("url");
        let url = match (tool, url) {
            (Tool::Pagerduty, url) => {
                if !has_secret {
                    self.wrong("secret_file", "PagerDuty needs the integration's routing key");
                }
                url.unwrap_or_else(|| pagerduty::URL_DEFAULT.to_owned())
            }
            (Tool::Slack, url) => {
                if url.is_some() == has_secret {
                    let what = "give the webhook's address, which is a secret, by secret_file or \
                                secret_env, or else by url";
                    self.wrong("url", what);
                }
                url.unwrap_or_default()
            }
            (_, Some(url)) => url,
            (_, None) => {
                let example = match tool {
                    Tool::Email => "smtp://mail.example.com:587",
                    Tool::Alertmanager => "http://alertmanager:9093",
                    _ => "https://example.com/watchkeep",
                };
                self.wrong("url", format!("write the address, for example \"{example}\""));
                return String::new();
            }
        };
        if url.is_empty() {
            return url;
        }
        let schemes: &[&str] =
            if tool == Tool::Email { &["smtp", "smtps"] } else { &["https", "http"] };
        let parsed = url.split_once("://").filter(|(_, rest)| !host(rest).is_empty());
        match parsed {
            Some((scheme, _)) if schemes.contains(&scheme) => {}
            _ => self.wrong("url", format!("must begin with {}://", schemes.join(":// or "))),
        }
        if parsed.is_some_and(|(_, rest)| authority(rest).contains('@')) {
            self.wrong("url", "must hold no password: set username, and secret_file or secret_env");
        }
        url
    }

    fn mail_tls(&mut self, tool: Tool, url: &str) -> MailTls {
        let implicit = url.starts_with("smtps://");
        match self.text("tls").as_deref() {
            Some(_) if tool != Tool::Email => {
                self.wrong("tls", "is for e-mail; elsewhere the address says http or https");
                MailTls::Starttls
            }
            Some("tls") => MailTls::Implicit,
            Some("starttls") => MailTls::Starttls,
            Some("none") => MailTls::None,
            _ if implicit => MailTls::Implicit,
            _ if is_loopback(url) => MailTls::None,
            _ => MailTls::Starttls,
        }
    }

    /// A secret must not cross a network in the clear.
    fn check_clear_text(&mut self, tool: Tool, url: &str, tls: MailTls, has_secret: bool) {
        let is_clear = match tool {
            Tool::Email => tls == MailTls::None,
            // Of a webhook's secret only the signature travels.
            Tool::Webhook => false,
            Tool::Pagerduty | Tool::Alertmanager | Tool::Slack => url.starts_with("http://"),
        };
        let gives_away = has_secret || tool == Tool::Slack;
        if is_clear && gives_away && !is_loopback(url) {
            let what = match tool {
                Tool::Email => {
                    "the password would cross the network in the clear: use smtps:// or STARTTLS"
                }
                _ => "the secret would cross the network in the clear: use https://",
            };
            self.wrong("url", what);
        }
    }

    fn check_mail(&mut self, tool: Tool, has_secret: bool) {
        let username = self.text("username").is_some();
        match tool {
            Tool::Email => {
                if self
                    .text("from")
                    .and_then(|from| from.parse::<lettre::message::Mailbox>().ok())
                    .is_none()
                {
                    self.wrong(
                        "from",
                        "write the sender, for example \"Watchkeep <watchkeep@example.com>\"",
                    );
                }
                if username != has_secret {
                    self.wrong("username", "a name and a secret belong together");
                }
            }
            Tool::Alertmanager if username && !has_secret => {
                self.wrong("username", "a name and a secret belong together");
            }
            Tool::Alertmanager => {}
            Tool::Pagerduty | Tool::Webhook | Tool::Slack if username => {
                self.wrong("username", format!("{} knows no names", tool.name()));
            }
            Tool::Pagerduty | Tool::Webhook | Tool::Slack => {}
        }
    }
}

/// What tools bear, by what they publish: PagerDuty 120 events a minute and
/// integration, Slack one message a second and webhook.
const fn default_rate(tool: Tool) -> u32 {
    match tool {
        Tool::Pagerduty => 120,
        Tool::Slack | Tool::Email => 60,
        Tool::Alertmanager | Tool::Webhook => 600,
    }
}

fn authority(rest: &str) -> &str {
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// The host of what stands behind `://`, without port and brackets.
pub(crate) fn host(rest: &str) -> &str {
    let authority = authority(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(host, _)| host),
    }
}

/// The port of what stands behind `://`, where it names one.
pub(crate) fn port(rest: &str) -> Option<u16> {
    let (_, port) = authority(rest).rsplit_once(':')?;
    port.parse().ok()
}

/// True where an address can be a secret: it is read by nobody on the way.
fn is_fit_for_a_secret(url: &str) -> bool {
    let has_host = url.split_once("://").is_some_and(|(_, rest)| !host(rest).is_empty());
    has_host && (url.starts_with("https://") || (url.starts_with("http://") && is_loopback(url)))
}

/// True where an address is on this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| host(rest));
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
