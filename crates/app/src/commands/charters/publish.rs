//! `watchkeep charters publish` and `diff`: a folder against the topic.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;
use watchkeep_incident::registry::Registry;
use watchkeep_incident::registry::publications::gate::{self, Requirement};
use watchkeep_incident::registry::publications::{Change, Changed, Difference, changes, guard};
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::time::Timestamp;

use super::desk::{Act, Desk, Known, somebody};
use crate::Outcome;
use crate::charters::{Folder, Texts, texts};
use crate::cli::{Diff, Publish};
use crate::config::Config;
use crate::output::{Format, Output, Table, complain, counted};

/// What was or would be published.
#[derive(Serialize)]
struct Published {
    #[serde(skip_serializing_if = "Option::is_none")]
    publication: Option<String>,
    by: String,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_from: Option<Timestamp>,
    dry_run: bool,
    changes: Vec<Changed>,
}

/// # Errors
/// The folder has errors, the log cannot be used.
pub(super) fn publish(arguments: &Publish) -> anyhow::Result<Outcome> {
    let mut desk = Desk::open(&arguments.configured)?;
    let folder = folder(arguments.charters.as_deref(), &desk.config)?;
    let differences = changes(&desk.publications.newest(), &folder.documents(), true);
    let act = Act {
        ticket: arguments.ticket.clone(),
        effective_from: arguments.effective_from,
        approved_by: arguments.approved_by.iter().map(|name| somebody(name)).collect(),
        ..Act::of(&arguments.doing)
    };
    if let Err(rule) = allowed(&desk, &folder.registry, &differences, &act) {
        if !arguments.dry_run {
            desk.refuse(&act, ("publish", "publication"), &rule)?;
        }
        complain(&rule);
        return Ok(Outcome::Found);
    }
    let effective_from = desk.publications.stamp(act.effective_from, act.at);
    let publication = match differences.is_empty() || arguments.dry_run {
        true => None,
        false => Some(desk.publish(&differences, &act, None)?),
    };
    let published = Published {
        publication,
        by: act.by,
        at: act.at,
        effective_from,
        dry_run: arguments.dry_run,
        changes: differences.iter().map(Changed::by).collect(),
    };
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&published)?,
        Format::Table => print(&published, &mut output)?,
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// # Errors
/// The folder has errors, the log cannot be read.
pub(super) fn diff(arguments: &Diff) -> anyhow::Result<Outcome> {
    let known = Known::read(&arguments.configured)?;
    let folder = folder(arguments.charters.as_deref(), &known.config)?;
    let differences = changes(&known.publications.newest(), &folder.documents(), true);
    let changed: Vec<Changed> = differences.iter().map(Changed::by).collect();
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&changed)?,
        Format::Table if changed.is_empty() => output.line("the folder is what was published")?,
        Format::Table => table(&changed).print(&mut output)?,
    }
    output.finish()?;
    Ok(if changed.is_empty() { Outcome::Fine } else { Outcome::Found })
}

fn folder(named: Option<&Path>, config: &Config) -> anyhow::Result<Folder> {
    let folder = named.or(config.charters.as_deref());
    let folder =
        folder.context("name the charter folder with --charters DIR, or set charters.folder")?;
    let folder = Folder::read(folder, config.time.pane)?;
    folder.refuse_errors()?;
    folder.foreign().for_each(|line| complain(&line));
    Ok(folder)
}

/// Whether the folder may be published: who publishes is known, no freeze
/// holds, and those have agreed whom the gates, the tiers and what guards the
/// charters ask for.
fn allowed(
    desk: &Desk,
    after: &Registry,
    differences: &[Difference],
    act: &Act,
) -> Result<(), String> {
    desk.known(after, &act.by)?;
    if desk.publications.all().is_empty() {
        // What was never published has nobody yet who could have agreed to it.
        return Ok(());
    }
    act.approved_by.iter().try_for_each(|by| desk.known(&desk.registry, by))?;
    let registries = [&*desk.registry, after];
    if let Some(rule) = gate::frozen(registries, differences, act.at, act.effective_from) {
        return Err(rule);
    }
    let of_name: BTreeMap<&str, &Difference> = differences
        .iter()
        .filter(|difference| difference.kind == RevisionKind::Charter)
        .map(|difference| (difference.name.as_str(), difference))
        .collect();
    for requirement in guard::requirements(registries, differences, &act.by, act.at) {
        let written = of_name.get(requirement.subject.as_str());
        let written = written.map(|d| desk.publications.new_approvals(d)).unwrap_or_default();
        let approvers = act.approved_by.iter().chain(&written).map(String::as_str).collect();
        let missing = requirement.missing(&approvers);
        if missing > 0 {
            return Err(lacking(&requirement, missing, &act.by));
        }
    }
    Ok(())
}

/// Who else has to agree, and how that is said.
fn lacking(requirement: &Requirement, missing: usize, by: &str) -> String {
    const NAMES_MAX: usize = 8;
    let mut people: Vec<&str> = requirement.eligible.iter().map(String::as_str).collect();
    let more = people.len().saturating_sub(NAMES_MAX);
    people.truncate(NAMES_MAX);
    let mut people = if people.is_empty() { "nobody".to_owned() } else { people.join(", ") };
    if more > 0 {
        people.push_str(&format!(" and {more} more"));
    }
    format!(
        "{}: the gate {} needs {missing} more approvals by {} ({people}; {by} does not count): \
         use `watchkeep charters propose`, name those who agreed with --approved-by, or write \
         new ones into the document's approvals",
        requirement.subject,
        requirement.gate,
        requirement.roles.join(", ")
    )
}

fn print(published: &Published, output: &mut Output) -> anyhow::Result<()> {
    let count = counted(published.changes.len() as u64, "change");
    match (&published.publication, published.dry_run) {
        (Some(id), _) => output.line(format_args!("published {count} as {id}"))?,
        (None, true) => output.line(format_args!("{count} would be published"))?,
        (None, false) => output.line("nothing has changed since the last publication")?,
    }
    if published.changes.is_empty() {
        return Ok(());
    }
    table(&published.changes).print(output)
}

fn table(changes: &[Changed]) -> Table {
    let mut table = Table::new(["kind", "name", "field", "before", "after"]);
    for Changed { kind, name, fields } in changes {
        for Change { field, before, after } in fields {
            let field = if field.is_empty() { "-" } else { field };
            let cells = [kind.name(), name, field, &shown(before), &shown(after)];
            table.row(cells.map(str::to_owned));
        }
    }
    table
}

/// A value as a cell: long ones are cut, `--format json` has them whole.
pub(super) fn shown(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace('\n', " "),
        other => other.to_string(),
    };
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The documents of a file or a folder of a proposal, and their text.
///
/// # Errors
/// There is no charter in it, or one that cannot be read.
pub(super) fn proposed(path: &Path) -> anyhow::Result<(Vec<CharterDocument>, String)> {
    let paths = match path.is_dir() {
        true => crate::ignored::files_of_charters(path, &[".yaml", ".yml"])?,
        false => vec![path.to_owned()],
    };
    let Texts { files, unread: mut findings } = texts(&paths)?;
    let (documents, more) = watchkeep_wire::yaml::read(&files);
    findings.extend(more);
    if !findings.is_empty() {
        let format = watchkeep_wire::yaml::Format::Text;
        bail!("{}", watchkeep_wire::yaml::render(&findings, &files, format).trim_end());
    }
    if documents.charters.is_empty() {
        bail!("{}: there is no document of kind charter in it", path.display());
    }
    let texts: Vec<&str> =
        files.iter().map(|(_, text)| text.trim_start_matches('\u{feff}')).collect();
    let charters = documents.charters.into_iter().map(|located| located.value).collect();
    Ok((charters, texts.join("\n---\n")))
}
