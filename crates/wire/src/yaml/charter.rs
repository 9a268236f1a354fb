//! Documents of kind `charter`.

use watchkeep_model::charter::{
    Approval, CharterDocument, CharterFields, Lifecycle, Owners, Rollback, ValueType,
};

use super::expectation;
use super::node::Node;
use super::walk::{Map, Walk};

const FIELDS: [&str; 33] = [
    "kind",
    "subject",
    "description",
    "type",
    "unit",
    "tier",
    "lifecycle",
    "view",
    "group",
    "system",
    "domain",
    "owners",
    "subscribers",
    "consumers",
    "upstream",
    "external_dependencies",
    "business_outcomes",
    "duties",
    "limitations",
    "decision_rights",
    "independence",
    "policy",
    "runbook",
    "runbook_reviewed_at",
    "rollback",
    "review_every",
    "reviewed_at",
    "change_ticket",
    "approvals",
    "effective_from",
    "driver",
    "deduplicate",
    "expectations",
];

const TYPES: [(&str, ValueType); 4] = [
    ("double", ValueType::Double),
    ("long", ValueType::Long),
    ("boolean", ValueType::Boolean),
    ("string", ValueType::String),
];

const LIFECYCLES: [(&str, Lifecycle); 4] = [
    ("draft", Lifecycle::Draft),
    ("production", Lifecycle::Production),
    ("deprecated", Lifecycle::Deprecated),
    ("retired", Lifecycle::Retired),
];

pub(super) fn read(w: &mut Walk<'_>, node: &Node) -> Option<CharterDocument> {
    let map = w.mapping(node, &FIELDS)?;
    let subject = w.required(map, "subject", Walk::name);
    let value_type = w.field(map, "type", |w, node| w.choice(node, &TYPES));
    let fields = CharterFields {
        description: w.field(map, "description", Walk::text),
        r#type: value_type,
        unit: w.field(map, "unit", Walk::text),
        tier: w
            .field(map, "tier", |w, node| w.small(node, 1..=4))
            .and_then(|tier| u8::try_from(tier).ok()),
        lifecycle: w.field(map, "lifecycle", |w, node| w.choice(node, &LIFECYCLES)),
        view: w.field(map, "view", Walk::name),
        group: w.field(map, "group", Walk::name),
        system: w.field(map, "system", Walk::name),
        domain: w.field(map, "domain", Walk::name),
        owners: w.field(map, "owners", owners).unwrap_or_default(),
        subscribers: w.field(map, "subscribers", Walk::names),
        consumers: w.field(map, "consumers", Walk::names),
        upstream: w.field(map, "upstream", Walk::names),
        external_dependencies: w.field(map, "external_dependencies", Walk::texts),
        business_outcomes: w.field(map, "business_outcomes", Walk::texts),
        duties: w.field(map, "duties", Walk::texts),
        limitations: w.field(map, "limitations", Walk::texts),
        decision_rights: w.field(map, "decision_rights", Walk::texts),
        independence: w.field(map, "independence", Walk::name),
        policy: w.field(map, "policy", Walk::name),
        runbook: w.field(map, "runbook", Walk::text),
        runbook_reviewed_at: w.field(map, "runbook_reviewed_at", Walk::instant),
        rollback: w.field(map, "rollback", rollback).unwrap_or_default(),
        review_every: w.field(map, "review_every", Walk::positive_span),
        reviewed_at: w.field(map, "reviewed_at", Walk::instant),
        change_ticket: w.field(map, "change_ticket", Walk::text),
        approvals: w.field(map, "approvals", |w, node| w.list(node, approval)),
        effective_from: w.field(map, "effective_from", Walk::instant),
        driver: w.field(map, "driver", Walk::text),
        deduplicate: w.field(map, "deduplicate", Walk::positive_span),
        expectations: w.field(map, "expectations", |w, node| {
            w.list(node, |w, node| expectation::read(w, node, value_type))
        }),
    };
    Some(CharterDocument { subject: subject?, fields })
}

fn owners(w: &mut Walk<'_>, node: &Node) -> Option<Owners> {
    let map = w.mapping(node, &Owners::ROLES)?;
    let role = |w: &mut Walk<'_>, map: Map<'_>, name: &str| w.field(map, name, holder);
    Some(Owners {
        primary: role(w, map, "primary"),
        backup: role(w, map, "backup"),
        data_steward: role(w, map, "data_steward"),
        architect: role(w, map, "architect"),
        business_owner: role(w, map, "business_owner"),
        reviewer: role(w, map, "reviewer"),
        executive: role(w, map, "executive"),
    })
}

/// A role has one holder; several people are a group.
fn holder(w: &mut Walk<'_>, node: &Node) -> Option<String> {
    if matches!(node.value, super::node::Value::Sequence(_)) {
        return w.wrong_type(node, "one name", "name one user, or a group of them");
    }
    w.name(node)
}

fn rollback(w: &mut Walk<'_>, node: &Node) -> Option<Rollback> {
    let map = w.mapping(node, &["procedure", "within", "criteria"])?;
    Some(Rollback {
        procedure: w.field(map, "procedure", Walk::text),
        within: w.field(map, "within", Walk::positive_span),
        criteria: w.field(map, "criteria", Walk::names),
    })
}

fn approval(w: &mut Walk<'_>, node: &Node) -> Option<Approval> {
    let map = w.mapping(node, &["by", "at"])?;
    let by = w.required(map, "by", Walk::name);
    let at = w.required(map, "at", Walk::instant);
    Some(Approval { by: by?, at: at? })
}
