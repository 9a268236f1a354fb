//! Instances of the service on real Kafka that join and leave, and a topic
//! that grows under them: every event is counted once.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use watchkeep_log_kafka::admin::KafkaAdmin;
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_runtime::log::Outgoing;
use watchkeep_tests::binary;
use watchkeep_tests::kafka::Cluster;

/// Time in which what is waited for must have come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A deployment of its own on the shared cluster.
struct Deployment {
    folder: tempfile::TempDir,
    name: &'static str,
    running: BTreeMap<String, Child>,
    appender: KafkaAppender,
    /// Events that were written, of which each is a second later than the last.
    written: i64,
}

impl Deployment {
    fn new(name: &'static str, partitions: i32, strategy: &str) -> Self {
        let bootstrap = Cluster::shared().bootstrap();
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!(
            r#"
[log]
kind = "kafka"
bootstrap = "{bootstrap}"
[log.kafka]
"group.id" = "{name}"
"partition.assignment.strategy" = "{strategy}"
"session.timeout.ms" = "3000"
"heartbeat.interval.ms" = "300"
"topic.metadata.refresh.interval.ms" = "1000"
[topics]
telemetry = ["{name}.telemetry"]
prefix = "{name}."
[topics.partitions]
summaries = 2
[time]
allowed_lateness = "1d"
revise_every = "1h"
[http]
listen = "127.0.0.1:0"
"#
        );
        std::fs::write(folder.path().join("watchkeep.toml"), settings).expect("disk");
        let appender = KafkaAppender::open(&KafkaSettings::new(bootstrap)).expect("a producer");
        let deployment = Self { folder, name, running: BTreeMap::new(), appender, written: 0 };
        deployment.run(&["topics", "create", "--telemetry-partitions", &partitions.to_string()]);
        deployment
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("watchkeep.toml")
    }

    fn run(&self, arguments: &[&str]) -> String {
        let config = self.config();
        let all = arguments.iter().map(AsRef::as_ref).chain(["-c".as_ref(), config.as_os_str()]);
        String::from_utf8(binary::run(all).stdout).expect("text")
    }

    fn start(&mut self, stages: &str, instance: &str) {
        let log = File::create(self.folder.path().join(format!("{stages}-{instance}.log")));
        let mut command =
            binary::command(["run", "--stages", stages, "--instance", instance, "-c"]);
        command.arg(self.config()).stdout(Stdio::null()).stderr(log.expect("disk"));
        let child = command.spawn().expect("the binary can be run");
        self.running.insert(format!("{stages}-{instance}"), child);
    }

    /// Asks a process to end; it must do so well.
    fn stop(&mut self, name: &str) {
        let mut child = self.running.remove(name).expect("it runs");
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(asked.expect("kill can be run").success());
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{name} ended with {status}\n{}", self.log(name));
    }

    /// Ends a process without a word.
    fn kill(&mut self, name: &str) {
        let mut child = self.running.remove(name).expect("it runs");
        child.kill().expect("the process is ours");
        child.wait().expect("it ends");
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    fn assert_running(&mut self) {
        let mut ended = Vec::new();
        for (name, child) in &mut self.running {
            if child.try_wait().expect("ours").is_some() {
                ended.push(name.clone());
            }
        }
        if let Some(name) = ended.into_iter().next() {
            panic!("{name} ended\n{}", self.log(&name));
        }
    }

    /// Writes events in turn to so many partitions.
    fn write(&mut self, count: i64, partitions: i32) {
        for _ in 0..count {
            let at = start() + TimeSpan::SECOND.times(self.written);
            let partition = i32::try_from(self.written % i64::from(partitions)).expect("few");
            let feature = format!("f{}", self.written % 7);
            self.append(partition, &feature, at);
            self.written += 1;
        }
        self.appender.flush().expect("all are written");
    }

    /// Moves the watermark past all windows, in every partition.
    fn finish(&mut self, partitions: i32) {
        let at = start() + TimeSpan::SECOND.times(self.written + 4 * 3600);
        for partition in 0..partitions {
            self.append(partition, "sentinel", at);
        }
        self.appender.flush().expect("all are written");
    }

    fn append(&mut self, partition: i32, feature: &str, at: Timestamp) {
        let value = format!(r#"{{"feature":"{feature}","event_time":"{at}","value":1}}"#);
        let record = Outgoing {
            topic: format!("{}.telemetry", self.name).into(),
            partition: Some(partition),
            key: None,
            value: value.into_bytes(),
            headers: vec![],
        };
        self.appender.append(&record, None).expect("a record is taken");
    }

    /// Events in the last revision of every window, without the sentinel's.
    fn counted(&self) -> i64 {
        let topic = format!("{}.windows", self.name);
        let text = self.run(&["export", "--topic", &topic, "--format", "ndjson"]);
        let mut last: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for line in text.lines() {
            let window: Value = serde_json::from_str(line).expect("JSON");
            if window["feature"] == "sentinel" {
                continue;
            }
            let key = format!("{} {}", window["feature"], window["window_start"]);
            let told = (window["revision"].as_i64(), window["count"].as_i64());
            let told = (told.0.unwrap_or_default(), told.1.unwrap_or_default());
            let kept = last.entry(key).or_insert(told);
            *kept = (*kept).max(told);
        }
        last.values().map(|(_, count)| count).sum()
    }

    /// Waits until so many events are in windows, and sees that no more follow.
    fn await_counted(&mut self, wanted: i64) {
        let begun = Instant::now();
        loop {
            let counted = self.counted();
            assert!(counted <= wanted, "{counted} events of {wanted} were counted");
            if counted == wanted {
                break;
            }
            self.assert_running();
            let logs: Vec<String> = self.running.keys().map(|name| self.log(name)).collect();
            assert!(begun.elapsed() < PATIENCE, "{counted} of {wanted}\n{}", logs.join("\n"));
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until a process has told of something.
    fn await_told(&mut self, name: &str, what: &str) {
        let begun = Instant::now();
        while !self.log(name).contains(what) {
            self.assert_running();
            assert!(begun.elapsed() < PATIENCE, "{name} did not tell {what}:\n{}", self.log(name));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start() -> Timestamp {
    "2024-03-01T00:00:00Z".parse().expect("a time")
}

#[test]
fn instances_join_and_leave() {
    let mut deployment = Deployment::new("joining", 8, "cooperative-sticky");
    deployment.write(3_000, 8);
    for stage in ["summarise", "evaluate", "escalate"] {
        deployment.start(stage, "a");
    }
    deployment.await_told("summarise-a", "assigned");
    for stage in ["summarise", "evaluate", "escalate"] {
        deployment.start(stage, "b");
    }
    deployment.write(3_000, 8);
    deployment.await_told("summarise-b", "assigned");
    deployment.await_told("evaluate-b", "assigned");
    deployment.write(3_000, 8);
    deployment.stop("summarise-a");
    deployment.stop("evaluate-a");
    deployment.write(3_000, 8);
    // The one that comes back takes its own place, and the other goes for good.
    deployment.start("summarise", "a");
    deployment.await_told("summarise-a", "assigned");
    deployment.kill("summarise-b");
    deployment.stop("escalate-b");
    deployment.write(3_000, 8);
    deployment.finish(8);
    deployment.await_counted(15_000);
    for name in ["summarise-a", "evaluate-b", "escalate-a"] {
        deployment.stop(name);
    }
}

#[test]
fn partitions_that_are_added_are_read() {
    let mut deployment = Deployment::new("growing", 4, "range");
    deployment.start("summarise,evaluate,escalate", "0");
    deployment.write(4_000, 4);
    deployment.await_told("summarise,evaluate,escalate-0", "partition=3");
    let admin =
        KafkaAdmin::open(&KafkaSettings::new(Cluster::shared().bootstrap())).expect("Kafka");
    admin.add_partitions("growing.telemetry", 8).expect("partitions are added");
    deployment.appender = KafkaAppender::open(&KafkaSettings::new(Cluster::shared().bootstrap()))
        .expect("a producer that knows the new partitions");
    deployment.write(4_000, 8);
    deployment.await_told("summarise,evaluate,escalate-0", "partition=7");
    deployment.write(4_000, 8);
    deployment.finish(8);
    deployment.await_counted(12_000);
    deployment.stop("summarise,evaluate,escalate-0");
}
