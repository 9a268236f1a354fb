//! Expectations of a charter: windows, baselines, rules and their easier form.

use watchkeep_model::charter::{
    Effect, Expectation, ExpectationKind, ForSpec, Quantile, Rule, Severity, Statistic, Threshold,
    ValueType, WindowSpec,
};
use watchkeep_model::time::TimeSpan;

use super::node::Node;
use super::walk::{MERGE, Map, Walk};
use baseline::baseline;
use eased::eased;
use learned::Learning;
use window::window;

mod baseline;
mod eased;
mod learned;
mod slo;
mod volume;
mod window;

/// Judged windows that `for` may look at. More would be kept for each open
/// breach; a folder that asks for more is refused.
const FOR_WINDOWS_MAX: u32 = 1000;

/// Bins of a drift table; with more, windows of the usual size leave most of them empty.
const BINS_MAX: u32 = 200;

/// Default of `p_below`.
const P_BELOW_DEFAULT: f64 = 0.001;
/// Default of an effect's bound.
const EFFECT_DEFAULT: f64 = 0.1;
/// Default of `bins`.
const BINS_DEFAULT: u32 = 10;
/// Default of `confidence`.
const CONFIDENCE_DEFAULT: f64 = 0.99;

const COMMON: [&str; 8] =
    ["name", "kind", "window", "severity", "min_samples", "for", "resolve_after", "resolve"];

const SEVERITIES: [(&str, Severity); 4] = [
    ("critical", Severity::Critical),
    ("error", Severity::Error),
    ("warning", Severity::Warning),
    ("info", Severity::Info),
];

/// Thresholds of an expectation that can be learned; an effect's stands in its own mapping.
const LEARNABLE: [&str; 4] = ["above", "below", "min", "max"];

pub(super) fn severity(w: &mut Walk<'_>, node: &Node) -> Option<Severity> {
    w.choice(node, &SEVERITIES)
}

/// A kind that a policy routes.
pub(super) fn kind(w: &mut Walk<'_>, node: &Node) -> Option<ExpectationKind> {
    w.choice(node, &ExpectationKind::ALL.map(|(kind, name)| (name, kind)))
}

/// A kind that a charter can expect.
fn expected_kind(w: &mut Walk<'_>, node: &Node) -> Option<ExpectationKind> {
    let kinds = ExpectationKind::ALL.map(|(kind, name)| (name, kind));
    w.choice(node, &kinds[..kinds.len() - 1])
}

pub(super) fn read(
    w: &mut Walk<'_>,
    node: &Node,
    value_type: Option<ValueType>,
) -> Option<Expectation> {
    let map = w.any_mapping(node)?;
    let name = w.required(map, "name", Walk::name);
    let kind = w.required(map, "kind", expected_kind);
    let parameters = kind.and_then(parameters);
    if let Some(parameters) = parameters {
        let learns = LEARNABLE.iter().any(|key| has_learned(map, key));
        let learned: &[&str] = if learns { &learned::KEYS } else { &[] };
        w.check_keys(map, &[&COMMON[..], parameters, learned].concat());
    } else if map.has(MERGE) {
        // It is what is wrong with a kind that is missing.
        let others = map.entries().iter().map(|entry| entry.key.as_str());
        w.check_keys(map, &others.filter(|key| *key != MERGE).collect::<Vec<_>>());
    }
    let window = w.required(map, "window", window);
    let severity = w.field(map, "severity", severity);
    let min_samples = w.field(map, "min_samples", |w, node| w.integer(node, 0..=u64::MAX));
    let r#for = w.field(map, "for", for_spec);
    let resolve_after = w.field(map, "resolve_after", |w, node| w.small(node, 1..=FOR_WINDOWS_MAX));
    let mut learning = Learning::default();
    let rule = kind.and_then(|kind| rule(w, map, kind, value_type, &mut learning));
    let mut learned = None;
    if !learning.is_empty() {
        learned = Some(learning.finish(w, map, window)?);
    }
    if let (Some(window), Some(Rule::Drift { sustained: Some(_), .. })) = (window, &rule)
        && matches!(window, WindowSpec::Hopping { size, hop } if hop < size)
    {
        let place = map.get("sustained").map_or(map.place, |entry| entry.node.place);
        let message = "`sustained` adds windows up, so they must not overlap";
        let hint = Some("write a tumbling window".to_owned());
        w.within("sustained", |w| w.report(place, "wrong_value", message, hint));
        return None;
    }
    if let (Some(window), Some(Rule::Volume { usual: Some(usual), .. })) = (window, &rule)
        && !volume::is_countable(w, map, usual, window)
    {
        return None;
    }
    let resolve = match (&rule, map.get("resolve")) {
        (Some(rule), Some(entry)) => {
            w.entry(entry, |w, node| eased(w, node, rule, value_type, learned.as_mut()))
        }
        _ => None,
    };
    Some(Expectation {
        name: name?,
        window: window?,
        severity: severity.unwrap_or_default(),
        min_samples: min_samples.unwrap_or(Expectation::MIN_SAMPLES_DEFAULT),
        r#for: r#for.unwrap_or_default(),
        resolve_after: resolve_after.unwrap_or(1),
        rule: rule?,
        resolve,
        learned,
    })
}

/// The fields of a kind beside the common ones; `None` for those that no charter can have.
fn parameters(kind: ExpectationKind) -> Option<&'static [&'static str]> {
    Some(match kind {
        ExpectationKind::Drift => &["baseline", "p_below", "effect", "bins", "sustained"],
        ExpectationKind::Latency | ExpectationKind::Freshness => &["quantile", "above"],
        ExpectationKind::Silence => &["after"],
        ExpectationKind::NullRate | ExpectationKind::ErrorRate => &["above", "confidence"],
        ExpectationKind::Volume => &volume::FIELDS,
        ExpectationKind::Range => &["min", "max", "above"],
        ExpectationKind::Categories => &["allowed", "baseline", "above"],
        ExpectationKind::Slo => &slo::FIELDS,
        ExpectationKind::Platform => return None,
    })
}

fn rule(
    w: &mut Walk<'_>,
    map: Map<'_>,
    kind: ExpectationKind,
    value_type: Option<ValueType>,
    learning: &mut Learning,
) -> Option<Rule> {
    let share = (Threshold::Above, f64::MAX);
    let rule = match kind {
        ExpectationKind::Drift => {
            let baseline = w.required(map, "baseline", baseline);
            let p_below = w.field(map, "p_below", Walk::probability);
            let effect =
                w.field(map, "effect", |w, node| effect(w, node, None, value_type, learning));
            let bins = w.field(map, "bins", |w, node| w.small(node, 2..=BINS_MAX));
            let sustained = w.field(map, "sustained", learned::sustained);
            Rule::Drift {
                baseline: baseline?,
                p_below: p_below.unwrap_or(P_BELOW_DEFAULT),
                effect,
                bins: bins.unwrap_or(BINS_DEFAULT),
                sustained,
            }
        }
        ExpectationKind::Latency | ExpectationKind::Freshness => {
            let quantile = w.required(map, "quantile", |w, node| {
                w.choice(node, &Quantile::ALL.map(|(quantile, name, _)| (name, quantile)))
            });
            let above = w.required(map, "above", |w, node| {
                learning.or(w, node, (Threshold::Above, TimeSpan::MAX), Walk::span)
            });
            let (quantile, above) = (quantile?, above?);
            if kind == ExpectationKind::Latency {
                Rule::Latency { quantile, above }
            } else {
                Rule::Freshness { quantile, above }
            }
        }
        ExpectationKind::Silence => {
            Rule::Silence { after: w.required(map, "after", Walk::positive_span)? }
        }
        ExpectationKind::NullRate | ExpectationKind::ErrorRate => {
            let above =
                w.required(map, "above", |w, node| learning.or(w, node, share, Walk::share));
            let confidence = w.field(map, "confidence", Walk::probability);
            let (above, confidence) = (above?, confidence.unwrap_or(CONFIDENCE_DEFAULT));
            if kind == ExpectationKind::NullRate {
                Rule::NullRate { above, confidence }
            } else {
                Rule::ErrorRate { above, confidence }
            }
        }
        ExpectationKind::Volume => volume::volume(w, map, learning)?,
        ExpectationKind::Range => {
            let min = w.field(map, "min", |w, node| {
                learning.or(w, node, (Threshold::Min, f64::MIN), Walk::number)
            });
            let max = w.field(map, "max", |w, node| {
                learning.or(w, node, (Threshold::Max, f64::MAX), Walk::number)
            });
            let above = w.field(map, "above", |w, node| learning.or(w, node, share, Walk::share));
            if !map.has("min") && !map.has("max") {
                w.report(map.place, "missing_field", "`min` or `max` is missing", None);
                return None;
            }
            in_order(w, map, "max", min, max)?;
            Rule::Range { min, max, above: above.unwrap_or(0.0) }
        }
        ExpectationKind::Categories => {
            let allowed = w.field(map, "allowed", Walk::categories);
            let baseline = w.field(map, "baseline", baseline);
            let above = w.field(map, "above", |w, node| learning.or(w, node, share, Walk::share));
            if map.has("allowed") == map.has("baseline") {
                let message = "exactly one of `allowed` and `baseline` is needed";
                w.report(map.place, "missing_field", message, None);
                return None;
            }
            if allowed.is_none() && baseline.is_none() {
                return None;
            }
            Rule::Categories { allowed, baseline, above: above.unwrap_or(0.0) }
        }
        ExpectationKind::Slo => slo::slo(w, map)?,
        ExpectationKind::Platform => return None,
    };
    // Those of an effect stand beside its own `above`.
    if kind != ExpectationKind::Drift {
        learning.keys(w, map);
    }
    Some(rule)
}

/// The lower bound must not be above the upper one, or everything is bad.
fn in_order<T: PartialOrd + std::fmt::Display>(
    w: &mut Walk<'_>,
    map: Map<'_>,
    upper_name: &str,
    lower: Option<T>,
    upper: Option<T>,
) -> Option<()> {
    if let (Some(lower), Some(upper)) = (lower, upper)
        && upper < lower
    {
        let place = map.get(upper_name).map_or(map.place, |entry| entry.node.place);
        w.within(upper_name, |w| {
            let message = format!("the upper bound {upper} is less than the lower bound {lower}");
            w.report(place, "wrong_value", message, Some("swap the two, or mend one".to_owned()));
        });
        return None;
    }
    Some(())
}

/// True where the mapping has a key whose threshold is learned.
fn has_learned(map: Map<'_>, key: &str) -> bool {
    map.get(key).is_some_and(|entry| learned::is_learned(&entry.node))
}

fn effect(
    w: &mut Walk<'_>,
    node: &Node,
    eases: Option<Effect>,
    value_type: Option<ValueType>,
    learning: &mut Learning,
) -> Option<Effect> {
    let map = w.any_mapping(node)?;
    let beside: &[&str] = if has_learned(map, "above") { &learned::KEYS } else { &[] };
    w.check_keys(map, &[&["statistic", "above"], beside].concat());
    let statistic = w.field(map, "statistic", |w, node| {
        w.choice(node, &Statistic::ALL.map(|(statistic, name)| (name, statistic)))
    });
    let above = w.field(map, "above", |w, node| {
        learning.or(w, node, (Threshold::Effect, f64::MAX), |w, node| {
            let above = w.number(node)?;
            if above < 0.0 {
                let hint = Some("write for example 0.1".to_owned());
                w.report(node.place, "wrong_value", "an effect is never below 0", hint);
                return None;
            }
            Some(above)
        })
    });
    learning.keys(w, map);
    if map.has("above") && above.is_none() || map.has("statistic") && statistic.is_none() {
        return None;
    }
    let usual = eases.map(|effect| effect.statistic).or(match value_type {
        Some(ValueType::Double | ValueType::Long) => Some(Statistic::KsStat),
        Some(ValueType::Boolean | ValueType::String) => Some(Statistic::Js),
        None => None,
    });
    let Some(statistic) = statistic.or(usual) else {
        w.missing(map.place, "statistic");
        return None;
    };
    let above = above.or(eases.map(|effect| effect.above)).unwrap_or(EFFECT_DEFAULT);
    Some(Effect { statistic, above })
}

fn for_spec(w: &mut Walk<'_>, node: &Node) -> Option<ForSpec> {
    let map = w.mapping(node, &["k", "of"])?;
    let k = w.required(map, "k", |w, node| w.small(node, 1..=FOR_WINDOWS_MAX));
    let of = w.required(map, "of", |w, node| w.small(node, 1..=FOR_WINDOWS_MAX));
    let (k, of) = (k?, of?);
    if k > of {
        let message = format!("{k} of {of} windows can never be bad");
        w.report(node.place, "wrong_value", message, Some(format!("write {{k: {of}, of: {k}}}")));
        return None;
    }
    Some(ForSpec { k, of })
}
