//! Made-up numbers of events in windows of which none differs from the others.

use statrs::function::gamma::ln_gamma;
use watchkeep_detection::statistics::{LeftOut, count_change};

use super::{Random, Rate};

/// What counts are drawn from, around a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Counts {
    /// Events that know nothing of each other.
    Poisson,
    /// Negative binomial: the rate of a window is gamma distributed, with so
    /// large a standard deviation in shares of the mean.
    Bursts(f64),
    /// The rate of a window is lognormal, with so large a deviation.
    Lognormal(f64),
    /// One after the other in the same pause, of which one in ten windows has one
    /// more or less.
    Regular,
}

/// All that the tables show, with their names.
pub(crate) const COUNTS: [(Counts, &str); 7] = [
    (Counts::Poisson, "Poisson"),
    (Counts::Bursts(0.1), "negative binomial, 10 %"),
    (Counts::Bursts(0.3), "negative binomial, 30 %"),
    (Counts::Bursts(1.0), "negative binomial, 100 %"),
    (Counts::Lognormal(0.1), "lognormal rate, 10 %"),
    (Counts::Lognormal(0.3), "lognormal rate, 30 %"),
    (Counts::Regular, "regular"),
];

impl Counts {
    /// The number of events of one window.
    pub(crate) fn draw(self, mean: f64, random: &mut Random) -> u64 {
        let rate = match self {
            Self::Poisson => mean,
            Self::Bursts(deviation) => {
                let shape = deviation.powi(-2);
                mean / shape * gamma(shape, random)
            }
            Self::Lognormal(deviation) => {
                let variance = (deviation * deviation).ln_1p();
                mean * (variance.sqrt() * random.normal() - variance / 2.0).exp()
            }
            Self::Regular => {
                let odd = if random.share() < 0.1 { random.below(3) as f64 - 1.0 } else { 0.0 };
                return (mean + odd) as u64;
            }
        };
        poisson(rate, random)
    }
}

/// How often a count of that many times the mean is called changed at a level.
pub(crate) fn counted(
    counts: Counts,
    mean: f64,
    windows: usize,
    factor: f64,
    level: f64,
    trials: u64,
    random: &mut Random,
) -> Rate {
    let mut alarms = Rate::default();
    for _ in 0..trials {
        let usual: Vec<u64> = (0..windows).map(|_| counts.draw(mean, random)).collect();
        let count = counts.draw(mean * factor, random);
        let change = count_change(count, &usual, None);
        alarms.add(change.is_some_and(|change| change.p_value < level));
    }
    alarms
}

/// How often quiet counts are called changed in streams of so many windows each, where
/// what is called so is left out of the rolling baselines of `windows` after it.
pub(crate) fn counted_rolling(
    counts: Counts,
    mean: f64,
    windows: usize,
    level: f64,
    (streams, length): (u64, usize),
    random: &mut Random,
) -> Rate {
    let left_out = LeftOut { p_below: level, change: 0.0 };
    let mut alarms = Rate::default();
    for _ in 0..streams {
        let mut usual: Vec<u64> = (0..windows).map(|_| counts.draw(mean, random)).collect();
        let mut in_breach = 0;
        for _ in 0..length {
            let count = counts.draw(mean, random);
            let change = count_change(count, &usual, Some(left_out));
            let is_changed = change.is_some_and(|change| change.p_value < level);
            alarms.add(is_changed);
            in_breach = if is_changed { in_breach + 1 } else { 0 };
            // What has lasted as long as the baseline is how things are now.
            if in_breach == 0 || in_breach > windows {
                usual.remove(0);
                usual.push(count);
            }
        }
    }
    alarms
}

/// Gamma with scale 1 (Marsaglia & Tsang 2000).
fn gamma(shape: f64, random: &mut Random) -> f64 {
    if shape < 1.0 {
        return gamma(shape + 1.0, random) * random.share().powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = random.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && random.share().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// Poisson: by multiplication below 10 (Knuth), else by rejection (Hörmann 1993, PTRS).
fn poisson(mean: f64, random: &mut Random) -> u64 {
    if mean < 10.0 {
        let (least, mut product, mut n) = ((-mean).exp(), random.share(), 0);
        while product > least {
            product *= random.share();
            n += 1;
        }
        return n;
    }
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let v_r = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = random.share() - 0.5;
        let v = random.share();
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
        if us >= 0.07 && v <= v_r {
            return k as u64;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let accepted = v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln();
        if accepted <= -mean + k * mean.ln() - ln_gamma(k + 1.0) {
            return k as u64;
        }
    }
}
