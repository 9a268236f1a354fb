//! Small numbers packed into bits.
//!
//! Elias' gamma code (Elias 1975) spends `2⌊log2 n⌋ + 1` bits on a number
//! n ≥ 1: as many zeros as n has bits after its first, then n.

/// Bits, the first in the highest place of the first byte.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that fill no byte yet, in the lowest places.
    open: u64,
    open_bits: u32,
}

impl BitWriter {
    /// Writes n ≥ 1; a 0 cannot be written and is taken for a 1.
    pub fn gamma(&mut self, n: u64) {
        let n = n.max(1);
        let after_first = n.ilog2();
        if after_first < 16 {
            // Written with more bits than it has, n brings its zeros along.
            return self.push(n, 2 * after_first + 1);
        }
        self.push(0, after_first.min(32));
        self.push(0, after_first.saturating_sub(32));
        self.push(n >> 32, (after_first + 1).saturating_sub(32));
        self.push(n & 0xffff_ffff, (after_first + 1).min(32));
    }

    /// Writes up to 32 bits. Fewer than 32 are open before, so all fit.
    fn push(&mut self, value: u64, bits: u32) {
        self.open = (self.open << bits) | value;
        self.open_bits += bits;
        if self.open_bits >= 32 {
            self.open_bits -= 32;
            let full = (self.open >> self.open_bits) as u32;
            self.bytes.extend_from_slice(&full.to_be_bytes());
            self.open &= (1 << self.open_bits) - 1;
        }
    }

    /// The bytes; zeros fill the last one.
    pub fn finish(mut self) -> Vec<u8> {
        let last = ((self.open << (32 - self.open_bits)) as u32).to_be_bytes();
        self.bytes.extend_from_slice(&last[..self.open_bits.div_ceil(8) as usize]);
        self.bytes
    }
}

/// Reads what a [`BitWriter`] wrote.
#[derive(Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the first bit on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<u64> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = (byte >> (7 - self.at % 8)) & 1;
        self.at += 1;
        Some(u64::from(bit))
    }

    /// The next number; `None` where the bytes end before it does.
    pub fn gamma(&mut self) -> Option<u64> {
        // Numbers below 2^28 are found at once in the next eight bytes, of
        // which at most seven bits are behind.
        if let Some(next) = self.bytes.get(self.at / 8..).and_then(|rest| rest.first_chunk::<8>()) {
            let bits = u64::from_be_bytes(*next) << (self.at % 8);
            let after_first = bits.leading_zeros();
            if after_first < 28 {
                self.at += 2 * after_first as usize + 1;
                return Some(bits >> (63 - 2 * after_first));
            }
        }
        let mut after_first = 0;
        while self.bit()? == 0 {
            after_first += 1;
            if after_first > 63 {
                return None;
            }
        }
        (0..after_first).try_fold(1, |n, _| Some((n << 1) | self.bit()?))
    }

    /// Only the zeros that fill the last byte are left, so that equal cells
    /// have one form.
    pub fn is_at_end(&mut self) -> bool {
        self.at.div_ceil(8) == self.bytes.len()
            && std::iter::from_fn(|| self.bit()).all(|bit| bit == 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_code_is_that_of_elias() {
        let mut bits = BitWriter::default();
        [1, 2, 3, 4].into_iter().for_each(|n| bits.gamma(n));
        // 1, 010, 011, 00100
        assert_eq!(bits.finish(), [0b1010_0110, 0b0100_0000]);
    }

    proptest! {
        #[test]
        fn every_number_reads_back(numbers in prop::collection::vec(prop_oneof![1u64..9, 1..=u64::MAX], 0..50)) {
            let mut bits = BitWriter::default();
            numbers.iter().for_each(|n| bits.gamma(*n));
            let bytes = bits.finish();
            let mut reader = BitReader::new(&bytes);
            for n in numbers {
                prop_assert_eq!(reader.gamma(), Some(n));
            }
            prop_assert!(reader.is_at_end());
        }
    }
}
