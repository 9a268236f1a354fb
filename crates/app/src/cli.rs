//! The command line: which commands there are, and what `--help` teaches.

mod baselines;
mod charters;
mod conformance;
mod drill;
mod exchange;
mod lineage;
mod lists;
mod policy;
mod report;
pub(crate) mod respond;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_simulator::generator::Scenario;

pub(crate) use self::baselines::{
    BaselineSource, Baselines, BaselinesList, BaselinesShow, Capture,
};
pub(crate) use self::charters::{
    Answer, ChartersHistory, ChartersShow, Diff, Doing, Proposals, Propose, Publish,
};
pub(crate) use self::conformance::Conformance;
pub(crate) use self::drill::{Drill, DrillRun};
pub(crate) use self::exchange::{Export as ChartersExport, Import as ChartersImport};
pub(crate) use self::lineage::{Lineage, LineageFormat, LineageShow};
pub(crate) use self::lists::{
    Audit, AuditLedger, AuditReplay, AuditVerify, ConfigCommand, IncidentSource, Incidents,
    IncidentsList, IncidentsShow, Schemas, SchemasCheck, SchemasList, Topics, TopicsCheck,
    TopicsCreate,
};
pub(crate) use self::policy::{PlaybookFormat, Policies, PolicyLint, PolicyRender, PolicySimulate};
pub(crate) use self::report::{
    Directory, DirectoryImport, Ical, Probe, Report, ReportFormat, ReportHealth, ReportOf,
};
use crate::output::Format;

/// Keeps watch over the features that models depend on: finds drift, latency
/// and lost values in telemetry, finds who is accountable, and pages until
/// somebody answers.
#[derive(Debug, Parser)]
#[command(
    name = "watchkeep",
    version,
    arg_required_else_help = true,
    after_help = "Start here:\n  watchkeep demo                         see it work, no set-up\n  watchkeep replay --input events.ndjson.gz --charters charters --out out\n  watchkeep run -c watchkeep.toml        the service\n\nExit codes: 0 fine, 1 found something, 2 usage, input or surroundings"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show everything at work: a made-up shop, all stages, a page to look at
    Demo(Demo),
    /// Run the service on Kafka or on the embedded log
    Run(Run),
    /// Take telemetry from files through all stages, the same bytes each time
    Replay(Replay),
    /// Write telemetry lines to the configured log
    Produce(Produce),
    /// Print a topic of the log as NDJSON
    Export(Export),
    /// Make telemetry up, the same for the same options
    Generate(Generate),
    /// Check charters, publish and change them, exchange them with other programs
    #[command(subcommand)]
    Charters(Charters),
    /// Check policies, write them as playbooks, try them out
    #[command(subcommand)]
    Policy(Policies),
    /// Import absences and rotas
    #[command(subcommand)]
    Directory(Directory),
    /// Tell how features fared, how charters are looked after and what it costs people
    #[command(subcommand)]
    Report(Report),
    /// Try the ladder out: exercises through the real policy, without a page
    #[command(subcommand)]
    Drill(Drill),
    /// Tell who answers for a feature, what feeds it and what watches it
    Who(Who),
    /// Capture, list or show baselines from training sets
    #[command(subcommand)]
    Baselines(Baselines),
    /// Show what is made from what
    #[command(subcommand)]
    Lineage(Lineage),
    /// Create or check the topics
    #[command(subcommand)]
    Topics(Topics),
    /// Show the configuration in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List or check the schemas
    #[command(subcommand)]
    Schemas(Schemas),
    /// Prove from what was written that nothing is lost and nothing counted twice
    #[command(subcommand)]
    Audit(Audit),
    /// List or show incidents, and do something about them
    #[command(subcommand)]
    Incidents(Incidents),
    /// Be quiet about some incidents for a time
    #[command(subcommand)]
    Silences(respond::Silences),
}

/// The configuration, for most commands.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Configured {
    /// Configuration file; without it watchkeep.toml of this folder
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Formatted {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep demo\n  watchkeep demo --for 60s --folder /tmp/shop\n\nAn event minute passes in a second. Exit code 1 with --for when nobody was paged."
)]
pub(crate) struct Demo {
    /// End by itself after this long, such as 60s; else Ctrl-C
    #[arg(long = "for", value_name = "SPAN")]
    pub(crate) span: Option<TimeSpan>,
    /// The same in whole seconds
    #[arg(long, value_name = "N", conflicts_with = "span")]
    pub(crate) seconds: Option<u32>,
    /// Keep log, charters and configuration here; else in a folder that is deleted at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Address of the page; without it 127.0.0.1:9464, or any free port where that is taken
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep run -c watchkeep.toml\n  watchkeep run -c watchkeep.toml --stages summarise\n  WATCHKEEP_TIME__PANE=30s watchkeep run -c watchkeep.toml\n\nSIGTERM and Ctrl-C end it: it commits what it has and exits with 0. RUST_LOG=debug tells every commit."
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Which stages, with commas between; an embedded log needs all of them in one process
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = StageName::ALL)]
    pub(crate) stages: Vec<StageName>,
    /// This instance's name where several run the same stage: part of its transactional ids
    #[arg(long, default_value = "0", value_name = "NAME")]
    pub(crate) instance: String,
    /// How the log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum StageName {
    /// Telemetry to summaries
    Summarise,
    /// Summaries to windows and breaches
    Evaluate,
    /// Breaches to incidents and pages
    Escalate,
    /// Pages to the sinks of the configuration
    Deliver,
}

impl StageName {
    pub(crate) const ALL: [Self; 4] =
        [Self::Summarise, Self::Evaluate, Self::Escalate, Self::Deliver];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Summarise => "summarise",
            Self::Evaluate => "evaluate",
            Self::Escalate => "escalate",
            Self::Deliver => "deliver",
        }
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep replay --input flights.ndjson.gz --charters charters --out out\n  watchkeep replay --input day1.ndjson --input day2.ndjson --charters charters -c watchkeep.toml --responses responses.ndjson --run-on 2h --out out\n  watchkeep replay --input summaries -c watchkeep.toml --as-live --out out\n\nWrites windows, breaches, incidents, escalations and rejects (.ndjson) and replay.json. Two runs write the same bytes but for the timings in replay.json. Exits with 0 whatever it finds, and with --exit-code with 1 where --against finds a difference."
)]
pub(crate) struct Replay {
    /// Telemetry: an NDJSON file (.gz and .zst too), a folder of them, or `kafka` for the
    /// configured log; `summaries` replays the log's summaries instead
    #[arg(long, required = true, value_name = "FILE|DIR|kafka|summaries")]
    pub(crate) input: Vec<PathBuf>,
    /// Charter folder; without it that of the configuration, else none
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    /// OpenLineage run events, an NDJSON file (.gz and .zst too) or a folder of them; without it,
    /// where the input is the configured log, its lineage topic. Those in the charter folder are
    /// read anyway
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) lineage: Vec<PathBuf>,
    /// Configuration file; without it the defaults hold, whatever lies in this folder
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Captured baselines, a file or a folder of them; without it, where the input is the
    /// configured log, those of its topic
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) baselines: Option<PathBuf>,
    /// What people did, responses.ndjson
    #[arg(long, value_name = "FILE")]
    pub(crate) responses: Option<PathBuf>,
    /// Leave out events before this
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<Timestamp>,
    /// Leave out events from this on; windows are decided up to here
    #[arg(long, value_name = "INSTANT")]
    pub(crate) to: Option<Timestamp>,
    /// Let timers play out for this long after the end
    #[arg(long, value_name = "SPAN")]
    pub(crate) run_on: Option<TimeSpan>,
    /// Tell also of reviews, runbook checks and drills that charters and policies promise, from the
    /// first window on
    #[arg(long)]
    pub(crate) upkeep: bool,
    /// Of summaries, write only what a service has told: no open windows, no early revisions
    #[arg(long)]
    pub(crate) as_live: bool,
    /// Folder for what comes out; made where there is none
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Compare with what an earlier replay wrote: breaches that are new, gone or moved, and who
    /// would have been paged; against.json has all of it
    #[arg(long, value_name = "DIR")]
    pub(crate) against: Option<PathBuf>,
    /// End with exit code 1 where anything differs from the earlier replay, for a pipeline
    #[arg(long, requires = "against")]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep produce --input flights.ndjson.gz -c watchkeep.toml\n  watchkeep generate drift --events 1000 | watchkeep produce --input - -c watchkeep.toml\n\nThe bytes of a line go as they are; the service rejects those that it cannot use, with the reason. Where a running service holds the embedded log, the lines go to it over HTTP."
)]
pub(crate) struct Produce {
    /// NDJSON file, or - for standard input; packed with gzip or zstd too
    #[arg(long, value_name = "FILE|-")]
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Topic, also `responses` and `lineage`; without it the first telemetry topic of the configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// What the record's key is
    #[arg(long, value_enum, default_value_t = KeyChoice::Feature)]
    pub(crate) key: KeyChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyChoice {
    /// The feature's name
    Feature,
    /// The entity
    Entity,
    /// None; records go to the partitions in turn
    None,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep export -c watchkeep.toml --topic watchkeep.breaches\n  watchkeep export -c watchkeep.toml --topic escalations --limit 10 | jq .summary\n\nThe embedded log can be read while its service is stopped."
)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Topic, with or without the prefix
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: String,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    pub(crate) format: ExportFormat,
    /// At most so many records of each partition
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One JSON object a line
    Ndjson,
    /// Not supported yet
    Avro,
    /// Not supported yet
    Parquet,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Scenarios:\n  steady   nothing is wrong\n  drift    half-way, the most frequent feature's values shift\n  nulls    half-way, a third of that feature's values is null\n  slow     half-way, that feature is served ten times as slowly\n  silent   half-way, nineteen of twenty of that feature's events stop\n  demo     a shop: drift, nulls from a dataset, latency, a new category\n\nExamples:\n  watchkeep generate drift --events 100000 --features 50 --out drift.ndjson.zst\n  watchkeep generate demo --rate 40 --events 50000 | head -3"
)]
pub(crate) struct Generate {
    /// What happens
    pub(crate) scenario: Scenario,
    /// How many features; the demo has its own
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) features: usize,
    /// How many events
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(crate) events: u64,
    /// Events for each second of event time
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: u64,
    /// Another seed, another stream
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// When the first event arrives
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<Timestamp>,
    /// How unequal the features' shares are; 0 is equal
    #[arg(long, default_value_t = 1.1, value_name = "S")]
    pub(crate) zipf: f64,
    /// How far events are out of order, at most
    #[arg(long, value_name = "SPAN", default_value = "20s")]
    pub(crate) out_of_orderness: TimeSpan,
    /// File to write (.gz and .zst are packed); without it standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Charters {
    /// Report everything that is wrong in a charter folder, with file, line and a hint
    #[command(
        after_help = "Examples:\n  watchkeep charters lint charters\n  watchkeep charters lint charters --format sarif > lint.sarif\n  watchkeep charters lint charters --history out\n  watchkeep charters lint charters --check-links --allow-host wiki.example.com\n  watchkeep charters lint --explain stale_review\n\nExit code 1 when there is an error; warnings alone are 0."
    )]
    Lint(Lint),
    /// Make charters, a directory and lineage of another program's files
    #[command(
        after_help = "Examples:\n  watchkeep charters import backstage catalog-info.yaml org.yaml --out charters/backstage\n  watchkeep charters import backstage catalog/ --owner group:data-governance --out charters/backstage --format json\n\nWhat a charter folder has no place for is told on standard error. Faults of the files: exit code 2, nothing is written. Exit code 1 where `charters lint` finds errors in that folder."
    )]
    Import(ChartersImport),
    /// Write a charter folder in another program's format
    #[command(
        after_help = "Examples:\n  watchkeep charters export backstage --charters charters --out catalog\n\nWhat the format has no place for is told on standard error."
    )]
    Export(ChartersExport),
    /// Write what a folder changes to the charters topic
    Publish(Publish),
    /// Compare a folder with what was published
    Diff(Diff),
    /// Ask for a change of charters, which others have to approve
    Propose(Propose),
    /// Agree to a proposal
    Approve(Answer),
    /// Turn a proposal down, or take one back
    Reject(Answer),
    /// Say something about a proposal or a subject; it changes nothing
    Comment(Answer),
    /// List proposals with what they wait for
    Proposals(Proposals),
    /// Tell who changed what of a charter, and when
    History(ChartersHistory),
    /// Show the charter in force for a subject
    Show(ChartersShow),
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The folder
    #[arg(value_name = "DIR", required_unless_present = "explain")]
    pub(crate) folder: Option<PathBuf>,
    /// How to print; sarif is what code reviews read
    #[arg(long, value_enum, default_value_t = LintFormat::Table)]
    pub(crate) format: LintFormat,
    /// Configuration whose pane the windows must fit; without it a pane of 60s
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Look for overdue reviews as of this instant; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Output folder of a replay: finds expectations that would have judged none of its windows
    #[arg(long, value_name = "DIR")]
    pub(crate) history: Option<PathBuf>,
    /// Captured baselines, as `baselines capture` wrote them: finds profiles that are not there
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) baselines: Option<PathBuf>,
    /// Ask whether links still lead anywhere; only hosts that --allow-host names are asked
    #[arg(long, requires = "allow_host")]
    pub(crate) check_links: bool,
    /// A host whose links are asked for, such as wiki.example.com, or *.example.com for those below it; may be given several times
    #[arg(long, value_name = "HOST", requires = "check_links")]
    pub(crate) allow_host: Vec<String>,
    /// Tell what a rule means and what to do; `all` tells every rule
    #[arg(long, value_name = "RULE", conflicts_with_all = ["folder", "history", "at", "config", "baselines", "check_links"])]
    pub(crate) explain: Option<String>,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code reviews.
    Sarif,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep who flight.arr_delay_min --charters charters\n  watchkeep who flight.arr_delay_min --at 2013-05-10 --charters charters --format json\n\nExit code 1 when no charter matches or nobody answers."
)]
pub(crate) struct Who {
    /// Feature, or a typed name such as dataset:orders
    #[arg(value_name = "FEATURE")]
    pub(crate) subject: String,
    /// At which instant; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Charter folder; without it that of the configuration, or the charters topic
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    /// Folder that a replay wrote, for open incidents; without it the log of -c
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// OpenLineage run events: an NDJSON file (.gz and .zst too) or a folder of them; without it
    /// those in the charter folder, or of the log
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) lineage: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        let mut waiting = vec![Arguments::command()];
        while let Some(command) = waiting.pop() {
            let nested: Vec<_> = command.get_subcommands().cloned().collect();
            if nested.is_empty() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("watchkeep "), "{} has no example", command.get_name());
            }
            waiting.extend(nested);
        }
    }
}
