//! What holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watchkeep_model::breach::Transition;
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::escalation::Audience;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::{Command, RemedyAction};
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Verdict;

use super::scene::{Scene, at, breach, response};
use crate::state::Incident;

#[derive(Clone, Debug)]
enum Move {
    Breach { feature: usize, kind: usize, severity: usize, transition: usize },
    Window { feature: usize, kind: usize, good: bool },
    Respond { by: usize, command: usize, root: usize, action: usize },
    Silence { what: usize, minutes: i64, later: i64 },
    Wait { minutes: i64 },
    Jump { hours: i64 },
}

const FEATURES: [&str; 4] =
    ["flight.arr_delay_min", "flight.origin", "dataset:bts.on_time", "unknown"];
const KINDS: [ExpectationKind; 3] =
    [ExpectationKind::Drift, ExpectationKind::Latency, ExpectationKind::NullRate];
const SEVERITIES: [Severity; 4] =
    [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
const PEOPLE: [&str; 4] = ["user:ada", "user:edgar", "user:barbara", "user:nobody"];

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..4_usize, 0..3_usize, 0..4_usize, 0..4_usize).prop_map(
            |(feature, kind, severity, transition)| Move::Breach { feature, kind, severity, transition }
        ),
        3 => (0..4_usize, 0..3_usize, any::<bool>())
            .prop_map(|(feature, kind, good)| Move::Window { feature, kind, good }),
        4 => (0..4_usize, 0..16_usize, 0..4_usize, 0..4_usize)
            .prop_map(|(by, command, root, action)| Move::Respond { by, command, root, action }),
        2 => (0..6_usize, 1..600_i64, 0..60_i64)
            .prop_map(|(what, minutes, later)| Move::Silence { what, minutes, later }),
        4 => (0..400_i64).prop_map(|minutes| Move::Wait { minutes }),
        1 => (0..72_i64).prop_map(|hours| Move::Jump { hours }),
    ];
    proptest::collection::vec(one, 0..60)
}

fn play(moves: &[Move]) -> Scene {
    let mut scene = Scene::new();
    let mut now = at("05-04 10:00");
    let mut open: BTreeMap<(usize, usize), watchkeep_model::breach::Breach> = BTreeMap::new();
    for one in moves {
        match *one {
            Move::Breach { feature, kind, severity, transition } => {
                let slot = (feature, kind);
                let mut next = match (transition, open.get(&slot)) {
                    (0 | 1, None) => {
                        let new = breach(FEATURES[feature], KINDS[kind], SEVERITIES[severity], now);
                        open.insert(slot, new.clone());
                        new
                    }
                    (_, Some(known)) => known.clone(),
                    (_, None) => breach(FEATURES[feature], KINDS[kind], SEVERITIES[severity], now),
                };
                next.transition = [
                    Transition::Opened,
                    Transition::Sustained,
                    Transition::Cleared,
                    Transition::Retracted,
                ][transition];
                if transition >= 2 {
                    open.remove(&slot);
                }
                (next.detected_at, next.window_end) = (now, now);
                scene.stage.breach(&next, &scene.world, now, &mut scene.out);
            }
            Move::Window { feature, kind, good } => {
                let of = breach(FEATURES[feature], KINDS[kind], Severity::Error, now);
                let verdict = if good { Verdict::Good } else { Verdict::Bad };
                scene.window(&of, &now.to_string(), verdict);
            }
            Move::Respond { by, command, root, action } => {
                let mut wish = response(&now.to_string(), PEOPLE[by], Command::ALL[command].0);
                wish.subject = Some(FEATURES[root].to_owned());
                wish.action = Some(
                    [
                        RemedyAction::Fix,
                        RemedyAction::Accept,
                        RemedyAction::Rollback,
                        RemedyAction::Other,
                    ][action],
                );
                scene.stage.respond(&wish, &scene.world, now, &mut scene.out);
            }
            Move::Silence { what, minutes, later } => {
                let when = now.to_string();
                let mut wish = response(&when, "user:ada", Command::Silence);
                wish.subject = None;
                let matchers = [
                    "severity=~\"error|critical\"",
                    "root=\"feature:flight.*\"",
                    "kind=drift",
                    "owner!=user:ken",
                    "severity=info",
                ];
                match matchers.get(what) {
                    Some(matcher) => wish.matchers = vec![matcher.parse().unwrap()],
                    None => {
                        wish.command = Command::Unsilence;
                        let first = scene.stage.silences().next();
                        wish.silence = first.map(|silence| silence.data.silence.clone());
                    }
                }
                wish.from = Some(now + TimeSpan::MINUTE.times(later));
                wish.until = Some(now + TimeSpan::MINUTE.times(later + minutes));
                scene.stage.respond(&wish, &scene.world, now, &mut scene.out);
            }
            Move::Wait { minutes } => {
                now = now + TimeSpan::MINUTE.times(minutes);
                scene.run_to(&now.to_string());
            }
            Move::Jump { hours } => {
                now = now + TimeSpan::HOUR.times(hours);
                scene.stage.advance(&scene.world, now, &mut scene.out);
            }
        }
    }
    scene
}

fn answered(fact: &Fact) -> Option<(String, String, String)> {
    let due = match &fact.data {
        FactData::Escalated(d) => (d.due_at, d.trigger.clone()),
        FactData::Exhausted(d) => (d.due_at, d.trigger.clone()),
        FactData::AcknowledgementExpired(d) => (d.due_at, "ack_timeout".into()),
        _ => return None,
    };
    let by_clock = due.1.starts_with("not_") || due.1 == "ack_timeout";
    by_clock.then(|| (fact.incident_id.clone(), due.0.to_string(), due.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_log_is_sound(moves in moves()) {
        let scene = play(&moves);
        // Chains are dense and unbroken, and folding them again gives the same state.
        scene.check();
        // No deadline is answered twice.
        let mut seen = BTreeSet::new();
        for answer in scene.out.facts.iter().filter_map(answered) {
            prop_assert!(seen.insert(answer.clone()), "{answer:?} twice");
        }
        // Nothing happens before its time, nor is a page sent once it is over.
        let mut over: BTreeSet<&str> = BTreeSet::new();
        for fact in &scene.out.facts {
            prop_assert!(fact.occurred_at <= fact.recorded_at);
            match &fact.data {
                FactData::Resolved(_) => { over.insert(&fact.incident_id); }
                FactData::Reopened(_) => { over.remove(fact.incident_id.as_str()); }
                FactData::Notified(_) | FactData::Escalated(_) => {
                    prop_assert!(!over.contains(fact.incident_id.as_str()));
                }
                _ => {}
            }
        }
        // Nobody is paged for what is silenced or inhibited.
        let mut folded: BTreeMap<&str, Incident> = BTreeMap::new();
        for fact in &scene.out.facts {
            match folded.get_mut(fact.incident_id.as_str()) {
                Some(incident) => {
                    let told = matches!(fact.data, FactData::Notified(_));
                    prop_assert!(!told || incident.quiet.muted().is_none(), "{fact:?}");
                    incident.apply(fact);
                }
                None => _ = Incident::begin(fact).map(|one| folded.insert(&fact.incident_id, one)),
            }
        }
        // A page that was held back is held back still, or was sent, or nothing
        // is asked any more.
        for incident in folded.values() {
            let due = incident.quiet.owes && incident.is_open() && !incident.resting;
            prop_assert!(!due || incident.quiet.rests(), "{incident:?}");
            prop_assert!(incident.quiet.since.is_some() || !incident.quiet.rests() || !incident.is_open());
            // Whoever speaks for another is open itself.
            if let Some(by) = incident.quiet.inhibited_by.as_deref() {
                prop_assert!(folded.get(by).is_some_and(Incident::is_open));
            }
        }
        // Each page is one fact and one message; identifiers do not repeat.
        let notified = scene.out.facts.iter().filter(|fact| match &fact.data {
            FactData::Notified(data) => data.carried_by.is_none(),
            _ => false,
        });
        let pages = scene.out.escalations.iter().filter(|e| e.audience == Audience::Page);
        prop_assert_eq!(notified.count(), pages.count());
        let ids: BTreeSet<&str> = scene.out.escalations.iter().map(|e| e.id.as_str()).collect();
        prop_assert_eq!(ids.len(), scene.out.escalations.len());
        // No timer is left behind.
        if let Some(due_at) = scene.stage.next_deadline() {
            prop_assert!(due_at >= at("05-04 10:00"));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_log(moves in moves()) {
        prop_assert_eq!(play(&moves).out, play(&moves).out);
    }
}
