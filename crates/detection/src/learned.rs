//! Bounds that are learned from the windows before, so that a stated share of
//! good windows is called bad.
//!
//! With a history long enough for the rate the bound is an order statistic:
//! of n + 1 exchangeable windows the newest is above the j-th largest of the
//! others with probability j / (n + 1), whatever their distribution (split
//! conformal prediction: Vovk, Gammerman and Shafer 2005). Between two of them
//! the bound is interpolated in the logarithm of that probability.
//!
//! With a shorter history the largest tenth is continued by a generalised
//! Pareto tail (peaks over threshold: Pickands 1975; Siffer et al. 2017). Its
//! shape comes from the first two moments (Hosking and Wallis 1987) and is at
//! least 1 / k for k exceedances: the exceedance of an exponential tail whose
//! mean was estimated from k values has just that distribution (Lomax), so the
//! bound accounts for how few they are.
//!
//! Where the history covers two weeks and the hour of the day explains a good
//! part of its spread, the median of each hour is taken out first.

use watchkeep_model::charter::Learned;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Windows that a bound needs whatever the rate.
pub const WINDOWS_MIN: usize = Learned::WINDOWS_MIN;

/// The share of the history that makes the tail.
const TAIL_SHARE: f64 = 0.1;

/// Windows beyond the bound that its order statistic needs. With fewer the tail
/// is steadier: one outlier moves it less.
const RANK_MIN: f64 = 10.0;

/// Exceedances that make the tail where the share is fewer.
const TAIL_MIN: usize = 10;

/// Heaviest tail that is believed. Above it a distribution has no variance.
const SHAPE_MAX: f64 = 0.5;

/// How far apart the first and the last window must be before the hours of the
/// day are told apart: two weeks of them begin more than 13 days apart.
const SEASON_SPAN: TimeSpan = TimeSpan::DAY.times(13);

/// Windows that each hour must have in which there are any.
const SEASON_WINDOWS_MIN: usize = 10;

/// What the spread within the hours may be of the whole one, for the hours to
/// be taken out. Chance alone hardly goes below 0.9.
const SEASON_SPREAD_MAX: f64 = 0.7;

/// How a bound was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// True where a tail was fitted for it.
    pub tail: bool,
    /// True where the hours' medians were taken out.
    pub seasonal: bool,
}

impl Method {
    /// The name in facts.
    pub const fn name(self) -> &'static str {
        match (self.tail, self.seasonal) {
            (false, false) => "order_statistic",
            (true, false) => "tail",
            (false, true) => "order_statistic seasonal",
            (true, true) => "tail seasonal",
        }
    }
}

/// Windows that a bound of this rate needs.
pub fn windows_needed(rate: f64) -> usize {
    Learned::windows_for(rate)
}

/// What a past window tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// Its start.
    pub start: Timestamp,
    /// What was observed. A lower bound is learned from negated values.
    pub observed: f64,
}

/// An upper bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// What a share of the rate is above.
    pub above: f64,
    /// The median of the past windows, at the same hour where hours are told apart.
    pub median: f64,
    /// How it was come by.
    pub method: Method,
}

/// The upper bound for the window that starts at `start`: a share of `rate` of
/// windows like those of `past` is above it. `None` where these are too few
/// (see [`windows_needed`]) or not finite.
pub fn upper_bound(past: &[Past], start: Timestamp, rate: f64) -> Option<Bound> {
    if past.len() < windows_needed(rate) {
        return None;
    }
    let mut values: Vec<f64> = past.iter().map(|window| window.observed).collect();
    values.sort_unstable_by(f64::total_cmp);
    let mut level = 0.0;
    let season = Season::of(past, &values).filter(|season| season.level(start).is_finite());
    if let Some(season) = &season {
        level = season.level(start);
        values.clear();
        values.extend(past.iter().map(|window| window.observed - season.level(window.start)));
        values.sort_unstable_by(f64::total_cmp);
    }
    let (beyond, tail) = beyond(&values, rate);
    let above = level + beyond;
    let method = Method { tail, seasonal: season.is_some() };
    above.is_finite().then_some(Bound { above, median: level + median(&values), method })
}

/// The value that a share of `rate` is above, of ascending values; true where
/// the tail was fitted for it.
fn beyond(ascending: &[f64], rate: f64) -> (f64, bool) {
    let n = ascending.len();
    let rank = rate * (n as f64 + 1.0);
    if rank >= RANK_MIN {
        let j = rank.floor();
        let (above, below) = (ascending[n - j as usize], ascending[n - 1 - j as usize]);
        let way = (rank / j).ln() / ((j + 1.0) / j).ln();
        return (above + (below - above) * way, false);
    }
    let k = ((n as f64 * TAIL_SHARE).ceil() as usize).max(TAIL_MIN.min(n / 2));
    let (body, exceeding) = ascending.split_at(n - k);
    let from = body[body.len() - 1];
    let count = k as f64;
    let mean = exceeding.iter().map(|value| value - from).sum::<f64>() / count;
    if mean <= 0.0 {
        return (from, true);
    }
    let squares = exceeding.iter().map(|value| (value - from - mean).powi(2)).sum::<f64>();
    let variance = squares / (count - 1.0);
    let shape = (0.5 * (1.0 - mean * mean / variance)).clamp(1.0 / count, SHAPE_MAX);
    let scale = mean * (1.0 - shape.min(SHAPE_MAX - 0.05));
    let farther = count / (n as f64 + 1.0) / rate;
    (from + scale / shape * (farther.powf(shape) - 1.0), true)
}

/// The median of each hour of the day, in UTC; not a number for an hour in
/// which no window begins.
struct Season([f64; 24]);

impl Season {
    /// `None` where the history is too short for it, or where the hour does
    /// not explain enough. `ascending` are the values in their order.
    fn of(past: &[Past], ascending: &[f64]) -> Option<Self> {
        let first = past.iter().map(|window| window.start).min()?;
        let last = past.iter().map(|window| window.start).max()?;
        if last.since(first) < SEASON_SPAN {
            return None;
        }
        let mut hours: [Vec<f64>; 24] = std::array::from_fn(|_| Vec::new());
        for window in past {
            hours[hour(window.start)].push(window.observed);
        }
        let mut levels = [f64::NAN; 24];
        for (level, values) in levels.iter_mut().zip(&mut hours) {
            if values.is_empty() {
                continue;
            }
            if values.len() < SEASON_WINDOWS_MIN {
                return None;
            }
            values.sort_unstable_by(f64::total_cmp);
            *level = median(values);
        }
        let season = Self(levels);
        let mut rest: Vec<f64> =
            past.iter().map(|window| window.observed - season.level(window.start)).collect();
        rest.sort_unstable_by(f64::total_cmp);
        (spread(&rest) <= SEASON_SPREAD_MAX * spread(ascending)).then_some(season)
    }

    fn level(&self, at: Timestamp) -> f64 {
        self.0[hour(at)]
    }
}

fn hour(at: Timestamp) -> usize {
    at.since(at.floor(TimeSpan::DAY)).as_micros().div_euclid(TimeSpan::HOUR.as_micros()) as usize
        % 24
}

fn median(ascending: &[f64]) -> f64 {
    let n = ascending.len();
    f64::midpoint(ascending[(n - 1) / 2], ascending[n / 2])
}

/// The distance between the 5 % and the 95 % quantile.
fn spread(ascending: &[f64]) -> f64 {
    let n = ascending.len();
    ascending[n - 1 - n / 20] - ascending[n / 20]
}

#[cfg(test)]
mod tests;
