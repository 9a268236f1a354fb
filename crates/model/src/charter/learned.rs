//! Thresholds that are learned from the windows before.

use serde::{Deserialize, Serialize};

use crate::time::TimeSpan;

/// Which thresholds of a rule are learned, and how. The rule itself holds in
/// their place what nothing passes, so that an unlearned bound never fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The thresholds, at least one. Two of them share the rate.
    pub thresholds: Vec<Threshold>,
    /// Share of good windows that may be called bad, above 0 and below 0.5.
    pub false_alarm_rate: f64,
    /// How far back the windows go that are learned from.
    pub from: TimeSpan,
    /// `resolve: {false_alarm_rate}`: an open breach is held against the
    /// nearer bounds of this higher rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_rate: Option<f64>,
}

impl Learned {
    /// Windows of an expectation that are kept to learn from.
    pub const WINDOWS_MAX: usize = 4096;

    /// Windows that a bound needs whatever the rate.
    pub const WINDOWS_MIN: usize = 20;

    /// Windows that a bound needs times its rate. With fewer the tail would have
    /// to be continued more than three times as far out as anything was seen.
    const NEEDED_TIMES_RATE: f64 = 0.3;

    /// Good windows that a bound of a rate needs.
    pub fn windows_for(rate: f64) -> usize {
        // Some rounding must not ask for one more.
        ((Self::NEEDED_TIMES_RATE / rate - 1e-9).ceil() as usize).max(Self::WINDOWS_MIN)
    }

    /// Good windows that the bounds need: two of them share the rate.
    pub fn windows_needed(&self) -> usize {
        let sides = if self.is_two_sided() { 2.0 } else { 1.0 };
        Self::windows_for(self.false_alarm_rate / sides)
    }

    /// True where both a lower and an upper bound are learned.
    pub fn is_two_sided(&self) -> bool {
        let lower = |threshold: &&Threshold| threshold.side() == Side::Lower;
        let count = self.thresholds.iter().filter(lower).count();
        count > 0 && count < self.thresholds.len()
    }

    /// The sides that a bound is learned on, the lower one first.
    pub fn sides(&self) -> impl Iterator<Item = Side> + '_ {
        let has = |side: &Side| self.thresholds.iter().any(|threshold| threshold.side() == *side);
        [Side::Lower, Side::Upper].into_iter().filter(has)
    }

    /// True where the threshold is learned.
    pub fn learns(&self, threshold: Threshold) -> bool {
        self.thresholds.contains(&threshold)
    }
}

/// A sequential test for a drift that is too slow for any single window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sustained {
    /// Share of quiet windows that may be called bad: one false alarm in
    /// 1 / rate windows.
    pub false_alarm_rate: f64,
    /// How far back the windows go that are added up.
    pub from: TimeSpan,
}

impl Sustained {
    /// Windows from which on sums are judged: before, nothing tells how much
    /// windows differ from each other.
    pub const WINDOWS_MIN: usize = 10;
}

/// A threshold of a rule that can be learned, named as in charters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// The upper bound of what a kind measures.
    Above,
    /// The lower bound of a volume.
    Below,
    /// The smallest good value of a range.
    Min,
    /// The largest good value of a range.
    Max,
    /// What the effect of a drift must be above.
    Effect,
}

/// On which side of the usual a bound stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What is less is bad.
    Lower,
    /// What is more is bad.
    Upper,
}

impl Threshold {
    /// On which side it stands.
    pub const fn side(self) -> Side {
        match self {
            Self::Below | Self::Min => Side::Lower,
            Self::Above | Self::Max | Self::Effect => Side::Upper,
        }
    }

    /// The name used in charters and facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
            Self::Min => "min",
            Self::Max => "max",
            Self::Effect => "effect",
        }
    }
}

/// A count that no window has, in place of one that is to be learned. Avro's
/// `long` ends here.
pub const COUNT_UNLEARNED: u64 = i64::MAX as u64;
