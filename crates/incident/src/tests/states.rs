//! Every change of state that the rules make, found by trying everything, and
//! the diagram of them in `docs/states.md`. `UPDATE_EXPECT=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use expect_test::expect_file;
use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::FactData;
use watchkeep_model::response::{Command, RemedyAction, Response};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::Verdict;

use super::scene::{DELAY, at, breach, response, window, world};
use crate::escalate::{Escalate, Outputs, Settings};
use crate::state::Incident;
use crate::words;

/// Situations that are looked at; far more than there are different ones.
const SITUATIONS_MAX: usize = 4_000;

/// What is tried in each situation.
#[derive(Clone, Copy, Debug)]
enum Try {
    Clear,
    Return,
    /// A critical breach of another expectation joins.
    Worse,
    Window(Verdict),
    Command(Command, RemedyAction, &'static str),
    /// To the next deadline.
    Wait,
    /// So long that nothing reopens.
    WaitLong,
}

fn tries() -> Vec<Try> {
    let mut all = vec![
        Try::Clear,
        Try::Return,
        Try::Worse,
        Try::Window(Verdict::Good),
        Try::Window(Verdict::Bad),
        Try::Wait,
        Try::WaitLong,
    ];
    for (command, _) in Command::ALL {
        // The steward may sign, the other is of another team.
        for by in ["user:edgar", "user:ken"] {
            all.push(Try::Command(command, RemedyAction::Fix, by));
        }
    }
    all.push(Try::Command(Command::Remediate, RemedyAction::Accept, "user:ken"));
    all
}

/// A stage with one incident, and what has happened around it.
#[derive(Clone)]
struct Situation {
    stage: Escalate,
    breach: Breach,
    is_open: bool,
    now: Timestamp,
}

/// From, fact, to.
type Edge = (String, String, String);

/// What tells two situations apart.
fn key(incident: &Incident) -> String {
    format!(
        "{} {} {} {} {} {} {:?} {:?} {} {} {:?} {}",
        incident.state.name(),
        incident.is_breaching(),
        incident.entered,
        incident.resting,
        incident.exhausted,
        incident.entry.step,
        incident.acknowledged.is_some(),
        incident.remediated.as_ref().map(|remedy| remedy.action),
        incident.signatures.len(),
        incident.settles_at.is_some(),
        incident.severity,
        incident.entry.climb,
    )
}

fn explore(severity: Severity, edges: &mut BTreeSet<Edge>) {
    let world = world();
    let mut out = Outputs::default();
    let opening = breach(DELAY, ExpectationKind::Drift, severity, at("05-08 14:00"));
    let mut stage = Escalate::new(Settings::default());
    stage.breach(&opening, &world, opening.detected_at, &mut out);
    let now = opening.detected_at + TimeSpan::MINUTE;
    stage.advance(&world, now, &mut out);
    let id = out.facts[0].incident_id.clone();
    note(&out, &id, None, edges);
    let mut open = VecDeque::from([Situation { stage, breach: opening, is_open: true, now }]);
    let mut seen = BTreeSet::new();
    while let Some(situation) = open.pop_front() {
        let Some(before) = situation.stage.incident(&id) else { continue };
        if seen.len() >= SITUATIONS_MAX || !seen.insert(key(before)) {
            continue;
        }
        for one in tries() {
            let mut next = situation.clone();
            let mut out = Outputs::default();
            act(&mut next, one, &world, &mut out);
            note(&out, &id, Some(before), edges);
            open.push_back(next);
        }
    }
    assert!(seen.len() < SITUATIONS_MAX, "{} situations: tell fewer apart", seen.len());
}

fn act(situation: &mut Situation, one: Try, world: &super::scene::World, out: &mut Outputs) {
    let Situation { stage, breach, is_open, now } = situation;
    match one {
        Try::Wait => {
            if let Some(due_at) = stage.next_deadline() {
                *now = due_at.max(*now);
            }
        }
        Try::WaitLong => *now = *now + TimeSpan::DAY.times(30),
        _ => *now = *now + TimeSpan::MINUTE,
    }
    match one {
        Try::Clear if *is_open => {
            breach.transition = Transition::Cleared;
            (breach.window_end, breach.detected_at, *is_open) = (*now, *now, false);
            stage.breach(breach, world, *now, out);
        }
        Try::Return if !*is_open => {
            *breach = super::scene::breach(DELAY, ExpectationKind::Drift, breach.severity, *now);
            *is_open = true;
            stage.breach(breach, world, *now, out);
            // What is held opens or reopens.
            *now = *now + TimeSpan::MINUTE;
        }
        Try::Worse => {
            let kind = ExpectationKind::Drift;
            let worse = super::scene::breach("flight.f1", kind, Severity::Critical, *now);
            let worse = Breach { feature: DELAY.into(), expectation: "shape".into(), ..worse };
            stage.breach(&worse, world, *now, out);
        }
        Try::Clear | Try::Return | Try::Wait | Try::WaitLong => {}
        Try::Window(verdict) => {
            let window = window(breach, &now.to_string(), verdict);
            stage.window(&window, world, *now, out);
        }
        Try::Command(command, action, by) => {
            let mut wish: Response = response(&now.to_string(), by, command);
            wish.action = (command == Command::Remediate).then_some(action);
            match command {
                Command::Merge => wish.into = another(stage, world, now, out),
                Command::Reassign => wish.to = Some("user:mary".into()),
                Command::Review => {
                    wish.root_cause = Some("a new carrier".into());
                    wish.rationale = Some("it stays".into());
                }
                Command::Escalate if by == "user:edgar" => wish.decision = Some("retire".into()),
                Command::Silence => {
                    wish.matchers =
                        serde_json::from_str(r#"["root=feature:flight.arr_delay_min"]"#)
                            .unwrap_or_default();
                    wish.subject = None;
                    wish.until = Some(*now + TimeSpan::HOUR);
                }
                _ => {}
            }
            wish.at = *now;
            stage.respond(&wish, world, *now, out);
        }
    }
    stage.advance(world, *now, out);
}

/// An open incident beside, which follows the same policy.
fn another(
    stage: &mut Escalate,
    world: &super::scene::World,
    now: &mut Timestamp,
    out: &mut Outputs,
) -> Option<String> {
    let beside = super::scene::breach("flight.f3", ExpectationKind::Latency, Severity::Info, *now);
    stage.breach(&beside, world, *now, out);
    *now = *now + TimeSpan::MINUTE;
    stage.advance(world, *now, out);
    let mut open = stage.open_incidents();
    open.find(|one| one.root == "feature:flight.f3").map(|one| one.id.to_owned())
}

/// Folds the facts once more and notes what each did to the state.
fn note(out: &Outputs, id: &str, before: Option<&Incident>, edges: &mut BTreeSet<Edge>) {
    let mut incident = before.cloned();
    for fact in out.facts.iter().filter(|fact| fact.incident_id == id) {
        let from = incident.as_ref().map_or("[*]", |incident| incident.state.name()).to_owned();
        match &mut incident {
            Some(incident) => incident.apply(fact),
            none => *none = Incident::begin(fact),
        }
        let to = incident.as_ref().map_or("[*]", |incident| incident.state.name()).to_owned();
        let name = match &fact.data {
            FactData::CommandRejected(_) => continue,
            _ => words::name(fact),
        };
        edges.insert((from, name, to));
    }
}

fn document(edges: &BTreeSet<Edge>) -> String {
    let mut text = String::from(
        "# The states of an incident\n\n\
         Every change of state that the rules make, found by trying every command, window and \
         deadline in every situation that the policy of the examples leads to. \
         `crates/incident/src/tests/states.rs` writes this page and fails where it is not current.\n\n\
         ```mermaid\nstateDiagram-v2\n",
    );
    let mut labels: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (from, fact, to) in edges.iter().filter(|(from, _, to)| from != to) {
        labels.entry((from, to)).or_default().push(fact);
    }
    for ((from, to), facts) in &labels {
        let _ = writeln!(text, "  {from} --> {to}: {}", facts.join(", "));
    }
    text += "```\n\nFacts that leave the state as it is:\n\n| state | facts |\n|---|---|\n";
    let mut same: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (state, fact, _) in edges.iter().filter(|(from, _, to)| from == to) {
        same.entry(state).or_default().push(fact);
    }
    for (state, facts) in &same {
        let _ = writeln!(text, "| {state} | {} |", facts.join(", "));
    }
    text
}

#[test]
fn the_diagram_of_states_is_that_of_the_rules() {
    let mut edges = BTreeSet::new();
    for severity in [Severity::Warning, Severity::Error, Severity::Critical] {
        explore(severity, &mut edges);
    }
    // Nothing but a new breach leads out of the end.
    for (from, fact, to) in &edges {
        let ends = from == "resolved" && !["resolved", "reviewed", "closed"].contains(&to.as_str());
        assert!(!ends || fact == "reopened", "{from} by {fact} to {to}");
    }
    expect_file!["../../../../docs/states.md"].assert_eq(&document(&edges));
}
