//! Expectations that other formats can say, as they stand in a charter, with
//! the defaults for what those formats leave open: windows of an hour.

use serde_json::{Map, Value, json};
use watchkeep_model::time::TimeSpan;

/// The severity where a format has none.
pub(crate) const SEVERITY: &str = "error";

/// The window where a format has none.
pub(crate) const WINDOW: &str = "1h";

/// Default of `confidence`.
const CONFIDENCE: f64 = 0.99;

/// An expectation of a kind with its parameters.
pub(crate) fn usual(name: &str, severity: &str, kind: Map<String, Value>) -> Value {
    let mut expectation = kind;
    expectation.insert("name".into(), name.into());
    expectation.insert("severity".into(), severity.into());
    expectation.insert("window".into(), WINDOW.into());
    Value::Object(expectation)
}

/// Bad where a share of values above the bound is null.
pub(crate) fn null_rate(above: f64) -> Map<String, Value> {
    map(json!({"kind": "null_rate", "above": above, "confidence": CONFIDENCE}))
}

/// Bad where a share of events above the bound is an error.
pub(crate) fn error_rate(above: f64) -> Map<String, Value> {
    map(json!({"kind": "error_rate", "above": above, "confidence": CONFIDENCE}))
}

/// Bad where a share of values above the bound is not allowed.
pub(crate) fn categories(allowed: &[String], above: f64) -> Map<String, Value> {
    map(json!({"kind": "categories", "allowed": allowed, "above": above}))
}

/// Bad where any value is outside of the bounds.
pub(crate) fn range(min: Option<f64>, max: Option<f64>) -> Map<String, Value> {
    let mut range = map(json!({"kind": "range", "above": 0.0}));
    range.extend(min.map(|min| ("min".to_owned(), json!(min))));
    range.extend(max.map(|max| ("max".to_owned(), json!(max))));
    range
}

/// Bad where the oldest value is older. One value is enough: whoever tells of a
/// table tells rarely.
pub(crate) fn freshness(above: TimeSpan) -> Map<String, Value> {
    let above = above.to_string();
    map(json!({"kind": "freshness", "quantile": "max", "above": above, "min_samples": 1}))
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
