//! A closed window: what was measured of one subject in one span of event
//! time, and how each expectation judged it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::telemetry::Status;
use crate::time::{TimeSpan, Timestamp};

/// One line of `windows.ndjson` and one record of the windows topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The subject as telemetry names it.
    pub feature: String,
    /// The feature's version, often empty.
    pub feature_version: String,
    /// The window's name: `1h`, hopping `1h/5m`, `session 5m`.
    pub window: String,
    /// First instant.
    pub window_start: Timestamp,
    /// End; not part of the window.
    pub window_end: Timestamp,
    /// 0 at the close, one more for each time that late events changed it.
    pub revision: u32,
    /// True where the input ended before the window did; such a window is not judged.
    pub partial: bool,
    /// Events of every status.
    pub count: u64,
    /// Events without a value.
    pub null_count: u64,
    /// Events of status error or timeout.
    pub error_count: u64,
    /// Events by status; those of no event are left out.
    pub status: BTreeMap<Status, u64>,
    /// Numbers that are NaN or infinite.
    pub non_finite_count: u64,
    /// Events that came after the first close.
    pub late_count: u64,
    /// Smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Arithmetic mean of the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 90 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 95 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    /// 99 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// Serving latency, where any event told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<Spread>,
    /// Age of the values (event time less materialised at), where any event told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_us: Option<Ages>,
    /// Distinct values: exact while there are few, else an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// Relative standard error of `distinct`, where it is an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_error: Option<f64>,
    /// The most frequent categories, most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(String, u64)>,
    /// How far `top` is right, where there are too many categories to count each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_error: Option<TopError>,
    /// Latest event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_time: Option<Timestamp>,
    /// Latest as-of time of a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_materialised_at: Option<Timestamp>,
    /// One verdict for each expectation on this window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// How far the most frequent categories are right where there are too many to
/// count each ([`crate::frequent`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopError {
    /// No category with more events than this is missed: it is listed, or as many
    /// more frequent ones are as a window lists.
    pub above: u64,
    /// A count is never too small, and at most so much too large in 99.6 % of cases.
    pub count: u64,
}

/// Quantiles of latencies in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 90 % quantile.
    pub p90: f64,
    /// 95 % quantile.
    pub p95: f64,
    /// 99 % quantile.
    pub p99: f64,
    /// Largest, exact.
    pub max: u64,
}

/// Quantiles of ages in microseconds; ages below zero are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ages {
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 90 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 95 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    /// 99 % quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// Largest, exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Values that claim to be materialised after the event.
    pub negative_count: u64,
}

/// How one expectation judged a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The expectation's name.
    pub expectation: String,
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The test's p-value, where there is a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The baseline that was compared with: its kind and content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The bounds, where they were learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Box<LearnedBounds>>,
    /// The whole comparison, for drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<Drift>>,
    /// The burn rates and the error budget, for an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Box<Slo>>,
    /// The usual counts, for a volume that is compared with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeShift>,
    /// What the domain's alert budget granted, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<Granted>>,
}

/// An objective at the end of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Events of the period that count.
    pub total: u64,
    /// Bad ones among them. Of several conditions, the number that there are
    /// at least: what is kept of events does not tell which failed several.
    pub bad: u64,
    /// The number that there are at most, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_at_most: Option<u64>,
    /// The part of the period's error budget that is left, from 1 down; below
    /// 0 once the objective is missed. Absent without events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<f64>,
    /// Every pair of windows, most urgent first.
    pub pairs: Vec<Burn>,
}

/// How fast the error budget burns in two windows that end together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Burn {
    /// The burn rate that both have to be above to fire.
    pub factor: f64,
    /// Length of the long window, such as `1h`.
    pub long: TimeSpan,
    /// Length of the short window.
    pub short: TimeSpan,
    /// Events of the long window.
    pub long_total: u64,
    /// Bad ones among them.
    pub long_bad: u64,
    /// Events of the short window.
    pub short_total: u64,
    /// Bad ones among them.
    pub short_bad: u64,
    /// Burn rate of the long window: its share of bad events over the share
    /// that the objective allows. Absent without events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_burn: Option<f64>,
    /// Burn rate of the short window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_burn: Option<f64>,
    /// False where either window has fewer events than `min_samples`.
    pub judged: bool,
    /// True where both burn rates are above the factor.
    pub fired: bool,
}

/// A window's count beside those of its baseline's windows.
///
/// The p-value is that of Student's t with `windows − 1` degrees of freedom:
/// `2 P(T > |score|)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeShift {
    /// How many windows of the baseline were counted, with events or without.
    pub windows: u64,
    /// Their mean count.
    pub expected: f64,
    /// The variance of their counts by their mean: 1 for events that come
    /// independently of each other, more where they come in bursts.
    pub dispersion: f64,
    /// How many standard errors of a prediction the count is away, after the
    /// counts were transformed so that they are not skewed; negative for fewer.
    pub score: f64,
}

/// A test that an alert budget was asked for: the level that was granted
/// before the p-value was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// The domain whose budget it is.
    pub domain: String,
    /// The number of the test in the budget's period and summaries partition, from 1.
    pub test: u64,
    /// The p-value had to be at most this.
    pub level: f64,
    /// The sum of the levels granted in the period so far, this one included:
    /// false alarms to be expected at most if nothing had ever changed.
    pub spent: f64,
    /// True where the window's p-value was within the level and its effect above the bound.
    pub discovery: bool,
}

/// Bounds that were learned from the windows before, in the unit of `observed`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearnedBounds {
    /// Good windows that they were learned from.
    pub windows: u64,
    /// Share of good windows that may be called bad, both bounds together.
    pub false_alarm_rate: f64,
    /// Less than this is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// More than this is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// How they were learned: `order_statistic` or `tail`, and behind it `seasonal`
    /// where the hour of the day was taken out, `weekly` where that of the week was.
    pub method: String,
}

/// What an expectation says of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    Good,
    /// Not as expected.
    Bad,
    /// Too little to tell; counts neither way.
    NotJudged,
}

/// Every statistic of a drift comparison. Those that do not apply to the
/// feature's type are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Values in the window.
    pub n: u64,
    /// Values in the baseline.
    pub n_ref: u64,
    /// Population stability index, natural logarithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// Jensen–Shannon distance, base 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub js: Option<f64>,
    /// Hellinger distance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hellinger: Option<f64>,
    /// First Wasserstein distance, in the feature's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasserstein: Option<f64>,
    /// The same over the baseline's population standard deviation (at least 0.001).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasserstein_norm: Option<f64>,
    /// Two-sample Kolmogorov–Smirnov statistic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks_stat: Option<f64>,
    /// Its p-value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks_p: Option<f64>,
    /// Pearson's chi-square of homogeneity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chi2_stat: Option<f64>,
    /// Its degrees of freedom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chi2_dof: Option<u64>,
    /// Its p-value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chi2_p: Option<f64>,
    /// Independent values that the window's are worth, where the windows of the
    /// baseline show that values depend on each other; it is what is judged then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_effective: Option<f64>,
    /// Share of the window's values whose category the baseline has not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_share: Option<f64>,
    /// Names of such categories, most frequent first, a bounded number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
    /// What the windows up to this one come to, where a sequential test adds them up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustained: Option<SustainedShift>,
    /// The counts that the binned statistics were computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
}

/// A sequential test over windows: the shift of this one and the sum of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SustainedShift {
    /// Windows that were added up, this one included.
    pub windows: u64,
    /// This window's shift against the baseline in standard errors of the mean
    /// rank, below 0 where its values are smaller.
    pub z: f64,
    /// The cumulative sum, below 0 where it is that of downward shifts.
    pub sum: f64,
    /// The drift is sustained where the sum's size is above this.
    pub above: f64,
}

/// Counts of window and baseline in the same bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Numeric: the k − 1 inner edges of k bins; bin i holds edge i−1 ≤ value < edge i.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<f64>,
    /// Categorical: the name of each bin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// The window's count in each bin; where nulls were seen, they are one more bin at the end.
    pub current: Vec<u64>,
    /// The baseline's count in each bin, in the same order.
    pub reference: Vec<u64>,
    /// True where the last bin is that of the nulls.
    pub null_bin: bool,
    /// Numeric: the area between the distribution functions over each bin, in the
    /// feature's unit; `wasserstein` is their sum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<f64>,
    /// Numeric: where the distribution functions are farthest apart; absent
    /// where they are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest: Option<Widest>,
    /// Numeric: the baseline's population standard deviation, by which (at
    /// least 0.001) `wasserstein` is divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_sd: Option<f64>,
}

/// A place of two distribution functions: `ks_stat` is
/// `|current / n − reference / n_ref|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Widest {
    /// The counts are of the values below this one.
    pub below: f64,
    /// Values of the window below it.
    pub current: u64,
    /// Values of the baseline below it.
    pub reference: u64,
}
