//! Silence of a feature, and repeats of events that their producer named.

use super::*;

fn silence(after: f64, window: f64) -> Expectation {
    let span = |minutes: f64| TimeSpan::from_micros((minutes * 60e6) as i64);
    expectation("quiet", span(window), Rule::Silence { after: span(after) })
}

#[test]
fn silence_counts_from_the_latest_event_before_the_end() {
    check(
        settings(),
        &book(&[("f", &[silence(7.0, 5.0)])]),
        // 00:10 is silent for exactly 7 minutes; what comes after an end does not count for it.
        &[("f", 1.0, 0), ("f", 3.0, 0), ("f", 12.0, 0), ("other", 26.0, 0)],
        &expect![[r#"
            00:05 f 00:00-00:05 r0 n=2 late=0 quiet=Good
            00:10 f 00:05-00:10 r0 n=0 late=0 quiet=Bad Opened
            00:15 f 00:10-00:15 r0 n=1 late=0 quiet=Good Cleared
            00:20 f 00:15-00:20 r0 n=0 late=0 quiet=Bad Opened
            00:25 f 00:20-00:25 r0 n=0 late=0 quiet=Bad Sustained
            00:27 f 00:25-00:30 r0 n=0 late=0 partial quiet=NotJudged
            00:27 other 00:00-01:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn before_its_first_event_a_named_feature_is_silent_from_the_streams_beginning() {
    check(
        settings(),
        &book(&[("f", &[silence(7.0, 5.0)])]),
        &[("other", 4.0, 0), ("other", 16.0, 0)],
        &expect![[r#"
            00:05 f 00:00-00:05 r0 n=0 late=0 quiet=Good
            00:10 f 00:05-00:10 r0 n=0 late=0 quiet=Good
            00:15 f 00:10-00:15 r0 n=0 late=0 quiet=Bad Opened
            00:17 f 00:15-00:20 r0 n=0 late=0 partial quiet=NotJudged
            00:17 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

#[test]
fn a_silence_is_that_of_all_versions_and_another_one_ends_it() {
    check(
        settings(),
        &book(&[("f", &[silence(4.0, 5.0)])]),
        &[("f@1", 0.5, 0), ("f@2", 8.0, 0), ("other", 11.0, 0)],
        &expect![[r#"
            00:05 f@1 00:00-00:05 r0 n=1 late=0 quiet=Bad Opened
            00:10 f@2 00:05-00:10 r0 n=1 late=0 quiet=Good Cleared
            00:12 f@2 00:10-00:15 r0 n=0 late=0 partial quiet=NotJudged
            00:12 other 00:00-01:00 r0 n=1 late=0 partial
        "#]],
    );
}

#[test]
fn a_revision_judges_silence_anew() {
    check(
        settings(),
        &book(&[("f", &[silence(4.0, 5.0)])]),
        &[("f", 0.5, 0), ("other", 7.0, 0), ("f", 3.0, 0), ("other", 11.0, 0)],
        &expect![[r#"
            00:05 f 00:00-00:05 r0 n=1 late=0 quiet=Bad Opened
            00:10 f 00:00-00:05 r1 n=2 late=1 quiet=Good Retracted
            00:10 f 00:05-00:10 r0 n=0 late=0 quiet=Bad Opened
            00:12 f 00:10-00:15 r0 n=0 late=0 partial quiet=NotJudged
            00:12 other 00:00-01:00 r0 n=2 late=0 partial
        "#]],
    );
}

/// Runs (event, id) pairs, all of `f`, with a span of ten minutes.
fn named(events: &[(f64, &'static str)], cut: usize) -> Outputs {
    let mut book =
        book(&[("f", &[expectation("slow", TimeSpan::MINUTE.times(5), slow(TimeSpan::SECOND))])]);
    for charter in book.0.values_mut() {
        Arc::get_mut(charter).unwrap().fields.deduplicate = Some(TimeSpan::MINUTE.times(10));
    }
    let mut summarise = Summarise::new(settings(), "test", Timestamp::default());
    let mut evaluate = Evaluate::new(settings(), 0, 1);
    let id = summarise.assign(&Partition::new("t", 0), 0);
    let mut out = Outputs::default();
    for (offset, (at, name)) in events.iter().enumerate() {
        let mut event = telemetry(&("f", *at, 0));
        event.event_id = (!name.is_empty()).then_some(Cow::Borrowed(name));
        summarise.record(id, offset as i64, None, &[event], &book).unwrap();
        if (offset + 1) % cut == 0 {
            for step in summarise.take_steps() {
                evaluate.step(&step, &book, &mut out);
            }
        }
    }
    for step in summarise.take_steps() {
        evaluate.step(&step, &book, &mut out);
    }
    evaluate.finish(None, &book, &mut out);
    assert_eq!(evaluate.duplicates(), out.duplicates);
    out
}

#[test]
fn repeats_within_the_span_are_dropped_either_way() {
    let events =
        [(20.0, "a"), (20.0, "a"), (29.5, "a"), (30.5, "a"), (21.0, "b"), (22.0, ""), (22.0, "")];
    let out = named(&events, 1);
    assert_eq!(out, named(&events, 100), "cutting into batches changes nothing");
    assert_eq!(out.duplicates, 2);
    expect![[r#"
        00:25 f 00:20-00:25 r0 n=1 late=0 slow=Good
        00:30 f 00:25-00:30 r0 n=0 late=0 slow=NotJudged
        00:31 f 00:20-00:25 r1 n=4 late=3 slow=Good
        00:31 f 00:30-00:35 r0 n=1 late=0 partial slow=NotJudged
    "#]]
    .assert_eq(&show(&out));
}

proptest! {
    /// Each event is in a window, too late or a repeat, however the input is cut.
    #[test]
    fn each_event_is_counted_late_or_a_repeat(
        steps in prop::collection::vec((-30i32..12, 0usize..4), 1..60),
        cut in 2usize..20,
    ) {
        let mut now = 60.0f64;
        let events: Vec<(f64, &'static str)> = steps.iter().map(|(step, name)| {
            now += 3.0;
            (now + f64::from(*step), ["", "a", "b", "c"][*name])
        }).collect();
        let out = named(&events, 1);
        prop_assert_eq!(&out, &named(&events, cut));
        let mut last = BTreeMap::new();
        for decided in &out.decided {
            last.insert(decided.window.window_start, decided.window.count);
        }
        let late: u64 = out.late.iter().filter_map(|late| late.count).sum();
        prop_assert_eq!(last.values().sum::<u64>() + late + out.duplicates, events.len() as u64);
    }
}
