//! The generator promises the same events for the same settings, in order of
//! arrival, and trouble only when it is due.

use std::collections::BTreeMap;

use watchkeep_model::telemetry::{Status, Value};
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Generator, Scenario, Settings};

fn settings(scenario: Scenario) -> Settings {
    Settings { scenario, events: Some(40_000), ..Settings::default() }
}

/// Count, nulls, mean and mean latency of a feature before and after half-way.
fn halves(scenario: Scenario, feature: &str) -> [(u64, u64, f64, f64); 2] {
    let settings = settings(scenario);
    let half = settings.from + TimeSpan::SECOND.times(200);
    let mut generator = Generator::new(settings);
    let mut sums = [(0_u64, 0_u64, 0.0, 0.0); 2];
    while let Some(generated) = generator.generate() {
        let event = generated.event;
        if event.feature != feature {
            continue;
        }
        let sum = &mut sums[usize::from(event.event_time >= half)];
        sum.0 += 1;
        sum.1 += u64::from(event.is_null());
        if let Value::Number(number) = event.value {
            sum.2 += number;
        }
        sum.3 += event.latency_us.unwrap_or_default() as f64;
    }
    sums.map(|(count, nulls, sum, latency)| {
        (count, nulls, sum / (count - nulls) as f64, latency / count as f64)
    })
}

#[test]
fn the_same_settings_make_the_same_events_and_another_seed_does_not() {
    let all = |seed| {
        let mut generator =
            Generator::new(Settings { seed, events: Some(500), ..Settings::default() });
        let mut all = Vec::new();
        while let Some(generated) = generator.generate() {
            all.push(format!("{generated:?}"));
        }
        all
    };
    assert_eq!(all(1).len(), 500);
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
}

#[test]
fn events_come_in_order_of_arrival_and_a_little_out_of_order_in_time() {
    let settings = settings(Scenario::Steady);
    let bound = settings.out_of_orderness;
    let from = settings.from;
    let mut generator = Generator::new(settings);
    let (mut arrival, mut newest, mut behind) = (Timestamp::MIN, Timestamp::MIN, 0);
    while let Some(generated) = generator.generate() {
        assert!(generated.arrives_at >= arrival);
        arrival = generated.arrives_at;
        let at = generated.event.event_time;
        assert!(at >= from && at <= arrival && arrival.since(at) <= bound);
        behind += u32::from(at < newest);
        newest = newest.max(at);
    }
    assert!(behind > 10_000, "{behind} of 40000 events are out of order");
}

#[test]
fn each_trouble_begins_half_way_and_befalls_the_most_frequent_feature() {
    let first = "generated.f0001";
    let [before, after] = halves(Scenario::Steady, first);
    assert!((before.2 - after.2).abs() < 0.5 && after.1 < 200, "{before:?} {after:?}");
    let [before, after] = halves(Scenario::Drift, first);
    assert!(after.2 - before.2 > 6.0, "{before:?} {after:?}");
    let [before, after] = halves(Scenario::Nulls, first);
    assert!(before.1 * 20 < before.0 && after.1 * 4 > after.0, "{before:?} {after:?}");
    let [before, after] = halves(Scenario::Slow, first);
    assert!(after.3 > 8.0 * before.3, "{before:?} {after:?}");
    let [before, after] = halves(Scenario::Silent, first);
    assert!(after.0 * 10 < before.0, "{before:?} {after:?}");
    let [before, after] = halves(Scenario::Drift, "generated.f0002");
    assert!((before.2 - after.2).abs() < 1.0, "{before:?} {after:?}");
}

#[test]
fn the_shop_has_its_troubles_in_their_time_and_again_in_the_next_round() {
    let settings =
        Settings { rate_per_s: 40, events: Some(40 * 60 * 40), ..settings(Scenario::Demo) };
    let from = settings.from;
    let mut generator = Generator::new(settings);
    let mut newcomers: BTreeMap<i64, u64> = BTreeMap::new();
    let mut timeouts = 0;
    while let Some(generated) = generator.generate() {
        let event = generated.event;
        let minute = event.event_time.since(from).as_micros() / TimeSpan::MINUTE.as_micros();
        if event.value == Value::Text("instalments".into()) {
            *newcomers.entry(minute).or_default() += 1;
        }
        timeouts += u64::from(event.status == Status::Timeout);
    }
    assert_eq!(newcomers.keys().copied().collect::<Vec<_>>(), [13, 14, 15, 16, 33, 34, 35, 36]);
    assert!(newcomers.values().all(|n| *n > 10), "{newcomers:?}");
    assert!(timeouts > 10);
}

#[test]
fn the_shop_opens_on_a_monday_morning() {
    assert_eq!(Settings::default().from.to_string(), "2026-01-05T08:00:00Z");
}
