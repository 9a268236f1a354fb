//! The ledger: a service's own output proves that every record counts once,
//! a replay of its summaries gives the same bytes, and a log that lies is found out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use watchkeep_log_kafka::appender::KafkaAppender;
use watchkeep_log_kafka::reader::KafkaReader;
use watchkeep_log_kafka::settings::KafkaSettings;
use watchkeep_model::position::Partition;
use watchkeep_runtime::log::Outgoing;
use watchkeep_tests::service::Service;
use watchkeep_tests::{binary, kafka};

const FLIGHTS: &str = "data/flights/flights-2013q2.ndjson.gz";

/// The example charters, and shorter times than a service would have.
fn settings(folder: &Path) -> String {
    let charters = folder.join("charters.yaml");
    let copied = binary::shared("examples/charters");
    for entry in std::fs::read_dir(copied).expect("the examples").flatten() {
        let name = entry.file_name();
        std::fs::copy(entry.path(), folder.join(&name)).expect("disk");
    }
    // What Watchkeep tells of itself has no charter: this one pages at once.
    std::fs::write(
        &charters,
        "kind: charter\nsubject: service:watchkeep\nowners: {primary: user:ada}\npolicy: at-once\n\
         ---\nkind: policy\nname: at-once\nversion: 1\ngrouping: {group_wait: 1s}\n\
         steps: [{name: now, notify: [{role: primary}], channels: [{tool: email}], acknowledge_within: 10m}]\n",
    )
    .expect("disk");
    format!("[charters]\nfolder = \"{}\"\n", folder.display())
}

/// Late events are lost to their windows after ten minutes, and silence is told of soon.
fn hasten(service: &Service) {
    let text = std::fs::read_to_string(service.config()).expect("the configuration");
    let text = text
        .replace("allowed_lateness = \"1d\"", "allowed_lateness = \"2h\"\ndead_man_after = \"4s\"");
    std::fs::write(service.config(), text).expect("disk");
}

fn audit(service: &Service, arguments: &[&str]) -> (bool, Value) {
    let config = service.config();
    let output = binary::command(["audit", "ledger", "--format", "json"])
        .args(arguments)
        .arg("-c")
        .arg(config)
        .output()
        .expect("the binary can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"));
    (output.status.success(), report)
}

fn sorted(mut lines: Vec<Value>) -> Vec<String> {
    lines.sort_by_cached_key(Value::to_string);
    lines.iter().map(Value::to_string).collect()
}

/// Works the flights off and stops once telemetry was found silent and told of.
fn work_off(service: &mut Service, prefix: &str) {
    let flights = binary::shared(FLIGHTS);
    service.run(&["produce", "--input", flights.to_str().expect("text")]);
    service.start();
    service.wait_for("the dead man's page", |service| {
        service.metric("watchkeep_breaches_total{transition=\"opened\"}") > 5.0
            && service.log().contains("dead_man")
    });
    // The page itself follows at the end of its group_wait.
    service.wait_for("the page", |service| service.metric("watchkeep_escalations_total") > 0.0);
    std::thread::sleep(std::time::Duration::from_secs(3));
    service.stop();
    let pages = service.export(&format!("{prefix}escalations"));
    assert!(
        pages.iter().any(|page| page["affected_features"][0] == "service:watchkeep"
            && page["owner"] == "user:ada"),
        "{pages:?}"
    );
}

fn assert_replay_of_summaries_is_the_same(service: &Service, prefix: &str) {
    let out = service.folder().join("out");
    let out_text = out.to_str().expect("text");
    service.run(&["replay", "--input", "summaries", "--as-live", "--out", out_text]);
    for name in ["windows", "breaches", "rejects"] {
        let live = sorted(service.export(&format!("{prefix}{name}")));
        let replayed = sorted(binary::lines(&out.join(format!("{name}.ndjson"))));
        assert!(!live.is_empty(), "{name}");
        assert_eq!(live.len(), replayed.len(), "{name}");
        for (live, replayed) in live.iter().zip(&replayed) {
            assert_eq!(live, replayed, "{name}");
        }
    }
    let audited = binary::command(["audit", "ledger", "--from", out_text]).output().expect("runs");
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stdout));
}

/// A replay from the telemetry differs by late records alone, and lists those.
fn assert_replay_of_telemetry_differs_by_late_records_alone(service: &Service, prefix: &str) {
    let out = service.folder().join("raw");
    let out = out.to_str().expect("text");
    let config = service.config();
    // In a folder where nothing else is called kafka.
    let replayed = binary::command(["replay", "--input", "kafka", "--out", out, "-c"])
        .arg(&config)
        .current_dir(service.folder())
        .output()
        .expect("the binary can be run");
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let compared = || {
        binary::command(["audit", "replay", out, "--format", "json", "-c"])
            .arg(&config)
            .output()
            .expect("the binary can be run")
    };
    let output = compared();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let comparison: Value = serde_json::from_str(&told).expect("JSON");
    assert!(comparison["same"].as_u64() > Some(1_000), "{told}");
    assert_eq!(comparison["ranges"], serde_json::json!([]), "{told}");
    let differences = comparison["differences"].as_array().expect("a list");
    for difference in differences {
        let side = |run: &str, what: &str| difference[run][what].as_u64().unwrap_or(0);
        let [ours, theirs] =
            ["service", "replay"].map(|run| side(run, "count") + side(run, "late"));
        assert_eq!(ours, theirs, "{difference}");
    }

    // One event less in one window of a feature that had late records elsewhere.
    let late: Vec<&Value> = differences.iter().filter(|one| one["why"] == "late").collect();
    assert!(!late.is_empty(), "nothing was late: {told}");
    let file = Path::new(out).join("windows.ndjson");
    let mut lines = binary::lines(&file);
    let name = |line: &Value| {
        ["feature", "feature_version", "window", "window_start"].map(|name| line[name].to_string())
    };
    // What only one run has decided, because the other ended before, is not compared.
    let decided: BTreeSet<[String; 4]> =
        service.export(&format!("{prefix}windows")).iter().map(name).collect();
    let last: BTreeMap<[String; 4], u64> = lines
        .iter()
        .map(|line| (name(line), line["revision"].as_u64().expect("a number")))
        .fold(BTreeMap::new(), |mut last, (name, revision)| {
            let known = last.entry(name).or_default();
            *known = revision.max(*known);
            last
        });
    let is_other = |line: &Value| {
        line["count"].as_u64() > Some(1)
            && decided.contains(&name(line))
            && line["revision"].as_u64() == last.get(&name(line)).copied()
            && late.iter().any(|one| one["feature"] == line["feature"])
            && differences.iter().all(|one| name(one) != name(line))
    };
    let planted = lines.iter_mut().find(|line| is_other(line)).expect("such a window");
    planted["count"] = (planted["count"].as_u64().unwrap_or(0) - 1).into();
    let planted = planted.clone();
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&file, text.join("\n")).expect("disk");
    let output = compared();
    assert_eq!(output.status.code(), Some(1), "{planted}");
    let comparison: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let unexplained: Vec<&Value> = comparison["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["why"] == "unexplained")
        .collect();
    let [found] = &unexplained[..] else { panic!("{planted}: {unexplained:#?}") };
    assert_eq!(name(found), name(&planted), "{found}");
}

#[test]
fn the_output_of_an_embedded_service_proves_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut service = Service::embedded(&settings(folder.path()));
    hasten(&service);
    work_off(&mut service, "watchkeep.");
    let (whole, report) = audit(&service, &["--windows"]);
    assert!(whole, "{report:#}");
    assert_eq!(report["coverage"][0]["from"], 0);
    assert_eq!(report["coverage"][0]["to"], 341_468);
    let events: i64 = report["summaries"]
        .as_array()
        .expect("partitions")
        .iter()
        .filter_map(|one| one["events"].as_i64())
        .sum();
    assert_eq!(events, 341_468);
    assert!(report["recounted"]["windows"].as_u64() > Some(2_000), "{report:#}");
    assert!(report["facts"]["late events, per window"].as_u64() > Some(0), "{report:#}");
    assert_replay_of_summaries_is_the_same(&service, "watchkeep.");
}

/// A record of a summaries partition, as it lies there.
struct Lain {
    partition: i32,
    value: Vec<u8>,
}

/// Copies the summaries of one deployment into those of another, with lies.
struct Copying<'a> {
    settings: KafkaSettings,
    from: &'a str,
    /// Records of each partition.
    records: Vec<Vec<Lain>>,
}

impl<'a> Copying<'a> {
    fn of(bootstrap: &str, from: &'a str) -> Self {
        let settings = KafkaSettings::new(bootstrap);
        let mut reader = KafkaReader::open(&settings).expect("a reader");
        let topic = format!("{from}summaries");
        let count = reader.partition_count(&topic).expect("the topic");
        let records = (0..count)
            .map(|number| {
                let mut records = Vec::new();
                let partition = Partition::new(topic.as_str(), number);
                reader
                    .scan(&partition, 0, i64::MAX, &mut |record| {
                        let value = record.value.to_vec();
                        records.push(Lain { partition: number, value });
                    })
                    .expect("records");
                records
            })
            .collect();
        Self { settings, from, records }
    }

    /// Writes the copy; `lie` answers how often a record is written.
    fn write(&self, to: &str, lie: impl Fn(i32, usize) -> usize) {
        let mut appender = KafkaAppender::open(&self.settings).expect("a writer");
        let topic: Arc<str> = format!("{to}summaries").into();
        for records in &self.records {
            for (number, record) in records.iter().enumerate() {
                for _ in 0..lie(record.partition, number) {
                    let outgoing = Outgoing {
                        topic: topic.clone(),
                        partition: Some(record.partition),
                        key: None,
                        value: record.value.clone(),
                        headers: Vec::new(),
                    };
                    appender.append(&outgoing, None).expect("appended");
                }
            }
        }
        appender.flush().expect("written");
        assert_ne!(self.from, to);
    }
}

#[test]
fn a_log_that_lies_is_found_out_lie_by_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    // Many partitions make many records, to lie about.
    let settings = format!("{}[topics.partitions]\nsummaries = 8\n", settings(folder.path()));
    let cluster = kafka::Cluster::shared();
    let mut service = Service::kafka(cluster, "true", 2, "json", &settings);
    hasten(&service);
    work_off(&mut service, "true.");
    let (whole, report) = audit(&service, &["--windows"]);
    assert!(whole, "{report:#}");
    assert_replay_of_summaries_is_the_same(&service, "true.");
    assert_replay_of_telemetry_differs_by_late_records_alone(&service, "true.");

    // A hundred lies in one copy: every other one a record that is left out,
    // else one that is there twice, spread over all partitions.
    let copying = Copying::of(cluster.bootstrap(), "true.");
    let lengths: Vec<usize> = copying.records.iter().map(Vec::len).collect();
    let mut lies: Vec<(i32, usize, usize)> = Vec::new();
    // Neither the first nor the last of a partition, and none beside another.
    let places = (1..).step_by(3);
    'places: for number in places {
        for (partition, length) in (0..).zip(&lengths) {
            if lies.len() == 100 {
                break 'places;
            }
            assert!(number < *lengths.iter().max().expect("partitions"), "too few: {lengths:?}");
            if number + 1 < *length {
                lies.push((partition, number, if lies.len().is_multiple_of(2) { 0 } else { 2 }));
            }
        }
    }
    let lying = Service::kafka(cluster, "lying", 2, "json", &settings);
    let told = |partition: i32, number: usize| {
        let lie = lies.iter().find(|(p, n, _)| (*p, *n) == (partition, number));
        lie.map_or(1, |(.., times)| *times)
    };
    copying.write("lying.", told);
    let (whole, report) = audit(&lying, &[]);
    assert!(!whole);
    let findings = report["findings"].as_array().expect("findings");
    let place = |finding: &Value| -> Option<(i64, i64)> {
        let at = &finding["at"];
        Some((at["partition"].as_i64()?, at["offset"].as_i64()?))
    };
    let found: BTreeSet<(i64, i64)> = findings.iter().filter_map(place).collect();
    let mut missed = Vec::new();
    for &(partition, number, times) in &lies {
        // Where the lie lies in the copy: what came before was shortened and lengthened.
        let before: usize = (0..number).map(|before| told(partition, before)).sum();
        let offset = if times == 0 { before } else { before + 1 };
        if !found.contains(&(i64::from(partition), offset as i64)) {
            missed.push((partition, number, times));
        }
    }
    assert!(missed.is_empty(), "{} of 100 lies were not found: {missed:?}", missed.len());
    // What else is found are further ranges of records that were left out: of
    // a source partition that the next record did not tell of.
    let doubled = findings.iter().filter(|finding| finding["fault"] == "duplicate").count();
    let gaps = findings.iter().filter(|finding| finding["fault"] == "gap").count();
    assert_eq!((doubled, gaps), (50, findings.len() - 50), "{report:#}");

    // A partition that was cut off at its end is behind the others.
    let cut = Service::kafka(cluster, "cut", 2, "json", &settings);
    let last = lengths[1] - 1;
    copying.write("cut.", |partition, number| usize::from((partition, number) != (1, last)));
    let (whole, report) = audit(&cut, &[]);
    assert!(!whole);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(report["findings"][0]["fault"], "behind", "{report:#}");

    // A service that meets a gap stops that partition, says so and pages.
    let mut torn = Service::kafka(cluster, "torn", 2, "json", &settings);
    copying.write("torn.", |partition, number| match (partition, number) {
        (0, 5) => 2,
        (1, 7) => 0,
        _ => 1,
    });
    torn.start();
    torn.wait_for("the page", |torn| {
        torn.export("torn.escalations").iter().any(|page| {
            page["affected_features"][0] == "service:watchkeep" && page["severity"] == "critical"
        })
    });
    torn.wait_for("the gauge", |torn| torn.metric("watchkeep_ledger_torn") > 0.0);
    let breaches = torn.export("torn.breaches");
    let told: Vec<&Value> =
        breaches.iter().filter(|breach| breach["expectation"] == "ledger").collect();
    let [breach] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((&breach["kind"], &breach["transition"]), (&"platform".into(), &"opened".into()));
    assert_eq!(breach["exemplars"][0]["partition"], 1);
    assert_eq!(breach["exemplars"][0]["offset"], 7);
    assert!(
        breach["reason"].as_str().is_some_and(|reason| reason.contains("of true.telemetry/")),
        "{breach}"
    );
    // A restart does not tell it again, and the other partitions go on.
    torn.stop();
    torn.start();
    torn.wait_for("the gauge", |torn| torn.metric("watchkeep_ledger_torn") > 0.0);
    torn.wait_for("a duplicate", |torn| torn.log().contains("evaluation has stopped"));
    torn.stop();
    let again = torn.export("torn.breaches");
    assert_eq!(again.iter().filter(|breach| breach["expectation"] == "ledger").count(), 1);
    assert!(torn.export("torn.windows").len() > 100);
}
