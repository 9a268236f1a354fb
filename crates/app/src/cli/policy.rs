//! The commands `watchkeep policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Configured, Conformance, Formatted, LintFormat};

#[derive(Debug, Subcommand)]
pub(crate) enum Policies {
    /// Follow the policies of a charter folder through, and report what would go wrong
    #[command(
        after_help = "Examples:\n  watchkeep policy lint charters\n  watchkeep policy lint charters --format sarif > policy.sarif\n  watchkeep policy lint charters --history out\n  watchkeep policy lint --explain endless_acknowledgement\n\nSteps that nobody reaches or leaves, steps and gates without people, targets that cannot be met, hours that never come. Errors of spelling and of meaning in policies are told too. Exit code 1 when there is an error; warnings alone are 0."
    )]
    Lint(PolicyLint),
    /// Write a policy as the playbook that it is
    #[command(
        after_help = "Examples:\n  watchkeep policy render flights --charters charters > flights.md\n  watchkeep policy render flights --charters charters --format dot | dot -Tsvg > flights.svg"
    )]
    Render(PolicyRender),
    /// Tell minute by minute what a breach would lead to
    #[command(
        after_help = "Examples:\n  watchkeep policy simulate flights --charters charters --subject flight.arr_delay_min\n  watchkeep policy simulate flights --charters charters --subject flight.arr_delay_min --kind null_rate --severity critical --at 2013-05-10T21:00:00Z --for 24h\n  watchkeep policy simulate flights --charters charters --subject flight.arr_delay_min --at 2013-05-08 --responses answers.ndjson --clears-after 3h\n\nNobody is paged and nothing is written. Lines of --responses are those of `replay`; one that names neither incident nor subject is about this one. Exit code 1 when the steps run out."
    )]
    Simulate(PolicySimulate),
    /// Tell which incidents departed from their playbook, and how
    #[command(
        after_help = "Examples:\n  watchkeep policy conformance -c watchkeep.toml\n  watchkeep policy conformance out --charters charters --policy flights --format json\n\nEach incident is held against the revision of the policy that it was opened under; of a folder only the newest version is known. Drills are left out. Exit code 1 when an incident departed, or could not be checked."
    )]
    Conformance(Conformance),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyLint {
    /// The charter folder
    #[arg(value_name = "DIR", required_unless_present_any = ["explain", "charters"])]
    pub(crate) folder: Option<PathBuf>,
    /// The charter folder, as the other commands name it
    #[arg(long, value_name = "DIR", conflicts_with = "folder")]
    pub(crate) charters: Option<PathBuf>,
    /// How to print; sarif is what code reviews read
    #[arg(long, value_enum, default_value_t = LintFormat::Table)]
    pub(crate) format: LintFormat,
    /// Configuration whose pane the windows must fit; without it a pane of 60s
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Look at hours, dates and drills as of this instant; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Folder with an incidents.ndjson, or `log` for that of the configuration: finds policies whose drill is overdue
    #[arg(long, value_name = "DIR|log")]
    pub(crate) history: Option<PathBuf>,
    /// Tell what a rule means and what to do; `all` tells every rule
    #[arg(long, value_name = "RULE", conflicts_with_all = ["folder", "charters", "history", "at", "config"])]
    pub(crate) explain: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyRender {
    /// The policy
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Charter folder; without it that of the configuration, or the charters topic
    #[arg(value_name = "DIR", conflicts_with = "charters")]
    pub(crate) folder: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// As what
    #[arg(long, value_enum, default_value_t = PlaybookFormat::Markdown)]
    pub(crate) format: PlaybookFormat,
}

/// What a playbook is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlaybookFormat {
    /// Text with tables and the diagram in it
    Markdown,
    /// The diagram alone, for Mermaid
    Mermaid,
    /// The diagram alone, for Graphviz
    Dot,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySimulate {
    /// The policy; it need not be the one that the subject's charter names
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Charter folder; without it that of the configuration, or the charters topic
    #[arg(value_name = "DIR", conflicts_with = "charters")]
    pub(crate) folder: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Feature that breaches, or a typed name such as dataset:orders
    #[arg(long, value_name = "FEATURE")]
    pub(crate) subject: String,
    /// Kind of the breach, such as drift; without it that of the charter's first expectation
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Severity of the breach; without it that of the expectation
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<String>,
    /// When the breach is detected; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// How far to look
    #[arg(long = "for", value_name = "SPAN", default_value = "12h")]
    pub(crate) span: TimeSpan,
    /// The breach clears after this long, and all windows from then on are good; until then,
    /// and without this, they are bad
    #[arg(long, value_name = "SPAN")]
    pub(crate) clears_after: Option<TimeSpan>,
    /// What people do, as lines of responses.ndjson; without it nobody answers
    #[arg(long, value_name = "FILE")]
    pub(crate) responses: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}
