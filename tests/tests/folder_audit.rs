//! `watchkeep audit ledger --from`: a folder of a replay is whole, and every
//! lie that its files can give away is found.

use std::path::Path;

use serde_json::Value;
use watchkeep_tests::binary;

/// Three hours of a feature that is late and slow in the second, and of one
/// that is well, with a record that is none.
fn replayed(folder: &Path) {
    let mut lines = Vec::new();
    for minute in 0..180 {
        let at = format!("2026-01-05T{:02}:{:02}:00Z", minute / 60, minute % 60);
        let latency = if minute / 60 == 1 { 900_000 } else { 1_000 + minute };
        for feature in ["slow", "well"] {
            let latency = if feature == "slow" { latency } else { 500 };
            lines.push(format!(
                r#"{{"feature":"{feature}","event_time":"{at}","value":{minute},"latency_us":{latency}}}"#
            ));
        }
    }
    lines.push("{}".to_owned());
    std::fs::write(folder.join("in.ndjson"), lines.join("\n")).expect("disk");
    let charters = folder.join("charters");
    std::fs::create_dir(&charters).expect("disk");
    let charter = |subject: &str| {
        format!(
            "kind: charter\nsubject: feature:{subject}\ntype: double\ntier: 3\nlifecycle: production\n\
             owners: {{primary: user:ada}}\nconsumers: [model:m]\npolicy: p\nexpectations:\n\
             \x20 - {{name: latency, kind: latency, quantile: p90, above: 100ms, window: 10m, min_samples: 1}}\n\
             \x20 - {{name: enough, kind: volume, below: 1, window: 1h}}\n---\n"
        )
    };
    let others = "kind: directory\nusers: {ada: {name: Ada, contacts: [{tool: email, to: a@example.com}]}}\n\
        ---\nkind: policy\nname: p\nversion: 1\ngrouping: {group_wait: 60s}\nloops: 2\n\
        steps: [{name: first, notify: [{role: primary}], channels: [{tool: email, to: a@example.com}], acknowledge_within: 10m}]\n";
    let text = format!("{}{}{others}", charter("slow"), charter("well"));
    std::fs::write(charters.join("all.yaml"), text).expect("disk");
    let out = folder.join("out");
    binary::run([
        "replay".as_ref(),
        "--input".as_ref(),
        folder.join("in.ndjson").as_os_str(),
        "--charters".as_ref(),
        charters.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ]);
}

/// The findings of an audit, empty where all is well.
fn found(folder: &Path) -> Vec<Value> {
    let arguments = ["audit", "ledger", "--format", "json", "--from"].map(AsRef::as_ref);
    let output = binary::command(arguments.into_iter().chain([folder.as_os_str()]))
        .output()
        .expect("the binary can be run");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().expect("a list").clone();
    assert_eq!(output.status.success(), findings.is_empty());
    findings
}

type Lie = (&'static str, fn(&mut Vec<Value>));

/// The first line of which this holds.
fn line(lines: &mut [Value], is_it: impl Fn(&Value) -> bool) -> &mut Value {
    lines.iter_mut().find(|line| is_it(line)).expect("such a line")
}

fn with<'a>(lines: &'a mut [Value], name: &str, value: &str) -> &'a mut Value {
    line(lines, |line| line[name] == value)
}

fn add(number: &mut Value, by: f64) {
    let sum = number.as_f64().expect("a number") + by;
    *number = if number.is_u64() { Value::from(sum as u64) } else { Value::from(sum) };
}

/// What is altered, in which file.
const LIES: &[Lie] = &[
    ("windows", |lines| add(&mut lines[3]["count"], 1.0)),
    ("windows", |lines| add(&mut lines[3]["status"]["ok"], -1.0)),
    ("windows", |lines| {
        // In agreement with itself, and more than there is.
        let window = with(lines, "window", "1h");
        add(&mut window["count"], 300.0);
        add(&mut window["status"]["ok"], 300.0);
    }),
    ("windows", |lines| lines[3]["mean"] = 1e9.into()),
    ("windows", |lines| add(&mut lines[3]["p50"], 1e6)),
    ("windows", |lines| lines[3]["latency_us"]["p90"] = 1.into()),
    ("windows", |lines| lines[3]["late_count"] = 99.into()),
    ("windows", |lines| lines[3]["window_end"] = "2026-01-05T00:11:00.000000Z".into()),
    ("windows", |lines| lines[3]["last_event_time"] = "2026-01-06T00:00:00.000000Z".into()),
    ("windows", |lines| lines.swap(2, 9)),
    ("windows", |lines| {
        lines.remove(4);
    }),
    ("windows", |lines| {
        let again = lines[4].clone();
        lines.insert(5, again);
    }),
    ("windows", |lines| lines.retain(|line| line["judged"][0]["verdict"] != "bad")),
    ("windows", |lines| {
        line(lines, |line| line["judged"][0]["verdict"] == "bad")["judged"][0]["verdict"] =
            "good".into();
    }),
    ("windows", |lines| {
        line(lines, |line| line["judged"][0]["verdict"] == "bad")["judged"][0]["observed"] =
            5.into();
    }),
    ("breaches", |lines| lines[0]["detected_at"] = "2026-01-05T01:09:00.000000Z".into()),
    ("breaches", |lines| lines[0]["observed"] = 1.into()),
    ("breaches", |lines| lines[0]["revision"] = 1.into()),
    ("breaches", |lines| lines[0]["severity"] = "warning".into()),
    ("breaches", |lines| lines.retain(|line| line["transition"] != "sustained")),
    ("breaches", |lines| {
        lines.remove(0);
    }),
    ("breaches", |lines| lines.swap(0, 1)),
    ("incidents", |lines| lines[0]["actor"] = "user:eve".into()),
    ("incidents", |lines| {
        lines.pop();
    }),
    ("escalations", |lines| with(lines, "audience", "page")["target"] = "user:eve".into()),
    ("escalations", |lines| with(lines, "audience", "page")["channel"] = "email:eve".into()),
    ("escalations", |lines| with(lines, "audience", "inform")["target"] = "model:other".into()),
    ("escalations", |lines| lines.reverse()),
    ("escalations", |lines| {
        lines.remove(0);
    }),
    ("rejects", |lines| lines.clear()),
    ("rejects", |lines| lines[0]["offset"] = 100_000.into()),
    ("replay", |lines| lines[0]["ledger"] = Value::Array(vec![])),
    ("replay", |lines| add(&mut lines[0]["ledger"][0]["to"], -1.0)),
    ("replay", |lines| add(&mut lines[0]["records"], 1.0)),
    ("replay", |lines| lines[0]["events"] = 300.into()),
    ("replay", |lines| lines[0]["event_time"]["to"] = "2026-01-05T02:00:00.000000Z".into()),
    ("replay", |lines| add(&mut lines[0]["breaches"], 1.0)),
];

#[test]
fn every_lie_that_the_files_give_away_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    replayed(folder.path());
    let out = folder.path().join("out");
    assert_eq!(found(&out), Vec::<Value>::new(), "nothing is wrong yet");
    let mut missed = Vec::new();
    for (number, (name, lie)) in LIES.iter().enumerate() {
        let is_lines = *name != "replay";
        let path = out.join(format!("{name}.{}", if is_lines { "ndjson" } else { "json" }));
        let before = std::fs::read_to_string(&path).expect("a file");
        let mut lines: Vec<Value> = if is_lines {
            binary::lines(&path)
        } else {
            vec![serde_json::from_str(&before).expect("JSON")]
        };
        lie(&mut lines);
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(&path, text.join("\n")).expect("disk");
        if found(&out).is_empty() {
            missed.push(format!("lie {number} of {name}"));
        }
        std::fs::write(&path, before).expect("disk");
    }
    assert_eq!(missed, Vec::<String>::new());
}
