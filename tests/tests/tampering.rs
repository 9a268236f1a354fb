//! Whoever alters an incident log is found, and so is where: the short form of
//! `cargo run --release -p watchkeep-tests --example tampering`.

use std::path::Path;

use serde_json::Value;
use watchkeep_tests::binary;
use watchkeep_tests::tampering::log::Log;
use watchkeep_tests::tampering::{attempt, first};

/// Lies that are told; the kinds take turns.
const LIES: u64 = 110;

#[test]
fn every_lie_about_an_incident_log_is_found_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::replayed(folder.path());
    assert!(log.lines.len() > 60, "only {} facts", log.lines.len());
    assert_eq!(first(&log.lines, &log.anchors), None, "nothing is wrong yet");
    let faults: Vec<String> = (0..LIES).filter_map(|seed| attempt(&log, seed).fault()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What `audit verify` prints of a source, and its exit code.
fn verified(source: &Path, more: &[&std::ffi::OsStr]) -> (Value, i32) {
    let arguments = ["audit".as_ref(), "verify".as_ref(), source.as_os_str()];
    let format = ["--format".as_ref(), "json".as_ref()];
    let output = binary::command(arguments.iter().chain(&format).chain(more))
        .output()
        .expect("the binary can be run");
    let verdict = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    (verdict, output.status.code().unwrap_or(-1))
}

#[test]
fn a_copy_is_verified_offline_and_its_first_bad_line_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::replayed(folder.path());
    let out = folder.path().join("out");
    let (verdict, code) = verified(&out, &[]);
    assert_eq!((code, &verdict["findings"]), (0, &Value::Array(vec![])));
    assert_eq!(verdict["facts"], log.lines.len() as u64);
    assert_eq!(verdict["anchored"], log.lines.len() as u64);

    // A copy of the log alone, and anchors that somebody keeps elsewhere.
    let (copy, kept) = (folder.path().join("copy.ndjson"), folder.path().join("kept.ndjson"));
    std::fs::copy(out.join("incidents.ndjson"), &copy).expect("disk");
    let publish = ["--publish".as_ref(), kept.as_os_str()];
    assert_eq!(verified(&copy, &publish).1, 0);
    let published = std::fs::read_to_string(&kept).expect("the anchor was published");
    assert_eq!(verified(&copy, &publish).1, 0);
    let again = std::fs::read_to_string(&kept).expect("a file");
    assert_eq!(published, again, "an anchor is published once");

    let place = log.lines.iter().position(|line| line.contains("user:ada")).expect("a line");
    let mut lines = log.lines.clone();
    lines[place] = lines[place].replacen("user:ada", "user:eve", 1);
    std::fs::write(&copy, lines.join("\n")).expect("disk");
    let (verdict, code) = verified(&copy, &[]);
    assert_eq!(code, 1);
    let at = format!("{}:{}", copy.display(), place + 1);
    assert_eq!(
        (&verdict["findings"][0]["at"], &verdict["findings"][0]["rule"]),
        (&at.into(), &"hash".into())
    );

    // Cut off, the rest is whole in itself; the anchor that was kept is not.
    let left = log.lines.len() - 1;
    std::fs::write(&copy, log.lines[..left].join("\n")).expect("disk");
    assert_eq!(verified(&copy, &[]).1, 0);
    let (verdict, code) = verified(&copy, &["--anchors".as_ref(), kept.as_os_str()]);
    assert_eq!((code, &verdict["findings"][0]["rule"]), (1, &"anchor".into()));
}
