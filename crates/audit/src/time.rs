//! Instants as facts write them: `2026-01-05T01:09:00.000000Z`. All are of one
//! length, so that earlier ones are the smaller text.

const SHAPE: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";

/// True where the text has the shape of an instant.
pub(crate) fn is_instant(text: &str) -> bool {
    text.len() == SHAPE.len()
        && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *shape,
        })
}

/// Microseconds since 1970; `None` where the text is no instant.
pub(crate) fn micros(text: &str) -> Option<i64> {
    if !is_instant(text) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(|n| n.parse::<i64>().ok());
    let days = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = ((days * 24 + number(11, 13)?) * 60 + number(14, 16)?) * 60 + number(17, 19)?;
    Some(seconds * 1_000_000 + number(20, 26)?)
}

/// Days since 1970-01-01 of a day of the Gregorian calendar. Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::micros;

    #[test]
    fn instants_are_counted_from_1970() {
        assert_eq!(micros("1970-01-01T00:00:00.000001Z"), Some(1));
        assert_eq!(micros("2000-02-29T12:00:00.000000Z"), Some(951_825_600_000_000));
        assert_eq!(micros("2026-01-05T00:00:00.000000Z"), Some(1_767_571_200_000_000));
        assert_eq!(micros("2026-01-05"), None);
    }
}
