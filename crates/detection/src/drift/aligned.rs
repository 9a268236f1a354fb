//! Two samples of numbers over the same cells of the grid.

use watchkeep_model::distribution::{Numbers, cell_edges, cell_of};
use watchkeep_model::window::Bins;

/// Two distributions over the same cells, ascending.
pub(super) struct Aligned {
    /// A number for each cell: its middle, or nearer where more is known.
    pub(super) values: Vec<f64>,
    /// The smallest number that a cell may hold.
    pub(super) edges: Vec<f64>,
    pub(super) current: Vec<u64>,
    pub(super) reference: Vec<u64>,
}

impl Aligned {
    pub(super) fn new(current: &Numbers, reference: &Numbers) -> Self {
        let (a, b) = (current.cells(), reference.cells());
        let cells = a.len() + b.len();
        let mut aligned = Self {
            values: Vec::with_capacity(cells),
            edges: Vec::with_capacity(cells),
            current: Vec::with_capacity(cells),
            reference: Vec::with_capacity(cells),
        };
        let apart = Apart::of(current, reference);
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let cell = match (a.get(i), b.get(j)) {
                (Some((x, _)), Some((y, _))) => *x.min(y),
                (Some((x, _)), None) | (None, Some((x, _))) => *x,
                (None, None) => break,
            };
            let take = |from: &[(i32, u64)], at: &mut usize| match from.get(*at) {
                Some((found, count)) if *found == cell => {
                    *at += 1;
                    *count
                }
                _ => 0,
            };
            let counts = (take(&a, &mut i), take(&b, &mut j));
            match apart.as_ref().filter(|apart| apart.cell == cell) {
                Some(apart) => aligned.push_apart(apart, counts),
                None => {
                    let (lower, upper) = cell_edges(cell);
                    aligned.push(lower + (upper - lower) / 2.0, lower_edge(cell), counts);
                }
            }
        }
        aligned
    }

    fn push(&mut self, value: f64, edge: f64, (current, reference): (u64, u64)) {
        self.values.push(value);
        self.edges.push(edge);
        self.current.push(current);
        self.reference.push(reference);
    }

    /// A cell as two: first those of the one sample, then those of the other.
    fn push_apart(&mut self, apart: &Apart, (current, reference): (u64, u64)) {
        let edge = lower_edge(apart.cell);
        if apart.current_is_above {
            self.push(apart.lower, edge, (0, reference));
            self.push(apart.upper, apart.from, (current, 0));
        } else {
            self.push(apart.lower, edge, (current, 0));
            self.push(apart.upper, apart.from, (0, reference));
        }
    }

    /// Quantile bins of the reference, snapped to cells, so that the counts on
    /// both sides are exact whatever the reference. A cell that holds several
    /// quantiles is a bin of its own: what comes below or above a value that is
    /// most of the reference, or all of it, would else be counted as that value,
    /// and no figure of bins would show it. At most one bin more than `wanted`.
    pub(super) fn bins(&self, wanted: u32) -> Bins {
        let mut starts = self.quantiles(wanted);
        let total: u64 = self.reference.iter().sum();
        for (at, count) in self.reference.iter().enumerate() {
            if *count > 0 && count * u64::from(wanted.max(1)) >= 2 * total {
                starts.extend([at, at + 1]);
            }
        }
        starts.retain(|at| (1..self.values.len()).contains(at));
        starts.sort_unstable();
        starts.dedup();
        let edges = starts.iter().map(|at| self.edges[*at]).collect();
        let ends = starts.iter().copied().chain([self.values.len()]);
        let ranges: Vec<_> = [0].into_iter().chain(starts.iter().copied()).zip(ends).collect();
        let sums = |counts: &[u64]| {
            ranges.iter().map(|(from, to)| counts[*from..*to].iter().sum()).collect()
        };
        let (current, reference) = (sums(&self.current), sums(&self.reference));
        Bins { edges, current, reference, ..Bins::default() }
    }

    /// Bounds between the quantile bins of the reference.
    pub(super) fn quantile_edges(&self, wanted: u32) -> Vec<f64> {
        self.quantiles(wanted).into_iter().map(|at| self.edges[at]).collect()
    }

    /// The cells with which quantile bins begin, but for the first. A cell that
    /// holds several quantiles ends one bin.
    fn quantiles(&self, wanted: u32) -> Vec<usize> {
        let total: u64 = self.reference.iter().sum();
        let wanted = u64::from(wanted.max(1));
        let mut starts = Vec::new();
        // Values of the reference before the cell, those of them in the bin, and
        // the quantile that the bin ends with.
        let (mut before, mut in_bin, mut quantile) = (0, 0, 1);
        for (at, count) in self.reference.iter().enumerate() {
            if before * wanted >= total * quantile && in_bin > 0 && before < total {
                starts.push(at);
                in_bin = 0;
                quantile = before * wanted / total + 1;
            }
            before += count;
            in_bin += count;
        }
        starts
    }
}

/// Two samples of which one is above the other, as their exact ends tell, with
/// numbers of both in one cell: what is in it need not be taken as equal.
struct Apart {
    cell: i32,
    current_is_above: bool,
    /// Numbers that stand for those of the lower and of the upper sample in it.
    lower: f64,
    upper: f64,
    /// The smallest of the upper sample.
    from: f64,
}

impl Apart {
    fn of(current: &Numbers, reference: &Numbers) -> Option<Self> {
        let current_is_above = current.min()? > reference.max()?;
        let (below, above) = match current_is_above {
            true => (reference, current),
            false => (current, reference),
        };
        let (least, most, from) = (below.min()?, below.max()?, above.min()?);
        let cell = cell_of(from);
        if most >= from || cell_of(most) != cell {
            return None;
        }
        let (edge, end) = cell_edges(cell);
        let middle = |numbers: &Numbers, low: f64, high: f64| match numbers.cells().len() {
            // All of them are in this cell.
            1 => numbers.mean(),
            _ => Some(f64::midpoint(low.max(edge), high.min(end))),
        };
        let lower = middle(below, least, most)?;
        let upper = middle(above, from, above.max()?)?;
        Some(Self { cell, current_is_above, lower, upper, from })
    }
}

/// The smallest double of a cell, so that `edge ≤ value` is what the cell means
/// on either side of 0.
pub(super) fn lower_edge(cell: i32) -> f64 {
    let (lower, _) = cell_edges(cell);
    match cell {
        0 => 0.0,
        1.. => lower.max(f64::from_bits(1)),
        _ => lower.next_up(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: impl IntoIterator<Item = f64>) -> Numbers {
        let mut numbers = Numbers::default();
        values.into_iter().for_each(|value| numbers.add(value));
        numbers
    }

    #[test]
    fn samples_in_one_cell_are_told_apart_by_their_ends() {
        let hour = |from: f64| numbers((0..200).map(|i| from + f64::from(i)));
        let (before, after) = (hour(1.78e9), hour(1.78e9 + 3_600.0));
        let aligned = Aligned::new(&after, &before);
        assert_eq!(aligned.values, [1.78e9 + 99.5, 1.78e9 + 3_699.5]);
        assert_eq!((aligned.current, aligned.reference), (vec![0, 200], vec![200, 0]));
        assert_eq!(aligned.edges[1], 1.78e9 + 3_600.0);
        let turned = Aligned::new(&before, &after);
        assert_eq!((turned.current, turned.reference), (vec![200, 0], vec![0, 200]));
        assert_eq!(Aligned::new(&before, &before).values.len(), 1);
    }

    /// As many bins as there are different quantiles, and none of one value.
    #[test]
    fn a_value_that_is_most_of_them_ends_one_bin() {
        let zeros = std::iter::repeat_n(0.0, 2_000);
        let reference = numbers(zeros.chain((0..1_000).map(|i| 1.0 + f64::from(i) / 100.0)));
        let bins = Aligned::new(&numbers([1.0]), &reference).bins(10);
        assert_eq!(bins.reference[0], 2_000);
        assert_eq!(bins.reference.len(), 5, "{:?}", bins.reference);
        assert!(bins.reference[1..].iter().all(|n| (90..=310).contains(n)), "{:?}", bins.reference);
    }

    #[test]
    fn what_lies_beside_a_value_that_is_most_of_them_is_not_counted_as_it() {
        let counts = |reference: Vec<f64>, current: &[f64]| {
            let bins =
                Aligned::new(&numbers(current.iter().copied()), &numbers(reference)).bins(10);
            (bins.current, bins.reference)
        };
        assert_eq!(counts(vec![5.0; 300], &[5.0, 5.0]), (vec![2], vec![300]));
        assert_eq!(counts(vec![5.0; 300], &[0.0, 1.0]), (vec![2, 0], vec![0, 300]));
        assert_eq!(counts(vec![5.0; 300], &[0.0, 5.0, 9.0]), (vec![1, 1, 1], vec![0, 300, 0]));
        let mut with_rare = vec![0.0; 95];
        with_rare.extend([7.0; 5]);
        assert_eq!(counts(with_rare, &[-3.0, 0.0, 8.0]), (vec![1, 1, 1], vec![0, 95, 5]));
    }
}
