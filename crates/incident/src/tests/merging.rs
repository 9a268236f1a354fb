//! What a merger means for others, for later breaches and for a stage that is
//! folded anew.

use watchkeep_model::breach::{Breach, Transition};
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::{Fact, FactData, FactName};
use watchkeep_model::response::Command;

use crate::escalate::{Escalate, Outputs, Settings};
use crate::report::Period;
use crate::report::health::stages;
use crate::report::story::Story;

use super::scene::{DELAY, Scene, at, breach, drift, response};

/// The incidents in the order in which they opened.
pub(super) fn opened(scene: &Scene) -> Vec<String> {
    let opened = scene.out.facts.iter().filter(|fact| matches!(fact.data, FactData::Opened(_)));
    opened.map(|fact| fact.incident_id.clone()).collect()
}

/// Somebody says that an incident is one with another, by their places in the
/// order in which they opened.
pub(super) fn merge(scene: &mut Scene, when: &str, one: usize, into: usize) {
    let ids = opened(scene);
    let mut wish = response(when, "user:edgar", Command::Merge);
    wish.subject = None;
    (wish.incident, wish.into) = (Some(ids[one].clone()), Some(ids[into].clone()));
    scene.send(&wish);
}

fn of(feature: &str, kind: ExpectationKind, when: &str) -> Breach {
    breach(feature, kind, Severity::Error, at(when))
}

#[test]
fn a_merger_that_makes_several_breaches_join_speaks_for_others_again() {
    let mut scene = Scene::new();
    let dataset = of("dataset:bts.on_time", ExpectationKind::Freshness, "05-08 00:10");
    let first = of("flight.f1", ExpectationKind::Drift, "05-08 02:00");
    let again = Breach { breach_id: "again".into(), expectation: "again".into(), ..first.clone() };
    scene.breach(&drift("05-08")).run_to("05-08 00:05");
    scene.breach(&dataset).clear(&dataset, "05-08 01:00").run_to("05-08 01:05");
    scene.breach(&first).breach(&again).run_to("05-08 02:05");
    let is_quiet = |scene: &Scene| {
        let feature = scene.stage.incident(&opened(scene)[0]).unwrap();
        feature.quiet.inhibited_by.clone()
    };
    assert_eq!(is_quiet(&scene), None, "the dataset has recovered");
    merge(&mut scene, "05-08 02:10", 2, 1);
    assert_eq!(is_quiet(&scene), Some(opened(&scene)[1].clone()));
    scene.check();
}

#[test]
fn what_belongs_to_a_merged_incident_goes_with_it_when_that_is_merged_too() {
    let mut scene = Scene::new();
    let features = ["flight.f1", "flight.f2", "flight.f3"];
    for feature in features {
        scene.breach(&of(feature, ExpectationKind::Drift, "05-08"));
    }
    scene.run_to("05-08 00:05");
    let places: Vec<usize> = features
        .iter()
        .map(|feature| {
            let root = format!("feature:{feature}");
            let is_it = |id: &String| scene.stage.incident(id).unwrap().root == root;
            opened(&scene).iter().position(is_it).unwrap()
        })
        .collect();
    merge(&mut scene, "05-08 00:10", places[0], places[1]);
    merge(&mut scene, "05-08 00:20", places[1], places[2]);
    let mut later = of("flight.f1", ExpectationKind::Drift, "05-08 01:00");
    later.expectation = "later".into();
    scene.breach(&later).run_to("05-08 01:05");
    assert_eq!(opened(&scene).len(), 3);
    let last = scene.stage.incident(&opened(&scene)[places[2]]).unwrap();
    assert_eq!(last.open_count, 4);
    scene.check();
}

/// Of one commit, a log of several partitions tells in the order of these.
#[test]
fn a_breach_that_was_merged_clears_in_whatever_order_the_log_tells_of_it() {
    let mut scene = Scene::new();
    let moved = of(DELAY, ExpectationKind::Range, "05-08 00:10");
    scene.breach(&drift("05-08")).run_to("05-08 00:05").breach(&moved).run_to("05-08 00:15");
    merge(&mut scene, "05-08 00:20", 1, 0);
    let cleared =
        Breach { transition: Transition::Cleared, detected_at: at("05-08 01:00"), ..moved };
    let ids = opened(&scene);
    for first in &ids {
        let mut facts: Vec<&Fact> = scene.out.facts.iter().collect();
        facts.sort_by_key(|fact| (fact.recorded_at, fact.incident_id != *first));
        let mut stage = Escalate::new(Settings::default());
        facts.iter().for_each(|fact| stage.restore_fact(fact));
        let mut out = Outputs::default();
        stage.breach(&cleared, &scene.world, cleared.detected_at, &mut out);
        let of_whom = out.facts.iter().map(|fact| (fact.incident_id.as_str(), fact.fact));
        assert_eq!(of_whom.collect::<Vec<_>>(), [(ids[0].as_str(), FactName::BreachCleared)]);
    }
}

#[test]
fn a_merger_says_nothing_of_how_quickly_people_were() {
    let mut scene = Scene::new();
    scene.breach(&of("flight.f1", ExpectationKind::Drift, "05-08")).run_to("05-08 00:05");
    scene.breach(&of("flight.f2", ExpectationKind::Drift, "05-08 02:00")).run_to("05-08 02:05");
    merge(&mut scene, "05-08 02:10", 0, 1);
    let ids = opened(&scene);
    let facts = |id: &String| -> Vec<Fact> {
        scene.out.facts.iter().filter(|fact| fact.incident_id == *id).cloned().collect()
    };
    let (merged, goes_on) = (facts(&ids[0]), facts(&ids[1]));
    let stories: Vec<Story<'_>> =
        [&merged, &goes_on].into_iter().filter_map(|one| Story::of(one, at("05-09"))).collect();
    assert!(stories[0].merged && !stories[1].merged);
    assert_eq!(stories[1].detected_at, Some(at("05-08 02:00")), "not when the other's was");
    let all = stages(&stories, Period { from: at("05-08"), to: at("05-09") });
    let resolve = all.iter().find(|stage| stage.stage == "resolve").expect("a stage");
    assert_eq!((resolve.count, resolve.missing), (0, 1), "one is left to resolve");
}
