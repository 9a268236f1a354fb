//! The Numenta Anomaly Benchmark: one charter for all series, replayed through
//! all stages, and its breaches scored as the benchmark scores.
//!
//! A detection is a breach that is `opened`; it counts at the first row that
//! is not before its `detected_at`, when an online program would have told.

pub mod replay;
pub mod score;
pub mod trivial;

use std::collections::BTreeMap;
use std::path::Path;

use watchkeep_model::time::Timestamp;

/// The charter of every series.
pub const CHARTER: &str = include_str!("charter.yaml");

/// One series with its labelled windows.
#[derive(Clone, Debug)]
pub struct Series {
    /// Folder and file, as `incident_windows.json` names it.
    pub name: String,
    /// Times of the rows, ascending.
    pub times: Vec<Timestamp>,
    /// Their values.
    pub values: Vec<f64>,
    /// First and last row of each labelled window.
    pub windows: Vec<(usize, usize)>,
}

/// Reads every series of a folder that its `incident_windows.json` names and
/// that is there. With the whole benchmark in place all of it is read.
///
/// # Errors
/// Says which file cannot be read or what in it is wrong.
pub fn read(folder: &Path) -> Result<Vec<Series>, String> {
    let windows = text(&folder.join("incident_windows.json"))?;
    let windows: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&windows)
        .map_err(|error| format!("incident_windows.json: {error}"))?;
    let there = windows.iter().filter(|(name, _)| folder.join(name).exists());
    there.map(|(name, windows)| series(folder, name, windows)).collect()
}

fn series(folder: &Path, name: &str, labels: &[(String, String)]) -> Result<Series, String> {
    let text = text(&folder.join(name))?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let wrong = || format!("{name}:{}: not a time and a number: {line}", number + 1);
        let (time, value) = line.split_once(',').ok_or_else(wrong)?;
        times.push(instant(time).ok_or_else(wrong)?);
        values.push(value.trim().parse().map_err(|_| wrong())?);
    }
    let row = |time: &str| {
        let at = instant(time).ok_or_else(|| format!("{name}: {time} is no time"))?;
        Ok::<_, String>(times.partition_point(|other| *other < at))
    };
    let windows = labels
        .iter()
        .map(|(from, to)| Ok((row(from)?, row(to)?)))
        .collect::<Result<_, String>>()?;
    Ok(Series { name: name.to_owned(), times, values, windows })
}

/// `2014-02-14 14:30:00`, with or without a fraction, in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    text.trim().replacen(' ', "T", 1).split('.').next().map(|time| format!("{time}Z"))?.parse().ok()
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
