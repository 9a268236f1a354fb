//! Clearing, verifying, failing, reopening.

use expect_test::expect;
use watchkeep_model::breach::Transition;
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::FactData;
use watchkeep_model::response::Command;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Verdict::{Bad, Good};

use crate::escalate::{Escalate, Outputs, Settings};

use super::scene::{DELAY, Scene, at, breach, drift, window};

#[test]
fn an_error_waits_for_two_good_windows_after_the_clearing() {
    let mut scene = Scene::new();
    let bad = drift("05-08");
    scene.breach(&bad);
    scene.window(&bad, "05-09", Good).clear(&bad, "05-09");
    scene.window(&bad, "05-10", Good).run_to("05-10");
    scene.window(&bad, "05-11", Good).run_to("05-11");
    let story = scene.story();
    let end = &story[story.find("05-09").unwrap()..];
    expect![[r#"
        05-09 00:00:00 BreachCleared: flight.arr_delay_min drift left 0
        05-11 00:00:00 Verified: by good_windows, 2 good
        05-11 00:00:00 Resolved: verified
    "#]]
    .assert_eq(end);
    scene.check();
}

#[test]
fn good_windows_count_from_the_remediation() {
    let mut scene = Scene::new();
    let bad = drift("05-08");
    scene.breach(&bad);
    scene.respond("05-08 00:20", "user:edgar", Command::Remediate);
    scene.window(&bad, "05-09", Good).clear(&bad, "05-09");
    scene.window(&bad, "05-10", Good).run_to("05-11");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:20:00 Remediated: by user:edgar: Fix
        05-09 00:00:00 BreachCleared: flight.arr_delay_min drift left 0
        05-10 00:00:00 Verified: by good_windows, 2 good
        05-10 00:00:00 Resolved: verified
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn windows_that_ended_before_the_repair_tell_nothing_of_it() {
    let mut scene = Scene::new();
    let bad = drift("05-08");
    scene.breach(&bad).run_to("05-10 06:00");
    scene.respond("05-10 06:00", "user:edgar", Command::Remediate);
    // The watermark lies more than a day behind.
    for (end, now) in [("05-09", "05-10 06:05"), ("05-10", "05-10 06:10"), ("05-11", "05-11 07:00")]
    {
        let Scene { stage, world, out, .. } = &mut scene;
        stage.window(&window(&bad, end, Bad), world, at(now), out);
    }
    let story = scene.story();
    let facts = ["Remediated", "VerificationFailed"].map(|fact| story.matches(fact).count());
    assert_eq!(facts, [1, 1], "{story}");
    assert!(story.contains("05-11 07:00:00 VerificationFailed"), "{story}");
    scene.check();
}

#[test]
fn windows_while_a_breach_was_held_were_seen_too() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.grouping.group_wait = TimeSpan::DAY.times(2);
    let bad = drift("05-08");
    scene.breach(&bad).window(&bad, "05-09", Bad).run_to("05-10 00:01");
    scene.respond("05-10 00:20", "user:edgar", Command::Remediate);
    let seen_to = |scene: &Scene| match &scene.out.facts.last().unwrap().data {
        FactData::Remediated(data) => data.windows_seen_to,
        other => panic!("{other:?}"),
    };
    assert_eq!(seen_to(&scene), Some(at("05-09")), "as after a restart");
}

#[test]
fn a_bad_window_after_the_remediation_fails_it() {
    let mut scene = Scene::new();
    let bad = drift("05-08");
    scene.breach(&bad);
    scene.respond("05-08 00:20", "user:edgar", Command::Remediate);
    scene.window(&bad, "05-09", Bad);
    let mut sustained = bad.clone();
    sustained.transition = Transition::Sustained;
    (sustained.window_end, sustained.detected_at) = (at("05-09"), at("05-09"));
    scene.breach(&sustained).run_to("05-09 00:45");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:20:00 Remediated: by user:edgar: Fix
        05-09 00:00:00 VerificationFailed: flight.arr_delay_min drift
        05-09 00:00:00 Escalated: data-steward to data-steward loop 1 by verification_failed, enters 05-09 00:00:00
        05-09 00:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (verification_failed) respond by 05-09 00:30:00
        05-09 00:30:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-09 00:30:00
        05-09 00:30:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-09 01:30:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_breach_after_the_clearing_fails_the_verification() {
    let mut scene = Scene::new();
    let (bad, again) = (drift("05-08"), drift("05-10"));
    scene.breach(&bad).clear(&bad, "05-09").breach(&again).run_to("05-10 00:10");
    let story = scene.story();
    expect![[r#"
        05-09 00:00:00 BreachCleared: flight.arr_delay_min drift left 0
        05-10 00:00:00 BreachAttached: flight.arr_delay_min drift
        05-10 00:00:00 VerificationFailed: flight.arr_delay_min drift
        05-10 00:00:00 Escalated: architect to data-steward loop 1 by verification_failed, enters 05-10 00:00:00
        05-10 00:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (verification_failed) respond by 05-10 00:30:00
    "#]].assert_eq(&story[story.find("05-09").unwrap()..]);
    scene.check();
}

#[test]
fn a_new_breach_within_two_hours_reopens_and_later_it_opens_another() {
    let mut scene = Scene::new();
    let warning = |when: &str| breach(DELAY, ExpectationKind::Range, Severity::Warning, at(when));
    let first = warning("05-08 14:00");
    scene.breach(&first).clear(&first, "05-08 15:00");
    let second = warning("05-08 17:00");
    scene.breach(&second).clear(&second, "05-08 18:00");
    scene.breach(&warning("05-08 20:01")).run_to("05-08 20:05");
    expect![[r#"
        05-08 14:01:00 Opened: feature:flight.arr_delay_min warning range by itself owner user:ada step data-steward at 05-08 14:01:00
        05-08 14:01:00 BreachAttached: flight.arr_delay_min range
        05-08 14:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 14:31:00
        05-08 14:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 14:31:00
        05-08 14:31:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 15:31:00
        05-08 15:00:00 BreachCleared: flight.arr_delay_min range left 0
        05-08 15:00:00 Resolved: cleared
        05-08 17:01:00 Reopened: step data-steward
        05-08 17:01:00 BreachAttached: flight.arr_delay_min range
        05-08 17:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (reopened) respond by 05-08 17:31:00
        05-08 17:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 17:31:00
        05-08 17:31:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 18:31:00
        05-08 18:00:00 BreachCleared: flight.arr_delay_min range left 0
        05-08 18:00:00 FlappingStarted: 4 of 20 until 05-13 18:00:00
        05-08 18:00:00 Resolved: cleared
        05-08 20:01:00 Closed: settled
        05-08 20:02:00 Opened: feature:flight.arr_delay_min warning range by itself owner user:ada step data-steward at 05-08 20:02:00
        05-08 20:02:00 BreachAttached: flight.arr_delay_min range
        05-08 20:02:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 20:32:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn keep_firing_for_holds_the_end_back() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.damping.keep_firing_for = TimeSpan::MINUTE.times(10);
    let warning = breach(DELAY, ExpectationKind::Range, Severity::Warning, at("05-08 14:00"));
    scene.breach(&warning).clear(&warning, "05-08 15:00").run_to("05-08 15:09");
    scene.story();
    scene.run_to("05-08 16:00");
    expect![[r#"
        05-08 15:10:00 Resolved: cleared
    "#]]
    .assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_restored_stage_goes_on_as_if_nothing_had_happened() {
    let mut scene = Scene::new();
    let (bad, held) = (
        drift("05-08"),
        breach("flight.origin", ExpectationKind::Drift, Severity::Error, at("05-08 00:20")),
    );
    scene.breach(&bad).breach(&held).run_to("05-08 00:20");
    let mut again = Escalate::new(Settings::default());
    for fact in &scene.out.facts {
        again.restore_fact(fact);
    }
    for breach in [&bad, &held] {
        again.restore_breach(breach, &scene.world);
    }
    let mut out = Outputs::default();
    while let Some(due_at) = again.next_deadline().filter(|due_at| *due_at <= at("05-09")) {
        again.advance(&scene.world, due_at, &mut out);
    }
    let from = (scene.out.facts.len(), scene.out.escalations.len());
    scene.run_to("05-09");
    assert_eq!(out.facts, scene.out.facts[from.0..]);
    assert_eq!(out.escalations, scene.out.escalations[from.1..]);
    assert!(out.facts.len() > 10);
}

#[test]
fn good_windows_are_counted_again_after_a_restart() {
    let mut scene = Scene::new();
    let bad = drift("05-08");
    scene.breach(&bad).clear(&bad, "05-09").window(&bad, "05-10", Good).run_to("05-10");
    let mut again = Escalate::new(Settings::default());
    scene.out.facts.iter().for_each(|fact| again.restore_fact(fact));
    again.restore_window(&super::scene::window(&bad, "05-10", Good));
    scene.stage = again;
    scene.story();
    scene.window(&bad, "05-11", Good).run_to("05-11");
    expect![[r#"
        05-11 00:00:00 Verified: by good_windows, 2 good
        05-11 00:00:00 Resolved: verified
    "#]]
    .assert_eq(&scene.story());
    scene.check();
}

/// A revision may find that an earlier window was bad and that the next one
/// was good, while a later one is bad: a breach that opens and clears at once.
#[test]
fn an_earlier_breach_that_clears_leaves_the_standing_one() {
    let mut scene = Scene::new();
    let standing = drift("05-08");
    scene.breach(&standing);
    let earlier = drift("05-08 00:10");
    assert_ne!(earlier.breach_id, standing.breach_id);
    scene.breach(&earlier);
    scene.clear(&earlier, "05-08 00:20");
    assert!(scene.story().contains("drift left 1"), "{}", scene.story());
    assert!(!scene.story().contains("Resolved"), "{}", scene.story());
    scene.window(&standing, "05-09", Good).clear(&standing, "05-09");
    assert!(scene.story().contains("drift left 0"), "{}", scene.story());
    scene.check();
}

#[test]
fn an_incident_goes_on_by_its_own_revision_after_a_restart() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 00:10");
    let mut newer = scene.world.policies["flights"].clone();
    newer.version += 1;
    newer.steps[2].name = "committee".into();
    let older = scene.world.policies.insert("flights".into(), newer).unwrap();
    let next_step = |scene: &Scene| {
        let mut again = Escalate::new(Settings::default());
        scene.out.facts.iter().for_each(|fact| again.restore_fact(fact));
        again.advance(&scene.world, at("05-08 00:31"), &mut Outputs::default());
        again.open_incidents().next().unwrap().step.to_owned()
    };
    assert_eq!(next_step(&scene), "committee", "nothing else is known of it");
    scene.world.policies.insert("flights version 3".into(), older);
    assert_eq!(next_step(&scene), "architect");
}
