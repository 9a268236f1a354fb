//! Which zone a TZID means.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Component, windows};

/// The zones of a calendar.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    /// Of times without a zone.
    floating: TimeZone,
    /// Zones that the calendar defines itself, by TZID.
    defined: BTreeMap<String, TimeZone>,
}

impl Zones {
    pub(super) fn new(floating: TimeZone, defined: &[Component]) -> Self {
        let zone = |component: &Component| {
            let zone = located(component).or_else(|| of_rules(component))?;
            Some((component.text("TZID").to_owned(), zone))
        };
        Self { floating, defined: defined.iter().filter_map(zone).collect() }
    }

    /// Where every time without a zone is in one, and no other is defined.
    pub(super) fn of(floating: TimeZone) -> Self {
        Self { floating, defined: BTreeMap::new() }
    }

    /// The zone of a TZID, and of none; `None` where nobody knows it. A name of
    /// the IANA database is that, with what some put before it, one of Windows
    /// what the CLDR takes it for, and any other what the calendar says of it.
    pub(super) fn get(&self, name: Option<&str>) -> Option<TimeZone> {
        let Some(name) = name else { return Some(self.floating.clone()) };
        let name = name.trim_matches('"');
        if let Ok(zone) = TimeZone::get(name) {
            return Some(zone);
        }
        if let Some(zone) = windows::zone(name) {
            return TimeZone::get(zone).ok();
        }
        self.defined.get(name).cloned().or_else(|| behind_prefix(name))
    }
}

/// `/freeassociation.sourceforge.net/Europe/Berlin`: a name of which the world is
/// told that it is unique (RFC 5545, 3.2.19).
fn behind_prefix(name: &str) -> Option<TimeZone> {
    let mut rest = name.strip_prefix('/')?;
    while let Some((_, shorter)) = rest.split_once('/') {
        if let Ok(zone) = TimeZone::get(shorter) {
            return Some(zone);
        }
        rest = shorter;
    }
    None
}

/// Of a VTIMEZONE that says which place it is of.
fn located(component: &Component) -> Option<TimeZone> {
    TimeZone::get(&component.get("X-LIC-LOCATION")?.value).ok()
}

/// Of a VTIMEZONE by its latest rules: as they are today they hold for all time.
fn of_rules(component: &Component) -> Option<TimeZone> {
    let latest = |name: &str| {
        let parts = component.parts.iter().filter(|part| part.name == name);
        parts.filter_map(Observance::of).max_by_key(|part| part.from)
    };
    let (standard, daylight) = (latest("STANDARD"), latest("DAYLIGHT"));
    let yearly = |part: &Observance| Some((part.offset, part.yearly.clone()?));
    let text = match (&standard, &daylight) {
        (Some(standard), Some(daylight)) => match (yearly(standard), yearly(daylight)) {
            (Some((winter, to_winter)), Some((summer, to_summer))) => {
                let (winter, summer) = (offset(winter), offset(summer));
                format!("<WIN>{winter}<SUM>{summer},{to_summer},{to_winter}")
            }
            // Whichever began last goes on.
            _ if daylight.from > standard.from => format!("<SUM>{}", offset(daylight.offset)),
            _ => format!("<WIN>{}", offset(standard.offset)),
        },
        (Some(only), None) | (None, Some(only)) => format!("<WIN>{}", offset(only.offset)),
        (None, None) => return None,
    };
    TimeZone::posix(&text).ok()
}

/// STANDARD or DAYLIGHT.
struct Observance {
    from: DateTime,
    /// Seconds east of Greenwich.
    offset: i32,
    /// When it begins each year, in the words of POSIX.
    yearly: Option<String>,
}

impl Observance {
    fn of(part: &Component) -> Option<Self> {
        let from: DateTime =
            DateTime::strptime("%Y%m%dT%H%M%S", part.text("DTSTART").trim_end_matches('Z')).ok()?;
        let offset = seconds(part.text("TZOFFSETTO"))?;
        let rule = part.get("RRULE").map(|rule| rule.value.as_str());
        let ends = rule.is_some_and(|rule| rule.contains("UNTIL=") || rule.contains("COUNT="));
        let yearly = rule.filter(|_| !ends).and_then(|rule| yearly(rule, from));
        Some(Self { from, offset, yearly })
    }
}

/// `M3.5.0/2`: the last Sunday of March, at two.
fn yearly(rule: &str, from: DateTime) -> Option<String> {
    const DAYS: [&str; 7] = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
    let part = |key: &str| rule.split(';').find_map(|part| part.strip_prefix(key));
    let month: i8 = match part("BYMONTH=") {
        Some(month) => month.parse().ok()?,
        None => from.month(),
    };
    let by_day = part("BYDAY=")?;
    let (number, day) = by_day.split_at_checked(by_day.len().checked_sub(2)?)?;
    let day = DAYS.iter().position(|known| *known == day)?;
    let week = match number.parse::<i8>().ok()? {
        -1 => 5,
        week @ 1..=4 => week,
        _ => return None,
    };
    let (hour, minute, second) = (from.hour(), from.minute(), from.second());
    Some(format!("M{month}.{week}.{day}/{hour}:{minute:02}:{second:02}"))
}

/// `+0100`, `-033000` in seconds.
fn seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("-", digits) => (-1, digits),
        ("+", digits) => (1, digits),
        _ => return None,
    };
    let part = |from: usize| digits.get(from..from + 2).and_then(|part| part.parse::<i32>().ok());
    let (hours, minutes) = (part(0)?, part(2)?);
    Some(sign * (hours * 3600 + minutes * 60 + part(4).unwrap_or(0)))
}

/// Seconds in the words of POSIX, where west is positive.
fn offset(seconds: i32) -> String {
    let sign = if seconds > 0 { "-" } else { "" };
    let left = seconds.abs();
    format!("{sign}{}:{:02}:{:02}", left / 3600, left % 3600 / 60, left % 60)
}

#[cfg(test)]
mod tests {
    use watchkeep_model::time::Timestamp;

    use super::super::read;

    fn start(zone: &str, tzid: &str, clock: &str) -> Result<String, String> {
        let text = format!(
            "BEGIN:VCALENDAR\n{zone}BEGIN:VEVENT\nUID:u\nDTSTART;TZID={tzid}:{clock}\nDURATION:PT1H\n\
             END:VEVENT\nEND:VCALENDAR\n"
        );
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let found = read(&text, "UTC", at("2026-01-01"), at("2027-01-01"));
        found.map(|events| events[0].from.to_string()).map_err(|error| error.to_string())
    }

    /// As Outlook writes it, with a name that is nobody else's.
    const OURS: &str = "BEGIN:VTIMEZONE\nTZID:Customized Time Zone\n\
        BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n\
        RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\n\
        BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n\
        RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n";

    #[test]
    fn zones_are_those_of_the_database_of_windows_or_of_the_calendar() {
        for (tzid, winter, summer) in [
            ("Europe/Berlin", "08:00", "07:00"),
            ("W. Europe Standard Time", "08:00", "07:00"),
            ("\"w. europe standard time\"", "08:00", "07:00"),
            ("Eastern Standard Time", "14:00", "13:00"),
            ("/freeassociation.sourceforge.net/Europe/Berlin", "08:00", "07:00"),
            ("Customized Time Zone", "08:00", "07:00"),
        ] {
            for (day, expected) in [("20260115", winter), ("20260715", summer)] {
                let found = start(OURS, tzid, &format!("{day}T090000")).unwrap();
                assert_eq!(&found[11..16], expected, "{tzid} {found}");
            }
        }
        // The night of the change, by the rule of the calendar and by the database.
        for tzid in ["Customized Time Zone", "Europe/Berlin"] {
            let found = start(OURS, tzid, "20260329T030000").unwrap();
            assert_eq!(found, "2026-03-29T01:00:00Z", "{tzid}");
        }
        let fixed = "BEGIN:VTIMEZONE\nTZID:Ours\nBEGIN:STANDARD\nDTSTART:20000101T000000\n\
            TZOFFSETFROM:+0530\nTZOFFSETTO:-0330\nEND:STANDARD\nEND:VTIMEZONE\n";
        assert_eq!(start(fixed, "Ours", "20260715T090000").unwrap(), "2026-07-15T12:30:00Z");
        let located = "BEGIN:VTIMEZONE\nTZID:Ours\nX-LIC-LOCATION:Asia/Tokyo\nEND:VTIMEZONE\n";
        assert_eq!(start(located, "Ours", "20260715T090000").unwrap(), "2026-07-15T00:00:00Z");
        let error = start("", "Customized Time Zone", "20260715T090000").unwrap_err();
        assert!(error.contains("defines no zone of that name"), "{error}");
    }
}
