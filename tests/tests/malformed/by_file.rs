//! By file: `watchkeep replay`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use watchkeep_tests::binary;

use crate::lines::lines;
use crate::{Case, SECOND, START};

/// Good telemetry of two features over five hours, the last two of which are
/// slow and lose values.
fn telemetry() -> Vec<String> {
    (0..1_200)
        .map(|n: i64| {
            let at = START + n * 15 * SECOND;
            let late = n >= 720;
            let latency_us = if late { 90_000 + n } else { 4_000 + n % 97 };
            match n % 2 {
                0 if late && n % 3 == 0 => {
                    format!(r#"{{"feature":"shop.price","event_time":{at},"value":null}}"#)
                }
                0 => format!(
                    r#"{{"feature":"shop.price","event_time":{at},"value":{},"latency_us":{latency_us}}}"#,
                    10.0 + (n % 41) as f64 / 4.0
                ),
                _ => format!(
                    r#"{{"features":{{"shop.basket":"{}"}},"event_time":{at},"latency_us":{latency_us}}}"#,
                    ["small", "large", "empty"][n as usize % 3]
                ),
            }
        })
        .collect()
}

const CHARTERS: &str = r"
kind: charter
subject: feature:shop.*
tier: 3
owners: {primary: user:ada}
policy: shop
expectations:
  - {name: missing, kind: null_rate, window: 1h, above: 0.05, severity: error}
  - {name: slow, kind: latency, window: 1h, quantile: p90, above: 50ms, severity: warning}
---
kind: directory
users: {ada: {name: Ada Byron, contacts: [{tool: email, to: ada@example.com}]}}
---
kind: policy
name: shop
version: 1
steps: [{name: owner, notify: [{role: primary}], channels: [{tool: email, to: shop@example.com}]}]
";

fn replay(folder: &Path, lines: &[u8]) -> Value {
    let charters = folder.join("charters");
    std::fs::create_dir_all(&charters).expect("disk");
    std::fs::write(charters.join("shop.yaml"), CHARTERS).expect("disk");
    let events = folder.join("events.ndjson");
    std::fs::write(&events, lines).expect("disk");
    let out = folder.join("out");
    binary::run([
        "replay".as_ref(),
        "--input".as_ref(),
        events.as_os_str(),
        "--charters".as_ref(),
        charters.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ]);
    let report = std::fs::read(out.join("replay.json")).expect("replay.json");
    serde_json::from_slice(&report).expect("JSON")
}

fn kinds(cases: &[Case]) -> usize {
    cases.iter().map(|case| case.kind).collect::<BTreeSet<_>>().len()
}

#[test]
fn every_malformed_line_is_a_reject_and_no_window_notices() {
    let good = telemetry();
    let bad = lines();
    assert!(bad.len() >= 25 && kinds(&bad) == bad.len(), "{} kinds", kinds(&bad));
    // Between the good lines, first and last included; some lines are empty.
    let (mut text, mut line, mut offsets) = (Vec::new(), 0, Vec::new());
    let mut push = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        text.push(b'\n');
        line += 1;
        line - 1
    };
    let every = good.len() / (bad.len() - 1);
    let mut cases = bad.iter();
    for (n, event) in good.iter().enumerate() {
        if n % every == 0
            && let Some(case) = cases.next()
        {
            offsets.push(push(&case.bytes));
        }
        if n % 100 == 0 {
            push(b"  ");
        }
        push(event.as_bytes());
    }
    offsets.extend(cases.map(|case| push(&case.bytes)));
    assert_eq!(offsets.len(), bad.len());

    let folder = tempfile::tempdir().expect("a folder");
    let [mixed, clean] = ["mixed", "clean"].map(|name| folder.path().join(name));
    let report = replay(&mixed, &text);
    let clean_report = replay(&clean, (good.join("\n") + "\n").as_bytes());
    assert_eq!(report["events"], good.len());
    assert_eq!(report["rejected"], bad.len());
    assert_eq!(report["late"], 0);
    assert_eq!(report["event_time"], clean_report["event_time"]);
    assert_eq!(clean_report["rejected"], 0);

    let rejects = binary::lines(&mixed.join("out/rejects.ndjson"));
    assert_eq!(rejects.len(), bad.len());
    for ((case, offset), reject) in bad.iter().zip(&offsets).zip(&rejects) {
        case.check(reject);
        assert_eq!(reject["topic"], "events.ndjson", "{}", case.kind);
        assert_eq!(reject["partition"], 0, "{}", case.kind);
        assert_eq!(reject["offset"], *offset, "{}", case.kind);
    }
    let future = rejects.iter().find(|reject| reject["reason"] == "future").expect("one");
    assert_eq!(future["received_at"], "2013-05-06T00:54:59.000000Z");

    let read =
        |folder: &Path, name: &str| std::fs::read(folder.join("out").join(name)).expect(name);
    let windows = read(&mixed, "windows.ndjson");
    assert_eq!(windows, read(&clean, "windows.ndjson"));
    assert!(binary::lines(&mixed.join("out/windows.ndjson")).len() >= 10);
    // Breaches name records by their offsets, which are others; all else is the same.
    let breaches = |folder: &Path| {
        let mut breaches = binary::lines(&folder.join("out/breaches.ndjson"));
        for breach in &mut breaches {
            breach["exemplars"].take();
        }
        breaches
    };
    assert_eq!(breaches(&mixed), breaches(&clean));
    let kinds: BTreeSet<String> =
        breaches(&mixed).iter().map(|breach| breach["kind"].to_string()).collect();
    assert_eq!(kinds, BTreeSet::from(["\"latency\"".to_owned(), "\"null_rate\"".to_owned()]));
    assert_eq!(read(&mixed, "incidents.ndjson"), read(&clean, "incidents.ndjson"));
    assert_eq!(read(&mixed, "escalations.ndjson"), read(&clean, "escalations.ndjson"));
}
