//! Policies by themselves: steps that are named, and fields that do nothing yet.

use std::collections::BTreeSet;

use watchkeep_model::document::Located;
use watchkeep_model::policy::Policy;

use super::{Folder, Found, did_you_mean};
use crate::context::NOT_IN_FORCE;

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    for document in folder.policies {
        steps(found, document);
        not_in_force(found, document);
    }
}

fn steps(found: &mut Found, document: &Located<Policy>) {
    let policy = &document.value;
    let mut names = BTreeSet::new();
    for (step, path) in policy.steps.iter().zip(document.items("steps")) {
        if !names.insert(step.name.as_str()) {
            let message = format!("the policy has a step `{}` already", step.name);
            found.error(document, &format!("{path}.name"), "duplicate_step", message, None);
        }
    }
    let on_failure = policy.verification.as_ref().and_then(|v| v.on_failure.as_deref());
    if let Some(name) = on_failure
        && !names.contains(name)
    {
        let hint = did_you_mean(name, names.iter().copied());
        let message = format!("the policy has no step `{name}`");
        found.error(document, "verification.on_failure", "unknown_step", message, hint);
    }
}

fn not_in_force(found: &mut Found, document: &Located<Policy>) {
    for path in document.fields.keys() {
        let name = without_indices(path);
        let is_empty = name == "freeze" && document.value.freeze.is_empty();
        if path.ends_with(']') || is_empty || !NOT_IN_FORCE.contains(&name.as_str()) {
            continue;
        }
        let message = format!("`{name}` is read but is not in force yet");
        found.warning(document, path, "not_in_force", message, None);
    }
}

/// `steps[0].channels[1].scope` is `steps.channels.scope`.
fn without_indices(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => name.push(c),
            _ => {}
        }
    }
    name
}
