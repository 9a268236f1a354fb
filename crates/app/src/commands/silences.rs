//! `watchkeep silences list`: silences as the incident log tells of them.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_incident::silence::silences_id;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

use super::incidents::read;
use crate::Outcome;
use crate::cli::respond::SilencesList;
use crate::output::{Format, Output, Table};
use crate::service::clock;

/// A silence in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Listed {
    silence: String,
    state: &'static str,
    matchers: Vec<String>,
    from: Timestamp,
    until: Timestamp,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rationale: Option<String>,
    incidents: Vec<String>,
}

/// # Errors
/// The incident log cannot be read.
pub(super) fn list(arguments: &SilencesList) -> anyhow::Result<Outcome> {
    let facts = read(&arguments.source)?;
    let silences = silences(facts.values().flatten(), clock::now());
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&silences)?,
        Format::Table => {
            let head = ["silence", "state", "until", "by", "incidents", "matchers", "why"];
            let mut table = Table::new(head);
            for silence in &silences {
                table.row([
                    silence.silence.clone(),
                    silence.state.to_owned(),
                    silence.until.to_string(),
                    silence.by.clone(),
                    silence.incidents.len().to_string(),
                    silence.matchers.join(" "),
                    silence.rationale.clone().unwrap_or_default(),
                ]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

/// The silences that facts tell of: those in force first, then by their end.
fn silences<'f>(facts: impl Iterator<Item = &'f Fact>, now: Timestamp) -> Vec<Listed> {
    let mut all: BTreeMap<String, Listed> = BTreeMap::new();
    let mut ended: Vec<&str> = Vec::new();
    for fact in facts {
        match &fact.data {
            FactData::Silenced(data) => {
                let silence = all.entry(data.silence.clone()).or_insert_with(|| Listed {
                    silence: data.silence.clone(),
                    state: "active",
                    matchers: data.matchers.iter().map(ToString::to_string).collect(),
                    from: data.from,
                    until: data.until,
                    by: data.by.clone(),
                    rationale: None,
                    incidents: Vec::new(),
                });
                silence.rationale = silence.rationale.take().or_else(|| fact.rationale.clone());
                let is_own = fact.incident_id == silences_id();
                if !is_own && !silence.incidents.contains(&fact.incident_id) {
                    silence.incidents.push(fact.incident_id.clone());
                }
            }
            FactData::Unsilenced(data) if data.reason == "command" => ended.push(&data.silence),
            _ => {}
        }
    }
    for silence in all.values_mut() {
        silence.state = match () {
            () if ended.contains(&silence.silence.as_str()) => "ended",
            () if silence.until <= now => "expired",
            () if silence.from > now => "pending",
            () => "active",
        };
    }
    let mut all: Vec<Listed> = all.into_values().collect();
    let rank = |silence: &Listed| matches!(silence.state, "ended" | "expired");
    all.sort_by(|a, b| (rank(a), a.until, &a.silence).cmp(&(rank(b), b.until, &b.silence)));
    all
}
