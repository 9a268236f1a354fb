//! Charter folders from the disk.

use std::path::Path;

use anyhow::bail;
use watchkeep_incident::registry::{Checks, Registry};
use watchkeep_model::document::{Diagnostic, Level};
use watchkeep_model::time::TimeSpan;
use watchkeep_runtime::rules::Rules;
use watchkeep_wire::yaml;

use crate::input;

/// A folder as it was read and checked.
pub(crate) struct Folder {
    /// Names and texts.
    pub(crate) files: Vec<(String, String)>,
    /// What follows from them.
    pub(crate) registry: Registry,
    /// Everything that was found, by file and line.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Folder {
    /// Reads all `.yaml` files below a folder.
    ///
    /// # Errors
    /// What the system says; findings are no errors here.
    pub(crate) fn read(folder: &Path, pane: TimeSpan) -> anyhow::Result<Self> {
        Self::read_and_check(folder, &Checks::of_pane(pane))
    }

    /// The same with checks that need more than the folder.
    ///
    /// # Errors
    /// What the system says; findings are no errors here.
    pub(crate) fn read_and_check(folder: &Path, checks: &Checks) -> anyhow::Result<Self> {
        let paths = input::files_below(folder, &[".yaml", ".yml"])?;
        if paths.is_empty() {
            bail!("{}: there is no .yaml file in this folder", folder.display());
        }
        let mut files = Vec::new();
        for path in &paths {
            files.push((path.display().to_string(), input::read_text(path)?));
        }
        Ok(Self::checked(files, checks))
    }

    /// Checks texts.
    pub(crate) fn of(files: Vec<(String, String)>, pane: TimeSpan) -> Self {
        Self::checked(files, &Checks::of_pane(pane))
    }

    fn checked(files: Vec<(String, String)>, checks: &Checks) -> Self {
        let (documents, mut diagnostics) = yaml::read(&files);
        let (registry, mut found) = Registry::checked(documents, checks);
        diagnostics.append(&mut found);
        diagnostics.sort();
        Self { files, registry, diagnostics }
    }

    /// How many findings of a level there are.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == level).count()
    }

    /// The rules, where nothing is wrong with the folder. It is refused as a
    /// whole otherwise: half of a registry would page the wrong people.
    ///
    /// # Errors
    /// Every error of the folder, with file and line.
    pub(crate) fn rules(self) -> anyhow::Result<Rules> {
        if self.count(Level::Error) > 0 {
            let errors: Vec<Diagnostic> =
                self.diagnostics.into_iter().filter(|d| d.severity == Level::Error).collect();
            let text = yaml::render(&errors, &self.files, yaml::Format::Text);
            bail!("the charter folder has {} errors:\n{}", errors.len(), text.trim_end());
        }
        Ok(Rules::new(self.registry))
    }
}

/// The rules of a folder, or none at all.
///
/// # Errors
/// Every error of the folder.
pub(crate) fn rules(folder: Option<&Path>, pane: TimeSpan) -> anyhow::Result<Rules> {
    match folder {
        Some(folder) => Folder::read(folder, pane)?.rules(),
        None => Folder::of(Vec::new(), pane).rules(),
    }
}
