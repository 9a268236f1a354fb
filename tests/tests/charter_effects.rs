//! What fields of a charter lead to, from telemetry to what people are told.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watchkeep_tests::binary;

const CHARTERS: &str = "kind: directory
users:
  ada: {contacts: [{tool: email, to: ada@example.com}]}
  grace: {contacts: [{tool: email, to: grace@example.com}]}
governance: user:grace
---
kind: policy
name: standard
version: 1
steps: [{name: first, notify: [{role: primary}], channels: [{tool: email, to: team@example.com}], acknowledge_within: 10m}]
---
kind: charter
subject: feature:ride.price
policy: standard
owners: {primary: user:ada}
consumers: [model:eta, dashboard:trips]
external_dependencies: [Tariffs of the city, Payments Ltd]
expectations: [{name: nulls, kind: null_rate, window: 10m, above: 0.1, min_samples: 1}]
---
kind: charter
subject: feature:ride.km
policy: standard
owners: {primary: user:ada}
reviewed_at: 2026-01-01
expectations:
  - {name: nulls, kind: null_rate, window: 10m, above: 0.1, min_samples: 1}
  - {name: drift, kind: drift, window: 10m, baseline: {kind: rolling, windows: 2}, min_samples: 5}
---
kind: charter
subject: feature:ride.miles
policy: standard
owners: {primary: user:ada}
expectations:
  - {name: drift, kind: drift, window: 10m, baseline: {kind: rolling, windows: 2}, min_samples: 5}
---
kind: charter
subject: feature:ride.kind
policy: standard
owners: {primary: user:ada}
expectations:
  - {name: kinds, kind: categories, window: 10m, allowed: [city, land], above: 0.1, min_samples: 5}
---
kind: charter
subject: feature:ride.seats
lifecycle: draft
owners: {primary: user:ada, reviewer: user:grace}
reviewed_at: 2026-01-01
---
kind: charter
subject: feature:ride.seats
lifecycle: production
owners: {primary: user:ada, reviewer: user:grace}
reviewed_at: 2026-01-01
effective_from: 2026-01-13T08:30:00Z
";

/// A folder with a replay of 90 minutes in which every price is missing, one
/// feature comes in its next version after an hour with other values, another
/// with the same values in none, one has a new category for a while, and one is
/// promoted.
struct Replay {
    _folder: tempfile::TempDir,
    charters: PathBuf,
    out: PathBuf,
}

impl Replay {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let charters = folder.path().join("charters");
        std::fs::create_dir(&charters).expect("disk");
        std::fs::write(charters.join("all.yaml"), CHARTERS).expect("disk");
        let mut text = String::new();
        for minute in 0..90 {
            let time = format!("2026-01-13T{:02}:{:02}:00Z", 8 + minute / 60, minute % 60);
            let version = 1 + minute / 60;
            let length = f64::from(minute % 5) + if version == 1 { 1.5 } else { 150.0 };
            let kind = match minute {
                32 | 37 => "sea",
                _ => ["city", "land"][minute as usize % 2],
            };
            let _ = writeln!(
                text,
                r#"{{"feature":"ride.price","event_time":"{time}","value":null}}
{{"feature":"ride.km","feature_version":"{version}","event_time":"{time}","value":{length}}}
{{"feature":"ride.miles","event_time":"{time}","value":{length}}}
{{"feature":"ride.kind","event_time":"{time}","value":"{kind}"}}
{{"feature":"ride.seats","event_time":"{time}","value":3}}"#
            );
        }
        let (input, out) = (folder.path().join("in.ndjson"), folder.path().join("out"));
        std::fs::write(&input, text).expect("disk");
        let path = |path: &Path| path.to_str().expect("text").to_owned();
        let (input, charters_text, out_text) = (path(&input), path(&charters), path(&out));
        let replay =
            ["replay", "--input", &input, "--charters", &charters_text, "--out", &out_text];
        binary::run(replay);
        Self { _folder: folder, charters, out }
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.out.join(name)).expect("a file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn report(&self, format: &str) -> (Option<i32>, String) {
        let [out, charters] = [&self.out, &self.charters].map(|p| p.to_str().expect("text"));
        let report = ["report", "stewardship", "--from-folder", out, "--charters", charters];
        let mut command = binary::command(report);
        let output = command.args(["--format", format]).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    }
}

#[test]
fn a_breach_lists_who_uses_the_feature() {
    let mut breaches = Replay::new().lines("breaches.ndjson");
    breaches.retain(|breach| breach["feature"] == "ride.price");
    assert!(!breaches.is_empty());
    for breach in breaches {
        assert_eq!(
            breach["affected_consumers"],
            serde_json::json!(["model:eta", "dashboard:trips"])
        );
    }
}

#[test]
fn parties_outside_are_named_as_evidence_and_on_the_page() {
    let replay = Replay::new();
    let incidents = replay.lines("incidents.ndjson");
    let mut opened = incidents.iter().filter(|fact| fact["fact"] == "opened");
    let opened = opened.find(|fact| fact["data"]["root"] == "feature:ride.price").expect("it");
    let evidence = opened["data"]["attribution"]["evidence"].as_array().expect("evidence");
    let outside = "feature:ride.price depends on others outside: Tariffs of the city, Payments Ltd";
    assert!(evidence.contains(&outside.into()), "{evidence:?}");
    let escalations = replay.lines("escalations.ndjson");
    let page = escalations.iter().find(|message| message["audience"] == "page").expect("a page");
    assert_eq!(
        page["custom_details"]["external_dependencies"],
        "Tariffs of the city, Payments Ltd"
    );
    let id = opened["incident_id"].as_str().expect("an id");
    let out = replay.out.to_str().expect("text");
    let output = binary::run(["incidents", "explain", id, "--from", out]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains(outside), "{text}");
}

#[test]
fn a_new_version_is_no_drift_of_the_old() {
    let breaches = Replay::new().lines("breaches.ndjson");
    let mut drifting = breaches.iter().filter(|breach| breach["expectation"] == "drift");
    // The same values without versions are told of.
    let opened = drifting.next().expect("a drift");
    assert_eq!(opened["window_start"], "2026-01-13T09:00:00.000000Z");
    assert!(breaches.iter().all(|breach| breach["feature"] != "ride.km"), "{breaches:?}");
}

#[test]
fn a_category_that_is_not_allowed_is_named() {
    let replay = Replay::new();
    let windows = replay.lines("windows.ndjson");
    let of_kind = windows.iter().filter(|window| window["feature"] == "ride.kind");
    let bad: Vec<(&Value, &Value, &Value)> = of_kind
        .flat_map(|window| {
            let judged = window["judged"].as_array().expect("verdicts");
            let bad = judged.iter().filter(|judged| judged["verdict"] == "bad");
            bad.map(|j| (&window["window_start"], &j["observed"], &j["drift"]["unseen"]))
        })
        .collect();
    let (start, share) = ("2026-01-13T08:30:00.000000Z".into(), 0.2.into());
    assert_eq!(bad, [(&start, &share, &serde_json::json!(["sea"]))]);
}

#[test]
fn who_has_left_and_edges_that_no_run_has_shown_are_stale() {
    let replay = Replay::new();
    let stale = |replay: &Replay| {
        let report: Value = serde_json::from_str(&replay.report("json").1).expect("JSON");
        (report["stale_owners"].clone(), report["stale_edges"].clone())
    };
    assert_eq!(stale(&replay), (serde_json::json!([]), serde_json::json!([])));
    let charters = CHARTERS.replace("  grace: {", "  grace: {active: false, ");
    let edges = "---\nkind: lineage\nedges:
  - {from: dataset:rides, to: feature:ride.km, last_seen: 2026-01-12}
  - {from: dataset:trips, to: feature:ride.km, last_seen: 2025-01-12}\n";
    std::fs::write(replay.charters.join("all.yaml"), charters + edges).expect("disk");
    let (owners, edges) = stale(&replay);
    let holds = |charter: &str, role: &str| serde_json::json!({"charter": charter, "role": role, "name": "user:grace", "why": "has left"});
    let reviewer = holds("feature:ride.seats", "reviewer");
    assert_eq!(owners, serde_json::json!([reviewer, holds("directory", "governance")]));
    assert_eq!(edges[0]["from"], "dataset:trips", "{edges}");
    assert_eq!(edges.as_array().map(Vec::len), Some(1), "{edges}");
}

#[test]
fn a_promotion_and_a_new_version_open_a_review() {
    let replay = Replay::new();
    let (code, text) = replay.report("json");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let opened = serde_json::json!([
        {
            "charter": "feature:ride.km", "because": "version", "before": "1", "after": "2",
            "at": "2026-01-13T09:00:00.000000Z", "by": "user:ada",
        },
        {
            "charter": "feature:ride.seats", "because": "lifecycle", "before": "draft",
            "after": "production", "at": "2026-01-13T08:30:00.000000Z", "by": "user:grace",
        },
    ]);
    assert_eq!(report["opened_reviews"], opened);
    assert_eq!(code, Some(1));
    let (_, markdown) = replay.report("markdown");
    assert!(markdown.contains("## Reviews that a change has opened"), "{markdown}");
    // Once the charter is reviewed, the review is over.
    let reviewed = CHARTERS.replace("reviewed_at: 2026-01-01", "reviewed_at: 2026-01-14");
    std::fs::write(replay.charters.join("all.yaml"), reviewed).expect("disk");
    let (code, text) = replay.report("json");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &report["opened_reviews"]), (Some(0), &Value::Null), "{text}");
}
