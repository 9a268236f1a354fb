//! The `watchkeep` binary, built once for each test program and run as a user
//! would run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Names the binary where it was built together with the tests.
const BUILT: &str = "TESTED_BINARY";

/// The binary in the profile that the tests are built with: the one that
/// `TESTED_BINARY` names, else it is built now.
///
/// # Panics
/// Where it does not build; the compiler's message is shown.
pub fn path() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(built) = std::env::var_os(BUILT) {
            return built.into();
        }
        // …/target/<profile>/deps/<this test>
        let test = std::env::current_exe().expect("a test knows its own path");
        let folder = test.parent().and_then(Path::parent).expect("tests lie two folders deep");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--package",
                "watchkeep-app",
                "--bin",
                "watchkeep",
                "--profile",
                profile,
            ])
            .arg("--target-dir")
            .arg(folder.parent().expect("a profile lies in a target folder"))
            .current_dir(root())
            .stdin(Stdio::null())
            .output()
            .expect("cargo can be run");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        folder.join("watchkeep")
    })
}

/// The project's root folder.
///
/// # Panics
/// Never in this workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root")
}

/// A file of the shared data beside the project.
///
/// # Panics
/// Where it is missing, with its path.
pub fn shared(path: &str) -> PathBuf {
    let path = root().join("../shared").join(path);
    assert!(
        path.exists(),
        "{} is missing: this test needs the shared data folder beside the project",
        path.display()
    );
    path
}

/// A command of the binary with nothing of Watchkeep in its environment.
pub fn command<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(arguments: I) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WATCHKEEP_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end and expects it to end well.
///
/// # Panics
/// Where it does not; what it printed is shown.
pub fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(arguments: I) -> Output {
    let mut command = command(arguments);
    let output = command.output().expect("the binary can be run");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Replays a file of telemetry with what people answered.
///
/// # Panics
/// Where it does not end well; what it printed is shown.
pub fn replay(input: &str, charters: &str, responses: &str, out: &str) {
    let files = ["--input", input, "--charters", charters, "--responses", responses];
    run([&["replay"], &files[..], &["--out", out]].concat());
}

/// The lines of an NDJSON file.
///
/// # Panics
/// Where it cannot be read or a line is not JSON.
pub fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}
