//! Latency and freshness by a quantile, silence by the time since the last event.

use watchkeep_model::charter::{Expectation, Quantile};
use watchkeep_model::distribution::Durations;
use watchkeep_model::time::TimeSpan;

use super::{Measured, enough};

/// The quantile of durations in microseconds.
pub(super) fn quantile(
    expectation: &Expectation,
    durations: &Durations,
    quantile: Quantile,
    what: &str,
) -> Result<Measured, String> {
    enough(expectation, durations.count(), what)?;
    let observed = durations.quantile(quantile.level()).unwrap_or_default();
    Ok(Measured { observed, ..Measured::default() })
}

/// How long the feature has been silent, in microseconds.
pub(super) fn silence(silent_for: Option<TimeSpan>) -> Result<Measured, String> {
    let silent_for = silent_for.ok_or("the feature has had no event yet")?;
    Ok(Measured { observed: silent_for.as_micros() as f64, ..Measured::default() })
}

pub(super) fn quantile_reason(
    what: &str,
    quantile: Quantile,
    observed: f64,
    above: TimeSpan,
) -> String {
    format!("{what} {} {} is above {above}", quantile.name(), rounded(observed))
}

pub(super) fn silence_reason(observed: f64, after: TimeSpan) -> String {
    format!("no event for {}, the bound is {after}", rounded(observed))
}

/// Microseconds as a readable duration, to three digits.
pub(super) fn rounded(micros: f64) -> String {
    let units = [
        (TimeSpan::DAY, "d"),
        (TimeSpan::HOUR, "h"),
        (TimeSpan::MINUTE, "min"),
        (TimeSpan::SECOND, "s"),
        (TimeSpan::from_micros(1000), "ms"),
    ];
    for (size, unit) in units {
        if micros >= size.as_micros() as f64 {
            return format!("{:.3} {unit}", micros / size.as_micros() as f64);
        }
    }
    format!("{micros:.0} µs")
}
