//! The software catalog of Backstage: Component, Resource, API, System,
//! Domain, Group and User entities.
//!
//! Format: <https://backstage.io/docs/features/software-catalog/descriptor-format/>.
//! Dependencies become lineage; the owner becomes the primary; what has no
//! place in an entity is carried as `watchkeep/…` annotations.

mod entity;
mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;
