//! What happened to an incident and why, fact by fact.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_incident::words;
use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::time::Timestamp;

/// A fact in words.
#[derive(Debug, Serialize)]
pub(in crate::commands::incidents) struct Told {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) fact: String,
    pub(super) actor: String,
    /// What happened.
    pub(super) what: String,
    /// What it was because of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

/// What is known while facts are told in their order.
#[derive(Default)]
struct Known {
    /// Breaches by their identifier: feature, expectation and window.
    breaches: BTreeMap<String, String>,
    /// How the present step was come to.
    entered: String,
    /// The end of a quiet that let its pages go, where there was one since.
    resumed: Option<&'static str>,
}

/// Every fact in words, the latest first.
pub(super) fn of(facts: &[Fact]) -> Vec<Told> {
    let mut known = Known::default();
    for fact in facts {
        if let FactData::BreachAttached(data) = &fact.data {
            let told = format!("{}/{} to {}", data.feature, data.expectation, data.window_end);
            known.breaches.insert(data.breach_id.clone(), told);
        }
    }
    let mut told: Vec<Told> = facts
        .iter()
        .map(|fact| {
            known.follow(fact);
            Told {
                sequence: fact.sequence,
                at: fact.occurred_at,
                fact: words::name(fact),
                actor: fact.actor.clone(),
                what: match &fact.data {
                    FactData::DeliveryReported(data) => delivery(data),
                    _ => words::of_fact(fact, &|at| at.to_string()),
                },
                why: known.why(fact),
            }
        })
        .collect();
    told.reverse();
    told
}

impl Known {
    /// Notes how a step is come to, and what let its pages go.
    fn follow(&mut self, fact: &Fact) {
        let (resumes, end) = match &fact.data {
            FactData::Unsilenced(data) => (data.resumes.as_ref(), "the silence ended"),
            FactData::Uninhibited(data) => {
                (data.resumes.as_ref(), "the other incident spoke for it no more")
            }
            FactData::FlappingEnded(data) => (data.resumes.as_ref(), "it flapped no more"),
            _ => (None, ""),
        };
        if resumes.is_some_and(|resumes| resumes.pages) {
            self.resumed = Some(end);
            return;
        }
        if let Some(why) = entering(fact) {
            (self.entered, self.resumed) = (why, None);
        }
    }

    /// Why the present step asks somebody.
    fn reason(&self) -> String {
        match self.resumed {
            Some(end) => format!("{end}, and what it had held back is still due: {}", self.entered),
            None => self.entered.clone(),
        }
    }

    fn why(&self, fact: &Fact) -> Option<String> {
        match &fact.data {
            FactData::DeliveryReported(data) => data.origin.as_ref().map(|at| {
                format!(
                    "message {} in {} partition {} offset {}",
                    data.escalation, at.topic, at.partition, at.offset
                )
            }),
            FactData::Notified(data) => Some(match data.reason.as_str() {
                "repeat" => "nobody has acknowledged since the steps ran out".to_owned(),
                "handoff" => "somebody handed the incident to them".to_owned(),
                "delivery_failed" => "no sink took the page before it".to_owned(),
                "digest" => "it had waited to go out with others to the same person".to_owned(),
                "not_rolled_back" => "a rollback that was ordered is not done".to_owned(),
                _ => self.reason(),
            }),
            FactData::NotificationSkipped(data) if data.handoff => {
                Some("somebody handed the incident to them".to_owned())
            }
            FactData::NotificationSkipped(_) => Some(self.reason()),
            FactData::Escalated(data) => Some(trigger(&data.trigger, data.due_at)),
            FactData::Exhausted(data) => Some(trigger(&data.trigger, data.due_at)),
            FactData::AcknowledgementExpired(data) => {
                Some(format!("{} remediated nothing until {}", data.by, data.due_at))
            }
            FactData::Resolved(data) => Some(
                match data.reason.as_str() {
                    "cleared" => "every breach has cleared for long enough",
                    "verified" => "it was verified",
                    "signed_off" => "its gate has been signed off",
                    "command" => "somebody said so",
                    other => other,
                }
                .to_owned(),
            ),
            _ => self.cause(fact.cause.as_deref()?),
        }
    }

    /// A cause with what it names.
    fn cause(&self, cause: &str) -> Option<String> {
        let (kind, rest) = cause.split_once(' ')?;
        Some(match kind {
            "breach" => {
                let id = rest.split(' ').next().unwrap_or(rest);
                match self.breaches.get(id) {
                    Some(told) => format!("breach {told} ({rest})"),
                    None => cause.to_owned(),
                }
            }
            "response" => format!("a command ({cause})"),
            "timer" => match rest {
                "settle" => "it was time to look whether it may end".to_owned(),
                "enter" => "working hours began".to_owned(),
                "close" => "nothing came back in time".to_owned(),
                "review_overdue" => "the review was due".to_owned(),
                other => format!("a deadline passed ({other})"),
            },
            _ => cause.to_owned(),
        })
    }
}

/// How a step is come to by a fact, where it is by that.
fn entering(fact: &Fact) -> Option<String> {
    Some(match &fact.data {
        FactData::Opened(data) => format!(
            "the incident opened; {} is where policy {} begins for {}",
            data.entry.step,
            data.policy.name,
            data.kind.name()
        ),
        FactData::Escalated(data) => {
            let why = trigger(&data.trigger, data.due_at);
            format!("{} was left because {why}", data.from_step)
        }
        FactData::AcknowledgementExpired(data) => {
            format!("{} acknowledged and remediated nothing until {}", data.by, data.due_at)
        }
        FactData::Reopened(_) => "a breach returned".to_owned(),
        FactData::Exhausted(data) => {
            let why = trigger(&data.trigger, data.due_at);
            format!("no step is left after {}: {why}", data.from_step)
        }
        _ => return None,
    })
}

/// What became of a message, in words.
fn delivery(data: &DeliveryReported) -> String {
    let whom = match (&data.target, &data.channel) {
        (Some(target), Some(channel)) => format!("the message to {target} by {channel}"),
        (Some(target), None) => format!("the notice to {target}"),
        (None, _) => "the status".to_owned(),
    };
    let to = data.to.as_ref().map_or_else(String::new, |to| format!(" at {to}"));
    let why = data.detail.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let attempts = match (data.attempts, data.outcome) {
        (0, _) => ", and no attempt was made".to_owned(),
        (1, DeliveryOutcome::Dropped) => " after one attempt".to_owned(),
        (1, _) => " at the first attempt".to_owned(),
        (n, _) => format!(" after {n} attempts"),
    };
    let outcome = match data.outcome {
        DeliveryOutcome::Delivered => "took",
        DeliveryOutcome::Failed => "did not take",
        DeliveryOutcome::Dropped => "did not get",
    };
    let reach = if data.unreached { "; it has reached nobody" } else { "" };
    format!("{} ({}{to}) {outcome} {whom}{attempts}{why}{reach}", data.sink, data.tool)
}

/// What moved an incident on, in words.
fn trigger(trigger: &str, due_at: Timestamp) -> String {
    match trigger {
        "not_acknowledged" => format!("nobody had acknowledged by {due_at}"),
        "not_remediated" => format!("nobody had remediated by {due_at}"),
        "not_decided" => format!("nobody had decided by {due_at}"),
        "verification_failed" => "what was done did not hold".to_owned(),
        "nobody_to_notify" => "it had nobody to notify".to_owned(),
        "requested" => "somebody asked for it".to_owned(),
        "affected_features" => "so many features are affected (affected_features)".to_owned(),
        "recurrence" => "it came again so often (recurrence)".to_owned(),
        "severity" => "it is so severe (severity)".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fact(sequence: u64, name: &str, data: Value) -> Fact {
        let fact = json!({"incident_id": "i", "sequence": sequence, "fact": name,
            "occurred_at": "2026-01-01T00:00:00Z", "recorded_at": "2026-01-01T00:00:00Z",
            "actor": "watchkeep", "drill": false, "data": data, "hash": ""});
        serde_json::from_value(fact).expect("a fact")
    }

    #[test]
    fn what_a_sink_was_not_to_get_is_told_as_that() {
        let told = |outcome: &str, attempts: u32| {
            let report = json!({"escalation": "e", "sink": "pager", "tool": "pagerduty",
                "outcome": outcome, "attempts": attempts, "detail": "somebody answered"});
            delivery(&serde_json::from_value(report).expect("a report"))
        };
        let never = "pager (pagerduty) did not get the status, and no attempt was made: somebody \
                     answered";
        assert_eq!(told("dropped", 0), never);
        let once = "pager (pagerduty) did not get the status after one attempt: somebody answered";
        assert_eq!(told("dropped", 1), once);
    }

    #[test]
    fn a_page_that_a_silence_held_back_goes_out_because_that_ended() {
        let entry = json!({"step": "first", "loop": 1, "enters_at": "2026-01-01T00:00:00Z"});
        let page = json!({"step": "first", "loop": 1, "target": "user:ada", "role": "primary",
            "channel": "topic", "reason": "escalated"});
        let climb = json!({"from_step": "zero", "to_step": "first", "loop": 1,
            "trigger": "requested", "due_at": "2026-01-01T00:00:00Z", "entry": entry});
        let end = json!({"silence": "s", "reason": "expired",
            "resumes": {"pages": true, "entry": entry}});
        let told = of(&[
            fact(1, "escalated", climb.clone()),
            fact(2, "unsilenced", end),
            fact(3, "notified", page.clone()),
            fact(4, "escalated", climb),
            fact(5, "notified", page),
        ]);
        let why: Vec<&str> = told
            .iter()
            .rev()
            .filter(|one| one.fact == "notified")
            .filter_map(|one| one.why.as_deref())
            .collect();
        assert_eq!(
            why,
            [
                "the silence ended, and what it had held back is still due: zero was left because \
                 somebody asked for it",
                "zero was left because somebody asked for it",
            ]
        );
    }
}
