//! Exercises with the flights' people, and gaps planted among them.

use watchkeep_model::incident::check_link;
use watchkeep_model::policy::Channel;
use watchkeep_model::response::Command;

use super::*;
use crate::tests::scene::{DELAY, World, at, response, world};

fn nulls(name: &str, answers: Vec<Response>) -> Scenario {
    let breach = |transition| Event::Breach {
        transition,
        feature: DELAY.into(),
        expectation: "missing".into(),
        severity: Some(Severity::Critical),
        kind: Some(ExpectationKind::NullRate),
    };
    let mut events = vec![(at("05-08"), breach(Transition::Opened))];
    events.extend(answers.into_iter().map(|one| (one.at, Event::Answer(Box::new(one)))));
    Scenario { name: name.into(), at: at("05-08"), events, ends: at("05-08 12:00") }
}

fn kinds(drilled: &Drilled) -> Vec<GapKind> {
    drilled.gaps.iter().map(|gap| gap.gap).collect()
}

fn drilled(world: &World, answers: Vec<Response>) -> Drilled {
    run(&nulls("nulls", answers), world).expect("it can be played")
}

#[test]
fn everything_is_marked_and_nothing_is_a_page_of_its_own_accord() {
    let world = world();
    let drilled = drilled(&world, Vec::new());
    assert!(drilled.pages > 0 && drilled.facts.iter().all(|fact| fact.drill));
    let is_marked = |one: &Escalation| one.drill && one.reason == "drill";
    assert!(!drilled.escalations.is_empty() && drilled.escalations.iter().all(is_marked));
    let reasons = drilled.escalations.iter().map(|one| &one.custom_details["drill_reason"]);
    assert!(reasons.clone().any(|reason| reason == "first"));
    let mut before: Option<&Fact> = None;
    for fact in &drilled.facts {
        assert_eq!(check_link(before, fact), Ok(()));
        before = Some(fact);
    }
    // A stage of the service passes over such facts.
    let mut stage = crate::escalate::Escalate::new(Settings::default());
    drilled.facts.iter().for_each(|fact| stage.restore_fact(fact));
    assert_eq!(stage.open_incidents().count(), 0);
}

#[test]
fn nobody_answering_shows_each_missed_acknowledgement_and_no_human() {
    let world = world();
    let drilled = drilled(&world, Vec::new());
    let missed = kinds(&drilled).iter().filter(|k| **k == GapKind::MissedAcknowledgement).count();
    assert_eq!(missed, 4, "{:#?}", drilled.gaps);
    assert!(kinds(&drilled).ends_with(&[GapKind::NoHuman]), "{:#?}", drilled.gaps);
    assert_eq!(drilled.seconds_to_first_human, None);
    assert_eq!(drilled.seconds_to_first_page, Some(60));
}

#[test]
fn a_person_who_answers_is_timed() {
    let world = world();
    let answers = vec![
        response("05-08 00:10", "user:edgar", Command::Acknowledge),
        response("05-08 00:20", "user:edgar", Command::Remediate),
    ];
    let drilled = drilled(&world, answers);
    assert_eq!(drilled.seconds_to_first_human, Some(600));
    // The backup is away from 6 to 20 May, and who remediates may not sign the
    // end, which nobody else can; nothing more is missing.
    let gaps: Vec<&str> = drilled.gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(
        gaps,
        [
            "backup: user:grace: absent until 2013-05-20T00:00:00Z",
            "the gate resolve (critical) needs 1 of data_steward, 0 can sign",
        ]
    );
}

#[test]
fn planted_gaps_are_found() {
    let mut world = world();
    for charter in world.charters.values_mut() {
        charter.fields.owners.data_steward = None;
    }
    world.directory.users.get_mut("ada").expect("ada").contacts.clear();
    let drilled = drilled(&world, Vec::new());
    let gaps: Vec<(GapKind, &str)> =
        drilled.gaps.iter().map(|gap| (gap.gap, gap.what.as_str())).collect();
    for planted in [
        (GapKind::Unreachable, "primary: user:ada has no contact"),
        (GapKind::EmptyStep, "nobody could be notified"),
        (
            GapKind::GateNobodyCanSign,
            "the gate resolve (critical) needs 1 of data_steward, 0 can sign",
        ),
    ] {
        assert!(gaps.contains(&planted), "{planted:?} is not in {gaps:#?}");
    }
}

#[test]
fn an_incident_that_nobody_can_end_is_a_gap() {
    let mut world = world();
    for policy in world.policies.values_mut() {
        for gate in &mut policy.sign_offs {
            gate.distinct_from = vec!["remediator".into()];
        }
    }
    let answers = vec![response("05-08 00:20", "user:edgar", Command::Remediate)];
    let mut scenario = nulls("nobody is left", answers);
    let event = |transition| Event::Breach {
        transition,
        feature: DELAY.into(),
        expectation: "missing".into(),
        severity: None,
        kind: None,
    };
    let good =
        || Event::Window { feature: DELAY.into(), expectation: "missing".into(), good: true };
    scenario.events.push((at("05-08 01:00"), event(Transition::Cleared)));
    scenario.events.extend([at("05-08 02:00"), at("05-08 03:00")].map(|at| (at, good())));
    let drilled = run(&scenario, &world).expect("it can be played");
    let gaps: Vec<(GapKind, &str)> =
        drilled.gaps.iter().map(|gap| (gap.gap, gap.what.as_str())).collect();
    let signs = "the gate resolve (critical) needs 1 of data_steward, 0 can sign";
    assert!(gaps.contains(&(GapKind::GateNobodyCanSign, signs)), "{gaps:#?}");
    assert!(gaps.iter().any(|(gap, _)| *gap == GapKind::LeftOpen), "{gaps:#?}");
}

#[test]
fn a_scenario_that_cannot_be_played_says_why() {
    let world = world();
    let mut scenario = nulls("x", Vec::new());
    let Event::Breach { kind, .. } = &mut scenario.events[0].1 else { panic!() };
    *kind = None;
    let error = run(&scenario, &world).expect_err("no such expectation").to_string();
    assert!(error.contains("has no expectation missing"), "{error}");
    let Event::Breach { transition: again, .. } = &mut scenario.events[0].1 else { panic!() };
    *again = Transition::Cleared;
    let error = run(&scenario, &world).expect_err("nothing is open").to_string();
    assert!(error.contains("no open breach"), "{error}");
}

#[test]
fn a_page_to_no_address_and_a_last_resort_of_nobody_are_gaps() {
    let mut world = world();
    for policy in world.policies.values_mut() {
        for step in &mut policy.steps {
            step.channels = vec![Channel { tool: "sms".into(), to: None, scope: None }];
        }
        policy.on_exhausted.notify.clear();
    }
    let drilled = drilled(&world, Vec::new());
    let gaps: Vec<(GapKind, &str)> =
        drilled.gaps.iter().map(|gap| (gap.gap, gap.what.as_str())).collect();
    for planted in [
        (
            GapKind::Unreachable,
            "user:edgar is paged by sms without an address: the step has none, and they have no \
             such contact",
        ),
        (
            GapKind::Exhausted,
            "after 2 climbs nobody was left to ask, and `on_exhausted` names nobody who is told",
        ),
    ] {
        assert!(gaps.contains(&planted), "{planted:?} is not in {gaps:#?}");
    }
}
