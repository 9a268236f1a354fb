//! What a charter means once everything is inherited.

use std::collections::BTreeSet;

use watchkeep_model::charter::{CharterFields, Expectation, Rule};
use watchkeep_model::directory::{Directory, PERSON_TYPES};

use super::super::index::NEVER;
use super::{Folder, Found, did_you_mean, meaning, windows};
// The policy that exists without a document.
use crate::context::DEFAULT_POLICY;

/// Systems or domains in one another that are asked for an owner; cycles end
/// here too, and are a finding of their own.
const PARENTS_MAX: usize = 8;

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let index = &folder.registry.index;
    for number in 0..folder.charters.len() {
        own(folder, found, number);
    }
    for (subject, _) in index.exact() {
        inherited(folder, found, subject, true);
    }
    for (pattern, _) in index.patterns() {
        inherited(folder, found, pattern, false);
    }
}

/// What a document says by itself.
fn own(folder: &Folder<'_>, found: &mut Found, number: usize) {
    let place = &folder.charters[number];
    let Some(expectations) = &folder.registry.index.documents[number].fields.expectations else {
        return;
    };
    meaning::check(place, expectations, found);
    let mut names = BTreeSet::new();
    for (expectation, path) in expectations.iter().zip(place.items("expectations")) {
        let name = &expectation.name;
        if !names.insert(name) {
            let message = format!("the charter has an expectation `{name}` already");
            let hint = Some("give one of the two another name".to_owned());
            found.error(place, &format!("{path}.name"), "duplicate_expectation", message, hint);
        }
        if let Rule::Slo { good, .. } = &expectation.rule
            && good.conditions() > 1
        {
            let message = "which events fail several conditions is not known".to_owned();
            let hint = Some("write one objective for each condition".to_owned());
            found.warning(place, &format!("{path}.good"), "slo_conditions", message, hint);
        }
        windows::check(folder.checks.pane, expectation, &mut |field, rule, message, hint| {
            found.error(place, &format!("{path}.{field}"), rule, message, hint);
        });
    }
}

/// What a subject, or a pattern taken for one, has from all its documents.
fn inherited(folder: &Folder<'_>, found: &mut Found, subject: &str, exact: bool) {
    let index = &folder.registry.index;
    let documents = index.matching(subject, NEVER);
    let Some(&most_specific) = documents.first() else { return };
    // The first document that sets a field, and what it sets.
    fn first<'a, T: ?Sized>(
        folder: &'a Folder<'_>,
        documents: &[usize],
        get: impl Fn(&'a CharterFields) -> Option<&'a T>,
    ) -> Option<(usize, &'a T)> {
        documents.iter().find_map(|&number| {
            get(&folder.registry.index.documents[number].fields).map(|value| (number, value))
        })
    }
    let expectations = first(folder, &documents, |fields| fields.expectations.as_ref());

    // A pattern without expectations may be there for others to build on.
    if (exact || expectations.is_some()) && !is_owned(folder, &documents) {
        let message = format!("nobody is accountable for {subject}");
        let hint = Some("name `owners: {primary: …}`".into());
        found.error(&folder.charters[most_specific], "subject", "no_primary", message, hint);
    }

    let primary = first(folder, &documents, |fields| fields.owners.primary.as_deref());
    let backup = first(folder, &documents, |fields| fields.owners.backup.as_deref());
    if let (Some((_, primary)), Some((number, backup))) = (primary, backup)
        && primary == backup
    {
        let message = format!("{backup} is the primary too");
        let place = &folder.charters[number];
        let hint = Some("name somebody else, or no backup".to_owned());
        found.error(place, "owners.backup", "primary_is_backup", message, hint);
    } else if let (Some((_, primary)), Some((number, backup))) = (primary, backup)
        && let [only] = &behind(folder.registry.directory(), primary)[..]
        && behind(folder.registry.directory(), backup) == [only.clone()]
    {
        let message = format!("there is nobody behind {backup} but {only}, who is the primary");
        let place = &folder.charters[number];
        let hint = Some("name somebody else, or no backup".to_owned());
        found.warning(place, "owners.backup", "primary_is_backup", message, hint);
    }
    if let Some((number, name)) = primary
        && behind(folder.registry.directory(), name).is_empty()
    {
        let message = format!("nobody is behind {name}, so nobody is accountable for {subject}");
        let hint = Some("name people in the directory".to_owned());
        let place = &folder.charters[number];
        found.warning(place, "owners.primary", "no_primary", message, hint);
    }
    if let Some((number, backup)) = backup
        && !is_reachable(folder.registry.directory(), backup)
    {
        let message = format!("{backup} has no contact");
        let hint = Some("give the directory a contact: {tool: email, to: …}".into());
        let place = &folder.charters[number];
        found.error(place, "owners.backup", "backup_without_contact", message, hint);
    }

    if let Some((number, driver)) = first(folder, &documents, |fields| fields.driver.as_deref())
        && !driver.eq_ignore_ascii_case(REGULATORY)
        && let Some(hint) = did_you_mean(&driver.to_lowercase(), [REGULATORY])
    {
        let message = format!("`{driver}` keeps nothing for longer, as `{REGULATORY}` would");
        found.warning(&folder.charters[number], "driver", "unknown_driver", message, Some(hint));
    }

    let tier = first(folder, &documents, |fields| fields.tier.as_ref());
    let procedure = first(folder, &documents, |fields| fields.rollback.procedure.as_ref());
    // So are features of the telemetry that a pattern with expectations is for.
    if let (Some((number, 1)), None) = (tier, procedure)
        && (exact || expectations.is_some())
        && !documents.iter().any(|&n| folder.charters[n].fields.contains_key("rollback.procedure"))
    {
        let message = format!("{subject} is of tier 1 and has no rollback procedure");
        let place = &folder.charters[number];
        let hint = Some("add `rollback: {procedure: …, within: …}`".into());
        found.error(place, "tier", "tier1_rollback", message, hint);
    }

    let criteria = first(folder, &documents, |fields| fields.rollback.criteria.as_ref());
    if let Some((number, criteria)) = criteria
        && (exact || expectations.is_some())
    {
        let known = expectations.map_or(&[][..], |(_, list)| list);
        let all_read = expectations.is_none_or(|(from, list)| is_whole(folder, from, list));
        let place = &folder.charters[number];
        for (name, path) in criteria.iter().zip(place.items("rollback.criteria")) {
            if all_read && !known.iter().any(|expectation| expectation.name == *name) {
                let hint = did_you_mean(name, known.iter().map(|e| e.name.as_str()));
                let message = format!("`{name}` is no expectation of {subject}");
                found.error(place, &path, "rollback_criteria", message, hint);
            }
        }
    }

    let class = first(folder, &documents, |fields| fields.independence.as_deref());
    let policy = first(folder, &documents, |fields| fields.policy.as_deref());
    let of_tier = || {
        let (_, tier) = first(folder, &documents, |fields| fields.tier.as_ref())?;
        folder.registry.policy_of_tier(Some(*tier)).map(|policy| policy.name.as_str())
    };
    let name = policy.map(|(_, name)| name).or_else(of_tier).unwrap_or(DEFAULT_POLICY);
    let Some((number, class)) = class else { return };
    let place = &folder.charters[number];
    match folder.registry.policy(name) {
        Some(policy) if !policy.independence.contains_key(class) => {
            let hint = did_you_mean(class, policy.independence.keys().map(String::as_str))
                .or_else(|| Some("write its rules under `independence` of the policy".to_owned()));
            let message = format!("policy `{}` has no independence class `{class}`", policy.name);
            found.error(place, "independence", "unknown_class", message, hint);
        }
        // The pattern may be there for others, which name a policy.
        None if name == DEFAULT_POLICY && (exact || expectations.is_some()) => {
            let message = format!(
                "{subject} names no policy, and the built-in one has no independence class `{class}`"
            );
            let hint = Some("name a `policy` with the class".to_owned());
            found.warning(place, "independence", "unknown_class", message, hint);
        }
        _ => {}
    }
}

/// The driver that keeps what concerns a feature for longer.
const REGULATORY: &str = "regulatory";

/// False where an expectation of the document could not be read, so that its
/// name may be missing here.
fn is_whole(folder: &Folder<'_>, number: usize, read: &[Expectation]) -> bool {
    let place = &folder.charters[number];
    let mut written = BTreeSet::new();
    for path in place.fields.keys() {
        if let Some(rest) = path.strip_prefix("expectations[") {
            written.extend(rest.split(']').next());
        }
    }
    written.len() == read.len()
}

/// True where the owner chain ends before governance.
fn is_owned(folder: &Folder<'_>, documents: &[usize]) -> bool {
    let index = &folder.registry.index;
    let directory = folder.registry.directory();
    let fields = || documents.iter().map(|&number| &index.documents[number].fields);
    // One that is written and could not be read is a finding already.
    let written = documents
        .iter()
        .any(|&number| folder.charters[number].fields.contains_key("owners.primary"));
    if written || fields().any(|fields| fields.owners.primary.is_some()) {
        return true;
    }
    let view = fields().find_map(|fields| fields.view.as_deref());
    let of_view = view.map(|view| index.matching(view, NEVER)).unwrap_or_default();
    let above = || of_view.iter().map(|&number| &index.documents[number].fields);
    if above().any(|fields| fields.owners.primary.is_some()) {
        return true;
    }
    // Where a feature belongs it has from its view.
    let fields = || fields().chain(above());
    if let Some(group) = fields().find_map(|fields| fields.group.as_deref())
        && directory.group(group).is_none_or(|g| g.lead.is_some() || !g.members.is_empty())
    {
        return true;
    }
    let system = fields().find_map(|fields| fields.system.as_deref());
    let mut domain = fields().find_map(|fields| fields.domain.as_deref());
    let mut next = system;
    for _ in 0..PARENTS_MAX {
        let Some(name) = next else { break };
        // An unknown one is a finding already.
        let Some(system) = directory.systems.get(name) else { return true };
        if system.owner.is_some() {
            return true;
        }
        domain = domain.or(system.domain.as_deref());
        next = system.parent.as_deref();
    }
    let mut next = domain;
    for _ in 0..PARENTS_MAX {
        let Some(name) = next else { break };
        let Some(domain) = directory.domains.get(name) else { return true };
        if domain.owner.is_some() {
            return true;
        }
        next = domain.parent.as_deref();
    }
    false
}

/// Everybody who may stand behind a typed name, each once; who is not known is
/// a finding of its own and counts here.
fn behind(directory: &Directory, name: &str) -> Vec<String> {
    let mut people: Vec<String> = match name.split_once(':') {
        Some(("group", _)) => match directory.group(name) {
            Some(group) => group.lead.iter().chain(&group.members).cloned().collect(),
            None => vec![name.to_owned()],
        },
        Some(("schedule", _)) => match directory.schedule(name) {
            Some(rota) => {
                let others = rota.overrides.iter().filter_map(|other| other.user.as_ref());
                rota.layers.iter().flat_map(|layer| &layer.users).chain(others).cloned().collect()
            }
            None => vec![name.to_owned()],
        },
        _ => vec![name.to_owned()],
    };
    people.sort();
    people.dedup();
    people
}

/// True where somebody behind the name has a contact; names that are not known
/// are findings of their own.
fn is_reachable(directory: &Directory, name: &str) -> bool {
    let has_contact =
        |user: &str| directory.user(user).is_none_or(|user| !user.contacts.is_empty());
    match name.split_once(':') {
        Some(("user", _)) => has_contact(name),
        Some(("group", _)) => directory.group(name).is_none_or(|group| {
            group.lead.iter().chain(&group.members).any(|user| has_contact(user))
        }),
        Some((kind, _)) if PERSON_TYPES.contains(&kind) => {
            directory.schedule(name).is_none_or(|schedule| {
                let others = schedule.overrides.iter().filter_map(|other| other.user.as_ref());
                let mut users = schedule.layers.iter().flat_map(|l| &l.users).chain(others);
                users.any(|user| has_contact(user))
            })
        }
        _ => true,
    }
}
