//! Field by field, the most specific document wins.

use serde_json::Value;
use watchkeep_model::charter::{CharterDocument, CharterFields, Owners, Rollback};

/// What documents come to, given from the most specific to the least. Every
/// field is named here, so that a new one cannot be forgotten.
pub(super) fn merge(documents: &[&CharterDocument]) -> CharterFields {
    let fields: Vec<&CharterFields> = documents.iter().map(|document| &document.fields).collect();
    macro_rules! first {
        ($($field:ident).+) => {
            fields.iter().find_map(|fields| fields.$($field).+.clone())
        };
    }
    CharterFields {
        description: first!(description),
        r#type: first!(r#type),
        unit: first!(unit),
        tier: first!(tier),
        lifecycle: first!(lifecycle),
        view: first!(view),
        group: first!(group),
        system: first!(system),
        domain: first!(domain),
        owners: Owners {
            primary: first!(owners.primary),
            backup: first!(owners.backup),
            data_steward: first!(owners.data_steward),
            architect: first!(owners.architect),
            business_owner: first!(owners.business_owner),
            reviewer: first!(owners.reviewer),
            executive: first!(owners.executive),
        },
        subscribers: first!(subscribers),
        consumers: first!(consumers),
        upstream: first!(upstream),
        external_dependencies: first!(external_dependencies),
        business_outcomes: first!(business_outcomes),
        duties: first!(duties),
        limitations: first!(limitations),
        decision_rights: first!(decision_rights),
        independence: first!(independence),
        policy: first!(policy),
        runbook: first!(runbook),
        runbook_reviewed_at: first!(runbook_reviewed_at),
        rollback: Rollback {
            procedure: first!(rollback.procedure),
            within: first!(rollback.within),
            criteria: first!(rollback.criteria),
        },
        review_every: first!(review_every),
        reviewed_at: first!(reviewed_at),
        change_ticket: first!(change_ticket),
        approvals: first!(approvals),
        effective_from: first!(effective_from),
        driver: first!(driver),
        deduplicate: first!(deduplicate),
        expectations: first!(expectations),
    }
}

/// The fields that [`inherit`] fills, as paths.
pub(super) const INHERITED: [&str; 8] = [
    "group",
    "system",
    "domain",
    "owners.data_steward",
    "owners.architect",
    "owners.business_owner",
    "owners.reviewer",
    "owners.executive",
];

/// What a feature that says nothing of its own has from its view: where it
/// belongs and who holds which role. The primary and the backup are not
/// inherited so: the owner chain asks the view, and tells that it did. True
/// where there was something.
pub(super) fn inherit(fields: &mut CharterFields, view: &CharterFields) -> bool {
    let mut is_other = false;
    macro_rules! fill {
        ($($($field:ident).+),+) => {
            $(if fields.$($field).+.is_none() && view.$($field).+.is_some() {
                fields.$($field).+.clone_from(&view.$($field).+);
                is_other = true;
            })+
        };
    }
    fill!(
        group,
        system,
        domain,
        owners.data_steward,
        owners.architect,
        owners.business_owner,
        owners.reviewer,
        owners.executive
    );
    is_other
}

/// The paths of the fields that a document sets, as fine as they are merged.
pub(super) fn set(fields: &CharterFields) -> Vec<String> {
    let mut paths = Vec::new();
    let value = serde_json::to_value(fields).unwrap_or_default();
    for (name, member) in value.as_object().into_iter().flatten() {
        match member {
            Value::Object(members) if name == "owners" || name == "rollback" => {
                let inner = members.iter().filter(|(_, inner)| !inner.is_null());
                paths.extend(inner.map(|(inner, _)| format!("{name}.{inner}")));
            }
            Value::Null => {}
            _ => paths.push(name.clone()),
        }
    }
    paths
}
