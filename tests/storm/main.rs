//! A storm through the binary: 10,000 features of one dataset breach in one
//! window. Prints what it took and who was told, and fails where it is more
//! than the budget or not one page.
//!
//! ```sh
//! cargo run --release -p watchkeep-tests --example storm -- [FEATURES]
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;
use watchkeep_simulator::planted::{TEAMS, storm};
use watchkeep_tests::binary;

/// Features where nobody says how many.
const FEATURES: usize = 10_000;

const SECONDS_MAX: f64 = 5.0;
const BYTES_MAX: f64 = 500e6;

fn main() -> ExitCode {
    let features = std::env::args().nth(1).map_or(Ok(FEATURES), |text| text.parse());
    let Ok(features) = features else {
        eprintln!("usage: storm [FEATURES]");
        return ExitCode::from(2);
    };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in storm(features) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("disk");
        std::fs::write(path, text).expect("disk");
    }
    let path = |name: &str| folder.path().join(name).into_os_string();
    binary::run([
        "replay".into(),
        "--input".into(),
        path("telemetry.ndjson"),
        "--charters".into(),
        path("charters"),
        "--run-on".into(),
        "2m".into(),
        "--out".into(),
        path("out"),
    ]);
    let out = folder.path().join("out");
    let text = std::fs::read_to_string(out.join("replay.json")).expect("disk");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let number = |name: &str| report[name].as_f64().unwrap_or(f64::INFINITY);
    let (seconds, bytes) = (number("seconds"), number("peak_memory_bytes"));
    println!("breaches            {}", number("breaches"));
    println!("incidents           {}", number("incidents"));
    // Audience and how often one of it was told at most.
    let mut told: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for message in binary::lines(&out.join("escalations.ndjson")) {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        *told.entry(text("audience")).or_default().entry(text("target")).or_default() += 1;
    }
    for (audience, targets) in &told {
        let most = targets.values().max().copied().unwrap_or_default();
        println!("{audience:<19} {} told, each at most {most} times", targets.len());
    }
    println!("seconds             {seconds:.2} (at most {SECONDS_MAX})");
    println!("processor seconds   {:.2}", number("cpu_seconds"));
    println!("peak memory         {:.0} MB (at most {:.0})", bytes / 1e6, BYTES_MAX / 1e6);
    let count = |audience: &str| told.get(audience).map_or(0, BTreeMap::len);
    let once = told.values().flat_map(BTreeMap::values).all(|times| *times == 1);
    let is_right = number("incidents") == 1.0
        && count("page") == 1
        // Every team's owner and model, and the readers that teams share.
        && count("inform") == 3 * TEAMS + 1
        && once;
    match (is_right, seconds <= SECONDS_MAX && bytes <= BYTES_MAX) {
        (true, true) => return ExitCode::SUCCESS,
        (false, _) => eprintln!("somebody was told too often, or not at all"),
        (true, false) => eprintln!("the budget was missed"),
    }
    ExitCode::FAILURE
}
