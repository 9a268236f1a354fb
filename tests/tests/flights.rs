//! A replay of 341,468 real events: the same bytes twice, every event counted
//! as an independent recomputation counts it, and each breach with its owner,
//! its first step and its climb.

#![expect(
    clippy::print_stdout,
    reason = "what a replay costs belongs into the output of the tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;
use watchkeep_tests::binary;

const DATA: &str = "data/flights/flights-2013q2.ndjson.gz";
const FILES: [&str; 5] = [
    "windows.ndjson",
    "breaches.ndjson",
    "incidents.ndjson",
    "escalations.ndjson",
    "rejects.ndjson",
];

fn replay(out: &Path, with_settings: bool) -> Value {
    let mut arguments = vec![
        "replay".into(),
        "--input".into(),
        binary::shared(DATA),
        "--charters".into(),
        binary::shared("examples/charters"),
        "--out".into(),
        out.to_owned(),
    ];
    if with_settings {
        arguments.extend(["-c".into(), binary::shared("examples/watchkeep.toml")]);
    }
    binary::run(arguments);
    let text = std::fs::read_to_string(out.join("replay.json")).expect("a replay tells its counts");
    serde_json::from_str(&text).expect("replay.json is JSON")
}

/// Events and nulls of one window.
type Tally = BTreeMap<(String, i64), (u64, u64)>;

/// Counts the raw lines anew, with nothing of Watchkeep: windows of a day, of
/// an hour for the speed.
fn recount() -> Tally {
    let file = std::fs::File::open(binary::shared(DATA)).expect("the data can be read");
    let mut tally = Tally::new();
    for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
        let event: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        let feature = event["feature"].as_str().expect("a name").to_owned();
        let hours = hours_since_1970(event["event_time"].as_str().expect("a time"));
        let start = if feature == "flight.speed_mph" { hours } else { hours.div_euclid(24) * 24 };
        let (count, nulls) = tally.entry((feature, start)).or_default();
        *count += 1;
        *nulls += u64::from(event["value"].is_null());
    }
    tally
}

/// Whole hours since 1970 of `2013-04-01T05:00:00Z`, counted day by day so
/// that it shares nothing with the code under test.
fn hours_since_1970(time: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<i64>().expect("digits");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days = day - 1;
    for past in 1970..year {
        days += if leap(past) { 366 } else { 365 };
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += lengths.iter().take(usize::try_from(month - 1).expect("a month")).sum::<i64>();
    days * 24 + number(11..13)
}

/// The last revision of every window that has events.
fn last_revisions(windows: &[Value]) -> Tally {
    let mut last: BTreeMap<(String, i64), (u64, (u64, u64))> = BTreeMap::new();
    for window in windows {
        let number = |name: &str| window[name].as_u64().unwrap_or_else(|| panic!("{name}"));
        let feature = window["feature"].as_str().expect("a name").to_owned();
        let start = hours_since_1970(window["window_start"].as_str().expect("a start"));
        let revision = number("revision");
        let kept = last.entry((feature, start)).or_default();
        assert!(revision >= kept.0, "revisions grow: {window}");
        *kept = (revision, (number("count"), number("null_count")));
    }
    last.into_iter().map(|(key, (_, counts))| (key, counts)).filter(|(_, c)| c.0 > 0).collect()
}

#[test]
fn a_replay_of_the_flights_counts_every_event_and_gives_the_same_bytes_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    let report = replay(&first, true);
    replay(&second, true);
    for file in FILES {
        let read = |folder: &Path| std::fs::read(folder.join(file)).expect(file);
        assert!(read(&first) == read(&second), "{file} differs between two replays");
    }
    assert_eq!(report["events"], 341_468);
    assert_eq!((&report["rejected"], &report["late"]), (&Value::from(0), &Value::from(0)));
    println!(
        "flights: {} s, {} CPU s, {} bytes at the peak",
        report["seconds"], report["cpu_seconds"], report["peak_memory_bytes"]
    );
    assert!(report["peak_memory_bytes"].as_u64().expect("bytes") <= 300_000_000);

    let windows = binary::lines(&first.join("windows.ndjson"));
    let (counted, wanted) = (last_revisions(&windows), recount());
    assert_eq!(counted.len(), wanted.len());
    assert_eq!(counted, wanted);
    assert_eq!(counted.values().map(|(count, _)| count).sum::<u64>(), 341_468);
    accountable(&first);
}

/// At least one drift, one null rate and one latency breach of the arrival
/// delay, each with the right owner, the right first step, and a climb.
fn accountable(out: &Path) {
    let breaches = binary::lines(&out.join("breaches.ndjson"));
    let facts = binary::lines(&out.join("incidents.ndjson"));
    for (kind, first_step, role) in [
        ("drift", "data-steward", "data_steward"),
        ("null_rate", "data-steward", "data_steward"),
        ("latency", "on-call", "primary"),
    ] {
        let breach = breaches
            .iter()
            .find(|b| {
                b["kind"] == kind
                    && b["feature"] == "flight.arr_delay_min"
                    && b["transition"] == "opened"
            })
            .unwrap_or_else(|| panic!("no {kind} breach was opened"));
        assert_eq!(breach["owner"], "user:ada", "{breach}");
        assert_eq!(breach["policy"], "flights");
        assert!(!breach["exemplars"].as_array().expect("records").is_empty());
        let opened: Vec<&Value> = facts
            .iter()
            .filter(|f| f["fact"] == "opened" && f["data"]["kind"] == kind)
            .filter(|f| f["data"]["affected_features"].to_string().contains("flight.arr_delay_min"))
            .collect();
        assert!(!opened.is_empty(), "no incident of kind {kind}");
        let mut pages = 0;
        for incident in opened {
            assert_eq!(incident["data"]["owner"], "user:ada", "{incident}");
            assert_ne!(incident["data"]["unowned"], true);
            let own = || facts.iter().filter(|f| f["incident_id"] == incident["incident_id"]);
            // A warning waits for working hours and may be over by then.
            let deferred = incident["data"]["severity"] == "warning";
            let first = own().find(|f| f["fact"] == "notified");
            assert!(first.is_some() || deferred, "nobody was notified: {incident}");
            if let Some(notified) = first {
                assert_eq!(notified["data"]["step"], first_step, "{notified}");
                assert_eq!(notified["data"]["role"], role, "{notified}");
                pages += 1;
            }
            let grace = own().filter(|f| f["data"]["target"] == "user:grace");
            for fact in grace {
                let at = fact["occurred_at"].as_str().expect("a time");
                assert!(!("2013-05-06"..="2013-05-20").contains(&at), "grace was away: {fact}");
            }
        }
        assert!(pages > 0, "no page of kind {kind}");
    }
    let climbs: Vec<&Value> = facts.iter().filter(|f| f["fact"] == "escalated").collect();
    assert!(!climbs.is_empty(), "nobody acknowledges, so something must climb");
    assert!(climbs.iter().any(|f| f["data"]["trigger"] == "not_acknowledged"));
    hash_chains(&facts);
}

fn hash_chains(facts: &[Value]) {
    let mut last: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for fact in facts {
        let id = fact["incident_id"].as_str().expect("an id");
        let sequence = fact["sequence"].as_u64().expect("a number");
        match last.get(id) {
            None => assert!(fact.get("previous_hash").is_none(), "{fact}"),
            Some((before, hash)) => {
                assert_eq!(sequence, before + 1, "{fact}");
                assert_eq!(fact["previous_hash"], *hash, "{fact}");
            }
        }
        last.insert(id, (sequence, fact["hash"].as_str().expect("a hash")));
    }
}

#[test]
fn with_the_default_settings_17265_events_are_too_late() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = replay(folder.path(), false);
    assert_eq!(report["events"], 341_468);
    assert_eq!(report["late"], 17_265);
    let mut late: BTreeMap<(String, String), u64> = BTreeMap::new();
    for reject in binary::lines(&folder.path().join("rejects.ndjson")) {
        assert_eq!(reject["reason"], "late");
        let text = |name: &str| reject[name].as_str().expect("a text").to_owned();
        *late.entry((text("feature"), text("window"))).or_default() +=
            reject["count"].as_u64().expect("a count");
    }
    let expected = [
        (("flight.arr_delay_min", "1d"), 2_035),
        (("flight.origin", "1d"), 2_035),
        (("flight.speed_mph", "1h"), 11_160),
        (("flight.tailnum", "1d"), 2_035),
    ];
    let expected: BTreeMap<(String, String), u64> =
        expected.into_iter().map(|((f, w), n)| ((f.to_owned(), w.to_owned()), n)).collect();
    assert_eq!(late, expected);

    // What the windows counted and what came too late are all the events.
    let windows = binary::lines(&folder.path().join("windows.ndjson"));
    let counted: u64 = last_revisions(&windows).values().map(|(count, _)| count).sum();
    assert_eq!(counted + 17_265, 341_468);
    let features: BTreeSet<&str> = windows.iter().filter_map(|w| w["feature"].as_str()).collect();
    assert_eq!(features.len(), 4);
}
