//! `watchkeep policy`: every rule of the lint with a file that breaks it and
//! one that does not (`tests/lint_policy/RULE/{bad,good}.yaml`, each beside
//! `common.yaml`, what is said in `bad.txt`), the playbook, and what a policy
//! would do. `UPDATE_EXPECT=1` writes what is expected anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use expect_test::expect_file;
use serde_json::Value;
use watchkeep_tests::{binary, examples};

fn examples() -> PathBuf {
    binary::root().join("tests/lint_policy")
}

/// The charters of the scenarios.
fn flights() -> String {
    binary::root().join("tests/scenarios/base").display().to_string()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn lint(rule: &str, file: &str, format: &str) -> (Option<i32>, String) {
    examples::lint("policy", &examples(), rule, file, format)
}

/// Rules of the findings with their severities.
fn found(text: &str) -> Vec<(String, String)> {
    let findings: Vec<Value> = serde_json::from_str(text).expect("a JSON array");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = findings.iter().map(|f| (text(&f["rule"]), text(&f["severity"])));
    all.collect()
}

fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(examples()).expect("tests/lint_policy");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let name = |path: PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.filter(|path| path.is_dir()).map(name).collect()
}

#[test]
fn every_rule_of_policies_has_an_example() {
    let rules = watchkeep_incident::registry::PLAYBOOK_RULES;
    let rules: BTreeSet<String> = rules.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders(), rules);
    let explained = text(&binary::run(["policy", "lint", "--explain", "all"]));
    for rule in &rules {
        assert!(explained.lines().any(|line| line == rule), "{rule}");
    }
}

#[test]
fn a_bad_policy_breaks_its_rule_and_a_good_one_none() {
    for rule in folders() {
        let (code, json) = lint(&rule, "bad.yaml", "json");
        let bad = found(&json);
        assert!(bad.iter().any(|(found, _)| *found == rule), "{rule}: bad.yaml breaks {bad:?}");
        let has_errors = bad.iter().any(|(_, severity)| severity == "error");
        assert_eq!(code, Some(i32::from(has_errors)), "{rule}: exit code of {bad:?}");
        let (code, json) = lint(&rule, "good.yaml", "json");
        assert_eq!((code, found(&json)), (Some(0), Vec::new()), "{rule}: good.yaml");
        let (_, table) = lint(&rule, "bad.yaml", "table");
        expect_file![examples().join(&rule).join("bad.txt")].assert_eq(&table);
    }
}

#[test]
fn a_policy_is_written_as_its_playbook() {
    let folder = flights();
    for (format, file) in
        [("markdown", "flights.md"), ("mermaid", "flights.mmd"), ("dot", "flights.dot")]
    {
        let arguments = ["policy", "render", "flights", "--charters", &folder, "--format", format];
        let written = text(&binary::run(arguments));
        expect_file![binary::root().join("tests/playbooks").join(file)].assert_eq(&written);
    }
    let named = |arguments: &[&str]| text(&binary::run(arguments));
    assert_eq!(
        named(&["policy", "render", "flights", &folder]),
        named(&["policy", "render", "flights", "--charters", &folder]),
    );
    let lint = ["policy", "lint", "--at", "2013-05-08"];
    assert_eq!(
        named(&[&lint[..], &[&folder]].concat()),
        named(&[&lint[..], &["--charters", &folder]].concat()),
    );
    let arguments = ["policy", "render", "flihgts", "--charters", &folder];
    let output = binary::command(arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(told.contains("did you mean `flights`?"), "{told}");
}

#[test]
fn a_policy_is_played_with_and_without_answers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let answers = folder.path().join("answers.ndjson");
    fs::write(
        &answers,
        "{\"at\":\"2013-05-08T00:10:00Z\",\"by\":\"user:edgar\",\"command\":\"remediate\",\
         \"action\":\"fix\",\"rationale\":\"mapped again\"}\n",
    )
    .expect("written");
    let charters = flights();
    let simulate = |more: &[&str]| {
        let mut arguments = vec!["policy", "simulate", "flights", "--charters", &charters];
        arguments.extend(["--subject", "flight.arr_delay_min", "--at", "2013-05-08"]);
        arguments.extend(more);
        binary::command(arguments).output().expect("it runs")
    };
    let alone = simulate(&[]);
    assert_eq!(alone.status.code(), Some(1), "the steps run out");
    expect_file![binary::root().join("tests/playbooks/nobody-answers.txt")]
        .assert_eq(&text(&alone));
    let answers = answers.display().to_string();
    let answered = simulate(&["--responses", &answers, "--clears-after", "1h", "--format", "json"]);
    assert_eq!(answered.status.code(), Some(0));
    let told: Value = serde_json::from_str(&text(&answered)).expect("JSON");
    assert_eq!(told["incidents"][0]["state"], "resolved");
    let facts: Vec<&str> = told["moments"]
        .as_array()
        .expect("moments")
        .iter()
        .flat_map(|moment| moment["facts"].as_array().expect("facts"))
        .filter_map(|fact| fact["fact"].as_str())
        .collect();
    let expected = [
        "opened",
        "breach_attached",
        "notified",
        "remediated",
        "breach_cleared",
        "verified",
        "resolved",
    ];
    assert_eq!(facts, expected);
    let critical = simulate(&["--kind", "null_rate", "--for", "1h", "--format", "json"]);
    let told: Value = serde_json::from_str(&text(&critical)).expect("JSON");
    assert_eq!((&told["kind"], &told["severity"]), (&"null_rate".into(), &"critical".into()));
}
