//! How many events a window has: outside of bounds, or unlike the usual number.

use watchkeep_model::charter::{BaselineSpec, Expectation, UsualVolume};
use watchkeep_model::summary::Summary;
use watchkeep_model::window::VolumeShift;

use super::Measured;
use crate::baseline::{Baseline, Part};
use crate::statistics::{COUNTS_MIN, LeftOut, count_change};

pub(super) fn is_outside(observed: f64, below: Option<u64>, above: Option<u64>) -> bool {
    below.is_some_and(|below| observed < below as f64)
        || above.is_some_and(|above| observed > above as f64)
}

pub(super) fn reason(observed: f64, below: Option<u64>, above: Option<u64>) -> String {
    match (below, above) {
        (Some(below), _) if observed < below as f64 => {
            format!("{observed} events, fewer than {below}")
        }
        (_, above) => format!("{observed} events, more than {}", above.unwrap_or_default()),
    }
}

/// Of two bounds the one that is nearer to being passed.
pub(super) fn threshold(
    observed: Option<f64>,
    below: Option<u64>,
    above: Option<u64>,
) -> Option<f64> {
    if let (Some(below), Some(above)) = (below, above) {
        let near_low = observed.is_none_or(|observed| observed <= below as f64);
        return Some(if near_low { below as f64 } else { above as f64 });
    }
    below.or(above).map(|bound| bound as f64)
}

/// The window's count beside those of the baseline's windows.
pub(super) fn compare(
    expectation: &Expectation,
    usual: &UsualVolume,
    summary: &Summary,
    baseline: Result<&Baseline, &str>,
) -> Result<Measured, String> {
    let baseline = baseline?;
    let counts = of_one_level(&baseline.parts);
    if counts.len() < COUNTS_MIN {
        return Err(format!(
            "the baseline has {} windows; how much counts vary takes {COUNTS_MIN} to tell",
            counts.len()
        ));
    }
    let found = count_change(summary.count, &counts, left_out(expectation, usual))
        .ok_or("the baseline has no event")?;
    let observed = summary.count as f64;
    Ok(Measured {
        observed,
        p_value: Some(found.p_value),
        effect: Some(observed / found.expected - 1.0),
        volume: Some(VolumeShift {
            windows: counts.len() as u64,
            expected: found.expected,
            dispersion: found.dispersion,
            score: found.score,
        }),
        ..Measured::default()
    })
}

/// The counts of a baseline's windows: those before a long breach as long as they are
/// half of it, then those of the breach. Of both together the spread would be so wide
/// that any count is usual, from the first windows of the breach on.
fn of_one_level(parts: &[Part]) -> Vec<u64> {
    let of_breach = parts.iter().filter(|part| part.of_breach).count();
    let is_breach = 2 * of_breach > parts.len();
    let of_level = parts.iter().filter(|part| part.of_breach == is_breach);
    of_level.map(|part| part.count).collect()
}

/// What the expectation itself leaves out of its baseline: what it finds bad,
/// where one such window opens a breach. A fixed baseline leaves nothing out.
fn left_out(expectation: &Expectation, usual: &UsualVolume) -> Option<LeftOut> {
    let is_moving =
        matches!(usual.baseline, BaselineSpec::Rolling { .. } | BaselineSpec::Seasonal { .. });
    (is_moving && expectation.r#for.k == 1)
        .then_some(LeftOut { p_below: usual.p_below, change: usual.change })
}

/// True where both keys turn.
pub(super) fn is_unusual(measured: &Measured, usual: &UsualVolume) -> bool {
    measured.p_value.is_some_and(|p| p < usual.p_below)
        && measured.effect.is_some_and(|effect| effect.abs() > usual.change)
}

pub(super) fn unusual_reason(measured: &Measured, usual: &UsualVolume) -> String {
    let effect = measured.effect.unwrap_or_default();
    format!(
        "{} events, {:.1} % {} than the usual {:.1}: a change above {} with p-value {:.3e} below {}",
        measured.observed,
        100.0 * effect.abs(),
        if effect < 0.0 { "fewer" } else { "more" },
        measured.volume.map_or(0.0, |volume| volume.expected),
        usual.change,
        measured.p_value.unwrap_or(1.0),
        usual.p_below,
    )
}

/// The count beyond which the change matters, on the side on which it is.
pub(super) fn bound(measured: &Measured, usual: &UsualVolume) -> Option<f64> {
    let expected = measured.volume?.expected;
    let way = if measured.observed < expected { -usual.change } else { usual.change };
    Some((expected * (1.0 + way)).max(0.0))
}
