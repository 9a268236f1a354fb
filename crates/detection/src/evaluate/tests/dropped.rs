//! Breaches by expectations that the charter has dropped, which nothing would judge
//! any more.

use super::*;

/// An event of the version in each of these windows.
fn in_windows(version: &'static str, windows: std::ops::Range<u32>, latency: u64) -> Vec<Event> {
    windows.map(|window| (version, 10.0 * f64::from(window) + 1.0, latency)).collect()
}

/// Charters by the time from which on each is in force.
struct Changing(Vec<(Timestamp, Book)>);

impl Charters for Changing {
    fn charter(&self, feature: &str, at: Timestamp) -> Option<Arc<Charter>> {
        let in_force = self.0.iter().rev().find(|(from, _)| *from <= at);
        in_force.and_then(|(_, book)| book.charter(feature, at))
    }

    fn named(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

#[test]
fn a_breach_by_an_expectation_that_was_dropped_is_cleared() {
    let window = |minutes: i64| WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(minutes) };
    let slow =
        expectation("slow", TimeSpan::MINUTE.times(10), slow(TimeSpan::from_micros(5_000_000)));
    let below = Rule::Volume { below: Some(1), above: None, usual: None };
    let events = in_windows("f", 0..8, 9);
    let changed = |later: &[Expectation]| {
        let before = book(&[("f", std::slice::from_ref(&slow))]);
        Changing(vec![(minute(0.0), before), (minute(35.0), book(&[("f", later)]))])
    };
    // Another expectation asks for the same windows.
    let other = expectation("some", TimeSpan::MINUTE.times(10), below);
    check(
        settings(),
        &changed(&[other]),
        &events,
        &expect![[r#"
        00:10 f 00:00-00:10 r0 n=1 late=0 slow=Bad Opened
        00:20 f 00:10-00:20 r0 n=1 late=0 slow=Bad Sustained
        00:30 f 00:20-00:30 r0 n=1 late=0 slow=Bad Sustained
        00:40 f 00:30-00:40 r0 n=1 late=0 some=Good Cleared
        00:50 f 00:40-00:50 r0 n=1 late=0 some=Good
        01:00 f 00:50-01:00 r0 n=1 late=0 some=Good
        01:10 f 01:00-01:10 r0 n=1 late=0 some=Good
        01:12 f 01:10-01:20 r0 n=1 late=0 partial some=NotJudged
    "#]],
    );
    // By the same name it is asked of other windows.
    let longer = Expectation { window: window(20), ..slow.clone() };
    check(
        settings(),
        &changed(&[longer]),
        &events,
        &expect![[r#"
        00:10 f 00:00-00:10 r0 n=1 late=0 slow=Bad Opened
        00:20 f 00:10-00:20 r0 n=1 late=0 slow=Bad Sustained
        00:30 f 00:20-00:30 r0 n=1 late=0 slow=Bad Sustained
        00:40 f 00:30-00:40 r0 n=1 late=0 Cleared
        00:40 f 00:20-00:40 r0 n=2 late=0 slow=Bad Opened
        01:00 f 00:40-01:00 r0 n=2 late=0 slow=Bad Sustained
        01:12 f 01:00-01:20 r0 n=2 late=0 partial slow=NotJudged
    "#]],
    );
    // Nothing is asked any more.
    check(
        settings(),
        &changed(&[]),
        &events,
        &expect![[r#"
        00:10 f 00:00-00:10 r0 n=1 late=0 slow=Bad Opened
        00:20 f 00:10-00:20 r0 n=1 late=0 slow=Bad Sustained
        00:30 f 00:20-00:30 r0 n=1 late=0 slow=Bad Sustained
        00:40 f 00:30-00:40 r0 n=1 late=0 Cleared
    "#]],
    );
}

#[test]
fn a_silence_that_was_dropped_is_cleared() {
    let silence = Rule::Silence { after: TimeSpan::MINUTE };
    let silence = expectation("silence", TimeSpan::MINUTE.times(10), silence);
    let before = book(&[("f*", &[silence])]);
    let charters = Changing(vec![(minute(0.0), before), (minute(35.0), book(&[("f*", &[])]))]);
    let events = [("f", 1.0, 0), ("other", 61.0, 0)];
    check(
        settings(),
        &charters,
        &events,
        &expect![[r#"
        00:10 f 00:00-00:10 r0 n=1 late=0 silence=Bad Opened
        00:20 f 00:10-00:20 r0 n=0 late=0 silence=Bad Sustained
        00:30 f 00:20-00:30 r0 n=0 late=0 silence=Bad Sustained
        00:40 f 00:30-00:40 r0 n=0 late=0 Cleared
        01:02 other 01:00-02:00 r0 n=1 late=0 partial
    "#]],
    );
}

/// A window that is told of a version without events for one breach opens none for
/// another expectation.
#[test]
fn what_is_told_for_a_breach_opens_no_other() {
    let slow = expectation("slow", TimeSpan::MINUTE.times(10), slow(TimeSpan::MINUTE.times(1)));
    let below = Rule::Volume { below: Some(1), above: None, usual: None };
    let some = expectation("some", TimeSpan::MINUTE.times(10), below);
    let before = book(&[("f*", &[slow, some.clone()])]);
    let charters = Changing(vec![(minute(0.0), before), (minute(35.0), book(&[("f*", &[some])]))]);
    let events = [in_windows("f@1", 0..2, 90), in_windows("f@2", 2..6, 1)].concat();
    check(
        settings(),
        &charters,
        &events,
        &expect![[r#"
        00:10 f@1 00:00-00:10 r0 n=1 late=0 slow=Bad some=Good Opened
        00:20 f@1 00:10-00:20 r0 n=1 late=0 slow=Bad some=Good Sustained
        00:30 f@2 00:20-00:30 r0 n=1 late=0 slow=Good some=Good
        00:40 f@1 00:30-00:40 r0 n=0 late=0 some=NotJudged Cleared
        00:40 f@2 00:30-00:40 r0 n=1 late=0 some=Good
        00:50 f@2 00:40-00:50 r0 n=1 late=0 some=Good
        00:52 f@2 00:50-01:00 r0 n=1 late=0 partial some=NotJudged
    "#]],
    );
}
