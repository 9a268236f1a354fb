//! Made-up samples by the thousand, and how often an alarm follows: the level
//! of a test where nothing has changed, and its power where something has.

#![allow(dead_code, reason = "each program that includes this uses a part of it")]

pub(crate) mod counts;
pub(crate) mod histories;
pub(crate) mod many;

use std::borrow::Cow;

use watchkeep_detection::drift::{self, Comparison, Effects};
use watchkeep_model::summary::Summary;

/// Numbers that look random: SplitMix64 (Steele, Lea & Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0 and below 1.
    pub(crate) fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.share()).cos()
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

/// What numbers are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Law {
    /// Normal, mean 0.
    Normal,
    /// Exponential of a normal.
    Lognormal,
    /// Student's t with two degrees of freedom: no variance.
    StudentT2,
    /// 70 % zeros, the rest lognormal.
    ZeroInflated,
    /// Whole numbers 0 to 9, small ones more often.
    SmallIntegers,
    /// 0 to 1.
    Uniform,
    /// Two normals, six standard deviations apart.
    Bimodal,
    /// One number.
    Constant,
    /// Normal, so many standard deviations from 0; not among [`LAWS`].
    Far(f64),
}

/// All of them, with their names.
pub(crate) const LAWS: [(Law, &str); 8] = [
    (Law::Normal, "normal"),
    (Law::Lognormal, "lognormal"),
    (Law::StudentT2, "t(2)"),
    (Law::ZeroInflated, "zero-inflated"),
    (Law::SmallIntegers, "small integers"),
    (Law::Uniform, "uniform"),
    (Law::Bimodal, "bimodal"),
    (Law::Constant, "constant"),
];

/// A change of a law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// Added to every value.
    pub(crate) shift: f64,
    /// Every value is multiplied by this.
    pub(crate) scale: f64,
    /// Added to the share of zeros, or of the first category.
    pub(crate) share: f64,
}

impl Change {
    /// No change.
    pub(crate) const NONE: Self = Self { shift: 0.0, scale: 1.0, share: 0.0 };
}

impl Law {
    /// One value.
    pub(crate) fn draw(self, change: Change, random: &mut Random) -> f64 {
        let value = match self {
            Self::Normal => random.normal(),
            Self::Lognormal => random.normal().exp(),
            Self::StudentT2 => {
                let (a, b) = (random.normal(), random.normal());
                random.normal() / ((a * a + b * b) / 2.0).sqrt()
            }
            Self::ZeroInflated if random.share() < 0.7 + change.share => 0.0,
            Self::ZeroInflated => random.normal().exp(),
            Self::SmallIntegers => (10.0 * random.share() * random.share()).floor(),
            Self::Uniform => random.share(),
            Self::Bimodal => random.normal() + if random.share() < 0.5 { 3.0 } else { -3.0 },
            Self::Constant => 7.0,
            Self::Far(mean) => random.normal() + mean,
        };
        value * change.scale + change.shift
    }

    /// So many values.
    pub(crate) fn sample(self, n: usize, change: Change, random: &mut Random) -> Vec<f64> {
        (0..n).map(|_| self.draw(change, random)).collect()
    }
}

/// The summary of numbers.
pub(crate) fn summary_of_numbers(mut values: Vec<f64>) -> Summary {
    let mut summary = Summary { count: values.len() as u64, ..Summary::default() };
    summary.numbers.add_all(&mut values);
    summary
}

/// A pane of normal numbers with latencies of about 2 ms and ages of up to a minute.
pub(crate) fn pane(n: usize, random: &mut Random) -> Summary {
    let mut pane = summary_of_numbers((0..n).map(|_| 50.0 + 15.0 * random.normal()).collect());
    for _ in 0..n {
        pane.latency_us.add((2_000.0 * (0.3 * random.normal()).exp()) as u64);
        pane.age_us.add((60e6 * random.share()) as u64);
    }
    pane
}

/// A pane with an event of each of these.
pub(crate) fn summary_of_users(numbers: std::ops::Range<usize>) -> Summary {
    let mut summary = Summary { count: numbers.len() as u64, ..Summary::default() };
    numbers.for_each(|n| summary.categories.add(&format!("user-{}", 3 * n), 1));
    summary
}

/// Categories with their chances.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    names: Vec<String>,
    /// Ascending, to 1.
    cumulative: Vec<f64>,
}

impl Shares {
    /// The n-th category has a share of 1/n^`exponent`: 0 for equal shares, 1 for Zipf's law.
    pub(crate) fn zipf(categories: usize, exponent: f64) -> Self {
        Self::of(&(1..=categories).map(|n| (n as f64).powf(-exponent)).collect::<Vec<_>>())
    }

    /// Shares in these proportions.
    pub(crate) fn of(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        let mut so_far = 0.0;
        let cumulative = weights.iter().map(|w| {
            so_far += w / sum;
            so_far
        });
        Self {
            cumulative: cumulative.collect(),
            names: (0..weights.len()).map(|n| format!("category {n}")).collect(),
        }
    }

    /// With `share` more of the first category, taken from all others alike.
    #[must_use]
    pub(crate) fn with_more_of_the_first(&self, share: f64) -> Self {
        let first = self.cumulative[0];
        let rest = (1.0 - first - share) / (1.0 - first);
        let cumulative = self.cumulative.iter().map(|c| first + share + (c - first) * rest);
        Self { names: self.names.clone(), cumulative: cumulative.collect() }
    }

    /// The number of a category.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let share = random.share();
        self.cumulative.partition_point(|c| *c < share).min(self.names.len() - 1)
    }

    /// How often each category comes in so many draws.
    pub(crate) fn counts(&self, n: usize, random: &mut Random) -> Vec<u64> {
        if n >= many::MANY {
            return many::counts(&self.cumulative, n, random);
        }
        let mut counts = vec![0; self.names.len()];
        (0..n).for_each(|_| counts[self.draw(random)] += 1);
        counts
    }

    /// The summary of these counts.
    pub(crate) fn summary(&self, counts: &[u64]) -> Summary {
        let mut summary = Summary { count: counts.iter().sum(), ..Summary::default() };
        let seen = self.names.iter().zip(counts).filter(|(_, count)| **count > 0);
        seen.for_each(|(name, count)| summary.categories.add(name, *count));
        summary
    }
}

/// How often something happened in a number of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    /// How often.
    pub(crate) count: u64,
    /// In how many.
    pub(crate) trials: u64,
}

impl Rate {
    /// The share.
    pub(crate) fn share(self) -> f64 {
        self.count as f64 / self.trials.max(1) as f64
    }

    /// Standard error of the share.
    pub(crate) fn error(self) -> f64 {
        let share = self.share();
        (share * (1.0 - share) / self.trials.max(1) as f64).sqrt()
    }

    /// Adds what happened in other trials.
    pub(crate) fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.trials += other.trials;
    }

    fn add(&mut self, happened: bool) {
        self.count += u64::from(happened);
        self.trials += 1;
    }
}

/// Alarms by the judged p-value and by scipy's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Alarms {
    /// `judged.p_value` is below the level.
    pub(crate) judged: Rate,
    /// `ks_p` or `chi2_p` of the values as a summary keeps them is.
    pub(crate) scipy: Rate,
    /// The same of the values as they came.
    pub(crate) scipy_raw: Rate,
}

impl Alarms {
    fn add(&mut self, comparison: &Comparison, raw_p: Option<f64>, level: f64) {
        let published = comparison.drift.ks_p.or(comparison.drift.chi2_p);
        self.judged.add(comparison.p_value < level);
        self.scipy.add(published.is_some_and(|p| p < level));
        self.scipy_raw.add(raw_p.or(published).is_some_and(|p| p < level));
    }
}

/// How numbers are compared: sizes of window and baseline, what changed, and
/// the level below which a p-value is an alarm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Values of the window.
    pub(crate) n: usize,
    /// Values of the baseline.
    pub(crate) n_ref: usize,
    /// What is different in the window.
    pub(crate) change: Change,
    /// The nominal level.
    pub(crate) level: f64,
}

/// Alarms in `trials` comparisons of numbers.
pub(crate) fn numbers(law: Law, trial: Trial, trials: u64, random: &mut Random) -> Alarms {
    let mut alarms = Alarms::default();
    let cells = many::Cells::of(law).filter(|_| trial.change == Change::NONE);
    for _ in 0..trials {
        if let Some(cells) = cells.as_ref().filter(|_| trial.n_ref >= many::MANY) {
            let [current, reference] = [trial.n, trial.n_ref].map(|n| match n {
                many::MANY.. => cells.sample(n, random),
                _ => summary_of_numbers(law.sample(n, Change::NONE, random)),
            });
            alarms.add(&drift::numeric(&current, &reference, &[], 10), None, trial.level);
            continue;
        }
        let mut current = law.sample(trial.n, trial.change, random);
        let mut reference = law.sample(trial.n_ref, Change::NONE, random);
        // The raw statistic costs a sort; without a change it is of no interest.
        let raw_p = (trial.change != Change::NONE).then(|| {
            current.sort_unstable_by(f64::total_cmp);
            reference.sort_unstable_by(f64::total_cmp);
            let d = watchkeep_detection::statistics::ks_statistic_sorted(&current, &reference);
            watchkeep_detection::statistics::ks_p_value(d, trial.n as u64, trial.n_ref as u64)
        });
        let (current, reference) = (summary_of_numbers(current), summary_of_numbers(reference));
        alarms.add(&drift::numeric(&current, &reference, &[], 10), raw_p, trial.level);
    }
    alarms
}

/// Alarms in `trials` comparisons of categories.
pub(crate) fn categories(
    shares: &Shares,
    trial: Trial,
    trials: u64,
    random: &mut Random,
) -> Alarms {
    let changed = shares.with_more_of_the_first(trial.change.share);
    let mut alarms = Alarms::default();
    for _ in 0..trials {
        let (current, reference) =
            (changed.counts(trial.n, random), shares.counts(trial.n_ref, random));
        let raw = watchkeep_detection::statistics::chi_square_homogeneity(&current, &reference);
        let (current, reference) = (shares.summary(&current), shares.summary(&reference));
        let raw_p = raw.map(|test| test.p_value);
        alarms.add(&drift::categorical(&current, &reference), raw_p, trial.level);
    }
    alarms
}

/// Alarms in `trials` windows of `n` values that follow each other, each the one
/// before times `carry` and something new (AR(1), variance 1), against the `parts`
/// windows before: with and without regard to their dependence.
pub(crate) fn dependent(
    carry: f64,
    n: usize,
    parts: usize,
    trials: u64,
    random: &mut Random,
) -> (Rate, Rate) {
    let (mut regarded, mut disregarded) = (Rate::default(), Rate::default());
    for _ in 0..trials {
        let mut value = random.normal();
        let mut window = || {
            let values = (0..n).map(|_| {
                value = value * carry + random.normal() * (1.0 - carry * carry).sqrt();
                value
            });
            summary_of_numbers(values.collect())
        };
        let past: Vec<Cow<'_, Summary>> = (0..parts).map(|_| Cow::Owned(window())).collect();
        let mut reference = Summary::default();
        past.iter().for_each(|window| reference.merge(window));
        let mean = |window: &Cow<'_, Summary>| window.numbers.mean().unwrap_or_default();
        let means: Vec<(u64, f64)> = past.iter().map(|window| (n as u64, mean(window))).collect();
        let effect = Effects::of(&past, &reference).numbers;
        let current = window();
        let p = |means: &[(u64, f64)], effect| {
            drift::numeric_among(&current, &reference, means, effect, 10).p_value
        };
        regarded.add(p(&means, effect) < 0.01);
        disregarded.add(p(&[], None) < 0.01);
    }
    (regarded, disregarded)
}

/// The same of one of ten categories, the n-th with a share of 1/n: each value is
/// the one before with a chance of `carry`, else drawn anew.
pub(crate) fn dependent_categories(
    carry: f64,
    n: usize,
    parts: usize,
    trials: u64,
    random: &mut Random,
) -> (Rate, Rate) {
    let shares = Shares::zipf(10, 1.0);
    let (mut regarded, mut disregarded) = (Rate::default(), Rate::default());
    for _ in 0..trials {
        let mut last = shares.draw(random);
        let mut window = || {
            let mut counts = vec![0; shares.names.len()];
            for _ in 0..n {
                if random.share() >= carry {
                    last = shares.draw(random);
                }
                counts[last] += 1;
            }
            shares.summary(&counts)
        };
        let past: Vec<Cow<'_, Summary>> = (0..parts).map(|_| Cow::Owned(window())).collect();
        let mut reference = Summary::default();
        past.iter().for_each(|window| reference.merge(window));
        let effect = Effects::of(&past, &reference).categories;
        let current = window();
        let p = |effect| drift::categorical_among(&current, &reference, effect).p_value;
        regarded.add(p(effect) < 0.01);
        disregarded.add(p(None) < 0.01);
    }
    (regarded, disregarded)
}
