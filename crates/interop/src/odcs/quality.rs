//! Quality rules and service levels as expectations, and the other way round.

use serde_json::{Map, Value, json};
use watchkeep_model::charter::Expectation;
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::yaml::write;

use crate::expectation;
use crate::extension::NAMESPACE;
use crate::item::At;

const WINDOW_ASSUMED: &str = "windows of 1h: the standard has none";

/// The expectations of a list of quality rules, as charters write them.
pub(super) fn read(at: &At<'_>) -> Vec<Value> {
    let rules = at.list("quality");
    rules.iter().enumerate().filter_map(|(number, rule)| one(rule, number)).collect()
}

fn one(at: &At<'_>, number: usize) -> Option<Value> {
    if !at.expect_map() {
        return None;
    }
    let kind = at.text("type");
    match kind.as_deref() {
        Some("custom") if at.item.peek_text("engine") == Some(NAMESPACE) => return ours(at),
        Some("custom") => {
            at.lost("a rule of another engine");
            return None;
        }
        Some("sql" | "text") => {
            at.lost("Watchkeep judges telemetry, not queries or words");
            return None;
        }
        Some("library") | None => {}
        Some(other) => {
            let message = format!("`{other}` is no type of a quality rule");
            let hint = Some("write library, text, sql or custom".to_owned());
            at.report("wrong_value", message, hint);
            return None;
        }
    }
    // Version 3.0 called the metric a rule.
    let metric = at.text("metric").or_else(|| at.text("rule"));
    let Some(metric) = metric else {
        let hint = Some("write one of nullValues, invalidValues, rowCount …".to_owned());
        at.report("missing_field", "`metric` is missing", hint);
        return None;
    };
    let name = at.text("name").or_else(|| at.text("id"));
    let name = name.unwrap_or_else(|| format!("{metric}-{}", number + 1));
    let rule = match metric.as_str() {
        "nullValues" | "nullCheck" | "missingValues" => {
            if at.item.peek("arguments").is_some() {
                at.lost("only null is missing in telemetry");
                return None;
            }
            expectation::null_rate(share(at)?)
        }
        "invalidValues" | "validValues" => {
            let arguments = at.get("arguments");
            let from = arguments.as_ref().unwrap_or(at);
            let allowed = from.texts("validValues");
            if allowed.is_empty() {
                at.lost("only a list of valid values can be expected");
                return None;
            }
            let bound = if arguments.is_some() { share(at)? } else { 0.0 };
            expectation::categories(&allowed, bound)
        }
        "rowCount" => {
            at.lost("rows of a table are not events of a window");
            return None;
        }
        _ => {
            at.lost("no kind of expectation measures it");
            return None;
        }
    };
    at.assumed(&format!("expectations {name}"), WINDOW_ASSUMED);
    Some(expectation::usual(&name, severity(at), rule))
}

/// A rule that Watchkeep wrote: the expectation as it stands in a charter.
fn ours(at: &At<'_>) -> Option<Value> {
    at.pass("engine");
    at.pass("name");
    at.pass("severity");
    let implementation = at.get("implementation");
    match implementation.map(|at| at.whole()) {
        Some(value @ Value::Object(_)) => Some(value),
        _ => {
            let hint = "write the expectation as it stands in a charter".to_owned();
            at.report("wrong_type", "`implementation` is not a map", Some(hint));
            None
        }
    }
}

fn severity(at: &At<'_>) -> &'static str {
    let Some(text) = at.text("severity") else { return expectation::SEVERITY };
    let known = ["critical", "error", "warning", "info"];
    known.into_iter().find(|name| text.eq_ignore_ascii_case(name)).unwrap_or_else(|| {
        at.lose("severity", "it is critical, error, warning or info");
        expectation::SEVERITY
    })
}

/// The share of bad values that a rule still allows.
fn share(at: &At<'_>) -> Option<f64> {
    let unit = at.text("unit").unwrap_or_else(|| "rows".into());
    for operator in ["mustBe", "mustBeLessOrEqualTo", "mustBeLessThan"] {
        let Some(bound) = at.get(operator) else { continue };
        let bound_value = bound.as_number()?;
        if bound_value == 0.0 {
            return Some(0.0);
        }
        if !unit.starts_with("percent") && unit != "%" {
            at.lost("a number of rows is no share of a window's events");
            return None;
        }
        if operator == "mustBe" {
            at.lost("a share that must be exact");
            return None;
        }
        if operator == "mustBeLessThan" {
            bound.assumed(operator, "a share of exactly the bound is still good");
        }
        return Some(bound_value / 100.0);
    }
    at.lost("only an upper bound of bad values can be expected");
    None
}

/// A service level as an expectation.
pub(super) fn service_level(at: &At<'_>, taken: &[Value]) -> Option<Value> {
    let property = at.required("property")?;
    let kind = property.to_ascii_lowercase();
    let kind = kind.rsplit('.').next().unwrap_or_default();
    let rule = match kind {
        "latency" | "ly" | "freshness" => {
            let (value, unit) = (at.number("value")?, at.text("unit").unwrap_or_default());
            let Some(above) = span(value, &unit) else {
                at.lost(&format!("`{unit}` is no unit of a fixed length"));
                return None;
            };
            expectation::freshness(above)
        }
        "errorrate" | "er" => {
            let value = at.number("value")?;
            let unit = at.text("unit").unwrap_or_default();
            let above =
                if unit.starts_with("percent") || unit == "%" { value / 100.0 } else { value };
            expectation::error_rate(above)
        }
        _ => {
            at.lost("no kind of expectation measures it");
            return None;
        }
    };
    let is_taken = |name: &str| taken.iter().any(|other| other["name"] == name);
    let numbered = (2..).map(|number| format!("{property}-{number}"));
    let name = std::iter::once(property.clone()).chain(numbered).find(|name| !is_taken(name))?;
    at.assumed(&format!("expectations {name}"), WINDOW_ASSUMED);
    Some(expectation::usual(&name, expectation::SEVERITY, rule))
}

fn span(value: f64, unit: &str) -> Option<TimeSpan> {
    let unit = match unit.to_ascii_lowercase().as_str() {
        "w" | "wk" | "week" | "weeks" => TimeSpan::WEEK,
        "d" | "day" | "days" => TimeSpan::DAY,
        "h" | "hr" | "hour" | "hours" => TimeSpan::HOUR,
        "m" | "min" | "minute" | "minutes" => TimeSpan::MINUTE,
        "s" | "sec" | "second" | "seconds" => TimeSpan::SECOND,
        _ => return None,
    };
    let micros = value * unit.as_micros() as f64;
    // Beyond that a number with a point is no longer whole.
    let is_whole = micros.fract() == 0.0 && (0.0..9.0e15).contains(&micros);
    is_whole.then(|| TimeSpan::from_micros(micros as i64))
}

/// What a property has that must not be null.
pub(super) fn required() -> Value {
    expectation::usual("required", expectation::SEVERITY, expectation::null_rate(0.0))
}

/// Bounds of a property's values.
pub(super) fn range(min: Option<f64>, max: Option<f64>) -> Value {
    expectation::usual("range", expectation::SEVERITY, expectation::range(min, max))
}

/// An expectation as a quality rule: in the standard's words where they say
/// all of it, else as one of our engine.
pub(super) fn write_one(written: &Expectation) -> Value {
    let value = write::expectation(written);
    let mut rule = Map::new();
    rule.insert("name".into(), value["name"].clone());
    rule.insert("severity".into(), value["severity"].clone());
    match native(&value) {
        Some(native) => rule.extend(native),
        None => {
            rule.insert("type".into(), "custom".into());
            rule.insert("engine".into(), NAMESPACE.into());
            rule.insert("implementation".into(), value);
        }
    }
    Value::Object(rule)
}

/// The rule in the standard's words, if it is read back as the same expectation.
fn native(value: &Value) -> Option<Map<String, Value>> {
    let above = value["above"].as_f64()?;
    let percent = above * 100.0;
    if percent / 100.0 != above {
        return None;
    }
    let (metric, same, arguments) = match value["kind"].as_str()? {
        "null_rate" => ("nullValues", expectation::null_rate(above), None),
        "categories" => {
            let allowed = value["allowed"].as_array()?.iter().map(|name| name.as_str());
            let allowed: Vec<String> =
                allowed.map(|name| name.map(str::to_owned)).collect::<Option<_>>()?;
            let arguments = json!({"validValues": allowed});
            ("invalidValues", expectation::categories(&allowed, above), Some(arguments))
        }
        _ => return None,
    };
    if expectation::usual(value["name"].as_str()?, value["severity"].as_str()?, same) != *value {
        return None;
    }
    let (operator, bound) =
        if above == 0.0 { ("mustBe", json!(0)) } else { ("mustBeLessOrEqualTo", json!(percent)) };
    let mut rule = Map::new();
    rule.insert("metric".into(), metric.into());
    rule.insert("unit".into(), "percent".into());
    rule.insert(operator.into(), bound);
    rule.extend(arguments.map(|arguments| ("arguments".to_owned(), arguments)));
    Some(rule)
}
