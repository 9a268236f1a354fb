//! Where two distribution functions differ: what Kolmogorov–Smirnov and
//! Wasserstein distances are made of, so that they can be recomputed from bins.
//!
//! Neither follows from counts of ten bins: the first may be attained within a
//! bin, the second is an area that depends on where in a bin the values lie. So
//! the point of the widest distance is told with the counts below it, and the
//! area over each bin; the distance is their sum.

use super::counts::{Distances, total};
use super::special::{Sum, safe_scale};

/// Both distances in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The first value from which on the functions are less far apart again,
    /// and the values of either sample below it. `None` where they are equal.
    pub widest: Option<(f64, u64, u64)>,
    /// The area between the functions from one edge to the next, in the values'
    /// unit; the first bin has no lower edge and the last no upper one.
    pub areas: Vec<f64>,
}

/// The parts of the distances of counts at ascending `values`, for bins with
/// ascending inner `edges`. `below[i]` is what the counts before `i` are below.
#[must_use]
pub fn profile(
    values: &[f64],
    below: &[f64],
    (current, reference): (&[u64], &[u64]),
    edges: &[f64],
) -> Profile {
    let (n, m) = (total(current), total(reference));
    let mut profile = Profile { widest: None, areas: vec![0.0; edges.len() + 1] };
    if n == 0 || m == 0 {
        return profile;
    }
    let largest = values.iter().fold(0.0_f64, |so_far, value| so_far.max(value.abs()));
    let scale = safe_scale(largest);
    let distances = Distances::of(n, m);
    let mut areas = vec![Sum::default(); edges.len() + 1];
    let (mut c, mut r, mut bin, mut distance) = (0_u64, 0_u64, 0, 0.0);
    for at in 1..values.len() {
        c += current.get(at - 1).copied().unwrap_or(0);
        r += reference.get(at - 1).copied().unwrap_or(0);
        let gap = distances.between(c.into(), r.into());
        if gap > distance {
            distance = gap;
            profile.widest = below.get(at).map(|edge| (*edge, c, r));
        }
        let (mut from, to) = (values[at - 1], values[at]);
        while let Some(edge) = edges.get(bin).copied().filter(|edge| *edge < to) {
            if edge > from {
                areas[bin].add((edge * scale - from * scale) * gap);
                from = edge;
            }
            bin += 1;
        }
        areas[bin].add((to * scale - from * scale) * gap);
    }
    let unscaled = areas.iter().map(|area| (area.total() / scale).clamp(0.0, f64::MAX));
    profile.areas = unscaled.collect();
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_cut_at_the_edges_and_add_up() {
        // Functions: 1 and 0 from 0 to 4, then 1 and 1/2 up to 10.
        let values = [0.0, 4.0, 10.0];
        let found = profile(&values, &values, (&[2, 0, 0], &[0, 1, 1]), &[1.0, 6.0, 20.0]);
        assert_eq!(found.widest, Some((4.0, 2, 0)));
        assert_eq!(found.areas, [1.0, 4.0, 2.0, 0.0]);
    }

    #[test]
    fn equal_and_empty_samples_have_no_widest_place() {
        let equal = profile(&[1.0, 2.0], &[1.0, 2.0], (&[1, 1], &[5, 5]), &[2.0]);
        assert_eq!(equal, Profile { widest: None, areas: vec![0.0, 0.0] });
        assert_eq!(profile(&[1.0], &[1.0], (&[1], &[0]), &[]).areas, [0.0]);
        let far = profile(&[-1e308, 1e308], &[-1e308, 1e308], (&[1, 0], &[0, 1]), &[]);
        assert_eq!(far.areas, [f64::MAX]);
    }
}
