//! Numbers that only grow, in as little memory as they need: most counts of a
//! pane are small, and eight bytes for each would be eight times as much.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counts that are summed at once.
const SUMMED: usize = 32;

/// Numbers that only grow, all in as many bytes as the largest needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Up to 255.
    One(Vec<u8>),
    /// Up to 65,535.
    Two(Vec<u16>),
    /// Up to 2^32 − 1.
    Four(Vec<u32>),
    /// Any; a sum that is too large stays at the largest.
    Eight(Vec<u64>),
}

impl Default for Counts {
    fn default() -> Self {
        Self::NONE
    }
}

/// A number of [`Counts`].
pub(crate) trait Count: Copy + Default {
    /// Itself, or 0; without a branch.
    fn only_if(self, is_so: bool) -> Self;
    /// The sum, and whether it does not fit; the largest, where nothing wider is.
    fn plus(self, more: Self) -> (Self, bool);
}

macro_rules! count {
    ($number:ty, $plus:expr) => {
        impl Count for $number {
            fn only_if(self, is_so: bool) -> Self {
                self & Self::from(is_so).wrapping_neg()
            }

            fn plus(self, more: Self) -> (Self, bool) {
                $plus(self, more)
            }
        }
    };
}

count!(u8, u8::overflowing_add);
count!(u16, u16::overflowing_add);
count!(u32, u32::overflowing_add);
count!(u64, |a: u64, b: u64| (a.saturating_add(b), false));

/// The same of whichever list it is.
macro_rules! each_width {
    ($counts:expr, $list:ident => $what:expr) => {
        match $counts {
            Counts::One($list) => $what,
            Counts::Two($list) => $what,
            Counts::Four($list) => $what,
            Counts::Eight($list) => $what,
        }
    };
}

impl Counts {
    /// No counts.
    pub(crate) const NONE: Self = Self::One(Vec::new());

    /// In as much room as they need.
    pub(crate) fn of(counts: impl Iterator<Item = u64> + Clone) -> Self {
        // Together they need as many bits as the largest.
        let bits = counts.clone().fold(0, |bits, count| bits | count);
        match width_of(bits) {
            1 => Self::One(counts.map(|count| count as u8).collect()),
            2 => Self::Two(counts.map(|count| count as u16).collect()),
            4 => Self::Four(counts.map(|count| count as u32).collect()),
            _ => Self::Eight(counts.collect()),
        }
    }

    /// So many of 0.
    pub(crate) fn zeros(n: usize) -> Self {
        Self::One(vec![0; n])
    }

    pub(crate) fn len(&self) -> usize {
        each_width!(self, counts => counts.len())
    }

    /// Each, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Of so many rows of a size that is a power of two, adds to one in each row: the
    /// one that a hash tells, see [`in_row`]. Of (hash, what is added).
    pub(crate) fn add_in_rows<const ROWS: usize, const SIZE: usize>(
        &mut self,
        added: impl Iterator<Item = (u64, u64)>,
    ) {
        let mut added = added;
        // Each width has a loop of its own, which a sum that needs more leaves.
        while let Some((hash, by)) = each_width!(self, counts => {
            add_while_fit::<_, ROWS, SIZE>(counts, &mut added)
        }) {
            for row in 0..ROWS {
                self.add(row * SIZE + in_row::<SIZE>(hash, row), by);
            }
        }
    }

    /// Adds the same to each from one on.
    pub(crate) fn raise_from(&mut self, at: usize, by: u64) {
        let last = self.len().checked_sub(1).map_or(0, |last| self.get(last));
        self.widen(last.saturating_add(by));
        match self {
            Self::One(counts) => counts[at..].iter_mut().for_each(|n| *n += narrow::<u8>(by)),
            Self::Two(counts) => counts[at..].iter_mut().for_each(|n| *n += narrow::<u16>(by)),
            Self::Four(counts) => counts[at..].iter_mut().for_each(|n| *n += narrow::<u32>(by)),
            Self::Eight(counts) => counts[at..].iter_mut().for_each(|n| *n += by),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<u64> {
        each_width!(self, counts => counts.iter().map(|count| wide(*count)).collect())
    }

    /// Some of them, one after the other.
    pub(crate) fn all_of(&self, some: Range<usize>) -> Vec<u64> {
        each_width!(self, counts => counts[some].iter().map(|count| wide(*count)).collect())
    }

    /// The sum of some of them, one after the other.
    pub(crate) fn sum_of(&self, some: Range<usize>) -> u128 {
        match self {
            Self::One(counts) => sum(&counts[some]),
            Self::Two(counts) => sum(&counts[some]),
            Self::Four(counts) => sum(&counts[some]),
            Self::Eight(counts) => counts[some].iter().map(|count| u128::from(*count)).sum(),
        }
    }

    /// Which one counts the event of that rank, from 0, and how many those before
    /// it count; `None` where there are fewer.
    pub(crate) fn at_rank(&self, rank: u64) -> Option<(usize, u64)> {
        let (mut at, mut before) = (0, 0);
        each_width!(self, counts => {
            // Many are passed over at once.
            for some in counts.chunks_exact(SUMMED) {
                let sum = some.iter().map(|count| wide(*count)).sum::<u64>();
                if rank < before + sum {
                    break;
                }
                (at, before) = (at + SUMMED, before + sum);
            }
            for count in counts.iter().skip(at).map(|count| wide(*count)) {
                if rank < before + count {
                    return Some((at, before));
                }
                (at, before) = (at + 1, before + count);
            }
        });
        None
    }

    /// Adds others, of which there are as many, each to its own. They are added
    /// without asking of each whether it fits, which the compiler makes vectors
    /// of; where one did not, they are taken off again and get more room.
    pub(crate) fn add_each(&mut self, others: &Self) {
        self.widen_to(others.width());
        let saturating = |a: u64, b: u64| (a.saturating_add(b), false);
        let fits = match &mut *self {
            Self::One(own) => match others {
                Self::One(more) => each(own, more, u8::overflowing_add, u8::wrapping_sub),
                // Has been widened above.
                _ => true,
            },
            Self::Two(own) => match others {
                Self::One(more) => each(own, more, u16::overflowing_add, u16::wrapping_sub),
                Self::Two(more) => each(own, more, u16::overflowing_add, u16::wrapping_sub),
                _ => true,
            },
            Self::Four(own) => match others {
                Self::One(more) => each(own, more, u32::overflowing_add, u32::wrapping_sub),
                Self::Two(more) => each(own, more, u32::overflowing_add, u32::wrapping_sub),
                Self::Four(more) => each(own, more, u32::overflowing_add, u32::wrapping_sub),
                Self::Eight(_) => true,
            },
            Self::Eight(own) => {
                each_width!(others, more => each(own, more, saturating, u64::wrapping_sub))
            }
        };
        if !fits {
            self.widen_to(2 * self.width());
            self.add_each(others);
        }
    }

    pub(crate) fn get(&self, at: usize) -> u64 {
        each_width!(self, counts => wide(counts[at]))
    }

    pub(crate) fn add(&mut self, at: usize, by: u64) {
        let count = self.get(at).saturating_add(by);
        self.widen(count);
        match self {
            Self::One(counts) => counts[at] = narrow(count),
            Self::Two(counts) => counts[at] = narrow(count),
            Self::Four(counts) => counts[at] = narrow(count),
            Self::Eight(counts) => counts[at] = count,
        }
    }

    pub(crate) fn insert(&mut self, at: usize, count: u64) {
        self.widen(count);
        match self {
            Self::One(counts) => insert(counts, at, narrow(count)),
            Self::Two(counts) => insert(counts, at, narrow(count)),
            Self::Four(counts) => insert(counts, at, narrow(count)),
            Self::Eight(counts) => insert(counts, at, count),
        }
    }

    /// Takes in counts before those with these numbers, which ascend.
    pub(crate) fn insert_each(&mut self, places: &[usize], fresh: &[u64]) {
        self.widen(fresh.iter().fold(0, |bits, count| bits | count));
        match self {
            Self::One(counts) => insert_each(counts, places, |at| narrow(fresh[at])),
            Self::Two(counts) => insert_each(counts, places, |at| narrow(fresh[at])),
            Self::Four(counts) => insert_each(counts, places, |at| narrow(fresh[at])),
            Self::Eight(counts) => insert_each(counts, places, |at| fresh[at]),
        }
    }

    /// Those of which `keep` holds, by their number.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = each_width!(self, counts => filtered(counts, keep).into_iter().map(wide).collect::<Vec<u64>>());
        Self::of(kept.iter().copied())
    }

    /// Takes more bytes for each where a count needs them.
    fn widen(&mut self, count: u64) {
        self.widen_to(width_of(count));
    }

    /// Bytes of each.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
            Self::Four(_) => 4,
            Self::Eight(_) => 8,
        }
    }

    /// Takes at least so many bytes for each.
    pub(crate) fn widen_to(&mut self, width: usize) {
        if width > self.width() {
            *self = each_width!(self, counts => {
                let counts = counts.iter();
                match width {
                    2 => Self::Two(counts.map(|count| narrow(wide(*count))).collect()),
                    4 => Self::Four(counts.map(|count| narrow(wide(*count))).collect()),
                    _ => Self::Eight(counts.map(|count| wide(*count)).collect()),
                }
            });
        }
    }
}

/// Bytes that a count needs: one, two, four or eight.
fn width_of(count: u64) -> usize {
    match count {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Adds each to its own; where any is too large, nothing, and tells so.
fn each<A: Copy, B: Copy + Into<A>>(
    own: &mut [A],
    more: &[B],
    add: impl Fn(A, A) -> (A, bool),
    subtract: impl Fn(A, A) -> A,
) -> bool {
    let mut is_too_large = false;
    for (own, more) in own.iter_mut().zip(more) {
        let (sum, too_large) = add(*own, (*more).into());
        *own = sum;
        is_too_large |= too_large;
    }
    if is_too_large {
        // What wrapped around comes back.
        own.iter_mut().zip(more).for_each(|(own, more)| *own = subtract(*own, (*more).into()));
    }
    !is_too_large
}

/// Which one of a row a hash tells: each row by bits of its own.
pub(crate) fn in_row<const SIZE: usize>(hash: u64, row: usize) -> usize {
    (hash >> (SIZE.ilog2() as usize * row)) as usize % SIZE
}

/// Adds until a sum does not fit, and tells which addition that was.
fn add_while_fit<T: Count + TryFrom<u64>, const ROWS: usize, const SIZE: usize>(
    counts: &mut [T],
    added: &mut impl Iterator<Item = (u64, u64)>,
) -> Option<(u64, u64)> {
    // With a size that is known nothing has to be asked of a place in a row.
    let (rows, _) = counts.as_chunks_mut::<SIZE>();
    let rows: &mut [[T; SIZE]; ROWS] = rows.try_into().expect("there are so many rows");
    for (hash, by) in added {
        let Ok(more) = T::try_from(by) else {
            return Some((hash, by));
        };
        let mut is_too_large = false;
        let mut sums = [T::default(); ROWS];
        for (row, sum) in sums.iter_mut().enumerate() {
            let (added, too_large) = rows[row][in_row::<SIZE>(hash, row)].plus(more);
            *sum = added;
            is_too_large |= too_large;
        }
        if is_too_large {
            return Some((hash, by));
        }
        for (row, sum) in sums.into_iter().enumerate() {
            rows[row][in_row::<SIZE>(hash, row)] = sum;
        }
    }
    None
}

/// Those of which `keep` holds, by their number. Which these are cannot be foreseen, so
/// each is put down, and the next one in its place where it is not kept.
pub(crate) fn filtered<T: Copy + Default>(values: &[T], keep: impl Fn(usize) -> bool) -> Vec<T> {
    let (mut kept, mut length) = (vec![T::default(); values.len()], 0);
    for (at, value) in values.iter().enumerate() {
        kept[length] = *value;
        length += usize::from(keep(at));
    }
    kept.truncate(length);
    kept.shrink_to_fit();
    kept
}

/// Takes in values before those with these numbers, which ascend.
pub(crate) fn insert_each<T: Copy + Default>(
    values: &mut Vec<T>,
    places: &[usize],
    fresh: impl Fn(usize) -> T,
) {
    room_for(values, places.len());
    let mut end = values.len();
    values.resize(end + places.len(), T::default());
    for (at, place) in places.iter().enumerate().rev() {
        values.copy_within(*place..end, place + at + 1);
        values[place + at] = fresh(at);
        end = *place;
    }
}

fn insert<T>(counts: &mut Vec<T>, at: usize, count: T) {
    room_for(counts, 1);
    counts.insert(at, count);
}

/// Makes room for more values, and for a sixteenth of what there is: twice as
/// much, as a list takes by itself, would mostly stay empty.
pub(crate) fn room_for<T>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() < more {
        values.reserve_exact(more.max(values.len() / 16).max(4));
    }
}

/// The same for a text.
pub(crate) fn room_for_bytes(text: &mut String, more: usize) {
    if text.capacity() - text.len() < more {
        text.reserve_exact(more.max(text.len() / 16).max(16));
    }
}

/// The sum of counts of at most four bytes each.
fn sum<T: Copy + Into<u64>>(counts: &[T]) -> u128 {
    counts.iter().map(|count| wide(*count)).sum::<u64>().into()
}

/// A count in eight bytes.
fn wide<T: Into<u64>>(count: T) -> u64 {
    count.into()
}

/// A count in fewer bytes, which [`Counts::widen_to`] has seen to be enough.
fn narrow<T: TryFrom<u64>>(count: u64) -> T {
    T::try_from(count).ok().expect("counts are widened before they are too large")
}

/// As a sequence.
impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Vec::<u64>::deserialize(deserializer)?.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Around the ends of one, two and four bytes.
    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![1u64..5, 250u64..260, 65_530u64..65_540, 4_294_967_290u64..4_294_967_300]
    }

    proptest! {
        /// At once and one by one, whatever bytes they take before and after.
        #[test]
        fn counts_that_are_added_at_once_are_sums(
            pairs in prop::collection::vec((count(), prop_oneof![count(), Just(u64::MAX)]), 0..150),
            wide in 0usize..150,
        ) {
            let sums = || pairs.iter().map(|(a, b)| a.saturating_add(*b));
            let of = |n: usize| Counts::of(pairs[..n.min(pairs.len())].iter().map(|pair| pair.0));
            let mut own = of(pairs.len());
            own.add_each(&Counts::of(pairs.iter().map(|pair| pair.1)));
            prop_assert_eq!(&own, &Counts::of(sums()));
            // All but a few are small.
            for most in [252, 65_532] {
                let small: Vec<u64> = (0..wide as u64).map(|n| n % 7).collect();
                let mut few = Counts::of(small.iter().copied());
                few.add_each(&Counts::of(small.iter().map(|n| n + most)));
                prop_assert_eq!(few, Counts::of(small.iter().map(|n| 2 * n + most)));
            }
        }
    }
}
