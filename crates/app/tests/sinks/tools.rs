//! Tools as strict as the real ones: an HTTP server that checks what it is
//! sent and answers as it is told, a mail server, and a real Alertmanager.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers with this status.
    Status(u16),
    /// Answers 429 and asks for so many seconds.
    Busy(u32),
    /// Takes the request and never answers.
    Hang,
    /// Takes the request and closes the connection.
    Drop,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// True where it was answered with 2xx.
    pub(crate) accepted: bool,
}

impl Taken {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Default)]
struct Script {
    behaviours: VecDeque<(String, Behaviour)>,
    taken: Vec<Taken>,
}

/// A server on a port of its own. It answers 202 where no other behaviour is left for the path.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, script: Arc::default() };
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        server
    }

    pub(crate) fn will(&self, path: &str, behaviours: &[Behaviour]) {
        let more = behaviours.iter().map(|one| (path.to_owned(), *one));
        self.script.lock().expect("whole").behaviours.extend(more);
    }

    pub(crate) fn taken(&self, path: &str) -> Vec<Taken> {
        let script = self.script.lock().expect("whole");
        script.taken.iter().filter(|one| one.path == path).cloned().collect()
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let mut taken = Taken { path, headers, body, accepted: false };
        let behaviour = {
            let mut script = self.script.lock().ok()?;
            let next = script.behaviours.iter().position(|(path, _)| *path == taken.path);
            let next = next.and_then(|at| script.behaviours.remove(at)).map(|(_, one)| one);
            let fault = if taken.path == "/v2/enqueue" { fault_of_event(&taken) } else { None };
            let behaviour = match (next, &fault) {
                (Some(behaviour), _) => behaviour,
                (None, Some(_)) => Behaviour::Status(400),
                (None, None) => Behaviour::Status(202),
            };
            assert_eq!(fault, None, "{}", taken.body);
            taken.accepted = behaviour == Behaviour::Status(202);
            script.taken.push(taken);
            behaviour
        };
        let answer = match behaviour {
            Behaviour::Status(status) => format!("HTTP/1.1 {status} X\r\n"),
            Behaviour::Busy(seconds) => format!("HTTP/1.1 429 X\r\nRetry-After: {seconds}\r\n"),
            Behaviour::Hang => {
                std::thread::sleep(Duration::from_secs(30));
                return None;
            }
            Behaviour::Drop => return None,
        };
        let answer = format!("{answer}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}");
        stream.write_all(answer.as_bytes()).ok()
    }
}

/// What is wrong with an event of PagerDuty, by its published schema.
fn fault_of_event(taken: &Taken) -> Option<String> {
    let event = taken.json();
    let text = |value: &Value, most: usize| {
        value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= most)
    };
    let only = |value: &Value, known: &[&str]| {
        let map = value.as_object();
        map.is_some_and(|map| map.keys().all(|key| known.contains(&key.as_str())))
    };
    let top = [
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "images",
        "links",
        "client",
        "client_url",
    ];
    if taken.body.len() > 512 << 10 || taken.header("content-type") != Some("application/json") {
        return Some("too large or no JSON".into());
    }
    if !only(&event, &top) || event["routing_key"].as_str().map(str::len) != Some(32) {
        return Some("an unknown key, or a routing key that is none".into());
    }
    if !text(&event["dedup_key"], 255) {
        return Some("no dedup_key".into());
    }
    match event["event_action"].as_str() {
        Some("acknowledge" | "resolve") => return None,
        Some("trigger") => {}
        _ => return Some("no event_action".into()),
    }
    let payload = &event["payload"];
    let known = [
        "summary",
        "source",
        "severity",
        "timestamp",
        "component",
        "group",
        "class",
        "custom_details",
    ];
    let severity = payload["severity"].as_str().unwrap_or_default();
    let fine = only(payload, &known)
        && text(&payload["summary"], 1_024)
        && text(&payload["source"], 1_024)
        && ["critical", "error", "warning", "info"].contains(&severity)
        && payload["timestamp"].as_str().is_some_and(|at| at.ends_with('Z'))
        && payload["custom_details"].is_object();
    let links = event["links"].as_array().cloned().unwrap_or_default();
    let linked = links.iter().all(|link| {
        only(link, &["href", "text"])
            && link["href"].as_str().is_some_and(|href| href.starts_with("http"))
    });
    (!(fine && linked)).then(|| "the payload".into())
}

/// A mail server that keeps what it takes. It refuses so many messages first, for now.
#[derive(Clone)]
pub(crate) struct MailServer {
    pub(crate) port: u16,
    mails: Arc<Mutex<(u32, Vec<String>)>>,
}

impl MailServer {
    pub(crate) fn start(refused: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, mails: Arc::new(Mutex::new((refused, Vec::new()))) };
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        server
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.lock().expect("whole").1.clone()
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        stream.write_all(b"220 test\r\n").ok()?;
        let mut mail = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let answer = match line.split([' ', '\r']).next()?.to_ascii_uppercase().as_str() {
                "EHLO" => "250-test\r\n250 8BITMIME\r\n",
                "MAIL" | "RCPT" => {
                    mail.push_str(&line);
                    "250 ok\r\n"
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").ok()?;
                    loop {
                        let mut line = String::new();
                        reader.read_line(&mut line).ok()?;
                        if line == ".\r\n" {
                            break;
                        }
                        mail.push_str(&line);
                    }
                    let mut held = self.mails.lock().ok()?;
                    if held.0 > 0 {
                        held.0 -= 1;
                        "451 later\r\n"
                    } else {
                        held.1.push(std::mem::take(&mut mail));
                        "250 taken\r\n"
                    }
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").ok()?;
                    return Some(());
                }
                _ => "500 what\r\n",
            };
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }
}

/// A real Alertmanager, which keeps nothing on the disk that matters here.
pub(crate) struct Alertmanager {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Alertmanager {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = "route: {receiver: none}\nreceivers: [{name: none}]\n";
        std::fs::write(folder.path().join("alertmanager.yml"), config).expect("disk");
        let mut own = Self { port: free_port(), folder, child: None };
        own.restart();
        own
    }

    /// Ends it without a word and starts it with nothing that it knew.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let at = |name: &str| self.folder.path().join(name);
        let _ = std::fs::remove_dir_all(at("data"));
        let path = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let child = Command::new("prometheus-alertmanager")
            .arg(path("config.file", &at("alertmanager.yml")))
            .arg(path("storage.path", &at("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's package prometheus-alertmanager: run .ci/packages test");
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The alerts that fire; `None` while it does not answer.
    pub(crate) fn firing(&self) -> Option<Vec<Value>> {
        let answer = request(self.port, "GET", "/api/v2/alerts?active=true", "")?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A request and its whole answer; `None` where nobody listens.
pub(crate) fn request(port: u16, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let length = body.len();
    // HTTP/1.0, so that nothing comes in chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
