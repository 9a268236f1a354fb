//! A sum of doubles that does not depend on the order of addition.
//!
//! Every finite double is an integer of 53 bits times a power of two. The
//! integers are added in 128-bit limbs, one for each 32 powers of two, so no
//! bit is lost and addition is that of integers: associative and commutative.
//! (The idea is Kulisch's long accumulator, kept sparse.)

use serde::{Deserialize, Serialize};

/// Powers of two that share a limb.
const LIMB_BITS: u64 = 32;
/// Exponent of the lowest bit of the smallest subnormal double.
const LOWEST_EXPONENT: i32 = -1074;

/// An exact sum. A limb takes 2^42 additions before it could overflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactSum {
    /// (limb number, value), ascending; limbs that were never touched are absent.
    limbs: Vec<(u8, i128)>,
}

impl ExactSum {
    /// Adds a finite number `times` times; others are ignored.
    pub fn add(&mut self, value: f64, times: u64) {
        if !value.is_finite() {
            return;
        }
        let bits = value.to_bits();
        let biased = (bits >> 52) & 0x7ff;
        let fraction = bits & ((1 << 52) - 1);
        let mantissa = if biased == 0 { fraction } else { fraction | (1 << 52) };
        let exponent = biased.max(1) - 1;
        let magnitude = (i128::from(mantissa) << (exponent % LIMB_BITS)) * i128::from(times);
        let limb = u8::try_from(exponent / LIMB_BITS).expect("an exponent has 11 bits");
        self.add_limb(limb, if value.is_sign_negative() { -magnitude } else { magnitude });
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        for &(limb, value) in &other.limbs {
            self.add_limb(limb, value);
        }
    }

    /// The sum over `count`, without overflow on the way. 0 where `count` is 0.
    pub fn mean(&self, count: u64) -> f64 {
        if count == 0 {
            return 0.0;
        }
        let mut mean = 0.0;
        for &(limb, value) in self.limbs.iter().rev() {
            let exponent = i32::from(limb) * 32 + LOWEST_EXPONENT;
            // In two factors, because neither 2^-1074 times a large limb nor
            // 2^970 alone may leave the range on the way.
            let half = exponent / 2;
            mean += value as f64 / count as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
        }
        mean
    }

    /// The limbs (number, value), ascending, for writing.
    pub fn limbs(&self) -> &[(u8, i128)] {
        &self.limbs
    }

    /// From limbs as [`ExactSum::limbs`] gives them; `None` where they are not ascending.
    pub fn from_limbs(limbs: Vec<(u8, i128)>) -> Option<Self> {
        let ascending = limbs.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let in_range = limbs.iter().all(|(limb, _)| *limb < 64);
        (ascending && in_range).then_some(Self { limbs })
    }

    fn add_limb(&mut self, limb: u8, value: i128) {
        match self.limbs.binary_search_by_key(&limb, |(number, _)| *number) {
            Ok(at) => self.limbs[at].1 = self.limbs[at].1.saturating_add(value),
            Err(at) => self.limbs.insert(at, (limb, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn large_and_small_do_not_swallow_each_other() {
        let mut sum = ExactSum::default();
        for value in [1e300, 1.0, -1e300, 2.0] {
            sum.add(value, 1);
        }
        assert_eq!(sum.mean(1), 3.0);
        let mut huge = ExactSum::default();
        huge.add(f64::MAX, 4);
        assert_eq!(huge.mean(4), f64::MAX);
        let mut tiny = ExactSum::default();
        tiny.add(5e-324, 2);
        assert_eq!(tiny.mean(2), 5e-324);
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(values in prop::collection::vec(any::<f64>(), 0..40), at in 0usize..40) {
            let mut forward = ExactSum::default();
            values.iter().for_each(|v| forward.add(*v, 1));
            let mut backward = ExactSum::default();
            values.iter().rev().for_each(|v| backward.add(*v, 1));
            prop_assert_eq!(&forward, &backward);
            let (left, right) = values.split_at(at.min(values.len()));
            let (mut a, mut b) = (ExactSum::default(), ExactSum::default());
            left.iter().for_each(|v| a.add(*v, 1));
            right.iter().for_each(|v| b.add(*v, 1));
            b.merge(&a);
            prop_assert_eq!(&forward, &b);
        }

        #[test]
        fn the_mean_is_close_to_the_naive_one(values in prop::collection::vec(-1e6f64..1e6, 1..60)) {
            let mut sum = ExactSum::default();
            values.iter().for_each(|v| sum.add(*v, 1));
            let naive = values.iter().sum::<f64>() / values.len() as f64;
            prop_assert!((sum.mean(values.len() as u64) - naive).abs() < 1e-6);
        }
    }
}
