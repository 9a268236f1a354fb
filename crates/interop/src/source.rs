//! Files as they came, and as trees.

use watchkeep_model::document::{Diagnostic, Level, Place};
use watchkeep_wire::yaml;

use crate::item::Item;
use crate::json;

/// Bytes of one file, 64 MiB: a manifest of ten thousand models fits. A larger
/// one is refused unread. YAML has a bound of its own.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// A file to be read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name, as findings show it.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Source {
    /// The file as text.
    ///
    /// # Errors
    /// It is too large or not UTF-8.
    pub(crate) fn text(&self) -> Result<&str, Vec<Diagnostic>> {
        let start = Place { line: 1, column: 1 };
        if self.bytes.len() > FILE_BYTES_MAX {
            let size = self.bytes.len();
            let message = format!("the file has {size} bytes and may have {FILE_BYTES_MAX}");
            return Err(vec![self.finding(start, "bound", message, Some("split it"))]);
        }
        let text = yaml::text(&self.name, &self.bytes).map_err(|finding| vec![*finding])?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The documents of a YAML file; one that begins with `{` or `[` is taken
    /// for JSON, which has bounds and escapes of its own.
    ///
    /// # Errors
    /// Every fault of the text.
    pub(crate) fn documents(&self) -> Result<Vec<Item>, Vec<Diagnostic>> {
        let text = self.text()?;
        // YAML takes most of JSON, and what is not JSON in a file of that name too.
        let says_json = self.name.ends_with(".json");
        let begins = text.trim_start().starts_with(['{', '[']);
        if says_json || (begins && json::is_json(text)) {
            return self.json().map(|item| vec![item]);
        }
        let (trees, found) = yaml::trees(&self.name, text);
        if !found.is_empty() {
            return Err(found);
        }
        let items: Vec<Item> = trees.into_iter().map(Item::from).collect();
        Ok(items.into_iter().filter(|item| !item.is_null()).collect())
    }

    /// The value of a JSON file.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn json(&self) -> Result<Item, Vec<Diagnostic>> {
        let text = self.text()?;
        json::read(text, 1)
            .map_err(|(place, rule, message)| vec![self.finding(place, rule, message, None)])
    }

    /// A finding about the file as a whole, or its text.
    pub(crate) fn finding(
        &self,
        place: Place,
        rule: &'static str,
        message: String,
        hint: Option<&str>,
    ) -> Diagnostic {
        Diagnostic {
            file: self.name.clone(),
            line: place.line,
            column: place.column,
            document: String::new(),
            field: String::new(),
            rule,
            severity: Level::Error,
            message,
            hint: hint.map(str::to_owned),
        }
    }
}
