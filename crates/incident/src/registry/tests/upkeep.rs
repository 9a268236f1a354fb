//! What falls due by the registry's dates, and who is told of it when.

use std::collections::BTreeSet;

use watchkeep_model::incident::data::UpkeepKind;
use watchkeep_model::incident::{Fact, FactData, check_link};
use watchkeep_model::json;
use watchkeep_model::response::{Command, DELIVERER, Response};

use super::*;
use crate::escalate::{Escalate, Outputs, Settings};
use crate::report::Period;
use crate::report::stewardship::{Seen, stewardship};

/// A stage with the registry that is in force.
struct Desk {
    stage: Escalate,
    facts: Vec<Fact>,
    told: String,
}

impl Desk {
    fn new(since: &str) -> Self {
        let mut desk = Self {
            stage: Escalate::new(Settings::default()),
            facts: Vec::new(),
            told: String::new(),
        };
        desk.stage.tell_upkeep(at(since), at(since));
        desk
    }

    /// Lets time pass, each deadline at its time.
    fn run_to(&mut self, registry: &Registry, until: &str) {
        let until = at(until);
        while let Some(due) = self.stage.next_deadline().filter(|due| *due <= until) {
            self.look(registry, due);
        }
    }

    fn look(&mut self, registry: &Registry, now: Timestamp) {
        let mut out = Outputs::default();
        self.stage.advance(registry, now, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Outputs) {
        for message in &out.escalations {
            let whom = message.target.as_deref().unwrap_or("everybody");
            let action = format!("{:?}", message.event_action).to_lowercase();
            self.told += &format!("{} {action} {whom}: {}\n", message.time, message.summary);
        }
        self.facts.extend(out.facts);
    }

    /// Folds another stage from what was written.
    fn restart(&mut self, since: &str) {
        let mut last: BTreeMap<&str, &Fact> = BTreeMap::new();
        let mut stage = Escalate::new(Settings::default());
        for fact in &self.facts {
            assert_eq!(check_link(last.insert(&fact.incident_id, fact), fact), Ok(()));
            let line = json::to_line(fact);
            stage.restore_fact(&serde_json::from_str(&line).unwrap());
        }
        stage.tell_upkeep(at(since), at(since));
        self.stage = stage;
    }

    fn told(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.told));
    }
}

fn of(texts: &[&str]) -> Registry {
    Registry::new(documents(texts), TimeSpan::MINUTE).0
}

const PROMISED: &str = "kind: charter
subject: feature:flight.delay
owners: {primary: user:ada}
review_every: 90d
reviewed_at: 2013-01-01
";

#[test]
fn on_the_91st_day_the_owner_is_told_once_and_when_it_is_done() {
    let mut registry = of(&[PROMISED, PEOPLE]);
    let mut desk = Desk::new("2013-01-10");
    desk.run_to(&registry, "2013-03-31");
    desk.told(expect![[""]]);
    desk.run_to(&registry, "2013-06-01");
    desk.told(expect![[r#"
        2013-04-01T00:00:00Z trigger user:ada: overdue: the review of feature:flight.delay was due 2013-04-01T00:00:00Z
    "#]]);
    for since in ["2013-06-01", "2013-06-02"] {
        desk.restart(since);
        desk.look(&registry, at(since));
    }
    desk.told(expect![[""]]);
    assert_eq!(desk.stage.overdue_upkeep().count(), 1);
    registry = of(&[&PROMISED.replace("2013-01-01", "2013-06-03"), PEOPLE]);
    desk.look(&registry, at("2013-06-04"));
    desk.told(expect![[r#"
        2013-06-04T00:00:00Z resolve everybody: nothing is overdue any more; the last was the review of feature:flight.delay
    "#]]);
    assert_eq!(desk.stage.overdue_upkeep().count(), 0);
    desk.run_to(&registry, "2013-12-31");
    desk.told(expect![[r#"
        2013-09-01T00:00:00Z trigger user:ada: overdue: the review of feature:flight.delay was due 2013-09-01T00:00:00Z
    "#]]);
}

#[test]
fn whoever_is_asked_instead_is_told_as_well() {
    let mut desk = Desk::new("2013-01-10");
    desk.run_to(&of(&[PROMISED, PEOPLE]), "2013-05-01");
    desk.told.clear();
    // A team in which the same person answers is no news.
    let by_team = PROMISED.replace("user:ada", "group:flights");
    desk.look(&of(&[&by_team, PEOPLE]), at("2013-05-02"));
    desk.told(expect![[""]]);
    let by_another = PROMISED.replace("user:ada", "user:grace");
    desk.look(&of(&[&by_another, PEOPLE]), at("2013-05-03"));
    desk.told(expect![[r#"
        2013-05-03T00:00:00Z trigger user:grace: overdue: the review of feature:flight.delay was due 2013-04-01T00:00:00Z
        2013-05-03T00:00:00Z resolve everybody: nothing is overdue any more; the last was the review of feature:flight.delay
    "#]]);
    // A charter that is gone promises nothing.
    desk.look(&of(&[PEOPLE]), at("2013-05-04"));
    desk.told(expect![[r#"
        2013-05-04T00:00:00Z resolve everybody: nothing is overdue any more; the last was the review of feature:flight.delay
    "#]]);
}

#[test]
fn dates_are_those_of_the_charter_in_force() {
    let text = "kind: charter
subject: feature:flight.*
owners: {primary: user:ada, reviewer: user:grace}
review_every: 30d
reviewed_at: 2013-01-01
runbook: https://example.com/run
runbook_reviewed_at: 2013-01-05
---
kind: charter
subject: feature:flight.*
owners: {primary: user:ada, reviewer: user:grace}
review_every: 30d
reviewed_at: 2013-02-10
effective_from: 2013-02-15
---
kind: charter
subject: feature:flight.delay
unit: min
---
kind: charter
subject: feature:old
owners: {primary: user:ada}
lifecycle: retired
review_every: 1d
reviewed_at: 2013-01-01
---
kind: charter
subject: feature:never
owners: {primary: user:ada}
review_every: 1d
";
    let registry = of(&[text, PEOPLE]);
    let mut desk = Desk::new("2013-01-10");
    desk.run_to(&registry, "2013-04-01");
    desk.told(expect![[r#"
        2013-01-31T00:00:00Z trigger user:grace: overdue: the review of feature:flight.* was due 2013-01-31T00:00:00Z
        2013-02-04T00:00:00Z trigger user:grace: overdue: the runbook check of feature:flight.* was due 2013-02-04T00:00:00Z
        2013-02-15T00:00:00Z resolve everybody: nothing is overdue any more; the last was 1 review, 1 runbook check
        2013-03-12T00:00:00Z trigger user:grace: overdue: the review of feature:flight.* was due 2013-03-12T00:00:00Z
    "#]]);
}

#[test]
fn very_many_are_one_message() {
    let charter =
        |n: usize| format!("{}---\n", PROMISED.replace("flight.delay", &format!("flight.f{n:04}")));
    let text: String = (0..1_200).map(charter).collect();
    let registry = of(&[text.trim_end_matches("---\n"), PEOPLE]);
    let mut desk = Desk::new("2013-01-10");
    desk.run_to(&registry, "2013-05-01");
    assert_eq!(desk.facts.len(), 3, "each lists at most 500");
    desk.told(expect![[r#"
        2013-04-01T00:00:00Z trigger user:ada: overdue: 1200 reviews, the first of feature:flight.f0000
    "#]]);
}

#[test]
fn a_service_that_was_away_tells_late_what_it_missed_and_how_late() {
    let registry = of(&[PROMISED, PEOPLE]);
    let mut desk = Desk::new("2013-01-10");
    desk.stage.tell_upkeep(Timestamp::MIN, Timestamp::MIN);
    desk.look(&registry, at("2013-04-03"));
    let FactData::ActionRecorded(data) = &desk.facts[0].data else { panic!("{:?}", desk.facts) };
    assert_eq!(data.due_at, Some(at("2013-04-01")));
    assert_eq!(data.late_by_us, Some(TimeSpan::DAY.times(2).as_micros()));
    assert_eq!(data.upkeep[0].what, UpkeepKind::Review);
    assert_eq!(desk.facts[0].occurred_at, at("2013-04-01"));
    // What became of the message is on record beside it.
    let chain = desk.facts[0].incident_id.clone();
    let mut report = Response::new(at("2013-04-03"), DELIVERER, Command::ReportDelivery);
    report.incident = Some(chain.clone());
    report.delivery = serde_json::from_value(serde_json::json!({
        "escalation": "x", "sink": "mail", "tool": "email", "outcome": "delivered",
        "attempts": 1, "unreached": false,
    }))
    .unwrap();
    let mut out = Outputs::default();
    desk.stage.respond(&report, &registry, at("2013-04-03"), &mut out);
    desk.take(out);
    assert_eq!(desk.facts.len(), 2);
    assert_eq!((&desk.facts[1].incident_id, desk.facts[1].sequence), (&chain, 2));
    assert_eq!(desk.facts[1].actor, DELIVERER);
    // Whoever is not the deliver stage reports nothing.
    report.by = "user:ada".to_owned();
    let mut out = Outputs::default();
    desk.stage.respond(&report, &registry, at("2013-04-03"), &mut out);
    assert!(matches!(out.facts[0].data, FactData::CommandRejected(_)), "{:?}", out.facts);
    desk.take(out);
    desk.restart("2013-04-04");
    assert_eq!(desk.stage.overdue_upkeep().count(), 1);
}

#[test]
fn lint_the_report_and_what_is_told_go_by_one_reckoning() {
    let charter = |name: &str, lines: &str| {
        let lines = lines.replace("; ", "\n");
        format!("kind: charter\nsubject: feature:{name}\nowners: {{primary: user:ada}}\n{lines}\n")
    };
    let text = [
        charter("late", "review_every: 90d; reviewed_at: 2013-01-01"),
        charter("young", "review_every: 90d; effective_from: 2013-03-01"),
        charter("grown", "review_every: 90d; effective_from: 2013-01-01"),
        charter("gone", "review_every: 90d; lifecycle: retired"),
        charter("of_a_kind.*", "review_every: 90d; reviewed_at: 2013-03-01"),
        charter("of_a_kind.heir", "unit: min"),
        charter("of_a_kind.odd", "reviewed_at: 2013-01-01"),
        charter("undated", "review_every: 90d"),
    ]
    .join("---\n");
    let now = at("2013-04-01");
    let checks = Checks { now: Some(now), ..Checks::of_pane(TimeSpan::MINUTE) };
    let (registry, found) = Registry::checked(documents(&[&text, PEOPLE]), &checks);
    let found = found.iter().filter(|found| found.rule == "stale_review");
    let linted: BTreeSet<&str> = found.map(|found| found.document.trim()).collect();
    let expected = ["grown", "late", "of_a_kind.odd", "undated"].map(|n| format!("feature:{n}"));
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let is_meant = |found: &str| expected.iter().any(|name| found.ends_with(name));
    assert!(linted.iter().all(|found| is_meant(found)) && linted.len() == 4, "{linted:?}");
    let span = Period { from: at("2013-01-01"), to: now };
    let report = stewardship(&registry, None, &BTreeMap::new(), &Seen::default(), span);
    let overdue = report.reviews.iter().filter(|review| review.is_overdue);
    let overdue: BTreeSet<&str> = overdue.map(|review| review.charter.as_str()).collect();
    assert_eq!(overdue, expected);
    // Of what never had a date it cannot be told when it fell due.
    let mut desk = Desk::new("2013-01-10");
    desk.run_to(&registry, "2013-04-01");
    let told: BTreeSet<&str> = desk.stage.overdue_upkeep().map(|one| one.of.as_str()).collect();
    assert_eq!(told.len(), 3);
    assert!(told.is_subset(&expected) && !told.contains("feature:undated"), "{told:?}");
}
