//! Counts beside usual ones: which windows they are held against, empty ones
//! among them.

use watchkeep_model::charter::{BaselineSpec, UsualVolume};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::window::Verdict;

use super::*;

fn usual(baseline: BaselineSpec) -> Book {
    let usual = UsualVolume { change: 0.5, baseline, p_below: 0.01 };
    let rule = Rule::Volume { below: None, above: None, usual: Some(usual) };
    book(&[("f*", &[expectation("usual", TimeSpan::MINUTE.times(10), rule)])])
}

fn rolling(windows: u32) -> BaselineSpec {
    BaselineSpec::Rolling { windows, min_windows: None }
}

/// So many events in each window of ten minutes, of one version.
fn counts(version: &'static str, from: f64, counts: &[u32]) -> Vec<Event> {
    let mut events = Vec::new();
    for (window, &count) in counts.iter().enumerate() {
        let start = from + 10.0 * window as f64;
        events.extend(
            (0..count).map(|i| (version, start + 9.0 * f64::from(i) / f64::from(count), 0)),
        );
    }
    events
}

/// Each window's count and what it was held against.
fn held(book: &Book, events: &[Event], expected: &Expect) {
    let show = |cut: usize| {
        let out = run(settings(), book, events, cut);
        let mut text = String::new();
        for Decided { window, .. } in &out.decided {
            let judged = &window.judged[0];
            let start = &window.window_start.to_string()[11..16];
            let against = match (&judged.volume, &judged.reason) {
                (_, Some(reason)) => reason.clone(),
                (Some(usual), None) => {
                    let p = judged.p_value.unwrap_or_default();
                    format!("good: {} windows of {:.2}, p {p:.2}", usual.windows, usual.expected)
                }
                (None, None) => "nothing".to_owned(),
            };
            text += &format!("{start} {:2} {against}\n", window.count);
        }
        text
    };
    let whole = show(usize::MAX);
    expected.assert_eq(&whole);
    for cut in [1, 7] {
        assert_eq!(show(cut), whole, "cut after every {cut} events");
    }
}

#[test]
fn a_count_is_held_against_the_windows_before_with_events_or_without() {
    // Always some events, then hardly any, none, and too many; then a feature
    // whose windows often have none.
    let cases: [(u32, &[u32], Expect); 2] = [
        (
            6,
            &[20, 22, 19, 20, 21, 23, 4, 20, 0, 19, 60, 20],
            expect![[r#"
                00:00 20 the baseline (rolling 6) has 0 of 6 windows
                00:10 22 the baseline (rolling 6) has 1 of 6 windows
                00:20 19 the baseline (rolling 6) has 2 of 6 windows
                00:30 20 the baseline (rolling 6) has 3 of 6 windows
                00:40 21 the baseline (rolling 6) has 4 of 6 windows
                00:50 23 the baseline (rolling 6) has 5 of 6 windows
                01:00  4 4 events, 80.8 % fewer than the usual 20.8: a change above 0.5 with p-value 7.965e-5 below 0.01
                01:10 20 good: 6 windows of 20.83, p 0.63
                01:20  0 0 events, 100.0 % fewer than the usual 20.8: a change above 0.5 with p-value 1.436e-5 below 0.01
                01:30 19 good: 6 windows of 20.83, p 0.30
                01:40 60 60 events, 195.1 % more than the usual 20.3: a change above 0.5 with p-value 1.376e-5 below 0.01
                01:50 20 the input ends before the window does
            "#]],
        ),
        (
            5,
            &[5, 0, 6, 4, 0, 5, 0, 90, 5],
            expect![[r#"
                00:00  5 the baseline (rolling 5) has 0 of 5 windows
                00:10  0 the baseline (rolling 5) has 1 of 5 windows
                00:20  6 the baseline (rolling 5) has 2 of 5 windows
                00:30  4 the baseline (rolling 5) has 3 of 5 windows
                00:40  0 the baseline (rolling 5) has 4 of 5 windows
                00:50  5 good: 5 windows of 3.00, p 0.55
                01:00  0 good: 5 windows of 3.00, p 0.39
                01:10 90 90 events, 2900.0 % more than the usual 3.0: a change above 0.5 with p-value 8.734e-3 below 0.01
                01:20  5 the input ends before the window does
            "#]],
        ),
    ];
    for (windows, of_windows, expected) in cases {
        held(&usual(rolling(windows)), &counts("f", 0.0, of_windows), &expected);
    }
}

#[test]
fn a_version_that_has_just_begun_was_not_silent_before() {
    let old = counts("f@1", 0.0, &[20, 21, 19, 20, 22]);
    let new = counts("f@2", 50.0, &[20, 21, 19, 20, 5]);
    held(
        &usual(rolling(3)),
        &[old, new].concat(),
        &expect![[r#"
        00:00 20 the baseline (rolling 3) has 0 of 3 windows
        00:10 21 the baseline (rolling 3) has 1 of 3 windows
        00:20 19 the baseline (rolling 3) has 2 of 3 windows
        00:30 20 good: 3 windows of 20.00, p 1.00
        00:40 22 good: 3 windows of 20.00, p 0.24
        00:50 20 the baseline (rolling 3) has 0 of 3 windows
        01:00 21 the baseline (rolling 3) has 1 of 3 windows
        01:10 19 the baseline (rolling 3) has 2 of 3 windows
        01:20 20 good: 3 windows of 20.00, p 1.00
        01:30  5 the input ends before the window does
    "#]],
    );
}

#[test]
fn a_range_is_cut_into_windows() {
    // Events from the second window on; the range ends within the seventh.
    let baseline = BaselineSpec::Fixed { from: minute(0.0), to: minute(65.0) };
    let events = counts("f", 0.0, &[0, 20, 22, 18, 0, 21, 20, 20, 3, 900, 20]);
    held(
        &usual(baseline),
        &events,
        &expect![[r#"
            00:10 20 the baseline (fixed 2020-01-01T00:00:00Z/2020-01-01T01:05:00Z) is complete only from 2020-01-01T01:05:00Z on
            00:20 22 the baseline (fixed 2020-01-01T00:00:00Z/2020-01-01T01:05:00Z) is complete only from 2020-01-01T01:05:00Z on
            00:30 18 the baseline (fixed 2020-01-01T00:00:00Z/2020-01-01T01:05:00Z) is complete only from 2020-01-01T01:05:00Z on
            00:40  0 the baseline (fixed 2020-01-01T00:00:00Z/2020-01-01T01:05:00Z) is complete only from 2020-01-01T01:05:00Z on
            00:50 21 the baseline (fixed 2020-01-01T00:00:00Z/2020-01-01T01:05:00Z) is complete only from 2020-01-01T01:05:00Z on
            01:00 20 the baseline (fixed 2020-01-01T00:00:00Z/2020-01-01T01:05:00Z) is complete only from 2020-01-01T01:05:00Z on
            01:10 20 good: 5 windows of 16.20, p 0.71
            01:20  3 good: 5 windows of 16.20, p 0.54
            01:30 900 900 events, 5455.6 % more than the usual 16.2: a change above 0.5 with p-value 1.625e-3 below 0.01
            01:40 20 the input ends before the window does
        "#]],
    );
}

#[test]
fn an_alert_budget_has_its_say() {
    let events = counts("f", 0.0, &[20, 22, 19, 21, 20, 3, 20]);
    let events: Vec<_> = events.iter().map(telemetry).collect();
    let terms = AlertBudget::FalseAlarms { count: 1e-6, per: TimeSpan::WEEK };
    let out = budgets::run_by(usual(rolling(4)), &events, terms, 7);
    let judged: Vec<_> = out.decided.iter().map(|decided| &decided.window.judged[0]).collect();
    assert!(judged[5].reason.as_ref().unwrap().contains("the alert budget"), "{:?}", judged[5]);
    assert!(judged[5].budget.is_some());
}

/// An outage that is longer than the baseline: the empty windows that the baseline
/// takes in by then do not make any count usual, and the breach goes on.
#[test]
fn an_outage_is_bad_until_most_of_the_baseline_is_of_it() {
    let before = [20, 22, 19, 21, 23, 20, 20, 22];
    let verdicts = |after: &[u32]| -> String {
        let events = counts("f", 0.0, &[&before[..], after].concat());
        let out = run(settings(), &usual(rolling(6)), &events, usize::MAX);
        let shown =
            out.decided.iter().skip(before.len()).map(|Decided { window, .. }| {
                match window.judged[0].verdict {
                    Verdict::Bad => 'b',
                    Verdict::Good => 'g',
                    Verdict::NotJudged => '-',
                }
            });
        shown.collect()
    };
    // A tenth is left of what there was: bad as long as a baseline of six and until
    // four of six windows are of the new level, with which all is well again.
    let tenth: Vec<u32> = (0..16).map(|at| 2 + (at % 2) as u32).collect();
    assert_eq!(verdicts(&tenth), "bbbbbbbbbbggggg-");
    // Nothing comes any more: no count is usual then, and nothing ends the breach.
    assert_eq!(verdicts(&[&[0; 16][..], &[20]].concat()), "bbbbbbbbbb-------");
}
