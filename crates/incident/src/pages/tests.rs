//! What counts as one page.

use watchkeep_model::incident::data::Notified;
use watchkeep_model::incident::{Fact, FactData, FactName, SYSTEM_ACTOR};
use watchkeep_model::policy::Rate;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::Pages;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_micros(TimeSpan::MINUTE.times(minute).as_micros())
}

fn page(incident: &str, at: Timestamp) -> Fact {
    Fact {
        incident_id: incident.into(),
        sequence: 1,
        fact: FactName::Notified,
        occurred_at: at,
        recorded_at: at,
        actor: SYSTEM_ACTOR.into(),
        cause: None,
        rationale: None,
        drill: false,
        data: FactData::Notified(Notified {
            step: "owner".into(),
            climb: 1,
            target: "user:ada".into(),
            role: "primary".into(),
            channel: "topic".into(),
            respond_by: None,
            reason: "first".into(),
            repeat_at: None,
            carried_by: None,
        }),
        previous_hash: None,
        hash: String::new(),
    }
}

fn after(pages: &[(&str, i64)]) -> Pages {
    let mut all = Pages::default();
    for (incident, minute) in pages {
        all.note(&page(incident, at(*minute)), false, None);
    }
    all
}

const THREE_IN_TEN_MINUTES: Rate = Rate { burst: 3, per: TimeSpan::MINUTE.times(10) };

#[test]
fn several_pages_of_an_incident_at_one_instant_are_one() {
    let wait = |pages: &Pages| pages.wait("user:ada", THREE_IN_TEN_MINUTES, at(5));
    // Another incident pages between them.
    assert_eq!(wait(&after(&[("a", 5), ("b", 5), ("a", 5), ("b", 5)])), None);
    assert_eq!(wait(&after(&[("a", 4), ("b", 5), ("a", 5)])), Some(at(14)));
}

#[test]
fn in_which_order_the_log_tells_of_pages_does_not_count() {
    let wait = |pages: &Pages| pages.wait("user:ada", THREE_IN_TEN_MINUTES, at(5));
    let pages = [("a", 1), ("b", 2), ("a", 3), ("b", 4)];
    assert_eq!(wait(&after(&pages)), Some(at(12)));
    // As two partitions tell it, one after the other.
    assert_eq!(wait(&after(&[pages[0], pages[2], pages[1], pages[3]])), Some(at(12)));
}

#[test]
fn a_further_page_of_an_incident_at_its_instant_waits_for_no_room() {
    let one = Rate { burst: 1, per: TimeSpan::MINUTE.times(10) };
    let pages = after(&[("a", 5)]);
    assert_eq!(pages.wait_of("a", "user:ada", one, at(5)), None);
    assert_eq!(pages.wait_of("b", "user:ada", one, at(5)), Some(at(15)));
    assert_eq!(pages.wait_of("a", "user:ada", one, at(6)), Some(at(15)));
}
