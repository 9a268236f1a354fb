//! Categories that are not among those allowed, or not in the baseline.

use watchkeep_model::charter::Expectation;
use watchkeep_model::summary::Summary;
use watchkeep_model::window::Drift;

use super::types::NUMBERS;
use super::{Measured, enough};
use crate::baseline::Baseline;
use crate::drift;

/// The share of unseen categories; `foreign` are no categories and ought to be.
pub(super) fn unseen(
    expectation: &Expectation,
    summary: &Summary,
    foreign: u64,
    allowed: Option<&[String]>,
    baseline: Result<&Baseline, &str>,
) -> Result<Measured, String> {
    let n = summary.categories.total() + foreign;
    enough(expectation, n, "categories")?;
    let mut drift = Drift { n, ..Drift::default() };
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
            drift::unseen_against(&mut drift, &summary.categories, known);
        }
    }
    if foreign > 0 {
        let kept = (summary.categories.total() - summary.categories.other()) as f64;
        let strangers = drift.unseen_share.unwrap_or(0.0) * kept + foreign as f64;
        drift.unseen_share = Some(strangers / (kept + foreign as f64));
        drift.unseen.insert(0, NUMBERS.to_owned());
    }
    let observed = drift.unseen_share.ok_or(
        "too many categories to keep them all, and none of the window's is among those kept",
    )?;
    Ok(Measured { observed, drift: Some(drift), ..Measured::default() })
}

pub(super) fn reason(measured: &Measured, above: f64) -> String {
    let names = measured.drift.as_ref().map(|d| d.unseen.join(", ")).unwrap_or_default();
    format!("share {:.4} of unseen categories is above {above}: {names}", measured.observed)
}
