//! Files that break a rule of a lint, and files that do not.

use std::fs;
use std::path::Path;

use crate::binary;

/// The day on which dates are past or not.
pub const TODAY: &str = "2026-01-15";

/// Lints `RULE/FILE` of the examples beside their `common.yaml`, in a folder
/// named `charters`: the exit code and what was printed.
///
/// # Panics
/// Where a file is missing or the command does not run.
pub fn lint(
    command: &str,
    examples: &Path,
    rule: &str,
    file: &str,
    format: &str,
) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let charters = folder.path().join("charters");
    fs::create_dir(&charters).expect("created");
    // A rule about what every other example has has a `common.yaml` of its own.
    let own = examples.join(rule).join("common.yaml");
    let common = if own.exists() { own } else { examples.join("common.yaml") };
    fs::copy(common, charters.join("common.yaml")).expect("copied");
    fs::copy(examples.join(rule).join(file), charters.join("shop.yaml")).expect("copied");
    let mut command =
        binary::command([command, "lint", "charters", "--format", format, "--at", TODAY]);
    let history = examples.join(rule).join("history");
    if history.exists() {
        command.arg("--history").arg(history);
    }
    let baselines = examples.join(rule).join("baselines.ndjson");
    if baselines.exists() {
        command.arg("--baselines").arg(baselines);
    }
    // Nothing listens there, so that whoever asks is refused at once.
    if rule == "dead_link" {
        command.args(["--check-links", "--allow-host", "127.0.0.1"]);
    }
    let output = command.current_dir(folder.path()).output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}
