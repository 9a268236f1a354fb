//! Who answers and how charters are looked after, through the command line.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use watchkeep_tests::binary;

const CHARTERS: &str = "kind: directory
users:
  ada: {contacts: [{tool: email, to: ada@example.com}], absences: [{from: 2026-01-05, to: 2026-01-12}]}
  grace: {contacts: [{tool: email, to: grace@example.com}]}
  mary: {contacts: [{tool: email, to: mary@example.com}]}
  radia: {}
  gone: {active: false}
groups:
  prices: {lead: user:ada, members: [user:ada, user:grace]}
  sales: {lead: user:mary, members: [user:mary, user:grace]}
schedules:
  rota: {zone: Europe/London, layers: [{users: [user:ada, user:grace], every: 1w, from: 2026-01-05T09:00:00Z}]}
systems:
  shop: {owner: user:gone, domain: trade}
domains:
  trade: {owner: user:radia}
governance: user:radia
---
kind: policy
name: standard
version: 1
steps: [{name: first, notify: [{role: primary}, {schedule: schedule:rota}], acknowledge_within: 10m}]
independence: {pricing: {owner_not_in_team_of: [business_owner]}}
---
kind: charter
subject: feature:ride.*
policy: standard
owners: {primary: user:ada, backup: user:grace, business_owner: user:mary}
upstream: [dataset:rides]
consumers: [model:eta]
review_every: 90d
reviewed_at: 2025-10-01
business_outcomes: [riders see the price that they pay]
---
kind: charter
subject: feature:ride.price
independence: pricing
system: shop
expectations: [{name: nulls, kind: null_rate, window: 10m, above: 0.1, min_samples: 1}]
---
kind: charter
subject: feature:ride.km
expectations: [{name: nulls, kind: null_rate, window: 10m, above: 0.1, min_samples: 1}]
";

fn charters(folder: &Path) -> PathBuf {
    let charters = folder.join("charters");
    std::fs::create_dir_all(&charters).expect("disk");
    std::fs::write(charters.join("all.yaml"), CHARTERS).expect("disk");
    charters
}

fn command(arguments: &[&str]) -> Output {
    binary::command(arguments).output().expect("the binary can be run")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{error}"))
}

fn who(charters: &Path, feature: &str, at: &str, more: &[&str]) -> Value {
    let charters = charters.to_str().expect("text");
    let arguments = ["who", feature, "--at", at, "--charters", charters, "--format", "json"];
    json(&command(&[&arguments[..], more].concat()))
}

fn chain(answer: &Value) -> Vec<String> {
    let links = answer["resolution"].as_array().expect("links");
    let text = |link: &Value, field: &str| link[field].as_str().unwrap_or("-").to_owned();
    links
        .iter()
        .map(|l| format!("{} {}: {}", text(l, "link"), text(l, "tried"), text(l, "outcome")))
        .collect()
}

#[test]
fn the_chain_tells_every_link_and_why_it_was_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    // The primary is away, and the backup shares a team with the business owner.
    let answer = who(&charters, "ride.price", "2026-01-06", &[]);
    assert_eq!(
        chain(&answer),
        [
            "primary user:ada: absent until 2026-01-12T00:00:00Z",
            "backup user:grace: has a conflict of interest: in a team with the business_owner",
            "view -: not set",
            "group -: not set",
            "system user:gone: inactive",
            "domain user:radia: answers",
        ]
    );
    assert_eq!(answer["owner"], "user:radia");
    // Without the class the backup answers; it ends when the absence does.
    let answer = who(&charters, "ride.km", "2026-01-06", &[]);
    assert_eq!(
        (&answer["owner"], &answer["next_owner"]),
        (&"user:grace".into(), &"user:ada".into())
    );
    assert_eq!(answer["until"], "2026-01-12T00:00:00.000000Z");
}

/// Telemetry that breaches, and what somebody does about it.
fn replay(folder: &Path, charters: &Path) -> PathBuf {
    let mut text = String::new();
    for minute in 0..90 {
        let time = format!("2026-01-13T{:02}:{:02}:00Z", 8 + minute / 60, minute % 60);
        for (feature, version) in [("ride.price", "1"), ("ride.km", "1"), ("taxi.wait", "")] {
            let version = if minute >= 60 && feature == "ride.km" { "2" } else { version };
            let value = if feature == "ride.price" { "null" } else { "1.5" };
            text.push_str(&format!(
                "{{\"feature\":\"{feature}\",\"feature_version\":\"{version}\",\"event_time\":\"{time}\",\"value\":{value}}}\n"
            ));
        }
    }
    let (input, responses) = (folder.join("in.ndjson"), folder.join("responses.ndjson"));
    std::fs::write(&input, text).expect("disk");
    let acknowledge = "{\"at\":\"2026-01-13T08:20:00Z\",\"by\":\"user:ada\",\"command\":\"acknowledge\",\"subject\":\"feature:ride.price\"}\n";
    std::fs::write(&responses, acknowledge).expect("disk");
    let out = folder.join("out");
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    let (input, charters, responses, out_text) =
        (path(&input), path(charters), path(&responses), path(&out));
    binary::run([
        "replay",
        "--input",
        &input,
        "--charters",
        &charters,
        "--responses",
        &responses,
        "--out",
        &out_text,
    ]);
    out
}

#[test]
fn one_question_names_owner_datasets_consumers_alarms_incidents_and_who_is_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let out = replay(folder.path(), &charters);
    let out = out.to_str().expect("text");
    let answer = who(&charters, "ride.price", "2026-01-13T09:00:00Z", &["--from", out]);
    assert_eq!(answer["owner"], "user:ada");
    assert_eq!(answer["upstream"], serde_json::json!(["dataset:rides"]));
    assert_eq!(answer["consumers"], serde_json::json!(["model:eta"]));
    assert_eq!(answer["alarms"][0]["name"], "nulls");
    assert_eq!(answer["open_incidents"][0]["state"], "acknowledged", "{answer}");
    let rota = answer["on_the_hook"].as_array().expect("a list").iter();
    let rota = rota.filter(|line| line["name"] == "schedule:rota").collect::<Vec<_>>();
    assert_eq!((&rota[0]["now"], &rota[0]["next"]), (&"user:grace".into(), &"user:ada".into()));
    assert_eq!(rota[0]["until"], "2026-01-19T09:00:00.000000Z");
    // Before it was opened there is none.
    let answer = who(&charters, "ride.price", "2026-01-13T08:05:00Z", &["--from", out]);
    assert_eq!(answer["open_incidents"], serde_json::json!([]));
}

#[test]
fn stewardship_is_reported_from_a_replay() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let out = replay(folder.path(), &charters);
    let report = |what: &str, format: &str| {
        let (out, charters) = (out.to_str().expect("text"), charters.to_str().expect("text"));
        let arguments =
            ["report", what, "--from-folder", out, "--charters", charters, "--format", format];
        command(&arguments)
    };
    let output = report("stewardship", "json");
    assert_eq!(output.status.code(), Some(1), "a review is overdue");
    let found = json(&output);
    assert_eq!(found["reviews"][0]["charter"], "feature:ride.*");
    assert_eq!(found["reviews"][0]["is_overdue"], true);
    assert_eq!(
        found["reviews"].as_array().map(Vec::len),
        Some(1),
        "what is inherited is no review of its own"
    );
    assert_eq!(found["coverage"]["features"], 3);
    assert_eq!(found["coverage"]["without_charter"], serde_json::json!(["feature:taxi.wait"]));
    assert_eq!(found["found"]["incidents"], 1, "{found}");
    assert_eq!(
        (&found["found"]["self_found"], &found["found"]["self_found_share"]),
        (&1.into(), &1.0.into())
    );
    assert_eq!(found["outcomes"][0]["outcome"], "riders see the price that they pay");
    assert_eq!(found["outcomes"][0]["incidents"], 1);
    assert_eq!(found["cadence"]["seconds_between_versions"], 3600);
    let markdown = String::from_utf8(report("stewardship", "markdown").stdout).expect("text");
    assert!(
        markdown.contains("## Reviews") && markdown.contains("| feature:ride.* |"),
        "{markdown}"
    );

    // What somebody owns through a rota is theirs.
    let rides = "kind: charter\nsubject: dataset:rides\nowners: {primary: schedule:rota}\n";
    std::fs::write(charters.join("rides.yaml"), rides).expect("disk");
    let people = json(&report("owners", "json"));
    let owned = people.as_array().expect("people").iter();
    let owned: u64 = owned.filter_map(|person| person["primary_of"].as_u64()).sum();
    assert_eq!(owned, 4, "one pattern, two features, and a dataset of a rota: {people}");
    let ada = people.as_array().expect("people").iter().find(|p| p["person"] == "user:ada");
    let ada = ada.unwrap_or_else(|| panic!("{people}"));
    assert_eq!(
        (&ada["incidents"], &ada["open_incidents"], &ada["acknowledged"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(ada["off_hours_pages"], ada["pages"], "a quarter past eight is before nine");
    let table = String::from_utf8(report("owners", "table").stdout).expect("text");
    assert!(table.contains("off hours") && table.contains("user:ada"), "{table}");
}

#[test]
fn a_calendar_becomes_absences_and_duty() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let calendar = folder.path().join("cal.ics");
    let event =
        |lines: &str| format!("BEGIN:VEVENT\r\nUID:{}\r\n{lines}\r\nEND:VEVENT\r\n", lines.len());
    let text = format!(
        "BEGIN:VCALENDAR\r\n{}{}END:VCALENDAR\r\n",
        event("SUMMARY:away\r\nDTSTART;VALUE=DATE:20260202\r\nRRULE:FREQ=WEEKLY;COUNT=2"),
        event(
            "SUMMARY:duty\r\nATTENDEE:mailto:Mary@Example.com\r\nDTSTART;TZID=Europe/London:20260401T090000\r\nDURATION:PT9H"
        ),
    );
    std::fs::write(&calendar, text).expect("disk");
    let (file, charters_text) =
        (calendar.to_str().expect("text"), charters.to_str().expect("text"));
    let span = ["--from", "2026-01-01", "--to", "2027-01-01"];
    let import = |more: &[&str]| {
        let output =
            command(&[&["directory", "import", "ical", file][..], more, &span[..]].concat());
        String::from_utf8(output.stdout).expect("text")
    };
    let absences = import(&["--user", "grace"]);
    assert!(absences.contains("user: user:grace, from: 2026-02-09T00:00:00"), "{absences}");
    let duty = import(&["--schedule", "rota", "--charters", charters_text]);
    assert!(duty.contains("user: user:mary, from: 2026-04-01T08:00:00"), "{duty}");
    // As documents beside the others they change who answers.
    std::fs::write(charters.join("grace.yaml"), &absences).expect("disk");
    std::fs::write(charters.join("rota.yaml"), &duty).expect("disk");
    binary::run(["charters", "lint", charters_text]);
    let answer = who(&charters, "ride.km", "2026-04-01T12:00:00Z", &[]);
    let rota = answer["on_the_hook"].as_array().expect("a list").iter();
    let rota = rota.filter(|line| line["name"] == "schedule:rota").collect::<Vec<_>>();
    assert_eq!(rota[0]["now"], "user:mary");
    let people = who(&charters, "ride.km", "2026-02-09T12:00:00Z", &[]);
    let backup =
        people["people"].as_array().expect("people").iter().find(|p| p["role"] == "backup");
    assert!(
        backup.expect("a backup")["presence"].as_str().expect("text").starts_with("absent until")
    );
}
