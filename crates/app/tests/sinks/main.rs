//! Sinks as their owners meet them: a service on the embedded log, tools that
//! fail in every way, and ends of the process in between.

mod mail;
mod tools;

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use watchkeep_interop::sink::webhook;

use mail::{Authority, PASSWORD, SafeMailServer, USER};
use tools::{Alertmanager, Behaviour, MailServer, Server, free_port, request};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// As long as PagerDuty's.
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A service whose owner is paged by these channels at once.
struct Service {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
    minute: u32,
}

impl Service {
    fn new(channels: &str, contacts: &str, sinks: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let settings = format!(
            "[topics]\nencoding = \"json\"\n[charters]\nfolder = \"charters\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n{sinks}"
        );
        let charters = format!(
            "kind: charter\nsubject: feature:a\nowners: {{primary: user:ada}}\npolicy: quick\nexpectations:\n  \
             - {{name: present, kind: null_rate, window: 1m, above: 0.1, min_samples: 1}}\n---\n\
             kind: directory\nusers:\n  ada: {{name: Ada, contacts: {contacts}}}\n  root: {{name: Root}}\ngovernance: user:root\n---\n\
             kind: policy\nname: quick\nversion: 1\ngrouping: {{group_wait: 0s, repeat_interval: 1h}}\n\
             damping: {{keep_firing_for: 0s}}\nsteps:\n  - name: first\n    notify: [{{role: primary}}]\n    \
             channels: {channels}\n    acknowledge_within: 1h\nloops: 1\n"
        );
        std::fs::write(folder.path().join("watchkeep.toml"), settings).expect("disk");
        std::fs::write(folder.path().join("pager.key"), format!("{ROUTING_KEY}\n")).expect("disk");
        std::fs::create_dir(folder.path().join("charters")).expect("disk");
        std::fs::write(folder.path().join("charters/all.yaml"), charters).expect("disk");
        let mut service = Self { folder, port, child: None, minute: 0 };
        service.start();
        service
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchkeep"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("HOOK_SECRET", "hush-hush").stdin(Stdio::null());
        command
    }

    fn start(&mut self) {
        let path = self.folder.path().join("run.log");
        let log = File::options().create(true).append(true).open(path).expect("disk");
        let child = self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.expect("the binary can be run"));
        let port = self.port;
        self.wait_for("a service that is ready", || {
            request(port, "GET", "/ready", "").filter(|answer| answer.contains(" 200 "))
        });
    }

    /// Ends the process as a power cut would.
    fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("ours");
        child.wait().expect("it ends");
    }

    fn restart(&mut self) {
        self.kill();
        self.start();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("run.log")).unwrap_or_default()
    }

    fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "no {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// A minute of values, and what closes it.
    fn minute(&mut self, value: &str) {
        let mut lines = String::new();
        for second in [10, 20, 30] {
            let minute = self.minute;
            lines.push_str(&format!(
                "{{\"feature\":\"a\",\"event_time\":\"2026-01-05T10:{minute:02}:{second}Z\",\"value\":{value}}}\n"
            ));
        }
        self.minute += 1;
        let minute = self.minute;
        lines.push_str(&format!(
            "{{\"feature\":\"clock\",\"event_time\":\"2026-01-05T10:{minute:02}:31Z\",\"value\":1}}\n"
        ));
        let answer = request(self.port, "POST", "/v1/telemetry", &lines).expect("an answer");
        assert!(answer.contains(" 202 "), "{answer}");
    }

    /// Ends the service in peace and reads a topic.
    fn stopped(&mut self, topics: &[&str]) -> Vec<Vec<Value>> {
        let mut child = self.child.take().expect("it runs");
        let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(ended.expect("kill can be run").success());
        assert!(child.wait().expect("it ends").success(), "{}", self.log());
        let read = |topic: &&str| {
            let out = self.command(&["export", "--topic", topic, "--format", "ndjson"]).output();
            let text = String::from_utf8(out.expect("the binary can be run").stdout).expect("text");
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        };
        topics.iter().map(read).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Outcomes of deliveries by sink, in the order of the incident log.
fn outcomes(facts: &[Value], sink: &str) -> Vec<String> {
    let reports = facts.iter().filter(|fact| fact["fact"] == "delivery_reported");
    let own = reports.filter(|fact| fact["data"]["sink"] == sink);
    own.map(|fact| fact["data"]["outcome"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn pages_arrive_and_end_whatever_fails_and_whoever_dies() {
    use Behaviour::{Busy, Drop, Hang, Status};
    let server = Server::start();
    let mails = MailServer::start(1);
    server.will("/v2/enqueue", &[Hang, Status(500), Busy(1), Drop]);
    server.will("/hook", &[Drop, Status(503)]);
    let (http, smtp) = (server.port, mails.port);
    let sinks = format!(
        r##"
[sinks.pager]
tool = "pagerduty"
url = "http://127.0.0.1:{http}/v2/enqueue"
secret_file = "pager.key"
timeout = "500ms"
[sinks.hook]
tool = "webhook"
url = "http://127.0.0.1:{http}/hook"
secret_env = "HOOK_SECRET"
[sinks.chat]
tool = "slack"
url = "http://127.0.0.1:{http}/chat"
takes = "all"
[sinks.mail]
tool = "email"
url = "smtp://127.0.0.1:{smtp}"
from = "Watchkeep <watchkeep@example.com>"
"##
    );
    let channels = "[{tool: pagerduty}, {tool: webhook}, {tool: email, to: ada@example.com}]";
    let mut service = Service::new(channels, "[]", &sinks);
    service.minute("null");
    service.wait_for("first attempts", || (server.taken("/v2/enqueue").len() >= 2).then_some(()));
    service.restart();
    let accepted = |path: &str, count: usize| {
        let taken = server.taken(path).into_iter().filter(|one| one.accepted).count();
        (taken >= count).then_some(())
    };
    service.wait_for("a page at PagerDuty", || accepted("/v2/enqueue", 1));
    service.wait_for("a page at the webhook", || accepted("/hook", 1));
    service.wait_for("a mail", || mails.mails().first().cloned());

    server.will("/v2/enqueue", &[Status(502)]);
    service.minute("1");
    service.wait_for("the end's first attempt", || {
        server
            .taken("/v2/enqueue")
            .iter()
            .any(|one| one.json()["event_action"] == "resolve")
            .then_some(())
    });
    service.restart();
    service.wait_for("the end", || {
        let ends = |one: &&tools::Taken| one.accepted && one.json()["event_action"] == "resolve";
        server.taken("/v2/enqueue").iter().find(ends).map(|_| ())
    });
    service.wait_for("the end at the webhook", || accepted("/hook", 2));
    service.wait_for("the end by mail", || (mails.mails().len() >= 2).then_some(()));
    service.wait_for("the whole story in the chat", || accepted("/chat", 2));

    // Let the last reports through.
    std::thread::sleep(Duration::from_millis(500));
    let topics = service.stopped(&["incidents", "escalations"]);
    for sink in ["pager", "hook", "chat", "mail"] {
        let outcomes = outcomes(&topics[0], sink);
        assert!(
            outcomes.len() >= 2 && outcomes.iter().all(|one| one == "delivered"),
            "{sink}: {outcomes:?}"
        );
    }
    // In order, and of one incident.
    let events: Vec<Value> = server.taken("/v2/enqueue").iter().map(tools::Taken::json).collect();
    let first_end = events.iter().position(|event| event["event_action"] == "resolve");
    assert!(
        events[first_end.expect("an end")..].iter().all(|event| event["event_action"] == "resolve")
    );
    assert!(events.iter().all(|event| event["dedup_key"] == topics[1][0]["dedup_key"]));
    // Repetitions bear the same key, and every attempt its own signature.
    for one in server.taken("/hook") {
        let id = one.header("idempotency-key").expect("a key");
        assert_eq!(one.json()["id"], id);
        assert_eq!(one.header("webhook-id"), Some(id));
        let seconds = one.header("webhook-timestamp").expect("a time").parse().expect("seconds");
        let expected = webhook::signature(id, seconds, &one.body, "hush-hush");
        assert_eq!(one.header("webhook-signature"), Some(expected.as_str()));
    }
    let mail = &mails.mails()[0];
    assert!(
        mail.contains("RCPT TO:<ada@example.com>") && mail.contains("Subject: [PAGE]"),
        "{mail}"
    );
    let log = service.log();
    assert!(!log.contains(ROUTING_KEY) && !log.contains("hush-hush"), "{log}");
    let shown = service.command(&["config", "check"]).output().expect("the binary can be run");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("sinks.pager.secret_file") && !shown.contains(ROUTING_KEY), "{shown}");
}

#[test]
fn a_dead_sink_is_an_incident_and_people_are_reached_otherwise() {
    let mails = MailServer::start(0);
    let (dead, smtp) = (free_port(), mails.port);
    let sinks = format!(
        r#"
[sinks.pager]
tool = "pagerduty"
url = "http://127.0.0.1:{dead}/v2/enqueue"
secret_file = "pager.key"
give_up_after = "1s"
[sinks.mail]
tool = "email"
url = "smtp://127.0.0.1:{smtp}"
from = "watchkeep@example.com"
"#
    );
    let contacts = "[{tool: pagerduty, to: x}, {tool: email, to: ada@example.com}]";
    let mut service = Service::new("[{tool: pagerduty}]", contacts, &sinks);
    service.minute("null");
    let mail = service.wait_for("a mail", || mails.mails().first().cloned());
    assert!(mail.contains("RCPT TO:<ada@example.com>"), "{mail}");
    std::thread::sleep(Duration::from_millis(700));
    // Whoever is on call can look while the service runs.
    let read = |arguments: &[&str]| -> Value {
        let output = service.command(arguments).output().expect("the binary can be run");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let listed = read(&["incidents", "list", "--format", "json"]);
    let id = listed[0]["incident_id"].as_str().expect("an incident");
    let facts = read(&["incidents", "show", id, "--format", "json"]);
    assert_eq!(facts[0]["fact"], "opened");
    let explained = read(&["incidents", "explain", id, "--format", "json"]);
    assert!(explained["breaches"][0].is_object(), "{explained}");
    assert_eq!(read(&["silences", "list", "--format", "json"]), serde_json::json!([]));
    let topics = service.stopped(&["incidents", "breaches"]);
    assert_eq!(outcomes(&topics[0], "pager")[0], "failed");
    let notified: Vec<&Value> = topics[0]
        .iter()
        .filter(|fact| fact["fact"] == "notified")
        .map(|fact| &fact["data"])
        .collect();
    assert_eq!(notified[0]["channel"], "pagerduty:x");
    let otherwise =
        notified.iter().find(|data| data["reason"] == "delivery_failed").expect("another way");
    assert_eq!(otherwise["channel"], "email:ada@example.com");
    let breach =
        topics[1].iter().find(|breach| breach["expectation"] == "sink pager").expect("a breach");
    assert_eq!((&breach["kind"], &breach["transition"]), (&"platform".into(), &"opened".into()));
    assert!(!service.log().contains(ROUTING_KEY));
}

#[test]
fn a_real_alertmanager_fires_repeats_and_resolves_through_kills_of_either_side() {
    let mut alerts = Alertmanager::start();
    let port = alerts.port;
    let sinks = format!(
        "[sinks.alerts]\ntool = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\nresolve_timeout = \"4s\"\n"
    );
    let mut service = Service::new("[{tool: alertmanager}]", "[]", &sinks);
    service.wait_for("an Alertmanager", || alerts.firing());
    service.minute("null");
    let fires = |alerts: &Alertmanager| alerts.firing()?.first().cloned();
    let alert = service.wait_for("an alert", || fires(&alerts));
    assert_eq!(alert["labels"]["alertname"], "WatchkeepIncident");
    assert_eq!(alert["labels"]["component"], "feature:a");
    assert_eq!(alert["labels"]["severity"], "error");

    // Longer than it would stand without being sent again.
    let until = Instant::now() + Duration::from_secs(5);
    service.restart();
    while Instant::now() < until {
        assert!(fires(&alerts).is_some(), "{}", service.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    // One that has forgotten everything is told again.
    alerts.restart();
    let again = service.wait_for("the alert again", || fires(&alerts));
    assert_eq!(again["fingerprint"], alert["fingerprint"]);
    assert_eq!(again["startsAt"], alert["startsAt"]);

    service.kill();
    service.start();
    service.minute("1");
    service.wait_for("the alert's end", || alerts.firing().filter(Vec::is_empty));
    std::thread::sleep(Duration::from_millis(500));
    let topics = service.stopped(&["incidents"]);
    let outcomes = outcomes(&topics[0], "alerts");
    assert_eq!(outcomes, ["delivered", "delivered"]);
    assert_eq!(alerts.firing().map(|all| all.len()), Some(0));
}

#[test]
fn mail_goes_through_tls_with_a_login_or_not_at_all() {
    let authority = Authority::new("known");
    let starttls = SafeMailServer::starttls(&authority, "127.0.0.1");
    let implicit = SafeMailServer::implicit(&authority, "127.0.0.1");
    let elsewhere = SafeMailServer::starttls(&authority, "mail.example.com");
    let stranger = SafeMailServer::implicit(&Authority::new("unknown"), "127.0.0.1");
    let without = SafeMailServer::without();
    let sink = |name: &str, port: u16, tls: &str, secret: &str| {
        format!(
            "[sinks.{name}]\ntool = \"email\"\nurl = \"smtp://127.0.0.1:{port}\"\ntls = \"{tls}\"\n\
             to = [\"{name}@example.com\"]\nfrom = \"watchkeep@example.com\"\nca_file = \"ca.pem\"\n\
             username = \"{USER}\"\nsecret_file = \"{secret}\"\ngive_up_after = \"1s\"\n"
        )
    };
    let sinks = [
        sink("starttls", starttls.port, "starttls", "right.key"),
        sink("implicit", implicit.port, "tls", "right.key"),
        sink("wrong", starttls.port, "starttls", "wrong.key"),
        sink("elsewhere", elsewhere.port, "starttls", "right.key"),
        sink("stranger", stranger.port, "tls", "right.key"),
        sink("without", without.port, "starttls", "right.key"),
    ];
    let names = ["starttls", "implicit", "wrong", "elsewhere", "stranger", "without"];
    let channels: Vec<String> =
        names.iter().map(|name| format!("{{tool: email, to: {name}@example.com}}")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    authority.write(&folder.path().join("ca.pem"));
    std::fs::write(folder.path().join("right.key"), format!("{PASSWORD}\n")).expect("disk");
    std::fs::write(folder.path().join("wrong.key"), "a wrong password\n").expect("disk");
    let sinks = ["ca.pem", "right.key", "wrong.key"].iter().fold(sinks.concat(), |text, file| {
        text.replace(file, &folder.path().join(file).display().to_string())
    });
    let mut service = Service::new(&format!("[{}]", channels.join(", ")), "[]", &sinks);
    service.minute("null");
    for server in [&starttls, &implicit] {
        let mail = service.wait_for("a mail", || server.seen().mails.first().cloned());
        assert!(mail.contains("Subject: [PAGE]"), "{mail}");
    }
    let failed = || {
        let metrics = request(service.port, "GET", "/metrics", "")?;
        let own =
            metrics.lines().filter(|line| line.starts_with("watchkeep_deliveries_failed_total{"));
        let counts = own.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        (counts.filter(|count| *count > 0.0).count() == 4).then_some(())
    };
    service.wait_for("four sinks that fail", failed);
    // Let the last reports through.
    std::thread::sleep(Duration::from_millis(500));
    let topics = service.stopped(&["incidents"]);
    for name in ["starttls", "implicit"] {
        assert_eq!(outcomes(&topics[0], name)[0], "delivered");
    }
    let why = |name: &str| {
        let reports = topics[0].iter().filter(|fact| fact["fact"] == "delivery_reported");
        let own: Vec<&Value> = reports.filter(|fact| fact["data"]["sink"] == name).collect();
        assert!(own.iter().any(|fact| fact["data"]["outcome"] == "failed"), "{name}: {own:?}");
        own[0]["data"]["detail"].as_str().expect("why").to_owned()
    };
    for (name, says) in [
        ("wrong", "535"),
        ("elsewhere", "certificate"),
        ("stranger", "certificate"),
        ("without", "STARTTLS"),
    ] {
        let why = why(name);
        assert!(why.contains(says), "{name}: {why}");
    }
    // Nothing but a greeting in the clear, and no mail where the server is none of ours.
    for server in [&starttls, &elsewhere, &without] {
        let clear = server.seen().clear;
        let greets =
            |line: &String| ["EHLO", "STARTTLS", "QUIT"].iter().any(|own| line.starts_with(own));
        assert!(clear.iter().all(greets), "{clear:?}");
    }
    assert!(elsewhere.seen().connections > 0 && elsewhere.seen().mails.is_empty());
    assert!(stranger.seen().connections > 0 && stranger.seen().mails.is_empty());
    // A server that repeats a password, as it is or in base64, does not give it away.
    let told = format!("{}{}", service.log(), serde_json::to_string(&topics[0]).expect("JSON"));
    for secret in [PASSWORD, "a wrong password", "AHdhdGNoa2VlcABhIHdyb25nIHBhc3N3b3Jk"] {
        assert!(!told.contains(secret), "{told}");
    }
}
