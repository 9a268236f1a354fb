//! A process of the real binary, and what can be done to it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Within this a process that is asked to end has ended.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Bytes of a log that a report shows.
const TAIL_BYTES: u64 = 4_000;

/// A process and the file that it writes its log lines to. Dropping it ends
/// the process.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command with these variables in its environment. It ends with
    /// the thread that calls this, however that ends.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(
        run: &Command,
        environment: &[(&str, &str)],
        log: PathBuf,
    ) -> Result<Self, String> {
        let told = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        // `setpriv` becomes the program, so that the process is ours to signal.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(run.get_program()).args(run.get_args());
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(told)
            .spawn()
            .map_err(|error| format!("setpriv of util-linux is needed: {error}"))?;
        Ok(Self { child, log })
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        // A process that is gone is noticed elsewhere.
        let _ = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status();
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits for it. Returns how long it took.
    ///
    /// # Errors
    /// It ended with an error or took too long; the end of its log is told.
    pub fn stop(&mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.signal("TERM");
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begun.elapsed() > DRAIN_MAX + Duration::from_secs(2) => {
                    self.kill();
                    return Err(format!("it did not end in time\n{}", self.log_tail()));
                }
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        if status.success() {
            Ok(begun.elapsed())
        } else {
            Err(format!("it was asked to end and ended with {status}\n{}", self.log_tail()))
        }
    }

    /// How it ended; none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(&self.log) {
            let length = file.metadata().map_or(0, |data| data.len());
            let _ = file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)));
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
