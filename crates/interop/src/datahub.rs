//! DataHub: change proposals (MCP) and change events (MCE) as its file sink
//! writes them.
//!
//! Format: `metadata-models` of DataHub, as JSON. A dataset is a dataset, a data
//! flow or data job a pipeline, an ML feature a feature, a feature table a view,
//! an ML model a model, a dashboard or chart a dashboard. Owners, documentation,
//! domains, lineage and glossary terms are aspects of their own. Fields of ours
//! stand in `customProperties` of the properties, `watchkeep.FIELD`.

mod read;
mod urn;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

/// A custom property of ours.
fn property(field: &str) -> String {
    format!("{}.{field}", crate::extension::NAMESPACE)
}
