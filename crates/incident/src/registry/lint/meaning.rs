//! Expectations of one charter that no window can meet together.

use watchkeep_model::charter::{Expectation, Rule};
use watchkeep_model::document::Located;

use super::Found;

/// Checks the expectations of one document, given with their places.
pub(super) fn check(place: &Located<()>, expectations: &[Expectation], found: &mut Found) {
    let paths = place.items("expectations");
    for (at, (expectation, path)) in expectations.iter().zip(&paths).enumerate() {
        for earlier in &expectations[..at] {
            if earlier.window != expectation.window {
                continue;
            }
            if let Some(why) = contradict(&earlier.rule, &expectation.rule) {
                let message = format!(
                    "`{}` and `{}` cannot both be good: {why}",
                    earlier.name, expectation.name
                );
                let hint = Some("take one away, or move a bound".to_owned());
                found.error(place, path, "contradiction", message, hint);
            }
        }
    }
}

/// Why no window is good by both rules.
fn contradict(a: &Rule, b: &Rule) -> Option<String> {
    match (a, b) {
        (
            Rule::Volume { below: a_low, above: a_high, .. },
            Rule::Volume { below: b_low, above: b_high, .. },
        ) => {
            let low = a_low.max(b_low).as_ref()?;
            let high = [a_high, b_high].into_iter().flatten().min()?;
            (low > high).then(|| format!("at least {low} and at most {high} events"))
        }
        (
            Rule::Range { min: a_min, max: a_max, above: a_share },
            Rule::Range { min: b_min, max: b_max, above: b_share },
        ) if a_share + b_share < 1.0 => {
            let least = a_min.iter().chain(b_min).copied().fold(f64::NEG_INFINITY, f64::max);
            let most = a_max.iter().chain(b_max).copied().fold(f64::INFINITY, f64::min);
            (least > most).then(|| format!("no number is both at least {least} and at most {most}"))
        }
        (
            Rule::Categories { allowed: Some(a), above: a_share, .. },
            Rule::Categories { allowed: Some(b), above: b_share, .. },
        ) if a_share + b_share < 1.0 => (!a.iter().any(|name| b.contains(name)))
            .then(|| "they allow no category in common".to_owned()),
        _ => None,
    }
}
