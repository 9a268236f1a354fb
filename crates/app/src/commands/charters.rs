//! `watchkeep charters lint`.

use watchkeep_model::document::Level;
use watchkeep_wire::yaml;

use crate::Outcome;
use crate::charters::Folder;
use crate::cli;
use crate::config::Config;
use crate::output::{Format, Output};

/// # Errors
/// The folder cannot be read; findings are no errors.
pub(super) fn run(command: &cli::Charters) -> anyhow::Result<Outcome> {
    let cli::Charters::Lint(arguments) = command;
    let pane = match &arguments.config {
        Some(file) => Config::load(Some(file))?.time.pane,
        None => watchkeep_detection::settings::TimeSettings::default().pane,
    };
    let folder = Folder::read(&arguments.folder, pane)?;
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&folder.diagnostics)?,
        Format::Table => {
            output.text(&yaml::render(&folder.diagnostics, &folder.files, yaml::Format::Text))?;
            let (files, errors) = (folder.files.len(), folder.count(Level::Error));
            let warnings = folder.count(Level::Warning);
            output.line(format_args!(
                "files read: {files}, errors: {errors}, warnings: {warnings}"
            ))?;
        }
    }
    output.finish()?;
    let has_errors = folder.count(Level::Error) > 0;
    Ok(if has_errors { Outcome::Found } else { Outcome::Fine })
}
