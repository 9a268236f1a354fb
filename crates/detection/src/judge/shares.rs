//! Shares of a window's events: nulls and errors by the lower bound of their
//! share, numbers outside a range by the share itself.

use watchkeep_model::charter::Expectation;
use watchkeep_model::summary::Summary;

use super::{Measured, enough};
use crate::statistics::clopper_pearson_lower;

/// What rounding may add to a share's lower bound, relative. 2 of 2 at 0.99 has
/// the bound 0.1 to the last digit, which is not above 0.1.
const BOUND_ROUNDING: f64 = 1e-12;

/// The share that `part` has of the window's events.
pub(super) fn of_events(
    expectation: &Expectation,
    part: u64,
    whole: u64,
    confidence: f64,
) -> Result<Measured, String> {
    enough(expectation, whole, "events")?;
    Ok(Measured {
        observed: part as f64 / whole as f64,
        lower_bound: Some(clopper_pearson_lower(part, whole, confidence)),
        ..Measured::default()
    })
}

/// True where the share is above the bound with the confidence it was measured at.
pub(super) fn is_above(measured: &Measured, above: f64) -> bool {
    measured.lower_bound.is_some_and(|bound| bound > above * (1.0 + BOUND_ROUNDING))
}

pub(super) fn reason(measured: &Measured, what: &str, above: f64, confidence: f64) -> String {
    format!(
        "{what} share {:.4}, at least {:.4} with confidence {confidence}, is above {above}",
        measured.observed,
        measured.lower_bound.unwrap_or_default()
    )
}

/// The share of values outside a range; `foreign` are no numbers and ought to be.
pub(super) fn outside(
    expectation: &Expectation,
    summary: &Summary,
    foreign: u64,
    min: Option<f64>,
    max: Option<f64>,
) -> Result<Measured, String> {
    // What is not finite, or no number at all, is outside every range.
    let n = summary.numbers.count() + summary.non_finite_count + foreign;
    enough(expectation, n, "numbers")?;
    let below = min.map_or(0, |min| summary.numbers.count_below(min));
    let above = max.map_or(0, |max| summary.numbers.count_above(max));
    let outside = below + above + summary.non_finite_count + foreign;
    Ok(Measured { observed: outside as f64 / n as f64, ..Measured::default() })
}

pub(super) fn outside_reason(
    observed: f64,
    min: Option<f64>,
    max: Option<f64>,
    above: f64,
) -> String {
    // A bound of hundreds of digits is no reading for people.
    let text = |b: f64| if b.abs() < 1e15 { b.to_string() } else { format!("{b:e}") };
    let side = |bound: Option<f64>| bound.map_or("…".to_owned(), text);
    format!(
        "share {observed:.4} of the values is outside {} to {}, above {above}",
        side(min),
        side(max)
    )
}
