//! Service-level objectives: what a good event is, and the pairs of windows by
//! whose burn rates an objective is judged.

use serde::{Deserialize, Serialize};

use crate::telemetry::Status;
use crate::time::TimeSpan;

/// What makes an event good; of several conditions all must hold. At least one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Good {
    /// The serving latency is below this. Events that tell none are not counted.
    pub latency_below: Option<TimeSpan>,
    /// The value's age is below this. Events that tell no `materialised_at` are not counted.
    pub age_below: Option<TimeSpan>,
    /// The status is one of these.
    pub status: Option<Vec<Status>>,
}

impl Good {
    /// How many conditions there are.
    pub fn conditions(&self) -> usize {
        usize::from(self.latency_below.is_some())
            + usize::from(self.age_below.is_some())
            + usize::from(self.status.is_some())
    }
}

/// Two windows that end together. The pair fires while the error budget burns
/// faster than `factor` in both: the long one says that it matters, the short
/// one that it still goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnPair {
    /// How much faster than evenly over the period the budget may burn.
    pub factor: f64,
    /// The window that says that it matters.
    pub long: TimeSpan,
    /// The window that says that it goes on.
    pub short: TimeSpan,
}

/// The pairs of every objective, most urgent first (The Site Reliability
/// Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts").
pub const BURN_PAIRS: [BurnPair; 4] = [
    BurnPair { factor: 14.4, long: TimeSpan::HOUR, short: TimeSpan::MINUTE.times(5) },
    BurnPair { factor: 6.0, long: TimeSpan::HOUR.times(6), short: TimeSpan::MINUTE.times(30) },
    BurnPair { factor: 3.0, long: TimeSpan::DAY, short: TimeSpan::HOUR.times(2) },
    BurnPair { factor: 1.0, long: TimeSpan::DAY.times(3), short: TimeSpan::HOUR.times(6) },
];

/// The span over which an objective is to be met where the charter names none.
pub const SLO_PERIOD_DEFAULT: TimeSpan = TimeSpan::DAY.times(28);
