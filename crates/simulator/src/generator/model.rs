//! What one subject's telemetry looks like while nothing is wrong.

use std::borrow::Cow;

use watchkeep_model::telemetry::{Status, Value};
use watchkeep_model::time::TimeSpan;

use super::random::Random;

/// A subject and its habits.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: Cow<'static, str>,
    /// Its events in proportion to those of the others.
    pub(super) share: u64,
    pub(super) shape: Shape,
    /// Least serving latency.
    pub(super) latency_us: u64,
    /// Mean age of a value.
    pub(super) age: TimeSpan,
    /// Share of events without a value.
    pub(super) null_share: f64,
}

/// How values are distributed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Normal, cut at zero, two decimals.
    Amount { mean: f64, deviation: f64 },
    /// Whole numbers from 0, half of them below the mean.
    Count { mean: f64 },
    /// Names with weights.
    Categories(&'static [(&'static str, u64)]),
}

/// An event before trouble befalls it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) value: Value<'static>,
    pub(super) age: TimeSpan,
    pub(super) latency_us: u64,
    pub(super) status: Status,
}

impl Subject {
    pub(super) fn draw(&self, random: &mut Random) -> Draft {
        let value = self.shape.draw(random);
        let value = if random.share() < self.null_share { Value::Null } else { value };
        let age =
            TimeSpan::from_micros((random.share() * 2.0 * self.age.as_micros() as f64) as i64);
        let latency_us = (self.latency_us as f64 * random.pareto()) as u64;
        Draft { value, age, latency_us, status: Status::Ok }
    }
}

impl Shape {
    fn draw(self, random: &mut Random) -> Value<'static> {
        match self {
            Self::Amount { mean, deviation } => {
                Value::Number(cents((mean + deviation * random.normal()).max(0.0)))
            }
            Self::Count { mean } => Value::Number((random.share() * 2.0 * mean + 0.5).floor()),
            Self::Categories(names) => {
                let total = names.iter().map(|(_, weight)| weight).sum();
                let mut drawn = random.below(total);
                let chosen = names.iter().find(|(_, weight)| {
                    let found = drawn < *weight;
                    drawn = drawn.saturating_sub(*weight);
                    found
                });
                Value::Text(Cow::Borrowed(chosen.map_or("", |(name, _)| *name)))
            }
        }
    }

    /// How far values usually are from their mean.
    pub(super) fn deviation(self) -> f64 {
        match self {
            Self::Amount { deviation, .. } => deviation,
            Self::Count { mean } => mean / 2.0,
            Self::Categories(_) => 0.0,
        }
    }
}

/// Two decimals, so that lines are short.
pub(super) fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
