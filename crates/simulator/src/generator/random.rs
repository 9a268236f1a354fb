//! The one source of chance: seeded, and the same on every machine because it
//! uses nothing but integers, the four operations and the square root.

/// SplitMix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end`, without it. The bias of at most `end` in 2⁶⁴
    /// does not matter here.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end.max(1))) >> 64) as u64
    }

    /// A number in [0, 1).
    pub(crate) const fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal with mean 0 and standard deviation 1, within ±6: the sum
    /// of twelve uniforms (Irwin–Hall) needs no logarithm, which differs
    /// between machines.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// Pareto with least value 1 and exponent 2, cut at 20: most are small, a
    /// few are large, as latencies are.
    pub(crate) fn pareto(&mut self) -> f64 {
        (1.0 / (1.0 - self.share()).sqrt()).min(20.0)
    }
}
