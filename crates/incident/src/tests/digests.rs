//! Pages that wait for a digest, and what becomes of them: where it reaches
//! nobody, where the incident has moved on, where somebody has answered.

use expect_test::expect;
use watchkeep_model::breach::Breach;
use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::incident::FactData;
use watchkeep_model::incident::data::DeliveryOutcome;
use watchkeep_model::policy::Rate;
use watchkeep_model::response::{Command, Response};
use watchkeep_model::time::TimeSpan;

use super::deliveries::{pages, report};
use super::noise::burst_of;
use super::scene::{Scene, at, breach, response};

/// The incident whose page waits first.
fn waiting(scene: &Scene) -> String {
    let skipped = scene.out.facts.iter().find_map(|fact| match &fact.data {
        FactData::NotificationSkipped(_) => Some(fact.incident_id.clone()),
        _ => None,
    });
    skipped.expect("a page that waits")
}

fn of(id: &str, when: &str, by: &str, command: Command) -> Response {
    let (incident, subject) = (Some(id.to_owned()), None);
    Response { incident, subject, ..response(when, by, command) }
}

/// Whom an incident has paged, and why.
fn told(scene: &Scene, id: &str) -> Vec<(String, String)> {
    let own = scene.out.facts.iter().filter(|fact| fact.incident_id == id);
    own.filter_map(|fact| match &fact.data {
        FactData::Notified(data) => Some((data.target.clone(), data.reason.clone())),
        _ => None,
    })
    .collect()
}

#[test]
fn a_digest_that_reaches_nobody_enters_no_step_that_waits_for_working_hours() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").expect("the policy of the charters");
    policy.limits.platform_incident_share = None;
    policy.limits.per_owner = Some(Rate { burst: 1, per: TimeSpan::MINUTE.times(40) });
    // Half an hour before the end of working hours in New York.
    let warnings: Vec<Breach> = ["flight.f0", "flight.f1"]
        .map(|feature| {
            let kind = ExpectationKind::Drift;
            breach(feature, kind, Severity::Warning, at("05-08 21:50"))
        })
        .to_vec();
    warnings.iter().for_each(|one| _ = scene.breach(one));
    scene.run_to("05-08 21:52");
    let id = waiting(&scene);
    scene.run_to("05-08 22:31");
    let digest = pages(&scene).pop().expect("a digest");
    scene.story();
    scene.send(&report("05-08 22:32", &digest, DeliveryOutcome::Failed));
    let mail = pages(&scene).pop().expect("another contact");
    assert_eq!((&digest.incident_id, &mail.incident_id), (&id, &id));
    scene.send(&report("05-08 22:33", &mail, DeliveryOutcome::Failed));
    scene.clear(&warnings[0], "05-09").run_to("05-09 13:00");
    expect![[r#"
        05-08 22:32:00 DeliveryReported: pager Failed
        05-08 22:32:00 Notified: data-steward loop 1: user:edgar as data_steward by email:edgar@example.com (delivery_failed) respond by 05-09 14:00:00
        05-08 22:33:00 DeliveryReported: pager Failed
        05-08 22:33:00 NotificationSkipped: data-steward loop 1: user:edgar as data_steward: email:edgar@example.com did not take the page, and no other contact is left
        05-08 23:11:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (digest) respond by 05-09 14:00:00
        05-09 00:00:00 BreachCleared: flight.f0 drift left 0
        05-09 00:00:00 Resolved: cleared
        05-09 02:01:00 Closed: settled
        05-09 13:00:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-09 14:00:00
    "#]].assert_eq(&scene.story());
    scene.check();
}

/// An incident that waits for a digest is handed to Edgar, and then answered.
fn handed_over_and_answered_by(user: &str) -> (Scene, String) {
    let (mut scene, _) = burst_of(9, "05-08");
    scene.run_to("05-08 00:02");
    let id = waiting(&scene);
    let mut handed = of(&id, "05-08 00:05", "user:ada", Command::Reassign);
    handed.to = Some("user:edgar".into());
    scene.send(&handed).send(&of(&id, "05-08 00:06", user, Command::Acknowledge));
    scene.run_to("05-08 00:12");
    (scene, id)
}

#[test]
fn whoever_is_handed_an_incident_is_told_also_where_another_answers_meanwhile() {
    let (scene, id) = handed_over_and_answered_by("user:ada");
    assert_eq!(told(&scene, &id), [("user:edgar".to_owned(), "digest".to_owned())]);
    scene.check();
}

#[test]
fn whoever_answers_what_was_handed_to_them_is_not_paged_for_it() {
    let (scene, id) = handed_over_and_answered_by("user:edgar");
    assert_eq!(told(&scene, &id), []);
    scene.check();
}
