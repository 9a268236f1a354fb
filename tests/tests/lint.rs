//! An invalid charter folder: everything that is wrong with it is told at
//! once, with its place and a guess at what was meant, and nothing runs on it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use watchkeep_tests::binary;

const DIRECTORY: &str = "\
kind: directory
users:
  ada: {name: Ada Byron, zone: Europe/Lodnon, contacts: [{tool: email, to: ada@example.com}]}
  grace: {name: Grace Murray, absences: [{from: 2013-05-20, to: 2013-05-06}]}
groups:
  pricing: {lead: user:ada, members: [user:ada, user:grcae]}
---
kind: polcy
name: night
";

const POLICY: &str = "\
kind: policy
name: shop
version: 1
steps:
  - name: owner
    notify: [{role: primery}]
    acknowledge_withn: 10m
    escalate_if: [not_acknowledged]
  - name: steward
    kinds: [drifts]
    notify: [{role: data_steward}]
    remediate_within: 4 hours
verification: {severities: [error], good_windows: 2, on_failure: stewart}
";

const CHARTERS: &str = "\
kind: charter
subject: feature:shop.*
teir: 2
owners:
  primary: user:ada
  primary: user:grace
policy: shop
---
kind: charter
subject: feature:shop.price
owners: {primary: user:adda, backup: user:grace}
policy: shpo
review_every: 90
expectations:
  - {name: slow, kind: latency, window: 1h, quantile: p98, above: 5ms}
  - {name: burn, kind: slo, window: 1h, objective: 0.999}
  - {name: missing, kind: null_rate, window: 90s, above: 0.1, severity: eror}
  - {name: odd, kind: rnge, window: 1h, min: 0}
---
kind: charter
subject: feature:shop.basket
owners: {primary: user:ada}
expectations:
  - {name: missing, kind: null_rate, window: 1h, above: 0.1}
  - {name: missing, kind: volume, window: 1h, below: 10}
---
kind: charter
subject: featur:shop.stock
owners: {primary: [user:ada, user:grace]}
---
kind: charter
subject: feature:shop.visits
owners: {primary: user:ada}
deduplicate: 10
expectations:
  - {name: quiet, kind: silence, window: {kind: session, gap: 5m}, after: 1h}
  - {name: slow, kind: latency, window: {kind: hopping, size: 5m, hop: 1h}, quantile: p99, above: 1s}
";

/// File, line, column, field, rule, a part of the message, a part of the hint.
type Finding = (&'static str, u64, u64, &'static str, &'static str, &'static str, &'static str);

/// Every error of the folder, in the order of files and lines.
const ERRORS: [Finding; 27] = [
    (
        "directory.yaml",
        3,
        32,
        "users.ada.zone",
        "wrong_value",
        "is not a time zone",
        "`Europe/London`",
    ),
    ("directory.yaml", 4, 65, "users.grace.absences[0].to", "wrong_value", "not after `from`", ""),
    (
        "directory.yaml",
        6,
        49,
        "groups.pricing.members[1]",
        "unknown_user",
        "`grcae`",
        "`user:grace`",
    ),
    ("directory.yaml", 8, 7, "kind", "kind", "unknown kind `polcy`", "did you mean `policy`?"),
    ("policy.yaml", 6, 21, "steps[0].notify[0].role", "wrong_value", "`primery`", "`primary`"),
    (
        "policy.yaml",
        7,
        5,
        "steps[0].acknowledge_withn",
        "unknown_field",
        "`acknowledge_withn`",
        "did you mean `acknowledge_within`?",
    ),
    (
        "policy.yaml",
        8,
        18,
        "steps[0].escalate_if",
        "missing_field",
        "never comes without `acknowledge_within`",
        "add `acknowledge_within`",
    ),
    ("policy.yaml", 10, 13, "steps[1].kinds[0]", "wrong_value", "`drifts`", "`drift`"),
    (
        "policy.yaml",
        12,
        23,
        "steps[1].remediate_within",
        "wrong_value",
        "`4 hours` is not a duration: write a whole number and one of ms, s, m, h, d, w",
        "",
    ),
    ("policy.yaml", 13, 66, "verification.on_failure", "unknown_step", "`stewart`", "`steward`"),
    ("shop.yaml", 3, 1, "teir", "unknown_field", "`teir`", "did you mean `tier`?"),
    ("shop.yaml", 6, 3, "", "duplicate_key", "`primary` is written twice", "keep one of them"),
    ("shop.yaml", 11, 19, "owners.primary", "unknown_user", "`adda`", "did you mean `user:ada`?"),
    ("shop.yaml", 11, 38, "owners.backup", "backup_without_contact", "user:grace", "a contact"),
    ("shop.yaml", 12, 9, "policy", "unknown_policy", "`shpo`", "did you mean `shop`?"),
    ("shop.yaml", 13, 15, "review_every", "wrong_value", "`90` is not a duration", ""),
    ("shop.yaml", 15, 55, "expectations[0].quantile", "wrong_value", "`p98`", "did you mean"),
    ("shop.yaml", 16, 5, "expectations[1].good", "missing_field", "`good` is missing", ""),
    (
        "shop.yaml",
        17,
        46,
        "expectations[2].window",
        "window_pane",
        "90s is no multiple of the pane, 1m",
        "",
    ),
    ("shop.yaml", 17, 73, "expectations[2].severity", "wrong_value", "`eror`", "`error`"),
    ("shop.yaml", 18, 23, "expectations[3].kind", "wrong_value", "`rnge`", "`range`"),
    (
        "shop.yaml",
        25,
        12,
        "expectations[1].name",
        "duplicate_expectation",
        "an expectation `missing` already",
        "another name",
    ),
    ("shop.yaml", 28, 10, "subject", "naming", "`featur:shop.stock`", "`feature:shop.stock`"),
    (
        "shop.yaml",
        29,
        19,
        "owners.primary",
        "wrong_type",
        "a list is not one name",
        "name one user, or a group of them",
    ),
    ("shop.yaml", 34, 14, "deduplicate", "wrong_value", "`10` is not a duration", ""),
    (
        "shop.yaml",
        36,
        42,
        "expectations[0].window",
        "session_silence",
        "a session has no silence",
        "tumbling or hopping",
    ),
    (
        "shop.yaml",
        37,
        72,
        "expectations[1].window.hop",
        "wrong_value",
        "a hop of 1h is longer than the size of 5m",
        "at most 5m",
    ),
];

/// A folder with the three files and an event to replay.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let charters = folder.path().join("charters");
    std::fs::create_dir(&charters).expect("disk");
    for (name, text) in
        [("directory.yaml", DIRECTORY), ("policy.yaml", POLICY), ("shop.yaml", CHARTERS)]
    {
        std::fs::write(charters.join(name), text).expect("disk");
    }
    let event = r#"{"feature":"shop.price","event_time":"2013-05-06T01:00:00Z","value":1}"#;
    std::fs::write(folder.path().join("events.ndjson"), event).expect("disk");
    folder
}

/// Runs a command in a folder and expects it to end with this code.
fn ends(folder: &Path, code: i32, arguments: &[&str]) -> (String, String) {
    let output: Output =
        binary::command(arguments).current_dir(folder).output().expect("the binary can be run");
    let [printed, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{printed}\n{errors}");
    // Lines of standard error say which program speaks.
    let errors: Vec<&str> =
        errors.lines().map(|line| line.strip_prefix("watchkeep: ").unwrap_or(line)).collect();
    (printed, errors.join("\n"))
}

/// Expects every error of the folder in a text for people, in their order.
fn assert_told(text: &str) {
    let mut rest = text;
    for (file, line, column, field, rule, message, hint) in ERRORS {
        let place = format!("--> charters/{file}:{line}:{column}");
        let at = rest.find(&place).unwrap_or_else(|| panic!("{place} is not in order in:\n{text}"));
        let head = rest[..at].trim_end().lines().last().unwrap_or_default();
        assert!(head.contains(&format!("error[{rule}]: ")), "{place}: {head}");
        assert!(head.contains(message), "{place}: {head}");
        rest = &rest[at + place.len()..];
        let until_next = rest.split("error[").next().unwrap_or_default();
        assert!(until_next.lines().next().is_some_and(|line| line.contains(field)), "{until_next}");
        assert!(until_next.contains(hint), "{place}: `{hint}` is not in:\n{until_next}");
    }
    assert_eq!(text.matches("error[").count(), ERRORS.len(), "{text}");
}

#[test]
fn every_error_of_a_folder_is_told_at_once() {
    let folder = folder();
    let (text, errors) = ends(folder.path(), 1, &["charters", "lint", "charters"]);
    assert_told(&text);
    assert_eq!(errors, "");
    // The line itself is shown, with a caret under the column.
    let teir = "3 | teir: 2\n  | ^\n  = did you mean `tier`?";
    assert!(text.contains(teir), "{text}");

    let lint = ["charters", "lint", "charters", "--format", "json"];
    let (json, _) = ends(folder.path(), 1, &lint);
    let found: Vec<Value> = serde_json::from_str(&json).expect("JSON");
    let found: Vec<&Value> = found.iter().filter(|f| f["severity"] == "error").collect();
    for (found, (file, line, column, field, rule, message, hint)) in found.iter().zip(ERRORS) {
        assert_eq!(found["file"], format!("charters/{file}"), "{found}");
        assert_eq!((&found["line"], &found["column"]), (&line.into(), &column.into()), "{found}");
        assert_eq!(found["field"], field, "{found}");
        assert_eq!(found["rule"], rule, "{found}");
        assert!(found["message"].as_str().is_some_and(|m| m.contains(message)), "{found}");
        assert!(found["hint"].is_string(), "{found}");
        assert!(found["hint"].as_str().unwrap_or_default().contains(hint), "{found}");
    }
    assert_eq!(found.len(), ERRORS.len());
}

#[test]
fn nothing_runs_on_an_invalid_folder() {
    let folder = folder();
    let replay = ["replay", "--input", "events.ndjson", "--charters", "charters", "--out", "out"];
    let (printed, errors) = ends(folder.path(), 2, &replay);
    assert_eq!(printed, "");
    assert!(errors.contains(&format!("the charter folder has {} errors", ERRORS.len())));
    assert_told(&errors);
    assert!(!folder.path().join("out").exists(), "a refused replay wrote something");

    // The address is none that anything could listen on by chance.
    let settings = "[log]\nkind = \"embedded\"\nfolder = \"log\"\n[charters]\nfolder = \"charters\"\n\
        [http]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(folder.path().join("watchkeep.toml"), settings).expect("disk");
    let (_, errors) = ends(folder.path(), 2, &["run", "-c", "watchkeep.toml"]);
    assert!(errors.contains(&format!("the charter folder has {} errors", ERRORS.len())));
    assert_told(&errors);
    assert!(!folder.path().join("log").exists(), "a refused service wrote something");
}

#[test]
fn the_examples_are_fine_and_a_missing_folder_is_no_finding() {
    let folder = tempfile::tempdir().expect("a folder");
    let examples = binary::shared("examples/charters");
    let lint = ["charters", "lint", examples.to_str().expect("text")];
    let (text, _) = ends(folder.path(), 0, &lint);
    assert!(text.contains("errors: 0"), "{text}");
    let json = [&lint[..], &["--format", "json"]].concat();
    let found: Vec<Value> = serde_json::from_str(&ends(folder.path(), 0, &json).0).expect("JSON");
    assert!(found.iter().all(|finding| finding["severity"] == "warning"), "{found:?}");
    let (printed, errors) = ends(folder.path(), 2, &["charters", "lint", "nowhere"]);
    assert_eq!(printed, "");
    assert!(errors.contains("nowhere"), "{errors}");
    // A name that leads to a device is told, and never read to its end.
    #[cfg(unix)]
    for name in ["endless.yaml", "endless.ndjson"] {
        let devices = tempfile::tempdir().expect("a folder");
        std::fs::write(devices.path().join("a.yaml"), POLICY).expect("disk");
        std::os::unix::fs::symlink("/dev/zero", devices.path().join(name)).expect("disk");
        let lint = ["charters", "lint", devices.path().to_str().expect("text")];
        let (told, _) = ends(folder.path(), 1, &lint);
        assert!(told.contains("this is no regular file") && told.contains(name), "{told}");
    }
    std::fs::create_dir(folder.path().join("empty")).expect("disk");
    let (_, errors) = ends(folder.path(), 2, &["charters", "lint", "empty"]);
    assert!(errors.contains("there is no .yaml file in this folder"), "{errors}");
}
