//! Reports, conformance and drills through the command line, against figures
//! that are worked out anew from the NDJSON with none of Watchkeep's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchkeep_model::time::Timestamp;
use watchkeep_tests::binary;

const FROM: &str = "2013-04-01T00:00:00Z";
const TO: &str = "2013-07-01T00:00:00Z";

/// The flights' quarter, replayed once for all tests.
fn flights() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments: Vec<PathBuf> = vec![
            "replay".into(),
            "--input".into(),
            binary::shared("data/flights/flights-2013q2.ndjson.gz"),
            "--charters".into(),
            binary::shared("examples/charters"),
            "-c".into(),
            binary::shared("examples/watchkeep.toml"),
            "--out".into(),
            folder.path().to_owned(),
        ];
        binary::run(arguments);
        folder
    });
    folder.path()
}

fn command(arguments: &[&str]) -> Output {
    binary::command(arguments).output().expect("the binary can be run")
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json_of(output: &Output) -> Value {
    let text = text(output);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn charters() -> String {
    binary::shared("examples/charters").to_str().expect("text").to_owned()
}

fn report(what: &str, folder: &Path, charters: &str, format: &str, more: &[&str]) -> Output {
    let folder = folder.to_str().expect("text");
    let arguments =
        ["report", what, "--from-folder", folder, "--charters", charters, "--format", format];
    command(&[&arguments[..], more].concat())
}

fn micros(value: &Value) -> i64 {
    value.as_str().and_then(|t| t.parse::<Timestamp>().ok()).expect("an instant").as_micros()
}

const MINUTE: i64 = 60_000_000;

/// What the incident log says, an incident at a time.
struct Told {
    opened_at: i64,
    detected_at: i64,
    bad_from: i64,
    notified_at: Option<i64>,
    resolved_at: Option<i64>,
    is_error: bool,
    /// Spans from the first breach to the end, one for each time that it was open.
    open: Vec<(i64, i64)>,
}

fn told(facts: &[Value]) -> Vec<Told> {
    let mut by_incident: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for fact in facts {
        by_incident.entry(fact["incident_id"].as_str().expect("an id")).or_default().push(fact);
    }
    let one = |facts: &Vec<&Value>| {
        let named =
            |name: &str| facts.iter().filter(|f| f["fact"] == name).copied().collect::<Vec<_>>();
        let attached = named("breach_attached");
        let (mut open, mut since) = (Vec::new(), None);
        for fact in facts {
            match fact["fact"].as_str().expect("a name") {
                "breach_attached" => {
                    since.get_or_insert(micros(&fact["occurred_at"]));
                }
                "resolved" => open.extend(since.take().map(|s| (s, micros(&fact["occurred_at"])))),
                _ => {}
            }
        }
        let is_resolved = since.is_none();
        open.extend(since.map(|since| (since, i64::MAX)));
        let severity = &facts[0]["data"]["severity"];
        Told {
            opened_at: micros(&facts[0]["occurred_at"]),
            detected_at: attached
                .iter()
                .map(|f| micros(&f["data"]["detected_at"]))
                .min()
                .expect("one"),
            bad_from: attached
                .iter()
                .map(|f| micros(&f["data"]["window_start"]))
                .min()
                .expect("one"),
            notified_at: named("notified").first().map(|f| micros(&f["occurred_at"])),
            resolved_at: named("resolved")
                .last()
                .filter(|_| is_resolved)
                .map(|f| micros(&f["occurred_at"])),
            is_error: *severity == "error" || *severity == "critical",
            open,
        }
    };
    by_incident.values().map(one).collect()
}

/// Share of the quarter's minutes that no span covers, counted minute by minute.
fn uncovered(spans: &[(i64, i64)]) -> f64 {
    let (from, to) = (micros(&json!(FROM)), micros(&json!(TO)));
    let minutes = (from..to).step_by(usize::try_from(MINUTE).expect("small"));
    let is_free = |at: &i64| spans.iter().all(|(since, until)| at < since || at >= until);
    let total = (to - from) / MINUTE;
    minutes.filter(is_free).count() as f64 / total as f64
}

/// The middle of some numbers, the lower one of two, by counting smaller ones.
fn middle(values: &[i64]) -> Option<i64> {
    let rank = values.len().checked_sub(1)? / 2;
    values.iter().copied().find(|value| {
        let less = values.iter().filter(|v| *v < value).count();
        let equal = values.iter().filter(|v| *v == value).count();
        (less..less + equal).contains(&rank)
    })
}

#[test]
fn a_health_review_of_the_flights_equals_a_recomputation() {
    let span = ["--from", FROM, "--to", TO];
    let output = report("health", flights(), &charters(), "json", &span);
    assert_eq!(output.status.code(), Some(1), "reviews are overdue");
    let health = json_of(&output);
    let facts = binary::lines(&flights().join("incidents.ndjson"));
    let all = told(&facts);
    assert!(all.len() >= 10, "{} incidents", all.len());

    // Every incident of the quarter is about this one feature.
    let delay = &health["features"][0];
    assert_eq!(delay["feature"], "feature:flight.arr_delay_min");
    let down: Vec<_> =
        all.iter().filter(|one| one.is_error).flat_map(|one| one.open.clone()).collect();
    let uptime = delay["uptime"].as_f64().expect("a share");
    assert!((uptime - uncovered(&down)).abs() < 1e-9, "{uptime} is not {}", uncovered(&down));
    let open: Vec<_> = all.iter().flat_map(|one| one.open.clone()).collect();
    let to = micros(&json!(TO));
    let affected = (1.0 - uncovered(&open)) * (to - micros(&json!(FROM))) as f64 / 1e6;
    let seconds = health["consumers"][0]["seconds"].as_f64().expect("seconds");
    assert!((seconds - affected).abs() < 1.0, "{seconds} is not {affected}");

    let ends = |get: fn(&Told) -> Option<i64>| -> Option<i64> {
        let spans: Vec<i64> =
            all.iter().filter_map(|o| Some((get(o)? - o.detected_at) / 1_000_000)).collect();
        middle(&spans)
    };
    let detect: Vec<i64> = all.iter().map(|o| (o.detected_at - o.bad_from) / 1_000_000).collect();
    let stage = |name: &str| {
        let stages = health["stages"].as_array().expect("a list");
        stages.iter().find(|s| s["stage"] == name).expect("a stage")["median_seconds"].as_i64()
    };
    assert_eq!(stage("detect"), middle(&detect));
    assert_eq!(stage("notify"), ends(|one| one.notified_at));
    assert_eq!(stage("resolve"), ends(|one| one.resolved_at));
    assert_eq!(stage("acknowledge"), None);

    let total = &health["total"];
    let pages = facts.iter().filter(|fact| fact["fact"] == "notified").count();
    assert_eq!((&total["opened"], &total["pages"]), (&json!(all.len()), &json!(pages)));
    let still = all.iter().filter(|one| one.resolved_at.is_none()).count();
    assert_eq!(total["open_at_end"], still);
    assert!(all.iter().all(|one| one.opened_at < to));

    // The last revision of each window that the quarter has whole.
    let mut last: BTreeMap<(String, String), Value> = BTreeMap::new();
    for window in binary::lines(&flights().join("windows.ndjson")) {
        let name =
            format!("{} {} {}", window["feature"], window["feature_version"], window["window"]);
        if window["partial"] == false && micros(&window["window_start"]) < to {
            last.insert((name, window["window_start"].to_string()), window);
        }
    }
    let verdicts = last.values().filter_map(|window| window["judged"].as_array()).flatten();
    let verdicts: Vec<&str> = verdicts.filter_map(|judged| judged["verdict"].as_str()).collect();
    let count = |wanted: &str| verdicts.iter().filter(|v| **v == wanted).count() as f64;
    let good = count("good") / (count("good") + count("bad"));
    let share = total["good_windows"].as_f64().expect("a share");
    assert!((share - good).abs() < 1e-12, "{share} is not {good}");

    // Suggestions are words: the charters are as they were.
    let suggested = health["suggestions"].as_array().expect("a list");
    assert!(suggested.iter().any(|s| s["about"] == "cause"), "{suggested:#?}");
    let never: BTreeSet<&str> = health["never_fired"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|rule| rule["expectation"].as_str())
        .collect();
    assert!(never.contains("plausible"), "{never:?}");
}

#[test]
fn a_health_review_is_a_page_that_needs_nothing_from_elsewhere() {
    let span = ["--from", FROM, "--to", TO];
    let page = text(&report("health", flights(), &charters(), "html", &span));
    for wanted in [
        "<!doctype html>",
        "lang=\"en\"",
        "<title>Health review",
        "role=\"img\"",
        "<desc",
        "<th scope=\"col\">",
        "Open actions",
    ] {
        assert!(page.contains(wanted), "{wanted} is missing");
    }
    for unwanted in ["<script", "<link", "<img", "<iframe", "@import", "url(", " src="] {
        assert!(!page.contains(unwanted), "{unwanted} in a page that is to be whole");
    }
    let (open, closed) = (page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!((open, closed), (3, 3));
    let markdown = text(&report("health", flights(), &charters(), "markdown", &span));
    assert!(
        markdown.contains("## Time to answer") && markdown.contains("| detect |"),
        "{markdown}"
    );
    let outcomes = json_of(&report("outcomes", flights(), &charters(), "json", &span));
    assert!(outcomes["outcomes"].is_array() && outcomes["stages"].is_array());
    let page = text(&report("outcomes", flights(), &charters(), "html", &span));
    assert!(page.contains("<title>Business outcomes"));
}

const MADE: &str = "kind: directory
users: {ada: {contacts: [{tool: email, to: a@example.com}]}, eve: {contacts: [{tool: email, to: e@example.com}]}}
domains: {trade: {owner: user:eve}}
governance: user:eve
---
kind: policy
name: p
version: 1
steps: [{name: first, notify: [{role: primary}], acknowledge_within: 10m}]
sign_offs: [{gate: resolve, roles: [primary], minimum: 1}]
review: {due_within: 5d}
drill: {every: 90d}
---
kind: charter
subject: feature:price
domain: trade
policy: p
owners: {primary: user:ada, backup: user:eve, business_owner: user:eve}
business_outcomes: [riders see what they pay]
runbook: https://wiki.example.com/price
runbook_reviewed_at: 2025-01-01
review_every: 90d
reviewed_at: 2025-01-01
expectations: [{name: nulls, kind: null_rate, window: 1h, above: 0.1}]
";

/// A log by hand: one error each on `days` of 2026, open for an hour, acknowledged
/// after `minutes` by `who`.
fn incident(number: u32, day: &str, minutes: u32, who: &str, reviewed: bool) -> Vec<Value> {
    let id = format!("i{number}");
    let entry = json!({"step": "first", "loop": 1, "enters_at": format!("{day}T12:00:00Z"), "acknowledge_by": format!("{day}T12:10:00Z")});
    let mut facts = vec![
        ("12:00", "watchkeep", "opened", json!({
            "root": "feature:price", "attribution": {"method": "itself", "evidence": [], "coverage": 1.0},
            "owner": "user:ada", "unowned": false, "resolution": [], "policy": {"name": "p", "version": 1},
            "charter": {"subject": "feature:price", "documents": ["feature:price"], "in_force_at": format!("{day}T12:00:00Z")},
            "affected_features": ["price"], "affected_count": 1, "severity": "error", "kind": "null_rate",
            "group_key": "g", "entry": entry, "due_at": format!("{day}T12:00:00Z")})),
        ("12:00", "watchkeep", "breach_attached", json!({
            "breach_id": format!("b{number}"), "feature": "price", "feature_version": "", "expectation": "nulls",
            "kind": "null_rate", "severity": "error", "window": "1h", "window_start": format!("{day}T11:00:00Z"),
            "window_end": format!("{day}T12:00:00Z"), "detected_at": format!("{day}T12:00:00Z"),
            "consumers": ["model:eta"], "reason": "nulls"})),
        ("12:00", "watchkeep", "notified", json!({
            "step": "first", "loop": 1, "target": "user:ada", "role": "primary", "channel": "email:a@example.com", "reason": "first"})),
    ]
    .into_iter()
    .map(|(time, actor, fact, data)| (format!("{day}T{time}:00Z"), actor.to_owned(), fact, data))
    .collect::<Vec<_>>();
    facts.push((
        format!("{day}T12:{minutes:02}:00Z"),
        who.to_owned(),
        "acknowledged",
        json!({"step": "first", "loop": 1}),
    ));
    facts.push((
        format!("{day}T12:40:00Z"),
        "user:ada".into(),
        "remediated",
        json!({"action": "fix"}),
    ));
    facts.push((format!("{day}T12:50:00Z"), "watchkeep".into(), "breach_cleared", json!({
        "breach_id": format!("b{number}"), "feature": "price", "feature_version": "", "expectation": "nulls",
        "transition": "cleared", "window_end": format!("{day}T12:50:00Z"), "open_count": 0})));
    facts.push((
        format!("{day}T13:00:00Z"),
        "user:ada".into(),
        "signed_off",
        json!({
        "gate": "resolve", "approve": true, "role": "primary", "signed": 1, "needed": 1}),
    ));
    facts.push((
        format!("{day}T13:00:00Z"),
        "user:ada".into(),
        "resolved",
        json!({
        "reason": "signed_off", "reopens_until": format!("{day}T15:00:00Z")}),
    ));
    if reviewed {
        facts.push((
            format!("{day}T13:30:00Z"),
            "user:ada".into(),
            "action_recorded",
            json!({
            "action": "feedback", "detail": "", "feedback": "false_positive"}),
        ));
        facts.push((
            format!("{day}T14:00:00Z"),
            "user:ada".into(),
            "reviewed",
            json!({
            "root_cause": "a mapping", "actions": [
                {"what": "test the mapping", "by": "user:ada", "due": "2026-02-01T00:00:00Z"},
                {"what": "tell the source", "by": "user:eve", "due": "2026-12-01T00:00:00Z"}]}),
        ));
    }
    facts
        .into_iter()
        .enumerate()
        .map(|(at, (time, actor, fact, data))| {
            json!({"incident_id": id, "sequence": at + 1, "fact": fact, "occurred_at": time,
                "recorded_at": time, "actor": actor, "drill": false, "data": data})
        })
        .collect()
}

/// The made log in a folder, with its charters beside it.
fn made(folder: &Path) -> (PathBuf, String) {
    let (out, charters) = (folder.join("out"), folder.join("charters"));
    std::fs::create_dir_all(&out).expect("disk");
    std::fs::create_dir_all(&charters).expect("disk");
    std::fs::write(charters.join("all.yaml"), MADE).expect("disk");
    std::fs::write(out.join("windows.ndjson"), "").expect("disk");
    let mut lines: Vec<Value> = Vec::new();
    // One in the quarter before, three in the quarter.
    lines.extend(incident(0, "2025-11-03", 30, "user:ada", false));
    lines.extend(incident(1, "2026-01-05", 5, "user:ada", true));
    lines.extend(incident(2, "2026-01-07", 9, "user:eve", false));
    lines.extend(incident(3, "2026-01-12", 20, "user:ada", false));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(out.join("incidents.ndjson"), text).expect("disk");
    (out, charters.to_str().expect("text").to_owned())
}

const QUARTER: [&str; 4] = ["--from", "2026-01-01", "--to", "2026-04-01"];

#[test]
fn a_made_log_gives_the_figures_that_were_put_into_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, charters) = made(folder.path());
    let health = json_of(&report("health", &out, &charters, "json", &QUARTER));
    let stages = health["stages"].as_array().expect("a list");
    let acknowledge = stages.iter().find(|s| s["stage"] == "acknowledge").expect("a stage");
    // 5, 9 and 20 minutes; 30 in the quarter before.
    assert_eq!(acknowledge["median_seconds"], 540);
    assert_eq!(acknowledge["p90_seconds"], 1200);
    assert_eq!(acknowledge["median_seconds_before"], 1800);
    assert_eq!(acknowledge["change"], json!(-0.7));
    // Three hours of 90 days.
    let uptime = health["features"][0]["uptime"].as_f64().expect("a share");
    assert!((uptime - (1.0 - 3.0 / (90.0 * 24.0))).abs() < 1e-12, "{uptime}");
    assert_eq!(health["domains"][0]["domain"], "trade");
    assert_eq!(
        health["consumers"][0],
        json!({"consumer": "model:eta", "incidents": 3, "seconds": 3 * 3600, "features": ["feature:price"]})
    );
    let recurrence = &health["recurrences"][0];
    assert_eq!((&recurrence["incidents"], &recurrence["before"]), (&json!(3), &json!(1)));
    assert_eq!(recurrence["seconds_between"], 2 * 86_400);
    assert_eq!(recurrence["root_causes"], json!(["a mapping"]));
    // Reviews: two actions are open and one is overdue; three have no review.
    let actions: Vec<(&str, bool)> = health["actions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|a| (a["what"].as_str().expect("text"), a["is_overdue"] == true))
        .collect();
    assert_eq!(actions, [("test the mapping", true), ("tell the source", false)]);
    assert_eq!(health["missing_reviews"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        health["gates"][0],
        json!({"gate": "resolve", "count": 3, "median_seconds": 600, "seconds_max": 600})
    );
    assert_eq!(health["overdue_charters"][0]["charter"], "feature:price");
    assert_eq!(
        (&health["runbooks"][0]["age_days"], &health["runbooks"][0]["is_stale"]),
        (&json!(455), &json!(true))
    );
    assert_eq!(health["feedback"], json!([{"feedback": "false_positive", "count": 1}]));
    assert_eq!(health["drills"][0]["is_overdue"], true);
    let ada =
        health["people"].as_array().expect("people").iter().find(|p| p["person"] == "user:ada");
    assert_eq!(ada.expect("ada")["pages"], 3);

    let outcomes = json_of(&report("outcomes", &out, &charters, "json", &QUARTER));
    let outcome = &outcomes["outcomes"][0];
    assert_eq!(outcome["outcome"], "riders see what they pay");
    assert_eq!(
        (&outcome["incidents"], &outcome["business_owners"]),
        (&json!(3), &json!(["user:eve"]))
    );
}

#[test]
fn an_incident_counts_once_for_whoever_answers_it_and_a_merged_one_is_nobodys() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, charters) = made(folder.path());
    let mut facts = incident(4, "2026-01-20", 5, "user:ada", false);
    facts.truncate(4);
    let mut say = |time: &str, fact: &str, data: Value| {
        let time = format!("2026-01-20T{time}:00Z");
        let sequence = facts.len() + 1;
        facts.push(json!({"incident_id": "i4", "sequence": sequence, "fact": fact,
            "occurred_at": time, "recorded_at": time, "actor": "user:ada", "drill": false,
            "data": data}));
    };
    say("12:50", "acknowledged", json!({"step": "first", "loop": 1}));
    say("12:55", "merged", json!({"into": "i3", "reason": "the same"}));
    let file = out.join("incidents.ndjson");
    let mut text = std::fs::read_to_string(&file).expect("readable");
    text.extend(facts.iter().map(|fact| format!("{fact}\n")));
    std::fs::write(&file, text).expect("disk");
    let health = json_of(&report("health", &out, &charters, "json", &QUARTER));
    let people = health["people"].as_array().expect("people");
    let ada = people.iter().find(|one| one["person"] == "user:ada").expect("ada");
    // After 5, 20 and 5 minutes.
    assert_eq!((&ada["acknowledged"], &ada["seconds_to_acknowledge"]), (&json!(3), &json!(300)));
    assert_eq!((&ada["open_incidents"], &health["total"]["open_at_end"]), (&json!(0), &json!(0)));
}

#[test]
fn an_incident_that_is_open_again_is_listed_as_it_is_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, _) = made(folder.path());
    let at = "2026-01-05T14:30:00Z";
    let entry = json!({"step": "second", "loop": 1, "enters_at": at});
    let file = out.join("incidents.ndjson");
    let mut text = std::fs::read_to_string(&file).expect("readable");
    for (sequence, fact, data) in [
        (
            11,
            "reopened",
            json!({"breach_id": "b9", "severity": "warning", "entry": entry, "due_at": at}),
        ),
        (
            12,
            "silenced",
            json!({"silence": "s", "matchers": ["kind=null_rate"], "from": at, "until": "2026-02-01T00:00:00Z", "by": "user:ada"}),
        ),
    ] {
        let line = json!({"incident_id": "i1", "sequence": sequence, "fact": fact,
            "occurred_at": at, "recorded_at": at, "actor": "watchkeep", "drill": false,
            "data": data});
        text += &format!("{line}\n");
    }
    std::fs::write(&file, text).expect("disk");
    let from = out.to_str().expect("text");
    let listed =
        json_of(&command(&["incidents", "list", "--from", from, "--open", "--format", "json"]));
    let [again] = &listed.as_array().expect("a list")[..] else { panic!("{listed}") };
    assert_eq!(
        (&again["incident_id"], &again["state"], &again["severity"], &again["step"]),
        (&json!("i1"), &json!("triggered"), &json!("warning"), &json!("second"))
    );
    assert_eq!(again["flags"], json!(["silenced"]));
}

#[test]
fn a_planted_departure_from_the_policy_is_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, charters) = made(folder.path());
    let arguments = ["policy", "conformance", out.to_str().expect("text"), "--charters", &charters];
    let held = |more: &[&str]| command(&[&arguments[..], &["--format", "json"], more].concat());
    let departures = |output: &Output| -> Vec<(String, String)> {
        let all = json_of(output);
        let of = |held: &Value| {
            let (id, list) = (held["incident"].clone(), held["deviations"].clone());
            let list = list.as_array().cloned().expect("a list");
            list.into_iter().map(move |d| (id.clone(), d["departure"].clone())).collect::<Vec<_>>()
        };
        let text = |value: Value| value.as_str().expect("text").to_owned();
        let list = all.as_array().expect("a list").iter().flat_map(of);
        list.map(|(id, departure)| (text(id), text(departure))).collect()
    };
    // The policy holds breaches for a minute; these were held for no time.
    let output = held(&["--from", "2026-01-05", "--to", "2026-01-06"]);
    assert_eq!(departures(&output), [("i1".to_owned(), "wrong_deadline".to_owned())]);
    let at_once = MADE.replace("version: 1\n", "version: 1\ngrouping: {group_wait: 0s}\n");
    std::fs::write(Path::new(&charters).join("all.yaml"), at_once).expect("disk");
    let output = held(&["--to", "2026-01-08"]);
    assert_eq!(output.status.code(), Some(1));
    let wanted = [("i0", "late_acknowledgement"), ("i0", "review_overdue")];
    let wanted = wanted.map(|(id, what)| (id.to_owned(), what.to_owned()));
    assert_eq!(departures(&output), wanted);
    let output = held(&["--from", "2026-01-05", "--to", "2026-01-08"]);
    assert_eq!(output.status.code(), Some(0), "by the book: {}", text(&output));

    // Somebody else is paged, and the signature at the gate is taken away.
    let file = out.join("incidents.ndjson");
    let text = std::fs::read_to_string(&file).expect("readable");
    let planted: Vec<String> = text
        .lines()
        .map(|line| match line.contains("\"i1\"") && line.contains("\"notified\"") {
            true => line.replace("\"target\":\"user:ada\"", "\"target\":\"user:eve\""),
            false => line.to_owned(),
        })
        .filter(|line| !(line.contains("\"i2\"") && line.contains("\"fact\":\"signed_off\"")))
        .collect();
    std::fs::write(&file, planted.join("\n") + "\n").expect("disk");
    let output = held(&["--from", "2026-01-05", "--to", "2026-01-08"]);
    assert_eq!(output.status.code(), Some(1));
    let wanted = [("i1", "wrong_target"), ("i2", "gate_bypassed")];
    assert_eq!(departures(&output), wanted.map(|(id, what)| (id.to_owned(), what.to_owned())));
    let table = command(&arguments);
    assert!(String::from_utf8_lossy(&table.stdout).contains("gate_bypassed"));
}

#[test]
fn a_drill_finds_a_planted_gap_and_pages_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, charters) = made(folder.path());
    // The backup is away on the day.
    let away = "eve: {absences: [{from: 2026-02-28, to: 2026-03-05}], contacts";
    let text = MADE.replace("eve: {contacts", away);
    std::fs::write(Path::new(&charters).join("all.yaml"), &text).expect("disk");
    let scenario = folder.path().join("drill.yaml");
    let events = "kind: drill\nname: nulls at night\nat: 2026-03-01T02:00:00Z\nevents:\n  - {after: 0s, opened: price/nulls, severity: critical}\n  - {after: 20m, by: ada, command: acknowledge, subject: price}\nfor: 4h\n";
    std::fs::write(&scenario, events).expect("disk");
    let drill = folder.path().join("drill");
    let (scenario, drilled) = (scenario.to_str().expect("text"), drill.to_str().expect("text"));
    let arguments = ["drill", "run", scenario, "--charters", &charters, "--out", drilled];
    let output = command(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let told = json_of(&output);
    let gaps: Vec<(&str, &str)> = told["gaps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|gap| (gap["gap"].as_str().expect("text"), gap["what"].as_str().expect("text")))
        .collect();
    assert!(
        gaps.contains(&("unreachable", "backup: user:eve: absent until 2026-03-05T00:00:00Z")),
        "{gaps:?}"
    );
    assert!(gaps.contains(&("missed_acknowledgement", "asked in vain: user:ada")), "{gaps:?}");
    assert_eq!(told["seconds_to_first_human"], 1200);
    // What would have been sent is marked, every line of it.
    let messages = binary::lines(&drill.join("escalations.ndjson"));
    assert!(messages.iter().any(|message| message["audience"] == "page"));
    for message in &messages {
        assert_eq!((&message["drill"], &message["reason"]), (&json!(true), &json!("drill")));
    }
    for fact in binary::lines(&drill.join("incidents.ndjson")) {
        assert_eq!(fact["drill"], true);
    }
    // With a configuration, nobody is reached whom no sink of it would page.
    let settings = folder.path().join("settings.toml");
    let sinks = "[log]\nkind = \"embedded\"\nfolder = \"none\"\n\n[sinks.chat]\ntool = \"slack\"\nurl = \"http://127.0.0.1:9/\"\n";
    std::fs::write(&settings, sinks).expect("disk");
    let with_sinks = ["--format", "json", "-c", settings.to_str().expect("text")];
    let told = json_of(&command(&[&arguments[..], &with_sinks].concat())).to_string();
    let untaken = "no sink takes what pages user:ada by";
    assert!(told.contains(untaken), "{told}");
    assert!(!gaps.iter().any(|(_, what)| what.contains(untaken)), "{gaps:?}");
    // Two runs write the same, and the review knows that the ladder was tried out.
    let first = std::fs::read(drill.join("incidents.ndjson")).expect("readable");
    command(&arguments);
    assert_eq!(first, std::fs::read(drill.join("incidents.ndjson")).expect("readable"));
    let more = [&QUARTER[..], &["--drills", drilled]].concat();
    let health = json_of(&report("health", &out, &charters, "json", &more));
    assert_eq!(health["drills"][0]["last"], "2026-03-01T02:01:00.000000Z");
    assert_eq!(health["drills"][0]["is_overdue"], false);
    assert_eq!(health["total"]["opened"], 3, "an exercise is no incident");
}
