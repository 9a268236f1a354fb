//! Quality rules and service levels as expectations, and the other way round.

use serde_json::{Map, Value, json};
use watchkeep_model::charter::{Expectation, ForSpec, Quantile, Rule, Severity, WindowSpec};
use watchkeep_model::time::TimeSpan;
use watchkeep_wire::yaml::write;

use crate::extension::NAMESPACE;
use crate::item::At;

/// Default of `confidence`.
const CONFIDENCE: f64 = 0.99;

const WINDOW_ASSUMED: &str = "windows of 1h: the standard has none";

/// An expectation with what a rule of the standard leaves open.
fn usual(name: String, severity: Severity, rule: Rule) -> Expectation {
    Expectation {
        name,
        window: WindowSpec::DEFAULT,
        severity,
        min_samples: Expectation::MIN_SAMPLES_DEFAULT,
        r#for: ForSpec::default(),
        resolve_after: 1,
        rule,
        resolve: None,
    }
}

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
            Rule::NullRate { above: share(at)?, confidence: CONFIDENCE }
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
            Rule::Categories { allowed: Some(allowed), baseline: None, above: bound }
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
    Some(write::expectation(&usual(name, severity(at), rule)))
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

fn severity(at: &At<'_>) -> Severity {
    match at.text("severity").map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("error") => Severity::Error,
        Some("critical") => Severity::Critical,
        Some("warning") => Severity::Warning,
        Some("info") => Severity::Info,
        Some(_) => {
            at.lose("severity", "it is critical, error, warning or info");
            Severity::Error
        }
    }
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

/// A service level as an expectation: `(expectation, driver)`.
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
            Rule::Freshness { quantile: Quantile::Max, above }
        }
        "errorrate" | "er" => {
            let value = at.number("value")?;
            let unit = at.text("unit").unwrap_or_default();
            let above =
                if unit.starts_with("percent") || unit == "%" { value / 100.0 } else { value };
            Rule::ErrorRate { above, confidence: CONFIDENCE }
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
    Some(write::expectation(&usual(name, Severity::Error, rule)))
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
    let rule = Rule::NullRate { above: 0.0, confidence: CONFIDENCE };
    write::expectation(&usual("required".into(), Severity::Error, rule))
}

/// Bounds of a property's values.
pub(super) fn range(min: Option<f64>, max: Option<f64>) -> Value {
    let rule = Rule::Range { min, max, above: 0.0 };
    write::expectation(&usual("range".into(), Severity::Error, rule))
}

/// An expectation as a quality rule: in the standard's words where they say
/// all of it, else as one of our engine.
pub(super) fn write_one(expectation: &Expectation) -> Value {
    let mut rule = Map::new();
    rule.insert("name".into(), expectation.name.as_str().into());
    rule.insert("severity".into(), expectation.severity.name().into());
    let said = usual(expectation.name.clone(), expectation.severity, expectation.rule.clone());
    let bound = |above: f64| {
        let percent = above * 100.0;
        (percent / 100.0 == above).then(|| match above {
            0.0 => ("mustBe", json!(0)),
            _ => ("mustBeLessOrEqualTo", json!(percent)),
        })
    };
    let native = match &expectation.rule {
        _ if said != *expectation => None,
        Rule::NullRate { above, confidence } if *confidence == CONFIDENCE => {
            bound(*above).map(|bound| ("nullValues", bound, None))
        }
        Rule::Categories { allowed: Some(allowed), above, .. } if !allowed.is_empty() => {
            bound(*above)
                .map(|bound| ("invalidValues", bound, Some(json!({"validValues": allowed}))))
        }
        _ => None,
    };
    match native {
        Some((metric, (operator, value), arguments)) => {
            rule.insert("metric".into(), metric.into());
            rule.insert("unit".into(), "percent".into());
            rule.insert(operator.into(), value);
            rule.extend(arguments.map(|arguments| ("arguments".to_owned(), arguments)));
        }
        None => {
            rule.insert("type".into(), "custom".into());
            rule.insert("engine".into(), NAMESPACE.into());
            rule.insert("implementation".into(), write::expectation(expectation));
        }
    }
    Value::Object(rule)
}
