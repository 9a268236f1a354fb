//! Feast: the JSON that `feast registry-dump` prints.
//!
//! Format: the messages of `protos/feast/core` of Feast, as protobuf writes
//! them in JSON. Feature views are views, their features `feature:VIEW.NAME`,
//! data sources datasets, feature services what uses them. Fields of ours stand
//! in tags, `watchkeep.FIELD`.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

use watchkeep_model::charter::ValueType;

/// Lists of views in a dump.
const VIEWS: [&str; 3] = ["featureViews", "onDemandFeatureViews", "streamFeatureViews"];

/// Types of values by our type; the first is written.
const TYPES: [(ValueType, &[&str]); 4] = [
    (ValueType::Double, &["DOUBLE", "FLOAT"]),
    (ValueType::Long, &["INT64", "INT32"]),
    (ValueType::Boolean, &["BOOL"]),
    (ValueType::String, &["STRING"]),
];

/// A tag of ours.
fn tag(field: &str) -> String {
    format!("{}.{field}", crate::extension::NAMESPACE)
}
