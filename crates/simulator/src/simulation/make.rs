//! A plan from a seed.

mod telemetry;

use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::time::{TimeSpan, Timestamp};

use super::oracle::{Expectation, Rule, Shape};
use super::plan::{
    Action, Answer, Breakage, Charter, Deployment, Disorder, Fault, Feature, HeldTopic, Ladder,
    Plan, Rung, SnapshotFault, Stage,
};
use crate::generator::random::Random;

/// 2026-03-02T00:00:00Z.
const BEGIN_MICROS: i64 = 1_772_409_600_000_000;

/// Who answers for features.
const PEOPLE: [&str; 3] = ["ada", "ben", "cleo"];

impl Plan {
    /// The plan of a seed: the same seed, the same plan.
    pub fn from_seed(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring streams.
        let mut dice = Dice(Random::new(seed ^ 0x5eed_0f57_a6e5));
        let deployment = deployment(&mut dice);
        let features = features(&mut dice);
        let span = TimeSpan::MINUTE.times(dice.between(15, 60));
        let arrivals = telemetry::arrivals(&mut dice, &deployment, &features, span);
        let answers = answers(&mut dice, &deployment, &features, span);
        let schedule = schedule(&mut dice, &deployment, span);
        Self { seed, deployment, features, arrivals, answers, schedule }
    }
}

/// Draws in the words of a plan.
struct Dice(Random);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0.below(end as u64) as usize
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.0.below((to - from + 1).max(1).unsigned_abs()).cast_signed()
    }

    /// True in so many of 100 cases.
    fn percent(&mut self, share: u64) -> bool {
        self.0.below(100) < share
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
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

fn deployment(dice: &mut Dice) -> Deployment {
    let disorder = dice.one_of(&[
        Disorder::None,
        Disorder::None,
        Disorder::Bounded,
        Disorder::Bounded,
        Disorder::Unbounded,
    ]);
    let topics = dice.one_of(&[1, 1, 2, 3]);
    let most = i64::from(8 / topics);
    let sources = (0..topics).map(|_| dice.between(1, most.min(4)) as i32).collect();
    let (lateness, idle_after) = match disorder {
        Disorder::None => (&[0, 1, 5, 10][..], &[86_400][..]),
        Disorder::Bounded => (&[10, 15, 30][..], &[10, 30, 60][..]),
        Disorder::Unbounded => (&[0, 2, 5, 10][..], &[10, 30, 60][..]),
    };
    let time = TimeSettings {
        out_of_orderness: seconds(dice.one_of(&[0, 10, 30, 60])),
        idle_after: seconds(dice.one_of(idle_after)),
        allowed_lateness: minutes(dice.one_of(lateness)),
        revise_every: minutes(dice.one_of(&[1, 5, 10])),
        dead_man_after: minutes(dice.one_of(&[0, 0, 5, 10])),
        ..TimeSettings::default()
    };
    Deployment {
        from: Timestamp::from_micros(BEGIN_MICROS) + dice.span(TimeSpan::HOUR),
        sources,
        summaries: dice.between(1, 4) as i32,
        incidents: dice.one_of(&[1, 1, 2, 3]),
        instances: instances(dice),
        time,
        snapshot_bytes: dice.one_of(&[None, Some(1), Some(2_000), Some(20_000)]),
        commit_interval: TimeSpan::from_micros(dice.one_of(&[1_000, 1_000_000, 15_000_000])),
        disorder,
        ladder: ladder(dice),
    }
}

/// One to three instances; every stage is run by somebody.
fn instances(dice: &mut Dice) -> Vec<Vec<Stage>> {
    let mut instances: Vec<Vec<Stage>> = (0..dice.between(1, 3))
        .map(|_| Stage::ALL.into_iter().filter(|_| dice.percent(70)).collect())
        .collect();
    for stage in Stage::ALL {
        if !instances.iter().any(|stages| stages.contains(&stage)) {
            let one = dice.below(instances.len());
            instances[one].push(stage);
            instances[one].sort();
        }
    }
    instances
}

fn ladder(dice: &mut Dice) -> Ladder {
    let rung = |dice: &mut Dice, name: &str, role| Rung {
        name: name.to_owned(),
        role,
        acknowledge_within: minutes(dice.between(2, 8)),
        remediate_within: dice.percent(50).then(|| minutes(dice.between(5, 30))),
    };
    let steps = vec![rung(dice, "owner", "primary"), rung(dice, "second", "backup")];
    Ladder {
        group_wait: seconds(dice.one_of(&[1, 60, 180])),
        steps,
        loops: dice.between(1, 2) as u32,
        ack_timeout: dice.percent(50).then(|| minutes(dice.between(5, 20))),
        reopen_within: minutes(dice.one_of(&[1, 10, 60])),
        repeat_interval: minutes(dice.one_of(&[10, 30])),
    }
}

fn features(dice: &mut Dice) -> Vec<Feature> {
    let count = dice.between(1, 4);
    let by_pattern = expectations(dice, true);
    let pattern_owner = dice.one_of(&PEOPLE);
    let pattern_deduplicates = dice.percent(30);
    (0..count)
        .map(|number| {
            let charter = match dice.below(10) {
                0 => Charter::None,
                1..=3 => Charter::Pattern,
                _ => Charter::Named,
            };
            let (letter, expectations, primary) = match charter {
                Charter::None => ("n", Vec::new(), "ada"),
                Charter::Pattern => ("p", by_pattern.clone(), pattern_owner),
                Charter::Named => ("f", expectations(dice, false), dice.one_of(&PEOPLE)),
            };
            let deduplicates = match charter {
                Charter::None => false,
                Charter::Pattern => pattern_deduplicates,
                Charter::Named => dice.percent(30),
            };
            let name = format!("{letter}{number}");
            Feature { name, charter, deduplicates, expectations, primary }
        })
        .collect()
}

fn expectations(dice: &mut Dice, at_least_one: bool) -> Vec<Expectation> {
    let least = i64::from(at_least_one);
    let shapes: Vec<Shape> = (0..2).map(|_| shape(dice)).collect();
    (0..dice.between(least.max(1), 3))
        .map(|number| {
            let shape = dice.one_of(&shapes);
            // Where sessions end is told by events alone.
            let kinds = if shape.grid().is_some() { 8 } else { 5 };
            let rule = match dice.below(kinds) {
                0 => Rule::Latency(500_000),
                1 => Rule::Freshness(60_000_000),
                5 | 6 => Rule::Volume(dice.between(1, 4).unsigned_abs()),
                7 => Rule::Silence(seconds(dice.between(30, 600))),
                3 => Rule::NullRate(dice.one_of(&[0.01, 0.05, 0.1])),
                4 => Rule::ErrorRate(dice.one_of(&[0.01, 0.05, 0.1])),
                _ => Rule::Range(-40.0, 40.0),
            };
            let of = dice.one_of(&[1, 1, 2, 3]);
            Expectation {
                name: format!("e{number}"),
                shape,
                rule,
                min_samples: dice.between(1, 3).unsigned_abs(),
                open: (dice.between(1, of) as u32, of as u32),
                resolve_after: dice.one_of(&[1, 1, 2]),
            }
        })
        .collect()
}

fn shape(dice: &mut Dice) -> Shape {
    let size = dice.between(1, 10);
    match dice.below(5) {
        0 => Shape::Hopping(minutes(size), minutes(dice.between(1, size))),
        1 => Shape::Session(minutes(dice.between(1, 5))),
        _ => Shape::Tumbling(minutes(dice.one_of(&[1, 2, 3, 5, 10]))),
    }
}

fn answers(
    dice: &mut Dice,
    deployment: &Deployment,
    features: &[Feature],
    span: TimeSpan,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = (0..dice.between(0, 12))
        .map(|_| Answer {
            at: deployment.from + dice.span(span + minutes(20)),
            by: dice.one_of(&["ada", "ben", "cleo", "nobody"]),
            command: dice.one_of(&[
                "acknowledge",
                "acknowledge",
                "remediate",
                "resolve",
                "comment",
                "escalate",
            ]),
            feature: features[dice.below(features.len())].name.clone(),
        })
        .collect();
    answers.sort_by_key(|answer| answer.at);
    answers
}

fn schedule(dice: &mut Dice, deployment: &Deployment, span: TimeSpan) -> Vec<Action> {
    // Some runs are calm, most are not, a few are wild.
    let fault_percent = dice.one_of(&[0, 2, 5, 5, 10, 20]);
    let turns: Vec<(usize, Stage)> = (0..)
        .zip(&deployment.instances)
        .flat_map(|(instance, stages)| stages.iter().map(move |stage| (instance, *stage)))
        .collect();
    let pause = dice.one_of(&[5, 15, 30]);
    let mut schedule = Vec::new();
    let mut passed = TimeSpan::ZERO;
    while passed < span {
        let step = TimeSpan::from_micros(dice.between(1, seconds(pause).as_micros()));
        passed = passed + step;
        schedule.push(Action::Pass(step));
        for _ in 0..dice.between(0, 4) {
            let (instance, stage) = dice.one_of(&turns);
            schedule.push(Action::Turn(instance, stage));
        }
        if dice.percent(fault_percent) {
            let (instance, stage) = dice.one_of(&turns);
            schedule.push(Action::Fault(fault(dice, deployment, instance, stage)));
        }
    }
    schedule
}

fn fault(dice: &mut Dice, deployment: &Deployment, instance: usize, stage: Stage) -> Fault {
    let is_bounded = deployment.disorder == Disorder::Bounded;
    let longest = if is_bounded { minutes(2) } else { minutes(15) };
    let how = dice.one_of(&[
        Breakage::DiesBefore,
        Breakage::DiesAfter,
        Breakage::DiesAfter,
        Breakage::AnswerLost,
        Breakage::RequestLost,
    ]);
    let snapshots = dice.one_of(&[
        SnapshotFault::Lost,
        SnapshotFault::SetAside,
        SnapshotFault::PutBack,
        SnapshotFault::Altered(0),
        SnapshotFault::Fails,
    ]);
    match dice.below(23) {
        0..=2 => Fault::Crash { instance, down: dice.span(longest), lingers: dice.percent(50) },
        3 => Fault::Leave { instance, down: dice.span(longest) },
        4..=7 => Fault::Break { instance, stage, how },
        8 | 9 => Fault::Abort,
        10 | 11 => Fault::Fence { instance, stage },
        12 => Fault::Freeze { instance, span: dice.span(longest) },
        13..=15 => Fault::Rebalance(stage),
        16 => Fault::Outage(dice.span(longest)),
        17 | 18 => {
            let topic = match dice.below(8) {
                0 => HeldTopic::Summaries,
                1 => HeldTopic::Windows,
                2 => HeldTopic::Breaches,
                3 => HeldTopic::Responses,
                _ => HeldTopic::Source(dice.below(deployment.sources.len())),
            };
            let partition = dice.between(0, 7) as i32;
            Fault::Hold { topic, partition, span: dice.span(longest) }
        }
        // A partition that is not known yet cannot hold the watermark.
        19 if dice.percent(50) && deployment.disorder != Disorder::None => {
            Fault::Grow(dice.below(deployment.sources.len()))
        }
        19 => {
            let hours = dice.one_of(&[TimeSpan::HOUR, minutes(1), TimeSpan::ZERO]);
            let by = hours.times(if dice.percent(50) { 1 } else { -1 });
            Fault::Skew { instance, by }
        }
        20 | 21 => {
            let what = match snapshots {
                SnapshotFault::Altered(_) => SnapshotFault::Altered(dice.below(1 << 20)),
                other => other,
            };
            Fault::Snapshots { instance, what }
        }
        _ => Fault::Dribble(dice.one_of(&[1, 2, 5, 50, 1000])),
    }
}
