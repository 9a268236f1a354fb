//! What people do about incidents, at the command line.

use clap::{Args, Subcommand, ValueEnum};
use watchkeep_model::matcher::Matcher;
use watchkeep_model::response::{Feedback, RemedyAction, ReviewAction};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Configured, Formatted};

/// Which incident, who does it and why, and how long to wait for the outcome.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// The incident's identifier, or the beginning of it
    #[arg(value_name = "ID", required_unless_present = "subject", conflicts_with = "subject")]
    pub(crate) incident: Option<String>,
    /// Every incident with this root instead, such as dataset:weather
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) giving: Giving,
}

/// Who gives a command, and how it is sent.
#[derive(Debug, Args)]
pub(crate) struct Giving {
    /// Who you are, such as user:ada
    #[arg(long, value_name = "USER")]
    pub(crate) by: String,
    /// Why, or the text of a comment
    #[arg(long, value_name = "TEXT")]
    pub(crate) rationale: Option<String>,
    /// How long to wait for what comes of it; 0s does not wait
    #[arg(long, value_name = "SPAN", default_value = "15s")]
    pub(crate) wait: TimeSpan,
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct Remediate {
    #[command(flatten)]
    pub(crate) about: About,
    /// What was done
    #[arg(long, value_enum, default_value_t = Remedy::Other)]
    pub(crate) action: Remedy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Remedy {
    /// Back to an earlier state; the gate `rollback` has to be signed before
    Rollback,
    /// The cause was repaired
    Fix,
    /// It stays as it is
    Accept,
    /// Something else
    Other,
}

impl From<Remedy> for RemedyAction {
    fn from(remedy: Remedy) -> Self {
        match remedy {
            Remedy::Rollback => Self::Rollback,
            Remedy::Fix => Self::Fix,
            Remedy::Accept => Self::Accept,
            Remedy::Other => Self::Other,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SignOff {
    #[command(flatten)]
    pub(crate) about: About,
    /// The gate, such as resolve or rollback, or the decision that is taken
    #[arg(long, value_name = "GATE")]
    pub(crate) gate: String,
    /// Refuse instead of agreeing
    #[arg(long)]
    pub(crate) refuse: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reassign {
    #[command(flatten)]
    pub(crate) about: About,
    /// Who answers from now on: a user, a group or a schedule
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    #[command(flatten)]
    pub(crate) about: About,
    /// The incident that goes on: its identifier, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub(crate) into: String,
}

#[derive(Debug, Args)]
pub(crate) struct Escalate {
    #[command(flatten)]
    pub(crate) about: About,
    /// Go to the step that takes this decision, instead of the next
    #[arg(long, value_name = "DECISION")]
    pub(crate) decision: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Review {
    #[command(flatten)]
    pub(crate) about: About,
    /// What it came from
    #[arg(long, value_name = "TEXT")]
    pub(crate) root_cause: String,
    /// What shall be done, by whom and by when, with `;` between; may be repeated
    #[arg(long = "action", value_name = "WHAT;BY;DUE", value_parser = review_action)]
    pub(crate) actions: Vec<ReviewAction>,
}

fn review_action(text: &str) -> Result<ReviewAction, String> {
    let parts: Vec<&str> = text.rsplitn(3, ';').map(str::trim).collect();
    let [due, by, what] = parts[..] else {
        return Err("write WHAT;BY;DUE, such as \"test the units;user:ada;2013-06-01\"".into());
    };
    let due = due.parse().map_err(|error| format!("{error}"))?;
    Ok(ReviewAction { what: what.to_owned(), by: by.to_owned(), due })
}

#[derive(Debug, Args)]
pub(crate) struct Complete {
    #[command(flatten)]
    pub(crate) about: About,
    /// The action, as the review says it or its beginning; without it the one that is open
    #[arg(long, value_name = "TEXT")]
    pub(crate) what: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GiveFeedback {
    #[command(flatten)]
    pub(crate) about: About,
    /// What the page was worth
    #[arg(long, value_enum)]
    pub(crate) worth: Worth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Worth {
    /// It was right and something could be done
    Useful,
    /// Nothing was wrong
    FalsePositive,
    /// It told what was known already
    Duplicate,
    /// It was right, and nothing could be done
    NotActionable,
    /// It went to somebody who does not answer for it
    WrongOwner,
    /// It came when it was of no use any more
    TooLate,
}

impl From<Worth> for Feedback {
    fn from(worth: Worth) -> Self {
        match worth {
            Worth::Useful => Self::Useful,
            Worth::FalsePositive => Self::FalsePositive,
            Worth::Duplicate => Self::Duplicate,
            Worth::NotActionable => Self::NotActionable,
            Worth::WrongOwner => Self::WrongOwner,
            Worth::TooLate => Self::TooLate,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Silences {
    /// Be quiet about some incidents for a time
    #[command(
        after_help = "Examples:\n  watchkeep silences add --match root=dataset:weather --for 2h --by user:ada --rationale \"the station is down\" -c watchkeep.toml\n  watchkeep silences add --match 'owner=user:ada' --match severity!=critical --until 2013-05-08T06:00:00Z --by user:ada --rationale \"migration\" -c watchkeep.toml\n\nAn incident is meant where all matchers hold. Exit code 1 when a rule forbids it."
    )]
    Add(SilencesAdd),
    /// List silences, those in force first
    #[command(
        after_help = "Examples:\n  watchkeep silences list -c watchkeep.toml\n  watchkeep silences list --from out --format json"
    )]
    List(SilencesList),
    /// End a silence before its time
    #[command(
        after_help = "Example:\n  watchkeep silences expire 5b7e0c1a --by user:ada -c watchkeep.toml"
    )]
    Expire(SilencesExpire),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("end").required(true))]
pub(crate) struct SilencesAdd {
    /// Which incidents: NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX; may be repeated
    #[arg(long = "match", value_name = "MATCHER", required = true)]
    pub(crate) matchers: Vec<Matcher>,
    /// For how long
    #[arg(long = "for", value_name = "SPAN", group = "end")]
    pub(crate) span: Option<TimeSpan>,
    /// Until when, itself not included
    #[arg(long, value_name = "INSTANT", group = "end")]
    pub(crate) until: Option<Timestamp>,
    /// From when on; without it at once
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) giving: Giving,
}

#[derive(Debug, Args)]
pub(crate) struct SilencesExpire {
    /// The silence's identifier, or the beginning of it
    #[arg(value_name = "ID")]
    pub(crate) silence: String,
    #[command(flatten)]
    pub(crate) giving: Giving,
}

#[derive(Debug, Args)]
pub(crate) struct SilencesList {
    #[command(flatten)]
    pub(crate) source: super::IncidentSource,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}
