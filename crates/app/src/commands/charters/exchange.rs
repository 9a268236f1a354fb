//! `watchkeep charters import` and `export`: files in, files out, and what was
//! not carried.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use watchkeep_interop::{
    Catalog, Converted, FILE_BYTES_MAX, Format as ImportFormat, Note, NoteKind, Options, Source,
    Written,
};
use watchkeep_model::charter::CharterDocument;
use watchkeep_model::directory::{Directory, PERSON_TYPES};
use watchkeep_model::document::{Diagnostic, Level};
use watchkeep_wire::yaml;

use crate::charters::{self, Folder};
use crate::cli::{ChartersExport, ChartersImport};
use crate::output::{Format, Output, Table, complain, counted};
use crate::{Outcome, ignored, input, service};

/// What a program gets.
#[derive(Serialize)]
struct Report<'r> {
    files: Vec<String>,
    notes: &'r [Note],
    /// What `charters lint` finds in the folder now.
    findings: &'r [Diagnostic],
}

/// # Errors
/// The files cannot be read or understood, or the result cannot be written.
pub(super) fn import(arguments: &ChartersImport) -> anyhow::Result<Outcome> {
    if let Some(owner) = &arguments.owner
        && !owner
            .split_once(':')
            .is_some_and(|(kind, name)| PERSON_TYPES.contains(&kind) && !name.is_empty())
    {
        bail!("--owner {owner}: write a name with user:, group: or schedule: before it");
    }
    let Sources { read: sources, foreign } = sources(&arguments.paths, arguments.source)?;
    let options = Options { owner: arguments.owner.clone(), org: arguments.org.clone() };
    let mut converted = match watchkeep_interop::import(arguments.source, &sources, &options) {
        Ok(mut converted) => {
            converted.notes.extend(foreign);
            converted
        }
        Err(found) => return refused(&found, &sources, arguments.formatted.format),
    };
    leave_known(&arguments.out, &mut converted.files, arguments.force)?;
    let files = write(&arguments.out, &converted.files, arguments.force)?;
    // With what was in the folder before: a policy that charters name, say.
    let pane = watchkeep_detection::settings::TimeSettings::default().pane;
    let folder = if files.is_empty() {
        Folder::of(Vec::new(), pane)
    } else {
        Folder::read(&arguments.out, pane)?
    };
    let errors = folder.count(Level::Error);
    tell(&converted, files, &folder.diagnostics, arguments.formatted.format)?;
    if errors == 0 {
        return Ok(Outcome::Fine);
    }
    if arguments.formatted.format == Format::Table {
        let text = yaml::render(&folder.diagnostics, &folder.files, yaml::Format::Text);
        complain("`charters lint` finds in the folder now:");
        text.trim_end().lines().for_each(complain);
    }
    Ok(Outcome::Found)
}

/// # Errors
/// The charter folder cannot be used, or the result cannot be written.
pub(super) fn export(arguments: &ChartersExport) -> anyhow::Result<Outcome> {
    let pane = watchkeep_detection::settings::TimeSettings::default().pane;
    let folder = Folder::read(&arguments.charters, pane)?;
    let (documents, _) = yaml::read(&folder.files);
    let patterns = documents.charters.iter().map(|charter| &charter.value.subject);
    let mut others: Vec<String> = patterns
        .filter(|subject| subject.contains('*'))
        .map(|subject| format!("pattern {subject}"))
        .collect();
    others.extend(documents.policies.iter().map(|policy| format!("policy {}", policy.value.name)));
    others.sort();
    others.dedup();
    let rules = folder.rules()?;
    let registry = rules.registry();
    let at = arguments.at.unwrap_or_else(service::clock::now);
    let charters = registry.named().filter_map(|subject| {
        let charter = registry.charter(subject, at).filter(|charter| charter.exact)?;
        Some(CharterDocument { subject: subject.to_owned(), fields: charter.fields.clone() })
    });
    let edges = registry.edges().iter().cloned();
    let mut catalog = Catalog::new(charters, registry.directory().clone(), edges);
    catalog.others = others;
    let converted = {
        let options = Options { owner: None, org: arguments.org.clone() };
        watchkeep_interop::export(arguments.target, &catalog, &options)
    };
    let files = write(&arguments.out, &converted.files, arguments.force)?;
    tell(&converted, files, &[], arguments.formatted.format)?;
    Ok(Outcome::Fine)
}

/// Where a CODEOWNERS may be besides folders that everybody sees.
const HIDDEN: [&str; 2] = [".github/CODEOWNERS", ".gitlab/CODEOWNERS"];

/// What an import reads.
struct Sources {
    read: Vec<Source>,
    /// Files of the folders that are none of the format.
    foreign: Vec<Note>,
}

/// Files by name; a folder stands for the files of the format in it.
fn sources(paths: &[PathBuf], format: ImportFormat) -> anyhow::Result<Sources> {
    let suffixes = format.suffixes();
    let named: BTreeSet<&PathBuf> = paths.iter().filter(|path| !path.is_dir()).collect();
    let mut files: BTreeSet<PathBuf> = named.iter().map(|path| (*path).clone()).collect();
    for path in paths.iter().filter(|path| path.is_dir()) {
        let mut found = input::files_below(path, suffixes)?;
        // GitHub and GitLab look into folders that are hidden otherwise.
        let hidden = HIDDEN.iter().map(|hidden| path.join(hidden));
        found.extend(hidden.filter(|path| format == ImportFormat::Codeowners && path.is_file()));
        if found.is_empty() {
            bail!("{}: no file here ends in {}", path.display(), suffixes.join(" or "));
        }
        files.extend(found);
    }
    let mut sources = Sources { read: Vec::new(), foreign: Vec::new() };
    for path in &files {
        let source = source(path)?;
        if named.contains(path) || format.claims(&source) {
            sources.read.push(source);
        } else {
            sources.foreign.push(Note {
                kind: NoteKind::NotCarried,
                file: source.name,
                line: 1,
                subject: String::new(),
                field: String::new(),
                why: format!("the file does not look like one of {}", format.name()),
            });
        }
    }
    if sources.read.is_empty()
        && let Some(first) = sources.foreign.first()
    {
        let (count, name) = (sources.foreign.len(), format.name());
        bail!(
            "none of {count} files looks like one of {name}, {} for one: name a file itself to \
             have it read",
            first.file
        );
    }
    Ok(sources)
}

fn source(path: &Path) -> anyhow::Result<Source> {
    let name = path.display().to_string();
    input::require_regular(path)?;
    let size = std::fs::metadata(path).with_context(|| name.clone())?.len();
    // A file that is too large is refused by its size, without its bytes.
    if size > FILE_BYTES_MAX as u64 {
        bail!("{name}: the file has {size} bytes and may have {FILE_BYTES_MAX}; split it");
    }
    let bytes = input::read_bounded(path, FILE_BYTES_MAX)?;
    Ok(Source { name, bytes })
}

fn refused(found: &[Diagnostic], sources: &[Source], format: Format) -> anyhow::Result<Outcome> {
    let errors = found.iter().filter(|finding| finding.severity == Level::Error).count();
    let errors = counted(errors as u64, "error");
    if format == Format::Json {
        let mut output = Output::new();
        output.json(&Report { files: Vec::new(), notes: &[], findings: found })?;
        output.finish()?;
        bail!("nothing is written: the files have {errors}");
    }
    let texts: Vec<(String, String)> = sources
        .iter()
        .map(|s| (s.name.clone(), String::from_utf8_lossy(&s.bytes).into_owned()))
        .collect();
    let text = yaml::render(found, &texts, yaml::Format::Text);
    bail!("nothing is written: the files have {errors}:\n{}", text.trim_end());
}

/// Takes out of what is to be written whom and what the other files of the
/// folder define already: an import knows little of people beside their names.
fn leave_known(folder: &Path, files: &mut Vec<Written>, force: bool) -> anyhow::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut others = ignored::files_of_charters(folder, &[".yaml", ".yml"])?;
    others.retain(|path| !force || !files.iter().any(|file| folder.join(&file.name) == *path));
    let (documents, _) = yaml::read(&charters::texts(&others)?.files);
    let known: Vec<&Directory> = documents.directories.iter().map(|d| &d.value).collect();
    files.retain_mut(|file| {
        let (read, found) = yaml::read(&[(file.name.clone(), file.text.clone())]);
        let is_directory = read.charters.is_empty() && read.lineage.is_empty();
        let [directory] = &read.directories[..] else { return true };
        if known.is_empty() || !is_directory || !found.is_empty() {
            return true;
        }
        let mut rest = directory.value.clone();
        rest.users.retain(|name, _| !known.iter().any(|d| d.users.contains_key(name)));
        rest.groups.retain(|name, _| !known.iter().any(|d| d.groups.contains_key(name)));
        rest.schedules.retain(|name, _| !known.iter().any(|d| d.schedules.contains_key(name)));
        rest.systems.retain(|name, _| !known.iter().any(|d| d.systems.contains_key(name)));
        rest.domains.retain(|name, _| !known.iter().any(|d| d.domains.contains_key(name)));
        rest.governance = rest.governance.filter(|_| known.iter().all(|d| d.governance.is_none()));
        if rest != directory.value {
            file.text =
                yaml::write::text(&[yaml::write::directory(&rest)], &yaml::write::KEY_ORDER);
        }
        rest != Directory::default()
    });
    Ok(())
}

fn shown(folder: &Path, file: &Written) -> String {
    folder.join(&file.name).display().to_string()
}

/// Writes files whole: first all of them into a folder beside the wanted one,
/// then each to its place, so that a full disk leaves nothing half-written.
fn write(folder: &Path, files: &[Written], force: bool) -> anyhow::Result<Vec<String>> {
    let taken: Vec<String> = files
        .iter()
        .filter(|file| folder.join(&file.name).exists())
        .map(|file| shown(folder, file))
        .collect();
    if !taken.is_empty() && !force {
        let names = taken.join(", ");
        bail!("{names}: exists already; give another --out, or --force to replace it");
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let context = || folder.display().to_string();
    std::fs::create_dir_all(parent).with_context(context)?;
    let beside = tempfile::Builder::new()
        .prefix(".watchkeep-")
        .tempdir_in(parent)
        .with_context(|| format!("a folder beside {}", folder.display()))?;
    // Inside of the temporary folder, which nobody else may read.
    let ready = beside.path().join("ready");
    std::fs::create_dir(&ready).with_context(context)?;
    for file in files {
        let path = ready.join(&file.name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(context)?;
        }
        std::fs::write(&path, &file.text).with_context(|| shown(folder, file))?;
    }
    if folder.exists() {
        for file in files {
            let path = folder.join(&file.name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).with_context(context)?;
            }
            std::fs::rename(ready.join(&file.name), &path).with_context(|| shown(folder, file))?;
        }
    } else {
        std::fs::rename(&ready, folder).with_context(context)?;
    }
    Ok(files.iter().map(|file| shown(folder, file)).collect())
}

fn tell(
    converted: &Converted,
    files: Vec<String>,
    findings: &[Diagnostic],
    format: Format,
) -> anyhow::Result<()> {
    let mut output = Output::new();
    if format == Format::Json {
        output.json(&Report { files, notes: &converted.notes, findings })?;
        return output.finish();
    }
    for file in &files {
        output.line(file)?;
    }
    output.finish()?;
    let table = notes_table(&converted.notes);
    table.to_string().lines().skip(usize::from(converted.notes.is_empty())).for_each(complain);
    Ok(())
}

/// One row for what happened to the same field for the same reason; the whole
/// list is in the JSON.
fn notes_table(notes: &[Note]) -> Table {
    let mut rows: BTreeMap<(NoteKind, String, &str), (usize, &Note)> = BTreeMap::new();
    for note in notes {
        let key = (note.kind, without_numbers(&note.field), note.why.as_str());
        rows.entry(key).or_insert((0, note)).0 += 1;
    }
    let mut table = Table::new(["note", "times", "field", "first", "why"]);
    for ((kind, field, why), (times, note)) in rows {
        let place = match note.line {
            0 => note.subject.clone(),
            line => format!("{} ({}:{line})", note.subject, note.file),
        };
        let field = if field.is_empty() { "(all)".to_owned() } else { field };
        let kind = kind.name().to_owned();
        table.row([kind, times.to_string(), field, place.trim().to_owned(), why.to_owned()]);
    }
    table
}

/// A path without the numbers of items in lists, and without the names of
/// things in maps by name (`nodes["model.shop.orders"].alias`).
fn without_numbers(field: &str) -> String {
    let mut path = String::new();
    let mut rest = field;
    while let Some((before, step)) = rest.split_once('[') {
        path.push_str(before);
        path.push('[');
        rest = match step
            .strip_prefix('"')
            .and_then(|name| name.find("\"]").map(|end| &name[end + 1..]))
        {
            Some(after) => after,
            None => step.trim_start_matches(|c: char| c.is_ascii_digit()),
        };
    }
    path.push_str(rest);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let file = |name: &str, text: &str| Written { name: name.into(), text: text.into() };
        write(&folder, &[file("x.yaml", "1"), file("y/z.yaml", "2")], false).unwrap();
        let error = write(&folder, &[file("x.yaml", "3"), file("new.yaml", "3")], false);
        assert!(error.unwrap_err().to_string().contains("x.yaml: exists already"));
        assert!(!folder.join("new.yaml").exists());
        write(&folder, &[file("x.yaml", "3")], true).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!([read("x.yaml"), read("y/z.yaml")], ["3", "2"]);
        let beside = std::fs::read_dir(root.path().join("a")).unwrap();
        assert_eq!(beside.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn numbers_of_items_are_left_out() {
        assert_eq!(without_numbers("spec.links[12].url"), "spec.links[].url");
        assert_eq!(without_numbers("spec"), "spec");
        let named = "nodes[\"model.a.b[1]\"].columns[\"x\"].tags[2]";
        assert_eq!(without_numbers(named), "nodes[].columns[].tags[]");
    }
}
