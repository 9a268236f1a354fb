//! People's commands at the command line, over HTTP and on the topic, each
//! with what comes of it: on the embedded log, which its service holds, and on
//! real Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use watchkeep_log_kafka::admin::KafkaAdmin;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::time::Timestamp;
use watchkeep_tests::chaos::faults::now_us;
use watchkeep_tests::kafka;
use watchkeep_tests::service::Service;

const CHARTERS: &str = r#"
kind: charter
subject: feature:shop.price
description: what a customer pays
owners: {primary: user:ada, backup: user:grace, data_steward: user:edgar, architect: user:barbara}
domain: shop
policy: shop
expectations: [{name: missing, kind: null_rate, window: 1m, above: 0.2}]
---
kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}
  grace: {name: Grace, contacts: [{tool: email, to: grace@example.com}]}
  edgar: {name: Edgar, contacts: [{tool: email, to: edgar@example.com}]}
  barbara: {name: Barbara, contacts: [{tool: email, to: barbara@example.com}]}
domains: {shop: {owner: "user:grace"}}
governance: user:grace
---
kind: policy
name: shop
version: 1
grouping: {group_wait: 0s}
steps:
  - {name: owner, notify: [{role: primary}], acknowledge_within: 1h, escalate_if: [not_acknowledged, requested]}
  - {name: architect, decisions: [retire], notify: [{role: architect}], decide_within: 1d, escalate_if: [not_decided]}
review: {severities: [error], due_within: 5d}
"#;

/// A service with one open incident, of `shop.price`.
fn with_an_incident(mut service: Service) -> Service {
    std::fs::create_dir(service.folder().join("charters")).expect("disk");
    std::fs::write(service.folder().join("charters/shop.yaml"), CHARTERS).expect("disk");
    produce(&service, "null", 0);
    service.start();
    service.wait_for("incident", |service| service.metric("watchkeep_incidents_open") > 0.0);
    service
}

/// A charter whose review is long overdue.
const OVERDUE: &str = "kind: charter
subject: feature:shop.old
owners: {primary: user:ada, reviewer: user:grace}
review_every: 90d
reviewed_at: 2020-01-01
";

const CHARTERS_FOLDER: &str = "[charters]\nfolder = \"charters\"\n";

/// Runs `incidents COMMAND --subject shop.price --by USER` and expects how it
/// ends and what it says.
fn incidents(service: &Service, command: &str, by: &str, more: &[&str], (code, says): (i32, &str)) {
    let mut all = vec!["incidents", command, "--subject", "shop.price", "--by", by];
    all.extend(["--wait", "60s"]);
    all.extend(more);
    let (got, text) = service.attempt(&all);
    assert_eq!(got, code, "{command}: {text}\n{}", service.log());
    assert!(text.contains(says), "{command}: {text}");
}

fn names(facts: &[Value]) -> Vec<&str> {
    facts.iter().filter_map(|fact| fact["fact"].as_str()).collect()
}

#[test]
fn an_embedded_service_takes_commands_and_tells_what_came_of_them() {
    let mut service = with_an_incident(Service::embedded(CHARTERS_FOLDER));
    incidents(&service, "ack", "nobody", &[], (1, "refused: `user:nobody` is not a user"));
    incidents(&service, "ack", "ada", &[], (0, "acknowledged"));
    incidents(&service, "remediate", "ada", &[], (2, "rationale: a remediation needs a rationale"));
    let why = ["--rationale", "as agreed"];
    incidents(
        &service,
        "remediate",
        "ada",
        &[&["--action", "accept"], &why[..]].concat(),
        (0, "remediated"),
    );
    incidents(&service, "resolve", "ada", &why, (0, "resolved"));
    incidents(&service, "ack", "ada", &[], (1, "refused: no open incident has this root"));

    // Over HTTP, with the field that is wrong, the rule that forbids it, and
    // one effect of what is sent twice.
    let (status, body) = service.post("/v1/responses", r#"{"by":"user:ada","command":"ack"}"#);
    assert_eq!((status, &body["error"]["field"]), (400, &"command".into()), "{body}");
    let early = r#"{"by":"user:ada","command":"close","subject":"shop.price"}"#;
    let (status, body) = service.post("/v1/responses?wait=60s", early);
    assert_eq!(
        (status, &body["rule"]),
        (409, &"the incident is not reviewed yet".into()),
        "{body}"
    );
    let id = body["facts"][0]["incident_id"].as_str().expect("an id").to_owned();
    let at = body["facts"][0]["recorded_at"].as_str().expect("an instant");
    let short = &id[..8];
    let worth = format!(
        r#"{{"at":"{at}","by":"user:ada","command":"feedback","feedback":"useful","incident":"{short}"}}"#
    );
    let (status, first) = service.post("/v1/responses?wait=60s", &worth);
    assert_eq!((status, &first["outcome"]), (200, &"done".into()), "{first}");
    let (_, second) = service.post("/v1/responses?wait=60s", &worth);
    assert_eq!(first["facts"], second["facts"]);

    let learned = ["--root-cause", "an empty file", "--action", "check it;user:edgar;2030-01-01"];
    incidents(&service, "review", "edgar", &learned, (0, "reviewed"));
    // An exercise that nobody answers, held while the service runs.
    let exercise = service.folder().join("exercise.yaml");
    std::fs::write(&exercise, EXERCISE).expect("disk");
    let exercise = exercise.to_str().expect("a path as text");
    let held = ["drill", "run", exercise, "--by", "ada", "--wait", "60s", "--send"];
    let (code, text) = service.attempt(&held);
    assert!(code == 1 && text.contains("missed_acknowledgement"), "{text}");
    // The service holds the log, and reads it out for whoever wants it proved.
    let (code, text) = service.attempt(&["audit", "verify"]);
    assert!(code == 0 && text.contains("whole: every fact is as it was written"), "{text}");
    service.stop();
    // Nobody decides while the service is stopped; what is written then is
    // decided when it runs again.
    incidents(&service, "comment", "grace", &why, (0, "written as"));
    // A review that was to be done meanwhile is told as well.
    std::fs::write(service.folder().join("charters/old.yaml"), OVERDUE).expect("disk");
    service.start();
    service.wait_for("comment", |service| service.metric("watchkeep_incident_facts_total") > 1.0);
    let overdue = "watchkeep_upkeep_overdue{what=\"review\"}";
    service.wait_for("metric", |service| service.metric(overdue) > 0.0);
    service.stop();
    looked_at(&service, &id, "feature.telemetry", &[]);
    let facts = service.export("watchkeep.incidents");
    let of = |action: &str| facts.iter().filter(|fact| fact["data"]["action"] == action).count();
    assert_eq!(of("upkeep_overdue"), 1);
    let mut told = service.export("watchkeep.escalations").into_iter();
    let told = told.find(|message| message["reason"] == "upkeep_overdue").expect("told");
    assert_eq!(
        (&told["audience"], &told["target"], &told["channel"]),
        (&"inform".into(), &"user:grace".into(), &"email:grace@example.com".into())
    );
    let exercise = facts.iter().find(|fact| fact["data"]["action"] == "drill_held");
    let exercise = exercise.expect("it is on record");
    assert_eq!(
        (&exercise["actor"], &exercise["data"]["drill"]["policies"][0]),
        (&"user:ada".into(), &"shop".into())
    );
    // The policy is kept as the incident opened under it: a folder may change.
    let kept = service.export("watchkeep.policies");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["publication"], &kept[0]["content"]["version"]),
        (&"pinned".into(), &1.into())
    );
    let own: Vec<Value> = facts.into_iter().filter(|fact| fact["incident_id"] == *id).collect();
    assert_eq!(
        names(&own),
        [
            "opened",
            "breach_attached",
            "notified",
            "command_rejected",
            "acknowledged",
            "remediated",
            "resolved",
            "command_rejected",
            "action_recorded",
            "reviewed",
            "action_recorded"
        ]
    );
    assert_eq!(own[8]["data"]["feedback"], "useful");
    assert_eq!(own[9]["data"]["actions"][0]["by"], "user:edgar");
    let messages = service.export("watchkeep.escalations");
    let (drills, real): (Vec<_>, Vec<_>) = messages.iter().partition(|one| one["drill"] == true);
    // One page by the owner's mail and one by the architect's, and the end.
    assert_eq!(drills.iter().filter(|one| one["audience"] == "page").count(), 2, "{drills:?}");
    assert!(drills.iter().all(|one| one["incident_id"] != *id && one["reason"] == "drill"));
    let statuses = real.iter().filter(|one| one["audience"] == "status");
    let statuses: Vec<&str> = statuses.filter_map(|one| one["reason"].as_str()).collect();
    assert_eq!(statuses, ["opened", "acknowledged", "remediated", "resolved", "reviewed"]);
}

const EXERCISE: &str = "kind: drill
name: nulls
events: [{after: 0s, opened: shop.price/missing}]
for: 1d
";

#[test]
fn commands_go_through_real_kafka_and_twice_is_once() {
    let cluster = kafka::Cluster::shared();
    let service = Service::kafka(cluster, "commands", 1, "avro", CHARTERS_FOLDER);
    let mut service = with_an_incident(service);
    incidents(&service, "reassign", "ada", &["--to", "user:grace"], (0, "user:grace as primary"));
    let retire = ["--decision", "retire"];
    incidents(&service, "escalate", "grace", &retire, (0, "user:barbara as architect"));
    let gate = ["--gate", "retire"];
    incidents(&service, "sign-off", "edgar", &gate, (1, "refused: only architect may decide"));
    incidents(&service, "sign-off", "barbara", &gate, (0, "signed_off"));

    let twice = service.folder().join("twice.ndjson");
    // The same instant twice is the same command; one of long ago would be refused.
    let at = Timestamp::from_micros(now_us());
    let line = format!(
        r#"{{"at":"{at}","by":"user:grace","command":"acknowledge","subject":"shop.price"}}"#
    );
    std::fs::write(&twice, format!("{line}\n{line}\n")).expect("disk");
    let path = twice.to_str().expect("text");
    service.run(&["produce", "--input", path, "--topic", "responses"]);
    std::fs::write(&twice, "{\"by\":\"user:grace\"}\n").expect("disk");
    service.run(&["produce", "--input", path, "--topic", "responses"]);
    incidents(&service, "comment", "grace", &["--rationale", "seen"], (0, "seen"));
    silenced(&service);

    let listed = service.run(&["incidents", "list", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    looked_at(
        &service,
        listed[0]["incident_id"].as_str().expect("an id"),
        "commands.telemetry",
        &["reassigned"],
    );
    service.stop();
    let facts = service.export("commands.incidents");
    let count = |name: &str| names(&facts).iter().filter(|fact| **fact == name).count();
    // Edgar's signature, a silence by a label that is none, and the end of one that had ended.
    assert_eq!((count("acknowledged"), count("signed_off"), count("command_rejected")), (1, 1, 3));
    // What is no command is kept with its origin and the reason.
    let rejects = service.export("commands.rejects");
    let [reject] = &rejects[..] else { panic!("{rejects:?}") };
    assert_eq!(
        (&reject["topic"], &reject["reason"]),
        (&"commands.responses".into(), &"invalid".into())
    );
    assert!(reject["detail"].as_str().is_some_and(|why| why.contains("`command`")), "{reject}");
    let handed: Vec<&Value> =
        facts.iter().filter(|fact| fact["data"]["method"] == "reassigned").collect();
    assert_eq!(handed.len(), 1);
}

/// Sends a minute of events, half of them null, and one that closes its window.
fn send_minute(service: &Service, minute: u32) {
    let mut lines = String::new();
    for second in 0..50 {
        let value = if second % 2 == 0 { "null" } else { "1.5" };
        let at = format!("2013-05-08T{:02}:{:02}:{second:02}Z", minute / 60, minute % 60);
        let _ =
            writeln!(lines, r#"{{"feature":"shop.price","event_time":"{at}","value":{value}}}"#);
    }
    let file = service.folder().join("minute.ndjson");
    std::fs::write(&file, lines).expect("disk");
    service.run(&["produce", "--input", file.to_str().expect("text")]);
}

/// Ends of the windows that were judged and what was said, in order.
fn verdicts(service: &Service) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let windows = service.export("revisions.windows");
    let judged = windows.iter().filter(|window| window["revision"] == 0 && window["count"] != 0);
    judged.map(|w| (text(&w["window_end"]), text(&w["judged"][0]["verdict"]))).collect()
}

/// How long Kafka keeps windows, in milliseconds.
fn retention(cluster: &kafka::Cluster) -> String {
    let admin = KafkaAdmin::open(&KafkaSettings::new(cluster.bootstrap())).expect("an admin");
    let topic = admin.describe("revisions.windows").expect("Kafka").expect("the topic");
    topic.config["retention.ms"].clone()
}

#[test]
fn an_approved_charter_judges_and_is_kept_for_on_real_kafka() {
    let cluster = kafka::Cluster::shared();
    let settings = "retention = \"7d\"\n[charters]\nsource = \"topic\"\n";
    let mut service = Service::kafka(cluster, "revisions", 1, "avro", settings);
    assert_eq!(retention(cluster), "604800000");
    let folder = service.folder().join("published");
    std::fs::create_dir(&folder).expect("disk");
    let loose = CHARTERS.replace("above: 0.2", "above: 0.9");
    std::fs::write(folder.join("shop.yaml"), &loose).expect("disk");
    let path = folder.to_str().expect("text");
    service.run(&["charters", "publish", "--charters", path, "--by", "user:ada"]);
    service.start();
    (0..3).for_each(|minute| send_minute(&service, minute));
    service.wait_for("windows", |service| verdicts(service).len() >= 2);

    // Somebody else's proposal, with a regulator in mind, while the service runs.
    let charter = CHARTERS.split("---").next().expect("the charter");
    let give = |command: &Value| service.post("/v1/responses?wait=60s", &command.to_string());
    let (status, proposed) = give(&serde_json::json!({
        "command": "propose", "by": "user:barbara", "rationale": "tighter", "change_ticket": "CHG-7",
        "documents": format!("{charter}driver: regulatory\n"),
        "effective_from": "2013-05-08T00:03:00Z",
    }));
    assert_eq!(status, 200, "{proposed}");
    let id = proposed["proposal"]["proposal"].as_str().expect("an identifier");
    let answer = |command: &str, by: &str, why: &str| {
        service.attempt(&["charters", command, id, "--by", by, "--rationale", why])
    };
    assert_eq!(answer("comment", "user:edgar", "we rely on the old bound").0, 0);
    let (code, text) = answer("approve", "user:barbara", "mine");
    assert_eq!(code, 1, "nobody approves what they propose: {text}");
    assert_eq!(retention(cluster), "604800000", "a proposal changes nothing");
    let approval = serde_json::json!({"command": "approve", "by": "user:grace", "proposal": id});
    let (status, approved) = give(&approval);
    assert_eq!((status, &approved["proposal"]["state"]), (200, &"published".into()), "{approved}");
    service.wait_for("what a regulator may ask for is kept", |_| retention(cluster) == "-1");
    let (code, text) = service.attempt(&["topics", "check"]);
    assert_eq!(code, 0, "{text}");

    let mut minute = 3;
    service.wait_for("a window that the new revision judges", |service| {
        send_minute(service, minute);
        minute += 1;
        verdicts(service).iter().any(|(_, verdict)| verdict == "bad")
    });
    service.stop();
    let judged = verdicts(&service);
    let tightened = judged.iter().position(|(_, verdict)| verdict == "bad").expect("one");
    assert!(judged[tightened].0.as_str() > "2013-05-08T00:03:00", "{judged:?}");
    assert!(judged[..tightened].iter().all(|(_, verdict)| verdict == "good"), "{judged:?}");
    assert!(judged[tightened..].iter().all(|(_, verdict)| verdict == "bad"), "{judged:?}");
    let above = |at: &str| {
        let shown =
            service.run(&["charters", "show", "shop.price", "--at", at, "--format", "json"]);
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        shown["expectations"][0]["above"].clone()
    };
    assert_eq!([above("2013-05-08T00:02:00Z"), above("2013-05-08T00:03:00Z")], [0.9, 0.2]);
    let history = service.run(&["charters", "history", "shop.price", "--format", "json"]);
    let history: Vec<Value> = serde_json::from_str(&history).expect("JSON");
    let changed = history.iter().find(|line| line["field"] == "driver").expect("the change");
    assert_eq!(
        (&changed["by"], &changed["approved_by"], &changed["change_ticket"]),
        (&"user:barbara".into(), &serde_json::json!(["user:grace"]), &"CHG-7".into())
    );
    assert!(history.iter().any(|line| line["what"] == "comment"), "{history:?}");
}

/// The whole life of a silence at the command line.
fn silenced(service: &Service) {
    let give = |command: &str, more: &[&str]| {
        let all = [&["silences", command], more, &["--by", "user:ada", "--wait", "60s"]].concat();
        service.attempt(&all)
    };
    let matcher = ["--match", "root=feature:other"];
    let (code, text) = give("add", &[&matcher[..], &["--for", "2h"]].concat());
    assert!(code == 2 && text.contains("a silence needs a rationale"), "{text}");
    let why = ["--for", "2h", "--rationale", "a migration"];
    let (code, text) = give("add", &[&["--match", "colour=red"], &why[..]].concat());
    assert!(code == 1 && text.contains("`colour` is no label of incidents"), "{text}");
    let (code, text) = give("add", &[&matcher[..], &why].concat());
    assert!(code == 0 && text.contains("silenced"), "{text}");
    let listed = || -> Value {
        let text = service.run(&["silences", "list", "--format", "json"]);
        serde_json::from_str(&text).expect("JSON")
    };
    let silence = &listed()[0];
    assert_eq!(
        (&silence["state"], &silence["rationale"]),
        (&"active".into(), &"a migration".into())
    );
    let id = silence["silence"].as_str().expect("an id");
    // By the beginning of its identifier, once.
    let (code, text) = give("expire", &[&id[..8]]);
    assert!(code == 0 && text.contains("unsilenced"), "{text}");
    assert_eq!(listed()[0]["state"], "ended");
    let (code, text) = give("expire", &[&id[..8]]);
    assert!(code == 1 && text.contains("there is no such silence"), "{text}");
}

/// What the faces tell of an incident from the log itself.
/// `departures` are those of the policy that are to be told.
fn looked_at(service: &Service, id: &str, telemetry: &str, departures: &[&str]) {
    let (code, text) = service.attempt(&["incidents", "explain", &id[..8]]);
    assert_eq!(code, 0, "{text}");
    let raw = format!("record {telemetry} partition 0 offset ");
    for says in ["What is waited for now", "shop.price/missing (null_rate, error)", raw.as_str()] {
        assert!(text.contains(says), "no `{says}` in {text}");
    }
    let (code, text) = service.attempt(&["audit", "verify", "kafka"]);
    assert!(code == 0 && text.contains("anchored: none is missing at the end"), "{text}");
    let span = ["--from", "2013-05-08", "--format", "json"];
    let (code, text) = service.attempt(&[&["policy", "conformance"], &span[..]].concat());
    let held: Value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
    let told = held[0]["deviations"].as_array().expect("a list");
    let told: Vec<&str> = told.iter().filter_map(|one| one["departure"].as_str()).collect();
    let expected = i32::from(!departures.is_empty());
    assert_eq!((code, &held[0]["incident"]), (expected, &id.into()), "{text}");
    assert_eq!(told, departures);
    let (code, text) = service.attempt(&[&["report", "health"], &span[..]].concat());
    let health: Value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
    assert!(code <= 1, "{text}");
    assert_eq!((&health["total"]["opened"], &health["total"]["features"]), (&1.into(), &1.into()));
}

/// A webhook that takes nothing until it is let, and keeps what it takes.
#[derive(Clone)]
struct Hook {
    port: u16,
    takes: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let hook =
            Self { port, takes: Arc::default(), asked: Arc::default(), taken: Arc::default() };
        let own = hook.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or_default() <= 2 {
                        break;
                    }
                    let lower = line.to_ascii_lowercase();
                    if let Some(number) = lower.strip_prefix("content-length:") {
                        length = number.trim().parse().unwrap_or_default();
                    }
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                own.asked.store(true, Ordering::Relaxed);
                let takes = own.takes.load(Ordering::Relaxed);
                if let (true, Ok(event)) = (takes, serde_json::from_slice(&body)) {
                    own.taken.lock().expect("whole").push(event);
                }
                let status = if takes { "202 Accepted" } else { "503 Not now" };
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = reader.into_inner().write_all(answer.as_bytes());
            }
        });
        hook
    }

    fn taken(&self) -> Vec<Value> {
        self.taken.lock().expect("whole").clone()
    }
}

#[test]
fn a_webhook_gets_every_page_and_its_end_from_real_kafka_through_kills() {
    let hook = Hook::start();
    let more = format!(
        "{CHARTERS_FOLDER}[sinks.hook]\ntool = \"webhook\"\nurl = \"http://127.0.0.1:{}/hook\"\n\
         to = [\"ada@example.com\"]\n",
        hook.port
    );
    let mut service = Service::kafka(kafka::Cluster::shared(), "hooked", 1, "avro", &more);
    let charters = CHARTERS.replace("tool: email", "tool: webhook");
    std::fs::create_dir(service.folder().join("charters")).expect("disk");
    std::fs::write(service.folder().join("charters/shop.yaml"), charters).expect("disk");
    produce(&service, "null", 0);
    service.start();
    service.wait_for("a first attempt", |_| hook.asked.load(Ordering::Relaxed));
    service.kill();
    hook.takes.store(true, Ordering::Relaxed);
    service.start();
    service.wait_for("the page", |_| !hook.taken().is_empty());
    produce(&service, "1", 2);
    let ends = |event: &Value| event["data"]["event_action"] == "resolve";
    service.wait_for("the end", |_| hook.taken().iter().any(ends));
    // What is on its way when the process dies comes again, with the same identifier.
    service.kill();
    service.start();
    let reports = |service: &Service| {
        let facts = service.export("hooked.incidents");
        names(&facts).iter().filter(|fact| **fact == "delivery_reported").count()
    };
    service.wait_for("the reports", |service| reports(service) >= 2);
    service.stop();
    let mut expected: BTreeMap<String, String> = BTreeMap::new();
    for message in service.export("hooked.escalations") {
        let [id, action] =
            ["id", "event_action"].map(|name| message[name].as_str().expect("a text").to_owned());
        // Whoever was paged is told how it goes on.
        if message["target"] == "user:ada" || message["audience"] == "status" && action == "resolve"
        {
            expected.insert(id, action);
        }
    }
    let taken = hook.taken();
    let ids: BTreeSet<&str> = taken.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids, expected.keys().map(String::as_str).collect(), "{taken:?}");
    let actions: BTreeSet<&str> = expected.values().map(String::as_str).collect();
    assert_eq!(actions, BTreeSet::from(["resolve", "trigger"]));
    // At most one repetition for each kill.
    assert!(taken.len() <= expected.len() + 2, "{taken:?}");
    // Each outcome is on record once.
    let facts = service.export("hooked.incidents");
    let delivered = facts.iter().filter(|fact| fact["fact"] == "delivery_reported");
    let outcomes: Vec<&Value> = delivered.map(|fact| &fact["data"]["outcome"]).collect();
    assert_eq!(outcomes, vec![&Value::from("delivered"); expected.len()]);
}

/// 50 values of a minute of 2013-05-08, and what closes it.
fn produce(service: &Service, value: &str, minute: u32) {
    let mut lines = String::new();
    for second in 0..50 {
        let at = format!("2013-05-08T00:{minute:02}:{second:02}Z");
        let _ =
            writeln!(lines, r#"{{"feature":"shop.price","event_time":"{at}","value":{value}}}"#);
    }
    let at = format!("2013-05-08T00:{:02}:00Z", minute + 2);
    let _ = writeln!(lines, r#"{{"feature":"shop.price","event_time":"{at}","value":1}}"#);
    let events = service.folder().join("events.ndjson");
    std::fs::write(&events, lines).expect("disk");
    service.run(&["produce", "--input", events.to_str().expect("text")]);
}
