//! What it does to a test of prediction that values which it calls unusual are
//! no part of later baselines, as windows in a breach are not.
//!
//! Two things, both for values that are normal and independent, n of them in a
//! baseline, ν = n − 1:
//!
//! - **What is left varies less.** T = u/s is Student's with ν degrees of freedom
//!   where u is normal and νs² chi-square. Given T, ν s² (1 + T²/ν) is chi-square
//!   with ν + 1, so E[u² | T] = (ν + 1) T² / (ν + T²), and over |T| < c that is
//!   I_b(3/2, ν/2) / P(|T| < c) with b = c² / (ν + c²), since T² / (ν + T²) is
//!   Beta(1/2, ν/2). A value differs from the mean of the others by u √(1 + 1/n)
//!   and shares 1 / (n + 1) of its own variance with none of that.
//! - **A narrow baseline lasts longer.** Values that it leaves out do not move it,
//!   so of n values in a row more meet a narrow one than of baselines are narrow.
//!   One that calls a share p of all values unusual lasts 1 + p + … + p^(n−1)
//!   times as long as one that calls none so; after n values in a breach it moves
//!   anyway. The chance of a score is the mean over what s may be, so weighted.
//!
//! Without the first 1.4 % of quiet windows alarm at 1 % with 28 windows, without
//! both 1.9 % with four.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::erfc;

/// What is left out of later baselines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    /// Counts with a p-value below this,
    pub p_below: f64,
    /// and farther from the mean than this share of it.
    pub change: f64,
}

/// Degrees of freedom beyond which all baselines last about as long.
const NARROW_DOF_MAX: f64 = 200.0;
/// Steps of the mean over s.
const STEPS: usize = 300;

/// The share of the variance of normal values that is left where those with a
/// score of at least `cut` are left out: `n` values in a baseline, at least 2.
pub(super) fn variance_left(n: f64, cut: f64) -> f64 {
    let dof = n - 1.0;
    let (Ok(student), true) = (StudentsT::new(0.0, 1.0, dof), cut > 0.0) else {
        return 1.0;
    };
    let kept = 1.0 - 2.0 * student.sf(cut);
    let beta = 1.0 / (1.0 + dof / (cut * cut));
    let squares = checked_beta_reg(1.5, dof / 2.0, beta).unwrap_or(kept);
    (squares / kept * n + 1.0) / (n + 1.0)
}

/// The score that has the p-value, by Student's t.
pub(super) fn score_of(n: f64, p_value: f64) -> Option<f64> {
    let student = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    Some(-student.inverse_cdf((p_value / 2.0).clamp(f64::MIN_POSITIVE, 0.5)))
}

/// The chance of a score as far from 0, of `n` values in a baseline that leaves out
/// those with a score of at least `cut`, where `p_value` is that by Student's t:
/// never below it.
pub(super) fn chance(n: f64, score: f64, cut: f64, p_value: f64) -> f64 {
    let (dof, score) = (n - 1.0, score.abs());
    let is_plain = dof > NARROW_DOF_MAX || score <= 0.0 || p_value >= 1.0;
    if is_plain || !cut.is_finite() {
        return p_value;
    }
    let beyond = |score: f64, s: f64| erfc(score * s / std::f64::consts::SQRT_2);
    // s from where everything is beyond the score, and where there is any.
    let width = 9.0 / (2.0 * dof).sqrt();
    let from = (0.01 / score.max(cut)).max(1.0 - width).ln();
    let step = ((1.0 + width).ln() - from) / STEPS as f64;
    let (mut found, mut all) = (0.0, 0.0);
    for at in 0..=STEPS {
        let log = from + step * at as f64;
        let s = log.exp();
        let out = beyond(cut, s);
        let lasts = if out < 1.0 - 1e-9 { (1.0 - out.powf(n)) / (1.0 - out) } else { n };
        // Of chi-square with `dof` degrees over these, by the logarithm of s; largest at s = 1.
        let density = (dof * (log - (s * s - 1.0) / 2.0)).exp();
        found += beyond(score, s) * lasts * density;
        all += lasts * density;
    }
    (found / all).clamp(p_value, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `scipy.special.betainc` and `scipy.stats.t`.
    #[test]
    fn what_is_left_varies_less() {
        for (n, cut, left) in [
            (4.0, 5.840_909_309_733_357, 0.977_332_702_788_889_8),
            (7.0, 3.7, 0.960_897_153_677_129_5),
            (28.0, 2.77, 0.935_618_389_531_82),
            (168.0, 2.6, 0.925_780_234_784_111_1),
            (28.0, 1.0, 0.319_196_364_208_980_73),
            (3.0, 50.0, 0.999_400_479_616_307),
        ] {
            let found = variance_left(n, cut);
            assert!((found / left - 1.0).abs() < 1e-9, "{n} {cut}: {found}");
        }
        assert!((variance_left(1e6, 2.575_829_303_548_900_4) - 0.924_7).abs() < 1e-4);
        assert!((variance_left(28.0, 1e9) - 1.0).abs() < 1e-12);
    }

    /// From `scipy.integrate.quad` over `scipy.stats.chi`.
    #[test]
    fn narrow_baselines_last_longer() {
        for (n, score, expected) in [
            (3.0, 20.0, 0.003_866_126_929_245_162),
            (4.0, 5.84, 0.013_794_355_374_109_67),
            (4.0, 100.0, 3.025_724_074_809_763e-6),
            (7.0, 3.7, 0.011_401_685_806_684_886),
            (28.0, 2.77, 0.010_155_807_100_944_133),
            (28.0, 8.0, 1.345_854_705_109_892e-8),
            (168.0, 2.6, 0.010_175_834_185_269_047),
        ] {
            let student = StudentsT::new(0.0, 1.0, n - 1.0).unwrap();
            let found = chance(n, score, score, 2.0 * student.cdf(-score));
            assert!((found / expected - 1.0).abs() < 1e-3, "{n} {score}: {found}");
        }
    }

    #[test]
    fn a_chance_falls_with_the_score_and_is_never_below_student_s() {
        for n in [3.0, 4.0, 10.0, 100.0, 300.0] {
            let student = StudentsT::new(0.0, 1.0, n - 1.0).unwrap();
            let mut before = 1.0;
            for score in (0..200).map(|at| 1.06f64.powi(at) / 10.0) {
                let by_student = 2.0 * student.cdf(-score);
                let found = chance(n, score, 5.0, by_student);
                assert!(found >= by_student && found <= before, "{n} {score}: {found} {before}");
                before = found;
                let hardly = chance(n, score, 1e9, by_student);
                assert!(hardly <= by_student * 1.000_001, "{n} {score}: {hardly} {by_student}");
            }
        }
    }
}
