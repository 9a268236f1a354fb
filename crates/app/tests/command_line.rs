//! The command as people and scripts meet it: exit codes, words, bytes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn watchkeep(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchkeep"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that must end with a code, and returns what it wrote.
#[track_caller]
fn ends(folder: &Path, code: i32, arguments: &[&str]) -> (String, String) {
    let output = watchkeep(folder, arguments);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{error}");
    (out, error)
}

const CHARTERS: &str = "\
kind: charter
subject: feature:generated.*
owners: {primary: user:ada}
expectations:
  - name: shape
    kind: drift
    window: 5m
    baseline: {kind: fixed, from: 2026-01-05T08:00:00Z, to: 2026-01-05T08:10:00Z}
---
kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}
governance: user:ada
";

#[test]
fn a_replay_of_made_up_drift_finds_it_and_writes_the_same_bytes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("charters")).unwrap();
    std::fs::write(folder.join("charters/all.yaml"), CHARTERS).unwrap();
    ends(folder, 0, &["charters", "lint", "charters"]);
    let generate = ["generate", "drift", "--events", "60000", "--rate", "20", "--out"];
    ends(folder, 0, &[&generate[..], &["events.ndjson.zst"]].concat());
    // What somebody does after the end of the clock changes nothing, and is told of.
    let late = r#"{"at": "2036-01-05T08:00:00Z", "by": "ada", "command": "acknowledge", "subject": "generated.f0001"}"#;
    std::fs::write(folder.join("late.ndjson"), late).unwrap();
    for (out, responses) in [("one", &[][..]), ("two", &["--responses", "late.ndjson"][..])] {
        let input = ["replay", "--input", "events.ndjson.zst", "--charters", "charters"];
        let on = ["--run-on", "2h", "--out", out];
        let (_, error) = ends(folder, 0, &[&input[..], &on[..], responses].concat());
        let told = "1 of the responses in late.ndjson were not carried out";
        assert_eq!(error.contains(told), out == "two", "{error}");
    }
    for name in ["windows", "breaches", "incidents", "anchors", "escalations", "rejects"] {
        let read =
            |out: &str| std::fs::read(folder.join(out).join(format!("{name}.ndjson"))).unwrap();
        assert!(read("one") == read("two"), "{name} differs");
        assert_eq!(read("one").is_empty(), name == "rejects", "{name}");
    }
    let breaches = std::fs::read_to_string(folder.join("one/breaches.ndjson")).unwrap();
    assert!(breaches.lines().all(|line| line.contains("\"feature\":\"generated.f0001\"")));
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("one/replay.json")).unwrap()).unwrap();
    assert_eq!(summary["events"], 60_000);
    assert_eq!(summary["ledger"][0]["to"], 60_000);
    assert!(summary["peak_memory_bytes"].as_u64().unwrap() > 0);
    // Nothing but what belongs there lies in the folder.
    assert_eq!(std::fs::read_dir(folder.join("one")).unwrap().count(), 7);
    let (list, _) = ends(folder, 0, &["incidents", "list", "--from", "one", "--format", "json"]);
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["root"], "feature:generated.f0001");
    let id = list[0]["incident_id"].as_str().unwrap();
    let (shown, _) = ends(folder, 0, &["incidents", "show", &id[..8], "--from", "one"]);
    assert!(shown.contains("user:ada"), "{shown}");
}

#[test]
fn lint_and_who_tell_what_they_find_by_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("charters")).unwrap();
    std::fs::write(folder.join("charters/all.yaml"), CHARTERS).unwrap();
    let who = ["who", "generated.f0001", "--at", "2026-01-05", "--charters", "charters"];
    let (shown, _) = ends(folder, 0, &who);
    assert!(shown.contains("user:ada answers") && shown.contains("shape"), "{shown}");
    let (_, error) = ends(folder, 1, &["who", "other", "--charters", "charters"]);
    assert!(error.contains("no charter in charters matches feature:other"), "{error}");
    let wrong = CHARTERS.replace("window: 5m", "windw: 5m");
    std::fs::write(folder.join("charters/all.yaml"), wrong).unwrap();
    std::fs::write(folder.join("charters/slo.yaml"), CHARTERS.replace("kind: drift", "kind: slo"))
        .unwrap();
    let (shown, _) = ends(folder, 1, &["charters", "lint", "charters"]);
    assert!(shown.contains("charters/all.yaml:7"), "{shown}");
    assert!(shown.contains("`objective` is missing"), "{shown}");
    let (_, error) = ends(folder, 2, &who);
    assert!(error.contains("the charter folder has"), "{error}");
}

#[test]
fn what_is_wrong_is_told_in_a_line_without_a_backtrace() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let check = |code, arguments: &[&str], expected: &str| {
        let (_, error) = ends(folder, code, arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains("panicked") && !error.contains("backtrace"), "{error}");
    };
    check(2, &["run"], "no configuration: name one with -c FILE");
    check(2, &["run", "-c", "none.toml"], "none.toml: No such file");
    check(2, &["replay", "--input", "none.ndjson", "--out", "out"], "none.ndjson: No such file");
    check(2, &["generate", "storm"], "use one of steady, drift");
    check(2, &["charters", "lint", "."], "there is no .yaml file");
    check(
        2,
        &["replay", "--input", "x", "--out", "out", "--against", "y"],
        "--against y: there is no breaches.ndjson",
    );
    std::fs::write(folder.join("watchkeep.toml"), "[tiem]\npane = \"60s\"\n").unwrap();
    check(2, &["config", "check"], "watchkeep.toml:1: unknown key `tiem`: did you mean `time`?");
    std::fs::write(folder.join("watchkeep.toml"), "").unwrap();
    let export = ["export", "--topic", "windows", "--format", "parquet"];
    check(2, &export, "export --format parquet is not supported yet");
    check(2, &["export", "--topic", "windows"], "there is no embedded log here");
    ends(folder, 0, &["topics", "create"]);
    check(2, &["export", "--topic", "nothing"], "there is no topic nothing");
    check(
        2,
        &["produce", "--input", "-", "--topic", "watchkeep.windows"],
        "only the service writes",
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchkeep"))
        .args(["generate", "steady", "--events", "200000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}
