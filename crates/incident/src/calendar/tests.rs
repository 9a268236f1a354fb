//! Working hours around holidays and changes of the clock.

use super::*;

fn hours(from: &str, to: &str, zone: &str) -> Hours {
    let text = format!(
        r#"{{"zone":"{zone}","working":[{{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"{from}","to":"{to}"}}],"holidays":["2013-05-27"],"outside":{{"warning":"defer"}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn check(hours: &Hours, at: &str, expected: &str) {
    let next = next_working(hours, at.parse().unwrap());
    assert_eq!(next.map(|next| next.to_string()).as_deref(), Some(expected));
}

#[test]
fn hours_are_half_open_and_holidays_have_none() {
    let hours = hours("09:00", "18:00", "America/New_York");
    check(&hours, "2013-05-25T13:00:00Z", "2013-05-25T13:00:00Z");
    check(&hours, "2013-05-25T21:59:59Z", "2013-05-25T21:59:59Z");
    check(&hours, "2013-05-25T22:00:00Z", "2013-05-26T13:00:00Z");
    check(&hours, "2013-05-26T22:00:00Z", "2013-05-28T13:00:00Z");
}

#[test]
fn the_wall_clock_counts_across_changes() {
    let hours = hours("09:00", "18:00", "America/New_York");
    check(&hours, "2013-03-09T23:30:00Z", "2013-03-10T13:00:00Z");
    check(&hours, "2013-11-02T23:30:00Z", "2013-11-03T14:00:00Z");
}

#[test]
fn a_start_that_happens_twice_is_the_first_and_an_end_the_last() {
    // On 3 November 2013 01:30 happened at 05:30Z and at 06:30Z.
    let early = hours("01:30", "04:00", "America/New_York");
    check(&early, "2013-11-03T05:00:00Z", "2013-11-03T05:30:00Z");
    let night = hours("00:00", "01:30", "America/New_York");
    check(&night, "2013-11-03T06:29:00Z", "2013-11-03T06:29:00Z");
    check(&night, "2013-11-03T06:30:00Z", "2013-11-04T05:00:00Z");
}

#[test]
fn a_start_that_does_not_happen_is_the_change_itself() {
    // On 10 March 2013 clocks went from 02:00 to 03:00 at 07:00Z.
    let hours = hours("02:30", "04:00", "America/New_York");
    check(&hours, "2013-03-10T05:30:00Z", "2013-03-10T07:00:00Z");
    check(&hours, "2013-03-10T08:00:00Z", "2013-03-11T06:30:00Z");
}

#[test]
fn only_deferred_severities_wait_and_nonsense_defers_nothing() {
    let night: Timestamp = "2013-05-25T22:00:00Z".parse().unwrap();
    let hours = hours("09:00", "18:00", "America/New_York");
    assert_eq!(entry_time(Some(&hours), Severity::Critical, night), night);
    assert!(entry_time(Some(&hours), Severity::Warning, night) > night);
    assert_eq!(entry_time(None, Severity::Warning, night), night);
    let nowhere = Hours { zone: "Mars/Olympus".into(), ..hours.clone() };
    assert_eq!(entry_time(Some(&nowhere), Severity::Warning, night), night);
    let never = Hours { working: Vec::new(), ..hours };
    assert_eq!(entry_time(Some(&never), Severity::Warning, night), night);
}

#[test]
fn hours_that_begin_or_end_with_what_the_clock_skips_do_so_at_the_change() {
    // On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00, at 01:00Z.
    let to = hours("01:00", "02:00", "Europe/Berlin");
    check(&to, "2026-03-28T12:00:00Z", "2026-03-29T00:00:00Z");
    check(&to, "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z");
    check(&to, "2026-03-29T01:00:00Z", "2026-03-29T23:00:00Z");
    let from = hours("02:00", "05:00", "Europe/Berlin");
    check(&from, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z");
    // On 6 September 2026 those of Santiago skip the first hour of the day, at 04:00Z.
    let midnight = hours("00:00", "02:00", "America/Santiago");
    check(&midnight, "2026-09-05T12:30:00Z", "2026-09-06T04:00:00Z");
}
