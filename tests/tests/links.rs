//! `charters lint --check-links`: which hosts are asked, how, and what is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use watchkeep_tests::binary;

/// A server that answers by path, and remembers what it was asked for.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let remembered = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let remembered = Arc::clone(&remembered);
                thread::spawn(move || answer(stream, &remembered));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("whole").clone()
    }
}

/// Answers requests of one connection until it ends.
fn answer(mut stream: TcpStream, remembered: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut request = String::new();
        reader.read_line(&mut request).ok().filter(|bytes| *bytes > 0)?;
        let mut line = request.clone();
        while !line.trim().is_empty() {
            line.clear();
            reader.read_line(&mut line).ok()?;
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        remembered.lock().ok()?.push(format!("{method} {path}"));
        let (status, location) = match (method, path) {
            ("HEAD", "/get-only") => (405, ""),
            (_, "/moved") => (301, "here"),
            (_, "/moved-away") => (302, "/gone"),
            // Another host, although it is this machine too.
            (_, "/elsewhere") => (302, "http://localhost:1/other"),
            (_, "/circle") => (301, "/circle"),
            (_, "/secret") => (401, ""),
            (_, "/gone") => (404, ""),
            (_, "/broken") => (503, ""),
            _ => (200, ""),
        };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
    }
}

const PATHS: [&str; 9] =
    ["here", "get-only", "moved", "moved-away", "elsewhere", "circle", "secret", "gone", "broken"];

#[test]
fn only_allowed_hosts_are_asked_and_dead_links_are_told() {
    let (server, other) = (Server::start(), Server::start());
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::from(
        "kind: directory\nusers: {ada: {contacts: [{tool: email, to: ada@example.com}]}}\ngovernance: user:ada\n",
    );
    for path in PATHS {
        text.push_str(&format!(
            "---\nkind: charter\nsubject: feature:{path}\nowners: {{primary: user:ada}}\n\
             runbook: http://127.0.0.1:{}/{path}\n",
            server.port
        ));
    }
    // The same machine by another name, which nobody allowed, and a password.
    text.push_str(&format!(
        "---\nkind: charter\nsubject: feature:other\nowners: {{primary: user:ada}}\n\
         runbook: http://localhost:{0}/a\nchange_ticket: http://ada:secret@127.0.0.1:{0}/b\n",
        other.port
    ));
    std::fs::write(folder.path().join("shop.yaml"), text).expect("disk");
    let path = folder.path().to_str().expect("text");

    let lint = ["charters", "lint", path, "--format", "json"];
    binary::run(lint);
    assert!(server.asked().is_empty(), "nobody asked for links to be looked at");

    let mut command = binary::command(lint);
    let output = command.args(["--check-links", "--allow-host", "127.0.0.1"]).output();
    let output = output.expect("the binary can be run");
    assert_eq!(output.status.code(), Some(0), "warnings alone");
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let told: Vec<&str> = found
        .iter()
        .filter(|finding| finding["rule"] == "dead_link")
        .filter_map(|finding| {
            finding["message"].as_str()?.split_once("/127.0.0.1:")?.1.split_once('/')
        })
        .map(|(_, what)| what)
        .collect();
    assert_eq!(
        told,
        [
            "moved-away: HTTP 404",
            "circle: more than 5 redirects",
            "gone: HTTP 404",
            "broken: HTTP 503",
        ]
    );
    let asked = server.asked();
    assert!(asked.contains(&"GET /get-only".to_owned()), "{asked:?}");
    assert!(!asked.contains(&"GET /here".to_owned()), "HEAD was enough: {asked:?}");
    assert!(other.asked().is_empty(), "{:?}", other.asked());
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains("links to localhost, not looked at"), "{error}");

    let mut command = binary::command(["charters", "lint", path, "--check-links"]);
    let output = command.output().expect("the binary can be run");
    assert_eq!(output.status.code(), Some(2), "no host is allowed without being named");
}
