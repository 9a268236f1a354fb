//! What arrives: events in and out of order, repeats, spells of trouble and of
//! silence, records that are no telemetry.

use watchkeep_model::time::{TimeSpan, Timestamp};

use super::{Dice, minutes};
use crate::simulation::oracle::Event;
use crate::simulation::plan::{Arrival, Deployment, Disorder, Feature, Record};

/// Records that are no telemetry.
const MALFORMED: [&str; 4] = [
    "{",
    "{\"feature\":\"a\"}",
    "{\"feature\":\"a\",\"event_time\":\"yesterday\"}",
    "{\"feature\":\"a\",\"event_time\":0,\"status\":\"fine\"}",
];

/// A span in which a feature or a partition is not as usual.
#[derive(Clone, Copy)]
struct Spell {
    from: Timestamp,
    to: Timestamp,
}

impl Spell {
    fn within(dice: &mut Dice, from: Timestamp, span: TimeSpan) -> Self {
        let begin = from + dice.span(span);
        Self { from: begin, to: begin + dice.span(minutes(20)) }
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

pub(super) fn arrivals(
    dice: &mut Dice,
    deployment: &Deployment,
    features: &[Feature],
    span: TimeSpan,
) -> Vec<Arrival> {
    let Deployment { from, time, disorder, sources, .. } = deployment;
    let trouble: Vec<(Spell, usize)> =
        features.iter().map(|_| (Spell::within(dice, *from, span), dice.below(4))).collect();
    let partitions: Vec<(usize, i32)> = (0..)
        .zip(sources)
        .flat_map(|(topic, count)| (0..*count).map(move |number| (topic, number)))
        .collect();
    let silent: Vec<Spell> = partitions.iter().map(|_| Spell::within(dice, *from, span)).collect();
    let is_keyed = dice.percent(50);
    let mut instants: Vec<Timestamp> =
        (0..dice.between(30, 250)).map(|_| *from + dice.span(span)).collect();
    instants.sort();
    let mut arrivals = Vec::new();
    for at in instants {
        let number = dice.below(features.len());
        let chosen =
            if is_keyed { number % partitions.len() } else { dice.below(partitions.len()) };
        if silent[chosen].holds(at) {
            continue;
        }
        let (topic, mut partition) = partitions[chosen];
        if dice.percent(10) {
            // Where partitions are added, theirs; else again one of those that there are.
            partition += sources[topic];
        }
        let malformed = dice.percent(3);
        let record = if malformed {
            Record::Malformed(dice.one_of(&MALFORMED))
        } else {
            let behind = match (disorder, dice.below(10)) {
                (Disorder::Unbounded, 0) => dice.span(minutes(40)),
                (Disorder::Unbounded, 1..=3) => dice.span(minutes(5)),
                (_, 4..=6) => TimeSpan::ZERO,
                _ => dice.span(time.out_of_orderness),
            };
            let ahead = match dice.below(100) {
                0 => time.max_future + TimeSpan::from_micros(dice.between(1, 600_000_000)),
                1 if *disorder == Disorder::Unbounded => time.max_future,
                2 if *disorder != Disorder::None => dice.span(minutes(1)),
                _ => TimeSpan::ZERO,
            };
            let event_time = if ahead > TimeSpan::ZERO { at + ahead } else { at - behind };
            let (spell, kind) = &trouble[number];
            let bad = spell.holds(event_time).then_some(*kind);
            let id = arrivals.len() as u64;
            Record::Events(events(dice, features, number, id, event_time, bad))
        };
        arrivals.push(Arrival { at, topic, partition, record });
        if dice.percent(10)
            && let Some(repeat) = arrivals.last().and_then(|last| repeat(dice, deployment, last))
        {
            arrivals.push(repeat);
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// The same record once more, a little later, as a producer sends it that has
/// not heard whether the first one came through.
fn repeat(dice: &mut Dice, deployment: &Deployment, first: &Arrival) -> Option<Arrival> {
    let Record::Events(events) = &first.record else { return None };
    let time = events.first()?.time;
    if time > first.at {
        // What was too far ahead the first time might not be the second time,
        // and would run ahead of the others.
        return None;
    }
    let latest = time + deployment.time.out_of_orderness;
    let within = match deployment.disorder {
        Disorder::Unbounded => minutes(5),
        _ => latest.since(first.at).max(TimeSpan::ZERO).min(minutes(5)),
    };
    Some(Arrival { at: first.at + dice.span(within), ..first.clone() })
}

fn events(
    dice: &mut Dice,
    features: &[Feature],
    number: usize,
    id: u64,
    time: Timestamp,
    bad: Option<usize>,
) -> Vec<Event> {
    let value = if bad == Some(0) && dice.percent(80) || dice.percent(3) {
        None
    } else {
        let spread = if bad == Some(1) { 100 } else { 30 };
        Some(dice.between(-spread, spread) as f64)
    };
    let latency = if bad == Some(2) { 2_000_000 } else { 400_000 };
    let failed = bad == Some(3) && dice.percent(80);
    let event = Event {
        feature: features[number].name.clone(),
        version: if dice.percent(5) { "v2".to_owned() } else { String::new() },
        id,
        time,
        value,
        status: match dice.below(20) {
            _ if failed => "error",
            0 => "timeout",
            1 => "stale",
            _ => "ok",
        },
        latency_us: dice.percent(80).then(|| dice.between(0, latency).unsigned_abs()),
        age_us: dice.percent(50).then(|| dice.between(0, 62_000_000).unsigned_abs()),
    };
    if !dice.percent(5) {
        return vec![event];
    }
    // The batch form: one record tells of every feature.
    let of = |feature: &Feature| Event { feature: feature.name.clone(), ..event.clone() };
    features.iter().map(of).collect()
}
