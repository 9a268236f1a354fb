//! `watchkeep incidents ack` and its like, `watchkeep silences`: a command of
//! somebody to the log, and what came of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use watchkeep_model::incident::Fact;
use watchkeep_model::position::Partition;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::log::LogError;
use watchkeep_wire::fact::decode;

use super::incidents::{name, told};
use super::produce::request;
use crate::Outcome;
use crate::cli::respond::{About, Giving};
use crate::cli::{self, Configured, Incidents};
use crate::config::{Config, LogConfig};
use crate::output::{Format, Output, Table, complain};
use crate::responses::{self, Answer, answered_by};
use crate::service::clock;
use crate::store::{Reader, Store};

/// Time between two looks for what came of a command.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// # Errors
/// The command is not whole, or the log cannot be written.
pub(super) fn run(command: &Incidents) -> anyhow::Result<Outcome> {
    match command {
        Incidents::Ack(about) => give(about, Command::Acknowledge, |_| {}),
        Incidents::Verify(about) => give(about, Command::Verify, |_| {}),
        Incidents::Resolve(about) => give(about, Command::Resolve, |_| {}),
        Incidents::Comment(about) => give(about, Command::Comment, |_| {}),
        Incidents::Close(about) => give(about, Command::Close, |_| {}),
        Incidents::Remediate(one) => give(&one.about, Command::Remediate, |response| {
            response.action = Some(one.action.into());
        }),
        Incidents::SignOff(one) => give(&one.about, Command::SignOff, |response| {
            response.gate = Some(one.gate.clone());
            response.approve = one.refuse.then_some(false);
        }),
        Incidents::Reassign(one) => give(&one.about, Command::Reassign, |response| {
            response.to = Some(one.to.clone());
        }),
        Incidents::Merge(one) => give(&one.about, Command::Merge, |response| {
            response.into = Some(one.into.clone());
        }),
        Incidents::Escalate(one) => give(&one.about, Command::Escalate, |response| {
            response.decision.clone_from(&one.decision);
        }),
        Incidents::Review(one) => give(&one.about, Command::Review, |response| {
            response.root_cause = Some(one.root_cause.clone());
            response.actions.clone_from(&one.actions);
        }),
        Incidents::Complete(one) => give(&one.about, Command::Complete, |response| {
            response.what.clone_from(&one.what);
        }),
        Incidents::Feedback(one) => give(&one.about, Command::Feedback, |response| {
            response.feedback = Some(one.worth.into());
        }),
        _ => bail!("this command gives nobody a command"),
    }
}

fn give(
    about: &About,
    command: Command,
    fill: impl FnOnce(&mut Response),
) -> anyhow::Result<Outcome> {
    let mut response = blank(&about.giving, command);
    response.incident.clone_from(&about.incident);
    response.subject.clone_from(&about.subject);
    fill(&mut response);
    send(response, &about.giving)
}

/// A command of somebody now.
pub(super) fn blank(giving: &Giving, command: Command) -> Response {
    Response {
        rationale: giving.rationale.clone(),
        ..Response::new(clock::now(), giving.by.clone(), command)
    }
}

/// Puts a command to the log and tells what came of it.
///
/// # Errors
/// The command is not whole, or the log cannot be written.
pub(super) fn send(response: Response, giving: &Giving) -> anyhow::Result<Outcome> {
    let answer = put(response, &giving.configured, giving.wait)?;
    show(&answer, giving)
}

/// Puts a command to the log and waits so long for what comes of it.
///
/// # Errors
/// The command is not whole, or the log cannot be written.
pub(super) fn put(
    response: Response,
    configured: &Configured,
    wait: TimeSpan,
) -> anyhow::Result<Answer> {
    let config = Config::load_required(configured.file.as_deref())?;
    let response = responses::checked(response, clock::now())?;
    let wait = Duration::from_micros(u64::try_from(wait.as_micros()).unwrap_or(0));
    let opened = Store::open_existing(&config);
    if let Err(error) = &opened
        && let LogConfig::Embedded { .. } = &config.log
        && let Some(LogError::Fatal(why)) = error.downcast_ref()
        && why.contains("another process holds it")
    {
        return ask(config.listen, &response, wait);
    }
    let store = opened?;
    let topic = config.topics.named("responses");
    let mut reader = store.reader()?;
    if reader.partition_count(&topic)? == 0 {
        return Err(LogError::NoTopic(topic).into());
    }
    let mut watch = Watch::at_the_end(reader, &config.topics.named("incidents"))?;
    let mut appender = store.appender()?;
    appender.append(responses::record(&topic, &response), None)?;
    appender.flush().with_context(|| topic.clone())?;
    // Nothing decides in an embedded log that this command holds itself.
    let is_decided_elsewhere = matches!(store, Store::Kafka(_));
    let facts = match is_decided_elsewhere {
        true => watch.wait_for(&response.id(), wait)?,
        false => Vec::new(),
    };
    Ok(Answer::of(response.id(), facts))
}

/// The incident log from an instant on.
struct Watch {
    reader: Reader,
    partitions: Vec<(Partition, i64)>,
}

impl Watch {
    fn at_the_end(mut reader: Reader, topic: &str) -> Result<Self, LogError> {
        let mut partitions = Vec::new();
        for number in 0..reader.partition_count(topic)? {
            let partition = Partition::new(topic, number);
            let (_, end) = reader.bounds(&partition)?;
            partitions.push((partition, end));
        }
        Ok(Self { reader, partitions })
    }

    /// The facts that a command led to. They are one transaction, so that
    /// where one of them is there, all are.
    fn wait_for(&mut self, id: &str, wait: Duration) -> anyhow::Result<Vec<Fact>> {
        let begun = Instant::now();
        loop {
            let mut facts = Vec::new();
            for (partition, next) in &mut self.partitions {
                let (_, end) = self.reader.bounds(partition)?;
                for record in self.reader.read(partition, *next, end)? {
                    let fact: Fact = decode(&record.value)?;
                    if answered_by(&fact) == Some(id) {
                        facts.push(fact);
                    }
                }
                *next = end;
            }
            if !facts.is_empty() || begun.elapsed() >= wait {
                return Ok(facts);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Gives the command to the service that holds the embedded log.
///
/// # Errors
/// Nobody answers, or the service takes no such command.
pub(super) fn ask(
    address: SocketAddr,
    response: &Response,
    wait: Duration,
) -> anyhow::Result<Answer> {
    // The service has its own clock, which a demo lets run faster.
    let mut body = serde_json::to_value(response)?;
    if let Some(map) = body.as_object_mut() {
        map.remove("at");
    }
    let path = format!("/v1/responses?wait={}ms", wait.as_millis());
    let body = serde_json::to_vec(&body)?;
    let (status, answer) = request(address, &path, "application/json", &body).with_context(|| {
        format!(
            "another process holds the embedded log, and its service was asked at http://{address} \
             (http.listen)"
        )
    })?;
    match status {
        200 | 202 | 409 => Ok(serde_json::from_str(&answer)?),
        _ => bail!("the service at http://{address} answered {status}: {}", answer.trim()),
    }
}

fn show(answer: &Answer, giving: &Giving) -> anyhow::Result<Outcome> {
    let outcome = match answer.outcome.as_str() {
        "refused" => Outcome::Found,
        _ => Outcome::Fine,
    };
    let mut output = Output::new();
    match giving.formatted.format {
        Format::Json => output.json(answer)?,
        Format::Table => {
            if answer.outcome == "pending" {
                let why = match giving.wait {
                    TimeSpan::ZERO => "",
                    _ => "; nothing has come of it yet, the service decides when it runs",
                };
                output.line(format_args!("written as {}{why}", answer.response))?;
            }
            let mut table = Table::new(["incident", "fact", "what"]);
            for fact in &answer.facts {
                table.row([fact.incident_id.clone(), name(fact.fact), told(fact)]);
            }
            if !answer.facts.is_empty() {
                table.print(&mut output)?;
            }
        }
    }
    output.finish()?;
    if let Some(rule) = &answer.rule {
        complain(&format!("refused: {rule}"));
    }
    Ok(outcome)
}

/// `watchkeep silences`.
///
/// # Errors
/// The command is not whole, or the log cannot be read or written.
pub(super) fn silences(command: &cli::respond::Silences) -> anyhow::Result<Outcome> {
    use cli::respond::Silences;
    match command {
        Silences::List(arguments) => super::silences::list(arguments),
        Silences::Add(arguments) => {
            let mut response = blank(&arguments.giving, Command::Silence);
            let from = arguments.from.unwrap_or(response.at);
            response.matchers.clone_from(&arguments.matchers);
            response.from = arguments.from;
            response.until = arguments.until.or_else(|| arguments.span.map(|span| from + span));
            send(response, &arguments.giving)
        }
        Silences::Expire(arguments) => {
            let mut response = blank(&arguments.giving, Command::Unsilence);
            response.silence = Some(arguments.silence.clone());
            send(response, &arguments.giving)
        }
    }
}
