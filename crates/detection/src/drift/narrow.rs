//! Numbers that lie so close together, for their size, that cells of the grid
//! hold most of them: unix times of an hour, the latitudes of a town, years.
//!
//! Above the few that are kept as they came, such numbers can move within a cell,
//! and no statistic over cells shows it. Where that may be, a comparison that
//! finds nothing says nothing.

use watchkeep_model::distinct::DISTINCT_ERROR;
use watchkeep_model::distribution::{NumberGrid, Numbers};

/// Share of a window's values in one cell from which on most of what may happen
/// to them is hidden in it. With less there are cells beside it by which a shift
/// is seen.
pub(crate) const HIDDEN_SHARE: f64 = 0.5;
/// Share from which on the cells take away some of the power of a comparison: about
/// a tenth of it for normal values, at means of 100 to 200 standard deviations.
pub(crate) const COARSE_SHARE: f64 = 0.3;
/// Share of the values from which on a cell is counted among the full ones.
const FULL_SHARE: f64 = 0.1;
/// So many different values for each full cell are no few that come again and
/// again, as whole numbers do.
const VALUES_PER_CELL: f64 = 3.0;

/// The share of the values in one cell, where it is at least [`COARSE_SHARE`] and
/// they are known to differ within the full cells. The cell of 0 holds nothing but 0.
pub(crate) fn hidden_share(numbers: &Numbers) -> Option<f64> {
    let Numbers::Many(grid) = numbers else { return None };
    let share = |count: u64| count as f64 / grid.count as f64;
    let fullest = grid.cells.iter().filter(|(cell, _)| *cell != 0).map(|(_, n)| n).max()?;
    (share(fullest) >= COARSE_SHARE && differs_within(grid, share)).then(|| share(fullest))
}

/// True where there are more different values than the ones outside of the full
/// cells could come to.
fn differs_within(grid: &NumberGrid, share: impl Fn(u64) -> f64) -> bool {
    let is_full = |(cell, count): &(i32, u64)| *cell != 0 && share(*count) >= FULL_SHARE;
    let (cells, within) = grid
        .cells
        .iter()
        .filter(is_full)
        .fold((0.0, 0), |(cells, within), (_, count)| (cells + 1.0, within + count));
    let different = grid.distinct.as_ref().map_or(0.0, |distinct| distinct.estimate() as f64);
    // An estimate is less than this too large in all but one of a thousand cases.
    let at_least = different / (1.0 + 3.0 * DISTINCT_ERROR);
    at_least - (grid.count - within) as f64 > VALUES_PER_CELL * cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(values: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut numbers = Numbers::default();
        values.into_iter().for_each(|value| numbers.add(value));
        hidden_share(&numbers)
    }

    #[test]
    fn numbers_that_differ_within_a_cell_are_hidden() {
        assert_eq!(hidden((0..200).map(|i| 1.78e9 + f64::from(i))), Some(1.0));
        let years = (0..500).map(|i| 1976.5 + f64::from(i % 100) / 100.0);
        assert!(hidden(years).is_some_and(|share| share > 0.5));
        // Over three cells of a width of 8 around 1500.
        let pressures = (0..500).map(|i| 1500.0 + f64::from(i % 250) / 10.0);
        assert!(
            hidden(pressures).is_some_and(|share| (COARSE_SHARE..HIDDEN_SHARE).contains(&share))
        );
    }

    #[test]
    fn few_values_that_come_again_and_again_are_not() {
        assert_eq!(hidden((0..100).map(|i| 1.78e9 + f64::from(i))), None, "kept as they came");
        assert_eq!(hidden([1978.5; 500]), None);
        assert_eq!(hidden((0..500).map(|i| f64::from(i % 3))), None);
        assert_eq!(hidden((0..500).map(|i| f64::from(i % 7 / 5) * 1e9)), None);
        // Over twenty cells.
        assert_eq!(hidden((0..500).map(|i| 500.0 + f64::from(i) / 8.0)), None);
        // Zeros are a cell of their own, and the rest is spread.
        assert_eq!(hidden((0..500).map(|i| f64::from((i % 10 - 7).max(0) * i))), None);
        // Most have one price, and the others many.
        let prices = (0..500).map(|i| if i % 5 < 3 { 9.99 } else { 1.0 + f64::from(i) / 7.0 });
        assert_eq!(hidden(prices), None);
    }
}
