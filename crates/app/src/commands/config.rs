//! `watchkeep config check`.

use crate::Outcome;
use crate::cli::ConfigCommand;
use crate::config::Config;
use crate::output::{Format, Output, Table};

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
    Ok(Outcome::Fine)
}
