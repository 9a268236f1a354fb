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
    binary::replay(&input, &charters, &responses, &out_text);
    out
}

#[test]
fn a_review_that_is_not_there_on_its_day_is_told_in_a_replay() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let reviewed = CHARTERS.replace("reviewed_at: 2025-10-01", "reviewed_at: 2025-10-15T10:00:00Z");
    std::fs::write(charters.join("all.yaml"), reviewed).expect("disk");
    replay(folder.path(), &charters);
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let told = |run_on: &str| {
        let (input, charters, out) = (path("in.ndjson"), path("charters"), path("later"));
        let output = command(&[
            "replay",
            "--input",
            &input,
            "--charters",
            &charters,
            "--out",
            &out,
            "--run-on",
            run_on,
            "--upkeep",
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = std::fs::read_to_string(folder.path().join("later/escalations.ndjson"));
        let lines = lines.expect("messages").lines().map(str::to_owned).collect::<Vec<_>>();
        let values = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
        values.filter(|message: &Value| message["reason"] == "upkeep_overdue").collect::<Vec<_>>()
    };
    assert_eq!(told("20m").len(), 0);
    let told = told("2h");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["time"], &told[0]["audience"], &told[0]["target"], &told[0]["subject"]),
        (
            &"2026-01-13T10:00:00.000000Z".into(),
            &"inform".into(),
            &"user:ada".into(),
            &"feature:ride.*".into()
        )
    );
    let (facts, proof) = (path("later/incidents.ndjson"), "whole");
    let audit = command(&["audit", "verify", &facts]);
    assert!(String::from_utf8_lossy(&audit.stdout).contains(proof), "{audit:?}");
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

/// A tier picks the policy of the charters that name none.
#[test]
fn the_tier_picks_the_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let more = "kind: policy\nname: gold\nversion: 1\ntiers: [1, 2]\n\
        steps: [{name: all-hands, notify: [{role: primary}], acknowledge_within: 5m}]\n\
        ---\nkind: charter\nsubject: dataset:rides\ntier: 1\nowners: {primary: user:grace}\n\
        rollback: {procedure: https://example.com/back}\n\
        ---\nkind: charter\nsubject: dataset:weather\ntier: 3\nowners: {primary: user:grace}\n\
        ---\nkind: charter\nsubject: feature:ride.eta\ntier: 1\n\
        rollback: {procedure: https://example.com/back}\n";
    std::fs::write(charters.join("tiers.yaml"), more).expect("disk");
    let policy = |subject: &str| {
        let answer = who(&charters, subject, "2026-02-01", &[]);
        answer["policy"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    // The pattern names `standard` for all rides.
    let named = ["dataset:rides", "dataset:weather", "ride.eta"].map(policy);
    assert_eq!(named, ["gold", "default", "standard"]);
    let other = more.replace("gold", "silver").replace("tiers: [1, 2]", "tiers: [2]");
    let (other, _) = other.split_once("---").expect("documents");
    std::fs::write(charters.join("other.yaml"), other).expect("disk");
    let output = command(&["charters", "lint", charters.to_str().expect("text")]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("tier 2 follows policy `silver` already"), "{text}");
}

/// The most specific document wins field by field, among very many.
#[test]
fn patterns_of_very_many_features_win_field_by_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let mut text = String::from(
        "kind: charter\nsubject: feature:shop.*\ntier: 3\npolicy: standard\nunit: EUR\n\
         owners: {primary: user:ada, backup: user:grace}\n\
         ---\nkind: charter\nsubject: feature:shop.price.*\ntier: 2\nrunbook: https://example.com/p\n",
    );
    for number in 0..2_000 {
        let own = if number == 7 { "unit: USD\ntier: 4\n" } else { "description: one of many\n" };
        text.push_str(&format!("---\nkind: charter\nsubject: feature:shop.price.{number}\n{own}"));
    }
    std::fs::write(charters.join("many.yaml"), text).expect("disk");
    let show = |subject: &str| {
        let path = charters.to_str().expect("text");
        let arguments = ["charters", "show", subject, "--charters", path, "--format", "json"];
        json(&command(&arguments))
    };
    let seven = show("shop.price.7");
    let fields = |of: &Value| {
        let text = |name: &str| of[name].to_string();
        ["tier", "unit", "runbook", "policy"].map(text)
    };
    let expected = ["4", "\"USD\"", "\"https://example.com/p\"", "\"standard\""];
    assert_eq!(fields(&seven), expected, "{seven}");
    let other = show("shop.price.1999");
    assert_eq!(fields(&other), ["2", "\"EUR\"", "\"https://example.com/p\"", "\"standard\""]);
    // A feature that no document names has what the patterns say.
    let unnamed = show("shop.stock");
    assert_eq!(fields(&unnamed), ["3", "\"EUR\"", "null", "\"standard\""]);
}

/// Rules are tried on what was, and a pipeline learns whether they tell otherwise.
#[test]
fn a_backtest_ends_with_1_where_rules_would_tell_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = charters(folder.path());
    let out = replay(folder.path(), &charters);
    let again = |charters: &Path, more: &[&str]| {
        let path = |path: &Path| path.to_str().expect("text").to_owned();
        let [input, responses, second] =
            ["in.ndjson", "responses.ndjson", "second"].map(|name| path(&folder.path().join(name)));
        let (charters, out) = (path(charters), path(&out));
        let mut command = binary::command(["replay", "--input", &input, "--charters", &charters]);
        command.args(["--responses", &responses, "--out", &second, "--against", &out]).args(more);
        let output = command.output().expect("the binary can be run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let file = std::fs::read(folder.path().join("second/against.json")).expect("differences");
        (output.status.code(), text, serde_json::from_slice::<Value>(&file).expect("JSON"))
    };
    let (code, text, found) = again(&charters, &["--exit-code"]);
    assert_eq!((code, &found["same"]), (Some(0), &1.into()), "{text}");
    // Looser, so that nobody would have been paged.
    let looser = folder.path().join("looser");
    std::fs::create_dir_all(&looser).expect("disk");
    let rules = CHARTERS.replace("above: 0.1", "above: 1");
    std::fs::write(looser.join("all.yaml"), rules).expect("disk");
    let (code, text, found) = again(&looser, &["--exit-code"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("0 breaches new, 1 gone, 0 moved, 0 the same"), "{text}");
    assert_eq!(found["gone"][0]["feature"], "ride.price", "{found}");
    assert_eq!(found["pages"]["user:ada"]["after"], 0, "{found}");
    // Without the flag a replay ends with 0 whatever it finds.
    assert_eq!(again(&looser, &[]).0, Some(0));
}

/// Takes what is posted to it and answers that it is fine.
fn receiver() -> (u16, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (told, posts) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            let _ = told.send(String::from_utf8_lossy(&body).into_owned());
        }
    });
    (port, posts)
}

#[test]
fn backups_are_probed_before_an_incident_asks_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = folder.path().join("charters");
    std::fs::create_dir_all(&charters).expect("disk");
    let text = "kind: directory\nusers:\n  ada: {contacts: [{tool: webhook, to: ada}]}\n  \
        grace: {contacts: [{tool: webhook, to: grace}]}\n  \
        mary: {contacts: [{tool: email, to: mary@example.com}]}\n  nils: {}\n\
        groups: {second: {lead: user:grace, members: [user:mary, user:nils]}}\ngovernance: user:ada\n\
        ---\nkind: charter\nsubject: feature:a\nowners: {primary: user:ada, backup: group:second}\n\
        ---\nkind: charter\nsubject: feature:b\nowners: {primary: user:ada, backup: user:grace}\n";
    std::fs::write(charters.join("all.yaml"), text).expect("disk");
    let (port, posts) = receiver();
    let config = folder.path().join("watchkeep.toml");
    let settings = format!(
        "[log]\nkind = \"embedded\"\nfolder = \"log\"\n\
         [sinks.hook]\ntool = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\nsecret_file = \"key\"\n"
    );
    std::fs::write(&config, settings).expect("disk");
    std::fs::write(folder.path().join("key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
        .expect("disk");
    let probe = |more: &[&str]| {
        let (charters, config) = (charters.to_str().expect("text"), config.to_str().expect("text"));
        let all = ["directory", "probe", "--charters", charters, "-c", config, "--format", "json"];
        command(&[&all[..], more].concat())
    };
    let output = probe(&[]);
    assert_eq!(output.status.code(), Some(1), "two cannot be reached");
    let people = json(&output);
    let told = |person: &Value| {
        let contact = person["contacts"][0]["outcome"].as_str();
        let why = contact.or(person["why"].as_str()).unwrap_or_default().to_owned();
        (person["person"].as_str().unwrap_or_default().to_owned(), person["reachable"].clone(), why)
    };
    let told: Vec<_> = people.as_array().expect("people").iter().map(told).collect();
    let expected = [
        ("user:grace", true, "a sink takes it"),
        ("user:mary", false, "no sink takes it"),
        ("user:nils", false, "no contact is known"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), Value::Bool(b), c.to_owned()));
    assert_eq!(told, expected);
    assert!(posts.try_recv().is_err(), "nothing is sent unasked");
    let output = probe(&["--role", "primary", "--send"]);
    assert_eq!(output.status.code(), Some(0), "{}", json(&output));
    let post: Value = serde_json::from_str(&posts.recv().expect("a message")).expect("JSON");
    assert!(post.to_string().contains("Test: pages for user:ada arrive here"), "{post}");
}

const SENSORS: &str = "kind: directory
users: {ada: {}, bob: {}, cy: {}, dot: {}, radia: {}}
governance: user:radia
---
kind: policy
name: standard
version: 1
attribution: {min_features: 3}
steps: [{name: first, notify: [{role: primary}], acknowledge_within: 10m}]
---
kind: charter
subject: feature:s.*
policy: standard
owners: {primary: user:radia, data_steward: user:dot}
upstream: [dataset:sensors]
expectations: [{name: nulls, kind: null_rate, window: 10m, above: 0.1, min_samples: 1, severity: critical}]
---
kind: charter
subject: feature:s.a
owners: {primary: user:ada}
---
kind: charter
subject: feature:s.b
owners: {primary: user:bob}
---
kind: charter
subject: feature:s.c
owners: {primary: user:cy}
---
kind: charter
subject: feature:idle
owners: {primary: user:ada}
";

/// Three features of one dataset, which no charter is about, lose their values
/// twice; the first time the steward answers, the second time bob.
#[test]
fn a_root_without_a_charter_goes_by_the_first_feature_and_says_so() {
    use std::fmt::Write;

    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (charters, out) = (path("charters"), path("out"));
    std::fs::create_dir_all(&charters).expect("disk");
    std::fs::write(path("charters/all.yaml"), SENSORS).expect("disk");
    let mut telemetry = String::new();
    for minute in 0..100 {
        let value = if matches!(minute, 20..30 | 50..60) { "null" } else { "1" };
        for feature in ["s.a", "s.b", "s.c"] {
            let time = format!("2026-01-05T{:02}:{:02}:00Z", 8 + minute / 60, minute % 60);
            let line =
                format!(r#"{{"feature":"{feature}","event_time":"{time}","value":{value}}}"#);
            writeln!(telemetry, "{line}").expect("a string");
        }
    }
    std::fs::write(path("in.ndjson"), telemetry).expect("disk");
    let answers = "{\"at\":\"2026-01-05T08:35:00Z\",\"by\":\"dot\",\"command\":\"acknowledge\",\"subject\":\"dataset:sensors\"}\n\
        {\"at\":\"2026-01-05T09:03:00Z\",\"by\":\"bob\",\"command\":\"acknowledge\",\"subject\":\"dataset:sensors\"}\n";
    std::fs::write(path("responses.ndjson"), answers).expect("disk");
    let (input, responses) = (path("in.ndjson"), path("responses.ndjson"));
    binary::replay(&input, &charters, &responses, &out);

    let incidents = std::fs::read_to_string(Path::new(&out).join("incidents.ndjson"));
    let incidents = incidents.expect("a replay's folder");
    let opened: Vec<Value> = incidents
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|fact: &Value| fact["fact"] == "opened")
        .collect();
    let [opened] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!(opened["data"]["root"], "dataset:sensors");
    assert_eq!(opened["data"]["owner"], "user:ada", "s.a is the first by name");
    assert_eq!(
        opened["data"]["resolution"][0],
        serde_json::json!({"link": "root", "tried": "dataset:sensors",
            "outcome": "no charter is about it: that of feature:s.a is asked"})
    );
    // Beforehand and afterwards the same is told of whom it would concern.
    for at in ["2026-01-05T08:00:00Z", "2026-01-05T08:40:00Z"] {
        let told = who(Path::new(&charters), "dataset:sensors", at, &["--from", &out]);
        assert_eq!(
            (&told["owner"], &told["by_charter_of"]),
            (&"user:ada".into(), &"feature:s.a".into()),
            "{at}"
        );
    }
    let report = |what: &str| {
        let arguments = ["report", what, "--from-folder", &out, "--charters", &charters];
        json(&command(&[&arguments[..], &["--format", "json"]].concat()))
    };
    let stewardship = report("stewardship");
    assert_eq!(stewardship["found"]["self_found"], 1, "the steward of that charter: {stewardship}");
    assert_eq!(
        stewardship["coverage"]["without_expectations"],
        serde_json::json!(["feature:idle"])
    );
    let people = report("owners");
    let waited = |name: &str| {
        let people = people.as_array().expect("people");
        people.iter().find(|one| one["person"] == name).map(|one| &one["seconds_to_acknowledge"])
    };
    assert_eq!(waited("user:dot"), Some(&240.into()), "from the opening at 8:31");
    assert_eq!(waited("user:bob"), Some(&180.into()), "from the return at 9:00");
}
