//! `watchkeep policy`: lint, render, simulate and conformance.

mod conformance;
mod simulate;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use watchkeep_incident::context::{DEFAULT_POLICY, default_policy};
use watchkeep_incident::playbook;
use watchkeep_incident::registry::{self, Checks, Registry};
use watchkeep_incident::report::drills::held;
use watchkeep_model::document::{Diagnostic, Level, nearest};
use watchkeep_model::incident::Fact;
use watchkeep_model::policy::Policy;
use watchkeep_model::time::Timestamp;
use watchkeep_wire::yaml;

use super::charters::{explain_from, print_findings, tell_unclaimed};
use super::{drill, incidents};
use crate::charters::{Folder, Wanted};
use crate::cli::{Configured, IncidentSource, PlaybookFormat, Policies, PolicyLint, PolicyRender};
use crate::config::Config;
use crate::output::Output;
use crate::{Outcome, charters, service};

/// # Errors
/// The folder cannot be read, or there is no such policy or subject; findings
/// of the lint are no errors.
pub(super) fn run(command: &Policies) -> anyhow::Result<Outcome> {
    match command {
        Policies::Lint(arguments) => {
            let folder = arguments.folder.as_ref().or(arguments.charters.as_ref());
            match (&arguments.explain, folder) {
                (Some(rule), _) => explain_from(rules, rule),
                (None, Some(folder)) => lint(arguments, folder),
                (None, None) => bail!("name a charter folder"),
            }
        }
        Policies::Render(arguments) => render(arguments),
        Policies::Simulate(arguments) => simulate::run(arguments),
        Policies::Conformance(arguments) => conformance::run(arguments),
    }
}

/// Rules of policies first, then those of the reader and of the whole folder.
fn rules() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    registry::PLAYBOOK_RULES.iter().chain(&yaml::RULES).chain(&registry::RULES)
}

fn lint(arguments: &PolicyLint, path: &Path) -> anyhow::Result<Outcome> {
    let now = arguments.at.unwrap_or_else(service::clock::now);
    let history = arguments.history.as_deref();
    let drills = history.map(|path| drills(path, arguments.config.as_deref(), now)).transpose()?;
    let config = arguments.config.as_ref().map(|file| Config::load(Some(file))).transpose()?;
    let pane = match &config {
        Some(config) => config.time.pane,
        None => watchkeep_detection::settings::TimeSettings::default().pane,
    };
    let checks = Checks { now: Some(now), playbooks: true, drills, ..Checks::of_pane(pane) };
    let mut folder = Folder::read_and_check(path, &checks)?;
    // An error elsewhere may hide people or charters from a policy, so it is told too.
    let concerns =
        |one: &Diagnostic| one.severity == Level::Error || one.document.starts_with("policy");
    folder.diagnostics.retain(concerns);
    print_findings(&folder, arguments.format, rules())?;
    tell_unclaimed(&folder, config.as_ref());
    let has_errors = folder.count(Level::Error) > 0;
    Ok(if has_errors { Outcome::Found } else { Outcome::Fine })
}

/// What `--history` calls the log of the configuration.
const OF_LOG: &str = "log";

/// The latest drill of each policy, by a folder or the log.
fn drills(
    path: &Path,
    config: Option<&Path>,
    now: Timestamp,
) -> anyhow::Result<BTreeMap<String, Timestamp>> {
    let is_log = path == Path::new(OF_LOG);
    if is_log && config.is_none() {
        bail!("--history log is the log of a configuration: add -c FILE");
    }
    let facts = incidents::read(&IncidentSource {
        from: (!is_log).then(|| path.to_owned()),
        configured: Configured { file: config.map(Path::to_owned) },
    })?;
    let mut facts: Vec<Fact> = facts.into_values().flatten().collect();
    if !is_log {
        drill::when_held(path, &mut facts);
    }
    Ok(held(&facts, now))
}

fn render(arguments: &PolicyRender) -> anyhow::Result<Outcome> {
    let folder = arguments.folder.as_deref().or(arguments.charters.as_deref());
    let registry = registry_of(folder, &arguments.configured)?;
    let policy = policy_of(&registry, &arguments.name)?;
    let text = match arguments.format {
        PlaybookFormat::Markdown => playbook::markdown(&policy),
        PlaybookFormat::Mermaid => playbook::mermaid(&policy),
        PlaybookFormat::Dot => playbook::dot(&policy),
    };
    let mut output = Output::new();
    output.text(&text)?;
    output.finish()?;
    Ok(Outcome::Fine)
}

fn registry_of(folder: Option<&Path>, configured: &Configured) -> anyhow::Result<Arc<Registry>> {
    let config = Config::load(configured.file.as_deref())?;
    let wanted = folder.map_or(Wanted::OfLog, Wanted::Folder);
    Ok(charters::wanted(&config, &wanted)?.registry())
}

/// A policy by its name, also the built-in one.
fn policy_of(registry: &Registry, name: &str) -> anyhow::Result<Policy> {
    if let Some(policy) = registry.policy(name) {
        return Ok(policy.clone());
    }
    if name == DEFAULT_POLICY {
        return Ok(default_policy());
    }
    match nearest(name, registry.policies().map(|policy| policy.name.as_str())) {
        Some(near) => bail!("there is no policy `{name}`: did you mean `{near}`?"),
        None => bail!("there is no policy `{name}`"),
    }
}
