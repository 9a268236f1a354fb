//! The service on the embedded log, and a client that posts telemetry to it
//! and remembers what was acknowledged.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use watchkeep_wire::fact::{Stored, decode};

use super::facts::{At, Published};
use super::process::Process;
use super::traffic::{Event, event, sentinel};
use super::truth::Truth;
use super::{OUT_OF_ORDERNESS_US, Plan, deployment};
use crate::binary;

/// How long a debug build on a busy machine may take to be ready, or to go on.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time that one answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Events of one request where nothing else is said.
const BATCH: u64 = 40;

/// A service on the embedded log. Dropping it ends the process.
pub struct Embedded {
    process: Option<Process>,
    port: u16,
    started: u32,
    log_folder: PathBuf,
    folder: tempfile::TempDir,
}

impl Embedded {
    /// A service whose log lies in `log_folder`, by default in a folder of its own.
    ///
    /// # Errors
    /// No disk or port.
    pub fn new(plan: &Plan, log_folder: Option<&Path>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let log_folder = log_folder.map_or_else(|| folder.path().join("log"), Path::to_owned);
        let log = format!(
            "[log]\nkind = \"embedded\"\nfolder = \"{}\"\n[topics]\nencoding = \"json\"\n",
            log_folder.display()
        );
        deployment::write(folder.path(), plan, &log)?;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        Ok(Self { process: None, port, started: 0, log_folder, folder })
    }

    /// Where the log lies.
    pub fn log_folder(&self) -> &Path {
        &self.log_folder
    }

    /// Starts the process with these variables in its environment, and waits
    /// until it is ready.
    ///
    /// # Errors
    /// It ended before, with the end of what it told, or takes too long.
    pub fn start(&mut self, environment: &[(&str, &str)]) -> Result<(), String> {
        self.started += 1;
        let log = self.folder.path().join(format!("{:04}.log", self.started));
        let config = self.config();
        let run = binary::command(["run".as_ref(), "-c".as_ref(), config.as_os_str()]);
        let listen = format!("127.0.0.1:{}", self.port);
        let mut all = vec![("WATCHKEEP_HTTP__LISTEN", listen.as_str())];
        all.extend(environment);
        self.process = Some(Process::spawn(&run, &all, log)?);
        let begun = Instant::now();
        while !self.get("/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if let Some((status, log)) = self.ended() {
                return Err(format!("{status}\n{log}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("not ready after {PATIENCE:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("watchkeep.toml")
    }

    /// Ends the process as a crash does.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Sends SIGKILL and does not wait.
    pub fn signal_kill(&self) {
        if let Some(process) = &self.process {
            process.signal("KILL");
        }
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Errors
    /// It ended with an error or took too long.
    pub fn stop(&mut self) -> Result<(), String> {
        self.process.take().map_or(Ok(()), |mut process| process.stop().map(drop))
    }

    /// How the process ended and what it told last; none while it runs.
    pub fn ended(&mut self) -> Option<(ExitStatus, String)> {
        let process = self.process.as_mut()?;
        process.ended().map(|status| (status, process.log_tail()))
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// It goes on.
    pub fn await_end(&mut self) -> Result<(ExitStatus, String), String> {
        let begun = Instant::now();
        loop {
            match self.ended() {
                Some(ended) => return Ok(ended),
                None if begun.elapsed() > PATIENCE => {
                    let log = self.process.as_ref().map(Process::log_tail).unwrap_or_default();
                    return Err(format!("it goes on\n{log}"));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits until the service's watermark has come to an instant.
    ///
    /// # Errors
    /// The service ended, or takes too long.
    pub fn await_watermark(&mut self, at_us: i64) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let lag = self.metric("watchkeep_watermark_lag_seconds");
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
            // Half a second for the time between their clock's reading and ours.
            if lag.is_some_and(|lag| lag != 0.0 && now - lag > at_us as f64 / 1e6 - 0.5) {
                return Ok(());
            }
            if let Some((status, log)) = self.ended() {
                return Err(format!("{status}\n{log}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the watermark is not at {at_us} after {PATIENCE:?}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A figure of `/metrics` that has no labels; none while it is not told.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.get("/metrics").ok()?;
        let mut values = metrics.lines().filter_map(|line| line.strip_prefix(name));
        values.find_map(|value| value.strip_prefix(' ')?.parse().ok())
    }

    /// The answer to a GET, status line and all.
    ///
    /// # Errors
    /// No connection, or none that held.
    pub fn get(&self, path: &str) -> std::io::Result<String> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    /// Posts lines of telemetry. `Ok` is an acknowledgement.
    ///
    /// # Errors
    /// The answer where it was a refusal, or what became of the connection.
    pub fn post(&self, lines: &str) -> Result<(), String> {
        let request = format!(
            "POST /v1/telemetry?key=none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{lines}",
            lines.len()
        );
        let answer = self.ask(&request).map_err(|error| error.to_string())?;
        if answer.starts_with("HTTP/1.1 202") { Ok(()) } else { Err(answer) }
    }

    fn ask(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A topic as `export` prints it, while the service is stopped.
    ///
    /// # Errors
    /// What the command told where it did not end with 0.
    pub fn export(&self, topic: &str) -> Result<String, String> {
        let config = self.config();
        let arguments = ["export", "--topic", topic, "-c"].map(AsRef::as_ref);
        let all = arguments.into_iter().chain([config.as_os_str()]);
        let output = binary::command(all).output().map_err(|error| error.to_string())?;
        let [printed, told] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        if output.status.success() {
            Ok(printed.into_owned())
        } else {
            Err(format!("export of {topic} ended with {}: {told}", output.status))
        }
    }

    /// Everything that was published.
    ///
    /// # Errors
    /// As of [`Embedded::export`], and a line that is no such fact.
    pub fn published(&self) -> Result<Published, String> {
        Ok(Published {
            windows: self.facts("windows")?,
            breaches: self.facts("breaches")?,
            rejects: self.facts("rejects")?,
            incidents: self.facts("incidents")?,
            escalations: self.facts("escalations")?,
        })
    }

    fn facts<T: Stored>(&self, topic: &str) -> Result<Vec<At<T>>, String> {
        let read = |line: &str| {
            let fact = decode(line.as_bytes()).map_err(|error| format!("{line}: {error}"))?;
            Ok(At { at_us: 0, fact })
        };
        self.export(topic)?.lines().map(read).collect()
    }
}

/// Posts the events of a plan in their order, each again until it is acknowledged.
pub struct Client {
    plan: Plan,
    /// Events of one request.
    batch: u64,
    /// The first event that is not acknowledged.
    next: u64,
    /// How often the batch that begins with `next` was posted in vain.
    vain: u64,
    /// First events of batches that were posted more than once, and how often.
    repeated: BTreeMap<u64, u64>,
}

impl Client {
    /// A client that has posted nothing yet.
    pub fn new(plan: &Plan) -> Self {
        Self::with_batches_of(BATCH, plan)
    }

    /// A client that posts so many events at once.
    pub fn with_batches_of(batch: u64, plan: &Plan) -> Self {
        Self { plan: plan.clone(), batch, next: 0, vain: 0, repeated: BTreeMap::new() }
    }

    /// Events that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.next
    }

    /// Posts the next events.
    ///
    /// # Errors
    /// They were not acknowledged; the next call posts them again.
    pub fn post(&mut self, service: &Embedded) -> Result<(), String> {
        let lines: String = (self.next..self.next + self.batch)
            .map(|number| line(&event(&self.plan, number), number))
            .collect();
        match service.post(&lines) {
            Ok(()) => {
                if self.vain > 0 {
                    self.repeated.insert(self.next, self.vain + 1);
                }
                self.next += self.batch;
                self.vain = 0;
                Ok(())
            }
            Err(why) => {
                self.vain += 1;
                Err(why)
            }
        }
    }

    /// Posts the event that closes every window, and waits until it has.
    ///
    /// # Errors
    /// It was not acknowledged, or the service did not come to its end.
    pub fn end(&self, service: &mut Embedded) -> Result<(), String> {
        let last = sentinel(&self.plan, self.next);
        service.post(&line(&last, u64::MAX))?;
        service.await_watermark(last.event_time_us - OUT_OF_ORDERNESS_US)
    }

    /// Holds the telemetry topic against what was acknowledged. Returns what
    /// the topic holds.
    ///
    /// # Errors
    /// An event that is lost, or there more often than it was posted.
    pub fn check(&self, telemetry: &str) -> Result<Truth, String> {
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        for line in telemetry.lines() {
            let line: serde_json::Value =
                serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
            let id = line["event_id"].as_str().and_then(|id| id.parse().ok());
            *found.entry(id.ok_or("an event without its number")?).or_default() += 1;
        }
        found.remove(&u64::MAX);
        for number in 0..self.next {
            let posted =
                self.repeated.get(&(number / self.batch * self.batch)).copied().unwrap_or(1);
            let count = found.remove(&number).unwrap_or(0);
            if !(1..=posted).contains(&count) {
                return Err(format!(
                    "event {number} is there {count} times, posted {posted} times"
                ));
            }
        }
        // What was posted last may be there without an acknowledgement.
        let posted = self.vain;
        let beyond =
            |(number, count): (&u64, &u64)| *number >= self.next + self.batch || *count > posted;
        if let Some((number, count)) = found.iter().find(|entry| beyond(*entry)) {
            return Err(format!(
                "event {number} is there {count} times and was not posted so often"
            ));
        }
        Truth::of_lines(telemetry.lines())
    }
}

fn line(Event { feature, event_time_us, value }: &Event, id: u64) -> String {
    format!(
        "{{\"feature\":\"{feature}\",\"event_time\":{event_time_us},\"value\":{value},\"event_id\":\"{id}\"}}\n"
    )
}
