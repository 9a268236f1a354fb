//! The service against real logs: the flights through real Kafka and through
//! the embedded log give what a replay of the file gives, with a kill -9 in
//! the middle.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use watchkeep_tests::service::Service;
use watchkeep_tests::{binary, kafka, runs};

const FLIGHTS: &str = "data/flights/flights-2013q2.ndjson.gz";
/// An event days after the last flight moves the watermark past the end of
/// every lateness, so that a service that never ends has decided as much as a
/// replay that does.
const SENTINEL: &str = r#"{"feature":"sentinel","event_time":"2013-07-04T12:00:00Z","value":1}"#;
/// Windows that end later are still open in a service; the replay breaks them off.
const SETTLED: &str = "2013-07-02T12:00:00Z";

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

/// The example charters, for the configuration of a service.
fn charters() -> String {
    format!("[charters]\nfolder = \"{}\"\n", binary::shared("examples/charters").display())
}

fn on_kafka(name: &str, partitions: u32) -> Service {
    Service::kafka(kafka::Cluster::shared(), name, partitions, "json", &charters())
}

fn settled(mut lines: Vec<Value>) -> Vec<Value> {
    lines.retain(|line| {
        line["window_end"].as_str().is_some_and(|end| end <= SETTLED)
            && line["feature"] != "sentinel"
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

/// The watermark in seconds since 1970; 0 while it is not told.
fn watermark(service: &Service) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    match service.metric("watchkeep_watermark_lag_seconds") {
        0.0 => 0.0,
        lag => now - lag,
    }
}

fn produce(service: &Service, events: &Path) {
    service.run(&["produce", "--input", events.to_str().expect("text")]);
}

#[test]
fn one_partition_of_kafka_gives_what_the_replay_gives_with_a_kill_in_the_middle() {
    let fixture = Fixture::get();
    let mut service = on_kafka("one", 1);
    produce(&service, &fixture.events());
    service.start();
    service.wait_for("windows", |service| service.export("one.windows").len() > 500);
    service.kill();
    service.start();
    service.wait_for("last window", |service| decided(service, "one."));
    service.stop();
    assert_same(
        &settled(service.export("one.windows")),
        &fixture.settled("windows.ndjson"),
        "windows",
    );
    assert_same(
        &settled(service.export("one.breaches")),
        &fixture.settled("breaches.ndjson"),
        "breaches",
    );
    assert!(service.export("one.rejects").is_empty());
    assert!(service.export("one.escalations").iter().any(|e| e["event_action"] == "trigger"));
}

#[test]
fn four_partitions_of_kafka_give_the_same_last_revisions() {
    let fixture = Fixture::get();
    let mut service = on_kafka("four", 4);
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
    let mut service = Service::embedded(&charters());
    produce(&service, &fixture.events());
    service.start();
    service.wait_for("windows", |service| service.metric("watchkeep_windows_total") > 500.0);
    service.kill();
    service.start();
    service.wait_for("the end", |service| watermark(service) > 1_372_890_000.0);
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

#[test]
fn a_failed_load_on_the_lineage_topic_is_blamed_on_kafka() {
    let topic = "[charters]\nsource = \"topic\"\n";
    let mut service = Service::kafka(kafka::Cluster::shared(), "runs", 2, "avro", topic);
    runs::play(&mut service);
}
