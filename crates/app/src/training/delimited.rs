//! CSV and TSV with a line of names at the top. Cells have no types there: a
//! column in which every cell is a number is one of numbers, one in which every
//! cell is true or false one of booleans, and an empty cell is no value.

use std::path::Path;

use anyhow::{Context, bail};
use watchkeep_wire::training::Cell;

use super::{Column, Table, Wanted};
use crate::input;

/// What parts the cells, by the file's suffix; `None` for other files.
pub(super) fn delimiter(path: &Path) -> Option<u8> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    match name.rsplit_once('.')?.1 {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        _ => None,
    }
}

/// A line of names that would be one column and looks like several: as many
/// programs of countries with a decimal comma export CSV.
fn refuse_another_delimiter(only_name: &str) -> anyhow::Result<()> {
    let found = DELIMITERS.iter().find(|(_, mark, _)| only_name.contains(*mark));
    match found {
        Some((name, _, written)) => bail!(
            "line 1: the names `{only_name}` seem to be parted by a {name}, which the suffix does \
             not tell: add --delimiter {written}"
        ),
        None => Ok(()),
    }
}

/// Delimiters that are looked for: name, character, as the command line takes it.
const DELIMITERS: [(&str, char, &str); 4] =
    [("semicolon", ';', "';'"), ("tab", '\t', "tab"), ("bar", '|', "'|'"), ("comma", ',', "','")];

/// A column by both readings until it is clear which one holds.
#[derive(Default)]
struct Undecided {
    /// `None` once a cell was no number.
    numbers: Option<Column>,
    text: Column,
    /// Cells that are numbers with a decimal comma.
    decimal_commas: u64,
    /// Cells that are numbers.
    numeric: u64,
    /// Cells by which other programs write that there is no value, and the first.
    marks: u64,
    mark: Option<&'static str>,
}

/// What other programs write where there is no value.
const NO_VALUE: [&str; 8] = ["NA", "N/A", "NULL", "null", "None", "\\N", "#N/A", "<NA>"];

pub(super) fn read(
    path: &Path,
    delimiter: u8,
    wanted: &Wanted<'_>,
    table: &mut Table,
) -> anyhow::Result<()> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).from_reader(input::open_unpacked(path)?);
    let names: Vec<String> = reader.headers()?.iter().map(|name| name.trim().to_owned()).collect();
    if let ([name], None) = (&names[..], wanted.delimiter) {
        refuse_another_delimiter(name)?;
    }
    let mut columns: Vec<Option<Undecided>> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            bail!("line 1: two columns are called `{name}`: rename one of them");
        }
        let stays_text = wanted.text.contains(name);
        let numbers = (!stays_text).then(Column::default);
        columns.push(wanted.wants(name).then(|| Undecided { numbers, ..Undecided::default() }));
    }
    if let Some(missing) = wanted.text.iter().find(|name| !names.contains(name)) {
        bail!("there is no column `{missing}`");
    }
    let mut row = csv::StringRecord::new();
    // The error of the library names the line and how many cells it has.
    while reader.read_record(&mut row).context("fix the line, or export the file anew")? {
        for (cell, column) in row.iter().zip(&mut columns) {
            if let Some(column) = column {
                column.add(cell);
            }
        }
        table.rows += 1;
    }
    for (name, column) in names.into_iter().zip(columns) {
        if let Some(column) = column {
            if !wanted.text.contains(&name) {
                column.refuse_other_numbers(&name)?;
            }
            let Undecided { numbers, text, .. } = column;
            let is_numeric = |column: &Column| {
                let summary = &column.summary;
                summary.numbers.count() + summary.non_finite_count > 0
            };
            table.columns.insert(name, numbers.filter(is_numeric).unwrap_or(text));
        }
    }
    Ok(())
}

impl Undecided {
    /// Numbers that would be taken for text for the way in which they are written.
    /// An id keeps its content for ever, so it is better to ask.
    fn refuse_other_numbers(&self, name: &str) -> anyhow::Result<()> {
        let cells = self.text.summary.categories.total();
        if self.decimal_commas > 0 && self.decimal_commas == cells {
            bail!(
                "column `{name}`: every cell is a number with a decimal comma, which would be \
                 text: export it with a point, or say that it is text with --text {name}"
            );
        }
        match self.mark {
            Some(mark) if self.numeric > 0 && self.numeric + self.marks == cells => bail!(
                "column `{name}`: its cells are numbers but for {} such as `{mark}`, which would \
                 make them text: leave cells without a value empty, or say that it is text with \
                 --text {name}",
                self.marks
            ),
            _ => Ok(()),
        }
    }

    fn add(&mut self, cell: &str) {
        let trimmed = cell.trim();
        if trimmed.is_empty() {
            self.text.add(Cell::Null);
            if let Some(numbers) = &mut self.numbers {
                numbers.add(Cell::Null);
            }
            return;
        }
        match trimmed.parse() {
            Ok(number) => {
                self.numeric += 1;
                if let Some(numbers) = &mut self.numbers {
                    numbers.add(Cell::Number(number));
                }
            }
            Err(_) => self.numbers = None,
        }
        if let Some(mark) = NO_VALUE.into_iter().find(|mark| *mark == trimmed) {
            self.marks += 1;
            self.mark.get_or_insert(mark);
        }
        let is_decimal = |cell: &str| {
            cell.split_once(',').is_some_and(|(whole, part)| {
                let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
                let digits =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits(whole) && digits(part)
            })
        };
        self.decimal_commas += u64::from(is_decimal(trimmed));
        // As other files and telemetry write a boolean.
        let text = match trimmed {
            "True" | "TRUE" => "true",
            "False" | "FALSE" => "false",
            _ => cell,
        };
        self.text.add(Cell::Text(text.to_owned()));
    }
}
