//! A slow drift that no single window shows: a sequential test over windows.
//!
//! Each window gives the standardised Mann–Whitney shift of its values against
//! the baseline, from the published bins, ties and all (Lehmann 1975). Two
//! cumulative sums, of shifts upwards and downwards, take it in less an
//! allowance (Page 1954). A sum above the decision interval is a drift. The
//! interval follows from the stated rate by Siegmund's approximation of the
//! average run length (1985): one false alarm in 1 / rate quiet windows.
//!
//! A CUSUM and no e-values: its run length to the detection of a shift is the
//! shortest there is for a given rate (Moustakides 1986), and a rate per
//! window is what a charter states.

use watchkeep_model::window::Bins;

/// Shift per window, in standard errors, from which on the sums grow. Half the
/// shift that is to be found fastest: half a standard error.
const ALLOWANCE: f64 = 0.25;

/// Standard errors of the baseline that the allowance grows by: all windows
/// are compared with the same values, whose error the sums would add up.
const BASELINE_ERRORS: f64 = 2.0;

/// What a discrete sum overshoots the interval by, Siegmund's correction twice.
const OVERSHOOT: f64 = 1.166;

/// Decision intervals up to which a sum grows, so that what has ended clears.
const SUM_MAX: f64 = 1.5;

/// Windows that the spread of shifts is estimated from; with fewer it is that
/// of independent values.
const SPREAD_WINDOWS_MIN: usize = 10;

/// The shift of one window against its baseline.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Shift {
    /// Standard errors of the mean rank, above 0 where the window's values are greater.
    pub z: f64,
    /// Standard error that comes of the baseline and is the same for each window.
    pub baseline_error: f64,
}

/// The shift that the bins show; `None` where they have no order or no spread.
pub fn shift(bins: &Bins) -> Option<Shift> {
    let ordered = bins.current.len() - usize::from(bins.null_bin);
    if bins.edges.is_empty() || ordered < 2 {
        return None;
    }
    let pairs = || bins.current[..ordered].iter().zip(&bins.reference[..ordered]);
    let (n, m) = pairs().fold((0.0, 0.0), |(n, m), (c, r)| (n + *c as f64, m + *r as f64));
    let all = n + m;
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let (mut greater, mut below, mut ties) = (0.0, 0.0, 0.0);
    for (current, reference) in pairs() {
        let (current, reference) = (*current as f64, *reference as f64);
        greater += current * (below + reference / 2.0);
        below += reference;
        ties += (current + reference).powi(3) - (current + reference);
    }
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    (variance > 0.0).then(|| Shift {
        z: (greater - n * m / 2.0) / variance.sqrt(),
        baseline_error: (n / all).sqrt(),
    })
}

/// What the sums have come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums {
    /// The greater of both, below 0 where it is the downward one.
    pub sum: f64,
    /// What its size is compared with.
    pub interval: f64,
}

impl Sums {
    /// True where there is a drift.
    pub fn is_bad(self) -> bool {
        self.sum.abs() > self.interval
    }
}

/// Adds up the shifts of windows in their order.
pub fn sums(shifts: &[Shift], rate: f64) -> Sums {
    let scale = spread(shifts);
    let error = shifts.iter().map(|shift| shift.baseline_error).fold(0.0, f64::max);
    let allowance = ALLOWANCE + BASELINE_ERRORS * error / scale;
    let interval = decision_interval(rate, allowance);
    let most = SUM_MAX * interval;
    let (mut up, mut down) = (0.0_f64, 0.0_f64);
    for shift in shifts {
        let step = shift.z / scale;
        up = (up + step - allowance).clamp(0.0, most);
        down = (down - step - allowance).clamp(0.0, most);
    }
    Sums { sum: if up >= down { up } else { -down }, interval }
}

/// The interval at which both sums together give one false alarm in 1 / rate windows.
pub fn decision_interval(rate: f64, allowance: f64) -> f64 {
    let run_length = |interval: f64| {
        let x = 2.0 * allowance * (interval + OVERSHOOT);
        (x.exp() - 1.0 - x) / (2.0 * allowance * allowance)
    };
    let (mut low, mut high) = (0.0, 400.0 / allowance.max(0.1));
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if run_length(middle) < 2.0 / rate { low = middle } else { high = middle }
    }
    high
}

/// The spread of shifts from window to window, at least that of independent
/// values. It is taken from neighbours, so that a slow drift is no part of it.
fn spread(shifts: &[Shift]) -> f64 {
    if shifts.len() < SPREAD_WINDOWS_MIN {
        return 1.0;
    }
    let mut steps: Vec<f64> = shifts.windows(2).map(|pair| (pair[1].z - pair[0].z).abs()).collect();
    steps.sort_unstable_by(f64::total_cmp);
    let median = f64::midpoint(steps[(steps.len() - 1) / 2], steps[steps.len() / 2]);
    // The median of |x| of a normal x is 0.6745 deviations, a difference has twice the variance.
    (median / (0.674_489_75 * std::f64::consts::SQRT_2)).max(1.0)
}

#[cfg(test)]
mod tests;
