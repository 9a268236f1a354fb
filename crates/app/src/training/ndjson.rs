//! NDJSON: an object a line, a key for each column.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use watchkeep_wire::training::Cell;

use super::{Table, Wanted};
use crate::input::Lines;

pub(super) fn read(path: &Path, wanted: &Wanted<'_>, table: &mut Table) -> anyhow::Result<()> {
    let mut lines = Lines::open(path)?;
    let mut line = Vec::new();
    while let Some(number) = lines.read(&mut line)? {
        let place = || format!("{}:{}", path.display(), number + 1);
        let row: Map<String, Value> = match serde_json::from_slice(&line) {
            Ok(Value::Object(row)) => row,
            Ok(_) => bail!("{}: no object: a key for each column is needed", place()),
            Err(error) => bail!(
                "{}: no JSON ({error}); a text file of another kind is told by its suffix, .csv or .tsv",
                place()
            ),
        };
        for (column, value) in row {
            if wanted.wants(&column) {
                table.add(&column, cell(value)).with_context(place)?;
            }
        }
        table.rows += 1;
    }
    Ok(())
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Boolean(value),
        Value::Number(number) => {
            number.as_f64().map_or(Cell::Other("a number without end"), Cell::Number)
        }
        Value::String(text) => Cell::Text(text),
        Value::Array(_) => Cell::Other("a list"),
        Value::Object(_) => Cell::Other("an object"),
    }
}
