//! `resolve`: the same rule with easier thresholds, by which an open breach is
//! judged. A threshold that is not easier would clear a breach in the window
//! that opened it, so it is a finding.

use std::fmt::Display;

use watchkeep_model::charter::{Learned, Rule, ValueType};

use super::super::node::Node;
use super::super::walk::{Map, Walk};
use super::learned::Learning;
use super::{effect, learned};

/// Which way a threshold becomes easier to hold against a breach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Easier {
    Lower,
    Higher,
}

pub(super) fn eased(
    w: &mut Walk<'_>,
    node: &Node,
    rule: &Rule,
    value_type: Option<ValueType>,
    learned: Option<&mut Learned>,
) -> Option<Rule> {
    let mut keys = match rule {
        Rule::Drift { .. } => vec!["p_below", "effect"],
        Rule::Volume { usual: Some(_), .. } => vec!["change", "p_below"],
        Rule::Volume { .. } => vec!["below", "above"],
        Rule::Range { .. } => vec!["min", "max", "above"],
        Rule::Silence { .. } => vec!["after"],
        Rule::Slo { .. } => vec!["objective"],
        _ => vec!["above"],
    };
    // A learned threshold is eased by its rate, the stated ones beside it by themselves.
    if let Some(learned) = &learned {
        let by_rate = |key: &&str| learned.thresholds.iter().any(|t| t.name() == *key);
        keys.retain(|key| !by_rate(key));
        keys.push("false_alarm_rate");
    }
    let map = w.mapping(node, &keys)?;
    if map.entries().is_empty() {
        let hint = format!("write one of {}", keys.join(", "));
        w.report(node.place, "missing_field", "`resolve` has no threshold", Some(hint));
        return None;
    }
    if let Some(learned) = learned {
        learned::eased(w, map, learned);
    }
    let mut eased = rule.clone();
    match &mut eased {
        Rule::Drift { p_below, effect: bound, .. } => {
            ease(w, map, "p_below", p_below, Easier::Higher, Walk::probability);
            let before = *bound;
            if let Some(after) = w.field(map, "effect", |w, node| {
                effect(w, node, before, value_type, &mut Learning::default())
            }) {
                if let Some(before) = before
                    && (after.statistic != before.statistic || after.above > before.above)
                {
                    let place = map.get("effect").map_or(map.place, |entry| entry.node.place);
                    w.within("effect", |w| {
                        let message = format!(
                            "{} above {} is not easier than {} above {}",
                            after.statistic.name(),
                            after.above,
                            before.statistic.name(),
                            before.above
                        );
                        let hint = format!(
                            "write `{{statistic: {}, above: …}}` with {} or less",
                            before.statistic.name(),
                            before.above
                        );
                        w.report(place, "wrong_value", message, Some(hint));
                    });
                }
                *bound = Some(after);
            }
        }
        Rule::Latency { above, .. } | Rule::Freshness { above, .. } => {
            ease(w, map, "above", above, Easier::Lower, Walk::span);
        }
        Rule::Silence { after } => ease(w, map, "after", after, Easier::Lower, Walk::positive_span),
        // A higher objective leaves a smaller budget, which burns faster.
        Rule::Slo { objective, .. } => {
            ease(w, map, "objective", objective, Easier::Higher, Walk::probability);
        }
        Rule::NullRate { above, .. }
        | Rule::ErrorRate { above, .. }
        | Rule::Categories { above, .. } => {
            ease(w, map, "above", above, Easier::Lower, Walk::share);
        }
        Rule::Volume { usual: Some(usual), .. } => {
            ease(w, map, "change", &mut usual.change, Easier::Lower, Walk::positive_number);
            ease(w, map, "p_below", &mut usual.p_below, Easier::Higher, Walk::probability);
        }
        Rule::Volume { below, above, usual: None } => {
            let count = |w: &mut Walk<'_>, node: &Node| w.integer(node, 0..=u64::MAX);
            ease_optional(w, map, "below", below, Easier::Higher, count);
            ease_optional(w, map, "above", above, Easier::Lower, count);
        }
        Rule::Range { min, max, above } => {
            ease_optional(w, map, "min", min, Easier::Higher, Walk::number);
            ease_optional(w, map, "max", max, Easier::Lower, Walk::number);
            ease(w, map, "above", above, Easier::Lower, Walk::share);
        }
    }
    Some(eased)
}

/// Replaces a threshold that the rule has.
fn ease<'a, T: PartialOrd + Display + Copy>(
    w: &mut Walk<'a>,
    map: Map<'_>,
    name: &str,
    threshold: &mut T,
    easier: Easier,
    read: impl FnOnce(&mut Walk<'a>, &Node) -> Option<T>,
) {
    let mut value = Some(*threshold);
    ease_optional(w, map, name, &mut value, easier, read);
    if let Some(value) = value {
        *threshold = value;
    }
}

/// Replaces a threshold that the rule may not have; easing what is not there is a finding.
fn ease_optional<'a, T: PartialOrd + Display + Copy>(
    w: &mut Walk<'a>,
    map: Map<'_>,
    name: &str,
    threshold: &mut Option<T>,
    easier: Easier,
    read: impl FnOnce(&mut Walk<'a>, &Node) -> Option<T>,
) {
    let Some(entry) = map.get(name) else { return };
    let Some(after) = w.entry(entry, read) else { return };
    let (message, hint) = match *threshold {
        None => {
            let hint = "ease a bound that the expectation has, or take the line away".to_owned();
            (format!("the expectation has no `{name}` to ease"), hint)
        }
        Some(before) => {
            let harder = match easier {
                Easier::Lower => after > before,
                Easier::Higher => after < before,
            };
            if !harder {
                *threshold = Some(after);
                return;
            }
            let way = if easier == Easier::Lower { "at most" } else { "at least" };
            let message =
                format!("`{name}` of `resolve` must be {way} {before}, that of the expectation");
            (message, format!("write {before} or what is easier"))
        }
    };
    w.within(name, |w| w.report(entry.node.place, "wrong_value", message, Some(hint)));
}
