//! Incidents that went by the book, and departures planted into them.

use watchkeep_model::incident::data::PolicyRevision;
use watchkeep_model::response::Command;
use watchkeep_model::window::Verdict;

use super::*;
use crate::tests::scene::{Scene, at, drift, nulls, response};

fn policies(scene: &Scene) -> Policies {
    Policies::of_all(scene.world.policies.values().cloned())
}

/// Departures of the only incident, with their steps.
fn departures(scene: &Scene, facts: &[Fact], until: &str) -> Vec<String> {
    let held = conformance(facts, &policies(scene), &scene.world, at(until)).expect("an incident");
    assert!(held.checked);
    let line = |one: &Deviation| {
        format!("{} {}", one.departure.name(), one.step.as_deref().unwrap_or("-"))
    };
    held.deviations.iter().map(line).collect()
}

/// Drift that is answered in time, goes away and is verified.
fn by_the_book() -> Scene {
    let mut scene = Scene::new();
    let breach = drift("05-08");
    scene.breach(&breach).respond("05-08 00:10", "user:edgar", Command::Acknowledge);
    scene.respond("05-08 00:20", "user:edgar", Command::Remediate);
    scene.clear(&breach, "05-09").window(&breach, "05-09", Verdict::Good);
    scene.window(&breach, "05-10", Verdict::Good).run_to("05-11");
    scene
}

#[test]
fn an_incident_by_the_book_departs_nowhere_until_its_review_is_overdue() {
    let scene = by_the_book();
    let facts = scene.out.facts.clone();
    assert!(facts.iter().any(|fact| matches!(fact.data, FactData::Resolved(_))));
    assert_eq!(departures(&scene, &facts, "05-12"), Vec::<String>::new());
    assert_eq!(departures(&scene, &facts, "05-30"), ["review_overdue -"]);
}

#[test]
fn an_incident_that_nobody_answers_tells_each_missed_target() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 04:00");
    assert_eq!(
        departures(&scene, &scene.out.facts, "05-08 04:00"),
        [
            "late_acknowledgement data-steward",
            "late_acknowledgement architect",
            "late_acknowledgement data-steward",
            "late_acknowledgement architect",
            "exhausted architect",
        ]
    );
}

#[test]
fn what_is_planted_is_found() {
    let scene = by_the_book();
    let planted = |change: &dyn Fn(&mut Vec<Fact>)| {
        let mut facts = scene.out.facts.clone();
        change(&mut facts);
        departures(&scene, &facts, "05-12")
    };
    let each =
        |facts: &mut Vec<Fact>, change: &dyn Fn(&mut Fact)| facts.iter_mut().for_each(change);
    let found = planted(&|facts| {
        each(facts, &|fact| {
            if let FactData::Notified(notified) = &mut fact.data {
                notified.target = "user:ken".into();
                notified.channel = "pager:x".into();
            }
        });
    });
    assert_eq!(found, ["wrong_target data-steward", "wrong_channel data-steward"]);
    let found = planted(&|facts| {
        each(facts, &|fact| {
            if let FactData::Opened(opened) = &mut fact.data {
                opened.entry.step = "architect".into();
            }
        });
    });
    assert_eq!(found, ["wrong_entry_step architect"]);
    let found = planted(&|facts| facts.retain(|f| !matches!(f.data, FactData::Verified(_))));
    assert_eq!(found, ["unverified data-steward"]);
    let found = planted(&|facts| {
        each(facts, &|fact| {
            if let FactData::Acknowledged(data) = &mut fact.data {
                data.expires_at = Some(at("05-08 01:10"));
                fact.actor = "user:mary".into();
                fact.occurred_at = at("05-08 00:40");
            }
        });
    });
    assert_eq!(
        found,
        ["late_acknowledgement data-steward", "answered_by_another data-steward",]
            .iter()
            .rev()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_gate_without_its_signature_is_found() {
    let mut scene = Scene::new();
    let breach = nulls("05-08");
    scene.breach(&breach).respond("05-08 00:10", "user:edgar", Command::Acknowledge);
    scene.respond("05-08 00:20", "user:ada", Command::Remediate);
    scene.clear(&breach, "05-09").window(&breach, "05-09", Verdict::Good);
    scene.window(&breach, "05-10", Verdict::Good);
    scene.respond("05-10 01:00", "user:edgar", Command::SignOff).run_to("05-11");
    let mut facts = scene.out.facts.clone();
    assert!(facts.iter().any(|fact| matches!(fact.data, FactData::Resolved(_))));
    assert_eq!(departures(&scene, &facts, "05-12"), Vec::<String>::new());
    facts.retain(|fact| !matches!(fact.data, FactData::SignedOff(_)));
    assert_eq!(departures(&scene, &facts, "05-12"), ["gate_bypassed data-steward"]);
}

#[test]
fn nobody_is_late_for_a_deadline_that_rested() {
    let mut scene = Scene::new();
    let breach = drift("05-08");
    // The breach goes away at 00:20, before the deadline of 00:31.
    scene.breach(&breach).clear(&breach, "05-08 00:20");
    scene.respond("05-08 00:40", "user:edgar", Command::Acknowledge).run_to("05-08 01:00");
    assert_eq!(departures(&scene, &scene.out.facts, "05-08 01:00"), Vec::<String>::new());
}

#[test]
fn who_answers_again_to_have_more_time_is_not_late() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).respond("05-08 00:10", "user:edgar", Command::Acknowledge);
    scene.respond("05-08 00:35", "user:edgar", Command::Acknowledge).run_to("05-08 01:00");
    assert_eq!(departures(&scene, &scene.out.facts, "05-08 01:00"), Vec::<String>::new());
}

#[test]
fn deadlines_and_windows_are_held_against_the_policy() {
    let scene = by_the_book();
    let planted = |change: &dyn Fn(&mut FactData)| {
        let mut facts = scene.out.facts.clone();
        facts.iter_mut().for_each(|fact| change(&mut fact.data));
        departures(&scene, &facts, "05-12")
    };
    let found = planted(&|data| {
        if let FactData::Opened(opened) = data {
            opened.entry.acknowledge_by = Some(at("05-08 04:00"));
        }
    });
    assert_eq!(found, ["wrong_deadline data-steward"]);
    let found = planted(&|data| {
        if let FactData::Verified(verified) = data {
            verified.good_windows = 0;
        }
    });
    assert_eq!(found, ["unverified data-steward"]);
}

#[test]
fn spans_are_told_in_words() {
    let told = |seconds: i64| in_words(TimeSpan::from_micros(seconds * 1_000_000));
    assert_eq!([told(0), told(61), told(93_784)], ["less than a second", "1m 1s", "1d 2h"]);
}

#[test]
fn under_an_unknown_revision_nothing_is_claimed() {
    let scene = by_the_book();
    let mut facts = scene.out.facts.clone();
    if let FactData::Opened(opened) = &mut facts[0].data {
        opened.policy = PolicyRevision { name: "flights".into(), version: 2 };
    }
    let held = conformance(&facts, &policies(&scene), &scene.world, at("05-30")).expect("one");
    assert!(!held.checked && held.deviations.is_empty());
}

#[test]
fn whoever_answers_while_or_after_deadlines_rested_is_not_late() {
    let silenced = |answered_at: &str| {
        let mut scene = Scene::new();
        scene.breach(&drift("05-08")).run_to("05-08 00:11");
        let mut wish = response("05-08 00:11", "user:ada", Command::Silence);
        wish.matchers = vec!["kind=drift".parse().expect("a matcher")];
        (wish.subject, wish.until) = (None, Some(at("05-08 02:11")));
        scene.send(&wish).run_to("05-08 00:12");
        scene.respond(answered_at, "user:edgar", Command::Acknowledge);
        departures(&scene, &scene.out.facts, answered_at)
    };
    assert_eq!(silenced("05-08 01:00"), Vec::<String>::new(), "nobody was asked");
    // Twenty of its thirty minutes were left when the silence ended.
    assert_eq!(silenced("05-08 02:20"), Vec::<String>::new());
    assert_eq!(silenced("05-08 02:40"), ["late_acknowledgement data-steward"]);
    let mut scene = Scene::new();
    let breach = drift("05-08");
    scene.breach(&breach).clear(&breach, "05-08 00:20");
    scene.respond("05-08 00:40", "user:edgar", Command::Acknowledge);
    assert_eq!(departures(&scene, &scene.out.facts, "05-08 00:40"), Vec::<String>::new());
}

#[test]
fn a_decision_that_is_asked_for_leads_to_its_step_from_any() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 00:05");
    scene.respond("05-08 00:06", "user:edgar", Command::Acknowledge);
    let mut wish = response("05-08 00:10", "user:edgar", Command::Escalate);
    wish.decision = Some("redefine".into());
    scene.send(&wish);
    assert_eq!(departures(&scene, &scene.out.facts, "05-08 00:20"), Vec::<String>::new());
}
