//! `watchkeep policy conformance`.

use watchkeep_incident::conformance::{Held, conformance};
use watchkeep_incident::report::policies::Policies;
use watchkeep_model::revision::Revision;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::Outcome;
use crate::charters::{self, Wanted};
use crate::cli::{Conformance, IncidentSource};
use crate::commands::{incidents, known};
use crate::config::Config;
use crate::output::{Format, Output, Table};

/// # Errors
/// The charters, the folder or the log cannot be read.
pub(super) fn run(arguments: &Conformance) -> anyhow::Result<Outcome> {
    let config = Config::load(arguments.configured.file.as_deref())?;
    let wanted = match (&arguments.charters, &arguments.folder) {
        (Some(folder), _) => Wanted::Folder(folder),
        (None, Some(_)) => Wanted::OfFiles,
        (None, None) => Wanted::OfLog,
    };
    let rules = charters::wanted(&config, &wanted)?;
    let registry = rules.registry();
    let publications = rules.publications().map(|(known, _)| known);
    let source =
        IncidentSource { from: arguments.folder.clone(), configured: arguments.configured.clone() };
    let mut kept: Vec<Revision> = Vec::new();
    incidents::each(&source, "policies", |revision| kept.push(revision))?;
    let policies = Policies::of(&registry, publications.as_deref()).with_kept(kept);
    let incidents = incidents::read(&source)?;
    let last = incidents.values().flatten().map(|fact| fact.occurred_at).max();
    let last = last.map(|last| last + TimeSpan::from_micros(1));
    let at = match arguments.to {
        Some(to) => known::until(to, known::end(arguments.folder.as_deref(), last)),
        None => last.unwrap_or_default(),
    };
    let is_wanted = |held: &Held| {
        let within =
            |opened: Timestamp| arguments.from.is_none_or(|from| from <= opened) && opened < at;
        within(held.opened_at) && arguments.policy.as_ref().is_none_or(|name| *name == held.policy)
    };
    let mut all: Vec<Held> = incidents
        .values()
        .filter_map(|facts| conformance(facts, &policies, &*registry, at))
        .filter(is_wanted)
        .collect();
    all.sort_by(|a, b| (a.opened_at, &a.incident).cmp(&(b.opened_at, &b.incident)));
    print(arguments.formatted.format, &all)?;
    let departs = |held: &Held| !held.checked || !held.deviations.is_empty();
    Ok(if all.iter().any(departs) { Outcome::Found } else { Outcome::Fine })
}

fn print(format: Format, all: &[Held]) -> anyhow::Result<()> {
    let mut output = Output::new();
    match format {
        Format::Json => output.json(&all)?,
        Format::Table => {
            let mut table = Table::new(["incident", "at", "step", "departure", "what"]);
            for held in all {
                for one in &held.deviations {
                    table.row([
                        held.incident.clone(),
                        one.at.to_string(),
                        one.step.clone().unwrap_or_else(|| "-".into()),
                        one.departure.name(),
                        one.what.clone(),
                    ]);
                }
            }
            let sound = all.iter().filter(|held| held.checked && held.deviations.is_empty());
            let unknown: Vec<&Held> = all.iter().filter(|held| !held.checked).collect();
            table.print(&mut output)?;
            let (sound, count) = (sound.count(), all.len());
            output.line(format_args!("\n{sound} of {count} incidents went by their policy"))?;
            for held in unknown {
                let Held { incident, policy, version, .. } = held;
                output.line(format_args!(
                    "{incident} could not be checked: version {version} of the policy {policy} is not known here"
                ))?;
            }
        }
    }
    output.finish()
}
