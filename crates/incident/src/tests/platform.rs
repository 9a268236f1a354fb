//! How long the platform's incident speaks for all others.

use watchkeep_model::breach::Breach;
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::FactData;
use watchkeep_model::window::Verdict;

use super::merging::{merge, opened};
use super::scene::{Scene, at, breach};

/// Twenty features were judged, and seven breach: more than the policy's share.
fn too_many() -> (Scene, Vec<Breach>) {
    let mut scene = Scene::new();
    let all: Vec<Breach> = (0..20)
        .map(|n| {
            let feature = format!("flight.f{n}");
            breach(&feature, ExpectationKind::Drift, Severity::Error, at("05-08"))
        })
        .collect();
    all.iter().for_each(|one| _ = scene.window(one, "05-07", Verdict::Good));
    all[..7].iter().for_each(|one| _ = scene.breach(one));
    scene.run_to("05-08 00:02");
    (scene, all)
}

/// How many incidents another speaks for.
fn quiet(scene: &Scene) -> usize {
    let all = opened(scene);
    let all = all.iter().filter_map(|id| scene.stage.incident(id));
    all.filter(|incident| incident.quiet.inhibited_by.is_some()).count()
}

#[test]
fn what_was_merged_into_it_speaks_for_nobody() {
    let (mut scene, all) = too_many();
    assert_eq!((opened(&scene).len(), quiet(&scene)), (8, 7));
    let root = |scene: &Scene, place: usize| {
        let id = &opened(scene)[place];
        scene.stage.incident(id).unwrap().root.clone()
    };
    assert_eq!(root(&scene, 0), "service:platform");
    let place = (1..8).find(|place| root(&scene, *place) == "feature:flight.f6").unwrap();
    merge(&mut scene, "05-08 00:10", place, 0);
    // One of seven is the platform's business now, and six are no share of note.
    assert_eq!(quiet(&scene), 0);
    let platform = scene.stage.incident(&opened(&scene)[0]).unwrap();
    assert!(platform.is_open() && platform.is_breaching());
    let ends = |scene: &Scene| {
        let facts = scene.out.facts.iter();
        facts.filter(|fact| matches!(fact.data, FactData::Uninhibited(_))).count()
    };
    assert_eq!(ends(&scene), 6);
    // What breaches on in it keeps nobody quiet, nor does what joins it.
    let mut again = all[6].clone();
    (again.breach_id, again.expectation) = ("again".into(), "again".into());
    (again.window_end, again.detected_at) = (at("05-08 00:30"), at("05-08 00:30"));
    scene.clear(&all[6], "05-08 00:20").breach(&again).run_to("05-08 00:35");
    assert_eq!(quiet(&scene), 0);
    scene.check();
}

#[test]
fn it_speaks_again_where_the_share_is_up_again_before_it_is_verified() {
    let (mut scene, all) = too_many();
    scene.clear(&all[0], "05-08 01:00").run_to("05-08 01:30");
    assert_eq!(quiet(&scene), 0);
    let platform = opened(&scene)[0].clone();
    assert!(scene.stage.incident(&platform).unwrap().is_open(), "it is not verified");
    let mut more = all[7].clone();
    (more.window_end, more.detected_at) = (at("05-08 02:00"), at("05-08 02:00"));
    scene.breach(&more).run_to("05-08 02:02");
    assert_eq!(quiet(&scene), 8, "also what has cleared and is not verified");
    let failed = |fact: &&watchkeep_model::incident::Fact| {
        matches!(fact.data, FactData::VerificationFailed(_)) && fact.incident_id == platform
    };
    assert_eq!(scene.out.facts.iter().filter(failed).count(), 1);
    scene.check();
}

#[test]
fn it_is_not_merged_into_another() {
    let (mut scene, _) = too_many();
    merge(&mut scene, "05-08 00:10", 0, 1);
    let last = scene.out.facts.last().unwrap();
    let FactData::CommandRejected(data) = &last.data else { panic!("{last:?}") };
    assert_eq!(
        data.rule,
        "it is the platform's and speaks for all others: merge the other into it"
    );
}
