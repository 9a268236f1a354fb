//! How often quiet windows raise an alarm at a nominal level of 1 %, and how
//! often changed ones do, beside scipy's test on raw values.
//!
//! ```sh
//! cargo run --release --package watchkeep-detection --example calibration -- level --trials 20000
//! cargo run --release --package watchkeep-detection --example calibration -- power --trials 5000
//! cargo run --release --package watchkeep-detection --example calibration -- narrow --trials 2000
//! cargo run --release --package watchkeep-detection --example calibration -- dependent --trials 5000
//! cargo run --release --package watchkeep-detection --example calibration -- volume --trials 100000
//! cargo run --release --package watchkeep-detection --example calibration -- learned --trials 2000
//! cargo run --release --package watchkeep-detection --example calibration -- sustained --trials 2000
//! cargo run --release --package watchkeep-detection --example calibration -- speed --trials 1000
//! ```
//!
//! `level --n 100000` takes only windows of that size. Every cell has a seed of
//! its own, so it comes out the same whichever others are taken.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the pure crate neither reads arguments nor prints, but this program does"
)]

#[path = "../tests/trials/mod.rs"]
mod trials;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use watchkeep_detection::drift::{self, Comparison};
use watchkeep_model::summary::Summary;

use self::trials::counts::{COUNTS, Counts, counted, counted_rolling};
use self::trials::histories::{Days, FIGURES, excess, weekly};
use self::trials::{
    Alarms, Change, LAWS, Law, Random, Shares, Trial, categories, dependent, dependent_categories,
    numbers,
};

const LEVEL: f64 = 0.01;
const SIZES: [usize; 6] = [12, 30, 100, 1_000, 10_000, 100_000];
const CATEGORIES: [usize; 6] = [2, 3, 10, 50, 200, 1_000];
/// Values that one cell of the table may draw: 5,000 trials of 100,000 values
/// against as many.
const VALUES_MAX: u64 = 1_000_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let trials = named("--trials").map_or(Some(20_000), |text| text.parse().ok());
    let n: Option<usize> = named("--n").and_then(|text| text.parse().ok());
    match (arguments.first().map(String::as_str), trials) {
        (Some("level"), Some(trials)) => level(trials, n),
        (Some("power"), Some(trials)) => power(trials),
        (Some("dependent"), Some(trials)) => dependent_values(trials),
        (Some("volume"), Some(trials)) => volume(trials),
        (Some("learned"), Some(trials)) => learned(trials),
        (Some("sustained"), Some(trials)) => sustained(trials),
        (Some("narrow"), Some(trials)) => narrow(trials),
        (Some("speed"), Some(trials)) => speed(trials),
        _ => {
            eprintln!(
                "calibration level|power|narrow|dependent|volume|learned|sustained|speed \
                 [--trials N] [--n VALUES]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn level(trials: u64, only: Option<usize>) {
    println!("Alarms among quiet windows at a nominal level of 1 %, in percent.");
    println!("`judged` is `judged.p_value`, `scipy` the published `ks_p` or `chi2_p`.\n");
    println!("| values | n | n_ref | trials | judged | scipy |");
    println!("|---|---:|---:|---:|---:|---:|");
    each_size(|n, n_ref| {
        if only.is_some_and(|only| only != n) {
            return;
        }
        let trial = Trial { n, n_ref, change: Change::NONE, level: LEVEL };
        let trials = affordable(trials, &trial);
        for (law, name) in LAWS {
            let alarms = numbers(law, trial, trials, &mut seeded(n, n_ref, name));
            row(name, &trial, &alarms);
        }
        for count in CATEGORIES {
            for (exponent, law) in [(0.0, "uniform"), (1.0, "Zipf")] {
                let name = format!("{count} categories, {law}");
                let shares = Shares::zipf(count, exponent);
                let alarms = categories(&shares, trial, trials, &mut seeded(n, n_ref, &name));
                row(&name, &trial, &alarms);
            }
        }
    });
}

fn power(trials: u64) {
    println!("Alarms among changed windows at a nominal level of 1 %, in percent.");
    println!("`scipy` is its test on the values as they came.\n");
    println!("| change | n | n_ref | trials | judged | scipy, raw values | ratio |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for n in [100, 1_000, 10_000] {
        for n_ref in BTreeSet::from([n, 10_000]) {
            // Changes that are found about half of the time and nearly always.
            let unit = (1.0 / n as f64 + 1.0 / n_ref as f64).sqrt();
            for strength in [3.0, 5.0] {
                let size = strength * unit;
                let laws = LAWS.into_iter().filter(|(law, _)| *law != Law::Constant);
                for (law, name) in laws {
                    for (what, change) in changes(law, size) {
                        let trial = Trial { n, n_ref, change, level: LEVEL };
                        let name = format!("{what}, {name}");
                        let alarms = numbers(law, trial, trials, &mut seeded(n, n_ref, &name));
                        power_row(&name, &trial, &alarms);
                    }
                }
                for count in [2, 10, 50] {
                    let change = Change { share: size * 0.5, ..Change::NONE };
                    let trial = Trial { n, n_ref, change, level: LEVEL };
                    let name = format!("share {:.3}, {count} categories", change.share);
                    let shares = Shares::zipf(count, 0.0);
                    let alarms = categories(&shares, trial, trials, &mut seeded(n, n_ref, &name));
                    power_row(&name, &trial, &alarms);
                }
            }
        }
    }
}

fn narrow(trials: u64) {
    println!("Shifts that are found at 1 %, in percent, of normal values that are far from 0.\n");
    println!(
        "| mean, in standard deviations | n | n_ref | shift | judged | scipy, raw values | ratio |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for mean in [0.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0] {
        let change = Change { shift: 0.15, ..Change::NONE };
        let trial = Trial { n: 1_000, n_ref: 1_000, change, level: LEVEL };
        // Means are spread over cells of all widths.
        let mut alarms = Alarms::default();
        for part in 0..8 {
            let law = Law::Far(mean * 2.0_f64.powf(f64::from(part) / 8.0 - 0.5));
            let random = &mut seeded(1_000, part as usize, "narrow");
            let of_part = numbers(law, trial, (trials / 8).max(1), random);
            alarms.judged.extend(of_part.judged);
            alarms.scipy_raw.extend(of_part.scipy_raw);
        }
        let (judged, raw) = (alarms.judged.share(), alarms.scipy_raw.share());
        println!(
            "| {mean} | 1000 | 1000 | 0.15 | {:.1} | {:.1} | {:.3} |",
            100.0 * judged,
            100.0 * raw,
            judged / raw
        );
    }
}

fn dependent_values(trials: u64) {
    println!(
        "Alarms among quiet windows of values that are like the one before (AR(1), or the same \
         category with that chance) at a nominal level of 1 %, in percent:"
    );
    println!("against the windows before, with and without regard to how much those differ.\n");
    println!("| values | alike | n | past windows | trials | judged | without |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for carry in [0.0, 0.3, 0.6, 0.9, 0.98] {
        for (n, parts) in [(100, 4), (100, 7), (100, 28), (1_000, 28)] {
            let seed = &mut seeded(n, parts, "dependent");
            let of_numbers = dependent(carry, n, parts, trials, seed);
            let of_categories = dependent_categories(carry, n, parts, trials, seed);
            for (name, (judged, without)) in
                [("numbers", of_numbers), ("categories", of_categories)]
            {
                println!(
                    "| {name} | {carry} | {n} | {parts} | {trials} | {:.2} ± {:.2} | {:.2} |",
                    100.0 * judged.share(),
                    100.0 * judged.error(),
                    100.0 * without.share(),
                );
            }
        }
    }
}

fn volume(trials: u64) {
    const WINDOWS: [usize; 4] = [4, 7, 28, 168];
    println!("Alarms among quiet counts at a nominal 1 %, in percent; in brackets at 0.1 %.\n");
    println!("| counts | mean | 4 windows | 7 | 28 | 168 |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (counts, name) in COUNTS {
        for mean in [1.0, 10.0, 100.0, 10_000.0] {
            let cell = |windows| {
                let [one, tenth] = [LEVEL, LEVEL / 10.0].map(|level| {
                    let random = &mut seeded(windows, mean as usize, name);
                    100.0 * counted(counts, mean, windows, 1.0, level, trials, random).share()
                });
                format!(" {one:.2} ({tenth:.2}) |")
            };
            println!("| {name} | {mean} |{}", WINDOWS.map(cell).concat());
        }
    }
    println!("\nQuiet counts at a nominal 1 %, in streams of 400 windows with rolling baselines,");
    println!("which leave out what alarmed.\n");
    println!("| counts | mean | 4 windows | 7 | 28 | 168 |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (counts, name) in COUNTS {
        for mean in [25.0, 10_000.0] {
            let cell = |windows| {
                let random = &mut seeded(windows, mean as usize, name);
                let streams = (trials / 400, 400);
                let alarms = counted_rolling(counts, mean, windows, LEVEL, streams, random);
                format!(" {:.2} |", 100.0 * alarms.share())
            };
            println!("| {name} | {mean} |{}", WINDOWS.map(cell).concat());
        }
    }
    println!("\nAlarms where the rate is another, at 0.1 %, in percent.\n");
    println!("| counts | mean | times | 4 windows | 7 | 28 | 168 |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (counts, name, mean) in [
        (Counts::Poisson, "Poisson", 100.0),
        (Counts::Poisson, "Poisson", 10_000.0),
        (Counts::Bursts(0.1), "negative binomial, 10 %", 10_000.0),
        (Counts::Regular, "regular", 60.0),
    ] {
        for factor in [0.5, 0.7, 0.9, 1.5] {
            let cell = |windows| {
                let random = &mut seeded(windows, mean as usize, name);
                let found = counted(counts, mean, windows, factor, 0.001, trials / 10, random);
                format!(" {:.1} |", 100.0 * found.share())
            };
            println!("| {name} | {mean} | {factor} |{}", WINDOWS.map(cell).concat());
        }
    }
}

fn learned(histories: u64) {
    println!("Share of good windows above a learned bound, over the rate that was asked for.\n");
    let names: Vec<&str> = FIGURES.iter().map(|(_, name)| *name).collect();
    println!("| windows, rate | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(names.len()));
    for (n, rate) in [(30, 0.01), (100, 0.01), (1_000, 0.01), (300, 0.001), (1_000, 0.001)] {
        let cell = |(figures, name): &(_, &str)| {
            let random = &mut seeded(n, (1.0 / rate) as usize, name);
            format!(" {:.2} |", excess(*figures, n, rate, histories, random))
        };
        let cells: String = FIGURES.iter().map(cell).collect();
        println!("| {n}, {} % |{cells}", 100.0 * rate);
    }
    println!("\nThe same of hours with the course of a week, and which of them are found that");
    println!("are higher by six times what differs from week to week, in percent.\n");
    println!("| weeks | rate | over the rate | found |");
    println!("|---:|---:|---:|---:|");
    for weeks in [3, 4, 6, 12] {
        for rate in [0.01, 0.001] {
            let random = &mut seeded(weeks, (1.0 / rate) as usize, "weekly");
            // Each history judges a week.
            let (over, found) = weekly(weeks, rate, histories.div_ceil(20), random);
            println!("| {weeks} | {} % | {over:.2} | {:.1} |", 100.0 * rate, 100.0 * found);
        }
    }
}

fn sustained(features: u64) {
    const RATE: f64 = 0.001;
    println!("Sums over days at a rate of {RATE}: false alarms of quiet features, over what the");
    println!(
        "rate allows, and the day on which a drift of 0.02 standard deviations a day is found.\n"
    );
    println!(
        "| values a day | days of the baseline | 30 days | 90 days | 360 days | found: 10 % | median | 90 % |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    for n in [30, 100, 400] {
        for baseline in [10, 30] {
            let quiet = Days { n, baseline, judged: 360, drift: 0.0, rate: RATE };
            let random = &mut seeded(n, baseline, "quiet");
            let opened: Vec<usize> = (0..features).flat_map(|_| quiet.opened(random)).collect();
            let excess = |days: usize| {
                let alarms = opened.iter().filter(|day| **day <= days).count();
                format!(" {:.2} |", alarms as f64 / (features as f64 * days as f64 * RATE))
            };
            let drifting = Days { judged: 60, drift: 0.02, ..quiet };
            let random = &mut seeded(n, baseline, "drift");
            let found = |_| drifting.opened(random).first().copied().unwrap_or(drifting.judged + 1);
            let mut found: Vec<usize> = (0..features).map(found).collect();
            found.sort_unstable();
            let day = |share: f64| format!(" {} |", found[(features as f64 * share) as usize]);
            println!(
                "| {n} | {baseline} |{}{}",
                [30, 90, 360].map(excess).concat(),
                [0.1, 0.5, 0.9].map(day).concat()
            );
        }
    }
}

fn speed(trials: u64) {
    println!("Elapsed time of all statistics of one window together, in microseconds.\n");
    println!("| values | n | n_ref | median | 90 % |");
    println!("|---|---:|---:|---:|---:|");
    let timed = |name: &str, n: usize, n_ref: usize, compare: &dyn Fn() -> Comparison| {
        let mut times: Vec<f64> = (0..trials.max(10))
            .map(|_| {
                let begin = Instant::now();
                std::hint::black_box(compare());
                begin.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| times[(times.len() as f64 * q) as usize];
        println!("| {name} | {n} | {n_ref} | {:.1} | {:.1} |", at(0.5), at(0.9));
    };
    for (n, n_ref) in [(100, 10_000), (1_000, 10_000), (10_000, 10_000), (10_000, 100_000)] {
        for (law, name) in LAWS {
            let random = &mut seeded(n, n_ref, name);
            let [current, reference] = [n, n_ref]
                .map(|size| trials::summary_of_numbers(law.sample(size, Change::NONE, random)));
            timed(name, n, n_ref, &|| drift::numeric(&current, &reference, &[], 10));
        }
        for count in [10, 200, 1_000, 100_000] {
            let (shares, name) = (Shares::zipf(count, 1.0), format!("{count} categories"));
            let random = &mut seeded(n, n_ref, &name);
            let [current, reference] =
                [n, n_ref].map(|size| shares.summary(&shares.counts(size, random)));
            timed(&name, n, n_ref, &|| drift::categorical(&current, &reference));
        }
    }
    merging(trials);
}

/// Elapsed time of adding one pane to another.
fn merging(trials: u64) {
    println!("\nElapsed time of merging two panes, in microseconds.\n");
    println!("| each pane has | median | 90 % |");
    println!("|---|---:|---:|");
    let timed = |name: String, own: &Summary, other: &Summary| {
        let mut times: Vec<f64> = (0..trials.max(10))
            .map(|_| {
                let mut own = own.clone();
                let begin = Instant::now();
                own.merge(std::hint::black_box(other));
                let time = begin.elapsed().as_secs_f64() * 1e6;
                std::hint::black_box(own);
                time
            })
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| times[(times.len() as f64 * q) as usize];
        println!("| {name} | {:.1} | {:.1} |", at(0.5), at(0.9));
    };
    for n in [100, 1_000, 10_000, 100_000] {
        let random = &mut seeded(n, n, "merging");
        let [own, other] = [(); 2].map(|()| trials::pane(n, random));
        timed(format!("{n} numbers, latencies and ages"), &own, &other);
    }
    for (categories, apart) in
        [(100, 0), (1_000, 0), (1_000, 500), (4_000, 0), (8_000, 0), (10_000, 0), (10_000, 5_000)]
    {
        let [own, other] =
            [0, apart].map(|first| trials::summary_of_users(first..first + categories));
        let name = format!("{categories} categories, {apart} of them not in the other");
        timed(name, &own, &other);
    }
}

/// Changes of about `size` standard deviations that suit the law.
fn changes(law: Law, size: f64) -> Vec<(String, Change)> {
    let shift = (format!("shift {size:.3}"), Change { shift: size, ..Change::NONE });
    let scale = 1.0 + 3.0 * size;
    let scaled = (format!("scale {scale:.3}"), Change { scale, ..Change::NONE });
    match law {
        Law::ZeroInflated => {
            let share = size * 0.6;
            vec![(format!("share of zeros {share:.3}"), Change { share, ..Change::NONE })]
        }
        // Moving a discrete law moves it off its values altogether.
        Law::SmallIntegers | Law::Constant => Vec::new(),
        Law::Uniform => {
            let shift = size * 0.35;
            vec![(format!("shift {shift:.3}"), Change { shift, ..Change::NONE })]
        }
        _ => vec![shift, scaled],
    }
}

fn each_size(mut cell: impl FnMut(usize, usize)) {
    for n in SIZES {
        let mut references = vec![n, 10 * n, 10_000];
        references.sort_unstable();
        references.dedup();
        references.into_iter().filter(|n_ref| *n_ref >= n).for_each(|n_ref| cell(n, n_ref));
    }
}

fn affordable(trials: u64, trial: &Trial) -> u64 {
    trials.min(VALUES_MAX / (trial.n + trial.n_ref) as u64).max(500)
}

fn seeded(n: usize, n_ref: usize, name: &str) -> Random {
    let name =
        name.bytes().fold(0u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    Random::new(name ^ (n as u64) << 32 ^ n_ref as u64)
}

fn row(name: &str, trial: &Trial, alarms: &Alarms) {
    let (judged, scipy) = (alarms.judged, alarms.scipy);
    println!(
        "| {name} | {} | {} | {} | {:.2} ± {:.2} | {:.2} |",
        trial.n,
        trial.n_ref,
        judged.trials,
        100.0 * judged.share(),
        100.0 * judged.error(),
        100.0 * scipy.share(),
    );
}

fn power_row(name: &str, trial: &Trial, alarms: &Alarms) {
    let (judged, raw) = (alarms.judged, alarms.scipy_raw);
    println!(
        "| {name} | {} | {} | {} | {:.1} | {:.1} | {:.3} |",
        trial.n,
        trial.n_ref,
        judged.trials,
        100.0 * judged.share(),
        100.0 * raw.share(),
        judged.share() / raw.share(),
    );
}
