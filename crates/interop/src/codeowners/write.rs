//! A catalog as CODEOWNERS: a line for each subject.

use super::line::{Written as Read, subjects};
use super::{WRITTEN, folder, handle};
use crate::catalog::{Catalog, split};
use crate::notes::Note;
use crate::{Converted, Options, Written, extension};

pub(crate) fn write(catalog: &Catalog, options: &Options) -> Converted {
    let org = options.org.as_deref();
    let mut text =
        String::from("# Who answers for which subjects; written by `watchkeep charters export`.\n");
    let mut notes = Vec::new();
    for document in &catalog.charters {
        let subject = document.subject.as_str();
        let mut lose = |field: &str, why: &str| notes.push(Note::not_carried(subject, field, why));
        let Some(path) = path(subject) else {
            lose("", "a path cannot have this name");
            continue;
        };
        let mut fields = document.fields.clone();
        let Some(primary) = fields.owners.primary.take() else {
            lose("", "it has no primary of its own");
            continue;
        };
        let Some(primary) = handle(&primary, org) else {
            lose(
                "owners.primary",
                "no user, team or address of GitHub has this name; --org says whose teams they are",
            );
            continue;
        };
        let mut owners = vec![primary];
        let backup = fields.owners.backup.as_deref().and_then(|name| handle(name, org));
        if let Some(backup) = backup {
            fields.owners.backup = None;
            owners.push(backup);
            // The third and later owners are informed, so there must be a second.
            let subscribers = fields.subscribers.iter().flatten().map(|name| handle(name, org));
            let subscribers: Option<Vec<String>> = subscribers.collect();
            if let Some(subscribers) = subscribers.filter(|list| !list.is_empty()) {
                fields.subscribers = None;
                owners.extend(subscribers);
            }
        }
        for field in extension::of(fields).keys() {
            lose(field, "CODEOWNERS has owners alone");
        }
        text.push_str(&format!("{path} {}\n", owners.join(" ")));
    }
    notes.extend(catalog.directory_lost());
    for edge in &catalog.edges {
        let subject = format!("{} -> {}", edge.from, edge.to);
        notes.push(Note::not_carried(&subject, "", "CODEOWNERS has owners alone"));
    }
    Converted { files: vec![Written { name: "CODEOWNERS".into(), text }], notes }
}

/// The path of a subject, if it is read back as that subject alone.
fn path(subject: &str) -> Option<String> {
    let (kind, bare) = split(subject);
    let name = bare.replace('\\', "\\\\").replace(' ', "\\ ").replace('#', "\\#");
    let path = format!("/{}/{name}{WRITTEN}", folder(kind));
    let Ok(Read::Rule(line)) = Read::parse(&path, false) else { return None };
    let is_same = line.owners.is_empty() && subjects(&line.pattern).ok()? == [subject];
    (is_same && !bare.contains('*')).then_some(path)
}
