//! What people do, and what is refused.

use expect_test::expect;
use watchkeep_model::incident::FactData;
use watchkeep_model::response::{Command, RemedyAction};

use super::scene::{DELAY, Scene, at, drift, latency, nulls, response};

#[test]
fn acknowledged_in_time_then_forgotten_then_remediated() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08"));
    scene.respond("05-08 00:10", "user:edgar", Command::Acknowledge);
    scene.respond("05-08 01:00", "user:grace", Command::Acknowledge);
    scene.respond("05-08 01:20", "user:edgar", Command::Remediate);
    scene.run_to("05-08 12:00");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:10:00 Acknowledged: by user:edgar until 05-08 00:40:00
        05-08 00:40:00 AcknowledgementExpired: of user:edgar
        05-08 00:40:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (ack_timeout) respond by 05-08 01:10:00
        05-08 01:00:00 Acknowledged: by user:grace until 05-08 01:30:00
        05-08 01:20:00 Remediated: by user:edgar: Fix
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_response_at_exactly_the_deadline_is_in_time() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08"));
    // Opened at 00:01, to be acknowledged within 30 minutes.
    scene.respond("05-08 00:31", "user:edgar", Command::Acknowledge).run_to("05-08 00:31");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:31:00 Acknowledged: by user:edgar until 05-08 01:01:00
    "#]].assert_eq(&scene.story());
}

#[test]
fn an_acknowledgement_does_not_stop_the_other_deadlines() {
    let mut scene = Scene::new();
    scene.world.policies.get_mut("flights").unwrap().ack_timeout = None;
    let mut outage = latency("05-21");
    outage.severity = watchkeep_model::charter::Severity::Error;
    scene.breach(&outage);
    scene.respond("05-21 00:05", "user:ada", Command::Acknowledge).run_to("05-23 12:00");
    expect![[r#"
        05-21 00:01:00 Opened: feature:flight.arr_delay_min error latency by itself owner user:ada step on-call at 05-21 00:01:00
        05-21 00:01:00 BreachAttached: flight.arr_delay_min latency
        05-21 00:01:00 Notified: on-call loop 1: user:ada as primary by pagerduty:flight-data (first) respond by 05-21 00:11:00
        05-21 00:01:00 Notified: on-call loop 1: user:grace as schedule:flight-data by pagerduty:flight-data (first) respond by 05-21 00:11:00
        05-21 00:05:00 Acknowledged: by user:ada until -
        05-21 01:01:00 Escalated: on-call to data-steward loop 1 by not_remediated, enters 05-21 01:01:00
        05-21 01:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-21 05:01:00
        05-21 05:01:00 Escalated: data-steward to architect loop 1 by not_remediated, enters 05-21 05:01:00
        05-21 05:01:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-22 05:01:00
        05-22 05:01:00 Escalated: architect to on-call loop 2 by not_decided, enters 05-22 05:01:00
        05-22 05:01:00 Notified: on-call loop 2: user:ada as primary by pagerduty:flight-data (escalated) respond by 05-22 06:01:00
        05-22 05:01:00 Notified: on-call loop 2: user:grace as schedule:flight-data by pagerduty:flight-data (escalated) respond by 05-22 06:01:00
        05-22 06:01:00 Escalated: on-call to data-steward loop 2 by not_remediated, enters 05-22 06:01:00
        05-22 06:01:00 Notified: data-steward loop 2: user:edgar as data_steward by email:data-quality@example.com (escalated) respond by 05-22 10:01:00
        05-22 10:01:00 Escalated: data-steward to architect loop 2 by not_remediated, enters 05-22 10:01:00
        05-22 10:01:00 Notified: architect loop 2: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-23 10:01:00
        05-23 10:01:00 Exhausted: after architect of loop 2 by not_decided
        05-23 10:01:00 Notified: on_exhausted loop 2: user:radia as group:data-governance by email:radia@example.com (exhausted) respond by -
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn illegal_commands_are_refused_with_the_rule() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08")).run_to("05-08 00:01");
    scene.story();
    for command in Command::ALL {
        let mut refused = response("05-08 00:02", "user:edgar", command.0);
        refused.rationale = None;
        if command.0 != Command::Acknowledge && command.0 != Command::Escalate {
            scene.send(&refused);
        }
    }
    scene.respond("05-08 00:03", "user:nobody", Command::Acknowledge);
    let mut elsewhere = response("05-08 00:04", "user:edgar", Command::Acknowledge);
    elsewhere.subject = Some("feature:flight.tailnum".into());
    scene.send(&elsewhere);
    let mut rollback = response("05-08 00:05", "user:edgar", Command::Remediate);
    rollback.action = Some(RemedyAction::Rollback);
    scene.send(&rollback);
    let mut gate = response("05-08 00:06", "user:edgar", Command::SignOff);
    gate.gate = Some("rollback".into());
    scene.send(&gate);
    gate.by = "user:grace".into();
    rollback.at = at("05-08 00:07");
    scene.send(&gate).send(&rollback);
    expect![[r#"
        05-08 00:02:00 CommandRejected: remediate by user:edgar: a remediation needs a rationale
        05-08 00:02:00 CommandRejected: verify by user:edgar: a breach is still open
        05-08 00:02:00 CommandRejected: sign_off by user:edgar: the policy has no gate resolve for this severity
        05-08 00:02:00 CommandRejected: resolve by user:edgar: a resolution needs a rationale
        05-08 00:02:00 CommandRejected: reassign by user:edgar: a reassignment says `to` whom
        05-08 00:02:00 CommandRejected: silence by user:edgar: a silence needs a rationale: why nobody is to be told
        05-08 00:02:00 CommandRejected: unsilence by user:edgar: the command says which `silence` ends
        05-08 00:02:00 CommandRejected: comment by user:edgar: a comment needs a rationale: its text
        05-08 00:02:00 CommandRejected: review by user:edgar: a review names the root_cause
        05-08 00:02:00 CommandRejected: propose by user:edgar: a proposal needs a rationale: why the charters should change
        05-08 00:02:00 CommandRejected: approve by user:edgar: whoever has decided this has no charters topic
        05-08 00:02:00 CommandRejected: feedback by user:edgar: feedback is one of useful, false_positive, duplicate, not_actionable, wrong_owner, too_late
        05-08 00:02:00 CommandRejected: merge by user:edgar: a merger says `into` which incident
        05-08 00:02:00 CommandRejected: close by user:edgar: no resolved incident has this root
        05-08 00:02:00 CommandRejected: complete by user:edgar: no incident with this root has an open action
        05-08 00:02:00 CommandRejected: report_delivery by user:edgar: only the deliver stage reports deliveries
        05-08 00:02:00 CommandRejected: reject by user:edgar: a rejection needs a rationale
        05-08 00:02:00 CommandRejected: report_drill by user:edgar: the command says what the `drill` came to
        05-08 00:03:00 CommandRejected: acknowledge by user:nobody: `user:nobody` is not a user of the directory
        05-08 00:04:00 CommandRejected: acknowledge by user:edgar: no open incident has this root
        05-08 00:05:00 CommandRejected: remediate by user:edgar: the gate rollback is not signed off: 0 of 1 signatures count
        05-08 00:06:00 CommandRejected: sign_off by user:edgar: only primary, backup may sign the gate rollback
        05-08 00:06:00 SignedOff: rollback true by user:grace as backup, 1 of 1
        05-08 00:07:00 Remediated: by user:edgar: Rollback
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn somebody_may_ask_for_the_next_step() {
    let mut scene = Scene::new();
    scene.breach(&drift("05-08"));
    scene.respond("05-08 00:05", "user:edgar", Command::Escalate);
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:05:00 Escalated: data-steward to architect loop 1 by requested, enters 05-08 00:05:00
        05-08 00:05:00 Notified: architect loop 1: user:barbara as architect by email:architecture@example.com (escalated) respond by 05-08 01:05:00
    "#]].assert_eq(&scene.story());
}

#[test]
fn a_critical_one_waits_for_a_signature_of_somebody_else() {
    let mut scene = Scene::new();
    let missing = nulls("05-08");
    scene.breach(&missing);
    scene.respond("05-08 00:05", "user:edgar", Command::Acknowledge);
    scene.respond("05-08 00:20", "user:edgar", Command::Remediate);
    scene.clear(&missing, "05-09");
    for day in ["05-09", "05-10"] {
        scene.window(&missing, day, watchkeep_model::window::Verdict::Good);
    }
    scene.run_to("05-11");
    scene.respond("05-11 00:01", "user:edgar", Command::SignOff);
    scene.respond("05-11 00:02", "user:ada", Command::SignOff);
    scene.respond("05-11 00:03", "user:ada", Command::Resolve);
    let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
    charter.fields.owners.data_steward = Some("group:data-governance".into());
    scene.respond("05-11 00:04", "user:barbara", Command::SignOff);
    scene.respond("05-11 00:05", "user:ada", Command::Acknowledge);
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min critical null_rate by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min missing
        05-08 00:01:00 ActionRecorded: rollback_proposed: missing of flight.arr_delay_min is a criterion for rolling back: https://wiki.example.com/rollback
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:05:00 Acknowledged: by user:edgar until 05-08 00:35:00
        05-08 00:20:00 Remediated: by user:edgar: Fix
        05-09 00:00:00 BreachCleared: flight.arr_delay_min missing left 0
        05-10 00:00:00 Verified: by good_windows, 2 good
        05-11 00:01:00 CommandRejected: sign_off by user:edgar: who signs the gate resolve must not be the remediator
        05-11 00:02:00 CommandRejected: sign_off by user:ada: only data_steward may sign the gate resolve
        05-11 00:03:00 CommandRejected: resolve by user:ada: the gate resolve is not signed off: 0 of 1 signatures count
        05-11 00:04:00 SignedOff: resolve true by user:barbara as data_steward, 1 of 1
        05-11 00:04:00 Resolved: signed_off
        05-11 00:05:00 CommandRejected: acknowledge by user:ada: no open incident has this root
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn what_is_accepted_may_stay_bad_and_be_resolved() {
    let mut scene = Scene::new();
    let bad = drift("05-08");
    scene.breach(&bad);
    let mut accept = response("05-08 00:20", "user:edgar", Command::Remediate);
    accept.action = Some(RemedyAction::Accept);
    scene.send(&accept);
    scene.window(&bad, "05-09", watchkeep_model::window::Verdict::Bad);
    scene.respond("05-09 00:01", "user:edgar", Command::Resolve).run_to("05-12");
    expect![[r#"
        05-08 00:01:00 Opened: feature:flight.arr_delay_min error drift by itself owner user:ada step data-steward at 05-08 00:01:00
        05-08 00:01:00 BreachAttached: flight.arr_delay_min drift
        05-08 00:01:00 Notified: data-steward loop 1: user:edgar as data_steward by email:data-quality@example.com (first) respond by 05-08 00:31:00
        05-08 00:20:00 Remediated: by user:edgar: Accept
        05-09 00:01:00 Resolved: command
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn the_owners_own_team_may_not_verify_where_the_charter_wants_independence() {
    let mut scene = Scene::new();
    let charter = scene.world.charters.get_mut(&format!("feature:{DELAY}")).unwrap();
    charter.fields.independence = Some("monetisation".into());
    let bad = drift("05-08");
    scene.breach(&bad).clear(&bad, "05-09");
    scene.run_to("05-09");
    scene.story();
    scene.respond("05-09 00:10", "user:grace", Command::Verify);
    scene.respond("05-09 00:11", "user:edgar", Command::Verify);
    expect![[r#"
        05-09 00:10:00 CommandRejected: verify by user:grace: the verifier is in the team of the primary
        05-09 00:11:00 Verified: by person, 0 good
        05-09 00:11:00 Resolved: verified
    "#]].assert_eq(&scene.story());
    scene.check();
}

#[test]
fn a_late_answer_cannot_be_given_out_as_one_in_time() {
    // Opened at 00:01, to be acknowledged by 00:31, climbed then.
    let acknowledged = |said: &str, taken: &str| {
        let mut scene = Scene::new();
        scene.breach(&drift("05-08")).run_to("05-08 00:31");
        let answer = response(said, "user:edgar", Command::Acknowledge);
        scene.stage.respond(&answer, &scene.world, at(taken), &mut scene.out);
        scene.check();
        let facts = scene.out.facts.iter().rev();
        let mut found = facts.filter_map(|fact| match &fact.data {
            FactData::Acknowledged(data) => Some((fact.occurred_at, data.late_by_us)),
            _ => None,
        });
        found.next_back().expect("it is acknowledged")
    };
    // It was on its way when the timer fired.
    assert_eq!(acknowledged("05-08 00:30:58", "05-08 00:31:01"), (at("05-08 00:30:58"), None));
    assert_eq!(acknowledged("05-08 00:32", "05-08 00:33"), (at("05-08 00:32"), Some(60_000_000)));
    // What was recorded at 00:31 was recorded before it, whatever it says.
    for said in ["05-07 12:00", "05-08 00:01:30", "05-08 00:30"] {
        assert_eq!(acknowledged(said, "05-08 00:33").0, at("05-08 00:31"), "{said}");
    }
}
