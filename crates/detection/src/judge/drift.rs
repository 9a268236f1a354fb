//! Two keys: the change is real, by a p-value, and it matters, by an effect size.

use watchkeep_model::charter::{Charter, Effect, Expectation, Statistic};
use watchkeep_model::summary::Summary;

use super::{Measured, enough, types};
use crate::baseline::Baseline;
use crate::drift::{self, Comparison, Scale};
use crate::statistics::chi_square_p_value;

/// Effect bound where the charter sets none.
const EFFECT_DEFAULT: f64 = 0.1;

/// The comparison of the window with its baseline.
pub(super) fn compare(
    expectation: &Expectation,
    charter: &Charter,
    summary: &Summary,
    baseline: Result<&Baseline, &str>,
    effect: Option<Effect>,
    p_below: f64,
    bins: u32,
) -> Result<Measured, String> {
    let baseline = baseline?;
    let reference = &baseline.summary;
    let scale = drift::scale(charter, reference);
    let types = types::changed(scale, summary, reference, expectation.min_samples, p_below);
    if let Some(changed) = types {
        return Ok(changed);
    }
    let counts = match scale {
        Scale::Numeric => (summary.numbers.count(), reference.numbers.count()),
        Scale::Categorical => (summary.categories.total(), reference.categories.total()),
    };
    if counts.0 == 0 {
        // The baseline has such values too, or it would be a change of type.
        types::none_of(scale, summary)?;
    }
    enough(expectation, counts.0, "values")?;
    if counts.1 < expectation.min_samples.max(1) {
        return Err(format!(
            "the baseline has {} values, fewer than min_samples = {}",
            counts.1, expectation.min_samples
        ));
    }
    let (Comparison { drift, p_value }, usual) = match scale {
        Scale::Numeric => {
            let (means, effect) = (baseline.means(), baseline.effects.numbers);
            (drift::numeric_among(summary, reference, &means, effect, bins), Statistic::KsStat)
        }
        Scale::Categorical => {
            let effect = baseline.effects.categories;
            (drift::categorical_among(summary, reference, effect), Statistic::Js)
        }
    };
    let statistic = effect.map_or(usual, |effect| effect.statistic);
    let p_value = match (scale, statistic) {
        (Scale::Numeric, Statistic::Psi | Statistic::Js | Statistic::Hellinger) => {
            with_nulls(p_value, summary, reference)
        }
        // Of categories nulls are one more; the other effects are of numbers alone.
        _ => p_value,
    };
    let size = drift::statistic(&drift, statistic)
        .ok_or_else(|| format!("{} does not apply to these values", statistic.name()))?;
    Ok(Measured {
        observed: size,
        p_value: Some(p_value),
        effect: Some(size),
        statistic: Some(statistic),
        drift: Some(drift),
        ..Measured::default()
    })
}

/// The p-value of numbers and of nulls beside them, for an effect that is one of
/// both. A test of numbers knows nothing of nulls, so Pearson's has them, and as
/// either may be the smaller one, it counts twice (Bonferroni).
fn with_nulls(of_numbers: f64, current: &Summary, reference: &Summary) -> f64 {
    let counts = |summary: &Summary| [summary.numbers.count(), summary.null_count];
    match chi_square_p_value(&counts(current), &counts(reference)) {
        Some(of_nulls) if current.null_count + reference.null_count > 0 => {
            (2.0 * of_numbers.min(of_nulls)).min(1.0)
        }
        _ => of_numbers,
    }
}

/// True where both keys turn.
pub(super) fn is_bad(measured: &Measured, p_below: f64, effect: Option<Effect>) -> bool {
    if measured.type_before.is_some() {
        return true;
    }
    // One bin on each side has no test: then nothing differs.
    measured.p_value.is_some_and(|p| p < p_below) && measured.observed > effect_bound(effect)
}

pub(super) fn reason(measured: &Measured, p_below: f64, effect: Option<Effect>) -> String {
    if let Some(before) = measured.type_before {
        return types::reason(measured, before);
    }
    format!(
        "{} {:.4} is above {} with p-value {:.3e} below {p_below}",
        measured.statistic.map_or("", Statistic::name),
        measured.observed,
        effect_bound(effect),
        measured.p_value.unwrap_or(1.0),
    )
}

/// What the effect has to be above.
pub(super) fn effect_bound(effect: Option<Effect>) -> f64 {
    effect.map_or(EFFECT_DEFAULT, |effect| effect.above)
}

/// The same of a window: types have a bound of their own.
pub(super) fn bound(measured: Option<&Measured>, effect: Option<Effect>) -> f64 {
    match measured.and_then(|measured| measured.type_before) {
        Some(before) => before + types::SHARE_DEFAULT,
        None => effect_bound(effect),
    }
}
