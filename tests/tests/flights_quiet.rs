//! A charter whose bound is learned is silent in the quiet weeks of the flights
//! and speaks in the loud ones. Which weeks are quiet is told by the raw lines
//! alone, as docs/flights.md has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_tests::binary;

const DATA: &str = "data/flights/flights-2013q2.ndjson.gz";
const FEATURE: &str = "flight.arr_delay_min";

/// What the raw lines tell of a day.
#[derive(Clone, Copy, Default)]
struct Day {
    events: u64,
    missing: u64,
    reported_late: u64,
    arrived_late: u64,
}

impl Day {
    fn add(&mut self, event: &Value) {
        self.events += 1;
        self.missing += u64::from(event["value"].is_null());
        let reported = event["latency_us"].as_u64().unwrap_or_default();
        self.reported_late += u64::from(reported >= 7_200_000_000);
        self.arrived_late += u64::from(event["value"].as_f64().is_some_and(|delay| delay >= 60.0));
    }

    fn is_quiet(self) -> bool {
        self.missing * 100 <= self.events * 5
            && self.reported_late * 100 <= self.events * 10
            && self.arrived_late * 100 <= self.events * 15
    }
}

/// The lines of the arrival delay, and the days by their start.
fn arrivals() -> (String, BTreeMap<Timestamp, Day>) {
    let file = std::fs::File::open(binary::shared(DATA)).expect("the data can be read");
    let (mut lines, mut days) = (String::new(), BTreeMap::<Timestamp, Day>::new());
    for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
        let line = line.expect("text");
        if line.contains(FEATURE) {
            let event: Value = serde_json::from_str(&line).expect("JSON");
            days.entry(instant(&event["event_time"]).floor(TimeSpan::DAY)).or_default().add(&event);
            writeln!(lines, "{line}").expect("memory takes it");
        }
    }
    (lines, days)
}

fn instant(text: &Value) -> Timestamp {
    text.as_str().and_then(|text| text.parse().ok()).expect("an instant")
}

/// The Mondays of whole weeks of which at least six days are quiet.
fn quiet_weeks(days: &BTreeMap<Timestamp, Day>) -> Vec<Timestamp> {
    let mut weeks: BTreeMap<Timestamp, (usize, usize)> = BTreeMap::new();
    for (start, day) in days {
        let (all, quiet) = weeks.entry(start.floor(TimeSpan::WEEK)).or_default();
        *all += 1;
        *quiet += usize::from(day.is_quiet());
    }
    weeks.into_iter().filter(|(_, (all, quiet))| *all == 7 && *quiet >= 6).map(|(w, _)| w).collect()
}

/// Every figure of every comparison follows from what stands beside it.
fn recomputed(windows: &Path) {
    let script = binary::root().join("tests/oracle/recompute.py");
    let output = Command::new("python3").arg(script).arg(windows).output();
    let output = output.unwrap_or_else(|e| panic!("this test needs python3 (no packages): {e}"));
    let [printed, errors] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    assert!(output.status.success() && !printed.starts_with("0 "), "{printed}{errors}");
}

#[test]
fn quiet_weeks_are_quiet_by_a_learned_bound_and_loud_days_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (lines, days) = arrivals();
    std::fs::create_dir(at("charters")).expect("a folder");
    std::fs::write(at("arrivals.ndjson"), lines).expect("the disk takes it");
    for name in ["directory.yaml", "policy.yaml"] {
        let from = binary::shared(&format!("examples/charters/{name}"));
        std::fs::copy(from, at("charters").join(name)).expect("the disk takes it");
    }
    let own = binary::root().join("tests/flights/flights.yaml");
    std::fs::copy(own, at("charters").join("flights.yaml")).expect("the disk takes it");
    binary::run(vec![
        "replay".into(),
        "--input".into(),
        at("arrivals.ndjson"),
        "--charters".into(),
        at("charters"),
        "--out".into(),
        at("out"),
        "-c".into(),
        binary::shared("examples/watchkeep.toml"),
    ]);

    recomputed(&at("out").join("windows.ndjson"));
    let quiet = quiet_weeks(&days);
    assert_eq!(quiet.len(), 4, "{quiet:?}");
    let mut last: BTreeMap<(Timestamp, String), String> = BTreeMap::new();
    for window in binary::lines(&at("out").join("windows.ndjson")) {
        let judged = window["judged"].as_array().into_iter().flatten();
        for judged in judged.filter(|_| window["feature"] == FEATURE) {
            let text = |name: &str| judged[name].as_str().expect("a text").to_owned();
            last.insert((instant(&window["window_start"]), text("expectation")), text("verdict"));
        }
    }
    let in_quiet_weeks = |verdict: &str| {
        let judgements =
            last.iter().filter(|((start, _), _)| quiet.contains(&start.floor(TimeSpan::WEEK)));
        judgements.filter(|(_, found)| *found == verdict).count()
    };
    let (good, bad) = (in_quiet_weeks("good"), in_quiet_weeks("bad"));
    assert!(bad * 100 <= good + bad, "{bad} bad and {good} good in the quiet weeks");
    assert!(good > 60, "{good}");
    for (day, expectation) in [
        ("2013-05-23", "missing"),
        ("2013-05-23", "late-data"),
        ("2013-06-13", "delay-distribution"),
    ] {
        let key = (format!("{day}T00:00:00Z").parse().expect("an instant"), expectation.to_owned());
        assert_eq!(last.get(&key).map(String::as_str), Some("bad"), "{day} {expectation}");
    }
}
