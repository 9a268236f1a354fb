//! Commands beyond the answer to a page: handing over, deciding, rolling
//! back, confirming, reviewing, closing, and what a page was worth.

use expect_test::{Expect, expect};
use watchkeep_model::breach::Breach;
use watchkeep_model::charter::Severity;
use watchkeep_model::escalation::Audience;
use watchkeep_model::incident::FactData;
use watchkeep_model::policy::Verification;
use watchkeep_model::response::{Command, Feedback, RemedyAction, Response, ReviewAction};
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Verdict;

use super::scene::{DELAY, Scene, at, breach, drift, nulls, response};

fn told(scene: &mut Scene, expected: &Expect) {
    expected.assert_eq(&scene.story());
    scene.check();
}

fn plain(when: &str, by: &str, command: Command) -> Response {
    Response { subject: Some(DELAY.into()), ..Response::new(at(when), by, command) }
}

/// An incident of 8 May whose first step was entered, told so far.
fn opened(of: &Breach) -> Scene {
    let mut scene = Scene::new();
    scene.breach(of).run_to("05-08 00:01");
    scene.story();
    scene
}

/// The same, resolved on 9 May at noon.
fn resolved(of: &Breach) -> Scene {
    let mut scene = opened(of);
    let mut accept = response("05-08 00:02", "user:ada", Command::Remediate);
    accept.action = Some(RemedyAction::Accept);
    scene.send(&accept);
    if of.severity == Severity::Critical {
        let signed = response("05-09 11:59", "user:edgar", Command::SignOff);
        scene.send(&signed);
    }
    scene.respond("05-09 12:00", "user:edgar", Command::Resolve);
    scene.story();
    scene
}

fn inform(scene: &Scene) -> Vec<String> {
    let informs = scene.out.escalations.iter().filter(|one| one.audience == Audience::Inform);
    let informs = informs.filter(|one| one.reason != "breach");
    informs
        .map(|one| format!("{} {} {:?}", one.target.as_deref().unwrap(), one.reason, one.role))
        .collect()
}

#[test]
fn who_is_named_answers_from_then_on_and_is_notified() {
    let mut scene = Scene::new();
    // The step after the first asks whoever was named, not the chain.
    scene.world.policies.get_mut("flights").unwrap().steps[2].notify[0].target =
        watchkeep_model::policy::NotifyTarget::Role("primary".into());
    scene.breach(&drift("05-08")).run_to("05-08 00:01");
    scene.story();
    let mut to = plain("05-08 00:05", "user:edgar", Command::Reassign);
    for (minute, name) in [
        (5, "user:barbara"),
        (6, "user:barbara"),
        (7, "user:nobody"),
        (8, "user:grace"),
        (9, "group:crew-planning"),
    ] {
        to.at = at("05-08 00:00") + TimeSpan::MINUTE.times(minute);
        to.to = Some(name.into());
        scene.send(&to);
    }
    scene.respond("05-08 00:10", "user:edgar", Command::Escalate);
    told(
        &mut scene,
        &expect![[r#"
            05-08 00:05:00 OwnerResolved: user:barbara
            05-08 00:05:00 Notified: data-steward loop 1: user:barbara as primary by email:barbara@example.com (handoff) respond by 05-08 00:31:00
            05-08 00:06:00 CommandRejected: reassign by user:edgar: user:barbara answers already
            05-08 00:07:00 CommandRejected: reassign by user:edgar: `user:nobody` cannot answer: no such user
            05-08 00:08:00 CommandRejected: reassign by user:edgar: `user:grace` cannot answer: absent until 2013-05-20T00:00:00Z
            05-08 00:09:00 OwnerResolved: user:mary
            05-08 00:09:00 Notified: data-steward loop 1: user:mary as primary by email:mary@example.com (handoff) respond by 05-08 00:31:00
            05-08 00:10:00 Escalated: data-steward to architect loop 1 by requested, enters 05-08 00:10:00
            05-08 00:10:00 Notified: architect loop 1: user:mary as primary by email:architecture@example.com (escalated) respond by 05-08 01:10:00
        "#]],
    );
    let owners =
        |scene: &Scene| scene.stage.open_incidents().next().unwrap().owner.map(str::to_owned);
    assert_eq!(owners(&scene).as_deref(), Some("user:mary"));
}

#[test]
fn nobody_of_the_team_that_must_be_independent_is_named() {
    let mut scene = opened(&drift("05-08"));
    let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
    charter.fields.independence = Some("monetisation".into());
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.independence.get_mut("monetisation").unwrap().owner_not_in_team_of =
        vec!["architect".into()];
    let mut to = plain("05-08 00:05", "user:edgar", Command::Reassign);
    to.to = Some("user:radia".into());
    scene.send(&to);
    told(
        &mut scene,
        &expect![[r#"
        05-08 00:05:00 CommandRejected: reassign by user:edgar: user:radia has a conflict of interest: in a team with the architect
    "#]],
    );
}

#[test]
fn a_warning_is_handed_over_when_its_step_begins() {
    let mut warning = drift("05-08");
    warning.severity = Severity::Warning;
    let mut scene = opened(&warning);
    let mut to = plain("05-08 00:05", "user:edgar", Command::Reassign);
    to.to = Some("user:barbara".into());
    scene.send(&to).run_to("05-08 13:00");
    told(
        &mut scene,
        &expect![[r#"
        05-08 00:05:00 OwnerResolved: user:barbara
        05-08 13:00:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 13:30:00
        05-08 13:00:00 Notified: data-steward loop 1: user:barbara as primary by email:barbara@example.com (handoff) respond by 05-08 13:30:00
    "#]],
    );
}

#[test]
fn a_decision_opens_the_step_that_takes_it() {
    let mut scene = opened(&nulls("05-08"));
    let mut ask = plain("05-08 00:05", "user:edgar", Command::Escalate);
    ask.decision = Some("burn".into());
    scene.send(&ask);
    ask.decision = Some("retire".into());
    scene.send(&ask);
    ask.at = at("05-08 00:06");
    scene.send(&ask);
    let mut decide = plain("05-08 00:07", "user:edgar", Command::SignOff);
    decide.gate = Some("retire".into());
    scene.send(&decide);
    decide.by = "user:barbara".into();
    scene.send(&decide);
    // Decided, so that nothing but the remediation is asked for.
    scene.respond("05-08 00:08", "user:barbara", Command::Acknowledge);
    scene.run_to("05-08 00:30");
    assert_eq!(scene.stage.open_incidents().next().unwrap().respond_by, None);
    told(
        &mut scene,
        &expect![[r#"
            05-08 00:05:00 CommandRejected: escalate by user:edgar: no step decides on burn; steps do on change_contract, redefine, retire
            05-08 00:05:00 Escalated: data-steward to architect loop 1 by requested, enters 05-08 00:05:00
            05-08 00:05:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 01:05:00
            05-08 00:05:00 Notified: architect loop 1: user:radia as executive by email:architecture@example.com (escalated) respond by 05-08 01:05:00
            05-08 00:06:00 CommandRejected: escalate by user:edgar: retire is asked for already
            05-08 00:07:00 CommandRejected: sign_off by user:edgar: only architect, executive may decide on retire
            05-08 00:07:00 SignedOff: retire true by user:barbara as architect, 1 of 1
            05-08 00:08:00 Acknowledged: by user:barbara until 05-08 00:38:00
        "#]],
    );
    let asked = scene.out.escalations.iter().find(|one| one.step.as_deref() == Some("architect"));
    assert_eq!(asked.unwrap().custom_details["decision"], "retire");
}

#[test]
fn a_criterion_proposes_the_rollback_and_the_signature_starts_its_clock() {
    let mut scene = Scene::new();
    let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
    charter.fields.rollback.within = Some(TimeSpan::MINUTE.times(20));
    scene.breach(&nulls("05-21")).run_to("05-21 00:01");
    let mut sign = plain("05-21 00:05", "user:grace", Command::SignOff);
    sign.gate = Some("rollback".into());
    scene.send(&sign).run_to("05-21 00:30");
    assert_eq!(
        inform(&scene),
        [
            "user:ada rollback_proposed Some(\"primary\")",
            "user:grace rollback_proposed Some(\"backup\")"
        ]
    );
    let mut done = response("05-21 00:31", "user:ada", Command::Remediate);
    done.action = Some(RemedyAction::Rollback);
    scene.send(&done);
    told(
        &mut scene,
        &expect![[r#"
        05-21 00:01:00 Opened: feature:flight.arr_delay_min critical null_rate by itself owner user:ada step data-steward at 05-21 00:01:00
        05-21 00:01:00 BreachAttached: flight.arr_delay_min missing
        05-21 00:01:00 ActionRecorded: rollback_proposed: missing of flight.arr_delay_min is a criterion for rolling back: https://wiki.example.com/rollback
        05-21 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-21 00:31:00
        05-21 00:05:00 SignedOff: rollback true by user:grace as backup, 1 of 1
        05-21 00:05:00 ActionRecorded: rollback_ordered: signed off, to be rolled back by 2013-05-21T00:25:00Z
        05-21 00:25:00 Escalated: data-steward to architect loop 1 by not_rolled_back, enters 05-21 00:25:00
        05-21 00:25:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-21 01:25:00
        05-21 00:25:00 Notified: architect loop 1: user:radia as executive by email:architecture@example.com (escalated) respond by 05-21 01:25:00
        05-21 00:31:00 Remediated: by user:ada: Rollback
    "#]],
    );
}

#[test]
fn a_rollback_in_time_climbs_nowhere() {
    let mut scene = Scene::new();
    let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
    charter.fields.rollback.within = Some(TimeSpan::MINUTE.times(20));
    scene.breach(&nulls("05-21")).run_to("05-21 00:01");
    scene.story();
    let mut sign = plain("05-21 00:05", "user:grace", Command::SignOff);
    sign.gate = Some("rollback".into());
    let mut done = response("05-21 00:25", "user:ada", Command::Remediate);
    done.action = Some(RemedyAction::Rollback);
    scene.send(&sign).send(&done).run_to("05-22");
    told(
        &mut scene,
        &expect![[r#"
        05-21 00:05:00 SignedOff: rollback true by user:grace as backup, 1 of 1
        05-21 00:05:00 ActionRecorded: rollback_ordered: signed off, to be rolled back by 2013-05-21T00:25:00Z
        05-21 00:25:00 Remediated: by user:ada: Rollback
    "#]],
    );
}

#[test]
fn a_rollback_that_is_overdue_when_the_steps_have_run_out_is_told_of_once() {
    let mut scene = Scene::new();
    let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
    charter.fields.rollback.within = Some(TimeSpan::MINUTE.times(20));
    let policy = scene.world.policies.get_mut("flights").unwrap();
    (policy.steps, policy.loops) = (policy.steps[..1].to_vec(), 1);
    scene.breach(&nulls("05-21")).run_to("05-21 00:31");
    assert!(scene.story().contains("Exhausted"));
    let mut sign = plain("05-21 00:35", "user:grace", Command::SignOff);
    sign.gate = Some("rollback".into());
    scene.send(&sign).run_to("05-21 01:00");
    let mut done = response("05-21 01:05", "user:ada", Command::Remediate);
    done.action = Some(RemedyAction::Rollback);
    scene.send(&done);
    told(
        &mut scene,
        &expect![[r#"
            05-21 00:35:00 SignedOff: rollback true by user:grace as backup, 1 of 1
            05-21 00:35:00 ActionRecorded: rollback_ordered: signed off, to be rolled back by 2013-05-21T00:55:00Z
            05-21 00:55:00 ActionRecorded: rollback_overdue: it was signed off and is not done
            05-21 00:55:00 Notified: on_exhausted loop 1: user:radia as group:data-governance by email:radia@example.com (not_rolled_back) respond by -
            05-21 01:05:00 Remediated: by user:ada: Rollback
        "#]],
    );
}

#[test]
fn two_different_people_open_a_gate_for_two() {
    let mut scene = Scene::new();
    let policy = scene.world.policies.get_mut("flights").unwrap();
    policy.sign_offs[0].minimum = 2;
    scene.breach(&nulls("05-21")).run_to("05-21 00:01");
    scene.story();
    let mut sign = plain("05-21 00:05", "user:grace", Command::SignOff);
    sign.gate = Some("rollback".into());
    let mut done = response("05-21 00:07", "user:ada", Command::Remediate);
    done.action = Some(RemedyAction::Rollback);
    scene.send(&sign);
    sign.at = at("05-21 00:06");
    scene.send(&sign).send(&done);
    sign.by = "user:ada".into();
    sign.at = at("05-21 00:08");
    done.at = at("05-21 00:09");
    scene.send(&sign).send(&done);
    told(
        &mut scene,
        &expect![[r#"
        05-21 00:05:00 SignedOff: rollback true by user:grace as backup, 1 of 2
        05-21 00:06:00 CommandRejected: sign_off by user:grace: user:grace has signed the gate rollback already
        05-21 00:07:00 CommandRejected: remediate by user:ada: the gate rollback is not signed off: 1 of 2 signatures count
        05-21 00:08:00 SignedOff: rollback true by user:ada as primary, 2 of 2
        05-21 00:09:00 Remediated: by user:ada: Rollback
    "#]],
    );
}

#[test]
fn an_answer_after_its_deadline_is_flagged_with_how_late_it_is() {
    let mut scene = opened(&drift("05-08"));
    // To be acknowledged by 00:31, remediated by 04:01.
    scene.respond("05-08 00:41", "user:edgar", Command::Acknowledge);
    scene.respond("05-08 00:50", "user:edgar", Command::Remediate);
    scene.run_to("05-08 01:00");
    let late = scene.out.facts.iter().find_map(|fact| match &fact.data {
        FactData::Acknowledged(data) => Some(data.late_by_us),
        _ => None,
    });
    assert_eq!(late, Some(Some(TimeSpan::MINUTE.times(10).as_micros())));
    let remediated = scene.out.facts.iter().find_map(|fact| match &fact.data {
        FactData::Remediated(data) => Some(data.late_by_us),
        _ => None,
    });
    assert_eq!(remediated, Some(None));
    scene.check();
}

/// An incident that is remediated and clear, whose policy verifies so.
fn to_verify(verification: Verification) -> Scene {
    let bad = drift("05-08");
    let mut scene = Scene::new();
    scene.world.policies.get_mut("flights").unwrap().verification = Some(verification);
    scene.breach(&bad);
    scene.respond("05-08 00:20", "user:edgar", Command::Remediate);
    scene.clear(&bad, "05-09").run_to("05-09");
    scene.story();
    scene
}

#[test]
fn a_third_party_confirms_what_the_windows_show() {
    let wanted = || Verification {
        good_windows: 2,
        third_party: Some("group:crew-planning".into()),
        ..Verification::default()
    };
    let bad = drift("05-08");
    let mut scene = to_verify(wanted());
    scene.respond("05-09 00:05", "user:barbara", Command::Verify);
    for day in ["05-09", "05-10"] {
        scene.window(&bad, day, Verdict::Good);
    }
    scene.run_to("05-11");
    assert_eq!(inform(&scene), ["user:mary verification_asked Some(\"third_party\")"]);
    scene.respond("05-11 00:05", "user:mary", Command::Verify);
    told(
        &mut scene,
        &expect![[r#"
        05-09 00:05:00 CommandRejected: verify by user:barbara: the policy wants group:crew-planning to verify
        05-10 00:00:00 ActionRecorded: verification_asked: the windows are good; group:crew-planning has to confirm it
        05-11 00:05:00 Verified: by third_party, 2 good
        05-11 00:05:00 Resolved: verified
    "#]],
    );

    // The other way round: the word first, the windows later.
    let mut scene = to_verify(wanted());
    scene.respond("05-09 00:05", "user:mary", Command::Verify);
    scene.respond("05-09 00:06", "user:mary", Command::Verify);
    for day in ["05-09", "05-10"] {
        scene.window(&bad, day, Verdict::Good);
    }
    scene.run_to("05-11");
    told(
        &mut scene,
        &expect![[r#"
        05-09 00:05:00 ActionRecorded: verification_confirmed: confirmed for group:crew-planning; 0 of 2 windows are good so far
        05-09 00:06:00 CommandRejected: verify by user:mary: user:mary has confirmed it already; the windows are to show it
        05-10 00:00:00 Verified: by third_party, 2 good
        05-10 00:00:00 Resolved: verified
    "#]],
    );
}

#[test]
fn the_word_of_a_party_that_is_nobody_here_is_passed_on_with_what_it_was() {
    let mut scene = to_verify(Verification {
        third_party: Some("the airports' bureau".into()),
        ..Verification::default()
    });
    scene.window(&drift("05-08"), "05-10", Verdict::Good);
    scene.send(&plain("05-10 00:05", "user:mary", Command::Verify));
    // What edgar has repaired he cannot vouch for with another's word.
    scene.respond("05-10 00:05", "user:edgar", Command::Verify);
    scene.respond("05-10 00:06", "user:mary", Command::Verify);
    told(
        &mut scene,
        &expect![[r#"
        05-10 00:00:00 ActionRecorded: verification_asked: the windows are good; the airports' bureau has to confirm it
        05-10 00:05:00 CommandRejected: verify by user:mary: a verification by the airports' bureau needs a rationale: what they said
        05-10 00:05:00 CommandRejected: verify by user:edgar: a third party has to verify what others did: somebody else on the word of the airports' bureau may
        05-10 00:06:00 Verified: by third_party, 1 good
        05-10 00:06:00 Resolved: verified
    "#]],
    );
}

#[test]
fn the_reference_has_to_be_good_as_well() {
    let mut scene = to_verify(Verification {
        good_windows: 1,
        reference: Some("feature:flight.origin".into()),
        ..Verification::default()
    });
    let bad = drift("05-08");
    let other = breach("flight.origin", bad.kind, bad.severity, at("05-08"));
    scene.window(&bad, "05-10", Verdict::Good);
    scene.window(&other, "05-10", Verdict::Bad).run_to("05-10");
    assert_eq!(scene.story(), "");
    scene.window(&other, "05-11", Verdict::Good).run_to("05-11");
    told(
        &mut scene,
        &expect![[r#"
        05-11 00:00:00 Verified: by good_windows, 1 good
        05-11 00:00:00 Resolved: verified
    "#]],
    );
}

#[test]
fn only_windows_against_the_wanted_baseline_show_anything() {
    let mut people = crate::state::people::People::default();
    let fixed = Some("fixed 2013-04-01/2013-05-01 n=9 sha256:00");
    let profile = Some("profile flights-2012 n=9 sha256:00");
    assert!(people.is_shown_against(fixed));
    people.reference = Some("fixed".into());
    assert!(people.is_shown_against(fixed) && people.is_shown_against(None));
    assert!(!people.is_shown_against(profile));
    people.reference = Some("flights-2012".into());
    assert!(people.is_shown_against(profile) && !people.is_shown_against(fixed));
    people.reference = Some("flights-201".into());
    assert!(!people.is_shown_against(profile));
}

#[test]
fn a_critical_one_closes_after_its_review_and_not_before() {
    let mut scene = resolved(&nulls("05-08"));
    scene.send(&plain("05-09 12:05", "user:edgar", Command::Close));
    let mut review = plain("05-09 13:00", "user:edgar", Command::Review);
    review.root_cause = Some("a carrier changed its units".into());
    let due = at("05-20");
    let mut action = ReviewAction { what: "check units".into(), by: "user:nobody".into(), due };
    review.actions = vec![action.clone()];
    scene.send(&review);
    review.actions.clear();
    review.rationale = Some(" ".into());
    scene.send(&review);
    action.by = "user:ada".into();
    review.actions = vec![action];
    scene.send(&review);
    review.at = at("05-09 13:01");
    scene.send(&review).run_to("05-15");
    scene.send(&plain("05-15 00:01", "user:edgar", Command::Close));
    told(
        &mut scene,
        &expect![[r#"
            05-09 12:05:00 CommandRejected: close by user:edgar: the incident is not reviewed yet
            05-09 13:00:00 CommandRejected: review by user:edgar: an action is nobody's: `user:nobody` is not a user of the directory
            05-09 13:00:00 CommandRejected: review by user:edgar: a review that must be says what is done about it, by whom and by when, or in its rationale why nothing is
            05-09 13:00:00 Reviewed: a carrier changed its units
            05-09 13:01:00 CommandRejected: review by user:edgar: the incident is reviewed already
            05-09 14:01:00 Closed: reviewed
            05-15 00:01:00 CommandRejected: close by user:edgar: no resolved incident has this root
        "#]],
    );
    // One word to everybody for each change of state.
    let states: Vec<&str> = scene
        .out
        .escalations
        .iter()
        .filter(|one| one.audience == Audience::Status)
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(states, ["opened", "remediated", "resolved", "reviewed", "closed"]);
}

#[test]
fn a_review_that_is_not_there_is_told_once_and_pages_nobody() {
    let mut scene = resolved(&drift("05-08"));
    let pages = |scene: &Scene| {
        scene.out.escalations.iter().filter(|one| one.audience == Audience::Page).count()
    };
    let before = pages(&scene);
    scene.run_to("06-01");
    let mut review = plain("06-01 00:01", "user:edgar", Command::Review);
    review.root_cause = Some("a late file".into());
    review.rationale = Some("the sender is closed for good".into());
    scene.send(&review);
    told(
        &mut scene,
        &expect![[r#"
        05-14 12:00:00 ActionRecorded: review_overdue: nobody has reviewed the incident
        06-01 00:01:00 Reviewed: a late file
        06-01 00:01:00 Closed: reviewed
    "#]],
    );
    assert_eq!(pages(&scene), before);
    assert_eq!(inform(&scene), ["user:ada review_overdue Some(\"owner\")"]);
    let late = scene.out.facts.iter().find_map(|fact| match &fact.data {
        FactData::Reviewed(data) => data.late_by_us,
        _ => None,
    });
    // Due five days after the resolution of 9 May at noon.
    assert_eq!(late, Some(at("06-01 00:01").since(at("05-14 12:00")).as_micros()));
}

#[test]
fn what_comes_back_before_the_review_is_open_again() {
    let mut scene = resolved(&drift("05-08"));
    scene.breach(&breach(DELAY, drift("05-08").kind, Severity::Error, at("05-09 13:00")));
    scene.run_to("05-09 13:01");
    let mut review = plain("05-09 13:02", "user:edgar", Command::Review);
    review.root_cause = Some("too early".into());
    scene.send(&review);
    told(
        &mut scene,
        &expect![[r#"
        05-09 13:01:00 Reopened: step data-steward
        05-09 13:01:00 BreachAttached: flight.arr_delay_min drift
        05-09 13:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (reopened) respond by 05-09 13:31:00
        05-09 13:02:00 CommandRejected: review by user:edgar: no resolved incident has this root
    "#]],
    );
}

#[test]
fn what_a_page_was_worth_is_kept_whatever_the_state() {
    let mut scene = resolved(&drift("05-08"));
    let mut feedback = plain("05-09 12:30", "user:mary", Command::Feedback);
    scene.send(&feedback);
    for (minute, worth) in [(31, Feedback::FalsePositive), (32, Feedback::NotActionable)] {
        feedback.at = at("05-09 12:00") + TimeSpan::MINUTE.times(minute);
        feedback.feedback = Some(worth);
        scene.send(&feedback);
    }
    scene.respond("05-09 12:33", "user:mary", Command::Comment);
    told(
        &mut scene,
        &expect![[r#"
        05-09 12:30:00 CommandRejected: feedback by user:mary: feedback is one of useful, false_positive, duplicate, not_actionable, wrong_owner, too_late
        05-09 12:31:00 ActionRecorded: feedback: 
        05-09 12:32:00 ActionRecorded: feedback: 
        05-09 12:33:00 ActionRecorded: comment: because
    "#]],
    );
    let worth: Vec<Feedback> = scene
        .out
        .facts
        .iter()
        .filter_map(|fact| match &fact.data {
            FactData::ActionRecorded(data) => data.feedback,
            _ => None,
        })
        .collect();
    assert_eq!(worth, [Feedback::FalsePositive, Feedback::NotActionable]);
}

#[test]
fn the_same_command_twice_has_one_effect_also_after_a_restart() {
    let mut scene = opened(&drift("05-08"));
    let acknowledge = response("05-08 00:05", "user:edgar", Command::Acknowledge);
    let mut nowhere = response("05-08 00:06", "user:edgar", Command::Acknowledge);
    nowhere.subject = Some("feature:flight.tailnum".into());
    scene.send(&acknowledge).send(&acknowledge).send(&nowhere).send(&nowhere);
    let written = scene.out.facts.len();
    let mut again = crate::escalate::Escalate::new(crate::escalate::Settings::default());
    scene.out.facts.iter().for_each(|fact| again.restore_fact(fact));
    scene.stage = again;
    scene.send(&acknowledge).send(&nowhere);
    assert_eq!(scene.out.facts.len(), written);
    told(
        &mut scene,
        &expect![[r#"
        05-08 00:05:00 Acknowledged: by user:edgar until 05-08 00:35:00
        05-08 00:06:00 CommandRejected: acknowledge by user:edgar: no open incident has this root
    "#]],
    );
}

#[test]
fn an_incident_may_be_named_by_its_beginning() {
    let mut scene = opened(&drift("05-08"));
    let id = scene.stage.open_incidents().next().unwrap().id.to_owned();
    let mut acknowledge = response("05-08 00:05", "user:edgar", Command::Acknowledge);
    acknowledge.subject = None;
    for name in ["", "vwxyz", &id[..3], &id[..8]] {
        acknowledge.incident = Some(name.to_owned());
        scene.send(&acknowledge);
    }
    told(
        &mut scene,
        &expect![[r#"
        05-08 00:05:00 CommandRejected: acknowledge by user:edgar: `incident` is empty
        05-08 00:05:00 CommandRejected: acknowledge by user:edgar: there is no such incident
        05-08 00:05:00 CommandRejected: acknowledge by user:edgar: 9fa is too short for an incident: give at least 4 characters
        05-08 00:05:00 Acknowledged: by user:edgar until 05-08 00:35:00
    "#]],
    );
}

#[test]
fn fields_that_a_command_has_not_are_refused_by_name() {
    let mut scene = opened(&drift("05-08"));
    let mut strange = response("05-08 00:05", "user:edgar", Command::Acknowledge);
    strange.rest.insert("incidnet".into(), "x".into());
    scene.send(&strange);
    let mut other = response("05-08 00:06", "user:edgar", Command::Acknowledge);
    other.gate = Some("resolve".into());
    scene.send(&other);
    let mut long = response("05-08 00:07", "user:edgar", Command::Comment);
    long.rationale = Some("x".repeat(crate::command::TEXT_MAX + 1));
    scene.send(&long);
    told(
        &mut scene,
        &expect![[r#"
        05-08 00:05:00 CommandRejected: acknowledge by user:edgar: `incidnet` is no field of a command; acknowledge has at, by, command, incident, subject, rationale
        05-08 00:06:00 CommandRejected: acknowledge by user:edgar: acknowledge has no field `gate`; it has at, by, command, incident, subject, rationale
        05-08 00:07:00 CommandRejected: comment by user:edgar: `rationale` has more than 16384 characters
    "#]],
    );
}
