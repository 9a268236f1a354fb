//! Run events by the lineage topic of the embedded log, beside a service.

use watchkeep_tests::runs::{play, run_event};
use watchkeep_tests::service::Service;

#[test]
fn a_failed_load_is_blamed_by_a_service_and_by_a_replay_of_its_log() {
    let mut service = Service::embedded("[charters]\nsource = \"topic\"");
    play(&mut service);

    // OpenLineage's own way to send, to a service that begins anew.
    service.start();
    service.wait_for("start", |s| s.metric("watchkeep_") > 0.0);
    let sent = |body: &str| service.post("/api/v1/lineage", body).0;
    assert_eq!(sent(&run_event("COMPLETE", "09:30:00")), 201);
    assert_eq!(sent("{\"eventType\":\"COMPLETE\"}"), 400);
    let show = |more: &[&str]| service.attempt(&[&["lineage", "show"][..], more].concat());
    let (code, shown) = show(&["dataset:raw/rides", "--down", "--at", "2026-01-05T10:00:00Z"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("2026-01-05T09:30:00Z") && !shown.contains("failed"), "{shown}");
    // Longer than a month ago, and a name that is not there.
    let (code, shown) = show(&["dataset:raw/rides", "--down", "--at", "2026-03-01"]);
    assert!(code == 0 && shown.contains("stale"), "{shown}");
    let (code, shown) = show(&["dataset:raw/ride"]);
    assert!(code == 2 && shown.contains("did you mean `dataset:raw/rides`?"), "{shown}");

    // Who answers is asked of the service that has the log, and told the same.
    let (code, asked) = service.attempt(&["who", "ride.price", "--at", "2026-01-05T10:00:00Z"]);
    assert!(asked.contains(" answers") && !asked.contains("stop the service"), "{code}: {asked}");
    let (code, unknown) = service.attempt(&["who", "no.such"]);
    assert!(code == 1 && unknown.contains("no charter"), "{unknown}");
    service.stop();
    let (_, alone) = service.attempt(&["who", "ride.price", "--at", "2026-01-05T10:00:00Z"]);
    assert!(alone.starts_with(&asked), "{asked}\n{alone}");
}
