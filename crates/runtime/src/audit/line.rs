//! What a window's line must be by itself: whole in its place, and its numbers
//! in agreement with each other.

use watchkeep_model::telemetry::Status;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::Window;

use super::recount::Shape;
use super::{FaultKind, Finding};

/// Part by which a quantile of many values may be off (they lie in a grid),
/// and more than enough for the rounding of a mean.
const GRID: f64 = 0.01;

/// What is odd about a line, if anything: the first thing.
pub fn odd(window: &Window) -> Option<Finding> {
    let why = place(window).or_else(|| counts(window)).or_else(|| values(window));
    let why = why.or_else(|| spreads(window))?;
    let Window { feature, window, window_start, revision, .. } = window;
    let detail = format!("{feature} {window} from {window_start}, revision {revision}: {why}");
    Some(Finding { fault: FaultKind::Window, at: None, detail })
}

/// A session has its first and last event's times, any other window those of its grid.
fn place(window: &Window) -> Option<String> {
    let Window { window_start: start, window_end: end, last_event_time: last, .. } = *window;
    if start > end {
        return Some(format!("it ends at {end}, before it begins"));
    }
    match Shape::of(&window.window) {
        Some(shape) => {
            if end != start + shape.size || start.floor(shape.hop) != start {
                return Some(format!("{start} to {end} is no window of {}", window.window));
            }
            if last.is_some_and(|last| last < start || last >= end) {
                return Some("last_event_time lies outside of it".to_owned());
            }
        }
        None if gap(&window.window).is_none() => {
            return Some(format!("{} is no name of a window", window.window));
        }
        None if window.count > 0 && last != Some(end) => {
            return Some("a session ends with its last event".to_owned());
        }
        None => {}
    }
    (last.is_some() != (window.count > 0))
        .then(|| format!("{} events, and last_event_time says something else", window.count))
}

fn counts(window: &Window) -> Option<String> {
    let Window { count, null_count, error_count, late_count, .. } = *window;
    let by_status: u64 = window.status.values().sum();
    if by_status != count {
        return Some(format!("its statuses come to {by_status} events, not to {count}"));
    }
    let of = |status| window.status.get(&status).copied().unwrap_or(0);
    let errors = of(Status::Error) + of(Status::Timeout);
    if error_count != errors {
        return Some(format!("error_count is {error_count}, and its statuses come to {errors}"));
    }
    let top: u64 = window.top.iter().map(|(_, count)| count).sum();
    // Of many values it is an estimate, which may be too large.
    let distinct = window.distinct.filter(|_| window.distinct_error.is_none()).unwrap_or(0);
    let parts = [
        ("null_count", null_count),
        ("late_count", late_count),
        ("non_finite_count", window.non_finite_count),
        ("distinct", distinct),
        ("top", top),
        ("age_us.negative_count", window.age_us.map_or(0, |ages| ages.negative_count)),
    ];
    if let Some((name, part)) = parts.into_iter().find(|(_, part)| *part > count) {
        return Some(format!("{name} comes to {part} of {count} events"));
    }
    let is_sorted = window.top.windows(2).all(|two| two[0].1 >= two[1].1);
    (!is_sorted).then(|| "top is not in order of frequency".to_owned())
}

/// Bounds, mean and quantiles of numbers, in order.
fn values(window: &Window) -> Option<String> {
    let Window { min, max, mean, p50, p90, p95, p99, .. } = *window;
    let quantiles = [p50, p90, p95, p99];
    if let Some(wrong) = ascending("", &quantiles) {
        return Some(wrong);
    }
    let (Some(min), Some(max)) = (min, max) else {
        let others = quantiles.into_iter().chain([min, max, mean]).flatten().count();
        return (others > 0).then(|| "min or max is missing beside the others".to_owned());
    };
    let slack = GRID * min.abs().max(max.abs());
    let inside = |value: &f64| (min - slack..=max + slack).contains(value);
    if min > max || !quantiles.iter().flatten().chain(&mean).all(inside) {
        return Some(format!("its mean or a quantile lies outside of {min} to {max}"));
    }
    None
}

fn spreads(window: &Window) -> Option<String> {
    if let Some(spread) = window.latency_us {
        #[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^53")]
        let max = spread.max as f64;
        let all = [spread.p50, spread.p90, spread.p95, spread.p99, max];
        if let Some(wrong) = ascending("latency_us.", &all.map(Some)) {
            return Some(wrong);
        }
    }
    let ages = window.age_us?;
    #[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^53")]
    let max = ages.max.map(|max| max as f64);
    ascending("age_us.", &[ages.p50, ages.p90, ages.p95, ages.p99, max])
}

/// Quantiles and, last, the largest value, which is exact where they are not.
fn ascending(of: &str, quantiles: &[Option<f64>]) -> Option<String> {
    let known: Vec<f64> = quantiles.iter().flatten().copied().collect();
    let is_fine = known.windows(2).all(|two| two[0] <= two[1] + GRID * two[1].abs());
    (!is_fine).then(|| format!("the quantiles {of}p50 to {of}p99 are not in order"))
}

/// The gap of `session 5m`; `None` for other windows.
pub(super) fn gap(window: &str) -> Option<TimeSpan> {
    window.strip_prefix("session ")?.parse().ok()
}
