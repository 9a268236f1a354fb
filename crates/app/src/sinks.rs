//! Carries what the deliver stage wants sent to the tools: one thread for each
//! sink, so that one that hangs holds up no other, and one request at a time,
//! so that a tool sees messages in their order.

pub(crate) mod claims;
mod http;
mod mail;
mod veil;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::stage::deliver::{Answer, Failure, Request, Tool};

use self::veil::Veil;
use crate::config::sinks::{Secret, SinkConfig};

/// Characters of what a sink answers that are repeated in a failure.
const ANSWER_CHARS_MAX: usize = 200;

/// Sends one request by a sink at once, outside of the stage: what came of it.
///
/// # Errors
/// A secret or a certificate cannot be read.
pub(crate) fn send_once(
    config: &SinkConfig,
    request: &Request,
) -> anyhow::Result<Result<(), Failure>> {
    let secret = config.secret()?;
    let carrier = carrier(config, secret.as_ref())?;
    let veil = Veil::of(config, secret.as_ref());
    Ok(carrier.send(request).map_err(|failure| clean(failure, &veil)))
}

/// The threads of the sinks. They outlive sessions: what one has sent is done
/// before the next one's begins.
pub(crate) struct Workers {
    lanes: Vec<Sender<(u64, Request)>>,
    answers: Mutex<(u64, Receiver<(u64, Answer)>)>,
}

/// What carries the messages of one sink.
enum Carrier {
    Http(http::Http),
    Mail(Box<mail::Mail>),
}

impl Carrier {
    fn send(&self, request: &Request) -> Result<(), Failure> {
        match self {
            Self::Http(http) => http.send(request),
            Self::Mail(mail) => mail.send(request),
        }
    }
}

impl Workers {
    /// Starts the threads.
    ///
    /// # Errors
    /// A secret or a certificate cannot be read, or the system has no threads.
    pub(crate) fn start(sinks: &[SinkConfig]) -> anyhow::Result<Self> {
        let (told, answers) = mpsc::channel();
        let mut lanes = Vec::new();
        for config in sinks {
            let secret = config.secret()?;
            let carrier = carrier(config, secret.as_ref())?;
            let veil = Veil::of(config, secret.as_ref());
            let (lane, requests) = mpsc::channel();
            let told = told.clone();
            let name = config.sink.name.to_string();
            std::thread::Builder::new()
                .name(format!("sink {name}"))
                .spawn(move || work(&carrier, &veil, &requests, &told))
                .context("a thread for a sink")?;
            lanes.push(lane);
        }
        Ok(Self { lanes, answers: Mutex::new((0, answers)) })
    }

    /// A new session begins: answers to earlier ones are of no use to it.
    pub(crate) fn begin_session(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
    }

    /// Hands requests to the threads.
    pub(crate) fn send(&self, requests: Vec<Request>) {
        let session = self.answers.lock().unwrap_or_else(PoisonError::into_inner).0;
        for request in requests {
            if let Some(lane) = self.lanes.get(request.sink) {
                // A thread ends only with its sender.
                let _ = lane.send((session, request));
            }
        }
    }

    /// What came back, waiting for the first for so long.
    pub(crate) fn answers(&self, max_wait: Duration) -> Vec<Answer> {
        let held = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (session, receiver) = &*held;
        let first = receiver.recv_timeout(max_wait).ok();
        let all = first.into_iter().chain(receiver.try_iter());
        all.filter(|(of, _)| of == session).map(|(_, answer)| answer).collect()
    }
}

fn carrier(config: &SinkConfig, secret: Option<&Secret>) -> anyhow::Result<Carrier> {
    Ok(match config.sink.tool {
        Tool::Email => Carrier::Mail(Box::new(mail::Mail::new(config, secret)?)),
        _ => Carrier::Http(http::Http::new(config, secret)?),
    })
}

fn work(
    carrier: &Carrier,
    veil: &Veil,
    requests: &Receiver<(u64, Request)>,
    told: &Sender<(u64, Answer)>,
) {
    for (session, request) in requests {
        // A panic must not leave the stage waiting for an answer for ever.
        let sent = catch_unwind(AssertUnwindSafe(|| carrier.send(&request)));
        let result = sent.unwrap_or_else(|_| {
            Err(Failure::Message("a broken invariant; this is a fault of Watchkeep's".to_owned()))
        });
        let result = result.map_err(|failure| clean(failure, veil));
        if told.send((session, Answer { ticket: request.ticket, result })).is_err() {
            return;
        }
    }
}

/// A failure as it may be logged and kept: short, on one line, without what a
/// tool may have repeated of the sink's secret and address.
fn clean(failure: Failure, veil: &Veil) -> Failure {
    let text = |text: String| {
        let words: Vec<String> = veil.over(text).split_whitespace().map(str::to_owned).collect();
        // A secret may have been broken into lines.
        let text = veil.over(words.join(" "));
        let mut short: String = text.chars().take(ANSWER_CHARS_MAX).collect();
        short.retain(|c| !c.is_control());
        short
    };
    match failure {
        Failure::Passing(why) => Failure::Passing(text(why)),
        Failure::Busy { why, after } => Failure::Busy { why: text(why), after },
        Failure::Address(why) => Failure::Address(text(why)),
        Failure::Message(why) => Failure::Message(text(why)),
        Failure::Settings(why) => Failure::Settings(text(why)),
    }
}

fn duration(span: TimeSpan) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_repeats_of_a_secret_is_not_told() {
        let secret = Secret::of("hush-hush");
        let veil = Veil::over_texts(&[secret.reveal()]);
        let failure = Failure::Settings("HTTP 401:\n key hush-hush is\tunknown".into());
        let cleaned = clean(failure, &veil);
        assert_eq!(cleaned, Failure::Settings("HTTP 401: key ******** is unknown".into()));
        assert_eq!(format!("{secret:?}"), "********");
        let long = clean(Failure::Passing("x".repeat(10_000)), &veil);
        assert_eq!(long.to_string().len(), ANSWER_CHARS_MAX);
    }
}
