//! The `watchkeep` command: the one crate that knows the command line, the
//! environment, HTTP, threads and the wall clock.
//!
//! A command gathers what it needs, calls the pure crates, and writes down what
//! they answer. Where to look: [`cli`] says which commands there are,
//! [`commands`] has one file for each, [`config`] reads `watchkeep.toml`,
//! [`service`] runs the stages, [`sinks`] carries pages away, [`http`] shows them, [`demo`] tells a story.

mod charters;
mod cli;
mod commands;
mod config;
mod demo;
mod http;
mod ignored;
mod input;
mod links;
mod metrics;
mod output;
mod process;
mod profiles;
mod progress;
mod responses;
mod retention;
mod service;
mod signals;
mod sinks;
mod store;
mod training;

use std::process::ExitCode;

use clap::Parser;

/// Facts, messages and summaries are small texts and lists that come and go by
/// the hundred thousand, which the system's allocator is slower at.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: fine.
    Fine,
    /// 1: it was looked for and found: a finding, a difference.
    Found,
}

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe must not turn help into an error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match commands::run(arguments.command) {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        // Whoever read the output has seen enough (`| head`).
        Err(error) if error.is::<output::Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                output::complain(line);
            }
            ExitCode::from(2)
        }
    }
}
