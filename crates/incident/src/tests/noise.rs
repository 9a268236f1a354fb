//! What keeps people from being flooded, and that nothing is lost by it.

use expect_test::expect;
use watchkeep_model::breach::Breach;
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::escalation::Audience;
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Verdict;

use crate::lineage::Builder;

use super::scene::{DELAY, Scene, at, breach, declared, drift, response};

fn silence(when: &str, matcher: &str, until: &str) -> Response {
    let mut wish = response(when, "user:ada", Command::Silence);
    wish.subject = None;
    wish.matchers = vec![matcher.parse().unwrap()];
    wish.until = Some(at(until));
    wish
}

fn pages(scene: &Scene, root: &str) -> usize {
    let pages = scene.out.escalations.iter().filter(|one| one.audience == Audience::Page);
    pages.filter(|one| one.subject == root).count()
}

fn of_dataset(when: &str) -> Breach {
    breach("dataset:bts.on_time", ExpectationKind::Freshness, Severity::Error, at(when))
}

#[test]
fn a_silence_holds_the_page_back_and_its_end_sends_it() {
    let mut scene = Scene::new();
    scene.send(&silence("05-07 12:00", "root=feature:flight.*", "05-08 06:00"));
    scene.breach(&drift("05-08")).run_to("05-08 06:40");
    expect![[r#"
        05-07 12:00:00 Silenced: root="feature:flight.*" until 05-08 06:00:00 by user:ada
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Silenced: root="feature:flight.*" until 05-08 06:00:00 by user:ada
        05-08 00:01:00 NotificationSkipped: data-steward loop 1: user:edgar as data_steward: silenced
        05-08 06:00:00 Unsilenced: expired
        05-08 06:00:00 Unsilenced: expired goes on with pages, acknowledge by 05-08 06:30
        05-08 06:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 06:30:00
        05-08 06:30:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 06:30:00
        05-08 06:30:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 07:30:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_silence_lets_deadlines_rest_after_the_page() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 00:11");
    scene.send(&silence("05-08 00:11", "kind=drift", "05-08 02:11"));
    scene.run_to("05-08 02:40");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:11:00 Silenced: kind="drift" until 05-08 02:11:00 by user:ada
        05-08 00:11:00 Silenced: kind="drift" until 05-08 02:11:00 by user:ada
        05-08 02:11:00 Unsilenced: expired
        05-08 02:11:00 Unsilenced: expired goes on, acknowledge by 05-08 02:31
        05-08 02:31:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 02:31:00
        05-08 02:31:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 03:31:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_silence_ends_by_command_and_when_the_incident_becomes_worse() {
    let mut scene = Scene::new();
    let wish = silence("05-07 12:00", "severity!=critical", "05-09");
    scene.send(&wish).breach(&drift("05-08")).run_to("05-08 00:05");
    let mut worse = breach(DELAY, ExpectationKind::Drift, Severity::Critical, at("05-08 01:00"));
    worse.expectation = "again".into();
    scene.breach(&worse).run_to("05-08 01:05");
    let mut end = response("05-08 02:00", "user:ada", Command::Unsilence);
    (end.subject, end.silence) = (None, Some(wish.id()));
    scene.send(&end).send(&end);
    expect![[r#"
        05-07 12:00:00 Silenced: severity!="critical" until 05-09 00:00:00 by user:ada
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Silenced: severity!="critical" until 05-09 00:00:00 by user:ada
        05-08 00:01:00 NotificationSkipped: data-steward loop 1: user:edgar as data_steward: silenced
        05-08 01:00:00 BreachAttached: flight.arr_delay_min again
        05-08 01:00:00 SeverityChanged: error to critical
        05-08 01:00:00 Unsilenced: no_match goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 01:30:00
        05-08 01:30:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 01:30:00
        05-08 01:30:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 02:30:00
        05-08 01:30:00 Notified: architect loop 1: user:radia as executive by email:architecture@example.com (escalated) respond by 05-08 02:30:00
        05-08 02:00:00 Unsilenced: command
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn silences_that_make_no_sense_are_refused() {
    let mut scene = Scene::new();
    let good = silence("05-08", "root=x", "05-09");
    let change = |change: &dyn Fn(&mut Response)| {
        let mut wish = good.clone();
        change(&mut wish);
        wish
    };
    let refused = [
        change(&|wish| wish.rationale = None),
        change(&|wish| wish.until = None),
        change(&|wish| wish.until = Some(at("05-08"))),
        change(&|wish| wish.from = Some(at("05-10"))),
        change(&|wish| wish.matchers.clear()),
        change(&|wish| wish.matchers = vec!["colour=red".parse().unwrap()]),
        change(&|wish| wish.matchers = vec!["root=~\"(\"".parse().unwrap()]),
        change(&|wish| wish.by = "user:nobody".into()),
        good.clone(),
        good.clone(),
    ];
    refused.iter().for_each(|wish| _ = scene.send(wish));
    expect![[r#"
        05-08 00:00:00 CommandRejected: silence by user:ada: a silence needs a rationale: why nobody is to be told
        05-08 00:00:00 CommandRejected: silence by user:ada: a silence says `until` when
        05-08 00:00:00 CommandRejected: silence by user:ada: a silence ends after it begins
        05-08 00:00:00 CommandRejected: silence by user:ada: a silence ends after it begins
        05-08 00:00:00 CommandRejected: silence by user:ada: a silence needs matchers, an incident or a subject, for example root=dataset:weather
        05-08 00:00:00 CommandRejected: silence by user:ada: `colour` is no label of incidents; there are domain, drill, feature, group, incident, kind, owner, policy, root, severity, subject, system, unowned
        05-08 00:00:00 CommandRejected: silence by user:ada: `(` is not a regular expression: found open group without closing ')'
        05-08 00:00:00 CommandRejected: silence by user:nobody: `user:nobody` is not a user of the directory
        05-08 00:00:00 Silenced: root="x" until 05-09 00:00:00 by user:ada
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn an_incident_downstream_of_another_is_quiet_until_that_one_is_over() {
    let mut scene = Scene::new();
    let (feature, dataset) = (drift("05-08"), of_dataset("05-08 00:10"));
    scene.breach(&feature).run_to("05-08 00:05");
    scene.breach(&dataset).run_to("05-08 04:00");
    scene.clear(&dataset, "05-08 05:00").run_to("05-08 05:10");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:11:00 Opened: dataset:bts.on_time error freshness by itself owner user:ken step on-call at 05-08 00:11:00
        05-08 00:11:00 BreachAttached: dataset:bts.on_time freshness
        05-08 00:11:00 Notified: on-call loop 1: user:ken as primary by pagerduty:flight-data (first) respond by 05-08 00:21:00
        05-08 00:11:00 Notified: on-call loop 1: user:ada as schedule:flight-data by pagerduty:flight-data (first) respond by 05-08 00:21:00
        05-08 00:11:00 Inhibited: upstream
        05-08 00:21:00 Escalated: on-call to data-steward loop 1 by not_acknowledged, enters 05-08 00:21:00
        05-08 00:21:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-08 00:51:00
        05-08 00:51:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 00:51:00
        05-08 00:51:00 NotificationSkipped: architect loop 1: - as architect: the charter names nobody
        05-08 00:51:00 Escalated: architect to on-call loop 2 by nobody_to_notify, enters 05-08 00:51:00
        05-08 00:51:00 Notified: on-call loop 2: user:ken as primary by pagerduty:flight-data (escalated) respond by 05-08 01:01:00
        05-08 00:51:00 Notified: on-call loop 2: user:ada as schedule:flight-data by pagerduty:flight-data (escalated) respond by 05-08 01:01:00
        05-08 01:01:00 Escalated: on-call to data-steward loop 2 by not_acknowledged, enters 05-08 01:01:00
        05-08 01:01:00 Notified: data-steward loop 2: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-08 01:31:00
        05-08 01:31:00 Escalated: data-steward to architect loop 2 by not_acknowledged, enters 05-08 01:31:00
        05-08 01:31:00 NotificationSkipped: architect loop 2: - as architect: the charter names nobody
        05-08 01:31:00 Exhausted: after architect of loop 2 by nobody_to_notify
        05-08 01:31:00 Notified: on_exhausted loop 2: user:radia as group:data-governance by email:radia@example.com (exhausted) respond by -
        05-08 05:00:00 BreachCleared: dataset:bts.on_time freshness left 0
        05-08 05:00:00 Uninhibited: cleared goes on, acknowledge by 05-08 05:20
    "#]].assert_eq(&scene.story());
    scene.check();
}

/// A service that catches up by weeks: the edge was fresh when it happened and
/// is stale by the clock.
#[test]
fn who_speaks_for_whom_is_asked_as_of_the_breaches() {
    let mut scene = Scene::new();
    let mut builder = Builder::default();
    builder.note("dataset:bts.on_time", "feature:flight.arr_delay_min", at("05-07"));
    scene.world.lineage = builder.build();
    let late = at("05-28");
    for (minutes, breach) in [(0, &drift("05-08")), (5, &of_dataset("05-08 01:00"))] {
        let now = late + TimeSpan::MINUTE.times(minutes);
        scene.stage.breach(breach, &scene.world, now, &mut scene.out);
        scene.stage.advance(&scene.world, now, &mut scene.out);
    }
    let inhibited = |fact: &Fact| matches!(fact.data, FactData::Inhibited(_));
    assert_eq!(scene.out.facts.iter().filter(|fact| inhibited(fact)).count(), 1);
    scene.check();
}

#[test]
fn a_feature_that_recovers_with_its_dataset_pages_nobody_again() {
    let mut scene = Scene::new();
    let (feature, dataset) = (drift("05-08"), of_dataset("05-08 00:10"));
    scene.breach(&feature).run_to("05-08 00:05");
    scene.breach(&dataset).run_to("05-08 01:00");
    scene.clear(&dataset, "05-08 05:00").clear(&feature, "05-08 05:00").run_to("05-08 12:00");
    assert_eq!(pages(&scene, "feature:flight.arr_delay_min"), 1);
    scene.check();
}

#[test]
fn what_comes_and_goes_is_damped_and_not_lost() {
    let mut scene = Scene::new();
    let hourly = |when: &str| {
        let mut one = drift(when);
        one.window = "1h".into();
        one.window_start = one.window_end - watchkeep_model::time::TimeSpan::HOUR;
        one.severity = Severity::Warning;
        one
    };
    for hour in ["05-08 14", "05-08 15"] {
        let bad = hourly(&format!("{hour}:00"));
        scene.breach(&bad).clear(&bad, &format!("{hour}:30"));
    }
    scene.breach(&hourly("05-08 16:00"));
    scene.run_to("05-08 23:00");
    expect![[r#"
        05-08 14:01:00 Opened: feature:flight.arr_delay_min warning drift by itself owner user:ada step data-steward at 05-08 14:01:00
        05-08 14:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 14:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 14:31:00
        05-08 14:30:00 BreachCleared: flight.arr_delay_min drift left 0
        05-08 14:30:00 Resolved: cleared
        05-08 15:01:00 Reopened: step data-steward
        05-08 15:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 15:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (reopened) respond by 05-08 15:31:00
        05-08 15:30:00 BreachCleared: flight.arr_delay_min drift left 0
        05-08 15:30:00 FlappingStarted: 4 of 20 until 05-08 20:30:00
        05-08 15:30:00 Resolved: cleared
        05-08 16:01:00 Reopened: step data-steward
        05-08 16:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 16:01:00 NotificationSkipped: data-steward loop 1: user:edgar as data_steward: flapping
        05-08 20:30:00 ActionRecorded: flapping_goes_on: it changed 5 times within 20 windows
        05-08 21:00:00 FlappingEnded: 5 of 20 goes on with pages, acknowledge by 05-08 21:30
        05-08 21:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (reopened) respond by 05-08 21:30:00
        05-08 21:30:00 Escalated: data-steward to architect loop 1 by not_acknowledged, enters 05-08 21:30:00
        05-08 21:30:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 22:30:00
        05-08 22:30:00 Escalated: architect to data-steward loop 2 by not_acknowledged, enters 05-09 13:00:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn joined_breaches_are_told_of_once_an_interval() {
    let mut scene = Scene::new();
    scene.breach(&of_dataset("05-08")).run_to("05-08 00:02");
    for minute in 2..9 {
        let name = format!("flight.f{minute}");
        let mut joins = breach(
            "dataset:bts.on_time",
            ExpectationKind::Freshness,
            Severity::Error,
            at(&format!("05-08 00:0{minute}")),
        );
        joins.expectation = name;
        scene.breach(&joins);
    }
    scene.run_to("05-08 00:09");
    let updates = scene.out.escalations.iter().filter(|one| one.reason == "update");
    let told: Vec<String> = updates.map(|one| one.time.to_string()).collect();
    expect!["2013-05-08T00:06:00Z"].assert_eq(&told.join("\n"));
    scene.check();
}

/// A world in which `f0` to `f29` stand for themselves, so that each breach is
/// an incident, and in which warnings do not wait for the morning.
pub(super) fn burst_of(count: usize, when: &str) -> (Scene, Vec<Breach>) {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.limits.platform_incident_share = None;
    let all: Vec<Breach> = (0..count)
        .map(|n| {
            let severity = if n == 7 { Severity::Critical } else { Severity::Error };
            breach(&format!("flight.f{n}"), ExpectationKind::Drift, severity, at(when))
        })
        .collect();
    all.iter().for_each(|one| _ = scene.breach(one));
    (scene, all)
}

#[test]
fn pages_beyond_the_limit_of_their_owner_come_as_one_digest() {
    let (mut scene, all) = burst_of(9, "05-08");
    scene.run_to("05-08 00:02");
    let to_edgar = |scene: &Scene| -> Vec<String> {
        let pages = scene.out.escalations.iter().filter(|one| one.audience == Audience::Page);
        pages.map(|one| format!("{} {} {}", one.time, one.reason, one.summary)).collect()
    };
    assert_eq!(to_edgar(&scene).len(), 5);
    scene.clear(&all[3], "05-08 00:05").run_to("05-08 00:12");
    expect![[r#"
        2013-05-08T00:01:00Z first critical: drift of feature:flight.f7 (triggered)
        2013-05-08T00:01:00Z first error: drift of feature:flight.f1 (triggered)
        2013-05-08T00:01:00Z first error: drift of feature:flight.f2 (triggered)
        2013-05-08T00:01:00Z first error: drift of feature:flight.f6 (triggered)
        2013-05-08T00:01:00Z first error: drift of feature:flight.f4 (triggered)
        2013-05-08T00:11:00Z digest error: drift of feature:flight.f8 (triggered); and 2 incidents more"#]].assert_eq(&to_edgar(&scene).join("\n"));
    let digests = scene.out.facts.iter().filter(|fact| match &fact.data {
        FactData::Notified(data) => data.reason == "digest",
        _ => false,
    });
    let limited = scene.out.facts.iter().filter(|fact| match &fact.data {
        FactData::NotificationSkipped(data) => data.reason == "limited",
        _ => false,
    });
    // One of the four has recovered before there was room.
    assert_eq!((limited.count(), digests.count()), (4, 3));
    scene.check();
}

#[test]
fn a_digest_leaves_out_what_is_answered_or_silenced_by_then() {
    let (mut scene, _) = burst_of(9, "05-08");
    scene.run_to("05-08 00:02");
    let waiting: Vec<String> = scene
        .out
        .facts
        .iter()
        .filter(|fact| matches!(&fact.data, FactData::NotificationSkipped(_)))
        .map(|fact| fact.incident_id.clone())
        .collect();
    let mut taken = response("05-08 00:05", "user:edgar", Command::Acknowledge);
    (taken.incident, taken.subject) = (Some(waiting[0].clone()), None);
    scene.send(&taken);
    scene.send(&silence("05-08 00:05", &format!("incident={}", waiting[1]), "05-08 06:00"));
    scene.run_to("05-08 00:12");
    let told = |scene: &Scene, id: &str| {
        let facts = scene.out.facts.iter().filter(|fact| fact.incident_id == id);
        facts.filter(|fact| matches!(fact.data, FactData::Notified(_))).count()
    };
    let counts: Vec<usize> = waiting.iter().map(|id| told(&scene, id)).collect();
    assert_eq!(counts, [0, 0, 1, 1]);
    // The silence's end sends what it held back.
    scene.run_to("05-08 06:01");
    assert!(told(&scene, &waiting[1]) >= 1);
    scene.check();
}

/// A good window of each of so many features.
fn judged(scene: &mut Scene, count: usize, when: &str) {
    for n in 0..count {
        let of = breach(&format!("flight.f{n}"), ExpectationKind::Drift, Severity::Error, at(when));
        scene.window(&of, when, Verdict::Good);
    }
}

#[test]
fn too_large_a_share_that_nothing_explains_is_one_platform_incident() {
    let mut scene = Scene::new();
    judged(&mut scene, 20, "05-07");
    let all: Vec<Breach> = (0..7)
        .map(|n| {
            breach(&format!("flight.f{n}"), ExpectationKind::Drift, Severity::Error, at("05-08"))
        })
        .collect();
    all.iter().for_each(|one| _ = scene.breach(one));
    scene.run_to("05-08 00:02");
    let pages = scene.out.escalations.iter().filter(|one| one.audience == Audience::Page);
    let told: Vec<String> = pages.map(|one| format!("{} {:?}", one.summary, one.target)).collect();
    expect![[r#"
        error: platform of service:platform (triggered) Some("user:radia")
        error: platform of service:platform (triggered) Some("user:ada")"#]]
    .assert_eq(&told.join("\n"));
    // One recovers; what is left is no longer the platform's fault.
    scene.clear(&all[0], "05-08 01:00").run_to("05-08 01:01");
    let story = scene.story();
    let last: Vec<&str> = story.lines().filter(|line| line.starts_with("05-08 01:0")).collect();
    expect![[r#"
        05-08 01:00:00 BreachCleared: flight.f0 drift left 0
        05-08 01:00:00 BreachCleared: service:platform platform_incident_share left 0
        05-08 01:00:00 Uninhibited: cleared goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 01:30:00
        05-08 01:00:00 Uninhibited: cleared goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 01:30:00
        05-08 01:00:00 Uninhibited: cleared goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 01:30:00
        05-08 01:00:00 Uninhibited: cleared goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 01:30:00
        05-08 01:00:00 Uninhibited: cleared goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 01:30:00
        05-08 01:00:00 Uninhibited: cleared
        05-08 01:00:00 Uninhibited: cleared goes on with pages, acknowledge by 05-08 01:30
        05-08 01:00:00 NotificationSkipped: data-steward loop 1: user:edgar as data_steward: limited"#]].assert_eq(&last.join("\n"));
    scene.check();
}

#[test]
fn a_few_of_many_are_no_platform_incident_nor_is_one_dataset() {
    let mut scene = Scene::new();
    judged(&mut scene, 20, "05-07");
    for n in 0..6 {
        scene.breach(&breach(
            &format!("flight.f{n}"),
            ExpectationKind::Drift,
            Severity::Error,
            at("05-08"),
        ));
    }
    scene.run_to("05-08 00:02");
    assert!(scene.out.facts.iter().all(|fact| !matches!(fact.data, FactData::Inhibited(_))));
    scene.check();
}

#[test]
fn ten_thousand_breaches_through_one_dataset_are_one_page_to_its_owner() {
    const FEATURES: usize = 10_000;
    let mut scene = Scene::new();
    let names: Vec<String> = (0..FEATURES).map(|n| format!("feature:storm.f{n}")).collect();
    let edges: Vec<(&str, &str)> =
        names.iter().map(|name| ("dataset:bts.on_time", name.as_str())).collect();
    scene.world.lineage = declared(&edges);
    scene.breach(&of_dataset("05-08"));
    for n in 0..FEATURES {
        let feature = format!("storm.f{n}");
        scene.breach(&breach(&feature, ExpectationKind::Drift, Severity::Error, at("05-08")));
    }
    scene.run_to("05-08 00:02");
    let opened = scene.out.facts.iter().filter(|fact| matches!(fact.data, FactData::Opened(_)));
    assert_eq!(opened.count(), 1);
    let pages = scene.out.escalations.iter().filter(|one| one.audience == Audience::Page);
    let told: Vec<String> = pages.map(|one| one.target.clone().unwrap_or_default()).collect();
    // The dataset's owner and whoever is on duty; then the next step, for more
    // than twenty features are affected. Each of them once.
    assert_eq!(told, ["user:ken", "user:ada", "user:edgar"]);
}

#[test]
fn whoever_is_handed_what_another_has_acknowledged_is_told_when_there_is_room() {
    let (mut scene, _) = burst_of(9, "05-08");
    scene.run_to("05-08 00:02");
    let mut taken = response("05-08 00:05", "user:ada", Command::Acknowledge);
    let first = scene.out.facts.iter().find_map(|fact| match &fact.data {
        FactData::NotificationSkipped(_) => Some(fact.incident_id.clone()),
        _ => None,
    });
    (taken.incident, taken.subject) = (first.clone(), None);
    let mut handed = response("05-08 00:06", "user:ada", Command::Reassign);
    (handed.incident, handed.subject) = (first.clone(), None);
    handed.to = Some("user:edgar".into());
    scene.send(&taken).send(&handed);
    // A fact in between changes nothing.
    let mut remark = response("05-08 00:07", "user:ada", Command::Comment);
    (remark.incident, remark.subject) = (first.clone(), None);
    scene.send(&remark).run_to("05-08 00:12");
    let told: Vec<(&str, &str)> = scene
        .out
        .facts
        .iter()
        .filter(|fact| Some(&fact.incident_id) == first.as_ref())
        .filter_map(|fact| match &fact.data {
            FactData::Notified(data) => Some((data.target.as_str(), data.reason.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [("user:edgar", "digest")]);
    scene.check();
}

#[test]
fn a_repetition_that_began_under_a_silence_rests_from_then_on() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.on_exhausted.notify = vec!["user:nobody".into()];
    policy.loops = 1;
    scene.send(&silence("05-07 12:00", "root=feature:flight.*", "05-08 06:00"));
    scene.breach(&drift("05-08")).run_to("05-08 04:00");
    for minute in ["05-08 04:00", "05-08 04:01"] {
        scene.respond(minute, "user:ada", Command::Escalate);
    }
    scene.story();
    scene.run_to("05-08 08:00");
    let incident = scene.stage.open_incidents().next().map(|one| one.id.to_owned()).unwrap();
    let repeat_at = scene.stage.incident(&incident).and_then(|one| one.repeat_at);
    // Four hours after 04:01, of which two had passed when they went on.
    assert_eq!(repeat_at, Some(at("05-08 10:00")));
    expect![[r#"
        05-08 06:00:00 Unsilenced: expired
        05-08 06:00:00 Unsilenced: expired goes on
    "#]]
    .assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_silence_names_an_incident_by_its_beginning_and_none_that_is_not_there() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 00:10");
    let id = scene.stage.open_incidents().next().expect("one is open").id.to_owned();
    let mut wish = silence("05-08 00:10", "severity=error", "05-08 06:00");
    wish.incident = Some(id[..6].to_owned());
    scene.send(&wish);
    let is_silenced =
        |scene: &Scene| !scene.stage.incident(&id).expect("it is open").quiet.silences.is_empty();
    assert!(is_silenced(&scene));
    let matchers = scene.stage.silences().next().expect("one stands").data.matchers.clone();
    let told: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["severity=\"error\"".to_owned(), format!("incident=\"{id}\"")]);

    // The same said as a matcher; the incident alone is enough, too.
    for (minute, by_matcher) in [(11, true), (12, false)] {
        let when = format!("05-08 00:{minute}");
        let mut wish = silence(&when, &format!("incident={}", &id[..6]), "05-08 06:00");
        if !by_matcher {
            wish.matchers.clear();
            wish.incident = Some(id.clone());
        }
        let before = scene.stage.silences().count();
        scene.send(&wish);
        assert_eq!(scene.stage.silences().count(), before + 1);
    }
    let mut wish = silence("05-08 00:20", "severity=error", "05-08 06:00");
    wish.incident = Some("ffff".into());
    scene.send(&wish);
    let FactData::CommandRejected(refused) = &scene.out.facts.last().expect("a fact").data else {
        panic!("a silence of no incident stands");
    };
    assert_eq!(refused.rule, "there is no such incident");
    // A whole identifier may be of an incident to come.
    wish.incident = Some(id.replace(&id[..4], "ffff"));
    let before = scene.stage.silences().count();
    scene.send(&wish);
    assert_eq!(scene.stage.silences().count(), before + 1);
    scene.check();
}

#[test]
fn an_incident_that_is_open_again_tells_what_breaches_and_those_whom_no_tool_reaches() {
    let mut scene = Scene::new();
    let (first, again) = (of_feature("05-08 00:00"), of_feature("05-08 01:00"));
    scene.breach(&first).clear(&first, "05-08 00:30").run_to("05-08 00:40");
    scene.breach(&again).run_to("05-08 01:05");
    let told = |reason: &str| {
        let told = scene.out.escalations.iter().filter(|one| one.reason == reason);
        told.map(|one| (one.affected_count, one.custom_details.len())).collect::<Vec<_>>()
    };
    // The page of a warning waits for working hours.
    assert_eq!(told("reopened"), [(1, 1)]);
    let consumer = scene.out.escalations.iter();
    let consumer = consumer.filter(|one| one.target.as_deref() == Some("model:delay-forecast"));
    assert_eq!(consumer.count(), 2);
    scene.check();
}

/// A breach that needs no verification, of a feature with a consumer.
fn of_feature(when: &str) -> Breach {
    let mut breach = breach(DELAY, ExpectationKind::Drift, Severity::Warning, at(when));
    breach.affected_consumers = vec!["model:delay-forecast".into()];
    breach
}
