//! What an expectation says of a window: good, bad, or too little to tell.

use watchkeep_model::charter::{Charter, Effect, Expectation, Rule, Statistic};
use watchkeep_model::distribution::Durations;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::{Drift, Judged, Verdict};

use crate::baseline::Baseline;
use crate::drift::{self, Scale};
use crate::statistics::clopper_pearson_lower;

/// Effect bound where the charter sets none.
const EFFECT_DEFAULT: f64 = 0.1;

/// What rounding may add to a share's lower bound, relative. 2 of 2 at 0.99 has
/// the bound 0.1 to the last digit, which is not above 0.1.
const BOUND_ROUNDING: f64 = 1e-12;

/// A judgement, with what a breach needs beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// As the window publishes it.
    pub judged: Judged,
    /// By the easier thresholds of `resolve`.
    pub resolve: Verdict,
    /// The effect's size, where the expectation bounds one.
    pub effect: Option<f64>,
}

/// What a window is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The window's events.
    pub summary: &'a Summary,
    /// What the expectation compares with, or why there is none; not looked at
    /// by kinds that compare with nothing.
    pub baseline: Result<&'a Baseline, &'a str>,
    /// How long before the window's end the feature was last heard of;
    /// `None` where that has no meaning, as for a session.
    pub silent_for: Option<TimeSpan>,
}

/// Judges a window.
pub fn judge(expectation: &Expectation, charter: &Charter, evidence: &Evidence<'_>) -> Opinion {
    let measured = measure(expectation, charter, evidence);
    let name = match (expectation.rule.baseline(), evidence.baseline) {
        (Some(_), Ok(baseline)) => Some(baseline.name.to_string()),
        _ => None,
    };
    let (verdict, reason, resolve) = match &measured {
        Err(reason) => (Verdict::NotJudged, Some(reason.clone()), Verdict::NotJudged),
        Ok(measured) => {
            let verdict = measured.against(&expectation.rule);
            let resolve =
                expectation.resolve.as_ref().map_or(verdict, |rule| measured.against(rule));
            (
                verdict,
                (verdict == Verdict::Bad).then(|| measured.reason(&expectation.rule)),
                resolve,
            )
        }
    };
    let measured = measured.ok();
    let threshold = measured.as_ref().and_then(|_| threshold(&expectation.rule, measured.as_ref()));
    Opinion {
        resolve,
        effect: measured.as_ref().and_then(|m| m.effect),
        judged: Judged {
            expectation: expectation.name.clone(),
            verdict,
            reason,
            observed: measured.as_ref().map(|m| m.observed),
            threshold,
            p_value: measured.as_ref().and_then(|m| m.p_value),
            baseline: name,
            drift: measured.and_then(|m| m.drift).map(Box::new),
        },
    }
}

/// A window that is not judged at all, with the reason.
pub fn not_judged(expectation: &Expectation, reason: &str) -> Judged {
    Judged {
        expectation: expectation.name.clone(),
        verdict: Verdict::NotJudged,
        reason: Some(reason.to_owned()),
        observed: None,
        threshold: None,
        p_value: None,
        baseline: None,
        drift: None,
    }
}

/// What was measured for one rule, before any threshold.
#[derive(Debug, Default)]
struct Measured {
    observed: f64,
    /// The one-sided lower bound of a share.
    lower_bound: Option<f64>,
    p_value: Option<f64>,
    effect: Option<f64>,
    /// Which statistic the effect is.
    statistic: Option<Statistic>,
    drift: Option<Drift>,
}

fn measure(
    expectation: &Expectation,
    charter: &Charter,
    evidence: &Evidence<'_>,
) -> Result<Measured, String> {
    let Evidence { summary, baseline, silent_for } = *evidence;
    let enough = |n: u64, what: &str| match n {
        0 => Err(format!("the window has no {what}")),
        n if n < expectation.min_samples => {
            Err(format!("{n} {what}, fewer than min_samples = {}", expectation.min_samples))
        }
        _ => Ok(()),
    };
    let duration = |durations: &Durations, quantile: f64, what: &str| {
        enough(durations.count(), what)?;
        let observed = durations.quantile(quantile).unwrap_or_default();
        Ok(Measured { observed, ..Measured::default() })
    };
    let share = |part: u64, whole: u64, confidence: f64| Measured {
        observed: part as f64 / whole as f64,
        lower_bound: Some(clopper_pearson_lower(part, whole, confidence)),
        ..Measured::default()
    };
    match &expectation.rule {
        Rule::Latency { quantile, .. } => {
            duration(&summary.latency_us, quantile.level(), "latencies")
        }
        Rule::Freshness { quantile, .. } => duration(&summary.age_us, quantile.level(), "ages"),
        Rule::Silence { .. } => {
            let silent_for = silent_for.ok_or("the feature has had no event yet")?;
            Ok(Measured { observed: silent_for.as_micros() as f64, ..Measured::default() })
        }
        Rule::NullRate { confidence, .. } => {
            enough(summary.count, "events")?;
            Ok(share(summary.null_count, summary.count, *confidence))
        }
        Rule::ErrorRate { confidence, .. } => {
            enough(summary.count, "events")?;
            Ok(share(summary.error_count(), summary.count, *confidence))
        }
        Rule::Volume { .. } => {
            Ok(Measured { observed: summary.count as f64, ..Measured::default() })
        }
        Rule::Range { min, max, .. } => {
            // A number that is not finite is outside every range.
            let n = summary.numbers.count() + summary.non_finite_count;
            enough(n, "numbers")?;
            let below = min.map_or(0, |min| summary.numbers.count_below(min));
            let above = max.map_or(0, |max| summary.numbers.count_above(max));
            let outside = below + above + summary.non_finite_count;
            Ok(Measured { observed: outside as f64 / n as f64, ..Measured::default() })
        }
        Rule::Categories { allowed, .. } => {
            enough(summary.categories.total(), "categories")?;
            let mut drift = Drift { n: summary.categories.total(), ..Drift::default() };
            match allowed {
                Some(allowed) => {
                    drift::unseen(&mut drift, &summary.categories, |name| {
                        allowed.iter().any(|a| a == name)
                    });
                }
                None => {
                    let known = &baseline?.summary.categories;
                    if known.total() == 0 {
                        return Err("the baseline has no categories".into());
                    }
                    drift.n_ref = known.total();
                    drift::unseen(&mut drift, &summary.categories, |name| {
                        known.counts().contains_key(name)
                    });
                }
            }
            let observed = drift.unseen_share.unwrap_or_default();
            Ok(Measured { observed, drift: Some(drift), ..Measured::default() })
        }
        Rule::Drift { effect, bins, .. } => {
            let reference = &baseline?.summary;
            let scale = drift::scale(charter, reference);
            let counts = match scale {
                Scale::Numeric => (summary.numbers.count(), reference.numbers.count()),
                Scale::Categorical => (summary.categories.total(), reference.categories.total()),
            };
            enough(counts.0, "values")?;
            if counts.1 < expectation.min_samples.max(1) {
                return Err(format!(
                    "the baseline has {} values, fewer than min_samples = {}",
                    counts.1, expectation.min_samples
                ));
            }
            let (drift, p_value, usual) = match scale {
                Scale::Numeric => {
                    let drift = drift::numeric(summary, reference, *bins);
                    let p_value = drift.ks_p;
                    (drift, p_value, Statistic::KsStat)
                }
                Scale::Categorical => {
                    let drift = drift::categorical(summary, reference);
                    let p_value = drift.chi2_p;
                    (drift, p_value, Statistic::Js)
                }
            };
            let statistic = effect.map_or(usual, |effect| effect.statistic);
            let size = drift::statistic(&drift, statistic)
                .ok_or_else(|| format!("{} does not apply to these values", statistic.name()))?;
            Ok(Measured {
                observed: size,
                p_value,
                effect: Some(size),
                statistic: Some(statistic),
                drift: Some(drift),
                ..Measured::default()
            })
        }
    }
}

impl Measured {
    fn against(&self, rule: &Rule) -> Verdict {
        let bad = match rule {
            Rule::Latency { above, .. } | Rule::Freshness { above, .. } => {
                self.observed > above.as_micros() as f64
            }
            // Silence that has lasted exactly so long has lasted so long.
            Rule::Silence { after } => self.observed >= after.as_micros() as f64,
            Rule::NullRate { above, .. } | Rule::ErrorRate { above, .. } => {
                self.lower_bound.is_some_and(|bound| bound > *above * (1.0 + BOUND_ROUNDING))
            }
            Rule::Volume { below, above } => {
                below.is_some_and(|below| self.observed < below as f64)
                    || above.is_some_and(|above| self.observed > above as f64)
            }
            Rule::Range { above, .. } | Rule::Categories { above, .. } => self.observed > *above,
            Rule::Drift { p_below, effect, .. } => {
                // One bin on each side has no test: then nothing differs.
                self.p_value.is_some_and(|p| p < *p_below) && self.observed > effect_bound(*effect)
            }
        };
        if bad { Verdict::Bad } else { Verdict::Good }
    }

    fn reason(&self, rule: &Rule) -> String {
        let observed = self.observed;
        match rule {
            Rule::Latency { quantile, above } => {
                let shown = rounded(observed);
                format!("latency {} {shown} is above {above}", quantile.name())
            }
            Rule::Freshness { quantile, above } => {
                format!("age {} {} is above {above}", quantile.name(), rounded(observed))
            }
            Rule::Silence { after } => {
                format!("no event for {}, the bound is {after}", rounded(observed))
            }
            Rule::NullRate { above, confidence } => self.share_reason("null", *above, *confidence),
            Rule::ErrorRate { above, confidence } => {
                self.share_reason("error", *above, *confidence)
            }
            Rule::Volume { below, above } => match (below, above) {
                (Some(below), _) if observed < *below as f64 => {
                    format!("{observed} events, fewer than {below}")
                }
                (_, above) => format!("{observed} events, more than {}", above.unwrap_or_default()),
            },
            Rule::Range { min, max, above } => {
                let side = |bound: &Option<f64>| bound.map_or("…".to_owned(), |b| b.to_string());
                format!(
                    "share {observed:.4} of the numbers is outside {} to {}, above {above}",
                    side(min),
                    side(max)
                )
            }
            Rule::Categories { above, .. } => {
                let names = self.drift.as_ref().map(|d| d.unseen.join(", ")).unwrap_or_default();
                format!("share {observed:.4} of unseen categories is above {above}: {names}")
            }
            Rule::Drift { p_below, effect, .. } => format!(
                "{} {observed:.4} is above {} with p-value {:.3e} below {p_below}",
                self.statistic.map_or("", Statistic::name),
                effect_bound(*effect),
                self.p_value.unwrap_or(1.0),
            ),
        }
    }

    fn share_reason(&self, what: &str, above: f64, confidence: f64) -> String {
        format!(
            "{what} share {:.4}, at least {:.4} with confidence {confidence}, is above {above}",
            self.observed,
            self.lower_bound.unwrap_or_default()
        )
    }
}

fn effect_bound(effect: Option<Effect>) -> f64 {
    effect.map_or(EFFECT_DEFAULT, |effect| effect.above)
}

/// The bound that `observed` is compared with, in the same unit.
fn threshold(rule: &Rule, measured: Option<&Measured>) -> Option<f64> {
    match rule {
        Rule::Latency { above, .. } | Rule::Freshness { above, .. } => {
            Some(above.as_micros() as f64)
        }
        Rule::Silence { after } => Some(after.as_micros() as f64),
        Rule::NullRate { above, .. }
        | Rule::ErrorRate { above, .. }
        | Rule::Range { above, .. }
        | Rule::Categories { above, .. } => Some(*above),
        Rule::Drift { effect, .. } => Some(effect_bound(*effect)),
        Rule::Volume { below: Some(below), above: Some(above) } => {
            let near_low = measured.is_none_or(|m| m.observed <= *below as f64);
            Some(if near_low { *below as f64 } else { *above as f64 })
        }
        Rule::Volume { below, above } => below.or(*above).map(|bound| bound as f64),
    }
}

/// Microseconds as a readable duration, to three digits.
fn rounded(micros: f64) -> String {
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
