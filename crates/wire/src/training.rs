//! Rows of a training set: cells as baselines take them, and Avro container
//! files, which only this crate can read.

use std::io::Read;

use apache_avro::Schema;
use apache_avro::schema::RecordField;
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

impl Cell {
    /// The number that is nearest to a decimal: its digits as a whole number in two's
    /// complement, the highest byte first, and how many of them are behind the point.
    #[must_use]
    pub fn decimal(digits: &[u8], behind_point: i64) -> Self {
        let Some(first) = digits.first() else { return Self::Other("an empty decimal") };
        let mut whole = [if *first < 0x80 { 0 } else { 0xff }; 16];
        let place = 16usize.checked_sub(digits.len()).and_then(|from| whole.get_mut(from..));
        let Some(place) = place else {
            return Self::Other("a decimal of more than 38 digits");
        };
        place.copy_from_slice(digits);
        let text = format!("{}e{}", i128::from_be_bytes(whole), -behind_point);
        text.parse().map_or(Self::Other("a decimal"), Self::Number)
    }
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
    // Where the point of a decimal is, the schema alone tells.
    let schema = reader.writer_schema().clone();
    let columns: &[RecordField] = match &schema {
        Schema::Record(record) => &record.fields,
        _ => &[],
    };
    let mut rows = 0u64;
    for row in reader {
        rows += 1;
        let row = row.map_err(|error| Malformed::unreadable(format!("row {rows}: {error}")))?;
        let Value::Record(fields) = row else {
            return Err(Malformed::invalid(
                "its rows are no records: a column for each feature is needed",
            ));
        };
        let cells = fields.into_iter().zip(columns);
        handle(cells.map(|((name, value), column)| (name, cell(value, &column.schema))).collect());
    }
    Ok(rows)
}

fn cell(value: Value, schema: &Schema) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Boolean(value) => Cell::Boolean(value),
        Value::Int(value) => Cell::Number(f64::from(value)),
        Value::Long(value) => Cell::Number(value as f64),
        Value::Float(value) => Cell::Number(f64::from(value)),
        Value::Double(value) => Cell::Number(value),
        Value::String(text) | Value::Enum(_, text) => Cell::Text(text),
        Value::Uuid(uuid) => Cell::Text(uuid.to_string()),
        Value::Union(which, value) => match schema {
            Schema::Union(union) => match union.variants().get(which as usize) {
                Some(variant) => cell(*value, variant),
                None => Cell::Other("no type of its union"),
            },
            _ => cell(*value, schema),
        },
        Value::Bytes(_) | Value::Fixed(..) => Cell::Other("bytes"),
        Value::Array(_) => Cell::Other("a list"),
        Value::Map(_) => Cell::Other("a map"),
        Value::Record(_) => Cell::Other("a record"),
        Value::Decimal(value) => match (schema, Vec::try_from(&value)) {
            (Schema::Decimal(of), Ok(digits)) => Cell::decimal(&digits, of.scale as i64),
            _ => Cell::Other("a decimal"),
        },
        Value::BigDecimal(value) => {
            value.to_string().parse().map_or(Cell::Other("a decimal"), Cell::Number)
        }
        _ => Cell::Other("a date or time"),
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Record;
    use apache_avro::{Decimal, Writer};

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

    #[test]
    fn decimals_are_numbers_whatever_holds_them() {
        let decimal = r#""logicalType": "decimal", "precision": 10, "scale": 2"#;
        let schema = Schema::parse_str(&format!(
            r#"{{"type": "record", "name": "r", "fields": [
                {{"name": "a", "type": ["null", {{"type": "bytes", {decimal}}}]}},
                {{"name": "b", "type": {{"type": "fixed", "name": "f", "size": 8, {decimal}}}}}]}}"#,
        ))
        .unwrap();
        let mut writer = Writer::new(&schema, Vec::new()).unwrap();
        let value = |digits: i64| Value::Decimal(Decimal::from(digits.to_be_bytes()));
        let mut record = Record::new(&schema).unwrap();
        record.put("a", Value::Union(1, Box::new(value(-1025))));
        record.put("b", value(99));
        writer.append_value(record).unwrap();
        let bytes = writer.into_inner().unwrap();
        let mut cells = Vec::new();
        let rows = avro_rows(&bytes[..], &mut |row| cells.extend(row));
        let expected = [("a".into(), Cell::Number(-10.25)), ("b".into(), Cell::Number(0.99))];
        assert_eq!((rows, &cells[..]), (Ok(1), &expected[..]));
        assert_eq!(Cell::decimal(&[1; 17], 0), Cell::Other("a decimal of more than 38 digits"));
        assert_eq!(Cell::decimal(&[3], -2), Cell::Number(300.0));
    }
}
