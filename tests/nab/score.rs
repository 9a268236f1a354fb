//! The benchmark's scoring (Lavin and Ahmad 2015, "Evaluating Real-time Anomaly
//! Detection Algorithms"): of each labelled window the earliest detection
//! counts, by a sigmoid of how early it is; a detection outside costs the more
//! the farther it lies behind the last window; a window that was missed costs
//! whole. The first 15 % of a series (at most 750 rows) is for learning.

use super::Series;

/// What hits, false alarms and misses weigh.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The name in `profiles.json`.
    pub name: &'static str,
    /// Weight of a window that was found.
    pub hit: f64,
    /// Weight of a false alarm.
    pub false_alarm: f64,
    /// Weight of a window that was missed.
    pub miss: f64,
}

/// The benchmark's three profiles.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", hit: 1.0, false_alarm: 0.11, miss: 1.0 },
    Profile { name: "reward_low_FP_rate", hit: 1.0, false_alarm: 0.22, miss: 1.0 },
    Profile { name: "reward_low_FN_rate", hit: 1.0, false_alarm: 0.11, miss: 2.0 },
];

/// What the detections of some series come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Sum of the scores.
    pub score: f64,
    /// Labelled windows.
    pub windows: usize,
    /// Of these found.
    pub found: usize,
    /// Detections outside of any window.
    pub false_alarms: usize,
}

impl Tally {
    /// The score on the scale on which finding nothing is 0 and finding every
    /// window at its first row, and nothing else, is 100.
    pub fn normalised(&self, profile: Profile) -> f64 {
        let windows = self.windows as f64;
        let (nothing, perfect) = (-profile.miss * windows, profile.hit * windows);
        100.0 * (self.score - nothing) / (perfect - nothing)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            score: self.score + other.score,
            windows: self.windows + other.windows,
            found: self.found + other.found,
            false_alarms: self.false_alarms + other.false_alarms,
        }
    }
}

/// Scores the detected rows of one series.
pub fn score(series: &Series, detected: &[usize], profile: Profile) -> Tally {
    let rows = series.times.len();
    let learning = (0.15 * rows as f64).floor().min(0.15 * 5000.0);
    let mut best = vec![None::<f64>; series.windows.len()];
    let mut tally = Tally { windows: series.windows.len(), ..Tally::default() };
    for &row in detected.iter().filter(|row| **row as f64 >= learning) {
        let inside = series.windows.iter().position(|(from, to)| (*from..=*to).contains(&row));
        if let Some(window) = inside {
            let (from, to) = series.windows[window];
            let position = -((to - row + 1) as f64) / (to - from + 1) as f64;
            let gain = sigmoid(position) / sigmoid(-1.0) * profile.hit;
            best[window] = Some(best[window].map_or(gain, |known| known.max(gain)));
        } else {
            let last = series.windows.iter().rev().find(|(_, to)| *to < row);
            let past = last.map_or(f64::MAX, |(from, to)| (row - to) as f64 / (to - from) as f64);
            tally.score += sigmoid(past) * profile.false_alarm;
            tally.false_alarms += 1;
        }
    }
    for gain in best {
        tally.found += usize::from(gain.is_some());
        tally.score += gain.unwrap_or(-profile.miss);
    }
    tally
}

/// From 1 far before the end of a window to -1 far behind it.
fn sigmoid(position: f64) -> f64 {
    if position >= 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        let at = |row: i64| watchkeep_model::time::Timestamp::from_micros(row * 300_000_000);
        Series {
            name: "made up".into(),
            times: (0..1000).map(at).collect(),
            values: vec![0.0; 1000],
            windows: vec![(300, 399), (700, 799)],
        }
    }

    #[test]
    fn perfect_and_nothing_are_the_ends_of_the_scale() {
        for profile in PROFILES {
            let of = |rows: &[usize]| score(&series(), rows, profile).normalised(profile);
            assert!((of(&[300, 700]) - 100.0).abs() < 1e-9);
            assert!(of(&[]).abs() < 1e-9);
            assert!(of(&[350, 700]) < 100.0 && of(&[350, 700]) > of(&[390, 700]));
            assert!(of(&[100, 300, 700]) > 99.999, "the first rows are for learning");
        }
    }

    #[test]
    fn a_false_alarm_costs_its_weight_and_less_close_behind_a_window() {
        let [standard, low_fp, _] = PROFILES;
        let raw = |rows: &[usize], profile| score(&series(), rows, profile).score;
        let best = raw(&[300, 700], standard);
        assert!((best - raw(&[200, 300, 700], standard) - 0.11).abs() < 1e-9);
        assert!((best - raw(&[200, 300, 700], low_fp) - 0.22).abs() < 1e-9);
        assert!(best - raw(&[300, 405, 700], standard) < 0.02);
    }
}
