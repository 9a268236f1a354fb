//! `watchkeep config check`.

use crate::Outcome;
use crate::charters::Folder;
use crate::cli::ConfigCommand;
use crate::config::Config;
use crate::output::{Format, Output, Table, complain};
use crate::sinks::claims::unclaimed;

/// # Errors
/// Everything that is wrong with the configuration.
pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<Outcome> {
    let ConfigCommand::Check(arguments) = command;
    let config = Config::load(arguments.configured.file.as_deref())?;
    for sink in &config.sinks {
        sink.secret()?;
    }
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&config.shown)?,
        Format::Table => {
            let mut table = Table::new(["key", "value", "from", "meaning"]);
            for shown in &config.shown {
                let value = shown.value.clone().unwrap_or_else(|| "-".into());
                let from = if shown.value.is_none() { "-" } else { &shown.origin };
                table.row([shown.key.clone(), value, from.to_owned(), shown.meaning.clone()]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    // What is wrong with the folder is for `charters lint` to tell.
    if let Some(folder) = config.charters.as_ref().filter(|_| !config.sinks.is_empty())
        && let Ok(folder) = Folder::read(folder, config.time.pane)
    {
        for line in unclaimed(&folder.registry, &config.sinks) {
            complain(&line);
        }
    }
    Ok(Outcome::Fine)
}
