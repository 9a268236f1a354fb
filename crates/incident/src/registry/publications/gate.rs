//! Whether a change of charters may be made: freezes, and who has to agree.
//!
//! The policy of a charter says so, in its `sign_offs`: the gate `charter` is
//! for every change of it, `threshold_change` for those of its expectations. A
//! proposal of a charter whose policy has neither gate needs one approval by
//! somebody who holds a role of it, and two where its tier is 1. Nobody
//! approves what they propose themselves. Where nobody holds any of the roles,
//! governance approves; where fewer do than it takes, governance may, too.
//!
//! `threshold_change` is also for what the gate itself rests on: the policy, the
//! independence class and the holders of the gate's roles.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use watchkeep_model::charter::{Charter, CharterDocument, Owners};
use watchkeep_model::directory::Directory;
use watchkeep_model::policy::{Freeze, Policy, SignOff};
use watchkeep_model::revision::RevisionKind;
use watchkeep_model::time::Timestamp;

use super::{Change, Difference};
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
pub(super) const GROUP_DEPTH_MAX: u32 = 4;

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
    /// Why somebody may not `act`, approve or reject; `None` where they may.
    pub fn refusal(&self, by: &str, act: &str) -> Option<String> {
        let by = typed_user(by);
        if let Some(why) = self.excluded.get(&by) {
            return Some(format!("{by} may not {act} {}: {why}", self.subject));
        }
        if self.eligible.contains(&by) {
            return None;
        }
        let roles = self.roles.join(", ");
        Some(format!("{by} may not {act} {}: the gate {} is for {roles}", self.subject, self.gate))
    }

    /// How many approvals are missing, each person counted once.
    pub fn missing(&self, approvers: &BTreeSet<&str>) -> usize {
        let count = approvers.iter().filter(|by| self.eligible.contains(&typed_user(by))).count();
        self.minimum.saturating_sub(count)
    }
}

/// Why nothing may be changed: the freeze of a policy that concerns one of the
/// charters, before or after the change, and holds at `at`, at `effective_from`
/// or at a date of a new document.
pub fn frozen(
    registries: [&Registry; 2],
    differences: &[Difference],
    at: Timestamp,
    effective_from: Option<Timestamp>,
) -> Option<String> {
    frozen_at(registries, differences, Some(at), (at, effective_from))
}

/// The same of what is only proposed at `at`: a freeze that holds now may be
/// over when it is approved, one that holds at its dates never is.
pub(super) fn frozen_later(
    registries: [&Registry; 2],
    differences: &[Difference],
    at: Timestamp,
    effective_from: Option<Timestamp>,
) -> Option<String> {
    frozen_at(registries, differences, None, (at, effective_from))
}

fn frozen_at(
    registries: [&Registry; 2],
    differences: &[Difference],
    acts_at: Option<Timestamp>,
    (now, effective_from): (Timestamp, Option<Timestamp>),
) -> Option<String> {
    let charters = differences.iter().filter(|d| d.kind == RevisionKind::Charter);
    for difference in charters {
        let mut instants: Vec<Timestamp> = acts_at.into_iter().collect();
        // What is dated back acts from now on.
        let dates = effective_from.into_iter().chain(new_dates(difference));
        instants.extend(dates.filter(|date| *date > now));
        for registry in registries {
            let Some(policy) = policy_of(registry, &difference.name) else { continue };
            let holds = |f: &&Freeze| instants.iter().any(|at| f.from <= *at && *at < f.to);
            let Some(freeze) = policy.freeze.iter().find(holds) else { continue };
            let why = freeze.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            return Some(format!(
                "{}: policy {} freezes changes until {}{why}",
                difference.name, policy.name, freeze.to
            ));
        }
    }
    None
}

/// The dates of documents that a difference adds or changes.
fn new_dates(difference: &Difference) -> Vec<Timestamp> {
    let documents =
        |value: &Value| -> Vec<CharterDocument> { Vec::deserialize(value).unwrap_or_default() };
    let before = documents(&difference.before);
    let after = documents(&difference.after).into_iter();
    let added = after.filter(|document| !before.contains(document));
    added.filter_map(|document| document.fields.effective_from).collect()
}

/// The approvals that changes need, by the charters as they are, and as they
/// shall be where they are new. A proposal needs some where no gate asks for
/// them; a publication only as far as the tier and the publisher ask for it.
pub fn requirements(
    registries: [&Registry; 2],
    differences: &[Difference],
    proposer: &str,
    is_proposal: bool,
) -> Vec<Requirement> {
    let mut found = Vec::new();
    for difference in differences.iter().filter(|d| d.kind == RevisionKind::Charter) {
        let [before, after] = registries;
        let governing = before.charter(&difference.name, Timestamp::MAX).filter(|charter| {
            // A new charter under a pattern is the first of its subject, unless
            // it would lead around what guards the pattern's.
            let is_own = !difference.before.is_null();
            let policy = policy_of(before, &difference.name);
            let mut gates = policy.iter().flat_map(|policy| &policy.sign_offs);
            is_own || charter.fields.tier == Some(1) || gates.any(is_of_changes)
        });
        let is_known = governing.is_some();
        if !is_known && !is_proposal {
            continue;
        }
        let registry = if is_known { before } else { after };
        let charter = governing.or_else(|| registry.charter(&difference.name, Timestamp::MAX));
        let Some(charter) = charter else { continue };
        let policy = policy_of(registry, &difference.name);
        let case = Case { charter: &charter, policy, directory: registry.directory(), proposer };
        let fields = difference.fields();
        let gates = policy.iter().flat_map(|policy| &policy.sign_offs);
        let mut gates: Vec<SignOff> =
            gates.filter(|gate| concerns(gate, &fields)).cloned().collect();
        if gates.is_empty() && (is_proposal || !case.may_publish_alone()) {
            gates.push(gate_of_tier(charter.fields.tier));
        }
        found.extend(gates.iter().map(|gate| case.requirement(gate)));
    }
    found
}

/// True of the gates for changes of charters.
pub(super) fn is_of_changes(gate: &SignOff) -> bool {
    gate.gate == CHARTER || gate.gate == THRESHOLD_CHANGE
}

/// True where a gate is for a change of these fields.
fn concerns(gate: &SignOff, fields: &[Change]) -> bool {
    let rests_on = gate.roles.iter().chain(&gate.distinct_from);
    let owners: Vec<String> = rests_on.map(|role| format!("owners.{role}")).collect();
    let mut guarded = ["expectations", "policy", "independence"].to_vec();
    guarded.extend(owners.iter().map(String::as_str));
    gate.gate == CHARTER
        || (gate.gate == THRESHOLD_CHANGE
            && fields.iter().any(|change| guarded.iter().any(|path| touches(change, path))))
}

/// True where a change is one of the field at a path, of something in it or
/// of something around it that has it.
fn touches(change: &Change, path: &str) -> bool {
    // Of several documents each is named by its date: `[2026-01-01T…].tier`.
    let field = match change.field.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest.strip_prefix('.').unwrap_or(rest),
        None => &change.field,
    };
    if let Some(rest) = field.strip_prefix(path) {
        return rest.is_empty() || rest.starts_with(['.', '[']);
    }
    let inner = if field.is_empty() { Some(path) } else { path.strip_prefix(field) };
    let Some(inner) = inner.filter(|inner| field.is_empty() || inner.starts_with('.')) else {
        return false;
    };
    let at = |value: &Value| {
        inner
            .split('.')
            .filter(|key| !key.is_empty())
            .try_fold(value.clone(), |value, key| value.get(key).cloned())
    };
    at(&change.before) != at(&change.after)
}

pub(super) fn policy_of<'r>(registry: &'r Registry, subject: &str) -> Option<&'r Policy> {
    let charter = registry.charter(subject, Timestamp::MAX)?;
    registry.policy(charter.fields.policy.as_deref().unwrap_or(DEFAULT_POLICY))
}

pub(super) fn gate_of_tier(tier: Option<u8>) -> SignOff {
    SignOff {
        gate: CHARTER.to_owned(),
        roles: Owners::ROLES.map(str::to_owned).to_vec(),
        minimum: if tier == Some(1) { 2 } else { 1 },
        distinct_from: vec![PROPOSER.to_owned()],
        ..SignOff::default()
    }
}

/// A charter that is to be changed.
pub(super) struct Case<'a> {
    pub(super) charter: &'a Charter,
    pub(super) policy: Option<&'a Policy>,
    pub(super) directory: &'a Directory,
    pub(super) proposer: &'a str,
}

impl Case<'_> {
    /// Whoever answers for a charter of which no gate is kept publishes it as
    /// they think right, unless it is of tier 1.
    fn may_publish_alone(&self) -> bool {
        let mut people = self.governance();
        Owners::ROLES.iter().for_each(|role| people.extend(self.holders(role)));
        self.charter.fields.tier != Some(1) && people.contains(&typed_user(self.proposer))
    }

    pub(super) fn requirement(&self, gate: &SignOff) -> Requirement {
        let mut eligible = BTreeSet::new();
        gate.roles.iter().for_each(|role| eligible.extend(self.holders(role)));
        if eligible.is_empty() {
            eligible = self.governance();
        }
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
        // Fewer people than it takes, once who proposes it is left out: without
        // governance nobody could ever change the charter.
        if eligible.len() < gate.minimum.max(1) as usize {
            let governance = self.governance().into_iter();
            eligible.extend(governance.filter(|person| !excluded.contains_key(person)));
        }
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

    fn governance(&self) -> BTreeSet<String> {
        let mut people = BTreeSet::new();
        if let Some(governance) = &self.directory.governance {
            people_of(self.directory, governance, GROUP_DEPTH_MAX, &mut people);
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

/// Everybody who may stand behind a user, group or rota, groups in groups included.
pub fn people_behind(directory: &Directory, name: &str) -> BTreeSet<String> {
    let mut people = BTreeSet::new();
    people_of(directory, name, GROUP_DEPTH_MAX, &mut people);
    people
}

/// Everybody who may stand behind a typed name.
pub(super) fn people_of(
    directory: &Directory,
    name: &str,
    depth: u32,
    people: &mut BTreeSet<String>,
) {
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
