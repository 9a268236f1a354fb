//! `watchkeep incidents explain`: one incident backwards, nothing made up.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use watchkeep_tests::binary;
use watchkeep_tests::tampering::log::Log;

fn explain(folder: &Path, id: &str, more: &[&str]) -> Output {
    let out = folder.join("out");
    let arguments = ["incidents", "explain", id, "--from"].map(AsRef::as_ref);
    let arguments = arguments.into_iter().chain([out.as_os_str()]);
    binary::command(arguments.chain(more.iter().map(AsRef::as_ref)))
        .output()
        .expect("the binary can be run")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).expect("JSON")
}

/// The first incident of a root.
fn incident_of(log: &Log, root: &str) -> String {
    let root = format!(r#""root":"{root}""#);
    let line = log.lines.iter().find(|line| line.contains(&root)).expect("an incident");
    let fact: Value = serde_json::from_str(line).expect("JSON");
    fact["incident_id"].as_str().expect("a text").to_owned()
}

/// True where these stand in the text one after the other.
fn in_order(text: &str, parts: &[&str]) -> Result<(), String> {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return Err(format!("`{part}` is not there, or not behind what stands before it"));
        };
        rest = &rest[at + part.len()..];
    }
    Ok(())
}

#[test]
fn an_incident_is_told_backwards_down_to_the_raw_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::replayed(folder.path());
    let id = incident_of(&log, "feature:price");
    let told = text(&explain(folder.path(), &id[..12], &[]));
    let parts = [
        "What is waited for now",
        "What happened, the latest first",
        "because nobody had acknowledged by 2026-01-05T01:",
        "notified: user:ada as primary by email:ada@example.com on first loop 1: first",
        "because the incident opened; first is where policy p begins for latency",
        "opened:",
        "Who answers: user:ada",
        "primary",
        "answers",
        "Why feature:price: ",
        "policy p, version 1",
        "charter of feature:price",
        "price/latency (latency, warning)",
        "window 10m from 2026-01-05T01:00:00Z to 2026-01-05T01:10:00Z",
        "10 events",
        "judged bad, observed 900000, threshold 100000",
        "record in.ndjson partition 0 offset ",
    ];
    in_order(&told, &parts).unwrap_or_else(|why| panic!("{why}\n{told}"));

    let as_json = json(&explain(folder.path(), &id, &["--format", "json"]));
    assert_eq!(as_json["resolutions"][0]["links"][0]["tried"], "user:ada");
    let breach = as_json["breaches"].as_array().and_then(|all| all.last()).expect("a breach");
    assert_eq!(breach["measured"]["judged"][0]["threshold"].as_f64(), Some(100_000.0));
    let sequences: Vec<u64> = as_json["story"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|told| told["sequence"].as_u64())
        .collect();
    assert!(sequences.is_sorted_by(|a, b| a == &(b + 1)), "{sequences:?}");
}

#[test]
fn every_command_is_on_record_and_so_is_what_was_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::replayed(folder.path());
    let told = text(&explain(folder.path(), &incident_of(&log, "feature:stock"), &[]));
    let parts = [
        "remediated user:ada: ",
        "restarted",
        "action_recorded user:ada: comment: the shelf counter restarts",
        "command_rejected user:eve: acknowledge: `user:eve` is not a user of the directory",
        "because a command (response ",
        "acknowledged user:ada: ",
    ];
    in_order(&told, &parts).unwrap_or_else(|why| panic!("{why}\n{told}"));
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::replayed(folder.path());
    let id = incident_of(&log, "feature:price");
    for file in ["windows.ndjson", "breaches.ndjson"] {
        std::fs::remove_file(folder.path().join("out").join(file)).expect("disk");
    }
    let told = json(&explain(folder.path(), &id, &["--format", "json"]));
    assert_eq!(told["missing"].as_array().map(Vec::len), Some(2), "{}", told["missing"]);

    let unknown = format!("{}zz", &id[..6]);
    let output = explain(folder.path(), &unknown, &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains(&id), "{error}");
    assert!(error.contains("incidents list"), "{error}");
}
