//! Links that charters hold. Whether one leads anywhere is for the caller to
//! find out; here is which there are and where they stand.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::CharterFields;
use watchkeep_model::document::{Documents, Located};

use super::{Folder, Found};

/// Links that are gone, each with what came of asking for it.
pub type DeadLinks = BTreeMap<String, String>;

/// Every link in charters: in runbooks, rollback procedures, change tickets,
/// external dependencies, descriptions and sentences.
pub fn links(documents: &Documents) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for document in &documents.charters {
        each(document, &document.value.fields, |_, link| {
            found.insert(link.to_owned());
        });
    }
    found
}

pub(super) fn check(folder: &Folder<'_>, dead: &DeadLinks, found: &mut Found) {
    if dead.is_empty() {
        return;
    }
    let documents = &folder.registry.index.documents;
    for (place, document) in folder.charters.iter().zip(documents) {
        each(place, &document.fields, |field, link| {
            if let Some(why) = dead.get(link) {
                let hint = Some("mend the link, or take it away".to_owned());
                found.warning(place, field, "dead_link", format!("{link}: {why}"), hint);
            }
        });
    }
}

/// Visits each link with the path of the field that holds it.
fn each<T>(place: &Located<T>, fields: &CharterFields, mut visit: impl FnMut(&str, &str)) {
    let texts = [
        ("description", &fields.description),
        ("runbook", &fields.runbook),
        ("rollback.procedure", &fields.rollback.procedure),
        ("change_ticket", &fields.change_ticket),
    ];
    for (field, text) in texts {
        in_text(text.as_deref().unwrap_or_default(), |link| visit(field, link));
    }
    let lists = [
        ("external_dependencies", &fields.external_dependencies),
        ("business_outcomes", &fields.business_outcomes),
        ("duties", &fields.duties),
        ("limitations", &fields.limitations),
        ("decision_rights", &fields.decision_rights),
    ];
    for (field, list) in lists {
        let Some(list) = list else { continue };
        for (text, path) in list.iter().zip(place.items(field)) {
            in_text(text, |link| visit(&path, link));
        }
    }
}

/// Visits each `http` and `https` link in a text: from its scheme to the first
/// space, bracket or quote, without the full stop of the sentence around it.
fn in_text(text: &str, mut visit: impl FnMut(&str)) {
    let mut rest = text;
    while let Some(start) = rest.find("http") {
        rest = &rest[start..];
        let scheme = ["http://", "https://"].into_iter().find(|scheme| rest.starts_with(scheme));
        let Some(scheme) = scheme else {
            rest = &rest["http".len()..];
            continue;
        };
        let is_end = |c: char| c.is_whitespace() || c.is_control() || "<>\"'`()[]{}|".contains(c);
        let end = rest.find(is_end).unwrap_or(rest.len());
        let link = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?']);
        if link.len() > scheme.len() {
            visit(link);
        }
        rest = &rest[end.max(scheme.len()).min(rest.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_end_where_their_sentence_goes_on() {
        for (text, expected) in [
            ("https://wiki.example.com/a", vec!["https://wiki.example.com/a"]),
            (
                "see http://a/b. Or (https://c/d?e=f#g), too",
                vec!["http://a/b", "https://c/d?e=f#g"],
            ),
            ("<https://a/ü>", vec!["https://a/ü"]),
            ("CHG-17", vec![]),
            ("http:// and https://. http", vec![]),
            ("httphttp://a", vec!["http://a"]),
        ] {
            let mut found = Vec::new();
            in_text(text, |link| found.push(link.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
