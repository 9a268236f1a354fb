//! The steps: whether each is reached, left, and asks somebody.

use std::collections::BTreeSet;

use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::policy::{NotifyTarget, Step, Trigger};

use super::super::Found;
use super::{Playbook, kinds_of, moves};
use crate::decide::entry_step;

/// The triggers that a clock pulls.
const BY_CLOCK: [(Trigger, &str); 3] = [
    (Trigger::NotAcknowledged, "acknowledge_within"),
    (Trigger::NotRemediated, "remediate_within"),
    (Trigger::NotDecided, "decide_within"),
];

pub(super) fn check(playbook: &Playbook<'_>, found: &mut Found) {
    let paths = playbook.document.items("steps");
    let steps: Vec<(&Step, &String)> = playbook.policy.steps.iter().zip(&paths).collect();
    reached(playbook, &steps, found);
    for (step, path) in &steps {
        left(playbook, step, path, found);
        addresses(playbook, step, path, found);
    }
    forgotten(playbook, &steps, found);
    kinds(playbook, &steps, found);
    roles(playbook, &steps, found);
    asked(playbook, &steps, found);
}

/// Steps that breaches enter, and those that are climbed to from there.
fn reached(playbook: &Playbook<'_>, steps: &[(&Step, &String)], found: &mut Found) {
    let policy = playbook.policy;
    let mut open: Vec<usize> =
        ExpectationKind::ALL.iter().map(|(kind, _)| entry_step(policy, *kind)).collect();
    let on_failure = policy.verification.as_ref().and_then(|v| v.on_failure.as_ref());
    let named = |name: &String| steps.iter().position(|(step, _)| step.name == *name);
    open.extend(on_failure.and_then(named));
    let decided = steps.iter().enumerate().filter(|(_, (step, _))| !step.decisions.is_empty());
    open.extend(decided.map(|(number, _)| number));
    let mut reached = BTreeSet::new();
    while let Some(number) = open.pop() {
        let Some((step, _)) = steps.get(number) else { continue };
        if reached.insert(number) && is_left(step) {
            open.push(number + 1);
        }
    }
    for (number, (step, path)) in steps.iter().enumerate() {
        if !reached.contains(&number) {
            let message = format!("no incident comes to step `{}`", step.name);
            let hint = Some("give it `kinds`, or move it behind the step that climbs to it".into());
            found.warning(
                playbook.document,
                &format!("{path}.name"),
                "unreachable_step",
                message,
                hint,
            );
        }
    }
}

/// True where something other than a person moves an incident on.
fn is_left(step: &Step) -> bool {
    BY_CLOCK.iter().any(|(trigger, _)| moves(step, trigger))
        || step
            .escalate_if
            .iter()
            .any(|trigger| !BY_CLOCK.iter().any(|(by_clock, _)| by_clock == trigger))
}

fn left(playbook: &Playbook<'_>, step: &Step, path: &str, found: &mut Found) {
    let document = playbook.document;
    if !BY_CLOCK.iter().any(|(trigger, _)| moves(step, trigger)) {
        let message = format!("an incident that nobody answers stays on step `{}`", step.name);
        let hint = Some("add `acknowledge_within` and `escalate_if: [not_acknowledged]`".into());
        found.error(document, &format!("{path}.name"), "no_way_on", message, hint);
    }
    for (trigger, field) in &BY_CLOCK {
        let has_time = document.fields.contains_key(&format!("{path}.{field}"));
        if has_time && !step.escalate_if.is_empty() && !step.escalate_if.contains(trigger) {
            let message = format!("nothing happens when `{field}` passes");
            let hint = Some(format!("add `{}` to `escalate_if`", trigger.name()));
            found.warning(document, &format!("{path}.{field}"), "idle_deadline", message, hint);
        }
    }
    let paths = document.items(&format!("{path}.escalate_if"));
    for (trigger, path) in step.escalate_if.iter().zip(paths) {
        let always = match trigger {
            Trigger::AffectedFeatures(n) => *n <= 1,
            Trigger::Severity(severity) => *severity == Severity::Info,
            Trigger::Recurrence { count, .. } => *count <= 1,
            _ => false,
        };
        if always {
            let message = format!("`{}` holds for every incident", trigger.name());
            found.warning(document, &path, "instant_trigger", message, None);
        }
    }
    let within = [
        ("remediate_within", step.remediate_within, Trigger::NotRemediated),
        ("decide_within", step.decide_within, Trigger::NotDecided),
    ];
    for (field, span, trigger) in within {
        if let (Some(span), Some(first)) = (span, step.acknowledge_within)
            && span <= first
            && moves(step, &Trigger::NotAcknowledged)
            && moves(step, &trigger)
        {
            let message = format!("{span} is not longer than `acknowledge_within: {first}`");
            let hint = Some("both count from the step's entry".into());
            found.warning(document, &format!("{path}.{field}"), "deadline_order", message, hint);
        }
    }
    if let (Some(timeout), Some(span)) = (playbook.policy.ack_timeout, step.remediate_within)
        && moves(step, &Trigger::NotRemediated)
        && timeout <= span
    {
        let message =
            format!("`ack_timeout: {timeout}` enters the step anew before {span} have passed");
        let hint = Some("make `ack_timeout` longer than `remediate_within`".into());
        let field = format!("{path}.remediate_within");
        found.warning(document, &field, "endless_acknowledgement", message, hint);
    }
}

/// The first step that an acknowledgement stops for good.
fn forgotten(playbook: &Playbook<'_>, steps: &[(&Step, &String)], found: &mut Found) {
    let stops = |step: &Step| {
        let later = [Trigger::NotRemediated, Trigger::NotDecided];
        moves(step, &Trigger::NotAcknowledged) && !later.iter().any(|one| moves(step, one))
    };
    let stopped = steps.iter().find(|(step, _)| stops(step));
    let (None, Some((step, path))) = (playbook.policy.ack_timeout, stopped) else { return };
    let message = format!("nobody is asked again once somebody acknowledges on `{}`", step.name);
    let hint = Some("add `ack_timeout` to the policy".into());
    let field = format!("{path}.acknowledge_within");
    found.warning(playbook.document, &field, "forgotten_acknowledgement", message, hint);
}

/// Tools whose pages are for whoever looks at them, and are no person's business.
const FOR_EVERYBODY: [&str; 3] = ["alertmanager", "webhook", "topic"];

/// Channels without an address, where the people have none either.
fn addresses(playbook: &Playbook<'_>, step: &Step, path: &str, found: &mut Found) {
    let people: BTreeSet<String> = playbook
        .charters
        .iter()
        .flat_map(|charter| {
            let severities = Playbook::severities(charter).into_iter();
            severities.flat_map(|severity| playbook.asked(step, charter, severity))
        })
        .collect();
    let paths = playbook.document.items(&format!("{path}.channels"));
    for (channel, path) in step.channels.iter().zip(paths) {
        let lacks = |user: &&String| {
            let user = playbook.directory.user(user);
            user.is_some_and(|user| user.contacts.iter().all(|own| own.tool != channel.tool))
        };
        let without: Vec<&str> = people.iter().filter(lacks).map(String::as_str).collect();
        let needs = channel.to.is_none() && !FOR_EVERYBODY.contains(&channel.tool.as_str());
        if needs && !without.is_empty() {
            let have = if without.len() == 1 { "has" } else { "have" };
            let message = format!("{} {have} no contact for {}", without.join(", "), channel.tool);
            let hint = Some("write `to`, or add the contact to the directory".into());
            found.warning(playbook.document, &path, "no_address", message, hint);
        }
    }
}

fn kinds(playbook: &Playbook<'_>, steps: &[(&Step, &String)], found: &mut Found) {
    let mut listed: Vec<(ExpectationKind, &str)> = Vec::new();
    for (step, path) in steps {
        let paths = playbook.document.items(&format!("{path}.kinds"));
        for (kind, path) in step.kinds.iter().zip(paths) {
            if let Some((_, other)) = listed.iter().find(|(known, _)| known == kind) {
                let message = format!("{} enters at step `{other}`", kind.name());
                found.warning(playbook.document, &path, "repeated_kind", message, None);
            } else {
                listed.push((*kind, &step.name));
            }
        }
    }
    let Some((first, path)) = steps.first() else { return };
    if first.kinds.is_empty() {
        return;
    }
    let watched: BTreeSet<ExpectationKind> = playbook
        .charters
        .iter()
        .flat_map(|charter| kinds_of(charter).map(|(kind, _)| kind))
        .collect();
    for kind in watched.iter().filter(|kind| listed.iter().all(|(known, _)| known != *kind)) {
        let message = format!("no step lists {}, so it enters at `{}`", kind.name(), first.name);
        let field = format!("{path}.kinds");
        found.warning(playbook.document, &field, "unrouted_kind", message, None);
    }
}

fn roles(playbook: &Playbook<'_>, steps: &[(&Step, &String)], found: &mut Found) {
    if playbook.charters.is_empty() {
        return;
    }
    for (step, path) in steps {
        let paths = playbook.document.items(&format!("{path}.notify"));
        for (notify, path) in step.notify.iter().zip(paths) {
            let NotifyTarget::Role(role) = &notify.target else { continue };
            let mut owners = playbook.charters.iter().map(|charter| &charter.fields.owners);
            if role != "primary" && owners.all(|owners| owners.get(role).is_none()) {
                let message = format!("no charter of the policy names its {role}");
                let field = format!("{path}.role");
                found.warning(playbook.document, &field, "role_of_nobody", message, None);
            }
        }
    }
}

/// Whom each step asks, charter by charter and severity by severity. Of what
/// holds for many charters the first is named.
fn asked(playbook: &Playbook<'_>, steps: &[(&Step, &String)], found: &mut Found) {
    let document = playbook.document;
    let mut told = BTreeSet::new();
    for charter in playbook.charters {
        for severity in Playbook::severities(charter) {
            let of = format!("{} of severity {}", charter.subject, severity.name());
            let asked: Vec<BTreeSet<String>> =
                steps.iter().map(|(step, _)| playbook.asked(step, charter, severity)).collect();
            if asked.iter().all(BTreeSet::is_empty) {
                if told.insert(("nobody_to_page", usize::MAX)) {
                    let message = format!("nobody is asked about incidents of {of}");
                    found.error(document, "steps", "nobody_to_page", message, None);
                }
                continue;
            }
            for (number, (step, path)) in steps.iter().enumerate() {
                let field = format!("{path}.notify");
                if asked[number].is_empty() {
                    if told.insert(("empty_step", number)) {
                        let message = format!("step `{}` asks nobody about {of}", step.name);
                        found.warning(document, &field, "empty_step", message, None);
                    }
                    continue;
                }
                let before = number.checked_sub(1).map(|before| &asked[before]);
                if before.is_some_and(|before| asked[number].is_subset(before))
                    && told.insert(("same_people", number))
                {
                    let message = format!("step `{}` asks the same people about {of}", step.name);
                    found.warning(document, &field, "same_people", message, None);
                }
            }
        }
    }
    let named = &playbook.policy.on_exhausted.notify;
    if named.iter().all(|name| playbook.people(name).is_empty()) {
        let message = if named.is_empty() {
            "nobody is told when the steps have run out"
        } else {
            "nobody whom `on_exhausted` names can be told"
        };
        let hint = Some("add `on_exhausted: {notify: [\"group:…\"]}`".into());
        found.warning(document, "on_exhausted", "silent_exhaustion", message, hint);
    }
}
