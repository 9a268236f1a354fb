//! Telemetry that is made up, the same for the same settings to the byte.
//!
//! Events come in order of arrival; their event times lie up to
//! `out_of_orderness` before it, so a reader meets the disorder of a real
//! stream. Nothing reads a clock: the first event arrives at `from`, the
//! others follow at the given rate.

mod model;
pub(crate) mod random;
mod scenario;
mod shop;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use watchkeep_model::telemetry::Telemetry;
use watchkeep_model::time::{TimeSpan, Timestamp};

use self::model::Subject;
use self::random::Random;
use self::scenario::{Plot, Trouble};
pub use self::scenario::{Scenario, UnknownScenario};
pub use self::shop::{CYCLE as SHOP_CYCLE, Chapter, chapters};

/// Features that a scenario makes up at most; more is taken as this many.
/// [`Scenario::Demo`] has its own.
pub const FEATURES_MAX: usize = 1_000_000;

/// What to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What happens.
    pub scenario: Scenario,
    /// How many features; the demo has its own.
    pub features: usize,
    /// How many events; `None` goes on for ever.
    pub events: Option<u64>,
    /// Events for each second of event time, at least 1.
    pub rate_per_s: u64,
    /// Another seed, another stream.
    pub seed: u64,
    /// When the first event arrives.
    pub from: Timestamp,
    /// Exponent of the features' shares: the n-th most frequent has 1/n^zipf; 0 is alike.
    pub zipf: f64,
    /// How far event times lie before the arrival, at most.
    pub out_of_orderness: TimeSpan,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scenario: Scenario::Steady,
            features: 10,
            events: Some(100_000),
            rate_per_s: 100,
            seed: 1,
            from: Timestamp::from_micros(shop::START_MICROS),
            zipf: 1.1,
            out_of_orderness: TimeSpan::SECOND.times(20),
        }
    }
}

/// Makes one event after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    settings: Settings,
    plot: Plot,
    /// Running sums of the subjects' shares, to choose by.
    shares: Vec<u64>,
    random: Random,
    made: u64,
}

/// An event and when it arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated<'a> {
    /// When a broker would have taken it.
    pub arrives_at: Timestamp,
    /// What it tells.
    pub event: Telemetry<'a>,
}

impl Generator {
    /// A generator at its first event.
    pub fn new(settings: Settings) -> Self {
        let plot = Plot::of(&settings);
        let mut sum = 0;
        let shares = plot
            .subjects
            .iter()
            .map(|subject| {
                sum += subject.share.max(1);
                sum
            })
            .collect();
        let random = Random::new(settings.seed);
        Self { settings, plot, shares, random, made: 0 }
    }

    /// The subjects that events are about, as telemetry names them.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.plot.subjects.iter().map(|subject| subject.name.as_ref())
    }

    /// How many events have been made.
    pub const fn made(&self) -> u64 {
        self.made
    }

    /// When the next event arrives.
    pub fn next_arrival(&self) -> Timestamp {
        let micros =
            u128::from(self.made) * 1_000_000 / u128::from(self.settings.rate_per_s.max(1));
        self.settings.from + TimeSpan::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The next event; `None` after the last.
    pub fn generate(&mut self) -> Option<Generated<'_>> {
        loop {
            if self.settings.events.is_some_and(|events| self.made >= events) {
                return None;
            }
            let arrives_at = self.next_arrival();
            self.made += 1;
            let total = self.shares.last().copied().unwrap_or(1);
            let drawn = self.random.below(total);
            let number = self.shares.partition_point(|sum| *sum <= drawn);
            // Squared, so that most events come nearly in order and a few far behind.
            let behind = self.random.share() * self.random.share();
            let span = self.settings.out_of_orderness.as_micros();
            let behind = TimeSpan::from_micros((behind * span as f64) as i64);
            let event_time = (arrives_at - behind).max(self.settings.from);
            let offset = event_time.since(self.settings.from);
            if self.is_silent(number, offset) {
                continue;
            }
            let id = self.made;
            return Some(Generated {
                arrives_at,
                event: self.event(number, id, event_time, offset),
            });
        }
    }

    fn is_silent(&mut self, number: usize, offset: TimeSpan) -> bool {
        let Self { plot, random, .. } = self;
        let silent = |trouble: &Trouble| match trouble {
            Trouble::Silent { share } => Some(*share),
            _ => None,
        };
        let dropped = plot.troubles(number, offset).filter_map(silent).next();
        dropped.is_some_and(|share| random.share() < share)
    }

    fn event(
        &mut self,
        number: usize,
        id: u64,
        event_time: Timestamp,
        offset: TimeSpan,
    ) -> Telemetry<'_> {
        let Self { plot, random, .. } = self;
        let subject: &Subject = &plot.subjects[number];
        let mut draft = subject.draw(random);
        for trouble in plot.troubles(number, offset) {
            trouble.befall(&mut draft, subject, random);
        }
        Telemetry {
            feature: Cow::Borrowed(&subject.name),
            event_time,
            event_id: Some(Cow::Owned(format!("g-{id}"))),
            feature_version: Cow::Borrowed(""),
            value: draft.value,
            materialised_at: Some(event_time - draft.age),
            latency_us: Some(draft.latency_us),
            status: draft.status,
        }
    }
}
