//! Every rule of `charters lint` with a file that breaks it and one that does
//! not: `tests/lint/RULE/{bad,good}.yaml`, each beside `common.yaml`, and what
//! is said of the bad one in `bad.txt`.
//!
//! `UPDATE_EXPECT=1` writes `bad.txt` anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use watchkeep_tests::{binary, examples};

fn examples() -> PathBuf {
    binary::root().join("tests/lint")
}

/// The rules as `--explain all` tells them.
fn rules() -> BTreeSet<String> {
    let output = binary::run(["charters", "lint", "--explain", "all"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect()
}

fn lint(rule: &str, file: &str, format: &str) -> (Option<i32>, String) {
    examples::lint("charters", &examples(), rule, file, format)
}

fn found(text: &str) -> Vec<(String, String)> {
    let findings: Vec<Value> = serde_json::from_str(text).expect("a JSON array");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings.iter().map(|f| (text(&f["rule"]), text(&f["severity"]))).collect()
}

#[test]
fn every_rule_has_an_example_and_every_example_a_rule() {
    let folders: BTreeSet<String> = fs::read_dir(examples())
        .expect("tests/lint")
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name()?.to_str()?.to_owned();
            path.is_dir().then_some(name)
        })
        .collect();
    assert_eq!(folders, rules());
}

#[test]
fn a_bad_file_breaks_its_rule_and_a_good_one_none() {
    for rule in fs::read_dir(examples()).expect("tests/lint") {
        let path = rule.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let rule = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let (code, text) = lint(rule, "bad.yaml", "json");
        let bad = found(&text);
        assert!(bad.iter().any(|(found, _)| found == rule), "{rule}: bad.yaml breaks {bad:?}");
        let has_errors = bad.iter().any(|(_, severity)| severity == "error");
        assert_eq!(code, Some(i32::from(has_errors)), "{rule}: exit code of {bad:?}");
        let (code, text) = lint(rule, "good.yaml", "json");
        assert_eq!((code, found(&text)), (Some(0), Vec::new()), "{rule}: good.yaml");
        expect_test::expect_file![path.join("bad.txt")]
            .assert_eq(&lint(rule, "bad.yaml", "table").1);
    }
}

#[test]
fn a_rule_is_explained_by_its_name() {
    let output = binary::run(["charters", "lint", "--explain", "stale_review"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.starts_with("stale_review\n") && text.contains("review_every"), "{text}");
    let mut command = binary::command(["charters", "lint", "--explain", "stale_revue"]);
    let output = command.output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("did you mean `stale_review`?"), "{text}");
}

/// SARIF says the same as the other formats, in the words of its standard.
#[test]
fn sarif_names_the_same_findings() {
    let (code, text) = lint("duplicate_key", "bad.yaml", "sarif");
    assert_eq!(code, Some(1));
    let log: Value = serde_json::from_str(&text).expect("JSON");
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .filter_map(|rule| rule["id"].as_str())
        .collect();
    let results = run["results"].as_array().expect("results");
    let (_, json) = lint("duplicate_key", "bad.yaml", "json");
    assert_eq!(results.len(), found(&json).len());
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index");
        let id = result["ruleId"].as_str().expect("a rule");
        assert_eq!(rules[usize::try_from(index).expect("small")], id);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "charters/shop.yaml");
        assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0));
    }
}
