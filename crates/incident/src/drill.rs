//! Exercises: a made-up breach is played through the real rules, policy and
//! people, on a clock of its own, and the gaps that it shows are told.
//!
//! Every fact and message is marked (`drill: true`) and stays where the caller
//! puts it: nothing here reaches a sink.

mod gaps;
mod open;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity, WindowSpec};
use watchkeep_model::escalation::Escalation;
use watchkeep_model::identifier::derived;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::Response;
use watchkeep_model::subject::{typed, untyped};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Verdict, Window};

pub use gaps::{Gap, GapKind};

use crate::context::Context;
use crate::escalate::Settings;
use crate::rehearsal::Rehearsal;
use crate::report::is_person;
use crate::state::Incident;

/// What is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name, part of the incident's identifier.
    pub name: String,
    /// When it begins.
    pub at: Timestamp,
    /// What happens, in order of time.
    pub events: Vec<(Timestamp, Event)>,
    /// How far the clock goes on.
    pub ends: Timestamp,
}

/// Something that happens in an exercise.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A window ends and a breach opens, goes on or clears.
    Breach {
        /// What happens to it.
        transition: Transition,
        /// The subject as telemetry names it.
        feature: String,
        /// The expectation's name.
        expectation: String,
        /// Instead of what the charter says.
        severity: Option<Severity>,
        /// Of an expectation that the charter does not have.
        kind: Option<ExpectationKind>,
    },
    /// A window of the expectation ends.
    Window {
        /// The subject as telemetry names it.
        feature: String,
        /// The expectation's name.
        expectation: String,
        /// True for a good one.
        good: bool,
    },
    /// Somebody does something.
    Answer(Box<Response>),
}

/// Why a scenario cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrillError {
    /// Name another expectation, or say of what kind this one is.
    #[error(
        "{feature} has no expectation {expectation}; name one that its charter has, or add `kind`"
    )]
    NoExpectation {
        /// The subject.
        feature: String,
        /// The name.
        expectation: String,
    },
    /// Correct the order of the events.
    #[error("{feature}/{expectation} has no open breach at {at}: let one open before")]
    NotOpen {
        /// The subject.
        feature: String,
        /// The name.
        expectation: String,
        /// When it was to go on or to clear.
        at: Timestamp,
    },
}

/// What came of an exercise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drilled {
    /// The scenario's name.
    pub name: String,
    /// When it began, on its own clock.
    pub at: Timestamp,
    /// Policies that its incidents were opened under, each as `name version n`.
    pub policies: Vec<String>,
    /// Incidents that opened.
    pub incidents: u64,
    /// Pages that a real incident would have sent.
    pub pages: u64,
    /// Who would have been paged, in the order of the first page.
    pub paged: Vec<String>,
    /// From the first breach to the first page, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_first_page: Option<i64>,
    /// From the first breach to the first thing that a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_first_human: Option<i64>,
    /// Where the incidents stood at the end, each as `root: state, step`.
    pub ended: Vec<String>,
    /// What was missing, in order of time.
    pub gaps: Vec<Gap>,
    /// The facts, all of them marked.
    #[serde(skip)]
    pub facts: Vec<Fact>,
    /// The messages, all of them marked.
    #[serde(skip)]
    pub escalations: Vec<Escalation>,
}

/// Plays a scenario to its end.
///
/// # Errors
/// [`DrillError`]: correct the scenario.
pub fn run(scenario: &Scenario, context: &dyn Context) -> Result<Drilled, DrillError> {
    let settings = Settings { drill: true, ..Settings::default() };
    let mut player = Player {
        scenario,
        context,
        rehearsal: Rehearsal::with(context, settings),
        open: BTreeMap::new(),
    };
    for (at, event) in &scenario.events {
        player.event(*at, event)?;
    }
    player.rehearsal.run_to(scenario.ends);
    Ok(player.told())
}

struct Player<'a> {
    scenario: &'a Scenario,
    context: &'a dyn Context,
    rehearsal: Rehearsal<'a>,
    /// The breach that is open, by feature and expectation.
    open: BTreeMap<(String, String), Breach>,
}

impl Player<'_> {
    fn event(&mut self, at: Timestamp, event: &Event) -> Result<(), DrillError> {
        match event {
            Event::Answer(response) => self.rehearsal.response(response, at),
            Event::Window { feature, expectation, good } => {
                self.judge(feature, expectation, at, *good);
            }
            Event::Breach { transition, feature, expectation, severity, kind } => {
                let key = (feature.clone(), expectation.clone());
                let mut breach = match (transition, self.open.remove(&key)) {
                    (Transition::Opened, _) => {
                        self.breach(feature, expectation, *severity, *kind, at)?
                    }
                    (_, Some(open)) => open,
                    (_, None) => {
                        let (feature, expectation) = key;
                        return Err(DrillError::NotOpen { feature, expectation, at });
                    }
                };
                let length = breach.window_end.since(breach.window_start);
                breach.transition = *transition;
                (breach.window_start, breach.window_end) = (at - length, at);
                breach.detected_at = at;
                let goes_on = matches!(transition, Transition::Opened | Transition::Sustained);
                self.rehearsal.breach(&breach, at);
                if goes_on {
                    self.open.insert(key, breach);
                }
                self.judge(feature, expectation, at, !goes_on);
            }
        }
        Ok(())
    }

    /// A breach as the charter in force describes it.
    fn breach(
        &self,
        feature: &str,
        expectation: &str,
        severity: Option<Severity>,
        kind: Option<ExpectationKind>,
        at: Timestamp,
    ) -> Result<Breach, DrillError> {
        let charter = self.context.charter(&typed(feature), at);
        let known = charter.as_ref().and_then(|charter| {
            charter.expectations().iter().find(|known| known.name == expectation)
        });
        let kind = kind.or_else(|| known.map(|known| known.rule.kind()));
        let (feature, expectation) = (feature.to_owned(), expectation.to_owned());
        let Some(kind) = kind else {
            return Err(DrillError::NoExpectation { feature, expectation });
        };
        let length = match known.map(|known| &known.window) {
            Some(WindowSpec::Tumbling { size } | WindowSpec::Hopping { size, .. }) => *size,
            _ => TimeSpan::HOUR,
        };
        let fields = charter.as_ref().map(|charter| &charter.fields);
        let name = &self.scenario.name;
        let began = self.scenario.at.to_string();
        Ok(Breach {
            breach_id: derived(&["drill", name, &began, &feature, &expectation, &at.to_string()]),
            transition: Transition::Opened,
            feature: untyped(&feature).to_owned(),
            feature_version: String::new(),
            kind,
            severity: severity.or_else(|| known.map(|k| k.severity)).unwrap_or_default(),
            window: length.to_string(),
            window_start: at - length,
            window_end: at,
            revision: 0,
            detected_at: at,
            observed: None,
            threshold: None,
            p_value: None,
            effect: None,
            baseline: None,
            owner: fields.and_then(|fields| fields.owners.primary.clone()),
            policy: fields.and_then(|fields| fields.policy.clone()),
            affected_consumers: fields.and_then(|f| f.consumers.clone()).unwrap_or_default(),
            exemplars: Vec::new(),
            reason: format!("an exercise: {name}, {expectation} is taken to be bad"),
            expectation,
        })
    }

    fn judge(&mut self, feature: &str, expectation: &str, end: Timestamp, good: bool) {
        let verdict = if good { Verdict::Good } else { Verdict::Bad };
        let window = serde_json::json!({
            "feature": untyped(feature), "feature_version": "", "window": "1h",
            "window_start": end - TimeSpan::HOUR, "window_end": end, "revision": 0,
            "partial": false, "count": 1, "null_count": 0, "error_count": 0, "status": {},
            "non_finite_count": 0, "late_count": 0,
            "judged": [{"expectation": expectation, "verdict": verdict}],
        });
        let window: Window = serde_json::from_value(window).expect("every field is written here");
        self.rehearsal.window(&window, end);
    }

    fn told(&self) -> Drilled {
        let moments = self.rehearsal.moments();
        let facts: Vec<Fact> = moments.iter().flat_map(|moment| moment.facts.clone()).collect();
        let escalations = moments.iter().flat_map(|moment| moment.escalations.clone()).collect();
        let first =
            self.scenario.events.iter().find(|(_, event)| !matches!(event, Event::Answer(_)));
        let began = first.map_or(self.scenario.at, |(at, _)| *at);
        let after = |at: Timestamp| at.since(began).as_micros() / 1_000_000;
        let (mut paged, mut pages) = (Vec::new(), 0);
        let mut policies = Vec::new();
        let mut incidents = Vec::new();
        for fact in &facts {
            match &fact.data {
                FactData::Notified(notified) => {
                    pages += 1;
                    if !paged.contains(&notified.target) {
                        paged.push(notified.target.clone());
                    }
                }
                FactData::Opened(opened) => {
                    let policy =
                        format!("{} version {}", opened.policy.name, opened.policy.version);
                    if !policies.contains(&policy) {
                        policies.push(policy);
                    }
                    incidents.push(fact.incident_id.as_str());
                }
                _ => {}
            }
        }
        let first_of = |is: &dyn Fn(&Fact) -> bool| {
            facts.iter().find(|fact| is(fact)).map(|fact| after(fact.occurred_at))
        };
        let states: Vec<&Incident> =
            incidents.iter().filter_map(|id| self.rehearsal.stage().incident(id)).collect();
        let ended = states.iter().map(|incident| {
            let exhausted = if incident.exhausted { ", exhausted" } else { "" };
            let (state, step) = (incident.state.name(), &incident.entry.step);
            format!("{}: {state}, step {step}{exhausted}", incident.root)
        });
        let is_page = |fact: &Fact| matches!(fact.data, FactData::Notified(_));
        Drilled {
            name: self.scenario.name.clone(),
            at: self.scenario.at,
            policies,
            incidents: incidents.len() as u64,
            pages,
            paged,
            seconds_to_first_page: first_of(&is_page),
            // A refused command is no answer.
            seconds_to_first_human: first_of(&|fact| {
                is_person(&fact.actor) && !matches!(fact.data, FactData::CommandRejected(_))
            }),
            ended: ended.collect(),
            gaps: gaps::gaps(&facts, &states, self.scenario, self.context),
            facts,
            escalations,
        }
    }
}
