//! Commands about charters by every way in: HTTP and the command line while a
//! service holds the log, and the responses of a replay. (The responses topic of
//! real Kafka is in `commands.rs`.)

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use watchkeep_tests::binary;
use watchkeep_tests::service::Service;

const PEOPLE: &str = "kind: directory\nusers:\n  ada: {contacts: [{tool: email, to: a@example.com}]}\n  \
    grace: {contacts: [{tool: email, to: g@example.com}]}\n  linus: {}\ngovernance: user:ada\n---\n\
    kind: policy\nname: standard\nversion: 1\n\
    steps: [{name: owner, notify: [{role: primary}], acknowledge_within: 10m}]\n";

fn charter(tier: u8, above: f64) -> String {
    format!(
        "kind: charter\nsubject: feature:ride.price\ntier: {tier}\npolicy: standard\n\
         rollback: {{procedure: https://example.com/back}}\n\
         owners: {{primary: user:ada, backup: user:grace}}\n\
         expectations:\n  - {{name: nulls, kind: null_rate, window: 10m, above: {above}, min_samples: 1}}\n"
    )
}

fn folder(at: &Path, charter: &str) -> String {
    let folder = at.join("charters");
    std::fs::create_dir_all(&folder).expect("disk");
    std::fs::write(folder.join("people.yaml"), PEOPLE).expect("disk");
    std::fs::write(folder.join("ride.yaml"), charter).expect("disk");
    folder.to_str().expect("text").to_owned()
}

fn give(service: &Service, command: &Value) -> (u16, Value) {
    service.post("/v1/responses?wait=60s", &command.to_string())
}

fn propose(above: f64) -> Value {
    json!({
        "command": "propose", "by": "linus", "rationale": "nights are noisy",
        "change_ticket": "CHG-9", "documents": charter(1, above),
    })
}

fn approve(by: &str, proposal: &str) -> Value {
    json!({"command": "approve", "by": by, "proposal": proposal})
}

#[test]
fn a_running_service_decides_about_charters_as_the_command_line_does() {
    let mut service = Service::embedded("[charters]\nsource = \"topic\"");
    let charters = folder(service.folder(), &charter(1, 0.1));
    service.run(&["charters", "publish", "--charters", &charters, "--by", "user:ada"]);
    service.start();
    service.wait_for("readiness", |service| service.get("/ready").contains("ready"));

    let (status, proposed) = give(&service, &propose(0.3));
    assert_eq!((status, &proposed["outcome"]), (200, &json!("done")), "{proposed}");
    let id = proposed["proposal"]["proposal"].as_str().expect("an id").to_owned();
    let waits = proposed["proposal"]["waits_for"][0].as_str().expect("a gate");
    assert!(waits.contains("0 of 2 approvals"), "{waits}");

    // What cannot be meant is told with its place; what a rule forbids, with the rule.
    let (status, told) = give(&service, &json!({"command": "approve", "by": "ada"}));
    assert_eq!((status, &told["error"]["field"]), (400, &json!("proposal")), "{told}");
    let mut broken = propose(0.3);
    broken["documents"] = json!("kind: charter\nsubject: feature:x\nownres: {primary: user:ada}\n");
    let (status, told) = give(&service, &broken);
    let rule = told["rule"].as_str().unwrap_or_default();
    assert!(status == 409 && rule.contains("documents:3:1") && rule.contains("owners"), "{told}");
    let (status, told) = give(&service, &approve("linus", &id));
    let rule = told["rule"].as_str().unwrap_or_default();
    assert!(status == 409 && rule.contains("nobody approves what they propose"), "{told}");
    let remark = json!({
        "command": "comment", "by": "linus", "proposal": id[..6], "rationale": "we rely on it",
    });
    assert_eq!(give(&service, &remark).0, 200);

    // The command line asks the service that holds the log.
    let (code, text) = service.attempt(&["charters", "approve", &id[..8], "--by", "user:grace"]);
    assert!(code == 0 && text.contains("1 of 2 approvals"), "{text}");
    let (code, text) = service.attempt(&["charters", "approve", &id, "--by", "user:grace"]);
    assert!(code == 1 && text.contains("has approved it already"), "{text}");
    let (_, listed) = service.attempt(&["charters", "proposals", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed[0]["comments"][0]["text"], "we rely on it", "{listed}");
    assert_eq!(
        (&listed[0]["state"], &listed[0]["approved_by"]),
        (&json!("pending"), &json!(["user:grace"]))
    );

    // By the subject, and once, however often it is sent.
    let now = listed[0]["at"].clone();
    let by_subject =
        json!({"command": "approve", "by": "ada", "subject": "feature:ride.price", "at": now});
    for _ in 0..2 {
        let (status, told) = give(&service, &by_subject);
        assert_eq!((status, &told["proposal"]["state"]), (200, &json!("published")), "{told}");
    }

    // Two people at the same moment: the second is decided by what the first has changed.
    let (_, second) = give(&service, &propose(0.4));
    let id = second["proposal"]["proposal"].as_str().expect("an id").to_owned();
    for by in ["grace", "ada"] {
        service.post("/v1/responses?wait=0ms", &approve(by, &id).to_string());
    }
    service.wait_for("the second change", |service| {
        let listed: Value = serde_json::from_str(&service.get("/v1/proposals")).unwrap_or_default();
        listed[1]["state"] == "published"
    });
    service.stop();

    let history = service.run(&["charters", "history", "ride.price", "--format", "json"]);
    let history: Vec<Value> = serde_json::from_str(&history).expect("JSON");
    let changed: Vec<&Value> =
        history.iter().filter(|line| line["field"] == "expectations[nulls].above").collect();
    let after: Vec<&Value> = changed.iter().map(|line| &line["after"]).collect();
    assert_eq!(after, [&json!(0.3), &json!(0.4)], "{history:?}");
    for line in changed {
        assert_eq!((&line["by"], &line["change_ticket"]), (&json!("user:linus"), &json!("CHG-9")));
        assert_eq!(line["approved_by"], json!(["user:ada", "user:grace"]));
    }
    let kinds = |what: &str| history.iter().filter(|line| line["what"] == what).count();
    assert_eq!((kinds("comment"), kinds("refusal")), (1, 2), "{history:?}");
    let facts = service.export("incidents");
    let refused = facts.iter().filter(|fact| fact["fact"] == "command_rejected");
    let commands: Vec<&Value> = refused.map(|fact| &fact["data"]["command"]).collect();
    assert_eq!(commands, ["propose", "approve", "approve"]);
}

#[test]
fn where_charters_are_files_the_service_says_so() {
    let folder_of = tempfile::tempdir().expect("a folder");
    let charters = folder(folder_of.path(), &charter(1, 0.1));
    let mut service = Service::embedded(&format!("[charters]\nfolder = \"{charters}\""));
    service.start();
    service.wait_for("readiness", |service| service.get("/ready").contains("ready"));
    let (status, told) = give(&service, &propose(0.3));
    let rule = told["rule"].as_str().unwrap_or_default();
    assert!(status == 409 && rule.contains("charters come from a folder here"), "{told}");
    service.stop();
}

/// Ten events a minute for two hours, a fifth of them null.
fn telemetry() -> String {
    (0..1200).fold(String::new(), |mut text, number| {
        let (minute, second) = (number / 10, number % 10 * 6);
        let value = if number % 5 == 0 { "null" } else { "1.5" };
        let at = format!("2026-01-05T{:02}:{:02}:{second:02}Z", 8 + minute / 60, minute % 60);
        let _ = writeln!(text, r#"{{"feature":"ride.price","event_time":"{at}","value":{value}}}"#);
        text
    })
}

#[test]
fn a_replay_judges_by_what_its_responses_have_approved() {
    let folder_of = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder_of.path().join(name);
    let charters = folder(folder_of.path(), &charter(2, 0.5));
    std::fs::write(at("in.ndjson"), telemetry()).expect("disk");
    let mut proposed = propose(0.1);
    (proposed["documents"], proposed["at"]) =
        (charter(2, 0.1).into(), "2026-01-05T08:30:00Z".into());
    let subject = "feature:ride.price";
    let answer =
        |by: &str, at: &str| json!({"at": at, "by": by, "command": "approve", "subject": subject});
    let responses = [
        proposed,
        answer("user:linus", "2026-01-05T08:40:00Z"),
        answer("user:grace", "2026-01-05T09:05:00Z"),
    ];
    let lines = responses.iter().fold(String::new(), |lines, one| format!("{lines}{one}\n"));
    std::fs::write(at("responses.ndjson"), lines).expect("disk");
    let path = |name: &str| at(name).to_str().expect("text").to_owned();
    let (input, responses, out) = (path("in.ndjson"), path("responses.ndjson"), path("out"));
    binary::replay(&input, &charters, &responses, &out);
    let windows = binary::lines(&at("out/windows.ndjson"));
    let verdict = |end: &str| {
        let window = windows.iter().find(|w| w["window_end"].as_str().unwrap().starts_with(end));
        window.expect(end)["judged"][0]["verdict"].clone()
    };
    assert_eq!(
        ["2026-01-05T08:50", "2026-01-05T09:00", "2026-01-05T09:10"].map(verdict),
        ["good", "good", "bad"],
        "the revision in force at a window's end judges it"
    );
    let facts = binary::lines(&at("out/incidents.ndjson"));
    let refused: Vec<&Value> = facts.iter().filter(|f| f["fact"] == "command_rejected").collect();
    assert_eq!(refused.len(), 1, "{facts:?}");
    assert_eq!(refused[0]["data"]["addressed"], subject);
    let rule = refused[0]["data"]["rule"].as_str().unwrap_or_default();
    assert!(rule.contains("nobody approves what they propose"), "{rule}");
}
