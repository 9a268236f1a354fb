//! The gates: whether enough people may sign them.

use std::collections::BTreeSet;

use watchkeep_model::charter::{Charter, Owners, Severity};
use watchkeep_model::policy::{SignOff, Trigger};
use watchkeep_model::subject::has_type;

use super::super::super::index::NEVER;
use super::super::{Found, did_you_mean};
use super::Playbook;

/// Gates that something waits for.
const GATES: [&str; 4] = ["resolve", "rollback", "charter", "threshold_change"];

/// Who did what stands in place of a role.
const REMEDIATOR: &str = "remediator";

pub(super) fn check(playbook: &Playbook<'_>, found: &mut Found) {
    decisions(playbook, found);
    third_party(playbook, found);
    reference(playbook, found);
    let paths = playbook.document.items("sign_offs");
    for (gate, path) in playbook.policy.sign_offs.iter().zip(&paths) {
        let decisions = || playbook.policy.steps.iter().flat_map(|step| &step.decisions);
        if !GATES.contains(&gate.gate.as_str()) && !decisions().any(|one| *one == gate.gate) {
            let known = GATES.into_iter().chain(decisions().map(String::as_str));
            let hint = did_you_mean(&gate.gate, known);
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

/// Gates that are not signed while an incident waits for a decision: the end
/// is not there yet, or they are about charters.
const NO_DECISION: [&str; 3] = ["resolve", "charter", "threshold_change"];

/// Deadlines for decisions that nobody can take at some severity.
fn decisions(playbook: &Playbook<'_>, found: &mut Found) {
    let policy = playbook.policy;
    if policy.steps.iter().any(|step| !step.decisions.is_empty()) {
        return;
    }
    let mut opens: BTreeSet<Severity> =
        playbook.charters.iter().flat_map(Playbook::severities).collect();
    if opens.is_empty() {
        opens.insert(Severity::default());
    }
    let decides = |severity: &Severity| {
        policy.sign_offs.iter().any(|gate| {
            let applies = gate.severities.is_empty() || gate.severities.contains(severity);
            applies && !NO_DECISION.contains(&gate.gate.as_str())
        })
    };
    if opens.iter().all(decides) {
        return;
    }
    let severities: Vec<&str> =
        opens.iter().filter(|one| !decides(one)).map(|one| one.name()).collect();
    let paths = playbook.document.items("steps");
    for (step, path) in policy.steps.iter().zip(&paths) {
        let moves = step.escalate_if.is_empty() || step.escalate_if.contains(&Trigger::NotDecided);
        if step.decide_within.is_some() && moves {
            let mut message = format!("nobody can decide anything on step {}", step.name);
            if severities.len() < opens.len() {
                message += &format!(" about incidents of severity {}", severities.join(", "));
            }
            let field = format!("{path}.decide_within");
            let hint = Some("say which `decisions` its people take".into());
            found.warning(playbook.document, &field, "nothing_to_decide", message, hint);
        }
    }
}

/// Whether anybody stands behind the third party of the verification.
fn third_party(playbook: &Playbook<'_>, found: &mut Found) {
    let verification = playbook.policy.verification.as_ref();
    let Some(party) = verification.and_then(|one| one.third_party.as_deref()) else { return };
    let is_role = Owners::ROLES.contains(&party);
    let is_known = ["user:", "group:", "schedule:"].iter().any(|kind| party.starts_with(kind));
    let field = "verification.third_party";
    let mut tell = |message: String| {
        found.error(playbook.document, field, "nobody_to_verify", message, None);
    };
    if is_known && playbook.people(party).is_empty() {
        tell(format!("nobody active of the directory is `{party}`"));
    } else if is_role {
        let verified = |charter: &&Charter| {
            let severities = verification.map(|one| &one.severities);
            severities.is_none_or(|all| {
                all.is_empty() || Playbook::severities(charter).iter().any(|s| all.contains(s))
            })
        };
        let mut charters = playbook.charters.iter().filter(verified);
        if let Some(charter) = charters.find(|one| playbook.holders(one, party).is_empty()) {
            return tell(format!("nobody active is {party} of {}", charter.subject));
        }
    }
    if is_known || is_role {
        confirms_own(playbook, party, is_role, found);
    }
}

/// Whether the only one who may confirm a repair is asked to make it.
fn confirms_own(playbook: &Playbook<'_>, party: &str, is_role: bool, found: &mut Found) {
    let policy = playbook.policy;
    let verified = policy.verification.as_ref().map_or(&[][..], |one| one.severities.as_slice());
    for charter in playbook.charters {
        let people =
            if is_role { playbook.holders(charter, party) } else { playbook.people(party) };
        let severities = Playbook::severities(charter);
        let asked = severities
            .iter()
            .filter(|severity| verified.is_empty() || verified.contains(severity))
            .flat_map(|severity| {
                policy.steps.iter().flat_map(|step| playbook.asked(step, charter, *severity))
            });
        let asked: BTreeSet<String> = asked.collect();
        let only = people.first().filter(|_| people.len() == 1);
        if let Some(who) = only.filter(|who| asked.contains(*who)) {
            let message = format!(
                "where {who} remediates {}, nobody is left to verify for {party}",
                charter.subject
            );
            let hint = Some("name a party with more people, or one whom no step asks".into());
            let field = "verification.third_party";
            found.warning(playbook.document, field, "verifies_own_repair", message, hint);
            return;
        }
    }
}

/// Whether anything judges the subject that repairs are compared with.
fn reference(playbook: &Playbook<'_>, found: &mut Found) {
    let verification = playbook.policy.verification.as_ref();
    let Some(subject) = verification.and_then(|one| one.reference.as_deref()) else { return };
    // Without a type it names a baseline, which the log alone knows.
    if !has_type(subject) {
        return;
    }
    let charter = playbook.registry.charter(subject, NEVER);
    if charter.is_none_or(|charter| charter.expectations().is_empty()) {
        let message = format!("no charter has an expectation of `{subject}`");
        let hint = Some("name a subject whose windows are judged".into());
        let field = "verification.reference";
        found.error(playbook.document, field, "unjudged_reference", message, hint);
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
