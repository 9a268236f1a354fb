//! Expectations of one charter that no window can meet together.

use watchkeep_model::charter::{Expectation, Rule, WindowSpec};
use watchkeep_model::document::Located;

use super::Found;

/// Checks the expectations of one document, given with their places.
pub(super) fn check(place: &Located<()>, expectations: &[Expectation], found: &mut Found) {
    let paths = place.items("expectations");
    for (at, (expectation, path)) in expectations.iter().zip(&paths).enumerate() {
        for earlier in &expectations[..at] {
            if earlier.window != expectation.window {
                across(place, path, (earlier, expectation), found);
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

/// Tells of windows that make up a longer one, and cannot all be good with it.
/// A warning: where some of them have too few values, nothing contradicts.
fn across(
    place: &Located<()>,
    path: &str,
    (a, b): (&Expectation, &Expectation),
    found: &mut Found,
) {
    let (WindowSpec::Tumbling { size: of_a }, WindowSpec::Tumbling { size: of_b }) =
        (a.window, b.window)
    else {
        return;
    };
    let (short, long) = if of_a < of_b { (a, b) } else { (b, a) };
    let (least, most) = (of_a.min(of_b).as_micros(), of_a.max(of_b).as_micros());
    if least <= 0 || most % least != 0 {
        return;
    }
    let Ok(parts) = u64::try_from(most / least) else { return };
    let why = match (&short.rule, &long.rule) {
        (
            Rule::Volume { below: part_low, above: part_high, .. },
            Rule::Volume { below: low, above: high, .. },
        ) => {
            let all = |bound: &Option<u64>| bound.map(|bound| bound.saturating_mul(parts));
            let low = all(part_low).max(*low);
            let high = [all(part_high), *high].into_iter().flatten().min();
            low.zip(high)
                .filter(|(low, high)| low > high)
                .map(|(low, high)| format!("at least {low} and at most {high} events"))
        }
        (Rule::Range { .. }, Rule::Range { .. })
        | (Rule::Categories { .. }, Rule::Categories { .. }) => contradict(&short.rule, &long.rule),
        _ => None,
    };
    let Some(why) = why else { return };
    let message = format!(
        "`{}` and `{}` cannot both be good in windows that make each other up: {why}",
        a.name, b.name
    );
    let hint = Some("take one away, or move a bound".to_owned());
    found.warning(place, path, "contradiction", message, hint);
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
