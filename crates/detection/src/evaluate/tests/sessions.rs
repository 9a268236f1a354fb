//! Sessions: where they begin and end, and what late events make of them.

use super::*;

fn session(name: &str, gap: f64, rule: Rule) -> Expectation {
    let gap = TimeSpan::from_micros((gap * 60e6) as i64);
    Expectation { window: WindowSpec::Session { gap }, ..expectation(name, TimeSpan::MINUTE, rule) }
}

fn visits() -> Book {
    book(&[("f", &[session("slow", 5.0, slow(TimeSpan::SECOND))])])
}

#[test]
fn a_gap_ends_a_session_and_events_exactly_the_gap_apart_do_not() {
    check_each(
        settings(),
        &visits(),
        &[("f", 1.0, 0), ("f", 6.0, 0), ("f", 11.5, 5), ("f@2", 12.0, 0), ("f@2", 18.0, 0)],
        &expect![[r#"
            00:11 f 00:01-00:06 r0 n=2 late=0 slow=Good
            00:16 f 00:11-00:11 r0 n=1 late=0 slow=Bad Opened
            00:17 f@2 00:12-00:12 r0 n=1 late=0 slow=Good
            00:19 f@2 00:18-00:18 r0 n=1 late=0 partial slow=NotJudged
        "#]],
    );
}

#[test]
fn a_late_event_extends_a_closed_session() {
    check_each(
        settings(),
        &visits(),
        &[
            ("f", 1.0, 0),
            ("other", 8.0, 0), // closed at 00:06
            ("f", 2.0, 5),     // revises it at 00:10
            ("other", 9.0, 0),
            ("f", 6.5, 0), // it goes on until 00:11:30
            ("other", 12.0, 0),
        ],
        &expect![[r#"
            00:06 f 00:01-00:01 r0 n=1 late=0 slow=Good
            00:11 f 00:01-00:06 r1 n=3 late=2 slow=Bad Opened
            00:13 other 00:00-01:00 r0 n=3 late=0 partial
        "#]],
    );
}

#[test]
fn a_late_event_joins_sessions_and_withdraws_all_but_the_first() {
    check_each(
        settings(),
        &visits(),
        &[
            ("f", 1.0, 0),
            ("f", 8.0, 5),
            ("other", 14.0, 0), // both are closed, the second is bad
            ("f", 4.0, 0),      // joins them
            ("other", 16.0, 0),
        ],
        &expect![[r#"
            00:06 f 00:01-00:01 r0 n=1 late=0 slow=Good
            00:13 f 00:08-00:08 r0 n=1 late=0 slow=Bad Opened
            00:15 f 00:01-00:08 r1 n=3 late=1 slow=Bad
            00:15 f 00:08-00:08 r1 n=0 late=0 slow=NotJudged
            00:17 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

#[test]
fn an_earlier_event_moves_the_start_of_a_session() {
    check_each(
        settings(),
        &visits(),
        &[("f", 8.0, 5), ("other", 14.0, 0), ("f", 4.0, 0), ("other", 16.0, 0)],
        &expect![[r#"
            00:13 f 00:08-00:08 r0 n=1 late=0 slow=Bad Opened
            00:15 f 00:04-00:08 r1 n=2 late=1 slow=Bad
            00:15 f 00:08-00:08 r1 n=0 late=0 slow=NotJudged
            00:17 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

#[test]
fn a_withdrawn_sessions_breach_is_retracted_unless_the_joined_one_is_bad() {
    let rule = Rule::Volume { below: Some(2), above: None, usual: None };
    check_each(
        settings(),
        &book(&[("f", &[session("few", 5.0, rule)])]),
        &[("f", 8.0, 0), ("other", 14.0, 0), ("f", 4.0, 0), ("other", 16.0, 0)],
        &expect![[r#"
            00:13 f 00:08-00:08 r0 n=1 late=0 few=Bad Opened
            00:15 f 00:04-00:08 r1 n=2 late=1 few=Good Retracted
            00:15 f 00:08-00:08 r1 n=0 late=0 few=NotJudged
            00:17 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

#[test]
fn what_touches_no_session_that_takes_events_is_too_late_or_a_session_of_its_own() {
    check_each(
        settings(),
        &visits(),
        &[
            ("f", 1.0, 0),
            ("other", 15.9, 0),
            ("f", 5.0, 0), // extends the session, which ends at 00:10 now
            ("other", 19.0, 0),
            ("f", 3.0, 0), // in time until 00:20
            ("other", 20.0, 0),
            ("f", 4.0, 0), // too late
            ("f", 9.0, 0), // near the settled session, and one of its own
        ],
        &expect![[r#"
            00:06 f 00:01-00:01 r0 n=1 late=0 slow=Good
            00:20 f 00:01-00:05 r1 n=3 late=2 slow=Good
            00:21 f 00:09-00:09 r0 n=1 late=1 slow=Good
            00:21 other 00:00-01:00 r0 n=3 late=0 partial
            late f 00:04 1
        "#]],
    );
}

#[test]
fn order_at_a_watermark_that_stands_is_that_of_arrival() {
    let settings = TimeSettings { allowed_lateness: TimeSpan::ZERO, ..settings() };
    // At 00:20 an event of 00:14 is too late alone, and not beside one of 00:17.
    let other = ("other", 20.0, 0);
    check_each(
        settings,
        &visits(),
        &[other, ("f", 14.0, 0), ("f", 17.0, 0)],
        &expect![[r#"
        00:21 f 00:17-00:17 r0 n=1 late=0 partial slow=NotJudged
        00:21 other 00:00-01:00 r0 n=1 late=0 partial
        late f 00:14 1
    "#]],
    );
    check_each(
        settings,
        &visits(),
        &[other, ("f", 17.0, 0), ("f", 14.0, 0)],
        &expect![[r#"
        00:21 f 00:14-00:17 r0 n=2 late=0 partial slow=NotJudged
        00:21 other 00:00-01:00 r0 n=1 late=0 partial
    "#]],
    );
}

#[test]
fn a_revision_is_told_in_the_order_of_the_sessions_present_end() {
    let book = book(&[
        ("f", &[session("slow", 5.0, slow(TimeSpan::SECOND))]),
        ("g*", &[expectation("slow", TimeSpan::MINUTE.times(5), slow(TimeSpan::SECOND))]),
    ]);
    // At 00:25 the session that first ended at 00:19 and ends at 00:22 now, and
    // a window that ends at 00:20.
    let events =
        [("other", 23.0, 0), ("f", 14.0, 0), ("g1", 16.0, 0), ("f", 17.0, 0), ("other", 26.0, 0)];
    check_each(
        settings(),
        &book,
        &events,
        &expect![[r#"
        00:25 g1 00:15-00:20 r0 n=1 late=1 slow=Good
        00:25 f 00:14-00:17 r0 n=2 late=2 slow=Good
        00:25 g1 00:20-00:25 r0 n=0 late=0 slow=NotJudged
        00:27 g1 00:25-00:30 r0 n=0 late=0 partial slow=NotJudged
        00:27 other 00:00-01:00 r0 n=2 late=0 partial
    "#]],
    );
}

/// As `check`, with a step for each record where its order could matter, as in a replay.
fn check_each(settings: TimeSettings, book: &Book, events: &[Event], expected: &Expect) {
    let cut = |cut| run_with(settings, book, events, cut, Summarise::cut_at_every_record);
    let out = cut(1);
    assert_eq!(out, cut(1000), "cutting into batches changes nothing");
    expected.assert_eq(&show(&out));
}

proptest! {
    /// Where no event is late, neither order nor cut matters, and each session
    /// is a longest run of events without a larger gap.
    #[test]
    fn sessions_are_the_runs_between_gaps(
        seconds in prop::collection::vec(0u32..6000, 1..60),
        gap in 1u32..10,
        cut in 1usize..20,
    ) {
        let settings = TimeSettings { out_of_orderness: TimeSpan::HOUR.times(2), ..settings() };
        let gap = f64::from(gap);
        let book = book(&[("f", &[session("slow", gap, slow(TimeSpan::SECOND))])]);
        let mut events: Vec<Event> =
            seconds.iter().map(|second| ("f", f64::from(*second) / 60.0, 0)).collect();
        // It moves the watermark past all of them.
        let last = ("other", 600.0, 0);
        let told = |events: &[Event], cut| run(settings, &book, &[events, &[last]].concat(), cut);
        let by_arrival = told(&events, cut);
        events.sort_by(|a, b| a.1.total_cmp(&b.1));
        prop_assert_eq!(&told(&events, 1).decided, &by_arrival.decided);
        let mut runs: Vec<(Timestamp, Timestamp, u64)> = Vec::new();
        for (_, at, _) in &events {
            let at = minute(*at);
            match runs.last_mut() {
                Some(run) if at.since(run.1) <= TimeSpan::MINUTE.times(gap as i64) => {
                    run.1 = at;
                    run.2 += 1;
                }
                _ => runs.push((at, at, 1)),
            }
        }
        let sessions: Vec<_> = by_arrival.decided.iter().map(|d| &d.window)
            .filter(|w| w.feature == "f")
            .map(|w| (w.window_start, w.window_end, w.count)).collect();
        prop_assert_eq!(sessions, runs);
    }

    /// However late events come, each is in the last line of one session or late.
    #[test]
    fn no_event_is_lost_or_counted_twice(
        steps in prop::collection::vec((-20i32..12, 0u64..3), 1..80),
        lateness in 0i64..15,
    ) {
        let settings = TimeSettings { allowed_lateness: TimeSpan::MINUTE.times(lateness), ..settings() };
        let mut now = 60.0f64;
        let events: Vec<Event> = steps.iter().map(|(step, latency)| {
            now += 3.0;
            ("f", now + f64::from(*step), *latency)
        }).collect();
        let out = run_with(settings, &visits(), &events, 7, Summarise::cut_at_every_record);
        prop_assert_eq!(&out, &run_with(settings, &visits(), &events, 1, Summarise::cut_at_every_record));
        let mut last = BTreeMap::new();
        let mut revisions = BTreeMap::new();
        for decided in &out.decided {
            let w = &decided.window;
            let next = revisions.entry(w.window_start).or_insert(w.revision);
            prop_assert!(w.revision >= *next, "revisions of a start go up");
            *next = w.revision + 1;
            last.insert(w.window_start, w.count);
        }
        let late: u64 = out.late.iter().filter_map(|late| late.count).sum();
        prop_assert_eq!(last.values().sum::<u64>() + late, events.len() as u64);
    }
}
