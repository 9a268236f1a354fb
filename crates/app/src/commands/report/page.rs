//! Reports as tables, Markdown or HTML: sections of text and tables.

use serde::Serialize;
use watchkeep_incident::report::Period;

use super::charts::Chart;
use super::html;
use crate::cli::ReportFormat;
use crate::output::{Output, visible};

/// Text and a table of a report under their title.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) text: Vec<String>,
    /// Without a head there is no table.
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Prints a report; the charts are for HTML alone.
///
/// # Errors
/// Those of the output.
pub(super) fn print(
    format: ReportFormat,
    report: &impl Serialize,
    period: Period,
    title: &str,
    charts: &[Chart],
    sections: &[Section],
) -> anyhow::Result<()> {
    let mut output = Output::new();
    let from = match period.from.as_micros() {
        i64::MIN => "the beginning".to_owned(),
        _ => period.from.to_string(),
    };
    match format {
        ReportFormat::Json => output.json(report)?,
        ReportFormat::Table => {
            output.line(format_args!("{from} to {}", period.to))?;
            for section in sections {
                output.line(format_args!("\n{}", section.title))?;
                output.text(&aligned(section))?;
            }
        }
        ReportFormat::Markdown => {
            output.line(format_args!("From {from} to {}.", period.to))?;
            for section in sections {
                output.line(format_args!("\n## {}\n", section.title))?;
                output.text(&markdown(section))?;
            }
        }
        ReportFormat::Html => {
            let span = format!("{from} to {}", period.to);
            output.text(&html::page(title, &span, charts, sections))?;
        }
    }
    output.finish()
}

fn aligned(section: &Section) -> String {
    let mut text: String =
        section.text.iter().map(|line| format!("  {}\n", visible(line, true))).collect();
    if section.head.is_empty() {
        return text;
    }
    if section.rows.is_empty() {
        return text + "  none\n";
    }
    let mut table = crate::output::Table::of(&section.head);
    section.rows.iter().for_each(|row| table.push(row.clone()));
    text.push_str(&table.to_string());
    text
}

fn markdown(section: &Section) -> String {
    let mut text: String = section.text.iter().map(|line| format!("{}\n\n", prose(line))).collect();
    if section.head.is_empty() {
        return text;
    }
    if section.rows.is_empty() {
        return text + "None.\n";
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(section.head.iter().map(|cell| (*cell).to_owned()).collect()));
    text.push_str(&line(section.head.iter().map(|_| "---".to_owned()).collect()));
    for row in &section.rows {
        text.push_str(&line(row.iter().map(|cell| plain(cell)).collect()));
    }
    text
}

/// A sentence in Markdown, which names what telemetry and charters name.
fn prose(line: &str) -> String {
    visible(line, true).replace('<', "&lt;")
}

/// A cell of a Markdown table: one line, and nothing of it is markup.
fn plain(cell: &str) -> String {
    let words: Vec<&str> = cell.split(['\r', '\n']).filter(|part| !part.is_empty()).collect();
    visible(&words.join(" "), false).replace('|', "\\|").replace('<', "&lt;")
}
