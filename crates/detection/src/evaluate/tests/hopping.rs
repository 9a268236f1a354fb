//! Windows that overlap: which hold an event, and what late ones do to them.

use super::*;

fn hopping(name: &str, size: f64, hop: f64, rule: Rule) -> Expectation {
    let span = |minutes: f64| TimeSpan::from_micros((minutes * 60e6) as i64);
    let window = WindowSpec::Hopping { size: span(size), hop: span(hop) };
    Expectation { window, ..expectation(name, TimeSpan::MINUTE, rule) }
}

#[test]
fn an_event_is_in_every_window_of_its_time() {
    check(
        settings(),
        &book(&[("f*", &[hopping("slow", 10.0, 5.0, slow(TimeSpan::SECOND))])]),
        &[("f1", 7.0, 0), ("f1", 12.0, 5), ("other", 31.0, 0)],
        &expect![[r#"
            00:10 f1 00:00-00:10 r0 n=1 late=0 slow=Good
            00:15 f1 00:05-00:15 r0 n=2 late=0 slow=Bad Opened
            00:20 f1 00:10-00:20 r0 n=1 late=0 slow=Bad Sustained
            00:25 f1 00:15-00:25 r0 n=0 late=0 slow=NotJudged
            00:30 f1 00:20-00:30 r0 n=0 late=0 slow=NotJudged
            00:32 f1 00:25-00:35 r0 n=0 late=0 partial slow=NotJudged
            00:32 f1 00:30-00:40 r0 n=0 late=0 partial slow=NotJudged
            00:32 other 00:00-01:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn a_hop_need_not_divide_the_size() {
    check(
        settings(),
        &book(&[("f", &[hopping("slow", 10.0, 4.0, slow(TimeSpan::SECOND))])]),
        &[("f", 9.0, 0), ("f", 17.0, 0)],
        &expect![[r#"
            00:10 f 00:00-00:10 r0 n=1 late=0 slow=Good
            00:14 f 00:04-00:14 r0 n=1 late=0 slow=Good
            00:18 f 00:08-00:18 r0 n=2 late=0 slow=Good
            00:18 f 00:12-00:22 r0 n=1 late=0 partial slow=NotJudged
            00:18 f 00:16-00:26 r0 n=1 late=0 partial slow=NotJudged
        "#]],
    );
}

#[test]
fn an_event_may_be_too_late_for_one_window_and_in_time_for_the_next() {
    let settings = TimeSettings { allowed_lateness: TimeSpan::MINUTE.times(3), ..settings() };
    check(
        settings,
        &book(&[("f*", &[hopping("slow", 10.0, 5.0, slow(TimeSpan::SECOND))])]),
        &[
            ("f1", 7.0, 0),
            ("other", 11.0, 0), // closes 00:00-00:10
            ("f1", 8.0, 5),     // revises it at 00:13, and is in 00:05-00:15
            ("other", 13.5, 0),
            ("f1", 9.0, 0), // too late for 00:00-00:10, in time for 00:05-00:15
            ("other", 30.0, 0),
        ],
        &expect![[r#"
            00:10 f1 00:00-00:10 r0 n=1 late=0 slow=Good
            00:13 f1 00:00-00:10 r1 n=2 late=1 slow=Bad Opened
            00:15 f1 00:05-00:15 r0 n=3 late=0 slow=Bad Sustained
            00:20 f1 00:10-00:20 r0 n=0 late=0 slow=NotJudged
            00:25 f1 00:15-00:25 r0 n=0 late=0 slow=NotJudged
            00:30 f1 00:20-00:30 r0 n=0 late=0 slow=NotJudged
            00:31 f1 00:25-00:35 r0 n=0 late=0 partial slow=NotJudged
            00:31 f1 00:30-00:40 r0 n=0 late=0 partial slow=NotJudged
            00:31 other 00:00-01:00 r0 n=3 late=0 partial
            late f1 00:00 1
        "#]],
    );
}

#[test]
fn windows_that_close_together_are_told_by_size_then_subject() {
    let rule = || slow(TimeSpan::SECOND);
    let book = book(&[
        (
            "a",
            &[hopping("x", 10.0, 5.0, rule()), expectation("y", TimeSpan::MINUTE.times(5), rule())],
        ),
        ("b", &[expectation("z", TimeSpan::MINUTE.times(5), rule())]),
    ]);
    check(
        settings(),
        &book,
        &[("a", 1.0, 0), ("b", 1.0, 0), ("a", 6.0, 0)],
        &expect![[r#"
        00:05 a 00:00-00:05 r0 n=1 late=0 y=Good
        00:05 b 00:00-00:05 r0 n=1 late=0 z=Good
        00:05 a 23:55-00:05 r0 n=1 late=0 x=Good
        00:07 a 00:05-00:10 r0 n=1 late=0 partial y=NotJudged
        00:07 b 00:05-00:10 r0 n=0 late=0 partial z=NotJudged
        00:07 a 00:00-00:10 r0 n=2 late=0 partial x=NotJudged
        00:07 a 00:05-00:15 r0 n=1 late=0 partial x=NotJudged
    "#]],
    );
}

proptest! {
    /// A hop of the whole size is a tumbling window, but for its name.
    #[test]
    fn a_hop_of_the_size_tumbles(
        minutes in prop::collection::vec((0u32..3, -60i32..20, 0u64..3), 1..80),
        size in 1u32..20,
        cut in 1usize..30,
    ) {
        let mut now = 100.0f64;
        let events: Vec<Event> = minutes.iter().map(|(feature, step, latency)| {
            now += 3.0;
            (["a", "b1", "b2@1"][*feature as usize], now + f64::from(*step), *latency)
        }).collect();
        let size = f64::from(size);
        let tumbling = TimeSpan::MINUTE.times(size as i64);
        let rule = || slow(TimeSpan::SECOND);
        let told = |hops: bool| {
            let of = |name| if hops { hopping(name, size, size, rule()) } else { expectation(name, tumbling, rule()) };
            show(&run(settings(), &book(&[("a", &[of("x")]), ("b*", &[of("y")])]), &events, cut))
        };
        prop_assert_eq!(told(true), told(false));
    }

    /// Each event is in as many windows as overlap, or late for them, and how
    /// the input is cut into batches changes nothing.
    #[test]
    fn each_event_is_counted_once_a_window(
        minutes in prop::collection::vec((0u32..2, -40i32..20), 1..80),
        hop in 1u32..5, more in 0u32..12,
        cut in 2usize..30,
    ) {
        let mut now = 100.0f64;
        let events: Vec<Event> = minutes.iter().map(|(feature, step)| {
            now += 2.0;
            (["a", "b1"][*feature as usize], now + f64::from(*step), 0)
        }).collect();
        let (size, hop) = (hop + more, hop);
        let of = hopping("x", f64::from(size), f64::from(hop), slow(TimeSpan::SECOND));
        let book = book(&[("a", std::slice::from_ref(&of)), ("b*", std::slice::from_ref(&of))]);
        let whole = run(settings(), &book, &events, 1);
        prop_assert_eq!(&whole, &run(settings(), &book, &events, cut));
        let mut last = BTreeMap::new();
        for decided in &whole.decided {
            let w = &decided.window;
            last.insert((w.feature.clone(), w.window_start), w.count);
        }
        let late: u64 = whole.late.iter().filter_map(|late| late.count).sum();
        let windows_of = |minute: f64| {
            let minute = minute as i64;
            (minute - i64::from(size) + 1..=minute).filter(|start| start % i64::from(hop) == 0).count() as u64
        };
        // The midnight that minutes are counted from is a multiple of these hops.
        let midnight = minute(0.0).as_micros() / 60_000_000;
        let wanted: u64 = events.iter().map(|(_, at, _)| windows_of(*at + midnight as f64)).sum();
        prop_assert_eq!(last.values().sum::<u64>() + late, wanted);
    }
}
