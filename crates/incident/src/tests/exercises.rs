//! Exercises that were held: their record, their messages and what became of those.

use watchkeep_model::escalation::Escalation;
use watchkeep_model::incident::data::{DeliveryOutcome, DeliveryReported};
use watchkeep_model::incident::{Fact, FactData};
use watchkeep_model::response::{Command, DELIVERER, DrillHeld, Response};

use super::scene::{Scene, at, latency};
use crate::report::drills::held;

fn report(when: &str, messages: Vec<Escalation>) -> Response {
    let drill = DrillHeld {
        name: "nulls at night".into(),
        began_at: at("12-24 22:00"),
        policies: vec!["flights".into()],
        incidents: 1,
        pages: 3,
        gaps: 0,
        hash: None,
    };
    Response {
        drill: Some(drill),
        messages,
        ..Response::new(at(when), "user:ada", Command::ReportDrill)
    }
}

fn last(scene: &Scene) -> &Fact {
    scene.out.facts.last().expect("a fact")
}

#[test]
fn an_exercise_is_on_record_when_it_was_held_and_not_when_it_plays() {
    let mut scene = Scene::new();
    scene.send(&report("05-08 10:00", Vec::new()));
    let FactData::ActionRecorded(data) = &last(&scene).data else { panic!("{:?}", last(&scene)) };
    assert_eq!(data.action, "drill_held");
    assert_eq!(data.drill.as_ref().map(|drill| drill.began_at), Some(at("12-24 22:00")));
    let known = held(&scene.out.facts, at("05-09"));
    assert_eq!(known.get("flights"), Some(&at("05-08 10:00")));
    assert_eq!(held(&scene.out.facts, at("05-08")).len(), 0);
    scene.check();
}

#[test]
fn no_message_of_an_exercise_passes_for_a_real_one() {
    let mut scene = Scene::new();
    scene.breach(&latency("05-21")).run_to("05-21 00:01");
    let page = scene.out.escalations.iter().find(|one| one.channel.is_some()).cloned();
    let page = Escalation { id: "x".into(), incident_id: "of-drill".into(), ..page.expect("one") };
    let sent = scene.out.escalations.len();
    scene.send(&report("05-21 01:00", vec![page.clone()]));
    let FactData::CommandRejected(refused) = &last(&scene).data else { panic!() };
    assert_eq!(refused.rule, "a message of an exercise has `drill: true`");
    assert_eq!(scene.out.escalations.len(), sent);
    let page = Escalation { drill: true, ..page };
    scene.send(&report("05-21 01:00", vec![page.clone()]));
    assert_eq!(scene.out.escalations[sent..], *std::slice::from_ref(&page));

    // What became of it is on record, although there is no such incident.
    let delivery = DeliveryReported {
        escalation: page.id.clone(),
        sink: "test".into(),
        tool: "slack".into(),
        outcome: DeliveryOutcome::Delivered,
        attempts: 1,
        target: page.target.clone(),
        channel: page.channel.clone(),
        to: None,
        detail: None,
        unreached: false,
        drill: true,
        origin: None,
    };
    let reported = Response {
        incident: Some(page.incident_id),
        delivery: Some(delivery.clone()),
        ..Response::new(at("05-21 01:01"), DELIVERER, Command::ReportDelivery)
    };
    scene.send(&reported);
    assert_eq!(last(&scene).data, FactData::DeliveryReported(delivery));
    scene.check();
}
