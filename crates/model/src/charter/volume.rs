//! What a `volume` compares a window's count with.

use serde::{Deserialize, Serialize};

use super::BaselineSpec;

/// Windows that a fixed baseline of counts is cut into at most, 8 bytes each
/// for every version. A range that holds more is refused: it needs longer
/// windows, or a shorter range.
pub const FIXED_WINDOWS_MAX: i64 = 10_000;

/// The usual number of events, and how far from it is bad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsualVolume {
    /// The relative change that matters: `|count / expected − 1|` must be above
    /// it, and above 0. From 1 on only more events are found, never fewer.
    pub change: f64,
    /// The windows whose counts are the usual ones; no profile, which has none.
    pub baseline: BaselineSpec,
    /// The p-value must be below this.
    pub p_below: f64,
}
