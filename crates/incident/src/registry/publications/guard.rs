//! Whether a folder may be published: the same approvals that a proposal
//! needs, and nothing that takes away what guards the charters.
//!
//! - A charter that is in force needs what its gates ask for. Without a gate
//!   its tier counts: two other people for tier 1; else whoever holds a role of
//!   it, or is governance, publishes alone, and anybody else needs one of them.
//! - A policy that loses a gate, an independence rule or a freeze that is not
//!   over needs the approvals that it asked for itself, and so does any other
//!   change of it during its own freeze. Any other change of a policy needs what
//!   a change of those charters of tier 1 would need that follow it: whoever may
//!   turn their pages away may as well take their owner.
//! - What a charter of tier 1 comes to rests on more than itself: on patterns and
//!   views that it inherits from, on the owner of its view, on the group, systems
//!   and domains that it belongs to with their alert budget, and on the edges that
//!   end at it. Whoever changes one of these needs what its own change would need.
//! - People who come into a group or rota of which gates ask need the approvals
//!   of those gates, and another governance that of the one before. Where another
//!   person is reached, when they are away and whether they have left is for
//!   themselves, the lead of a group of theirs, or governance to say.
//!
//! What was never published has nobody yet who could have agreed to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_model::charter::Charter;
use watchkeep_model::directory::Directory;
use watchkeep_model::policy::{Freeze, Independence, Policy, SignOff};
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::time::Timestamp;

use super::Difference;
use super::gate::{self, CHARTER, Case, GROUP_DEPTH_MAX, Requirement, gate_of_tier, people_of};
use super::gate::{is_of_changes, policy_of};
use crate::context::{DEFAULT_POLICY, built_in};
use crate::registry::Registry;
use crate::schedule::typed_user;

mod tier_1;

pub(super) use tier_1::of_charters;
use tier_1::owners_of_places;

/// The approvals that publishing changes needs, by what is in force before.
/// `at` is when it is published.
pub fn requirements(
    registries: [&Registry; 2],
    differences: &[Difference],
    by: &str,
    at: Timestamp,
) -> Vec<Requirement> {
    let mut found = gate::requirements(registries, differences, by, false);
    let [before, after] = registries;
    for difference in differences.iter().filter(|d| d.kind == RevisionKind::Policy) {
        // A policy of that name takes the place of the one that is built in.
        let known = before.policy(&difference.name);
        let built_in = (difference.name == DEFAULT_POLICY).then(built_in);
        let Some(policy) = known.or(built_in) else { continue };
        found.extend(of_policy(before, policy, after.policy(&difference.name), (by, at)));
    }
    found.extend(of_charters(registries, differences, by));
    found.extend(of_persons(before, differences, by));
    found.extend(of_people(registries, differences, by));
    found.extend(of_governance(registries, by));
    found
}

/// What a policy asks for before it loses something that guards its charters.
fn of_policy(
    before: &Registry,
    policy: &Policy,
    after: Option<&Policy>,
    (by, at): (&str, Timestamp),
) -> Vec<Requirement> {
    let after_gates = after.map_or(&[][..], |after| &after.sign_offs);
    let mut gates: Vec<SignOff> = policy.sign_offs.clone();
    gates.retain(|gate| !after_gates.iter().any(|other| is_as_strict(gate, other)));
    let is_lifted = policy.freeze.iter().any(|freeze| {
        freeze.to > at && !after.is_some_and(|after| covers(&after.freeze, freeze, at))
    });
    // While nothing is to change, neither is the ladder, by one person alone.
    let is_frozen = policy.freeze.iter().any(|freeze| freeze.from <= at && at < freeze.to);
    let kept = after.map(|after| &after.independence);
    let loses_rules = policy.independence.iter().any(|(class, rules)| {
        !kept.and_then(|kept| kept.get(class)).is_some_and(|other| has_all(rules, other))
    });
    let is_guarded = is_lifted || loses_rules || is_frozen;
    if is_guarded {
        gates.extend(policy.sign_offs.iter().filter(|gate| is_of_changes(gate)).cloned());
    }
    let is_lifted = is_guarded || !gates.is_empty();
    let charters = before.subjects().filter_map(|subject| {
        let guarding = policy_of(before, subject);
        let guarding = guarding.map_or(DEFAULT_POLICY, |guarding| guarding.name.as_str());
        (guarding == policy.name).then(|| before.charter(subject, Timestamp::MAX))?
    });
    let mut charters: Vec<Arc<Charter>> = charters.collect();
    if !is_lifted {
        charters.retain(|charter| charter.fields.tier == Some(1));
        let Some(first) = charters.first() else { return Vec::new() };
        gates = gates_of(before, first);
        gates.retain(|gate| gate.gate == CHARTER);
    }
    if gates.is_empty() {
        gates.extend(charters.iter().map(|charter| gate_of_tier(charter.fields.tier)));
        gates.sort_by_key(|gate| std::cmp::Reverse(gate.minimum));
        gates.truncate(1);
    }
    gates.dedup();
    let subject = format!("policy:{}", policy.name);
    let charters: Vec<&Charter> = charters.iter().map(AsRef::as_ref).collect();
    gates.iter().filter_map(|gate| of_several(&subject, gate, &charters, (before, by))).collect()
}

/// What is known of another person: where to reach them, when they are away and
/// whether they have left. They themselves, the lead of a group that they are
/// in, and governance change it alone; anybody else needs one of these.
fn of_persons(before: &Registry, differences: &[Difference], by: &str) -> Vec<Requirement> {
    let directory = before.directory();
    let governance = directory.governance.as_deref();
    let governance = governance.map(|name| present(directory, name)).unwrap_or_default();
    let by = typed_user(by);
    let mut found = Vec::new();
    for difference in differences.iter().filter(|d| d.kind == RevisionKind::User) {
        if difference.before.is_null() {
            continue;
        }
        let name = difference.name.strip_prefix("user:").unwrap_or(&difference.name);
        let person = typed_user(name);
        let mut eligible = present(directory, &person);
        eligible.extend(governance.iter().cloned());
        for group in directory.groups.values() {
            if let Some(lead) = group.lead.as_deref().filter(|_| group.members.contains(&person)) {
                eligible.extend(present(directory, lead));
            }
        }
        if eligible.is_empty() || eligible.contains(&by) {
            continue;
        }
        found.push(Requirement {
            subject: person.clone(),
            gate: CHARTER.to_owned(),
            minimum: 1,
            roles: vec![person, "lead".to_owned(), "governance".to_owned()],
            eligible,
            excluded: BTreeMap::new(),
        });
    }
    found
}

/// True where a gate is at least as hard to open as another.
fn is_as_strict(gate: &SignOff, other: &SignOff) -> bool {
    let severities = other.severities.is_empty()
        || (!gate.severities.is_empty()
            && gate.severities.iter().all(|severity| other.severities.contains(severity)));
    gate.gate == other.gate
        && severities
        && other.minimum.max(1) >= gate.minimum.max(1)
        && other.roles.iter().all(|role| gate.roles.contains(role))
        && gate.distinct_from.iter().all(|role| other.distinct_from.contains(role))
}

/// True where freezes leave nothing free of what is still to come of one.
fn covers(freezes: &[Freeze], freeze: &Freeze, now: Timestamp) -> bool {
    let from = freeze.from.max(now);
    freezes.iter().any(|other| other.from <= from && other.to >= freeze.to)
}

fn has_all(rules: &Independence, other: &Independence) -> bool {
    let within = |some: &[String], all: &[String]| some.iter().all(|role| all.contains(role));
    within(&rules.verifier_not_in_team_of, &other.verifier_not_in_team_of)
        && within(&rules.approver_not_in_team_of, &other.approver_not_in_team_of)
        && within(&rules.owner_not_in_team_of, &other.owner_not_in_team_of)
}

/// One requirement for what guards several charters: whoever may approve a
/// change of one of them may approve it.
fn of_several(
    subject: &str,
    gate: &SignOff,
    charters: &[&Charter],
    (before, by): (&Registry, &str),
) -> Option<Requirement> {
    let mut all: Option<Requirement> = None;
    for charter in charters {
        let policy = policy_of(before, &charter.subject);
        let case = Case { charter, policy, directory: before.directory(), proposer: by };
        let one = case.requirement(gate);
        match &mut all {
            Some(all) => {
                all.eligible.extend(one.eligible);
                all.excluded.extend(one.excluded);
            }
            None => all = Some(Requirement { subject: subject.to_owned(), ..one }),
        }
    }
    if let Some(Requirement { eligible, excluded, .. }) = &mut all {
        excluded.retain(|person, _| !eligible.contains(person));
    }
    all
}

/// Approvals for people who would come to hold a role that a gate asks for.
fn of_people(registries: [&Registry; 2], differences: &[Difference], by: &str) -> Vec<Requirement> {
    const PEOPLE: [RevisionKind; 3] =
        [RevisionKind::User, RevisionKind::Group, RevisionKind::Schedule];
    if !differences.iter().any(|difference| PEOPLE.contains(&difference.kind)) {
        return Vec::new();
    }
    let [before, after] = registries;
    let charters: Vec<Arc<Charter>> =
        before.subjects().filter_map(|subject| before.charter(subject, Timestamp::MAX)).collect();
    // Of each holder and gate the charters that it guards.
    let mut guarded: BTreeMap<&str, Vec<(SignOff, Vec<&Charter>)>> = BTreeMap::new();
    for charter in &charters {
        for gate in gates_of(before, charter) {
            let holders = gate.roles.iter().filter_map(|role| charter.fields.owners.get(role));
            let mut holders: BTreeSet<&str> = holders.collect();
            if charter.fields.tier == Some(1) && gate.gate == CHARTER {
                holders.extend(owners_of_places(charter, before.directory()));
            }
            for holder in holders {
                let gates = guarded.entry(holder).or_default();
                match gates.iter_mut().find(|(known, _)| *known == gate) {
                    Some((_, charters)) => charters.push(charter),
                    None => gates.push((gate.clone(), vec![charter])),
                }
            }
        }
    }
    let is_joined = |holder: &str| {
        let known = present(before.directory(), holder);
        !present(after.directory(), holder).is_subset(&known)
    };
    let joined = guarded.into_iter().filter(|(holder, _)| is_joined(holder));
    let mut found = Vec::new();
    for (holder, gates) in joined {
        let gates = gates.iter();
        found.extend(
            gates.filter_map(|(gate, charters)| of_several(holder, gate, charters, (before, by))),
        );
    }
    found
}

/// The gates that changes of a charter go through: those of its policy, else
/// that of tier 1.
fn gates_of(registry: &Registry, charter: &Charter) -> Vec<SignOff> {
    let policy = policy_of(registry, &charter.subject);
    let gates = policy.map_or(&[][..], |policy| &policy.sign_offs).iter();
    let mut gates: Vec<SignOff> = gates.filter(|gate| is_of_changes(gate)).cloned().collect();
    if !gates.iter().any(|gate| gate.gate == CHARTER) && charter.fields.tier == Some(1) {
        gates.push(gate_of_tier(charter.fields.tier));
    }
    gates
}

/// Everybody behind a typed name who has not left.
fn present(directory: &Directory, name: &str) -> BTreeSet<String> {
    let mut people = BTreeSet::new();
    people_of(directory, name, GROUP_DEPTH_MAX, &mut people);
    people.retain(|person| directory.user(person).is_some_and(|user| user.active));
    people
}

/// Another governance needs somebody of the one before.
fn of_governance([before, after]: [&Registry; 2], by: &str) -> Option<Requirement> {
    let governance = before.directory().governance.as_deref()?;
    let eligible = present(before.directory(), governance);
    let is_same = after.directory().governance.as_deref() == Some(governance);
    if is_same || eligible.is_empty() || eligible.contains(&typed_user(by)) {
        return None;
    }
    Some(Requirement {
        subject: "governance".to_owned(),
        gate: CHARTER.to_owned(),
        minimum: 1,
        roles: vec![governance.to_owned()],
        eligible,
        excluded: BTreeMap::new(),
    })
}
