//! `watchkeep charters show` and `history`: what is in force, and how it came to be.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::{Publications, field_changes};
use watchkeep_model::revision::{Revision, RevisionKind};
use watchkeep_model::subject::typed;
use watchkeep_model::time::Timestamp;

use super::desk::Known;
use super::publish::shown;
use crate::charters::{self, Wanted};
use crate::cli::{ChartersHistory, ChartersShow, Configured};
use crate::config::{CharterSource, Config};
use crate::output::{Format, Output, Table, complain};
use crate::{Outcome, service};

/// A field that somebody changed, or a remark.
#[derive(Serialize)]
struct Line {
    at: Timestamp,
    by: String,
    what: &'static str,
    /// The command that a refusal is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// True of what changes nothing and is never in force.
    #[serde(skip)]
    is_remark: bool,
    document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    before: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    after: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approved_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rationale: Option<String>,
}

/// # Errors
/// The log.
pub(super) fn history(arguments: &ChartersHistory) -> anyhow::Result<Outcome> {
    let known = Known::read(&arguments.configured)?;
    let keys = keys(&arguments.subject, &known.registry);
    let mut lines: Vec<Line> = Vec::new();
    for (kind, name) in &keys {
        lines.extend(changed(&known.publications, *kind, name));
    }
    // Remarks are about subjects: one about a policy bears the name as it was asked.
    let asked = typed(&arguments.subject);
    let names = keys.iter().map(|(_, name)| name.as_str());
    let names: BTreeSet<&str> = names.chain([asked.as_str()]).collect();
    let remarks = known.publications.remarks().iter();
    lines.extend(remarks.filter(|r| concerns(&known.publications, r, &names)).map(remark));
    lines.sort_by_key(|line| line.at);
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&lines)?,
        Format::Table => table(&lines).print(&mut output)?,
    }
    output.finish()?;
    if lines.is_empty() {
        complain(&format!("nothing was ever published of {}", arguments.subject));
        return Ok(Outcome::Found);
    }
    Ok(Outcome::Fine)
}

/// The latest change of a document before something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::commands) struct LastChange {
    /// The document: a subject or pattern.
    document: String,
    /// From when it was in force.
    pub(in crate::commands) since: Timestamp,
    /// Who published or proposed it.
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    change_ticket: Option<String>,
    /// The fields that were other than before.
    fields: Vec<String>,
}

impl std::fmt::Display for LastChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { document, since, by, change_ticket, fields } = self;
        let ticket = change_ticket.as_ref().map(|ticket| format!(", {ticket}")).unwrap_or_default();
        let fields = if fields.len() > FIELDS_MAX { &fields[..FIELDS_MAX] } else { fields };
        write!(f, "{document} was changed by {by} as of {since}{ticket}: {}", fields.join(", "))
    }
}

/// Fields of a change that are named.
const FIELDS_MAX: usize = 6;

/// What was last changed in documents of charters before an instant, the latest
/// first. Nothing where charters are in a folder: that has a history of its own.
///
/// # Errors
/// The configuration.
pub(in crate::commands) fn last_changes<'d>(
    configured: &Configured,
    documents: impl Iterator<Item = &'d str>,
    before: Timestamp,
) -> anyhow::Result<Vec<LastChange>> {
    let config = Config::load_required(configured.file.as_deref())?;
    if config.charter_source == CharterSource::Folder {
        return Ok(Vec::new());
    }
    // A log in which nothing was ever published may have no such topic.
    let Ok(known) = Known::read(configured) else { return Ok(Vec::new()) };
    let mut found: Vec<LastChange> = Vec::new();
    for document in documents.collect::<BTreeSet<&str>>() {
        let mut last = None;
        let mut content = &Value::Null;
        for (publication, revision) in known.publications.of(RevisionKind::Charter, document) {
            // The first holds always, and is the change of nothing.
            let since = revision.effective_from.unwrap_or(publication.head.at);
            if since <= before && !content.is_null() {
                let changes = field_changes(content, &revision.content);
                last = Some(LastChange {
                    document: document.to_owned(),
                    since,
                    by: revision.by.clone(),
                    change_ticket: revision.change_ticket.clone(),
                    fields: changes.into_iter().map(|change| change.field).collect(),
                });
            }
            content = &revision.content;
        }
        found.extend(last);
    }
    found.sort_by(|a, b| (b.since, &a.document).cmp(&(a.since, &b.document)));
    Ok(found)
}

/// What a name stands for: a thing of the directory, or a subject with the
/// patterns that its charter comes from.
pub(super) fn keys(name: &str, registry: &Registry) -> Vec<(RevisionKind, String)> {
    use RevisionKind::{Domain, Group, Policy, Schedule, System, User};
    for kind in [Policy, User, Group, Schedule, System, Domain] {
        if let Some(bare) = name.strip_prefix(kind.name()).and_then(|rest| rest.strip_prefix(':')) {
            return vec![(kind, bare.to_owned())];
        }
    }
    let subject = typed(name);
    let charter = registry.charter(&subject, Timestamp::MAX);
    let mut names = charter.map(|charter| charter.from.clone()).unwrap_or_default();
    if !names.contains(&subject) {
        names.insert(0, subject);
    }
    names.into_iter().map(|name| (RevisionKind::Charter, name)).collect()
}

fn changed(publications: &Publications, kind: RevisionKind, name: &str) -> Vec<Line> {
    let mut before = Value::Null;
    let mut lines = Vec::new();
    for (publication, revision) in publications.of(kind, name) {
        for change in field_changes(&before, &revision.content) {
            lines.push(Line {
                at: publication.head.at,
                by: revision.by.clone(),
                what: if revision.content.is_null() { "withdrawn" } else { "changed" },
                command: None,
                is_remark: false,
                document: name.to_owned(),
                effective_from: revision.effective_from,
                field: change.field,
                before: change.before,
                after: change.after,
                approved_by: publications.approvers(publication, revision).into_iter().collect(),
                change_ticket: revision.change_ticket.clone(),
                rationale: revision.rationale.clone(),
            });
        }
        before = revision.content.clone();
    }
    lines
}

/// True where a remark is about one of the names, or about a proposal that
/// would change or has changed one of them.
fn concerns(publications: &Publications, remark: &Revision, names: &BTreeSet<&str>) -> bool {
    let proposal = publications.proposals().get(&remark.name);
    names.contains(remark.name.as_str())
        || proposal.is_some_and(|proposal| names.iter().any(|name| proposal.concerns(name)))
}

fn remark(remark: &Revision) -> Line {
    let said = |key: &str| remark.content.get(key).and_then(Value::as_str).map(str::to_owned);
    let rule = said("rule");
    Line {
        at: remark.at,
        by: remark.by.clone(),
        what: remark.kind.name(),
        command: rule.as_ref().and_then(|_| said("command")),
        is_remark: true,
        document: remark.name.clone(),
        effective_from: None,
        field: String::new(),
        before: Value::Null,
        after: Value::Null,
        approved_by: Vec::new(),
        change_ticket: None,
        rationale: rule.or_else(|| remark.rationale.clone()),
    }
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new([
        "at",
        "by",
        "what",
        "document",
        "field",
        "before",
        "after",
        "in force from",
        "approved by",
        "ticket",
        "why",
    ]);
    for line in lines {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        table.row([
            line.at.to_string(),
            line.by.clone(),
            match &line.command {
                Some(command) => format!("{} of {command}", line.what),
                None => line.what.to_owned(),
            },
            line.document.clone(),
            if line.field.is_empty() { "-".into() } else { line.field.clone() },
            shown(&line.before),
            shown(&line.after),
            match line.effective_from {
                Some(at) => at.to_string(),
                None if line.is_remark => "-".into(),
                None => "always".into(),
            },
            if line.approved_by.is_empty() { "-".into() } else { line.approved_by.join(", ") },
            or_dash(line.change_ticket.clone()),
            or_dash(line.rationale.clone()),
        ]);
    }
    table
}

/// # Errors
/// The charters cannot be read.
pub(super) fn show(arguments: &ChartersShow) -> anyhow::Result<Outcome> {
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = arguments.charters.as_deref().map_or(Wanted::OfLog, Wanted::Folder);
    let registry = charters::wanted(&config, &wanted)?.registry();
    let at = arguments.at.unwrap_or_else(service::clock::now);
    let subject = typed(&arguments.subject);
    let Some(charter) = registry.charter(&subject, at) else {
        complain(&format!("no charter is in force for {subject} at {at}"));
        return Ok(Outcome::Found);
    };
    let origins = registry.origins(&subject, at);
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => {
            let mut value = serde_json::to_value(&charter.fields)?;
            if let Value::Object(members) = &mut value {
                members.retain(|_, member| !member.is_null());
                members.insert("subject".into(), charter.subject.clone().into());
                members.insert("from".into(), serde_json::to_value(&charter.from)?);
                members.insert("fields_from".into(), serde_json::to_value(&origins)?);
            }
            output.json(&value)?;
        }
        Format::Table => {
            output.line(format_args!("{subject} at {at}, from {}", charter.from.join(", ")))?;
            let mut table = Table::new(["field", "value", "from"]);
            for (path, value) in flat(&serde_json::to_value(&charter.fields)?) {
                let outer = path.split_once('[').map_or(path.as_str(), |(outer, _)| outer);
                let from = origins.get(outer).cloned().unwrap_or_else(|| "-".into());
                table.row([path, value, from]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// Each field with its value, whole; owners and what has a name one by one.
fn flat(fields: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.replace('\n', " "),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let mut rows = Vec::new();
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                let inner = members.iter().filter(|(_, value)| !value.is_null());
                rows.extend(inner.map(|(inner, value)| (format!("{name}.{inner}"), text(value))));
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (place, item) in items.iter().enumerate() {
                    let called = item.get("name").and_then(Value::as_str);
                    let called = called.map_or_else(|| place.to_string(), str::to_owned);
                    rows.push((format!("{name}[{called}]"), text(item)));
                }
            }
            other => rows.push((name.clone(), text(other))),
        }
    }
    rows
}
