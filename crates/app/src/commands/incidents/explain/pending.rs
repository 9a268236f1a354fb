//! What an incident waits for.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_incident::state::{Incident, State, Timer};
use watchkeep_model::charter::Severity;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

/// What is waited for, each absent where nothing is.
#[derive(Debug, Default, Serialize)]
pub(in crate::commands::incidents) struct Pending {
    /// The step that it stands on.
    pub(super) step: String,
    /// The climb, from 1.
    #[serde(rename = "loop")]
    pub(super) climb: u32,
    /// What is due next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Due>,
    /// Breaches that have not cleared: feature and expectation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) open_breaches: Vec<String>,
    /// Gates at which somebody signed, or whose signature was missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) gates: Vec<Gate>,
    /// Who is at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) acknowledged_by: Option<String>,
    /// What the latest review asks for and nobody has done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) open_actions: Vec<String>,
    /// Until when a new breach reopens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reopens_until: Option<Timestamp>,
    /// Whom the end waits for, where it does not come by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ends_by: Option<&'static str>,
    /// Why nobody is paged at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) quiet: Vec<String>,
}

/// Something that is due.
#[derive(Debug, Serialize)]
pub(in crate::commands::incidents) struct Due {
    pub(super) at: Timestamp,
    pub(super) what: &'static str,
    /// What happens then where nothing comes between.
    pub(super) then: &'static str,
}

/// Where a gate stands.
#[derive(Debug, Serialize)]
pub(in crate::commands::incidents) struct Gate {
    pub(super) gate: String,
    pub(super) is_open: bool,
    pub(super) signed: u32,
    pub(super) needed: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) refused_by: Vec<String>,
}

/// How an incident ends that time alone does not end.
const BY_A_PERSON: &str = "it ends by the gate resolve, where the policy has one, or by a command, \
                           and not by itself";

/// What the fold of the facts waits for.
pub(super) fn of(incident: &Incident, facts: &[Fact]) -> Pending {
    // What is verified has settled, and waits for somebody.
    let waits = !incident.is_breaching() && incident.state < State::Verified;
    let settles = incident.settles_at.filter(|_| waits);
    let is_clear = incident.is_open() && !incident.is_breaching();
    let by_a_person =
        is_clear && (incident.severity == Severity::Critical || incident.state == State::Verified);
    let next = incident.next_timer(settles).map(|(at, timer)| {
        let (what, then) = words(timer);
        Due { at, what, then }
    });
    // What breached as it became one with another is that one's.
    let is_merged = facts.iter().any(|fact| matches!(fact.data, FactData::Merged(_)));
    let open = incident.attached.iter();
    let open = open.filter(|(_, attached)| !attached.open.is_empty() && !is_merged);
    Pending {
        step: incident.entry.step.clone(),
        climb: incident.entry.climb,
        next,
        open_breaches: open.map(|(key, _)| format!("{}/{}", key.0, key.2)).collect(),
        // Of what is over nobody waits for a signature or an answer.
        gates: if incident.is_open() { gates(incident, facts) } else { Vec::new() },
        acknowledged_by: incident
            .acknowledged
            .as_ref()
            .filter(|_| incident.is_open())
            .map(|ack| ack.by.clone()),
        open_actions: incident.people.open_actions.clone(),
        reopens_until: incident.reopens_until,
        ends_by: by_a_person.then_some(BY_A_PERSON),
        quiet: quiet(facts),
    }
}

/// What a missed deadline leads to; which of the two is in the policy.
const MOVES_ON: &str = "the next step is entered, or the steps have run out";

const fn words(timer: Timer) -> (&'static str, &'static str) {
    match timer {
        Timer::Settle => {
            ("the breaches have been clear for long enough", "it is checked whether it may end")
        }
        Timer::Enter => ("working hours begin", "the step is entered and its people are paged"),
        Timer::Acknowledge => ("latest acknowledgement", MOVES_ON),
        Timer::AcknowledgementExpires => {
            ("the acknowledgement lasts without a remediation", "the step is entered anew")
        }
        Timer::Remediate => ("latest remediation", MOVES_ON),
        Timer::Decide => ("latest decision", MOVES_ON),
        Timer::Repeat => ("the steps have run out", "the last resort is paged again"),
        Timer::Rollback => ("latest rollback that was ordered", MOVES_ON),
        Timer::ReviewOverdue => ("latest review", "it is recorded as overdue"),
        Timer::Close => ("nothing came back", "it is closed"),
        Timer::FlapEnds => ("it has been steady for long enough", "pages held back go out"),
        Timer::Update => ("breaches have joined", "one message tells of them"),
    }
}

/// Gates that facts tell of. Which others there are is in the policy.
fn gates(incident: &Incident, facts: &[Fact]) -> Vec<Gate> {
    let mut needed: BTreeMap<String, u32> = BTreeMap::new();
    for fact in facts {
        if let FactData::SignedOff(data) = &fact.data {
            needed.insert(data.gate.clone(), data.needed);
        }
    }
    let of = |name: &str, word: bool| {
        let signatures = incident.signatures.iter();
        let own = signatures.filter(move |((gate, _), yes)| gate == name && **yes == word);
        own.map(|((_, by), _)| by.clone()).collect::<Vec<_>>()
    };
    let gate = |(gate, needed): (String, u32)| {
        // Who repaired it is mostly not to sign it; told as closed rather than open.
        let mut agreeing = of(&gate, true);
        agreeing.retain(|by| gate != "resolve" || !incident.people.remediators.contains(by));
        let signed = u32::try_from(agreeing.len()).unwrap_or(u32::MAX);
        let refused_by = of(&gate, false);
        Gate {
            is_open: refused_by.is_empty() && signed >= needed,
            gate,
            signed,
            needed,
            refused_by,
        }
    };
    needed.into_iter().map(gate).collect()
}

/// The place of the incident that speaks for another among what holds.
const INHIBITED: &str = "inhibited";

/// Silences, other incidents and flapping that hold.
fn quiet(facts: &[Fact]) -> Vec<String> {
    let mut holds: BTreeMap<String, String> = BTreeMap::new();
    for fact in facts {
        match &fact.data {
            FactData::Silenced(data) => {
                let told = format!("silenced by {} until {}", data.by, data.until);
                holds.insert(data.silence.clone(), told);
            }
            FactData::Unsilenced(data) => drop(holds.remove(&data.silence)),
            FactData::Inhibited(data) => {
                let told = format!("incident {} speaks for it ({})", data.by, data.rule);
                // One incident at a time: another one takes over.
                holds.insert(INHIBITED.into(), told);
            }
            FactData::Uninhibited(_) => drop(holds.remove(INHIBITED)),
            FactData::FlappingStarted(_) => drop(holds.insert(String::new(), "it flaps".into())),
            FactData::FlappingEnded(_) => drop(holds.remove("")),
            // The end of an incident ends all of it but flapping.
            FactData::Resolved(_) | FactData::Merged(_) => holds.retain(|key, _| key.is_empty()),
            _ => {}
        }
    }
    holds.into_values().collect()
}
