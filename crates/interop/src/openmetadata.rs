//! OpenMetadata: entities and lineage as its API answers them.
//!
//! Format: the JSON schemas of `openmetadata-spec`. Tables, topics and
//! containers are datasets, pipelines, dashboards and ML models what they are;
//! a column is a feature where its `extension` has fields of ours,
//! `watchkeep.FIELD`.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

use watchkeep_model::charter::ValueType;

/// Types of entities by the type of subject; the first is written.
const ENTITIES: [(&str, &[&str]); 4] = [
    ("dataset", &["table", "topic", "container", "searchIndex", "storedProcedure"]),
    ("pipeline", &["pipeline"]),
    ("dashboard", &["dashboard", "chart", "dashboardDataModel"]),
    ("model", &["mlmodel"]),
];

/// Types of columns by our type; the first is written.
const TYPES: [(ValueType, &[&str]); 4] = [
    (ValueType::Double, &["DOUBLE", "FLOAT", "NUMERIC", "DECIMAL", "NUMBER"]),
    (ValueType::Long, &["BIGINT", "INT", "SMALLINT", "TINYINT", "LONG"]),
    (ValueType::Boolean, &["BOOLEAN"]),
    (ValueType::String, &["STRING", "VARCHAR", "CHAR", "TEXT", "ENUM", "UUID"]),
];

/// A custom property of ours.
fn property(field: &str) -> String {
    format!("{}.{field}", crate::extension::NAMESPACE)
}
