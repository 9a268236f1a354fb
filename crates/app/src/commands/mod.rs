//! One file for each command: gather, call, write down.

mod audit;
mod baselines;
mod charters;
mod config;
mod directory;
mod drill;
mod export;
mod generate;
pub(crate) mod incidents;
mod known;
pub(crate) mod lineage;
mod policy;
pub(crate) mod produce;
mod replay;
mod report;
mod respond;
mod schemas;
mod silences;
mod topics;
pub(crate) mod who;

pub(crate) use self::produce::{KeyOf, headers_of, key_of};

use crate::cli::Command;
use crate::{Outcome, demo, service};

/// Runs a command.
///
/// # Errors
/// What went wrong, in one sentence with what to do.
pub(crate) fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Run(arguments) => service::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Produce(arguments) => produce::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Charters(command) => charters::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Directory(command) => directory::run(&command),
        Command::Report(command) => report::run(&command),
        Command::Drill(command) => drill::run(&command),
        Command::Who(arguments) => who::run(&arguments),
        Command::Baselines(command) => baselines::run(&command),
        Command::Lineage(command) => lineage::run(&command),
        Command::Topics(command) => topics::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Schemas(command) => schemas::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Incidents(command) => incidents::run(&command),
        Command::Silences(command) => respond::silences(&command),
    }
}
