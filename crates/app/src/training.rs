//! Training sets: a column of a file for each feature, as a summary.

mod delimited;
mod ndjson;
mod parquet;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use anyhow::{Context, bail};
use watchkeep_model::summary::Summary;
use watchkeep_model::telemetry::Status;
use watchkeep_wire::training::{Cell, avro_rows};

/// Columns that are summarised. A file with more is no table of features, and
/// each column takes memory.
const COLUMNS_MAX: usize = 10_000;

/// Which columns are wanted.
pub(crate) struct Wanted<'a> {
    /// Their names; every column where there is none.
    pub(crate) columns: Vec<&'a str>,
    /// Columns of a text file whose cells stay text even where all are numbers.
    pub(crate) text: &'a [String],
    /// What parts the cells of a text file, where its suffix does not tell.
    pub(crate) delimiter: Option<u8>,
}

/// What a file holds.
pub(crate) struct TrainingSet {
    /// Summaries by column.
    pub(crate) columns: BTreeMap<String, Summary>,
    /// Columns that were left out, with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// Reads a file: Parquet, an Avro container file, CSV or TSV, or NDJSON, told by
/// its first bytes and its suffix; the latter two also packed by gzip or zstd.
/// A text file whose delimiter is given is one of columns, whatever its suffix.
///
/// # Errors
/// It cannot be read, with row and column, or has no such column.
pub(crate) fn read(path: &Path, wanted: &Wanted<'_>) -> anyhow::Result<TrainingSet> {
    let name = path.display().to_string();
    let mut table = Table::default();
    let mut begin = [0; 4];
    let mut file = File::open(path).with_context(|| name.clone())?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("{name}: is a folder; name one file");
    }
    let length = file.read(&mut begin).with_context(|| name.clone())?;
    match &begin[..length] {
        b"PAR1" | b"Obj\x01" if wanted.delimiter.is_some() => {
            bail!("{name}: only text files have a delimiter: leave --delimiter out");
        }
        b"PAR1" => parquet::read(path, wanted, &mut table).with_context(|| name.clone())?,
        b"Obj\x01" => {
            let file = BufReader::new(File::open(path).with_context(|| name.clone())?);
            let mut overflow = None;
            let rows = avro_rows(file, &mut |row| {
                let cells = row.into_iter().filter(|(column, _)| wanted.wants(column));
                for (column, cell) in cells {
                    if let Err(error) = table.add(&column, cell) {
                        overflow.get_or_insert(error);
                    }
                }
            });
            table.rows = rows.with_context(|| name.clone())?;
            overflow.map_or(Ok(()), Err).with_context(|| name.clone())?;
        }
        _ if is_named_parquet(path) => {
            bail!("{name}: no Parquet file: it does not begin with PAR1");
        }
        _ => match wanted.delimiter.or_else(|| delimited::delimiter(path)) {
            Some(delimiter) => delimited::read(path, delimiter, wanted, &mut table)
                .with_context(|| name.clone())?,
            None => ndjson::read(path, wanted, &mut table)?,
        },
    }
    table.finish(wanted).with_context(|| name)
}

/// By its suffix: what does not begin like one is broken or of another kind.
fn is_named_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("parquet"))
}

impl Wanted<'_> {
    fn wants(&self, column: &str) -> bool {
        self.columns.is_empty() || self.columns.contains(&column)
    }
}

/// Columns while they are read.
#[derive(Default)]
struct Table {
    rows: u64,
    columns: BTreeMap<String, Column>,
}

#[derive(Default)]
struct Column {
    summary: Summary,
    /// What kept it from being a feature's values, with the first row of it.
    other: Option<String>,
}

impl Table {
    /// Adds the cell of a row, which is counted by the caller afterwards.
    fn add(&mut self, name: &str, cell: Cell) -> anyhow::Result<()> {
        if !self.columns.contains_key(name) {
            if self.columns.len() >= COLUMNS_MAX {
                bail!("more than {COLUMNS_MAX} columns: name those wanted with --feature");
            }
            self.columns.insert(name.to_owned(), Column::default());
        }
        if let Some(column) = self.columns.get_mut(name) {
            column.add(cell);
        }
        Ok(())
    }

    fn finish(self, wanted: &Wanted<'_>) -> anyhow::Result<TrainingSet> {
        let Self { rows, columns, .. } = self;
        if rows == 0 {
            bail!("there is no row in it");
        }
        if let Some(missing) = wanted.columns.iter().find(|name| !columns.contains_key(**name)) {
            bail!("there is no column `{missing}`");
        }
        let mut set = TrainingSet { columns: BTreeMap::new(), left_out: BTreeMap::new() };
        for (name, Column { mut summary, other }) in columns {
            // A row without the column has no value of it.
            let absent = rows - summary.count;
            summary.count += absent;
            summary.null_count += absent;
            summary.statuses[Status::Ok.index()] += absent;
            let why = other.or_else(|| {
                let values = summary.count - summary.null_count;
                (values == 0).then(|| "it has no value".to_owned())
            });
            // Such as the index that a data frame writes first.
            let why = match name.trim() {
                "" => Some("it has no name".to_owned()),
                _ => why,
            };
            match why {
                None => drop(set.columns.insert(name, summary)),
                Some(why) if wanted.columns.is_empty() => drop(set.left_out.insert(name, why)),
                Some(why) => bail!("column `{name}`: {why}"),
            }
        }
        if set.columns.is_empty() {
            bail!("no column of it holds numbers, booleans or strings");
        }
        Ok(set)
    }
}

impl Column {
    fn add(&mut self, cell: Cell) {
        let summary = &mut self.summary;
        summary.count += 1;
        summary.statuses[Status::Ok.index()] += 1;
        match cell {
            Cell::Null => summary.null_count += 1,
            Cell::Number(number) if number.is_finite() => summary.numbers.add(number),
            Cell::Number(_) => summary.non_finite_count += 1,
            Cell::Boolean(true) => summary.categories.add("true", 1),
            Cell::Boolean(false) => summary.categories.add("false", 1),
            Cell::Text(text) => summary.categories.add(&text, 1),
            Cell::Other(what) => {
                let row = summary.count;
                self.other.get_or_insert_with(|| {
                    format!("row {row} holds {what}; a feature's value is a number, a boolean or a string")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
