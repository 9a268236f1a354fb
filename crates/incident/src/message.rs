//! Facts to messages: pages, notices, states.

use std::collections::BTreeMap;

use watchkeep_model::charter::{CharterFields, Severity};
use watchkeep_model::directory::Directory;
use watchkeep_model::escalation::{Audience, Escalation, EventAction, Hyperlink};
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::data::{Notified, Resumption};
use watchkeep_model::incident::{Fact, FactData, FactName};
use watchkeep_model::policy::{Channel, Policy};
use watchkeep_model::time::Timestamp;

use crate::decide::World;
use crate::schedule::{Presence, answering};
use crate::state::people::HANDS_OVER;
use crate::state::{Incident, State};

/// Where messages come from, a URI reference as CloudEvents asks for.
const SOURCE: &str = "/watchkeep/incidents";

/// The reason of every message of an exercise.
const DRILL: &str = "drill";

/// The detail that tells what the channel is for.
const SCOPE: &str = "scope";

/// What a page says that hands the incident over.
const IS_THEIRS: &str = "the incident was handed to you, whoever else answers";

/// Breaches whose reasons a message repeats, where the policy lists as many; the
/// others are in the log.
const REASONS_MAX: usize = 10;

/// What an incident was before a fact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    state: State,
    is_muted: bool,
}

impl Before {
    pub(crate) fn of(incident: &Incident) -> Self {
        Self { state: incident.state, is_muted: incident.quiet.muted().is_some() }
    }
}

/// Writes the messages that a fact calls for: a page for `notified`, a notice
/// for everybody newly informed, one status for each change of state, and one
/// where it becomes worse or whoever is asked need not answer for a while.
pub(crate) fn tell(
    incident: &Incident,
    before: Before,
    fact: &Fact,
    world: &World<'_>,
    out: &mut Vec<Escalation>,
) {
    match &fact.data {
        FactData::Notified(data) if data.carried_by.is_none() => {
            let mut page =
                blank(incident, fact, Audience::Page, &data.target, &data.channel, world);
            page.event_action = EventAction::Trigger;
            page.step = Some(data.step.clone());
            page.climb = Some(data.climb);
            page.target = Some(data.target.clone());
            page.role = Some(data.role.clone());
            page.channel = Some(data.channel.clone());
            page.respond_by = data.respond_by;
            if let Some(scope) = scope(data, world) {
                page.custom_details.insert(SCOPE.to_owned(), scope.to_owned());
            }
            let paged = incident.paged.get(&data.target);
            let is_theirs = incident.owner.as_ref() == Some(&data.target);
            if is_theirs && paged.is_some_and(|paged| paged.hands_over) {
                page.custom_details.insert(HANDS_OVER.to_owned(), IS_THEIRS.to_owned());
            }
            because(&mut page, &data.reason);
            out.push(page);
        }
        FactData::BreachAttached(data) => {
            for informed in &data.informed {
                let target = &informed.target;
                let mut notice = blank(incident, fact, Audience::Inform, target, "", world);
                notice.target = Some(target.clone());
                notice.role = Some(informed.role.clone());
                notice.channel = own_contact(target, fact.occurred_at, world);
                because(&mut notice, "breach");
                out.push(notice);
            }
        }
        FactData::ActionRecorded(data) => {
            for informed in &data.informed {
                let target = &informed.target;
                let mut notice = blank(incident, fact, Audience::Inform, target, "", world);
                notice.target = Some(target.clone());
                notice.role = Some(informed.role.clone());
                notice.channel = own_contact(target, fact.occurred_at, world);
                because(&mut notice, &data.action);
                notice.respond_by = data.due_at;
                notice.custom_details.insert(data.action.clone(), data.detail.clone());
                out.push(notice);
            }
        }
        _ => {}
    }
    let reopened = fact.fact == FactName::Reopened;
    if reopened || before.state != incident.state || fact.fact == FactName::VerificationFailed {
        let reason = match fact.fact {
            FactName::AcknowledgementExpired => "acknowledgement_expired",
            FactName::VerificationFailed => "verification_failed",
            FactName::Reopened => "reopened",
            FactName::Merged => "merged",
            _ => incident.state.name(),
        };
        status(incident, fact, reason, world, out);
    } else if let Some(reason) = news(incident, before, fact) {
        status(incident, fact, reason, world, out);
    }
}

/// What else than its state those who follow the incident are told of: that it
/// is worse, and, while somebody was asked and has not answered, that its pages
/// are held back from now on and that they are not any more. Pages that go out
/// with the end of the quiet tell of it themselves.
fn news(incident: &Incident, before: Before, fact: &Fact) -> Option<&'static str> {
    // A page of an earlier step may still be on its way.
    let was_told = incident.update.told_at.is_some() && incident.acknowledged.is_none();
    let asks = incident.is_open() && !incident.resting && (was_told || !incident.paged.is_empty());
    let is_muted = incident.quiet.muted().is_some();
    let ends = |resumes: Option<&Resumption>| {
        asks && before.is_muted && resumes.is_some_and(|resumes| !resumes.pages)
    };
    match &fact.data {
        FactData::SeverityChanged(data) => (data.to > data.from).then_some("severity_changed"),
        FactData::Silenced(_) => (asks && !before.is_muted).then_some("silenced"),
        FactData::Inhibited(_) => (asks && !before.is_muted).then_some("inhibited"),
        FactData::Unsilenced(data) if !is_muted => {
            ends(data.resumes.as_ref()).then_some("unsilenced")
        }
        FactData::Uninhibited(data) if !is_muted => {
            ends(data.resumes.as_ref()).then_some("uninhibited")
        }
        _ => None,
    }
}

/// What the step's channel of a page is for, in the policy's words: whoever
/// reads it there is to know why it came there.
fn scope<'w>(data: &Notified, world: &'w World<'_>) -> Option<&'w str> {
    let step = world.policy.steps.iter().find(|step| step.name == data.step)?;
    let (tool, to) = match data.channel.split_once(':') {
        Some((tool, to)) => (tool, Some(to)),
        None => (data.channel.as_str(), None),
    };
    let is_it = |one: &&Channel| one.tool == tool && (one.to.is_none() || one.to.as_deref() == to);
    step.channels.iter().find(is_it)?.scope.as_deref()
}

/// Tools that ring: a notice asks for nothing.
const RINGING: [&str; 2] = ["pagerduty", "alertmanager"];

/// How a person is told who is not asked: by the first of their own contacts
/// that does not ring. A model or dashboard that is informed has none.
pub(crate) fn own_contact(target: &str, at: Timestamp, world: &World<'_>) -> Option<String> {
    quiet_contact(world.context.directory(), target, at)
}

/// The same of any directory.
pub(crate) fn quiet_contact(directory: &Directory, target: &str, at: Timestamp) -> Option<String> {
    let is_party = ["user:", "group:", "schedule:"].iter().any(|kind| target.starts_with(kind));
    let Presence::Present(user) = answering(directory, target, at) else {
        return None;
    };
    let contacts = &directory.user(&user).filter(|_| is_party)?.contacts;
    let quiet = contacts.iter().find(|own| !RINGING.contains(&own.tool.as_str()))?;
    Some(format!("{}:{}", quiet.tool, quiet.to))
}

/// Writes a message to everybody who follows the incident.
pub(crate) fn status(
    incident: &Incident,
    fact: &Fact,
    reason: &str,
    world: &World<'_>,
    out: &mut Vec<Escalation>,
) {
    let mut status = blank(incident, fact, Audience::Status, "", "", world);
    because(&mut status, reason);
    // What failed is asked for by the step that is entered next.
    let asks = fact.fact != FactName::VerificationFailed;
    status.respond_by = incident.respond_by().filter(|_| asks);
    match &fact.data {
        FactData::Silenced(data) => {
            let text = format!("until {}, by {}", data.until, data.by);
            status.custom_details.insert("silence".to_owned(), text);
        }
        FactData::Inhibited(data) => {
            status.custom_details.insert("inhibited_by".to_owned(), data.by.clone());
        }
        _ => {}
    }
    out.push(status);
}

/// Lets a notice or a status tell of the incident as it is now.
pub(crate) fn retell(incident: &Incident, world: &World<'_>, told: &mut Escalation) {
    match told.audience {
        Audience::Page => return,
        Audience::Inform => {}
        Audience::Status => told.respond_by = incident.respond_by(),
    }
    let fields = world.charter.as_deref().map(|charter| &charter.fields);
    let listed = listed_max(world);
    (told.affected_features, told.affected_count) = incident.affected(listed);
    told.summary = summary(incident, told.affected_count);
    told.severity = incident.severity;
    (told.owner, told.unowned) = (incident.owner.clone(), incident.unowned);
    told.consumers = incident.consumers.iter().take(listed).cloned().collect();
    told.custom_details.extend(details(incident, fields, listed));
}

/// Names that a message or fact lists at most, whatever the policy allows.
/// Everybody who is told of a breach is told in a message of their own, so
/// without a bound what a breach writes grows with the square of its consumers.
const LISTED_MAX: u32 = 200;

/// Names that one message or fact lists by the policy.
pub(crate) fn listed_by(policy: &Policy) -> usize {
    policy.grouping.max_listed.min(LISTED_MAX) as usize
}

/// Subjects that one message or fact lists.
pub(crate) fn listed_max(world: &World<'_>) -> usize {
    listed_by(world.policy)
}

/// Why the message is sent. In an exercise that is the exercise, so that no
/// program takes it for anything else; the details tell what it would have been.
fn because(message: &mut Escalation, reason: &str) {
    if message.drill {
        message.reason = DRILL.to_owned();
        message.custom_details.insert("drill_reason".to_owned(), reason.to_owned());
    } else {
        message.reason = reason.to_owned();
    }
}

fn blank(
    incident: &Incident,
    fact: &Fact,
    audience: Audience,
    target: &str,
    channel: &str,
    world: &World<'_>,
) -> Escalation {
    let fields = world.charter.as_deref().map(|charter| &charter.fields);
    let listed = listed_max(world);
    let (affected_features, affected_count) = incident.affected(listed);
    let procedure = fields.and_then(|fields| fields.rollback.procedure.as_ref());
    Escalation {
        subject: incident.root.clone(),
        event_action: action(incident.state),
        severity: incident.severity,
        summary: summary(incident, affected_count),
        component: incident.root.clone(),
        group: fields.and_then(|f| f.system.clone().or(f.domain.clone()).or(f.group.clone())),
        class: incident.kind.name().to_owned(),
        owner: incident.owner.clone(),
        unowned: incident.unowned,
        affected_features,
        affected_count,
        consumers: incident.consumers.iter().take(listed).cloned().collect(),
        runbook: fields.and_then(|fields| fields.runbook.clone()),
        links: procedure
            .map(|href| Hyperlink { href: href.clone(), text: "rollback procedure".into() })
            .into_iter()
            .collect(),
        custom_details: details(incident, fields, listed),
        ..bare(fact, audience, target, channel)
    }
}

/// A message that a fact calls for and that says nothing yet but which it is.
pub(crate) fn bare(fact: &Fact, audience: Audience, target: &str, channel: &str) -> Escalation {
    Escalation {
        id: id(&fact.incident_id, fact.sequence, audience, target, channel),
        r#type: format!("watchkeep.escalation.{}", audience.name()),
        source: SOURCE.into(),
        subject: String::new(),
        time: fact.occurred_at,
        incident_id: fact.incident_id.clone(),
        dedup_key: fact.incident_id.clone(),
        event_action: EventAction::Trigger,
        severity: Severity::Warning,
        summary: String::new(),
        component: String::new(),
        group: None,
        class: String::new(),
        audience,
        step: None,
        climb: None,
        target: None,
        role: None,
        channel: None,
        respond_by: None,
        reason: String::new(),
        owner: None,
        unowned: false,
        affected_features: Vec::new(),
        affected_count: 0,
        consumers: Vec::new(),
        runbook: None,
        links: Vec::new(),
        drill: fact.drill,
        custom_details: BTreeMap::new(),
    }
}

fn id(incident: &str, sequence: u64, audience: Audience, target: &str, channel: &str) -> String {
    let sequence = sequence.to_string();
    derived(&["escalation", incident, &sequence, audience.name(), target, channel])
}

/// The identifier of the message of a `notified` fact of that number.
pub(crate) fn page_id(incident: &str, sequence: u64, target: &str, channel: &str) -> String {
    id(incident, sequence, Audience::Page, target, channel)
}

const fn action(state: State) -> EventAction {
    match state {
        State::Triggered => EventAction::Trigger,
        State::Acknowledged | State::Remediated | State::Verified => EventAction::Acknowledge,
        State::Resolved | State::Reviewed | State::Closed => EventAction::Resolve,
    }
}

fn summary(incident: &Incident, affected: u64) -> String {
    let prefix = if incident.drill { "DRILL " } else { "" };
    let (severity, kind, root) = (incident.severity.name(), incident.kind.name(), &incident.root);
    let others = match affected {
        0 | 1 => String::new(),
        n => format!(", {n} features affected"),
    };
    format!("{prefix}{severity}: {kind} of {root}{others} ({})", incident.state.name())
}

/// The detail that tells why nobody is paged.
const SUPPRESSED: &str = "suppressed";

/// The detail that names whom else to ask: parties outside of the organisation.
const OUTSIDE: &str = "external_dependencies";

fn details(
    incident: &Incident,
    fields: Option<&CharterFields>,
    listed: usize,
) -> BTreeMap<String, String> {
    let mut details = reasons(incident, REASONS_MAX.min(listed));
    let outside = fields.and_then(|fields| fields.external_dependencies.as_ref());
    if let Some(outside) = outside.filter(|outside| !outside.is_empty()) {
        details.insert(OUTSIDE.to_owned(), outside.join(", "));
    }
    if let Some(why) = incident.quiet.muted().filter(|_| incident.is_open()) {
        details.insert(SUPPRESSED.to_owned(), why.to_owned());
    }
    details
}

fn reasons(incident: &Incident, most: usize) -> BTreeMap<String, String> {
    let decision = incident.people.decision.as_ref();
    let decision = decision.map(|decision| ("decision".to_owned(), decision.clone()));
    let open = incident.attached.iter().filter(|(_, attached)| !attached.open.is_empty());
    open.take(most)
        .map(|((feature, _, expectation), attached)| {
            (format!("{feature}/{expectation}"), attached.reason.clone())
        })
        .chain(decision)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::default_policy;

    #[test]
    fn a_message_is_bounded_whatever_the_policy_allows() {
        let mut policy = default_policy();
        assert_eq!(listed_by(&policy), 50);
        policy.grouping.max_listed = u32::MAX;
        assert_eq!(listed_by(&policy), 200);
    }
}
