//! Objectives by multi-window burn rates (The Site Reliability Workbook,
//! chapter 5): the share of bad events over the share that the objective
//! allows, in a long and a short window that end together.

use watchkeep_model::charter::{BURN_PAIRS, BurnPair, Expectation, Good};
use watchkeep_model::window::{Burn, Slo};

use super::Measured;
use crate::slo::{Tallies, Tally};

/// What rounding may add to a burn rate, relative: 60 of 100 bad at an
/// objective of 0.9 burn at 6 exactly, which is not above 6.
const BURN_ROUNDING: f64 = 1e-12;

/// The counts of the pairs, of which at least one has enough events.
pub(super) fn measure(
    expectation: &Expectation,
    good: &Good,
    objective: f64,
    tallies: Option<Tallies>,
) -> Result<Measured, String> {
    let tallies = tallies.ok_or("an objective is judged by tumbling and hopping windows")?;
    let least = expectation.min_samples.max(1);
    let judged = tallies.pairs.map(|pair| pair.iter().all(|tally| tally.total() >= least));
    if !judged.contains(&true) {
        let most = tallies.pairs.iter().map(|[_, short]| short.total()).max().unwrap_or_default();
        let shortest = BURN_PAIRS[BURN_PAIRS.len() - 1].short;
        return Err(format!(
            "{most} events in the last {shortest}, fewer than min_samples = {least}"
        ));
    }
    let burning = Burning { tallies, judged, several: good.conditions() > 1 };
    let (_, observed) = burning.nearest(objective);
    Ok(Measured { observed, burning: Some(burning), ..Measured::default() })
}

/// Counts of an objective, and which pairs have enough of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burning {
    tallies: Tallies,
    judged: [bool; BURN_PAIRS.len()],
    /// True where good has several conditions.
    several: bool,
}

impl Burning {
    /// True where a pair fires.
    pub(super) fn is_bad(&self, objective: f64) -> bool {
        let (pair, rate) = self.nearest(objective);
        is_above(rate, pair.factor)
    }

    /// Of the pairs with enough events the one that fires or is nearest to it,
    /// of two the more urgent, and the lower of its two burn rates.
    pub(super) fn nearest(&self, objective: f64) -> (BurnPair, f64) {
        let rate = |tally: &Tally| tally.burn_rate(objective).unwrap_or_default();
        let mut nearest: Option<(BurnPair, f64)> = None;
        for ((pair, tallies), judged) in BURN_PAIRS.iter().zip(&self.tallies.pairs).zip(self.judged)
        {
            let lower = rate(&tallies[0]).min(rate(&tallies[1]));
            let nearer =
                nearest.is_none_or(|(other, rate)| lower / pair.factor > rate / other.factor);
            if judged && nearer {
                nearest = Some((*pair, lower));
            }
        }
        nearest.unwrap_or((BURN_PAIRS[0], 0.0))
    }

    /// Everything, as the window publishes it.
    pub(super) fn published(&self, objective: f64) -> Slo {
        let period = self.tallies.period;
        let pairs = BURN_PAIRS.iter().zip(&self.tallies.pairs).zip(self.judged);
        let burn = |((pair, [long, short]), judged): ((&BurnPair, &[Tally; 2]), bool)| {
            let rates = [long, short].map(|tally| tally.burn_rate(objective));
            Burn {
                factor: pair.factor,
                long: pair.long,
                short: pair.short,
                long_total: long.total(),
                long_bad: long.bad(),
                short_total: short.total(),
                short_bad: short.bad(),
                long_burn: rates[0],
                short_burn: rates[1],
                judged,
                fired: judged && rates.iter().flatten().all(|rate| is_above(*rate, pair.factor)),
            }
        };
        Slo {
            total: period.total(),
            bad: period.bad(),
            bad_at_most: self.several.then_some(period.bad_at_most()),
            budget_left: period.burn_rate(objective).map(|burnt| 1.0 - burnt),
            pairs: pairs.map(burn).collect(),
        }
    }

    pub(super) fn reason(&self, objective: f64) -> String {
        let (pair, rate) = self.nearest(objective);
        let left = self.tallies.period.burn_rate(objective).map_or(1.0, |burnt| 1.0 - burnt);
        format!(
            "the error budget of objective {objective} burns at {rate:.4} or more over {} and {}, \
             above {}; {:.1} % of the period's budget is left",
            pair.long,
            pair.short,
            pair.factor,
            left * 100.0
        )
    }
}

fn is_above(rate: f64, factor: f64) -> bool {
    rate > factor * (1.0 + BURN_ROUNDING)
}
