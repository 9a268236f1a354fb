//! Edges that come and go, and runs that go wrong.

use std::sync::Arc;

use watchkeep_model::lineage::{Assertion, COLUMN_HAS_TYPE, Ownership, RunEvent, RunState};
use watchkeep_model::time::TimeSpan;

use super::*;
use crate::tests::scene::at;

const MAX_AGE: TimeSpan = TimeSpan::WEEK;

fn run(when: &str, run: &str, state: RunState) -> RunEvent {
    RunEvent {
        at: at(when),
        job: "pipeline:p".into(),
        run: run.into(),
        state,
        message: None,
        inputs: vec!["dataset:a".into()],
        outputs: vec!["dataset:b".into()],
        assertions: Vec::new(),
        owners: Vec::new(),
    }
}

fn built(runs: &[RunEvent]) -> Lineage {
    let mut builder = Builder::default();
    runs.iter().for_each(|run| builder.run(run));
    builder.build()
}

fn state(lineage: &Lineage, from: &str, to: &str, when: &str) -> EdgeState {
    let (from, to) = (lineage.node(from).unwrap(), lineage.node(to).unwrap());
    let mut all = lineage.users(from, at(when), MAX_AGE);
    all.find(|one| one.node == to).map_or(EdgeState::Unknown, |one| one.state)
}

fn trouble<'l>(lineage: &'l Lineage, node: &str, when: &str) -> &'l str {
    let node = lineage.node(node).unwrap();
    lineage.trouble(node, at(when), MAX_AGE).map_or("", |(_, what)| what)
}

#[test]
fn an_edge_is_known_from_its_first_run_until_a_while_after_its_last() {
    let lineage = built(&[
        run("05-01", "1", RunState::Completed),
        run("05-03", "2", RunState::Completed),
        run("05-20", "3", RunState::Completed),
    ]);
    let state = |when: &str| state(&lineage, "dataset:a", "pipeline:p", when);
    assert_eq!(state("04-30"), EdgeState::Unknown);
    assert_eq!(state("05-01"), EdgeState::Seen(at("05-01")));
    assert_eq!(state("05-10"), EdgeState::Seen(at("05-03")));
    assert_eq!(state("05-11"), EdgeState::Stale(at("05-03")));
    assert_eq!(state("05-21"), EdgeState::Seen(at("05-20")));
}

#[test]
fn a_declared_edge_holds_while_it_is_declared() {
    let mut builder = Builder::default();
    builder.declare("dataset:a", "view:v", at("05-01"), at("05-05"));
    builder.declare("dataset:a", "view:v", at("05-05"), at("05-10"));
    builder.note("dataset:b", "view:v", at("05-01"));
    let lineage = builder.build();
    let state = |from: &str, when: &str| state(&lineage, from, "view:v", when);
    assert_eq!(state("dataset:a", "04-30"), EdgeState::Unknown);
    assert_eq!(state("dataset:a", "05-09"), EdgeState::Declared);
    assert_eq!(state("dataset:a", "05-10"), EdgeState::Unknown);
    // A document tells when an edge was last seen, not since when it was there.
    assert_eq!(state("dataset:b", "04-01"), EdgeState::Seen(at("05-01")));
    assert_eq!(state("dataset:b", "05-09"), EdgeState::Stale(at("05-01")));
}

#[test]
fn the_order_of_telling_changes_nothing() {
    let mut runs = vec![
        run("05-01", "1", RunState::Started),
        run("05-01 00:05", "1", RunState::Failed),
        run("05-02", "2", RunState::Completed),
    ];
    let one = built(&runs);
    runs.reverse();
    runs.push(runs[0].clone());
    let other = built(&runs);
    assert_eq!(one.revision(), other.revision());
    assert_eq!(one.troubles, other.troubles);
}

#[test]
fn a_failed_run_is_trouble_until_one_ends_well() {
    let mut failed = run("05-01 01:00", "2", RunState::Failed);
    failed.message = Some("disk full".into());
    let lineage = built(&[
        run("05-01", "1", RunState::Completed),
        failed,
        run("05-01 02:00", "3", RunState::Aborted),
        run("05-01 03:00", "4", RunState::Completed),
    ]);
    let trouble = |when: &str| trouble(&lineage, "pipeline:p", when);
    assert_eq!(trouble("05-01 00:59"), "");
    assert_eq!(trouble("05-01 02:30"), "run 2 failed at 2013-05-01T01:00:00Z: disk full");
    assert_eq!(trouble("05-01 03:00"), "");
    // One that fails again is as fresh as its latest failure.
    let again = [1, 2, 3].map(|day| run(&format!("05-0{day}"), &day.to_string(), RunState::Failed));
    let lineage = built(&again);
    assert!(super::tests::trouble(&lineage, "pipeline:p", "05-02 12:00").starts_with("run 2 "));
    assert!(super::tests::trouble(&lineage, "pipeline:p", "05-04").starts_with("run 3 "));
}

#[test]
fn a_run_that_does_not_end_is_trouble_once_it_takes_twice_as_long() {
    let lineage = built(&[
        run("05-01 00:00", "1", RunState::Started),
        run("05-01 00:10", "1", RunState::Completed),
        run("05-01 01:00", "2", RunState::Started),
        run("05-01 02:00", "3", RunState::Started),
        run("05-01 02:10", "3", RunState::Completed),
    ]);
    let trouble = |when: &str| trouble(&lineage, "pipeline:p", when);
    assert_eq!(trouble("05-01 01:19"), "");
    let told = "run 2 began at 2013-05-01T01:00:00Z and had not ended by 2013-05-01T01:20:00Z";
    assert_eq!(trouble("05-01 01:20"), told);
    assert_eq!(trouble("05-01 02:10"), "");
    // Without a run to compare with it has a day.
    let lineage = built(&[run("05-01", "1", RunState::Started)]);
    assert_eq!(super::tests::trouble(&lineage, "pipeline:p", "05-01 23:59"), "");
    assert_ne!(super::tests::trouble(&lineage, "pipeline:p", "05-02 00:00"), "");
    // One of a minute may wait in a queue.
    let lineage = built(&[
        run("05-01 00:00", "1", RunState::Started),
        run("05-01 00:01", "1", RunState::Completed),
        run("05-01 01:00", "2", RunState::Started),
    ]);
    assert_eq!(super::tests::trouble(&lineage, "pipeline:p", "05-01 01:09"), "");
    assert_ne!(super::tests::trouble(&lineage, "pipeline:p", "05-01 01:10"), "");
}

#[test]
fn runs_of_a_backfill_do_not_tell_what_the_schedule_is() {
    let daily = (1..13).map(|day| format!("05-{day:02} 06:00"));
    let backfill = (0..12).map(|minute| format!("05-12 09:{minute:02}"));
    let runs: Vec<RunEvent> =
        daily.chain(backfill).map(|when| run(&when, &when, RunState::Completed)).collect();
    let lineage = built(&runs);
    assert_eq!(trouble(&lineage, "pipeline:p", "05-13 09:00"), "");
    assert_ne!(trouble(&lineage, "pipeline:p", "05-14 09:11"), "");
}

#[test]
fn a_run_that_does_not_come_is_trouble_once_the_pause_is_twice_as_long() {
    let hourly: Vec<RunEvent> = (0..5)
        .map(|hour| run(&format!("05-01 0{hour}:00"), &hour.to_string(), RunState::Completed))
        .collect();
    let lineage = built(&hourly);
    assert_eq!(trouble(&lineage, "pipeline:p", "05-01 05:59"), "");
    assert_eq!(
        trouble(&lineage, "pipeline:p", "05-01 06:00"),
        "no run since 2013-05-01T04:00:00Z, although they came within 1h of each other before"
    );
    // It is not told for ever.
    assert_eq!(trouble(&lineage, "pipeline:p", "05-20"), "");
    let lineage = built(&hourly[..3]);
    assert_eq!(trouble(&lineage, "pipeline:p", "05-01 09:00"), "");
}

#[test]
fn an_assertion_that_fails_is_trouble_of_its_dataset() {
    let check = |when: &str, success| {
        let mut event = run(when, when, RunState::Completed);
        event.assertions.push(Assertion {
            node: "dataset:a".into(),
            assertion: "not_null".into(),
            column: Some("price".into()),
            success,
        });
        event
    };
    let lineage = built(&[check("05-01", true), check("05-02", false), check("05-03", true)]);
    assert_eq!(trouble(&lineage, "dataset:a", "05-01"), "");
    let told = "assertion not_null of price failed at 2013-05-02T00:00:00Z";
    assert_eq!(trouble(&lineage, "dataset:a", "05-02 12:00"), told);
    assert_eq!(trouble(&lineage, "dataset:a", "05-03"), "");
}

#[test]
fn a_column_of_another_type_is_trouble_until_it_has_its_own_again() {
    let schema = |when: &str, job: &str, kind: &str| {
        let mut event = run(when, when, RunState::Completed);
        event.job = format!("pipeline:{job}");
        event.assertions.push(Assertion {
            node: "dataset:a".into(),
            assertion: format!("{COLUMN_HAS_TYPE}{kind}"),
            column: Some("price".into()),
            success: true,
        });
        event
    };
    let lineage = built(&[
        schema("05-01", "p", "int"),
        // Another program has another word for it.
        schema("05-01 06:00", "q", "integer"),
        schema("05-02", "p", "text"),
        schema("05-03", "p", "text"),
        schema("05-04", "p", "int"),
    ]);
    assert_eq!(trouble(&lineage, "dataset:a", "05-01 12:00"), "");
    let told = "column price was int and became text at 2013-05-02T00:00:00Z";
    assert_eq!(trouble(&lineage, "dataset:a", "05-02"), told);
    assert_eq!(trouble(&lineage, "dataset:a", "05-03 12:00"), told);
    assert_eq!(trouble(&lineage, "dataset:a", "05-04"), "");
}

#[test]
fn a_base_gives_the_lineage_that_the_same_edges_give_one_by_one() {
    let always = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    let runs = [run("05-01", "1", RunState::Completed), run("05-02", "2", RunState::Failed)];
    // Names before, between, after and among those of the runs; one has no edge.
    let names = ["dataset:0", "dataset:a", "dataset:aa", "lonely:x", "view:z"];
    let (mut base, mut all) = (Base::default(), Builder::default());
    for (from, to) in [(4, 0), (1, 2), (1, 2), (2, 4)] {
        base.declare(from, to, always.0, always.1);
        all.declare(names[from as usize], names[to as usize], always.0, always.1);
    }
    base.note(0, 1, at("04-30"));
    all.note(names[0], names[1], at("04-30"));
    let mut on = Builder::on(Arc::new(base.named(&names)));
    for run in &runs {
        on.run(run);
        all.run(run);
    }
    let (on, all) = (on.build(), all.build());
    assert!(on.names().eq(all.names()) && on.node("lonely:x").is_none());
    assert_eq!((&on.links, on.revision()), (&all.links, all.revision()));
    assert_eq!((on.up.begins, on.up.links, on.down), (all.up.begins, all.up.links, all.down));
}

#[test]
fn whoever_is_called_an_owner_comes_before_maintainers() {
    let mut event = run("05-01", "1", RunState::Completed);
    for (owner, role) in [("b", Some("MAINTAINER")), ("c", None), ("a", Some("OWNER"))] {
        let (node, role) = ("dataset:a".into(), role.map(str::to_owned));
        event.owners.push(Ownership { node, owner: owner.into(), role });
    }
    let lineage = built(&[event]);
    let node = lineage.node("dataset:a").unwrap();
    assert_eq!(lineage.owners(node, at("05-02")).0, ["a", "b", "c"]);
}

#[test]
fn owners_are_those_of_the_time() {
    let owned = |when: &str, owner: &str| {
        let mut event = run(when, when, RunState::Completed);
        event.owners.push(Ownership { node: "dataset:a".into(), owner: owner.into(), role: None });
        event
    };
    let lineage =
        built(&[owned("05-01", "team:x"), owned("05-02", "team:x"), owned("05-03", "team:y")]);
    let node = lineage.node("dataset:a").unwrap();
    assert!(lineage.owners(node, at("04-30")).0.is_empty());
    let (owners, from, until) = lineage.owners(node, at("05-02 12:00"));
    assert_eq!((owners, from, until), (&["team:x".to_owned()][..], at("05-01"), at("05-03")));
    assert_eq!(lineage.owners(node, at("05-04")).0, ["team:y"]);
}
