//! Rows of a training set: cells as baselines take them, and Avro container
//! files, which only this crate can read.

use std::io::Read;

use apache_avro::types::Value;

use crate::Malformed;

/// What one column has in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// A number, whole ones too; not finite where the file says so.
    Number(f64),
    /// true or false.
    Boolean(bool),
    /// A category.
    Text(String),
    /// What no feature's value is, by its type's name: a date, a list, a map.
    Other(&'static str),
}

/// Hands over every row of an Avro container file, each with the names and cells
/// of its fields. Answers with the number of rows.
///
/// # Errors
/// The bytes are no such file, or break off; names the row, counted from 1.
pub fn avro_rows(
    file: impl Read,
    handle: &mut dyn FnMut(Vec<(String, Cell)>),
) -> Result<u64, Malformed> {
    let reader = apache_avro::Reader::new(file)
        .map_err(|error| Malformed::unreadable(format!("no Avro container file: {error}")))?;
    let mut rows = 0u64;
    for row in reader {
        rows += 1;
        let row = row.map_err(|error| Malformed::unreadable(format!("row {rows}: {error}")))?;
        let Value::Record(fields) = row else {
            return Err(Malformed::invalid(
                "its rows are no records: a column for each feature is needed",
            ));
        };
        handle(fields.into_iter().map(|(name, value)| (name, cell(value))).collect());
    }
    Ok(rows)
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Boolean(value) => Cell::Boolean(value),
        Value::Int(value) => Cell::Number(f64::from(value)),
        Value::Long(value) => Cell::Number(value as f64),
        Value::Float(value) => Cell::Number(f64::from(value)),
        Value::Double(value) => Cell::Number(value),
        Value::String(text) | Value::Enum(_, text) => Cell::Text(text),
        Value::Uuid(uuid) => Cell::Text(uuid.to_string()),
        Value::Union(_, value) => cell(*value),
        Value::Bytes(_) | Value::Fixed(..) => Cell::Other("bytes"),
        Value::Array(_) => Cell::Other("a list"),
        Value::Map(_) => Cell::Other("a map"),
        Value::Record(_) => Cell::Other("a record"),
        Value::Decimal(_) | Value::BigDecimal(_) => Cell::Other("a decimal of bytes"),
        _ => Cell::Other("a date or time"),
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Record;
    use apache_avro::{Schema, Writer};

    use super::*;

    #[test]
    fn rows_are_read_and_what_breaks_off_is_named() {
        let schema = Schema::parse_str(
            r#"{"type": "record", "name": "r", "fields": [
                {"name": "a", "type": ["null", "double"]}, {"name": "b", "type": "string"},
                {"name": "c", "type": {"type": "array", "items": "int"}}]}"#,
        )
        .unwrap();
        let mut writer = Writer::new(&schema, Vec::new()).unwrap();
        for a in [Some(1.5), None] {
            let mut record = Record::new(&schema).unwrap();
            record.put("a", a);
            record.put("b", "x");
            record.put("c", Value::Array(Vec::new()));
            writer.append_value(record).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let mut rows = Vec::new();
        assert_eq!(avro_rows(&bytes[..], &mut |row| rows.push(row)), Ok(2));
        let cells: Vec<&Cell> = rows.iter().flatten().map(|(_, cell)| cell).collect();
        let text = &Cell::Text("x".into());
        let list = &Cell::Other("a list");
        assert_eq!(cells, [&Cell::Number(1.5), text, list, &Cell::Null, text, list]);
        assert!(avro_rows(&bytes[..bytes.len() - 20], &mut |_| {}).is_err());
        assert!(avro_rows(&b"PAR1"[..], &mut |_| {}).is_err());
    }
}
