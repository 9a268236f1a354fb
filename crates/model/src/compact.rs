//! The part of a summary that windows are compared with, in few bytes.
//!
//! Baselines keep many past windows of many features. Of each they need how
//! often what happened and the distribution of the values; neither durations
//! nor times nor exemplars. A window of a thousand numbers takes some hundred
//! bytes so: the cells of the grid lie close together and hold one or two each,
//! so steps and counts are written in gamma code ([`crate::bits`]). Equal
//! contents are equal bytes, so the bytes' hash names the content.

use crate::bits::{BitReader, BitWriter};
use crate::counted::Counted;
use crate::counted_names::CountedNames;
use crate::distribution::{CELL_MAX, NumberGrid, Numbers, RAW_NUMBERS_MAX};
use crate::exact_sum::ExactSum;
use crate::frequent::Sketch;
use crate::summary::{Categories, Summary};

/// The layout. Raised with every change of it, so that no bytes are misread.
const LAYOUT: u8 = 1;
/// The same with a sketch of categories at the end, which only very many have: so
/// what was captured before there were sketches has the hash that it had.
const WITH_SKETCH: u8 = 2;

const FEW: u8 = 0;
const MANY: u8 = 1;

/// The counts, numbers and categories of a summary.
pub fn encode(summary: &Summary) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let sketch = summary.categories.sketch();
    out.push(if sketch.is_some() { WITH_SKETCH } else { LAYOUT });
    let used = summary.statuses.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    unsigned(&mut out, used as u64);
    summary.statuses[..used].iter().for_each(|count| unsigned(&mut out, *count));
    unsigned(&mut out, summary.null_count);
    unsigned(&mut out, summary.non_finite_count);
    write_numbers(&mut out, &summary.numbers);
    write_categories(&mut out, &summary.categories);
    out.extend(sketch.map(Sketch::to_bytes).unwrap_or_default());
    out
}

/// A summary of what [`encode`] wrote; `None` where the bytes are no such.
pub fn decode(bytes: &[u8]) -> Option<Summary> {
    let mut reader = Reader(bytes);
    let with_sketch = match reader.byte()? {
        LAYOUT => false,
        WITH_SKETCH => true,
        _ => return None,
    };
    let mut summary = Summary::default();
    let used = usize::try_from(reader.unsigned()?).ok()?;
    for count in summary.statuses.get_mut(..used)? {
        *count = reader.unsigned()?;
    }
    summary.count = summary.statuses.iter().try_fold(0u64, |sum, n| sum.checked_add(*n))?;
    summary.null_count = reader.unsigned()?;
    summary.non_finite_count = reader.unsigned()?;
    summary.numbers = reader.numbers()?;
    summary.categories = reader.categories(with_sketch)?;
    reader.0.is_empty().then_some(summary)
}

fn write_numbers(out: &mut Vec<u8>, numbers: &Numbers) {
    match numbers {
        Numbers::Few(values) => {
            out.push(FEW);
            unsigned(out, values.len() as u64);
            values.iter().for_each(|value| out.extend(value.to_bits().to_le_bytes()));
        }
        Numbers::Many(grid) => {
            out.push(MANY);
            unsigned(out, grid.cells.len() as u64);
            let mut bits = BitWriter::default();
            let mut before = -CELL_MAX - 1;
            for (cell, count) in grid.cells.iter() {
                bits.gamma(u64::from(cell.abs_diff(before)));
                bits.gamma(count);
                before = cell;
            }
            let cells = bits.finish();
            unsigned(out, cells.len() as u64);
            out.extend(cells);
            out.extend(grid.min.to_bits().to_le_bytes());
            out.extend(grid.max.to_bits().to_le_bytes());
            unsigned(out, grid.sum.limbs().len() as u64);
            for (number, value) in grid.sum.limbs() {
                out.push(*number);
                // Zigzag: the sign in the lowest bit, so that small ones are short.
                varint(out, ((value << 1) ^ (value >> 127)).cast_unsigned());
            }
        }
    }
}

fn write_categories(out: &mut Vec<u8>, categories: &Categories) {
    unsigned(out, u64::from(categories.level()));
    unsigned(out, categories.other());
    unsigned(out, categories.counts().len() as u64);
    for (category, count) in categories.counts().names().iter() {
        unsigned(out, category.len() as u64);
        out.extend(category.as_bytes());
        unsigned(out, count);
    }
}

fn unsigned(out: &mut Vec<u8>, n: u64) {
    varint(out, u128::from(n));
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(out: &mut Vec<u8>, mut n: u128) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, n: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(n).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// In its shortest form only, so that equal contents are equal bytes.
    fn varint(&mut self) -> Option<u128> {
        let mut n = 0u128;
        for place in 0..19u32 {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if part << (7 * place) >> (7 * place) != part {
                return None;
            }
            n |= part << (7 * place);
            if byte & 0x80 == 0 {
                return (byte != 0 || place == 0).then_some(n);
            }
        }
        None
    }

    fn unsigned(&mut self) -> Option<u64> {
        u64::try_from(self.varint()?).ok()
    }

    fn double(&mut self) -> Option<f64> {
        let value = f64::from_bits(u64::from_le_bytes(self.take(8)?.try_into().ok()?));
        value.is_finite().then_some(value)
    }

    fn numbers(&mut self) -> Option<Numbers> {
        match self.byte()? {
            FEW => {
                let number = self.unsigned()?;
                let mut values = Vec::new();
                for _ in 0..number {
                    values.push(self.double()?);
                }
                let fits = values.len() <= RAW_NUMBERS_MAX && values.is_sorted();
                fits.then_some(Numbers::Few(values))
            }
            MANY => self.grid().map(|grid| Numbers::Many(Box::new(grid))),
            _ => None,
        }
    }

    fn grid(&mut self) -> Option<NumberGrid> {
        let number = self.unsigned()?;
        let length = self.unsigned()?;
        let mut bits = BitReader::new(self.take(length)?);
        let (mut cells, mut cell, mut count) = (Vec::new(), -CELL_MAX - 1, 0u64);
        for _ in 0..number {
            let step = i32::try_from(bits.gamma()?).ok()?;
            cell = cell.checked_add(step).filter(|cell| *cell <= CELL_MAX)?;
            let of_cell = bits.gamma()?;
            count = count.checked_add(of_cell)?;
            cells.push((cell, of_cell));
        }
        let (min, max) = (self.double()?, self.double()?);
        let mut limbs = Vec::new();
        for _ in 0..self.unsigned()? {
            let limb = self.byte()?;
            let zigzag = self.varint()?;
            let value = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
            limbs.push((limb, value));
        }
        let sum = ExactSum::from_limbs(limbs)?;
        let whole = !cells.is_empty() && bits.is_at_end() && min <= max;
        // A baseline needs no distinct count, so none is kept.
        let cells = Counted::of(&cells);
        whole.then_some(NumberGrid { cells, count, min, max, sum, distinct: None })
    }

    fn categories(&mut self, with_sketch: bool) -> Option<Categories> {
        let level = u32::try_from(self.unsigned()?).ok()?;
        let other = self.unsigned()?;
        let mut counts = CountedNames::default();
        for _ in 0..self.unsigned()? {
            let length = self.unsigned()?;
            let category = std::str::from_utf8(self.take(length)?).ok()?;
            let count = self.unsigned()?;
            // Ascending, each once.
            if count == 0 || !counts.push(category, count) {
                return None;
            }
        }
        // A sketch is the rest of the bytes.
        let sketch = match with_sketch {
            true => Some(Sketch::from_bytes(std::mem::take(&mut self.0))?),
            false => None,
        };
        Categories::from_parts(counts, level, other, sketch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(numbers: &[f64], categories: &[(String, u64)]) -> Summary {
        let mut summary = Summary::default();
        numbers.iter().for_each(|number| summary.numbers.add(*number));
        categories.iter().for_each(|(category, n)| summary.categories.add(category, *n));
        summary.statuses[0] = numbers.len() as u64;
        summary.statuses[5] = categories.len() as u64;
        summary.count = summary.statuses.iter().sum();
        summary.null_count = summary.count / 3;
        summary
    }

    /// The budget of a past window: 1 KB for a thousand numbers.
    #[test]
    fn a_thousand_numbers_take_less_than_a_kilobyte() {
        // The normal distribution by its quantiles (Tukey lambda, λ = 0.14).
        let normal = |i: i32| {
            let p = (f64::from(i) + 0.5) / 1000.0;
            (p.powf(0.14) - (1.0 - p).powf(0.14)) / 0.1975
        };
        for (centre, scale) in [(0.0, 1.0), (100.0, 15.0), (1e6, 3e5), (-5.0, 0.01)] {
            let numbers: Vec<f64> = (0..1000).map(|i| centre + scale * normal(i)).collect();
            let bytes = encode(&summary(&numbers, &[]));
            assert!(bytes.len() < 700, "{centre} ± {scale}: {} bytes", bytes.len());
        }
    }

    /// Beyond the bound, with the sketch and as an earlier version wrote it.
    #[test]
    fn very_many_categories_read_back() {
        let many: Vec<(String, u64)> = (0..9_000).map(|n| (format!("{n}"), 1)).collect();
        let mut many = summary(&[], &many);
        let bytes = encode(&many);
        assert_eq!(decode(&bytes), Some(many.clone()));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        let of = &many.categories;
        let parts = (of.counts().clone(), of.level(), of.other());
        many.categories = Categories::from_parts(parts.0, parts.1, parts.2, None).unwrap();
        let without = encode(&many);
        assert_eq!((without[0], bytes[0]), (LAYOUT, WITH_SKETCH));
        assert_eq!(decode(&without), Some(many));
    }

    #[test]
    fn what_is_cut_or_follows_is_no_summary() {
        let whole = encode(&summary(&[1.0; 200], &[("a".into(), 2), ("b".into(), 1)]));
        assert!((0..whole.len()).all(|end| decode(&whole[..end]).is_none()));
        assert!(decode(&[&whole[..], &[0]].concat()).is_none());
    }

    proptest! {
        #[test]
        fn every_summary_reads_back(
            numbers in prop::collection::vec(prop_oneof![any::<f64>().prop_filter("finite", |n| n.is_finite()), Just(0.0), -5.0..5.0], 0..300),
            categories in prop::collection::vec(("\\PC{0,6}", 1u64..5), 0..20),
        ) {
            let mut summary = summary(&numbers, &categories);
            let bytes = encode(&summary);
            if let Numbers::Many(grid) = &mut summary.numbers {
                grid.distinct = None; // is not written
            }
            prop_assert_eq!(decode(&bytes), Some(summary));
        }

        #[test]
        fn any_bytes_are_answered_and_have_one_form(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[LAYOUT][..], &bytes].concat();
            if let Some(summary) = decode(&bytes) {
                prop_assert_eq!(encode(&summary), bytes);
            }
        }
    }
}
