//! `watchkeep schemas list` and `check`.

use serde::Serialize;
use watchkeep_wire::schemas::{self, Finding};

use crate::cli;
use crate::output::{Format, Output, Table};
use crate::{Outcome, input};

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    fingerprint: String,
    bytes: usize,
}

#[derive(Serialize)]
struct Checked {
    name: String,
    finding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// # Errors
/// The folder cannot be read.
pub(super) fn run(command: &cli::Schemas) -> anyhow::Result<Outcome> {
    match command {
        cli::Schemas::List(arguments) => list(arguments),
        cli::Schemas::Check(arguments) => check(arguments),
    }
}

fn list(arguments: &cli::SchemasList) -> anyhow::Result<Outcome> {
    let all: Vec<Listed> = schemas::all()
        .iter()
        .map(|schema| Listed {
            name: schema.name,
            fingerprint: format!("{:016x}", schema.fingerprint),
            bytes: schema.text.len(),
        })
        .collect();
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&all)?,
        Format::Table => {
            let mut table = Table::new(["schema", "fingerprint", "bytes"]);
            for schema in all {
                table.row([schema.name.into(), schema.fingerprint, schema.bytes.to_string()]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Fine)
}

fn check(arguments: &cli::SchemasCheck) -> anyhow::Result<Outcome> {
    let mut files = Vec::new();
    for path in input::files_below(&arguments.folder, &[".avsc"])? {
        // Versions before the current one lie in folders of their own.
        if path.parent() == Some(arguments.folder.as_path()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            files.push((name.unwrap_or_default(), input::read_text(&path)?));
        }
    }
    let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let checked: Vec<Checked> = schemas::check(texts).into_iter().map(checked).collect();
    let mut output = Output::new();
    match arguments.formatted.format {
        Format::Json => output.json(&checked)?,
        Format::Table => {
            let mut table = Table::new(["schema", "finding", "detail"]);
            for schema in &checked {
                let detail = schema.detail.clone().unwrap_or_default();
                table.row([schema.name.clone(), schema.finding.into(), detail]);
            }
            table.print(&mut output)?;
        }
    }
    output.finish()?;
    let differs = checked.iter().any(|schema| schema.finding != "same");
    Ok(if differs { Outcome::Found } else { Outcome::Fine })
}

fn checked((name, finding): (String, Finding)) -> Checked {
    let (finding, detail) = match finding {
        Finding::Same => ("same", None),
        Finding::Readable => ("differs", Some("this version can read it".into())),
        Finding::Unreadable(why) => ("unreadable", Some(why)),
        Finding::NotASchema(why) => ("no schema", Some(why)),
        Finding::Missing => ("missing", None),
        Finding::Unknown => ("unknown", Some("this version has no such schema".into())),
    };
    Checked { name, finding, detail }
}
