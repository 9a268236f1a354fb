//! Whatever telemetry holds, a drift expectation has a stated result: figures
//! that are numbers, or `not_judged` with the reason; and summaries stay small.

use std::sync::Arc;

use watchkeep_detection::baseline::Baseline;
use watchkeep_detection::judge::{Evidence, judge};
use watchkeep_detection::measure::{self, Frame};
use watchkeep_model::charter::{
    BaselineSpec, Charter, Effect, Expectation, ForSpec, Rule, Severity, Statistic, ValueType,
    WindowSpec,
};
use watchkeep_model::summary::{CATEGORIES_MAX, CATEGORY_BYTES_MAX, Summary};
use watchkeep_model::time::{TimeSpan, Timestamp};
use watchkeep_model::window::{Drift, Judged, Verdict};

fn numbers(values: impl IntoIterator<Item = f64>) -> Summary {
    let mut summary = Summary::default();
    for value in values {
        summary.count += 1;
        if value.is_finite() {
            summary.numbers.add(value);
        } else {
            summary.non_finite_count += 1;
        }
    }
    summary
}

fn categories(names: impl IntoIterator<Item = String>) -> Summary {
    let mut summary = Summary::default();
    for name in names {
        summary.count += 1;
        summary.categories.add(&name, 1);
    }
    summary
}

fn nulls(count: u64) -> Summary {
    Summary { count, null_count: count, ..Summary::default() }
}

/// Five frequent ones in the midst of a million others.
const FREQUENT: [(&str, u64); 5] =
    [("one", 340_000), ("two", 170_000), ("three", 85_000), ("four", 34_000), ("five", 8_500)];

fn million() -> Summary {
    let mut summary = Summary::default();
    for n in 0..1_000_000u64 {
        summary.categories.add(&format!("c{n}"), 1);
        if n % 200_000 == 100_000 {
            let (name, count) = FREQUENT[(n / 200_000) as usize];
            summary.categories.add(name, count);
        }
    }
    summary.count = summary.categories.total();
    summary
}

/// Oddities by name.
fn oddities() -> Vec<(&'static str, Summary)> {
    let huge = [1e300, -1e300, 1e-300, -1e-300, 0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, 5e-324];
    vec![
        ("nothing", Summary::default()),
        ("nulls", nulls(500)),
        ("NaN", numbers([f64::NAN; 300])),
        ("infinities", numbers([f64::INFINITY, f64::NEG_INFINITY].repeat(100))),
        ("one number", numbers([7.0])),
        ("two numbers", numbers([7.0, 8.0])),
        ("equal numbers", numbers([7.0; 400])),
        ("few equal numbers", numbers([7.0; 40])),
        ("two values", numbers([1.0, 2.0].repeat(200))),
        ("far apart", numbers(huge.repeat(60))),
        ("few far apart", numbers(huge.repeat(5))),
        ("one category", categories(["a".to_owned()])),
        ("equal categories", categories(vec!["a".to_owned(); 300])),
        ("a million categories", million()),
        ("long categories", categories((0..40).map(|n| format!("{n}{}", "x".repeat(1 << 20))))),
    ]
}

fn expectation() -> Expectation {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    Expectation {
        name: "drift".into(),
        window: WindowSpec::Tumbling { size: TimeSpan::HOUR },
        severity: Severity::Error,
        min_samples: Expectation::MIN_SAMPLES_DEFAULT,
        r#for: ForSpec::default(),
        resolve_after: 1,
        rule: Rule::Drift {
            baseline: spec(from),
            p_below: 0.01,
            effect: None,
            bins: 10,
            sustained: None,
        },
        resolve: None,
        learned: None,
    }
}

fn spec(from: Timestamp) -> BaselineSpec {
    BaselineSpec::Fixed { from, to: from + TimeSpan::HOUR }
}

fn judged(current: &Summary, baseline: &Baseline, kind: Option<ValueType>) -> Judged {
    let mut charter = Charter::default();
    charter.fields.r#type = kind;
    let evidence = Evidence {
        shifts: &[],
        in_breach: None,
        summary: current,
        baseline: Ok(baseline),
        silent_for: None,
        tallies: None,
        lesson: None,
    };
    judge(&expectation(), &charter, &evidence).judged
}

fn check_figures(drift: &Drift, name: &str) {
    let figures = [
        drift.psi,
        drift.js,
        drift.hellinger,
        drift.wasserstein,
        drift.wasserstein_norm,
        drift.ks_stat,
        drift.ks_p,
        drift.chi2_stat,
        drift.chi2_p,
        drift.unseen_share,
        drift.n_effective,
    ];
    assert!(figures.into_iter().flatten().all(|x| x.is_finite() && x >= 0.0), "{name}: {drift:?}");
    let bins = drift.bins.as_ref().expect("a comparison has bins");
    assert!(bins.current.len() <= 202 && bins.edges.iter().all(|e| e.is_finite()), "{name}");
    assert!(drift.unseen.len() <= 20, "{name}");
}

#[test]
fn every_pair_of_oddities_has_a_stated_result() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let oddities = oddities();
    let baselines: Vec<(&str, Baseline)> = oddities
        .iter()
        .map(|(name, summary)| {
            (*name, Baseline::new(&spec(from), Arc::new(summary.clone()), Vec::new()))
        })
        .collect();
    for (current_name, current) in &oddities {
        for (reference_name, baseline) in &baselines {
            for kind in [None, Some(ValueType::Double), Some(ValueType::String)] {
                let name = format!("{current_name} against {reference_name} as {kind:?}");
                let judged = judged(current, baseline, kind);
                match judged.verdict {
                    Verdict::NotJudged => {
                        assert!(judged.reason.is_some_and(|reason| !reason.is_empty()), "{name}");
                    }
                    Verdict::Good | Verdict::Bad => {
                        let p = judged.p_value.expect("a test");
                        assert!((0.0..=1.0).contains(&p), "{name}: {p}");
                        assert!(judged.observed.is_some_and(f64::is_finite), "{name}");
                        check_figures(judged.drift.as_deref().expect("figures"), &name);
                        if current_name == reference_name {
                            assert_eq!((judged.verdict, p), (Verdict::Good, 1.0), "{name}");
                        }
                    }
                }
            }
        }
    }
}

/// Also those of bins: without bins beside the one value nothing but the distance
/// of the distribution functions would tell of it.
#[test]
fn every_figure_shows_what_differs_from_a_baseline_of_one_value() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    for one in [0.0, 7.0] {
        let baseline = Baseline::new(&spec(from), Arc::new(numbers(vec![one; 400])), Vec::new());
        for other in [-3.0, one + 1e-3, 1e300] {
            let found = judged(&numbers(vec![other; 200]), &baseline, None);
            let drift = found.drift.expect("figures");
            let name = format!("{other} against {one}: {drift:?}");
            assert_eq!(
                (found.verdict, drift.js, drift.hellinger),
                (Verdict::Bad, Some(1.0), Some(1.0)),
                "{name}"
            );
            assert!(drift.psi > Some(10.0) && drift.chi2_p < Some(1e-100), "{name}");
        }
    }
}

#[test]
fn windows_of_oddities_have_figures_that_are_numbers() {
    for (name, summary) in oddities() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
        let frame = Frame {
            feature: "f".into(),
            feature_version: String::new(),
            window: "1h".into(),
            start: at,
            end: at + TimeSpan::HOUR,
            revision: 0,
            partial: false,
            late_count: 0,
        };
        let window = measure::window(frame, &summary);
        let figures = [window.min, window.max, window.mean, window.p50, window.p90, window.p99];
        assert!(figures.into_iter().flatten().all(f64::is_finite), "{name}: {window:?}");
        let counts = summary.categories.counts();
        assert!(counts.len() <= CATEGORIES_MAX, "{name}");
        assert!(counts.names().iter().all(|(c, _)| c.len() <= CATEGORY_BYTES_MAX), "{name}");
        if name == "a million categories" {
            let (distinct, error) =
                (window.distinct.expect("told"), window.distinct_error.expect("stated"));
            assert!((distinct as f64 / 1e6 - 1.0).abs() < 4.0 * error, "{distinct} ± {error}");
            assert_eq!(summary.categories.total(), 1_637_500);
            // From 0.5 to 21 % of all, each is found with the stated error.
            let told = window.top_error.expect("how far it is right");
            assert_eq!((told.above, told.count), (6_396, 1_600));
            for ((found, count), (name, of)) in window.top.iter().zip(FREQUENT) {
                assert_eq!(found, name);
                assert!((of..=of + told.count).contains(count), "{name}: {count} for {of}");
            }
        }
    }
}

#[test]
fn few_categories_of_very_many_are_not_new() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    // Both are drawn alike: a baseline that had each once would be no sample.
    let name = |n: u64| {
        let mixed = (n ^ (n >> 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        format!("category {}", (mixed >> 20) % 50_000)
    };
    let very_many = categories((0..200_000).map(name));
    let few = categories((200_000..206_000).map(name));
    let others = (0..6_000).map(|n| format!("new {n}"));
    let baseline = Baseline::new(&spec(from), Arc::new(very_many), Vec::new());
    let quiet = judged(&few, &baseline, Some(ValueType::String));
    // The baseline keeps one in 16 by name, the window all; both are compared by
    // those that the baseline would have kept.
    assert_eq!(quiet.verdict, Verdict::Good, "{:?}", quiet.drift);
    // One in e^4 never came in four draws of each.
    let unseen = quiet.drift.and_then(|drift| drift.unseen_share).expect("a share");
    assert!((0.005..0.04).contains(&unseen), "{unseen}");
    let changed = judged(&categories(others), &baseline, Some(ValueType::String));
    assert_eq!(changed.drift.and_then(|drift| drift.unseen_share), Some(1.0));
}

/// As many numbers as texts, in place of either alone.
fn mixed(count: u64) -> Summary {
    let mut mixed = numbers((0..count).map(|n| n as f64));
    mixed.merge(&categories((0..count).map(|n| format!("text {n}"))));
    mixed
}

#[test]
fn values_of_another_type_are_a_drift_and_outside_of_a_range() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let of = |summary| Baseline::new(&spec(from), Arc::new(summary), Vec::new());
    let (all_numbers, all_texts) =
        (numbers((0..200).map(f64::from)), categories((0..200).map(|n| format!("text {}", n % 9))));
    let (to_texts, to_numbers) = (of(all_numbers.clone()), of(all_texts.clone()));
    for (current, baseline, share, reason) in [
        (
            &all_texts,
            &to_texts,
            1.0,
            "share 1.0000 of the values is of another type (text 0, text 1,",
        ),
        (
            &mixed(100),
            &to_texts,
            0.5,
            "share 0.5000 of the values is of another type (text 0, text 1,",
        ),
        (&all_numbers, &to_numbers, 1.0, "share 1.0000 of the values is of another type, of the"),
        (&mixed(100), &to_numbers, 0.5, "share 0.5000 of the values is of another type, of the"),
    ] {
        let judged = judged(current, baseline, None);
        assert_eq!((judged.verdict, judged.observed), (Verdict::Bad, Some(share)));
        assert_eq!(judged.threshold, Some(0.1));
        assert!(judged.reason.as_ref().is_some_and(|told| told.starts_with(reason)), "{judged:?}");
        check_figures(judged.drift.as_deref().expect("figures"), reason);
    }
    // A mixture that was one before is none now.
    let as_before = judged(&mixed(95), &of(mixed(100)), Some(ValueType::Double));
    assert_eq!(as_before.verdict, Verdict::Good, "{as_before:?}");

    let mut charter = Charter::default();
    charter.fields.r#type = Some(ValueType::Double);
    let rule = Rule::Range { min: Some(0.0), max: Some(1e9), above: 0.1 };
    let range = Expectation { rule, ..expectation() };
    let evidence = Evidence {
        shifts: &[],
        in_breach: None,
        summary: &mixed(100),
        baseline: Err(""),
        silent_for: None,
        tallies: None,
        lesson: None,
    };
    assert_eq!(judge(&range, &charter, &evidence).judged.observed, Some(0.5));
    // Without a type in the charter a range is about the numbers there are.
    assert_eq!(judge(&range, &Charter::default(), &evidence).judged.observed, Some(0.0));

    charter.fields.r#type = Some(ValueType::String);
    let allowed = (0..100).map(|n| format!("text {n}")).collect();
    let rule = Rule::Categories { allowed: Some(allowed), baseline: None, above: 0.1 };
    let known = Expectation { rule, ..expectation() };
    let judged = judge(&known, &charter, &evidence).judged;
    assert_eq!((judged.verdict, judged.observed), (Verdict::Bad, Some(0.5)));
    assert!(judged.reason.is_some_and(|reason| reason.ends_with("above 0.1: (numbers)")));
}

#[test]
fn what_cannot_be_judged_says_why() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let baseline = |summary| Baseline::new(&spec(from), Arc::new(summary), Vec::new());
    let full = baseline(numbers((0..100).map(f64::from)));
    let reason =
        |current, baseline: &Baseline| judged(&current, baseline, None).reason.expect("one");
    assert_eq!(reason(nulls(500), &full), "the window has no values");
    assert_eq!(reason(numbers([f64::NAN; 90]), &full), "the window has no values");
    assert_eq!(reason(numbers([1.0, 2.0]), &full), "2 values, fewer than min_samples = 30");
    assert_eq!(
        reason(numbers([1.0; 50]), &baseline(Summary::default())),
        "the baseline has 0 values, fewer than min_samples = 30"
    );
}

/// Unix times, say: they share a cell of the grid, and an hour later they do too.
#[test]
fn numbers_that_lie_too_close_together_are_told_apart_by_their_ends_or_not_judged() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let hour = |at: f64| numbers((0..500).map(|i| 1.78e9 + at + f64::from(i)));
    let baseline = Baseline::new(&spec(from), Arc::new(hour(0.0)), Vec::new());
    let within = judged(&hour(100.0), &baseline, None);
    assert_eq!(within.verdict, Verdict::NotJudged);
    assert!(within.reason.is_some_and(|why| why.starts_with("100 % of the values lie within 1 %")));
    let later = judged(&hour(3_600.0), &baseline, None);
    assert_eq!((later.verdict, later.observed), (Verdict::Bad, Some(1.0)), "{later:?}");
    assert_eq!(later.drift.as_ref().and_then(|drift| drift.wasserstein), Some(3_600.0));
    check_figures(later.drift.as_deref().expect("figures"), "later");
    // One value that comes again and again has nothing to hide.
    let price = Baseline::new(&spec(from), Arc::new(numbers([5.0; 500])), Vec::new());
    assert_eq!(judged(&numbers([5.0; 400]), &price, None).verdict, Verdict::Good);
    assert_eq!(judged(&numbers([5.01; 400]), &price, None).verdict, Verdict::Bad);
}

/// Nulls are a bin of `psi`, `js` and `hellinger`, and so of their p-value.
#[test]
fn nulls_beside_numbers_have_a_test_where_the_effect_has_them() {
    let from: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let with = |share: u64| {
        let mut summary = numbers((0..400 - 4 * share).map(|n| (n % 100) as f64));
        summary.merge(&nulls(4 * share));
        summary
    };
    let baseline = Baseline::new(&spec(from), Arc::new(with(2)), Vec::new());
    let verdict = |statistic, share| {
        let (spec, effect) = (spec(from), Effect { statistic, above: 0.1 });
        let rule = Rule::Drift {
            baseline: spec,
            p_below: 0.01,
            effect: Some(effect),
            bins: 10,
            sustained: None,
        };
        let evidence = Evidence {
            shifts: &[],
            in_breach: None,
            summary: &with(share),
            baseline: Ok(&baseline),
            silent_for: None,
            tallies: None,
            lesson: None,
        };
        judge(&Expectation { rule, ..expectation() }, &Charter::default(), &evidence).judged.verdict
    };
    for statistic in [Statistic::Psi, Statistic::Js, Statistic::Hellinger] {
        assert_eq!((verdict(statistic, 60), verdict(statistic, 3)), (Verdict::Bad, Verdict::Good));
    }
    assert_eq!(verdict(Statistic::KsStat, 60), Verdict::Good, "it is of the numbers alone");
}
