//! Real faults under the embedded log: a process that is killed while
//! telemetry is posted, a disk that is full, a clock that goes back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use watchkeep_model::incident::FactData;
use watchkeep_tests::chaos::audit::{Findings, audit_facts};
use watchkeep_tests::chaos::disk::SmallDisk;
use watchkeep_tests::chaos::embedded::{Client, Embedded};
use watchkeep_tests::chaos::faults::Counts;
use watchkeep_tests::chaos::random::Random;
use watchkeep_tests::chaos::{NO_DEADLINE, Plan};

/// Events of 10 s of event time make a window; `rate` and `speed` say how many.
fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        nodes: 0,
        instances: 1,
        partitions: 1,
        partitions_later: 1,
        rate: 2_000,
        speed: 20,
        events: 0,
        faults: Counts::default(),
        script: &[],
        gap: (Duration::from_millis(200), Duration::from_millis(1_500)),
        broker_away: (Duration::ZERO, Duration::ZERO),
        commit_interval: Duration::from_millis(50),
        acknowledge_within: NO_DEADLINE,
        is_told: false,
    }
}

/// Ends the run, reads the log and holds it against what was acknowledged and
/// against what it holds itself.
fn finish(plan: &Plan, client: &Client, service: &mut Embedded) -> Findings {
    client.end(service).unwrap();
    service.stop().unwrap();
    let truth = client.check(&service.export("feature.telemetry").unwrap()).unwrap();
    assert!(truth.events >= client.acknowledged());
    let published = service.published().unwrap();
    assert!(published.windows.len() > 100, "{} windows", published.windows.len());
    let findings = audit_facts(plan, &truth, &published);
    assert!(findings.is_clean(), "seed {}: {findings:#?}", plan.seed);
    findings
}

#[test]
fn a_killed_service_loses_no_acknowledged_event_and_doubles_none() {
    let plan = plan(3);
    let mut random = Random::new(plan.seed);
    let mut service = Embedded::new(&plan, None).unwrap();
    let mut client = Client::new(&plan);
    for _ in 0..8 {
        service.start(&[]).unwrap();
        let until = Instant::now() + random.between(plan.gap);
        std::thread::scope(|scope| {
            let (client, service) = (&mut client, &service);
            let posting = scope.spawn(move || {
                // Until a post fails: the process is gone.
                while client.post(service).is_ok() {}
            });
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            service.signal_kill();
            posting.join().unwrap();
        });
        service.kill();
    }
    service.start(&[]).unwrap();
    finish(&plan, &client, &mut service);
}

#[test]
fn a_full_disk_ends_the_service_with_the_reason_and_it_goes_on_when_there_is_room() {
    let plan = plan(4);
    let disk = SmallDisk::mount(6_000).unwrap_or_else(|why| panic!("{why}"));
    let mut service = Embedded::new(&plan, Some(&disk.path().join("log"))).unwrap();
    let mut client = Client::new(&plan);
    service.start(&[]).unwrap();
    let refused = loop {
        if let Err(why) = client.post(&service) {
            break why;
        }
    };
    let (status, log) =
        service.await_end().unwrap_or_else(|why| panic!("{why} after a refusal: {refused}"));
    assert_eq!(status.code(), Some(2), "{refused}\n{log}");
    let folder = service.log_folder().display().to_string();
    assert!(log.contains("the disk is full") && log.contains(&folder), "{log}");
    assert!(client.acknowledged() > 1_000, "{} events", client.acknowledged());

    // Begun again without room it says so again, and leaves what is there alone.
    if let Err(log) = service.start(&[]) {
        assert!(log.contains("the disk is full"), "{log}");
    }
    service.kill();

    disk.resize(64_000).unwrap();
    service.start(&[]).unwrap();
    let before = client.acknowledged();
    while client.acknowledged() < before + 10_000 {
        client.post(&service).unwrap();
    }
    finish(&plan, &client, &mut service);
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_large_commit_leaves_none_of_it() {
    let plan = plan(6);
    // What is left of a request depends on how far the disk goes.
    for kib in [8_000, 10_000, 13_000, 16_000] {
        let disk = SmallDisk::mount(kib).unwrap_or_else(|why| panic!("{why}"));
        let mut service = Embedded::new(&plan, Some(&disk.path().join("log"))).unwrap();
        let mut client = Client::with_batches_of(8_000, &plan);
        service.start(&[]).unwrap();
        while client.post(&service).is_ok() {}
        let (_, log) = service.await_end().unwrap();
        assert!(log.contains("the disk is full"), "{kib} KiB: {log}");

        disk.resize(300_000).unwrap();
        service.start(&[]).unwrap_or_else(|log| panic!("{kib} KiB: {log}"));
        let before = client.acknowledged();
        client.post(&service).unwrap();
        assert!(client.acknowledged() > before, "{kib} KiB");
        finish(&plan, &client, &mut service);
    }
}

/// The library of `faketime`, which changes the time of day of a program.
fn fake_time() -> String {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = found.into_iter().find(|path| path.exists());
    let found = found.expect("this test needs faketime: install Debian's package of that name");
    found.display().to_string()
}

#[test]
fn a_clock_that_goes_back_by_an_hour_fires_nothing_twice_and_holds_nothing_up() {
    // Pages are answered by nobody, so each climbs a step after three seconds.
    let plan = Plan { acknowledge_within: Duration::from_secs(3), ..plan(5) };
    let mut service = Embedded::new(&plan, None).unwrap();
    let mut client = Client::new(&plan);
    let offset = service.log_folder().with_file_name("offset");
    let set = |text: &str| {
        // Written aside and moved, so that it is never read half.
        let aside = offset.with_extension("new");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(&aside, &offset).unwrap();
    };
    set("+0");
    let library = fake_time();
    let file = offset.display().to_string();
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    service.start(&environment).unwrap();
    let mut post = |service: &Embedded, seconds: u64| {
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            client.post(service).unwrap();
        }
    };
    post(&service, 3);
    let windows = |service: &Embedded| service.metric("watchkeep_windows_total").unwrap_or(0.0);
    let before = windows(&service);
    assert!(before > 0.0, "no window was told");

    set("-1h");
    post(&service, 4);
    let after = windows(&service);
    assert!(after > before, "no window was told after the clock went back: {before}, {after}");
    // Begun anew, it finds facts of a time that is still to come.
    service.kill();
    service.start(&environment).unwrap();
    post(&service, 4);

    set("+0");
    post(&service, 5);
    finish(&plan, &client, &mut service);
    let published = service.published().unwrap();
    let mut climbed = BTreeSet::new();
    for fact in published.incidents.iter().map(|at| &at.fact) {
        if let FactData::Escalated(step) = &fact.data {
            let key = (fact.incident_id.clone(), step.to_step.clone(), step.climb, step.due_at);
            assert!(climbed.insert(key), "climbed twice: {fact:?}");
        }
    }
    assert!(!climbed.is_empty(), "nobody was passed over");
    let mut paged = BTreeSet::new();
    for page in published.escalations.iter().map(|at| &at.fact) {
        let key =
            (&page.incident_id, &page.step, page.climb, &page.target, &page.reason, page.time);
        assert!(paged.insert(key), "paged twice: {page:?}");
    }
}
