//! Counts of cells, packed into bits.
//!
//! The cells that a pane touches are close to each other and hold few events,
//! so steps and counts are nearly all small ([`watchkeep_model::bits`]). A
//! thousand events take some hundred bytes so, against two bytes a cell as
//! Avro integers.

use watchkeep_model::bits::{BitReader, BitWriter};

use super::read::{COUNT_MAX, Reading, wrong};
use crate::avro::cursor::Cursor;
use crate::avro::writer;

/// Cells and the sum of their counts.
pub(super) struct Cells<K> {
    pub(super) cells: Vec<(K, u64)>,
    pub(super) count: u64,
}

/// Writes (cell, count), ascending: the number of cells, the first cell, then
/// its count, and step and count of each further cell, in gamma code.
pub(super) fn write(out: &mut Vec<u8>, cells: impl ExactSizeIterator<Item = (i32, u64)>) {
    writer::count(out, cells.len());
    let mut bits = BitWriter::default();
    let mut before = None;
    for (cell, count) in cells {
        match before {
            None => writer::long(out, i64::from(cell)),
            Some(before) => bits.gamma(u64::from(cell.abs_diff(before))),
        }
        bits.gamma(count);
        before = Some(cell);
    }
    writer::bytes(out, &bits.finish());
}

/// Reads cells whose numbers are `lowest` to `highest`.
pub(super) fn read<K: TryFrom<i32>>(
    cursor: &mut Cursor<'_>,
    lowest: i32,
    highest: i32,
) -> Reading<Cells<K>> {
    let number = cursor.int()?;
    let first = cursor.int()?;
    let mut bits = BitReader::new(cursor.bytes()?);
    let mut cells = Vec::new();
    let (mut cell, mut total) = (first, 0u64);
    for index in 0..number {
        if index > 0 {
            let step = bits.gamma().and_then(|step| i32::try_from(step).ok());
            let next = step.and_then(|step| cell.checked_add(step));
            cell = next.ok_or_else(|| wrong(cursor, "a step of cells is broken"))?;
        }
        let count = bits.gamma().ok_or_else(|| wrong(cursor, "a count of a cell is broken"))?;
        let key = Some(cell)
            .filter(|cell| (lowest..=highest).contains(cell))
            .and_then(|cell| K::try_from(cell).ok());
        match key.zip(total.checked_add(count).filter(|sum| *sum <= COUNT_MAX)) {
            Some((key, sum)) => {
                cells.push((key, count));
                total = sum;
            }
            None => return Err(wrong(cursor, "a cell or a count is out of range")),
        }
    }
    if cells.is_empty() || !bits.is_at_end() {
        return Err(wrong(cursor, "a grid has as many cells as it says, at least one"));
    }
    Ok(Cells { cells, count: total })
}
