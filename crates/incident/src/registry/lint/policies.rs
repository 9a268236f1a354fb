//! Policies by themselves: steps that are named.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::document::Located;
use watchkeep_model::policy::Policy;

use super::{Folder, Found, at, did_you_mean};

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    for document in folder.policies {
        steps(found, document);
    }
    tiers(folder, found);
}

/// Of two policies for one tier neither wins.
fn tiers(folder: &Folder<'_>, found: &mut Found) {
    let mut claimed: BTreeMap<u8, &Located<Policy>> = BTreeMap::new();
    let in_force = |document: &&Located<Policy>| {
        folder.registry.policy(&document.value.name) == Some(&document.value)
    };
    for document in folder.policies.iter().filter(in_force) {
        for tier in &document.value.tiers {
            match claimed.get(tier) {
                Some(other) if other.value.name != document.value.name => {
                    let (name, place) = (&other.value.name, at(other, "tiers"));
                    let message = format!("tier {tier} follows policy `{name}` already ({place})");
                    let hint = Some("leave the tier to one of the two".to_owned());
                    found.error(document, "tiers", "ambiguous", message, hint);
                }
                _ => _ = claimed.insert(*tier, document),
            }
        }
    }
}

fn steps(found: &mut Found, document: &Located<Policy>) {
    let policy = &document.value;
    let mut names = BTreeSet::new();
    for (step, path) in policy.steps.iter().zip(document.items("steps")) {
        if !names.insert(step.name.as_str()) {
            let message = format!("the policy has a step `{}` already", step.name);
            let hint = Some("give one of the two another name".to_owned());
            found.error(document, &format!("{path}.name"), "duplicate_step", message, hint);
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
