//! How records lie in the store: one value, called a chunk, per commit and
//! partition, holding the records of that commit one after another.
//!
//! Few larger values are much cheaper in a tree than one value per record.
//! All numbers are little-endian. A chunk is the format number (1 byte), the
//! count of records (4 bytes) and the records; a record is its timestamp in
//! microseconds (8), the length of its key plus one or 0 for none (4), the
//! length of its value (4), the count of headers (4), per header the lengths
//! of name and value (4 each) and their bytes, then key and value. Offsets
//! are not stored: the chunk's key names the first, the rest follow on.

use watchkeep_model::position::Partition;
use watchkeep_model::time::Timestamp;
use watchkeep_runtime::log::{CONTENT_TYPE, Outgoing, Record};

/// The format that this version writes, and the only one that it reads.
const FORMAT: u8 = 1;

/// Bytes of the format number and the count.
const HEAD_BYTES: usize = 5;

/// A chunk being written.
pub(crate) struct ChunkWriter {
    bytes: Vec<u8>,
    count: u32,
}

/// A record of a chunk, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its offset.
    pub offset: i64,
    /// When the log took it.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its bytes; empty for a tombstone.
    pub value: &'a [u8],
    header_count: u32,
    headers: &'a [u8],
}

/// The chunk is no chunk: its bytes are damaged, or a later version wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// The records of a chunk in order, from a given offset on.
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    offset: i64,
    left: u32,
}

impl ChunkWriter {
    pub(crate) fn new() -> Self {
        let mut bytes = vec![FORMAT];
        bytes.extend(0_u32.to_le_bytes());
        Self { bytes, count: 0 }
    }

    /// Appends a record, or refuses it where a length does not fit its field.
    pub(crate) fn push(&mut self, record: &Outgoing, timestamp: Timestamp) -> Result<(), Damaged> {
        let length = |n: usize| u32::try_from(n).map_err(|_| Damaged);
        let key_length = match &record.key {
            None => 0,
            Some(key) => length(key.len() + 1)?,
        };
        self.bytes.extend(timestamp.as_micros().to_le_bytes());
        self.bytes.extend(key_length.to_le_bytes());
        self.bytes.extend(length(record.value.len())?.to_le_bytes());
        self.bytes.extend(length(record.headers.len())?.to_le_bytes());
        for (name, value) in &record.headers {
            self.bytes.extend(length(name.len())?.to_le_bytes());
            self.bytes.extend(length(value.len())?.to_le_bytes());
            self.bytes.extend(name.as_bytes());
            self.bytes.extend(value);
        }
        self.bytes.extend(record.key.as_deref().unwrap_or_default());
        self.bytes.extend(&record.value);
        self.count += 1;
        Ok(())
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[1..HEAD_BYTES].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }
}

/// How many records a chunk says that it holds.
pub(crate) fn count(chunk: &[u8]) -> Result<u32, Damaged> {
    let mut rest = chunk;
    if take(&mut rest, 1)? != [FORMAT] {
        return Err(Damaged);
    }
    number(&mut rest)
}

/// Reads a chunk whose first record has the offset `first`, from `from` on.
pub(crate) fn entries(chunk: &[u8], first: i64, from: i64) -> Result<Entries<'_>, Damaged> {
    let left = count(chunk)?;
    let mut entries = Entries { rest: &chunk[HEAD_BYTES..], offset: first, left };
    while entries.offset < from && entries.left > 0 {
        entries.read()?;
    }
    Ok(entries)
}

impl<'a> Entries<'a> {
    fn read(&mut self) -> Result<Entry<'a>, Damaged> {
        let rest = &mut self.rest;
        let micros = i64::from_le_bytes(take(rest, 8)?.try_into().map_err(|_| Damaged)?);
        let key_length = number(rest)?;
        let value_length = number(rest)?;
        let header_count = number(rest)?;
        let start = *rest;
        for _ in 0..header_count {
            let (name, value) = (number(rest)?, number(rest)?);
            let length = u64::from(name) + u64::from(value);
            take(rest, usize::try_from(length).map_err(|_| Damaged)?)?;
        }
        let headers = &start[..start.len() - rest.len()];
        let key = match key_length.checked_sub(1) {
            None => None,
            Some(length) => Some(take(rest, length as usize)?),
        };
        let value = take(rest, value_length as usize)?;
        let offset = self.offset;
        self.offset += 1;
        self.left -= 1;
        let timestamp = Timestamp::from_micros(micros);
        Ok(Entry { offset, timestamp, key, value, header_count, headers })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left > 0 {
            return Some(self.read());
        }
        // Bytes past the last record are as wrong as missing ones.
        let excess = !std::mem::take(&mut self.rest).is_empty();
        excess.then_some(Err(Damaged))
    }
}

impl<'a> Entry<'a> {
    /// The record as readers see it.
    pub fn record(&self, partition: &'a Partition) -> Record<'a> {
        let content_type = self.headers().find(|(name, _)| *name == CONTENT_TYPE.as_bytes());
        Record {
            partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key,
            value: self.value,
            content_type: content_type.and_then(|(_, value)| std::str::from_utf8(value).ok()),
        }
    }

    /// Its headers in order, names as bytes.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.headers;
        // The lengths were checked when the record was read.
        (0..self.header_count).map_while(move |_| {
            let (name, value) = (number(&mut rest).ok()?, number(&mut rest).ok()?);
            let name = take(&mut rest, name as usize).ok()?;
            Some((name, take(&mut rest, value as usize).ok()?))
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Damaged> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Damaged)?;
    *rest = left;
    Ok(taken)
}

fn number(rest: &mut &[u8]) -> Result<u32, Damaged> {
    let bytes = take(rest, 4)?.try_into().map_err(|_| Damaged)?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outgoing() -> impl Strategy<Value = Outgoing> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
        let headers = proptest::collection::vec(("[a-z_-]{0,9}", bytes()), 0..4);
        (proptest::option::of(bytes()), bytes(), headers).prop_map(|(key, value, headers)| {
            Outgoing { topic: "t".into(), partition: None, key, value, headers }
        })
    }

    proptest! {
        #[test]
        fn chunks_read_back(records in proptest::collection::vec(outgoing(), 0..9), skip in 0_i64..9) {
            let mut writer = ChunkWriter::new();
            for (micros, record) in (0..).zip(&records) {
                writer.push(record, Timestamp::from_micros(micros)).unwrap();
            }
            let bytes = writer.finish();
            let found: Vec<_> = entries(&bytes, 100, 100 + skip).unwrap().map(Result::unwrap).collect();
            let skip = usize::try_from(skip).unwrap().min(records.len());
            prop_assert_eq!(found.len(), records.len() - skip);
            for (entry, (index, record)) in found.iter().zip((0..).zip(&records).skip(skip)) {
                prop_assert_eq!(entry.offset, 100 + index);
                prop_assert_eq!(entry.timestamp, Timestamp::from_micros(index));
                prop_assert_eq!(entry.key, record.key.as_deref());
                prop_assert_eq!(entry.value, &record.value);
                let headers: Vec<_> = entry.headers().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                let wanted: Vec<_> = record.headers.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone())).collect();
                prop_assert_eq!(headers, wanted);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(entries) = entries(&bytes, 0, 0) {
                for entry in entries.take(100) {
                    if entry.is_err() {
                        break;
                    }
                }
            }
        }
    }
}
