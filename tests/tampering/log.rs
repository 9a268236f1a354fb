//! A real incident log to lie about: what a replay writes of a morning on
//! which several features are slow and people answer, or do not.

use std::path::Path;

use crate::binary;

/// Lines of a folder that a replay wrote.
#[derive(Clone, Debug)]
pub struct Log {
    /// `incidents.ndjson`.
    pub lines: Vec<String>,
    /// `anchors.ndjson`, as somebody else might have kept it.
    pub anchors: Vec<String>,
}

/// Features, the hours in which each is slow, and its tier.
const FEATURES: [(&str, &[u32]); 6] = [
    ("price", &[1, 2, 5]),
    ("stock", &[1, 4]),
    ("rating", &[2]),
    ("clicks", &[3, 4, 5]),
    ("basket", &[5]),
    ("views", &[]),
];

impl Log {
    /// Reads what a replay wrote.
    ///
    /// # Panics
    /// Where a file is missing.
    pub fn of_folder(folder: &Path) -> Self {
        let lines = |name: &str| {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path);
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        Self { lines: lines("incidents.ndjson"), anchors: lines("anchors.ndjson") }
    }

    /// Replays a morning into `out` below the folder.
    ///
    /// # Panics
    /// Where the disk or the replay fails.
    pub fn replayed(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name);
        std::fs::write(path("in.ndjson"), telemetry()).expect("disk");
        std::fs::create_dir_all(path("charters")).expect("disk");
        std::fs::write(path("charters/all.yaml"), charters()).expect("disk");
        std::fs::write(path("responses.ndjson"), RESPONSES).expect("disk");
        binary::run([
            "replay".as_ref(),
            "--input".as_ref(),
            path("in.ndjson").as_os_str(),
            "--charters".as_ref(),
            path("charters").as_os_str(),
            "--responses".as_ref(),
            path("responses.ndjson").as_os_str(),
            "--out".as_ref(),
            path("out").as_os_str(),
        ]);
        Self::of_folder(&path("out"))
    }
}

fn telemetry() -> String {
    let mut lines = String::new();
    for minute in 0..8 * 60 {
        let at = format!("2026-01-05T{:02}:{:02}:00Z", minute / 60, minute % 60);
        for (feature, slow) in FEATURES {
            let latency = if slow.contains(&(minute / 60)) { 900_000 } else { 1_000 };
            lines += &format!(
                "{{\"feature\":\"{feature}\",\"event_time\":\"{at}\",\"value\":{minute},\"latency_us\":{latency}}}\n"
            );
        }
    }
    lines
}

fn charters() -> String {
    let mut text = String::from(OTHERS);
    for (number, (feature, _)) in FEATURES.iter().enumerate() {
        let severity = ["warning", "critical", "error"][number % 3];
        text += &format!(
            "---\nkind: charter\nsubject: feature:{feature}\ntype: double\ntier: 2\nlifecycle: production\n\
             owners: {{primary: user:ada, backup: user:grace, reviewer: user:mary}}\nconsumers: [model:m-{feature}]\n\
             policy: p\nexpectations:\n  - {{name: latency, kind: latency, quantile: p90, above: 100ms, window: 10m, \
             min_samples: 1, severity: {severity}}}\n"
        );
    }
    text
}

const OTHERS: &str = "kind: directory
users:
  ada: {contacts: [{tool: email, to: ada@example.com}]}
  grace: {contacts: [{tool: email, to: grace@example.com}]}
  mary: {contacts: [{tool: email, to: mary@example.com}]}
---
kind: policy
name: p
version: 1
grouping: {group_wait: 60s, repeat_interval: 30m}
damping: {keep_firing_for: 5m, reopen_within: 30m}
loops: 2
ack_timeout: 20m
steps:
  - {name: first, notify: [{role: primary}], acknowledge_within: 10m, remediate_within: 1h}
  - {name: second, notify: [{role: backup}], acknowledge_within: 10m}
on_exhausted: {notify: [user:mary]}
sign_offs: [{gate: resolve, severities: [critical], roles: [reviewer], minimum: 1}]
verification: {severities: [critical], good_windows: 2}
";

const RESPONSES: &str = r#"{"at":"2026-01-05T01:15:00Z","by":"user:ada","command":"acknowledge","subject":"feature:stock"}
{"at":"2026-01-05T01:20:00Z","by":"user:eve","command":"acknowledge","subject":"feature:stock"}
{"at":"2026-01-05T01:30:00Z","by":"user:ada","command":"comment","subject":"feature:stock","rationale":"the shelf counter restarts"}
{"at":"2026-01-05T01:32:00Z","by":"user:ada","command":"remediate","action":"fix","subject":"feature:stock","rationale":"restarted"}
{"at":"2026-01-05T02:50:00Z","by":"user:mary","command":"sign_off","gate":"resolve","subject":"feature:stock","rationale":"fine since two"}
{"at":"2026-01-05T03:20:00Z","by":"user:grace","command":"acknowledge","subject":"feature:clicks"}
{"at":"2026-01-05T04:20:00Z","by":"user:ada","command":"escalate","subject":"feature:stock"}
{"at":"2026-01-05T05:20:00Z","by":"user:ada","command":"acknowledge","subject":"feature:nothing"}
{"at":"2026-01-05T06:30:00Z","by":"user:mary","command":"sign_off","gate":"resolve","approve":false,"subject":"feature:basket"}
"#;
