//! A load that fails while a service runs: its run events come by the lineage
//! topic, the features that are made from it breach, and its owner is paged. A
//! replay of the log says the same.

use serde_json::Value;

use crate::binary;
use crate::service::Service;

const CHARTERS: &str = "kind: directory
users:
  ada: {contacts: [{tool: email, to: ada@example.com}]}
  ken: {contacts: [{tool: email, to: ken@example.com}]}
governance: user:ada
---
kind: policy
name: standard
version: 1
grouping: {group_wait: 1s}
steps: [{name: owner, notify: [{role: primary}], acknowledge_within: 10m}]
---
kind: charter
subject: feature:ride.*
owners: {primary: user:ada}
upstream: [view:rides]
policy: standard
expectations: [{name: nulls, kind: null_rate, window: 10m, above: 0.1, min_samples: 1}]
---
kind: charter
subject: pipeline:load
owners: {primary: user:ken}
";

/// An event of the load, as OpenLineage writes it.
pub fn run_event(state: &str, time: &str) -> String {
    format!(
        "{{\"eventType\":\"{state}\",\"eventTime\":\"2026-01-05T{time}Z\",\
         \"producer\":\"https://example.com\",\"run\":{{\"runId\":\"of {time}\"}},\
         \"job\":{{\"namespace\":\"etl\",\"name\":\"load\"}},\
         \"inputs\":[{{\"namespace\":\"raw\",\"name\":\"rides\"}}],\
         \"outputs\":[{{\"namespace\":\"\",\"name\":\"view:rides\"}}]}}"
    )
}

/// An hour of two features, a fifth of whose values are missing.
fn telemetry() -> String {
    let mut text = String::new();
    for minute in 0..60 {
        for n in 0..10 {
            for feature in ["ride.price", "ride.eta"] {
                let (second, value) = (n * 6, if n % 5 == 0 { "null" } else { "1.5" });
                text.push_str(&format!(
                    "{{\"feature\":\"{feature}\",\
                     \"event_time\":\"2026-01-05T08:{minute:02}:{second:02}Z\",\"value\":{value}}}\n"
                ));
            }
        }
    }
    text
}

/// Root, method and owner of each incident, first opened first.
fn blamed(facts: &[Value]) -> Vec<String> {
    let of = |fact: &Value| {
        let data = &fact["data"];
        format!("{} {} {}", data["root"], data["attribution"]["method"], data["owner"])
    };
    facts.iter().filter(|fact| fact["fact"] == "opened").map(of).collect()
}

/// Plays it on a service whose charters come from the topic, and stops it.
///
/// # Panics
/// Where somebody else is blamed, or the replay says otherwise.
pub fn play(service: &mut Service) {
    let path = |service: &Service, name: &str, text: &str| {
        let path = service.folder().join(name);
        std::fs::write(&path, text).expect("disk");
        path.to_str().expect("text").to_owned()
    };
    let charters = service.folder().join("charters");
    std::fs::create_dir_all(&charters).expect("disk");
    path(service, "charters/all.yaml", CHARTERS);
    let folder = charters.to_str().expect("text").to_owned();
    service.run(&["charters", "publish", "--charters", &folder, "--by", "user:ada"]);
    let before: String =
        ["05:00:00", "06:00:00", "07:00:00"].map(|at| run_event("COMPLETE", at) + "\n").concat();
    let before = path(service, "before.ndjson", &before);
    service.run(&["produce", "--topic", "lineage", "--input", &before]);

    service.start();
    service.wait_for("start", |s| s.metric("watchkeep_") > 0.0);
    // One that is no event holds up nothing.
    let failed = "{\"eventType\":\"FAIL\"}\n".to_owned() + &run_event("FAIL", "07:50:00") + "\n";
    let failed = path(service, "failed.ndjson", &failed);
    service.run(&["produce", "--topic", "lineage", "--input", &failed]);
    let telemetry = path(service, "telemetry.ndjson", &telemetry());
    service.run(&["produce", "--input", &telemetry]);
    service.wait_for("page", |s| s.log().contains("target_name=\"user:ken\""));
    let shown = show(service);
    service.stop();
    assert_eq!(show(service), shown, "the topic says what the service said");

    let expected = "\"pipeline:load\" \"upstream_run\" \"user:ken\"";
    let live = blamed(&service.export("incidents"));
    assert_eq!(live, [expected]);
    let out = service.folder().join("out");
    service.run(&["replay", "--input", "summaries", "--out", out.to_str().expect("text")]);
    assert_eq!(blamed(&binary::lines(&out.join("incidents.ndjson"))), live);
}

/// What the price is made from at eight, by the topic.
fn show(service: &Service) -> String {
    let arguments = ["lineage", "show", "ride.price", "--at", "2026-01-05T08:00:00Z"];
    let shown = service.run(&[&arguments[..], &["--format", "dot"]].concat());
    let lines = [
        "\"view:rides\" -> \"feature:ride.price\";",
        "\"pipeline:load\" -> \"view:rides\";",
        "\"dataset:raw/rides\" -> \"pipeline:load\";",
        "run of 07:50:00 failed",
    ];
    for line in lines {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    shown
}
