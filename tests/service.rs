//! `watchkeep run` as a process, on a log of its own, with what a user has to
//! look at it: `export`, `/metrics` and what it wrote to standard error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{binary, kafka};

/// How long a test waits for what must come: enough for a debug build on a
/// busy machine.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Within this a service that is asked to end has ended.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A service and its settings. Dropping it ends the process.
pub struct Service {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Service {
    /// A service on Kafka with topics of its own: `NAME.telemetry` with so many
    /// partitions, and the prefix `NAME.`. `encoding` is that of facts, `more`
    /// is further TOML.
    ///
    /// # Panics
    /// Where the topics cannot be created.
    pub fn kafka(
        cluster: &kafka::Cluster,
        name: &str,
        partitions: u32,
        encoding: &str,
        more: &str,
    ) -> Self {
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
encoding = "{encoding}"
{more}"#,
            cluster.bootstrap()
        ));
        service.run(&["topics", "create", "--telemetry-partitions", &partitions.to_string()]);
        service
    }

    /// A service on an embedded log of its own. `more` is further TOML.
    ///
    /// # Panics
    /// Where there is no disk or port.
    pub fn embedded(more: &str) -> Self {
        Self::new(&format!(
            r#"
[log]
kind = "embedded"
folder = "log"
[topics]
telemetry = ["feature.telemetry"]
encoding = "json"
{more}"#
        ))
    }

    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        // Commits come quickly and idle partitions are soon passed over, so
        // that a test need not wait.
        let settings = format!(
            r#"
{settings}
[time]
pane = "60s"
out_of_orderness = "30s"
allowed_lateness = "1d"
revise_every = "1h"
idle_after = "2s"
[summarise]
commit_interval = "200ms"
[http]
listen = "127.0.0.1:{port}"
"#
        );
        std::fs::write(folder.path().join("watchkeep.toml"), settings).expect("disk");
        Self { folder, port, child: None }
    }

    /// The service's folder, for files of a test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("watchkeep.toml")
    }

    /// Runs a command of the binary with this service's settings.
    ///
    /// # Panics
    /// Where it does not end well.
    pub fn run(&self, arguments: &[&str]) -> String {
        let config = self.config();
        let all = arguments.iter().map(AsRef::as_ref).chain(["-c".as_ref(), config.as_os_str()]);
        String::from_utf8(binary::run(all).stdout).expect("text")
    }

    /// Starts the process.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn start(&mut self) {
        let config = self.config();
        let log = File::options()
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
    ///
    /// # Panics
    /// Where it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process is ours");
            child.wait().expect("it ends");
        }
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Panics
    /// Where it ends with an error or takes too long.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let ended = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .expect("kill can be run");
        assert!(ended.success());
        let begun = Instant::now();
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{status}\n{}", self.log());
        assert!(begun.elapsed() < DRAIN_MAX, "draining took {:?}", begun.elapsed());
    }

    /// The number of the process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What the process wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("run.log")).unwrap_or_default()
    }

    /// The records of a topic. The embedded log can be read while it is stopped.
    ///
    /// # Panics
    /// Where the topic cannot be exported.
    pub fn export(&self, topic: &str) -> Vec<Value> {
        self.run(&["export", "--topic", topic, "--format", "ndjson"])
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }

    /// A figure of `/metrics`, summed over the lines that begin so; 0 while it is not told.
    ///
    /// # Panics
    /// Where the service refuses to tell.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics");
        let lines = text.lines();
        lines
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The body of a page; nothing while nobody answers.
    ///
    /// # Panics
    /// Where the service refuses to tell.
    pub fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes());
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let status = lines.next().unwrap_or_default();
        // A connection that breaks is a service that ends; a refusal is a fault.
        assert!(status.is_empty() || status.starts_with("HTTP/1.1 200"), "{status}");
        lines.skip_while(|line| !line.is_empty()).skip(1).fold(String::new(), |mut body, line| {
            body.push_str(&line);
            body.push('\n');
            body
        })
    }

    /// Runs a command that may be refused: the exit code and everything that it prints.
    ///
    /// # Panics
    /// Where it cannot be run or is ended from outside.
    pub fn attempt(&self, arguments: &[&str]) -> (i32, String) {
        let config = self.config();
        let all = arguments.iter().map(AsRef::as_ref).chain(["-c".as_ref(), config.as_os_str()]);
        let output = binary::command(all).output().expect("the binary can be run");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("it ends by itself"), String::from_utf8_lossy(&text).into())
    }

    /// Posts JSON to the service: the status and the body of the answer.
    ///
    /// # Panics
    /// Where the service does not answer.
    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Looks again and again until it is done.
    ///
    /// # Panics
    /// Where the process ends before, or after [`PATIENCE`].
    pub fn wait_for(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            let status = self.child.as_mut().and_then(|child| child.try_wait().expect("ours"));
            assert!(status.is_none(), "the service ended with {status:?}\n{}", self.log());
            assert!(
                begun.elapsed() < PATIENCE,
                "no {what} after {PATIENCE:?}\n{}\n{}",
                self.log(),
                self.get("/metrics")
            );
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
