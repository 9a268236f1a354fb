//! The first bytes of an Avro record, which tell its schema.

/// Confluent framing: this byte, then the schema's id, 4 bytes big-endian.
pub const CONFLUENT_MAGIC: u8 = 0;
/// Single object encoding: these bytes, then the CRC-64-AVRO fingerprint of
/// the schema, 8 bytes little-endian (Avro 1.11, "Single-object encoding").
pub const SINGLE_OBJECT_MAGIC: [u8; 2] = [0xC3, 0x01];

/// How a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Confluent framing with the schema's id; the body begins at byte 5.
    Confluent(u32),
    /// Single object encoding with the schema's fingerprint; the body begins at byte 10.
    SingleObject(u64),
}

/// How Avro records are framed when they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AvroFraming {
    /// With the fingerprint; needs no registry.
    #[default]
    SingleObject,
    /// With the id that a registry gave.
    Confluent(u32),
}

/// Why the first bytes tell no schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unframed {
    /// They are those of neither framing.
    Other,
    /// They begin a framing and end in it.
    Truncated,
}

impl Framing {
    /// Reads the first bytes.
    ///
    /// # Errors
    /// They tell no schema.
    pub fn read(bytes: &[u8]) -> Result<Self, Unframed> {
        match bytes {
            [CONFLUENT_MAGIC, a, b, c, d, ..] => {
                Ok(Self::Confluent(u32::from_be_bytes([*a, *b, *c, *d])))
            }
            [CONFLUENT_MAGIC, ..] => Err(Unframed::Truncated),
            [first, second, rest @ ..] if [*first, *second] == SINGLE_OBJECT_MAGIC => rest
                .first_chunk::<8>()
                .map(|fingerprint| Self::SingleObject(u64::from_le_bytes(*fingerprint)))
                .ok_or(Unframed::Truncated),
            [first] if *first == SINGLE_OBJECT_MAGIC[0] => Err(Unframed::Truncated),
            _ => Err(Unframed::Other),
        }
    }

    /// Where the body begins.
    pub const fn body_start(self) -> usize {
        match self {
            Self::Confluent(_) => 5,
            Self::SingleObject(_) => 10,
        }
    }
}

/// Writes the first bytes of a record of the schema with this fingerprint.
pub fn write(out: &mut Vec<u8>, framing: AvroFraming, fingerprint: u64) {
    match framing {
        AvroFraming::SingleObject => {
            out.extend_from_slice(&SINGLE_OBJECT_MAGIC);
            out.extend_from_slice(&fingerprint.to_le_bytes());
        }
        AvroFraming::Confluent(id) => {
            out.push(CONFLUENT_MAGIC);
            out.extend_from_slice(&id.to_be_bytes());
        }
    }
}
