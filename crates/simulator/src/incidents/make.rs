//! A plan from a seed.

mod commands;
mod documents;
mod faults;
mod telling;

use std::collections::BTreeMap;

use watchkeep_model::charter::{ExpectationKind, Severity};
use watchkeep_model::subject::typed;
use watchkeep_model::time::{TimeSpan, Timestamp};

use self::documents::{DATASET, SOURCE};
use super::plan::{Plan, Sinks};
use crate::generator::random::Random;

/// 2026-03-06T15:00:00Z, a Friday: working hours end within the run.
const BEGIN_MICROS: i64 = 1_772_809_200_000_000;

impl Plan {
    /// The plan of a seed: the same seed, the same plan.
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice(Random::new(seed ^ 0x1dc1_de17));
        let from = Timestamp::from_micros(BEGIN_MICROS) + dice.span(TimeSpan::HOUR.times(2));
        let subjects = subjects(&mut dice);
        let span = minutes(dice.between(15, 50));
        let (documents, mut terms) = documents::of(&mut dice, &subjects, from, span);
        terms.upstream = upstream(&subjects);
        terms.is_drill = dice.percent(10);
        let instances = dice.one_of(&[1, 1, 2]);
        let mut inputs = telling::of(&mut dice, &subjects, from, span);
        inputs.extend(commands::of(&mut dice, &subjects, from, span));
        inputs.sort_by_key(|input| input.at);
        // No two at one instant: in which order partitions are read is nobody's promise.
        for next in 1..inputs.len() {
            let after = inputs[next - 1].at + TimeSpan::from_micros(1);
            inputs[next].at = inputs[next].at.max(after);
        }
        let faults = faults::of(&mut dice, instances, from, span);
        let slack = seconds(dice.one_of(&[0, 1, 20]));
        let sinks = dice.percent(50).then(|| sinks(&mut dice, seed, from, span));
        Self {
            seed,
            from,
            documents,
            partitions: dice.one_of(&[1, 1, 2, 3]),
            inputs,
            faults,
            slack,
            run_on: minutes(dice.one_of(&[60, 300])),
            instances,
            sinks,
            terms,
        }
    }
}

/// Tools that are dead for a while, or none.
fn sinks(dice: &mut Dice, seed: u64, from: Timestamp, span: TimeSpan) -> Sinks {
    let dead = (0..dice.between(0, 3)).map(|_| {
        let begins = from + dice.span(span);
        let lasts = dice.one_of(&[minutes(2), minutes(20), minutes(60)]);
        (dice.one_of(&["email", "sms"]).to_owned(), begins, begins + dice.span(lasts))
    });
    let dead = dead.collect();
    Sinks { delay: seconds(dice.one_of(&[1, 20, 200])), dead, drops: seed.is_multiple_of(2) }
}

/// Draws in the words of a plan.
pub(super) struct Dice(Random);

impl Dice {
    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.0.below((to - from + 1).max(1).unsigned_abs()).cast_signed()
    }

    /// True in so many of 100 cases.
    fn percent(&mut self, share: u64) -> bool {
        self.0.below(100) < share
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize].clone()
    }

    /// Up to a span, to the microsecond.
    fn span(&mut self, up_to: TimeSpan) -> TimeSpan {
        TimeSpan::from_micros(self.between(0, up_to.as_micros()))
    }
}

fn seconds(n: i64) -> TimeSpan {
    TimeSpan::SECOND.times(n)
}

fn minutes(n: i64) -> TimeSpan {
    TimeSpan::MINUTE.times(n)
}

/// What is watched.
pub(super) struct Subject {
    /// As telemetry names it.
    name: String,
    primary: &'static str,
    /// What it is made from.
    upstream: Option<&'static str>,
    /// Made from something that may be ill.
    is_below: bool,
    expectations: Vec<(String, ExpectationKind, Severity)>,
}

impl Subject {
    fn typed(&self) -> String {
        typed(&self.name)
    }
}

/// All that each subject is made from, by its typed name.
fn upstream(subjects: &[Subject]) -> BTreeMap<String, Vec<String>> {
    let above = |name: &str| {
        let subject = subjects.iter().find(|subject| subject.typed() == name);
        subject.and_then(|subject| subject.upstream)
    };
    let all = subjects.iter().map(|subject| {
        let line = std::iter::successors(subject.upstream, |name| above(name));
        (subject.typed(), line.map(str::to_owned).collect())
    });
    all.collect()
}

fn subjects(dice: &mut Dice) -> Vec<Subject> {
    let share = dice.one_of(&[0, 50, 90]);
    let mut subjects: Vec<Subject> = (0..dice.between(1, 4))
        .map(|number| {
            let upstream = dice.percent(share).then_some(DATASET);
            subject(dice, format!("f{number}"), upstream)
        })
        .collect();
    // The datasets tell of themselves too, or others know that they exist.
    if subjects.iter().any(|subject| subject.upstream.is_some()) {
        let source = dice.percent(50).then_some(SOURCE);
        subjects.push(subject(dice, DATASET.to_owned(), source));
        if source.is_some() {
            subjects.push(subject(dice, SOURCE.to_owned(), None));
        }
    }
    subjects
}

fn subject(dice: &mut Dice, name: String, upstream: Option<&'static str>) -> Subject {
    let kinds = [
        ExpectationKind::Latency,
        ExpectationKind::Volume,
        ExpectationKind::NullRate,
        ExpectationKind::Range,
    ];
    let severities = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
    let is_dataset = name.contains(':');
    let least = if is_dataset { 0 } else { 1 };
    Subject {
        primary: dice.one_of(&["user:ada", "user:ben", "user:cleo"]),
        upstream,
        is_below: upstream.is_some() || is_dataset && dice.percent(50),
        expectations: (0..dice.between(least, 2))
            .map(|n| (format!("e{n}"), dice.one_of(&kinds), dice.one_of(&severities)))
            .collect(),
        name,
    }
}
