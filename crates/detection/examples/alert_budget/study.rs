//! Quiet features, a few of which change for good on some day: how many of
//! the alarms are false and how many of the changes are found.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchkeep_detection::budget::Tally;
use watchkeep_detection::charters::Charters;
use watchkeep_detection::evaluate::{Evaluate, Outputs};
use watchkeep_detection::settings::TimeSettings;
use watchkeep_model::batch::{Delta, SourceProgress, Step, partition_of};
use watchkeep_model::breach::Transition;
use watchkeep_model::charter::{
    BaselineSpec, Charter, Effect, Expectation, ForSpec, Rule, Severity, Statistic, WindowSpec,
};
use watchkeep_model::directory::AlertBudget;
use watchkeep_model::position::Partition;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Days of the fixed baseline, before the days that are judged.
const BASELINE_DAYS: i64 = 7;

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Study {
    /// Features, each with a window a day.
    pub features: u64,
    /// How many of them change, by `shift` standard deviations.
    pub changed: u64,
    /// Days that are judged.
    pub days: i64,
    /// Normally distributed values of each window.
    pub values: u32,
    /// How far the mean moves, in standard deviations.
    pub shift: f64,
    /// `p_below` of the expectation.
    pub p_below: f64,
    /// The bound of its effect, `ks_stat`.
    pub effect_above: f64,
    /// The budget; none for the bare expectation.
    pub terms: Option<AlertBudget>,
    /// Summaries partitions.
    pub partitions: i32,
    /// Of the random numbers.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// What the budget counted, all partitions together.
    pub budget: Tally,
    /// Breaches that were opened without a change.
    pub false_alarms: u64,
    /// Features that changed and had a breach opened since.
    pub found: u64,
    /// Days from the change to the breach, over those that were found.
    pub days_to_find: f64,
}

struct Book(Arc<Charter>, Option<AlertBudget>);

impl Charters for Book {
    fn charter(&self, _: &str, _: Timestamp) -> Option<Arc<Charter>> {
        Some(self.0.clone())
    }

    fn named(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn alert_budget(&self, _: &Charter) -> Option<(Arc<str>, AlertBudget)> {
        self.1.map(|terms| ("shop".into(), terms))
    }
}

/// Runs a study through the evaluate stage.
pub(crate) fn run(study: &Study) -> Outcome {
    let day = |n: i64| Timestamp::from_micros(TimeSpan::DAY.times(n).as_micros());
    let book = book(study, day(0), day(BASELINE_DAYS));
    let mut random = Random(study.seed);
    // Changes are spread evenly over the middle of the days.
    let change_at = |feature: u64| {
        let span = u64::try_from(study.days / 2).unwrap_or(1).max(1);
        let after = i64::try_from(feature % span).unwrap_or(0) + study.days / 4;
        (feature < study.changed).then_some(BASELINE_DAYS + after)
    };
    let names: Vec<Arc<str>> = (0..study.features).map(|n| format!("f{n:05}").into()).collect();
    let settings = TimeSettings { out_of_orderness: TimeSpan::ZERO, ..TimeSettings::default() };
    let mut stages: Vec<Evaluate> = (0..study.partitions)
        .map(|partition| Evaluate::new(settings, partition, study.partitions))
        .collect();
    stages.iter_mut().for_each(|stage| stage.expect_sources(&[("t".into(), 1)]));
    let mut outcome = Outcome::default();
    let mut found = BTreeSet::new();
    for n in 0..BASELINE_DAYS + study.days {
        let mut steps = vec![step(n, day(n + 1)); stages.len()];
        for (feature, name) in (0..).zip(&names) {
            let shift = change_at(feature).filter(|at| n >= *at).map_or(0.0, |_| study.shift);
            let mut values = (0..study.values).map(|_| random.normal() + shift).collect();
            let mut summary = Summary { count: u64::from(study.values), ..Summary::default() };
            summary.numbers.add_all(&mut values);
            let partition = partition_of(name, study.partitions);
            let step = &mut steps[usize::try_from(partition).unwrap_or(0)];
            let (feature, feature_version) = (name.clone(), "".into());
            step.deltas.push(Delta {
                feature,
                feature_version,
                pane_start: day(n) + TimeSpan::HOUR,
                event_id: None,
                summary,
            });
        }
        let mut out = Outputs::default();
        for (stage, step) in stages.iter_mut().zip(&steps) {
            stage.step(step, &book, &mut out);
        }
        for breach in out.decided.iter().flat_map(|decided| &decided.breaches) {
            if breach.transition != Transition::Opened {
                continue;
            }
            let feature: u64 = breach.feature[1..].parse().unwrap_or(u64::MAX);
            match change_at(feature) {
                Some(at) if breach.window_start >= day(at) => {
                    if found.insert(feature) {
                        outcome.days_to_find +=
                            breach.window_end.since(day(at)).as_micros() as f64 / 86.4e9;
                    }
                }
                _ => outcome.false_alarms += 1,
            }
        }
    }
    outcome.found = found.len() as u64;
    outcome.days_to_find /= (found.len() as f64).max(1.0);
    for (_, tally) in stages.iter().flat_map(|stage| stage.budgets().tallies()) {
        outcome.budget.add(tally);
    }
    outcome
}

fn book(study: &Study, from: Timestamp, to: Timestamp) -> Book {
    let expectation = Expectation {
        name: "shape".into(),
        window: WindowSpec::Tumbling { size: TimeSpan::DAY },
        severity: Severity::Error,
        min_samples: 1,
        r#for: ForSpec::default(),
        resolve_after: 1,
        rule: Rule::Drift {
            baseline: BaselineSpec::Fixed { from, to },
            p_below: study.p_below,
            effect: Some(Effect { statistic: Statistic::KsStat, above: study.effect_above }),
            bins: 10,
            sustained: None,
        },
        resolve: None,
        learned: None,
    };
    let mut charter = Charter { subject: "feature:f*".into(), ..Charter::default() };
    charter.fields.expectations = Some(vec![expectation]);
    Book(Arc::new(charter), study.terms)
}

/// A day's step without its deltas, after which the watermark stands at `watermark`.
fn step(n: i64, watermark: Timestamp) -> Step {
    let progress = SourceProgress {
        source: Partition::new("t", 0),
        from: n,
        to: n + 1,
        watermark: Some(watermark),
        idle: false,
        silent_since: None,
    };
    Step { deltas: Vec::new(), sources: vec![progress] }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1, neither of them.
    fn share(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }
}
