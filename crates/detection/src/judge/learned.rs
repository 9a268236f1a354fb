//! Thresholds that were learned from the windows before.

use serde::{Deserialize, Serialize};
use watchkeep_model::charter::{Effect, Expectation, Learned, Rule, Side, Statistic};
use watchkeep_model::summary::Summary;
use watchkeep_model::window::{LearnedBounds, Verdict};

use super::{Measured, drift, durations, enough};

/// What a window came to on the side of each bound. Of most kinds both are the
/// one thing observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sides {
    /// What a lower bound is held against.
    pub lower: f64,
    /// What an upper bound is held against.
    pub upper: f64,
}

impl Sides {
    /// The value on a side, negated on the lower one: more is worse.
    pub fn outward(self, side: Side) -> f64 {
        match side {
            Side::Upper => self.upper,
            Side::Lower => -self.lower,
        }
    }
}

/// What has been learned for a window.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// The bounds, or why there are none.
    pub bounds: Result<LearnedBounds, String>,
    /// The medians of what they were learned from.
    pub usual: Sides,
    /// The nearer ones of `resolve`.
    pub eased: Option<LearnedBounds>,
}

/// A window held against its bounds.
pub(super) struct Held {
    pub(super) verdict: Verdict,
    pub(super) resolve: Verdict,
    pub(super) reason: Option<String>,
    pub(super) observed: f64,
    pub(super) threshold: f64,
    /// See [`Opinion::is_far`](super::Opinion).
    pub(super) is_far: bool,
}

/// A share that was always the same, mostly 0, has no spread to go by: this
/// much beyond its bound is far.
const FAR_SHARE: f64 = 0.02;

/// What a window comes to where a range learns its ends: the values that the
/// share outside may just reach from below and from above. With a share of 0
/// these are the smallest and the largest.
pub(super) fn ends(
    expectation: &Expectation,
    summary: &Summary,
    above: f64,
) -> Result<Measured, String> {
    let numbers = &summary.numbers;
    let n = numbers.count();
    enough(expectation, n + summary.non_finite_count, "numbers")?;
    if n == 0 {
        return Err("the window has no finite numbers".into());
    }
    // So many values may lie outside; the next one decides.
    let spared = ((above * n as f64 + 1e-9).floor() as u64).min(n - 1);
    let level = if n == 1 { 0.0 } else { spared as f64 / (n - 1) as f64 };
    let at = |level| numbers.quantile(level).unwrap_or_default();
    let sides = Sides { lower: at(level), upper: at(1.0 - level) };
    Ok(Measured { observed: sides.upper, sides: Some(sides), ..Measured::default() })
}

/// Holds what was measured against the bounds, and against the thresholds that
/// are stated beside them.
pub(super) fn hold(
    expectation: &Expectation,
    learned: &Learned,
    measured: &Measured,
    lesson: &Lesson,
) -> Result<Held, String> {
    let bounds = lesson.bounds.as_ref().map_err(Clone::clone)?;
    let sides = measured.sides();
    let is_bad = |rule: &Rule, bounds: &LearnedBounds| match rule {
        Rule::Drift { p_below, effect, .. } => {
            let above = bounds.above.unwrap_or(f64::MAX);
            let effect = effect.map(|effect| Effect { above, ..effect });
            drift::is_bad(measured, *p_below, effect)
        }
        Rule::Range { min, max, .. } if measured.sides.is_some() => {
            let (min, max) = (bounds.below.or(*min), bounds.above.or(*max));
            min.is_some_and(|min| sides.lower < min) || max.is_some_and(|max| sides.upper > max)
        }
        // What is learned of the rule is passed by nothing there.
        rule => passes(sides, bounds) || measured.against(rule) == Verdict::Bad,
    };
    let of = |bad: bool| if bad { Verdict::Bad } else { Verdict::Good };
    let bad = is_bad(&expectation.rule, bounds);
    // What is bad is not good by any easier threshold.
    let eased = lesson.eased.as_ref().unwrap_or(bounds);
    let resolve = bad || is_bad(expectation.resolve.as_ref().unwrap_or(&expectation.rule), eased);
    let (side, bound) = nearest(sides, bounds);
    let observed = if side == Side::Upper { sides.upper } else { sides.lower };
    let by_learned = passes(sides, bounds);
    let reason = bad.then(|| {
        if by_learned {
            reason(&expectation.rule, measured, (side, observed, bound), bounds)
        } else {
            measured.reason(&expectation.rule)
        }
    });
    let is_far = bad && learned.sides().any(|side| is_far(&expectation.rule, side, sides, lesson));
    Ok(Held { verdict: of(bad), resolve: of(resolve), reason, observed, threshold: bound, is_far })
}

/// True where the window is more than twice as far from the median as the bound.
fn is_far(rule: &Rule, side: Side, sides: Sides, lesson: &Lesson) -> bool {
    let Ok(bounds) = &lesson.bounds else { return false };
    let bound = match side {
        Side::Upper => bounds.above,
        Side::Lower => bounds.below.map(|below| -below),
    };
    let Some(bound) = bound else { return false };
    let is_share = match rule {
        Rule::NullRate { .. } | Rule::ErrorRate { .. } | Rule::Categories { .. } => true,
        Rule::Range { min, max, .. } => {
            min.is_none_or(|min| min > f64::MIN) && max.is_none_or(|max| max < f64::MAX)
        }
        _ => false,
    };
    let least = if is_share { FAR_SHARE } else { 0.0 };
    let spread = (bound - lesson.usual.outward(side)).max(least);
    spread > 0.0 && sides.outward(side) - bound > spread
}

fn passes(sides: Sides, bounds: &LearnedBounds) -> bool {
    bounds.above.is_some_and(|above| sides.upper > above)
        || bounds.below.is_some_and(|below| sides.lower < below)
}

/// The bound that was passed, else the one that is nearer to it.
fn nearest(sides: Sides, bounds: &LearnedBounds) -> (Side, f64) {
    match (bounds.below, bounds.above) {
        (Some(below), Some(above)) => {
            let (down, up) = (below - sides.lower, sides.upper - above);
            if down > up { (Side::Lower, below) } else { (Side::Upper, above) }
        }
        (Some(below), None) => (Side::Lower, below),
        (None, above) => (Side::Upper, above.unwrap_or(f64::MAX)),
    }
}

fn reason(
    rule: &Rule,
    measured: &Measured,
    (side, observed, bound): (Side, f64, f64),
    bounds: &LearnedBounds,
) -> String {
    let what = match rule {
        Rule::Latency { quantile, .. } => format!("latency {}", quantile.name()),
        Rule::Freshness { quantile, .. } => format!("age {}", quantile.name()),
        Rule::NullRate { .. } => "null share".to_owned(),
        Rule::ErrorRate { .. } => "error share".to_owned(),
        Rule::Volume { .. } => "number of events".to_owned(),
        Rule::Range { .. } if measured.sides.is_none() => "share outside the range".to_owned(),
        Rule::Range { above, .. } => match (side, *above == 0.0) {
            (Side::Upper, true) => "largest value".to_owned(),
            (Side::Lower, true) => "smallest value".to_owned(),
            (Side::Upper, false) => format!("value that a share of {above} is above,"),
            (Side::Lower, false) => format!("value that a share of {above} is below,"),
        },
        Rule::Categories { .. } => "share of unseen categories".to_owned(),
        Rule::Drift { .. } => measured.statistic.map_or("effect", Statistic::name).to_owned(),
        Rule::Silence { .. } | Rule::Slo { .. } => String::new(),
    };
    let shown = |value: f64| match rule {
        Rule::Latency { .. } | Rule::Freshness { .. } => durations::rounded(value),
        _ => format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    };
    let way = if side == Side::Upper { "above" } else { "below" };
    let p_value = measured.p_value.map_or(String::new(), |p| format!(" with p-value {p:.3e}"));
    format!(
        "{what} {} is {way} {}{p_value}, learned from {} good windows with {} false alarms",
        shown(observed),
        shown(bound),
        bounds.windows,
        bounds.false_alarm_rate,
    )
}
