//! `watchkeep incidents explain`: tells an incident backwards, from where it
//! stands now to the records that it came from. Everything is taken from
//! facts, breaches and windows; what is missing is said to be missing.

mod measured;
mod pending;
mod print;
mod story;

use std::path::Path;

use serde::Serialize;
use watchkeep_incident::state::Incident;
use watchkeep_model::incident::data::{Attribution, CharterRevision, Link, PolicyRevision};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_wire::fact::{Stored, decode};

use self::measured::Measured;
use self::pending::Pending;
use self::story::Told;
use crate::Outcome;
use crate::cli::{IncidentSource, IncidentsShow};
use crate::commands::audit::folder;
use crate::commands::charters::show::{LastChange, last_changes};
use crate::config::Config;
use crate::output::{Format, Output};
use crate::store::Store;

/// An incident with its reasons.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    incident_id: String,
    state: &'static str,
    severity: &'static str,
    kind: &'static str,
    root: String,
    opened_at: Timestamp,
    drill: bool,
    /// What is waited for now.
    pending: Pending,
    /// What happened and why, the latest first.
    story: Vec<Told>,
    /// Who answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    unowned: bool,
    /// How that was found, each time that it was looked for, the latest first.
    resolutions: Vec<Resolution>,
    /// Why it is about this root.
    attribution: Attribution,
    /// By which rules it goes, as they were when it opened.
    policy: PolicyRevision,
    #[serde(skip_serializing_if = "Option::is_none")]
    charter: Option<CharterRevision>,
    /// Charters of what else breaches in it, each once, in order of subject.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    charters: Vec<CharterRevision>,
    /// What was changed last in these charters before it opened, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<LastChange>,
    /// The breaches with their windows and raw records, the latest first.
    breaches: Vec<Measured>,
    /// What could not be found, and why that may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

/// The owner chain as it was gone down once.
#[derive(Debug, Serialize)]
pub(super) struct Resolution {
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    links: Vec<Link>,
}

/// # Errors
/// The log cannot be read, or there is no such incident.
pub(super) fn run(arguments: &IncidentsShow) -> anyhow::Result<Outcome> {
    let all = super::read(&arguments.source)?;
    let facts = super::find(&all, &arguments.incident)?;
    let mut missing = Vec::new();
    let attached = measured::attached(facts);
    let breaches = measured::breaches(&arguments.source, attached, &mut missing)?;
    let mut explanation = explain(facts, breaches, missing)?;
    if arguments.source.from.is_none() {
        let charters = explanation.charter.iter().chain(&explanation.charters);
        let documents = charters.flat_map(|one| one.documents.iter().map(String::as_str));
        let (configured, before) = (&arguments.source.configured, explanation.opened_at);
        explanation.changes = last_changes(configured, documents, before)?;
    }
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&explanation)?,
        Format::Table => print::print(&explanation, &mut output)?,
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

fn explain(
    facts: &[Fact],
    breaches: Vec<Measured>,
    missing: Vec<String>,
) -> anyhow::Result<Explanation> {
    let begun = facts.first().and_then(|first| Some((Incident::begin(first)?, first)));
    let Some((mut incident, first)) = begun else {
        anyhow::bail!(
            "these facts belong to no incident: they are what concerned none, such as refused \
             commands; `watchkeep incidents show` has them"
        );
    };
    let FactData::Opened(opened) = &first.data else {
        anyhow::bail!("the first fact is no opening: `watchkeep audit verify` tells more");
    };
    let mut resolutions = Vec::new();
    for fact in facts {
        let found = match &fact.data {
            FactData::Opened(opened) => Some((&opened.owner, &opened.resolution)),
            FactData::OwnerResolved(found) => Some((&found.owner, &found.resolution)),
            _ => None,
        };
        if let Some((owner, links)) = found {
            let (owner, links) = (owner.clone(), links.clone());
            resolutions.push(Resolution { at: fact.occurred_at, owner, links });
        }
        if fact.sequence > 1 {
            incident.apply(fact);
        }
    }
    resolutions.reverse();
    Ok(Explanation {
        incident_id: incident.id.clone(),
        state: incident.state.name(),
        severity: incident.severity.name(),
        kind: incident.kind.name(),
        root: incident.root.clone(),
        opened_at: incident.opened_at,
        drill: incident.drill,
        pending: pending::of(&incident, facts),
        story: story::of(facts),
        owner: incident.owner.clone(),
        unowned: incident.unowned,
        resolutions,
        attribution: opened.attribution.clone(),
        policy: incident.policy.clone(),
        charter: incident.charter.clone(),
        charters: others(facts),
        changes: Vec::new(),
        breaches,
        missing,
    })
}

/// The charters by which breaches of the incident were judged, besides the one
/// that it follows. An earlier version did not write them down.
fn others(facts: &[Fact]) -> Vec<CharterRevision> {
    let of_breaches = facts.iter().filter_map(|fact| match &fact.data {
        FactData::BreachAttached(breach) => breach.charter.clone(),
        _ => None,
    });
    let mut all: Vec<CharterRevision> = Vec::new();
    for one in of_breaches {
        let is_same = |known: &CharterRevision| {
            known.subject == one.subject && known.documents == one.documents
        };
        if !all.iter().any(is_same) {
            all.push(one);
        }
    }
    all.sort_by(|a, b| (&a.subject, a.in_force_at).cmp(&(&b.subject, b.in_force_at)));
    all
}

/// Hands on every fact of one kind that the source has; `false` where it has
/// none because they are not kept there.
///
/// # Errors
/// The folder or the log cannot be read.
pub(super) fn each<T: Stored>(
    source: &IncidentSource,
    name: &str,
    mut handle: impl FnMut(T),
) -> anyhow::Result<bool> {
    /// Offsets that are read at once.
    const CHUNK: i64 = 5_000;
    if let Some(folder) = &source.from {
        return each_of_folder(folder, name, handle);
    }
    let config = Config::load_required(source.configured.file.as_deref())?;
    let mut reader = Store::reader_or_service(&config)?;
    let topic = config.topics.named(name);
    let mut is_whole = true;
    for number in 0..reader.partition_count(&topic)? {
        let partition = Partition::new(topic.as_str(), number);
        let (mut from, end) = reader.bounds(&partition)?;
        is_whole &= from == 0;
        while from < end {
            let to = (from + CHUNK).min(end);
            for record in reader.read(&partition, from, to)? {
                // What cannot be read is for `audit ledger` to tell of.
                if let Ok(fact) = decode(&record.value) {
                    handle(fact);
                }
            }
            from = to;
        }
    }
    Ok(is_whole)
}

fn each_of_folder<T: Stored>(
    folder: &Path,
    name: &str,
    handle: impl FnMut(T),
) -> anyhow::Result<bool> {
    let name = format!("{name}.ndjson");
    if !folder.join(&name).exists() {
        return Ok(false);
    }
    folder::each(folder, &name, handle)?;
    Ok(true)
}
