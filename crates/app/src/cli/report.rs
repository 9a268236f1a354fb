//! The commands `watchkeep report` and `watchkeep directory`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use watchkeep_model::time::Timestamp;

use super::{Configured, Formatted};

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// How charters are looked after: reviews, stale owners and edges, coverage
    #[command(
        after_help = "Examples:\n  watchkeep report stewardship -c watchkeep.toml\n  watchkeep report stewardship --from-folder out --charters charters --from 2013-04-01 --to 2013-07-01 --format markdown\n\nAn incident counts as self-found where the first person to act on it holds a role of its charter, was paged for it or is in a team with one who is or was, as user-found where it is somebody else. A change of lifecycle and a new version open a review, until the charter's reviewed_at is later. Exit code 1 when a review is overdue or open, or an owner is stale."
    )]
    Stewardship(ReportOf),
    /// What it costs the people who answer: load, pages, pages off hours
    #[command(
        after_help = "Examples:\n  watchkeep report owners -c watchkeep.toml --from 2026-01-01 --to 2026-04-01\n  watchkeep report owners --from-folder out --charters charters --format json\n\nThe time to acknowledge counts from the first page to whoever answered since it was asked for, else from when it was. Off hours is outside of the working hours of the incident's policy, else Monday to Friday 9 to 18, on the person's own wall clock."
    )]
    Owners(ReportOf),
    /// How features fared and how quickly people answered, against the span before
    #[command(
        after_help = "Examples:\n  watchkeep report health -c watchkeep.toml --from 2026-01-01 --to 2026-04-01\n  watchkeep report health --from-folder out --charters charters --from 2013-04-01 --to 2013-07-01 --format html > health.html\n  watchkeep report health --from-folder out --charters charters --drills drill --format markdown\n\nWithout --from it is of the last 13 weeks. Down is a feature with an open incident of severity error or critical, from its first breach to the incident's end. Detection counts from the start of the first bad window, the other stages from the detection. Suggestions are never carried out. Exit code 1 when an action, a review or a drill is overdue."
    )]
    Health(ReportHealth),
    /// What the business wants, and how the features that it rests on fared
    #[command(
        after_help = "Examples:\n  watchkeep report outcomes -c watchkeep.toml --from 2026-01-01 --to 2026-04-01\n  watchkeep report outcomes --from-folder out --charters charters --format html > outcomes.html"
    )]
    Outcomes(ReportOf),
}

#[derive(Debug, Args)]
pub(crate) struct ReportHealth {
    #[command(flatten)]
    pub(crate) of: ReportOf,
    /// Folder that `watchkeep drill run --out` wrote, for when ladders were tried out last
    #[arg(long, value_name = "DIR")]
    pub(crate) drills: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportOf {
    /// Folder that a replay wrote; without it the log of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) from_folder: Option<PathBuf>,
    /// Charter folder instead of the configured source
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    /// OpenLineage run events: an NDJSON file (.gz and .zst too) or a folder of them; without it
    /// those in the charter folder, or of the log
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) lineage: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// First instant of the report; without it all that there is before its end, of health and outcomes the last 13 weeks
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<Timestamp>,
    /// End of the report; without it that of the windows and incidents there are
    #[arg(long, value_name = "INSTANT")]
    pub(crate) to: Option<Timestamp>,
    /// How to print
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

/// How reports are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people at a terminal
    Table,
    /// For programs
    Json,
    /// For a page or a review
    Markdown,
    /// A page by itself, with charts
    Html,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Directory {
    /// Make a directory document of another program's file
    #[command(subcommand)]
    Import(DirectoryImport),
    /// Tell which backups can be reached, by the contacts of the directory and the sinks of the
    /// configuration
    #[command(
        after_help = "Examples:\n  watchkeep directory probe --charters charters -c watchkeep.toml\n  watchkeep directory probe -c watchkeep.toml --role primary --role backup --send\n\nWithout --send nothing leaves the machine: it is told which sink would take each contact. With it each of them gets one message, marked as a test that asks for nothing, and the answer of the tool is told; PagerDuty and Alertmanager are told at once that it is over. The exit code is 1 where somebody cannot be reached at all."
    )]
    Probe(Probe),
}

#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// Charter folder; without it the configured charters
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Whose holders: a role of charters, several times for several
    #[arg(long, value_name = "ROLE", default_value = "backup")]
    pub(crate) role: Vec<String>,
    /// Send each a test message
    #[arg(long)]
    pub(crate) send: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DirectoryImport {
    /// Absences of a person, or who is on duty in a rota, from an iCalendar file
    #[command(
        after_help = "Examples:\n  watchkeep directory import ical ada.ics --user ada > charters/calendars/ada.yaml\n  watchkeep directory import ical rota.ics --schedule flight-data --charters charters --zone Europe/London > charters/calendars/rota.yaml\n\nThe document holds absences or overrides, which are added to those of the person or rota in other documents: write it anew as often as the calendar changes. Of a rota, an event's attendee is the user who has that mail address in the charter folder; else its summary is the name of a user. Cancelled events and free ones are passed over."
    )]
    Ical(Ical),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["user", "schedule"])))]
pub(crate) struct Ical {
    /// The .ics file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Whose absences they are
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The rota that they are about
    #[arg(long, value_name = "NAME")]
    pub(crate) schedule: Option<String>,
    /// Zone of times without one, and of whole days
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) zone: String,
    /// Charter folder whose users' mail addresses attendees are looked up in
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: Option<PathBuf>,
    /// Leave out what ends before; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<Timestamp>,
    /// Leave out what begins from here on; without it a year later
    #[arg(long, value_name = "INSTANT")]
    pub(crate) to: Option<Timestamp>,
}
