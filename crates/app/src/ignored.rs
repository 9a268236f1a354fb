//! Files of a charter folder that are not to be read: `.watchkeepignore` names
//! them as `.gitignore` does.

use std::path::{Path, PathBuf};

use anyhow::bail;
use glob::{MatchOptions, Pattern};

use crate::input;

/// The name of the file with the patterns, in the folder itself.
const NAME: &str = ".watchkeepignore";

/// How parts of a path match: `*` and `?` stay within one.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Files below a charter folder that end in one of the suffixes, by name, without
/// hidden ones and those that the folder says to leave alone.
///
/// # Errors
/// What the system says; a pattern that is none.
pub(crate) fn files_of_charters(folder: &Path, suffixes: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = input::files_below(folder, suffixes)?;
    let path = folder.join(NAME);
    if path.is_file() {
        let patterns = patterns(&path)?;
        files.retain(|file| !is_ignored(file.strip_prefix(folder).unwrap_or(file), &patterns));
    }
    Ok(files)
}

/// A line of the file.
struct Line {
    pattern: Pattern,
    /// True where it takes back what an earlier line says.
    keeps: bool,
    /// True where it is about the path from the folder on, else about any part.
    is_of_path: bool,
    /// True where it is about folders alone.
    is_of_folders: bool,
}

fn patterns(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = input::read_text(path)?;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (keeps, rest) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (is_of_folders, rest) = rest.strip_suffix('/').map_or((false, rest), |r| (true, r));
        let is_of_path = rest.contains('/');
        match Pattern::new(rest.trim_start_matches('/')) {
            Ok(pattern) => lines.push(Line { pattern, keeps, is_of_path, is_of_folders }),
            Err(error) => bail!("{}:{number}: `{line}` is no pattern: {error}", path.display()),
        }
    }
    Ok(lines)
}

/// The last line that is about a file, or a folder that it is in, counts.
fn is_ignored(file: &Path, lines: &[Line]) -> bool {
    let is_about = |line: &&Line| {
        file.ancestors().filter(|part| !part.as_os_str().is_empty()).any(|part| {
            let matches = match (line.is_of_path, part.file_name()) {
                (false, Some(name)) => line.pattern.matches_with(&name.to_string_lossy(), OPTIONS),
                _ => line.pattern.matches_path_with(part, OPTIONS),
            };
            matches && !(line.is_of_folders && part == file)
        })
    };
    lines.iter().rfind(is_about).is_some_and(|line| !line.keeps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let names = || -> Vec<String> {
            let files = files_of_charters(folder.path(), &[".yaml"]).unwrap();
            let name =
                |file: &PathBuf| file.strip_prefix(folder.path()).unwrap().display().to_string();
            files.iter().map(name).collect()
        };
        std::fs::create_dir_all(folder.path().join("helm/templates")).unwrap();
        for name in ["a.yaml", "b.yaml", "helm/templates/c.yaml", "helm/d.yaml"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(names(), ["a.yaml", "b.yaml", "helm/d.yaml", "helm/templates/c.yaml"]);
        let write = |text: &str| std::fs::write(folder.path().join(NAME), text).unwrap();
        write("# templates are no YAML\ntemplates/\n/b.yaml\n");
        assert_eq!(names(), ["a.yaml", "helm/d.yaml"]);
        write("helm/**\n!helm/d.yaml\n");
        assert_eq!(names(), ["a.yaml", "b.yaml", "helm/d.yaml"]);
        write("a.yaml\n\n[b\n");
        let error = files_of_charters(folder.path(), &[".yaml"]).unwrap_err().to_string();
        assert!(error.contains(".watchkeepignore:3: `[b` is no pattern"), "{error}");
    }
}
