//! Values that are of another type than they ought to be: texts where numbers
//! were, or numbers where texts were.
//!
//! Such values are in none of the bins that a drift compares, so a feature that
//! turns from numbers to texts would show no drift, but too few numbers.

use watchkeep_model::charter::{Statistic, ValueType};
use watchkeep_model::summary::Summary;
use watchkeep_model::window::{Bins, Drift};

use super::Measured;
use crate::drift::{self, Scale};
use crate::statistics::chi_square_p_value;

/// How much more of the values has to be of another type than in the baseline.
pub(super) const SHARE_DEFAULT: f64 = 0.1;

/// Names of the two bins in each scale.
pub(super) const NUMBERS: &str = "(numbers)";
const TEXTS: &str = "(texts)";

/// How many values are of the type that is compared, and how many of another.
fn counts(scale: Scale, summary: &Summary) -> [u64; 2] {
    let numbers = summary.numbers.count() + summary.non_finite_count;
    let texts = summary.categories.total();
    match scale {
        Scale::Numeric => [numbers, texts],
        Scale::Categorical => [texts, numbers],
    }
}

/// The comparison of types, where they have changed: the share of another type
/// has grown by more than [`SHARE_DEFAULT`], and Pearson's test of the two counts
/// is below `p_below`. Nothing where either side has too few values, or the types
/// are as they were.
pub(super) fn changed(
    scale: Scale,
    current: &Summary,
    reference: &Summary,
    min_samples: u64,
    p_below: f64,
) -> Option<Measured> {
    let (now, before) = (counts(scale, current), counts(scale, reference));
    let total = |counts: [u64; 2]| counts[0] + counts[1];
    if total(now).min(total(before)) < min_samples.max(1) {
        return None;
    }
    let share = |counts: [u64; 2]| counts[1] as f64 / total(counts) as f64;
    let p_value = chi_square_p_value(&now, &before)?;
    if share(now) - share(before) <= SHARE_DEFAULT || p_value >= p_below {
        return None;
    }
    let mut drift = Drift { n: total(now), n_ref: total(before), ..Drift::default() };
    if scale == Scale::Numeric {
        drift::unseen(&mut drift, &current.categories, |_| false);
    }
    drift.unseen_share = Some(share(now));
    let names = match scale {
        Scale::Numeric => [NUMBERS, TEXTS],
        Scale::Categorical => [TEXTS, NUMBERS],
    };
    let bins = Bins {
        categories: names.map(str::to_owned).to_vec(),
        current: now.to_vec(),
        reference: before.to_vec(),
        ..Bins::default()
    };
    drift::binned(&mut drift, bins, current.null_count, reference.null_count);
    let observed = share(now);
    Some(Measured {
        observed,
        p_value: Some(p_value),
        effect: Some(observed),
        statistic: Some(Statistic::UnseenShare),
        drift: Some(drift),
        type_before: Some(share(before)),
        ..Measured::default()
    })
}

pub(super) fn reason(measured: &Measured, before: f64) -> String {
    let names = measured.drift.as_ref().map(|drift| drift.unseen.as_slice()).unwrap_or_default();
    let examples = match names {
        [] => String::new(),
        names => format!(" ({})", names[..names.len().min(3)].join(", ")),
    };
    format!(
        "share {:.4} of the values is of another type{examples}, of the baseline {before:.4}, with \
         p-value {:.3e}",
        measured.observed,
        measured.p_value.unwrap_or(1.0),
    )
}

/// Why a window with values has none that could be compared: all are of another type.
pub(super) fn none_of(scale: Scale, summary: &Summary) -> Result<(), String> {
    let (what, other) = match scale {
        Scale::Numeric => ("numbers", "texts"),
        Scale::Categorical => ("texts", "numbers"),
    };
    match counts(scale, summary) {
        [0, others] if others > 0 => Err(format!(
            "the window has no {what}, but {others} {other}: mend the charter's `type` or the values"
        )),
        _ => Ok(()),
    }
}

/// How many values are of another type than the charter says, where it says one.
pub(super) fn foreign(declared: Option<ValueType>, summary: &Summary) -> u64 {
    match declared {
        Some(ValueType::Double | ValueType::Long) => counts(Scale::Numeric, summary)[1],
        Some(ValueType::Boolean | ValueType::String) => counts(Scale::Categorical, summary)[1],
        None => 0,
    }
}
