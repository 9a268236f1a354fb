//! The gates: whether enough people may sign them.

use std::collections::BTreeSet;

use watchkeep_model::charter::Charter;
use watchkeep_model::policy::SignOff;

use super::super::{Found, did_you_mean};
use super::Playbook;

/// Gates that something waits for.
const GATES: [&str; 4] = ["resolve", "rollback", "charter", "threshold_change"];

/// Who did what stands in place of a role.
const REMEDIATOR: &str = "remediator";

pub(super) fn check(playbook: &Playbook<'_>, found: &mut Found) {
    let paths = playbook.document.items("sign_offs");
    for (gate, path) in playbook.policy.sign_offs.iter().zip(&paths) {
        if !GATES.contains(&gate.gate.as_str()) {
            let hint = did_you_mean(&gate.gate, GATES);
            let message = format!("nothing waits for the gate `{}`", gate.gate);
            found.warning(playbook.document, &format!("{path}.gate"), "idle_gate", message, hint);
        }
        // The first charter that has too few people is named.
        for charter in playbook.charters {
            if !gate.severities.is_empty()
                && Playbook::severities(charter).iter().all(|own| !gate.severities.contains(own))
            {
                continue;
            }
            if one(playbook, gate, path, charter, found) {
                break;
            }
        }
    }
}

/// Looks at a gate for one charter; true where something is told.
fn one(
    playbook: &Playbook<'_>,
    gate: &SignOff,
    path: &str,
    charter: &Charter,
    found: &mut Found,
) -> bool {
    let needed = gate.minimum.max(1) as usize;
    let signers = signers(playbook, gate, charter);
    let (count, subject) = (signers.len(), &charter.subject);
    if count < needed {
        let who = gate.roles.join(", ");
        let message =
            format!("for {subject} {count} may sign as {who}, and `{}` needs {needed}", gate.gate);
        found.error(playbook.document, &format!("{path}.roles"), "unsignable_gate", message, None);
        return true;
    }
    let differs = gate.distinct_from.iter().any(|who| who == REMEDIATOR);
    if differs && count == needed && gate.gate == "resolve" {
        let severities = Playbook::severities(charter);
        let severities = severities
            .iter()
            .filter(|severity| gate.severities.is_empty() || gate.severities.contains(severity));
        let asked: BTreeSet<String> = severities
            .flat_map(|severity| {
                let steps = playbook.policy.steps.iter();
                steps.flat_map(|step| playbook.asked(step, charter, *severity))
            })
            .collect();
        if let Some(who) = signers.intersection(&asked).next() {
            let message =
                format!("where {who} remediates {subject}, nobody is left to sign `{}`", gate.gate);
            let hint = Some("name one more role that may sign".into());
            let field = format!("{path}.roles");
            found.warning(playbook.document, &field, "deadlocked_gate", message, hint);
            return true;
        }
    }
    false
}

/// Who may sign: holders of the roles without those from whom a signer must
/// differ and those whom the charter's independence class keeps apart.
fn signers(playbook: &Playbook<'_>, gate: &SignOff, charter: &Charter) -> BTreeSet<String> {
    let mut signers: BTreeSet<String> =
        gate.roles.iter().flat_map(|role| playbook.holders(charter, role)).collect();
    for role in gate.distinct_from.iter().filter(|role| *role != REMEDIATOR) {
        for user in playbook.holders(charter, role) {
            signers.remove(&user);
        }
    }
    let class = charter.fields.independence.as_ref();
    if let Some(rules) = class.and_then(|class| playbook.policy.independence.get(class)) {
        for role in &rules.approver_not_in_team_of {
            let Some(holder) = charter.fields.owners.get(role) else { continue };
            let directory = playbook.directory;
            let teams =
                directory.groups.keys().map(|name| playbook.people(&format!("group:{name}")));
            let holders = playbook.people(holder);
            let apart: BTreeSet<String> = teams
                .filter(|team| !team.is_disjoint(&holders))
                .flatten()
                .chain(holders.clone())
                .collect();
            signers.retain(|user| !apart.contains(user));
        }
    }
    signers
}
