//! Snapshots in a running service: a restart uses them, and whatever becomes of
//! their folder the windows are those of a service that never stopped.

use std::path::{Path, PathBuf};

use watchkeep_tests::binary;
use watchkeep_tests::service::Service;

/// An event hours after the last one: every window before it is told.
const SENTINEL: &str = r#"{"feature":"sentinel","event_time":"2026-01-20T00:00:00Z","value":1}"#;

/// Telemetry of some hours, the sentinel at its end: in one file, and in three.
fn telemetry(folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let all = folder.join("all.ndjson");
    binary::run([
        "generate".as_ref(),
        "nulls".as_ref(),
        "--events".as_ref(),
        "9000".as_ref(),
        "--rate".as_ref(),
        "1".as_ref(),
        "--features".as_ref(),
        "20".as_ref(),
        "--out".as_ref(),
        all.as_os_str(),
    ]);
    let text = std::fs::read_to_string(all).expect("telemetry");
    let lines: Vec<&str> = text.lines().chain([SENTINEL]).collect();
    let write = |(number, lines): (usize, &[&str])| {
        let path = folder.join(format!("{number}.ndjson"));
        std::fs::write(&path, lines.join("\n") + "\n").expect("disk");
        path
    };
    let parts = lines.chunks(lines.len().div_ceil(3)).enumerate().map(write).collect();
    (write((9, &lines)), parts)
}

/// Feeds a part to the service, which is stopped, and lets it work that off.
fn work_off(service: &mut Service, part: &Path) {
    let lines = std::fs::read_to_string(part).expect("telemetry").lines().count();
    service.run(&["produce", "--input", part.to_str().expect("a path of text")]);
    service.start();
    let count = lines as f64;
    service.wait_for("events", |service| service.metric("watchkeep_events_total") >= count);
    service.stop();
}

/// Windows up to the sentinel, sorted.
fn windows(service: &mut Service) -> Vec<String> {
    let of = |service: &Service| -> Vec<String> {
        let windows = service.export("windows");
        let told = windows.iter().filter(|window| window["feature"] != "sentinel");
        told.map(ToString::to_string).collect()
    };
    // What was summarised at last may not be evaluated yet.
    let mut before = Vec::new();
    loop {
        let mut now = of(service);
        now.sort();
        if now == before && !now.is_empty() {
            return now;
        }
        before = now;
        service.start();
        service.wait_for("evaluate", |s| s.metric("watchkeep_stage_ready") >= 3.0);
        std::thread::sleep(std::time::Duration::from_secs(2));
        service.stop();
    }
}

fn store(service: &Service) -> PathBuf {
    service.folder().join("log/cache/evaluate-0/snapshots")
}

#[test]
fn a_restart_uses_the_snapshot_and_its_folder_may_be_damaged_or_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, parts) = telemetry(folder.path());
    let mut calm = Service::embedded("");
    work_off(&mut calm, &whole);
    let calm = windows(&mut calm);
    assert!(calm.len() > 20, "{}", calm.len());

    let mut service = Service::embedded("");
    work_off(&mut service, &parts[0]);
    assert!(store(&service).exists(), "no snapshot was saved:\n{}", service.log());
    work_off(&mut service, &parts[1]);
    let used = service.log().matches("restored from the snapshot").count();
    assert_eq!(used, 4, "one for each partition:\n{}", service.log());

    // Nothing in it is as it was.
    let db = store(&service).join("db");
    let mut bytes = std::fs::read(&db).expect("a store");
    bytes.iter_mut().for_each(|byte| *byte ^= 0xA5);
    std::fs::write(&db, &bytes).expect("disk");
    work_off(&mut service, &parts[2]);
    let used = service.log().matches("restored from the snapshot").count();
    assert_eq!(used, 4, "no more than before:\n{}", service.log());
    std::fs::remove_dir_all(service.folder().join("log/cache")).expect("a folder");
    assert_eq!(windows(&mut service), calm);
}
