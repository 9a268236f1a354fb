//! Whatever telemetry holds, each expectation has a stated result or says why not,
//! by the binary, and memory stays bounded. A million categories a window:
//! `cargo run --release -p watchkeep-tests --example bad_input`.

use serde_json::Value;
use watchkeep_tests::bad_input::{FREQUENT, Outcome, Scale, faults, replay};

/// (feature, expectation, verdict, what the reason says) in the last full window.
const CASES: [(&str, &str, &str, &str); 32] = [
    ("nulls", "fixed", "not_judged", "the window has no values"),
    ("nulls", "profile", "not_judged", ""),
    ("nulls", "nulls", "bad", "null share 1.0000"),
    ("nulls", "range", "not_judged", "the window has no numbers"),
    ("nulls", "allowed", "not_judged", "the window has no categories"),
    ("nulls", "learned", "not_judged", "good windows in the 1d before"),
    ("equal", "fixed", "good", ""),
    ("equal", "fixed-empty", "not_judged", "holds no event"),
    ("equal", "rolling", "good", ""),
    ("equal", "seasonal", "not_judged", "has 0 of 7 windows"),
    ("equal", "profile", "good", ""),
    ("equal", "usual", "not_judged", "has 2 of 3 windows"),
    ("equal", "silence", "good", ""),
    ("equal", "slo", "good", ""),
    ("two", "fixed", "good", ""),
    ("two", "volume", "good", ""),
    ("one", "fixed", "not_judged", "fewer than min_samples = 12"),
    ("one", "latency", "not_judged", "fewer than min_samples = 12"),
    ("one", "freshness", "not_judged", "fewer than min_samples = 12"),
    ("one", "errors", "not_judged", "fewer than min_samples = 12"),
    ("one", "volume", "bad", "1 events, fewer than 10"),
    ("far", "fixed", "good", ""),
    ("far", "range", "bad", "outside -1e100 to 1e100"),
    ("mixed", "fixed", "good", ""),
    ("mixed", "allowed", "good", ""),
    ("late", "fixed", "not_judged", "holds no event"),
    ("late", "rolling", "not_judged", "has 0 of 1 windows"),
    ("long", "fixed", "good", ""),
    ("long", "allowed", "bad", "share 1.0000 of unseen categories"),
    ("very_many", "fixed", "good", ""),
    ("very_many", "range", "not_judged", "the window has no numbers"),
    (
        "very_many",
        "allowed",
        "bad",
        "share 1.0000 of unseen categories is above 0.1: search, basket",
    ),
];

fn window<'a>(outcome: &'a Outcome, feature: &str) -> &'a Value {
    let name = format!("bad.{feature}");
    let mut windows = outcome.windows.iter();
    windows
        .rfind(|w| w["feature"] == *name && w["partial"] != true)
        .expect("a window of each feature")
}

#[test]
fn every_oddity_has_a_stated_result_for_every_expectation() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outcome = replay(folder.path(), Scale { categories: 9_000, bytes: 1_000_000 });
    let full = outcome.windows.iter().filter(|window| window["partial"] != true);
    assert!(full.clone().count() > 20, "{} windows", full.count());
    let wrong: Vec<String> = full.flat_map(faults).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (feature, expectation, verdict, reason) in CASES {
        let judged = window(&outcome, feature)["judged"].as_array().expect("judged");
        let one = judged.iter().find(|one| one["expectation"] == expectation).expect("by name");
        let says = one["reason"].as_str().unwrap_or_default();
        assert_eq!(one["verdict"], verdict, "{feature}: {one}");
        assert!(says.contains(reason), "{feature} {expectation}: {says}");
    }
    // Text that is no number is a reject with its reason, and no window has it.
    assert_eq!(outcome.rejects.len(), 3 * 36);
    assert!(outcome.rejects.iter().all(|reject| reject["detail"].is_string()));
    let top = window(&outcome, "very_many")["top"].as_array().expect("categories");
    let names: Vec<&str> = top.iter().filter_map(|pair| pair[0].as_str()).collect();
    assert_eq!(names[..5], FREQUENT.map(|(name, _)| name));
    let peak = outcome.summary["peak_memory_bytes"].as_u64().expect("is measured");
    assert!(peak < 128 << 20, "{peak} bytes");
}
