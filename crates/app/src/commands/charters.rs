//! `watchkeep charters`: lint here; import and export in [`exchange`], what
//! concerns the charters topic in the other files.

mod desk;
mod exchange;
mod propose;
mod publish;
pub(super) mod show;

use std::path::Path;

use anyhow::bail;
use watchkeep_incident::registry::{self, Captured, Checks, DeadLinks, History};
use watchkeep_model::document::{Level, nearest};
use watchkeep_model::window::Window;
use watchkeep_wire::yaml;

use crate::charters::{self, Folder};
use crate::cli::{self, LintFormat};
use crate::commands::audit::folder;
use crate::config::Config;
use crate::output::{Output, complain};
use crate::sinks::claims::unclaimed;
use crate::{Outcome, links, profiles, service};

/// # Errors
/// The folder cannot be read, or what is exchanged cannot be used; findings of
/// the lint are no errors.
pub(super) fn run(command: &cli::Charters) -> anyhow::Result<Outcome> {
    match command {
        cli::Charters::Lint(arguments) => match (&arguments.explain, &arguments.folder) {
            (Some(rule), _) => explain_from(rules, rule),
            (None, Some(folder)) => lint(arguments, folder),
            (None, None) => bail!("name a charter folder"),
        },
        cli::Charters::Import(arguments) => exchange::import(arguments),
        cli::Charters::Export(arguments) => exchange::export(arguments),
        cli::Charters::Publish(arguments) => publish::publish(arguments),
        cli::Charters::Diff(arguments) => publish::diff(arguments),
        cli::Charters::Propose(arguments) => propose::propose(arguments),
        cli::Charters::Approve(arguments) => propose::approve(arguments),
        cli::Charters::Reject(arguments) => propose::reject(arguments),
        cli::Charters::Comment(arguments) => propose::comment(arguments),
        cli::Charters::Proposals(arguments) => propose::list(arguments),
        cli::Charters::History(arguments) => show::history(arguments),
        cli::Charters::Show(arguments) => show::show(arguments),
    }
}

fn lint(arguments: &cli::Lint, folder: &Path) -> anyhow::Result<Outcome> {
    let config = arguments.config.as_ref().map(|file| Config::load(Some(file))).transpose()?;
    let pane = match &config {
        Some(config) => config.time.pane,
        None => watchkeep_detection::settings::TimeSettings::default().pane,
    };
    let mut history = History::default();
    if let Some(folder) = &arguments.history {
        folder::each(folder, "windows.ndjson", |window: Window| history.add(&window))?;
    }
    let now = arguments.at.unwrap_or_else(service::clock::now);
    let profiles = arguments.baselines.as_deref().map(captured).transpose()?;
    let mut checks = Checks { now: Some(now), history, profiles, ..Checks::of_pane(pane) };
    if arguments.check_links {
        checks.dead_links = dead_links(&Folder::read(folder, pane)?, &arguments.allow_host);
    }
    let path = folder;
    let mut folder = Folder::read_and_check(path, &checks)?;
    let runs = charters::lint_runs(path, &folder.registry)?;
    folder.diagnostics.extend(runs);
    folder.diagnostics.sort();
    print_findings(&folder, arguments.format, rules())?;
    tell_unclaimed(&folder, config.as_ref());
    let has_errors = folder.count(Level::Error) > 0;
    Ok(if has_errors { Outcome::Found } else { Outcome::Fine })
}

/// Tells on standard error which channels no sink of the configuration takes.
pub(super) fn tell_unclaimed(folder: &Folder, config: Option<&Config>) {
    let sinks = config.map_or(&[][..], |config| &config.sinks);
    for line in unclaimed(&folder.registry, sinks) {
        complain(&line);
    }
}

/// Which profiles were captured, by the files of `baselines capture`.
fn captured(path: &Path) -> anyhow::Result<Captured> {
    let mut captured = Captured::default();
    for profile in profiles::of_files(path)? {
        captured.add(&profile.id, &profile.feature);
    }
    Ok(captured)
}

/// Asks for the links of a folder, and tells on standard error which were not asked for.
fn dead_links(folder: &Folder, allowed: &[String]) -> DeadLinks {
    let looked = links::look(registry::links(&folder.documents()), allowed);
    for (host, count) in &looked.elsewhere {
        complain(&format!("links to {host}, not looked at without --allow-host {host}: {count}"));
    }
    if looked.beyond > 0 {
        complain(&format!("further links, not looked at: {}", looked.beyond));
    }
    looked.dead
}

/// Prints what was found in a folder.
///
/// # Errors
/// Those of the output.
pub(super) fn print_findings(
    folder: &Folder,
    format: LintFormat,
    rules: impl Iterator<Item = &'static (&'static str, &'static str)>,
) -> anyhow::Result<()> {
    let mut output = Output::new();
    match format {
        LintFormat::Json => output.json(&folder.diagnostics)?,
        LintFormat::Sarif => {
            let version = env!("CARGO_PKG_VERSION");
            output.text(&yaml::sarif(&folder.diagnostics, rules, version))?;
        }
        LintFormat::Table => {
            output.text(&yaml::render(&folder.diagnostics, &folder.files, yaml::Format::Text))?;
            let (files, errors) = (folder.files.len(), folder.count(Level::Error));
            let warnings = folder.count(Level::Warning);
            output.line(format_args!(
                "files read: {files}, errors: {errors}, warnings: {warnings}"
            ))?;
        }
    }
    output.finish()
}

/// Every rule with what it means, those of the reader first.
fn rules() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    yaml::RULES.iter().chain(&registry::RULES)
}

/// Tells what a rule means.
///
/// # Errors
/// There is no such rule; those of the output.
pub(super) fn explain_from<R>(rules: impl Fn() -> R, wanted: &str) -> anyhow::Result<Outcome>
where
    R: Iterator<Item = &'static (&'static str, &'static str)>,
{
    let found: Vec<_> = rules().filter(|(name, _)| wanted == "all" || wanted == *name).collect();
    if found.is_empty() {
        match nearest(wanted, rules().map(|(name, _)| *name)) {
            Some(near) => bail!("there is no rule `{wanted}`: did you mean `{near}`?"),
            None => bail!("there is no rule `{wanted}`: `--explain all` tells every one"),
        }
    }
    let mut output = Output::new();
    for (name, text) in found {
        output.line(format_args!("{name}\n    {text}"))?;
    }
    output.finish()?;
    Ok(Outcome::Fine)
}
