//! Kills the escalate stage on real Kafka while its timers run:
//! `cargo run -p watchkeep-tests --example kill_escalate -- --kills 50`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::process::ExitCode;

use clap::Parser;
use watchkeep_tests::chaos::timers::run;

/// kill -9 of the escalate stage at any moment, with deadlines of a second or
/// two running; afterwards each deadline must have been answered once, and
/// each page be a fact and a message once. Exit code 1 when it is not so.
#[derive(Debug, Parser)]
struct Options {
    /// So many kills
    #[arg(long, default_value_t = 50, value_name = "N")]
    kills: u64,
    /// Another seed, other breaches and commands, killed at other moments
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options.seed, options.kills) {
        Ok(outcome) => {
            println!("seed {}: {outcome}", options.seed);
            if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(why) => {
            eprintln!("kill_escalate: {why}");
            ExitCode::from(2)
        }
    }
}
