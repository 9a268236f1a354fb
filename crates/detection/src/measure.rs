//! From a summary to what a window publishes.

use watchkeep_model::distinct::DISTINCT_ERROR;
use watchkeep_model::distribution::Durations;
use watchkeep_model::summary::Summary;
use watchkeep_model::telemetry::Status;
use watchkeep_model::time::Timestamp;
use watchkeep_model::window::{Ages, Spread, TopError, Window};

/// Categories that a window lists; the rest is in its baseline comparison.
const TOP_MAX: usize = 10;

/// What a window is called and which span it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The subject as telemetry names it.
    pub feature: String,
    /// The feature's version.
    pub feature_version: String,
    /// The window's name.
    pub window: String,
    /// First instant.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// Which measurement of the window this is.
    pub revision: u32,
    /// True where the input ended before the window did.
    pub partial: bool,
    /// Events that came after the first close.
    pub late_count: u64,
}

/// The statistics of a window; judgements are added by the caller.
pub fn window(frame: Frame, summary: &Summary) -> Window {
    let numbers = &summary.numbers;
    let quantile = |level| numbers.quantile(level);
    let distinct = distinct(summary);
    let (top, frequent) = summary.categories.top(TOP_MAX);
    let by_status = Status::ALL.iter().map(|s| (*s, summary.statuses[s.index()]));
    Window {
        feature: frame.feature,
        feature_version: frame.feature_version,
        window: frame.window,
        window_start: frame.start,
        window_end: frame.end,
        revision: frame.revision,
        partial: frame.partial,
        count: summary.count,
        null_count: summary.null_count,
        error_count: summary.error_count(),
        status: by_status.filter(|(_, count)| *count > 0).collect(),
        non_finite_count: summary.non_finite_count,
        late_count: frame.late_count,
        min: numbers.min(),
        max: numbers.max(),
        mean: numbers.mean(),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
        latency_us: spread(&summary.latency_us),
        age_us: ages(summary),
        distinct: distinct.map(|(count, _)| count),
        distinct_error: distinct.and_then(|(_, error)| error),
        top,
        top_error: frequent.map(|of| TopError { above: of.above, count: of.error }),
        last_event_time: summary.last_event_time,
        last_materialised_at: summary.last_materialised_at,
        judged: Vec::new(),
    }
}

fn spread(durations: &Durations) -> Option<Spread> {
    let quantile = |level| durations.quantile(level);
    Some(Spread {
        p50: quantile(0.5)?,
        p90: quantile(0.9)?,
        p95: quantile(0.95)?,
        p99: quantile(0.99)?,
        max: durations.max()?,
    })
}

fn ages(summary: &Summary) -> Option<Ages> {
    let ages = spread(&summary.age_us);
    if ages.is_none() && summary.negative_age_count == 0 {
        return None;
    }
    Some(Ages {
        p50: ages.map(|a| a.p50),
        p90: ages.map(|a| a.p90),
        p95: ages.map(|a| a.p95),
        p99: ages.map(|a| a.p99),
        max: ages.map(|a| a.max),
        negative_count: summary.negative_age_count,
    })
}

/// How many different values, and the relative standard error of that where it
/// is an estimate. Of numbers and categories together the larger error counts.
fn distinct(summary: &Summary) -> Option<(u64, Option<f64>)> {
    if summary.numbers.count() + summary.categories.total() == 0 {
        return None;
    }
    let count = summary.numbers.distinct()? + summary.categories.distinct();
    let of_numbers = summary.numbers.raw().is_none().then_some(DISTINCT_ERROR);
    Some((count, of_numbers.or(summary.categories.distinct_error())))
}
