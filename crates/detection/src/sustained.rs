//! A slow drift that no single window shows: a sequential test over windows.
//!
//! Each window gives the standardised Mann–Whitney shift of its values against
//! the baseline, from the published bins, ties and all (Lehmann 1975). Two
//! cumulative sums, of shifts upwards and downwards, take it in less an
//! allowance (Page 1954). A sum above the decision interval is a drift, until it
//! is below half of it. The interval follows from the stated rate by Siegmund's
//! approximation of the average run length (1985), averaged over the error of the
//! baseline: at most one false alarm in 1 / rate quiet windows.
//!
//! A CUSUM and no e-values: its run length to the detection of a shift is the
//! shortest there is for a given rate (Moustakides 1986), and a rate per
//! window is what a charter states.

use watchkeep_model::charter::Sustained;
use watchkeep_model::window::Bins;

use crate::statistics::quantile_sorted;

/// Shift per window, in standard errors, from which on the sums grow. Half the
/// shift that is to be found fastest: half a standard error.
const ALLOWANCE: f64 = 0.25;

/// Standard errors of the baseline that the allowance grows by: all windows
/// are compared with the same values, whose error the sums would add up. The
/// interval allows for the rest of that error; with less here it would be so long
/// that drifts are found days later, with more they are hidden.
const BASELINE_ERRORS: f64 = 2.0;

/// What a discrete sum overshoots the interval by, Siegmund's correction twice.
const OVERSHOOT: f64 = 1.166;

/// Decision intervals up to which a sum grows, so that what has ended clears.
const SUM_MAX: f64 = 1.5;

/// The part of the interval down to which a drift goes on: a sum that wavers about
/// the interval is one alarm and not many.
const OVER_BELOW: f64 = 0.5;

/// Standard errors that one window adds at most: however far away, it is no drift
/// by itself. Quiet windows are hardly ever farther.
const STEP_MAX: f64 = 4.0;

/// The differences of neighbours that show the spread: a tenth may be outliers,
/// and days that differ by the weekday are no few.
const SPREAD_QUANTILE: f64 = 0.9;
/// That quantile of the size of a standard normal value.
const SPREAD_OF_NORMAL: f64 = 1.644_853_6;

/// Most that windows are taken to follow each other; where they do more, there
/// are no two of them that tell different things.
const CARRY_MAX: f64 = 0.9;

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

    /// True where a drift that there was has ended.
    pub fn is_over(self) -> bool {
        self.sum.abs() <= OVER_BELOW * self.interval
    }
}

/// Adds up the shifts of windows in their order; `None` for fewer than
/// [`Sustained::WINDOWS_MIN`].
pub fn sums(shifts: &[Shift], rate: f64) -> Option<Sums> {
    sums_in_breach(shifts, 0, rate)
}

/// The same where the last `in_breach` came after the window that opened the breach
/// which goes on. How much windows differ is told by those before: a level that
/// moved and stays would look like windows that differ so much, and be good again
/// though nothing went back.
pub fn sums_in_breach(shifts: &[Shift], in_breach: usize, rate: f64) -> Option<Sums> {
    if shifts.len() < Sustained::WINDOWS_MIN {
        return None;
    }
    let before = shifts.len().saturating_sub(in_breach).max(Sustained::WINDOWS_MIN);
    let scale = spread(&shifts[..before]);
    // In units of the spread, too: a baseline is made of windows that differ as these do.
    let error = shifts.iter().map(|shift| shift.baseline_error).fold(0.0, f64::max);
    let allowance = ALLOWANCE + BASELINE_ERRORS * error;
    let interval = decision_interval(rate, allowance, error);
    let most = SUM_MAX * interval;
    let (mut up, mut down) = (0.0_f64, 0.0_f64);
    for shift in shifts {
        let step = (shift.z / scale).clamp(-STEP_MAX, STEP_MAX);
        up = (up + step - allowance).clamp(0.0, most);
        down = (down - step - allowance).clamp(0.0, most);
    }
    Some(Sums { sum: if up >= down { up } else { -down }, interval })
}

/// The interval at which both sums together give one false alarm in 1 / rate
/// windows, where what every shift has in common is normal with the standard
/// deviation `error`: the error of the baseline, which nobody knows.
pub fn decision_interval(rate: f64, allowance: f64, error: f64) -> f64 {
    let (mut low, mut high) = (0.0, INTERVAL_MAX);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if false_alarms(middle, allowance, error) > rate { low = middle } else { high = middle }
    }
    high
}

/// Beyond any interval of a rate that can be stated.
const INTERVAL_MAX: f64 = 400.0;

/// False alarms a window of both sums together: the mean of the upward one's over
/// the baseline's error, by the trapezoidal rule, and as many of the downward one.
fn false_alarms(interval: f64, allowance: f64, error: f64) -> f64 {
    const STEPS: i32 = 12;
    const ERRORS: f64 = 6.0;
    let (mut sum, mut weights) = (0.0, 0.0);
    for step in -STEPS..=STEPS {
        let at = f64::from(step) / f64::from(STEPS) * ERRORS;
        let weight = (-at * at / 2.0).exp();
        sum += weight / run_length(interval, at * error - allowance);
        weights += weight;
    }
    2.0 * sum / weights
}

/// Windows until a sum that moves by `drift` and a standard error at random is
/// above the interval, on average (Siegmund 1985); at least one.
fn run_length(interval: f64, drift: f64) -> f64 {
    let barrier = interval + OVERSHOOT;
    let x = -2.0 * drift * barrier;
    let length = match x.abs() < 1e-6 {
        true => barrier * barrier,
        false => (x.exp() - 1.0 - x) / (2.0 * drift * drift),
    };
    length.max(1.0)
}

/// How much quiet windows differ, as sums over them see it, at least as much as
/// independent values make them. From neighbours, so that a slow drift is no part
/// of it; more where neighbours are alike, by the variance of the mean of a
/// process that keeps so much of the value before (AR(1)). What chance alone may
/// give counts as nothing, and an estimate beyond it is put higher by twice its error.
fn spread(shifts: &[Shift]) -> f64 {
    let mut steps: Vec<f64> = shifts.windows(2).map(|pair| (pair[1].z - pair[0].z).abs()).collect();
    steps.sort_unstable_by(f64::total_cmp);
    let Some(step) = quantile_sorted(&steps, SPREAD_QUANTILE) else { return 1.0 };
    let carry = carry(shifts);
    // A difference has 2 (1 − carry) times the variance of one.
    let one = step / SPREAD_OF_NORMAL / (2.0 * (1.0 - carry)).sqrt();
    let summed = one * ((1.0 + carry) / (1.0 - carry)).sqrt();
    let error = 1.0 / (shifts.len() as f64).sqrt();
    if summed < 1.0 + error { 1.0 } else { summed * (1.0 + 2.0 * error) }
}

/// The correlation of neighbours about a straight line, through which a slow
/// drift is none; what few windows make of it too little is put back (Kendall 1954).
fn carry(shifts: &[Shift]) -> f64 {
    let n = shifts.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = shifts.iter().map(|shift| shift.z).sum::<f64>() / n;
    let places = || (0..shifts.len()).map(|at| at as f64 - middle);
    let squares: f64 = places().map(|at| at * at).sum();
    let slope = places().zip(shifts).map(|(at, shift)| at * shift.z).sum::<f64>() / squares;
    let rest: Vec<f64> =
        places().zip(shifts).map(|(at, shift)| shift.z - mean - slope * at).collect();
    let variance: f64 = rest.iter().map(|rest| rest * rest).sum();
    if variance <= 0.0 {
        return 0.0;
    }
    let found = rest.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / variance;
    (found + (1.0 + 4.0 * found) / n).clamp(0.0, CARRY_MAX)
}

#[cfg(test)]
mod tests;
