//! Settings and charters of a deployment that is put through faults.

use std::path::Path;

use super::{LATENESS_US, OUT_OF_ORDERNESS_US, Plan, WINDOW_US, traffic};

/// Writes `watchkeep.toml` and the charters into a folder. `log` is the TOML
/// that says which log.
///
/// # Errors
/// No disk.
pub fn write(folder: &Path, plan: &Plan, log: &str) -> Result<(), String> {
    let write = |file: &str, text: String| {
        std::fs::write(folder.join(file), text).map_err(|error| format!("{file}: {error}"))
    };
    std::fs::create_dir_all(folder.join("charters")).map_err(|error| error.to_string())?;
    write("charters/chaos.yaml", charters(plan))?;
    write("watchkeep.toml", settings(plan, log))
}

fn settings(plan: &Plan, log: &str) -> String {
    let seconds = |us: i64| us / 1_000_000;
    format!(
        r#"{log}
[time]
pane = "1s"
out_of_orderness = "{}s"
allowed_lateness = "{}s"
revise_every = "10s"
idle_after = "10s"
[summarise]
commit_interval = "{}ms"
[charters]
folder = "charters"
"#,
        seconds(OUT_OF_ORDERNESS_US),
        seconds(LATENESS_US),
        plan.commit_interval.as_millis(),
    )
}

/// One expectation that can be worked out by counting, an owner, and a policy
/// that pages at once, then waits as long as the plan says.
fn charters(plan: &Plan) -> String {
    let mut text = String::new();
    // The last one is silent for ever, so that one incident stays open.
    for feature in 0..=super::FEATURES {
        let name = traffic::feature_name(feature);
        text.push_str(&format!(
            "kind: charter\nsubject: feature:{name}\nowners: {{primary: user:ada}}\n\
             policy: chaos\nexpectations:\n  - {{name: enough, kind: volume, window: {}s, below: {}}}\n---\n",
            WINDOW_US / 1_000_000,
            plan.volume_below(),
        ));
    }
    let within = plan.acknowledge_within.as_secs();
    text.push_str(&format!(
        r"kind: policy
name: chaos
version: 1
grouping: {{by: [root, kind], group_wait: 0s, group_interval: 5m, repeat_interval: 4h, max_listed: 50}}
steps:
  - name: on-call
    notify: [{{role: primary}}]
    channels: [{{tool: email, to: chaos@example.com}}]
    acknowledge_within: {within}s
    escalate_if: [not_acknowledged]
  - name: lead
    notify: [{{user: user:bo}}]
    channels: [{{tool: email, to: lead@example.com}}]
    acknowledge_within: 30d
    escalate_if: [not_acknowledged]
loops: 1
on_exhausted: {{notify: [user:ada]}}
---
kind: directory
users:
  ada: {{name: Ada, contacts: [{{tool: email, to: ada@example.com}}]}}
  bo: {{name: Bo, contacts: [{{tool: email, to: bo@example.com}}]}}
governance: user:ada
"
    ));
    text
}
