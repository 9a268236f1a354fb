//! The commands below `watchkeep charters` that work on the charters topic.

use std::path::PathBuf;

use clap::Args;
use watchkeep_model::time::Timestamp;

use super::{Configured, Formatted};

/// Who does something and why.
#[derive(Clone, Debug, Args)]
pub(crate) struct Doing {
    /// Who you are, such as user:ada
    #[arg(long, value_name = "USER")]
    pub(crate) by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) rationale: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters publish --charters charters -c watchkeep.toml --by user:ada --ticket CHG-17\n  watchkeep charters publish -c watchkeep.toml --by user:ada --dry-run\n  watchkeep charters publish -c watchkeep.toml --by user:ada --approved-by user:grace --approved-by user:linus\n\nThe folder is published whole or, with an error in it, not at all; only what changed is written. A charter without a date of its own is in force from now on (the first publication: always). Exit code 1 when a rule forbids it: a freeze, now or when it comes into force, or approvals that are missing: those that the policy asks for, for tier 1 two others who hold a role, and one where who publishes holds no role of the charter. A policy that loses a gate or a freeze, and new people in groups that gates ask, need the same. Approvals are kept with the publication."
)]
pub(crate) struct Publish {
    /// Charter folder; without it that of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) doing: Doing,
    /// From when changed charters without a date are in force, instead of now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) effective_from: Option<Timestamp>,
    /// The change ticket
    #[arg(long, value_name = "TEXT")]
    pub(crate) ticket: Option<String>,
    /// Who agreed to it, such as user:grace; may be repeated
    #[arg(long, value_name = "USER")]
    pub(crate) approved_by: Vec<String>,
    /// Tell what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters diff --charters charters -c watchkeep.toml\n  watchkeep charters diff -c watchkeep.toml --format json\n\nExit code 1 when the folder is other than what was published."
)]
pub(crate) struct Diff {
    /// Charter folder; without it that of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters propose flights.yaml -c watchkeep.toml --by user:linus --rationale \"nights are noisy\"\n  watchkeep charters propose flights.yaml -c watchkeep.toml --by user:linus --rationale tighter --ticket CHG-18\n\nThe charters in the file would replace those of the same subjects; everything else stays. Nothing changes until enough people have approved: those that the gates charter and threshold_change of the policy name, else one holder of a role, two for tier 1. Prints the proposal's identifier."
)]
pub(crate) struct Propose {
    /// Charters as they shall be: a file or a folder
    #[arg(value_name = "FILE|DIR")]
    pub(crate) documents: PathBuf,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) doing: Doing,
    /// From when charters without a date are in force, instead of the last approval
    #[arg(long, value_name = "INSTANT")]
    pub(crate) effective_from: Option<Timestamp>,
    /// The change ticket
    #[arg(long, value_name = "TEXT")]
    pub(crate) ticket: Option<String>,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters approve 3f1c -c watchkeep.toml --by user:grace\n  watchkeep charters reject 3f1c -c watchkeep.toml --by user:grace --rationale \"too tight for winter\"\n  watchkeep charters comment 3f1c -c watchkeep.toml --by user:linus --rationale \"we rely on the old bound\"\n\nThe beginning of an identifier is enough where there is one proposal of it. Exit code 1 when a rule forbids it; the refusal is kept with its reason."
)]
pub(crate) struct Answer {
    /// The proposal; a comment may also be about a subject
    #[arg(value_name = "PROPOSAL")]
    pub(crate) proposal: String,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) doing: Doing,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters proposals -c watchkeep.toml\n  watchkeep charters proposals -c watchkeep.toml --format json"
)]
pub(crate) struct Proposals {
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters history flight.dep_delay_min -c watchkeep.toml\n  watchkeep charters history policy:standard -c watchkeep.toml --format json\n\nTells every field that was changed, by whom, when, under which ticket, approved by whom; comments and refusals too. For a feature the patterns that its charter comes from are included. Policies and people are policy:NAME, user:NAME, group:NAME and so on."
)]
pub(crate) struct ChartersHistory {
    /// Feature, pattern or typed name
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  watchkeep charters show flight.dep_delay_min -c watchkeep.toml\n  watchkeep charters show flight.dep_delay_min --at 2013-05-01 --charters charters\n\nShows the charter as it is in force for the subject, every field with the document that it comes from. Exit code 1 when none is."
)]
pub(crate) struct ChartersShow {
    /// Feature, pattern or typed name
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// As in force at this instant; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Charter folder instead of the configured source
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}
