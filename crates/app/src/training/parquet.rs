//! Parquet, row by row, of the wanted columns alone.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;
use std::sync::Arc;
use watchkeep_wire::training::Cell;

use super::{Table, Wanted};

pub(super) fn read(path: &Path, wanted: &Wanted<'_>, table: &mut Table) -> anyhow::Result<()> {
    let what = "no Parquet file that can be read; snappy, zstd and gzip are unpacked";
    let reader = SerializedFileReader::new(File::open(path)?).context(what)?;
    let schema = reader.metadata().file_metadata().schema();
    let fields: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|field| wanted.wants(field.name())).cloned().collect();
    if fields.is_empty() {
        bail!("none of the columns is in it");
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
        bail!("two columns are called `{}`: rename one of them", twice.name());
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    for row in reader.get_row_iter(Some(projection)).context(what)? {
        let number = table.rows + 1;
        let row = row.with_context(|| format!("row {number}: {what}"))?;
        for (name, field) in row.into_columns() {
            table.add(&name, cell(field))?;
        }
        table.rows += 1;
    }
    Ok(())
}

fn cell(field: Field) -> Cell {
    match field {
        Field::Null => Cell::Null,
        Field::Bool(value) => Cell::Boolean(value),
        Field::Byte(value) => Cell::Number(f64::from(value)),
        Field::Short(value) => Cell::Number(f64::from(value)),
        Field::Int(value) => Cell::Number(f64::from(value)),
        Field::Long(value) => Cell::Number(value as f64),
        Field::UByte(value) => Cell::Number(f64::from(value)),
        Field::UShort(value) => Cell::Number(f64::from(value)),
        Field::UInt(value) => Cell::Number(f64::from(value)),
        Field::ULong(value) => Cell::Number(value as f64),
        Field::Float16(value) => Cell::Number(f64::from(value)),
        Field::Float(value) => Cell::Number(f64::from(value)),
        Field::Double(value) => Cell::Number(value),
        Field::Decimal(value) => Cell::decimal(value.data(), value.scale().into()),
        Field::Str(text) => Cell::Text(text),
        // Writers that name no type of their text store its bytes.
        Field::Bytes(bytes) => match String::from_utf8(bytes.data().to_vec()) {
            Ok(text) => Cell::Text(text),
            Err(_) => Cell::Other("bytes"),
        },
        Field::Group(_) => Cell::Other("a record"),
        Field::ListInternal(_) => Cell::Other("a list"),
        Field::MapInternal(_) => Cell::Other("a map"),
        _ => Cell::Other("a date or time"),
    }
}
