//! How much the past windows of a baseline differ, by the shares of bins.

use watchkeep_model::categories::largest;
use watchkeep_model::counted_names::Names;
use watchkeep_model::distribution::Numbers;
use watchkeep_model::summary::Summary;

use super::aligned::{Aligned, lower_edge};
use crate::statistics::{DesignEffect, design_effect_of_shares};

/// Bins of numbers, by quantiles of all windows together.
const NUMBER_BINS: u32 = 10;
/// Categories that are looked at by themselves; the others are one bin.
const CATEGORY_BINS_MAX: usize = 30;
/// Values that a window has to have in a bin, on average, for a bin of its own.
const VALUES_PER_BIN: u64 = 5;

/// Design effects of past windows; `None` where they differ by no more than
/// independent values do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effects {
    /// Of their numbers.
    pub numbers: Option<DesignEffect>,
    /// Of their categories and nulls.
    pub categories: Option<DesignEffect>,
}

impl Effects {
    /// Those of `windows`, which make `all` together.
    pub fn of(windows: &[impl AsRef<Summary>], all: &Summary) -> Self {
        let windows = || windows.iter().map(AsRef::as_ref);
        let mut effects = Self::default();
        if all.numbers.count() > 0 {
            let edges = Aligned::new(&all.numbers, &all.numbers).quantile_edges(NUMBER_BINS);
            let counts: Vec<Vec<u64>> = windows().map(|w| counts(&w.numbers, &edges)).collect();
            effects.numbers = design_effect_of_shares(&counts);
        }
        // Of a sample it cannot be told.
        if all.categories.total() > 0 && all.categories.level() == 0 {
            let least = VALUES_PER_BIN * windows().count() as u64;
            let listed = all.categories.counts().names();
            let names = frequent(&listed, least);
            let row = |window: &Summary| {
                let of = |name: &&str| window.categories.counts().get(name).unwrap_or(0);
                let mut row: Vec<u64> = names.iter().map(of).collect();
                let others = window.categories.total() - row.iter().sum::<u64>();
                row.extend([others, window.null_count]);
                row
            };
            effects.categories = design_effect_of_shares(&windows().map(row).collect::<Vec<_>>());
        }
        effects
    }
}

fn counts(numbers: &Numbers, edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for (cell, count) in numbers.cells() {
        counts[edges.partition_point(|edge| *edge <= lower_edge(cell))] += count;
    }
    counts
}

/// The names of the most frequent ones that have at least so many events.
fn frequent<'a>(names: &'a Names<'_>, least: u64) -> Vec<&'a str> {
    let all: Vec<(&str, u64)> = names.iter().filter(|(_, count)| *count >= least).collect();
    let frequent = largest(all.len(), CATEGORY_BINS_MAX, |at| all[at].1);
    frequent.into_iter().map(|at| all[at].0).collect()
}
