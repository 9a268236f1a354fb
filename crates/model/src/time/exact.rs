//! Instants as facts write them, by hand: each fact has several, and the
//! formatting machinery would cost more than the hash of the fact.

use std::fmt;

use serde::Serializer;

use super::{TimeSpan, Timestamp, civil_from_days, write_to_the_second};

/// How long the text is.
const LENGTH: usize = "2013-05-06T14:00:00.000000Z".len();

/// Writes the text, always with six digits of the second.
pub(super) fn serialize<S: Serializer>(at: Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    match text(at) {
        Some(text) => {
            serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
        }
        None => serializer.collect_str(&Beyond(at)),
    }
}

/// The text of an instant that a text can name.
fn text(at: Timestamp) -> Option<[u8; LENGTH]> {
    if !(Timestamp::MIN..=Timestamp::MAX).contains(&at) {
        return None;
    }
    let (days, rest) = (at.0.div_euclid(TimeSpan::DAY.0), at.0.rem_euclid(TimeSpan::DAY.0));
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], rest / TimeSpan::HOUR.0);
    digits(&mut text[14..16], rest / TimeSpan::MINUTE.0 % 60);
    digits(&mut text[17..19], rest / TimeSpan::SECOND.0 % 60);
    digits(&mut text[20..26], rest % TimeSpan::SECOND.0);
    Some(text)
}

/// Fills a field with the last digits of a number that is not negative.
fn digits(field: &mut [u8], mut number: i64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// One whose year has more than four digits, or a sign.
struct Beyond(Timestamp);

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = write_to_the_second(self.0, f)?;
        write!(f, ".{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn by_hand_is_as_formatted(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp(micros);
            let by_hand = text(at).map(|text| String::from_utf8_lossy(&text).into_owned());
            prop_assert_eq!(by_hand, Some(Beyond(at).to_string()));
        }
    }

    #[test]
    fn years_of_more_digits_are_written_too() {
        let text = crate::json::to_line(&Timestamp::from_micros(Timestamp::MAX.0 + 1));
        assert_eq!(text, r#""10000-01-01T00:00:00.000000Z""#);
    }
}
