//! Telemetry of every odd kind against every kind of expectation, by the binary.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;
use watchkeep_model::time::{TimeSpan, Timestamp};

use crate::binary;

/// How much of each oddity there is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Different categories in each window of `bad.very_many`.
    pub categories: u64,
    /// Bytes of each category of `bad.long`.
    pub bytes: usize,
}

/// Five categories of `bad.very_many` with so many of a thousand events.
pub const FREQUENT: [(&str, u64); 5] =
    [("search", 200), ("basket", 100), ("home", 50), ("login", 20), ("help", 8)];

/// Windows of an hour.
const WINDOWS: u64 = 3;
const BEGIN: &str = "2024-01-01T00:00:00Z";

const RULES: &str = r#"
kind: directory
users: {ann: {contacts: [{tool: mail, to: ann@example.org}]}}
governance: user:ann
---
kind: policy
name: standard
steps: [{name: first, notify: [{role: primary}], channels: [{tool: mail}]}]
---
kind: charter
subject: feature:bad.*
tier: 3
owners: {primary: user:ann}
policy: standard
expectations:
"#;

/// Every kind; the baselines of some are empty for all or for some features.
const EXPECTATIONS: [&str; 17] = [
    "name: fixed, kind: drift, baseline: {kind: fixed, from: 2024-01-01T00:00:00Z, to: 2024-01-01T01:00:00Z}",
    "name: fixed-empty, kind: drift, baseline: {kind: fixed, from: 2023-01-01, to: 2023-01-02}",
    "name: rolling, kind: drift, baseline: {kind: rolling, windows: 1}",
    "name: seasonal, kind: drift, baseline: {kind: seasonal, by: hour_of_day, weeks: 1}",
    "name: profile, kind: drift, baseline: {kind: profile, id: trained}",
    "name: latency, kind: latency, quantile: p99, above: 1s",
    "name: freshness, kind: freshness, quantile: p50, above: 30d",
    "name: silence, kind: silence, after: 2h",
    "name: nulls, kind: null_rate, above: 0.1",
    "name: errors, kind: error_rate, above: 0.1",
    "name: volume, kind: volume, below: 10",
    "name: usual, kind: volume, change: 0.5, p_below: 0.01, baseline: {kind: rolling, windows: 3}",
    "name: range, kind: range, min: -1e100, max: 1e100",
    "name: allowed, kind: categories, allowed: [a, 'true'], above: 0.1",
    "name: new, kind: categories, baseline: {kind: rolling, windows: 1}, above: 0.9",
    "name: slo, kind: slo, objective: 0.9, good: {status: [ok]}",
    "name: learned, kind: null_rate, above: learned, false_alarm_rate: 0.01, from: 1d",
];

/// What a replay of everything came to.
#[derive(Debug)]
pub struct Outcome {
    /// The lines of `windows.ndjson`.
    pub windows: Vec<Value>,
    /// The lines of `rejects.ndjson`.
    pub rejects: Vec<Value>,
    /// `replay.json`.
    pub summary: Value,
}

/// Replays the oddities in a folder.
///
/// # Panics
/// Where the binary does not end well.
pub fn replay(folder: &Path, scale: Scale) -> Outcome {
    let path = |name: &str| folder.join(name);
    let mut rules = RULES.to_owned();
    for expectation in EXPECTATIONS {
        let _ = writeln!(rules, "  - {{{expectation}, window: 1h, min_samples: 12}}");
    }
    std::fs::create_dir(path("charters")).expect("a folder");
    std::fs::write(path("charters/all.yaml"), rules).expect("a file is written");
    // A column without a value, and one that says nothing.
    let training = format!("nulls,equal\n{}", ",7\n".repeat(100));
    std::fs::write(path("training.csv"), training).expect("a file is written");
    write_telemetry(&path("telemetry.ndjson"), scale).expect("a file is written");
    let text = |name: &str| path(name).display().to_string();
    let (training, profiles) = (text("training.csv"), text("profiles.ndjson"));
    let capture = ["baselines", "capture", "--id", "trained", "--prefix", "bad."];
    binary::run(capture.into_iter().chain(["--input", &training, "--out", &profiles]));
    let (telemetry, charters, out) = (text("telemetry.ndjson"), text("charters"), text("out"));
    let replay = ["replay", "--input", &telemetry, "--charters", &charters];
    binary::run(replay.into_iter().chain(["--baselines", &profiles, "--out", &out]));
    Outcome {
        windows: binary::lines(&path("out/windows.ndjson")),
        rejects: binary::lines(&path("out/rejects.ndjson")),
        summary: serde_json::from_slice(
            &std::fs::read(path("out/replay.json")).expect("a replay writes it"),
        )
        .expect("JSON"),
    }
}

/// The values of a feature in a window, as JSON.
fn values(feature: &str, window: u64, scale: Scale) -> Vec<String> {
    let repeated = |values: &[&str], times: usize| -> Vec<String> {
        values.repeat(times).into_iter().map(str::to_owned).collect()
    };
    match feature {
        "nulls" => repeated(&["null"], 40),
        "equal" => repeated(&["7.0"], 40),
        // JSON has neither NaN nor infinities; what is beyond a double is refused.
        "not_numbers" => repeated(&["1e999", "NaN", "-Infinity"], 12),
        "two" => repeated(&["1.0", "2.0"], 100),
        "one" => repeated(&["3.5"], 1),
        "far" => repeated(&["1e300", "-1e300", "1e-300", "-1e-300", "0", "1"], 30),
        "mixed" => repeated(&["1.0", "\"a\"", "null", "true"], 20),
        "long" => {
            (0..14).map(|n| format!("\"{}\"", ["x", "y"][n % 2].repeat(scale.bytes))).collect()
        }
        "very_many" => very_many(window, scale.categories),
        // Nothing at first.
        "late" if window + 1 == WINDOWS => repeated(&["1.0"], 40),
        _ => Vec::new(),
    }
}

fn very_many(window: u64, categories: u64) -> Vec<String> {
    let rare: u64 = 1_000 - FREQUENT.iter().map(|(_, share)| share).sum::<u64>();
    let total = categories * 1_000 / rare;
    let mut bound = 0;
    let ends = FREQUENT.map(|(name, share)| {
        bound += share;
        (name, bound)
    });
    let value = |n: u64| {
        // Spread, so that frequent ones come among the others all the time.
        let place = n * 619 % 1_000;
        let frequent = ends.iter().find(|(_, end)| place < *end);
        frequent.map_or_else(|| format!("\"user-{window}-{n}\""), |(name, _)| format!("\"{name}\""))
    };
    (0..total).map(value).collect()
}

const FEATURES: [&str; 10] =
    ["equal", "far", "late", "long", "mixed", "not_numbers", "nulls", "one", "two", "very_many"];

fn write_telemetry(file: &Path, scale: Scale) -> std::io::Result<()> {
    let begin: Timestamp = BEGIN.parse().expect("an instant");
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for window in 0..WINDOWS {
        let start = begin + TimeSpan::HOUR.times(window as i64);
        let mut events = Vec::new();
        for feature in FEATURES {
            let values = values(feature, window, scale);
            let step = TimeSpan::MINUTE.times(50).as_micros() / values.len().max(1) as i64;
            for (at, value) in values.into_iter().enumerate() {
                events.push((start + TimeSpan::from_micros(step * at as i64), feature, value));
            }
        }
        events.sort_by_key(|(at, ..)| *at);
        for (at, feature, value) in events {
            writeln!(
                out,
                r#"{{"feature":"bad.{feature}","event_time":"{at}","value":{value},"latency_us":100,"materialised_at":"{BEGIN}"}}"#
            )?;
        }
    }
    let end = begin + TimeSpan::HOUR.times(WINDOWS as i64) + TimeSpan::MINUTE.times(5);
    writeln!(out, r#"{{"feature":"bad.end","event_time":"{end}","value":1}}"#)?;
    out.flush()
}

/// What is wrong with the judgements of a window: each has to be a stated result
/// with figures that are numbers, or a reason.
pub fn faults(window: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let judged = window["judged"].as_array().map(Vec::as_slice).unwrap_or_default();
    if judged.len() != EXPECTATIONS.len() {
        found.push(format!("{} of {} are judged", judged.len(), EXPECTATIONS.len()));
    }
    for one in judged {
        let says = match one["verdict"].as_str() {
            Some("not_judged") => one["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
            Some("good" | "bad") => one["observed"].is_number() && !has_null(one),
            _ => false,
        };
        if !says {
            found.push(format!("{} {}: {one}", window["feature"], one["expectation"]));
        }
    }
    found
}

/// A figure that is no number is written as null.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
