//! JSON as trees with places.
//!
//! serde_json finds the bounds of every value ([`RawValue`]); where a value
//! lies in the text is its place. A level of nesting costs one more look at
//! what is in it, so depth is bounded.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use watchkeep_model::document::Place;

use crate::item::{Item, Value};

/// Lists and maps in one another. Manifests have about ten.
const DEPTH_MAX: usize = 64;

/// A place, the rule and what is wrong.
type Fault = (Place, &'static str, String);

/// Reads a text that begins at `first_line` of its file.
///
/// # Errors
/// The text is not JSON, too deep, or writes a key twice.
pub(crate) fn read(text: &str, first_line: u32) -> Result<Item, Fault> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Place {
            line: number(error.line()).saturating_add(first_line - 1),
            column: number(error.column()),
        };
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        (place, "syntax", format!("not JSON: {message}"))
    })?;
    Text::new(text, first_line).item(raw, 0)
}

/// True where the whole text is one JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

struct Text<'t> {
    text: &'t str,
    /// Offsets at which lines begin.
    lines: Vec<usize>,
    /// Characters before each whole [`STRIDE`]: a file may be one long line, and
    /// counting it anew for every value would take the square of its length.
    characters: Vec<usize>,
    first_line: u32,
}

/// Bytes after which characters are counted up.
const STRIDE: usize = 4096;

/// Characters that begin in some bytes.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

impl<'t> Text<'t> {
    fn new(text: &'t str, first_line: u32) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        let mut characters = vec![0];
        let mut before = 0;
        for part in text.as_bytes().chunks(STRIDE) {
            before += begun(part);
            characters.push(before);
        }
        Self { text, lines, characters, first_line }
    }

    /// Characters that begin before an offset.
    fn characters_before(&self, offset: usize) -> usize {
        let whole = offset / STRIDE;
        let rest = self.text.as_bytes().get(whole * STRIDE..offset).unwrap_or_default();
        self.characters.get(whole).copied().unwrap_or(0) + begun(rest)
    }

    fn place(&self, raw: &RawValue) -> Place {
        // A raw value is borrowed from the text, so this is its offset.
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = self.lines.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let before = self.characters_before(offset) - self.characters_before(start);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { line: number(line).saturating_add(self.first_line), column: number(before + 1) }
    }

    fn item(&self, raw: &RawValue, depth: usize) -> Result<Item, Fault> {
        let place = self.place(raw);
        if depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} lists and maps in one another");
            return Err((place, "bound", message));
        }
        let text = raw.get();
        let odd = |error: serde_json::Error| (place, "syntax", format!("not JSON: {error}"));
        let value = match text.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(text).map_err(odd)?;
                let mut seen = BTreeSet::new();
                let mut fields = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    if !seen.insert(key.clone()) {
                        let place = self.place(value);
                        let message = format!("`{key}` is written twice in one object");
                        return Err((place, "duplicate_key", message));
                    }
                    fields.push((key, self.item(value, depth + 1)?));
                }
                Value::Map(fields)
            }
            Some(b'[') => {
                let values: Vec<&RawValue> = serde_json::from_str(text).map_err(odd)?;
                let items = values.into_iter().map(|value| self.item(value, depth + 1));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::Text(serde_json::from_str(text).map_err(odd)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(text.to_owned()),
        };
        Ok(Item::new(place, value))
    }
}

/// The entries of an object in their order, the same key twice included.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Entries<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let item = read("{\n  \"ä\": [1,\n    \"x\"]}", 3).unwrap();
        let Value::Map(fields) = &item.value else { panic!("no map") };
        let Value::List(items) = &fields[0].1.value else { panic!("no list") };
        let at = |item: &Item| (item.place.line, item.place.column);
        assert_eq!([at(&item), at(&fields[0].1)], [(3, 1), (4, 8)]);
        assert_eq!([at(&items[0]), at(&items[1])], [(4, 9), (5, 5)]);
    }

    #[test]
    fn faults_have_their_places_too() {
        let fault = |text: &str| {
            let (place, rule, message) = read(text, 1).expect_err("a fault");
            format!("{}:{} {rule}: {message}", place.line, place.column)
        };
        assert_eq!(
            fault("{\"a\": 1,\n \"a\": 2}"),
            "2:7 duplicate_key: `a` is written twice in one object"
        );
        assert!(fault("{\"a\": }").starts_with("1:7 syntax: not JSON: expected value"));
        assert!(
            fault(&format!("{}{}", "[".repeat(80), "]".repeat(80)))
                .contains(" bound: more than 64")
        );
        assert!(fault(&"[".repeat(1_000_000)).contains("syntax"));
    }
}
