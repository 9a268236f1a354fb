//! What an expectation says of a window: good, bad, or too little to tell.

mod categories;
mod drift;
mod durations;
mod learned;
mod shares;
mod slo;
mod types;
mod volume;

use watchkeep_model::charter::{Charter, Expectation, Rule, Statistic, Sustained, Threshold};
use watchkeep_model::summary::Summary;
use watchkeep_model::time::TimeSpan;
use watchkeep_model::window::{Drift, Judged, SustainedShift, Verdict, VolumeShift};

use crate::baseline::Baseline;
pub use crate::judge::learned::{Lesson, Sides};
use crate::slo::Tallies;
use crate::sustained::{self, Shift, Sums};

/// A judgement, with what a breach needs beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// As the window publishes it.
    pub judged: Judged,
    /// By the easier thresholds of `resolve`.
    pub resolve: Verdict,
    /// The effect's size, where the expectation bounds one.
    pub effect: Option<f64>,
    /// What later bounds are learned from; absent where nothing was measured
    /// or nothing is learned.
    pub sides: Option<Sides>,
    /// True where a learned bound was passed by so much that the window is no
    /// example to learn from.
    pub is_far: bool,
    /// The window's shift, where a drift adds them up.
    pub shift: Option<Shift>,
    /// True where the window is bad by such a sum alone, and not by its p-value.
    pub is_by_sum: bool,
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
    /// What an objective is judged by; not looked at by other kinds.
    pub tallies: Option<Tallies>,
    /// What was learned of the windows before, where the expectation learns.
    pub lesson: Option<&'a Lesson>,
    /// Shifts of the windows before, where a drift adds them up.
    pub shifts: &'a [Shift],
    /// How many of these came after the window that opened a breach which goes on;
    /// `None` where none does.
    pub in_breach: Option<usize>,
}

impl Evidence<'_> {
    /// Where a comparison of numbers that finds nothing says little: whether it says
    /// anything, and why not more.
    fn hidden(&self, measured: Option<&Measured>) -> Option<(Verdict, String)> {
        measured?.drift.as_ref()?.ks_stat?;
        let share = crate::drift::hidden_share(&self.summary.numbers)?;
        let (verdict, so) = if share < crate::drift::HIDDEN_SHARE {
            (Verdict::Good, "small changes of them are found less often")
        } else {
            (Verdict::NotJudged, "whether they have moved is not known")
        };
        let why = format!(
            "{:.0} % of the values lie within 1 % of each other, closer than they are kept where \
             there are many: {so}; let the producer take off an offset",
            100.0 * share
        );
        Some((verdict, why))
    }
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
    let mut measured = measured.ok();
    // Nothing is learned from values of another type, and no bound for them.
    let has_types = measured.as_ref().is_none_or(|measured| measured.type_before.is_none());
    let learned = expectation.learned.as_ref().filter(|_| has_types);
    let sides = learned.and(measured.as_ref().map(Measured::sides));
    let (mut verdict, mut reason, mut resolve, mut is_far) = (verdict, reason, resolve, false);
    let mut threshold =
        measured.as_ref().and_then(|_| threshold(&expectation.rule, measured.as_ref()));
    if let (Some(learned), Some(m), Some(lesson)) = (learned, &mut measured, evidence.lesson) {
        match learned::hold(expectation, learned, m, lesson) {
            Ok(held) => {
                (verdict, resolve, reason) = (held.verdict, held.resolve, held.reason);
                is_far = held.is_far;
                (m.observed, threshold) = (held.observed, Some(held.threshold));
            }
            Err(why) => {
                (verdict, resolve, reason) = (Verdict::NotJudged, Verdict::NotJudged, Some(why));
                threshold = None;
            }
        }
    }
    let hidden = evidence.hidden(measured.as_ref()).filter(|_| verdict == Verdict::Good);
    match hidden {
        Some((Verdict::NotJudged, why)) => {
            (verdict, resolve, reason) = (Verdict::NotJudged, Verdict::NotJudged, Some(why));
        }
        Some((_, why)) => reason = Some(why),
        None => {}
    }
    let (mut shift, mut is_by_sum) = (None, false);
    // What is a breach by itself needs no adding up, and would outlast its end by it.
    if let (Rule::Drift { sustained: Some(sustained), .. }, Some(drift)) =
        (&expectation.rule, measured.as_mut().and_then(|m| m.drift.as_mut()))
        && has_types
        && verdict == Verdict::Good
    {
        shift = drift.bins.as_ref().and_then(sustained::shift);
        let summed = match shift {
            Some(of) => sustain(drift, of, evidence, *sustained),
            None => Err(no_order(drift)),
        };
        match summed {
            Ok((sums, why)) => {
                if sums.is_bad() {
                    (verdict, reason, is_by_sum) = (Verdict::Bad, Some(why), true);
                }
                if !sums.is_over() {
                    resolve = Verdict::Bad;
                }
            }
            // The window is judged by itself; that it is not added up must be seen.
            Err(why) => reason = Some(format!("`sustained` is not judged: {why}")),
        }
    }
    let bounds = evidence.lesson.and_then(|lesson| lesson.bounds.as_ref().ok());
    let slo = match (&expectation.rule, measured.as_ref().and_then(|m| m.burning)) {
        (Rule::Slo { objective, .. }, Some(burning)) => {
            Some(Box::new(burning.published(*objective)))
        }
        _ => None,
    };
    let volume = measured.as_ref().and_then(|m| m.volume);
    Opinion {
        resolve,
        sides,
        is_far,
        shift,
        is_by_sum,
        effect: measured.as_ref().and_then(|m| m.effect),
        judged: Judged {
            expectation: expectation.name.clone(),
            verdict,
            reason,
            observed: measured.as_ref().map(|m| m.observed),
            threshold,
            p_value: measured.as_ref().and_then(|m| m.p_value),
            baseline: name,
            learned: measured.as_ref().and(bounds).map(|bounds| Box::new(bounds.clone())),
            drift: measured.and_then(|m| m.drift).map(Box::new),
            slo,
            volume,
            budget: None,
        },
    }
}

/// Adds a window's shift to those before, and says what a bad sum means.
fn sustain(
    drift: &mut Drift,
    shift: Shift,
    evidence: &Evidence<'_>,
    rule: Sustained,
) -> Result<(Sums, String), String> {
    let shifts: Vec<Shift> = evidence.shifts.iter().copied().chain([shift]).collect();
    let in_breach = evidence.in_breach.map_or(0, |before| before + 1);
    let windows = shifts.len() as u64;
    let sums = sustained::sums_in_breach(&shifts, in_breach, rule.false_alarm_rate);
    let Some(sums) = sums else {
        return Err(format!("it has {windows} of {} windows", Sustained::WINDOWS_MIN));
    };
    drift.sustained =
        Some(SustainedShift { windows, z: shift.z, sum: sums.sum, above: sums.interval });
    let why = format!(
        "the values have moved {} little by little: over {windows} windows the cumulative sum \
         {:.2} is above {:.2}, with {} false alarms",
        if sums.sum > 0.0 { "up" } else { "down" },
        sums.sum.abs(),
        sums.interval,
        rule.false_alarm_rate,
    );
    Ok((sums, why))
}

/// Why a window has no shift to add up.
fn no_order(drift: &Drift) -> String {
    let of_categories = drift.bins.as_ref().is_some_and(|bins| !bins.categories.is_empty());
    let why = match of_categories {
        true => "it adds up shifts of numbers, and these are categories",
        false => "window and baseline lie in one bin and have no order",
    };
    why.to_owned()
}

/// A window that is not judged at all, with the reason.
pub fn not_judged(expectation: &Expectation, reason: &str) -> Judged {
    unmeasured(&expectation.name, Verdict::NotJudged, reason)
}

fn unmeasured(expectation: &str, verdict: Verdict, reason: &str) -> Judged {
    Judged {
        expectation: expectation.to_owned(),
        verdict,
        reason: Some(reason.to_owned()),
        observed: None,
        threshold: None,
        p_value: None,
        baseline: None,
        learned: None,
        drift: None,
        slo: None,
        volume: None,
        budget: None,
    }
}

/// A judgement of a window for a reason outside of it, by the name of the expectation.
pub fn without_measuring(expectation: &str, verdict: Verdict, reason: &str) -> Opinion {
    Opinion {
        judged: unmeasured(expectation, verdict, reason),
        resolve: verdict,
        effect: None,
        sides: None,
        is_far: false,
        shift: None,
        is_by_sum: false,
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
    /// The counts of an objective.
    burning: Option<slo::Burning>,
    /// The count beside usual ones.
    volume: Option<VolumeShift>,
    /// The ends of the values, where a range learns them.
    sides: Option<Sides>,
    /// Where values have changed their type, the baseline's share of another one.
    type_before: Option<f64>,
}

/// Whether the window has enough of what the expectation looks at.
fn enough(expectation: &Expectation, n: u64, what: &str) -> Result<(), String> {
    match n {
        0 => Err(format!("the window has no {what}")),
        n if n < expectation.min_samples => {
            Err(format!("{n} {what}, fewer than min_samples = {}", expectation.min_samples))
        }
        _ => Ok(()),
    }
}

fn measure(
    expectation: &Expectation,
    charter: &Charter,
    evidence: &Evidence<'_>,
) -> Result<Measured, String> {
    let Evidence { summary, baseline, silent_for, tallies, .. } = *evidence;
    let learns_ends = expectation.learned.as_ref().is_some_and(|l| !l.learns(Threshold::Above));
    match &expectation.rule {
        Rule::Latency { quantile, .. } => {
            durations::quantile(expectation, &summary.latency_us, *quantile, "latencies")
        }
        Rule::Freshness { quantile, .. } => {
            durations::quantile(expectation, &summary.age_us, *quantile, "ages")
        }
        Rule::Silence { .. } => durations::silence(silent_for),
        Rule::NullRate { confidence, .. } => {
            shares::of_events(expectation, summary.null_count, summary.count, *confidence)
        }
        Rule::ErrorRate { confidence, .. } => {
            shares::of_events(expectation, summary.error_count(), summary.count, *confidence)
        }
        Rule::Volume { usual: Some(usual), .. } => {
            volume::compare(expectation, usual, summary, baseline)
        }
        Rule::Volume { .. } => {
            Ok(Measured { observed: summary.count as f64, ..Measured::default() })
        }
        Rule::Range { above, .. } if learns_ends => learned::ends(expectation, summary, *above),
        Rule::Range { min, max, .. } => {
            let foreign = types::foreign(charter.fields.r#type, summary);
            shares::outside(expectation, summary, foreign, *min, *max)
        }
        Rule::Categories { allowed, .. } => {
            let foreign = types::foreign(charter.fields.r#type, summary);
            categories::unseen(expectation, summary, foreign, allowed.as_deref(), baseline)
        }
        Rule::Drift { effect, bins, p_below, .. } => {
            drift::compare(expectation, charter, summary, baseline, *effect, *p_below, *bins)
        }
        Rule::Slo { objective, good, .. } => slo::measure(expectation, good, *objective, tallies),
    }
}

impl Measured {
    fn sides(&self) -> Sides {
        self.sides.unwrap_or(Sides { lower: self.observed, upper: self.observed })
    }

    fn against(&self, rule: &Rule) -> Verdict {
        let bad = match rule {
            Rule::Latency { above, .. } | Rule::Freshness { above, .. } => {
                self.observed > above.as_micros() as f64
            }
            // Silence that has lasted exactly so long has lasted so long.
            Rule::Silence { after } => self.observed >= after.as_micros() as f64,
            Rule::NullRate { above, .. } | Rule::ErrorRate { above, .. } => {
                shares::is_above(self, *above)
            }
            Rule::Volume { usual: Some(usual), .. } => volume::is_unusual(self, usual),
            Rule::Volume { below, above, .. } => volume::is_outside(self.observed, *below, *above),
            Rule::Range { above, .. } | Rule::Categories { above, .. } => self.observed > *above,
            Rule::Drift { p_below, effect, .. } => drift::is_bad(self, *p_below, *effect),
            Rule::Slo { objective, .. } => self.burning.is_some_and(|b| b.is_bad(*objective)),
        };
        if bad { Verdict::Bad } else { Verdict::Good }
    }

    fn reason(&self, rule: &Rule) -> String {
        let observed = self.observed;
        match rule {
            Rule::Latency { quantile, above } => {
                durations::quantile_reason("latency", *quantile, observed, *above)
            }
            Rule::Freshness { quantile, above } => {
                durations::quantile_reason("age", *quantile, observed, *above)
            }
            Rule::Silence { after } => durations::silence_reason(observed, *after),
            Rule::NullRate { above, confidence } => {
                shares::reason(self, "null", *above, *confidence)
            }
            Rule::ErrorRate { above, confidence } => {
                shares::reason(self, "error", *above, *confidence)
            }
            Rule::Volume { usual: Some(usual), .. } => volume::unusual_reason(self, usual),
            Rule::Volume { below, above, .. } => volume::reason(observed, *below, *above),
            Rule::Range { min, max, above } => shares::outside_reason(observed, *min, *max, *above),
            Rule::Categories { above, .. } => categories::reason(self, *above),
            Rule::Drift { p_below, effect, .. } => drift::reason(self, *p_below, *effect),
            Rule::Slo { objective, .. } => {
                self.burning.map(|burning| burning.reason(*objective)).unwrap_or_default()
            }
        }
    }
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
        Rule::Drift { effect, .. } => Some(drift::bound(measured, *effect)),
        Rule::Slo { objective, .. } => {
            measured.and_then(|m| m.burning).map(|burning| burning.nearest(*objective).0.factor)
        }
        Rule::Volume { usual: Some(usual), .. } => measured.and_then(|m| volume::bound(m, usual)),
        Rule::Volume { below, above, .. } => {
            volume::threshold(measured.map(|m| m.observed), *below, *above)
        }
    }
}
