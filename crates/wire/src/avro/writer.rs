//! Writes Avro to a vector.

/// A long: zigzag, seven bits a byte.
#[inline]
pub fn long(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// A length, count or index; these are never larger than what memory holds.
pub fn count(out: &mut Vec<u8>, n: usize) {
    long(out, i64::try_from(n).unwrap_or(i64::MAX));
}

/// A count of events. Counts above 2^63 − 1 do not occur; they are written as that.
pub fn unsigned(out: &mut Vec<u8>, n: u64) {
    long(out, i64::try_from(n).unwrap_or(i64::MAX));
}

/// Bytes.
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    count(out, value.len());
    out.extend_from_slice(value);
}

/// A string.
pub fn string(out: &mut Vec<u8>, value: &str) {
    bytes(out, value.as_bytes());
}

/// A double.
pub fn double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A union `[null, long]`.
pub fn optional_long(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(2);
            long(out, value);
        }
    }
}

/// A union `[null, string]`.
pub fn optional_string(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(2);
            string(out, value);
        }
    }
}

/// An array in one block, or none where it is empty.
pub fn array<T>(
    out: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    if items.len() > 0 {
        count(out, items.len());
        for item in items {
            write(out, item);
        }
    }
    out.push(0);
}
