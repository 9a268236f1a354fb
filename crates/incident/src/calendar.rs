//! Working hours on the wall clock of a zone (IANA names, bundled rules).
//!
//! Where the clocks go back, a time of day happens twice: hours begin at its
//! first and end at its last occurrence. Where they go forward and a time of
//! day does not happen, the instant of the change stands in for it.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use watchkeep_model::charter::Severity;
use watchkeep_model::policy::{Day, Hours, Outside, TimeOfDay, Weekday, Working};
use watchkeep_model::time::Timestamp;

/// Days that are searched for the next working hours. Where holidays or empty
/// hours leave none within them, nothing is deferred: a page out of hours is
/// better than none.
const DAYS_AHEAD_MAX: i32 = 370;

/// When a step that would be entered at `at` is entered: then, or at the next
/// start of working hours where the policy defers this severity.
pub fn entry_time(hours: Option<&Hours>, severity: Severity, at: Timestamp) -> Timestamp {
    match hours {
        Some(hours) if hours.outside.get(&severity) == Some(&Outside::Defer) => {
            next_working(hours, at).unwrap_or(at)
        }
        _ => at,
    }
}

/// The first instant from `at` on that is within working hours; `None` where
/// the zone is unknown or there is none within `DAYS_AHEAD_MAX` days.
pub fn next_working(hours: &Hours, at: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(&hours.zone).ok()?;
    let today = local(at, &zone)?.date();
    // Yesterday's hours may reach past midnight where the clocks go back.
    let mut day = today.yesterday().ok()?;
    for _ in 0..DAYS_AHEAD_MAX {
        let starts = spans_of(hours, day, &zone)
            .filter(|(_, end)| *end > at)
            .map(|(start, _)| start.max(at))
            .min();
        if starts.is_some() {
            return starts;
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// The wall clock of a zone at an instant, as the instant at which a clock in
/// UTC shows the same; `None` where the zone is unknown.
pub fn wall_clock(at: Timestamp, zone: &str) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let offset = zone.to_offset(instant(at)?);
    Some(Timestamp::from_micros(at.as_micros() + i64::from(offset.seconds()) * 1_000_000))
}

/// The instant at which the wall clock of a zone shows as much more than at
/// `from` as `plain` is later than `from`: with a hand-over at nine, nine
/// o'clock of a later day whatever the clocks did between. The first of two
/// such instants, and the change of the clocks where there is none, so that of
/// two the later `plain` never gives the earlier instant; `None` where the zone
/// is unknown.
pub fn on_wall_clock(from: Timestamp, plain: Timestamp, zone: &str) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    let begin = local(from, &zone)?;
    let passed = jiff::SignedDuration::from_micros(plain.since(from).as_micros());
    shown(begin.checked_add(passed).ok()?, &zone, Which::First)
}

fn spans_of<'a>(
    hours: &'a Hours,
    day: Date,
    zone: &'a TimeZone,
) -> impl Iterator<Item = (Timestamp, Timestamp)> + 'a {
    let is_holiday = hours.holidays.contains(&Day(day));
    hours.working.iter().filter(move |working| !is_holiday && works_on(working, day)).filter_map(
        move |working| {
            let start = occurrence(day, working.from, zone, Which::First)?;
            let end = occurrence(day, working.to, zone, Which::Last)?;
            (start < end).then_some((start, end))
        },
    )
}

fn works_on(working: &Working, day: Date) -> bool {
    let weekday = match day.weekday() {
        jiff::civil::Weekday::Monday => Weekday::Mon,
        jiff::civil::Weekday::Tuesday => Weekday::Tue,
        jiff::civil::Weekday::Wednesday => Weekday::Wed,
        jiff::civil::Weekday::Thursday => Weekday::Thu,
        jiff::civil::Weekday::Friday => Weekday::Fri,
        jiff::civil::Weekday::Saturday => Weekday::Sat,
        jiff::civil::Weekday::Sunday => Weekday::Sun,
    };
    working.days.contains(&weekday)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

fn occurrence(day: Date, time: TimeOfDay, zone: &TimeZone, which: Which) -> Option<Timestamp> {
    let midnight = time.minutes() == 24 * 60;
    let day = if midnight { day.tomorrow().ok()? } else { day };
    let minutes = if midnight { 0 } else { time.minutes() };
    let hour = i8::try_from(minutes / 60).ok()?;
    let minute = i8::try_from(minutes % 60).ok()?;
    shown(day.at(hour, minute, 0, 0), zone, which)
}

/// The instant at which a zone's wall clock shows this.
fn shown(clock: DateTime, zone: &TimeZone, which: Which) -> Option<Timestamp> {
    let at = |offset: jiff::tz::Offset| offset.to_timestamp(clock).ok();
    let found = match zone.to_ambiguous_timestamp(clock).offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset)?,
        AmbiguousOffset::Fold { before, after } => {
            at(if which == Which::First { before } else { after })?
        }
        // The wall clock skips this time. Read with the offset before, it lies
        // behind the change, with the one after it in front of it; the change
        // itself is the last transition before the former.
        AmbiguousOffset::Gap { before, .. } => {
            let behind = at(before)?;
            // The first time that is skipped is the change itself.
            let after = behind.checked_add(jiff::SignedDuration::from_micros(1)).ok()?;
            zone.preceding(after).next().map_or(behind, |change| change.timestamp())
        }
    };
    Some(Timestamp::from_micros(found.as_microsecond()))
}

fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_microsecond(at.as_micros()).ok()
}

fn local(at: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(instant(at)?))
}

#[cfg(test)]
mod tests;
