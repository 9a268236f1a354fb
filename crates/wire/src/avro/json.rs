//! Facts between JSON values and Avro, steered by the schema.
//!
//! A fact is one serde type and two forms on the wire. Its JSON form is the
//! contract (key names, instants as text); the Avro form follows from it by
//! the schema alone:
//! - an instant is text in JSON and a `timestamp-micros` in Avro;
//! - a field with the attribute `json` is any JSON value, in Avro its text;
//! - a field with the attribute `rest` holds the text of all keys that have no
//!   field of their own;
//! - a record with the attribute `tuple` is an array in JSON;
//! - a null in Avro is an absent key in JSON.

use serde_json::{Map, Number, Value};
use watchkeep_model::json;
use watchkeep_model::time::Timestamp;

use crate::avro::cursor::{Cursor, DEPTH_MAX, Fault, FaultKind, Read};
use crate::avro::shape::{Field, Node, NodeId, Record, Shape, Unit};
use crate::avro::writer;

/// Where a value does not fit its schema: a path of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Keys from the outermost to the one in question, joined by dots.
    pub path: String,
    /// What the schema has there.
    pub wanted: String,
}

/// Appends a JSON value as Avro.
///
/// # Errors
/// The value does not fit the schema; `out` may hold a part of it.
pub fn write(shape: &Shape, value: &Value, out: &mut Vec<u8>) -> Result<(), Misfit> {
    write_node(shape, shape.root(), value, out)
}

fn misfit(wanted: impl Into<String>) -> Misfit {
    Misfit { path: String::new(), wanted: wanted.into() }
}

fn within(key: &str) -> impl FnOnce(Misfit) -> Misfit {
    move |inner| Misfit {
        path: if inner.path.is_empty() { key.to_owned() } else { format!("{key}.{}", inner.path) },
        wanted: inner.wanted,
    }
}

fn write_node(shape: &Shape, id: NodeId, value: &Value, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let node = shape.node(id);
    let wrong = || misfit(node.type_name());
    match node {
        Node::Null if value.is_null() => {}
        Node::Boolean => out.push(u8::from(value.as_bool().ok_or_else(wrong)?)),
        Node::Int => {
            let number = value.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(wrong)?;
            writer::long(out, i64::from(number));
        }
        Node::Long(unit) => writer::long(out, long_of(*unit, value).ok_or_else(wrong)?),
        // JSON has no NaN; `model::json` writes it as null.
        Node::Double if value.is_null() => writer::double(out, f64::NAN),
        Node::Double => writer::double(out, value.as_f64().ok_or_else(wrong)?),
        Node::String => writer::string(out, value.as_str().ok_or_else(wrong)?),
        Node::Enum(symbols) => {
            let symbol = value.as_str().ok_or_else(wrong)?;
            let index = symbols.iter().position(|known| known == symbol);
            writer::count(
                out,
                index.ok_or_else(|| misfit(format!("one of {}", symbols.join(", "))))?,
            );
        }
        Node::Union(branches) => {
            let fitting = branches.iter().position(|branch| fits(shape.node(*branch), value));
            let index = fitting.ok_or_else(|| misfit("a branch of the union"))?;
            writer::count(out, index);
            write_node(shape, branches[index], value, out)?;
        }
        Node::Array(item) => {
            let items = value.as_array().ok_or_else(wrong)?;
            if !items.is_empty() {
                writer::count(out, items.len());
            }
            for (number, element) in items.iter().enumerate() {
                write_node(shape, *item, element, out).map_err(within(&number.to_string()))?;
            }
            out.push(0);
        }
        Node::Map(item) => {
            let members = value.as_object().ok_or_else(wrong)?;
            if !members.is_empty() {
                writer::count(out, members.len());
            }
            for (key, member) in members {
                writer::string(out, key);
                write_node(shape, *item, member, out).map_err(within(key))?;
            }
            out.push(0);
        }
        Node::Record(record) if record.is_tuple => {
            let items = value.as_array().filter(|items| items.len() == record.fields.len());
            for (field, element) in record.fields.iter().zip(items.ok_or_else(wrong)?) {
                write_field(shape, field, element, out)?;
            }
        }
        Node::Record(record) => write_record(shape, record, value, out)?,
        Node::Null | Node::Float | Node::Bytes | Node::Fixed(_) => return Err(wrong()),
    }
    Ok(())
}

fn write_record(
    shape: &Shape,
    record: &Record,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let members = value.as_object().ok_or_else(|| misfit("record"))?;
    let has_field =
        |key: &str| record.fields.iter().any(|field| !field.is_rest && field.name == key);
    let mut rest: Map<String, Value> = Map::new();
    for (key, member) in members.iter().filter(|(key, _)| !has_field(key)) {
        rest.insert(key.clone(), member.clone());
    }
    for field in &record.fields {
        if field.is_rest && !rest.is_empty() {
            let text = json::to_line(&std::mem::take(&mut rest));
            write_node(shape, field.node, &Value::String(text), out)?;
            continue;
        }
        let member = if field.is_rest { None } else { members.get(&field.name) };
        let member = member.or(field.default.as_ref()).unwrap_or(&Value::Null);
        write_field(shape, field, member, out)?;
    }
    match rest.keys().next() {
        None => Ok(()),
        Some(unknown) => Err(within(unknown)(misfit("no such field"))),
    }
}

fn write_field(
    shape: &Shape,
    field: &Field,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let text;
    // A null where the schema has null is no value; elsewhere it is the JSON text `null`.
    let optional = matches!(shape.node(field.node), Node::Union(_));
    let value = if field.is_json && !(optional && value.is_null()) {
        text = Value::String(json::to_line(value));
        &text
    } else {
        value
    };
    write_node(shape, field.node, value, out).map_err(within(&field.name))
}

fn long_of(unit: Unit, value: &Value) -> Option<i64> {
    match (unit, value) {
        (Unit::TimestampMicros, Value::String(text)) => {
            text.parse::<Timestamp>().ok().map(Timestamp::as_micros)
        }
        (_, Value::Number(number)) => number.as_i64(),
        _ => None,
    }
}

fn fits(node: &Node, value: &Value) -> bool {
    match (node, value) {
        (Node::Null, Value::Null)
        | (Node::Boolean, Value::Bool(_))
        | (Node::Double, Value::Number(_))
        | (Node::String | Node::Long(Unit::TimestampMicros), Value::String(_))
        | (Node::Array(_), Value::Array(_))
        | (Node::Map(_), Value::Object(_)) => true,
        (Node::Int | Node::Long(Unit::Plain), Value::Number(number)) => {
            number.is_i64() || number.is_u64()
        }
        (Node::Enum(symbols), Value::String(text)) => symbols.iter().any(|symbol| symbol == text),
        (Node::Record(record), Value::Array(_)) => record.is_tuple,
        (Node::Record(record), Value::Object(_)) => !record.is_tuple,
        _ => false,
    }
}

/// Reads one Avro value as JSON.
///
/// # Errors
/// The bytes are no such value.
pub fn read(shape: &Shape, cursor: &mut Cursor<'_>) -> Read<Value> {
    read_node(shape, shape.root(), cursor, 0)
}

fn read_node(shape: &Shape, id: NodeId, cursor: &mut Cursor<'_>, depth: u32) -> Read<Value> {
    if depth >= DEPTH_MAX {
        return Err(Fault::boxed(cursor.position(), FaultKind::TooDeep));
    }
    Ok(match shape.node(id) {
        Node::Null => Value::Null,
        Node::Boolean => Value::Bool(cursor.boolean()?),
        Node::Int => Value::from(cursor.int()?),
        Node::Long(Unit::TimestampMicros) => {
            // As facts write it, digit for digit: the audit hashes what it reads here.
            serde_json::to_value(Timestamp::from_micros(cursor.long()?))
                .expect("an instant is written as text")
        }
        Node::Long(_) => Value::from(cursor.long()?),
        Node::Float => number(f64::from(cursor.float()?)),
        Node::Double => number(cursor.double()?),
        Node::String => Value::String(cursor.string()?.to_owned()),
        Node::Bytes => Value::from(cursor.bytes()?),
        Node::Fixed(size) => Value::from(cursor.take(*size)?),
        Node::Enum(symbols) => Value::String(symbols[cursor.symbol(symbols.len())?].clone()),
        Node::Union(branches) => {
            let branch = cursor.branch(branches)?;
            read_node(shape, branch, cursor, depth + 1)?
        }
        Node::Array(item) => {
            let mut items = Vec::new();
            read_blocks(shape, *item, 0, cursor, |cursor| {
                items.push(read_node(shape, *item, cursor, depth + 1)?);
                Ok(())
            })?;
            Value::Array(items)
        }
        Node::Map(item) => {
            let mut members = Map::new();
            read_blocks(shape, *item, 1, cursor, |cursor| {
                let key = cursor.string()?.to_owned();
                members.insert(key, read_node(shape, *item, cursor, depth + 1)?);
                Ok(())
            })?;
            Value::Object(members)
        }
        Node::Record(record) if record.is_tuple => {
            let mut items = Vec::with_capacity(record.fields.len());
            for field in &record.fields {
                items.push(read_field(shape, field, cursor, depth + 1)?);
            }
            Value::Array(items)
        }
        Node::Record(record) => {
            let mut members = Map::new();
            for field in &record.fields {
                match read_field(shape, field, cursor, depth + 1)? {
                    Value::Null
                        if !field.is_json || matches!(shape.node(field.node), Node::Union(_)) => {}
                    Value::Object(rest) if field.is_rest => members.extend(rest),
                    value => drop(members.insert(field.name.clone(), value)),
                }
            }
            Value::Object(members)
        }
    })
}

fn read_field(shape: &Shape, field: &Field, cursor: &mut Cursor<'_>, depth: u32) -> Read<Value> {
    let value = read_node(shape, field.node, cursor, depth)?;
    match value {
        // A text that is no JSON is kept as the text: better than losing the fact.
        Value::String(text) if field.is_json || field.is_rest => {
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
        value => Ok(value),
    }
}

fn read_blocks(
    shape: &Shape,
    item: NodeId,
    key_bytes: usize,
    cursor: &mut Cursor<'_>,
    mut read: impl FnMut(&mut Cursor<'_>) -> Read<()>,
) -> Read<()> {
    // Items of no bytes are counted as one, so that a claimed count never
    // exceeds the bytes that are left.
    let least = (shape.least_bytes(item) + key_bytes).max(1);
    loop {
        let block = cursor.block(least)?;
        for _ in 0..block.count {
            read(cursor)?;
        }
        cursor.end_block(block)?;
        if block.count == 0 {
            return Ok(());
        }
    }
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
