//! Instances of the real binary, and what can be done to their processes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{LATENESS_US, OUT_OF_ORDERNESS_US, Plan, SESSION_TIMEOUT, WINDOW_US, traffic};
use crate::binary;

/// Within this an instance that is asked to end has ended.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Bytes of a log that a report shows.
const TAIL_BYTES: u64 = 4_000;

/// Instances of one deployment. Dropping it ends them all.
pub struct Fleet {
    folder: tempfile::TempDir,
    /// By number, which is the name in `--instance`.
    slots: Vec<Option<Process>>,
    /// Processes whose place another one has taken.
    zombies: Vec<(u16, Process)>,
    /// Processes so far: each has a log of its own.
    started: u32,
}

struct Process {
    child: Child,
    log: PathBuf,
}

/// How a process ended that was not asked to.
#[derive(Debug)]
pub struct Ended {
    /// Which instance.
    pub instance: u16,
    /// How.
    pub status: ExitStatus,
    /// The end of its log.
    pub log: String,
}

impl Ended {
    /// True where the process gave way to a newer instance, or to brokers that
    /// had given it up.
    pub fn is_fenced(&self) -> bool {
        self.log.contains("fenced by a newer instance")
    }
}

impl Fleet {
    /// A deployment named `name` with its topics, and no instance yet.
    ///
    /// # Errors
    /// No disk, or topics that cannot be created.
    pub fn new(plan: &Plan, bootstrap: &str, name: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let write = |file: &str, text: String| {
            std::fs::write(folder.path().join(file), text).map_err(|error| error.to_string())
        };
        std::fs::create_dir(folder.path().join("charters")).map_err(|error| error.to_string())?;
        write("charters/chaos.yaml", charters(plan))?;
        write("watchkeep.toml", settings(plan, bootstrap, name))?;
        let fleet = Self { folder, slots: Vec::new(), zombies: Vec::new(), started: 0 };
        let partitions = plan.partitions.to_string();
        let replication = plan.nodes.to_string();
        fleet.run(&[
            "topics",
            "create",
            "--telemetry-partitions",
            &partitions,
            "--replication",
            &replication,
        ])?;
        Ok(fleet)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("watchkeep.toml")
    }

    /// The folder of configuration, charters and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder when the fleet is dropped.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// Runs a command of the binary with this deployment's settings.
    ///
    /// # Errors
    /// What the command printed where it did not end with 0.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let config = self.config();
        let all = arguments.iter().map(AsRef::as_ref).chain(["-c".as_ref(), config.as_os_str()]);
        let output = binary::command(all).output().map_err(|error| error.to_string())?;
        let [printed, told] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        if output.status.success() {
            Ok(printed.into_owned())
        } else {
            Err(format!("{arguments:?} ended with {}\n{printed}{told}", output.status))
        }
    }

    /// Starts an instance. One that runs under this number is left alone.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self, instance: u16) -> Result<(), String> {
        let index = usize::from(instance);
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        if self.slots[index].is_none() {
            self.slots[index] = Some(self.spawn(instance)?);
        }
        Ok(())
    }

    fn spawn(&mut self, instance: u16) -> Result<Process, String> {
        self.started += 1;
        let log = self.folder.path().join(format!("{:04}-instance-{instance}.log", self.started));
        let told = File::create(&log).map_err(|error| error.to_string())?;
        let number = instance.to_string();
        let config = self.config();
        let run = binary::command([
            "run".as_ref(),
            "-c".as_ref(),
            config.as_os_str(),
            "--instance".as_ref(),
            number.as_ref(),
        ]);
        // It ends with this process, however that ends. `setpriv` becomes the
        // program, so that the process is still ours to signal.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(run.get_program()).args(run.get_args());
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .env("WATCHKEEP_HTTP__LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(told)
            .spawn()
            .map_err(|error| format!("setpriv of util-linux is needed: {error}"))?;
        Ok(Process { child, log })
    }

    /// Numbers of the instances that have a process.
    pub fn running(&self) -> Vec<u16> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.is_some()).map(|(n, _)| n).collect()
    }

    /// Ends an instance as a crash does.
    pub fn kill(&mut self, instance: u16) {
        if let Some(mut process) = self.take(instance) {
            process.end();
        }
    }

    /// Asks an instance to end and waits for it.
    ///
    /// # Errors
    /// It ended with an error or took too long.
    pub fn stop(&mut self, instance: u16) -> Result<Duration, String> {
        let Some(mut process) = self.take(instance) else { return Ok(Duration::ZERO) };
        let begun = Instant::now();
        process.signal("TERM");
        let status = loop {
            match process.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begun.elapsed() > DRAIN_MAX + Duration::from_secs(2) => {
                    process.end();
                    let log = process.log_tail();
                    return Err(format!("instance {instance} did not end in time\n{log}"));
                }
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        if status.success() {
            Ok(begun.elapsed())
        } else {
            let log = process.log_tail();
            Err(format!("instance {instance} was asked to end and ended with {status}\n{log}"))
        }
    }

    /// Stops an instance's process in its tracks.
    pub fn freeze(&mut self, instance: u16) {
        if let Some(Some(process)) = self.slots.get(usize::from(instance)) {
            process.signal("STOP");
        }
    }

    /// Lets a frozen process go on.
    pub fn thaw(&mut self, instance: u16) {
        if let Some(Some(process)) = self.slots.get(usize::from(instance)) {
            process.signal("CONT");
        }
    }

    /// Freezes an instance's process and starts another one in its place,
    /// under the same name.
    ///
    /// # Errors
    /// The other one cannot be started.
    pub fn usurp(&mut self, instance: u16) -> Result<(), String> {
        self.freeze(instance);
        if let Some(process) = self.take(instance) {
            self.zombies.push((instance, process));
        }
        self.start(instance)
    }

    /// Lets the process go on whose place was taken.
    pub fn wake_zombie(&mut self, instance: u16) {
        for (_, process) in self.zombies.iter().filter(|(number, _)| *number == instance) {
            process.signal("CONT");
        }
    }

    /// How many usurped processes have not ended yet.
    pub fn zombies(&self) -> usize {
        self.zombies.len()
    }

    /// Processes that have ended without being asked to; usurped ones in the
    /// second list.
    pub fn ended(&mut self) -> (Vec<Ended>, Vec<Ended>) {
        let mut instances = Vec::new();
        for (instance, slot) in (0..).zip(&mut self.slots) {
            if let Some(ended) = slot.as_mut().and_then(|process| process.ended(instance)) {
                *slot = None;
                instances.push(ended);
            }
        }
        let mut zombies = Vec::new();
        self.zombies.retain_mut(|(instance, process)| {
            let ended = process.ended(*instance);
            let goes_on = ended.is_none();
            zombies.extend(ended);
            goes_on
        });
        (instances, zombies)
    }

    fn take(&mut self, instance: u16) -> Option<Process> {
        self.slots.get_mut(usize::from(instance)).and_then(Option::take)
    }
}

impl Process {
    fn signal(&self, name: &str) {
        // A process that is gone is noticed elsewhere.
        let _ = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn ended(&mut self, instance: u16) -> Option<Ended> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(Ended { instance, status, log: self.log_tail() })
    }

    /// The end of its log.
    fn log_tail(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(&self.log) {
            let length = file.metadata().map_or(0, |data| data.len());
            let _ = file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)));
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let zombies = self.zombies.iter_mut().map(|(_, process)| process);
        self.slots.iter_mut().flatten().chain(zombies).for_each(Process::end);
    }
}

fn settings(plan: &Plan, bootstrap: &str, name: &str) -> String {
    let seconds = |us: i64| us / 1_000_000;
    let session_ms = SESSION_TIMEOUT.as_millis();
    let commit_ms = plan.commit_interval.as_millis();
    format!(
        r#"
[log]
kind = "kafka"
bootstrap = "{bootstrap}"
[log.kafka]
"group.id" = "{name}"
"session.timeout.ms" = "{session_ms}"
# Added partitions are noticed soon.
"topic.metadata.refresh.interval.ms" = "2000"
[topics]
telemetry = ["{name}.telemetry"]
prefix = "{name}."
encoding = "json"
[time]
pane = "1s"
out_of_orderness = "{}s"
allowed_lateness = "{}s"
revise_every = "10s"
idle_after = "10s"
[summarise]
commit_interval = "{commit_ms}ms"
[charters]
folder = "charters"
"#,
        seconds(OUT_OF_ORDERNESS_US),
        seconds(LATENESS_US),
    )
}

/// One expectation that can be worked out by counting, an owner, and a policy
/// that pages at once and has no deadline within a run.
fn charters(plan: &Plan) -> String {
    let mut text = String::new();
    for feature in 0..super::FEATURES {
        let name = traffic::feature_name(feature);
        text.push_str(&format!(
            "kind: charter\nsubject: feature:{name}\nowners: {{primary: user:ada}}\n\
             policy: chaos\nexpectations:\n  - {{name: enough, kind: volume, window: {}s, below: {}}}\n---\n",
            WINDOW_US / 1_000_000,
            plan.volume_below(),
        ));
    }
    text.push_str(
        r"kind: policy
name: chaos
version: 1
grouping: {by: [root, kind], group_wait: 0s, group_interval: 5m, repeat_interval: 4h, max_listed: 50}
steps:
  - name: on-call
    notify: [{role: primary}]
    channels: [{tool: email, to: chaos@example.com}]
    acknowledge_within: 30d
    escalate_if: [not_acknowledged]
loops: 1
on_exhausted: {notify: [user:ada]}
---
kind: directory
users:
  ada: {name: Ada, contacts: [{tool: email, to: ada@example.com}]}
governance: user:ada
",
    );
    text
}
