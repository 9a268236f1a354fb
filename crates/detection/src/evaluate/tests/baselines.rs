//! Rolling and seasonal baselines: which past windows they are made of.

use watchkeep_model::charter::{BaselineSpec, Effect, Season, Statistic};

use super::*;

/// Never bad: an effect of 1 is as large as it can be.
fn drift(baseline: BaselineSpec) -> Rule {
    let effect = Some(Effect { statistic: Statistic::KsStat, above: 1.0 });
    Rule::Drift { baseline, p_below: 0.001, effect, bins: 10, sustained: None }
}

fn rolling(windows: u32) -> BaselineSpec {
    BaselineSpec::Rolling { windows, min_windows: None }
}

/// What each window of `drift` was compared with, without the hash.
fn compared(book: &Book, events: &[Event], expected: &Expect) {
    let show = |cut: usize| {
        let out = run(settings(), book, events, cut);
        let mut text = String::new();
        for Decided { window, .. } in &out.decided {
            let Some(judged) = window.judged.iter().find(|j| j.expectation == "drift") else {
                continue;
            };
            let (name, _) = judged
                .baseline
                .as_deref()
                .unwrap_or("-")
                .split_once(" sha256:")
                .unwrap_or(("-", ""));
            let reason = judged.reason.as_deref().filter(|_| name == "-").unwrap_or(name);
            let [start, end] =
                [window.window_start, window.window_end].map(|at| at.to_string()[8..16].to_owned());
            let revision = window.revision;
            text += &format!("{start} {end} {:2} r{revision} {reason}\n", window.feature_version);
        }
        text
    };
    let whole = show(usize::MAX);
    expected.assert_eq(&whole);
    for cut in [1, 3, 7] {
        assert_eq!(show(cut), whole, "cut after every {cut} events");
    }
}

fn book_of(window: WindowSpec, baseline: BaselineSpec, others: &[Expectation]) -> Book {
    let drift = Expectation { window, ..expectation("drift", TimeSpan::MINUTE, drift(baseline)) };
    let all: Vec<Expectation> = std::iter::once(drift).chain(others.iter().cloned()).collect();
    book(&[("f*", &all)])
}

fn every(minutes: f64, from: f64, to: f64, slow: impl Fn(f64) -> bool) -> Vec<Event> {
    let count = ((to - from) / minutes) as u32;
    let at = |i| from + f64::from(i) * minutes;
    (0..count).map(|i| ("f", at(i), if slow(at(i)) { 5 } else { 0 })).collect()
}

#[test]
fn a_rolling_baseline_is_the_last_windows_that_do_not_overlap() {
    let tumbling = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    compared(
        &book_of(tumbling, rolling(2), &[]),
        &every(5.0, 0.0, 55.0, |_| false),
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 2) has 0 of 2 windows
            01T00:10 01T00:20    r0 the baseline (rolling 2) has 1 of 2 windows
            01T00:20 01T00:30    r0 rolling 2 windows=2 n=4
            01T00:30 01T00:40    r0 rolling 2 windows=2 n=4
            01T00:40 01T00:50    r0 rolling 2 windows=2 n=4
            01T00:50 01T01:00    r0 the input ends before the window does
        "#]],
    );
    let hopping =
        WindowSpec::Hopping { size: TimeSpan::MINUTE.times(10), hop: TimeSpan::MINUTE.times(4) };
    compared(
        &book_of(hopping, rolling(1), &[]),
        &every(1.0, 0.0, 40.0, |_| false),
        &expect![[r#"
            31T23:52 01T00:02    r0 the baseline (rolling 1) has 0 of 1 windows
            31T23:56 01T00:06    r0 the baseline (rolling 1) has 0 of 1 windows
            01T00:00 01T00:10    r0 the baseline (rolling 1) has 0 of 1 windows
            01T00:04 01T00:14    r0 rolling 1 windows=1 n=2
            01T00:08 01T00:18    r0 rolling 1 windows=1 n=6
            01T00:12 01T00:22    r0 rolling 1 windows=1 n=10
            01T00:16 01T00:26    r0 rolling 1 windows=1 n=10
            01T00:20 01T00:30    r0 rolling 1 windows=1 n=10
            01T00:24 01T00:34    r0 rolling 1 windows=1 n=10
            01T00:28 01T00:38    r0 rolling 1 windows=1 n=10
            01T00:32 01T00:42    r0 the input ends before the window does
            01T00:36 01T00:46    r0 the input ends before the window does
        "#]],
    );
}

/// A breach leaves its windows out, of whatever expectation it is, and the
/// baseline reaches further back instead.
#[test]
fn windows_in_a_breach_are_left_out_of_a_rolling_baseline() {
    let window = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    let latency = expectation("slow", TimeSpan::MINUTE.times(10), slow(TimeSpan::SECOND));
    compared(
        &book_of(window, rolling(3), &[latency]),
        // The number of events tells which windows they come from.
        &[
            every(5.0, 0.0, 30.0, |_| false),
            every(1.0, 30.0, 50.0, |_| true),
            every(5.0, 50.0, 110.0, |_| false),
        ]
        .concat(),
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 3) has 0 of 3 windows
            01T00:10 01T00:20    r0 the baseline (rolling 3) has 1 of 3 windows
            01T00:20 01T00:30    r0 the baseline (rolling 3) has 2 of 3 windows
            01T00:30 01T00:40    r0 rolling 3 windows=3 n=6
            01T00:40 01T00:50    r0 rolling 3 windows=3 n=6
            01T00:50 01T01:00    r0 rolling 3 windows=3 n=6
            01T01:00 01T01:10    r0 rolling 3 windows=3 n=6
            01T01:10 01T01:20    r0 rolling 3 windows=3 n=6
            01T01:20 01T01:30    r0 rolling 3 windows=3 n=6
            01T01:30 01T01:40    r0 rolling 3 windows=3 n=6
            01T01:40 01T01:50    r0 the input ends before the window does
        "#]],
    );
}

/// What has lasted as long as the baseline is taken for how things are now.
#[test]
fn a_breach_that_lasts_is_let_in_again() {
    let window = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    let latency = expectation("slow", TimeSpan::MINUTE.times(10), slow(TimeSpan::SECOND));
    compared(
        &book_of(window, rolling(2), &[latency]),
        &[every(5.0, 0.0, 30.0, |_| false), every(1.0, 30.0, 100.0, |_| true)].concat(),
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 2) has 0 of 2 windows
            01T00:10 01T00:20    r0 the baseline (rolling 2) has 1 of 2 windows
            01T00:20 01T00:30    r0 rolling 2 windows=2 n=4
            01T00:30 01T00:40    r0 rolling 2 windows=2 n=4
            01T00:40 01T00:50    r0 rolling 2 windows=2 n=4
            01T00:50 01T01:00    r0 rolling 2 windows=2 n=4
            01T01:00 01T01:10    r0 rolling 2 windows=2 n=12
            01T01:10 01T01:20    r0 rolling 2 windows=2 n=20
            01T01:20 01T01:30    r0 rolling 2 windows=2 n=20
            01T01:30 01T01:40    r0 rolling 2 windows=2 n=20
        "#]],
    );
}

/// A late event turns the bad window good: the breach is retracted, and later
/// windows are compared with it again.
#[test]
fn a_retracted_breach_leaves_nothing_out() {
    let window = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    let few = expectation(
        "few",
        TimeSpan::MINUTE.times(10),
        Rule::Volume { below: Some(2), above: None, usual: None },
    );
    let mut events = every(5.0, 0.0, 20.0, |_| false);
    events.extend([("f", 20.0, 0), ("f", 31.0, 0), ("f", 36.0, 0)]);
    let late = [events.clone(), vec![("f", 26.0, 0)], every(5.0, 41.0, 70.0, |_| false)].concat();
    compared(
        &book_of(window, rolling(1), std::slice::from_ref(&few)),
        &late,
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 1) has 0 of 1 windows
            01T00:10 01T00:20    r0 rolling 1 windows=1 n=2
            01T00:20 01T00:30    r0 rolling 1 windows=1 n=2
            01T00:20 01T00:30    r1 rolling 1 windows=1 n=2
            01T00:30 01T00:40    r0 rolling 1 windows=1 n=2
            01T00:40 01T00:50    r0 rolling 1 windows=1 n=2
            01T00:50 01T01:00    r0 rolling 1 windows=1 n=2
            01T01:00 01T01:10    r0 the input ends before the window does
        "#]],
    );
    let not = [events, every(5.0, 41.0, 70.0, |_| false)].concat();
    compared(
        &book_of(window, rolling(1), &[few]),
        &not,
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 1) has 0 of 1 windows
            01T00:10 01T00:20    r0 rolling 1 windows=1 n=2
            01T00:20 01T00:30    r0 rolling 1 windows=1 n=2
            01T00:30 01T00:40    r0 rolling 1 windows=1 n=2
            01T00:40 01T00:50    r0 rolling 1 windows=1 n=2
            01T00:50 01T01:00    r0 rolling 1 windows=1 n=2
            01T01:00 01T01:10    r0 the input ends before the window does
        "#]],
    );
}

#[test]
fn a_version_has_its_own_baseline_and_breaches() {
    let window = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    let latency = expectation("slow", TimeSpan::MINUTE.times(10), slow(TimeSpan::SECOND));
    let both =
        |minute: f64| [("f", minute, 0), ("f@2", minute + 1.0, if minute > 15.0 { 5 } else { 0 })];
    let events: Vec<Event> = (0..8).flat_map(|i| both(f64::from(i) * 5.0)).collect();
    compared(
        &book_of(window, rolling(1), &[latency]),
        &events,
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 1) has 0 of 1 windows
            01T00:00 01T00:10 2  r0 the baseline (rolling 1) has 0 of 1 windows
            01T00:10 01T00:20    r0 rolling 1 windows=1 n=2
            01T00:10 01T00:20 2  r0 rolling 1 windows=1 n=2
            01T00:20 01T00:30    r0 rolling 1 windows=1 n=2
            01T00:20 01T00:30 2  r0 rolling 1 windows=1 n=2
            01T00:30 01T00:40    r0 the input ends before the window does
            01T00:30 01T00:40 2  r0 the input ends before the window does
        "#]],
    );
}

#[test]
fn min_windows_makes_do_with_fewer() {
    let window = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    let spec = BaselineSpec::Rolling { windows: 4, min_windows: Some(2) };
    compared(
        &book_of(window, spec, &[]),
        &every(5.0, 0.0, 55.0, |_| false),
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 4) has 0 of 4 windows, 2 are needed
            01T00:10 01T00:20    r0 the baseline (rolling 4) has 1 of 4 windows, 2 are needed
            01T00:20 01T00:30    r0 rolling 4 windows=2 n=4
            01T00:30 01T00:40    r0 rolling 4 windows=3 n=6
            01T00:40 01T00:50    r0 rolling 4 windows=4 n=8
            01T00:50 01T01:00    r0 the input ends before the window does
        "#]],
    );
}

/// Where another expectation finds two windows of three bad for good, nothing
/// could ever be compared: its windows are let in, the latest first, once the
/// history is as long as the baseline.
#[test]
fn another_expectation_that_is_bad_most_of_the_time_hides_nothing() {
    let window = WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(10) };
    let latency = expectation("slow", TimeSpan::MINUTE.times(10), slow(TimeSpan::SECOND));
    compared(
        &book_of(window, rolling(4), &[latency]),
        &every(2.0, 0.0, 110.0, |at| (at / 10.0).floor() % 3.0 != 0.0),
        &expect![[r#"
            01T00:00 01T00:10    r0 the baseline (rolling 4) has 0 of 4 windows
            01T00:10 01T00:20    r0 the baseline (rolling 4) has 1 of 4 windows
            01T00:20 01T00:30    r0 the baseline (rolling 4) has 1 of 4 windows; 1 left out for a breach
            01T00:30 01T00:40    r0 the baseline (rolling 4) has 1 of 4 windows; 2 left out for a breach
            01T00:40 01T00:50    r0 rolling 4 windows=4 n=20
            01T00:50 01T01:00    r0 rolling 4 windows=4 n=20
            01T01:00 01T01:10    r0 rolling 4 windows=4 n=20
            01T01:10 01T01:20    r0 rolling 4 windows=4 n=20
            01T01:20 01T01:30    r0 rolling 4 windows=4 n=20
            01T01:30 01T01:40    r0 rolling 4 windows=4 n=20
            01T01:40 01T01:50    r0 the input ends before the window does
        "#]],
    );
}

/// One day of a week is silent, another one is bad: the first is missed, the second left out.
#[test]
fn a_season_misses_silent_windows_and_leaves_bad_ones_out() {
    let window = WindowSpec::Tumbling { size: TimeSpan::HOUR.times(12) };
    let latency = expectation("slow", TimeSpan::HOUR.times(12), slow(TimeSpan::SECOND));
    let season = |min_windows| BaselineSpec::Seasonal {
        by: Season::HourOfDay,
        weeks: 1,
        zone: None,
        min_windows,
    };
    let day = 24.0 * 60.0;
    let events = |silent: f64| {
        let mut events = every(300.0, 0.0, 10.0 * day, |at| (2.0..3.0).contains(&(at / day)));
        events.retain(|event| (event.1 / day).floor() != silent);
        events
    };
    compared(
        &book_of(window, season(None), std::slice::from_ref(&latency)),
        &events(-1.0),
        &expect![[r#"
            01T00:00 01T12:00    r0 the baseline (seasonal hour_of_day 1w) has 0 of 7 windows
            01T12:00 02T00:00    r0 the baseline (seasonal hour_of_day 1w) has 0 of 7 windows
            02T00:00 02T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows
            02T12:00 03T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows
            03T00:00 03T12:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows
            03T12:00 04T00:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows
            04T00:00 04T12:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows, 6 are needed; 1 left out for a breach
            04T12:00 05T00:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows, 6 are needed; 1 left out for a breach
            05T00:00 05T12:00    r0 the baseline (seasonal hour_of_day 1w) has 3 of 7 windows, 6 are needed; 1 left out for a breach
            05T12:00 06T00:00    r0 the baseline (seasonal hour_of_day 1w) has 3 of 7 windows, 6 are needed; 1 left out for a breach
            06T00:00 06T12:00    r0 the baseline (seasonal hour_of_day 1w) has 4 of 7 windows, 6 are needed; 1 left out for a breach
            06T12:00 07T00:00    r0 the baseline (seasonal hour_of_day 1w) has 4 of 7 windows, 6 are needed; 1 left out for a breach
            07T00:00 07T12:00    r0 the baseline (seasonal hour_of_day 1w) has 5 of 7 windows, 6 are needed; 1 left out for a breach
            07T12:00 08T00:00    r0 the baseline (seasonal hour_of_day 1w) has 5 of 7 windows, 6 are needed; 1 left out for a breach
            08T00:00 08T12:00    r0 seasonal hour_of_day 1w windows=6 n=16
            08T12:00 09T00:00    r0 seasonal hour_of_day 1w windows=6 n=13
            09T00:00 09T12:00    r0 seasonal hour_of_day 1w windows=6 n=15
            09T12:00 10T00:00    r0 seasonal hour_of_day 1w windows=6 n=14
            10T00:00 10T12:00    r0 seasonal hour_of_day 1w windows=6 n=14
            10T12:00 11T00:00    r0 the input ends before the window does
        "#]],
    );
    compared(
        &book_of(window, season(None), std::slice::from_ref(&latency)),
        &events(1.0),
        &expect![[r#"
            01T00:00 01T12:00    r0 the baseline (seasonal hour_of_day 1w) has 0 of 7 windows
            01T12:00 02T00:00    r0 the baseline (seasonal hour_of_day 1w) has 0 of 7 windows
            02T00:00 02T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows
            02T12:00 03T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows
            03T00:00 03T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows
            03T12:00 04T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows
            04T00:00 04T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 6 are needed; 1 left out for a breach
            04T12:00 05T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 6 are needed; 1 left out for a breach
            05T00:00 05T12:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows, 6 are needed; 1 left out for a breach
            05T12:00 06T00:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows, 6 are needed; 1 left out for a breach
            06T00:00 06T12:00    r0 the baseline (seasonal hour_of_day 1w) has 3 of 7 windows, 6 are needed; 1 left out for a breach
            06T12:00 07T00:00    r0 the baseline (seasonal hour_of_day 1w) has 3 of 7 windows, 6 are needed; 1 left out for a breach
            07T00:00 07T12:00    r0 the baseline (seasonal hour_of_day 1w) has 4 of 7 windows, 6 are needed; 1 left out for a breach
            07T12:00 08T00:00    r0 the baseline (seasonal hour_of_day 1w) has 4 of 7 windows, 6 are needed; 1 left out for a breach
            08T00:00 08T12:00    r0 the baseline (seasonal hour_of_day 1w) has 5 of 7 windows, 6 are needed; 1 left out for a breach
            08T12:00 09T00:00    r0 the baseline (seasonal hour_of_day 1w) has 5 of 7 windows, 6 are needed; 1 left out for a breach
            09T00:00 09T12:00    r0 the baseline (seasonal hour_of_day 1w) has 5 of 7 windows, 6 are needed; 1 left out for a breach
            09T12:00 10T00:00    r0 the baseline (seasonal hour_of_day 1w) has 5 of 7 windows, 6 are needed; 1 left out for a breach
            10T00:00 10T12:00    r0 seasonal hour_of_day 1w windows=6 n=14
            10T12:00 11T00:00    r0 the input ends before the window does
        "#]],
    );
    compared(
        &book_of(window, season(Some(3)), &[latency]),
        &events(1.0),
        &expect![[r#"
            01T00:00 01T12:00    r0 the baseline (seasonal hour_of_day 1w) has 0 of 7 windows, 3 are needed
            01T12:00 02T00:00    r0 the baseline (seasonal hour_of_day 1w) has 0 of 7 windows, 3 are needed
            02T00:00 02T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 3 are needed
            02T12:00 03T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 3 are needed
            03T00:00 03T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 3 are needed
            03T12:00 04T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 3 are needed
            04T00:00 04T12:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 3 are needed; 1 left out for a breach
            04T12:00 05T00:00    r0 the baseline (seasonal hour_of_day 1w) has 1 of 7 windows, 3 are needed; 1 left out for a breach
            05T00:00 05T12:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows, 3 are needed; 1 left out for a breach
            05T12:00 06T00:00    r0 the baseline (seasonal hour_of_day 1w) has 2 of 7 windows, 3 are needed; 1 left out for a breach
            06T00:00 06T12:00    r0 seasonal hour_of_day 1w windows=3 n=7
            06T12:00 07T00:00    r0 seasonal hour_of_day 1w windows=3 n=7
            07T00:00 07T12:00    r0 seasonal hour_of_day 1w windows=4 n=10
            07T12:00 08T00:00    r0 seasonal hour_of_day 1w windows=4 n=9
            08T00:00 08T12:00    r0 seasonal hour_of_day 1w windows=5 n=13
            08T12:00 09T00:00    r0 seasonal hour_of_day 1w windows=5 n=11
            09T00:00 09T12:00    r0 seasonal hour_of_day 1w windows=5 n=12
            09T12:00 10T00:00    r0 seasonal hour_of_day 1w windows=5 n=12
            10T00:00 10T12:00    r0 seasonal hour_of_day 1w windows=6 n=14
            10T12:00 11T00:00    r0 the input ends before the window does
        "#]],
    );
}
