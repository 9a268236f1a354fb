//! Whether a change of charters may be made: freezes, and who has to agree.
//!
//! The policy of a charter says so, in its `sign_offs`: the gate `charter` is
//! for every change of it, `threshold_change` for those of its expectations. A
//! proposal of a charter whose policy has neither gate needs one approval by
//! somebody who holds a role of it, and two where its tier is 1. Nobody
//! approves what they propose themselves.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{Charter, Owners};
use watchkeep_model::directory::Directory;
use watchkeep_model::policy::{Policy, SignOff};
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::time::Timestamp;

use super::Difference;
use crate::context::DEFAULT_POLICY;
use crate::registry::Registry;
use crate::schedule::typed_user;

/// The gate for every change of a charter.
pub const CHARTER: &str = "charter";

/// The gate for changes of expectations.
pub const THRESHOLD_CHANGE: &str = "threshold_change";

/// In `distinct_from`: who asked for the change.
pub const PROPOSER: &str = "proposer";

/// Groups inside groups that are followed.
const GROUP_DEPTH_MAX: u32 = 4;

/// Approvals that a change of one charter needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The charter's subject or pattern.
    pub subject: String,
    /// The gate.
    pub gate: String,
    /// Different people needed.
    pub minimum: usize,
    /// Roles whose holders may approve.
    pub roles: Vec<String>,
    /// People who may approve, `user:…`.
    pub eligible: BTreeSet<String>,
    /// People who hold a role and may not approve all the same, and why.
    pub excluded: BTreeMap<String, String>,
}

impl Requirement {
    /// Why somebody's approval does not count; `None` where it does.
    pub fn refusal(&self, by: &str) -> Option<String> {
        let by = typed_user(by);
        if let Some(why) = self.excluded.get(&by) {
            return Some(format!("{by} may not approve {}: {why}", self.subject));
        }
        if self.eligible.contains(&by) {
            return None;
        }
        let roles = self.roles.join(", ");
        Some(format!(
            "{by} may not approve {}: the gate {} is for {roles}",
            self.subject, self.gate
        ))
    }

    /// How many approvals are missing, each person counted once.
    pub fn missing(&self, approvers: &BTreeSet<&str>) -> usize {
        let count = approvers.iter().filter(|by| self.eligible.contains(&typed_user(by))).count();
        self.minimum.saturating_sub(count)
    }
}

/// Why nothing may be changed at an instant: the freeze of a policy that
/// concerns one of the charters, before or after the change.
pub fn frozen(
    registries: [&Registry; 2],
    differences: &[Difference],
    at: Timestamp,
) -> Option<String> {
    let charters = differences.iter().filter(|d| d.kind == RevisionKind::Charter);
    for difference in charters {
        for registry in registries {
            let Some(policy) = policy_of(registry, &difference.name) else { continue };
            let Some(freeze) = policy.freeze.iter().find(|f| f.from <= at && at < f.to) else {
                continue;
            };
            let why = freeze.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            return Some(format!(
                "{}: policy {} freezes changes until {}{why}",
                difference.name, policy.name, freeze.to
            ));
        }
    }
    None
}

/// The approvals that changes need, by the charters as they are, and as they
/// shall be where they are new. `is_proposal` asks for some where no gate does.
pub fn requirements(
    registries: [&Registry; 2],
    differences: &[Difference],
    proposer: &str,
    is_proposal: bool,
) -> Vec<Requirement> {
    let mut found = Vec::new();
    for difference in differences.iter().filter(|d| d.kind == RevisionKind::Charter) {
        let [before, after] = registries;
        let is_known = !difference.before.is_null();
        let registry = if is_known { before } else { after };
        let Some(charter) = registry.charter(&difference.name, Timestamp::MAX) else { continue };
        let policy = policy_of(registry, &difference.name);
        let fields = difference.fields();
        let thresholds = fields.iter().any(|change| change.field.starts_with("expectations"));
        let gates = policy.iter().flat_map(|policy| &policy.sign_offs);
        let mut gates: Vec<SignOff> = gates
            .filter(|gate| gate.gate == CHARTER || (thresholds && gate.gate == THRESHOLD_CHANGE))
            .cloned()
            .collect();
        if gates.is_empty() && is_proposal {
            gates.push(gate_of_tier(charter.fields.tier));
        }
        let case = Case { charter: &charter, policy, directory: after.directory(), proposer };
        found.extend(gates.iter().map(|gate| case.requirement(gate)));
    }
    found
}

fn policy_of<'r>(registry: &'r Registry, subject: &str) -> Option<&'r Policy> {
    let charter = registry.charter(subject, Timestamp::MAX)?;
    registry.policy(charter.fields.policy.as_deref().unwrap_or(DEFAULT_POLICY))
}

fn gate_of_tier(tier: Option<u8>) -> SignOff {
    SignOff {
        gate: CHARTER.to_owned(),
        roles: Owners::ROLES.map(str::to_owned).to_vec(),
        minimum: if tier == Some(1) { 2 } else { 1 },
        distinct_from: vec![PROPOSER.to_owned()],
        ..SignOff::default()
    }
}

/// A charter that is to be changed.
struct Case<'a> {
    charter: &'a Charter,
    policy: Option<&'a Policy>,
    directory: &'a Directory,
    proposer: &'a str,
}

impl Case<'_> {
    fn requirement(&self, gate: &SignOff) -> Requirement {
        let mut eligible = BTreeSet::new();
        gate.roles.iter().for_each(|role| eligible.extend(self.holders(role)));
        let mut excluded = BTreeMap::new();
        let mut exclude = |people: BTreeSet<String>, why: String| {
            for person in people {
                excluded.entry(person).or_insert_with(|| why.clone());
            }
        };
        let proposer = BTreeSet::from([typed_user(self.proposer)]);
        exclude(proposer, "nobody approves what they propose".to_owned());
        for role in &gate.distinct_from {
            exclude(self.holders(role), format!("the {role} is not to approve"));
        }
        let class = self.charter.fields.independence.as_deref();
        let rules = class.and_then(|class| self.policy?.independence.get(class));
        for role in rules.map_or(&[][..], |rules| rules.approver_not_in_team_of.as_slice()) {
            let team = self.team_of(role);
            exclude(
                team,
                format!("they are in a team with the {role}, which has to be independent"),
            );
        }
        for (name, _) in self.directory.users.iter().filter(|(_, user)| !user.active) {
            exclude(BTreeSet::from([typed_user(name)]), "they have left".to_owned());
        }
        eligible.retain(|person| !excluded.contains_key(person));
        Requirement {
            subject: self.charter.subject.clone(),
            gate: gate.gate.clone(),
            minimum: gate.minimum.max(1) as usize,
            roles: gate.roles.clone(),
            eligible,
            excluded,
        }
    }

    /// Who holds a role, group and rota by group and rota.
    fn holders(&self, role: &str) -> BTreeSet<String> {
        let mut people = BTreeSet::new();
        if let Some(holder) = self.charter.fields.owners.get(role) {
            people_of(self.directory, holder, GROUP_DEPTH_MAX, &mut people);
        }
        people
    }

    /// Everybody who is in a group with a holder of the role.
    fn team_of(&self, role: &str) -> BTreeSet<String> {
        let holders = self.holders(role);
        let mut team = holders.clone();
        for name in self.directory.groups.keys() {
            let mut people = BTreeSet::new();
            let group = format!("group:{name}");
            people_of(self.directory, &group, GROUP_DEPTH_MAX, &mut people);
            if !people.is_disjoint(&holders) {
                team.extend(people);
            }
        }
        team
    }
}

/// Everybody who may stand behind a typed name.
fn people_of(directory: &Directory, name: &str, depth: u32, people: &mut BTreeSet<String>) {
    if depth == 0 {
        return;
    }
    let mut more = |names: &mut dyn Iterator<Item = &String>| {
        names.for_each(|name| people_of(directory, name, depth - 1, people));
    };
    if name.starts_with("group:") {
        if let Some(group) = directory.group(name) {
            more(&mut group.lead.iter().chain(&group.members));
        }
    } else if name.starts_with("schedule:") {
        if let Some(schedule) = directory.schedule(name) {
            more(&mut schedule.layers.iter().flat_map(|layer| &layer.users));
            more(&mut schedule.overrides.iter().filter_map(|over| over.user.as_ref()));
        }
    } else {
        people.insert(typed_user(name));
    }
}
