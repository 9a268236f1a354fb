//! What an exercise shows to be missing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchkeep_model::charter::{Charter, Owners, Severity};
use watchkeep_model::incident::data::Opened;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::policy::{NotifyTarget, Policy, SignOff};
use watchkeep_model::time::Timestamp;

use super::Scenario;
use super::open::left_open;
use crate::context::{Context, default_policy};
use crate::decide::gates::share_a_team;
use crate::decide::{ON_EXHAUSTED, includes};
use crate::report::is_person;
use crate::schedule::{Presence, answering, typed_user, unavailable};
use crate::state::Incident;
use crate::words::counted;

/// What kind of gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// No incident opened at all.
    NothingOpened,
    /// Nobody acknowledged in time.
    MissedAcknowledgement,
    /// Nobody remediated in time.
    MissedRemediation,
    /// Nobody decided in time.
    MissedDecision,
    /// An acknowledgement was not followed by a remediation.
    AcknowledgementExpired,
    /// A step had nobody to notify.
    EmptyStep,
    /// Somebody whom a step names could not be notified.
    Skipped,
    /// Somebody is named who cannot be reached: no contact, away, gone.
    Unreachable,
    /// A gate that not enough people can sign.
    GateNobodyCanSign,
    /// Somebody did what a rule forbids.
    RefusedCommand,
    /// The steps ran out.
    Exhausted,
    /// It is open at the end, only a person can take it on, and nobody is asked.
    LeftOpen,
    /// No person did anything.
    NoHuman,
}

impl GapKind {
    /// The name used in JSON.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => format!("{self:?}"),
        }
    }
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// What kind.
    pub gap: GapKind,
    /// When it showed, on the clock of the exercise.
    pub at: Timestamp,
    /// The step, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// In words, with who.
    pub what: String,
}

/// Every gap, in order of time; what the scenario does not move comes first.
pub(super) fn gaps(
    facts: &[Fact],
    incidents: &[&Incident],
    scenario: &Scenario,
    context: &dyn Context,
) -> Vec<Gap> {
    let mut found = left_open(incidents, scenario.ends, context);
    let mut opened_any = false;
    for fact in facts {
        if let FactData::Opened(opened) = &fact.data {
            opened_any = true;
            standing(fact, opened, facts, context, &mut found);
        }
    }
    if !opened_any {
        let what = "no incident opened: is the subject in production, and does the breach last for group_wait?";
        push(&mut found, GapKind::NothingOpened, scenario.ends, None, what);
    }
    let mut told: Vec<(String, &str)> = Vec::new();
    for (place, fact) in facts.iter().enumerate() {
        moving(fact, &facts[place + 1..], &mut told, &mut found);
    }
    unaddressed(facts, &mut found);
    if opened_any && !facts.iter().any(|fact| is_person(&fact.actor)) {
        push(&mut found, GapKind::NoHuman, scenario.ends, None, "nobody did anything");
    }
    found.sort_by_key(|gap| gap.at);
    found
}

fn push(
    found: &mut Vec<Gap>,
    gap: GapKind,
    at: Timestamp,
    step: Option<&str>,
    what: impl Into<String>,
) {
    found.push(Gap { gap, at, step: step.map(str::to_owned), what: what.into() });
}

/// Tools whose sinks know where a message goes; others need an address.
const OWN_ADDRESS: [&str; 5] = ["alertmanager", "pagerduty", "slack", "topic", "webhook"];

/// People whom a page could not be brought to: by every channel of the round it
/// would go to no address, as the step has none and they have no such contact.
fn unaddressed(facts: &[Fact], found: &mut Vec<Gap>) {
    let mut rounds: BTreeMap<_, (&str, Vec<&str>)> = BTreeMap::new();
    for fact in facts {
        if let FactData::Notified(page) = &fact.data {
            let round = (fact.occurred_at, &fact.incident_id, &page.target);
            let (_, channels) = rounds.entry(round).or_insert((&page.step, Vec::new()));
            channels.push(&page.channel);
        }
    }
    let has_address = |channel: &&str| channel.contains(':') || OWN_ADDRESS.contains(channel);
    let mut known = BTreeSet::new();
    for ((at, _, who), (step, channels)) in rounds {
        if !channels.iter().any(has_address) && known.insert((who, step)) {
            let channels = channels.join(", ");
            let what = format!(
                "{who} is paged by {channels} without an address: the step has none, and they have \
                 no such contact"
            );
            push(found, GapKind::Unreachable, at, Some(step), what);
        }
    }
}

/// Gaps that the course of the incident shows. `told` are those notified at
/// the present step, with the incident; `later` are the facts that follow.
fn moving<'f>(
    fact: &'f Fact,
    later: &[Fact],
    told: &mut Vec<(String, &'f str)>,
    found: &mut Vec<Gap>,
) {
    let (id, at) = (fact.incident_id.as_str(), fact.occurred_at);
    match &fact.data {
        FactData::Notified(notified) => {
            if notified.channel == "topic" {
                let what = format!("{} has no contact and the step no channel", notified.target);
                push(found, GapKind::Unreachable, at, Some(&notified.step), what);
            }
            told.push((notified.target.clone(), id));
        }
        FactData::NotificationSkipped(skipped) => {
            let who = skipped.target.as_deref().or(skipped.role.as_deref()).unwrap_or("nobody");
            let what = format!("{who}: {}", skipped.reason);
            push(found, GapKind::Skipped, at, Some(&skipped.step), what);
        }
        FactData::Escalated(escalated) => {
            missed(&escalated.trigger, &escalated.from_step, at, id, told, found);
            told.retain(|(_, of)| *of != id);
        }
        FactData::Exhausted(exhausted) => {
            missed(&exhausted.trigger, &exhausted.from_step, at, id, told, found);
            told.retain(|(_, of)| *of != id);
            let mut what = format!(
                "after {} nobody was left to ask",
                counted(exhausted.loops.into(), "climb")
            );
            let tells = |other: &Fact| match &other.data {
                FactData::Notified(page) => page.step == ON_EXHAUSTED,
                FactData::NotificationSkipped(skipped) => skipped.step == ON_EXHAUSTED,
                _ => false,
            };
            if !later.iter().any(|other| other.incident_id == id && tells(other)) {
                what += ", and `on_exhausted` names nobody who is told";
            }
            push(found, GapKind::Exhausted, at, Some(&exhausted.from_step), what);
        }
        FactData::AcknowledgementExpired(expired) => {
            let what = format!("{} acknowledged and did nothing in time", expired.by);
            push(found, GapKind::AcknowledgementExpired, at, None, what);
        }
        FactData::CommandRejected(rejected) => {
            let what = format!("{} may not {}: {}", fact.actor, rejected.command, rejected.rule);
            push(found, GapKind::RefusedCommand, at, None, what);
        }
        _ => {}
    }
}

fn missed(
    trigger: &str,
    step: &str,
    at: Timestamp,
    id: &str,
    told: &[(String, &str)],
    found: &mut Vec<Gap>,
) {
    let gap = match trigger {
        "not_acknowledged" => GapKind::MissedAcknowledgement,
        "not_remediated" => GapKind::MissedRemediation,
        "not_decided" => GapKind::MissedDecision,
        "nobody_to_notify" => {
            return push(found, GapKind::EmptyStep, at, Some(step), "nobody could be notified");
        }
        _ => return,
    };
    let mut people: Vec<&str> =
        told.iter().filter(|(_, of)| *of == id).map(|(who, _)| who.as_str()).collect();
    people.dedup();
    let who = if people.is_empty() { "nobody was asked".to_owned() } else { people.join(", ") };
    push(found, gap, at, Some(step), format!("asked in vain: {who}"));
}

/// Gaps of people and gates that stand whatever happens.
fn standing(
    fact: &Fact,
    opened: &Opened,
    facts: &[Fact],
    context: &dyn Context,
    found: &mut Vec<Gap>,
) {
    let at = fact.occurred_at;
    let charter = opened.charter.as_ref();
    let charter = charter.and_then(|of| context.charter(&of.subject, of.in_force_at));
    let built_in = default_policy();
    let policy = context.policy(&opened.policy.name).unwrap_or(&built_in);
    let own = || facts.iter().filter(|other| other.incident_id == fact.incident_id);
    let severity = own().fold(opened.severity, |worst, other| match &other.data {
        FactData::SeverityChanged(changed) => worst.max(changed.to),
        _ => worst,
    });
    let remediators = own().filter(|other| matches!(other.data, FactData::Remediated(_)));
    let remediators = remediators.map(|other| other.actor.as_str()).collect();
    if let Some(charter) = &charter {
        for role in asked_roles(policy) {
            reach(role, charter, context, at, found);
        }
        let signers = Signers { policy, charter, opened, remediators, context, at };
        let gates = policy.sign_offs.iter();
        for gate in gates.filter(|g| g.severities.is_empty() || g.severities.contains(&severity)) {
            signers.check(gate, severity, found);
        }
    }
}

/// Roles that the ladder names, and the backup, on whom the owner chain rests.
fn asked_roles(policy: &Policy) -> BTreeSet<&str> {
    let named = policy.steps.iter().flat_map(|step| &step.notify);
    let roles = named.filter_map(|notify| match &notify.target {
        NotifyTarget::Role(role) => Some(role.as_str()),
        _ => None,
    });
    roles.chain(["primary", "backup"]).collect()
}

fn reach(
    role: &str,
    charter: &Charter,
    context: &dyn Context,
    at: Timestamp,
    found: &mut Vec<Gap>,
) {
    let directory = context.directory();
    let unreachable = |found: &mut Vec<Gap>, what: String| {
        push(found, GapKind::Unreachable, at, None, format!("{role}: {what}"));
    };
    let Some(holder) = charter.fields.owners.get(role) else {
        // Some policies ask roles that no charter of theirs has to fill.
        if Owners::ROLES.contains(&role) {
            unreachable(found, format!("{} names nobody", charter.subject));
        }
        return;
    };
    match answering(directory, holder, at) {
        Presence::Nobody(why) => unreachable(found, format!("{holder}: {why}")),
        Presence::Present(user) => {
            if directory.user(&user).is_none_or(|user| user.contacts.is_empty()) {
                unreachable(found, format!("{user} has no contact"));
            }
        }
    }
}

/// Who stands in place of a role.
const REMEDIATOR: &str = "remediator";

/// Gates of changes of charters.
const OF_CHARTERS: [&str; 2] = ["charter", "threshold_change"];

/// Who may sign in this exercise. A gate is of use only while enough people
/// can sign it besides those from whom a signer has to differ, and those whom
/// the charter's independence class keeps apart.
struct Signers<'a> {
    policy: &'a Policy,
    charter: &'a Charter,
    opened: &'a Opened,
    /// Everybody who remediated.
    remediators: BTreeSet<&'a str>,
    context: &'a dyn Context,
    at: Timestamp,
}

impl Signers<'_> {
    fn check(&self, gate: &SignOff, severity: Severity, found: &mut Vec<Gap>) {
        let mut able: BTreeSet<String> = BTreeSet::new();
        for role in &gate.roles {
            if role == "primary" {
                able.extend(self.opened.owner.clone());
            }
            let Some(holder) = self.charter.fields.owners.get(role) else { continue };
            able.extend(people(self.context, holder, self.at));
        }
        // Who remediated may sign for charters, which is another matter.
        let of_incident = !OF_CHARTERS.contains(&gate.gate.as_str());
        let others = || gate.distinct_from.iter().filter(|who| of_incident || *who != REMEDIATOR);
        able.retain(|user| !others().any(|who| self.is(who, user)) && !self.is_kept_apart(user));
        let needed = gate.minimum.max(1) as usize;
        if able.len() < needed {
            let (roles, name) = (gate.roles.join(", "), &gate.gate);
            let what = format!(
                "the gate {name} ({}) needs {needed} of {roles}, {} can sign",
                severity.name(),
                able.len()
            );
            push(found, GapKind::GateNobodyCanSign, self.at, None, what);
        }
    }

    fn is(&self, who: &str, user: &str) -> bool {
        if who == REMEDIATOR {
            return self.remediators.contains(user);
        }
        let owns = who == "primary" && self.opened.owner.as_deref() == Some(user);
        let holder = self.charter.fields.owners.get(who);
        owns || holder.is_some_and(|holder| includes(self.context, holder, user, self.at))
    }

    fn is_kept_apart(&self, user: &str) -> bool {
        let class = self.charter.fields.independence.as_ref();
        let rules = class.and_then(|class| self.policy.independence.get(class));
        let roles = rules.map_or(&[][..], |rules| rules.approver_not_in_team_of.as_slice());
        let is_near = |of: &str| share_a_team(self.context, of, user, self.at);
        roles.iter().any(|role| match role.as_str() {
            REMEDIATOR => self.remediators.iter().any(|by| is_near(by)),
            role => self.charter.fields.owners.get(role).is_some_and(is_near),
        })
    }
}

/// Everybody present behind the name of a person, a group or a rota.
fn people(context: &dyn Context, name: &str, at: Timestamp) -> Vec<String> {
    let directory = context.directory();
    let names: Vec<String> =
        if let Some(group) = directory.group(name).filter(|_| name.starts_with("group:")) {
            group.lead.iter().chain(&group.members).cloned().collect()
        } else if name.starts_with("schedule:") {
            match answering(directory, name, at) {
                Presence::Present(user) => vec![user],
                Presence::Nobody(_) => Vec::new(),
            }
        } else {
            vec![name.to_owned()]
        };
    let present = names.into_iter().filter(|name| unavailable(directory, name, at).is_none());
    present.map(|name| typed_user(&name)).collect()
}
