//! A case as the files that `watchkeep replay` takes, and what it should find.

use std::fmt::Write as _;

use serde_json::json;
use watchkeep_model::lineage::{RunEvent, RunState};
use watchkeep_model::time::TimeSpan;

use super::Case;
use super::telemetry::FROM;

/// Names and texts of the files of a case: `charters/charters.yaml`,
/// `telemetry.ndjson`, `lineage.ndjson` where there are runs, `expected.json`.
pub fn files(case: &Case) -> Vec<(String, String)> {
    let mut files = vec![
        ("charters/charters.yaml".to_owned(), case.charters()),
        ("telemetry.ndjson".to_owned(), case.telemetry().join("\n") + "\n"),
    ];
    if !case.runs.is_empty() {
        files.push(("lineage.ndjson".to_owned(), open_lineage(&case.runs)));
    }
    let expected: Vec<_> =
        case.expected.iter().map(|b| json!({"root": b.root, "owner": b.owner})).collect();
    let shape = format!("{:?}", case.shape);
    let expected = json!({"seed": case.seed, "shape": shape, "expected": expected});
    files.push(("expected.json".to_owned(), format!("{expected:#}\n")));
    files
}

impl Case {
    /// Directory, policy, a charter for every node, and the edges that people
    /// declared.
    pub fn charters(&self) -> String {
        let mut text = String::from("kind: directory\nusers:\n");
        for node in 0..self.graph.names.len() {
            let owner = self.graph.owner(node);
            let name = owner.trim_start_matches("user:");
            let _ = writeln!(
                text,
                "  {name}: {{name: {name}, contacts: [{{tool: email, to: {name}@example.com}}]}}"
            );
        }
        text.push_str("groups: {stewards: {lead: user:");
        text.push_str(self.graph.owner(0).trim_start_matches("user:"));
        text.push_str(
            "}}\ngovernance: group:stewards\n---\nkind: policy\nname: planted\nversion: 1\n\
             steps: [{name: owner, notify: [{role: primary}], acknowledge_within: 30m}]\n",
        );
        for (node, name) in self.graph.names.iter().enumerate() {
            if self.uncharted == Some(node) {
                continue;
            }
            let owner = self.graph.owner(node);
            let _ = write!(
                text,
                "---\nkind: charter\nsubject: {name}\nowners: {{primary: \"{owner}\"}}\npolicy: planted\n"
            );
            if self.watched.contains(&node) {
                text.push_str(
                    "expectations: [{name: missing, kind: null_rate, window: 5m, above: 0.2}]\n",
                );
            }
        }
        self.edges(&mut text);
        text
    }

    fn edges(&self, text: &mut String) {
        let is_declared = self.runs.is_empty();
        if !is_declared && self.graph.stale.is_empty() {
            return;
        }
        text.push_str("---\nkind: lineage\nedges:\n");
        let names = &self.graph.names;
        for (from, to) in self.graph.edges.iter().filter(|_| is_declared) {
            let _ = writeln!(text, "  - {{from: \"{}\", to: \"{}\"}}", names[*from], names[*to]);
        }
        let long_ago = FROM - TimeSpan::DAY.times(30);
        for (from, to) in &self.graph.stale {
            let (from, to) = (&names[*from], &names[*to]);
            let _ = writeln!(text, "  - {{from: \"{from}\", to: \"{to}\", last_seen: {long_ago}}}");
        }
    }
}

/// OpenLineage run events. Names keep their type, which an OpenLineage name may.
fn open_lineage(runs: &[RunEvent]) -> String {
    let mut text = String::new();
    for run in runs {
        let state = match run.state {
            RunState::Started => "START",
            RunState::Completed => "COMPLETE",
            RunState::Failed => "FAIL",
            RunState::Aborted => "ABORT",
            RunState::Other => "OTHER",
        };
        let datasets = |names: &[String]| -> Vec<_> {
            names.iter().map(|name| json!({"namespace": "planted", "name": name})).collect()
        };
        let message = run
            .message
            .as_ref()
            .map(|message| json!({"message": message, "programmingLanguage": "SQL"}));
        let facets = message.map_or(json!({}), |message| json!({"errorMessage": message}));
        let owners: Vec<_> = run.owners.iter().map(|one| json!({"name": one.owner})).collect();
        let job_facets = match owners.is_empty() {
            true => json!({}),
            false => json!({"ownership": {"owners": owners}}),
        };
        let event = json!({
            "eventType": state,
            "eventTime": run.at.to_string(),
            "run": {"runId": run.run, "facets": facets},
            "job": {"namespace": "planted", "name": run.job, "facets": job_facets},
            "inputs": datasets(&run.inputs),
            "outputs": datasets(&run.outputs),
            "producer": "https://watchkeep.example/planted",
        });
        let _ = writeln!(text, "{event}");
    }
    text
}
