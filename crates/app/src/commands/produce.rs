//! `watchkeep produce`: lines to the log, as they are.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use watchkeep_model::subject::untyped;
use watchkeep_runtime::log::{CONTENT_TYPE, LogError, Outgoing};
use watchkeep_wire::content_type;

use crate::Outcome;
use crate::cli::{KeyChoice, Produce};
use crate::config::{Config, LogConfig};
use crate::http::BODY_BYTES_MAX;
use crate::input::Lines;
use crate::output::{Output, counted, grouped};
use crate::progress::Progress;
use crate::store::{Appender, Store};

/// Bytes of lines that go to a service in one request, unless a single line is longer.
const REQUEST_BYTES: usize = 2 << 20;

/// Lines after which the log is asked whether it has them, so that an error can
/// tell where to go on.
const LOG_LINES: usize = 50_000;

/// How long a service may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Topics of Watchkeep's own that others write to.
const FED: [&str; 2] = ["responses", "lineage"];

/// What an embedded log says when a service has it.
pub(crate) const HELD: &str = "another process holds it";

/// What a record's key is taken from.
pub(crate) type KeyOf = KeyChoice;

/// # Errors
/// Input that cannot be read, a log that does not answer.
pub(super) fn run(arguments: &Produce) -> anyhow::Result<Outcome> {
    let config = Config::load_required(arguments.configured.file.as_deref())?;
    let topic = match &arguments.topic {
        // The topics of ours that others write to.
        Some(topic) if FED.contains(&topic.as_str()) => config.topics.named(topic),
        Some(topic) => topic.clone(),
        None => config.topics.telemetry.first().cloned().unwrap_or_default(),
    };
    if let Some(ours) = topic.strip_prefix(&config.topics.prefix)
        && crate::config::keys::TOPICS.contains(&ours)
        && !FED.contains(&ours)
    {
        bail!("{topic} is a topic that only the service writes");
    }
    let lines = Lines::open(&arguments.input)?;
    let mut target = Target::open(&config, &topic, arguments.key)?;
    let mut progress = Progress::new("records");
    let count = write(lines, &mut target, &mut progress)?;
    progress.finish();
    let mut output = Output::new();
    let rate = grouped(progress.rate(count));
    let via = target.told();
    output.line(format_args!("{} to {topic}{via}, {rate} a second", counted(count, "record")))?;
    output.finish()?;
    Ok(Outcome::Fine)
}

fn write(mut lines: Lines, target: &mut Target, progress: &mut Progress) -> anyhow::Result<u64> {
    let mut line = Vec::new();
    let mut count = 0_u64;
    // Lines before this one are known to be written.
    let mut first = 0_i64;
    loop {
        let read = lines.read(&mut line);
        let number = match &read {
            Ok(Some(number)) => *number,
            // What came before an unreadable line is written all the same.
            Ok(None) | Err(_) => {
                target.flush().with_context(|| unsure(first, None))?;
                return read.map(|_| count).map_err(Into::into);
            }
        };
        if target.is_full(&line) {
            target.flush().with_context(|| unsure(first, Some(number)))?;
            first = number;
        }
        target.append(&line).with_context(|| unsure(first, Some(number + 1)))?;
        count += 1;
        if count.is_multiple_of(1_000) {
            progress.tell(count, lines.share());
        }
    }
}

/// Where to go on after an error: `first` and `end` count lines from 0.
fn unsure(first: i64, end: Option<i64>) -> String {
    let from = first + 1;
    let which = match end {
        Some(end) if end <= from => format!("line {from} is"),
        Some(end) => format!("lines {from} to {end} are"),
        None => format!("line {from} and those after it are"),
    };
    format!("{which} not known to be written, all before are: go on from line {from}")
}

/// Where the lines go.
enum Target {
    Log { appender: Appender, topic: std::sync::Arc<str>, key: KeyChoice, waiting: usize },
    Service { address: SocketAddr, path: String, waiting: Vec<u8> },
}

impl Target {
    fn open(config: &Config, topic: &str, key: KeyChoice) -> anyhow::Result<Self> {
        let opened = Store::open(config);
        if let (Err(LogError::Fatal(why)), LogConfig::Embedded { .. }) = (&opened, &config.log)
            && why.contains(HELD)
        {
            let name = match key {
                KeyChoice::Feature => "feature",
                KeyChoice::Entity => "entity",
                KeyChoice::None => "none",
            };
            let path = format!("/v1/telemetry?topic={topic}&key={name}");
            return Ok(Self::Service { address: config.listen, path, waiting: Vec::new() });
        }
        let store = opened?;
        if store.reader()?.partition_count(topic)? == 0 {
            return Err(LogError::NoTopic(topic.to_owned()).into());
        }
        Ok(Self::Log { appender: store.appender()?, topic: topic.into(), key, waiting: 0 })
    }

    /// True where what waits is to be written before this line is taken.
    fn is_full(&self, line: &[u8]) -> bool {
        match self {
            Self::Log { waiting, .. } => *waiting >= LOG_LINES,
            Self::Service { waiting, .. } => waiting.len() + line.len() >= REQUEST_BYTES,
        }
    }

    fn append(&mut self, line: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Log { appender, topic, key, waiting } => {
                *waiting += 1;
                let record = Outgoing {
                    topic: topic.clone(),
                    partition: None,
                    key: key_of(line, *key),
                    value: line.to_vec(),
                    headers: headers_of(line),
                };
                Ok(appender.append(record, None)?)
            }
            Self::Service { .. } if line.len() >= BODY_BYTES_MAX => {
                self.flush()?;
                bail!(
                    "a line has {} bytes, and a service takes {} MiB in one request: stop the \
                     service to write it",
                    line.len(),
                    BODY_BYTES_MAX >> 20
                )
            }
            Self::Service { waiting, .. } => {
                waiting.extend_from_slice(line);
                waiting.push(b'\n');
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Log { appender, waiting, .. } => {
                appender.flush()?;
                *waiting = 0;
                Ok(())
            }
            Self::Service { address, path, waiting } => {
                if waiting.is_empty() {
                    return Ok(());
                }
                let body = std::mem::take(waiting);
                post(*address, path, &body).with_context(|| {
                    format!(
                        "another process holds the embedded log, and its service was asked at \
                         http://{address} (http.listen)"
                    )
                })
            }
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Log { .. } => String::new(),
            Self::Service { address, .. } => format!(" through the service at http://{address}"),
        }
    }
}

/// The headers of a line. One that does not look like JSON says that it ought to
/// be: by its first byte junk could pass for Avro whose schema is to be waited for.
pub(crate) fn headers_of(line: &[u8]) -> Vec<(String, Vec<u8>)> {
    if line.first() == Some(&b'{') {
        return Vec::new();
    }
    vec![(CONTENT_TYPE.to_owned(), content_type::JSON.as_bytes().to_vec())]
}

/// The key of a line; none where the line is not JSON or has no such field.
pub(crate) fn key_of(line: &[u8], key: KeyChoice) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        feature: Option<Cow<'a, str>>,
        #[serde(borrow)]
        entity: Option<Cow<'a, str>>,
    }
    if key == KeyChoice::None {
        return None;
    }
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    match key {
        KeyChoice::Feature => line.feature.map(|name| untyped(&name).as_bytes().to_vec()),
        KeyChoice::Entity => line.entity.map(|name| name.as_bytes().to_vec()),
        KeyChoice::None => None,
    }
}

fn post(address: SocketAddr, path: &str, body: &[u8]) -> anyhow::Result<()> {
    match request(address, path, "application/x-ndjson", body)? {
        (202, _) => Ok(()),
        (status, told) => bail!("it answered {status}: {}", told.trim()),
    }
}

/// What a service answers to a question.
///
/// # Errors
/// Nobody listens, no answer comes in time, or the service refuses.
pub(crate) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    match ask_service(address, path)? {
        (200, told) => Ok(told),
        (_, told) => bail!("{}", told.trim()),
    }
}

/// The same, with the status of the answer.
///
/// # Errors
/// Nobody listens, or no answer comes in time.
pub(super) fn ask_service(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    send(address, "GET", path, "application/json", &[]).with_context(|| {
        format!(
            "another process holds the embedded log, and its service was asked at \
             http://{address} (http.listen)"
        )
    })
}

/// One POST to a loopback address: the status and the body of the answer.
///
/// # Errors
/// Nobody listens, or no answer comes in time.
pub(super) fn request(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    send(address, "POST", path, content_type, body)
}

/// One request of HTTP/1.1. A whole client would be a dependency for twenty lines.
fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.context("it answered something that is not HTTP")?;
    let told = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, told.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_where_to_go_on() {
        let told = [(0, Some(1)), (7, Some(30)), (7, None)].map(|(first, end)| unsure(first, end));
        assert!(told[0].starts_with("line 1 is not known to be written"), "{told:?}");
        assert!(told[1].starts_with("lines 8 to 30 are not"), "{told:?}");
        assert!(told[2].ends_with("go on from line 8"), "{told:?}");
    }

    #[test]
    fn keys_are_features_or_entities_or_nothing() {
        let line = br#"{"feature":"feature:a.b","value":{"x":[1]},"entity":"e\u0031"}"#;
        assert_eq!(key_of(line, KeyChoice::Feature).as_deref(), Some(&b"a.b"[..]));
        assert_eq!(key_of(line, KeyChoice::Entity).as_deref(), Some(&b"e1"[..]));
        assert_eq!(key_of(line, KeyChoice::None), None);
        assert_eq!(key_of(b"not json", KeyChoice::Feature), None);
    }
}
