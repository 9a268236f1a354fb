//! `watchkeep incidents list`, `show` and `explain`: the incident log of a
//! replay or of the configured log.

mod explain;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use watchkeep_incident::state::Incident;
use watchkeep_model::incident::{Fact, FactData, FactName};
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_wire::fact::{Stored, decode};

use crate::Outcome;
use crate::cli::{self, IncidentSource};
use crate::config::Config;
use crate::input::Lines;
use crate::output::{Format, Output, Table};
use crate::service::view::flags;
use crate::store::{Reader, Store};

/// Offsets that are read at once.
const CHUNK: i64 = 5_000;

/// An incident in a line.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(super) incident_id: String,
    pub(super) opened_at: Timestamp,
    pub(super) state: Cow<'static, str>,
    pub(super) severity: String,
    pub(super) kind: String,
    pub(super) root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    step: String,
    pages: u64,
    last_at: Timestamp,
    /// That the steps have run out, and what keeps its pages back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<Cow<'static, str>>,
    #[serde(skip)]
    is_open: bool,
}

/// # Errors
/// The incident log cannot be read, or there is no such incident.
pub(super) fn run(command: &cli::Incidents) -> anyhow::Result<Outcome> {
    match command {
        cli::Incidents::List(arguments) => list(arguments),
        cli::Incidents::Show(arguments) => show(arguments),
        cli::Incidents::Explain(arguments) => explain::run(arguments),
        answer => super::respond::run(answer),
    }
}

/// Hands on every fact of one kind that the source has, as
/// [`explain::each`] does.
///
/// # Errors
/// The folder or the log cannot be read.
pub(super) fn each<T: Stored>(
    source: &IncidentSource,
    name: &str,
    handle: impl FnMut(T),
) -> anyhow::Result<bool> {
    explain::each(source, name, handle)
}

fn list(arguments: &cli::IncidentsList) -> anyhow::Result<Outcome> {
    let facts = read(&arguments.source)?;
    let mut all: Vec<Listed> = facts.values().filter_map(|facts| listed(facts)).collect();
    all.retain(|one| one.is_open || !arguments.open);
    all.sort_by(|a, b| (a.opened_at, &a.incident_id).cmp(&(b.opened_at, &b.incident_id)));
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&all)?,
        Format::Table => {
            let head = [
                "incident", "opened", "state", "severity", "kind", "root", "owner", "step",
                "pages", "flags",
            ];
            let mut table = Table::new(head);
            for line in all {
                table.row([
                    line.incident_id,
                    line.opened_at.to_string(),
                    line.state.to_string(),
                    line.severity,
                    line.kind,
                    line.root,
                    line.owner.unwrap_or_else(|| "nobody".into()),
                    line.step,
                    line.pages.to_string(),
                    if line.flags.is_empty() { "-".into() } else { line.flags.join(", ") },
                ]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

fn show(arguments: &cli::IncidentsShow) -> anyhow::Result<Outcome> {
    let all = read(&arguments.source)?;
    let facts = find(&all, &arguments.incident)?;
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(facts)?,
        Format::Table => {
            let mut table = Table::new(["#", "at", "fact", "actor", "what"]);
            for fact in facts {
                table.row([
                    fact.sequence.to_string(),
                    fact.occurred_at.to_string(),
                    name(fact.fact),
                    fact.actor.clone(),
                    told(fact),
                ]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// The facts of the incident whose identifier begins like this.
///
/// # Errors
/// There is none, or more than one.
pub(super) fn find<'a>(
    all: &'a BTreeMap<String, Vec<Fact>>,
    beginning: &str,
) -> anyhow::Result<&'a Vec<Fact>> {
    let mut found =
        all.range(beginning.to_owned()..).take_while(|(id, _)| id.starts_with(beginning));
    let Some((_, facts)) = found.next() else {
        bail!("there is no incident {beginning}: {}", nearest(all, beginning));
    };
    if let Some((other, _)) = found.next() {
        bail!("more than one incident begins with {beginning}: {other} does too");
    }
    Ok(facts)
}

/// Which incident might have been meant.
fn nearest(all: &BTreeMap<String, Vec<Fact>>, wanted: &str) -> String {
    let common = |id: &str| id.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
    let listed = "`watchkeep incidents list` has those there are";
    match all.keys().max_by_key(|id| common(id)).filter(|id| common(id) > 0) {
        Some(id) => format!("{id} is the nearest; {listed}"),
        None => listed.to_owned(),
    }
}

/// Facts by incident, each in order.
///
/// # Errors
/// The folder or the log cannot be read.
pub(super) fn read(source: &IncidentSource) -> anyhow::Result<BTreeMap<String, Vec<Fact>>> {
    let mut incidents: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
    let mut keep = |fact: Fact| incidents.entry(fact.incident_id.clone()).or_default().push(fact);
    if let Some(folder) = &source.from {
        read_file(&folder.join("incidents.ndjson"), &mut keep)?;
        return Ok(incidents);
    }
    let config = Config::load_required(source.configured.file.as_deref())?;
    let mut reader = Store::reader_or_service(&config)?;
    read_topic(&mut reader, &config.topics.named("incidents"), &mut keep)?;
    Ok(incidents)
}

/// The facts of the incident log by incident, as a service reads them.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn of_log(
    reader: &mut Reader,
    topic: &str,
) -> anyhow::Result<BTreeMap<String, Vec<Fact>>> {
    let mut incidents: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
    let mut keep = |fact: Fact| incidents.entry(fact.incident_id.clone()).or_default().push(fact);
    read_topic(reader, topic, &mut keep)?;
    Ok(incidents)
}

fn read_topic(reader: &mut Reader, topic: &str, keep: &mut impl FnMut(Fact)) -> anyhow::Result<()> {
    for number in 0..reader.partition_count(topic)? {
        let partition = Partition::new(topic, number);
        let (mut from, end) = reader.bounds(&partition)?;
        while from < end {
            let to = (from + CHUNK).min(end);
            for record in reader.read(&partition, from, to)? {
                let fact = decode(&record.value)
                    .with_context(|| format!("{topic}/{number} at offset {}", record.offset))?;
                keep(fact);
            }
            from = to;
        }
    }
    Ok(())
}

fn read_file(path: &Path, keep: &mut impl FnMut(Fact)) -> anyhow::Result<()> {
    let mut lines = Lines::open(path)?;
    let mut line = Vec::new();
    while let Some(number) = lines.read(&mut line)? {
        let fact = decode(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        keep(fact);
    }
    Ok(())
}

/// The line of an incident; `None` for commands that concern none.
pub(super) fn listed(facts: &[Fact]) -> Option<Listed> {
    // Commands that concern no incident have a chain of their own.
    let mut incident = Incident::begin(facts.first()?)?;
    facts.iter().skip(1).for_each(|fact| incident.apply(fact));
    let is_page = |fact: &&Fact| fact.fact == FactName::Notified;
    Some(Listed {
        opened_at: incident.opened_at,
        state: incident.state.name().into(),
        severity: incident.severity.name().to_owned(),
        kind: incident.kind.name().to_owned(),
        pages: facts.iter().filter(is_page).count() as u64,
        last_at: facts.last()?.occurred_at,
        flags: flags(&incident).into_iter().map(Cow::from).collect(),
        is_open: incident.is_open(),
        incident_id: incident.id,
        root: incident.root,
        owner: incident.owner,
        step: incident.entry.step,
    })
}

pub(super) fn name(fact: FactName) -> String {
    serde_json::to_value(fact)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The gist of a fact, in a line.
pub(super) fn told(fact: &Fact) -> String {
    match &fact.data {
        FactData::Opened(opened) => {
            let owner = opened.owner.as_deref().unwrap_or("nobody");
            format!(
                "{} of {} ({}), {owner} answers",
                opened.kind.name(),
                opened.root,
                opened.severity.name()
            )
        }
        FactData::BreachAttached(breach) => format!("{}: {}", breach.feature, breach.reason),
        FactData::BreachCleared(breach) => {
            format!("{} {}, {} still open", breach.feature, breach.expectation, breach.open_count)
        }
        FactData::Notified(notified) => {
            format!(
                "{} as {} over {} ({})",
                notified.target, notified.role, notified.channel, notified.reason
            )
        }
        _ => {
            let mut text = serde_json::to_string(&fact.data).unwrap_or_default();
            if let Some(rationale) = &fact.rationale {
                text = format!("{rationale} {text}");
            }
            text
        }
    }
}
