//! Which windows of the past are like one of today, by the clock of a zone.

use jiff::ToSpan as _;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use watchkeep_model::charter::Season;
use watchkeep_model::time::{TimeSpan, Timestamp};

/// Instants at which the clock showed the same as at `start`, one for each day
/// or week back, latest first; `None` for a day on which the clock skipped that
/// time. Of a time that came twice it is the first.
///
/// Windows lie on a grid in UTC: which of them is meant is for the caller to
/// find. Where the zone is unknown nothing is alike.
pub fn season(
    by: Season,
    weeks: u32,
    zone: Option<&str>,
    start: Timestamp,
) -> Vec<Option<Timestamp>> {
    let (days, count) = match by {
        Season::HourOfDay => (1, i64::from(weeks) * 7),
        Season::HourOfWeek => (7, i64::from(weeks)),
    };
    let Some(zone) = zone else {
        return (1..=count).map(|back| Some(start - TimeSpan::DAY.times(days * back))).collect();
    };
    let clock = TimeZone::get(zone).ok().and_then(|zone| Some((at_clock(&zone, start)?, zone)));
    let Some((today, zone)) = clock else { return Vec::new() };
    (1..=count)
        .map(|back| first_occurrence(&zone, today.checked_sub((days * back).days()).ok()?))
        .collect()
}

fn at_clock(zone: &TimeZone, at: Timestamp) -> Option<DateTime> {
    Some(zone.to_datetime(jiff::Timestamp::from_microsecond(at.as_micros()).ok()?))
}

fn first_occurrence(zone: &TimeZone, clock: DateTime) -> Option<Timestamp> {
    let offset = match zone.to_ambiguous_timestamp(clock).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { before, .. } => before,
        AmbiguousOffset::Gap { .. } => return None,
    };
    Some(Timestamp::from_micros(offset.to_timestamp(clock).ok()?.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(by: Season, weeks: u32, zone: Option<&str>, start: &str) -> Vec<String> {
        let found = season(by, weeks, zone, start.parse().unwrap());
        found.iter().map(|at| at.map_or("-".into(), |at| at.to_string())).collect()
    }

    #[test]
    fn a_season_goes_back_week_by_week_or_day_by_day() {
        let start = "2013-05-06T00:00:00Z";
        assert_eq!(
            show(Season::HourOfWeek, 2, None, start),
            ["2013-04-29T00:00:00Z", "2013-04-22T00:00:00Z"]
        );
        assert_eq!(show(Season::HourOfDay, 2, None, start).len(), 14);
    }

    /// Berlin put its clocks forward on 2024-03-31 at 02:00 and back on 2024-10-27 at 03:00.
    #[test]
    fn the_clock_of_the_zone_tells_the_hour() {
        let berlin = Some("Europe/Berlin");
        assert_eq!(
            show(Season::HourOfWeek, 2, berlin, "2024-04-01T07:00:00Z"),
            ["2024-03-25T08:00:00Z", "2024-03-18T08:00:00Z"],
            "nine o'clock on Mondays"
        );
        let days = show(Season::HourOfDay, 1, berlin, "2024-04-02T00:30:00Z");
        assert_eq!(
            days[..3],
            ["2024-04-01T00:30:00Z", "-", "2024-03-30T01:30:00Z"],
            "half past two"
        );
        let days = show(Season::HourOfDay, 1, berlin, "2024-10-28T01:30:00Z");
        assert_eq!(days[..2], ["2024-10-27T00:30:00Z", "2024-10-26T00:30:00Z"], "the first of two");
        let second = show(Season::HourOfDay, 1, berlin, "2024-10-27T01:30:00Z");
        assert_eq!(second[0], "2024-10-26T00:30:00Z", "the second of two, like the first");
    }

    #[test]
    fn an_unknown_zone_has_no_season() {
        assert!(show(Season::HourOfDay, 1, Some("Moon/Tycho"), "2024-04-02").is_empty());
    }
}
