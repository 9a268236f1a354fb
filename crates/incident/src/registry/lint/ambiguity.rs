//! Equally specific documents that set the same field, and names defined twice.

use std::collections::BTreeMap;

use watchkeep_model::document::Located;
use watchkeep_model::time::Timestamp;

use super::super::index::{NEVER, Revisions};
use super::super::pattern::overlap;
use super::{Folder, Found, at};

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let index = &folder.registry.index;
    for (_, revisions) in index.exact().chain(index.patterns()) {
        for together in revisions.0.values() {
            // Which field was set first, so that each later one is reported once.
            let mut first: BTreeMap<&str, usize> = BTreeMap::new();
            for &number in together {
                for field in set_fields(&folder.charters[number]) {
                    match first.get(field) {
                        Some(&before) => report(folder, found, before, number, field),
                        None => {
                            first.insert(field, number);
                        }
                    }
                }
            }
        }
    }
    if !is_bounded(folder, found) {
        return twice(folder, found);
    }
    for same in index.equally_specific() {
        for (n, a) in same.iter().enumerate() {
            for b in &same[n + 1..] {
                if overlap(a, b)
                    && let (Some(a), Some(b)) = (index.revisions(a), index.revisions(b))
                {
                    patterns(folder, found, a, b);
                }
            }
        }
    }
    twice(folder, found);
}

/// Steps of comparisons between equally specific patterns, the product of their
/// lengths each: a second or so.
const STEPS_MAX: usize = 250_000_000;

/// False, with an error, where there are too many patterns that are equally
/// specific to be compared with each other.
fn is_bounded(folder: &Folder<'_>, found: &mut Found) -> bool {
    let index = &folder.registry.index;
    let mut crowded = index.crowded.clone();
    let mut steps: usize = 0;
    for same in index.equally_specific() {
        let length: usize = same.iter().map(|pattern| pattern.len() + 1).sum();
        steps = steps.saturating_add(length.saturating_mul(length));
        if steps > STEPS_MAX && crowded.is_empty() {
            crowded.extend(same.last().cloned());
        }
    }
    for pattern in &crowded {
        let revisions = index.revisions(pattern);
        let number = revisions.and_then(|of| of.0.values().flatten().next());
        if let Some(place) = number.and_then(|number| folder.charters.get(*number)) {
            let message = "too many patterns have the same beginning up to their first `*`";
            let hint = "at most 1,000 short ones may: name the features, or begin with more";
            found.error(place, "subject", "bound", message, Some(hint.to_owned()));
        }
    }
    crowded.is_empty()
}

/// Two patterns of equal weight that some subject fits both.
fn patterns(folder: &Folder<'_>, found: &mut Found, a: &Revisions, b: &Revisions) {
    for (from_a, until_a, documents_a) in periods(a) {
        for (from_b, until_b, documents_b) in periods(b) {
            if from_a >= until_b || from_b >= until_a {
                continue;
            }
            for &x in documents_a {
                for &y in documents_b {
                    let (first, second) = (x.min(y), x.max(y));
                    let before: Vec<&str> = set_fields(&folder.charters[first]).collect();
                    for field in set_fields(&folder.charters[second]) {
                        if before.contains(&field) {
                            report(folder, found, first, second, field);
                        }
                    }
                }
            }
        }
    }
}

fn periods(revisions: &Revisions) -> impl Iterator<Item = (Timestamp, Timestamp, &[usize])> {
    let starts: Vec<Timestamp> = revisions.0.keys().copied().collect();
    revisions.0.iter().enumerate().map(move |(n, (from, documents))| {
        (*from, starts.get(n + 1).copied().unwrap_or(NEVER), documents.as_slice())
    })
}

fn report(folder: &Folder<'_>, found: &mut Found, first: usize, second: usize, field: &str) {
    let (before, document) = (&folder.charters[first], &folder.charters[second]);
    let other = &folder.registry.index.documents[first].subject;
    let message = format!(
        "`{field}` is also set for the equally specific `{other}` in {}",
        at(before, field)
    );
    found.error(document, field, "ambiguous", message, Some("keep one of them".into()));
}

/// Fields that win or lose one by one; `owners` and `rollback` do so member by member.
fn set_fields(document: &Located<()>) -> impl Iterator<Item = &str> {
    document.fields.keys().map(String::as_str).filter(|path| {
        let is_member = path.starts_with("owners.") || path.starts_with("rollback.");
        let is_other =
            matches!(*path, "kind" | "subject" | "effective_from" | "owners" | "rollback");
        !path.contains('[') && !is_other && (is_member || !path.contains('.'))
    })
}

/// Policies and members of directories that are defined twice.
fn twice(folder: &Folder<'_>, found: &mut Found) {
    let mut policies = BTreeMap::new();
    for document in folder.policies {
        let key = (document.value.name.as_str(), document.value.version);
        match policies.get(&key) {
            None => {
                policies.insert(key, document);
            }
            Some(before) => {
                let message = format!(
                    "policy `{}` has version {} already in {}",
                    key.0,
                    key.1,
                    at(before, "name")
                );
                let hint = Some("count the version up: the highest is in force".into());
                found.error(document, "version", "ambiguous", message, hint);
            }
        }
    }
    let mut defined: BTreeMap<String, &Located<_>> = BTreeMap::new();
    for document in folder.directories {
        let value = &document.value;
        let maps: [(&str, Vec<&String>); 5] = [
            ("users", value.users.keys().collect()),
            ("groups", value.groups.keys().collect()),
            ("schedules", value.schedules.keys().collect()),
            ("systems", value.systems.keys().collect()),
            ("domains", value.domains.keys().collect()),
        ];
        let names = maps
            .into_iter()
            .flat_map(|(map, names)| names.into_iter().map(move |name| format!("{map}.{name}")));
        let governance = value.governance.iter().map(|_| "governance".to_owned());
        for field in names.chain(governance) {
            if let Some(before) = defined.get(&field) {
                let message = format!("`{field}` is also defined in {}", at(before, &field));
                found.error(
                    document,
                    &field,
                    "ambiguous",
                    message,
                    Some("keep one of them".into()),
                );
            } else {
                defined.insert(field, document);
            }
        }
    }
}
