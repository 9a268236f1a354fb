//! Every kind of baseline by the binary: telemetry and a training set in, what
//! each window was compared with out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use watchkeep_tests::binary;

const CHARTERS: &str = r"
kind: directory
users: {ann: {contacts: [{tool: mail, to: ann@example.org}]}}
governance: user:ann
---
kind: policy
name: standard
steps: [{name: first, notify: [{role: primary}], channels: [{tool: mail}]}]
---
kind: charter
subject: feature:shop.*
type: double
tier: 3
owners: {primary: user:ann}
policy: standard
expectations:
  - {name: fixed, kind: drift, window: 1h, baseline: {kind: fixed, from: 2024-03-25, to: 2024-03-27}}
  - {name: rolling, kind: drift, window: 1h, baseline: {kind: rolling, windows: 24}}
  - {name: seasonal, kind: drift, window: 1h, baseline: {kind: seasonal, by: hour_of_day, weeks: 1, zone: Europe/Berlin}}
  - {name: profile, kind: drift, window: 1h, baseline: {kind: profile, id: shop-2024-03}}
";

/// Hours of telemetry, over the night in which Berlin's clocks went forward.
const HOURS: u64 = 10 * 24;
const MONDAY: &str = "2024-03-25T00:00:00Z";
const EACH_HOUR: u64 = 60;

/// The values of an hour: a fixed set, shifted for three hours of the eighth day.
fn value(feature: &str, hour: u64, minute: u64) -> f64 {
    let is_odd = (7 * 24 + 10..7 * 24 + 13).contains(&hour) && feature == "shop.odd";
    let shift = if is_odd { 50.0 } else { 0.0 };
    ((minute * 37 + hour * 11) % 101) as f64 / 2.0 + shift
}

fn instant(hour: u64, minute: u64) -> String {
    let monday: watchkeep_model::time::Timestamp = MONDAY.parse().expect("an instant");
    let minutes = i64::try_from(hour * 60 + minute).expect("days are few");
    (monday + watchkeep_model::time::TimeSpan::MINUTE.times(minutes)).to_string()
}

fn write_inputs(folder: &Path) {
    let mut telemetry = String::new();
    for (hour, minute) in (0..HOURS).flat_map(|hour| (0..EACH_HOUR).map(move |m| (hour, m))) {
        for feature in ["shop.even", "shop.odd"] {
            let (at, value) = (instant(hour, minute), value(feature, hour, minute));
            let _ = writeln!(
                telemetry,
                r#"{{"feature":"{feature}","event_time":"{at}","value":{value}}}"#
            );
        }
    }
    let mut training = String::from("even,odd\n");
    for row in 0..2000 {
        let value = f64::from(row % 101) / 2.0;
        let _ = writeln!(training, "{value},{value}");
    }
    std::fs::create_dir(folder.join("charters")).expect("a folder");
    for (name, text) in [
        ("charters/all.yaml", CHARTERS),
        ("telemetry.ndjson", &telemetry),
        ("training.csv", &training),
    ] {
        std::fs::write(folder.join(name), text).expect("a file is written");
    }
}

fn watchkeep(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(binary::path());
    command.args(line.split_whitespace()).current_dir(folder).output().expect("it can be run")
}

fn ran(folder: &Path, line: &str) -> String {
    let output = watchkeep(folder, line);
    let [printed, errors] =
        [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(output.status.success(), "{line}: {}\n{printed}\n{errors}", output.status);
    printed
}

/// By window start: what each expectation of a feature was compared with, or why with nothing.
type Compared = BTreeMap<(String, String), (String, String)>;

fn compared(folder: &Path, feature: &str) -> Compared {
    let text = std::fs::read_to_string(folder.join("windows.ndjson")).expect("windows are written");
    let mut all = Compared::new();
    for line in text.lines() {
        let window: Value = serde_json::from_str(line).expect("JSON");
        if window["feature"] != feature || window["partial"] == true {
            continue;
        }
        for judged in window["judged"].as_array().expect("each is judged") {
            let text = |name: &str| judged[name].as_str().unwrap_or_default().to_owned();
            let with = if judged["baseline"].is_null() { text("reason") } else { text("baseline") };
            let start = window["window_start"].as_str().expect("a start").to_owned();
            all.insert((text("expectation"), start), (text("verdict"), with));
        }
    }
    all
}

#[test]
fn windows_are_compared_with_every_kind_of_baseline() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    write_inputs(folder);
    ran(folder, "charters lint charters");
    let capture = "baselines capture --input training.csv --id shop-2024-03 --prefix shop.";
    ran(folder, &format!("{capture} --out profiles.ndjson"));
    let again = watchkeep(folder, &format!("{capture} --out profiles.ndjson"));
    assert_eq!(again.status.code(), Some(2), "a file that is there is not written over");

    let replay = "replay --input telemetry.ndjson --charters charters";
    for out in ["a", "b"] {
        ran(folder, &format!("{replay} --baselines profiles.ndjson --out {out}"));
    }
    ran(folder, &format!("{replay} --out without"));
    for name in ["windows.ndjson", "breaches.ndjson", "incidents.ndjson"] {
        let [a, b] =
            ["a", "b"].map(|out| std::fs::read(folder.join(out).join(name)).expect("written"));
        assert_eq!(a, b, "{name}");
    }

    let even = compared(&folder.join("a"), "shop.even");
    let of = |all: &Compared, name: &str, hour: u64| {
        let start = instant(hour, 0).replace('Z', ".000000Z");
        all[&(name.to_owned(), start)].clone()
    };
    let begins = |found: (String, String), verdict: &str, text: &str| {
        assert!(found.0 == verdict && found.1.starts_with(text), "{found:?}, not {verdict} {text}");
    };
    begins(of(&even, "fixed", 40), "not_judged", "the baseline (fixed 2024-03-25");
    begins(
        of(&even, "fixed", 50),
        "good",
        "fixed 2024-03-25T00:00:00Z/2024-03-27T00:00:00Z n=2880 sha256:",
    );
    begins(
        of(&even, "rolling", 23),
        "not_judged",
        "the baseline (rolling 24) has 23 of 24 windows",
    );
    begins(of(&even, "rolling", 24), "good", "rolling 24 windows=24 n=1440 sha256:");
    begins(
        of(&even, "seasonal", 6 * 24),
        "not_judged",
        "the baseline (seasonal hour_of_day 1w Europe/Berlin) has 6 of 7",
    );
    // Two o'clock came not at all on the day before; three o'clock was an hour
    // earlier in UTC that day than on the days before it.
    let berlin = "seasonal hour_of_day 1w Europe/Berlin windows=";
    begins(of(&even, "seasonal", 7 * 24), "good", &format!("{berlin}6 n=360 sha256:"));
    begins(of(&even, "seasonal", 7 * 24 + 1), "good", &format!("{berlin}7 n=420 sha256:"));
    begins(of(&even, "profile", 0), "good", "profile shop-2024-03 n=2000 sha256:");
    let without = compared(&folder.join("without"), "shop.even");
    begins(
        of(&without, "profile", 0),
        "not_judged",
        "there is no profile shop-2024-03 of this feature",
    );

    // Three odd hours are bad by each, and the hours after them are not compared with them.
    let odd = compared(&folder.join("a"), "shop.odd");
    for name in ["fixed", "rolling", "seasonal", "profile"] {
        let verdicts: Vec<String> =
            (7 * 24 + 9..7 * 24 + 14).map(|h| of(&odd, name, h).0).collect();
        assert_eq!(verdicts, ["good", "bad", "bad", "bad", "good"], "{name}");
    }
    let before = of(&odd, "rolling", 7 * 24 + 10).1;
    assert_eq!(of(&odd, "rolling", 7 * 24 + 12).1, before, "left out: {odd:?}");
    begins(of(&odd, "seasonal", 8 * 24 + 11), "good", &format!("{berlin}6 n=360"));
}

#[test]
fn captured_baselines_go_to_the_log_and_come_from_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    write_inputs(folder);
    let settings = "[log]\nkind = \"embedded\"\nfolder = \"log\"\n[topics]\ntelemetry = [\"t\"]\n";
    std::fs::write(folder.join("watchkeep.toml"), settings).expect("settings are written");
    let capture =
        "baselines capture --input training.csv --feature shop.even=even -c watchkeep.toml";
    ran(folder, &format!("{capture} --id a"));
    ran(folder, &format!("{capture} --id a"));
    ran(folder, &format!("{capture} --id b --version 2"));
    let list: Value =
        serde_json::from_str(&ran(folder, "baselines list -c watchkeep.toml --format json"))
            .expect("JSON");
    let listed: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| {
            let [id, version] =
                ["id", "feature_version"].map(|name| line[name].as_str().unwrap_or(""));
            (id, version, line["count"].as_u64())
        })
        .collect();
    assert_eq!(listed, [("a", "", Some(2000)), ("b", "2", Some(2000))]);
    let shown = ran(folder, "baselines show a -c watchkeep.toml");
    assert!(shown.contains("shop.even") && shown.contains("p50"), "{shown}");
    let shown = ran(folder, "baselines show a -c watchkeep.toml --format json");
    assert!(shown.contains("\"p50\"") && !shown.contains("\"content\""), "{shown}");
    std::fs::write(folder.join("training.csv"), "even\n1\n2\n").expect("another training set");
    let refused = watchkeep(folder, &format!("{capture} --id a"));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && why.contains("choose another id"), "{why}");
    let exported = ran(folder, "export -c watchkeep.toml --topic baselines");
    assert_eq!(exported.lines().count(), 2);
}
