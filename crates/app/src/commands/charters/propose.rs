//! `watchkeep charters propose`, `approve`, `reject`, `comment`, `proposals`:
//! decided here where nobody holds the log, else by the service that does.

use std::time::Duration;

use anyhow::{Context as _, bail};
use watchkeep_incident::registry::publications::decide::Forbidden;
use watchkeep_incident::registry::publications::view::ProposalView;
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::desk::{Desk, Held, Known};
use super::publish::proposed;
use super::show::keys;
use crate::Outcome;
use crate::cli::{Answer as Answering, Configured, Doing, Proposals, Propose};
use crate::commands::lineage;
use crate::commands::produce::get;
use crate::commands::respond::ask;
use crate::config::Config;
use crate::output::{Format, Output, Table, complain};
use crate::responses;
use crate::service::clock;

/// How long a service that holds the log may take to decide.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// What came of a command.
enum Came {
    /// The proposal as it stands; none of a remark on a subject.
    Done(Option<ProposalView>),
    Forbidden(String),
    /// The service has not decided yet.
    Pending,
}

/// # Errors
/// The file cannot be read, the charters would have errors, the log.
pub(super) fn propose(arguments: &Propose) -> anyhow::Result<Outcome> {
    let (documents, text) = proposed(&arguments.documents)?;
    let response = Response {
        documents: Some(text.into()),
        change_ticket: arguments.ticket.clone(),
        effective_from: arguments.effective_from,
        ..blank(&arguments.doing, Command::Propose)
    };
    let came = give(&arguments.configured, response, Some(documents))
        .with_context(|| arguments.documents.display().to_string())?;
    let mut output = Output::new();
    let outcome = match came {
        Came::Done(Some(shown)) => {
            match arguments.formatted.format {
                Format::Json => output.json(&shown)?,
                Format::Table => {
                    output.line(format_args!("proposed as {}", shown.proposal))?;
                    shown.waits_for.iter().try_for_each(|line| output.line(line))?;
                }
            }
            Outcome::Fine
        }
        other => rest(other, &mut output)?,
    };
    output.finish()?;
    Ok(outcome)
}

/// # Errors
/// There is no such proposal, the log.
pub(super) fn approve(arguments: &Answering) -> anyhow::Result<Outcome> {
    answer(arguments, Command::Approve)
}

/// # Errors
/// There is no such proposal, no rationale, the log.
pub(super) fn reject(arguments: &Answering) -> anyhow::Result<Outcome> {
    answer(arguments, Command::Reject)
}

fn answer(arguments: &Answering, command: Command) -> anyhow::Result<Outcome> {
    let response =
        Response { proposal: Some(arguments.proposal.clone()), ..blank(&arguments.doing, command) };
    let mut output = Output::new();
    let outcome = match give(&arguments.configured, response, None)? {
        Came::Done(Some(shown)) => {
            let id = &shown.proposal;
            match shown.state.as_str() {
                "published" => output.line(format_args!("approved and published: {id}"))?,
                "rejected" => output.line(format_args!("rejected: {id}"))?,
                _ => {
                    output.line(format_args!("approved; {id} is still pending"))?;
                    shown.waits_for.iter().try_for_each(|line| output.line(line))?;
                }
            }
            Outcome::Fine
        }
        other => rest(other, &mut output)?,
    };
    output.finish()?;
    Ok(outcome)
}

/// # Errors
/// No text, the log.
pub(super) fn comment(arguments: &Answering) -> anyhow::Result<Outcome> {
    let about = &arguments.proposal;
    let known = proposals(&arguments.configured)?;
    let is_proposal = known.iter().any(|one| one.proposal.starts_with(about.as_str()));
    let named = Some(about.clone());
    let (proposal, charter) = if is_proposal { (named, None) } else { (None, named) };
    // Kept all the same: what nobody answers for yet is worth a remark, too.
    let unknown = charter.as_deref().map(|name| unknown(&arguments.configured, name));
    let unknown = unknown.transpose()?.flatten();
    let response = Response { proposal, charter, ..blank(&arguments.doing, Command::Comment) };
    let mut output = Output::new();
    let outcome = match give(&arguments.configured, response, None)? {
        Came::Done(shown) => {
            let name = shown.map_or_else(|| about.clone(), |shown| shown.proposal);
            output.line(format_args!("kept as a comment on {name}; it changes nothing"))?;
            if let Some(unknown) = unknown {
                complain(&unknown);
            }
            Outcome::Fine
        }
        other => rest(other, &mut output)?,
    };
    output.finish()?;
    Ok(outcome)
}

/// What to say of a subject of which the registry tells nothing.
///
/// # Errors
/// The log.
fn unknown(configured: &Configured, name: &str) -> anyhow::Result<Option<String>> {
    let Known { registry, publications, .. } = Known::read(configured)?;
    let newest = publications.newest();
    let found = keys(name, &registry);
    let is_known = |(kind, name): &(RevisionKind, String)| match kind {
        RevisionKind::Charter => {
            registry.charter(name, Timestamp::MAX).is_some() || registry.knows(name)
        }
        _ => !newest.written(*kind, name).is_null(),
    };
    if found.iter().any(is_known) {
        return Ok(None);
    }
    let subject = typed(name);
    let near = lineage::near(&registry, &subject);
    let hint = near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Ok(Some(format!("no charter and no lineage names {subject}{hint}")))
}

/// # Errors
/// The log.
pub(super) fn list(arguments: &Proposals) -> anyhow::Result<Outcome> {
    let shown = proposals(&arguments.configured)?;
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&shown)?,
        Format::Table => {
            let head = ["proposal", "state", "by", "at", "changes", "approved by", "waits for"];
            let mut table = Table::new(head);
            for line in &shown {
                let changes: Vec<&str> = line.changes.iter().map(|c| c.name.as_str()).collect();
                table.row([
                    line.proposal.clone(),
                    line.state.clone(),
                    line.by.clone(),
                    line.at.to_string(),
                    changes.join(", "),
                    line.approved_by.join(", "),
                    line.waits_for.join("; "),
                ]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// Every proposal, of the log or of the service that holds it.
fn proposals(configured: &Configured) -> anyhow::Result<Vec<ProposalView>> {
    match Desk::of(Config::load_required(configured.file.as_deref())?)? {
        Held::No(desk) => Ok(desk.rules().proposals()),
        Held::ByOther(config, _) => {
            Ok(serde_json::from_str(&get(config.listen, "/v1/proposals")?)?)
        }
    }
}

fn blank(doing: &Doing, command: Command) -> Response {
    let rationale = doing.rationale.clone();
    Response { rationale, ..Response::new(clock::now(), doing.by.clone(), command) }
}

/// Decides a command, or lets the service decide it that holds the log.
///
/// # Errors
/// The command is not whole; the log.
fn give(
    configured: &Configured,
    response: Response,
    documents: Option<Vec<CharterDocument>>,
) -> anyhow::Result<Came> {
    let config = Config::load_required(configured.file.as_deref())?;
    let response = responses::checked(response, clock::now())?;
    let mut desk = match Desk::of(config)? {
        Held::No(desk) => desk,
        Held::ByOther(config, _) => {
            let answer = ask(config.listen, &response, ANSWER_WAIT)?;
            return Ok(match (answer.outcome.as_str(), answer.rule) {
                ("done", _) => Came::Done(answer.proposal),
                (_, Some(rule)) => Came::Forbidden(rule),
                _ => Came::Pending,
            });
        }
    };
    let now = response.at;
    match desk.rules().decide(&response, Ok(documents.unwrap_or_default()), now) {
        Ok(decided) => {
            desk.take(&response, decided.revisions)?;
            let proposal = desk.publications.proposals().get(&decided.about);
            Ok(Came::Done(proposal.map(|proposal| desk.rules().view(proposal))))
        }
        Err(Forbidden::Fault(what)) => bail!(what),
        Err(Forbidden::Rule(rule)) => {
            let refusal = desk.rules().refusal(&response, &rule, now);
            desk.take(&response, vec![refusal])?;
            Ok(Came::Forbidden(rule))
        }
    }
}

fn rest(came: Came, output: &mut Output) -> anyhow::Result<Outcome> {
    match came {
        Came::Forbidden(rule) => {
            complain(&rule);
            Ok(Outcome::Found)
        }
        Came::Done(_) | Came::Pending => {
            output.line("written; nothing has come of it yet, the service decides when it runs")?;
            Ok(Outcome::Fine)
        }
    }
}
