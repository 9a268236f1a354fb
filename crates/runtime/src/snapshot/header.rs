//! The header of a snapshot: what it is of, where it stands, and the checksum
//! over its entries.

use serde::{Deserialize, Serialize};
use watchkeep_model::identifier::{sha256, sha256_of};
use watchkeep_model::time::Timestamp;

use crate::rules::Adopted;

/// What every header begins with.
const MAGIC: &[u8; 4] = b"WKSN";

/// The layout of header, entries and stage. Raise it with every change of what
/// is saved; snapshots of another number are dropped.
pub(crate) const FORMAT: u32 = 8;

/// Bytes of a header's own checksum, at its end.
const CHECK_BYTES: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The program that made it: another one may fold differently.
    pub(crate) program: String,
    /// Hash of the settings and the number of partitions.
    pub(crate) settings: [u8; 32],
    /// Hash of the charters …
    pub(crate) charters: [u8; 32],
    /// … up to these publications.
    pub(crate) adopted: Adopted,
    /// The next offset to fold.
    pub(crate) position: i64,
    /// Offset and hash of the last record that was folded.
    pub(crate) last: (i64, [u8; 32]),
    /// How many entries there are.
    pub(crate) entries: u64,
    /// Sum of the hashes of all entries.
    pub(crate) checksum: u128,
    /// The part of the state that belongs to no subject.
    pub(crate) stage: Vec<u8>,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes = postcard::to_extend(self, bytes).expect("memory takes every number and text");
        let check = sha256(&bytes);
        bytes.extend(&check[..CHECK_BYTES]);
        bytes
    }

    /// # Errors
    /// Why the bytes are no header of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let damaged = || "damaged: its header cannot be read".to_owned();
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (format, _) = rest.split_first_chunk().ok_or_else(damaged)?;
        let format = u32::from_le_bytes(*format);
        let (checked, check) =
            bytes.split_at_checked(bytes.len().saturating_sub(CHECK_BYTES)).ok_or_else(damaged)?;
        if sha256(checked)[..CHECK_BYTES] != *check {
            return Err(damaged());
        }
        if format != FORMAT {
            return Err(format!("written in format {format}; this version reads format {FORMAT}"));
        }
        let body = checked.get(MAGIC.len() + 4..).ok_or_else(damaged)?;
        postcard::from_bytes(body).map_err(|_| damaged())
    }
}

/// Puts an entry's hash behind its bytes, and answers with it. The name is part
/// of it, preceded by its length so that it cannot run into the bytes.
pub(crate) fn seal(name: &[u8], bytes: &mut Vec<u8>) -> u128 {
    let hash = entry_hash(name, bytes);
    bytes.extend(hash.to_le_bytes());
    hash
}

/// The bytes of a sealed entry and its hash; `None` where that is not theirs.
pub(crate) fn unseal<'a>(name: &[u8], sealed: &'a [u8]) -> Option<(&'a [u8], u128)> {
    let (bytes, hash) = sealed.split_last_chunk()?;
    let hash = u128::from_le_bytes(*hash);
    (entry_hash(name, bytes) == hash).then_some((bytes, hash))
}

fn entry_hash(name: &[u8], bytes: &[u8]) -> u128 {
    let hash = sha256_of(&[&(name.len() as u64).to_le_bytes(), name, bytes]);
    let (half, _) = hash.split_first_chunk().expect("16 of 32 bytes");
    u128::from_le_bytes(*half)
}

/// The hash of a record: a topic that was made anew has others at its offsets.
pub(crate) fn record_hash(timestamp: Timestamp, value: &[u8]) -> [u8; 32] {
    sha256_of(&[&timestamp.as_micros().to_le_bytes(), value])
}
