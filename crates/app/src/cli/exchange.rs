//! `charters import` and `charters export`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use watchkeep_interop::Format;
use watchkeep_model::time::Timestamp;

use super::Formatted;

/// A value parser for the names of formats, each with its help.
fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.map(|(_, name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(names).map(|name| {
        // The parser lets only these names through.
        Format::ALL
            .iter()
            .find(|(_, known, _)| *known == name)
            .map_or(Format::Backstage, |(format, ..)| *format)
    })
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Which format the files have
    #[arg(value_name = "FORMAT", value_parser = formats())]
    pub(crate) source: Format,
    /// Files, or folders that are searched for files of the format
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Folder for the charters; made where there is none
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Who answers for what nobody owns there, such as group:data-governance
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Organisation of GitHub, or group of GitLab, whose teams are groups without its name, for codeowners
    #[arg(long, value_name = "NAME")]
    pub(crate) org: Option<String>,
    /// Replace files of the same names
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Which format to write
    #[arg(value_name = "FORMAT", value_parser = formats())]
    pub(crate) target: Format,
    /// Charter folder
    #[arg(long, value_name = "DIR")]
    pub(crate) charters: PathBuf,
    /// Folder for what comes out; made where there is none
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// At which instant; without it now
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// Organisation of GitHub, or group of GitLab, whose teams are groups without its name, for codeowners
    #[arg(long, value_name = "NAME")]
    pub(crate) org: Option<String>,
    /// Replace files of the same names
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) formatted: Formatted,
}
