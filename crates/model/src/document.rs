//! What a charter folder was read as: documents with the places where their
//! fields stand, and what is wrong with them.
//!
//! Readers fill these in and the registry checks them further, so that a
//! finding about meaning points at a line just as one about spelling does.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::charter::CharterDocument;
use crate::directory::Directory;
use crate::lineage::Edge;
use crate::policy::Policy;
use crate::time::Timestamp;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The folder is refused as a whole.
    Error,
    /// Read and used; worth a look.
    Warning,
}

impl Level {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding about a charter folder. Ordered by file, line and column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// Name of the file, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The document, for example `charter feature:flight.*`; empty where none was recognised.
    pub document: String,
    /// Path of the field, for example `expectations[0].window`; empty for the document itself.
    pub field: String,
    /// Short name of the rule that found it.
    pub rule: &'static str,
    /// How grave it is.
    pub severity: Level,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where there is a good guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A line and a column in characters, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// The known name that a wrong one was probably meant to be: the fewest letters
/// changed, added, dropped or swapped, at most a third of them; else one that
/// begins it or is its beginning. Of several the first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().take(NAME_CHARS_MAX + 1).count();
    if length > NAME_CHARS_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    let mut beginning: Option<&str> = None;
    for candidate in known {
        // One letter begins too many names to be a hint.
        let begins = name.starts_with(candidate) || candidate.starts_with(name);
        if begins && name.len().min(candidate.len()) > 1 {
            beginning.get_or_insert(candidate);
        }
        let chars = candidate.chars().count();
        let limit = (length.max(chars) / 3).max(1);
        if chars > NAME_CHARS_MAX || length.abs_diff(chars) > limit || length.min(chars) == 0 {
            continue;
        }
        let distance = strsim::osa_distance(name, candidate);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate).or(beginning)
}

/// Names with more characters get no guess: the comparison takes the product
/// of the two lengths.
const NAME_CHARS_MAX: usize = 128;

/// A document and the places of its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Located<T> {
    /// Name of the file, as it was given.
    pub file: String,
    /// Where the document begins.
    pub place: Place,
    /// Kind and name, as diagnostics show them.
    pub document: String,
    /// Places of the values, by field path: `owners.primary`,
    /// `expectations[0].window`. An item of a list that could not be read has
    /// none itself, though the fields in it may.
    pub fields: BTreeMap<String, Place>,
    /// The document.
    pub value: T,
}

impl<T> Located<T> {
    /// Where a field stands: its own place, else that of the nearest field
    /// around it, else the document's.
    pub fn place_of(&self, field: &str) -> Place {
        let mut path = field;
        loop {
            if let Some(place) = self.fields.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.place,
            }
        }
    }

    /// Paths of the items of a list that were read, in their order. The nth
    /// is the nth of the value, also where an item before it could not be read.
    pub fn items(&self, list: &str) -> Vec<String> {
        let start = format!("{list}[");
        let mut indices: Vec<usize> = self
            .fields
            .range(start.clone()..)
            .map_while(|(path, _)| path.strip_prefix(&start))
            .filter_map(|rest| rest.strip_suffix(']')?.parse().ok())
            .collect();
        indices.sort_unstable();
        indices.into_iter().map(|index| format!("{list}[{index}]")).collect()
    }

    /// A finding about a field of this document.
    pub fn diagnostic(
        &self,
        field: &str,
        rule: &'static str,
        severity: Level,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        let place = self.place_of(field);
        Diagnostic {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            document: self.document.clone(),
            field: field.to_owned(),
            rule,
            severity,
            message: message.into(),
            hint,
        }
    }
}

/// Everything that a charter folder holds, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    /// Charters.
    pub charters: Vec<Located<CharterDocument>>,
    /// Directories; usually one.
    pub directories: Vec<Located<Directory>>,
    /// Edges of lineage documents.
    pub lineage: Vec<Located<Vec<Edge>>>,
    /// Policies.
    pub policies: Vec<Located<Policy>>,
    /// Policies as they were published before, in order. A folder has none:
    /// there every version is a document of its own.
    pub earlier_policies: Vec<Policy>,
    /// Subjects and patterns whose charter ends at an instant. A folder has
    /// none: there a charter is gone with its document.
    pub withdrawn: Vec<(String, Timestamp)>,
    /// The edges of lineage documents of all time, each with the instants
    /// `[since, until)` between which it was written. Empty where the history
    /// is not known, as in a folder: then [`Documents::lineage`] always holds.
    pub edges: Vec<(Edge, Timestamp, Timestamp)>,
    /// What the directory was from an instant on, ascending. Empty where the
    /// history is not known: then it was always as it is.
    pub directories_since: Vec<(Timestamp, Directory)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_changes() {
        let known = ["severity", "samples", "p50", "p90", "p999"];
        assert_eq!(nearest("severty", known), Some("severity"));
        assert_eq!(nearest("sampels", known), Some("samples"));
        assert_eq!(nearest("p99", known), Some("p90"));
        assert_eq!(nearest("threshold", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"s".repeat(1_000_000), known), None);
    }

    #[test]
    fn a_field_without_a_place_stands_where_the_one_around_it_does() {
        let place = |line| Place { line, column: 1 };
        let mut document = Located { place: place(1), value: (), ..Located::default() };
        document.fields.insert("expectations[0]".into(), place(4));
        assert_eq!(document.place_of("expectations[0].window.size"), place(4));
        assert_eq!(document.place_of("owners.primary"), place(1));
    }

    #[test]
    fn items_are_those_that_were_read_in_their_order() {
        let mut document = Located::<()>::default();
        for path in ["edges[10]", "edges[2]", "edges[2].from", "edges[1].to", "edges"] {
            document.fields.insert(path.into(), Place::default());
        }
        assert_eq!(document.items("edges"), ["edges[2]", "edges[10]"]);
    }
}
