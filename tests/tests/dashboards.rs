//! What a service shows of itself: `/metrics` as Prometheus reads it, the
//! dashboard for Grafana that is made of them, and its own page.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watchkeep_tests::binary;
use watchkeep_tests::service::Service;

const CHARTER: &str = "kind: directory
users: {ada: {contacts: [{tool: email, to: ada@example.com}]}}
governance: user:ada
---
kind: charter
subject: feature:ride.price
owners: {primary: user:ada}
upstream: [dataset:rides]
expectations: [{name: nulls, kind: null_rate, window: 1m, above: 0.1}]
";

/// Units that Prometheus has no base units in: seconds and bytes are.
const OTHER_UNITS: [&str; 6] = ["_ms", "_millis", "_milliseconds", "_minutes", "_kib", "_mb"];

/// A service that has taken two windows, the first of them bad.
fn service() -> Service {
    let mut service = Service::embedded("[charters]\nfolder = \"charters\"\n");
    let folder = service.folder().join("charters");
    std::fs::create_dir(&folder).expect("disk");
    std::fs::write(folder.join("ride.yaml"), CHARTER).expect("disk");
    let mut lines = String::from("not telemetry\n");
    for second in 0..120 {
        let value = if second < 60 { "null" } else { "1.5" };
        let (minute, second) = (second / 60, second % 60);
        lines.push_str(&format!(
            "{{\"feature\":\"ride.price\",\"event_time\":\"2013-05-08T00:{minute:02}:{second:02}Z\",\"value\":{value}}}\n"
        ));
    }
    let file = service.folder().join("in.ndjson");
    std::fs::write(&file, lines).expect("disk");
    service.run(&["produce", "--input", file.to_str().expect("text")]);
    service.start();
    service.wait_for("breach", |service| service.metric("watchkeep_breaches_total") > 0.0);
    service
}

/// Names in a text that begin as metrics do.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let found = text.match_indices("watchkeep_").map(|(at, _)| {
        let end = text[at..].find(|c| !is_name(c)).unwrap_or(text.len() - at);
        text[at..at + end].to_owned()
    });
    found.collect()
}

#[test]
fn metrics_are_sound_the_dashboard_knows_them_and_the_page_answers() {
    let service = service();
    let text = service.get("/metrics");
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut told = BTreeSet::new();
    let mut samples = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a text");
            assert!(told.insert(name) && help.ends_with('.'), "told once, as a sentence: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(told.contains(name) && types.insert(name, kind).is_none(), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(OTHER_UNITS.iter().all(|unit| !name.contains(unit)), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().expect("a name");
            assert!(types.contains_key(name), "before its type: {line}");
            assert!(samples.insert(sample), "twice: {line}");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        }
    }
    assert!(types.len() > 8, "{text}");

    // What is not told yet, because nothing of it has happened, is in the source.
    let source = binary::root().join("crates/app/src/metrics.rs");
    let known = names(&std::fs::read_to_string(source).expect("the source"));
    assert!(types.keys().all(|name| known.contains(*name)), "{types:?}");
    let dashboard = binary::root().join("docker/grafana/watchkeep.json");
    let dashboard = std::fs::read_to_string(dashboard).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let of_target = names(target["expr"].as_str().expect("an expression"));
            assert!(!of_target.is_empty(), "{panel}");
            shown.extend(of_target);
        }
    }
    let unknown: Vec<&String> = shown.difference(&known).collect();
    assert!(unknown.is_empty(), "the dashboard asks for what there is not: {unknown:?}");
    assert!(shown.len() > 12, "{shown:?}");

    let page = service.get("/");
    for wanted in ["ride.price", "user:ada", "<html", "</html>"] {
        assert!(page.contains(wanted), "{wanted} is not on the page:\n{page}");
    }
    assert!(!page.contains("https://"), "the page needs something from elsewhere:\n{page}");
}
