//! Field by field, the most specific document wins.

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
