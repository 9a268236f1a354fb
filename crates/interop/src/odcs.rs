//! The Open Data Contract Standard, versions 3.0 and 3.1.
//!
//! Format: <https://bitol-io.github.io/open-data-contract-standard/>. An object
//! of a contract's schema is a dataset, its properties are features. Quality
//! rules that the standard can say are written in its words, all others as
//! rules of `engine: watchkeep`, which is what `type: custom` is there for.

mod quality;
mod read;
mod team;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

/// Fields that a property takes over from its contract. In the contract they
/// have words of the standard; where a property differs, it says so itself.
const OF_THE_CONTRACT: [&str; 5] = ["lifecycle", "domain", "system", "group", "owners"];

/// A custom property of ours.
fn property(field: &str) -> String {
    format!("{}.{field}", crate::extension::NAMESPACE)
}
