//! Formats of other programs, both ways: what a catalog, a contract, a feature
//! store or a lineage tool knows becomes charters, a directory and lineage,
//! and the other way round. Bytes in, texts out; nothing here touches a disk.
//!
//! [`import`] reads files of one [`Format`] into a [`catalog::Catalog`] and
//! writes it as documents of a charter folder; [`export`] writes a catalog in a
//! format. Two rules hold for all of them:
//!
//! - **Nothing is dropped silently.** Readers mark what they take
//!   (`item::At`); what is left is a [`Note`]. Writers take fields out of a
//!   charter, and what is left becomes an extension of the format
//!   (`extension`) or a note.
//! - **All or nothing.** A file that cannot be understood refuses the import
//!   as a whole, with every fault of every file at its place.
//!
//! The other way, [`sink`] writes what alerting tools are sent.
//!
//! `docs/interop.md` has a table for each format: which field is which.

mod backstage;
mod catalog;
mod claims;
mod codeowners;
mod datahub;
mod dbt;
mod expectation;
mod extension;
mod feast;
mod files;
mod gather;
pub mod ical;
mod item;
mod json;
mod notes;
mod odcs;
pub mod openlineage;
mod openmetadata;
pub mod sink;
mod source;

pub use catalog::Catalog;
pub use notes::{Note, NoteKind};
pub use source::{FILE_BYTES_MAX, Source};

use watchkeep_model::document::{Diagnostic, Level};

/// A format of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// The software catalog of Backstage: entities as YAML.
    Backstage,
    /// The Open Data Contract Standard, version 3.
    Odcs,
    /// Manifests and properties files of dbt.
    Dbt,
    /// CODEOWNERS of GitHub or GitLab.
    Codeowners,
    /// The registry of Feast.
    Feast,
    /// Run events of OpenLineage.
    Openlineage,
    /// Change proposals of DataHub.
    Datahub,
    /// Entities and lineage of OpenMetadata.
    Openmetadata,
}

impl Format {
    /// Every format with its name and what files it has.
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Backstage, "backstage", "catalog-info.yaml of a Backstage catalog"),
        (Self::Odcs, "odcs", "data contracts of the Open Data Contract Standard, version 3"),
        (Self::Dbt, "dbt", "manifest.json, sources.json and properties files of dbt"),
        (Self::Codeowners, "codeowners", "CODEOWNERS of GitHub or GitLab"),
        (Self::Feast, "feast", "output of `feast registry-dump`"),
        (Self::Openlineage, "openlineage", "events of OpenLineage, NDJSON"),
        (
            Self::Datahub,
            "datahub",
            "change proposals and events of DataHub, as its file sink writes them",
        ),
        (
            Self::Openmetadata,
            "openmetadata",
            "entities and lineage as the API of OpenMetadata answers them",
        ),
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(format, ..)| *format == self).map_or("", |(_, name, _)| name)
    }

    /// Endings of the files that a folder is searched for.
    pub const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Backstage | Self::Odcs => &[".yaml", ".yml"],
            Self::Dbt => &[".json", ".yml", ".yaml"],
            Self::Codeowners => &["CODEOWNERS"],
            Self::Feast | Self::Datahub | Self::Openmetadata => &[".json"],
            Self::Openlineage => &[".ndjson", ".jsonl", ".json"],
        }
    }
}

/// What a translation may be told beyond the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who answers for subjects that nobody owns there, a typed name. Without
    /// it such a subject gets no charter, which is a note.
    pub owner: Option<String>,
    /// The organisation of GitHub whose teams are groups without its name.
    pub org: Option<String>,
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Name relative to the folder of all of them, `/` between its parts.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What came out of an import or an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Files in the order of their names.
    pub files: Vec<Written>,
    /// What was not carried, and what was taken for granted.
    pub notes: Vec<Note>,
}

/// Reads files and writes charter documents: a `directory.yaml` with people,
/// groups, systems and domains of all of them, and a file of charters and
/// lineage for each source.
///
/// # Errors
/// Every fault of every file, by file and line; then nothing is to be written.
pub fn import(
    format: Format,
    sources: &[Source],
    options: &Options,
) -> Result<Converted, Vec<Diagnostic>> {
    let mut gathered = gather::Gathering::default();
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    match format {
        Format::Backstage => backstage::read(&sorted, &mut gathered),
        Format::Odcs => odcs::read(&sorted, &mut gathered),
        Format::Dbt => dbt::read(&sorted, &mut gathered),
        Format::Codeowners => codeowners::read(&sorted, options, &mut gathered),
        Format::Feast => feast::read(&sorted, &mut gathered),
        Format::Openlineage => openlineage::read(&sorted, &mut gathered),
        Format::Datahub => datahub::read(&sorted, &mut gathered),
        Format::Openmetadata => openmetadata::read(&sorted, &mut gathered),
    }
    let result = gathered.finish(options);
    match result {
        (converted, found) if found.iter().all(|d| d.severity != Level::Error) => Ok(converted),
        (_, found) => Err(found),
    }
}

/// Writes a catalog in a format. What the format has no place for is a note.
pub fn export(format: Format, catalog: &Catalog, options: &Options) -> Converted {
    let mut converted = match format {
        Format::Backstage => backstage::write(catalog),
        Format::Odcs => odcs::write(catalog),
        Format::Dbt => dbt::write(catalog),
        Format::Codeowners => codeowners::write(catalog, options),
        Format::Feast => feast::write(catalog),
        Format::Openlineage => openlineage::write(catalog),
        Format::Datahub => datahub::write(catalog),
        Format::Openmetadata => openmetadata::write(catalog),
    };
    for other in &catalog.others {
        let why = match other.split_once(' ') {
            Some(("pattern", _)) => {
                "what a pattern says is carried with the subjects that are named"
            }
            _ => "no format has policies",
        };
        converted.notes.push(Note::not_carried(other, "", why));
    }
    converted.files.sort_by(|a, b| a.name.cmp(&b.name));
    notes::sort(&mut converted.notes);
    converted
}
