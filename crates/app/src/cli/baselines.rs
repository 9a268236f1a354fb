//! The command line of captured baselines.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{Configured, Formatted};

#[derive(Debug, Subcommand)]
pub(crate) enum Baselines {
    /// Summarise the columns of a training set, for `baseline: {kind: profile, id}`
    #[command(
        after_help = "Examples:\n  watchkeep baselines capture --input train.parquet --id churn-2026-01 -c watchkeep.toml\n  watchkeep baselines capture --input train.csv.gz --id churn-2026-01 --feature churn.age=age --feature churn.plan=plan_code --text plan_code --out churn.ndjson\n\nReads Parquet, Avro container files, CSV and TSV with names in the first line (.gz and .zst too; --delimiter ';' for another mark between cells), and NDJSON. An id keeps its content: a new training set has a new id, which the charter then names. A service reads what was captured when it starts."
    )]
    Capture(Capture),
    /// List what was captured
    #[command(
        after_help = "Examples:\n  watchkeep baselines list -c watchkeep.toml\n  watchkeep baselines list --from churn.ndjson --format json"
    )]
    List(BaselinesList),
    /// Show the numbers and categories of what was captured under an id
    #[command(
        after_help = "Example:\n  watchkeep baselines show churn-2026-01 --feature churn.age --from churn.ndjson"
    )]
    Show(BaselinesShow),
}

#[derive(Debug, Args)]
pub(crate) struct Capture {
    /// Training set: Parquet, Avro, CSV, TSV or NDJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Name that charters give
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) id: String,
    /// A feature and its column; without any, every column is the feature of its name
    #[arg(long, value_name = "NAME=COLUMN")]
    pub(crate) feature: Vec<FeatureColumn>,
    /// Put this before the names of columns
    #[arg(long, value_name = "TEXT", conflicts_with = "feature")]
    pub(crate) prefix: Option<String>,
    /// Column of CSV or TSV whose numbers are codes and not quantities
    #[arg(long, value_name = "COLUMN")]
    pub(crate) text: Vec<String>,
    /// What parts the cells of a text file: one character, or tab; without it by the suffix, .csv or .tsv
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// Feature version that it is of; without it of every version
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Write it to a new file, for `replay --baselines`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Configuration of the log whose topic of baselines it is written to
    #[command(flatten)]
    pub(crate) configured: Configured,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct BaselinesList {
    #[command(flatten)]
    pub(crate) source: BaselineSource,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct BaselinesShow {
    /// The id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// This feature alone
    #[arg(long, value_name = "NAME")]
    pub(crate) feature: Option<String>,
    #[command(flatten)]
    pub(crate) source: BaselineSource,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct BaselineSource {
    /// File that was captured to, or a folder of them; without it the log of the configuration
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\n' | b'\r'] => Err("a quotation mark or line end parts no cells".to_owned()),
        [one] if one.is_ascii() => Ok(*one),
        _ => Err("write one ASCII character, such as ';', or tab".to_owned()),
    }
}

/// `name=column`; `name` alone is a column of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeatureColumn {
    pub(crate) feature: String,
    pub(crate) column: String,
}

impl FromStr for FeatureColumn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (feature, column) = text.split_once('=').unwrap_or((text, text));
        if feature.is_empty() || column.is_empty() {
            return Err("write NAME=COLUMN".to_owned());
        }
        Ok(Self { feature: feature.to_owned(), column: column.to_owned() })
    }
}
