//! The service on the embedded log, as another process meets it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CHARTERS: &str = "\
kind: charter
subject: feature:generated.f0001
owners: {primary: user:ada}
expectations:
  - {name: present, kind: null_rate, window: 1m, above: 0.1}
---
kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}
governance: user:ada
";

/// A service that is killed with the test.
struct Service {
    child: Child,
    port: u16,
}

impl Service {
    fn start(folder: &Path, port: u16) -> Self {
        let child = command(folder, &["run"]).stderr(Stdio::null()).spawn().unwrap();
        let service = Self { child, port };
        service.wait_for("/ready", |answer| answer.starts_with("HTTP/1.1 200"));
        service
    }

    fn wait_for(&self, path: &str, is_so: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let answer = get(self.port, path).unwrap_or_default();
            if is_so(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&mut self, name: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchkeep"));
    command.args(arguments).current_dir(folder);
    command
}

fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn metric(answer: &str, name: &str) -> u64 {
    let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[test]
fn telemetry_comes_in_over_http_survives_a_kill_and_gives_what_a_replay_gives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The port is free again when the listener is gone.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::create_dir(folder.join("charters")).unwrap();
    std::fs::write(folder.join("charters/all.yaml"), CHARTERS).unwrap();
    let config = format!(
        "[topics]\nencoding = \"json\"\n[charters]\nfolder = \"charters\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n"
    );
    std::fs::write(folder.join("watchkeep.toml"), config).unwrap();
    run(
        folder,
        &["generate", "nulls", "--events", "40000", "--rate", "50", "--out", "events.ndjson"],
    );
    let events = std::fs::read_to_string(folder.join("events.ndjson")).unwrap();
    let (first, second) = events.split_at(events[..events.len() / 2].rfind('\n').unwrap() + 1);
    std::fs::write(folder.join("first.ndjson"), first).unwrap();
    std::fs::write(folder.join("second.ndjson"), format!("{second}not telemetry\n")).unwrap();

    let mut service = Service::start(folder, port);
    let told = run(folder, &["produce", "--input", "first.ndjson"]);
    assert!(told.contains("through the service at"), "{told}");
    service.wait_for("/metrics", |text| metric(text, "watchkeep_events_total") > 0);
    assert_eq!(service.signal("KILL"), None);

    let mut service = Service::start(folder, port);
    run(folder, &["produce", "--input", "second.ndjson"]);
    service.wait_for("/metrics", |text| {
        text.contains("watchkeep_rejects_total{reason=\"malformed\"} 1")
    });
    service.wait_for("/v1/incidents", |text| text.contains("feature:generated.f0001"));
    service.wait_for("/v1/features", |text| text.contains("\"owner\":\"user:ada\""));
    let page = service.wait_for("/", |text| text.contains("generated.f0001"));
    assert!(page.contains("null_rate of feature:generated.f0001"), "{page}");
    assert_eq!(service.signal("TERM"), Some(0));

    run(folder, &["replay", "--input", "events.ndjson", "--charters", "charters", "--out", "out"]);
    let replayed = std::fs::read_to_string(folder.join("out/windows.ndjson")).unwrap();
    let mut replayed: Vec<&str> = replayed.lines().collect();
    let live = run(folder, &["export", "--topic", "windows"]);
    let live: Vec<&str> = live.lines().collect();
    // The replay also closes what was open at the end of the input.
    replayed.retain(|line| live.contains(line) || !ends_early(line));
    let mut live = live.clone();
    live.sort_unstable();
    replayed.sort_unstable();
    assert_eq!(live.len(), 12, "windows of a minute");
    assert!(live.iter().all(|line| replayed.contains(line)), "a window differs");
    assert_eq!(replayed.len(), live.len(), "windows are missing");
    let rejects = run(folder, &["export", "--topic", "rejects"]);
    assert_eq!(rejects.lines().count(), 1, "{rejects}");
}

/// True for windows that only the end of the input closes.
fn ends_early(line: &str) -> bool {
    let window: serde_json::Value = serde_json::from_str(line).unwrap();
    window["window_end"].as_str().unwrap() >= "2026-01-05T08:13"
}
