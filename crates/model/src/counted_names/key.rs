//! The rest of a name in a number.

use std::ops::BitOr;

/// Bytes of the widest number.
pub(super) const BYTES_MAX: usize = 8;

/// A number that holds some bytes of a name, from the highest on, and 0 after them.
pub(super) trait Key: Copy + Ord + Default + BitOr<Output = Self> {
    /// How many bytes it holds.
    const BYTES: usize;

    /// From at most so many bytes.
    fn of(bytes: &[u8]) -> Self;
    /// Its bytes, and what is 0 after them.
    fn to_bytes(self) -> [u8; BYTES_MAX];
    /// How many bytes of a name it holds.
    fn length(self) -> usize;
    /// How many bytes two begin alike with.
    fn alike(self, other: Self) -> usize;
    /// With bytes before it.
    fn after(self, bytes: &[u8]) -> Self;
    /// Without its first bytes.
    fn without(self, bytes: usize) -> Self;
}

macro_rules! key {
    ($number:ty) => {
        impl Key for $number {
            const BYTES: usize = size_of::<Self>();

            fn of(bytes: &[u8]) -> Self {
                let mut key = [0; Self::BYTES];
                key[..bytes.len()].copy_from_slice(bytes);
                Self::from_be_bytes(key)
            }

            fn to_bytes(self) -> [u8; BYTES_MAX] {
                (u64::from(self) << (u64::BITS - Self::BITS)).to_be_bytes()
            }

            fn length(self) -> usize {
                Self::BYTES - self.trailing_zeros() as usize / 8
            }

            fn alike(self, other: Self) -> usize {
                (self ^ other).leading_zeros() as usize / 8
            }

            fn after(self, bytes: &[u8]) -> Self {
                Self::of(bytes) | self.checked_shr(8 * bytes.len() as u32).unwrap_or(0)
            }

            fn without(self, bytes: usize) -> Self {
                self.checked_shl(8 * bytes as u32).unwrap_or(0)
            }
        }
    };
}

key!(u32);
key!(u64);
