//! dbt: the artifact `manifest.json`, results of `dbt source freshness`, and
//! properties files.
//!
//! Formats: <https://schemas.getdbt.com> and
//! <https://docs.getdbt.com/reference/configs-and-properties>. Models, seeds,
//! snapshots and sources are datasets, exposures are what uses them, columns
//! that say so under `meta.watchkeep` are features. A manifest is what dbt
//! makes, so what is written is a properties file, which dbt reads.

mod freshness;
mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;
