//! The regimes against each other and against Pomeranz's recursion.

use proptest::prelude::*;

use super::super::special::Sum;
use super::*;

/// `Pr(D_n ≤ d)` by Pomeranz, Commun. ACM 17(12), 1974, as an independent
/// oracle: slow, obvious, and sharing nothing with the code under test.
///
/// The chance that a unit Poisson path of n steps stays between the two bounds
/// is carried across the points at which either bound steps over a whole
/// number; each stretch adds a Poisson number of values.
fn pomeranz_cdf(n: usize, d: f64) -> f64 {
    let t = n as f64 * d;
    let mut points = vec![0.0, n as f64];
    for j in 0..=n {
        points
            .extend([j as f64 - t, j as f64 + t].into_iter().filter(|x| *x > 0.0 && *x < n as f64));
    }
    points.sort_by(f64::total_cmp);
    let mut paths = vec![0.0; n + 1];
    paths[0] = 1.0;
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let width = to - from;
        // Inside the stretch the count must stay within t of the diagonal.
        let inside = |count: usize| {
            let middle = (from + to) / 2.0;
            (count as f64) < middle + t && count as f64 > middle - t
        };
        let mut next = vec![0.0; n + 1];
        for start in (0..=n).filter(|&s| inside(s)) {
            let mut weight = paths[start] * (-width).exp();
            for (end, cell) in next.iter_mut().enumerate().skip(start) {
                if inside(end) {
                    *cell += weight;
                }
                weight *= width / (end - start + 1) as f64;
            }
        }
        paths = next;
    }
    // Conditioned on n values in all: e^n n!/n^n of the Poisson probability.
    (1..=n).fold(paths[n] * (n as f64).exp(), |p, i| p * (i as f64 / n as f64))
}

fn close(actual: f64, expected: f64, tolerance: f64) -> bool {
    (actual - expected).abs() <= tolerance * expected.abs()
}

#[test]
fn durbin_matrix_equals_pomeranz_in_the_whole_exact_range() {
    for n in [2, 3, 4, 5, 8, 13, 30, 77, 139, 140] {
        for ndd in [0.02, 0.1, 0.3, 0.75, 0.76, 1.5, 2.5, 3.99] {
            let d = (ndd / f64::from(n)).sqrt();
            let nd = f64::from(n) * d;
            if nd <= 1.0 || nd >= f64::from(n) - 1.0 {
                continue;
            }
            let (matrix, oracle) = (durbin_cdf(f64::from(n), d), pomeranz_cdf(n as usize, d));
            assert!(close(matrix, oracle, 1e-11), "n {n}, n·d² {ndd}: {matrix:e}, {oracle:e}");
        }
    }
}

#[test]
fn smallest_distances_have_the_closed_form() {
    // n = 2: Pr(D ≤ d) = 2·(2d − 1/2)² between 1/4 and 1/2.
    for d in [0.26, 0.3, 0.45, 0.5] {
        let expected = 1.0 - 2.0 * (2.0_f64 * d - 0.5).powi(2);
        assert!(close(kolmogorov_sf(2.0, d), expected, 1e-14));
    }
    assert_eq!(kolmogorov_sf(10.0, 0.05), 1.0);
    assert_eq!(kolmogorov_sf(1e9, 0.4e-9), 1.0);
}

#[test]
fn the_tail_sum_with_a_stride_equals_every_term() {
    for n in [300.0, 1_000.0, 7_919.0, 50_000.0] {
        for ndd in [2.2, 3.0, 10.0, 60.0, 200.0, 287.0] {
            let d = f64::sqrt(ndd / n);
            if d >= 0.9 || n * d >= n - 1.0 {
                continue;
            }
            let (fast, slow) = (smirnov_sf(n, d), every_term(n, d));
            assert!(close(fast, slow, 1e-10), "n {n}, n·d² {ndd}: {fast:e}, {slow:e}");
        }
    }
}

fn every_term(n: f64, d: f64) -> f64 {
    let mut sum = (n * (-d).ln_1p()).exp();
    // Compensated, or fifty thousand logarithms lose the digits to be compared.
    let mut ln_choose = Sum::default();
    for j in 1..=(n * (1.0 - d)) as u32 {
        let j = f64::from(j);
        ln_choose.add(((n - j + 1.0) / j).ln());
        let rest = 1.0 - d - j / n;
        if rest > 0.0 {
            sum +=
                d * (ln_choose.total() + (j - 1.0) * (d + j / n).ln() + (n - j) * rest.ln()).exp();
        }
    }
    sum
}

#[test]
fn formulas_meet_at_their_bounds() {
    // Near a bound the slope of ln p stays far below 1e5, so a step of 1e-9
    // may not show as more than the approximations differ.
    let bound = |n: f64, d: f64, tolerance: f64| {
        let (below, above) =
            (kolmogorov_sf(n, d * (1.0 - 1e-9)), kolmogorov_sf(n, d * (1.0 + 1e-9)));
        assert!(close(above, below, tolerance), "n {n}, d {d}: {below:e}, {above:e}");
    };
    for n in [5.0, 40.0, 140.0] {
        bound(n, 1.0 / n, 1e-6);
        bound(n, (EXACT_NDD_MAX / n).sqrt().min(0.999), 1e-6);
        bound(n, 0.5, 1e-6);
    }
    for n in [141.0, 500.0, 501.0, 3_000.0, 50_000.0] {
        bound(n, (TAIL_NDD_MIN / n).sqrt(), 2e-4);
        bound(n, (MATRIX_ND15_MAX / n).powf(2.0 / 3.0), 1e-5);
    }
}

#[test]
fn large_samples_approach_the_limiting_distribution() {
    // 2 Σ (−1)^(k−1) exp(−2k²z²), Kolmogorov 1933.
    let limit = |z: f64| {
        (1..50).map(f64::from).fold(0.0, |sum, k| {
            let sign = if k % 2.0 == 1.0 { 2.0 } else { -2.0 };
            sum + sign * (-2.0 * k * k * z * z).exp()
        })
    };
    for n in [1e10, 1e15, 2.0_f64.powi(60)] {
        for z in [0.5, 1.0, 1.4, 1.6, 3.0, 6.0] {
            let p = kolmogorov_sf(n, z / n.sqrt());
            assert!(close(p, limit(z), 1e-3), "n {n}, z {z}: {p:e}, {:e}", limit(z));
        }
    }
}

proptest! {
    #[test]
    fn it_is_a_probability_and_falls_with_the_distance(
        n in 1_u32..3_000, d in 0.0_f64..1.0, further in 0.0_f64..0.2,
    ) {
        let n = f64::from(n);
        let (near, far) = (kolmogorov_sf(n, d), kolmogorov_sf(n, d + further));
        prop_assert!((0.0..=1.0).contains(&near));
        // Where formulas meet, they differ by up to 2e-4 of p.
        prop_assert!(far <= near * (1.0 + 2e-4), "{near:e} then {far:e}");
    }

    #[test]
    fn nothing_makes_it_nan(n in any::<f64>(), d in any::<f64>()) {
        let p = kolmogorov_sf(n.floor(), d);
        prop_assert!((0.0..=1.0).contains(&p));
    }
}
