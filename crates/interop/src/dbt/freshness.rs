//! Freshness of sources as expectations, and the other way round.

use serde_json::{Map, Value, json};
use watchkeep_model::time::TimeSpan;

use crate::expectation;
use crate::item::At;

/// Thresholds with the severity they mean, in the order of dbt.
const LEVELS: [(&str, &str); 2] = [("warn_after", "warning"), ("error_after", "error")];

const PERIODS: [(&str, TimeSpan); 3] =
    [("day", TimeSpan::DAY), ("hour", TimeSpan::HOUR), ("minute", TimeSpan::MINUTE)];

/// The expectations of a `freshness` or `criteria` map.
pub(super) fn read(at: &At<'_>) -> Vec<Value> {
    let mut expectations = Vec::new();
    for (level, severity) in LEVELS {
        let Some(threshold) = at.get(level).filter(At::expect_map) else { continue };
        let count = threshold.number("count");
        let period = threshold.text("period");
        let (Some(count), Some(period)) = (count, period) else { continue };
        let Some((_, unit)) = PERIODS.iter().find(|(name, _)| *name == period) else {
            let message = format!("`{period}` is no period");
            threshold.report("wrong_value", message, Some("write minute, hour or day".into()));
            continue;
        };
        if !(0.0..1.0e9).contains(&count) || count.fract() != 0.0 {
            threshold.report("wrong_value", format!("{count} is no count of periods"), None);
            continue;
        }
        let name = format!("freshness-{level}");
        let above = unit.times(count as i64);
        at.assumed(level, "windows of 1h, told of by the dataset's own telemetry");
        expectations.push(expectation::usual(&name, severity, expectation::freshness(above)));
    }
    expectations
}

/// A `freshness` map that is read back as these expectations; `None` where
/// there is none.
pub(super) fn write(expectations: &[Value]) -> Option<Map<String, Value>> {
    let mut freshness = Map::new();
    let mut same = Vec::new();
    for (level, severity) in LEVELS {
        let name = format!("freshness-{level}");
        let Some(expectation) = expectations.iter().find(|e| e["name"] == name.as_str()) else {
            continue;
        };
        let above: TimeSpan = expectation["above"].as_str()?.parse().ok()?;
        let (period, unit) = PERIODS.iter().find(|(_, unit)| above.is_multiple_of(*unit))?;
        let count = above.as_micros() / unit.as_micros();
        freshness.insert(level.into(), json!({"count": count, "period": period}));
        same.push(expectation::usual(&name, severity, expectation::freshness(above)));
    }
    (!same.is_empty() && same == expectations).then_some(freshness)
}
