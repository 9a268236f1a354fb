//! How an incident climbs when nobody answers.

use expect_test::expect;
use watchkeep_model::charter::{ExpectationKind, Lifecycle, Severity};
use watchkeep_model::escalation::Audience;
use watchkeep_model::incident::FactData;
use watchkeep_model::policy::{GroupKey, Trigger};
use watchkeep_model::time::TimeSpan;

use super::scene::{DELAY, Scene, at, breach, declared, drift, latency, nulls, world};

#[test]
fn nobody_answers_so_it_climbs_twice_and_is_exhausted() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 12:00");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 00:31:00
        05-08 00:31:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 01:31:00
        05-08 01:31:00 Escalated: architect to data-steward loop 2 by not_acknowledged, enters 05-08 01:31:00
        05-08 01:31:00 Notified: data-steward loop 2: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-08 02:01:00
        05-08 02:01:00 Escalated: data-steward to architect loop 2 by not_acknowledged, enters 05-08 02:01:00
        05-08 02:01:00 Notified: architect loop 2: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 03:01:00
        05-08 03:01:00 Exhausted: after architect of loop 2 by not_acknowledged
        05-08 03:01:00 Notified: on_exhausted loop 2: user:radia as group:data-governance by email:radia@example.com (exhausted) respond by -
        05-08 07:01:00 Notified: on_exhausted loop 2: user:radia as group:data-governance by email:radia@example.com (repeat) respond by -
        05-08 11:01:00 Notified: on_exhausted loop 2: user:radia as group:data-governance by email:radia@example.com (repeat) respond by -
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn the_absent_backup_is_passed_over_from_6_to_20_may() {
    let told = |when: &str| {
        let mut scene = Scene::new();
        let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
        charter.fields.owners.primary = None;
        let opening = breach(DELAY, ExpectationKind::Latency, Severity::Error, at(when));
        scene.breach(&opening).run_to(&(at(when) + TimeSpan::MINUTE).to_string());
        scene.check();
        let FactData::Opened(opened) = &scene.out.facts[0].data else { panic!("not opened") };
        let links = opened.resolution.clone();
        links.iter().fold(scene.story(), |told, link| {
            let tried = link.tried.as_deref().unwrap_or("-");
            told + &format!("{}: {tried} {}\n", link.link, link.outcome)
        })
    };
    expect![[r#"
        05-05 00:01:00 Opened: feature:flight.arr_delay_min error latency by itself owner user:grace step on-call at 05-05 00:01:00
        05-05 00:01:00 BreachAttached: flight.arr_delay_min latency
        05-05 00:01:00 Notified: on-call loop 1: user:grace as primary by pagerduty:flight-data (first) respond by 05-05 00:11:00
        05-05 00:01:00 Notified: on-call loop 1: user:ada as schedule:flight-data by pagerduty:flight-data (first) respond by 05-05 00:11:00
        primary: - not set
        backup: user:grace answers
    "#]].assert_eq(&told("05-05"));
    expect![[r#"
        05-12 00:01:00 Opened: feature:flight.arr_delay_min error latency by itself owner user:ada step on-call at 05-12 00:01:00
        05-12 00:01:00 BreachAttached: flight.arr_delay_min latency
        05-12 00:01:00 Notified: on-call loop 1: user:ada as primary by pagerduty:flight-data (first) respond by 05-12 00:11:00
        primary: - not set
        backup: user:grace absent until 2013-05-20T00:00:00Z
        view: view:flight-status has no owner
        group: group:flight-data answers: user:ada
    "#]].assert_eq(&told("05-12"));
    assert!(told("05-19 23:58").contains("absent until"));
    assert!(!told("05-19 23:59").contains("absent until"));
}

#[test]
fn a_warning_at_night_waits_for_working_hours() {
    let mut scene = Scene::new();
    // Friday, 24 May, 20:00 in New York; Monday is a holiday.
    scene.breach(&latency("05-25")).run_to("05-28 13:30");
    expect![[r#"
        05-25 00:01:00 Opened: feature:flight.arr_delay_min warning latency by itself owner user:ada step on-call at 05-28 13:00:00
        05-25 00:01:00 BreachAttached: flight.arr_delay_min latency
        05-28 13:00:00 Notified: on-call loop 1: user:ada as primary by pagerduty:flight-data (first) respond by 05-28 13:10:00
        05-28 13:10:00 Escalated: on-call to data-steward loop 1 by not_acknowledged, enters 05-28 13:10:00
        05-28 13:10:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-28 13:40:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_breach_that_clears_while_it_is_held_opens_nothing() {
    let mut scene = Scene::new();
    let short = drift("05-08");
    scene.breach(&short).clear(&short, "05-08 00:01").run_to("05-09");
    assert_eq!(scene.story(), "");
    assert_eq!(scene.stage.next_deadline(), None);
}

#[test]
fn draft_and_retired_features_page_nobody() {
    for lifecycle in [Lifecycle::Draft, Lifecycle::Retired] {
        let mut scene = Scene::new();
        let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
        charter.fields.lifecycle = Some(lifecycle);
        scene.breach(&drift("05-08")).run_to("05-09");
        assert_eq!(scene.story(), "");
        assert!(scene.out.escalations.is_empty());
    }
}

#[test]
fn many_features_of_one_dataset_page_its_owner_once() {
    let mut scene = Scene::new();
    let dataset =
        breach("dataset:bts.on_time", ExpectationKind::Freshness, Severity::Error, at("05-08"));
    scene.breach(&dataset).breach(&drift("05-08"));
    scene.breach(&breach("flight.origin", ExpectationKind::Drift, Severity::Error, at("05-08")));
    scene.run_to("05-08 00:01");
    expect![[r#"
        05-08 00:01:00 Opened: dataset:bts.on_time error freshness by upstream_breach owner user:ken step on-call at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: dataset:bts.on_time freshness
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 BreachAttached: flight.origin drift
        05-08 00:01:00 Notified: on-call loop 1: user:ken as primary by pagerduty:flight-data (first) respond by 05-08 00:11:00
        05-08 00:01:00 Notified: on-call loop 1: user:ada as schedule:flight-data by pagerduty:flight-data (first) respond by 05-08 00:11:00
    "#]].assert_eq(&scene.story());
    let told: Vec<String> = scene
        .out
        .escalations
        .iter()
        .map(|e| {
            let name = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            format!(
                "{} {} {} {} {}",
                e.audience.name(),
                name(&e.target),
                name(&e.role),
                e.reason,
                e.summary
            )
        })
        .collect();
    expect![[r#"
        inform model:delay-forecast consumer breach error: freshness of dataset:bts.on_time, 3 features affected (triggered)
        inform group:crew-planning subscriber breach error: freshness of dataset:bts.on_time, 3 features affected (triggered)
        inform user:ada feature_owner breach error: freshness of dataset:bts.on_time, 3 features affected (triggered)
        status - - opened error: freshness of dataset:bts.on_time, 3 features affected (triggered)
        page user:ken primary first error: freshness of dataset:bts.on_time, 3 features affected (triggered)
        page user:ada schedule:flight-data first error: freshness of dataset:bts.on_time, 3 features affected (triggered)"#]].assert_eq(&told.join("\n"));
    scene.check();
}

#[test]
fn twenty_features_move_on_from_on_call_at_once() {
    let mut scene = Scene::new();
    scene.world.policies.get_mut("flights").unwrap().grouping.by = vec![GroupKey::Kind];
    for n in 0..20 {
        let feature = format!("flight.f{n}");
        scene.breach(&breach(&feature, ExpectationKind::Latency, Severity::Error, at("05-21")));
    }
    scene.run_to("05-21 00:01");
    let story = scene.story();
    let moves: Vec<&str> = story.lines().filter(|line| !line.contains("Attached")).collect();
    expect![[r#"
        05-21 00:01:00 Opened: feature:flight.f0 error latency by lineage_unknown owner user:ada step on-call at 05-21 00:01:00
        05-21 00:01:00 Notified: on-call loop 1: user:ada as primary by pagerduty:flight-data (first) respond by 05-21 00:11:00
        05-21 00:01:00 Notified: on-call loop 1: user:grace as schedule:flight-data by pagerduty:flight-data (first) respond by 05-21 00:11:00
        05-21 00:01:00 Escalated: on-call to data-steward loop 1 by affected_features, enters 05-21 00:01:00
        05-21 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-21 00:31:00"#]].assert_eq(&moves.join("\n"));
    scene.check();
}

#[test]
fn the_third_in_seven_days_moves_on() {
    let mut scene = Scene::new();
    for day in ["05-08", "05-10", "05-13"] {
        let one = breach(
            DELAY,
            ExpectationKind::Range,
            Severity::Warning,
            at(day) + TimeSpan::HOUR.times(15),
        );
        scene.breach(&one).run_to(&format!("{day} 15:02"));
        scene.clear(&one, &format!("{day} 16:00")).run_to(&format!("{day} 16:00"));
    }
    let moves: Vec<String> =
        scene.story().lines().filter(|l| l.contains("Escalated")).map(str::to_owned).collect();
    expect![[r#"
        05-08 15:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 15:31:00
        05-10 15:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-10 15:31:00
        05-13 15:01:00 Escalated: data-steward to architect loop 1 by recurrence, enters 05-13 15:01:00"#]].assert_eq(&moves.join("\n"));
}

#[test]
fn a_worse_breach_joins_and_changes_the_severity_but_not_the_step() {
    let mut scene = Scene::new();
    scene.world.policies.get_mut("flights").unwrap().grouping.by = vec![GroupKey::Root];
    scene.breach(&drift("05-08")).run_to("05-08 00:10");
    scene.breach(&nulls("05-08 00:20")).run_to("05-08 00:25");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:20:00 BreachAttached: flight.arr_delay_min missing
        05-08 00:20:00 SeverityChanged: error to critical
        05-08 00:20:00 ActionRecorded: rollback_proposed: missing of flight.arr_delay_min is a criterion for rolling back: https://wiki.example.com/rollback
        05-08 00:20:00 ActionRecorded: update_sent: breaches have joined; one subject breaches now
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_severity_that_the_step_names_moves_on() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.grouping.by = vec![GroupKey::Root];
    policy.steps[1].escalate_if.push(Trigger::Severity(Severity::Critical));
    scene.breach(&drift("05-08")).run_to("05-08 00:10");
    scene.story();
    scene.breach(&nulls("05-08 00:20")).run_to("05-08 00:25");
    expect![[r#"
        05-08 00:20:00 BreachAttached: flight.arr_delay_min missing
        05-08 00:20:00 SeverityChanged: error to critical
        05-08 00:20:00 ActionRecorded: rollback_proposed: missing of flight.arr_delay_min is a criterion for rolling back: https://wiki.example.com/rollback
        05-08 00:20:00 Escalated: data-steward to architect loop 1 by severity, enters 05-08 00:20:00
        05-08 00:20:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 01:20:00
        05-08 00:20:00 Notified: architect loop 1: user:radia as executive by email:architecture@example.com (escalated) respond by 05-08 01:20:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_worse_breach_does_not_wait_for_working_hours() {
    let mut scene = Scene::new();
    scene.world.policies.get_mut("flights").unwrap().grouping.by = vec![GroupKey::Root];
    scene.breach(&latency("05-25")).run_to("05-25 00:30");
    scene.story();
    scene.breach(&nulls("05-25 01:00")).run_to("05-25 01:00");
    expect![[r#"
        05-25 01:00:00 BreachAttached: flight.arr_delay_min missing
        05-25 01:00:00 SeverityChanged: warning to critical
        05-25 01:00:00 Notified: on-call loop 1: user:ada as primary by pagerduty:flight-data (first) respond by 05-25 01:10:00
        05-25 01:00:00 Notified: on-call loop 1: user:grace as schedule:flight-data by pagerduty:flight-data (first) respond by 05-25 01:10:00
        05-25 01:00:00 ActionRecorded: rollback_proposed: missing of flight.arr_delay_min is a criterion for rolling back: https://wiki.example.com/rollback
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn nobody_to_notify_moves_on_at_once() {
    let mut scene = Scene::new();
    scene.world.directory.users.get_mut("edgar").unwrap().active = false;
    scene.breach(&drift("05-08")).run_to("05-08 00:05");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 NotificationSkipped: data-steward loop 1: user:edgar as data_steward: inactive
        05-08 00:01:00 Escalated: data-steward to architect loop 1 by nobody_to_notify, enters 05-08 00:01:00
        05-08 00:01:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 01:01:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_fourth_open_incident_goes_to_the_backup_if_there_is_one() {
    let mut scene = Scene::new();
    let outage = |feature: &str, when: &str| {
        breach(feature, ExpectationKind::Latency, Severity::Error, at(when))
    };
    for n in 0..4 {
        scene.breach(&outage(&format!("flight.f{n}"), "05-03"));
    }
    scene.run_to("05-03 00:01");
    let owners: Vec<_> = scene.stage.open_incidents().filter_map(|one| one.owner).collect();
    assert_eq!(owners.iter().filter(|owner| **owner == "user:ada").count(), 3);
    assert_eq!(owners.iter().filter(|owner| **owner == "user:grace").count(), 1);
    let mut scene = Scene::new();
    for n in 0..4 {
        scene.breach(&outage(&format!("flight.f{n}"), "05-08"));
    }
    scene.run_to("05-08 00:01");
    assert!(scene.stage.open_incidents().all(|one| one.owner == Some("user:ada")));
}

#[test]
fn without_a_policy_the_built_in_one_holds() {
    let mut scene = Scene::within({
        let mut world = world();
        world.policies.clear();
        world
    });
    scene.breach(&drift("05-08")).run_to("05-08 00:40");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step owner at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: owner loop 1: user:ada as primary by pagerduty:flight-data (first) respond by 05-08 00:31:00
        05-08 00:01:00 Notified: owner loop 1: user:ada as primary by email:ada@example.com (first) respond by 05-08 00:31:00
        05-08 00:31:00 Escalated: owner to backup loop 1 by not_acknowledged, enters 05-08 00:31:00
        05-08 00:31:00 NotificationSkipped: backup loop 1: user:grace as backup: absent until 2013-05-20T00:00:00Z
        05-08 00:31:00 Notified: backup loop 1: user:edgar as data_steward by email:edgar@example.com (escalated) respond by 05-08 01:01:00
        05-08 00:31:00 Notified: backup loop 1: user:radia as executive by email:radia@example.com (escalated) respond by 05-08 01:01:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_late_service_fires_each_timer_once_and_gives_people_their_time() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 00:01");
    scene.story();
    // The service was down for a day.
    let now = at("05-09");
    scene.stage.advance(&scene.world, now, &mut scene.out);
    expect![[r#"
        05-08 00:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-09 00:00:00 late 84540000000us
        05-09 00:00:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-09 01:00:00
    "#]].assert_eq(&scene.story());
    // A breach of long ago opens at once, not in the past.
    let old = breach("flight.origin", ExpectationKind::Drift, Severity::Error, at("04-01"));
    scene.stage.breach(&old, &scene.world, now, &mut scene.out);
    assert_eq!(scene.stage.next_deadline(), Some(now));
    scene.stage.advance(&scene.world, now, &mut scene.out);
    expect![[r#"
        05-09 00:00:00 Opened: feature:flight.origin error drift by itself owner user:ada step data-steward at 05-09 00:00:00
        05-09 00:00:00 BreachAttached: flight.origin drift
        05-09 00:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-09 00:30:00
    "#]].assert_eq(&scene.story());
    let status = scene.out.escalations.iter().filter(|e| e.audience == Audience::Status).count();
    assert_eq!(status, 2);
    scene.check();
}

#[test]
fn policies_that_a_reader_would_refuse_still_end() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.loops = u32::MAX;
    policy.grouping.repeat_interval = TimeSpan::ZERO;
    for step in &mut policy.steps {
        step.name = "same".into();
        step.kinds.clear();
        step.notify.clear();
    }
    scene.breach(&drift("05-08")).run_to("05-08 00:10");
    scene.check();
    assert!(scene.stage.open_incidents().all(|incident| incident.exhausted));
}

#[test]
fn a_storm_through_one_dataset_is_one_incident() {
    const FEATURES: usize = 2_000;
    let mut scene = Scene::new();
    let charter = scene.world.charters["feature:flight.f0"].clone();
    let subjects: Vec<String> = (0..FEATURES).map(|n| format!("feature:storm.{n}")).collect();
    for subject in &subjects {
        scene.world.charters.insert(subject.clone(), charter.clone());
    }
    let edges: Vec<_> = subjects.iter().map(|to| ("dataset:bts.on_time", to.as_str())).collect();
    scene.world.lineage = declared(&edges);
    let storm = |feature: &str, kind| breach(feature, kind, Severity::Error, at("05-08"));
    scene.breach(&storm("dataset:bts.on_time", ExpectationKind::Freshness));
    for n in 0..FEATURES {
        scene.breach(&storm(&format!("storm.{n}"), ExpectationKind::Drift));
    }
    scene.run_to("05-08 00:01");
    assert_eq!(scene.stage.open_incidents().count(), 1);
    let pages: Vec<_> =
        scene.out.escalations.iter().filter(|e| e.audience == Audience::Page).collect();
    let targets: Vec<_> = pages.iter().filter_map(|page| page.target.as_deref()).collect();
    // The dataset's owner, whom the policy's rota has on duty, and the next
    // step, because twenty features are enough for that.
    assert_eq!(targets, ["user:ken", "user:ada", "user:edgar"]);
    assert_eq!(pages[0].affected_count, FEATURES as u64 + 1);
    assert_eq!(pages[0].affected_features.len(), 50);
    scene.check();
}
