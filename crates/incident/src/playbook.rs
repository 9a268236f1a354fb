//! A policy as the playbook that it is: in words, and as a diagram.
//!
//! What stands here is what the rules of [`crate::decide`] do, in the order in
//! which people meet it. Nothing is told that is not in force.

use std::fmt::Write as _;

use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::policy::{Channel, Notify, NotifyTarget, Outside, Policy, Step, Trigger};
use watchkeep_model::time::TimeSpan;

use crate::decide::entry_step;
use crate::message::listed_by;
use crate::words::counted;

mod diagram;

pub use diagram::{dot, mermaid};

/// The playbook as Markdown, the diagram in it.
pub fn markdown(policy: &Policy) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# Playbook {}, version {}\n", policy.name, policy.version);
    if !policy.tiers.is_empty() {
        let tiers: Vec<String> = policy.tiers.iter().map(|tier| format!("tier {tier}")).collect();
        let _ =
            writeln!(text, "Charters of {} that name no policy follow it.\n", list(&tiers, "and"));
    }
    entrance(policy, &mut text);
    steps(policy, &mut text);
    end_of_steps(policy, &mut text);
    hours(policy, &mut text);
    answers(policy, &mut text);
    recovery(policy, &mut text);
    noise(policy, &mut text);
    afterwards(policy, &mut text);
    let _ = write!(text, "## Diagram\n\n```mermaid\n{}```\n", mermaid(policy));
    text
}

fn entrance(policy: &Policy, text: &mut String) {
    let (grouping, limits) = (&policy.grouping, &policy.attribution);
    let by: Vec<String> = grouping.by.iter().map(serde_name).collect();
    let _ = writeln!(
        text,
        "## From a breach to an incident\n\n\
         A breach is held for {} so that others can join it. Breaches with the same {} become one \
         incident; one that clears while it is held opens nothing. The root is looked for at most \
         {} edges upstream: the nearest node with evidence of its own, else one of which at least \
         {} watched descendants and {} of all of them breach, else the feature itself. An edge that \
         job runs showed, and not for {} any more, counts no longer.\n",
        grouping.group_wait,
        list(&by, "and"),
        limits.max_depth,
        limits.min_features,
        share(limits.min_coverage),
        limits.edge_max_age
    );
    let _ = writeln!(text, "| kind of breach | enters at |\n|---|---|");
    for (kind, name) in ExpectationKind::ALL {
        if let Some(step) = policy.steps.get(entry_step(policy, kind)) {
            let by_default = policy.steps.iter().all(|step| !step.kinds.contains(&kind));
            let note = if by_default { " (no step lists it)" } else { "" };
            let _ = writeln!(text, "| {name} | {}{note} |", step.name.replace('|', "\\|"));
        }
    }
    text.push('\n');
}

fn steps(policy: &Policy, text: &mut String) {
    let _ = writeln!(text, "## Steps\n");
    for (number, step) in policy.steps.iter().enumerate() {
        let _ = writeln!(text, "### {}. {}\n", number + 1, step.name);
        let _ = writeln!(text, "- Notified: {}.", notified(step));
        let _ = writeln!(text, "- Over: {}.", channels(&step.channels));
        for (what, span, trigger) in deadlines(step) {
            let Some(span) = span else { continue };
            let moves = step.escalate_if.is_empty() || step.escalate_if.contains(&trigger);
            let then = if moves { "else the next step" } else { "nothing follows" };
            let _ = writeln!(text, "- {what} within {span} of the step's entry, {then}.");
        }
        // Where a failure leads is `on_failure`'s word first.
        let has_next = number + 1 < policy.steps.len();
        let climbs = |trigger: &&Trigger| {
            **trigger != Trigger::VerificationFailed || (has_next && on_failure(policy).is_none())
        };
        let others: Vec<String> =
            step.escalate_if.iter().filter(climbs).filter_map(at_once).collect();
        if !others.is_empty() {
            let _ = writeln!(text, "- To the next step at once: {}.", list(&others, "or"));
        }
        if !step.decisions.is_empty() {
            let _ = writeln!(text, "- Decides: {}.", list(&step.decisions, "and"));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "Whoever is absent is passed over, and a step with nobody to notify is left at once; both \
         are on record. An answer at exactly its deadline is in time.\n"
    );
}

fn end_of_steps(policy: &Policy, text: &mut String) {
    let loops = policy.loops.max(1);
    let again = match loops {
        1 => "After the last step".to_owned(),
        n => {
            format!("After the last step it begins again where it entered, {n} times in all; then")
        }
    };
    let told = &policy.on_exhausted.notify;
    let told = match told.is_empty() {
        true => "nobody else is told".to_owned(),
        false => format!(
            "{} is told, again every {} until somebody acknowledges",
            list(told, "and"),
            policy.grouping.repeat_interval
        ),
    };
    let _ = writeln!(
        text,
        "## When nobody answers\n\n{again} the incident is exhausted: it stays open, and {told}.\n"
    );
}

fn hours(policy: &Policy, text: &mut String) {
    let Some(hours) = &policy.hours else { return };
    let _ = writeln!(text, "## Hours\n\nOn the clocks of {}:\n", hours.zone);
    for working in &hours.working {
        let days: Vec<String> = working.days.iter().map(serde_name).collect();
        let _ = writeln!(text, "- {} from {} to {}", days.join(", "), working.from, working.to);
    }
    if !hours.holidays.is_empty() {
        let days: Vec<String> = hours.holidays.iter().map(|day| day.0.to_string()).collect();
        let _ = writeln!(text, "- not on {}", days.join(", "));
    }
    text.push('\n');
    for (what, then) in [
        (Outside::Page, "page outside of these hours too"),
        (Outside::Defer, "wait for the next start of them, and so do the deadlines"),
    ] {
        let severities: Vec<String> =
            [Severity::Critical, Severity::Error, Severity::Warning, Severity::Info]
                .iter()
                .filter(|severity| {
                    hours.outside.get(severity).copied().unwrap_or(Outside::Page) == what
                })
                .map(|severity| severity.name().to_owned())
                .collect();
        if !severities.is_empty() {
            let _ = writeln!(text, "Incidents of severity {} {then}.", list(&severities, "and"));
        }
    }
    text.push('\n');
}

fn answers(policy: &Policy, text: &mut String) {
    let holds = policy.ack_timeout.map_or_else(
        || "It holds for good.".to_owned(),
        |span| format!("It holds for {span} without a remediation; then the step is entered anew."),
    );
    let _ = writeln!(
        text,
        "## Answers\n\nAn acknowledgement stops the climbing for want of one, in this and later \
         steps. {holds} A remediation says what was done and why, and lets all deadlines rest.\n"
    );
    if !policy.sign_offs.is_empty() {
        let _ = writeln!(text, "| gate | for | may be signed by | signatures | by others than |");
        let _ = writeln!(text, "|---|---|---|---|---|");
        for gate in &policy.sign_offs {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                gate.gate,
                severities(&gate.severities),
                gate.roles.join(", "),
                gate.minimum.max(1),
                if gate.distinct_from.is_empty() {
                    "-".into()
                } else {
                    gate.distinct_from.join(", ")
                }
            );
        }
        text.push('\n');
    }
    for (class, rules) in &policy.independence {
        let rules = [
            ("whoever verifies", &rules.verifier_not_in_team_of),
            ("whoever approves", &rules.approver_not_in_team_of),
            ("whoever answers", &rules.owner_not_in_team_of),
        ];
        let told: Vec<String> = rules
            .iter()
            .filter(|(_, of)| !of.is_empty())
            .map(|(who, of)| format!("{who} is in no team with the {}", list(of, "or the")))
            .collect();
        let _ = writeln!(text, "For charters of the class {class}, {}.\n", list(&told, "and"));
    }
}

fn recovery(policy: &Policy, text: &mut String) {
    let _ = writeln!(text, "## Recovery\n");
    let keep = policy.damping.keep_firing_for;
    let after = if keep == TimeSpan::ZERO {
        "When the last breach clears".to_owned()
    } else {
        format!("When the last breach has been clear for {keep}")
    };
    match &policy.verification {
        None => {
            let _ = write!(
                text,
                "{after}, the incident resolves, once the gate `resolve` is signed where there is \
                 one. "
            );
        }
        Some(verification) => {
            let _ = writeln!(
                text,
                "{after}, incidents of {} wait for {} good windows in a row before they count as \
                 verified; others are resolved at once.",
                severities(&verification.severities),
                verification.good_windows.max(1)
            );
            let to = on_failure(policy).map_or_else(
                || {
                    "the next step where the present one climbs by it, else the one at which its \
                    kind enters"
                        .to_owned()
                },
                |step| format!("step {step}"),
            );
            let _ = writeln!(
                text,
                "A bad window after the remediation, or a breach that comes back, fails the \
                 verification: the incident enters {to}."
            );
            if let Some(reference) = &verification.reference {
                let _ = writeln!(text, "It is compared with {reference}.");
            }
            if let Some(party) = &verification.third_party {
                let _ = writeln!(text, "{party} must confirm.");
            }
            text.push_str(
                "Then it resolves, once the gate `resolve` is signed where there is one. ",
            );
        }
    }
    let _ = writeln!(
        text,
        "A critical incident never resolves without a person. A breach of the same group within {} of the resolution reopens it.\n",
        policy.damping.reopen_within
    );
}

/// The step that a failed verification enters, where the policy names one.
fn on_failure(policy: &Policy) -> Option<&str> {
    policy.verification.as_ref().and_then(|verification| verification.on_failure.as_deref())
}

fn noise(policy: &Policy, text: &mut String) {
    let grouping = &policy.grouping;
    let mut lines = vec![
        format!(
            "A message lists at most {}; the rest are counted.",
            counted(listed_by(policy) as u64, "feature")
        ),
        format!(
            "Of breaches that join an open incident a message tells {} after the last one at the \
             earliest.",
            grouping.group_interval
        ),
    ];
    if let Some(flap) = &policy.damping.flap {
        lines.push(format!(
            "{} changes within {} windows are flapping.",
            flap.changes, flap.look_back
        ));
    }
    if let Some(rate) = &policy.limits.per_owner {
        lines.push(format!(
            "One owner gets at most {} in {}; the rest come as a digest.",
            counted(rate.burst.into(), "page"),
            rate.per
        ));
    }
    if let Some(part) = policy.limits.platform_incident_share {
        lines.push(format!(
            "Where more than {} of all features breach, the platform itself is taken to be ill.",
            share(part)
        ));
    }
    let _ = writeln!(text, "## Against noise\n");
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
}

fn afterwards(policy: &Policy, text: &mut String) {
    let mut lines = Vec::new();
    if let Some(review) = &policy.review {
        lines.push(format!(
            "Incidents of {} are reviewed within {} of their resolution.",
            severities(&review.severities),
            review.due_within
        ));
    }
    if let Some(drill) = &policy.drill {
        lines.push(format!("The playbook is tried out every {}.", drill.every));
    }
    for freeze in &policy.freeze {
        let why = freeze.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        lines.push(format!("Nothing is changed from {} to {}{why}.", freeze.from, freeze.to));
    }
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "## Afterwards\n");
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
}

fn deadlines(step: &Step) -> [(&'static str, Option<TimeSpan>, Trigger); 3] {
    [
        ("Acknowledge", step.acknowledge_within, Trigger::NotAcknowledged),
        ("Remediate", step.remediate_within, Trigger::NotRemediated),
        ("Decide", step.decide_within, Trigger::NotDecided),
    ]
}

/// A trigger that needs no clock, in words.
fn at_once(trigger: &Trigger) -> Option<String> {
    Some(match trigger {
        Trigger::NotAcknowledged | Trigger::NotRemediated | Trigger::NotDecided => return None,
        Trigger::VerificationFailed => "when a verification fails".into(),
        Trigger::AffectedFeatures(1) => "when a feature is affected".into(),
        Trigger::AffectedFeatures(n) => format!("when {n} features are affected"),
        Trigger::Recurrence { count, within } => {
            format!("when it is incident {count} of its group within {within}")
        }
        Trigger::Severity(severity) => {
            format!("when the severity is {} or worse", severity.name())
        }
        Trigger::Requested => "when somebody asks for it".into(),
    })
}

fn notified(step: &Step) -> String {
    let one = |notify: &Notify| {
        let who = match &notify.target {
            NotifyTarget::Role(role) => format!("the {}", role.replace('_', " ")),
            NotifyTarget::User(name) | NotifyTarget::Group(name) | NotifyTarget::Schedule(name) => {
                name.clone()
            }
        };
        match notify.severities.is_empty() {
            true => who,
            false => format!("{who} ({} only)", severities(&notify.severities)),
        }
    };
    let all: Vec<String> = step.notify.iter().map(one).collect();
    list(&all, "and")
}

fn channels(channels: &[Channel]) -> String {
    let one = |channel: &Channel| {
        let to = channel.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
        let scope = channel.scope.as_ref().map_or_else(String::new, |of| format!(" ({of})"));
        format!("{}{to}{scope}", channel.tool)
    };
    match channels.is_empty() {
        true => "each person's own contacts".into(),
        false => list(&channels.iter().map(one).collect::<Vec<_>>(), "and"),
    }
}

fn severities(of: &[Severity]) -> String {
    match of.is_empty() {
        true => "every severity".into(),
        false => list(&of.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>(), "and"),
    }
}

fn share(of: f64) -> String {
    format!("{} %", of * 100.0)
}

/// `a, b and c`.
fn list(items: &[String], last: &str) -> String {
    match items {
        [] => "nobody".into(),
        [one] => one.clone(),
        [rest @ .., end] => format!("{} {last} {end}", rest.join(", ")),
    }
}

/// The name that files use.
fn serde_name(value: &impl serde::Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}
