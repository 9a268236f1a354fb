//! Identifiers derived from what they name, so that a repeat has the same id.

use std::io::Write;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Namespace of every identifier of Watchkeep (RFC 9562, version 5): the
/// version 5 UUID of `watchkeep` in the DNS namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a13_396b_1271_502e_abab_4d07_945e_7474);

/// The UUIDv5 of the parts. Each part is preceded by its length, so that
/// `("ab", "c")` and `("a", "bc")` differ.
pub fn derived(parts: &[&str]) -> String {
    let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        write!(name, "{}:", part.len()).expect("writing to memory cannot fail");
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name).to_string()
}

/// 128 bits that stand for an identifier: its own where it was [`derived`], of
/// any other text those that are derived from it.
pub fn key_of(id: &str) -> u128 {
    let own = Uuid::try_parse(id).ok().filter(|_| id.len() == 36);
    own.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, id.as_bytes())).as_u128()
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_of(&[bytes])
}

/// SHA-256 of the parts one after the other; where one ends is not part of it.
pub fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// SHA-256 as lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let hash = sha256(bytes);
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_that_of_the_name() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"watchkeep"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
        assert_eq!(derived(&["a"]), derived(&["a"]));
    }

    #[test]
    fn sha256_is_that_of_the_standard() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
