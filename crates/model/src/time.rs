//! Instants and spans in whole microseconds. Both are types of their own so
//! that a span is never added to a span where an instant was meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

mod exact;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
///
/// As text in facts (JSON) it is RFC 3339 in UTC with six digits of the second,
/// so that texts sort as instants do; for people zeros are left out. In binary
/// formats it is the number of microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A span of time in microseconds, never negative when parsed.
///
/// As text it is a number and a unit: `250ms`, `60s`, `10m`, `1h`, `1d`, `4w`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(i64);

/// Why a text is no instant or span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is no RFC 3339 instant; correct the text.
    #[error("`{0}` is not an instant: write RFC 3339, for example 2013-05-06T14:00:00Z")]
    Timestamp(String),
    /// The text is no span; correct the text.
    #[error(
        "`{0}` is not a duration: write a whole number and one of ms, s, m, h, d, w, for example 10m"
    )]
    Span(String),
}

impl Timestamp {
    /// The earliest instant that a text can name: 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// The latest instant that a text can name: 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// From milliseconds since the epoch, as Kafka keeps them.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// True where the instant can be written as text (years 1 to 9999).
    pub const fn is_writable(self) -> bool {
        self.0 >= Self::MIN.0 && self.0 <= Self::MAX.0
    }

    /// The start of the slice of length `size` that holds this instant.
    /// Slices are counted from 1970-01-01T00:00Z, those of whole weeks from
    /// the Monday after it, 1970-01-05.
    pub fn floor(self, size: TimeSpan) -> Self {
        let origin = if size.0 % TimeSpan::WEEK.0 == 0 { 4 * TimeSpan::DAY.0 } else { 0 };
        Self((self.0 - origin).div_euclid(size.0) * size.0 + origin)
    }

    /// The first whole multiple of `size` strictly after this instant.
    pub fn next_multiple(self, size: TimeSpan) -> Self {
        Self(self.floor(size).0 + size.0)
    }

    /// The span since `earlier`; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> TimeSpan {
        TimeSpan(self.0.saturating_sub(earlier.0))
    }
}

impl TimeSpan {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Longer than anything that happens.
    pub const MAX: Self = Self(i64::MAX);
    /// One second.
    pub const SECOND: Self = Self(1_000_000);
    /// One minute.
    pub const MINUTE: Self = Self(60 * Self::SECOND.0);
    /// One hour.
    pub const HOUR: Self = Self(60 * Self::MINUTE.0);
    /// One day of 24 hours.
    pub const DAY: Self = Self(24 * Self::HOUR.0);
    /// One week.
    pub const WEEK: Self = Self(7 * Self::DAY.0);

    /// From microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// `n` times this span.
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// Half of it, to the microsecond below.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// True where this span is a whole number of `unit`s.
    pub const fn is_multiple_of(self, unit: Self) -> bool {
        unit.0 != 0 && self.0 % unit.0 == 0
    }

    /// For the standard library's waiting and the like; negative becomes zero.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }
}

impl std::ops::Add<TimeSpan> for Timestamp {
    type Output = Self;
    fn add(self, span: TimeSpan) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<TimeSpan> for Timestamp {
    type Output = Self;
    fn sub(self, span: TimeSpan) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl std::ops::Add for TimeSpan {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds where there are any: `2013-05-06T14:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = write_to_the_second(*self, f)?;
        if micros != 0 {
            let digits = format!("{micros:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Writes the text up to the second and returns the microseconds that remain.
fn write_to_the_second(at: Timestamp, f: &mut fmt::Formatter<'_>) -> Result<i64, fmt::Error> {
    let days = at.0.div_euclid(TimeSpan::DAY.0);
    let rest = at.0.rem_euclid(TimeSpan::DAY.0);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute) = (rest / TimeSpan::HOUR.0, rest / TimeSpan::MINUTE.0 % 60);
    let second = rest / TimeSpan::SECOND.0 % 60;
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    Ok(rest % TimeSpan::SECOND.0)
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339 with any offset; a bare date is its midnight in UTC. Digits
    /// past the microsecond are cut.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_timestamp(text).ok_or_else(|| TimeError::Timestamp(shorten(text)))
    }
}

impl fmt::Display for TimeSpan {
    /// The largest unit that divides it: `90m`, `1d`, `250ms`, `7us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 6] = [
            (TimeSpan::WEEK.0, "w"),
            (TimeSpan::DAY.0, "d"),
            (TimeSpan::HOUR.0, "h"),
            (TimeSpan::MINUTE.0, "m"),
            (TimeSpan::SECOND.0, "s"),
            (1000, "ms"),
        ];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (size, unit) in UNITS {
            if self.0 % size == 0 {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}us", self.0)
    }
}

impl FromStr for TimeSpan {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError::Span(shorten(text));
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match &text[digits..] {
            "us" => 1,
            "ms" => 1000,
            "s" => Self::SECOND.0,
            "m" => Self::MINUTE.0,
            "h" => Self::HOUR.0,
            "d" => Self::DAY.0,
            "w" => Self::WEEK.0,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            exact::serialize(*self, serializer)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 instant or whole microseconds since 1970")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, micros: i64) -> Result<Timestamp, E> {
                Ok(Timestamp(micros))
            }
            fn visit_u64<E: de::Error>(self, micros: u64) -> Result<Timestamp, E> {
                i64::try_from(micros).map(Timestamp).map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Visitor)
        } else {
            deserializer.deserialize_i64(Visitor)
        }
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Longest part of a wrong text that an error repeats.
const SHOWN_CHARS_MAX: usize = 60;

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let mut n = 0;
        for &b in bytes.get(from..to)? {
            if !b.is_ascii_digit() {
                return None;
            }
            n = n * 10 + i64::from(b - b'0');
        }
        Some(n)
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|b| wanted.contains(b));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    if !is(4, b"-") || !is(7, b"-") || year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * TimeSpan::DAY.0;
    if bytes.len() == 10 {
        return Some(Timestamp(midnight));
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !is(10, b"Tt ") || !is(13, b":") || !is(16, b":") || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    // A leap second is counted as the second after it, as POSIX time does.
    let mut at = 19;
    let mut micros = 0;
    if is(at, b".") {
        let start = at + 1;
        at = start;
        while is(at, b"0123456789") {
            at += 1;
        }
        if at == start {
            return None;
        }
        let kept = (at - start).min(6);
        micros = number(start, start + kept)? * 10_i64.pow(6 - u32::try_from(kept).ok()?);
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && is(at + 3, b":") => {
            let (h, m) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if h > 23 || m > 59 {
                return None;
            }
            let span = h * TimeSpan::HOUR.0 + m * TimeSpan::MINUTE.0;
            if *sign == b'+' { span } else { -span }
        }
        _ => return None,
    };
    let time = hour * TimeSpan::HOUR.0 + minute * TimeSpan::MINUTE.0 + second * TimeSpan::SECOND.0;
    Some(Timestamp(midnight + time + micros - offset))
}

/// Days since 1970-01-01 of a proleptic Gregorian date. Source: Howard
/// Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`], from the same source.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let doe = shifted.rem_euclid(146_097);
    let year_of_era = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let day_of_year = doe - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_are_read_as_rfc_3339() {
        let at = |text: &str| text.parse::<Timestamp>().map(|t| t.to_string());
        assert_eq!(at("2013-05-06"), Ok("2013-05-06T00:00:00Z".into()));
        assert_eq!(at("2013-05-06T14:00:00-04:00"), Ok("2013-05-06T18:00:00Z".into()));
        assert_eq!(at("2013-05-06T14:00:00.1234567Z"), Ok("2013-05-06T14:00:00.123456Z".into()));
        assert_eq!(at("1969-12-31T23:59:59.5Z"), Ok("1969-12-31T23:59:59.5Z".into()));
        for wrong in
            ["", "2013", "2013-02-29", "2013-05-06T14:00:00", "2013-05-06T24:00:00Z", "mañana"]
        {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn facts_write_all_six_digits() {
        let at: Timestamp = "2013-05-06T14:00:00.5Z".parse().unwrap();
        assert_eq!(crate::json::to_line(&at), r#""2013-05-06T14:00:00.500000Z""#);
    }

    #[test]
    fn weeks_are_counted_from_a_monday() {
        let thursday: Timestamp = "1970-01-08T12:00:00Z".parse().unwrap();
        assert_eq!(thursday.floor(TimeSpan::WEEK).to_string(), "1970-01-05T00:00:00Z");
        assert_eq!(thursday.floor(TimeSpan::DAY).to_string(), "1970-01-08T00:00:00Z");
    }

    #[test]
    fn spans_are_written_in_the_largest_unit_that_divides_them() {
        for text in ["250ms", "1m", "10m", "1h", "1d", "4w", "90s", "0s", "7us"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<TimeSpan>().unwrap().to_string(), "1m");
        for wrong in ["", "10", "h", "-1h", "1.5h", "1 h", "99999999999999999w"] {
            assert!(wrong.parse::<TimeSpan>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp(micros);
            prop_assert_eq!(at.to_string().parse(), Ok(at));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            let _ = text.parse::<Timestamp>();
            let _ = text.parse::<TimeSpan>();
        }
    }
}
