//! Real Kafka for tests: nodes on loopback, started by the script `kafka-local`
//! beside this file and ended with the test program, however that ends.

mod gate;

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

pub use self::gate::Gate;

/// First port that clusters use: below the range that systems hand out to
/// outgoing connections, so that none of those takes one of ours.
const PORTS_FROM: u16 = 21_000;

/// Ports of one cluster: two for each of up to five nodes.
const PORTS_EACH: u16 = 10;

/// Clusters that can run on one machine at once. With more, starting one fails.
const CLUSTERS_MAX: u16 = 100;

/// A running cluster. Dropping it ends every node and removes its data; when
/// the program dies before that, a guard process does the same.
pub struct Cluster {
    folder: PathBuf,
    bootstrap: String,
    /// Ends the nodes when its standard input closes.
    guard: Child,
    /// Where the node's requests to itself pass, if it was started so.
    gate: Option<Gate>,
    /// Keeps other test programs off our ports.
    _ports: File,
}

impl Cluster {
    /// Starts a cluster of so many nodes (1 to 5) in a folder of its own.
    ///
    /// # Errors
    /// Says what is missing (java, mvn) or what the nodes wrote before they stopped.
    pub fn start(nodes: u16) -> Result<Self, String> {
        Self::start_as(nodes, false)
    }

    /// Starts a lone node that sends itself the marks of transactions through
    /// a [`Gate`].
    ///
    /// # Errors
    /// The same.
    pub fn start_with_gate() -> Result<Self, String> {
        Self::start_as(1, true)
    }

    fn start_as(nodes: u16, has_gate: bool) -> Result<Self, String> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("watchkeep-kafka-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let (port, ports) = reserve_ports()?;
        // The guard comes first, so that nothing that was started is left over.
        let guard = script()
            .arg("guard")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("bash is needed to start Kafka: {error}"))?;
        // As the script lays the ports out.
        let gate = has_gate.then(|| Gate::open(port + 3, port + 2)).transpose();
        let gate = gate.map_err(|error| format!("port {}: {error}", port + 3))?;
        let bootstrap = String::new();
        let mut cluster = Self { folder: folder.clone(), bootstrap, guard, gate, _ports: ports };
        let mut start = script();
        if has_gate {
            start.env("KAFKA_GATE", "1");
        }
        start.arg("start").arg(&folder).args([nodes.to_string(), port.to_string()]);
        cluster.bootstrap = told(start)?;
        Ok(cluster)
    }

    /// The one-node cluster that all tests of one program share. Tests keep
    /// apart by the names of their topics and groups.
    ///
    /// # Panics
    /// Where it cannot be started, with the reason: a test of real Kafka is
    /// never skipped.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start(1) {
            Ok(cluster) => cluster,
            Err(why) => panic!("real Kafka is needed for this test: {why}"),
        })
    }

    /// The list of brokers for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Where the node's requests to itself pass; none where it was not started so.
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// Ends node `n` (from 1) as a crash does.
    ///
    /// # Errors
    /// Says why it could not be ended.
    pub fn kill(&self, n: u16) -> Result<(), String> {
        run(&[Path::new("kill"), &self.folder], &[n.to_string()]).map(drop)
    }

    /// Starts node `n` again on its own data and waits until it answers.
    ///
    /// # Errors
    /// Says what the node wrote before it stopped.
    pub fn up(&self, n: u16) -> Result<(), String> {
        run(&[Path::new("up"), &self.folder], &[n.to_string()]).map(drop)
    }
}

impl Cluster {
    /// Copies the folders of partitions whose names begin so, and what the
    /// nodes told, for a post-mortem. What cannot be copied is left out.
    pub fn copy_logs(&self, names: &[&str], to: &Path) {
        let _ = std::fs::create_dir_all(to);
        for told in ["1.log", "2.log", "3.log"] {
            let _ = std::fs::copy(self.folder.join(told), to.join(told));
        }
        for node in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            for partition in std::fs::read_dir(node.path()).into_iter().flatten().flatten() {
                let name = partition.file_name().to_string_lossy().into_owned();
                if names.iter().any(|wanted| name.starts_with(wanted)) {
                    let target = to.join(node.file_name()).join(&name);
                    let _ = std::fs::create_dir_all(&target);
                    for file in std::fs::read_dir(partition.path()).into_iter().flatten().flatten()
                    {
                        let _ = std::fs::copy(file.path(), target.join(file.file_name()));
                    }
                }
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A block of ports that no other cluster holds and no program listens on.
/// The file is locked as long as it is open.
fn reserve_ports() -> Result<(u16, File), String> {
    let locks = std::env::temp_dir().join("watchkeep-kafka-ports");
    std::fs::create_dir_all(&locks).map_err(|error| format!("{}: {error}", locks.display()))?;
    for block in 0..CLUSTERS_MAX {
        let lock = File::create(locks.join(block.to_string()))
            .map_err(|error| format!("{}: {error}", locks.display()))?;
        let first = PORTS_FROM + block * PORTS_EACH;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if lock.try_lock().is_ok() && (first..first + PORTS_EACH).all(free) {
            return Ok((first, lock));
        }
    }
    Err("no free block of ports for Kafka".to_owned())
}

fn script() -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/kafka-local");
    let mut command = Command::new("bash");
    command.arg(path);
    // Out of the terminal's group: an interrupt must not hit the guard.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// Runs the script and returns what it printed.
fn run(paths: &[&Path], rest: &[String]) -> Result<String, String> {
    let mut command = script();
    command.args(paths).args(rest);
    told(command)
}

fn told(mut command: Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("bash is needed to start Kafka: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
