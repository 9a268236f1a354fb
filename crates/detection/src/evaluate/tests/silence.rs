//! From where on a subject has windows without events, and whose they are.
//! `check` also holds that neither depends on how the stream is cut.

use super::*;

fn busy() -> Book {
    let rule = Rule::Volume { below: Some(1), above: None, usual: None };
    book(&[("f*", &[expectation("volume", TimeSpan::MINUTE.times(5), rule)])])
}

#[test]
fn a_first_event_that_is_too_late_for_its_window_still_begins_the_windows() {
    check(
        settings(),
        &busy(),
        &[("other", 30.0, 0), ("f1", 4.0, 0), ("other", 41.0, 0)],
        &expect![[r#"
            00:35 f1 00:30-00:35 r0 n=0 late=0 volume=Bad Opened
            00:40 f1 00:35-00:40 r0 n=0 late=0 volume=Bad Sustained
            00:42 f1 00:40-00:45 r0 n=0 late=0 partial volume=NotJudged
            00:42 other 00:00-01:00 r0 n=2 late=0 partial
            late f1 00:00 1
        "#]],
    );
}

#[test]
fn windows_begin_at_the_earliest_event_and_not_at_the_first_to_arrive() {
    let settings = TimeSettings { out_of_orderness: TimeSpan::MINUTE.times(20), ..settings() };
    check(
        settings,
        &busy(),
        &[("other", 30.0, 0), ("f1", 27.0, 0), ("f1", 12.0, 0), ("other", 50.0, 0)],
        &expect![[r#"
            00:15 f1 00:10-00:15 r0 n=1 late=0 volume=Good
            00:20 f1 00:15-00:20 r0 n=0 late=0 volume=Bad Opened
            00:25 f1 00:20-00:25 r0 n=0 late=0 volume=Bad Sustained
            00:30 f1 00:25-00:30 r0 n=1 late=0 volume=Good Cleared
            00:35 f1 00:30-00:35 r0 n=0 late=0 volume=Bad Opened
            00:40 f1 00:35-00:40 r0 n=0 late=0 volume=Bad Sustained
            00:45 f1 00:40-00:45 r0 n=0 late=0 volume=Bad Sustained
            00:50 f1 00:45-00:50 r0 n=0 late=0 volume=Bad Sustained
            00:51 f1 00:50-00:55 r0 n=0 late=0 partial volume=NotJudged
            00:51 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

#[test]
fn of_two_versions_at_one_instant_the_greater_is_silent() {
    check(
        settings(),
        &busy(),
        &[("f@2", 12.0, 0), ("f@1", 12.0, 0), ("other", 25.0, 0)],
        &expect![[r#"
            00:15 f@1 00:10-00:15 r0 n=1 late=0 volume=Good
            00:15 f@2 00:10-00:15 r0 n=1 late=0 volume=Good
            00:20 f@2 00:15-00:20 r0 n=0 late=0 volume=Bad Opened
            00:25 f@2 00:20-00:25 r0 n=0 late=0 volume=Bad Sustained
            00:26 f@2 00:25-00:30 r0 n=0 late=0 partial volume=NotJudged
            00:26 other 00:00-01:00 r0 n=1 late=0 partial
        "#]],
    );
}
