//! iCalendar (RFC 5545) in: events with their recurrences as plain spans of time.
//!
//! What calendars of people and rotas use is read: VEVENT with DTSTART, DTEND
//! or DURATION, RRULE, RDATE, EXDATE and single occurrences that were moved
//! (RECURRENCE-ID); dates, times in UTC, in zones (TZID) of the IANA database, of
//! Windows and of the calendar itself (VTIMEZONE), and without a zone. Cancelled events and those that leave the time free are passed over.
//! Recurrences are the `rrule` crate's; they are counted on the wall clock, so
//! that nine o'clock stays nine o'clock when the clocks change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use watchkeep_model::time::Timestamp;

mod windows;
mod zones;

use zones::Zones;

/// Bytes of one calendar. A larger one is refused.
pub const CALENDAR_BYTES_MAX: usize = 16 << 20;

/// Occurrences of one event that are looked at. An event that goes on beyond
/// is refused: the span that is asked for is too long for it.
pub const OCCURRENCES_MAX: usize = 20_000;

/// An event of a calendar, one for each occurrence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// First instant.
    pub from: Timestamp,
    /// End, after `from`.
    pub to: Timestamp,
    /// SUMMARY.
    pub summary: String,
    /// Mail addresses of ATTENDEE, without `mailto:`, in lower case.
    pub attendees: Vec<String>,
}

/// Why a calendar cannot be read, with the line from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct IcalError {
    /// The line at which the property or the component begins.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

/// The occurrences that overlap `[from, to)`, by time. Times without a zone
/// are those of `zone`, an IANA name.
///
/// # Errors
/// [`IcalError`]: the text is no calendar, or has a time or a rule that cannot
/// be read.
pub fn read(
    text: &str,
    zone: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Event>, IcalError> {
    let fail = |line, what: String| IcalError { line, what };
    if text.len() > CALENDAR_BYTES_MAX {
        let what = format!("{} bytes, and a calendar may have {CALENDAR_BYTES_MAX}", text.len());
        return Err(fail(1, what));
    }
    let floating =
        TimeZone::get(zone).map_err(|_| fail(1, format!("`{zone}` is not a time zone")))?;
    let (components, defined) = components(text)?;
    let zones = Zones::new(floating, &defined);
    let mut moved: BTreeSet<(String, Timestamp)> = BTreeSet::new();
    let mut drafts = Vec::new();
    for component in &components {
        let draft = Draft::of(component, &zones)?;
        if let Some(id) = draft.replaces {
            moved.insert((draft.uid.clone(), id));
        }
        drafts.push(draft);
    }
    let mut events = Vec::new();
    for draft in drafts.iter().filter(|draft| !draft.is_free) {
        for (begin, end) in draft.occurrences(from, to)? {
            let is_moved = draft.replaces.is_none() && moved.contains(&(draft.uid.clone(), begin));
            if !is_moved && begin < to && end > from {
                let (summary, attendees) = (draft.summary.clone(), draft.attendees.clone());
                events.push(Event { from: begin, to: end, summary, attendees });
            }
        }
    }
    events.sort();
    Ok(events)
}

/// A property: name, parameters and value.
#[derive(Debug)]
struct Property {
    line: usize,
    name: String,
    parameters: BTreeMap<String, String>,
    value: String,
}

/// A VEVENT, a VTIMEZONE or a part of one.
#[derive(Debug, Default)]
struct Component {
    line: usize,
    name: String,
    properties: Vec<Property>,
    /// STANDARD and DAYLIGHT of a VTIMEZONE.
    parts: Vec<Self>,
}

impl Component {
    fn get(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Property> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", |property| property.value.as_str())
    }
}

/// The events of a calendar, without what is nested in them, and its time zones.
fn components(text: &str) -> Result<(Vec<Component>, Vec<Component>), IcalError> {
    let mut stack: Vec<String> = Vec::new();
    let (mut events, mut zones) = (Vec::new(), Vec::new());
    let (mut open, mut part): (Option<Component>, Option<Component>) = (None, None);
    for (line, text) in unfolded(text) {
        let property = property(line, &text)?;
        match property.name.as_str() {
            "BEGIN" => {
                let name = property.value.to_ascii_uppercase();
                if stack.is_empty() && name != "VCALENDAR" {
                    break;
                }
                let begun = || Some(Component { line, name: name.clone(), ..Component::default() });
                match stack.len() {
                    1 if name == "VEVENT" || name == "VTIMEZONE" => open = begun(),
                    2 if stack[1] == "VTIMEZONE" => part = begun(),
                    _ => {}
                }
                stack.push(name);
            }
            "END" => {
                let name = property.value.to_ascii_uppercase();
                if stack.pop().as_deref() != Some(&name) {
                    let what = format!("END:{name} ends nothing that has begun");
                    return Err(IcalError { line, what });
                }
                match (stack.len(), &mut open) {
                    (0, _) => return Ok((events, zones)),
                    (1, _) if name == "VTIMEZONE" => zones.extend(open.take()),
                    (1, _) => events.extend(open.take()),
                    (2, Some(open)) => open.parts.extend(part.take()),
                    _ => {}
                }
            }
            _ => match (stack.len(), &mut open, &mut part) {
                (2, Some(open), _) => open.properties.push(property),
                (3, _, Some(part)) => part.properties.push(property),
                _ => {}
            },
        }
    }
    let what = match stack.last() {
        Some(name) => format!("the calendar ends within {name}"),
        None => "this is no iCalendar file: it begins with BEGIN:VCALENDAR".to_owned(),
    };
    Err(IcalError { line: 1, what })
}

/// Content lines with the number of their first line; a line that begins with
/// a space or a tab goes on the one before.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, before))) => before.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => lines.push((number, line.to_owned())),
        }
    }
    lines
}

fn property(line: usize, text: &str) -> Result<Property, IcalError> {
    let mut is_quoted = false;
    let mut parts = vec![String::new()];
    let mut value = None;
    for (at, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            ';' if !is_quoted => parts.push(String::new()),
            ':' if !is_quoted => {
                value = Some(text[at + 1..].to_owned());
                break;
            }
            other => parts.last_mut().expect("there is a first part").push(other),
        }
    }
    let Some(value) = value else {
        return Err(IcalError { line, what: "a property has a colon before its value".to_owned() });
    };
    let mut parts = parts.into_iter();
    let name = parts.next().unwrap_or_default().to_ascii_uppercase();
    let parameters = parts
        .filter_map(|part| {
            let (name, value) = part.split_once('=')?;
            Some((name.to_ascii_uppercase(), value.to_owned()))
        })
        .collect();
    Ok(Property { line, name, parameters, value })
}

/// A date, or a date and a time, on the wall clock of a zone.
#[derive(Clone, Debug)]
struct Moment {
    clock: DateTime,
    zone: TimeZone,
    is_date: bool,
}

impl Moment {
    fn of(property: &Property, value: &str, zones: &Zones) -> Result<Self, IcalError> {
        let fail = |what: String| IcalError { line: property.line, what };
        let unreadable = || fail(format!("`{value}` is not a date or a time of iCalendar"));
        let name = property.parameters.get("TZID").map(String::as_str);
        let zone = zones.get(name).ok_or_else(|| {
            let name = name.unwrap_or_default();
            fail(format!(
                "TZID `{name}` is no IANA zone, and the calendar defines no zone of that name: export \
                 it with names such as Europe/London"
            ))
        })?;
        let (text, zone) = match value.strip_suffix('Z') {
            Some(text) => (text, TimeZone::UTC),
            None => (value, zone),
        };
        let (date, time) = text.split_once('T').map_or((text, None), |(d, t)| (d, Some(t)));
        let digits = |text: &str, from: usize, to: usize| {
            text.get(from..to).and_then(|part| part.parse::<i16>().ok()).ok_or_else(unreadable)
        };
        let small = |number: i16| i8::try_from(number).map_err(|_| unreadable());
        if date.len() != 8 || time.is_some_and(|time| time.len() != 6) {
            return Err(unreadable());
        }
        let (month, day) = (small(digits(date, 4, 6)?)?, small(digits(date, 6, 8)?)?);
        let date = Date::new(digits(date, 0, 4)?, month, day).map_err(|_| unreadable())?;
        let clock = match time {
            None => date.to_datetime(Time::midnight()),
            Some(time) => {
                let part = |from| digits(time, from, from + 2).and_then(small);
                // A leap second is the one before it.
                let second = part(4)?.min(59);
                let time = Time::new(part(0)?, part(2)?, second, 0).map_err(|_| unreadable())?;
                date.to_datetime(time)
            }
        };
        Ok(Self { clock, zone, is_date: time.is_none() })
    }

    fn at(&self, clock: DateTime) -> Option<Timestamp> {
        let at = self.zone.to_ambiguous_timestamp(clock).compatible().ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }
}

/// An event before its occurrences.
#[derive(Debug)]
struct Draft {
    line: usize,
    uid: String,
    summary: String,
    attendees: Vec<String>,
    start: Moment,
    /// From start to end on the wall clock.
    length: jiff::SignedDuration,
    rule: Option<String>,
    more: Vec<Moment>,
    without: Vec<Moment>,
    /// The occurrence that it stands in place of.
    replaces: Option<Timestamp>,
    /// Nobody is away because of it.
    is_free: bool,
}

impl Draft {
    fn of(component: &Component, zones: &Zones) -> Result<Self, IcalError> {
        let line = component.line;
        let fail = |what: &str| IcalError { line, what: what.to_owned() };
        let moment = |property: &Property| Moment::of(property, &property.value, zones);
        let start = component.get("DTSTART").ok_or_else(|| fail("an event has a DTSTART"))?;
        let start = moment(start)?;
        let length = match (component.get("DTEND"), component.get("DURATION")) {
            (Some(end), _) => {
                let end = moment(end)?;
                let clock = end.at(end.clock).map(|at| on_clock(at, &start.zone));
                clock.flatten().map(|clock| clock.duration_since(start.clock))
            }
            (None, Some(duration)) => duration.value.parse::<jiff::SignedDuration>().ok(),
            (None, None) if start.is_date => Some(jiff::SignedDuration::from_hours(24)),
            (None, None) => Some(jiff::SignedDuration::ZERO),
        };
        let length = length
            .or_else(|| weeks_and_days(component.text("DURATION")))
            .ok_or_else(|| fail("the end or the duration of the event cannot be read"))?;
        let list = |name: &str| -> Result<Vec<Moment>, IcalError> {
            let mut moments = Vec::new();
            for property in component.all(name) {
                for value in property.value.split(',') {
                    // A period has its own end; its start is what counts here.
                    let value = value.split('/').next().unwrap_or(value);
                    moments.push(Moment::of(property, value, zones)?);
                }
            }
            Ok(moments)
        };
        let replaces = component.get("RECURRENCE-ID").map(moment).transpose()?;
        let address = |property: &Property| {
            let value = property.value.to_ascii_lowercase();
            value.strip_prefix("mailto:").map_or(value.clone(), str::to_owned)
        };
        Ok(Self {
            line,
            uid: component.text("UID").to_owned(),
            summary: unescaped(component.text("SUMMARY")),
            attendees: component.all("ATTENDEE").map(address).collect(),
            length,
            rule: component.get("RRULE").map(|rule| rule.value.clone()),
            more: list("RDATE")?,
            without: list("EXDATE")?,
            replaces: replaces.and_then(|moment| moment.at(moment.clock)),
            is_free: component.text("STATUS").eq_ignore_ascii_case("CANCELLED")
                || component.text("TRANSP").eq_ignore_ascii_case("TRANSPARENT"),
            start,
        })
    }

    fn occurrences(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>, IcalError> {
        let mut starts: BTreeSet<DateTime> = BTreeSet::from([self.start.clock]);
        if let Some(rule) = &self.rule {
            starts.extend(self.repeated(rule, to)?);
        }
        let on_own_clock =
            |moment: &Moment| moment.at(moment.clock).and_then(|at| on_clock(at, &self.start.zone));
        starts.extend(self.more.iter().filter_map(on_own_clock));
        for moment in &self.without {
            if moment.is_date {
                starts.retain(|start| start.date() != moment.clock.date());
            } else if let Some(clock) = on_own_clock(moment) {
                starts.remove(&clock);
            }
        }
        let spans = starts.into_iter().filter_map(|start| {
            let end = start.checked_add(self.length).ok()?;
            Some((self.start.at(start)?, self.start.at(end)?))
        });
        Ok(spans.filter(|(begin, end)| begin < end && *begin < to && *end > from).collect())
    }

    /// The starts of a rule up to an instant, on the event's own wall clock:
    /// to the rule it is a clock that never changes.
    fn repeated(&self, rule: &str, to: Timestamp) -> Result<Vec<DateTime>, IcalError> {
        let fail = |what: String| IcalError { line: self.line, what };
        // Rules are ASCII (RFC 5545, 3.3.10), and the crate cuts them at bytes.
        if let Some(other) = rule.chars().find(|character| !character.is_ascii()) {
            let what =
                format!("RRULE:{rule} cannot be read: `{}` is in no rule", other.escape_debug());
            return Err(fail(what));
        }
        let end = on_clock(to, &self.start.zone).unwrap_or(DateTime::MAX);
        let text = format!(
            "DTSTART:{}Z\nRRULE:{}",
            self.start.clock.strftime("%Y%m%dT%H%M%S"),
            self.until_on_clock(rule)?
        );
        let set: rrule::RRuleSet =
            text.parse().map_err(|error| fail(format!("RRULE:{rule} cannot be read: {error}")))?;
        let mut starts = Vec::new();
        for start in &set {
            let at = jiff::Timestamp::from_second(start.timestamp())
                .map_err(|_| fail(format!("RRULE:{rule} leaves the calendar")))?;
            let clock = TimeZone::UTC.to_datetime(at);
            if clock >= end {
                break;
            }
            if starts.len() >= OCCURRENCES_MAX {
                let what = format!(
                    "RRULE:{rule} has more than {OCCURRENCES_MAX} occurrences: ask for a shorter time"
                );
                return Err(fail(what));
            }
            starts.push(clock);
        }
        Ok(starts)
    }

    /// The rule with its UNTIL on the event's wall clock.
    fn until_on_clock(&self, rule: &str) -> Result<String, IcalError> {
        let mut parts = Vec::new();
        for part in rule.split(';') {
            let Some(until) = part.strip_prefix("UNTIL=") else {
                parts.push(part.to_owned());
                continue;
            };
            let property = Property {
                line: self.line,
                name: "RRULE".to_owned(),
                parameters: BTreeMap::new(),
                value: until.to_owned(),
            };
            let until = Moment::of(&property, until, &Zones::of(self.start.zone.clone()))?;
            let clock = match until.is_date {
                true => until.clock.date().to_datetime(Time::constant(23, 59, 59, 0)),
                false => until
                    .at(until.clock)
                    .and_then(|at| on_clock(at, &self.start.zone))
                    .unwrap_or(until.clock),
            };
            parts.push(format!("UNTIL={}Z", clock.strftime("%Y%m%dT%H%M%S")));
        }
        Ok(parts.join(";"))
    }
}

fn on_clock(at: Timestamp, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(jiff::Timestamp::from_microsecond(at.as_micros()).ok()?))
}

/// `P1W` and `P2DT3H`: days of 24 hours on the wall clock.
fn weeks_and_days(text: &str) -> Option<jiff::SignedDuration> {
    let span: jiff::Span = text.parse().ok()?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    span.to_duration(relative).ok()
}

/// A text value without its escapes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n' | 'N') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            (other, false) => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn calendar(events: &[&str]) -> String {
        let event = |lines: &&str| format!("BEGIN:VEVENT\r\nUID:u\r\n{lines}\r\nEND:VEVENT\r\n");
        let events: String = events.iter().map(event).collect();
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
            .replace("\r\n\n", "\r\n")
    }

    fn spans(events: &[&str], from: &str, to: &str) -> Vec<String> {
        let found = read(&calendar(events), "Europe/Berlin", at(from), at(to)).unwrap();
        found.iter().map(|event| format!("{} {}", event.from, event.to)).collect()
    }

    #[test]
    fn dates_are_whole_days_of_the_zone() {
        // Easter: the clocks go forward on 2026-03-29.
        let found = spans(
            &["DTSTART;VALUE=DATE:20260328\r\nDTEND;VALUE=DATE:20260330"],
            "2026-01-01",
            "2027-01-01",
        );
        assert_eq!(found, ["2026-03-27T23:00:00Z 2026-03-29T22:00:00Z"]);
        let found = spans(&["DTSTART;VALUE=DATE:20260105"], "2026-01-01", "2027-01-01");
        assert_eq!(found, ["2026-01-04T23:00:00Z 2026-01-05T23:00:00Z"]);
    }

    #[test]
    fn nine_o_clock_stays_nine_o_clock() {
        let event = "DTSTART;TZID=America/New_York:20260302T090000\r\nDURATION:PT8H\r\n\
                     RRULE:FREQ=WEEKLY;COUNT=3\r\nEXDATE;TZID=America/New_York:20260316T090000";
        let found = spans(&[event], "2026-01-01", "2027-01-01");
        let expected = [
            "2026-03-02T14:00:00Z 2026-03-02T22:00:00Z",
            "2026-03-09T13:00:00Z 2026-03-09T21:00:00Z",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn until_counts_the_last_day_in_and_a_moved_occurrence_stands_in_its_place() {
        let events = [
            "DTSTART:20260105T080000Z\r\nDTEND:20260105T090000Z\r\nRRULE:FREQ=DAILY;UNTIL=20260108",
            "RECURRENCE-ID:20260106T080000Z\r\nDTSTART:20260106T120000Z\r\nDTEND:20260106T130000Z",
        ];
        let found = spans(&events, "2026-01-01", "2027-01-01");
        let starts: Vec<&str> = found.iter().map(|span| &span[..13]).collect();
        assert_eq!(starts, ["2026-01-05T08", "2026-01-06T12", "2026-01-07T08", "2026-01-08T08"]);
    }

    #[test]
    fn what_is_free_or_cancelled_or_elsewhere_in_time_is_passed_over() {
        let events = [
            "DTSTART:20260105T080000Z\r\nDTEND:20260105T090000Z\r\nTRANSP:TRANSPARENT",
            "DTSTART:20260106T080000Z\r\nDTEND:20260106T090000Z\r\nSTATUS:CANCELLED",
            "DTSTART:20250106T080000Z\r\nDTEND:20250106T090000Z",
            "DTSTART:20260107T080000Z\r\nDURATION:P1W",
        ];
        let found = spans(&events, "2026-01-01", "2026-02-01");
        assert_eq!(found, ["2026-01-07T08:00:00Z 2026-01-14T08:00:00Z"]);
    }

    #[test]
    fn lines_are_unfolded_and_names_kept() {
        let event = "SUMMARY:On call\\, first\r\n  line\r\nATTENDEE;CN=\"Ada: Byron\":mailto:ADA@example.com\r\n\
                     DTSTART:20260107T080000Z\r\nDTEND:20260107T090000Z";
        let found = read(&calendar(&[event]), "UTC", at("2026-01-01"), at("2027-01-01")).unwrap();
        assert_eq!(found[0].summary, "On call, first line");
        assert_eq!(found[0].attendees, ["ada@example.com"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let error = |text: &str| {
            let (from, to) = (at("2026-01-01"), at("2027-01-01"));
            read(text, "UTC", from, to).unwrap_err().to_string()
        };
        assert!(error("hello").starts_with("line 1:"));
        assert!(error("BEGIN:VCALENDAR\nBEGIN:VEVENT\n").contains("ends within VEVENT"));
        let event = |lines: &str| error(&calendar(&[lines]));
        assert!(event("SUMMARY:x").contains("line 3: an event has a DTSTART"));
        assert!(event("DTSTART;TZID=Our Time:20260105T080000").contains("IANA"));
        assert!(event("DTSTART:2026-01-05").contains("is not a date"));
        let rule = "DTSTART:20260105T080000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=SECONDLY";
        assert!(event(rule).contains("more than 20000 occurrences"));
        let rule = "DTSTART:20260105T080000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=SOMETIMES";
        assert!(event(rule).contains("cannot be read"));
        let rule = "DTSTART:20260105T080000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,e\u{301}\u{1f600}";
        assert!(event(rule).contains("is in no rule"));
    }
}
