//! Alarms in words.

use watchkeep_model::charter::{Expectation, ForSpec, Learned, Rule};

use super::Alarm;

pub(super) fn alarm(expectation: &Expectation) -> Alarm {
    Alarm {
        name: expectation.name.clone(),
        kind: expectation.rule.kind().name().to_owned(),
        window: expectation.window.to_string(),
        severity: expectation.severity.name().to_owned(),
        rule: format!("{}{}", bad_when(expectation), conditions(expectation)),
    }
}

fn bad_when(expectation: &Expectation) -> String {
    match &expectation.learned {
        None => rule(&expectation.rule),
        Some(learned) => learned_rule(expectation, learned),
    }
}

/// How many windows have to be bad, and how much has to be in one, where that
/// is not what an expectation says without a word.
fn conditions(expectation: &Expectation) -> String {
    let mut all = String::new();
    let ForSpec { k, of } = expectation.r#for;
    if expectation.r#for != ForSpec::default() {
        all.push_str(&format!("; in {k} of {of} windows"));
    }
    if expectation.min_samples != Expectation::MIN_SAMPLES_DEFAULT {
        all.push_str(&format!("; windows of {} values or more", expectation.min_samples));
    }
    all
}

/// What is learned, in words; the rule itself holds what nothing passes.
fn learned_rule(expectation: &Expectation, learned: &Learned) -> String {
    let names: Vec<&str> = learned.thresholds.iter().map(|threshold| threshold.name()).collect();
    let of = match &expectation.rule {
        Rule::Latency { quantile, .. } => format!("{} of the latency", quantile.name()),
        Rule::Freshness { quantile, .. } => format!("{} of the age", quantile.name()),
        Rule::Drift { effect: Some(effect), .. } => effect.statistic.name().to_owned(),
        other => other.kind().name().to_owned(),
    };
    format!(
        "{of} {} learned from {} with {} false alarms",
        names.join(" and "),
        learned.from,
        learned.false_alarm_rate
    )
}

/// A rule in words.
fn rule(rule: &Rule) -> String {
    let bounds = |below: Option<String>, above: Option<String>| {
        let below = below.map(|bound| format!("below {bound}"));
        let above = above.map(|bound| format!("above {bound}"));
        below.into_iter().chain(above).collect::<Vec<_>>().join(" or ")
    };
    match rule {
        Rule::Drift { p_below, effect, sustained, .. } => {
            let effect = effect.as_ref().map_or_else(
                || "ks_stat (numbers) or js (categories) above 0.1".to_owned(),
                |effect| format!("{} above {}", effect.statistic.name(), effect.above),
            );
            let sustained = sustained.as_ref().map(|sustained| {
                format!(
                    ", or added up over {} with {} false alarms",
                    sustained.from, sustained.false_alarm_rate
                )
            });
            format!("p below {p_below} and {effect}{}", sustained.unwrap_or_default())
        }
        Rule::Latency { quantile, above } => {
            format!("{} of the latency above {above}", quantile.name())
        }
        Rule::Freshness { quantile, above } => {
            format!("{} of the age above {above}", quantile.name())
        }
        Rule::Silence { after } => format!("no event for {after}"),
        Rule::NullRate { above, .. } => format!("share of nulls above {above}"),
        Rule::ErrorRate { above, .. } => format!("share of errors above {above}"),
        Rule::Volume { usual: Some(usual), .. } => format!(
            "p below {} and the count more than {} from the usual one",
            usual.p_below, usual.change
        ),
        Rule::Volume { below, above, .. } => {
            let text = bounds(below.map(|n| n.to_string()), above.map(|n| n.to_string()));
            format!("count {text}")
        }
        Rule::Range { min, max, above } => {
            let text = bounds(min.map(|n| n.to_string()), max.map(|n| n.to_string()));
            format!("share of values {text} above {above}")
        }
        Rule::Categories { above, .. } => format!("share of unseen categories above {above}"),
        Rule::Slo { objective, period, good } => {
            let latency = good.latency_below.map(|span| format!("latency below {span}"));
            let age = good.age_below.map(|span| format!("age below {span}"));
            let status = good.status.as_ref().map(|all| {
                let names: Vec<&str> = all.iter().map(|status| status.name()).collect();
                format!("status {}", names.join(" or "))
            });
            let good: Vec<String> = latency.into_iter().chain(age).chain(status).collect();
            format!(
                "the error budget of {objective} over {period} burning too fast; good is {}",
                good.join(" and ")
            )
        }
    }
}
