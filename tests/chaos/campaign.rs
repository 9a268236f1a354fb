//! The campaign of real faults: rounds of events and faults, each on a cluster
//! of its own and audited by itself.
//!
//! A round that is over leaves a file in the folder of `--out`; begun again
//! with the same options, the campaign goes on with the next round. The seed
//! of a round follows from `--seed` and its number.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use watchkeep_tests::chaos::faults::Counts;
use watchkeep_tests::chaos::{NO_DEADLINE, Outcome, Plan, run};

/// Kills instances and brokers while known events come in, and shows that
/// nothing is lost and nothing counted twice.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example, 45 minutes on two cores:\n  cargo run --release -p watchkeep-tests --example chaos -- --kills 200 --broker-kills 30 --nodes 3 --instances 3 --events 20000000\n\nExit code 1 when anything was found. Needs what tests/run needs."
)]
struct Options {
    /// kill -9 of an instance, so many times in all
    #[arg(long, default_value_t = 200, value_name = "N")]
    kills: u64,
    /// kill -9 of a broker, so many times in all; needs three nodes
    #[arg(long, default_value_t = 30, value_name = "N")]
    broker_kills: u64,
    /// kill -9 of a lone broker between agreeing to a commit of a stage and
    /// marking it: so many times for each stage; needs one node
    #[arg(long, default_value_t = 0, value_name = "N")]
    unmarked: u64,
    /// SIGTERM, frozen past the session, usurped under its own name, joining
    /// or leaving: so many times each
    #[arg(long, default_value_t = 15, value_name = "N")]
    others: u64,
    /// Kafka nodes: 1 or 3
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5))]
    nodes: u16,
    /// Instances, each of which runs all stages
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    instances: u16,
    /// Events in all
    #[arg(long, default_value_t = 20_000_000, value_name = "N")]
    events: u64,
    /// Events a second
    #[arg(long, default_value_t = 12_000, value_name = "N", value_parser = clap::value_parser!(u64).range(100..))]
    rate: u64,
    /// Mean time between two faults
    #[arg(long, default_value_t = 7_000, value_name = "MS")]
    gap_ms: u64,
    /// How long a killed broker stays away; without it any time from 3 to 15 s
    #[arg(long, value_name = "S")]
    broker_away_s: Option<u64>,
    /// Time between two commits of a stage
    #[arg(long, default_value_t = 200, value_name = "MS")]
    commit_ms: u64,
    /// Cut the campaign into so many rounds
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Another seed, other faults in another order
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Folder of the rounds that are over
    #[arg(long, default_value = "target/chaos", value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match campaign(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("chaos: {why}");
            ExitCode::from(2)
        }
    }
}

fn campaign(options: &Options) -> Result<bool, String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    std::fs::create_dir_all(&options.out).map_err(failed(&options.out))?;
    let mut all = Outcome { seed: options.seed, ..Outcome::default() };
    for round in 0..options.rounds {
        let plan = plan(options, round);
        let file = options.out.join(format!("round-{round:02}.json"));
        // A round of other options is another round.
        let key = format!("{plan:?}");
        let kept = std::fs::read_to_string(&file).ok();
        let kept = kept.and_then(|text| Outcome::from_json(&text, &key));
        let outcome = match kept {
            Some(outcome) => {
                eprintln!("round {} of {} is over: {}", round + 1, options.rounds, file.display());
                outcome
            }
            None => {
                eprintln!("round {} of {}, seed {}", round + 1, options.rounds, plan.seed);
                let outcome = run(&plan)?;
                println!("round {}: {outcome}", round + 1);
                std::fs::write(&file, outcome.to_json(&key)).map_err(failed(&file))?;
                outcome
            }
        };
        all.extend(&outcome);
    }
    println!("all {} rounds: {all}", options.rounds);
    Ok(all.findings.is_clean())
}

/// What a round does: its share of everything, and more partitions in its middle.
fn plan(options: &Options, round: u64) -> Plan {
    let share = |all: u64| all / options.rounds + u64::from(round < all % options.rounds);
    let others = share(options.others);
    let gap = |of_ten: u64| Duration::from_millis(options.gap_ms * of_ten / 10);
    Plan {
        seed: options.seed * 1_000 + round,
        nodes: options.nodes,
        instances: options.instances,
        partitions: 4,
        partitions_later: 8,
        rate: options.rate,
        speed: 4,
        events: share(options.events),
        faults: Counts {
            kills: share(options.kills),
            stops: others,
            freezes: others,
            usurps: others,
            rescales: others,
            broker_kills: share(options.broker_kills),
            unmarked: share(options.unmarked),
        },
        script: &[],
        gap: (gap(3), gap(17)),
        broker_away: options
            .broker_away_s
            .map_or((Duration::from_secs(3), Duration::from_secs(15)), |seconds| {
                (Duration::from_secs(seconds), Duration::from_secs(seconds))
            }),
        commit_interval: Duration::from_millis(options.commit_ms),
        acknowledge_within: NO_DEADLINE,
        is_told: true,
    }
}
