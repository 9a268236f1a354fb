//! Seeded chance.

use std::time::Duration;

/// SplitMix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 to `end`, without it.
    pub fn below(&mut self, end: u64) -> u64 {
        below(self.next(), end)
    }

    /// A span between two.
    pub fn between(&mut self, (from, to): (Duration, Duration)) -> Duration {
        let wide = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
        from + Duration::from_micros(self.below(wide.max(1)))
    }

    /// Puts a list in any order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for index in (1..list.len()).rev() {
            let other = usize::try_from(self.below(index as u64 + 1)).unwrap_or(0);
            list.swap(index, other);
        }
    }
}

/// A number that looks like chance and is the same for the same input.
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Maps any number to one from 0 to `end`, without it.
pub fn below(any: u64, end: u64) -> u64 {
    u64::try_from((u128::from(any) * u128::from(end.max(1))) >> 64).unwrap_or(0)
}
