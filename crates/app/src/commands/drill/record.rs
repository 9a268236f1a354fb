//! What the log keeps of an exercise, and what of it rings.

use std::collections::BTreeSet;

use watchkeep_incident::drill::Drilled;
use watchkeep_model::anchor::AnchorChain;
use watchkeep_model::escalation::{Audience, Escalation, EventAction};
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::FactData;
use watchkeep_model::response::{Command, DrillHeld, Response};
use watchkeep_model::time::Timestamp;

/// The detail of a message that names its exercise.
const DRILL: &str = "drill";

/// The command that records an exercise which `by` held now.
pub(super) fn command(drilled: &Drilled, by: &str, sends: bool, now: Timestamp) -> Response {
    Response {
        drill: Some(held(drilled)),
        messages: if sends { messages(drilled, now) } else { Vec::new() },
        ..Response::new(now, by, Command::ReportDrill)
    }
}

fn held(drilled: &Drilled) -> DrillHeld {
    let mut chain = AnchorChain::default();
    drilled.facts.iter().for_each(|fact| chain.add(fact));
    let policies: BTreeSet<&str> = drilled
        .facts
        .iter()
        .filter_map(|fact| match &fact.data {
            FactData::Opened(opened) => Some(opened.policy.name.as_str()),
            _ => None,
        })
        .collect();
    DrillHeld {
        name: drilled.name.clone(),
        began_at: drilled.at,
        policies: policies.into_iter().map(str::to_owned).collect(),
        incidents: drilled.incidents,
        pages: drilled.pages,
        gaps: drilled.gaps.len() as u64,
        hash: chain.head().map(|head| head.hash.clone()),
    }
}

/// One message for each person and channel that the exercise would have paged,
/// and the end of each incident, so that no alert stays. Their identifiers are
/// this exercise's: the same scenario rings again another time.
fn messages(drilled: &Drilled, now: Timestamp) -> Vec<Escalation> {
    let mut known = BTreeSet::new();
    let mut all: Vec<Escalation> = Vec::new();
    let pages = drilled.escalations.iter().filter(|one| one.audience == Audience::Page);
    for page in pages {
        let whom = (page.incident_id.clone(), page.target.clone(), page.channel.clone());
        if known.insert(whom) {
            all.push(of_now(page, drilled, now));
        }
    }
    let mut ended = BTreeSet::new();
    let ends: Vec<Escalation> =
        all.iter().filter(|page| ended.insert(page.incident_id.clone())).map(end).collect();
    all.extend(ends);
    all
}

fn of_now(page: &Escalation, drilled: &Drilled, now: Timestamp) -> Escalation {
    let at = now.to_string();
    let own = |id: &str| derived(&["drill", &at, id]);
    let mut message = Escalation {
        id: own(&page.id),
        incident_id: own(&page.incident_id),
        dedup_key: own(&page.incident_id),
        time: now,
        // It tells of the exercise's own clock.
        respond_by: None,
        ..page.clone()
    };
    message.custom_details.insert(DRILL.to_owned(), drilled.name.clone());
    message
}

fn end(page: &Escalation) -> Escalation {
    Escalation {
        id: derived(&["drill", "end", &page.incident_id]),
        r#type: format!("watchkeep.escalation.{}", Audience::Status.name()),
        event_action: EventAction::Resolve,
        audience: Audience::Status,
        step: None,
        climb: None,
        target: None,
        role: None,
        channel: None,
        ..page.clone()
    }
}
