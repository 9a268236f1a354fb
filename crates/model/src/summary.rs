//! What is kept of the events of one subject, version and pane.
//!
//! A summary is mergeable: merging is associative and commutative to the bit,
//! with [`Summary::default`] as the empty element, so it matters neither how
//! events were split over instances and commits nor in which order the parts
//! come together.

use serde::{Deserialize, Serialize};

pub use crate::categories::{CATEGORIES_MAX, CATEGORY_BYTES_MAX, Categories};
use crate::distribution::{Durations, Numbers};
use crate::position::{Partition, Position};
use crate::telemetry::{Status, Telemetry, Value};
use crate::time::Timestamp;

/// Records kept as examples: those of the lowest positions.
pub const EXEMPLARS_MAX: usize = 3;

/// The mergeable summary of some events of one subject and version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Events of every status.
    pub count: u64,
    /// Events by [`Status::index`].
    pub statuses: [u64; 7],
    /// Events without a value (see [`Telemetry::is_null`]).
    pub null_count: u64,
    /// Numbers that are NaN or infinite.
    pub non_finite_count: u64,
    /// The finite numbers among the values.
    pub numbers: Numbers,
    /// The strings and booleans among the values.
    pub categories: Categories,
    /// Serving latencies.
    pub latency_us: Durations,
    /// Event time less materialised at, where it is not negative.
    pub age_us: Durations,
    /// Values that claim to be materialised after the event.
    pub negative_age_count: u64,
    /// Earliest event time.
    pub first_event_time: Option<Timestamp>,
    /// Latest event time.
    pub last_event_time: Option<Timestamp>,
    /// Latest as-of time.
    pub last_materialised_at: Option<Timestamp>,
    /// At most [`EXEMPLARS_MAX`], ascending.
    pub exemplars: Vec<Position>,
}

impl Summary {
    /// Adds one event. Values of errors are not counted as values.
    pub fn add(&mut self, event: &Telemetry<'_>) {
        let readings = self.count(event);
        if let Some(number) = readings.number {
            self.numbers.add(number);
        }
        if let Some(category) = readings.category {
            self.categories.add(category, 1);
        }
        if let Some(latency_us) = readings.latency_us {
            self.latency_us.add(latency_us);
        }
        if let Some(age_us) = readings.age_us {
            self.age_us.add(age_us);
        }
    }

    /// Counts one event without its readings, which are handed back for the
    /// caller to add, one by one or many together.
    pub fn count<'e>(&mut self, event: &'e Telemetry<'_>) -> Readings<'e> {
        let mut readings = Readings { latency_us: event.latency_us, ..Readings::default() };
        self.count += 1;
        self.statuses[event.status.index()] += 1;
        if event.is_null() {
            self.null_count += 1;
        } else if !event.status.is_error() {
            match &event.value {
                Value::Null => {}
                Value::Number(number) if number.is_finite() => readings.number = Some(*number),
                Value::Number(_) => self.non_finite_count += 1,
                Value::Boolean(true) => readings.category = Some("true"),
                Value::Boolean(false) => readings.category = Some("false"),
                Value::Text(text) => readings.category = Some(text),
            }
        }
        if let Some(materialised_at) = event.materialised_at {
            match u64::try_from(event.event_time.since(materialised_at).as_micros()) {
                Ok(age_us) => readings.age_us = Some(age_us),
                Err(_) => self.negative_age_count += 1,
            }
            self.last_materialised_at = self.last_materialised_at.max(Some(materialised_at));
        }
        self.first_event_time = earliest(self.first_event_time, Some(event.event_time));
        self.last_event_time = self.last_event_time.max(Some(event.event_time));
        readings
    }

    /// True where the record would be kept by [`Summary::add_exemplar`].
    pub fn wants_exemplar(&self, source: &Partition, offset: i64) -> bool {
        self.exemplars.len() < EXEMPLARS_MAX
            || self.exemplars.last().is_some_and(|last| {
                (&*source.topic, source.partition, offset)
                    < (&*last.topic, last.partition, last.offset)
            })
    }

    /// Keeps the position if it is among the lowest.
    pub fn add_exemplar(&mut self, position: Position) {
        let place = self.exemplars.binary_search(&position);
        if let Some(at) = place.err().filter(|at| *at < EXEMPLARS_MAX) {
            self.exemplars.truncate(EXEMPLARS_MAX - 1);
            if self.exemplars.is_empty() {
                self.exemplars.reserve_exact(EXEMPLARS_MAX);
            }
            self.exemplars.insert(at, position);
        }
    }

    /// Adds all events of another summary.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (own, count) in self.statuses.iter_mut().zip(other.statuses) {
            *own += count;
        }
        self.null_count += other.null_count;
        self.non_finite_count += other.non_finite_count;
        self.numbers.merge(&other.numbers);
        self.categories.merge(&other.categories);
        self.latency_us.merge(&other.latency_us);
        self.age_us.merge(&other.age_us);
        self.negative_age_count += other.negative_age_count;
        self.first_event_time = earliest(self.first_event_time, other.first_event_time);
        self.last_event_time = self.last_event_time.max(other.last_event_time);
        self.last_materialised_at = self.last_materialised_at.max(other.last_materialised_at);
        for position in &other.exemplars {
            self.add_exemplar(position.clone());
        }
    }

    /// Events of status error or timeout.
    pub fn error_count(&self) -> u64 {
        Status::ALL.iter().filter(|s| s.is_error()).map(|s| self.statuses[s.index()]).sum()
    }
}

/// What one event adds to the distributions of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Readings<'e> {
    /// A finite number.
    pub number: Option<f64>,
    /// A category.
    pub category: Option<&'e str>,
    /// Serving latency in microseconds.
    pub latency_us: Option<u64>,
    /// Age of the value in microseconds.
    pub age_us: Option<u64>,
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn event(value: Value<'static>, status: Status) -> Telemetry<'static> {
        Telemetry {
            feature: Cow::Borrowed("f"),
            event_time: Timestamp::from_micros(1_000_000),
            event_id: None,
            feature_version: Cow::Borrowed(""),
            value,
            materialised_at: None,
            latency_us: None,
            status,
        }
    }

    #[test]
    fn nulls_and_errors_are_told_apart() {
        let mut summary = Summary::default();
        summary.add(&event(Value::Null, Status::Ok));
        summary.add(&event(Value::Number(1.0), Status::Null));
        summary.add(&event(Value::Null, Status::NotFound));
        summary.add(&event(Value::Number(1.0), Status::Timeout));
        summary.add(&event(Value::Number(f64::NAN), Status::Ok));
        summary.add(&event(Value::Number(2.0), Status::Stale));
        assert_eq!((summary.count, summary.null_count, summary.error_count()), (6, 2, 1));
        assert_eq!((summary.non_finite_count, summary.numbers.count()), (1, 1));
    }

    fn events() -> impl Strategy<Value = Vec<(u8, i64, i64)>> {
        prop::collection::vec((0u8..9, -5i64..400, 0i64..50), 0..300)
    }

    fn summary_of(events: &[(u8, i64, i64)]) -> Summary {
        let mut summary = Summary::default();
        for &(kind, number, at) in events {
            let value = match kind {
                0 => Value::Null,
                1 => Value::Text(Cow::Owned(format!("c{number}"))),
                2 => Value::Boolean(number > 3),
                _ => Value::Number(number as f64 / 7.0),
            };
            let mut event = event(value, Status::ALL[usize::from(kind) % 7]);
            event.event_time = Timestamp::from_micros(at * 1000);
            event.latency_us = u64::try_from(number).ok();
            event.materialised_at = (kind > 4).then_some(Timestamp::from_micros(number * 200));
            summary.add(&event);
            summary.add_exemplar(Position {
                topic: "t".into(),
                partition: 0,
                offset: number * 51 + at,
            });
        }
        summary
    }

    /// The lowest position is that of the first topic, whatever its offset.
    #[test]
    fn exemplars_of_several_topics_do_not_depend_on_the_cut() {
        let keep = |summary: &mut Summary, topic: &str, offset| {
            if summary.wants_exemplar(&Partition::new(topic, 0), offset) {
                summary.add_exemplar(Position { topic: topic.into(), partition: 0, offset });
            }
        };
        let mut first = Summary::default();
        (1..4).for_each(|offset| keep(&mut first, "b", offset));
        let mut whole = first.clone();
        keep(&mut whole, "a", 9);
        let mut second = Summary::default();
        keep(&mut second, "a", 9);
        first.merge(&second);
        assert_eq!(whole, first);
        assert_eq!(&*whole.exemplars[0].topic, "a");
    }

    proptest! {
        #[test]
        fn merging_is_algebra(events in events(), first in 0usize..300, second in 0usize..300) {
            let whole = summary_of(&events);
            let (a, b) = (first.min(second).min(events.len()), first.max(second).min(events.len()));
            let (x, y, z) = (summary_of(&events[..a]), summary_of(&events[a..b]), summary_of(&events[b..]));
            let mut left = x.clone();
            left.merge(&y);
            left.merge(&z);
            let mut right = z.clone();
            right.merge(&y);
            let mut right_then_x = x;
            right_then_x.merge(&right);
            prop_assert_eq!(&whole, &left);
            prop_assert_eq!(&whole, &right_then_x);
            let mut with_empty = whole.clone();
            with_empty.merge(&Summary::default());
            prop_assert_eq!(&whole, &with_empty);
        }
    }
}
