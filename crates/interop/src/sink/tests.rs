//! What is sent to each tool, as snapshots, and the bounds that tools set.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde_json::Value;
use watchkeep_model::charter::Severity;
use watchkeep_model::escalation::{Audience, Escalation, EventAction, Hyperlink};
use watchkeep_model::time::Timestamp;

use super::{alertmanager, email, pagerduty, slack, webhook};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn page() -> Escalation {
    Escalation {
        id: "7d1f".into(),
        r#type: "watchkeep.escalation.page".into(),
        source: "/watchkeep/incidents".into(),
        subject: "feature:dep_delay".into(),
        time: at("2013-05-08T14:01:00Z"),
        incident_id: "a5c0".into(),
        dedup_key: "a5c0".into(),
        event_action: EventAction::Trigger,
        severity: Severity::Error,
        summary: "error: drift of feature:dep_delay <shape> & more".into(),
        component: "feature:dep_delay".into(),
        group: Some("flights".into()),
        class: "drift".into(),
        audience: Audience::Page,
        step: Some("data-steward".into()),
        climb: Some(1),
        target: Some("user:edgar".into()),
        role: Some("data_steward".into()),
        channel: Some("email:edgar@example.com".into()),
        respond_by: Some(at("2013-05-08T14:31:00Z")),
        reason: "first".into(),
        owner: Some("user:ada".into()),
        unowned: false,
        affected_features: vec!["dep_delay".into()],
        affected_count: 3,
        consumers: vec!["model:eta".into()],
        runbook: Some("https://example.com/runbook".into()),
        links: vec![Hyperlink {
            href: "docs/rollback.md".into(),
            text: "rollback procedure".into(),
        }],
        drill: false,
        custom_details: BTreeMap::from([("shape".into(), "ks 0.4 > 0.1".into())]),
    }
}

fn status(action: EventAction, reason: &str) -> Escalation {
    Escalation {
        id: "99aa".into(),
        event_action: action,
        audience: Audience::Status,
        r#type: "watchkeep.escalation.status".into(),
        reason: reason.into(),
        step: None,
        climb: None,
        target: None,
        role: None,
        channel: None,
        respond_by: None,
        ..page()
    }
}

fn check(json: &str, expected: Expect) {
    let value: Value = serde_json::from_str(json).expect("JSON");
    expected.assert_eq(&format!("{value:#}\n"));
}

#[test]
fn a_page_for_pagerduty() {
    check(
        &pagerduty::event(&page(), "a5c0", "key"),
        expect![[r#"
        {
          "client": "Watchkeep",
          "dedup_key": "a5c0",
          "event_action": "trigger",
          "links": [
            {
              "href": "https://example.com/runbook",
              "text": "runbook"
            }
          ],
          "payload": {
            "class": "drift",
            "component": "feature:dep_delay",
            "custom_details": {
              "affected_count": 3,
              "affected_features": [
                "dep_delay"
              ],
              "audience": "page",
              "channel": "email:edgar@example.com",
              "consumers": [
                "model:eta"
              ],
              "custom_details": {
                "shape": "ks 0.4 > 0.1"
              },
              "drill": false,
              "incident_id": "a5c0",
              "links": [
                {
                  "href": "docs/rollback.md",
                  "text": "rollback procedure"
                }
              ],
              "loop": 1,
              "owner": "user:ada",
              "reason": "first",
              "respond_by": "2013-05-08T14:31:00.000000Z",
              "role": "data_steward",
              "runbook": "https://example.com/runbook",
              "step": "data-steward",
              "target": "user:edgar",
              "unowned": false
            },
            "group": "flights",
            "severity": "error",
            "source": "feature:dep_delay",
            "summary": "error: drift of feature:dep_delay <shape> & more",
            "timestamp": "2013-05-08T14:01:00Z"
          },
          "routing_key": "key"
        }
    "#]],
    );
}

#[test]
fn pagerduty_needs_little_to_acknowledge_and_resolve() {
    check(
        &pagerduty::event(&status(EventAction::Acknowledge, "acknowledged"), "a5c0", "key"),
        expect![[r#"
            {
              "dedup_key": "a5c0",
              "event_action": "acknowledge",
              "routing_key": "key"
            }
        "#]],
    );
    check(
        &pagerduty::event(&status(EventAction::Resolve, "resolved"), "a5c0", "key"),
        expect![[r#"
        {
          "dedup_key": "a5c0",
          "event_action": "resolve",
          "routing_key": "key"
        }
    "#]],
    );
}

#[test]
fn an_event_for_pagerduty_is_never_too_large() {
    let mut large = page();
    large.summary = "ü".repeat(3_000);
    large.affected_features = (0..20_000).map(|n| format!("feature_{n:0>30}")).collect();
    let event: Value =
        serde_json::from_str(&pagerduty::event(&large, "a5c0", "key")).expect("JSON");
    let summary = event["payload"]["summary"].as_str().unwrap_or_default();
    assert_eq!(summary.chars().count(), pagerduty::SUMMARY_CHARS_MAX);
    let listed = event["payload"]["custom_details"]["affected_features"].as_array();
    assert_eq!(listed.map(Vec::len), Some(20));
    assert_eq!(event["payload"]["custom_details"]["affected_count"], 3);

    large.component = "c".repeat(600_000);
    large.links =
        vec![Hyperlink { href: format!("https://{}", "x".repeat(600_000)), text: "t".into() }];
    let event = pagerduty::event(&large, "a5c0", "key");
    assert!(event.len() <= pagerduty::EVENT_BYTES_MAX, "{}", event.len());
}

#[test]
fn an_alert_for_alertmanager() {
    let page = page();
    let alert = alertmanager::Alert {
        message: &page,
        to: Some("edgar@example.com"),
        round: None,
        starts_at: page.time,
        ends_at: at("2013-05-08T14:06:00Z"),
    };
    check(
        &alertmanager::body(&[alert]),
        expect![[r#"
        [
          {
            "annotations": {
              "affected_count": "3",
              "description": "Why now: first\nRespond by: 2013-05-08T14:31:00Z\nSeverity: error\nSubject: feature:dep_delay\nBelongs to: flights\nOwner: user:ada\nStep: data-steward\nAsked: user:edgar as data_steward\nAffected: dep_delay and 2 more\nUsed by: model:eta\nBecause: shape: ks 0.4 > 0.1\nRunbook: https://example.com/runbook\nSee: rollback procedure: docs/rollback.md\nIncident: a5c0",
              "owner": "user:ada",
              "reason": "first",
              "respond_by": "2013-05-08T14:31:00Z",
              "runbook_url": "https://example.com/runbook",
              "step": "data-steward",
              "summary": "error: drift of feature:dep_delay <shape> & more",
              "target": "user:edgar"
            },
            "endsAt": "2013-05-08T14:06:00.000000Z",
            "generatorURL": "https://example.com/runbook",
            "labels": {
              "alertname": "WatchkeepIncident",
              "class": "drift",
              "component": "feature:dep_delay",
              "group": "flights",
              "incident_id": "a5c0",
              "severity": "error",
              "to": "edgar@example.com"
            },
            "startsAt": "2013-05-08T14:01:00.000000Z"
          }
        ]
    "#]],
    );
}

#[test]
fn what_changes_during_an_incident_is_no_label() {
    let first = page();
    let later = Escalation {
        step: Some("architect".into()),
        target: Some("user:radia".into()),
        affected_count: 40,
        summary: "worse".into(),
        ..page()
    };
    assert_eq!(alertmanager::labels(&first, None, None), alertmanager::labels(&later, None, None));
    let worse = Escalation { severity: Severity::Critical, ..page() };
    assert_ne!(alertmanager::labels(&first, None, None), alertmanager::labels(&worse, None, None));
}

#[test]
fn an_event_for_a_webhook() {
    check(
        &webhook::body(&page()),
        expect![[r#"
        {
          "data": {
            "affected_count": 3,
            "affected_features": [
              "dep_delay"
            ],
            "audience": "page",
            "channel": "email:edgar@example.com",
            "class": "drift",
            "component": "feature:dep_delay",
            "consumers": [
              "model:eta"
            ],
            "custom_details": {
              "shape": "ks 0.4 > 0.1"
            },
            "dedup_key": "a5c0",
            "drill": false,
            "event_action": "trigger",
            "group": "flights",
            "incident_id": "a5c0",
            "links": [
              {
                "href": "docs/rollback.md",
                "text": "rollback procedure"
              }
            ],
            "loop": 1,
            "owner": "user:ada",
            "reason": "first",
            "respond_by": "2013-05-08T14:31:00.000000Z",
            "role": "data_steward",
            "runbook": "https://example.com/runbook",
            "severity": "error",
            "step": "data-steward",
            "summary": "error: drift of feature:dep_delay <shape> & more",
            "target": "user:edgar",
            "unowned": false
          },
          "datacontenttype": "application/json",
          "id": "7d1f",
          "source": "/watchkeep/incidents",
          "specversion": "1.0",
          "subject": "feature:dep_delay",
          "time": "2013-05-08T14:01:00.000000Z",
          "type": "watchkeep.escalation.page"
        }
    "#]],
    );
}

/// The example of the standard: <https://github.com/standard-webhooks/standard-webhooks>.
#[test]
fn webhooks_are_signed_as_the_standard_says() {
    let signature = webhook::signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let headers = webhook::headers(&page(), "{}", Some("hush"), at("2013-05-08T14:01:00Z"));
    expect![[r#"
        content-type: application/cloudevents+json; charset=utf-8
        idempotency-key: 7d1f
        webhook-id: 7d1f
        webhook-timestamp: 1368021660
        webhook-signature: v1,AzS4vxM6u6CeJLpmp1XkWRLhMjH4W31BeLR27JLfnhQ=
    "#]]
    .assert_eq(
        &headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>(),
    );
}

#[test]
fn a_message_for_slack_is_escaped() {
    check(
        &slack::body(&page(), Some("#data")),
        expect![[r##"
        {
          "blocks": [
            {
              "text": {
                "text": "*[PAGE] error: drift of feature:dep_delay &lt;shape&gt; &amp; more*",
                "type": "mrkdwn"
              },
              "type": "section"
            },
            {
              "text": {
                "text": "*Why now:* first\n*Respond by:* 2013-05-08T14:31:00Z\n*Severity:* error\n*Subject:* feature:dep_delay\n*Belongs to:* flights\n*Owner:* user:ada\n*Step:* data-steward\n*Asked:* user:edgar as data_steward\n*Affected:* dep_delay and 2 more\n*Used by:* model:eta\n*Because:* shape: ks 0.4 &gt; 0.1\n*Runbook:* https://example.com/runbook\n*See:* rollback procedure: docs/rollback.md\n*Incident:* a5c0",
                "type": "mrkdwn"
              },
              "type": "section"
            }
          ],
          "channel": "#data",
          "text": "*[PAGE] error: drift of feature:dep_delay &lt;shape&gt; &amp; more*"
        }
    "##]],
    );
    let mut large = page();
    large.consumers = vec!["&".repeat(4_000)];
    let body: Value = serde_json::from_str(&slack::body(&large, None)).expect("JSON");
    let text = body["blocks"][1]["text"]["text"].as_str().unwrap_or_default();
    assert!(text.chars().count() <= 3_000 && text.ends_with("&amp;…"), "{text}");
    assert_eq!(body["channel"], Value::Null);
}

#[test]
fn a_mail() {
    let show = |message: &Escalation| {
        let mail = email::mail(message, "example.com");
        format!("{}\n{} {}\n\n{}", mail.subject, mail.message_id, mail.thread, mail.text)
    };
    expect![[r#"
        [PAGE] error: drift of feature:dep_delay <shape> & more
        <7d1f@example.com> <a5c0@example.com>

        error: drift of feature:dep_delay <shape> & more

        Why now: first
        Respond by: 2013-05-08T14:31:00Z
        Severity: error
        Subject: feature:dep_delay
        Belongs to: flights
        Owner: user:ada
        Step: data-steward
        Asked: user:edgar as data_steward
        Affected: dep_delay and 2 more
        Used by: model:eta
        Because: shape: ks 0.4 > 0.1
        Runbook: https://example.com/runbook
        See: rollback procedure: docs/rollback.md
        Incident: a5c0

        You are asked to respond: watchkeep incidents ack a5c0
    "#]]
    .assert_eq(&show(&page()));
    expect![[r#"
        [RESOLVED] error: drift of feature:dep_delay <shape> & more
        <99aa@example.com> <a5c0@example.com>

        error: drift of feature:dep_delay <shape> & more

        Why now: resolved
        Severity: error
        Subject: feature:dep_delay
        Belongs to: flights
        Owner: user:ada
        Affected: dep_delay and 2 more
        Used by: model:eta
        Because: shape: ks 0.4 > 0.1
        Runbook: https://example.com/runbook
        See: rollback procedure: docs/rollback.md
        Incident: a5c0

        Nothing is left to do about this incident.
    "#]]
    .assert_eq(&show(&status(EventAction::Resolve, "resolved")));
    let forged = Escalation { summary: "x\r\nBcc: eve@example.com".into(), ..page() };
    assert_eq!(email::mail(&forged, "d").subject, "[PAGE] x Bcc: eve@example.com");
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = at("2015-10-21T07:27:00Z");
    let after = |header: &str| super::retry_after(header, now).map(|span| span.to_string());
    assert_eq!(after("120").as_deref(), Some("2m"));
    assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT").as_deref(), Some("1m"));
    assert_eq!(after("Wed, 21 Oct 2015 07:20:00 GMT").as_deref(), Some("0s"));
    assert_eq!((after("soon"), after("-1")), (None, None));
}

#[test]
fn a_later_round_of_pages_is_an_alert_of_its_own() {
    let (page, later) = (page(), at("2013-05-08T15:01:00Z"));
    let keys = [None, Some(later)].map(|round| pagerduty::dedup_key(&page, round));
    assert_eq!(keys, ["a5c0", "a5c0 2013-05-08T15:01:00Z"]);
    let event: Value =
        serde_json::from_str(&pagerduty::event(&page, &keys[1], "key")).expect("JSON");
    assert_eq!(event["dedup_key"], keys[1].as_str());
    let long = Escalation { dedup_key: "k".repeat(300), ..page.clone() };
    assert!(pagerduty::dedup_key(&long, Some(later)).len() <= 255);
    check(
        &pagerduty::end(&keys[0], "key"),
        expect![[r#"
            {
              "dedup_key": "a5c0",
              "event_action": "resolve",
              "routing_key": "key"
            }
        "#]],
    );
    let first = alertmanager::labels(&page, None, None);
    let mut second = alertmanager::labels(&page, None, Some(later));
    assert_eq!(second.remove("paged_at").as_deref(), Some("2013-05-08T15:01:00Z"));
    assert_eq!(first, second);
}

#[test]
fn a_secret_that_says_that_it_is_base64_is() {
    for (secret, is_one) in [
        ("hush-hush", true),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
        ("whsec_!!!", false),
        ("whsec_c2VjcmV0X3ZhbHVlXzEyMw", false),
    ] {
        assert_eq!(webhook::is_secret(secret), is_one, "{secret}");
    }
}
