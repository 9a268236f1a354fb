//! Alarms hold their level where nothing has changed, and find what scipy's
//! tests on raw values find where something has. In short; the whole table is
//! printed by `cargo run --release -p watchkeep-detection --example calibration`.

mod trials;

use watchkeep_detection::drift::numeric;
use watchkeep_detection::statistics::chi_square_homogeneity;

use self::trials::counts::{COUNTS, Counts, counted, counted_rolling};
use self::trials::many::{self, Cells};
use self::trials::{
    Change, LAWS, Law, Random, Shares, Trial, categories, dependent, dependent_categories, numbers,
    summary_of_numbers,
};

const LEVEL: f64 = 0.01;
/// What a level of 1 % may come to.
const LEVEL_MAX: f64 = 0.014;
/// Standard errors of a measurement that are allowed beyond it: there are many.
const ERRORS_MAX: f64 = 4.0;

fn quiet(n: usize, n_ref: usize) -> Trial {
    Trial { n, n_ref, change: Change::NONE, level: LEVEL }
}

#[test]
fn quiet_numbers_alarm_as_often_as_stated() {
    for (n, n_ref, trials) in [(12, 12, 1_500), (30, 300, 400), (200, 1_000, 150)] {
        for (law, name) in LAWS {
            let alarms = numbers(law, quiet(n, n_ref), trials, &mut Random::new(1)).judged;
            let most = LEVEL_MAX + ERRORS_MAX * (LEVEL_MAX / trials as f64).sqrt();
            assert!(alarms.share() <= most, "{name} {n} {n_ref}: {alarms:?}");
            // Ties of small samples leave no p-value near 1 %; a constant cannot differ.
            let continuous = !matches!(law, Law::SmallIntegers | Law::ZeroInflated | Law::Constant);
            if continuous {
                let least = 0.007 - ERRORS_MAX * (0.007 / trials as f64).sqrt();
                assert!(alarms.share() >= least, "{name} {n} {n_ref}: {alarms:?}");
            }
        }
    }
}

#[test]
fn quiet_categories_alarm_as_often_as_stated() {
    let mut scipy_at_worst = 0.0_f64;
    for (n, n_ref, trials) in [(12, 12, 600), (12, 2_000, 300), (100, 1_000, 400)] {
        for count in [2, 3, 10, 300] {
            for exponent in [0.0, 1.0] {
                let shares = Shares::zipf(count, exponent);
                let alarms = categories(&shares, quiet(n, n_ref), trials, &mut Random::new(2));
                let most = LEVEL_MAX + ERRORS_MAX * (LEVEL_MAX / trials as f64).sqrt();
                let judged = alarms.judged;
                assert!(judged.share() <= most, "{count} {exponent} {n} {n_ref}: {judged:?}");
                scipy_at_worst = scipy_at_worst.max(alarms.scipy.share());
            }
        }
    }
    // So bad is the p-value that is made for many values in each bin.
    assert!(scipy_at_worst > 0.1, "{scipy_at_worst}");
}

#[test]
fn samples_of_very_many_values_are_those_that_are_drawn_one_by_one() {
    const N: usize = many::MANY;
    for (law, name) in LAWS {
        let Some(cells) = Cells::of(law) else { continue };
        let random = &mut Random::new(9);
        let (mut least, mut most) = (1.0_f64, 0.0_f64);
        for _ in 0..4 {
            let at_once = cells.sample(N, random);
            assert_eq!(at_once.numbers.count(), N as u64);
            let single = summary_of_numbers(law.sample(N, Change::NONE, random));
            let p = numeric(&at_once, &single, &[], 10).p_value;
            (least, most) = (least.min(p), most.max(p));
        }
        assert!(least > 1e-3 && most > 0.1, "{name}: {least} to {most}");
    }
    let shares = Shares::zipf(50, 1.0);
    let random = &mut Random::new(10);
    let at_once = shares.counts(N, random);
    let mut single = vec![0; 50];
    (0..200).for_each(|_| {
        shares.counts(N / 200, random).iter().zip(&mut single).for_each(|(n, own)| *own += n);
    });
    let test = chi_square_homogeneity(&at_once, &single).expect("two samples");
    assert!((1e-3..0.999).contains(&test.p_value), "{test:?}");
}

#[test]
fn changes_are_found_as_often_as_by_scipy_on_raw_values() {
    const TRIALS: u64 = 100;
    let unit = |n: usize, n_ref: usize| (1.0 / n as f64 + 1.0 / n_ref as f64).sqrt();
    for (n, n_ref) in [(100, 1_000), (1_000, 1_000)] {
        let size = 3.5 * unit(n, n_ref);
        let shift = Change { shift: size, ..Change::NONE };
        let scale = Change { scale: 1.0 + 3.0 * size, ..Change::NONE };
        let share = Change { share: 0.5 * size, ..Change::NONE };
        for (law, change) in [
            (Law::Normal, shift),
            (Law::Lognormal, shift),
            (Law::Normal, scale),
            (Law::StudentT2, scale),
            (Law::ZeroInflated, share),
        ] {
            let trial = Trial { n, n_ref, change, level: LEVEL };
            let alarms = numbers(law, trial, TRIALS, &mut Random::new(3));
            // Both judge the same windows, so their ratio varies little.
            let ratio = alarms.judged.share() / alarms.scipy_raw.share();
            assert!(ratio >= 0.97, "{law:?} {change:?} {n} {n_ref}: {alarms:?}");
        }
        let trial = Trial { n, n_ref, change: share, level: LEVEL };
        let alarms = categories(&Shares::zipf(10, 0.0), trial, TRIALS, &mut Random::new(4));
        let ratio = alarms.judged.share() / alarms.scipy_raw.share();
        assert!(ratio >= 0.97, "categories {n} {n_ref}: {alarms:?}");
    }
}

#[test]
fn values_that_follow_each_other_alarm_little_more_often() {
    const TRIALS: u64 = 150;
    let (judged, without) = dependent(0.8, 60, 28, TRIALS, &mut Random::new(5));
    assert!(without.share() > 0.1, "{without:?}");
    assert!(judged.share() < 0.05, "{judged:?}");
    let (judged, without) = dependent(0.0, 60, 28, TRIALS, &mut Random::new(6));
    assert!(judged.count <= without.count && without.share() < 0.05, "{judged:?} {without:?}");
    let (judged, without) = dependent_categories(0.5, 100, 24, TRIALS, &mut Random::new(7));
    assert!(without.share() > 0.2 && judged.share() < 0.05, "{judged:?} {without:?}");
}

#[test]
fn quiet_counts_alarm_as_often_as_stated_however_they_vary() {
    const TRIALS: u64 = 4_000;
    for (counts, name) in COUNTS {
        for (mean, windows) in [(3.0, 24), (10.0, 4), (100.0, 28), (10_000.0, 7)] {
            let alarms = counted(counts, mean, windows, 1.0, LEVEL, TRIALS, &mut Random::new(7));
            let most = LEVEL_MAX + ERRORS_MAX * (LEVEL_MAX / TRIALS as f64).sqrt();
            assert!(alarms.share() <= most, "{name} {mean} {windows}: {alarms:?}");
            // Few events leave no p-value near 1 %, regular ones are within rounding.
            if mean >= 10.0 && !matches!(counts, Counts::Regular) {
                let least = 0.007 - ERRORS_MAX * (0.007 / TRIALS as f64).sqrt();
                assert!(alarms.share() >= least, "{name} {mean} {windows}: {alarms:?}");
            }
        }
    }
    for (counts, mean, windows) in
        [(Counts::Poisson, 25.0, 28), (Counts::Bursts(0.1), 10_000.0, 4), (Counts::Poisson, 1e4, 7)]
    {
        let streams = (TRIALS / 200, 200);
        let alarms = counted_rolling(counts, mean, windows, LEVEL, streams, &mut Random::new(9));
        // Windows of a stream share their baselines: twice the error of independent ones.
        let (least, most) = (0.007, LEVEL_MAX);
        let error = |level: f64| 2.0 * ERRORS_MAX * (level / TRIALS as f64).sqrt();
        let within = least - error(least)..=most + error(most);
        assert!(within.contains(&alarms.share()), "{mean} {windows}: {alarms:?}");
    }
    let halved = counted(Counts::Bursts(0.1), 1_000.0, 28, 0.5, 0.001, 200, &mut Random::new(8));
    assert!(halved.share() > 0.95, "{halved:?}");
}
