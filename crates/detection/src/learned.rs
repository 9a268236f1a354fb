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
//! bound accounts for how few they are. An exceedance that is too far out for the
//! tail that the others make is pulled in to where the largest might be.
//!
//! Where the history covers two weeks and the hour of the day explains a good
//! part of its spread, the median of each hour is taken out first; from four
//! weeks on that of each hour of the week, where it explains a good part of what
//! is left. A window is compared with the other days' or weeks' windows of its
//! hour, in the history as after it: compared with itself it would look nearer
//! than the next one is (leave-one-out residuals, as in the jackknife+ of
//! Barber, Candès, Ramdas and Tibshirani 2021).

use std::collections::BTreeMap;

use watchkeep_model::charter::Learned;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Windows that a bound needs whatever the rate.
pub const WINDOWS_MIN: usize = Learned::WINDOWS_MIN;

/// The share of the history that makes the tail.
const TAIL_SHARE: f64 = 0.1;

/// Windows beyond the bound that its order statistic needs. With fewer the tail
/// is steadier.
const RANK_MIN: f64 = 10.0;

/// Exceedances that make the tail where the share is fewer.
const TAIL_MIN: usize = 10;

/// The chance that the largest of the exceedances is taken for an outlier where all
/// of them are of the tail.
const OUTLIER_CHANCE: f64 = 0.1;

/// How often the tail is fitted anew without what it found too far out.
const WINSORISED_MAX: usize = 20;

/// Heaviest tail that is believed. Above it a distribution has no variance.
const SHAPE_MAX: f64 = 0.5;

/// How far apart the first and the last window must be before the hours of the
/// day are told apart: two weeks of them begin more than 13 days apart.
const DAILY_SPAN: TimeSpan = TimeSpan::DAY.times(13);

/// Days that each hour of the day must have windows of.
const DAYS_MIN: usize = 10;

/// The same for the hours of the week: four weeks, of which one may be lost to
/// an outage.
const WEEKLY_SPAN: TimeSpan = TimeSpan::DAY.times(27);

/// Weeks that an hour of the week must have windows of.
const WEEKS_MIN: usize = 3;

/// 1970 began on a Thursday; weeks begin on the Monday after it.
const MONDAY: Timestamp = Timestamp::from_micros(4 * TimeSpan::DAY.as_micros());

/// What the spread within the hours may be of the one without them, for the hours
/// to be taken out. Chance alone hardly goes below 0.9.
const SEASON_SPREAD_MAX: f64 = 0.7;

/// How a bound was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// True where a tail was fitted for it.
    pub tail: bool,
    /// The course whose medians were taken out.
    pub course: Option<Course>,
}

/// What windows at the same time of have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The day: hours of the day, in UTC.
    Daily,
    /// The week: hours of the week, from Monday, in UTC.
    Weekly,
}

impl Method {
    /// The name in facts.
    pub const fn name(self) -> &'static str {
        match (self.tail, self.course) {
            (false, None) => "order_statistic",
            (true, None) => "tail",
            (false, Some(Course::Daily)) => "order_statistic seasonal",
            (true, Some(Course::Daily)) => "tail seasonal",
            (false, Some(Course::Weekly)) => "order_statistic weekly",
            (true, Some(Course::Weekly)) => "tail weekly",
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
    /// The median of the past windows, of the same hour where hours are told apart.
    pub median: f64,
    /// How it was come by.
    pub method: Method,
}

/// The upper bound for the window that starts at `start`: a share of `rate` of
/// windows like those of `past` is above it. `None` where these are too few
/// (see [`windows_needed`]) or not finite.
pub fn upper_bound(past: &[Past], start: Timestamp, rate: f64) -> Option<Bound> {
    upper_bound_of_overlapping(past, start, rate, 1.0)
}

/// The same of windows that overlap, so that each event lies in `overlap` of them.
pub fn upper_bound_of_overlapping(
    past: &[Past],
    start: Timestamp,
    rate: f64,
    overlap: f64,
) -> Option<Bound> {
    if past.len() < windows_needed(rate) {
        return None;
    }
    let mut values: Vec<f64> = past.iter().map(|window| window.observed).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (mut level, mut course) = (0.0, None);
    for of in [Course::Daily, Course::Weekly] {
        let Some(season) = Season::of(past, start, of) else { continue };
        let explains = spread(&season.rest) <= SEASON_SPREAD_MAX * spread(&values);
        if explains && season.rest.len() >= windows_needed(rate) {
            (level, values, course) = (season.level, season.rest, Some(of));
        }
    }
    let (beyond, tail) = beyond(&values, rate, overlap);
    let above = level + beyond;
    let method = Method { tail, course };
    above.is_finite().then_some(Bound { above, median: level + median(&values), method })
}

/// The value that a share of `rate` is above, of ascending values; true where
/// the tail was fitted for it.
fn beyond(ascending: &[f64], rate: f64, overlap: f64) -> (f64, bool) {
    let n = ascending.len();
    let rank = rate * (n as f64 + 1.0);
    if rank >= RANK_MIN {
        return (order_statistic(ascending, rank), false);
    }
    let k = ((n as f64 * TAIL_SHARE).ceil() as usize).max(TAIL_MIN.min(n / 2));
    let (body, exceeding) = ascending.split_at(n - k);
    let from = body[body.len() - 1];
    let tail = Tail::of(exceeding.iter().map(|value| value - from).collect());
    let mut above = from + tail.exceeded_by(rank / k as f64);
    // A tail is steadier than an order statistic and may be wrong, or moved by
    // outliers: what these are at half the rate and at twice of it holds anyway,
    // where so many windows tell of as many things. Of windows that overlap one odd
    // event is in several, one after the other, and a rank of so many is of one.
    let told = rank / overlap;
    if told >= 2.0 {
        above = above.min(order_statistic(ascending, rank / 2.0));
    }
    if told >= 0.5 {
        above = above.max(order_statistic(ascending, 2.0 * rank));
    }
    (above, true)
}

/// The value that one of n + 1 exchangeable ones is above with a chance of
/// `rank` / (n + 1), for a rank of 1 or more: between two of them interpolated.
fn order_statistic(ascending: &[f64], rank: f64) -> f64 {
    let (n, j) = (ascending.len(), rank.floor());
    let (above, below) = (ascending[n - j as usize], ascending[n - 1 - j as usize]);
    let way = (rank / j).ln() / ((j + 1.0) / j).ln();
    above + (below - above) * way
}

/// A generalised Pareto tail.
#[derive(Clone, Copy, Debug)]
struct Tail {
    scale: f64,
    shape: f64,
}

impl Tail {
    /// That of ascending exceedances. One that the tail itself would hardly reach is
    /// taken for as far as that (winsorised), and the tail is fitted anew: moments
    /// give way to any single outlier, however many there are beside it.
    fn of(mut exceedances: Vec<f64>) -> Self {
        let mut tail = Self::by_moments(&exceedances);
        for _ in 0..WINSORISED_MAX {
            let most = tail.exceeded_by(OUTLIER_CHANCE / exceedances.len() as f64);
            if exceedances.last().is_none_or(|largest| *largest <= most) {
                break;
            }
            exceedances.iter_mut().for_each(|value| *value = value.min(most));
            tail = Self::by_moments(&exceedances);
        }
        tail
    }

    fn by_moments(exceedances: &[f64]) -> Self {
        let count = exceedances.len() as f64;
        let mean = exceedances.iter().sum::<f64>() / count;
        if mean <= 0.0 {
            return Self { scale: 0.0, shape: 1.0 / count };
        }
        let squares = exceedances.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let variance = squares / (count - 1.0);
        let shape = (0.5 * (1.0 - mean * mean / variance)).clamp(1.0 / count, SHAPE_MAX);
        Self { scale: mean * (1.0 - shape.min(SHAPE_MAX - 0.05)), shape }
    }

    /// What a share of the exceedances is beyond.
    fn exceeded_by(self, share: f64) -> f64 {
        self.scale / self.shape * (share.powf(-self.shape) - 1.0)
    }
}

/// What is left of past windows when the medians of their hours are taken out.
struct Season {
    /// The median of the past windows of the hour of the one that is judged.
    level: f64,
    /// Past windows less the median of the others of their hour, ascending.
    rest: Vec<f64>,
}

impl Season {
    /// `None` where the history is too short for it.
    fn of(past: &[Past], start: Timestamp, course: Course) -> Option<Self> {
        let first = past.iter().map(|window| window.start).min()?;
        let last = past.iter().map(|window| window.start).max()?;
        if last.since(first) < course.span() {
            return None;
        }
        // (value, which day or week it is of) by hour.
        let mut hours: BTreeMap<i64, Vec<(f64, i64)>> = BTreeMap::new();
        for window in past {
            let (round, hour) = course.place(window.start);
            hours.entry(hour).or_default().push((window.observed, round));
        }
        let (mut level, mut rest) = (None, Vec::with_capacity(past.len()));
        for (hour, mut values) in hours {
            values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let mut rounds: Vec<i64> = values.iter().map(|(_, round)| *round).collect();
            rounds.sort_unstable();
            rounds.dedup();
            if rounds.len() < course.rounds_min() {
                continue;
            }
            if hour == course.place(start).1 {
                level = median_of(&values, |_| true);
            }
            for own in rounds {
                let of_others = median_of(&values, |round| round != own)?;
                let own = values.iter().filter(|(_, round)| *round == own);
                rest.extend(own.map(|(value, _)| value - of_others));
            }
        }
        rest.sort_unstable_by(f64::total_cmp);
        let is_finite = rest.iter().all(|value| value.is_finite());
        level.filter(|level| is_finite && level.is_finite()).map(|level| Self { level, rest })
    }
}

impl Course {
    const fn span(self) -> TimeSpan {
        match self {
            Self::Daily => DAILY_SPAN,
            Self::Weekly => WEEKLY_SPAN,
        }
    }

    const fn rounds_min(self) -> usize {
        match self {
            Self::Daily => DAYS_MIN,
            Self::Weekly => WEEKS_MIN,
        }
    }

    /// Which day or week an instant is of, and the hour of it.
    fn place(self, at: Timestamp) -> (i64, i64) {
        let round = match self {
            Self::Daily => TimeSpan::DAY,
            Self::Weekly => TimeSpan::WEEK,
        };
        let since = at.since(MONDAY).as_micros();
        let within = since.rem_euclid(round.as_micros());
        (since.div_euclid(round.as_micros()), within.div_euclid(TimeSpan::HOUR.as_micros()))
    }
}

/// The median of the values of some rounds, of (value, round) ascending by value.
fn median_of(ascending: &[(f64, i64)], is_of: impl Fn(i64) -> bool) -> Option<f64> {
    let values: Vec<f64> =
        ascending.iter().filter(|(_, round)| is_of(*round)).map(|(value, _)| *value).collect();
    (!values.is_empty()).then(|| median(&values))
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
