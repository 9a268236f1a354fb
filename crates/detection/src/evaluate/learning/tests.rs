//! Which windows a history holds, and what an outage or a shift does to it.

use watchkeep_model::charter::Threshold;

use super::*;

const TUMBLING: Windows = Windows { overlap: 1.0, apart: 1 };

fn learned() -> Learned {
    Learned {
        thresholds: vec![Threshold::Above],
        false_alarm_rate: 0.01,
        from: TimeSpan::DAY.times(10),
        resolve_rate: None,
    }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(0) + TimeSpan::HOUR.times(hour)
}

/// Judges by the history and takes note; true where the window is bad.
fn window(history: &mut History, hour: i64, value: f64) -> bool {
    let learned = learned();
    let (above, usual) = match history.bounds(at(hour), &learned, 0.01, TUMBLING) {
        Ok((bounds, usual)) => (bounds.above.unwrap_or(f64::MAX), usual.upper),
        Err(_) => (f64::MAX, 0.0),
    };
    let far = value - above > above - usual;
    history.note(at(hour), Some(Sides { lower: value, upper: value }), far, learned.from);
    value > above
}

fn quiet(hour: i64) -> f64 {
    (hour * 7919 % 100) as f64 / 100.0
}

fn after_ten_days() -> History {
    let mut history = History::default();
    (0..240).for_each(|hour| {
        window(&mut history, hour, quiet(hour));
    });
    history
}

#[test]
fn an_outage_teaches_nothing() {
    let mut history = after_ten_days();
    let outage = |hour| hour % 50 < 6;
    let judged = (240..400).map(|hour| {
        let value = if outage(hour) { 10.0 } else { quiet(hour) };
        (hour, window(&mut history, hour, value))
    });
    let missed = judged.filter(|(hour, bad)| outage(*hour) && !bad).count();
    assert_eq!(missed, 0);
}

/// Always 0 but for bursts in one window of twenty: until these are many they are
/// outages, then they are how the feature is.
#[test]
fn bursts_that_come_again_and_again_are_learned_from() {
    let mut history = History::default();
    let burst = |hour: i64| {
        let mixed = (hour as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if mixed >> 32 & 0xffff < 3_277 { 1.0 + (mixed >> 48) as f64 / 65_536.0 } else { 0.0 }
    };
    let bad: Vec<i64> =
        (0..1_200).filter(|hour| window(&mut history, *hour, burst(*hour))).collect();
    let bursts = (200..1_200).filter(|hour| burst(*hour) > 0.0).count();
    assert!((35..70).contains(&bursts), "{bursts}");
    let late = bad.iter().filter(|hour| **hour >= 200).count();
    // 10 are expected at the rate.
    assert!((2..=18).contains(&late), "{late} of {bursts}: {bad:?}");
}

/// What one breach goes over is one occasion: of bursts that come daily, and a breach
/// that is cleared after two quiet days, all are set aside.
#[test]
fn what_one_breach_goes_over_is_one_occasion() {
    let mut history = History::default();
    for hour in 0..240 {
        let (value, far) = if hour % 24 == 5 { (9.0, true) } else { (quiet(hour), false) };
        let sides = Sides { lower: value, upper: value };
        history.note(at(hour), Some(sides), far, learned().from);
    }
    let learned_from = |apart| history.good(at(240), &learned(), apart).len();
    assert_eq!((learned_from(1), learned_from(48)), (240, 230));
}

#[test]
fn a_level_that_stays_is_the_level_after_a_tenth_of_the_history() {
    let mut history = after_ten_days();
    let bad = (240..480).filter(|hour| window(&mut history, *hour, 5.0 + quiet(*hour)));
    let bad: Vec<i64> = bad.collect();
    assert_eq!(bad[..24], (240..264).collect::<Vec<_>>());
    assert!(bad.len() < 32, "{bad:?}");
}

#[test]
fn a_revision_replaces_what_was_noted() {
    let (mut history, mut other) = (after_ten_days(), after_ten_days());
    let note = |history: &mut History, hour, value, far| {
        let sides = Sides { lower: value, upper: value };
        history.note(at(hour), Some(sides), far, learned().from);
    };
    note(&mut history, 240, 9.0, true);
    note(&mut history, 241, 0.5, false);
    note(&mut history, 240, 0.7, false);
    note(&mut other, 241, 0.5, false);
    note(&mut other, 240, 0.7, false);
    assert_eq!(history, other);
    history.note(at(240), None, false, learned().from);
    assert_ne!(history, other, "a window with nothing left is forgotten");
}

#[test]
fn too_little_history_says_how_much_is_needed() {
    let mut history = History::default();
    (0..29).for_each(|hour| {
        window(&mut history, hour, 1.0);
    });
    assert_eq!(
        history.bounds(at(29), &learned(), 0.01, TUMBLING).unwrap_err(),
        "29 good windows in the 10d before, a bound with 0.01 false alarms is learned from at \
         least 30"
    );
}

fn latency(quantile: watchkeep_model::charter::Quantile) -> Expectation {
    let mut expectation = crate::evaluate::tests::expectation(
        "slow",
        TimeSpan::HOUR,
        Rule::Latency { quantile, above: TimeSpan::ZERO },
    );
    expectation.learned = Some(learned());
    expectation
}

/// Of the median and of the 99 % quantile, under one name.
#[test]
fn what_is_observed_has_a_history_of_its_own() {
    use watchkeep_model::charter::Quantile;

    let mut histories = Histories::default();
    let version: Arc<str> = "".into();
    let opinion = |value| {
        let judged = crate::judge::not_judged(&latency(Quantile::P50), "");
        let sides = Some(Sides { lower: value, upper: value });
        let resolve = watchkeep_model::window::Verdict::Good;
        let (effect, is_far, shift, is_by_sum) = (None, false, None, false);
        Opinion { judged, resolve, effect, sides, is_far, shift, is_by_sum }
    };
    let lesson = |histories: &Histories, quantile, hour| {
        let lesson = histories.lesson(&version, &latency(quantile), at(hour)).unwrap();
        lesson.bounds.map(|bounds| bounds.windows).ok()
    };
    for hour in 0..40 {
        histories.note(&version, &latency(Quantile::P50), at(hour), &opinion(quiet(hour)));
    }
    assert_eq!(lesson(&histories, Quantile::P50, 40), Some(40));
    assert_eq!(lesson(&histories, Quantile::P99, 40), None, "nothing is known of it");
    for hour in 40..80 {
        histories.note(&version, &latency(Quantile::P99), at(hour), &opinion(quiet(hour)));
    }
    assert_eq!(lesson(&histories, Quantile::P99, 80), Some(40));
}
