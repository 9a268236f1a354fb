//! `watchkeep charters propose`, `approve`, `reject`, `comment`, `proposals`.

use std::collections::BTreeSet;

use anyhow::bail;
use serde::Serialize;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::gate::{self, Requirement};
use watchkeep_incident::registry::publications::{
    Contents, Difference, Proposal, ProposalState, changes,
};
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::document::{Documents, Level, Located};
use watchkeep_model::identifier::derived;
use watchkeep_model::json;
use watchkeep_model::revision::{Revision, RevisionKind};
use watchkeep_model::subject::{has_type, typed};
use watchkeep_model::time::Timestamp;

use super::desk::{Act, Desk};
use super::publish::{Changed, changed, proposed};
use crate::Outcome;
use crate::cli::{Answer, Proposals, Propose};
use crate::output::{Format, Output, Table, complain};

/// A proposal with what it still needs.
#[derive(Serialize)]
struct Shown {
    proposal: String,
    state: &'static str,
    by: String,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    rationale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_ticket: Option<String>,
    approved_by: Vec<String>,
    waits_for: Vec<String>,
    changes: Vec<Changed>,
    comments: Vec<Comment>,
}

#[derive(Serialize)]
struct Comment {
    by: String,
    at: Timestamp,
    text: String,
}

/// # Errors
/// The file cannot be read, the charters would have errors, the log.
pub(super) fn propose(arguments: &Propose) -> anyhow::Result<Outcome> {
    let mut desk = Desk::open(&arguments.configured)?;
    let documents = proposed(&arguments.documents)?;
    let act = Act {
        ticket: arguments.ticket.clone(),
        effective_from: arguments.effective_from,
        ..Act::of(&arguments.doing)
    };
    if let Err(rule) = desk.known(&desk.registry, &act.by) {
        complain(&rule);
        return Ok(Outcome::Found);
    }
    if act.rationale.is_none() {
        bail!("a proposal needs --rationale: why the charters should change");
    }
    let differences = differences(&desk.publications.newest(), &documents);
    if differences.is_empty() {
        bail!("{}: the charters are what was published", arguments.documents.display());
    }
    after(&desk, &differences)?;
    let lines: Vec<String> = differences.iter().map(|d| json::to_line(&d.after)).collect();
    let id = derived(&["proposal", &act.at.to_string(), &act.by, &lines.join("\n")]);
    let before: Vec<_> = differences.iter().map(|d| (&d.name, &d.before)).collect();
    let fact = Revision {
        effective_from: act.effective_from,
        content: serde_json::json!({"documents": documents, "before": before}),
        ..act.fact(RevisionKind::Proposal, &id, &id)
    };
    desk.write(fact)?;
    let Some(proposal) = desk.publications.proposals().get(&id) else { return Ok(Outcome::Found) };
    let shown = show(&desk, proposal);
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&shown)?,
        Format::Table => {
            output.line(format_args!("proposed as {id}"))?;
            shown.waits_for.iter().try_for_each(|line| output.line(line))?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// # Errors
/// There is no such proposal, the log.
pub(super) fn approve(arguments: &Answer) -> anyhow::Result<Outcome> {
    let (mut desk, id) = open(arguments)?;
    let act = Act::of(&arguments.doing);
    match approval(&desk, &id, &act) {
        Err(rule) => forbid(&mut desk, &act, ("approve", &id), &rule),
        Ok(()) => {
            let is_new = {
                let proposal = &desk.publications.proposals()[&id];
                !proposal.approvers().contains(act.by.as_str())
            };
            if is_new {
                desk.write(act.fact(RevisionKind::Approval, &id, &id))?;
            }
            settle(&mut desk, &id, &act)
        }
    }
}

/// Publishes a proposal that has all approvals.
fn settle(desk: &mut Desk, id: &str, act: &Act) -> anyhow::Result<Outcome> {
    let proposal = desk.publications.proposals()[id].clone();
    let waits = waits_for(desk, &proposal);
    let mut output = Output::new();
    if waits.is_empty() {
        let documents = documents(&proposal);
        let differences = differences(&desk.publications.newest(), &documents);
        let fact = &proposal.fact;
        let act = Act {
            by: fact.by.clone(),
            at: act.at,
            rationale: fact.rationale.clone(),
            ticket: fact.change_ticket.clone(),
            effective_from: fact.effective_from,
            approved_by: BTreeSet::new(),
        };
        desk.publish(&differences, &act, Some(id))?;
        output.line(format_args!("approved and published: {id}"))?;
    } else {
        output.line(format_args!("approved; {id} is still pending"))?;
        waits.iter().try_for_each(|line| output.line(line))?;
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// # Errors
/// There is no such proposal, no rationale, the log.
pub(super) fn reject(arguments: &Answer) -> anyhow::Result<Outcome> {
    let (mut desk, id) = open(arguments)?;
    let act = Act::of(&arguments.doing);
    if act.rationale.is_none() {
        bail!("a rejection needs --rationale");
    }
    let proposal = &desk.publications.proposals()[&id];
    // Whoever may approve may reject; who proposed it may take it back, and
    // anybody may clear away what nobody can approve any more.
    let is_own = proposal.fact.by == act.by;
    let is_open = proposal.state == ProposalState::Pending;
    let rule = match is_open && (is_own || state(&desk, proposal) == "outrun") {
        true => desk.known(&desk.registry, &act.by),
        false => approval(&desk, &id, &act),
    };
    match rule {
        Err(rule) => forbid(&mut desk, &act, ("reject", &id), &rule),
        Ok(()) => {
            desk.write(act.fact(RevisionKind::Rejection, &id, &id))?;
            let mut output = Output::new();
            output.line(format_args!("rejected: {id}"))?;
            output.finish()?;
            Ok(Outcome::Fine)
        }
    }
}

/// # Errors
/// No text, the log.
pub(super) fn comment(arguments: &Answer) -> anyhow::Result<Outcome> {
    let mut desk = Desk::open(&arguments.configured)?;
    let act = Act::of(&arguments.doing);
    if act.rationale.is_none() {
        bail!("a comment needs --rationale: its text");
    }
    if let Err(rule) = desk.known(&desk.registry, &act.by) {
        complain(&rule);
        return Ok(Outcome::Found);
    }
    let name = match find(&desk, &arguments.proposal) {
        Ok(id) => id,
        Err(_) if has_type(&arguments.proposal) => arguments.proposal.clone(),
        Err(_) => typed(&arguments.proposal),
    };
    desk.write(act.fact(RevisionKind::Comment, &name, &name))?;
    let mut output = Output::new();
    output.line(format_args!("kept as a comment on {name}; it changes nothing"))?;
    output.finish()?;
    Ok(Outcome::Fine)
}

/// # Errors
/// The log.
pub(super) fn list(arguments: &Proposals) -> anyhow::Result<Outcome> {
    let desk = Desk::open(&arguments.configured)?;
    let mut shown: Vec<Shown> =
        desk.publications.proposals().values().map(|p| show(&desk, p)).collect();
    shown.sort_by(|a, b| (a.at, &a.proposal).cmp(&(b.at, &b.proposal)));
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&shown)?,
        Format::Table => {
            let mut table = Table::new([
                "proposal",
                "state",
                "by",
                "at",
                "changes",
                "approved by",
                "waits for",
            ]);
            for line in &shown {
                let changes: Vec<&str> = line.changes.iter().map(Changed::name).collect();
                table.row([
                    line.proposal.clone(),
                    line.state.to_owned(),
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

fn open(arguments: &Answer) -> anyhow::Result<(Desk, String)> {
    let desk = Desk::open(&arguments.configured)?;
    let id = find(&desk, &arguments.proposal)?;
    Ok((desk, id))
}

/// The proposal of which the identifier begins so.
fn find(desk: &Desk, begin: &str) -> anyhow::Result<String> {
    let all = desk.publications.proposals().keys();
    let found: Vec<&String> = all.filter(|id| id.starts_with(begin)).collect();
    match found[..] {
        [id] if !begin.is_empty() => Ok(id.clone()),
        [] => bail!("there is no proposal {begin}: see `watchkeep charters proposals`"),
        _ => bail!("{begin} begins several proposals: write more of the identifier"),
    }
}

fn forbid(
    desk: &mut Desk,
    act: &Act,
    (command, id): (&str, &str),
    rule: &str,
) -> anyhow::Result<Outcome> {
    desk.refuse(act, (command, id), rule)?;
    complain(rule);
    Ok(Outcome::Found)
}

/// Whether somebody may approve a proposal now.
fn approval(desk: &Desk, id: &str, act: &Act) -> Result<(), String> {
    let proposal = &desk.publications.proposals()[id];
    if proposal.state != ProposalState::Pending {
        return Err(format!("the proposal is {} already", proposal.state.name()));
    }
    desk.known(&desk.registry, &act.by)?;
    let contents = desk.publications.newest();
    let documents = documents(proposal);
    let differences = differences(&contents, &documents);
    if is_outrun(proposal, &differences) {
        return Err(OUTRUN.into());
    }
    let after = after(desk, &differences).map_err(|error| error.to_string())?;
    let registries = [&*desk.registry, &after];
    if let Some(rule) = gate::frozen(registries, &differences, act.at, proposal.fact.effective_from)
    {
        return Err(rule);
    }
    let requirements = requirements(desk, proposal, &differences, &after);
    // Nobody counts twice; where nothing is missing, approving again publishes
    // what was left unpublished.
    let is_twice = proposal.approvers().contains(act.by.as_str());
    if is_twice && requirements.iter().any(|r| r.missing(&proposal.approvers()) > 0) {
        return Err(format!("{} has approved it already: another person has to", act.by));
    }
    let refusals: Vec<String> =
        requirements.iter().filter_map(|requirement| requirement.refusal(&act.by)).collect();
    match refusals.len() == requirements.len() {
        true => Err(refusals.into_iter().next().unwrap_or_default()),
        false => Ok(()),
    }
}

/// Why nobody can approve a proposal any more.
const OUTRUN: &str = "the charters were changed since it was proposed: propose it anew";

/// True where the charters are not any more what the proposal would change.
fn is_outrun(proposal: &Proposal, differences: &[Difference]) -> bool {
    let before: Vec<_> = differences.iter().map(|d| (&d.name, &d.before)).collect();
    proposal.fact.content.get("before") != Some(&serde_json::json!(before))
}

/// The name of a proposal's state in tables.
fn state(desk: &Desk, proposal: &Proposal) -> &'static str {
    let differences = differences(&desk.publications.newest(), &documents(proposal));
    match proposal.state {
        ProposalState::Pending if is_outrun(proposal, &differences) => "outrun",
        state => state.name(),
    }
}

fn requirements(
    desk: &Desk,
    proposal: &Proposal,
    differences: &[Difference],
    after: &Registry,
) -> Vec<Requirement> {
    gate::requirements([&*desk.registry, after], differences, &proposal.fact.by, true)
}

fn documents(proposal: &Proposal) -> Vec<CharterDocument> {
    let documents = proposal.fact.content.get("documents").cloned().unwrap_or_default();
    serde_json::from_value(documents).unwrap_or_default()
}

/// What charters change of what is published, other subjects left as they are.
fn differences(contents: &Contents, documents: &[CharterDocument]) -> Vec<Difference> {
    let located = |value: &CharterDocument| Located { value: value.clone(), ..Located::default() };
    let charters = documents.iter().map(located).collect();
    let folder = Documents { charters, ..Documents::default() };
    changes(contents, &folder, false)
}

/// The registry with a change, which must be without errors.
fn after(desk: &Desk, differences: &[Difference]) -> anyhow::Result<Registry> {
    let contents = desk.publications.newest().with(differences);
    let (registry, findings) = Registry::new(contents.documents(), desk.config.time.pane);
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Level::Error)
        .map(|finding| format!("{}: {}: {}", finding.document, finding.field, finding.message))
        .collect();
    if errors.is_empty() {
        return Ok(registry);
    }
    bail!("the charters would have {} errors:\n{}", errors.len(), errors.join("\n"))
}

/// What a pending proposal waits for, in words; nothing where it is complete.
fn waits_for(desk: &Desk, proposal: &Proposal) -> Vec<String> {
    if proposal.state != ProposalState::Pending {
        return Vec::new();
    }
    let differences = differences(&desk.publications.newest(), &documents(proposal));
    let after = after(desk, &differences);
    let Some(after) = after.ok().filter(|_| !is_outrun(proposal, &differences)) else {
        return vec![OUTRUN.to_owned()];
    };
    let approvers = proposal.approvers();
    let lines: BTreeSet<String> = requirements(desk, proposal, &differences, &after)
        .iter()
        .filter(|requirement| requirement.missing(&approvers) > 0)
        .map(|requirement| {
            let people: Vec<&str> = requirement.eligible.iter().map(String::as_str).collect();
            let people = if people.is_empty() { "nobody".to_owned() } else { people.join(", ") };
            format!(
                "{}: {} of {} approvals, gate {}, by {people}",
                requirement.subject,
                requirement.minimum - requirement.missing(&approvers),
                requirement.minimum,
                requirement.gate,
            )
        })
        .collect();
    lines.into_iter().collect()
}

fn show(desk: &Desk, proposal: &Proposal) -> Shown {
    let fact = &proposal.fact;
    let id = &fact.publication;
    let comments = desk.publications.remarks().iter();
    let comments = comments.filter(|r| r.kind == RevisionKind::Comment && r.name == *id);
    let now = differences(&desk.publications.newest(), &documents(proposal));
    let published = desk.publications.all().iter().find(|p| p.head.publication == *id);
    let changes = match published {
        // What it changed is no difference any more.
        Some(publication) => publication.revisions.iter().map(Changed::of).collect(),
        None => now.iter().map(changed).collect(),
    };
    Shown {
        proposal: id.clone(),
        state: state(desk, proposal),
        by: fact.by.clone(),
        at: fact.at,
        rationale: fact.rationale.clone(),
        change_ticket: fact.change_ticket.clone(),
        approved_by: proposal.approvers().into_iter().map(str::to_owned).collect(),
        waits_for: waits_for(desk, proposal),
        changes,
        comments: comments
            .map(|r| Comment {
                by: r.by.clone(),
                at: r.at,
                text: r.rationale.clone().unwrap_or_default(),
            })
            .collect(),
    }
}
