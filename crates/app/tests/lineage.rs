//! Lineage and blame through the command line: planted faults, a storm, and
//! what `lineage show` shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use watchkeep_simulator::planted::{Case, Shape, TEAMS, files, storm};

fn watchkeep(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchkeep"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn write(folder: &Path, files: &[(String, String)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn replay(folder: &Path) {
    let mut arguments = vec!["replay", "--input", "telemetry.ndjson", "--charters", "charters"];
    arguments.extend(["--run-on", "2m", "--out", "out"]);
    if folder.join("lineage.ndjson").exists() {
        arguments.extend(["--lineage", "lineage.ndjson"]);
    }
    let output = watchkeep(folder, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn lines(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("out").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn opened(folder: &Path) -> Vec<serde_json::Value> {
    let facts = lines(folder, "incidents.ndjson");
    facts.into_iter().filter(|fact| fact["fact"] == "opened").collect()
}

#[test]
fn planted_faults_are_blamed_on_their_owners_by_a_replay_of_files() {
    let (mut planted, mut found, mut hits) = (0, 0, 0);
    for seed in 0..Shape::ALL.len() as u64 {
        let case = Case::from_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files(&case));
        replay(folder.path());
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let blamed: BTreeSet<(String, String)> = opened(folder.path())
            .iter()
            .map(|fact| (text(&fact["data"]["root"]), text(&fact["data"]["owner"])))
            .collect();
        let expected: BTreeSet<(String, String)> =
            case.expected.iter().map(|b| (b.root.clone(), b.owner.clone())).collect();
        planted += expected.len();
        found += blamed.len();
        hits += expected.intersection(&blamed).count();
    }
    assert!(hits as f64 / planted as f64 >= 0.95, "{hits} of {planted} were found");
    assert!(hits as f64 / found as f64 >= 0.95, "{hits} of {found} were planted");
}

#[test]
fn a_storm_pages_one_person_once_and_informs_the_others_once_each() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &storm(2_000));
    replay(folder.path());
    let opened = opened(folder.path());
    assert_eq!(opened.len(), 1);
    let data = &opened[0]["data"];
    assert_eq!((&data["root"], &data["owner"]), (&"dataset:storm".into(), &"user:ken".into()));
    assert_eq!(data["affected_count"], 2_000);
    assert_eq!(
        (&data["attribution"]["method"], data["attribution"]["coverage"].as_f64()),
        (&"coverage".into(), Some(1.0))
    );
    let messages = lines(folder.path(), "escalations.ndjson");
    let targets = |audience: &str| -> Vec<String> {
        let of = messages.iter().filter(|message| message["audience"] == audience);
        of.map(|message| message["target"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(targets("page"), ["user:ken"]);
    // Every team's owner and model, and the readers that teams share.
    let mut informed = targets("inform");
    assert_eq!(informed.len(), TEAMS + TEAMS + TEAMS + 1);
    informed.sort();
    informed.dedup();
    assert_eq!(informed.len(), TEAMS + TEAMS + TEAMS + 1);
}

const CHARTERS: &str = "kind: directory
users: {ada: {contacts: [{tool: email, to: ada@example.com}]}}
groups: {data: {lead: user:ada}}
governance: user:ada
---
kind: charter
subject: feature:price
owners: {primary: user:ada}
upstream: [view:quotes]
---
kind: lineage
edges: [{from: dataset:raw.ticks, to: pipeline:old, last_seen: 2024-01-01}]
";

const RUNS: &str = r#"{"eventType":"START","eventTime":"2024-05-01T10:00:00Z","run":{"runId":"a"},"job":{"namespace":"etl","name":"hourly"},"inputs":[{"namespace":"raw","name":"ticks"}],"outputs":[{"namespace":"pg","name":"quotes"}]}
{"eventType":"FAIL","eventTime":"2024-05-01T10:05:00Z","run":{"runId":"a","facets":{"errorMessage":{"message":"disk full"}}},"job":{"namespace":"etl","name":"hourly","facets":{"ownership":{"owners":[{"name":"team:data"}]}}}}
"#;

#[test]
fn lineage_show_tells_the_lineage_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("charters/a.yaml", CHARTERS), ("charters/runs.ndjson", RUNS)];
    write(folder.path(), &files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let show = |more: &[&str]| {
        let mut arguments = vec!["lineage", "show", "--charters", "charters"];
        arguments.extend(more);
        let output = watchkeep(folder.path(), &arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = show(&["price", "--at", "2024-05-01T12:00:00Z", "--format", "dot"]);
    assert_eq!(code, Some(0));
    expect_test::expect![[r#"
        digraph lineage {
          rankdir=LR;
          "feature:price" [style=bold];
          "pipeline:etl/hourly" [color=red, label="pipeline:etl/hourly\nrun a failed at 2024-05-01T10:05:00Z: disk full"];
          "view:quotes" -> "feature:price";
          "pipeline:etl/hourly" -> "view:quotes";
          "dataset:raw.ticks" -> "pipeline:etl/hourly";
        }
    "#]]
    .assert_eq(&text);
    let (_, text) = show(&["dataset:raw.ticks", "--down", "--at", "2024-05-01T12:00:00Z"]);
    expect_test::expect![[r#"
        dataset:raw.ticks at 2024-05-01T12:00:00Z is used by
        edges  from                 to                   known     first seen            last seen
        1      dataset:raw.ticks    pipeline:etl/hourly  seen      2024-05-01T10:00:00Z  2024-05-01T10:00:00Z
        1      dataset:raw.ticks    pipeline:old         stale     -                     2024-01-01T00:00:00Z
        2      pipeline:etl/hourly  view:quotes          seen      2024-05-01T10:00:00Z  2024-05-01T10:00:00Z
        3      view:quotes          feature:price        declared  -                     -

        node                 since                 what runs show
        pipeline:etl/hourly  2024-05-01T10:05:00Z  run a failed at 2024-05-01T10:05:00Z: disk full
    "#]]
    .assert_eq(&text);
    // Before the first run only what was declared was known.
    let (_, text) = show(&["price", "--at", "2024-04-01", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["edges"].as_array().unwrap().len(), 1);
    let (code, _) = show(&["feature:nobody", "--at", "2024-04-01"]);
    assert_eq!(code, Some(2));
    // Whoever owns the pipeline, the runs say.
    let who = ["who", "pipeline:etl/hourly", "--charters", "charters", "--at", "2024-05-02"];
    let output = watchkeep(folder.path(), &who);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("user:ada answers") && text.contains("ownership shown by runs"),
        "{text}"
    );
}

#[test]
fn a_run_event_that_cannot_be_used_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let bad = RUNS.replace("FAIL", "BROKEN");
    write(folder.path(), &[("runs.ndjson".into(), bad)]);
    let show = ["lineage", "show", "price", "--lineage", "runs.ndjson"];
    let output = watchkeep(folder.path(), &show);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("runs.ndjson:2: `eventType` is one of START"), "{text}");
}
