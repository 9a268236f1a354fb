//! Finite numbers: as decimals, as doubles, or counted in cells.

use watchkeep_model::counted::Counted;
use watchkeep_model::distinct::Distinct;
use watchkeep_model::distribution::{CELL_MAX, NumberGrid, Numbers, RAW_NUMBERS_MAX};
use watchkeep_model::exact_sum::ExactSum;

use super::cells::{self, Cells};
use super::read::{Reading, Version, wrong};
use crate::avro::cursor::Cursor;
use crate::avro::writer;

/// Digits after the point that are tried. Numbers with more are written as doubles.
const SCALE_MAX: usize = 6;
const POWERS: [f64; SCALE_MAX + 1] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// Integers up to this are exact as doubles, so that dividing them by a power
/// of ten rounds once and gives the double nearest to the decimal.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;

pub(super) fn write(out: &mut Vec<u8>, numbers: &Numbers) {
    match numbers {
        Numbers::Few(values) => match scale_of(values) {
            Some(scale) => {
                writer::long(out, 0);
                writer::count(out, scale);
                let mut before = 0;
                writer::array(out, values.iter(), |out, value| {
                    let mantissa = (value * POWERS[scale]).round() as i64;
                    writer::long(out, mantissa - before);
                    before = mantissa;
                });
            }
            None => {
                writer::long(out, 1);
                writer::array(out, values.iter(), |out, value| writer::double(out, *value));
            }
        },
        Numbers::Many(grid) => {
            writer::long(out, 2);
            cells::write(out, grid.cells.iter());
            writer::double(out, grid.min);
            writer::double(out, grid.max);
            writer::array(out, grid.sum.limbs().iter(), |out, (number, value)| {
                writer::long(out, i64::from(*number));
                writer::bytes(out, shortest(&value.to_be_bytes()));
            });
            match &grid.distinct {
                None => writer::long(out, 0),
                Some(distinct) => {
                    writer::long(out, 1);
                    writer::bytes(out, &distinct.to_bytes());
                }
            }
        }
    }
}

/// The fewest digits after the point with which every value reads back to the bit.
fn scale_of(values: &[f64]) -> Option<usize> {
    let mut scale = 0;
    for value in values {
        while !reads_back(*value, scale) {
            scale += 1;
            if scale > SCALE_MAX {
                return None;
            }
        }
    }
    // A larger scale may be too much for a value that a smaller one fitted.
    values.iter().all(|value| reads_back(*value, scale)).then_some(scale)
}

fn reads_back(value: f64, scale: usize) -> bool {
    let mantissa = (value * POWERS[scale]).round();
    // Through i64 as the reader does: −0 becomes 0 and does not read back.
    mantissa.abs() <= MANTISSA_MAX
        && ((mantissa as i64) as f64 / POWERS[scale]).to_bits() == value.to_bits()
}

/// Two's complement without leading bytes that only repeat the sign.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let redundant = bytes.windows(2).take_while(|pair| {
        (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80)
    });
    &bytes[redundant.count()..]
}

pub(super) fn read(cursor: &mut Cursor<'_>, version: Version) -> Reading<Numbers> {
    let branch = cursor.long()?;
    match branch {
        0 => read_decimals(cursor),
        1 => read_doubles(cursor),
        2 => read_grid(cursor, version),
        _ => Err(wrong(cursor, "the union `numbers` has three branches")),
    }
}

fn read_decimals(cursor: &mut Cursor<'_>) -> Reading<Numbers> {
    let scale = usize::try_from(cursor.int()?).ok().and_then(|scale| POWERS.get(scale));
    let Some(power) = scale else { return Err(wrong(cursor, "`scale` is 0 to 6")) };
    let mut values = Vec::new();
    let mut mantissa: i64 = 0;
    super::read::array(cursor, 1, |cursor| {
        let step = cursor.long()?;
        let next = mantissa.checked_add(step).filter(|next| (*next as f64).abs() <= MANTISSA_MAX);
        let is_first = values.is_empty();
        let Some(next) = next.filter(|_| (is_first || step >= 0) && values.len() < RAW_NUMBERS_MAX)
        else {
            return Err(wrong(cursor, "decimals are ascending and at most 128"));
        };
        mantissa = next;
        values.push(mantissa as f64 / power);
        Ok(())
    })?;
    Ok(Numbers::Few(values))
}

fn read_doubles(cursor: &mut Cursor<'_>) -> Reading<Numbers> {
    let mut values: Vec<f64> = Vec::new();
    super::read::array(cursor, 8, |cursor| {
        let value = cursor.double()?;
        let ascending = values.last().is_none_or(|last| *last <= value);
        if !value.is_finite() || !ascending || values.len() == RAW_NUMBERS_MAX {
            return Err(wrong(cursor, "doubles are finite, ascending and at most 128"));
        }
        values.push(value);
        Ok(())
    })?;
    Ok(Numbers::Few(values))
}

fn read_grid(cursor: &mut Cursor<'_>, version: Version) -> Reading<Numbers> {
    let Cells { cells, count } = cells::read(cursor, -CELL_MAX, CELL_MAX)?;
    let (min, max) = (cursor.double()?, cursor.double()?);
    if !(min.is_finite() && max.is_finite() && min <= max) {
        return Err(wrong(cursor, "`min` and `max` of a grid are finite and in order"));
    }
    let mut limbs: Vec<(u8, i128)> = Vec::new();
    super::read::array(cursor, 2, |cursor| {
        let number = u8::try_from(cursor.int()?).ok();
        let value = from_shortest(cursor.bytes()?);
        match number.zip(value) {
            Some(limb) if limbs.last().is_none_or(|last| last.0 < limb.0) => limbs.push(limb),
            _ => return Err(wrong(cursor, "limbs are ascending, of at most 16 bytes")),
        }
        Ok(())
    })?;
    let Some(sum) = ExactSum::from_limbs(limbs) else {
        return Err(wrong(cursor, "limbs are numbered 0 to 63"));
    };
    let distinct = match version {
        Version::First => None,
        _ => read_distinct(cursor)?,
    };
    let cells = Counted::of(&cells);
    Ok(Numbers::Many(Box::new(NumberGrid { cells, count, min, max, sum, distinct })))
}

fn read_distinct(cursor: &mut Cursor<'_>) -> Reading<Option<Distinct>> {
    match cursor.long()? {
        0 => Ok(None),
        1 => match Distinct::from_bytes(cursor.bytes()?) {
            Some(distinct) => Ok(Some(distinct)),
            None => Err(wrong(cursor, "`distinct` holds 512 registers of at most 56")),
        },
        _ => Err(wrong(cursor, "`distinct` has two branches")),
    }
}

fn from_shortest(bytes: &[u8]) -> Option<i128> {
    let sign = if *bytes.first()? < 0x80 { 0 } else { 0xff };
    let mut whole = [sign; 16];
    whole.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}
