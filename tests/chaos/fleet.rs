//! Instances of the real binary, and what can be done to their processes.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::process::Process;
use super::{Plan, SESSION_TIMEOUT, deployment};
use crate::binary;

/// Instances of one deployment. Dropping it ends them all.
pub struct Fleet {
    /// By number, which is the name in `--instance`.
    slots: Vec<Option<Process>>,
    /// Processes whose place another one has taken.
    zombies: Vec<(u16, Process)>,
    /// Processes so far: each has a log of its own.
    started: u32,
    folder: tempfile::TempDir,
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
        deployment::write(folder.path(), plan, &log_on_kafka(bootstrap, name))?;
        let fleet = Self { slots: Vec::new(), zombies: Vec::new(), started: 0, folder };
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

    /// How often the instances' logs say so.
    pub fn said(&self, what: &str) -> u64 {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
        let texts = logs.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.map(|text| text.matches(what).count() as u64).sum()
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
        let number = instance.to_string();
        let config = self.config();
        let run = binary::command([
            "run".as_ref(),
            "-c".as_ref(),
            config.as_os_str(),
            "--instance".as_ref(),
            number.as_ref(),
        ]);
        Process::spawn(&run, &[("WATCHKEEP_HTTP__LISTEN", "127.0.0.1:0")], log)
    }

    /// Numbers of the instances that have a process.
    pub fn running(&self) -> Vec<u16> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.is_some()).map(|(n, _)| n).collect()
    }

    /// Ends an instance as a crash does.
    pub fn kill(&mut self, instance: u16) {
        if let Some(mut process) = self.take(instance) {
            process.kill();
        }
    }

    /// Asks an instance to end and waits for it.
    ///
    /// # Errors
    /// It ended with an error or took too long.
    pub fn stop(&mut self, instance: u16) -> Result<Duration, String> {
        let Some(mut process) = self.take(instance) else { return Ok(Duration::ZERO) };
        process.stop().map_err(|why| format!("instance {instance}: {why}"))
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
            if let Some(ended) = slot.as_mut().and_then(|process| ended(instance, process)) {
                *slot = None;
                instances.push(ended);
            }
        }
        let mut zombies = Vec::new();
        self.zombies.retain_mut(|(instance, process)| {
            let ended = ended(*instance, process);
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

fn ended(instance: u16, process: &mut Process) -> Option<Ended> {
    let status = process.ended()?;
    Some(Ended { instance, status, log: process.log_tail() })
}

fn log_on_kafka(bootstrap: &str, name: &str) -> String {
    let session_ms = SESSION_TIMEOUT.as_millis();
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
"#
    )
}
