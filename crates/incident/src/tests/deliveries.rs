//! What is done about pages that a sink did not take.

use expect_test::expect;
use watchkeep_model::escalation::{Audience, Escalation};
use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported};
use watchkeep_model::response::{Command, DELIVERER, Response};

use super::scene::{Scene, at, drift, latency, response, some, world};
use crate::state::people::HANDS_OVER;

/// What the deliver stage reports of a page.
pub(super) fn report(when: &str, page: &Escalation, outcome: DeliveryOutcome) -> Response {
    let delivery = DeliveryReported {
        escalation: page.id.clone(),
        sink: "pager".into(),
        tool: "pagerduty".into(),
        outcome,
        attempts: 3,
        target: page.target.clone(),
        channel: page.channel.clone(),
        to: None,
        detail: None,
        unreached: outcome == DeliveryOutcome::Failed,
        drill: page.drill,
        origin: None,
    };
    Response {
        incident: Some(page.incident_id.clone()),
        delivery: Some(delivery),
        ..Response::new(at(when), DELIVERER, Command::ReportDelivery)
    }
}

pub(super) fn pages(scene: &Scene) -> Vec<Escalation> {
    let all = scene.out.escalations.iter();
    all.filter(|message| message.audience == Audience::Page).cloned().collect()
}

/// An outage that pages ada and grace, both by `pagerduty:flight-data`.
fn outage(scene: &mut Scene) -> (Escalation, Escalation) {
    let mut outage = latency("05-21");
    outage.severity = watchkeep_model::charter::Severity::Error;
    scene.breach(&outage).run_to("05-21 00:01");
    scene.story();
    let mut pages = pages(scene).into_iter();
    let mut page =
        |target: &str| pages.find(|page| page.target.as_deref() == Some(target)).expect("a page");
    (page("user:ada"), page("user:grace"))
}

#[test]
fn who_is_not_reached_is_tried_by_the_next_contact() {
    let mut scene = Scene::new();
    let (ada, grace) = outage(&mut scene);
    scene.send(&report("05-21 00:02", &ada, DeliveryOutcome::Failed));
    scene.send(&report("05-21 00:02", &grace, DeliveryOutcome::Failed));
    let mail = pages(&scene).pop().expect("a page");
    scene.send(&report("05-21 00:03", &mail, DeliveryOutcome::Failed));
    expect![[r#"
        05-21 00:02:00 DeliveryReported: pager Failed
        05-21 00:02:00 Notified: on-call loop 1: user:ada as primary by email:ada@example.com (delivery_failed) respond by 05-21 00:11:00
        05-21 00:02:00 DeliveryReported: pager Failed
        05-21 00:02:00 NotificationSkipped: on-call loop 1: user:grace as schedule:flight-data: pagerduty:flight-data did not take the page, and no other contact is left
        05-21 00:03:00 DeliveryReported: pager Failed
        05-21 00:03:00 NotificationSkipped: on-call loop 1: user:ada as primary: email:ada@example.com did not take the page, and no other contact is left
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_delivery_that_went_well_is_a_fact_and_no_more() {
    let mut scene = Scene::new();
    let (ada, _) = outage(&mut scene);
    scene.send(&report("05-21 00:02", &ada, DeliveryOutcome::Delivered));
    scene.send(&report("05-21 00:02", &ada, DeliveryOutcome::Dropped));
    expect![[r#"
        05-21 00:02:00 DeliveryReported: pager Delivered
        05-21 00:02:00 DeliveryReported: pager Dropped
    "#]]
    .assert_eq(&scene.story());
    scene.check();
}

#[test]
fn nobody_is_sought_for_a_page_that_is_answered_or_of_an_earlier_step() {
    let mut scene = Scene::new();
    let (ada, grace) = outage(&mut scene);
    scene.respond("05-21 00:02", "user:grace", Command::Acknowledge);
    scene.send(&report("05-21 00:03", &ada, DeliveryOutcome::Failed));
    scene.run_to("05-21 01:05");
    scene.send(&report("05-21 01:06", &grace, DeliveryOutcome::Failed));
    expect![[r#"
        05-21 00:02:00 Acknowledged: by user:grace until 05-21 00:32:00
        05-21 00:03:00 DeliveryReported: pager Failed
        05-21 00:32:00 AcknowledgementExpired: of user:grace
        05-21 00:32:00 Notified: on-call loop 1: user:ada as primary by pagerduty:flight-data (ack_timeout) respond by 05-21 00:42:00
        05-21 00:32:00 Notified: on-call loop 1: user:grace as schedule:flight-data by pagerduty:flight-data (ack_timeout) respond by 05-21 00:42:00
        05-21 00:42:00 Escalated: on-call to data-steward loop 1 by not_acknowledged, enters 05-21 00:42:00
        05-21 00:42:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-21 01:12:00
        05-21 01:06:00 DeliveryReported: pager Failed
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn only_the_deliver_stage_reports() {
    let mut scene = Scene::new();
    let (ada, _) = outage(&mut scene);
    let forged = report("05-21 00:02", &ada, DeliveryOutcome::Failed);
    scene.send(&Response { by: "user:ada".into(), ..forged.clone() });
    scene.send(&Response { incident: Some("unknown".into()), ..forged.clone() });
    scene.send(&Response { delivery: None, ..forged });
    let mut acting = response("05-21 00:03", DELIVERER, Command::Acknowledge);
    (acting.incident, acting.subject) = (Some(ada.incident_id), None);
    scene.send(&acting);
    expect![[r#"
        05-21 00:02:00 CommandRejected: report_delivery by user:ada: only the deliver stage reports deliveries
        05-21 00:02:00 CommandRejected: report_delivery by system:deliver: there is no such incident
        05-21 00:02:00 CommandRejected: report_delivery by system:deliver: a report says what became of which message
        05-21 00:03:00 CommandRejected: acknowledge by system:deliver: `system:deliver` is not a user of the directory
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn what_a_channel_is_for_is_said_in_its_pages_and_no_others() {
    let mut world = world();
    let policy = world.policies.get_mut("flights").expect("the policy of the charters");
    policy.steps[0].channels[0].scope = some("the team on call");
    let mut scene = Scene::within(world);
    let (ada, grace) = outage(&mut scene);
    scene.send(&report("05-21 00:02", &ada, DeliveryOutcome::Failed));
    let mail = pages(&scene).pop().expect("a page");
    let scope = |page: &Escalation| page.custom_details.get("scope").cloned();
    assert_eq!([scope(&ada), scope(&grace)], [some("the team on call"), some("the team on call")]);
    assert_eq!((mail.channel.clone(), scope(&mail)), (some("email:ada@example.com"), None));
}

#[test]
fn the_first_word_that_an_incident_is_theirs_reaches_them_though_another_answers() {
    let mut scene = Scene::new();
    let mut warning = drift("05-08");
    warning.severity = watchkeep_model::charter::Severity::Warning;
    scene.breach(&warning).run_to("05-08 00:01");
    let mut to = response("05-08 00:05", "user:mary", Command::Reassign);
    to.to = Some("user:edgar".into());
    scene.send(&to).run_to("05-08 13:00");
    scene.story();
    // The step asks Edgar anyway, and with that he is told.
    let first = pages(&scene).pop().expect("a page");
    scene.respond("05-08 13:01", "user:mary", Command::Acknowledge);
    scene.send(&report("05-08 13:02", &first, DeliveryOutcome::Failed));
    let other = pages(&scene).pop().expect("a page");
    for page in [&first, &other] {
        assert!(page.custom_details.contains_key(HANDS_OVER), "{page:?}");
    }
    scene.send(&report("05-08 13:03", &other, DeliveryOutcome::Delivered));
    expect![[r#"
        05-08 13:01:00 Acknowledged: by user:mary until 05-08 13:31:00
        05-08 13:02:00 DeliveryReported: pager Failed
        05-08 13:02:00 Notified: data-steward loop 1: user:edgar as data_steward by email:edgar@example.com (delivery_failed) respond by 05-08 17:00:00
        05-08 13:03:00 DeliveryReported: pager Delivered
    "#]].assert_eq(&scene.story());
    scene.check();
}
