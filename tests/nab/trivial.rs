//! A detector to compare with: values more than so many standard deviations
//! from the mean of the day before, as many a dashboard has it.

use super::Series;

/// Rows of the moving mean and deviation, a day of five minutes.
const ROWS: usize = 288;

/// Rows that must have been quiet before the next detection.
const QUIET: usize = 48;

/// Rows at which the value is more than `deviations` standard deviations from
/// the mean of the rows before, each stretch of them told once.
pub fn detect(series: &Series, deviations: f64) -> Vec<usize> {
    let mut detected = Vec::new();
    let mut last = None;
    for row in ROWS / 2..series.values.len() {
        let before = &series.values[row.saturating_sub(ROWS)..row];
        let n = before.len() as f64;
        let mean = before.iter().sum::<f64>() / n;
        let variance = before.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        if (series.values[row] - mean).abs() > deviations * variance.sqrt() {
            if last.is_none_or(|last| row - last > QUIET) {
                detected.push(row);
            }
            last = Some(row);
        }
    }
    detected
}
