//! Distributions that merge without error and without regard to order.
//!
//! Both kinds keep few values as they came and go over to counts in the cells
//! of a fixed grid once there are more. What is kept depends on the number of
//! values alone, so any order and grouping of merges gives the same bytes.

use serde::{Deserialize, Serialize};

use crate::counted::Counted;
use crate::counts::room_for;
use crate::distinct::Distinct;
use crate::exact_sum::ExactSum;

/// Numbers up to this many are kept as they came; more go to the grid.
pub const RAW_NUMBERS_MAX: usize = 128;
/// Durations up to this many are kept as they came; more go to the grid.
pub const RAW_DURATIONS_MAX: usize = 64;

/// Bits of the mantissa that are dropped: 7 remain, so a cell is at most
/// 1/128 = 0.79 % wide, relative to its lower edge.
const DROPPED_BITS: u32 = 52 - 7;

/// The cell of a finite number. Order-preserving; 0 is a cell of its own, the
/// cell of −x is the negative of that of x.
pub fn cell_of(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    let magnitude = (value.abs().to_bits() >> DROPPED_BITS) as i32 + 1;
    if value < 0.0 { -magnitude } else { magnitude }
}

/// Edges of a cell: `lower ≤ x < upper` for positive cells, `lower < x ≤ upper`
/// for negative ones, both 0 for cell 0. The last cell ends at the largest double.
pub fn cell_edges(cell: i32) -> (f64, f64) {
    if cell == 0 {
        return (0.0, 0.0);
    }
    let magnitude = u64::from(cell.unsigned_abs());
    let near = f64::from_bits((magnitude - 1) << DROPPED_BITS);
    let far = f64::from_bits(magnitude << DROPPED_BITS).min(f64::MAX);
    if cell > 0 { (near, far) } else { (-far, -near) }
}

/// The largest cell number that a finite double has.
pub const CELL_MAX: i32 = (f64::MAX.to_bits() >> DROPPED_BITS) as i32 + 1;

/// Finite numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Numbers {
    /// At most [`RAW_NUMBERS_MAX`], ascending, −0 written as 0.
    Few(Vec<f64>),
    /// More than that.
    Many(Box<NumberGrid>),
}

/// Numbers counted in cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberGrid {
    /// (cell, count), ascending by cell, no count of 0.
    pub cells: Counted<i32>,
    /// Sum of the counts.
    pub count: u64,
    /// Smallest number, exact.
    pub min: f64,
    /// Largest number, exact.
    pub max: f64,
    /// Sum of the numbers, exact.
    pub sum: ExactSum,
    /// How many different ones; `None` where some of the numbers come from
    /// summaries that did not tell.
    pub distinct: Option<Distinct>,
}

impl Default for NumberGrid {
    fn default() -> Self {
        Self {
            cells: Counted::default(),
            count: 0,
            min: 0.0,
            max: 0.0,
            sum: ExactSum::default(),
            distinct: Some(Distinct::default()),
        }
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Numbers {
    /// Adds one finite number; others are the caller's to count.
    pub fn add(&mut self, value: f64) {
        debug_assert!(value.is_finite());
        let value = value + 0.0; // −0 becomes 0
        match self {
            Self::Few(values) if values.len() < RAW_NUMBERS_MAX => {
                let at = match values.last() {
                    Some(last) if *last > value => values.partition_point(|v| *v <= value),
                    _ => values.len(),
                };
                room_for(values, 1);
                values.insert(at, value);
            }
            Self::Few(_) => {
                let grid = self.grid_mut();
                grid.add(value);
            }
            Self::Many(grid) => grid.add(value),
        }
    }

    /// Adds many finite numbers, the same as one by one and faster. Sorts them,
    /// so it takes them.
    pub fn add_all(&mut self, values: &mut Vec<f64>) {
        values.iter_mut().for_each(|value| *value += 0.0); // −0 becomes 0
        values.sort_unstable_by(f64::total_cmp);
        match self {
            Self::Few(own) if own.len() + values.len() <= RAW_NUMBERS_MAX => {
                let sorted = own.is_empty();
                room_for(own, values.len());
                own.append(values);
                if !sorted {
                    own.sort_unstable_by(f64::total_cmp);
                }
            }
            _ => {
                self.grid_mut().add_sorted(values);
                values.clear();
            }
        }
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Few(values) if values.is_empty() => {}
            Self::Few(values) => match self {
                Self::Few(own) if own.len() + values.len() <= RAW_NUMBERS_MAX => {
                    room_for(own, values.len());
                    own.extend_from_slice(values);
                    own.sort_by(f64::total_cmp);
                }
                _ => self.grid_mut().add_sorted(values),
            },
            Self::Many(grid) => self.grid_mut().merge(grid),
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Self::Few(values) => values.len() as u64,
            Self::Many(grid) => grid.count,
        }
    }

    /// The numbers as they came, ascending, while they are kept.
    pub fn raw(&self) -> Option<&[f64]> {
        match self {
            Self::Few(values) => Some(values),
            Self::Many(_) => None,
        }
    }

    /// (cell, count) ascending, whichever way the numbers are kept.
    pub fn cells(&self) -> Vec<(i32, u64)> {
        match self {
            Self::Few(values) => {
                let mut cells: Vec<(i32, u64)> = Vec::with_capacity(values.len());
                values.iter().for_each(|value| push_run(&mut cells, cell_of(*value)));
                cells
            }
            Self::Many(grid) => grid.cells.cells(),
        }
    }

    /// Smallest, exact.
    pub fn min(&self) -> Option<f64> {
        match self {
            Self::Few(values) => values.first().copied(),
            Self::Many(grid) => Some(grid.min),
        }
    }

    /// Largest, exact.
    pub fn max(&self) -> Option<f64> {
        match self {
            Self::Few(values) => values.last().copied(),
            Self::Many(grid) => Some(grid.max),
        }
    }

    /// Arithmetic mean, from an exact sum.
    pub fn mean(&self) -> Option<f64> {
        match self {
            Self::Few(values) if values.is_empty() => None,
            Self::Few(values) => {
                let mut sum = ExactSum::default();
                values.iter().for_each(|value| sum.add(*value, 1));
                Some(sum.mean(values.len() as u64))
            }
            Self::Many(grid) => Some(grid.sum.mean(grid.count)),
        }
    }

    /// Quantile of level `q` (0 to 1): type 7 (Hyndman and Fan 1996) while the
    /// numbers are kept, else the same rank interpolated within its cell, so
    /// within 1 % of the number that has the rank.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        match self {
            Self::Few(values) => type_7(values.len() as u64, q, |rank| values[rank as usize]),
            Self::Many(grid) => type_7(grid.count, q, |rank| grid.at_rank(rank)),
        }
    }

    /// Numbers below `bound`. On the grid the cell that holds the bound counts
    /// as not below, an error of at most its width.
    pub fn count_below(&self, bound: f64) -> u64 {
        match self {
            Self::Few(values) => values.partition_point(|v| *v < bound) as u64,
            Self::Many(grid) if grid.min >= bound => 0,
            Self::Many(grid) if grid.max < bound => grid.count,
            Self::Many(grid) => {
                let edge = cell_of(bound);
                grid.cells.iter().take_while(|(cell, _)| *cell < edge).map(|(_, n)| n).sum()
            }
        }
    }

    /// Numbers above `bound`. On the grid the cell that holds the bound counts
    /// as not above, an error of at most its width.
    pub fn count_above(&self, bound: f64) -> u64 {
        match self {
            Self::Few(values) => (values.len() - values.partition_point(|v| *v <= bound)) as u64,
            Self::Many(grid) if grid.max <= bound => 0,
            Self::Many(grid) if grid.min > bound => grid.count,
            Self::Many(grid) => {
                let edge = cell_of(bound);
                grid.cells.iter().rev().take_while(|(cell, _)| *cell > edge).map(|(_, n)| n).sum()
            }
        }
    }

    /// How many different numbers: exact while they are kept as they came, else
    /// an estimate with a standard error of [`DISTINCT_ERROR`]. `None` where some
    /// come from summaries that did not tell.
    ///
    /// [`DISTINCT_ERROR`]: crate::distinct::DISTINCT_ERROR
    pub fn distinct(&self) -> Option<u64> {
        match self {
            Self::Few(values) => {
                let repeats = values.windows(2).filter(|pair| pair[0] == pair[1]).count();
                Some((values.len() - repeats) as u64)
            }
            Self::Many(grid) => grid.distinct.as_ref().map(Distinct::estimate),
        }
    }

    fn grid_mut(&mut self) -> &mut NumberGrid {
        if let Self::Few(values) = self {
            let mut grid = Box::<NumberGrid>::default();
            grid.add_sorted(&std::mem::take(values));
            *self = Self::Many(grid);
        }
        match self {
            Self::Many(grid) => grid,
            Self::Few(_) => unreachable!("just replaced"),
        }
    }
}

impl NumberGrid {
    /// Adds ascending numbers: each cell is looked for once.
    fn add_sorted(&mut self, values: &[f64]) {
        let (Some(first), Some(last)) = (values.first(), values.last()) else { return };
        self.note_range(*first, *last);
        self.count += values.len() as u64;
        let mut runs: Vec<(i32, u64)> = Vec::with_capacity(values.len());
        let mut before = None;
        for value in values {
            self.sum.add(*value, 1);
            push_run(&mut runs, cell_of(*value));
            if before != Some(*value) {
                self.note_distinct(*value);
                before = Some(*value);
            }
        }
        self.cells.merge_runs(&runs);
    }

    fn add(&mut self, value: f64) {
        self.note_range(value, value);
        self.sum.add(value, 1);
        self.count += 1;
        self.note_distinct(value);
        self.cells.bump(cell_of(value), 1);
    }

    fn note_distinct(&mut self, value: f64) {
        if let Some(distinct) = &mut self.distinct {
            distinct.add(value);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.note_range(other.min, other.max);
        self.sum.merge(&other.sum);
        self.count += other.count;
        self.cells.merge(&other.cells);
        match (&mut self.distinct, &other.distinct) {
            (Some(own), Some(distinct)) => own.merge(distinct),
            _ => self.distinct = None,
        }
    }

    fn note_range(&mut self, min: f64, max: f64) {
        if self.count == 0 {
            (self.min, self.max) = (min, max);
        } else {
            self.min = self.min.min(min);
            self.max = self.max.max(max);
        }
    }

    fn at_rank(&self, rank: u64) -> f64 {
        if rank == 0 {
            return self.min;
        }
        if rank + 1 >= self.count {
            return self.max;
        }
        if let Some((cell, before, count)) = self.cells.at_rank(rank) {
            let (lower, upper) = cell_edges(cell);
            let (lower, upper) = (lower.max(self.min), upper.min(self.max));
            let share = ((rank - before) as f64 + 0.5) / count as f64;
            return lower + (upper - lower) * share;
        }
        self.max
    }
}

/// Durations in whole microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Durations {
    /// At most [`RAW_DURATIONS_MAX`], ascending.
    Few(Vec<u64>),
    /// More than that.
    Many(Box<DurationGrid>),
}

/// Durations counted in the buckets of an HDR histogram with fixed bounds:
/// 1 µs to [`DURATION_MAX_US`], two significant digits. Sparse, because a pane
/// rarely touches more than a few of its 5,376 buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationGrid {
    /// (bucket, count), ascending by bucket, no count of 0.
    pub buckets: Counted<u16>,
    /// Sum of the counts.
    pub count: u64,
    /// Smallest, exact.
    pub min: u64,
    /// Largest, exact, also beyond the last bucket.
    pub max: u64,
}

/// Durations above this (about 4.5 years) are counted in the last bucket.
pub const DURATION_MAX_US: u64 = (1 << 47) - 1;
/// Significant decimal digits of the buckets.
pub const DURATION_DIGITS: u8 = 2;

/// The bucket of a duration: the index that an `hdrhistogram` of the bounds
/// above uses (sub-buckets of 256, of which the upper half is new in each octave).
pub fn bucket_of(duration_us: u64) -> u16 {
    let value = duration_us.min(DURATION_MAX_US);
    let octave = (64 - (value | 0xff).leading_zeros()) - 8;
    let sub_bucket = value >> octave;
    (u64::from(octave) * 128 + sub_bucket) as u16
}

/// First and last duration of a bucket, in microseconds.
pub fn bucket_edges(bucket: u16) -> (u64, u64) {
    if bucket < 256 {
        return (u64::from(bucket), u64::from(bucket));
    }
    let octave = u32::from(bucket) / 128 - 1;
    let first = (u64::from(bucket) - u64::from(octave) * 128) << octave;
    (first, first + (1 << octave) - 1)
}

impl Default for Durations {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Durations {
    /// Adds one duration in microseconds.
    pub fn add(&mut self, duration_us: u64) {
        match self {
            Self::Few(values) if values.len() < RAW_DURATIONS_MAX => {
                let at = match values.last() {
                    Some(last) if *last > duration_us => {
                        values.partition_point(|v| *v <= duration_us)
                    }
                    _ => values.len(),
                };
                room_for(values, 1);
                values.insert(at, duration_us);
            }
            Self::Few(_) => self.grid_mut().add(duration_us),
            Self::Many(grid) => grid.add(duration_us),
        }
    }

    /// Adds many durations in microseconds, the same as one by one and faster.
    /// Sorts them, so it takes them.
    pub fn add_all(&mut self, values: &mut Vec<u64>) {
        values.sort_unstable();
        match self {
            Self::Few(own) if own.len() + values.len() <= RAW_DURATIONS_MAX => {
                let sorted = own.is_empty();
                room_for(own, values.len());
                own.append(values);
                if !sorted {
                    own.sort_unstable();
                }
            }
            _ => {
                self.grid_mut().add_sorted(values);
                values.clear();
            }
        }
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Few(values) if values.is_empty() => {}
            Self::Few(values) => match self {
                Self::Few(own) if own.len() + values.len() <= RAW_DURATIONS_MAX => {
                    room_for(own, values.len());
                    own.extend_from_slice(values);
                    own.sort_unstable();
                }
                _ => self.grid_mut().add_sorted(values),
            },
            Self::Many(grid) => self.grid_mut().merge(grid),
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Self::Few(values) => values.len() as u64,
            Self::Many(grid) => grid.count,
        }
    }

    /// Largest, exact.
    pub fn max(&self) -> Option<u64> {
        match self {
            Self::Few(values) => values.last().copied(),
            Self::Many(grid) => Some(grid.max),
        }
    }

    /// Quantile of level `q` (0 to 1) in microseconds: type 7 while the
    /// durations are kept, else interpolated within the bucket, so within 1 %.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        match self {
            Self::Few(values) => {
                type_7(values.len() as u64, q, |rank| values[rank as usize] as f64)
            }
            Self::Many(grid) => type_7(grid.count, q, |rank| grid.at_rank(rank)),
        }
    }

    /// As a dense histogram of the same bounds, for programs that speak HDR.
    /// Durations above [`DURATION_MAX_US`] are recorded as that.
    pub fn to_histogram(&self) -> hdrhistogram::Histogram<u64> {
        let mut histogram =
            hdrhistogram::Histogram::new_with_bounds(1, DURATION_MAX_US, DURATION_DIGITS)
                .expect("the bounds are constants that fit");
        let mut record = |value: u64, count| {
            histogram.record_n(value, count).expect("the value is within the bounds");
        };
        match self {
            Self::Few(values) => values.iter().for_each(|v| record((*v).min(DURATION_MAX_US), 1)),
            Self::Many(grid) => {
                grid.buckets.iter().for_each(|(bucket, n)| record(bucket_edges(bucket).0, n));
            }
        }
        histogram
    }

    fn grid_mut(&mut self) -> &mut DurationGrid {
        if let Self::Few(values) = self {
            let mut grid = Box::<DurationGrid>::default();
            grid.add_sorted(&std::mem::take(values));
            *self = Self::Many(grid);
        }
        match self {
            Self::Many(grid) => grid,
            Self::Few(_) => unreachable!("just replaced"),
        }
    }
}

impl DurationGrid {
    /// Adds ascending durations: each bucket is looked for once.
    fn add_sorted(&mut self, values: &[u64]) {
        let (Some(first), Some(last)) = (values.first(), values.last()) else { return };
        self.note_range(*first, *last);
        self.count += values.len() as u64;
        let mut runs: Vec<(u16, u64)> = Vec::with_capacity(values.len());
        for value in values {
            push_run(&mut runs, bucket_of(*value));
        }
        self.buckets.merge_runs(&runs);
    }

    fn add(&mut self, value: u64) {
        self.note_range(value, value);
        self.count += 1;
        self.buckets.bump(bucket_of(value), 1);
    }

    fn merge(&mut self, other: &Self) {
        self.note_range(other.min, other.max);
        self.count += other.count;
        self.buckets.merge(&other.buckets);
    }

    fn note_range(&mut self, min: u64, max: u64) {
        if self.count == 0 {
            (self.min, self.max) = (min, max);
        } else {
            self.min = self.min.min(min);
            self.max = self.max.max(max);
        }
    }

    fn at_rank(&self, rank: u64) -> f64 {
        if rank == 0 {
            return self.min as f64;
        }
        if rank + 1 >= self.count {
            return self.max as f64;
        }
        if let Some((bucket, before, count)) = self.buckets.at_rank(rank) {
            let (first, last) = bucket_edges(bucket);
            let (first, last) = (first.max(self.min) as f64, last.min(self.max) as f64);
            let share = ((rank - before) as f64 + 0.5) / count as f64;
            return first + (last - first).max(0.0) * share;
        }
        self.max as f64
    }
}

fn type_7(count: u64, q: f64, at_rank: impl Fn(u64) -> f64) -> Option<f64> {
    if count == 0 {
        return None;
    }
    let position = (count - 1) as f64 * q.clamp(0.0, 1.0);
    let rank = position.floor();
    let (low, share) = (at_rank(rank as u64), position - rank);
    if share == 0.0 {
        return Some(low);
    }
    let high = at_rank(rank as u64 + 1);
    // Halves are combined apart so that neighbours near ±1e308 do not overflow.
    Some(low * (1.0 - share) + high * share)
}

/// Counts one more in the cell, which is the last one or follows it.
fn push_run<K: PartialEq>(runs: &mut Vec<(K, u64)>, cell: K) {
    match runs.last_mut() {
        Some((last, count)) if *last == cell => *count += 1,
        _ => runs.push((cell, 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(values: &[f64]) -> Numbers {
        let mut numbers = Numbers::default();
        values.iter().for_each(|value| numbers.add(*value));
        numbers
    }

    fn durations(values: &[u64]) -> Durations {
        let mut durations = Durations::default();
        values.iter().for_each(|value| durations.add(*value));
        durations
    }

    #[test]
    fn buckets_are_those_of_hdrhistogram() {
        let histogram =
            hdrhistogram::Histogram::<u64>::new_with_bounds(1, DURATION_MAX_US, DURATION_DIGITS)
                .unwrap();
        assert_eq!(histogram.distinct_values(), usize::from(bucket_of(DURATION_MAX_US)) + 1);
        for shift in 0..47 {
            for add in [0, 1, 7, 200] {
                let value = ((1u64 << shift) + add).min(DURATION_MAX_US);
                let (first, last) = bucket_edges(bucket_of(value));
                assert_eq!(histogram.lowest_equivalent(value), first, "{value}");
                assert_eq!(histogram.highest_equivalent(value), last, "{value}");
            }
        }
    }

    #[test]
    fn a_cell_is_at_most_one_percent_wide() {
        for value in [1e-300, 0.001, 1.0, 1.007, 50.0, 800.0, 1e300, f64::MAX] {
            for value in [value, -value] {
                let (lower, upper) = cell_edges(cell_of(value));
                assert!(lower <= value && value <= upper, "{value}");
                assert!((upper - lower) / lower.abs().min(upper.abs()) <= 0.01, "{value}");
            }
        }
        assert_eq!(cell_of(f64::MAX), CELL_MAX);
        assert_eq!(cell_of(-0.0), 0);
    }

    #[test]
    fn few_numbers_have_exact_quantiles() {
        let few = numbers(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(few.quantile(0.5), Some(2.5));
        assert_eq!(few.quantile(0.9), Some(3.7));
        assert_eq!(few.mean(), Some(2.5));
        assert_eq!(Numbers::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn cells_keep_the_order(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            if a <= b { prop_assert!(cell_of(a) <= cell_of(b)); }
        }

        #[test]
        fn merging_is_order_free_to_the_bit(
            values in prop::collection::vec(prop_oneof![-1e3f64..1e3, any::<f64>(), Just(0.0), Just(-0.0)], 0..400),
            cuts in prop::collection::vec(0usize..400, 0..6),
        ) {
            let values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
            let whole = numbers(&values);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(values.len())).chain([0, values.len()]).collect();
            cuts.sort_unstable();
            let parts: Vec<Numbers> = cuts.windows(2).map(|w| numbers(&values[w[0]..w[1]])).collect();
            let mut backwards = Numbers::default();
            parts.iter().rev().for_each(|part| backwards.merge(part));
            prop_assert_eq!(&whole, &backwards);
            let mut nested = Numbers::default();
            for part in &parts {
                let mut grown = part.clone();
                grown.merge(&nested);
                nested = grown;
            }
            prop_assert_eq!(&whole, &nested);
        }

        #[test]
        fn adding_many_is_adding_each(
            first in prop::collection::vec(prop_oneof![-1e3f64..1e3, Just(0.0), Just(-0.0)], 0..200),
            second in prop::collection::vec(-9i32..9, 0..200),
        ) {
            let second: Vec<f64> = second.iter().map(|v| f64::from(*v)).collect();
            let each = numbers(&[first.clone(), second.clone()].concat());
            let mut many = Numbers::default();
            many.add_all(&mut first.clone());
            many.add_all(&mut second.clone());
            prop_assert_eq!(each, many);
            let micros = |v: &[f64]| v.iter().map(|v| (v.abs() * 1e4) as u64).collect::<Vec<u64>>();
            let each = durations(&[micros(&first), micros(&second)].concat());
            let mut many = Durations::default();
            many.add_all(&mut micros(&first));
            many.add_all(&mut micros(&second));
            prop_assert_eq!(each, many);
        }

        #[test]
        fn durations_merge_order_free(values in prop::collection::vec(any::<u64>(), 0..300), at in 0usize..300) {
            let whole = durations(&values);
            let (left, right) = values.split_at(at.min(values.len()));
            let mut merged = durations(right);
            merged.merge(&durations(left));
            prop_assert_eq!(&whole, &merged);
        }

        #[test]
        fn grid_quantiles_are_within_one_percent(mut values in prop::collection::vec(0.01f64..1e6, 200..400), q in 0.0f64..1.0) {
            let grid = numbers(&values);
            prop_assert!(grid.raw().is_none());
            values.sort_by(f64::total_cmp);
            let exact = type_7(values.len() as u64, q, |rank| values[rank as usize]).unwrap();
            let got = grid.quantile(q).unwrap();
            prop_assert!((got - exact).abs() <= 0.01 * exact, "{got} {exact}");
        }
    }
}
