//! The service against real logs: the flights through real Kafka and through
//! the embedded log give what a replay of the file gives, with a kill -9 in
//! the middle.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchkeep_tests::{binary, kafka};

const FLIGHTS: &str = "data/flights/flights-2013q2.ndjson.gz";
/// An event days after the last flight moves the watermark past the end of
/// every lateness, so that a service that never ends has decided as much as a
/// replay that does.
const SENTINEL: &str = r#"{"feature":"sentinel","event_time":"2013-07-04T12:00:00Z","value":1}"#;
/// Windows that end later are still open in a service; the replay breaks them off.
const SETTLED: &str = "2013-07-02T12:00:00Z";
/// Long enough for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The flights and the sentinel in one file, with the replay of it.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn get() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let flights = std::fs::File::open(binary::shared(FLIGHTS)).expect("the flights");
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(flights).read_to_end(&mut text).expect("gzip");
            text.extend_from_slice(SENTINEL.as_bytes());
            text.push(b'\n');
            std::fs::write(folder.path().join("flights.ndjson"), text).expect("disk");
            let fixture = Self { folder };
            binary::run([
                "replay".as_ref(),
                "--input".as_ref(),
                fixture.events().as_os_str(),
                "--charters".as_ref(),
                binary::shared("examples/charters").as_os_str(),
                "-c".as_ref(),
                binary::shared("examples/watchkeep.toml").as_os_str(),
                "--out".as_ref(),
                fixture.folder.path().join("replay").as_os_str(),
            ]);
            fixture
        })
    }

    fn events(&self) -> PathBuf {
        self.folder.path().join("flights.ndjson")
    }

    fn settled(&self, name: &str) -> Vec<Value> {
        settled(binary::lines(&self.folder.path().join("replay").join(name)))
    }
}

/// A service on a log of its own.
struct Service {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Service {
    fn new(log: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let charters = binary::shared("examples/charters");
        let settings = format!(
            r#"
{log}
[time]
pane = "60s"
out_of_orderness = "30s"
allowed_lateness = "1d"
revise_every = "1h"
idle_after = "2s"
[summarise]
commit_interval = "200ms"
[charters]
folder = "{}"
[http]
listen = "127.0.0.1:{port}"
"#,
            charters.display()
        );
        std::fs::write(folder.path().join("watchkeep.toml"), settings).expect("disk");
        Self { folder, port, child: None }
    }

    fn kafka(cluster: &kafka::Cluster, name: &str, partitions: u32) -> Self {
        let service = Self::new(&format!(
            r#"
[log]
kind = "kafka"
bootstrap = "{}"
[log.kafka]
"group.id" = "{name}"
[topics]
telemetry = ["{name}.telemetry"]
prefix = "{name}."
encoding = "json"
"#,
            cluster.bootstrap()
        ));
        service.run(&["topics", "create", "--telemetry-partitions", &partitions.to_string()]);
        service
    }

    fn embedded() -> Self {
        Self::new(
            r#"
[log]
kind = "embedded"
folder = "log"
[topics]
telemetry = ["feature.telemetry"]
encoding = "json"
"#,
        )
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("watchkeep.toml")
    }

    /// Runs a command of the binary with this service's settings.
    fn run(&self, arguments: &[&str]) -> String {
        let config = self.config();
        let all = arguments.iter().map(AsRef::as_ref).chain(["-c".as_ref(), config.as_os_str()]);
        String::from_utf8(binary::run(all).stdout).expect("text")
    }

    fn start(&mut self) {
        let config = self.config();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("run.log"))
            .expect("disk");
        let child = binary::command(["run".as_ref(), "-c".as_ref(), config.as_os_str()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary can be run");
        self.child = Some(child);
    }

    /// Ends the process as a power cut would, without a word.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process is ours");
            child.wait().expect("it ends");
        }
    }

    /// Asks the process to end and waits for it.
    fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let ended = std::process::Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .expect("kill can be run");
        assert!(ended.success());
        let begun = Instant::now();
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{status}\n{}", self.log());
        assert!(begun.elapsed() < Duration::from_secs(10), "draining took {:?}", begun.elapsed());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("run.log")).unwrap_or_default()
    }

    fn export(&self, topic: &str) -> Vec<Value> {
        self.run(&["export", "--topic", topic, "--format", "ndjson"])
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }

    /// A figure of `/metrics`, summed over its labels; 0 while it is not told.
    fn metric(&self, name: &str) -> f64 {
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else {
            return 0.0;
        };
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        BufReader::new(stream)
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    fn wait_for(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            let status = self.child.as_mut().and_then(|child| child.try_wait().expect("ours"));
            assert!(status.is_none(), "the service ended with {status:?}\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "no {what} after {PATIENCE:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(300));
        }
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

fn settled(mut lines: Vec<Value>) -> Vec<Value> {
    lines.retain(|line| {
        line["window_end"].as_str().is_some_and(|end| end <= SETTLED) && line["feature"] != "sentinel"
    });
    for line in &mut lines {
        // Where a record lies is the log's business; which record it is, the offset says.
        if let Some(exemplars) = line.get_mut("exemplars").and_then(Value::as_array_mut) {
            for exemplar in exemplars {
                exemplar["topic"] = Value::Null;
            }
        }
    }
    lines.sort_by_cached_key(Value::to_string);
    lines
}

fn assert_same(got: &[Value], wanted: &[Value], what: &str) {
    for (got, wanted) in got.iter().zip(wanted) {
        assert_eq!(got, wanted, "{what}");
    }
    assert_eq!(got.len(), wanted.len(), "{what}");
}

/// The last revision of every window, without what depends on how late events came.
fn last_revisions(lines: Vec<Value>) -> BTreeMap<String, Value> {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for line in lines {
        let key = format!("{} {} {}", line["feature"], line["window"], line["window_start"]);
        let newer = |kept: &Value| line["revision"].as_u64() >= kept["revision"].as_u64();
        if last.get(&key).is_none_or(newer) {
            last.insert(key, line);
        }
    }
    for line in last.values_mut() {
        for name in ["revision", "late_count"] {
            line[name] = Value::Null;
        }
    }
    last
}

/// True when the watermark has passed the settled windows of every feature:
/// each has told a window that ends later.
fn decided(service: &Service, prefix: &str) -> bool {
    let windows = service.export(&format!("{prefix}windows"));
    ["arr_delay_min", "origin", "speed_mph", "tailnum"].iter().all(|feature| {
        let feature = format!("flight.{feature}");
        windows.iter().any(|window| {
            window["feature"] == feature
                && window["window_end"].as_str().is_some_and(|end| end >= "2013-07-04")
        })
    })
}

fn one_node() -> &'static kafka::Cluster {
    static CLUSTER: OnceLock<kafka::Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| kafka::Cluster::start(1))
}

fn produce(service: &Service, events: &Path) {
    service.run(&["produce", "--input", events.to_str().expect("text")]);
}

#[test]
fn one_partition_of_kafka_gives_what_the_replay_gives_with_a_kill_in_the_middle() {
    let fixture = Fixture::get();
    let mut service = Service::kafka(one_node(), "one", 1);
    produce(&service, &fixture.events());
    service.start();
    service.wait_for("windows", |service| service.export("one.windows").len() > 500);
    service.kill();
    service.start();
    service.wait_for("last window", |service| decided(service, "one."));
    service.stop();
    assert_same(&settled(service.export("one.windows")), &fixture.settled("windows.ndjson"), "windows");
    assert_same(&settled(service.export("one.breaches")), &fixture.settled("breaches.ndjson"), "breaches");
    assert!(service.export("one.rejects").is_empty());
    assert!(service.export("one.escalations").iter().any(|e| e["event_action"] == "trigger"));
}

#[test]
fn four_partitions_of_kafka_give_the_same_last_revisions() {
    let fixture = Fixture::get();
    let mut service = Service::kafka(one_node(), "four", 4);
    produce(&service, &fixture.events());
    service.start();
    service.wait_for("windows", |service| service.export("four.windows").len() > 500);
    service.kill();
    service.start();
    service.wait_for("last window", |service| decided(service, "four."));
    service.stop();
    let got = last_revisions(settled(service.export("four.windows")));
    let wanted = last_revisions(fixture.settled("windows.ndjson"));
    for (window, wanted) in &wanted {
        assert_eq!(got.get(window), Some(wanted), "{window}");
    }
    assert_eq!(got.len(), wanted.len());
}

#[test]
fn the_embedded_log_gives_what_the_replay_gives_with_a_kill_in_the_middle() {
    let fixture = Fixture::get();
    let mut service = Service::embedded();
    produce(&service, &fixture.events());
    service.start();
    service.wait_for("windows", |service| service.metric("watchkeep_windows_total") > 500.0);
    service.kill();
    service.start();
    service.wait_for("the end", |service| {
        service.metric("watchkeep_watermark_seconds") > 1_372_890_000.0
    });
    service.stop();
    assert_same(
        &settled(service.export("watchkeep.windows")),
        &fixture.settled("windows.ndjson"),
        "windows",
    );
    assert_same(
        &settled(service.export("watchkeep.breaches")),
        &fixture.settled("breaches.ndjson"),
        "breaches",
    );
}
