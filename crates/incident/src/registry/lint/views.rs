//! What people may take a feature to have from its view, and it has not.

use watchkeep_model::charter::CharterFields;

use super::super::index::NEVER;
use super::{Folder, Found};

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let documents = &folder.registry.index.documents;
    for (document, place) in documents.iter().zip(folder.charters) {
        let Some(view) = document.fields.view.as_deref().filter(|view| *view != document.subject)
        else {
            continue;
        };
        let registry = folder.registry;
        let own = registry.of_written(&document.subject, NEVER).map(|charter| charter.fields);
        let (Some(own), Some(view_charter)) = (own, registry.charter(view, NEVER)) else {
            continue;
        };
        // A pattern without expectations may be there for others to build on.
        if document.subject.contains('*') && own.expectations.is_none() {
            continue;
        }
        let missing: Vec<&str> = FIELDS
            .iter()
            .filter(|(_, is_set)| is_set(&view_charter.fields) && !is_set(&own))
            .map(|(name, _)| *name)
            .collect();
        if !missing.is_empty() {
            let message =
                format!("{view} has a {}, which its features do not get", missing.join(", a "));
            let hint = "write it here, or into a pattern for all of the view";
            found.warning(place, "view", "view_field", message, Some(hint.to_owned()));
        }
    }
}

/// A field by its name, and whether it is set.
type Field = (&'static str, fn(&CharterFields) -> bool);

/// Fields that do not come from a view, and whose absence changes what happens.
const FIELDS: [Field; 5] = [
    ("tier", |fields| fields.tier.is_some()),
    ("policy", |fields| fields.policy.is_some()),
    ("runbook", |fields| fields.runbook.is_some()),
    ("independence", |fields| fields.independence.is_some()),
    ("driver", |fields| fields.driver.is_some()),
];
