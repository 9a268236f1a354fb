//! Run events of OpenLineage, one JSON object a line.
//!
//! Format: <https://openlineage.io/spec/2-0-2/OpenLineage.json>. A job is a
//! pipeline between the datasets that it reads and writes; edges carry the time
//! of the event that showed them. Owners and descriptions are those of the
//! latest event that has them.

mod read;
mod run;
mod write;

pub(crate) use read::read;
pub use run::{EVENT_BYTES_MAX, run_event, shown_run};
pub(crate) use write::write;

/// The namespace of names without one.
const NAMESPACE: &str = "default";

/// The facet with fields of ours.
const FACET: &str = "watchkeep";

/// Our name of a job or a dataset: with its namespace where that is not the default.
fn bare(namespace: &str, name: &str) -> String {
    if namespace == NAMESPACE { name.to_owned() } else { format!("{namespace}/{name}") }
}
