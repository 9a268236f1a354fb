//! Objectives against counts taken anew from every event for every line.

use watchkeep_model::charter::{BURN_PAIRS, Good, SLO_PERIOD_DEFAULT};
use watchkeep_model::window::{Slo, Verdict};

use super::*;

const OBJECTIVE: f64 = 0.99;
const BOUND_SECONDS: u64 = 2;

fn objective(window: WindowSpec, min_samples: u64) -> Book {
    let good = Good { latency_below: Some(TimeSpan::SECOND.times(2)), ..Good::default() };
    let rule = Rule::Slo { objective: OBJECTIVE, good, period: SLO_PERIOD_DEFAULT };
    let expectation =
        Expectation { window, min_samples, ..expectation("burn", TimeSpan::HOUR, rule) };
    book(&[("f", &[expectation])])
}

fn tumbling(minutes: i64) -> WindowSpec {
    WindowSpec::Tumbling { size: TimeSpan::MINUTE.times(minutes) }
}

/// Events that the stage has taken when it decides at `at`, by the rules of
/// lateness: those that came before the watermark reached `at` and not too late
/// for the latest window of their time.
fn taken(events: &[Event], at: Timestamp, window: WindowSpec) -> Vec<Event> {
    let settings = settings();
    let mut watermark = None;
    let mut taken = Vec::new();
    for event in events {
        let (size, hop) = match window {
            WindowSpec::Hopping { size, hop } => (size, hop),
            other => (other.size(), other.size()),
        };
        let time = minute(event.1);
        let settled = time.floor(hop) + size + settings.allowed_lateness;
        if watermark.is_none_or(|watermark| watermark < at && watermark < settled) {
            taken.push(*event);
        }
        watermark = watermark.max(Some(time));
    }
    taken
}

fn count(events: &[Event], from: Timestamp, to: Timestamp) -> (u64, u64) {
    let within = |event: &&Event| from <= minute(event.1) && minute(event.1) < to;
    let total = events.iter().filter(within).count();
    let bad = events.iter().filter(within).filter(|event| event.2 >= BOUND_SECONDS).count();
    (total as u64, bad as u64)
}

/// Holds every line of `f` against the events; answers with the verdicts.
fn compare(window: WindowSpec, min_samples: u64, events: &[Event], cut: usize) -> Vec<Verdict> {
    let out = run(settings(), &objective(window, min_samples), events, cut);
    let mut verdicts = Vec::new();
    for decided in out.decided.iter().filter(|d| d.window.feature == "f" && !d.window.partial) {
        let judged = &decided.window.judged[0];
        let (events, end) = (taken(events, decided.at, window), decided.window.window_end);
        let mut bad = false;
        let mut any = false;
        for (i, pair) in BURN_PAIRS.iter().enumerate() {
            let [long, short] = [pair.long, pair.short].map(|l| count(&events, end - l, end));
            let enough = long.0.min(short.0) >= min_samples.max(1);
            // Whole numbers, so that the bound itself is exact: the share over
            // 1 / 100 is above the factor, which is told in tenths.
            let factor = (pair.factor * 10.0).round() as u64;
            let fires = |(total, bad): (u64, u64)| bad * 1000 > factor * total;
            any |= enough;
            bad |= enough && fires(long) && fires(short);
            if let Some(Slo { pairs, .. }) = judged.slo.as_deref() {
                let told = &pairs[i];
                assert_eq!((told.long_total, told.long_bad), long, "{decided:?}");
                assert_eq!((told.short_total, told.short_bad), short, "{decided:?}");
                assert_eq!(told.fired, enough && fires(long) && fires(short));
            }
        }
        let expected = match (any, bad) {
            (false, _) => Verdict::NotJudged,
            (true, true) => Verdict::Bad,
            (true, false) => Verdict::Good,
        };
        assert_eq!(judged.verdict, expected, "{decided:?}");
        assert_eq!(judged.slo.is_some(), any);
        if let Some(slo) = judged.slo.as_deref() {
            let from = (end - SLO_PERIOD_DEFAULT).floor(TimeSpan::HOUR);
            assert_eq!((slo.total, slo.bad), count(&events, from, end));
        }
        verdicts.push(expected);
    }
    verdicts
}

#[test]
fn an_outage_fires_within_minutes_and_the_short_windows_end_it() {
    // Ten slow minutes after four quiet days, with an event each minute.
    let slow = |m: u64| if (5760..5770).contains(&m) { 5 } else { 0 };
    let events: Vec<Event> = (0..5790).map(|m| ("f", m as f64, slow(m))).collect();
    let book = objective(tumbling(5), 1);
    let out = run(settings(), &book, &events, 100);
    let told: Vec<String> = out
        .decided
        .iter()
        .flat_map(|d| &d.breaches)
        .map(|b| format!("{} {:?}: {}", b.window_end, b.transition, b.reason))
        .collect();
    expect![[r#"
        2020-01-05T00:10:00Z Opened: the error budget of objective 0.99 burns at 16.6667 or more over 1h and 5m, above 14.4; 82.7 % of the period's budget is left
        2020-01-05T00:15:00Z Cleared: good again"#]].assert_eq(&told.join("\n"));
}

#[test]
fn a_window_with_few_events_judges_no_pair() {
    // One bad event of three: above every factor, and far from an alarm.
    let events: Vec<Event> = [("f", 1.0, 0), ("f", 2.0, 9), ("f", 3.0, 0), ("g", 70.0, 0)].into();
    let out = run(settings(), &objective(tumbling(60), 30), &events, 10);
    let judged = &out.decided[0].window.judged[0];
    assert_eq!(judged.verdict, Verdict::NotJudged);
    expect!["3 events in the last 6h, fewer than min_samples = 30"]
        .assert_eq(judged.reason.as_deref().unwrap());
}

#[test]
fn a_bound_is_not_above_itself() {
    // 21 bad of 350 at an objective of 0.99 burn at 6 exactly.
    let events: Vec<Event> = (10..360)
        .map(|i| ("f", f64::from(i), if i % 50 < 3 { 9 } else { 0 }))
        .chain([("g", 400.0, 0)])
        .collect();
    let out = run(settings(), &objective(tumbling(360), 1), &events, 1000);
    let slo = out.decided[0].window.judged[0].slo.as_deref().unwrap();
    assert!((slo.pairs[1].long_burn.unwrap() - 6.0).abs() < 1e-9);
    assert!(slo.pairs[1].short_burn.unwrap() > 6.0);
    assert!(!slo.pairs[1].fired && slo.pairs[2].fired);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_line_counts_as_the_events_do(
        spread in prop::collection::vec((0.0f64..7000.0, 0u64..4, any::<bool>()), 50..400),
        outage in 0.0f64..7000.0,
        (window, cut) in prop_oneof![
            Just(tumbling(60)), Just(tumbling(7)),
            Just(WindowSpec::Hopping { size: TimeSpan::MINUTE.times(60), hop: TimeSpan::MINUTE.times(20) }),
        ].prop_flat_map(|window| (Just(window), 1usize..200)),
        min_samples in 0u64..4,
    ) {
        let mut events: Vec<Event> = spread.iter().map(|&(at, latency, late)| {
            let slow = (outage..outage + 600.0).contains(&at);
            ("f", at - if late { 30.0 } else { 0.0 }, if slow { 9 } else { latency })
        }).collect();
        // In order of arrival: some come half an hour late.
        events.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by(|a, b| {
            let arrival = |i: usize| spread[i % spread.len()].0.rem_euclid(30.0) + events[i].1;
            arrival(*a).total_cmp(&arrival(*b))
        });
        let events: Vec<Event> = order.into_iter().map(|i| events[i]).collect();
        let first = compare(window, min_samples, &events, cut);
        prop_assert_eq!(first, compare(window, min_samples, &events, 1000));
    }
}
