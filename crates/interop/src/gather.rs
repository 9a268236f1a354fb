//! What readers found in all files of an import, put together to documents of
//! a charter folder that can be read back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use watchkeep_model::charter::{CharterDocument, CharterFields};
use watchkeep_model::directory::{Directory, Domain, Group, System, User};
use watchkeep_model::document::{Diagnostic, Place};
use watchkeep_model::lineage::Edge;
use watchkeep_model::time::Timestamp;
use watchkeep_wire::yaml::write;
use watchkeep_wire::yaml::{self, FILE_BYTES_MAX};

use crate::catalog::split;
use crate::extension::{self, Ours};
use crate::files::Names;
use crate::item::{At, Sink, shorten};
use crate::notes::{self, Note, NoteKind};
use crate::{Converted, Options, Written};

/// Systems or domains in one another that are asked for an owner.
const PARENTS_MAX: usize = 8;

/// Characters of a name. YAML itself ends at 1,024 for a key.
const NAME_CHARS_MAX: usize = 500;

/// Edges of one document, so that none is larger than a file may be.
const EDGES_MAX: usize = 50_000;

/// The file with people, groups, systems and domains.
const DIRECTORY: &str = "directory";

/// Where something was found.
#[derive(Clone, Debug, Default)]
struct Origin {
    file: String,
    place: Place,
}

/// A charter that is being put together.
#[derive(Clone, Debug)]
struct Draft {
    document: CharterDocument,
    extension: Map<String, Value>,
    origin: Origin,
}

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    drafts: BTreeMap<String, Draft>,
    directory: Directory,
    /// Where members of the directory were defined, by `users.ada`.
    defined: BTreeMap<String, Origin>,
    edges: BTreeMap<(String, String), (Option<Timestamp>, String)>,
    files: Vec<String>,
    found: Vec<Diagnostic>,
    notes: Vec<Note>,
}

impl Gathering {
    /// Takes over what was found in a file that is read to its end.
    pub(crate) fn absorb(&mut self, sink: Sink) {
        let (found, notes) = sink.into_parts();
        self.found.extend(found);
        self.notes.extend(notes);
    }

    /// Takes over findings about a file that could not be read.
    pub(crate) fn refuse(&mut self, found: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(found);
    }

    /// A charter; the same subject twice is a finding.
    pub(crate) fn charter(
        &mut self,
        file: &str,
        at: &At<'_>,
        subject: &str,
        fields: CharterFields,
        extension: Map<String, Value>,
    ) {
        let origin = self.origin(file, at);
        let document = CharterDocument { subject: subject.to_owned(), fields };
        if let Some(before) = self.drafts.get(subject) {
            let message =
                format!("{subject} is described twice: {} has it too", shown(&before.origin));
            at.report("duplicate", message, Some("keep one of them".into()));
            return;
        }
        self.drafts.insert(subject.to_owned(), Draft { document, extension, origin });
    }

    /// A charter of a part with fields of ours, and their edges. `implied` is
    /// what the part is made from unless they say otherwise.
    pub(crate) fn part(
        &mut self,
        file: &str,
        at: &At<'_>,
        subject: &str,
        fields: CharterFields,
        ours: Ours,
        implied: Option<&str>,
    ) {
        if let (None, Some(from)) = (&ours.upstream, implied) {
            self.edge(file, from, subject, None);
        }
        for from in ours.upstream.iter().flatten() {
            self.edge(file, from, subject, None);
        }
        for to in &ours.consumers {
            self.edge(file, subject, to, None);
        }
        if !ours.has_no_charter {
            self.charter(file, at, subject, fields, ours.fields);
        }
    }

    /// A person. What another file knows too is filled up; where the two
    /// differ, the first holds and that is a note.
    pub(crate) fn user(&mut self, file: &str, at: &At<'_>, name: &str, user: User) {
        self.defined.entry(format!("users.{name}")).or_insert(Origin::of(file, at));
        let known = self.directory.users.entry(name.to_owned()).or_default();
        if known.name.is_some() && user.name.is_some() && known.name != user.name {
            at.assumed("name", "another file has another name for this person, which holds");
        }
        known.name = known.name.take().or(user.name);
        if known.contacts.is_empty() {
            known.contacts = user.contacts;
        }
        if known.absences.is_empty() {
            known.absences = user.absences;
        }
        known.active &= user.active;
        known.zone = known.zone.take().or(user.zone);
        known.max_open = known.max_open.or(user.max_open);
    }

    /// A group; members of all files are put together.
    pub(crate) fn group(&mut self, file: &str, at: &At<'_>, name: &str, group: Group) {
        self.defined.entry(format!("groups.{name}")).or_insert(Origin::of(file, at));
        let known = self.directory.groups.entry(name.to_owned()).or_default();
        known.lead = known.lead.take().or(group.lead);
        for member in group.members {
            if !known.members.contains(&member) {
                known.members.push(member);
            }
        }
    }

    /// A system; twice is a finding where the two differ.
    pub(crate) fn system(&mut self, file: &str, at: &At<'_>, name: &str, system: System) {
        let origin = self.origin(file, at);
        let key = format!("systems.{name}");
        match self.directory.systems.get(name) {
            Some(known) if *known != system => self.twice(at, &key, name),
            _ => {
                self.defined.entry(key).or_insert(origin);
                self.directory.systems.insert(name.to_owned(), system);
            }
        }
    }

    /// A domain; twice is a finding where the two differ.
    pub(crate) fn domain(&mut self, file: &str, at: &At<'_>, name: &str, domain: Domain) {
        let origin = self.origin(file, at);
        let key = format!("domains.{name}");
        match self.directory.domains.get(name) {
            Some(known) if *known != domain => self.twice(at, &key, name),
            _ => {
                self.defined.entry(key).or_insert(origin);
                self.directory.domains.insert(name.to_owned(), domain);
            }
        }
    }

    fn twice(&self, at: &At<'_>, key: &str, name: &str) {
        let before = self.defined.get(key).cloned().unwrap_or_default();
        let message = format!("`{name}` is described twice: {} has it too", shown(&before));
        at.report("duplicate", message, Some("keep one of them".into()));
    }

    /// An edge; of several times it was seen the latest holds, and a declared
    /// one does not age.
    pub(crate) fn edge(&mut self, file: &str, from: &str, to: &str, seen: Option<Timestamp>) {
        if from == to {
            return;
        }
        let key = (from.to_owned(), to.to_owned());
        match self.edges.get_mut(&key) {
            Some((known, _)) => {
                *known = if known.is_none() || seen.is_none() { None } else { (*known).max(seen) }
            }
            None => {
                self.file(file);
                self.edges.insert(key, (seen, file.to_owned()));
            }
        }
    }

    fn origin(&mut self, file: &str, at: &At<'_>) -> Origin {
        self.file(file);
        Origin::of(file, at)
    }

    fn file(&mut self, file: &str) {
        if !self.files.iter().any(|known| known == file) {
            self.files.push(file.to_owned());
        }
    }

    /// Puts the documents together and reads them back. With a finding among
    /// what comes with it, the result is to be thrown away.
    pub(crate) fn finish(mut self, options: &Options) -> (Converted, Vec<Diagnostic>) {
        let mut charters = self.complete_charters(options);
        self.complete_directory(&charters);
        let mut names = Names::default();
        let mut files = Vec::new();
        if self.directory != Directory::default() {
            let name = names.unused(DIRECTORY, ".yaml");
            let text = write::text(&[write::directory(&self.directory)], &write::KEY_ORDER);
            files.push(Written { name, text });
        }
        for file in std::mem::take(&mut self.files) {
            let edges: Vec<Edge> = self
                .edges
                .iter()
                .filter(|(_, (_, of))| *of == file)
                .map(|((from, to), (last_seen, _))| Edge {
                    from: from.clone(),
                    to: to.clone(),
                    last_seen: *last_seen,
                })
                .collect();
            let mut documents = Vec::new();
            documents.extend(edges.chunks(EDGES_MAX).map(write::lineage));
            documents.append(charters.get_mut(&file).unwrap_or(&mut Vec::new()));
            for text in texts(&documents, FILE_BYTES_MAX) {
                files.push(Written { name: names.unused(&file, ".yaml"), text });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        self.read_back(&files);
        notes::sort(&mut self.notes);
        self.found.sort();
        (Converted { files, notes: self.notes }, self.found)
    }

    /// Charters as values, by file; those that nobody answers for are left out.
    fn complete_charters(&mut self, options: &Options) -> BTreeMap<String, Vec<Value>> {
        let mut complete: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for (subject, draft) in &self.drafts {
            let mut value = write::charter(&draft.document);
            if let Some(fields) = value.as_object_mut() {
                extension::overlay(fields, draft.extension.clone());
                tidy(fields);
                complete.insert(subject.clone(), std::mem::take(fields));
            }
        }
        let owned: BTreeSet<String> = complete
            .iter()
            .filter(|(_, fields)| is_owned(fields, &complete, &self.directory))
            .map(|(subject, _)| subject.clone())
            .collect();
        let mut by_file: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (subject, mut fields) in complete {
            let origin = &self.drafts[&subject].origin;
            if !owned.contains(&subject) {
                let note = |kind, why: &str| Note {
                    kind,
                    file: origin.file.clone(),
                    line: origin.place.line,
                    subject: subject.clone(),
                    field: "owner".into(),
                    why: why.into(),
                };
                let Some(owner) = &options.owner else {
                    let why = "nobody answers for it, so there is no charter; name an owner there, or give --owner";
                    self.notes.push(note(NoteKind::NotCarried, why));
                    continue;
                };
                self.notes.push(note(NoteKind::Assumed, "the owner given for what nobody owns"));
                let owners = fields.entry("owners").or_insert_with(|| Value::Object(Map::new()));
                if let Some(owners) = owners.as_object_mut() {
                    owners.insert("primary".into(), owner.as_str().into());
                }
            }
            by_file.entry(origin.file.clone()).or_default().push(Value::Object(fields));
        }
        by_file
    }

    /// Whoever is named is defined: with nothing known, so that it can be filled in.
    fn complete_directory(&mut self, charters: &BTreeMap<String, Vec<Value>>) {
        let mut named = BTreeSet::new();
        let (mut systems, mut domains) = (BTreeSet::new(), BTreeSet::new());
        for fields in charters.values().flatten() {
            for list in ["owners", "subscribers", "approvals"] {
                people(&fields[list], &mut named);
            }
            people(&fields["group"], &mut named);
            systems.extend(fields["system"].as_str().map(str::to_owned));
            domains.extend(fields["domain"].as_str().map(str::to_owned));
        }
        for group in self.directory.groups.values() {
            named.extend(group.lead.iter().chain(&group.members).cloned());
        }
        for system in self.directory.systems.values() {
            named.extend(system.owner.clone());
            systems.extend(system.parent.clone());
            domains.extend(system.domain.clone());
        }
        for domain in self.directory.domains.values() {
            named.extend(domain.owner.clone());
            domains.extend(domain.parent.clone());
        }
        for name in named {
            let directory = &mut self.directory;
            let is_new = match split(&name) {
                ("user", bare) => add(&mut directory.users, bare),
                ("group", bare) => add(&mut directory.groups, bare),
                ("schedule", bare) => add(&mut directory.schedules, bare),
                _ => false,
            };
            self.undefined(is_new, &name);
        }
        for name in systems {
            let is_new = add(&mut self.directory.systems, &name);
            self.undefined(is_new, &format!("system {name}"));
        }
        for name in domains {
            let is_new = add(&mut self.directory.domains, &name);
            self.undefined(is_new, &format!("domain {name}"));
        }
    }

    fn undefined(&mut self, is_new: bool, name: &str) {
        if is_new {
            self.notes.push(Note {
                kind: NoteKind::Assumed,
                file: String::new(),
                line: 0,
                subject: name.to_owned(),
                field: String::new(),
                why: "named and described nowhere: the directory has it with nothing in it".into(),
            });
        }
    }

    /// What the reader of charter folders finds wrong, told of the file that it came from.
    fn read_back(&mut self, files: &[Written]) {
        let texts: Vec<(String, String)> =
            files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
        let (_, found) = yaml::read(&texts);
        for mut diagnostic in found {
            let subject = diagnostic.document.strip_prefix("charter ").unwrap_or_default();
            let member = diagnostic.field.split('.').take(2).collect::<Vec<_>>().join(".");
            let draft = self.drafts.get(subject).map(|draft| &draft.origin);
            let Some(origin) = draft.or(self.defined.get(&member)) else {
                self.found.push(diagnostic);
                continue;
            };
            diagnostic.file.clone_from(&origin.file);
            diagnostic.line = origin.place.line;
            diagnostic.column = origin.place.column;
            diagnostic.message = format!("what comes out is refused: {}", diagnostic.message);
            self.found.push(diagnostic);
        }
    }
}

impl Origin {
    fn of(file: &str, at: &At<'_>) -> Self {
        Self { file: file.to_owned(), place: at.place() }
    }
}

fn shown(origin: &Origin) -> String {
    format!("{}:{}", origin.file, origin.place.line)
}

/// A subject of a type with a name of another program; a name that a charter
/// folder would take for something else is a finding.
pub(crate) fn subject(at: &At<'_>, kind: &str, name: &str) -> Option<String> {
    is_name(at, name).then(|| format!("{kind}:{name}"))
}

/// True for a name that can be one here; else that is a finding.
pub(crate) fn is_name(at: &At<'_>, name: &str) -> bool {
    let fault = if name.trim().is_empty() {
        "a name is empty".to_owned()
    } else if name.contains('*') {
        format!("`{}` has a `*`, which would make it a pattern", shorten(name))
    } else if name.chars().any(char::is_control) {
        format!("`{}` has control characters in it", shorten(&name.escape_debug().to_string()))
    } else if name.chars().count() > NAME_CHARS_MAX {
        format!("`{}` has more than {NAME_CHARS_MAX} characters", shorten(name))
    } else {
        return true;
    };
    at.report("name", fault, Some("give it another name".into()));
    false
}

/// Takes away what is empty, which the reader refuses.
fn tidy(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(map) => {
            tidy(map);
            !map.is_empty()
        }
        _ => true,
    });
}

/// Texts of documents in their order, as few as may be with at most `max` bytes
/// each; a document that is larger by itself has its own.
fn texts(documents: &[Value], max: usize) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for document in documents {
        let text = write::text(std::slice::from_ref(document), &write::KEY_ORDER);
        match texts.last_mut() {
            Some(last) if last.len() + BETWEEN.len() + text.len() <= max => {
                last.push_str(BETWEEN);
                last.push_str(&text);
            }
            _ => texts.push(text),
        }
    }
    texts
}

/// What stands between two documents of a file.
const BETWEEN: &str = "---\n";

/// Typed names of people in a value.
fn people(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::String(name) if ["user", "group", "schedule"].contains(&split(name).0) => {
            named.insert(name.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| people(item, named)),
        Value::Object(fields) => fields.values().for_each(|item| people(item, named)),
        _ => {}
    }
}

fn add<T: Default>(map: &mut BTreeMap<String, T>, name: &str) -> bool {
    if name.is_empty() || map.contains_key(name) {
        return false;
    }
    map.insert(name.to_owned(), T::default());
    true
}

/// True where the owner chain ends before governance, as `charters lint` asks for.
fn is_owned(
    fields: &Map<String, Value>,
    all: &BTreeMap<String, Map<String, Value>>,
    directory: &Directory,
) -> bool {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let has_primary = |fields: &Map<String, Value>| {
        fields.get("owners").and_then(|owners| owners.get("primary")).is_some()
    };
    if has_primary(fields) || text("view").and_then(|view| all.get(view)).is_some_and(has_primary) {
        return true;
    }
    let has_people = |group: &Group| group.lead.is_some() || !group.members.is_empty();
    if text("group").and_then(|name| directory.group(name)).is_some_and(has_people) {
        return true;
    }
    let mut domain = text("domain");
    let mut next = text("system");
    for _ in 0..PARENTS_MAX {
        let Some(system) = next.and_then(|name| directory.systems.get(name)) else { break };
        if system.owner.is_some() {
            return true;
        }
        domain = domain.or(system.domain.as_deref());
        next = system.parent.as_deref();
    }
    for _ in 0..PARENTS_MAX {
        let Some(found) = domain.and_then(|name| directory.domains.get(name)) else { break };
        if found.owner.is_some() {
            return true;
        }
        domain = found.parent.as_deref();
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_divided_among_files_that_can_be_read_back() {
        let documents: Vec<Value> = (0..5).map(|n| json!({"kind": "lineage", "n": n})).collect();
        let whole = write::text(&documents, &write::KEY_ORDER);
        assert_eq!(texts(&documents, whole.len()), [whole.as_str()]);
        let parts = texts(&documents, whole.len() - 1);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts.join(BETWEEN), whole);
        assert_eq!(texts(&documents, 1).len(), 5);
        assert_eq!(texts(&[], 1), Vec::<String>::new());
    }
}
