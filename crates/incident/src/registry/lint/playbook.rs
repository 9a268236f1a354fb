//! Policies as playbooks: what would happen if somebody followed them.
//!
//! These checks look through a policy at the charters that name it and at the
//! people behind their roles. `policy lint` runs them; a service that starts
//! does not, for a ladder with a loose step is better than no ladder.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_model::charter::{Charter, ExpectationKind, Severity};
use watchkeep_model::directory::Directory;
use watchkeep_model::document::Located;
use watchkeep_model::policy::{NotifyTarget, Policy, Step, Trigger};

use super::super::Registry;
use super::super::index::NEVER;
use super::{Folder, Found};
use crate::context::DEFAULT_POLICY;

mod gates;
mod steps;
mod times;

/// Every rule of `policy lint` with what it means and what to do.
pub const PLAYBOOK_RULES: [(&str, &str); 28] = [
    ("unused_policy", "No charter names this policy, so no incident follows it."),
    (
        "unreachable_step",
        "No kind of breach enters here, no step before it climbs to it, and no failed verification \
         comes back to it. Nobody of it is ever asked.",
    ),
    (
        "no_way_on",
        "Without a deadline that moves the incident on, it stays on this step for good when nobody \
         answers. Give the step `acknowledge_within` and the trigger `not_acknowledged`.",
    ),
    (
        "idle_deadline",
        "`escalate_if` does not list the trigger of this deadline, so that nothing happens when it \
         passes. List the trigger, or take the deadline away.",
    ),
    (
        "instant_trigger",
        "The trigger holds for every incident, so the step is left in the moment it is entered.",
    ),
    (
        "deadline_order",
        "All deadlines count from the step's entry. One that is not later than the acknowledgement's \
         cannot be met by whoever acknowledges in time.",
    ),
    (
        "endless_acknowledgement",
        "An acknowledgement ends after `ack_timeout` and its step is entered anew with new \
         deadlines. Where `remediate_within` is not shorter, somebody who acknowledges again and \
         again keeps the incident on the step for ever: it never climbs.",
    ),
    (
        "forgotten_acknowledgement",
        "Without `ack_timeout` an acknowledgement holds for good, and no later deadline of the step \
         moves the incident on. Whoever acknowledges and then forgets it stops everything: nobody \
         is asked again. Give the policy `ack_timeout`, or the step `remediate_within`.",
    ),
    (
        "empty_step",
        "The step names nobody for incidents of this charter and severity: nobody it names is in \
         the directory, active and holds the role. It is skipped.",
    ),
    (
        "nobody_to_page",
        "No step names anybody for incidents of this charter and severity: they are exhausted as \
         soon as they open.",
    ),
    ("role_of_nobody", "No charter of this policy names a holder of this role."),
    (
        "same_people",
        "The step reaches nobody whom the step before it has not asked already, so that climbing \
         brings no fresh eyes.",
    ),
    (
        "no_address",
        "The channel has no `to`, and the people of the step have no contact for its tool, so that \
         the message has no address.",
    ),
    (
        "unrouted_kind",
        "Charters of this policy watch for this kind, and no step lists it: its breaches enter at the \
         first step, which is for others.",
    ),
    ("repeated_kind", "Another step before lists the kind; breaches of it enter there."),
    (
        "silent_exhaustion",
        "When all steps have run out, `on_exhausted` is the last to be told. It names nobody who is \
         in the directory and active.",
    ),
    (
        "short_repeat",
        "What is exhausted repeats itself once a minute at most, so that no `repeat_interval` floods \
         whoever is last to be told. A shorter one is taken as `1m`: write that, or a longer one.",
    ),
    (
        "never_flaps",
        "An expectation turns at most once a window from good to bad or back, and its last 64 turns \
         are remembered: among `look_back` windows there are never as many `changes`, so nothing \
         that comes and goes is held back. Ask for fewer changes, or look further back.",
    ),
    (
        "unsignable_gate",
        "Fewer people hold the roles of the gate than it needs, after those are left out from whom \
         a signer must differ, so that it never opens.",
    ),
    (
        "deadlocked_gate",
        "The gate must be signed by others than the remediator, and without one of those whom the \
         steps ask to remediate there are too few left to sign.",
    ),
    (
        "idle_gate",
        "Nothing waits for a gate of this name: `resolve`, `rollback`, `charter`, \
         `threshold_change` and the `decisions` of steps are waited for.",
    ),
    (
        "nothing_to_decide",
        "`decide_within` waits for a decision or a signature, and nobody can give one: no step has \
         `decisions`, and there is no gate that is signed meanwhile (`resolve` is signed at the end), \
         or none for this severity. Whoever acknowledges runs out of time whatever they \
         do, unless they remediate. Give the step `decisions`, or take the deadline away.",
    ),
    (
        "nobody_to_verify",
        "`verification.third_party` is nobody: no such user, group or rota is in the directory, or \
         nobody holds the role. Incidents stay remediated for ever, for nobody may verify them.",
    ),
    (
        "verifies_own_repair",
        "`verification.third_party` is one person, whom the steps ask to remediate, and nobody may \
         confirm their own repair. Where they make it, the incident stays remediated for ever.",
    ),
    (
        "unjudged_reference",
        "Windows of `verification.reference` have to be good, too, and nothing judges any: no \
         charter has an expectation of this subject. Incidents stay remediated for ever.",
    ),
    (
        "hours_gap",
        "Deferred incidents wait for working hours, and between these two instants there are none \
         for longer than four days, or none at all.",
    ),
    (
        "stale_dates",
        "Every holiday or freeze of the list is over. List those that come, or take the list away.",
    ),
    (
        "drill_overdue",
        "The policy promises a drill every so often, and the incident log that was given with \
         `--history` has none that is recent enough.",
    ),
];

/// A policy with the charters that name it.
struct Playbook<'a> {
    document: &'a Located<Policy>,
    policy: &'a Policy,
    registry: &'a Registry,
    directory: &'a Directory,
    charters: &'a [Charter],
}

pub(super) fn check(folder: &Folder<'_>, found: &mut Found) {
    let by_policy = charters_by_policy(folder);
    let mut seen: BTreeSet<(&str, u32)> = BTreeSet::new();
    for document in folder.policies {
        let policy = &document.value;
        // The same version twice is a finding of its own.
        if !seen.insert((&policy.name, policy.version)) {
            continue;
        }
        // Of several versions the highest is in force.
        if folder.registry.policy(&policy.name).is_some_and(|best| best.version > policy.version) {
            continue;
        }
        let charters = by_policy.get(&policy.name).map_or(&[][..], Vec::as_slice);
        if charters.is_empty() && policy.name != DEFAULT_POLICY {
            let message = format!("no charter names policy `{}`", policy.name);
            found.warning(document, "name", "unused_policy", message, None);
        }
        let directory = folder.registry.directory();
        let playbook =
            Playbook { document, policy, registry: folder.registry, directory, charters };
        steps::check(&playbook, found);
        gates::check(&playbook, found);
        times::check(&playbook, folder.checks, found);
    }
}

/// One charter for each different set of people and kinds; those that many
/// features share are looked at once.
fn charters_by_policy(folder: &Folder<'_>) -> BTreeMap<String, Vec<Charter>> {
    let index = &folder.registry.index;
    let mut alike = BTreeSet::new();
    let mut all: BTreeMap<String, Vec<Charter>> = BTreeMap::new();
    for (subject, _) in index.exact().chain(index.patterns()) {
        let Some(charter) = folder.registry.of_written(subject, NEVER) else { continue };
        let fields = &charter.fields;
        let policy = fields.policy.clone().unwrap_or_else(|| DEFAULT_POLICY.to_owned());
        let kinds: BTreeSet<_> = kinds_of(&charter).collect();
        let people = watchkeep_model::json::to_line(&fields.owners);
        let watched = !kinds.is_empty() || subject.starts_with("dataset:");
        if watched && alike.insert((policy.clone(), people, kinds, fields.independence.clone())) {
            all.entry(policy).or_default().push(charter);
        }
    }
    all
}

fn kinds_of(charter: &Charter) -> impl Iterator<Item = (ExpectationKind, Severity)> + '_ {
    let expectations = charter.fields.expectations.iter().flatten();
    expectations.map(|expectation| (expectation.rule.kind(), expectation.severity))
}

impl Playbook<'_> {
    /// The severities at which incidents of a charter may open; all where it
    /// has no expectation of its own and is only blamed for others.
    fn severities(charter: &Charter) -> BTreeSet<Severity> {
        let own: BTreeSet<Severity> = kinds_of(charter).map(|(_, severity)| severity).collect();
        if own.is_empty() { BTreeSet::from([Severity::Error]) } else { own }
    }

    /// Everybody active who may ever stand behind a name.
    fn people(&self, name: &str) -> BTreeSet<String> {
        let active = |user: &&String| self.directory.user(user).is_some_and(|user| user.active);
        let names: Vec<&String> = match name.split_once(':') {
            Some(("group", _)) => {
                let group = self.directory.group(name);
                group.into_iter().flat_map(|g| g.lead.iter().chain(&g.members)).collect()
            }
            Some(("schedule", _)) => {
                let schedule = self.directory.schedule(name);
                let layers = schedule.into_iter().flat_map(|s| &s.layers).flat_map(|l| &l.users);
                let overrides = schedule.into_iter().flat_map(|s| &s.overrides);
                layers.chain(overrides.filter_map(|over| over.user.as_ref())).collect()
            }
            _ => {
                let user = name.to_owned();
                return [user]
                    .iter()
                    .filter(active)
                    .map(|user| crate::schedule::typed_user(user))
                    .collect();
            }
        };
        names.into_iter().filter(active).map(|user| crate::schedule::typed_user(user)).collect()
    }

    /// Everybody active who may hold a role of a charter.
    fn holders(&self, charter: &Charter, role: &str) -> BTreeSet<String> {
        charter.fields.owners.get(role).map(|name| self.people(name)).unwrap_or_default()
    }

    /// Everybody whom a step may ask for a charter's incident of a severity.
    fn asked(&self, step: &Step, charter: &Charter, severity: Severity) -> BTreeSet<String> {
        let applies =
            |severities: &Vec<Severity>| severities.is_empty() || severities.contains(&severity);
        let notified = step.notify.iter().filter(|notify| applies(&notify.severities));
        let mut asked = BTreeSet::new();
        for notify in notified {
            match &notify.target {
                // The owner chain goes on behind the primary, to governance at last.
                NotifyTarget::Role(role) if role == "primary" => {
                    let chain = ["primary", "backup"].map(|role| self.holders(charter, role));
                    let before = asked.len();
                    asked.extend(chain.into_iter().flatten());
                    if asked.len() == before {
                        let group = charter.fields.group.as_deref();
                        let last = self.directory.governance.as_deref();
                        let rest = group.into_iter().chain(last);
                        asked.extend(rest.flat_map(|name| self.people(name)));
                    }
                }
                NotifyTarget::Role(role) => asked.extend(self.holders(charter, role)),
                NotifyTarget::User(name)
                | NotifyTarget::Group(name)
                | NotifyTarget::Schedule(name) => asked.extend(self.people(name)),
            }
        }
        asked
    }
}

/// True where the deadline of a trigger moves the step on.
fn moves(step: &Step, trigger: &Trigger) -> bool {
    let has_time = match trigger {
        Trigger::NotAcknowledged => step.acknowledge_within.is_some(),
        Trigger::NotRemediated => step.remediate_within.is_some(),
        Trigger::NotDecided => step.decide_within.is_some(),
        _ => true,
    };
    let is_listed = match trigger {
        Trigger::NotAcknowledged | Trigger::NotRemediated | Trigger::NotDecided => {
            step.escalate_if.is_empty() || step.escalate_if.contains(trigger)
        }
        _ => step.escalate_if.contains(trigger),
    };
    has_time && is_listed
}
