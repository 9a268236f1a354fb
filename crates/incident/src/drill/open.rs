//! Incidents that an exercise leaves open, with nothing that takes them on.

use watchkeep_model::policy::Policy;
use watchkeep_model::time::Timestamp;

use super::gaps::{Gap, GapKind};
use crate::context::{Context, default_policy};
use crate::state::{Incident, State};

/// Tells of every incident that only a person can take on by now, and that
/// asks nobody any more. One that waits for windows or for the end of its
/// breach is none: the scenario ends before them.
pub(super) fn left_open(
    incidents: &[&Incident],
    ends: Timestamp,
    context: &dyn Context,
) -> Vec<Gap> {
    let built_in = default_policy();
    let gap = |incident: &&Incident| {
        let policy = context.policy(&incident.policy.name).unwrap_or(&built_in);
        let why = waits_for(incident, policy, ends)?;
        let (root, state) = (&incident.root, incident.state.name());
        let what = format!("{root} stays {state} for ever: {why}");
        let step = Some(incident.entry.step.clone());
        Some(Gap { gap: GapKind::LeftOpen, at: ends, step, what })
    };
    incidents.iter().filter_map(gap).collect()
}

fn waits_for(incident: &Incident, policy: &Policy, ends: Timestamp) -> Option<String> {
    let asks = incident.next_timer(None).is_some();
    if !incident.is_open() || asks || incident.rests() {
        return None;
    }
    let severity = incident.severity;
    let applies = |all: &[_]| all.is_empty() || all.contains(&severity);
    let verification = policy.verification.as_ref().filter(|one| applies(&one.severities));
    let party = verification.and_then(|one| one.third_party.as_deref());
    let settles = incident.settles_at.is_some_and(|at| at <= ends) && !incident.is_breaching();
    match incident.state {
        State::Triggered | State::Acknowledged if incident.is_breaching() => {
            // That the steps ran out is a gap by itself.
            let by = incident.acknowledged.as_ref().filter(|_| !incident.exhausted)?;
            Some(format!("{} acknowledged, and nothing asks for more", by.by))
        }
        State::Verified => Some(ending(incident, policy)),
        _ if settles && verification.is_none() => Some(ending(incident, policy)),
        _ if incident.people.is_third_party_asked && incident.people.confirmed_by.is_none() => {
            party.map(|party| format!("the windows are good and {party} has not confirmed it"))
        }
        _ => None,
    }
}

/// What the end of an incident waits for that is over.
fn ending(incident: &Incident, policy: &Policy) -> String {
    let severity = incident.severity;
    let mut gates = policy.sign_offs.iter().filter(|gate| {
        let applies = gate.severities.is_empty() || gate.severities.contains(&severity);
        gate.gate == "resolve" && applies
    });
    match gates.next() {
        Some(_) => "the gate resolve has not its signatures, and no deadline asks for them".into(),
        None => format!("a {} incident is resolved by a person, and nobody did", severity.name()),
    }
}
