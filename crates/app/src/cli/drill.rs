//! The command `watchkeep drill`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Configured, Formatted};

#[derive(Debug, Subcommand)]
pub(crate) enum Drill {
    /// Play a made-up incident through the real policy and people, and tell the gaps
    #[command(
        after_help = "Examples:\n  watchkeep drill run nulls-at-night.yaml --charters charters\n  watchkeep drill run nulls-at-night.yaml -c watchkeep.toml --at 2026-12-24T22:00:00Z --out drill --format json\n\nA scenario:\n  kind: drill\n  name: nulls at night\n  events:\n    - {after: 0s, opened: flight.arr_delay_min/missing, severity: critical}\n    - {after: 12m, by: ada, command: acknowledge, subject: flight.arr_delay_min}\n    - {after: 1d, cleared: flight.arr_delay_min/missing}\n  for: 2d\n\nThe clock is the exercise's own. Every fact and message is marked as a drill and goes to --out alone: nobody is paged. With --by the log of the configuration keeps that the exercise was held and what it came to, and with --send each person of its ladder gets one marked message by each of their channels from the sinks with `drill = true`, and its end. Exit code 1 when there is a gap."
    )]
    Run(DrillRun),
}

#[derive(Debug, Args)]
pub(crate) struct DrillRun {
    /// What happens: a YAML file of kind `drill`
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,
    /// Charter folder instead of the configured source
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// When it begins, on the clock of the exercise; without it what the file says, else now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Folder for incidents.ndjson, escalations.ndjson and drill.json; made where there is none
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Record in the log of the configuration that the exercise was held, and by whom, such as user:ada
    #[arg(long, value_name = "USER")]
    pub(crate) by: Option<String>,
    /// What was learned, for the record
    #[arg(long, value_name = "TEXT", requires = "by")]
    pub(crate) rationale: Option<String>,
    /// Send one message of it to each person and channel by the sinks of exercises
    #[arg(long, requires = "by")]
    pub(crate) send: bool,
    /// How long to wait until it is recorded; 0s does not wait
    #[arg(long, value_name = "SPAN", default_value = "15s", requires = "by")]
    pub(crate) wait: TimeSpan,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}
