//! What happens to whom, and when.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use watchkeep_model::telemetry::{Status, Value};
use watchkeep_model::time::TimeSpan;

use super::model::{Draft, Shape, Subject, cents};
use super::random::Random;
use super::{FEATURES_MAX, Settings, shop};

/// A story that the generator tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing is wrong.
    Steady,
    /// From half of the time on the values of the most frequent feature are shifted.
    Drift,
    /// From half of the time on a third of that feature's values is null.
    Nulls,
    /// From half of the time on that feature is served ten times as slowly.
    Slow,
    /// From half of the time on nineteen of twenty of that feature's events are missing.
    Silent,
    /// A shop with twelve features and four troubles that come round.
    Demo,
}

impl Scenario {
    /// Every scenario with its name and what it shows.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Steady, "steady", "nothing is wrong"),
        (Self::Drift, "drift", "half-way, the most frequent feature's values shift"),
        (Self::Nulls, "nulls", "half-way, a third of that feature's values is null"),
        (Self::Slow, "slow", "half-way, that feature is served ten times as slowly"),
        (Self::Silent, "silent", "half-way, nineteen of twenty of that feature's events stop"),
        (Self::Demo, "demo", "a shop: drift, nulls from a dataset, latency, a new category"),
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scenario, ..)| *scenario == self).map_or("", |(_, name, _)| name)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No scenario has that name; use one of those that the text lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownScenario(String);

impl fmt::Display for UnknownScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Scenario::ALL.iter().map(|(_, name, _)| *name).collect();
        write!(f, "there is no scenario `{}`: use one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownScenario {}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        found.map(|(scenario, ..)| *scenario).ok_or_else(|| UnknownScenario(name.to_owned()))
    }
}

/// What goes wrong with a subject's events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trouble {
    /// Numbers move by so many standard deviations; of categories the first
    /// becomes this much more frequent.
    Shift { deviations: f64 },
    /// A share loses its value.
    Nulls { share: f64 },
    /// Latency is so many times as long.
    Slow { times: u64 },
    /// A share of the events is not sent.
    Silent { share: f64 },
    /// Values are this much older.
    Stale { by: TimeSpan },
    /// A share has a category that was never seen.
    Newcomer { name: &'static str, share: f64 },
}

/// A trouble, its victims and its time, `[from, until)` after the start of a round.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) trouble: Trouble,
    /// Numbers of subjects.
    pub(super) victims: Vec<usize>,
    pub(super) from: TimeSpan,
    pub(super) until: TimeSpan,
}

/// Subjects and everything that happens to them.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) subjects: Vec<Subject>,
    pub(super) scenes: Vec<Scene>,
    /// After this long everything comes round; `None` happens once.
    pub(super) cycle: Option<TimeSpan>,
}

/// Half-way of a stream without an end.
const HALF_OF_ENDLESS: TimeSpan = TimeSpan::HOUR;

impl Plot {
    pub(super) fn of(settings: &Settings) -> Self {
        let trouble = match settings.scenario {
            Scenario::Demo => return shop::plot(),
            Scenario::Steady => None,
            Scenario::Drift => Some(Trouble::Shift { deviations: 1.5 }),
            Scenario::Nulls => Some(Trouble::Nulls { share: 1.0 / 3.0 }),
            Scenario::Slow => Some(Trouble::Slow { times: 10 }),
            Scenario::Silent => Some(Trouble::Silent { share: 0.95 }),
        };
        let half = settings.events.map_or(HALF_OF_ENDLESS, |events| {
            let micros = u128::from(events) * 500_000 / u128::from(settings.rate_per_s.max(1));
            TimeSpan::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
        });
        let until = TimeSpan::from_micros(i64::MAX);
        let scene = |trouble| Scene { trouble, victims: vec![0], from: half, until };
        let subjects = made_up(settings.features.clamp(1, FEATURES_MAX), settings.zipf);
        Self { subjects, scenes: trouble.map(scene).into_iter().collect(), cycle: None }
    }

    /// What befalls a subject at a time after the start.
    pub(super) fn troubles(
        &self,
        subject: usize,
        offset: TimeSpan,
    ) -> impl Iterator<Item = &Trouble> {
        let offset = match self.cycle {
            Some(cycle) => TimeSpan::from_micros(offset.as_micros().rem_euclid(cycle.as_micros())),
            None => offset,
        };
        self.scenes
            .iter()
            .filter(move |s| s.from <= offset && offset < s.until && s.victims.contains(&subject))
            .map(|scene| &scene.trouble)
    }
}

/// Features without a story: every fifth has categories, the others numbers.
fn made_up(count: usize, zipf: f64) -> Vec<Subject> {
    const LETTERS: &[(&str, u64)] = &[("a", 40), ("b", 25), ("c", 15), ("d", 12), ("e", 8)];
    const SHARE_OF_FIRST: f64 = 1e9;
    let exponent = if zipf.is_finite() { zipf.clamp(0.0, 10.0) } else { 1.0 };
    let subject = |n: usize| Subject {
        name: Cow::Owned(format!("generated.f{:04}", n + 1)),
        share: (SHARE_OF_FIRST / ((n + 1) as f64).powf(exponent)).round() as u64,
        shape: if n % 5 == 4 {
            Shape::Categories(LETTERS)
        } else {
            let mean = 20.0 + 10.0 * (n % 17) as f64;
            Shape::Amount { mean, deviation: mean / 4.0 }
        },
        latency_us: 500 + 100 * (n as u64 % 11),
        age: TimeSpan::MINUTE.times(5),
        null_share: 0.01,
    };
    (0..count).map(subject).collect()
}

impl Trouble {
    pub(super) fn befall(&self, draft: &mut Draft, subject: &Subject, random: &mut Random) {
        match *self {
            Self::Shift { deviations } => match (&mut draft.value, subject.shape) {
                (Value::Number(number), shape) => {
                    *number = cents(*number + deviations * shape.deviation());
                }
                (Value::Text(name), Shape::Categories(names))
                    if random.share() < deviations / 3.0 =>
                {
                    *name = Cow::Borrowed(names[0].0);
                }
                _ => {}
            },
            Self::Nulls { share } if random.share() < share => draft.value = Value::Null,
            Self::Slow { times } => {
                draft.latency_us = draft.latency_us.saturating_mul(times);
                if random.share() < 0.02 {
                    draft.status = Status::Timeout;
                    draft.value = Value::Null;
                }
            }
            Self::Stale { by } => draft.age = draft.age + by,
            Self::Newcomer { name, share } if random.share() < share => {
                draft.value = Value::Text(Cow::Borrowed(name));
            }
            Self::Nulls { .. } | Self::Newcomer { .. } | Self::Silent { .. } => {}
        }
    }
}
