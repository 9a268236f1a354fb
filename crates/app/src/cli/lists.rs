//! Commands that list and check: topics, configuration, schemas, incidents.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::respond::{
    About, Complete, Escalate, GiveFeedback, Merge, Reassign, Remediate, Review, SignOff,
};
use super::{Configured, Formatted};

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// Create the topics that are missing
    #[command(
        after_help = "Example:\n  watchkeep topics create -c watchkeep.toml --telemetry-partitions 4 --replication 3"
    )]
    Create(TopicsCreate),
    /// Compare the topics with what they should be
    #[command(
        after_help = "Example:\n  watchkeep topics check -c watchkeep.toml\n\nExit code 1 when something differs."
    )]
    Check(TopicsCheck),
}

#[derive(Debug, Args)]
pub(crate) struct TopicsCreate {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Create the telemetry topics too, with so many partitions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) telemetry_partitions: Option<i32>,
    /// Copies of each partition
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) replication: i32,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct TopicsCheck {
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting, what it is and where it came from; secrets are masked
    #[command(
        after_help = "Examples:\n  watchkeep config check -c watchkeep.toml\n  WATCHKEEP_TIME__PANE=30s watchkeep config check -c watchkeep.toml --format json"
    )]
    Check(ConfigCheck),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheck {
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Schemas {
    /// List the schemas of this version with their fingerprints
    #[command(after_help = "Example:\n  watchkeep schemas list")]
    List(SchemasList),
    /// Compare a folder of schemas with those of this version
    #[command(
        after_help = "Example:\n  watchkeep schemas check schemas\n\nExit code 1 when something differs."
    )]
    Check(SchemasCheck),
}

#[derive(Debug, Args)]
pub(crate) struct SchemasList {
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct SchemasCheck {
    /// The folder, with NAME.avsc files
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Prove that every record of telemetry counts once, or show where not
    #[command(
        after_help = "Examples:\n  watchkeep audit ledger -c watchkeep.toml\n  watchkeep audit ledger -c watchkeep.toml --windows --format json\n  watchkeep audit ledger --from out\n\nReads the topics, or the folder that a replay wrote, and nothing else. Prints what is covered of each source partition and every record that is missing, came again or does not fit. --windows also counts every window anew from the summaries: exact while no service runs. Exit code 1 when something is wrong."
    )]
    Ledger(AuditLedger),
    /// Hold a replay from telemetry against what the service told, and list where they differ
    #[command(
        after_help = "Examples:\n  watchkeep replay --input kafka -c watchkeep.toml --out out\n  watchkeep audit replay out -c watchkeep.toml\n\nCompares the last revision of every window that takes no more events. Records may be late in one run and in time in the other; windows that differ by them are listed. Exit code 1 when a window differs in any other way."
    )]
    Replay(AuditReplay),
    /// Prove that the incident log is whole and was never altered, or name the first bad fact
    #[command(
        after_help = "Examples:\n  watchkeep audit verify out\n  watchkeep audit verify incidents.ndjson --anchors anchors.ndjson\n  watchkeep audit verify -c watchkeep.toml --publish /mnt/worm/anchors.ndjson\n\nShares no code with what writes the log. Checks hashes, chains, what may follow what, deadlines, gates and pages, and holds all facts against anchors: those beside the log, which whoever can alter the log can alter too, and those kept elsewhere (--anchors, --publish). Exit code 1 when something is wrong."
    )]
    Verify(AuditVerify),
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// An incidents.ndjson, a folder that a replay wrote, or `kafka` for the configured log,
    /// which is meant without it too
    #[arg(value_name = "FILE|DIR|kafka")]
    pub(crate) source: Option<PathBuf>,
    /// Anchors that were kept elsewhere, NDJSON; can be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) anchors: Vec<PathBuf>,
    /// Holds the log against the anchors of this file too and, where all is well, appends that of
    /// all facts
    #[arg(long, value_name = "FILE")]
    pub(crate) publish: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct AuditReplay {
    /// The folder that `watchkeep replay --input kafka` wrote
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct AuditLedger {
    #[command(flatten)]
    pub(crate) source: IncidentSource,
    /// Count every window anew from the summaries, too
    #[arg(long)]
    pub(crate) windows: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// List incidents with their state, owner and last step, and what keeps their pages back
    #[command(
        after_help = "Examples:\n  watchkeep incidents list --from out\n  watchkeep incidents list -c watchkeep.toml --open --format json"
    )]
    List(IncidentsList),
    /// Show everything that happened in one incident
    #[command(after_help = "Example:\n  watchkeep incidents show 3f2a --from out")]
    Show(IncidentsShow),
    /// Tell one incident backwards: what is waited for, who was paged and why, who answers, what
    /// is to blame, by which rules, what was measured, down to the raw records
    #[command(
        after_help = "Examples:\n  watchkeep incidents explain 3f2a --from out\n  watchkeep incidents explain 3f2a -c watchkeep.toml --format json\n\nTakes everything from facts, breaches and windows, and says what is missing there."
    )]
    Explain(IncidentsShow),
    /// Say that you are at it
    #[command(
        after_help = "Examples:\n  watchkeep incidents ack 3f2a --by user:ada -c watchkeep.toml\n  watchkeep incidents ack --subject dataset:weather --by user:ada -c watchkeep.toml\n\nThis and the commands below wait for what comes of them and print it. Exit code 1 when a rule forbids it; the refusal is kept as a fact."
    )]
    Ack(About),
    /// Say what you did about it
    #[command(
        after_help = "Examples:\n  watchkeep incidents remediate 3f2a --action fix --by user:ada --rationale \"mapped the new code\" -c watchkeep.toml\n  watchkeep incidents remediate 3f2a --action accept --by user:ada --rationale \"as agreed with the carrier\" -c watchkeep.toml"
    )]
    Remediate(Remediate),
    /// Say that you checked that it is over
    #[command(
        after_help = "Example:\n  watchkeep incidents verify 3f2a --by user:edgar -c watchkeep.toml"
    )]
    Verify(About),
    /// Agree at a gate, or refuse; take a decision
    #[command(
        after_help = "Examples:\n  watchkeep incidents sign-off 3f2a --gate resolve --by user:edgar -c watchkeep.toml\n  watchkeep incidents sign-off 3f2a --gate rollback --refuse --by user:grace --rationale \"it would lose a day\" -c watchkeep.toml\n  watchkeep incidents sign-off 3f2a --gate retire --by user:barbara -c watchkeep.toml"
    )]
    SignOff(SignOff),
    /// Say that it is over
    #[command(
        after_help = "Example:\n  watchkeep incidents resolve 3f2a --by user:ada --rationale \"the source is back\" -c watchkeep.toml"
    )]
    Resolve(About),
    /// Let somebody else answer for it
    #[command(
        after_help = "Example:\n  watchkeep incidents reassign 3f2a --to group:ingestion --by user:ada -c watchkeep.toml"
    )]
    Reassign(Reassign),
    /// Make it one with another incident, which goes on
    #[command(
        after_help = "Example:\n  watchkeep incidents merge 3f2a --into 77c1 --rationale \"both come from the new parser\" --by user:ada -c watchkeep.toml"
    )]
    Merge(Merge),
    /// Ask the next step, or the one that takes a decision
    #[command(
        after_help = "Examples:\n  watchkeep incidents escalate 3f2a --by user:ada -c watchkeep.toml\n  watchkeep incidents escalate 3f2a --decision retire --by user:ada -c watchkeep.toml"
    )]
    Escalate(Escalate),
    /// Say something about it
    #[command(
        after_help = "Example:\n  watchkeep incidents comment 3f2a --by user:ada --rationale \"the carrier was told\" -c watchkeep.toml"
    )]
    Comment(About),
    /// Say what was learned of a resolved incident
    #[command(
        after_help = "Example:\n  watchkeep incidents review 3f2a --root-cause \"units changed\" --action \"check units;user:ada;2013-06-01\" --by user:edgar -c watchkeep.toml"
    )]
    Review(Review),
    /// Say that an action of the review is done
    #[command(
        after_help = "Example:\n  watchkeep incidents complete 3f2a --what \"check units\" --by user:ada -c watchkeep.toml"
    )]
    Complete(Complete),
    /// Say what the page was worth
    #[command(
        after_help = "Example:\n  watchkeep incidents feedback 3f2a --worth false-positive --by user:ada -c watchkeep.toml"
    )]
    Feedback(GiveFeedback),
    /// Close a resolved incident for good
    #[command(
        after_help = "Example:\n  watchkeep incidents close 3f2a --by user:ada -c watchkeep.toml"
    )]
    Close(About),
}

#[derive(Debug, Args)]
pub(crate) struct IncidentsList {
    /// Only those that are not resolved
    #[arg(long)]
    pub(crate) open: bool,
    #[command(flatten)]
    pub(crate) source: IncidentSource,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentsShow {
    /// The incident's identifier, or the beginning of it
    #[arg(value_name = "ID")]
    pub(crate) incident: String,
    #[command(flatten)]
    pub(crate) source: IncidentSource,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentSource {
    /// Folder that a replay wrote; without it the log of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
}
