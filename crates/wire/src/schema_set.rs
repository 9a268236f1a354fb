//! The writers' schemas of telemetry topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::Schema;

use crate::schemas;
use crate::telemetry::plan::Plan;

/// Writers' schemas by the id of a registry and by fingerprint. The embedded
/// telemetry schemas are always known by their fingerprints.
#[derive(Clone, Debug)]
pub struct SchemaSet {
    by_id: BTreeMap<u32, Arc<Plan>>,
    by_fingerprint: BTreeMap<u64, Arc<Plan>>,
}

/// Why a schema file cannot be used; correct the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The text is no Avro schema.
    #[error("{file}: not an Avro schema: {detail}")]
    NotASchema {
        /// The file's name.
        file: String,
        /// What the parser says.
        detail: String,
    },
    /// The name is not `<id>.avsc`.
    #[error("{file}: the name of a writer's schema is its registry id, such as `7.avsc`")]
    Name {
        /// The file's name.
        file: String,
    },
}

impl Default for SchemaSet {
    fn default() -> Self {
        Self::new()
    }
}

impl SchemaSet {
    /// The embedded telemetry schemas alone.
    pub fn new() -> Self {
        let mut set = Self { by_id: BTreeMap::new(), by_fingerprint: BTreeMap::new() };
        for name in ["telemetry", "telemetry-batch"] {
            let embedded = schemas::named(name);
            let plan = Arc::new(Plan::of(embedded.shape.clone()));
            for fingerprint in [embedded.fingerprint, embedded.loose_fingerprint] {
                set.by_fingerprint.insert(fingerprint, Arc::clone(&plan));
            }
        }
        set
    }

    /// From the files of a folder, as (file name, text). Names that do not end
    /// in `.avsc` are passed over.
    ///
    /// # Errors
    /// The first file that is no schema or has no id as its name.
    pub fn from_files<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, SchemaError> {
        let mut set = Self::new();
        for (file, text) in files {
            let Some(stem) = file.strip_suffix(".avsc") else { continue };
            let id = stem.parse().map_err(|_| SchemaError::Name { file: file.to_owned() })?;
            set.insert(id, text)
                .map_err(|detail| SchemaError::NotASchema { file: file.to_owned(), detail })?;
        }
        Ok(set)
    }

    /// As [`SchemaSet::from_files`], without the files that cannot be used, which
    /// are told beside it.
    pub fn from_usable_files<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<SchemaError>) {
        let (mut set, mut unusable) = (Self::new(), Vec::new());
        for file in files {
            match Self::from_files([file]) {
                Ok(one) => {
                    set.by_id.extend(one.by_id);
                    set.by_fingerprint.extend(one.by_fingerprint);
                }
                Err(error) => unusable.push(error),
            }
        }
        (set, unusable)
    }

    /// Adds a writer's schema by id and fingerprint. A schema that cannot
    /// carry telemetry is kept too: its records are then rejected with the reason.
    ///
    /// # Errors
    /// What the parser says where the text is no Avro schema.
    pub fn insert(&mut self, id: u32, text: &str) -> Result<(), String> {
        let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
        let plan = Arc::new(Plan::of(crate::avro::shape::Shape::of(&schema)));
        for fingerprint in [schemas::fingerprint(&schema), schemas::loose_fingerprint(&schema)] {
            self.by_fingerprint.insert(fingerprint, Arc::clone(&plan));
        }
        self.by_id.insert(id, plan);
        Ok(())
    }

    /// The ids that are known, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.by_id.keys().copied()
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<&Arc<Plan>> {
        self.by_id.get(&id)
    }

    pub(crate) fn by_fingerprint(&self, fingerprint: u64) -> Option<&Arc<Plan>> {
        self.by_fingerprint.get(&fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_keeps_no_other_from_being_known() {
        let good = r#"{"type": "record", "name": "E", "fields": []}"#;
        let files = [
            ("7.avsc", good),
            ("8.avsc", "{"),
            ("nine.avsc", good),
            ("readme.md", ""),
            ("10.avsc", good),
        ];
        assert!(SchemaSet::from_files(files).is_err());
        let (set, unusable) = SchemaSet::from_usable_files(files);
        assert_eq!(set.ids().collect::<Vec<_>>(), [7, 10]);
        let told: Vec<String> = unusable.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with("8.avsc: not an Avro schema"), "{told:?}");
        assert!(told[1].starts_with("nine.avsc: the name of"), "{told:?}");
    }
}
