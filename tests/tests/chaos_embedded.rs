//! Real faults under the embedded log: a process that is killed while
//! telemetry is posted, a disk that is full, a clock that goes back.

use std::time::{Duration, Instant};

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
    let (status, log) = service.await_end().unwrap();
    assert_eq!(status.code(), Some(2), "{refused}\n{log}");
    let folder = service.log_folder().display().to_string();
    assert!(log.contains("No space left on device") && log.contains(&folder), "{log}");
    assert!(client.acknowledged() > 1_000, "{} events", client.acknowledged());

    // Begun again without room it says so again, and leaves what is there alone.
    if let Err(log) = service.start(&[]) {
        assert!(log.contains("No space left on device"), "{log}");
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
