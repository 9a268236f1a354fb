//! Drift statistics: how far two samples are apart, and how sure that is.
//!
//! Everything here is a pure function over plain slices: sorted raw values
//! while a summary still keeps them as they came, or counts over shared bins
//! or grid cells once it does not. Counts are combined in exact integer
//! arithmetic and sums are compensated, so a result does not depend on how a
//! window was cut into panes.
//!
//! Hostile input has a defined result: a function that needs two samples
//! answers `None` when one is missing, no function returns NaN, and none
//! panics. Infinite and NaN values are counted apart by the summaries and are
//! never part of a sample; where one slips in, the answer is `None` too.
//!
//! Two count slices are aligned by position; where one is shorter, its missing
//! bins are empty.

mod chi_square;
mod chi_square_sparse;
mod count_change;
mod counts;
mod effective;
mod hellinger;
mod jensen_shannon;
mod kolmogorov;
mod ks;
mod ks_tied;
mod left_out;
mod moments;
mod profile;
mod proportion;
mod psi;
mod quantile;
mod special;
mod wasserstein;

#[cfg(test)]
mod tests;

pub use chi_square::{ChiSquare, chi_square_homogeneity};
pub use chi_square_sparse::chi_square_p_value;
pub use count_change::{COUNTS_MIN, CountChange, count_change};
pub use effective::{DesignEffect, PARTS_MIN, design_effect, design_effect_of_shares};
pub use hellinger::hellinger;
pub use jensen_shannon::jensen_shannon;
pub use ks::{ks_p_value, ks_statistic_cumulative, ks_statistic_sorted};
pub use ks_tied::ks_tied_p_value;
pub use left_out::LeftOut;
pub use moments::{Moments, moments, moments_weighted};
pub use profile::{Profile, profile};
pub use proportion::clopper_pearson_lower;
pub use psi::{EMPTY_SHARE, psi};
pub use quantile::{quantile_sorted, quantile_sorted_u64};
pub use wasserstein::{
    REFERENCE_SD_MIN, wasserstein_norm, wasserstein_sorted, wasserstein_weighted,
};
