//! Names of files that come out.

use std::collections::BTreeSet;

/// Names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// The first part of a file's or a subject's name with an ending, and a
    /// number where that is taken. Systems that take names that differ in case
    /// for the same are heeded.
    pub(crate) fn unused(&mut self, file: &str, ending: &str) -> String {
        let name = file.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
        let known = [".yaml", ".yml", ".json", ".ndjson", ".odcs"];
        let mut stem = name;
        while let Some(shorter) = known.iter().find_map(|ending| stem.strip_suffix(ending)) {
            stem = shorter;
        }
        let clean: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .take(100)
            .collect();
        let clean = clean.trim_matches('.');
        let clean = if clean.is_empty() { "import" } else { clean };
        let numbered = (2..).map(|number| format!("{clean}-{number}{ending}"));
        let mut names = std::iter::once(format!("{clean}{ending}")).chain(numbered);
        let is_free = |name: &String| !self.0.contains(&name.to_ascii_lowercase());
        let name = names.find(is_free).unwrap_or_default();
        self.0.insert(name.to_ascii_lowercase());
        name
    }
}
