//! What windows are compared with: summaries of other times of the same stream.

use std::fmt::Write as _;
use std::sync::Arc;

use watchkeep_model::charter::{BaselineSpec, Season};
use watchkeep_model::identifier::sha256_hex;
use watchkeep_model::summary::Summary;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// A baseline that is fit to judge by.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// What it holds.
    pub summary: Arc<Summary>,
    /// Kind, extent and content hash, as facts name it.
    pub name: Arc<str>,
}

impl Baseline {
    /// Names a summary as the content of a baseline.
    pub fn new(spec: &BaselineSpec, summary: Arc<Summary>) -> Self {
        let name = format!("{} sha256:{}", extent(spec), &content_hash(&summary)[..16]);
        Self { summary, name: name.into() }
    }
}

/// The kind and extent of a baseline in words.
pub fn extent(spec: &BaselineSpec) -> String {
    match spec {
        BaselineSpec::Fixed { from, to } => format!("fixed {from}/{to}"),
        BaselineSpec::Seasonal { by: Season::HourOfDay, weeks } => {
            format!("seasonal hour_of_day {weeks}w")
        }
        BaselineSpec::Seasonal { by: Season::HourOfWeek, weeks } => {
            format!("seasonal hour_of_week {weeks}w")
        }
    }
}

/// Starts of the windows that a seasonal baseline of the window at `start` is
/// made of, latest first.
pub fn season(by: Season, weeks: u32, start: Timestamp) -> impl Iterator<Item = Timestamp> {
    let (period, count) = match by {
        Season::HourOfDay => (TimeSpan::DAY, i64::from(weeks) * 7),
        Season::HourOfWeek => (TimeSpan::WEEK, i64::from(weeks)),
    };
    (1..=count).map(move |back| start - period.times(back))
}

/// SHA-256 over counts, cells and categories in their order: equal contents
/// have equal hashes, whatever they were merged from.
pub fn content_hash(summary: &Summary) -> String {
    let mut text =
        format!("{} {} {}\n", summary.count, summary.null_count, summary.non_finite_count);
    match summary.numbers.raw() {
        Some(values) => {
            for value in values {
                let _ = write!(text, "{:x} ", value.to_bits());
            }
        }
        None => {
            for (cell, count) in summary.numbers.cells() {
                let _ = write!(text, "{cell}:{count} ");
            }
        }
    }
    for (category, count) in summary.categories.counts() {
        let _ = write!(text, "\n{}:{category} {count}", category.len());
    }
    let _ = write!(text, "\n{} {}", summary.categories.level(), summary.categories.other());
    sha256_hex(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_goes_back_week_by_week_or_day_by_day() {
        let start: Timestamp = "2013-05-06T00:00:00Z".parse().unwrap();
        let weekly: Vec<String> =
            season(Season::HourOfWeek, 2, start).map(|at| at.to_string()).collect();
        assert_eq!(weekly, ["2013-04-29T00:00:00Z", "2013-04-22T00:00:00Z"]);
        assert_eq!(season(Season::HourOfDay, 2, start).count(), 14);
    }
}
